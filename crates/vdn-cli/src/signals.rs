//! Signals: the first SIGINT or SIGTERM asks the run to stop at a checkpoint; a second one ends the
//! program at once. A file-size limit does not end the program.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use vdn_train::run::store::Interrupt;

/// The exit code of a run that was interrupted and can be resumed (`EX_TEMPFAIL` of sysexits).
pub(crate) const INTERRUPTED: u8 = 75;

/// The interrupt flag that the signals set.
///
/// # Errors
/// Returns an error if a signal cannot be watched.
pub(crate) fn watch() -> Result<Interrupt, String> {
    let interrupt = Interrupt::new();
    let refuse = |e: std::io::Error| format!("signals cannot be watched: {e}");
    for signal in [SIGINT, SIGTERM] {
        // The order matters: the flag of the first signal arms the second.
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), interrupt.flag())
            .map_err(refuse)?;
        flag::register(signal, interrupt.flag()).map_err(refuse)?;
    }
    Ok(interrupt)
}

/// Makes a file-size limit an error of the write that reaches it, instead of the end of the
/// program.
///
/// # Errors
/// Returns an error if the signal cannot be watched.
pub(crate) fn outlive_file_limit() -> Result<(), String> {
    #[cfg(unix)]
    flag::register(signal_hook::consts::SIGXFSZ, Interrupt::new().flag())
        .map_err(|e| format!("signals cannot be watched: {e}"))?;
    Ok(())
}
