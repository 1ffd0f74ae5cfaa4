//! Checks that the rooms of the crates have no dependency cycles between top-level modules.
//!
//! A module depends on another one if any of its files names it in a path that begins with
//! `crate::`, in a `use` line or in an expression. Documentation comments and tests at the end of a
//! file do not count. A name that the root re-exports counts as the module from which it comes, so
//! a cycle cannot hide behind the root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const CRATES: [&str; 4] = ["vdn-model", "vdn-train", "vdn-forecast", "vdn-tasks"];

fn source_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(name).join("src")
}

fn files(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, to);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            to.push(path);
        }
    }
}

/// The code of a file without comments and unit tests. Unit tests inside the file are at its end;
/// unit tests in a separate file are one line.
fn code(text: &str) -> String {
    let mut own = String::new();
    for (number, part) in text.split("#[cfg(test)]\nmod ").enumerate() {
        let rest =
            if number == 0 { Some(part) } else { part.split_once(";\n").map(|(_, rest)| rest) };
        let in_the_file = part.split(['\n', ';']).next().is_some_and(|line| line.contains('{'));
        match rest {
            Some(rest) if number == 0 || !in_the_file => own.push_str(rest),
            _ => break,
        }
    }
    own.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The leaves of a tree of imports: `a::{b, c::{d, e}}` gives `a::b`, `a::c::d`, `a::c::e`.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let of = |part: &&str| !part.trim().is_empty();
    let parts = parts.into_iter().filter(of).flat_map(leaves);
    parts.map(|leaf| format!("{prefix}{leaf}")).collect()
}

/// Every path in the code after `crate::`.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // Not the end of a longer name, such as `subcrate::`.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let mut depth = 0;
        let end = rest.find(|c: char| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            let inside = c.is_alphanumeric() || "_:{}".contains(c) || depth > 0;
            !inside || depth < 0
        });
        found.extend(leaves(&rest[..end.unwrap_or(rest.len())]));
    }
    found
}

/// The dependencies of each top-level module of a crate.
fn arrows(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let root = code(&std::fs::read_to_string(source.join("lib.rs")).unwrap_or_default());
    let mut all = Vec::new();
    files(source, &mut all);
    let room_of = |file: &Path| {
        let first = file.strip_prefix(source).unwrap().components().next().unwrap();
        let name = first.as_os_str().to_string_lossy().into_owned();
        name.strip_suffix(".rs").map_or(name.clone(), str::to_owned)
    };
    let rooms: BTreeSet<String> = all
        .iter()
        .map(|file| room_of(file))
        .filter(|room| room != "lib" && room != "main")
        .collect();
    // The names that the root re-exports.
    let mut exported = BTreeMap::new();
    for (at, _) in root.match_indices("pub use ") {
        let tree = root[at + "pub use ".len()..].split(';').next().unwrap_or_default();
        for leaf in leaves(tree.trim().trim_start_matches("crate::").trim_start_matches("self::")) {
            let room = leaf.split("::").next().unwrap_or_default().trim().to_owned();
            let name = leaf.rsplit("::").next().unwrap_or_default();
            let name = name.rsplit(" as ").next().unwrap_or_default().trim().to_owned();
            exported.insert(name, room);
        }
    }
    let mut arrows = BTreeMap::<String, BTreeSet<String>>::new();
    for file in &all {
        let room = room_of(file);
        if !rooms.contains(&room) {
            continue;
        }
        let to = arrows.entry(room.clone()).or_default();
        for path in paths(&code(&std::fs::read_to_string(file).unwrap())) {
            let first = path.split("::").next().unwrap_or_default().trim();
            let first = exported.get(first).filter(|_| !rooms.contains(first)).map_or(first, |r| r);
            if rooms.contains(first) && first != room {
                to.insert(first.to_owned());
            }
        }
    }
    arrows
}

/// The modules on dependency cycles: those that are left after repeatedly removing, from both ends,
/// modules without dependencies to or from the rest.
fn knot(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut left: BTreeSet<String> = arrows.keys().cloned().collect();
    loop {
        let before = left.len();
        let leads = |room: &String| arrows[room].iter().any(|to| left.contains(to));
        let from_end: BTreeSet<String> = left.iter().filter(|room| leads(room)).cloned().collect();
        let reached = |room: &&String| from_end.iter().any(|from| arrows[from].contains(*room));
        left = from_end.iter().filter(reached).cloned().collect();
        if left.len() == before {
            return left;
        }
    }
}

#[test]
fn no_circle_between_the_rooms_of_a_crate() {
    let mut circles = Vec::new();
    for name in CRATES {
        let arrows = arrows(&source_of(name));
        assert!(!arrows.is_empty(), "{name}: no modules found");
        let knot = knot(&arrows);
        for room in &knot {
            let to: Vec<&String> = arrows[room].iter().filter(|to| knot.contains(*to)).collect();
            circles.push(format!("{name}: {room} -> {to:?}"));
        }
    }
    assert!(circles.is_empty(), "these modules lie on circles:\n{}", circles.join("\n"));
}

#[test]
fn a_circle_is_found_in_imports_and_expressions() {
    let paths = paths(&code(
        "use crate::{a::B, c::{D, e::F}};\n// crate::comment\nfn f() { crate::g::h(1); }\n#[cfg(test)]\nmod \
         tests { use crate::z::Z; }",
    ));
    assert_eq!(paths, ["a::B", "c::D", "c::e::F", "g::h"]);
    // Unit tests in a separate file do not hide the code after them.
    assert_eq!(self::paths(&code("#[cfg(test)]\nmod tests;\nuse crate::a::B;\n")), ["a::B"]);
    let arrows = |pairs: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        let of = |to: &[&str]| to.iter().map(|&to| to.to_owned()).collect();
        pairs.iter().map(|&(from, to)| (from.to_owned(), of(to))).collect()
    };
    let tree = arrows(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert!(knot(&tree).is_empty());
    let ring = arrows(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
    assert_eq!(knot(&ring), ["b", "c"].map(str::to_owned).into());
}

#[test]
fn a_circle_is_found_behind_the_root() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("lib.rs", "pub mod a;\npub mod b;\nmod c;\npub use b::{One, Two as Other};\n"),
        ("a.rs", "use crate::Other;\n"),
        ("b.rs", "use crate::a::A;\n"),
        ("c.rs", "use crate::One;\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let arrows = arrows(folder.path());
    assert_eq!(arrows["c"], ["b".to_owned()].into());
    assert_eq!(knot(&arrows), ["a", "b"].map(str::to_owned).into());
}
