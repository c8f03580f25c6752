//! What the rooms of the house may hold, checked over their sources.

use std::path::{Path, PathBuf};

/// Where the control plane, the engine and the workers are put together. Everything else knows operations alone.
const COMPOSITION: [&str; 5] = ["context.rs", "executor.rs", "config.rs", "commands/serve.rs", "commands/admin.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file below a folder: its path there, and its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, base: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("a folder's entry").path();
            if path.is_dir() {
                walk(&path, base, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(base).expect("a file below its folder").display().to_string();
                found.push((name, std::fs::read_to_string(&path).expect("a source file is text")));
            }
        }
    }
    let base = root().join(folder);
    let mut found = Vec::new();
    walk(&base, &base, &mut found);
    found
}

#[test]
fn no_report_is_put_together_by_hand() {
    for folder in ["cli/src", "operations/src", "server/src"] {
        for (file, text) in sources(folder) {
            let macro_name = concat!("json", "!(");
            assert!(!text.contains(macro_name), "{folder}/{file} builds JSON without a type");
        }
    }
}

#[test]
fn the_command_line_parses_calls_and_shows_and_does_nothing_else() {
    for (file, text) in sources("cli/src").into_iter().filter(|(file, _)| file != "rooms.rs") {
        let allowed = COMPOSITION.contains(&file.as_str());
        for room in ["headwater_store", "headwater_engine", "headwater_worker", "headwater_scheduler"] {
            assert!(
                allowed || !text.contains(&format!("{room}::")),
                "cli/src/{file} reaches past operations into {room}"
            );
        }
    }
}

#[test]
fn operations_know_no_face_and_no_worker() {
    let manifest = std::fs::read_to_string(root().join("operations/Cargo.toml")).expect("the manifest is there");
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    for above in
        ["clap", "axum", "headwater-cli", "headwater-server", "headwater-worker", "headwater-scheduler", "sqlx"]
    {
        assert!(!dependencies.contains(above), "operations depend on {above}");
    }
    for (file, text) in sources("operations/src") {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        assert!(!code.into_iter().any(|line| line.contains("`headwater ")), "{file} words a hint for the command line");
    }
}
