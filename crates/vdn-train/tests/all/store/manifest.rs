//! Manifests: atomic under every fault, and strict with the files that they list.

use crate::store::crash_files::CrashFiles;
use crate::store::sweep::sweep;
use std::path::Path;
use vdn_train::run::store::{
    LogMark, MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, StoreError, checksum_of, write_atomically,
};

const RUN: &str = "run";

fn path() -> &'static Path {
    Path::new("run/manifest.json")
}

fn put(files: &CrashFiles, name: &str, contents: &[u8]) {
    write_atomically(files, &Path::new(RUN).join(name), &[contents]).unwrap();
}

fn example(files: &CrashFiles) -> Manifest {
    put(files, "weights.safetensors", b"weights of epoch 3");
    put(files, "history.csv", b"1\n2\n3\n");
    put(files, "config.toml", b"seed = 7\n");
    let mut manifest = Manifest::new("a1");
    (manifest.step, manifest.epoch) = (300, 3);
    manifest.add_file("weights.safetensors", b"weights of epoch 3");
    manifest.add_log("history.csv", LogMark { length: 6, crc32: checksum_of(b"1\n2\n3\n") });
    manifest.add_existing(files, Path::new(RUN), "config.toml").unwrap();
    manifest
}

#[test]
fn a_manifest_is_the_old_or_the_new_one_after_every_fault() {
    let of_epoch = |epoch: usize| {
        let mut manifest = Manifest::new("a1");
        manifest.epoch = epoch;
        manifest.add_file("weights.safetensors", &[epoch as u8; 9]);
        manifest
    };
    let scenario = |files: &CrashFiles| {
        (0..4).map(|i| of_epoch(i).write(files, Path::new(RUN)).is_ok()).collect::<Vec<bool>>()
    };
    let check = |files: &CrashFiles, written: &Vec<bool>, case: &str| {
        let from = written.iter().rposition(|&ok| ok);
        match Manifest::read(files, Path::new(RUN)) {
            Ok(found) => {
                assert!(found.epoch >= from.unwrap_or(0), "{case}: {found:?}");
                assert_eq!(found, of_epoch(found.epoch), "{case}");
            }
            Err(error) => assert!(from.is_none(), "{case}: {error}"),
        }
    };
    let (faults, disks) = sweep(scenario, check);
    println!("manifests: {faults} faults, {disks} disks");
    assert!(faults > 150 && disks > 300, "{faults} {disks}");
}

#[test]
fn every_file_that_does_not_belong_is_named() {
    let files = CrashFiles::new(None);
    let manifest = example(&files);
    manifest.write(&files, Path::new(RUN)).unwrap();
    let read = Manifest::read(&files, Path::new(RUN)).unwrap();
    assert_eq!(read, manifest);
    read.verify(&files, Path::new(RUN)).unwrap();
    // A history that has grown since then is accepted; every other change is refused.
    put(&files, "history.csv", b"1\n2\n3\n4\n");
    read.verify(&files, Path::new(RUN)).unwrap();
    let cases: [(&str, &[u8], &str); 5] = [
        ("weights.safetensors", b"weights of epoch 4", "is not that of epoch 3 of this run"),
        ("weights.safetensors", b"short", "it has 5 bytes, not 18"),
        (
            "config.toml",
            b"seed = 7\n\n",
            "is not that of epoch 3 of this run: it has 10 bytes, not 9",
        ),
        ("history.csv", b"1\n2\n", "is not that of epoch 3 of this run: it has 4 bytes, not 6"),
        ("history.csv", b"1\n2\n5\n4\n", "history.csv: is not that of epoch 3 of this run"),
    ];
    for (name, contents, expected) in cases {
        example(&files);
        put(&files, name, contents);
        let error = read.verify(&files, Path::new(RUN)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("run/{name}: ")) && error.contains(expected), "{error}");
    }
    example(&files);
    vdn_train::run::store::FileSystem::remove(&files, Path::new("run/config.toml")).unwrap();
    let error = read.verify(&files, Path::new(RUN)).unwrap_err().to_string();
    assert_eq!(error, "run/config.toml: is missing; epoch 3 of this run has it");
    let error = read.expect_run(Path::new(RUN), "b2").unwrap_err().to_string();
    assert_eq!(error, "run/manifest.json: is that of run a1, not of run b2");
    read.expect_run(Path::new(RUN), "a1").unwrap();
}

#[test]
fn every_damaged_byte_and_every_truncation_is_refused() {
    let files = CrashFiles::new(None);
    let manifest = example(&files);
    manifest.write(&files, Path::new(RUN)).unwrap();
    let bytes = files.contents(path()).unwrap();
    let mut refused = 0;
    let read = |contents: &[u8]| {
        put(&files, MANIFEST_FILE, contents);
        Manifest::read(&files, Path::new(RUN))
    };
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            match read(&damaged) {
                Ok(other) => assert_eq!(other, manifest, "byte {at}, bit {bit}"),
                Err(error) => {
                    let line = error.to_string();
                    assert!(line.starts_with("run/manifest.json: "), "{line}");
                    assert!(!line.contains(char::is_control), "{line:?}");
                    refused += 1;
                }
            }
        }
        if at + 2 < bytes.len() {
            read(&bytes[..at]).unwrap_err();
        }
    }
    println!("manifest: {refused} of {} flipped bits refused", bytes.len() * 8);
    assert!(refused * 10 > bytes.len() * 8 * 9, "{refused}");
}

#[test]
fn long_foreign_and_malicious_manifests_are_refused() {
    let files = CrashFiles::new(None);
    let read = |contents: &[u8]| {
        put(&files, MANIFEST_FILE, contents);
        Manifest::read(&files, Path::new(RUN)).unwrap_err()
    };
    let error = read(&vec![b' '; MAX_MANIFEST_BYTES as usize + 1]).to_string();
    assert!(error.contains("it has 1048577 bytes"), "{error}");
    let error = read(br#"{"format": 2, "surprise": []}"#);
    assert!(matches!(error, StoreError::Version { found: 2, known: 1, .. }), "{error}");
    for text in ["", "[]", "{}", r#"{"format": 1}"#, r#"{"format": -1}"#, "\u{1b}[2J"] {
        assert!(read(text.as_bytes()).is_damage(), "{text}");
    }
    for name in ["../secret", "/etc/passwd", "", "a/../../b", "."] {
        let mut manifest = Manifest::new("a1");
        manifest.add_file(name, b"");
        let error = manifest.write(&files, Path::new(RUN)).unwrap_err().to_string();
        assert!(error.ends_with("is not a file of the run"), "{name}: {error}");
        // The same manifest in a file with a correct checksum.
        let text = serde_json::to_string(&manifest).unwrap();
        let crc32 = checksum_of(text.as_bytes());
        let text = format!(r#"{{"format": 1, "crc32": {crc32}, "manifest": {text}}}"#);
        let error = read(text.as_bytes()).to_string();
        assert!(error.ends_with("is not a file of the run"), "{name}: {error}");
    }
}
