//! Intervals of the past that are loaded slice by slice. The target is read by psql.

use serde_json::Value;

use crate::support::{World, eventually};

/// A world with ten days of orders, and an approved pipeline that replaces the days of its interval.
fn days() -> World {
    let world = World::new();
    world.query(
        "CREATE TABLE orders AS SELECT n AS id, (timestamptz '2026-01-01 12:00Z' + (n % 10) * interval '1 day') AS at, 1 AS price
         FROM generate_series(1, 1000) n",
    );
    let spec = format!(
        "name: daily\nconnections:\n  shop: {{ type: postgres, url: \"{}\" }}\ntasks:\n  mine:\n    transform: |\n      SELECT id, \
         to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, price FROM shop.public.orders WHERE at >= $interval_start AND at < $interval_end\n  \
         publish: {{ load: {{ input: mine, into: shop.public.by_day, mode: delete_insert, keys: [day] }} }}\n",
        world.url()
    );
    world.write("daily.yaml", &spec);
    world.succeed(&["apply", "daily.yaml"]);
    world
}

fn backfill<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut command = vec!["backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-11"];
    command.extend(more);
    command
}

const BY_DAY: &str = "SELECT count(*) || ' ' || count(DISTINCT day) || ' ' || sum(price) FROM by_day";

#[test]
fn a_backfill_loads_each_slice_once_and_repeating_it_changes_nothing() {
    let world = days();
    let report = world.json(&backfill(&["--parallel", "3", "--json"]));
    assert_eq!(
        (&report["state"], &report["slices"], &report["succeeded"]),
        (&"succeeded".into(), &10.into(), &10.into())
    );
    assert_eq!(world.query(BY_DAY), "1000 10 1000");
    world.query("UPDATE orders SET price = 2");
    world.succeed(&backfill(&[]));
    assert_eq!(world.query(BY_DAY), "1000 10 2000");
    let runs = world.json(&["runs", "list", "--json", "--limit", "100"]);
    let runs = runs["runs"].as_array().unwrap().clone();
    assert_eq!(runs.len(), 20);
    assert!(runs.iter().all(|run| run["trigger"] == "backfill"));
}

#[test]
fn a_dry_run_shows_the_slices_and_starts_nothing() {
    let world = days();
    let plan = world.json(&backfill(&["--every", "1w", "--dry-run", "--json"]));
    let slices = plan["slices"].as_array().unwrap();
    let ends: Vec<&str> = slices.iter().map(|slice| slice["to"].as_str().unwrap()).collect();
    assert_eq!(ends, ["2026-01-08T00:00:00Z", "2026-01-11T00:00:00Z"]);
    assert_eq!(plan["targets"][0], "shop.public.by_day");
    assert_eq!(world.json(&["backfills", "list", "--json"])["backfills"], Value::Array(Vec::new()));
}

#[test]
fn a_slice_that_fails_stops_the_rest_and_resume_takes_them_up() {
    let world = days();
    world.query("ALTER TABLE orders RENAME COLUMN price TO cost");
    let failed = world.run(&backfill(&[]));
    assert_eq!(failed.code(), Some(1), "{failed}");
    assert!(failed.stderr.contains("slice 1 of 10") && failed.stderr.contains("price"), "{failed}");
    let shown = world.json(&["backfills", "show", "daily", "--json"]);
    assert_eq!((&shown["state"], &shown["failed"], &shown["running"]), (&"failed".into(), &1.into(), &0.into()));
    assert_eq!(shown["slice_runs"][1]["state"], "waiting");
    world.query("ALTER TABLE orders RENAME COLUMN cost TO price");
    world.succeed(&["backfills", "resume", "daily"]);
    assert_eq!(world.query(BY_DAY), "1000 10 1000");
}

#[test]
fn a_backfill_that_was_killed_goes_on_where_it_was() {
    let world = days();
    let running = world.start(world.command(&backfill(&[])));
    eventually("two slices are loaded", || running.stderr().contains("slice 2 of 10"));
    running.signal("KILL");
    running.wait();
    let shown = world.json(&["backfills", "show", "daily", "--json"]);
    assert_eq!(shown["state"], "running");
    world.succeed(&["backfills", "resume", "daily"]);
    assert_eq!(world.query(BY_DAY), "1000 10 1000");
}

