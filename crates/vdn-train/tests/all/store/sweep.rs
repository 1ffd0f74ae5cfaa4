//! Every fault at every operation of a scenario.

use crate::store::crash_files::{CrashFiles, Fault};
use std::io::ErrorKind;

/// Runs `scenario` on a fresh disk with each fault at each of its operations, and `check` on each
/// possible disk afterwards. After an error these are the disk that the program sees and the disks
/// after a later loss of power; after a crash they are all possible disks. Returns the numbers of
/// faults and disks.
pub(crate) fn sweep<R>(
    scenario: impl Fn(&CrashFiles) -> R,
    check: impl Fn(&CrashFiles, &R, &str),
) -> (usize, usize) {
    let whole = CrashFiles::new(None);
    let result = scenario(&whole);
    let operations = whole.operations();
    check(&whole, &result, "no fault");
    let kinds = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::FileTooLarge,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::PermissionDenied,
        ErrorKind::Other,
    ];
    let (mut faults, mut disks) = (0, 0);
    for at in 0..=operations {
        let mut cases = vec![Fault::Crash(at)];
        for (i, kind) in kinds.into_iter().enumerate() {
            cases.push(Fault::Once(at, kind));
            if i == 0 {
                cases.extend([Fault::Lasting(at, kind), Fault::Late(at, kind)]);
            }
        }
        for fault in cases {
            let files = CrashFiles::new(Some(fault));
            let result = scenario(&files);
            let crashed = files.has_crashed();
            assert_eq!(crashed, matches!(fault, Fault::Crash(at) if at < operations), "{fault:?}");
            files.set_fault(None);
            // This comes before the check, which continues the run.
            let after = files.after_crash();
            if !crashed {
                check(&files, &result, &format!("{fault:?}, no loss of power"));
                disks += 1;
            }
            for (i, disk) in after.iter().enumerate() {
                check(disk, &result, &format!("{fault:?}, disk {i}"));
                disks += 1;
            }
            faults += 1;
        }
    }
    (faults, disks)
}
