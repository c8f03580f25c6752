//! Bad input ends in a clear message with its place and a hint, exit code 1, and nothing visible in the target.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::support::{Done, World, server};

/// A world with a spec that copies `from` into the Delta table `lake.copied`.
fn copy(world: &World, connection: &str, from: &str) -> String {
    let folder = world.folder.display();
    format!(
        "name: copy\nconnections:\n  here: {connection}\n  lake: {{ type: delta, location: \"file://{folder}/lake\" }}\ntasks:\n  \
         rows: {{ extract: {{ from: {from} }} }}\n  publish: {{ load: {{ input: rows, into: lake.copied, mode: append }} }}\n"
    )
}

fn postgres(url: &str) -> String {
    format!("{{ type: postgres, url: \"{url}\" }}")
}

/// Runs the spec, which must fail with all these words and leave nothing in the lake.
fn fails(world: &World, spec: &str, words: &[&str]) -> Done {
    world.write("copy.yaml", spec);
    let done = world.run(&["run", "copy.yaml"]);
    assert_eq!(done.code(), Some(1), "{done}");
    let told = format!("{}{}", done.stdout, done.stderr);
    for word in words {
        assert!(told.contains(word), "'{word}' is not told: {done}");
    }
    assert_eq!(world.delta_files("copied"), 0, "{done}");
    done
}

/// The newest run is marked failed, with a message that has this word.
fn is_marked_failed(world: &World, word: &str) {
    let run = world.json(&["runs", "show", "--json"]);
    assert_eq!(run["state"], "failed", "{run:#}");
    assert!(run["error"]["message"].as_str().unwrap().contains(word), "{run:#}");
    assert_eq!(run["receipts"].as_array().unwrap().len(), 0, "{run:#}");
}

#[test]
fn a_missing_table_is_told_with_its_place_and_the_nearest_name() {
    let world = World::new();
    world.query("CREATE TABLE orders (id bigint)");
    fails(
        &world,
        &copy(&world, &postgres(&world.url()), "here.public.ordres"),
        &["unknown_table", "copy.yaml:6:", "public.orders"],
    );
}

#[test]
fn a_missing_column_is_told_with_its_place_and_the_nearest_name() {
    let world = World::new();
    world.query("CREATE TABLE orders (id bigint)");
    let spec = copy(&world, &postgres(&world.url()), "here.public.orders, columns: [idd]");
    fails(&world, &spec, &["unknown_column", "copy.yaml:6:", "'idd'", "did you mean 'id'"]);
}

#[test]
fn an_unreachable_database_is_told() {
    let world = World::new();
    let spec = copy(&world, &postgres("postgres://nobody@127.0.0.1:1/nothing"), "here.public.orders");
    fails(&world, &spec, &["unreachable", "copy.yaml:6:", "refused"]);
}

#[test]
fn a_wrong_option_of_a_files_connection_is_reported_once_and_where_it_stands() {
    let world = World::new();
    for (connection, column, word) in [
        ("{ type: postgres, uri: \"postgres://nobody@h/d\" }", "27", "there is no option `uri`"),
        ("{ type: delta, location: \"s3://b/x\", options: { regoin: x } }", "57", "regoin"),
        ("{ type: files, location: \"file:///srv\", format: xml }", "49", "format"),
    ] {
        let done = fails(&world, &copy(&world, connection, "here.public.orders"), &[word]);
        let found: Vec<&str> = done.stderr.lines().filter(|line| line.contains("copy.yaml:")).collect();
        assert_eq!(found.len(), 1, "{done}");
        assert!(found[0].contains(&format!("copy.yaml:3:{column}")), "{done}");
    }
}

#[test]
fn a_wrong_password_is_told_and_not_printed() {
    let world = World::new();
    let file = server().query("postgres", "SHOW hba_file");
    let rules = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("local all locked scram-sha-256\n{rules}")).unwrap();
    world.query("CREATE ROLE locked LOGIN PASSWORD 'right'; SELECT pg_reload_conf(); SELECT pg_sleep(0.2)");
    let url = world.url().replace("headwater@", "locked:mistyped@");
    let done = fails(
        &world,
        &copy(&world, &postgres(&url), "here.public.orders"),
        &["unreachable", "copy.yaml:6:", "password"],
    );
    let without_spec = done.stderr.lines().filter(|line| !line.contains("type: postgres")).collect::<String>();
    assert!(!without_spec.contains("mistyped"), "{done}");
}

