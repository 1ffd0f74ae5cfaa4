//! Reads the sources for public kernels and the first thing that each does.
//!
//! A public kernel is a `pub fn` at the beginning of a line in the folder of kernels, or one of
//! [`OTHERS`], that takes a slice or a struct of slices. Its entry is its own body, or the body of
//! `<name>_body` if it only passes its arguments on. Before the entry starts any loop, task or
//! unsafe code, it has to reach an `Extent`: by its name, by a function whose name contains `check`
//! or `extents`, or by calling another kernel and nothing else.

use std::fs;
use std::path::Path;

#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) checks_first: bool,
}

const OTHERS: [(&str, &[&str]); 2] =
    [("families/draw.rs", &["sample_into"]), ("noise/key.rs", &["fill_normal", "fill_uniform"])];
/// Functions of shapes, which take no numbers.
const NO_KERNELS: [&str; 1] = ["broadcast_shape"];
/// The beginnings of a kernel's work.
const WORK: [&str; 6] = ["for_each", "with_scratch", "dispatch!", "unsafe", "while ", "loop "];

pub(crate) fn kernels() -> Vec<Found> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut text = String::new();
    read(&source.join("kernels"), &mut text);
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub fn "))
        .map(|rest| rest.split(['<', '(']).next().unwrap_or_default().to_owned())
        .filter(|name| !NO_KERNELS.contains(&name.as_str()))
        .collect();
    for (file, functions) in OTHERS {
        text.push_str(&fs::read_to_string(source.join(file)).expect("the file is there"));
        names.extend(functions.iter().map(|name| (*name).to_owned()));
    }
    let checks = |name: &str| entry(&text, name).is_some_and(|entry| checks_first(&entry, &names));
    names.iter().map(|name| Found { name: name.clone(), checks_first: checks(name) }).collect()
}

fn read(folder: &Path, text: &mut String) {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read(&path, text);
        } else {
            text.push_str(&fs::read_to_string(&path).expect("a readable source"));
        }
    }
}

/// The body of the function where the checks of kernel `name` belong.
fn entry(text: &str, name: &str) -> Option<String> {
    let heads = |head: &str| [format!("{head}<"), format!("{head}(")];
    let candidates = [format!("fn {name}_body"), format!("pub fn {name}")];
    candidates.iter().flat_map(|head| heads(head)).find_map(|head| body(text, &head))
}

/// The text between the braces of the function that begins with `head`.
fn body(text: &str, head: &str) -> Option<String> {
    let start = text.find(head)?;
    let open = start + text[start..].find('{')?;
    let mut depth = 0_usize;
    for (i, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(text[open + 1..open + i].to_owned()),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn checks_first(entry: &str, names: &[String]) -> bool {
    let work = WORK.iter().filter_map(|word| entry.find(word)).min().unwrap_or(entry.len());
    let before = &entry[..work];
    let calls = |name: &String| {
        ["(", "::<"].iter().any(|open| before.trim_start().starts_with(&format!("{name}{open}")))
    };
    let checks = ["Extent::new", "check(", "check_flat_noise(", "extents(", "check::<", "common("];
    checks.iter().any(|check| before.contains(check))
        || names.iter().any(calls)
        // The element-wise loops check for those that only name a formula; so do the rows of the
        // moving average.
        || ["update(", "map(", "rows("].iter().any(|head| before.trim_start().starts_with(head))
}

#[test]
fn a_kernel_without_checks_is_found() {
    let names = ["sum".to_owned()];
    assert!(!checks_first("for_each(n, |i| Extent::new(1));", &names));
    assert!(!checks_first("let n = rows * columns; with_scratch(n, f)", &names));
    assert!(checks_first("Extent::new(\"x\", [n]).check(\"a\", a); for_each(n, f)", &names));
    assert!(checks_first("sum(x, y)", &names));
}
