//! Guides of docs/ are walks that a new user repeats: every command in them is run, in order, and its output compared.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{World, headwater, python, root, server};

/// A command of the guide and what the guide says it prints.
struct Step {
    command: String,
    printed: String,
}

/// Splits the guide into text and steps; a step begins with `$ ` inside a console block, and a `> ` line continues it.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            steps.push(Step { command: command.to_owned(), printed: String::new() });
        } else if inside && let Some(step) = steps.last_mut() {
            match line.strip_prefix("> ") {
                Some(more) => step.command.push_str(&format!("\n{more}")),
                None => step.printed.push_str(&format!("{line}\n")),
            }
        }
    }
    steps
}

/// What differs from run to run is replaced: ids, times, sizes, rates and the width of tables.
fn normalised(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "~/headwater-walk");
    let mut out = String::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.chars().all(|c| matches!(c, '─' | '═' | ' ')) {
            continue;
        }
        // Progress shows whatever moment it caught.
        if line.contains(": queued")
            || line.contains(": running")
            || line.contains(": succeeded") && line.contains("/s")
        {
            continue;
        }
        let all: Vec<&str> = line.split_whitespace().collect();
        let words = all.iter().enumerate().map(|(index, word)| {
            let before = index.checked_sub(1).and_then(|before| all.get(before));
            let bare = word.trim_matches(|c: char| matches!(c, ',' | ':' | '(' | ')'));
            if bare.len() == 36 && bare.matches('-').count() == 4 {
                "ID"
            } else if bare.len() == 64 && bare.chars().all(|c| c.is_ascii_hexdigit()) {
                "HASH"
            } else if is_time(bare) {
                "TIME"
            } else if DAYS.contains(&bare) {
                "DAY"
            } else if is_offset(bare) {
                "OFFSET"
            } else if is_number(word) && (is_unit(all.get(index + 1)) || before == Some(&"PostgreSQL")) {
                "N"
            } else if is_unit(Some(word)) && before.is_some_and(|before| is_number(before)) {
                "UNIT"
            } else {
                word
            }
        });
        out.push_str(&words.collect::<Vec<_>>().join(" "));
        out.push('\n');
    }
    out
}

/// Days of the week, as the next runs of a schedule have them.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Whether a word is a difference from UTC, which changes with summer time.
fn is_offset(word: &str) -> bool {
    word.len() == 6 && word.starts_with(['+', '-']) && word[1..].chars().all(|c| c.is_ascii_digit() || c == ':')
}

/// Whether a word is a date, or a time of day in UTC.
fn is_time(word: &str) -> bool {
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ':'));
    word.len() == 10 && word.matches('-').count() == 2 && all_digits(word)
        || word.strip_suffix('Z').is_some_and(|time| time.len() == 8 && all_digits(time))
}

fn is_number(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| matches!(c, ',' | ':' | '(' | ')'));
    !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
}

/// Whether a word is a unit, which says that the number before it is measured and not data.
fn is_unit(word: Option<&&str>) -> bool {
    let unit = word.map_or("", |word| word.trim_end_matches([',', ':', ')']).trim_end_matches("/s"));
    ["µs", "ms", "s", "B", "kB", "MB", "GB"].contains(&unit)
}

/// The folder in which the walk takes place; the embedded server runs as another user and must be able to enter it.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("hwwalk").tempdir_in("/tmp").expect("a folder in /tmp");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("permissions");
    folder
}

#[test]
fn every_command_of_the_first_database_guide_prints_what_the_guide_says() {
    walk("first-database.md");
}

#[test]
fn every_command_of_the_guide_to_prompts_prints_what_the_guide_says() {
    walk("prompts.md");
}

#[test]
fn every_command_of_the_guide_to_questions_prints_what_the_guide_says() {
    walk("ask.md");
}

