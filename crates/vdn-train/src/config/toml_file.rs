//! Configuration files.

use crate::bounded_file;
use crate::config::layered::parse;
use crate::error::TrainError;
use std::path::Path;
use toml::Table;

/// The largest configuration file that is read: 1 MiB. A file with every key has a hundredth of
/// that.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the table of a TOML file of at most 1 MiB.
///
/// ```
/// use vdn_train::config::load_table;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("run.toml");
/// std::fs::write(&path, "[train]\nepochs = 3\n")?;
/// assert_eq!(load_table(&path)?["train"]["epochs"].as_integer(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns one line that names the file if the file cannot be read, is larger than 1 MiB, is a
/// directory or a device, or is not TOML (with line and column).
pub fn load_table(path: &Path) -> Result<Table, TrainError> {
    let bytes = bounded_file::read(path, MOST_BYTES).map_err(TrainError::io(path))?;
    let text = std::str::from_utf8(&bytes).map_err(|e| TrainError::format(path, e))?;
    parse(text).map_err(|error| in_file(path, error))
}

/// Adds the file in which a setting is wrong to an error.
pub fn in_file(path: &Path, error: TrainError) -> TrainError {
    match error {
        TrainError::Config(reason) => TrainError::format(path, reason),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_configuration_is_refused_before_it_is_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        let refused = |path: &Path| load_table(path).unwrap_err().to_string();
        // Ten gigabytes that take no place on the disk.
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(10_000_000_000).unwrap();
        let reason = "run.toml: the file holds 10000000000 bytes, at most 1048576 are read";
        assert!(refused(&path).ends_with(reason), "{}", refused(&path));
        file.set_len(MOST_BYTES + 1).unwrap();
        assert!(refused(&path).ends_with("at most 1048576 are read"), "{}", refused(&path));
        // The largest size that is allowed.
        std::fs::write(&path, "#".repeat(MOST_BYTES as usize)).unwrap();
        assert!(load_table(&path).unwrap().is_empty());
        std::fs::write(&path, b"[train]\nseed = \xff").unwrap();
        assert!(refused(&path).contains("run.toml: invalid utf-8"), "{}", refused(&path));
        std::fs::write(&path, "[train]\nseed = \n").unwrap();
        assert!(refused(&path).contains("run.toml: line 2, column "), "{}", refused(&path));
        assert!(refused(folder.path()).ends_with("this is a directory, not a file"));
        if cfg!(unix) {
            let error = refused(Path::new("/dev/zero"));
            assert_eq!(error, "/dev/zero: this is a device or a socket, not a file");
        }
    }
}
