//! The Rust programs of the comparison with PyTorch and JAX: vdn, and plain loops without a
//! library. `benches/peers/python/compare.py` runs this program and the Python scripts, and prints
//! the tables.
//!
//! ```text
//! peers jobs vdn|loop SECONDS
//! peers task regression TABLE SPLITS [KEY=VALUE]...
//! peers task classification IMAGES LABELS TEST_IMAGES TEST_LABELS [KEY=VALUE]...
//! peers task vae IMAGES TEST_IMAGES [KEY=VALUE]...
//! ```
//!
//! `RAYON_NUM_THREADS` sets the number of threads.
//!
//! With `jobs`, the program reads names of jobs ([`jobs`]) from standard input. For each it prints
//! one line of JSON with the shortest and the median time of a call, in seconds, in a burst of
//! `SECONDS`. With `task`, it prints one line for the whole task (see [`tasks`]).
//!
//! The jobs, in `f32`:
//!
//! * forward: `z = mu + exp(logvar / 2) eps` with new noise, and for each unit the mean over the
//!   batch of its KL to the standard normal;
//! * forward and backward of `sum z^2 / 2 + sum KL`, with respect to `mu` and `logvar`;
//! * writing standard normal numbers to memory;
//! * matrix products in the shapes and forms of a training step;
//! * a training step of the forecaster in the reference shape (256 windows of 336, horizon 96,
//!   hidden width 256, 1024 units with one deviation each, 4 samples): loss, gradients, AdamW. The
//!   versions of the other libraries do a little less: no dropout, no moving average, no energy
//!   band, no gradient clipping;
//! * a training step of a small model: 32 of 768 rows of 8 features, taken from the table in random
//!   order, a hidden layer of 64, 64 units, a Gaussian likelihood whose deviation is predicted,
//!   AdamW.

mod jobs;
mod plain_loop;
mod tasks;
mod timing;
mod with_vdn;

use std::time::Duration;
use timing::Jobs;

const USAGE: &str = "peers jobs vdn|loop SECONDS, or peers task TASK FILES...";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["jobs", library, seconds] => {
            let mut jobs = Jobs::default();
            match *library {
                "vdn" => with_vdn::add(&mut jobs)?,
                "loop" => plain_loop::add(&mut jobs),
                other => return Err(format!("there is no library {other}; {USAGE}").into()),
            }
            jobs.serve(Duration::try_from_secs_f64(seconds.parse()?)?)?;
        }
        ["task", task, rest @ ..] => tasks::run(task, rest)?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}
