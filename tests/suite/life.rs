//! The command's everyday life: serving, documents, cancelling, formats, waits and retries.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{World, eventually, python};

/// A world with a table `t` of 1000 rows, a connection `shop` to it and a connection `lake`.
fn world() -> World {
    let world = World::new();
    world.query(
        "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2));
         INSERT INTO t SELECT i, 'n' || i, i / 4.0 FROM generate_series(1, 1000) i",
    );
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "lake", "delta", &format!("file://{}/lake", world.folder.display())]);
    world
}

/// Status line and body of an answer.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn up_answers_for_its_health_and_ends_when_told_to() {
    let world = world();
    let up = world.start(world.command(&["up", "--port", "0"]));
    let address =
        || up.stderr().split_once("ready on http://").map(|(_, rest)| rest.split(';').next().unwrap().to_owned());
    eventually("the server is ready", || address().is_some());
    let address = address().unwrap();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let (status, body) = get(&address, path);
        assert!(status.ends_with("200 OK"), "{path}: {status} {body}");
        assert!(path != "/metrics" || body.contains("headwater_"), "{body}");
    }
    assert!(get(&address, "/nothing").0.contains("404"));
    up.signal("TERM");
    let done = up.wait();
    assert_eq!(done.code(), Some(0), "{done}");
}

#[test]
fn run_prints_one_document_with_the_agreed_fields() {
    let world = world();
    world.write(
        "copy.yaml",
        "name: copy\ntasks:\n  rows: { extract: { from: shop.public.t } }\n  \
         publish: { load: { input: rows, into: lake.t, mode: append } }\n",
    );
    let run = world.json(&["run", "copy.yaml", "--json"]);
    for field in [
        "run_id",
        "pipeline",
        "version",
        "state",
        "trigger",
        "started_at",
        "finished_at",
        "tasks",
        "receipts",
        "attempts",
    ] {
        assert!(!run[field].is_null(), "{field}: {run:#}");
    }
    let task = run["tasks"].as_array().unwrap().iter().find(|task| task["path"] == "publish").unwrap();
    assert_eq!((&task["kind"], &task["state"]), (&"load".into(), &"succeeded".into()));
    assert_eq!(
        (&task["rows_read"], &task["rows_written"], &task["rows_rejected"]),
        (&1000.into(), &1000.into(), &0.into())
    );
    let receipt = &run["receipts"][0];
    for field in [
        "task",
        "load_id",
        "attempt",
        "target",
        "mode",
        "rows_read",
        "rows_written",
        "rows_rejected",
        "bytes",
        "files",
        "version",
        "duration_ms",
        "peak_memory",
        "adopted",
    ] {
        assert!(!receipt[field].is_null(), "{field}: {receipt:#}");
    }
    assert_eq!(world.json(&["runs", "show", "--json"]), run);
    // The worker has taken leave and did not come back.
    assert_eq!(world.json(&["admin", "doctor", "--json"])["workers"], 0);
}

#[test]
fn ctrl_c_cancels_a_run_and_leaves_nothing_on_the_source() {
    let world = world();
    world.write(
        "slow.yaml",
        "name: slow\ntasks:\n  rows: { extract: { connection: shop, query: \"SELECT id, pg_sleep(0.1)::text AS nap FROM t\" } }\n  \
         publish: { load: { input: rows, into: lake.slow, mode: append } }\n",
    );
    let running = world.start(world.command(&["run", "slow.yaml"]));
    let busy = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep%'";
    eventually("the source is being read", || world.query(busy) != "0");
    running.signal("INT");
    let start = Instant::now();
    eventually("the source is left alone", || world.query(busy) == "0");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let done = running.wait();
    assert_eq!(done.code(), Some(1), "{done}");
    assert_eq!(world.json(&["runs", "show", "--json"])["state"], "canceled");
    assert_eq!(world.delta_files("slow"), 0);
    let left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(world.query(left), "0");
}

#[test]
fn a_run_in_the_middle_of_a_long_join_is_canceled_within_seconds() {
    let world = world();
    world.query("CREATE TABLE numbers AS SELECT i AS id FROM generate_series(1, 200000) i");
    // No pair meets the condition, so that the join computes for minutes without any output.
    world.write(
        "pairs.yaml",
        "name: pairs\ntasks:\n  left: { extract: { from: shop.public.numbers } }\n  \
         right: { extract: { from: shop.public.numbers } }\n  \
         pairs: { transform: \"SELECT l.id FROM \\\"left\\\" l JOIN \\\"right\\\" r ON l.id + r.id < 0\" }\n  \
         publish: { load: { input: pairs, into: lake.pairs, mode: append } }\n",
    );
    let running = world.start(world.command(&["run", "pairs.yaml"]));
    eventually("one side is read", || {
        let shown = world.run(&["runs", "show", "--json"]);
        serde_json::from_str(&shown.stdout).is_ok_and(|run: serde_json::Value| {
            run["tasks"].as_array().unwrap().iter().any(|task| task["rows_written"] == 200_000)
        })
    });
    world.succeed(&["runs", "cancel", "--newest"]);
    let start = Instant::now();
    let done = running.wait();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(done.code(), Some(1), "{done}");
    assert_eq!(world.json(&["runs", "show", "--json"])["state"], "canceled");
    assert_eq!(world.delta_files("pairs"), 0);
}