/// Runs a guide. With UPDATE_GUIDE its output is written into it instead of compared.
fn walk(name: &str) {
    let file = root().join("docs").join(name);
    let guide = std::fs::read_to_string(&file).expect("the guide");
    let folder = scratch();
    let bin = headwater();
    let bin_dir: PathBuf = bin.parent().expect("the binary's folder").to_owned();
    let path = format!("{}:{}", bin_dir.display(), std::env::var("PATH").unwrap_or_default());
    let mut exports = String::new();
    let mut rewritten = guide.clone();
    let update = std::env::var_os("UPDATE_GUIDE").is_some();
    for step in steps(&guide) {
        let script = format!("exec 2>&1\n{exports}\n{}", step.command);
        if step.command.starts_with("export ") {
            exports.push_str(&format!("\n{}", step.command));
        }
        let done = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .env_remove("DATABASE_URL")
            .env_remove("HEADWATER_DATABASE_URL")
            .env("PATH", &path)
            .env("HOME", folder.path())
            .env("HEADWATER_DATA_DIR", folder.path().join("data"))
            .stdin(Stdio::null())
            .output()
            .expect("bash");
        let printed = String::from_utf8_lossy(&done.stdout).into_owned();
        if update {
            let shown = printed.replace(&folder.path().display().to_string(), "~/headwater-walk");
            let command = step.command.replace('\n', "\n> ");
            let (old, new) = (format!("$ {command}\n{}", step.printed), format!("$ {command}\n{shown}"));
            rewritten = rewritten.replacen(&old, &new, 1);
        } else {
            let expected = normalised(&step.printed, folder.path());
            assert_eq!(normalised(&printed, folder.path()), expected, "$ {}", step.command);
        }
    }
    if update {
        std::fs::write(file, rewritten).expect("the guide can be written");
    }
}

/// The specs of the page for users of other tools: each is approved, loads everything, and then what has changed.
#[test]
fn every_spec_of_the_page_for_newcomers_keeps_its_targets_as_the_source_is() {
    let world = World::new();
    let warehouse = format!("{}_warehouse", world.source);
    server().query("postgres", &format!("CREATE DATABASE {warehouse}"));
    world.query(
        "CREATE TABLE orders (id bigint PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT now());
         CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL);
         CREATE TABLE tmp_import (x text);
         INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 100) i;
         INSERT INTO customers SELECT i, i || '@example.org' FROM generate_series(1, 40) i",
    );
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "warehouse", &server().url(&warehouse)]);
    world.succeed(&["connections", "add", "lake", "delta", &format!("file://{}/lake", world.folder.display())]);
    let page = std::fs::read_to_string(root().join("docs/coming-from.md")).unwrap();
    let specs: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(specs.len(), 3);
    let names = ["orders", "shop_to_warehouse", "customers"];
    for (name, spec) in names.iter().zip(&specs) {
        world.write("p.yaml", spec);
        world.succeed(&["apply", "p.yaml"]);
        assert_eq!(world.json(&["run", name, "--json"])["state"], "succeeded", "{name}");
    }
    world.query(
        "UPDATE orders SET note = 'other', updated_at = now() WHERE id = 7; INSERT INTO orders VALUES (101, 'new');
         DELETE FROM customers WHERE id = 40",
    );
    let sums = "SELECT count(*), sum(id), md5(string_agg(note, ',' ORDER BY id)) FROM";
    let orders = world.query(&format!("{sums} orders"));
    // Transactions of other tests delay rows.
    crate::support::eventually("the orders are there", || {
        for name in names {
            assert_eq!(world.json(&["run", name, "--json"])["state"], "succeeded", "{name}");
        }
        server().query(&warehouse, &format!("{sums} orders")) == orders
    });
    let lake = "import sys, hashlib, deltalake\n\
                t = sorted(deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist(), key=lambda r: r['id'])\n\
                notes = ','.join(r['note'] for r in t)\n\
                print(len(t), sum(r['id'] for r in t), hashlib.md5(notes.encode()).hexdigest(), sep='|')";
    crate::support::eventually("and in the lake", || {
        assert_eq!(world.json(&["run", "orders", "--json"])["state"], "succeeded");
        python(lake, &[&world.folder.join("lake/orders").display().to_string()]) == orders
    });
    let marked = "import sys, deltalake\n\
                  t = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                  print(len(t), [r['id'] for r in t if r['deleted_at'] is not None])";
    assert_eq!(python(marked, &[&world.folder.join("lake/customers").display().to_string()]), "40 [40]");
    let tables = "SELECT string_agg(tablename, ' ' ORDER BY 1) FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^_headwater'";
    assert_eq!(server().query(&warehouse, tables), "customers orders");
}
