//! A request to a run to stop at the end of its step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that a trainer reads between two steps. When it is set, the trainer saves a checkpoint
/// and returns, and the run can be resumed.
///
/// Clones share the flag. The library installs no signal handlers, because they belong to the
/// program. A program connects its signals to the flag with the crate `signal-hook`:
///
/// ```text
/// let interrupt = Interrupt::new();
/// for signal in [SIGINT, SIGTERM] {
///     // A second signal finds the flag set and ends the program at once.
///     signal_hook::flag::register_conditional_shutdown(signal, 75, interrupt.flag())?;
///     signal_hook::flag::register(signal, interrupt.flag())?;
/// }
/// // Past a file-size limit, the default is death by a signal. With any handler the write returns
/// // an error instead, and the run ends in order.
/// signal_hook::flag::register(SIGXFSZ, Arc::default())?;
/// ```
///
/// ```
/// use vdn_train::run::store::Interrupt;
///
/// let interrupt = Interrupt::new();
/// let trainer = interrupt.clone();
/// assert!(!trainer.is_requested());
/// interrupt.request();
/// assert!(trainer.is_requested());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop. The flag is never cleared.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns whether the run has been asked to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl From<Arc<AtomicBool>> for Interrupt {
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}
