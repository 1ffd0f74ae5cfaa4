//! The program `vdn`: trains, evaluates and forecasts with variational neurons. No logic of its
//! own: options in, calls into `vdn-train`, tables out. Anything wrong is one line on standard
//! error and exit code 2.
#![forbid(unsafe_code)]

mod options;
mod progress;
mod shorthands;

use clap::Parser;
use clap::error::ErrorKind;
use options::{Command, Options};
use progress::Bar;
use std::io::Write;
use std::process::ExitCode;
use vdn_forecast::{
    Inference, RunDirectory, evaluate_run_by, forecast_run_by, report_run, train_run,
};
use vdn_tensor::parallel::Pool;
use vdn_train::{MAX_THREADS, TrainError};

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if error.use_stderr() => {
            if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                return fail(
                    "a command is missing: train, evaluate, report or forecast; see vdn --help",
                );
            }
            // The message and its details, without the usage that follows.
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.starts_with("Usage:"));
            let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
            return fail(words.join(" ").trim_start_matches("error: "));
        }
        // Help and version.
        Err(error) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
    };
    if let Err(error) = vdn_tensor::simd::level() {
        return fail(&error.to_string());
    }
    match run(options.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("vdn: {}", message.replace('\n', " "));
    ExitCode::from(2)
}

/// Writes to standard output; a closed pipe is no error.
fn say(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// A pool of so many threads.
fn pool(threads: usize) -> Result<Pool, String> {
    if threads > MAX_THREADS {
        return Err(format!("--threads {threads}: has to be at most {MAX_THREADS}"));
    }
    Pool::new(threads).map_err(|e| e.to_string())
}

/// By moments where that is asked for.
fn inference(moments: bool) -> Inference {
    if moments { Inference::Moments } else { Inference::Samples }
}

fn run(command: Command) -> Result<(), String> {
    let one_line = |error: TrainError| error.to_string();
    match command {
        Command::Train(options) => {
            let config = options.config().map_err(one_line)?;
            config.validate().map_err(one_line)?;
            let pool = pool(config.train.threads)?;
            let bar = Bar::new(options.quiet);
            let result = pool.run(|| {
                train_run(&config, options.out.as_deref(), |stage, progress| {
                    bar.update(stage, progress)
                })
            });
            bar.finish();
            let report = result.map_err(one_line)?;
            say(&report.to_string())?;
            if let Some(out) = &options.out {
                say(&format!("written to {}", out.display()))?;
            }
        }
        Command::Evaluate { run, moments, threads } => {
            let run = RunDirectory::open(&run).map_err(one_line)?;
            let pool = pool(threads)?;
            let report =
                pool.run(|| evaluate_run_by(&run, inference(moments))).map_err(one_line)?;
            say(&report.to_string())?;
        }
        Command::Report { run, out, threads } => {
            let run = RunDirectory::open(&run).map_err(one_line)?;
            let pool = pool(threads)?;
            let page = pool.run(|| report_run(&run)).map_err(one_line)?;
            let path = out.unwrap_or_else(|| run.file("report.html"));
            vdn_train::write_atomically(&path, page.as_bytes()).map_err(one_line)?;
            say(&format!("written to {}", path.display()))?;
        }
        Command::Forecast { run, data, out, moments, threads } => {
            let run = RunDirectory::open(&run).map_err(one_line)?;
            let pool = pool(threads)?;
            let forecast = || forecast_run_by(&run, data.as_deref(), inference(moments));
            let csv = pool.run(forecast).map_err(one_line)?;
            match out {
                Some(path) => {
                    vdn_train::write_atomically(&path, csv.as_bytes()).map_err(one_line)?;
                    say(&format!("written to {}", path.display()))?;
                }
                None => say(csv.trim_end())?,
            }
        }
    }
    Ok(())
}
