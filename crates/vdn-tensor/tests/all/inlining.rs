//! Scans the sources for kernels that lost `#[inline(always)]`.
//!
//! A function that is generic over the SIMD level runs with the level's instructions only if it is
//! inlined into the one function that enables them. Otherwise it is compiled for the baseline, and
//! every operator on lanes becomes a call: 20 to 40 times slower with the same results, so no other
//! test notices. The rule, in the folders of [`FOLDERS`] and the files of [`FILES`] outside tests:
//! `#[inline(always)]` is required on
//!
//! * every function with a body whose signature, or whose `impl` or `trait`, names one of
//!   [`LEVEL_TRAITS`];
//! * every function with a body in a file of lane types ([`LANE_TYPES`]) and in the `macro_rules!`
//!   of all files;
//! * every closure in such a function or in the arguments of `dispatch!` (the functions it is
//!   passed to are generic over it), except in the files of [`SCALAR_CLOSURES`] and mere casts
//!   `|i| i as u32`, which take single numbers.
//!
//! A function that enables the instructions itself (`#[target_feature]`) is the end of the chain
//! and is exempt.

use std::fs;
use std::path::Path;

const FOLDERS: [&str; 5] = ["simd", "math", "kernels", "families", "noise"];
const FILES: [&str; 2] = ["element.rs", "real.rs"];
/// Traits of lanes, of levels and of what is computed with either; all are parameters of code that
/// must be inlined.
const LEVEL_TRAITS: [&str; 5] = ["Simd", "Lanes", "F32Lanes", "U32Lanes", "Real"];
const LANE_TYPES: [&str; 4] = ["avx2.rs", "avx512.rs", "portable.rs", "double.rs"];
/// Files of the `f64` lanes, which are plain arrays.
const SCALAR_CLOSURES: [&str; 2] = ["simd/double.rs", "element.rs"];

#[test]
fn every_kernel_is_inlined() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<_> = FILES.iter().map(|file| source.join(file)).collect();
    for folder in FOLDERS {
        collect(&source.join(folder), &mut files);
    }
    let (mut findings, mut functions) = (Vec::new(), 0);
    for file in &files {
        let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let name = file.strip_prefix(&source).unwrap().display().to_string().replace('\\', "/");
        let scan = Scan::run(&name, &text);
        functions += scan.checked;
        findings.extend(scan.findings);
    }
    assert!(findings.is_empty(), "missing #[inline(always)]:\n{}", findings.join("\n"));
    // A scanner that recognises nothing would find nothing.
    assert!(functions > 200, "only {functions} functions were recognised in {} files", files.len());
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

/// A word, or a single other character, and its line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Cuts source into tokens; comments, strings and character literals are left out.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let rest = &source[at..];
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with('"') {
            string_len(rest)
        } else if rest.starts_with('\'') {
            quote_len(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let (skip, end) = if rest.starts_with("r\"") { (2, "\"") } else { (3, "\"#") };
            rest[skip..].find(end).map_or(rest.len(), |found| skip + found + end.len())
        } else if rest.starts_with(char::is_whitespace) {
            rest.chars().next().map_or(1, char::len_utf8)
        } else {
            let len = if word > 0 { word } else { rest.chars().next().map_or(1, char::len_utf8) };
            tokens.push(Token { text: &rest[..len], line });
            len
        };
        line += rest[..skip].matches('\n').count();
        at += skip;
    }
    tokens
}

fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return i + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    rest.len()
}

/// A character literal whole; of a lifetime only the quote.
fn quote_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => rest[3..].find('\'').map_or(1, |end| 3 + end + 1),
        (Some(_), Some((i, '\''))) => i + 1,
        _ => 1,
    }
}

/// What a pair of braces belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    /// An `impl` or a `trait` whose functions must be inlined.
    Inlined,
    /// A macro, whose functions must be inlined.
    Macro,
    /// The body of a function that must be inlined.
    Kernel,
    /// A test module.
    Test,
    Other,
}

struct Scan<'a> {
    file: &'a str,
    tokens: Vec<Token<'a>>,
    scopes: Vec<Scope>,
    findings: Vec<String>,
    checked: usize,
}

