//! Loads that keep history, end to end: each version once, whatever is killed. Targets are read by software that shares no code with Headwater.

use crate::cursors::world;
use crate::killed::{at_each_step, run_through};
use crate::support::{World, eventually, python};

const INTO_LAKE: &str =
    "  publish: { load: { input: orders, into: lake.history, mode: scd2, keys: [id], order_by: updated_at } }\n";
const INTO_POSTGRES: &str = "  publish: { load: { input: orders, into: source.public.history, mode: scd2, keys: [id], order_by: updated_at } }\n";

/// Versions as `id:note`, with a `+` where they hold, in order; and whether each begins where the one before has ended.
fn versions_of_lake(world: &World) -> String {
    let program = "import deltalake, sys\n\
        rows = sorted(deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist(), key=lambda r: (r['id'], r['valid_from']))\n\
        for a, b in zip(rows, rows[1:]):\n    assert a['id'] != b['id'] or a['valid_to'] == b['valid_from'], rows\n\
        print(' '.join(f\"{r['id']}:{r['note']}{'+' if r['is_current'] and r['valid_to'] is None else ''}\" for r in rows))";
    python(program, &[&world.folder.join("lake/history").display().to_string()])
}

fn versions_of_postgres(world: &World) -> String {
    let gaps = "SELECT count(*) FROM (SELECT id, valid_from, lag(valid_to) OVER (PARTITION BY id ORDER BY valid_from) AS ended,
                row_number() OVER (PARTITION BY id ORDER BY valid_from) AS n FROM history) h WHERE n > 1 AND ended IS DISTINCT FROM valid_from";
    assert_eq!(world.query(gaps), "0");
    world.query("SELECT string_agg(id || ':' || note || CASE WHEN is_current AND valid_to IS NULL THEN '+' ELSE '' END, ' ' ORDER BY id, valid_from) FROM history")
}

fn run(world: &World) {
    let run = world.json(&["run", "p.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
}

fn killed_at(load: &str, versions: impl Fn(&World) -> String, point: &str) {
    let world = world(load);
    world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    eventually("the first rows are loaded", || {
        run(&world);
        versions(&world) == "1:a+ 2:b+"
    });
    world.query(
        "UPDATE orders SET note = 'A', updated_at = clock_timestamp() WHERE id = 1; INSERT INTO orders VALUES (3, 'c')",
    );
    run_through(&world, point, || {});
    eventually(point, || {
        run(&world);
        versions(&world) == "1:a 1:A+ 2:b+ 3:c+"
    });
}

fn killed_anywhere(load: &str, versions: impl Fn(&World) -> String + Copy + Send + Sync) {
    at_each_step(|point| killed_at(load, versions, point));
}

#[test]
fn a_process_killed_at_any_step_of_a_delta_load_with_history_leaves_every_version_once() {
    killed_anywhere(INTO_LAKE, versions_of_lake);
}

#[test]
fn a_process_killed_at_any_step_of_a_postgres_load_with_history_leaves_every_version_once() {
    killed_anywhere(INTO_POSTGRES, versions_of_postgres);
}

#[test]
fn the_version_of_a_row_that_is_gone_ends_and_one_that_comes_back_begins_there() {
    for (load, versions) in [
        (INTO_LAKE, versions_of_lake as fn(&World) -> String),
        (INTO_POSTGRES, versions_of_postgres as fn(&World) -> String),
    ] {
        let world = world(&load.replace("mode: scd2", "mode: scd2, on_delete: close, max_delete: 60%"));
        let spec = std::fs::read_to_string(world.folder.join("p.yaml")).unwrap();
        world.write("p.yaml", &spec.replace(", cursor: updated_at", ""));
        world.query("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
        eventually("the first rows are loaded", || {
            run(&world);
            versions(&world) == "1:a+ 2:b+"
        });
        let was = world.query("SELECT updated_at FROM orders WHERE id = 2");
        world.query("DELETE FROM orders WHERE id = 2");
        eventually("the version has ended", || {
            run(&world);
            versions(&world) == "1:a+ 2:b"
        });
        world.query(&format!("INSERT INTO orders VALUES (2, 'b', '{was}')"));
        eventually("another one has begun", || {
            run(&world);
            versions(&world) == "1:a+ 2:b 2:b+"
        });
    }
}

#[test]
fn what_a_history_can_not_be_is_refused_at_plan_and_what_opens_a_version_is_said() {
    let world = world(INTO_LAKE);
    world.query("INSERT INTO orders VALUES (1, 'a')");
    let plan = world.succeed(&["plan", "p.yaml"]);
    assert!(
        plan.contains("a change of any column but updated_at opens a version that holds since updated_at"),
        "{plan}"
    );
    assert!(plan.contains("valid_from") && plan.contains("is_current"), "{plan}");
    let spec = std::fs::read_to_string(world.folder.join("p.yaml")).unwrap();
    world.write(
        "parted.yaml",
        &spec.replace("order_by: updated_at", "order_by: updated_at, partition_by: [is_current]"),
    );
    world.succeed(&["plan", "parted.yaml"]);
    for (from, to, told) in [
        ("order_by: updated_at", "order_by: id", "the column id is Int64, and a version holds since a time"),
        ("order_by: updated_at", "track: [nonsense]", "there is no column 'nonsense'"),
        ("order_by: updated_at", "track: [id]", "id is a key, which identifies a row and does not change"),
        ("order_by: updated_at", "on_delete: soft", "write `on_delete: close`"),
        ("order_by: updated_at", "deleted_when: id > 1", "'deleted_when' of mode scd2"),
        ("order_by: updated_at", "deletes: { by: keys }", "mode scd2 can't end versions by a scan of keys"),
        ("order_by: updated_at", "late: split", "'late' of a load"),
        ("order_by: updated_at", "max_delete: 5%", "nothing is compared"),
        ("mode: scd2", "on_delete: close, mode: upsert", "ends versions, and the mode keeps none"),
        ("mode: scd2", "mode: upsert, track: [note]", "mode upsert accepts no `track`"),
    ] {
        world.write("bad.yaml", &spec.replace(from, to));
        let done = world.run(&["plan", "bad.yaml"]);
        assert!(done.code() == Some(1) && done.to_string().contains(told), "{to}: {done}");
    }
}
