//! Whole trainings side by side. Small networks leave threads idle; several of them together do
//! not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use vdn_tensor::parallel::{self, Pool};
use vdn_train::TrainError;

/// The results of `work(i)` for every `i` below `count`, in order. As many run at a time as there
/// are threads, each on one thread. The results do not depend on this, because a training does not
/// depend on its number of threads.
///
/// # Errors
/// Returns the first error in the order of `i`, and an error if threads cannot be started.
pub(crate) fn spread<R: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<R, TrainError> + Sync,
) -> Result<Vec<R>, TrainError> {
    let threads = parallel::threads().min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let refused = |error: &dyn std::fmt::Display| TrainError::config(error.to_string());
    let pools = (0..threads).map(|_| Pool::new(1).map_err(|error| refused(&error)));
    let pools = pools.collect::<Result<Vec<_>, _>>()?;
    let next = AtomicUsize::new(0);
    let found: Vec<Mutex<Option<Result<R, TrainError>>>> =
        (0..count).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(to) = found.get(i) else { return };
                    let result = pool.run(|| work(i));
                    let failed = result.is_err();
                    if let Ok(mut to) = to.lock() {
                        *to = Some(result);
                    }
                    if failed {
                        // The other threads finish their current work.
                        next.store(count, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    // After a failure, later items have no result; the error is found before them.
    let done = found.into_iter().filter_map(|cell| cell.into_inner().ok().flatten());
    let all = done.collect::<Result<Vec<R>, TrainError>>()?;
    match all.len() == count {
        true => Ok(all),
        false => Err(TrainError::config("a training beside others ended without a result")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_the_first_error_is_told() {
        let pool = Pool::new(3).unwrap();
        let squares = pool.run(|| spread(20, |i| Ok(i * i))).unwrap();
        assert_eq!(squares, (0..20).map(|i| i * i).collect::<Vec<_>>());
        let failing = |i: usize| match i {
            7 => Err(TrainError::config("seven")),
            _ => Ok(i),
        };
        for threads in [1, 3] {
            let pool = Pool::new(threads).unwrap();
            let error = pool.run(|| spread(20, failing)).unwrap_err().to_string();
            assert!(error.ends_with("seven"), "{error}");
        }
    }
}