#[test]
fn a_broken_csv_row_is_told_with_its_line() {
    let world = World::new();
    std::fs::create_dir(world.folder.join("drop")).unwrap();
    let mut text = String::from("id,name\n");
    (1..=500).for_each(|id| text.push_str(&format!("{id},n{id}\n")));
    text.push_str("501,too,many\n502,fine\n");
    world.write("drop/people.csv", &text);
    let files = format!("{{ type: files, location: \"file://{}/drop\" }}", world.folder.display());
    fails(
        &world,
        &copy(&world, &files, "here.\"people.csv\"").replace("here.\"people.csv\"", "'here.\"people.csv\"'"),
        &["people.csv", "line 502"],
    );
    is_marked_failed(&world, "line 502");
}

#[test]
fn a_value_that_the_target_cannot_hold_is_told_with_its_column() {
    let world = World::new();
    world.query(
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12,2));
         INSERT INTO orders SELECT i, i FROM generate_series(1, 3000) i; INSERT INTO orders VALUES (3001, 'NaN')",
    );
    fails(
        &world,
        &copy(&world, &postgres(&world.url()), "here.public.orders"),
        &["amount", "NaN", "3001", "runs rerun"],
    );
    is_marked_failed(&world, "amount");
}

#[test]
fn a_delta_table_with_features_that_are_not_written_is_refused() {
    let world = World::new();
    world.query("CREATE TABLE orders (id bigint)");
    let log = world.folder.join("lake/newer/_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let schema =
        r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}"#;
    let commit = format!(
        "{}\n{{\"metaData\":{{\"id\":\"5c5bc4a5-3c3c-4c6e-8f0e-1d2e3f4a5b6c\",\"format\":{{\"provider\":\"parquet\",\"options\":{{}}}},\"schemaString\":\"{schema}\",\"partitionColumns\":[],\"configuration\":{{}},\"createdTime\":1700000000000}}}}\n",
        r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["columnMapping"],"writerFeatures":["columnMapping","rowTracking","domainMetadata"]}}"#
    );
    std::fs::write(log.join("00000000000000000000.json"), commit).unwrap();
    let spec = copy(&world, &postgres(&world.url()), "here.public.orders").replace("lake.copied", "lake.newer");
    fails(&world, &spec, &["lake.newer", "feature rowTracking", "copy.yaml:7:"]);
    assert_eq!(std::fs::read_dir(log).unwrap().count(), 1);
}

#[test]
fn a_failed_first_load_leaves_no_table() {
    let world = World::new();
    world.query("CREATE TABLE orders (id bigint); INSERT INTO orders SELECT i % 2000 FROM generate_series(1, 4000) i");
    let spec = copy(&world, &postgres(&world.url()), "here.public.orders").replace(
        "publish: { load: { input: rows",
        "unique: { check: { input: rows, rules: [ { unique: [id] } ] } }\n  publish: { load: { input: unique",
    );
    fails(&world, &spec, &["unique(id)", "2000 rows"]);
    assert!(!world.folder.join("lake/copied/_delta_log").exists());
    let left = std::fs::read_dir(world.folder.join("lake/copied")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "data files are left");
}

#[test]
fn a_table_dropped_after_the_pipeline_was_applied_is_told_by_the_run() {
    let world = World::new();
    world.query("CREATE TABLE orders (id bigint)");
    world.write("copy.yaml", &copy(&world, &postgres(&world.url()), "here.public.orders"));
    world.succeed(&["apply", "copy.yaml"]);
    world.query("DROP TABLE orders");
    let done = world.run(&["run", "copy"]);
    assert_eq!(done.code(), Some(1), "{done}");
    assert!(done.stdout.contains("has no table public.orders"), "{done}");
    is_marked_failed(&world, "public.orders");
}

