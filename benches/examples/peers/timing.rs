//! [`Jobs`]: runs a job in a short burst for each name it reads, and prints a line of JSON.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

/// The jobs of one library.
#[derive(Default)]
pub(crate) struct Jobs<'a>(BTreeMap<String, Box<dyn FnMut() + 'a>>);

impl<'a> Jobs<'a> {
    /// Adds a job. A call of `work` has to return only when its results are complete.
    pub(crate) fn add(&mut self, name: &str, work: impl FnMut() + 'a) {
        self.0.insert(name.to_owned(), Box::new(work));
    }

    /// Reads names from standard input, one per line.
    ///
    /// A job is called once to warm up, then repeatedly until `span` is over. The output line has
    /// the seconds of the shortest and of the median call, or is `{}` if the library does not have
    /// this job.
    pub(crate) fn serve(mut self, span: Duration) -> std::io::Result<()> {
        let mut out = std::io::stdout();
        for line in std::io::stdin().lock().lines() {
            match self.0.get_mut(line?.trim()) {
                Some(work) => {
                    let [best, median] = burst(work, span);
                    writeln!(out, "{{\"best\": {best:e}, \"median\": {median:e}}}")?;
                }
                None => writeln!(out, "{{}}")?,
            }
            out.flush()?;
        }
        Ok(())
    }
}

/// Returns the seconds of the shortest and of the median call.
fn burst(work: &mut dyn FnMut(), span: Duration) -> [f64; 2] {
    work();
    let mut seconds = Vec::new();
    let start = Instant::now();
    while seconds.is_empty() || start.elapsed() < span {
        let call = Instant::now();
        work();
        seconds.push(call.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    [seconds[0], seconds[seconds.len() / 2]]
}
