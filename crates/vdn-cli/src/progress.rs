//! The progress bar: on a terminal only, quiet otherwise.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vdn_train::train::Progress;

/// The stage in which forecasting first fits its baselines.
pub(crate) const FORECASTING: &str = "model";

/// A progress bar over the parts of the baselines, then over the training steps. It shows the
/// validation of the last epoch.
pub(crate) struct Bar {
    bar: ProgressBar,
    checkpoints: u64,
    bytes: u64,
    seconds: f64,
}

impl Bar {
    /// A bar on standard error. It is hidden if `quiet`, or if standard error is not a terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "{prefix:>9} [{bar:30}] {pos}/{len} steps, {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar, checkpoints: 0, bytes: 0, seconds: 0.0 }
    }

    pub(crate) fn update(&mut self, stage: &str, progress: Progress<'_>) {
        self.bar.set_prefix(stage.to_owned());
        match progress {
            // If the pipe is closed, printing the table reports it.
            Progress::Memory(estimate) => drop(crate::say(&estimate.to_string())),
            Progress::Preparation { done, total } => {
                if stage == FORECASTING {
                    self.bar.set_prefix("baselines");
                }
                self.bar.set_length(total);
                self.bar.set_position(done);
            }
            Progress::Step { done, total } => {
                self.bar.set_length(total);
                self.bar.set_position(done);
            }
            Progress::Epoch(epoch) => {
                let (number, score) = (epoch.epoch, epoch.validation_nll);
                let mse =
                    epoch.validation_mse.map_or_else(String::new, |x| format!(", MSE {x:.4}"));
                self.bar.set_message(format!("epoch {number}: validation NLL {score:.4}{mse}"));
            }
            Progress::Skipped(damage) => {
                crate::tell(&format!(
                    "passed over: {damage}; the run goes on from an older checkpoint"
                ));
            }
            Progress::Checkpoint { bytes, seconds } => {
                self.checkpoints += 1;
                self.bytes = bytes;
                self.seconds += seconds;
            }
        }
    }

    /// The cost of checkpoints in one line; `None` if there were none.
    pub(crate) fn checkpoints(&self) -> Option<String> {
        let Self { checkpoints, bytes, seconds, .. } = self;
        let megabytes = *bytes as f64 / 1e6;
        (*checkpoints > 0).then(|| {
            format!("saved {checkpoints} checkpoints of {megabytes:.1} MB, {seconds:.2} s in all")
        })
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
