//! Checks that the documentation of every configuration field states its default, and that it is
//! the default in the code.
//!
//! The test reads the sources. It covers each struct whose name ends in `Config` or `Settings` and
//! that implements `Default` in the same file. The documentation of a field must contain the
//! number, name or word of the default's expression.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, to: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, to);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            to.push(path);
        }
    }
}

/// The text between the opening bracket at the start of `text` and the matching closing bracket.
fn block(text: &str) -> &str {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return &text[1..i];
        }
    }
    panic!("a block without an end: {text}");
}

/// The documentation of each public field.
fn fields(body: &str) -> Vec<(String, String)> {
    let (mut fields, mut documentation) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            documentation.push_str(text);
        } else if let Some(field) = line.strip_prefix("pub ") {
            let name = field.split(':').next().unwrap().to_owned();
            fields.push((name, std::mem::take(&mut documentation)));
        }
    }
    fields
}

/// The expression of each field in the first struct literal of a `Default`.
fn values(body: &str) -> BTreeMap<String, String> {
    let function = body.find("Self {").map(|at| block(&body[at + 5..])).unwrap_or_default();
    let literal = function.find("Self {").map(|at| block(&function[at + 5..])).unwrap_or_default();
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (i, c) in literal.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&literal[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&literal[start..]);
    let pair = |part: &str| {
        let code: Vec<_> = part.lines().filter(|line| !line.trim().starts_with("//")).collect();
        let code = code.join(" ");
        let (name, value) = code.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    parts.into_iter().filter_map(pair).collect()
}

/// Whether the documentation states the value of the expression.
fn says(documentation: &str, value: &str) -> bool {
    let text = documentation.to_lowercase();
    let words = || text.split(|c: char| !(c.is_alphanumeric() || "._-^".contains(c)));
    let number = |x: f64| {
        let reads = |word: &str| word.trim_matches(['.', '^']).parse::<f64>().ok();
        words().filter_map(reads).any(|said| said == x)
    };
    let plain = value.replace('_', "");
    if let Ok(x) = plain.parse::<f64>() {
        return number(x);
    }
    match value {
        "None" => ["none", "nothing", "no ", "without"].iter().any(|word| text.contains(word)),
        "f64::INFINITY" => text.contains("inf"),
        "String::new()" | "Vec::new()" => ["none", "empty"].iter().any(|word| text.contains(word)),
        "true" | "false" => words().any(|word| word.trim_matches('.') == value),
        // Computed from other values, or a named constant.
        _ if value.starts_with(char::is_lowercase) && !value.starts_with("vec!") => true,
        _ if !value.chars().any(char::is_lowercase) => true,
        _ if value.ends_with("::default()") => true,
        _ => {
            // A variant and its fields: one of the names or numbers.
            let squeezed: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
            let names =
                value.split("::").skip(1).filter(|part| part.starts_with(char::is_uppercase));
            let name =
                |part: &str| part.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
            names.filter_map(name).any(|name| squeezed.contains(&name.to_lowercase()))
                || value
                    .split(|c: char| !(c.is_alphanumeric() || ".-".contains(c)))
                    .any(|part| part.parse::<f64>().is_ok_and(number))
        }
    }
}

#[test]
fn fields_of_configurations_say_their_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut files = Vec::new();
    for name in ["vdn-model", "vdn-train", "vdn-forecast", "vdn-tasks"] {
        sources(&root.join(name).join("src"), &mut files);
    }
    files.sort();
    let (mut read, mut silent) = (0, Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for part in text.split("\npub struct ").skip(1) {
            let name = part.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            let default = format!("impl Default for {name} {{");
            let is_one = name.ends_with("Config") || name.ends_with("Settings");
            let Some(at) = text.find(&default).filter(|_| is_one) else { continue };
            let own = values(block(&text[at + default.len() - 1..]));
            let body = block(&part[part.find('{').unwrap()..]);
            for (field, documentation) in fields(body) {
                let Some(value) = own.get(&field) else { continue };
                read += 1;
                if !says(&documentation, value) {
                    silent.push(format!("{name}.{field} is {value}:{documentation}"));
                }
            }
        }
    }
    assert!(read > 80, "only {read} fields were read");
    assert!(silent.is_empty(), "{} of {read}:\n{}", silent.len(), silent.join("\n"));
}

#[test]
fn a_default_that_is_not_said_is_found() {
    assert!(says(" Decay of the first moment, in `[0, 1)`; 0.9.", "0.9"));
    assert!(!says(" Decay of the first moment, in `[0, 1)`; 0.9.", "0.99"));
    assert!(says(" The sweep, 1e-3 by default.", "0.001"));
    assert!(!says(" Whether it is mirrored.", "false"));
    assert!(says(" One head for each; the default is `PerUnitInput`.", "SigmaMode::PerUnitInput"));
    assert!(!says(" One head for each.", "SigmaMode::PerUnitInput"));
}
