//! Extracts of several tables: one task and one load for each, with what the catalog says about keys and cursors. Targets are read by software that shares no code with
//! Headwater.

use serde_json::{Value, json};

use crate::support::{World, eventually, python, server};

/// A spec that loads the tables of an extract into `into`.
fn spec(extract: &str, into: &str) -> String {
    format!(
        "name: p\ntasks:\n  raw:\n    extract: {{ {extract} }}\n  publish:\n    load:\n      input: raw\n      into: {into}\n"
    )
}

const INTO_LAKE: &str = "lake.\"{{ table }}\"";

/// A world whose tables are there before its connections read their catalogs.
fn world(tables: &str) -> World {
    let world = World::new();
    world.query(tables);
    world.succeed(&["connections", "add", "shop", &world.url()]);
    let lake = format!("file://{}", world.folder.join("lake").display());
    world.succeed(&["connections", "add", "lake", "delta", &lake]);
    world
}

/// Rows of a table of the lake, as `id:note` in order.
fn lake(world: &World, table: &str) -> String {
    let path = world.folder.join("lake").join(table).display().to_string();
    let program = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(' '.join(sorted(f\"{r['id']}:{r['note']}\" for r in t)))";
    python(program, &[&path])
}

/// The task of a run.
fn task<'a>(run: &'a Value, path: &str) -> &'a Value {
    let found = run["tasks"].as_array().unwrap().iter().find(|task| task["path"] == path);
    found.unwrap_or_else(|| panic!("there is no task {path}: {run:#}"))
}

const SHOP: &str = "
    CREATE TABLE orders (id bigint PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE TABLE \"Order Items\" (id bigint PRIMARY KEY, note text, \"updatedAt\" timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE TABLE events (id bigint, note text);
    CREATE TABLE audit_log (id bigint); CREATE TABLE tmp_x (id bigint);
    CREATE VIEW totals AS SELECT count(*) AS id FROM orders;
    INSERT INTO orders VALUES (1, 'a'), (2, 'b');
    INSERT INTO \"Order Items\" VALUES (1, 'x');
    INSERT INTO events VALUES (1, 'e'), (1, 'e');
";

#[test]
fn a_schema_is_loaded_into_a_lake_and_later_runs_read_what_is_new() {
    let world = world(SHOP);
    world.write("p.yaml", &spec("tables: shop.public.*, exclude: [audit_*, 'tmp%'], cursor: auto", INTO_LAKE));
    let plan = world.json(&["plan", "p.yaml", "--json"]);
    let set = &plan["tables"][0];
    assert_eq!(set["tables"], 3, "{plan:#}");
    assert_eq!(set["cursors"], json!({ "updatedAt": 1, "updated_at": 1 }));
    assert_eq!(set["loads"][0]["modes"], json!({ "overwrite": 1, "upsert": 2 }));
    let notes: Vec<&Value> = set["notes"].as_array().unwrap().iter().map(|note| &note["tables"]).collect();
    assert_eq!(
        notes,
        [&json!(["public.events"]), &json!(["public.audit_log", "public.tmp_x"]), &json!(["public.totals"])]
    );
    let snapshot = world.json(&["plan", "p.yaml", "--snapshot", "--json"]);
    assert_eq!(snapshot["tables"], plan["tables"], "the stored catalog says the same");
    world.succeed(&["apply", "p.yaml"]);
    eventually("the first rows", || {
        world.succeed(&["run", "p"]);
        (lake(&world, "orders"), lake(&world, "Order Items")) == ("1:a 2:b".to_owned(), "1:x".to_owned())
    });
    assert_eq!(lake(&world, "events"), "1:e 1:e", "a table without a key is there once, however often it is loaded");
    world.query(
        "INSERT INTO orders VALUES (3, 'c'); UPDATE orders SET note = 'B', updated_at = clock_timestamp() WHERE id = 2",
    );
    eventually("the new rows", || {
        world.succeed(&["run", "p"]);
        lake(&world, "orders") == "1:a 2:B 3:c"
    });
    let run = world.json(&["run", "p", "--json"]);
    assert_eq!(task(&run, "publish.orders")["rows_written"], 0, "{run:#}");
    assert_eq!(task(&run, "publish.events")["rows_written"], 2, "{run:#}");
}

#[test]
fn two_schemas_are_copied_into_another_database() {
    let world = world(
        "CREATE SCHEMA a; CREATE SCHEMA \"B\";
         CREATE TABLE a.orders (id bigint PRIMARY KEY, note text); INSERT INTO a.orders VALUES (1, 'a');
         CREATE TABLE \"B\".orders (id bigint NOT NULL UNIQUE, note text); INSERT INTO \"B\".orders VALUES (1, 'b')",
    );
    let copy = format!("{}_copy", world.source);
    server().query("postgres", &format!("CREATE DATABASE {copy}"));
    world.succeed(&["connections", "add", "copy", &server().url(&copy)]);
    world.write("p.yaml", &spec("tables: [shop.a.*, shop.b.*]", "copy.{{ schema }}.{{ table }}"));
    world.succeed(&["run", "p.yaml"]);
    world.query("UPDATE a.orders SET note = 'A'; INSERT INTO \"B\".orders VALUES (2, 'c')");
    let run = world.json(&["run", "p.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let rows = |table: &str| server().query(&copy, &format!("SELECT id, note FROM {table} ORDER BY id"));
    assert_eq!((rows("a.orders"), rows("\"B\".orders")), ("1|A".to_owned(), "1|b\n2|c".to_owned()));
    assert_eq!(run["receipts"].as_array().unwrap().len(), 2, "{run:#}");
    world.write("p.yaml", &spec("tables: [shop.a.*, shop.b.*]", "copy.public.{{ table }}"));
    let done = world.run(&["plan", "p.yaml"]);
    assert_eq!(done.code(), Some(1), "{done}");
    for word in ["same_target", "B.orders", "a.orders", "copy.public.orders", "{{ schema }}"] {
        assert!(done.stderr.contains(word), "'{word}' is missing: {done}");
    }
}

#[test]
fn patterns_without_a_match_are_told_with_what_is_near() {
    let world = world(SHOP);
    for (extract, words) in [
        ("tables: shop.public.order_items*", ["unknown_table", "p.yaml:4:", "Order Items"]),
        ("tables: shop.publik.*", ["unknown_table", "'publik'", "did you mean 'public'?"]),
        ("tables: shop.*.*", ["bad_extract", "only the last part", "list the schemas"]),
        ("tables: shop.public.*, columns: [id]", ["bad_extract", "`columns`", "exclude"]),
    ] {
        world.write("p.yaml", &spec(extract, INTO_LAKE));
        let done = world.run(&["plan", "p.yaml"]);
        assert_eq!(done.code(), Some(1), "{extract}: {done}");
        for word in words {
            assert!(done.stderr.contains(word), "{extract}: '{word}' is missing: {done}");
        }
    }
}

#[test]
fn a_run_is_what_was_approved_whatever_comes_and_goes_at_the_source() {
    let world = world(SHOP);
    world.write("p.yaml", &spec("tables: shop.public.*, exclude: [audit_*, tmp_*]", INTO_LAKE));
    world.succeed(&["apply", "p.yaml"]);
    world.query(
        "CREATE TABLE later (id bigint PRIMARY KEY, note text); INSERT INTO later VALUES (1, 'l'); DROP TABLE events",
    );
    let run = world.run(&["run", "p", "--json"]);
    assert_eq!(run.code(), Some(1), "{run}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report["error"]["message"].as_str().unwrap().contains("events"), "{report:#}");
    assert_eq!((lake(&world, "orders").as_str(), lake(&world, "Order Items").as_str()), ("1:a 2:b", "1:x"));
    assert!(!world.folder.join("lake/later").exists(), "it was not approved");
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let shown = world.run(&["pipelines", "show", "p"]);
    assert!(shown.stderr.contains("1 table more") && shown.stderr.contains("shop.public.later"), "{shown}");
    assert!(shown.stdout.contains("shop.public.*"), "the text stays as it was written: {shown}");
    let plan = world.json(&["plan", "p.yaml", "--json"]);
    let paths: Vec<&str> =
        plan["diff"].as_array().unwrap().iter().map(|change| change["path"].as_str().unwrap()).collect();
    let expected =
        ["tasks.raw.group.later", "tasks.raw.group.events", "tasks.publish.group.later", "tasks.publish.group.events"];
    assert_eq!(paths, expected, "{plan:#}");
    world.succeed(&["apply", "p.yaml"]);
    world.succeed(&["run", "p"]);
    assert_eq!(lake(&world, "later"), "1:l");
}

#[test]
fn of_three_hundred_tables_the_one_that_fails_stands_out() {
    let world = world(
        "DO $$ BEGIN FOR i IN 1..300 LOOP
           EXECUTE format('CREATE TABLE t_%s (id bigint PRIMARY KEY, note text)', i);
           EXECUTE format('INSERT INTO t_%s VALUES (1, ''n'')', i);
         END LOOP; END $$;
         CREATE TABLE endless (id bigint PRIMARY KEY, at timestamptz); INSERT INTO endless VALUES (1, 'infinity')",
    );
    world.write("p.yaml", &spec("tables: shop.public.*", INTO_LAKE));
    let plan = world.succeed(&["plan", "p.yaml"]);
    for words in
        ["raw: 301 tables of shop.public.*", "publish → lake.\"{{ table }}\": upsert 301", "publish.* (301 stages)"]
    {
        assert!(plan.contains(words), "'{words}' is missing: {plan}");
    }
    assert!(plan.lines().count() < 30, "{plan}");
    assert!(world.succeed(&["plan", "p.yaml", "--tasks"]).lines().count() > 900);
    let done = world.run(&["run", "p.yaml"]);
    assert_eq!(done.code(), Some(1), "{done}");
    assert!(done.stdout.lines().count() < 40 && done.stderr.lines().count() < 200, "{done}");
    for words in ["publish.*: 301 of 301 done", "endless: failed"] {
        assert!(done.stderr.contains(words), "'{words}' is missing: {done}");
    }
    let shown = world.succeed(&["runs", "show"]);
    let at = |word: &str| shown.find(word).unwrap_or_else(|| panic!("'{word}' is missing: {shown}"));
    assert!(at("endless") < at("publish.* (300)"), "{shown}");
    assert!(shown.contains("300 receipts of publish.*: read 300, wrote 300"), "{shown}");
    assert_eq!(lake(&world, "t_300"), "1:n");
}
