//! Rows that are deleted at the source, in loads that compare, that are told and that scan keys. Targets are read by software that shares no code with Headwater.

use serde_json::Value;

use crate::killed::{at_each_step, run_through};
use crate::support::{World, eventually, python};

/// A world with a source of six rows, and a pipeline that loads it.
fn world(extract: &str, load: &str) -> World {
    let world = World::new();
    world.query(
        "CREATE TABLE orders (id bigint PRIMARY KEY, note text, gone boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
         INSERT INTO orders SELECT i, 'n' FROM generate_series(1, 6) i",
    );
    let orders = format!("  orders: {{ extract: {{ from: source.public.orders{extract} }} }}\n");
    write(&world, &format!("{orders}  publish: {{ load: {{ input: orders, {load} }} }}\n"));
    world
}

fn write(world: &World, tasks: &str) {
    let spec = format!(
        "name: p\nconnections:\n  source: {{ type: postgres, url: \"{}\" }}\n  lake: {{ type: delta, location: \"file://{}\" }}\ntasks:\n{tasks}",
        world.url(),
        world.folder.join("lake").display()
    );
    world.write("p.yaml", &spec);
}

const CURSOR: &str = ", cursor: updated_at";
const LAKE: &str = "into: lake.orders, mode: upsert, keys: [id]";
const POSTGRES: &str = "into: source.public.copied, mode: upsert, keys: [id]";