#[test]
fn an_interrupted_backfill_cancels_its_runs_and_can_be_resumed() {
    let world = days();
    let running = world.start(world.command(&backfill(&[])));
    eventually("a slice is loaded", || running.stderr().contains("slice 1 of 10"));
    running.signal("INT");
    let done = running.wait();
    let state = world.json(&["backfills", "show", "daily", "--json"])["state"].clone();
    if state != "succeeded" {
        assert_eq!((done.code(), state), (Some(1), "canceled".into()), "{done}");
        world.succeed(&["backfills", "resume", "daily"]);
    }
    assert_eq!(world.query(BY_DAY), "1000 10 1000");
}

#[test]
fn schedulers_and_workers_do_it_if_it_is_left_to_them() {
    let world = days();
    let serving = world.serve("");
    eventually("it is ready", || serving.stderr().contains("headwater is ready"));
    world.succeed(&backfill(&["--parallel", "2", "--detach"]));
    eventually("all slices are loaded", || {
        world.json(&["backfills", "show", "daily", "--json"])["state"] == "succeeded"
    });
    assert_eq!(world.query(BY_DAY), "1000 10 1000");
}

#[test]
fn a_cursor_stays_where_it_is_while_the_rows_of_an_interval_are_read_again() {
    let world = World::new();
    world.query(
        "CREATE TABLE orders (id bigint PRIMARY KEY, note text, updated_at timestamptz NOT NULL);
         INSERT INTO orders SELECT n, 'a', timestamptz '2026-01-01 12:00Z' + (n % 10) * interval '1 day' FROM generate_series(1, 100) n",
    );
    let spec = format!(
        "name: daily\nconnections:\n  shop: {{ type: postgres, url: \"{}\" }}\ntasks:\n  orders: {{ extract: {{ from: shop.public.orders, cursor: updated_at }} }}\n  \
         publish: {{ load: {{ input: orders, into: shop.public.copied, mode: upsert, keys: [id] }} }}\n",
        world.url()
    );
    world.write("daily.yaml", &spec);
    world.succeed(&["apply", "daily.yaml"]);
    world.succeed(&["run", "daily"]);
    let cursor = || world.json(&["cursors", "show", "daily", "--json"])["cursors"][0]["generation"].clone();
    let before = cursor();
    // Rows that went wrong in the target, whoever did it.
    world.query("UPDATE copied SET note = 'wrong' WHERE id % 10 IN (2, 3); DELETE FROM copied WHERE id = 5");
    let report =
        world.json(&["backfill", "daily", "--from", "2026-01-03", "--to", "2026-01-05", "--parallel", "4", "--json"]);
    assert_eq!((&report["state"], &report["parallel"]), (&"succeeded".into(), &1.into()));
    assert_eq!(world.query("SELECT count(*) || ' ' || count(*) FILTER (WHERE note = 'wrong') FROM copied"), "99 0");
    assert_eq!(cursor(), before);
    world.query("INSERT INTO orders VALUES (1000, 'new', now())");
    eventually("the new row is there", || {
        world.succeed(&["run", "daily"]);
        world.query("SELECT note FROM copied WHERE id = 1000") == "new"
    });
}

#[test]
fn what_would_not_replace_a_slice_is_refused() {
    let world = World::new();
    world.query("CREATE TABLE orders AS SELECT 1 AS id, now() AS at");
    let refused = |name: &str, statement: &str, load: &str, words: &[&str]| {
        let spec = format!(
            "name: {name}\nconnections:\n  shop: {{ type: postgres, url: \"{}\" }}\ntasks:\n  mine: {{ transform: \"SELECT id FROM shop.public.orders{statement}\" }}\n  \
             publish: {{ load: {{ input: mine, into: shop.public.copied, {load} }} }}\n",
            world.url()
        );
        world.write("p.yaml", &spec);
        world.succeed(&["apply", "p.yaml"]);
        let done = world.run(&["backfill", name, "--from", "2026-01-01", "--to", "2026-01-02"]);
        assert!(done.code() != Some(0) && words.iter().all(|word| done.stderr.contains(word)), "{done}");
    };
    let slice = " WHERE at >= $interval_start AND at < $interval_end";
    refused("whole", "", "mode: upsert, keys: [id]", &["the same rows", "$interval_start"]);
    refused("twice", slice, "mode: append", &["publish", "append", "there twice"]);
    refused("gone", slice, "mode: overwrite", &["overwrite", "replace the rows of all others"]);
}

