//! Properties of reading, planning and writing specs, over generated and kept inputs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test fails by panicking, and prints the seed that repeats it"
)]

mod generator;
mod hostile;
mod mutations;
mod plans;
mod roundtrip;
mod secrets;

use std::collections::BTreeSet;

use proptest::test_runner::{Config, RngSeed};

/// The seed of every property, unless PROPTEST_RNG_SEED gives another.
const SEED: u64 = 20_261_125;

/// Cases of a property with a seed that is fixed and printed.
fn config(cases: u32) -> Config {
    let given = Config::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(SEED),
        fixed => fixed,
    };
    eprintln!("PROPTEST_RNG_SEED={rng_seed}");
    Config { cases, rng_seed, failure_persistence: None, ..given }
}

/// The connections that specs of these tests may name.
fn connections() -> BTreeSet<String> {
    ["shop", "lake", "tpch", "warehouse", "reports"].map(str::to_owned).into()
}

/// The specs of pipelines/examples, by name.
fn examples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}