impl<'a> Scan<'a> {
    fn run(file: &'a str, text: &'a str) -> Self {
        let tokens = tokens(text);
        let mut scan = Self { file, tokens, scopes: Vec::new(), findings: Vec::new(), checked: 0 };
        // The scope that the next brace opens, and where the attributes of the next item start; the
        // ends of the header (whose array types hold semicolons) and of the `dispatch!` that this
        // is in.
        let (mut next, mut item) = (None, 0);
        let (mut header, mut dispatch) = (0, 0);
        for i in 0..scan.tokens.len() {
            match scan.tokens[i].text {
                "{" => {
                    let opened = next.take().unwrap_or(Scope::Other);
                    scan.scopes.push(match scan.scopes.last() {
                        Some(&outer @ (Scope::Test | Scope::Kernel)) => outer,
                        Some(Scope::Macro) if opened != Scope::Kernel => Scope::Macro,
                        _ => opened,
                    });
                    item = i + 1;
                }
                "}" => {
                    scan.scopes.pop();
                    item = i + 1;
                }
                ";" if i >= header => (next, item) = (None, i + 1),
                "mod" if scan.has(item..i, &["cfg", "(", "test", ")"]) => next = Some(Scope::Test),
                "impl" | "trait" if next.is_none() => {
                    (next, header) = (scan.header(i), scan.end_of_header(i));
                }
                "macro_rules" => next = Some(Scope::Macro),
                "fn" if scan.is_definition(i) => {
                    (next, header) = (Some(scan.function(item, i)), scan.end_of_header(i));
                }
                "dispatch" if scan.has(i + 1..scan.tokens.len().min(i + 3), &["!", "("]) => {
                    dispatch = scan.closing(i + 2);
                }
                "|" if scan.opens_closure(i) => scan.closure(i, i < dispatch),
                _ => {}
            }
        }
        scan
    }

