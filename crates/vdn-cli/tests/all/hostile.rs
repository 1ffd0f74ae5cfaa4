//! Malicious names and values do not affect the terminal, and a file that is named as a
//! configuration cannot exhaust the memory.

use super::support::{text, train, vdn};
use std::path::Path;
use std::process::{Command, Output};

/// The longest argument that Linux passes on is 131072 bytes.
const LONG: usize = 100_000;

/// Texts that repaint a terminal, reverse the direction of writing, return to the start of the
/// line, or never end.
fn hostile() -> [String; 6] {
    [
        "x".repeat(LONG),
        "a\u{1b}[2J\u{1b}]0;b\u{7}c".to_owned(),
        "a\u{202e}b\u{2066}c".to_owned(),
        "a\rvdn: all is well".to_owned(),
        "a\nvdn: all is well".to_owned(),
        "\u{1b}\r\n\u{202e}".repeat(LONG / 8),
    ]
}

/// Checks for one line of at most 500 characters after `vdn: `, without control characters except
/// at its end.
fn expect_one_line(output: &Output, of: &str) {
    let error = text(&output.stderr);
    let shown: String = error.chars().take(900).collect();
    let line = error.strip_suffix('\n').unwrap_or_else(|| panic!("{of}: no line: {shown:?}"));
    let bad =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(line.starts_with("vdn: ") && !line.contains(bad), "{of}: {shown:?}");
    assert!(line.chars().count() <= "vdn: ".len() + 500, "{of}: {shown:?}");
    assert_eq!(output.status.code(), Some(2), "{of}: {shown:?}");
}

#[test]
fn nothing_that_is_given_reaches_the_terminal_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let trained = train(&run, &["--demo"]);
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    let run = run.to_str().unwrap();
    for bad in hostile() {
        let option = format!("--{bad}");
        let [key, value] = [format!("{bad}=3"), format!("model.variant={bad}")];
        let cases: [&[&str]; 22] = [
            &[&option],
            &["train", &option],
            &["train", &format!("--units={bad}")],
            &["train", "--units", &bad],
            &["train", "--task", &bad],
            &["train", "--control", &bad],
            &["train", "--columns", &bad, "--data", "none.csv"],
            &["train", "--data", &bad],
            &["train", "--config", &bad],
            &["train", "--resume", &bad],
            &["train", "--set", &bad],
            &["train", "--set", &key],
            &["train", "--set", &value],
            &[&bad],
            &["evaluate", &bad],
            &["report", &bad],
            &["predict", &bad, "--data", "none.csv"],
            &["backtest", &bad],
            &["forecast", &bad],
            &["forecast", run, "--fill", &bad],
            &["forecast", run, "--aggregate", &bad],
            &["forecast", run, "--data", &bad],
        ];
        for arguments in cases {
            // The operating system does not start a command with an invalid argument.
            let of: Vec<String> =
                arguments.iter().map(|own| own.chars().take(40).collect()).collect();
            expect_one_line(&vdn(arguments), &format!("{of:?}"));
        }
    }
}

/// Notes contain the names of series, which may be any text.
#[test]
fn notes_of_forecasts_are_lines_too() {
    let directory = tempfile::tempdir().unwrap();
    let name = "a\u{1b}[2J\u{202e}b";
    // 336 rows of one series, and the same number of the other.
    let rows = |count: usize| -> String {
        let day = |i: usize| format!("2020-01-{:02} {:02}:00", 1 + i / 24, i % 24);
        let line = |id: &str, i| format!("{id},{},{}.5\n", day(i), i % 7);
        let all = (0..336).map(|i| line("b", i)).chain((336 - count..336).map(|i| line(name, i)));
        format!("id,date,value\n{}", all.collect::<String>())
    };
    let [file, other] = ["data.csv", "other.csv"].map(|name| directory.path().join(name));
    std::fs::write(&file, rows(336)).unwrap();
    std::fs::write(&other, rows(10)).unwrap();
    let out = directory.path().join("run");
    let more = ["--set=data.id_column=id", "--set=data.target_column=value", "--data"];
    let output = train(&out, &[&more[..], &[file.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = vdn(&["forecast", out.to_str().unwrap(), "--data", other.to_str().unwrap()]);
    let notes = text(&output.stderr);
    assert!(output.status.success(), "{notes}");
    let note = r"vdn: note: a\u{1b}[2J\u{202e}b: too short, left out";
    assert!(notes.lines().any(|line| line == note), "{notes:?}");
    for line in notes.lines() {
        let plain = !line.contains(|c: char| c.is_control() || c == '\u{202e}');
        assert!(line.starts_with("vdn: note: ") && plain, "{line:?}");
    }
}

/// An error message that cannot be written is no reason to crash.
#[cfg(target_os = "linux")]
#[test]
fn a_full_device_as_output_changes_no_exit_code() {
    let with = |script: &str| {
        let arguments = ["-c", script, env!("CARGO_BIN_EXE_vdn")];
        Command::new("sh").args(arguments).output().unwrap()
    };
    let output = with("exec \"$0\" evaluate no-such-run 2>/dev/full");
    assert_eq!(output.status.code(), Some(2));
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let output = train(&out, &["--demo"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = with(&format!("exec \"$0\" evaluate '{}' >/dev/full", out.display()));
    let error = text(&output.stderr);
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.starts_with("vdn: standard output: "), "{error}");
}

/// Ten gigabytes that take no space on disk.
fn huge(path: &Path) {
    std::fs::File::create(path).unwrap().set_len(10_000_000_000).unwrap();
}

#[test]
fn a_configuration_that_is_none_is_refused_before_it_is_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("huge.toml");
    huge(&file);
    let run = directory.path().join("run");
    std::fs::create_dir(&run).unwrap();
    huge(&run.join("config.toml"));
    let [file, run] = [&file, &run].map(|path| path.to_str().unwrap());
    let mut cases = vec![
        (vec!["train", "--config", file], "at most 1048576 are read"),
        (vec!["train", "--task", "regression", "--config", file], "at most 1048576 are read"),
        (vec!["train", "--resume", run], "at most 1048576 are read"),
        (vec!["predict", run, "--data", file], "at most 1048576 are read"),
    ];
    let commands = ["evaluate", "report", "backtest", "forecast"];
    cases.extend(commands.map(|name| (vec![name, run], "at most 1048576 are read")));
    if cfg!(unix) {
        cases.push((vec!["train", "--config", "/dev/zero"], "this is a device or a socket"));
    }
    for (arguments, mention) in cases {
        let output = vdn(&arguments);
        expect_one_line(&output, &format!("{arguments:?}"));
        let error = text(&output.stderr);
        assert!(error.contains(mention), "{arguments:?}: {error}");
    }
}
