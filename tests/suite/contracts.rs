//! A source that gets a column while its pipeline runs night by night: the plan shows what comes, each row is there once, whatever is killed.

use serde_json::Value;

use crate::cursors::world;
use crate::killed::{at_each_step, run_through};
use crate::support::{World, eventually, python};

const LAKE: &str = "  publish: { load: { input: orders, into: lake.orders, mode: append, schema: add_columns } }\n";
const POSTGRES: &str = "  publish: { load: { input: orders, into: source.public.copied, mode: upsert, keys: [id], schema: add_columns } }\n";

/// Rows of the lake's table, as `id:size` in order; NULL if it has no such column.
fn lake(world: &World) -> String {
    let path = world.folder.join("lake/orders").display().to_string();
    let program = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(' '.join(sorted(f\"{r['id']}:{r.get('size')}\" for r in t)))";
    python(program, &[&path])
}

/// The same of the table in Postgres.
fn copied(world: &World) -> String {
    world.query(
        "SELECT string_agg(id || ':' || coalesce(to_jsonb(c) ->> 'size', 'None'), ' ' ORDER BY id) FROM copied c",
    )
}

fn run(world: &World) -> Value {
    let run = world.json(&["run", "p.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    run
}

#[test]
fn a_new_column_of_the_source_is_shown_by_the_plan_and_in_the_receipt() {
    let world = world(LAKE);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    eventually("the first row is loaded", || {
        run(&world);
        lake(&world) == "1:None"
    });
    world.query("ALTER TABLE orders ADD COLUMN size text; INSERT INTO orders VALUES (2, 'b', now(), 'xl')");
    let plan = world.succeed(&["plan", "p.yaml"]);
    for part in [
        "ALTER TABLE lake.orders ADD COLUMNS (size STRING)",
        "column size (STRING) is new: it is added (schema: add_columns)",
        "headwater run p --full-refresh",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    eventually("the new row is loaded with its size", || {
        run(&world);
        lake(&world) == "1:None 2:xl"
    });
    let receipt = world.control("SELECT receipt -> 'columns_added' FROM loads ORDER BY created_at DESC LIMIT 1");
    assert_eq!(receipt, "[{\"name\": \"size\", \"type\": \"STRING\"}]");
    let run_id = world.control("SELECT run_id FROM loads ORDER BY created_at DESC LIMIT 1");
    let shown = world.succeed(&["runs", "show", &run_id]);
    assert!(shown.contains("columns added: size STRING"), "{shown}");
    let full = world.json(&["run", "p.yaml", "--full-refresh", "--json"]);
    assert_eq!(full["state"], "succeeded", "{full:#}");
    assert_eq!(lake(&world), "1:None 2:xl");
}

#[test]
fn a_frozen_load_is_refused_by_the_plan_with_the_line_to_paste() {
    let load = "  publish: { load: { input: orders, into: lake.orders, mode: append } }\n";
    let world = world(load);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    eventually("the first row is loaded", || {
        run(&world);
        lake(&world) == "1:None"
    });
    world.query("ALTER TABLE orders ADD COLUMN size text");
    let refused = world.run(&["plan", "p.yaml"]);
    assert!(!refused.status.success(), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("the table has no column size (STRING)") && told.contains("`schema: add_columns`"), "{told}");
}

/// Is killed at one place while it adds a column, and finished by another process.
fn killed_at(load: &str, contents: impl Fn(&World) -> String, point: &str) {
    let world = world(load);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    eventually("the first row is loaded", || {
        run(&world);
        contents(&world) == "1:None"
    });
    world.query("ALTER TABLE orders ADD COLUMN size text; INSERT INTO orders VALUES (2, 'b', now(), 'xl')");
    run_through(&world, point, || {
        let found = contents(&world);
        assert!(["1:None", "1:None 2:xl"].contains(&found.as_str()), "{point}: nobody sees half of it: {found}");
    });
    eventually(point, || {
        run(&world);
        contents(&world) == "1:None 2:xl"
    });
}

fn killed_anywhere(load: &str, contents: impl Fn(&World) -> String + Copy + Send + Sync) {
    at_each_step(|point| killed_at(load, contents, point));
}

#[test]
fn a_process_killed_at_any_step_of_adding_a_column_to_a_delta_table_leaves_it_added_once() {
    killed_anywhere(LAKE, lake);
}

#[test]
fn a_process_killed_at_any_step_of_adding_a_column_to_a_postgres_table_leaves_it_added_once() {
    killed_anywhere(POSTGRES, copied);
}