#[test]
fn a_query_is_printed_in_every_format() {
    let world = world();
    let sql = "SELECT id, name, amount FROM shop.public.t ORDER BY id LIMIT 2";
    assert_eq!(world.succeed(&["sql", sql, "--format", "csv"]), "id,name,amount\n1,n1,0.25\n2,n2,0.50\n");
    let table = world.succeed(&["sql", sql]);
    assert!(table.contains("n1") && table.contains("0.50"), "{table}");
    let document = world.json(&["sql", sql, "--json"]);
    assert_eq!(document["rows"].as_array().unwrap().len(), 2, "{document:#}");
    let many = world.run(&["sql", "SELECT id FROM shop.public.t"]);
    assert!(format!("{many}").contains("200"), "the table says that it was cut: {many}");
    world.succeed(&["sql", "SELECT * FROM shop.public.t", "--format", "parquet", "--output", "t.parquet"]);
    let read = "import sys, pyarrow.parquet as p, pyarrow.compute as c\nt = p.read_table(sys.argv[1])\nprint(t.num_rows, c.sum(t['amount']))";
    let file = world.folder.join("t.parquet").display().to_string();
    assert_eq!(python(read, &[&file]), "1000 125125.00");
}

#[test]
fn two_loads_of_one_dataset_see_the_same_rows() {
    let world = world();
    world.write(
        "shared.yaml",
        "name: shared\ntasks:\n  rows: { transform: \"SELECT id, random() AS chance FROM shop.public.t\" }\n  \
         left: { load: { input: rows, into: lake.left, mode: overwrite } }\n  \
         right: { load: { input: rows, into: lake.right, mode: overwrite } }\n",
    );
    assert_eq!(world.json(&["run", "shared.yaml", "--json"])["state"], "succeeded");
    let differing = "SELECT count(*) AS n FROM lake.left l FULL JOIN lake.right r ON l.id = r.id AND l.chance = r.chance \
                     WHERE l.id IS NULL OR r.id IS NULL";
    assert_eq!(world.succeed(&["sql", differing, "--format", "csv"]), "n\n0\n");
    assert_eq!(world.succeed(&["sql", "SELECT count(*) AS n FROM lake.left", "--format", "csv"]), "n\n1000\n");
}

#[test]
fn a_wait_takes_its_time_and_what_needs_it_comes_after() {
    let world = world();
    world.write(
        "pause.yaml",
        "name: pause\ntasks:\n  first: { wait: 1500ms }\n  second: { wait: 0s, needs: [first] }\n",
    );
    let start = Instant::now();
    assert_eq!(world.json(&["run", "pause.yaml", "--json"])["state"], "succeeded");
    assert!(start.elapsed() >= Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn a_transient_failure_is_tried_again_and_loads_once() {
    let world = world();
    world.write(
        "again.yaml",
        "name: again\ntasks:\n  rows: { extract: { from: shop.public.t } }\n  publish:\n    \
         load: { input: rows, into: lake.again, mode: append }\n    retry: { attempts: 3, backoff: constant, delay: 100ms }\n",
    );
    let mut command = world.command(&["run", "again.yaml", "--json"]);
    command.env("HEADWATER_FAILPOINTS", "after_write=error");
    let done = world.start(command).wait();
    assert_eq!(done.code(), Some(0), "{done}");
    let run: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let task = run["tasks"].as_array().unwrap().iter().find(|task| task["path"] == "publish").unwrap();
    assert_eq!(task["attempts"], 2, "{run:#}");
    assert_eq!(world.succeed(&["sql", "SELECT count(*) AS n FROM lake.again", "--format", "csv"]), "n\n1000\n");
}

#[test]
fn a_run_that_no_worker_is_left_for_is_executed_by_the_command_that_asked_for_it() {
    let world = world();
    world.write("pause.yaml", "name: pause\ntasks:\n  only: { wait: 1ms }\n");
    let serving = world.serve("");
    eventually("the worker is there", || world.json(&["admin", "doctor", "--json"])["workers"] == 1);
    serving.signal("KILL");
    assert!(serving.wait().was_killed());
    let done = world.run(&["run", "pause.yaml"]);
    assert_eq!(done.code(), Some(0), "{done}");
}
