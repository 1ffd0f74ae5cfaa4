//! The bits of five trainings: weights and histories must equal the results of the program before
//! its upper crates were rebuilt.
//!
//! The numbers are FNV-1a hashes of files that `vdn train --demo --epochs 3 --seed 7` wrote at
//! commit 53cb525, with the named options. Only a change that is meant to change bits may change
//! them, and the changelog must then say so. AVX2, AVX-512 and NEON give the same bits. The
//! portable level has no fused multiply-add and gives other bits.

use std::path::Path;
use vdn_forecast::config::RunConfig;
use vdn_forecast::run::train_run;
use vdn_tensor::simd::{self, Level};

/// The name of a file, and its hash with and without fused multiply-adds.
type Hashes = (&'static str, [u64; 2]);

const DEFAULT: [Hashes; 2] = [
    ("weights.safetensors", [0x7ae3_ab25_88fe_6af2, 0xf2c3_d201_fa12_01c4]),
    ("history.csv", [0xba12_f959_74f5_ad7a, 0x96b6_7f63_69a5_eca1]),
];

fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The old defaults of settings whose defaults have changed.
const THEN: [&str; 2] = [
    "units = 1024\ndependence = \"sampled\"\nbeta = 1e-4\n",
    "epochs = 3\nseed = 7\nbatch = 128\nema_decay = 0.0\n",
];

/// Settings with the old defaults: additional settings of the model and of training, and other
/// tables.
fn then(model: &str, train: &str, others: &str) -> String {
    let [units, steps] = THEN;
    format!("[model]\n{units}{model}[train]\n{steps}{train}{others}")
}

fn trained(settings: &str, expected: &[Hashes]) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut config = RunConfig::from_toml(settings).unwrap();
    // Training does not depend on the test windows, and scoring all of them takes three times as
    // long.
    config.data.max_test = Some(8);
    train_run(&config, Some(&out), |_, _| {}).unwrap();
    check(&out, expected, settings);
}

fn check(out: &Path, expected: &[Hashes], settings: &str) {
    let without = cfg!(target_arch = "x86_64") && simd::level().unwrap() == Level::Portable;
    let place = usize::from(without);
    for (name, hashes) in expected {
        let found = fnv1a(&std::fs::read(out.join(name)).unwrap());
        assert_eq!(found, hashes[place], "{name} of\n{settings}\nis 0x{found:016x}");
    }
}

#[test]
fn of_the_default_and_its_twin() {
    let twin = [
        ("twin-weights.safetensors", [0xe304_f35b_9e8e_c8e7, 0x9460_22eb_81ef_f98b]),
        ("twin-history.csv", [0x0a64_ed05_cbbd_257a, 0x6f7c_4a12_c23a_eac9]),
    ];
    let expected = [DEFAULT, twin].concat();
    trained(&then("", "twin = true\n", ""), &expected);
}

#[test]
fn of_two_layers() {
    trained(
        &then("depth = 2\n", "", ""),
        &[
            ("weights.safetensors", [0x63a5_0fed_82e0_b4cb, 0x57f2_a9d2_7b31_fb1a]),
            ("history.csv", [0x42d9_0ed8_537b_6537, 0x8e7c_bedf_c47e_bf27]),
        ],
    );
}

#[test]
fn of_a_homeostat_and_an_autoregressive_penalty() {
    trained(
        &then("", "", "[control]\nmode = \"homeo\"\ncontrollers = [\"ar\"]\n"),
        &[
            ("weights.safetensors", [0xeb6f_2827_86e5_3ece, 0x9e1a_a94c_c8e6_7fba]),
            ("history.csv", [0x7609_ad0a_36a1_8759, 0x2d5a_83de_8c32_6b1a]),
        ],
    );
}

#[test]
fn of_the_reference() {
    trained(
        "[model]\ncompatibility = \"reference\"\n[train]\nepochs = 3\nseed = 7\n",
        &[
            ("weights.safetensors", [0x2a56_999c_be94_17ff, 0x947f_caff_ce8f_db06]),
            ("history.csv", [0x45cb_a4c0_9b85_6a35, 0x3ecf_5482_eb00_18cd]),
        ],
    );
}