    /// Whether these tokens stand one after the other somewhere in `range`.
    fn has(&self, range: std::ops::Range<usize>, texts: &[&str]) -> bool {
        let same = |window: &[Token<'_>]| window.iter().zip(texts).all(|(t, text)| t.text == *text);
        self.tokens[range].windows(texts.len()).any(same)
    }

    fn names_a_level(&self, range: std::ops::Range<usize>) -> bool {
        self.tokens[range].iter().any(|t| LEVEL_TRAITS.contains(&t.text))
    }

    /// The first brace or semicolon from `i` on that is not inside parentheses or brackets.
    fn end_of_header(&self, i: usize) -> usize {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(i) {
            match token.text {
                "(" | "[" => depth += 1,
                ")" | "]" => depth -= 1,
                "{" | ";" if depth == 0 => return at,
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// The parenthesis that closes the one at `i`.
    fn closing(&self, i: usize) -> usize {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().skip(i) {
            match token.text {
                "(" => depth += 1,
                ")" if depth == 1 => return at,
                ")" => depth -= 1,
                _ => {}
            }
        }
        self.tokens.len()
    }

    fn header(&self, i: usize) -> Option<Scope> {
        let lanes = LANE_TYPES.iter().any(|file| self.file.ends_with(&format!("simd/{file}")));
        let level = self.names_a_level(i..self.end_of_header(i));
        Some(if lanes || level { Scope::Inlined } else { Scope::Other })
    }

    /// `fn name`, not the type `fn(..)`.
    fn is_definition(&self, i: usize) -> bool {
        self.tokens.get(i + 1).is_some_and(|t| t.text != "(")
    }

    /// Checks the function at `i`, whose attributes start at `item`; what its body is.
    fn function(&mut self, item: usize, i: usize) -> Scope {
        let end = self.end_of_header(i);
        let scope = self.scopes.last().copied().unwrap_or(Scope::Other);
        let lanes = LANE_TYPES.iter().any(|file| self.file.ends_with(&format!("simd/{file}")));
        let level = self.names_a_level(i..end);
        let enables = self.has(item..i, &["target_feature"]);
        let inlined =
            level || lanes || matches!(scope, Scope::Inlined | Scope::Macro | Scope::Kernel);
        let has_body = self.tokens.get(end).is_some_and(|t| t.text == "{");
        if scope == Scope::Test || enables || !inlined || !has_body {
            return if scope == Scope::Test { Scope::Test } else { Scope::Other };
        }
        self.checked += 1;
        // The loops of the `f64` lanes and the entry points that are not generic are calls on
        // purpose, and say so.
        let call = (SCALAR_CLOSURES.contains(&self.file) || scope == Scope::Macro && !level)
            && self.has(item..i, &["inline", "(", "never", ")"]);
        if !call && !self.has(item..i, &["inline", "(", "always", ")"]) {
            let name = self.tokens[i + 1];
            // `$name` in a macro.
            let name = if name.text == "$" { self.tokens[i + 2].text } else { name.text };
            self.findings.push(format!("{}:{}: fn {name}", self.file, self.tokens[i].line));
        }
        Scope::Kernel
    }

    /// A `|` that starts a closure: after an opening, a comma, an assignment, an attribute or
    /// `move`.
    fn opens_closure(&self, i: usize) -> bool {
        let Some(before) = i.checked_sub(1).map(|b| self.tokens[b].text) else { return false };
        let starts = ["(", ",", "=", "{", "]", "move", ">", "return"].contains(&before);
        // `] |`: only the bracket of an attribute, not that of an index.
        starts && (before != "]" || self.attribute(i).is_some())
    }

    /// The tokens of the attribute that ends right before `i`.
    fn attribute(&self, i: usize) -> Option<std::ops::Range<usize>> {
        let end = if self.tokens[i - 1].text == "move" { i - 1 } else { i };
        let open = (0..end).rev().find(|&at| self.tokens[at].text == "[")?;
        let closes = self.tokens[end - 1].text == "]";
        (closes && open > 0 && self.tokens[open - 1].text == "#").then_some(open..end)
    }

    fn closure(&mut self, i: usize, dispatched: bool) {
        let scope = self.scopes.last().copied().unwrap_or(Scope::Other);
        let inlined = scope == Scope::Kernel || dispatched && scope == Scope::Other;
        // `|i| i as u32` is of single numbers: lanes cannot be cast.
        let cast = self.tokens.get(i + 4).is_some_and(|t| t.text == "as");
        if !inlined || cast || SCALAR_CLOSURES.contains(&self.file) {
            return;
        }
        self.checked += 1;
        let inlined =
            self.attribute(i).is_some_and(|a| self.has(a, &["inline", "(", "always", ")"]));
        if !inlined {
            self.findings.push(format!("{}:{}: closure", self.file, self.tokens[i].line));
        }
    }
}

/// The findings in a piece of source, without the file.
fn found(file: &str, text: &str) -> Vec<String> {
    let prefix = format!("{file}:");
    Scan::run(file, text).findings.iter().map(|f| f.replace(&prefix, "")).collect()
}

#[test]
fn the_scan_goes_red() {
    let cases: [(&str, &str, &[&str]); 25] = [
        ("kernels/a.rs", "macro_rules! m { () => { #[inline(never)] fn a() {} } }", &[]),
        (
            "kernels/a.rs",
            "macro_rules! m { () => { #[inline(never)] fn a<S: Simd>() {} } }",
            &["1: fn a"],
        ),
        (
            "kernels/a.rs",
            "#[inline(always)] fn k<S: Simd>(x: [S; 2]) { f(|x| x) }",
            &["1: closure"],
        ),
        ("kernels/a.rs", "fn map() { a(|b| dispatch!(s => k(s, |x| x))); }", &["1: closure"]),
        (
            "kernels/a.rs",
            "fn map() { dispatch!(s => k(s, #[inline(always)] |x| x)); a(|b| b); }",
            &[],
        ),
        ("kernels/a.rs", "fn k<S: Simd>(simd: S) {}", &["1: fn k"]),
        ("kernels/a.rs", "#[inline(always)]\nfn k<S: Simd>(simd: S) {}", &[]),
        ("kernels/a.rs", "#[inline]\npub(super) fn k<S: Simd>(simd: S) {}", &["2: fn k"]),
        ("kernels/a.rs", "fn k<T>(x: T) where T: Real {}", &["1: fn k"]),
        ("kernels/a.rs", "fn k(x: impl F32Lanes) {}", &["1: fn k"]),
        ("kernels/a.rs", "pub fn map<T: Element>(x: &[T]) { x.iter().map(|v| v); }", &[]),
        ("kernels/a.rs", "#[inline(always)] fn a() {} fn k<S: Simd>() {}", &["1: fn k"]),
        ("kernels/a.rs", "impl<S: Simd> A<S> { fn a(&self) {} }", &["1: fn a"]),
        ("kernels/a.rs", "impl A { fn a(&self) {} fn b<S: Simd>(&self) {} }", &["1: fn b"]),
        ("real.rs", "trait Real { fn a(self); fn b(self) { self.a() } }", &["1: fn b"]),
        ("real.rs", "impl Real for f64 {\n type Mask = bool;\n fn b(self) {} }", &["3: fn b"]),
        ("simd/avx2.rs", "fn helper(x: __m256) {}", &["1: fn helper"]),
        (
            "simd/avx2.rs",
            "#[target_feature(enable = \"avx2\")]\nfn enabled<R>(f: impl FnOnce() -> R) {}",
            &[],
        ),
        ("math/a.rs", "macro_rules! m { () => { fn $name(self) -> Self { 1 } } }", &["1: fn name"]),
        ("kernels/a.rs", "#[inline(always)] fn k<S: Simd>(s: S) { f(s, |x| x) }", &["1: closure"]),
        (
            "kernels/a.rs",
            "#[inline(always)] fn k<S: Simd>(s: S) { f(s, #[inline(always)] |x| x) }",
            &[],
        ),
        (
            "kernels/a.rs",
            "#[inline(always)] fn k<S: Simd>(s: S) { f(s, #[inline(always)] move |x| x | 1) }",
            &[],
        ),
        (
            "kernels/a.rs",
            "#[inline(always)] fn k<S: Simd>(s: S) { if a || b[0] | c { f(move || 1) } }",
            &["1: closure"],
        ),
        ("kernels/a.rs", "#[cfg(test)] mod tests { fn k<S: Simd>(s: S) { f(|x| x) } }", &[]),
        (
            "kernels/a.rs",
            "// fn k<S: Simd>() {}\nconst A: &str = \"fn k<S: Simd>() {}\"; type B = fn(Simd) -> u8;",
            &[],
        ),
    ];
    let wrong: Vec<_> =
        cases.iter().filter(|(file, text, want)| found(file, text) != *want).collect();
    let got: Vec<_> =
        wrong.iter().map(|(file, text, want)| (text, want, found(file, text))).collect();
    assert!(wrong.is_empty(), "source, expected findings, findings: {got:#?}");
}