/// Ids of the lake's rows, with a cross behind those that are marked.
fn lake(world: &World) -> String {
    let path = world.folder.join("lake/orders").display().to_string();
    let program = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(' '.join(f\"{r['id']}{'+' if r.get('deleted_at') else ''}\" for r in sorted(t, key=lambda r: r['id'])))";
    python(program, &[&path])
}

/// The same of the table in Postgres.
fn copied(world: &World) -> String {
    world.query(
        "SELECT string_agg(id || CASE WHEN to_jsonb(c) ->> 'deleted_at' IS NULL THEN '' ELSE '+' END, ' ' ORDER BY id) FROM copied c",
    )
}

fn run(world: &World) -> Value {
    let run = world.json(&["run", "p.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    run
}

/// Runs until the target holds what it has to: transactions of other tests delay rows that come by a cursor.
fn run_until(world: &World, contents: fn(&World) -> String, rows: &str) {
    eventually(rows, || {
        run(world);
        contents(world) == rows
    });
}

#[test]
fn rows_that_are_missing_from_the_source_are_deleted_or_marked_and_the_receipt_counts_them() {
    for (target, contents) in [(LAKE, lake as fn(&World) -> String), (POSTGRES, copied)] {
        for (how, after, back) in [("hard", "2 3 4 5 6", "1 2 3 4 5 6"), ("soft", "1+ 2 3 4 5 6", "1 2 3 4 5 6")] {
            let world = world("", &format!("{target}, on_delete: {how}"));
            run(&world);
            assert_eq!(contents(&world), "1 2 3 4 5 6");
            let saved = world.query("DELETE FROM orders WHERE id = 1 RETURNING updated_at");
            let plan = world.succeed(&["plan", "p.yaml"]);
            let done = if how == "hard" { "deleted" } else { "marked in deleted_at" };
            let note = format!("rows whose keys the source does not have are {done}: 20% of the rows at most");
            assert!(plan.contains(&note), "{note}: {plan}");
            let changes = run(&world)["receipts"][0]["changes"].clone();
            assert_eq!((&changes["deleted"], &changes["unchanged"]), (&Value::from(1), &Value::from(5)), "{changes}");
            assert_eq!(contents(&world), after, "{target} {how}");
            let changes = run(&world)["receipts"][0]["changes"].clone();
            assert_eq!(changes["deleted"], 0, "what is gone is gone once: {changes}");
            world.query(&format!("INSERT INTO orders VALUES (1, 'n', false, '{saved}')"));
            run(&world);
            assert_eq!(contents(&world), back, "{target} {how}");
        }
    }
}

#[test]
fn a_load_that_would_delete_too_much_changes_nothing_and_says_the_way_out() {
    let world = world("", &format!("{LAKE}, on_delete: hard"));
    run(&world);
    world.query("TRUNCATE orders; INSERT INTO orders VALUES (7, 'n')");
    let refused = world.run(&["run", "p.yaml"]);
    assert!(!refused.status.success(), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("6 of 6 rows of lake.orders are missing from the source"), "{told}");
    assert!(told.contains("`max_delete: 100%`"), "{told}");
    assert_eq!(lake(&world), "1 2 3 4 5 6");
    let tasks = format!(
        "  orders: {{ extract: {{ from: source.public.orders }} }}\n  publish: {{ load: {{ input: orders, {LAKE}, on_delete: hard, max_delete: 100% }} }}\n"
    );
    write(&world, &tasks);
    run(&world);
    assert_eq!(lake(&world), "7");
}

#[test]
fn a_row_that_says_that_it_is_gone_deletes_its_key_though_it_comes_by_a_cursor() {
    for (target, contents) in [(LAKE, lake as fn(&World) -> String), (POSTGRES, copied)] {
        for (how, after) in [("hard", "1 3 4 5 6"), ("soft", "1 2+ 3 4 5 6")] {
            let load = format!("{target}, order_by: updated_at, on_delete: {how}, deleted_when: \"gone AND id > 0\"");
            let world = world(CURSOR, &load);
            run_until(&world, contents, "1 2 3 4 5 6");
            world.query("UPDATE orders SET gone = true, updated_at = clock_timestamp() WHERE id = 2");
            run_until(&world, contents, after);
            world.query("UPDATE orders SET gone = false, updated_at = clock_timestamp() WHERE id = 2");
            run_until(&world, contents, "1 2 3 4 5 6");
            let full = world.query("UPDATE orders SET gone = true, updated_at = clock_timestamp() WHERE id = 3");
            assert_eq!(full, "");
            let run = world.json(&["run", "p.yaml", "--full-refresh", "--json"]);
            assert_eq!(run["state"], "succeeded", "{run:#}");
            assert_eq!(contents(&world), "1 2 4 5 6", "a load of everything leaves out what is gone");
        }
    }
}

#[test]
fn keys_are_scanned_when_it_is_time_and_without_new_rows_too() {
    for (target, contents) in [(LAKE, lake as fn(&World) -> String), (POSTGRES, copied)] {
        let world = world(CURSOR, &format!("{target}, deletes: {{ by: keys, every: 1d }}"));
        run_until(&world, contents, "1 2 3 4 5 6");
        world.query("DELETE FROM orders WHERE id = 6");
        run(&world);
        assert_eq!(contents(&world), "1 2 3 4 5 6", "the keys were scanned a moment ago");
        let stored = world.control("SELECT position ? '_keys_scanned' FROM cursors");
        assert_eq!(stored, "t");
        world.control("UPDATE cursors SET position = position || '{\"_keys_scanned\": \"2026-01-01T00:00:00Z\"}'");
        let scanned = run(&world);
        assert_eq!(scanned["receipts"][0]["changes"]["deleted"], 1, "{scanned:#}");
        assert_eq!(contents(&world), "1 2 3 4 5", "an empty window scans too");
        let again = run(&world);
        assert_eq!(again["receipts"].as_array().unwrap().len(), 0, "nothing is new, and no scan is due: {again:#}");
        world.query("INSERT INTO orders VALUES (7, 'n')");
        run_until(&world, contents, "1 2 3 4 5 7");
    }
}

/// Deletes a row, is killed at one place of the load that finds out, and is finished by another process.
fn killed_at(extract: &str, load: &str, contents: fn(&World) -> String, point: &str) {
    let world = world(extract, load);
    run_until(&world, contents, "1 2 3 4 5 6");
    world.query("DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (7, 'n')");
    run_through(&world, point, || {});
    world.query("INSERT INTO orders VALUES (8, 'n')");
    let expected = if load.contains("soft") { "1+ 2 3 4 5 6 7 8" } else { "2 3 4 5 6 7 8" };
    run_until(&world, contents, expected);
}

fn killed_anywhere(extract: &'static str, load: &str, contents: fn(&World) -> String) {
    at_each_step(|point| killed_at(extract, load, contents, point));
}

#[test]
fn a_process_killed_at_any_step_of_a_comparison_with_a_delta_table_leaves_what_the_source_has() {
    killed_anywhere("", &format!("{LAKE}, on_delete: hard"), lake);
}

#[test]
fn a_process_killed_at_any_step_of_a_comparison_with_a_postgres_table_leaves_what_the_source_has() {
    killed_anywhere("", &format!("{POSTGRES}, on_delete: soft"), copied);
}

#[test]
fn a_process_killed_at_any_step_of_a_scan_of_keys_leaves_what_the_source_has() {
    killed_anywhere(CURSOR, &format!("{LAKE}, on_delete: soft, deletes: {{ by: keys, every: 0s }}"), lake);
}

/// Findings of a plan, as `line:column code message`.
fn findings(world: &World, tasks: &str) -> Vec<String> {
    write(world, tasks);
    let done = world.run(&["plan", "p.yaml", "--json"]);
    let plan: Value = serde_json::from_str(&done.stdout).unwrap();
    let text = |found: &Value| {
        assert_eq!(found["line"], 7, "{found}");
        format!("{} {}", found["code"].as_str().unwrap(), found["message"].as_str().unwrap())
    };
    plan["diagnostics"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_source_that_may_leave_rows_out_is_refused_where_missing_rows_are_deleted() {
    let world = world("", LAKE);
    world.query("CREATE VIEW few AS SELECT * FROM orders WHERE id < 3; CREATE TABLE more (LIKE orders)");
    let load = "  l: { load: { input: t, into: lake.t, mode: upsert, keys: [id], on_delete: hard } }\n";
    let judged = |task: &str| findings(&world, &format!("  t: {{ {task} }}\n{load}"));
    let orders = "source.public.orders";
    for sql in [
        format!("SELECT id, note AS text, id::text AS t, upper(note) AS n FROM {orders} ORDER BY id"),
        format!("SELECT id, note FROM {orders} UNION ALL SELECT id, note FROM source.public.more"),
        format!("WITH o AS (SELECT id, note FROM {orders}) SELECT * FROM o"),
    ] {
        assert_eq!(judged(&format!("transform: \"{sql}\"")), Vec::<String>::new(), "{sql}");
    }
    for (sql, what) in [
        (format!("SELECT id FROM {orders} WHERE NOT gone"), "has a condition"),
        (format!("SELECT id FROM {orders} LIMIT 5"), "has a LIMIT"),
        (format!("SELECT id FROM {orders} ORDER BY id LIMIT 5"), "has a LIMIT"),
        (format!("SELECT DISTINCT id FROM {orders}"), "has a DISTINCT"),
        (format!("SELECT id FROM {orders} UNION SELECT id FROM source.public.more"), "has a DISTINCT"),
        (format!("SELECT id, count(*) AS n FROM {orders} GROUP BY id"), "has an aggregate"),
        (format!("SELECT o.id FROM {orders} o JOIN source.public.more m ON m.id = o.id"), "has a join"),
        (format!("SELECT id, row_number() OVER (ORDER BY id) AS n FROM {orders}"), "has a window function"),
        ("SELECT id FROM source.public.few".to_owned(), "is a view, which may leave rows out"),
    ] {
        let found = judged(&format!("transform: \"{sql}\""));
        let [found] = found.as_slice() else { panic!("{sql}: {found:?}") };
        assert!(
            found.starts_with("bad_load a row that is not read would be deleted") && found.contains(what),
            "{sql}: {found}"
        );
    }
    let found = judged("extract: { connection: source, query: \"SELECT * FROM orders\" }");
    assert!(found.len() == 1 && found[0].contains("'t' reads a query"), "{found:?}");
    let found = judged("extract: { from: source.public.few }");
    assert!(found.len() == 1 && found[0].contains("'t' reads a view"), "{found:?}");
}

#[test]
fn a_condition_that_can_not_be_and_a_column_that_is_taken_are_refused_at_their_place() {
    let world = world("", LAKE);
    world.query("CREATE TABLE marked (id bigint PRIMARY KEY, deleted_at timestamptz)");
    let judged = |table: &str, rest: &str| {
        let load = format!("  l: {{ load: {{ input: t, into: lake.t, mode: upsert, keys: [id], {rest} }} }}\n");
        findings(&world, &format!("  t: {{ extract: {{ from: source.public.{table} }} }}\n{load}"))
    };
    for (condition, what) in [
        ("status = 'D'", "unknown_column"),
        ("id", "the condition is Int64; expected true or false"),
        ("count(*) > 1", "an aggregate can't stand in it"),
        ("id IN (SELECT 1)", ""),
    ] {
        let found = judged("orders", &format!("deleted_when: \"{condition}\""));
        assert!(found.len() == 1 && found[0].contains(what), "{condition}: {found:?}");
    }
    assert_eq!(judged("orders", "deleted_when: gone"), Vec::<String>::new());
    let found = judged("marked", "on_delete: soft");
    assert!(found.len() == 1 && found[0].contains("the rows have a column deleted_at"), "{found:?}");
    assert_eq!(judged("marked", "on_delete: hard"), Vec::<String>::new());
}