/// Runs the spec with `lake` on a file system of its own that holds one megabyte; tells what is in it afterwards.
fn on_a_full_disk(world: &World, spec: &str) -> Done {
    world.write("copy.yaml", spec);
    std::fs::create_dir(world.folder.join("lake")).unwrap();
    let script = "mount -t tmpfs -o size=1m none lake || exit 3\n\"$@\"; code=$?\nfind lake -type f; exit $code";
    let run = world.command(&["run", "copy.yaml"]);
    let mut command = Command::new("unshare");
    // Whoever is not root may mount as the root of a user namespace.
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(run.get_program()).args(run.get_args()).current_dir(&world.folder);
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    world.start(command).wait()
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half() {
    for target in ["{ type: delta, location", "{ type: files, format: csv, location"] {
        let world = World::new();
        world.query(
            "CREATE TABLE orders (id bigint, note text);
             INSERT INTO orders SELECT i, md5(i::text) || md5((-i)::text) FROM generate_series(1, 60000) i",
        );
        let spec =
            copy(&world, &postgres(&world.url()), "here.public.orders").replace("{ type: delta, location", target);
        let done = on_a_full_disk(&world, &spec);
        assert_eq!(done.code(), Some(1), "{done}");
        assert!(done.stderr.contains("disk is full") || done.stdout.contains("disk is full"), "{done}");
        assert!(!done.stdout.lines().any(|line| line.starts_with("lake/")), "files are left: {done}");
        is_marked_failed(&world, "space");
        // The operating system's words where the write itself tells it, the library's where only its kind is left to what follows.
        let run = world.json(&["runs", "show", "--json"]);
        let message = run["error"]["message"].as_str().unwrap();
        assert!(["No space left on device", "no storage space"].iter().any(|words| message.contains(words)), "{run:#}");
        assert!(run["error"]["hint"].as_str().unwrap().contains("disk is full"), "{run:#}");
    }
}

#[test]
fn a_wrong_use_of_the_command_ends_with_code_two() {
    let world = World::new();
    for arguments in
        [&["run"][..], &["plan", "copy.yaml", "--fast"], &["walk"], &["sql", "SELECT 1", "--format", "xml"]]
    {
        let done = world.run(arguments);
        assert_eq!(done.code(), Some(2), "{done}");
    }
}

#[test]
fn names_of_a_source_neither_move_the_cursor_nor_forge_lines() {
    let world = World::new();
    world.query(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, %I int)', \
         E'x\\033[2K\\033[1A\\nno version is approved yet\\n\\033[31mred', E'c\\033[8m'); END $$",
    );
    world.query("CREATE SCHEMA copies");
    let tables = format!(
        "name: copy\nconnections:\n  here: {}\ntasks:\n  rows: {{ extract: {{ tables: here.public.* }} }}\n  publish: \
         {{ load: {{ input: rows, into: 'here.copies.\"{{{{ table }}}}\"' }} }}\n",
        postgres(&world.url())
    );
    world.write("copy.yaml", &tables);
    for command in ["plan", "run"] {
        let done = world.run(&[command, "copy.yaml"]);
        assert_eq!(done.code(), Some(0), "{done}");
        let told = format!("{}{}", done.stdout, done.stderr);
        assert!(!told.contains('\u{1b}'), "{command}: {told:?}");
        assert!(told.contains("\\u{1b}[2K"), "{command}: {told:?}");
        // The plan's own line is there once, and none is the table's.
        let forged = told.lines().filter(|line| *line == "no version is approved yet").count();
        assert_eq!(forged, usize::from(command == "plan"), "{command}: {told:?}");
    }
}

#[test]
fn a_mistyped_url_is_not_repeated_with_its_password() {
    let world = World::new();
    for arguments in [
        ["connections", "add", "c", "postgres//app:s3cr3tPW@h/db"].as_slice(),
        &["connections", "add", "c", "app:s3cr3tPW@h://db"],
        &["connections", "add", "postgres://app:s3cr3tPW@h/db", "postgres", "postgres://h/db"],
        &["connections", "add", "c", "postgres//app:s3cr3tPW@h/db", "--json"],
    ] {
        let done = world.run(arguments);
        assert_eq!(done.code(), Some(1), "{done}");
        assert!(!format!("{}{}", done.stdout, done.stderr).contains("s3cr3tPW"), "{done}");
        assert!(done.stderr.contains("hint: "), "{done}");
    }
}

#[test]
fn what_a_plan_waits_for_is_said_after_two_seconds() {
    let world = World::new();
    // It accepts connections, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://x@{}/db?connect_timeout=4", silent.local_addr().unwrap());
    let spec = copy(&world, &postgres(&url), "here.public.orders");
    world.write("copy.yaml", &spec);
    let done = world.run(&["plan", "copy.yaml", "--json"]);
    assert_eq!(done.code(), Some(1), "{done}");
    assert!(done.stderr.contains("planning: waiting for connection here"), "{done}");
    assert!(done.stdout.starts_with('{'), "the document stands alone: {done}");
}
