//! The progress bar: on a terminal only, quiet otherwise.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vdn_forecast::{Progress, Stage};

/// A bar over the training steps, with the last epoch's validation beside it.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar on standard error, hidden when that is no terminal or `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "{prefix:>8} [{bar:30}] {pos}/{len} steps, {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(crate) fn update(&self, stage: Stage, progress: Progress<'_>) {
        self.0.set_prefix(stage.name());
        match progress {
            Progress::Step { done, total } => {
                self.0.set_length(total);
                self.0.set_position(done);
            }
            Progress::Epoch(epoch) => {
                let message = format!(
                    "epoch {}: validation NLL {:.4}, MSE {:.4}",
                    epoch.epoch, epoch.validation_nll, epoch.validation_mse
                );
                self.0.set_message(message);
            }
        }
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
