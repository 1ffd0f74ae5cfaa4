//! The parts of a history that evaluations read: the losses of its epochs, and the epoch that was
//! kept.

use crate::bounded_file;
use crate::error::TrainError;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// The largest history that is read, and its longest line: 1 GiB, which holds 150 000 epochs of 16
/// layers, and 1 MiB.
const MOST_BYTES: u64 = 1 << 30;
const MOST_LINE: u64 = 1 << 20;

/// The training loss of every epoch in a history of at most 1 GiB, and the index of the epoch whose
/// weights were kept; `None` if the file does not have this information.
///
/// The file is read line by line, so memory is used only for its losses.
///
/// # Errors
/// Returns an error if the file cannot be read, is larger, is a directory or a device, is not
/// UTF-8, or has a line of more than 1 MiB.
pub fn read_losses(path: &Path) -> Result<Option<(Vec<f64>, usize)>, TrainError> {
    let (file, _) = bounded_file::open(path, MOST_BYTES).map_err(TrainError::io(path))?;
    let mut file = BufReader::new(file.take(MOST_BYTES));
    let mut line = String::new();
    let mut next = || {
        line.clear();
        file.by_ref().take(MOST_LINE).read_line(&mut line).map_err(TrainError::io(path))?;
        if line.len() as u64 == MOST_LINE && !line.ends_with('\n') {
            let reason = format!("has a line of more than {MOST_LINE} bytes");
            return Err(TrainError::format(path, reason));
        }
        let cells: Vec<String> = line.trim_end().split(',').map(str::to_owned).collect();
        Ok((!line.is_empty()).then_some(cells))
    };
    let names = next()?.unwrap_or_default();
    let place = |name: &str| names.iter().position(|column| column == name);
    let (Some(loss), Some(best)) = (place("loss"), place("best")) else { return Ok(None) };
    let (mut losses, mut kept) = (Vec::new(), None);
    while let Some(cells) = next()? {
        let number = |column: usize| cells.get(column).and_then(|cell| cell.parse().ok());
        if number(best) == Some(1.0) {
            kept = Some(losses.len());
        }
        losses.push(number(loss).unwrap_or(f64::NAN));
    }
    Ok(kept.map(|kept| (losses, kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_read_line_by_line_and_within_limits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        std::fs::write(&path, "epoch,loss,best\n1,0.5,1\n2,0.25,1\n3,none,0\n").unwrap();
        let (losses, kept) = read_losses(&path).unwrap().unwrap();
        assert_eq!((&losses[..2], kept, losses.len()), (&[0.5, 0.25][..], 1, 3));
        assert!(losses[2].is_nan());
        std::fs::write(&path, "").unwrap();
        assert_eq!(read_losses(&path).unwrap(), None);
        let refused = |path: &Path| read_losses(path).unwrap_err().to_string();
        // Ten gigabytes, then one, that take no space on disk: one line of zeros.
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(10_000_000_000).unwrap();
        assert!(refused(&path).ends_with("bytes, at most 1073741824 are read"));
        file.set_len(1_000_000_000).unwrap();
        assert!(refused(&path).ends_with("has a line of more than 1048576 bytes"));
        if cfg!(unix) {
            assert!(refused(Path::new("/dev/zero")).ends_with("a device or a socket, not a file"));
        }
    }
}
