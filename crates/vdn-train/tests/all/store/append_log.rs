//! Append-only files under every fault at every operation.

use crate::store::crash_files::{CrashFiles, Fault};
use crate::store::sweep::sweep;
use std::io::ErrorKind;
use std::path::Path;
use vdn_train::run::store::{AppendLog, LogMark, StoreError, checksum_of, write_atomically};

const PATH: &str = "run/history.csv";

fn open(files: &CrashFiles, mark: LogMark) -> Result<AppendLog, StoreError> {
    AppendLog::open(files, Path::new(PATH), mark)
}

/// The knowledge of a caller: the last mark that it got, and the bytes of the mark.
#[derive(Default)]
struct Known {
    mark: Option<LogMark>,
    bytes: Vec<u8>,
}

/// A run that writes, is interrupted beyond its mark, and is resumed. A failed append is tried
/// again, as by a caller whose disk was briefly full. After a failed sync the log is opened at the
/// last mark.
fn scenario(files: &CrashFiles) -> Known {
    let mut known = Known::default();
    let lines: [&[&[u8]]; 3] =
        [&[b"epoch,loss\n", b"1,0.5000\n"], &[b"2,0.2500\n", b"3,0.1250\n"], &[b"4,0.0625\n"]];
    for (session, lines) in lines.into_iter().enumerate() {
        for _attempt in 0..2 {
            let Ok(mut log) = open(files, known.mark.unwrap_or(LogMark::EMPTY)) else { continue };
            assert_eq!(log.mark(), known.mark.unwrap_or(LogMark::EMPTY));
            let mut bytes = known.bytes.clone();
            for line in lines {
                if log.append(line).is_ok() || log.append(line).is_ok() {
                    bytes.extend(*line);
                }
            }
            assert_eq!(log.len(), bytes.len() as u64);
            let Ok(mark) = log.sync() else {
                // Refused from now on, although the disk works again.
                assert!(log.append(b"x").is_err() && log.sync().is_err());
                continue;
            };
            assert_eq!(mark, LogMark { length: bytes.len() as u64, crc32: checksum_of(&bytes) });
            known = Known { mark: Some(mark), bytes };
            // Bytes beyond the mark. Each session leaves another length.
            for _ in 0..session {
                log.append(b"interrupted here").ok();
            }
            break;
        }
    }
    known
}

#[test]
fn no_fault_at_any_operation_loses_what_a_mark_stands_for() {
    let check = |files: &CrashFiles, known: &Known, case: &str| {
        let mark = known.mark.unwrap_or(LogMark::EMPTY);
        let mut log = open(files, mark).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(log.mark(), mark, "{case}");
        log.append(b"more\n").unwrap();
        log.sync().unwrap();
        let expected = [&known.bytes[..], b"more\n"].concat();
        assert_eq!(files.contents(PATH).unwrap(), expected, "{case}");
        for disk in files.after_crash() {
            assert_eq!(disk.contents(PATH).unwrap(), expected, "{case}");
        }
    };
    let (faults, disks) = sweep(scenario, check);
    println!("append-only files: {faults} faults, {disks} disks");
    assert!(faults > 100 && disks > 300, "{faults} {disks}");
}

#[test]
fn a_failed_append_counts_nothing_and_is_cut_off() {
    let files = CrashFiles::new(None);
    let mut log = open(&files, LogMark::EMPTY).unwrap();
    log.append(b"first\n").unwrap();
    let mark = log.mark();
    files.set_fault(Some(Fault::Once(0, ErrorKind::StorageFull)));
    let error = log.append(b"second\n").unwrap_err().to_string();
    assert_eq!(
        error,
        "run/history.csv: cannot append to the file: the disk is full; what was stored before is \
         intact"
    );
    assert_eq!(files.contents(PATH).unwrap(), b"first\nsec");
    assert_eq!(log.mark(), mark);
    log.append(b"third\n").unwrap();
    assert_eq!(files.contents(PATH).unwrap(), b"first\nthird\n");
    assert_eq!(log.sync().unwrap().crc32, checksum_of(b"first\nthird\n"));
}

#[test]
fn a_file_that_is_not_the_recorded_one_is_refused_unchanged() {
    let files = CrashFiles::new(None);
    let mark = LogMark { length: 4, crc32: checksum_of(b"abcd") };
    let error = open(&files, mark).unwrap_err().to_string();
    assert!(error.ends_with("is missing; the checkpoint recorded 4 bytes"), "{error}");
    let cases: [(&[u8], &str); 3] = [
        (b"abc", "has 3 bytes; the checkpoint recorded 4"),
        (b"abcx and more", "its first 4 bytes are not those of the checkpoint"),
        (b"", "has 0 bytes"),
    ];
    for (contents, expected) in cases {
        write_atomically(&files, Path::new(PATH), &[contents]).unwrap();
        let error = open(&files, mark).unwrap_err();
        assert!(matches!(error, StoreError::Mismatch { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(files.contents(PATH).unwrap(), contents);
    }
    write_atomically(&files, Path::new(PATH), &[b"abcd and more"]).unwrap();
    assert_eq!(open(&files, mark).unwrap().len(), 4);
    assert_eq!(files.contents(PATH).unwrap(), b"abcd");
}
