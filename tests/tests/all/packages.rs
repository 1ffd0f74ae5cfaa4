//! Checks the files that each published package needs besides its code, and that links in documents
//! point to existing files. `.ci/packages` checks that the packages compile.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of the crates.
fn crates() -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join("crates")).unwrap();
    let folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    assert!(folders.len() >= 7, "{folders:?}");
    folders
}

/// The Rust code of a document.
fn code(document: &str) -> Vec<&str> {
    let blocks = document.split("```rust\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

/// The targets of links in a document: `[text](target)` outside of code.
fn links(document: &str) -> Vec<&str> {
    let prose = document.split("```").step_by(2);
    let ends = prose.flat_map(|part| part.split("](").skip(1));
    ends.map(|rest| rest.split(')').next().unwrap()).collect()
}

#[test]
fn every_package_has_its_texts() {
    for folder in crates() {
        let manifest = read(&folder.join("Cargo.toml"));
        let line = |wanted: &str| manifest.lines().any(|line| line == wanted);
        for wanted in
            ["readme = \"README.md\"", "license.workspace = true", "exclude = [\"/tests\"]"]
        {
            assert!(line(wanted), "{}: there is no line `{wanted}`", folder.display());
        }
        // Each package names its page of documentation. There is no `repository` key: the
        // repository has no public address yet, and an address that does not exist must not be
        // named.
        let name = folder.canonicalize().unwrap().file_name().unwrap().to_owned();
        let pages = format!("documentation = \"https://docs.rs/{}\"", name.display());
        assert!(line(&pages), "{}: there is no line `{pages}`", folder.display());
        let repository = manifest.lines().find(|line| line.starts_with("repository"));
        assert_eq!(repository, None, "{}: its address is to be that of all", folder.display());
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let own = read(&folder.join(licence));
            assert!(own == read(&root().join(licence)), "{}: another {licence}", folder.display());
        }
        let readme = read(&folder.join("README.md"));
        assert!(readme.contains("## Licence"), "{}", folder.display());
        // A package must not depend on the repository around it.
        let relative: Vec<_> = links(&readme).into_iter().filter(|to| !to.contains(':')).collect();
        assert!(relative.is_empty(), "{}: {relative:?}", folder.display());
    }
}

/// The README of the repository belongs to no crate. Its code is tested in the README of `vdn`.
#[test]
fn code_of_the_readme_is_tested() {
    let readme = read(&root().join("README.md"));
    let tested = read(&root().join("crates/vdn/README.md"));
    let blocks = code(&readme);
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(code(&tested).contains(&block), "not in the README of vdn:\n{block}");
    }
}

/// Each of the two READMEs lists exactly the existing examples.
#[test]
fn every_example_is_listed() {
    let folder = root().join("crates/vdn/examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut there: Vec<String> =
        files.map(|file| file.file_stem().unwrap().display().to_string()).collect();
    there.sort();
    assert!(there.len() >= 11, "{there:?}");

    let readme = read(&root().join("README.md"));
    let rows =
        readme.lines().filter_map(|line| line.strip_prefix("| [`")?.split_once("`](crates/"));
    let mut listed: Vec<String> = rows
        .filter(|(name, rest)| rest.starts_with(&format!("vdn/examples/{name}.rs)")))
        .map(|(name, _)| name.to_owned())
        .collect();
    listed.sort();
    assert_eq!(listed, there, "the table of the README");

    let readme = read(&root().join("crates/vdn/README.md"));
    let from = readme.find("The examples are\n").expect("a list of examples");
    let list = readme[from..].split('.').next().unwrap();
    let mut listed: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    listed.sort_unstable();
    assert_eq!(listed, there, "the list of the README of vdn");
}

#[test]
fn code_of_documents_is_tested() {
    let document = read(&root().join("docs/from-pytorch.md"));
    let tested = read(&root().join("crates/vdn/tests/all/from_pytorch.rs"));
    for block in code(&document) {
        assert!(tested.contains(block), "not in the test from_pytorch:\n{block}");
    }
}

#[test]
fn documents_point_to_what_exists() {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let decisions = fs::read_dir(root().join("docs/decisions")).unwrap();
    let mut documents: Vec<_> = docs.chain(decisions).map(|entry| entry.unwrap().path()).collect();
    documents.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    documents.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut count = 0;
    for document in &documents {
        let text = read(document);
        for link in links(&text).into_iter().filter(|to| !to.contains(':')) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link} does not exist", document.display());
            if !heading.is_empty() {
                let found = headings(&read(&target)).contains(&heading.to_owned());
                assert!(found, "{}: {link}: there is no such heading", document.display());
            }
            count += 1;
        }
    }
    assert!(count > 30, "only {count} links were found");
}

/// The anchors of a document's headings.
fn headings(document: &str) -> Vec<String> {
    let titles = document.lines().filter(|line| line.starts_with('#'));
    let anchor = |title: &str| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    titles.map(anchor).collect()
}