#[test]
fn slices_without_number_are_refused() {
    let world = days();
    let many = world.run(&["backfill", "daily", "--from", "1970-01-01", "--to", "2026-01-02", "--every", "1h"]);
    assert!(many.code() != Some(0) && many.stderr.contains("more than 10000 slices"), "{many}");
}

#[test]
fn slices_that_would_delete_each_others_rows_are_refused_before_they_do() {
    let world = World::new();
    world.query(
        "CREATE TABLE ev AS SELECT g AS id, ts AS at, (ts AT TIME ZONE 'Europe/Berlin')::date AS day,
                date_trunc('month', ts AT TIME ZONE 'Europe/Berlin')::date AS month
         FROM (SELECT g, timestamptz '2026-01-01 00:30+00' + g * interval '1 hour' AS ts FROM generate_series(0, 71) g) s",
    );
    let lake = world.folder.join("lake").display().to_string();
    for (key, into) in [("day", "shop.public.by_day"), ("month", "lake.by_month")] {
        let spec = format!(
            "name: by_{key}\nconnections:\n  shop: {{ type: postgres, url: \"{}\" }}\n  lake: {{ type: delta, location: \"file://{lake}\" }}\ntasks:\n  \
             raw: {{ transform: \"SELECT * FROM shop.public.ev WHERE at >= $interval_start AND at < $interval_end\" }}\n  \
             publish: {{ load: {{ input: raw, into: {into}, mode: delete_insert, keys: [{key}] }} }}\n",
            world.url()
        );
        world.write("p.yaml", &spec);
        world.succeed(&["apply", "p.yaml"]);
        let name = format!("by_{key}");
        let command = ["backfill", &name, "--from", "2026-01-01", "--to", "2026-01-04", "--every", "1d"];
        let plan = world.succeed(&[command.as_slice(), &["--dry-run"]].concat());
        assert!(plan.contains("a slice fails if its rows have a key of another slice"), "{plan}");
        let done = world.run(&command);
        assert_eq!(done.code(), Some(1), "{done}");
        assert!(done.stderr.contains("of the key") && done.stderr.contains("delete_insert"), "{done}");
        let shown = world.json(&["backfills", "show", &name, "--json"]);
        assert_eq!((&shown["state"], &shown["succeeded"]), (&"failed".into(), &1.into()), "{shown:#}");
    }
    assert_eq!(world.query("SELECT count(*) FROM by_day"), "24", "the rows of the first slice are there");
    // Cut as the keys are, nothing meets. The rows after the last midnight of Berlin are the next slice's.
    let days = ["backfill", "by_day", "--from", "2026-01-01", "--to", "2026-01-05", "--timezone", "Europe/Berlin"];
    world.succeed(&[days.as_slice(), &["--every", "1d"]].concat());
    assert_eq!(world.query("SELECT count(*) FROM by_day"), "72");
}

#[test]
fn what_has_no_intervals_of_time_is_refused_by_the_dry_run_too() {
    let world = World::new();
    world.query("CREATE TABLE num (id int PRIMARY KEY); INSERT INTO num VALUES (1)");
    let spec = format!(
        "name: numbers\nconnections:\n  shop: {{ type: postgres, url: \"{}\" }}\ntasks:\n  raw: {{ extract: {{ from: shop.public.num, cursor: id }} }}\n  \
         publish: {{ load: {{ input: raw, into: shop.public.copied, mode: upsert, keys: [id] }} }}\n",
        world.url()
    );
    world.write("p.yaml", &spec);
    world.succeed(&["apply", "p.yaml"]);
    world.succeed(&["connections", "catalog", "shop", "--refresh"]);
    let done = world.run(&["backfill", "numbers", "--from", "2026-01-01", "--to", "2026-01-03", "--dry-run"]);
    assert!(done.code() == Some(1) && done.stderr.contains("the cursor id of shop.public.num is a number"), "{done}");
}
