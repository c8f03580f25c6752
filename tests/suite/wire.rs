//! What happens on the wire: answers that get lost, and sockets that swallow everything.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Running, World, eventually, server};

fn spec(world: &World, source: &str, target: &str, extract: &str) -> String {
    let folder = world.folder.display();
    format!(
        "name: copy\nconnections:\n  source: {{ type: postgres, url: \"{source}\" }}\n  \
         target: {{ type: postgres, url: \"{target}\" }}\n  lake: {{ type: delta, location: \"file://{folder}/lake\" }}\n\
         tasks:\n  rows: {{ extract: {extract} }}\n"
    )
}

#[test]
fn a_commit_whose_answer_is_lost_on_the_wire_is_found_in_the_target() {
    let world = World::new();
    let expected = world.query(
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12,2));
         INSERT INTO orders SELECT i, i / 4.0 FROM generate_series(1, 20000) i;
         SELECT count(*), count(DISTINCT id), sum(amount) FROM orders",
    );
    let (_link, target) = world.link(Some("); COMMIT"));
    let text = spec(&world, &world.url(), &target, "{ from: source.public.orders }");
    world.write(
        "copy.yaml",
        &format!("{text}  publish: {{ load: {{ input: rows, into: target.public.copied, mode: append }} }}\n"),
    );
    let run = world.json(&["run", "copy.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert_eq!(run["receipts"][0]["attempt"], 1, "{run:#}");
    assert_eq!(world.query("SELECT count(*), count(DISTINCT id), sum(amount) FROM copied"), expected);
    assert_eq!(world.query("SELECT count(*) FROM _headwater_loads"), "1");
}

#[test]
fn a_query_behind_a_socket_that_swallows_everything_is_canceled_within_two_seconds() {
    let world = World::new();
    let (link, source) = world.link(None);
    let text = spec(
        &world,
        &source,
        &world.url(),
        "{ connection: source, query: \"SELECT i, pg_sleep(0.1)::text AS nap FROM generate_series(1, 1000) i\" }",
    );
    world.write(
        "copy.yaml",
        &format!("{text}  publish: {{ load: {{ input: rows, into: lake.copied, mode: append }} }}\n"),
    );
    let running = world.start(world.command(&["run", "copy.yaml"]));
    let busy = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%pg_sleep%'";
    eventually("the source is being read", || world.query(busy) != "0");
    link.swallow();
    is_left_alone_once_canceled(&world, running);
}

#[test]
fn a_query_that_waits_for_a_lock_is_canceled_within_two_seconds() {
    let world = World::new();
    world.query("CREATE TABLE orders (id bigint)");
    let text = spec(&world, &world.url(), &world.url(), "{ connection: source, query: \"SELECT id FROM orders\" }");
    world.write(
        "copy.yaml",
        &format!("{text}  publish: {{ load: {{ input: rows, into: lake.copied, mode: append }} }}\n"),
    );
    world.succeed(&["apply", "copy.yaml"]);
    let locker = Locker::new(&world.source, "orders");
    let running = world.start(world.command(&["run", "copy"]));
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the source waits", || world.query(waiting) != "0");
    is_left_alone_once_canceled(&world, running);
    drop(locker);
}

#[test]
fn an_interrupt_is_not_lost_while_the_control_plane_keeps_its_watcher_waiting() {
    let world = World::new();
    let text = "name: nap\ntasks:\n  rest: { wait: 60s }\n";
    world.write("nap.yaml", text);
    let running = world.start(world.command(&["run", "nap.yaml"]));
    eventually("the run is being watched", || running.stderr().contains("rest: "));
    let locker = Locker::new(&world.control, "runs");
    let watcher =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the watcher waits", || world.control(watcher) != "0");
    running.signal("INT");
    eventually("the interrupt is heard", || running.stderr().contains("canceling"));
    drop(locker);
    assert_eq!(running.wait().code(), Some(1));
    assert_eq!(world.json(&["runs", "show", "--json"])["state"], "canceled");
}

/// A session of somebody else's that holds a lock on a table until it is dropped.
struct Locker<'a> {
    database: &'a str,
    psql: Child,
}

impl<'a> Locker<'a> {
    fn new(database: &'a str, table: &str) -> Self {
        let psql = Command::new("psql")
            .args(["-X", "-q", "-c", &format!("BEGIN; LOCK TABLE {table}; SELECT pg_sleep(600)")])
            .arg(server().url(database))
            .env("PGAPPNAME", "locker")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let locker = Self { database, psql };
        eventually("the table is locked", || locker.ask("count(*)", "wait_event = 'PgSleep'") == "1");
        locker
    }

    fn ask(&self, what: &str, condition: &str) -> String {
        let own = "application_name = 'locker' AND datname = current_database()";
        server().query(self.database, &format!("SELECT {what} FROM pg_stat_activity WHERE {own} AND {condition}"))
    }
}

impl Drop for Locker<'_> {
    fn drop(&mut self) {
        // A server that sleeps doesn't notice that its client is gone.
        self.ask("pg_terminate_backend(pid)", "true");
        self.psql.kill().unwrap();
        self.psql.wait().unwrap();
    }
}

/// Cancels a run. Two seconds later no session of ours is left on the source.
fn is_left_alone_once_canceled(world: &World, running: Running) {
    let ours = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE 'headwater %'";
    assert_ne!(world.query(ours), "0");
    running.signal("INT");
    let start = Instant::now();
    eventually("the source is left alone", || world.query(ours) == "0");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let done = running.wait();
    assert_eq!(done.code(), Some(1), "{done}");
    assert_eq!(world.json(&["runs", "show", "--json"])["state"], "canceled");
}
