//! What people ask for, end to end: whose connections a run uses, what an approval changes, what is refused and how.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Done, World, eventually};

/// A world with a table `t` of ten rows and stored connections `shop` and `lake`.
fn world() -> World {
    let world = World::new();
    world.query("CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)");
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "lake", "delta", &lake(&world, "lake")]);
    world
}

fn lake(world: &World, folder: &str) -> String {
    format!("file://{}/{folder}", world.folder.display())
}

/// A spec that copies `shop.public.t` into `lake.t`.
fn copy(name: &str, further: &str) -> String {
    format!(
        "name: {name}\n{further}tasks:\n  rows: {{ extract: {{ from: shop.public.t }} }}\n  \
         publish: {{ load: {{ input: rows, into: lake.t, mode: append }} }}\n"
    )
}

/// A run's or a plan's own `lake`, in another folder.
fn own_lake(world: &World) -> String {
    format!("connections:\n  lake: {{ type: delta, location: \"{}\" }}\n", lake(world, "own"))
}

fn refused(done: &Done, words: &[&str]) {
    assert_eq!(done.code(), Some(1), "{done}");
    for word in words {
        assert!(done.stderr.contains(word), "'{word}' is missing: {done}");
    }
}

fn connections(world: &World) -> serde_json::Value {
    world.json(&["connections", "list", "--json"])["connections"].clone()
}

#[test]
fn a_runs_own_connection_serves_it_and_its_rerun_and_leaves_the_stored_one_alone() {
    let world = world();
    let before = connections(&world);
    world.write("own.yaml", &copy("own", &own_lake(&world)));
    world.succeed(&["plan", "own.yaml"]);
    let run = world.json(&["run", "own.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert!(world.folder.join("own/t/_delta_log").exists() && !world.folder.join("lake/t").exists());
    let rerun = world.json(&["runs", "rerun", run["run_id"].as_str().unwrap(), "--all", "--json"]);
    assert_eq!(rerun["state"], "succeeded", "{rerun:#}");
    assert!(!world.folder.join("lake/t").exists(), "the rerun has the run's connection");
    assert_eq!(connections(&world), before);
}

#[test]
fn an_applied_folder_is_one_change_whose_files_know_each_others_connections() {
    let world = World::new();
    world.query("CREATE TABLE t (id bigint)");
    std::fs::create_dir(world.folder.join("specs")).unwrap();
    let shop = format!("connections:\n  shop: {{ type: postgres, url: \"{}\" }}\n", world.url());
    world.write("specs/a.yaml", &copy("first", &shop));
    world.write("specs/b.yaml", &copy("second", &own_lake(&world)));
    let told = world.succeed(&["apply", "specs"]);
    let will = told.find("pipeline second (specs/b.yaml) will be approved for the first time").unwrap();
    let is = told.find("pipeline first is at version 1 (no schedule)").unwrap();
    assert!(will < is, "what will change is printed first: {told}");
    assert_eq!(connections(&world).as_array().unwrap().len(), 2);
    world.write("specs/b.yaml", &copy("second", &own_lake(&world)).replace("lake.t", "lkae.t"));
    world.write("specs/a.yaml", &copy("first", &shop).replace("append", "overwrite"));
    refused(&world.run(&["apply", "specs"]), &["b.yaml", "lkae"]);
    assert_eq!(world.json(&["pipelines", "show", "first", "--json"])["version"], 1, "nothing was applied");
    world.write("specs/b.yaml", &copy("first", &own_lake(&world)));
    refused(&world.run(&["apply", "specs"]), &["pipeline 'first' is in two files", "a.yaml", "b.yaml"]);
}

#[test]
fn a_variable_that_nobody_allowed_is_not_resolved_for_a_files_connection() {
    let world = World::new();
    let spec =
        copy("sly", "connections:\n  shop: { type: postgres, url: \"postgres://x@127.0.0.1:1/${PRIVATE_THING}\" }\n");
    world.write("sly.yaml", &spec);
    for arguments in [&["plan", "sly.yaml"][..], &["run", "sly.yaml"]] {
        let mut command = world.command(arguments);
        let done = world.start({
            command.env("PRIVATE_THING", "hunter22");
            command
        });
        let done = done.wait();
        refused(&done, &["PRIVATE_THING", "--allow-variable PRIVATE_THING"]);
        assert!(!format!("{done}").contains("hunter22"), "{done}");
    }
    world.write("headwater.toml", "allowed_variables = [\"PRIVATE_*\"]\n");
    let plan = |further: &[&str]| {
        let mut command = world.command(&["plan", "sly.yaml"]);
        command.env("PRIVATE_THING", "hunter22").args(further);
        world.start(command).wait()
    };
    refused(&plan(&[]), &["PRIVATE_THING, which a file's connection may not resolve"]);
    refused(&plan(&["--config", "headwater.toml"]), &["refused the connection"]);
}

#[test]
fn a_secret_in_a_setting_that_is_refused_is_not_repeated() {
    let world = World::new();
    for location in ["postgres://u@h/d?sslpassword=hunter22", "postgres://u@h/d?nonsense=hunter22"] {
        let done = world.run(&["connections", "add", "pw", location]);
        assert_eq!(done.code(), Some(1), "{done}");
        assert!(!format!("{done}").contains("hunter22"), "{done}");
    }
    let done = world.run(&["connections", "add", "pw", "postgres://u@h/d", "--set", "password=12345678"]);
    refused(&done, &["option 'password' is a number: expected text"]);
    assert!(!format!("{done}").contains("12345678"), "{done}");
    refused(&world.run(&["connections", "add", "pw", "postgress://u@h/d"]), &["did you mean 'postgres'"]);
}

#[test]
fn a_generated_spec_plans_when_connections_are_called_source_and_target() {
    let world = World::new();
    world.query("CREATE TABLE source (id bigint); CREATE TABLE lines (id bigint)");
    world.succeed(&["connections", "add", "source", &world.url()]);
    world.succeed(&["connections", "add", "target", "delta", &lake(&world, "lake")]);
    world.write("new.yaml", &world.succeed(&["new", "--from", "source.public.*", "--into", "target"]));
    world.succeed(&["plan", "new.yaml"]);
}

#[test]
fn two_reruns_of_one_run_at_a_time_are_one_run() {
    let world = world();
    world.write("slow.yaml", "name: slow\ntasks:\n  first: { wait: 2s }\n");
    let mut running = world.command(&["run", "slow.yaml", "--remote"]);
    running.stdin(Stdio::null());
    let running = world.start(running);
    eventually("the run is there", || world.json(&["runs", "list", "--json"])["runs"].as_array().unwrap().len() == 1);
    let run = world.json(&["runs", "list", "--json"])["runs"][0]["run_id"].as_str().unwrap().to_owned();
    world.succeed(&["runs", "cancel", &run]);
    assert_eq!(running.wait().code(), Some(1));
    let reruns = [0, 1].map(|_| world.start(world.command(&["runs", "rerun", &run, "--json"])));
    let ids = reruns.map(|rerun| {
        let done = rerun.wait();
        assert_eq!(done.code(), Some(0), "{done}");
        let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        document["run_id"].clone()
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(world.json(&["runs", "list", "--json"])["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_in_use_is_not_removed_and_what_is_unknown_is_not_limited() {
    let world = world();
    world.write("copy.yaml", &copy("copy", ""));
    world.succeed(&["apply", "copy.yaml"]);
    refused(&world.run(&["connections", "remove", "lake"]), &["used by the approved pipeline copy"]);
    refused(&world.run(&["limits", "set", "connection:shpo", "2"]), &["did you mean 'shop'"]);
    refused(&world.run(&["pause", "connection:nosuch"]), &["no connection named 'nosuch'"]);
    let listed = world.json(&["pipelines", "list", "--json"]);
    assert_eq!(listed["pipelines"][0]["pipeline"], "copy");
    assert!(world.succeed(&["pipelines", "show", "copy"]).contains("into: lake.t"));
    assert_eq!(world.json(&["pipelines", "versions", "copy", "--json"])["versions"][0]["current"], true);
    world.succeed(&["pipelines", "remove", "copy"]);
    world.succeed(&["connections", "remove", "lake"]);
    let actions = world.control("SELECT string_agg(action, ' ' ORDER BY id) FROM audit WHERE face = 'command_line'");
    assert_eq!(actions, "connections.put connections.put pipelines.apply pipelines.remove connections.remove");
}

#[test]
fn a_connection_of_a_run_that_is_under_way_is_not_removed() {
    let world = world();
    world.write("copy.yaml", &copy("copy", ""));
    let watching = world.start(world.command(&["run", "copy.yaml", "--remote"]));
    eventually("it is queued", || world.control("SELECT count(*) FROM ready") == "1");
    let removed = world.run(&["connections", "remove", "lake"]);
    refused(&removed, &["is used by run", "of copy, which is under way", "runs cancel"]);
    watching.signal("INT");
    watching.wait();
}

#[test]
fn what_pipelines_show_prints_can_be_applied_and_changes_nothing() {
    let world = world();
    world.write("copy.yaml", &copy("copy", ""));
    world.succeed(&["apply", "copy.yaml"]);
    let shown = world.succeed(&["pipelines", "show", "copy"]);
    world.write("shown.yaml", &shown);
    assert!(world.succeed(&["apply", "shown.yaml"]).contains("stays at version 1"), "{shown}");
}

#[test]
fn a_manual_run_that_needs_an_interval_is_refused_without_one() {
    let world = world();
    let spec = "name: daily\ntasks:\n  mine: { transform: \"SELECT id, $interval_start AS since FROM shop.public.t\" }\n  \
                publish: { load: { input: mine, into: lake.daily, mode: append } }\n";
    world.write("daily.yaml", spec);
    refused(&world.run(&["run", "daily.yaml"]), &["$interval_start", "--interval"]);
    let run = world.json(&["run", "daily.yaml", "--interval", "2026-11-01..2026-11-02", "--json"]);
    assert_eq!((&run["state"], &run["interval_end"]), (&"succeeded".into(), &"2026-11-02T00:00:00Z".into()));
    refused(&world.run(&["run", "daily.yaml", "--interval", "2026-11-02..2026-11-01"]), &["ends before it starts"]);
}

#[test]
fn a_failed_run_is_logged_once_and_counted() {
    let world = world();
    world.query("INSERT INTO t VALUES (-1)");
    let spec = "name: broken\nschedule: { every: 1h }\ntasks:\n  rows: { extract: { from: shop.public.t } }\n  \
                good: { check: { input: rows, rules: [ { sql: \"id > 0\", name: positive } ] } }\n  \
                publish: { load: { input: good, into: lake.t, mode: append } }\n";
    world.write("broken.yaml", spec);
    world.succeed(&["apply", "broken.yaml"]);
    let serving = [0, 1].map(|_| world.serve(""));
    serving.iter().for_each(|serving| eventually("it is ready", || serving.stderr().contains("headwater is ready")));
    assert_eq!(world.run(&["run", "broken"]).code(), Some(1));
    let told = || serving.iter().map(|serving| serving.stderr()).collect::<String>();
    eventually("the failure is logged", || told().contains("run failed"));
    let counted = "SELECT count FROM rollups WHERE kind = 'run' AND state = 'failed'";
    eventually("the run is counted", || world.control(counted) == "1");
    for serving in &serving {
        serving.signal("TERM");
    }
    let ended: String = serving.map(|serving| serving.wait().stderr).concat();
    assert_eq!(ended.matches("run failed").count(), 1, "{ended}");
    for word in ["broken", "good", "positive"] {
        assert!(ended.contains(word), "{word}: {ended}");
    }
}

#[test]
fn the_cause_of_each_retry_is_shown_and_a_run_is_named_by_its_beginning() {
    let world = world();
    let spec =
        copy("again", "").replace("append }", "append }, retry: { attempts: 3, backoff: constant, delay: 100ms }");
    world.write("again.yaml", &spec);
    let mut command = world.command(&["run", "again.yaml", "--json"]);
    command.env("HEADWATER_FAILPOINTS", "after_write=error");
    let done = world.start(command).wait();
    assert_eq!(done.code(), Some(0), "{done}");
    assert!(done.stderr.contains("publish: attempt 1 failed"), "{done}");
    let run: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let id = run["run_id"].as_str().unwrap();
    let told = world.succeed(&["runs", "show", &id[..30]]);
    assert!(told.contains("attempt 1 of publish failed") && told.contains("after_write"), "{told}");
    refused(&world.run(&["runs", "show", "ffff"]), &["there is no run ffff", "headwater runs list"]);
    refused(&world.run(&["runs", "cancel"]), &["no run is unfinished"]);
}

#[test]
fn a_statement_comes_from_a_file_or_standard_input_and_a_closed_pipe_ends_it_quietly() {
    let world = world();
    world.write("ask.sql", "SELECT count(*) AS n FROM shop.public.t");
    assert_eq!(world.succeed(&["sql", "-f", "ask.sql", "--format", "csv"]), "n\n10\n");
    let mut command = world.command(&["sql", "-", "--format", "csv"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT max(id) AS n FROM shop.public.t").unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(done.stdout).unwrap(), "n\n10\n");
    world.query("INSERT INTO t SELECT generate_series(11, 200000)");
    let mut command = world.command(&["sql", "SELECT * FROM shop.public.t", "--format", "csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap()), (Some(141), String::new()));
}

#[test]
fn a_query_that_fails_in_mid_stream_ends_as_a_document_with_an_error() {
    let world = world();
    world.query("INSERT INTO t SELECT generate_series(11, 100000)");
    let done = world.run(&["sql", "SELECT 10 / (50000 - id) AS n FROM shop.public.t", "--json"]);
    assert_eq!(done.code(), Some(1), "{done}");
    let document: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(document["error"]["message"].is_string(), "{}", done.stderr);
    assert!(document["rows"].is_array());
}

#[test]
fn a_paused_schedule_shows_no_next_fire() {
    let world = world();
    world.write("nightly.yaml", "name: nightly\nschedule: { cron: '30 2 * * *' }\ntasks:\n  only: { wait: 1ms }\n");
    world.succeed(&["apply", "nightly.yaml"]);
    world.succeed(&["schedules", "pause", "nightly"]);
    let listed = world.succeed(&["schedules", "list"]);
    assert_eq!(listed.matches("paused").count(), 2, "as its state and as its next fire: {listed}");
    assert!(world.json(&["schedules", "list", "--json"])["schedules"][0]["next_fire_at"].is_null());
}

#[test]
fn a_result_is_written_in_the_format_of_its_files_ending_and_a_file_of_another_ending_is_left_alone() {
    let world = world();
    let written = |file: &str| {
        world.succeed(&["sql", "SELECT id FROM shop.public.t ORDER BY id", "-o", file]);
        std::fs::read(world.folder.join(file)).unwrap()
    };
    assert!(written("ids.csv").starts_with(b"id\n1\n2\n"));
    assert!(written("ids.parquet").starts_with(b"PAR1"));
    world.write("ids.txt", "kept");
    refused(&world.run(&["sql", "SELECT 1", "-o", "ids.txt"]), &["the format of ids.txt is not known", "--format csv"]);
    assert_eq!(std::fs::read_to_string(world.folder.join("ids.txt")).unwrap(), "kept");
}

#[test]
fn what_waits_is_explained_although_a_newer_run_has_ended() {
    let world = world();
    world.write("slow.yaml", "name: slow\ntasks:\n  a: { wait: 1h }\n");
    world.write("quick.yaml", "name: quick\ntasks:\n  a: { wait: 0s }\n");
    world.succeed(&["apply", "slow.yaml"]);
    let slow = world.start(world.command(&["run", "slow", "--remote"]));
    eventually("it is queued", || world.control("SELECT count(*) FROM ready") == "1");
    world.succeed(&["run", "quick.yaml", "--local"]);
    let why = world.succeed(&["runs", "why"]);
    assert!(why.contains("no worker serves queue default"), "{why}");
    assert!(!why.contains("waits for nothing"), "{why}");
    slow.signal("INT");
    slow.wait();
}

#[test]
fn whoever_replaces_a_connection_is_told_which_approved_pipelines_use_it() {
    let world = world();
    world.write("orders.yaml", &copy("orders", ""));
    world.succeed(&["apply", "orders.yaml"]);
    let other = lake(&world, "other");
    let added = world.json(&["connections", "add", "lake", "delta", &other, "--json"]);
    assert_eq!((added["change"].as_str(), &added["users"][0]), (Some("changed"), &"orders".into()), "{added:#}");
    let told = world.succeed(&["connections", "add", "lake", "delta", &lake(&world, "lake")]);
    assert!(told.contains("it replaces the one that approved pipelines use: orders"), "{told}");
    world.write("connections.yaml", &own_lake(&world));
    let told = world.succeed(&["apply", "connections.yaml"]);
    assert!(told.contains("connection lake will be replaced; approved pipelines use it: orders"), "{told}");
}

#[test]
fn a_report_has_every_failure_every_warning_and_what_to_do_once_a_newer_version_is_approved() {
    let world = world();
    let spec = |least: &str| {
        format!(
            "name: judged\ntasks:\n  rows: {{ extract: {{ from: shop.public.t }} }}\n  \
             low: {{ check: {{ input: rows, rules: [ {{ sql: \"id > {least}\", name: enough }}, {{ sql: \"id < {least}\", name: few }} ] }} }}\n  \
             high: {{ check: {{ input: rows, rules: [ {{ sql: \"id < 9\", name: small }} ], on_failure: warn }} }}\n  \
             odd: {{ transform: \"SELECT 10 / (id - {least}) AS n FROM rows\" }}\n  \
             a: {{ load: {{ input: low, into: lake.a, mode: append }} }}\n  \
             b: {{ load: {{ input: high, into: lake.b, mode: append }} }}\n  \
             c: {{ load: {{ input: odd, into: lake.c, mode: append }} }}\n"
        )
    };
    world.write("judged.yaml", &spec("5"));
    world.succeed(&["apply", "judged.yaml"]);
    let failed = world.run(&["run", "judged"]);
    let (rule, other) = ("rule enough is violated by 5 rows", "rule few is violated by 6 rows");
    for told in
        [rule, other, "warning high: rule small is violated by 2 rows, e.g. id = 9", "a row divides by zero", "NULLIF"]
    {
        assert!(failed.stdout.contains(told), "{told}: {failed}");
    }
    assert!(!failed.stdout.contains("approved now"), "{failed}");
    world.write("judged.yaml", &spec("0"));
    world.succeed(&["apply", "judged.yaml"]);
    let shown = world.succeed(&["runs", "show"]);
    assert!(shown.contains("headwater run judged for version 2, which is approved now"), "{shown}");
    let lines = world.succeed(&["runs", "logs", "--json"]);
    let levels = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["level"].clone());
    assert!(levels.into_iter().any(|level| level == "warn"), "{lines}");
}

#[test]
fn values_of_a_source_do_nothing_to_the_terminal() {
    let world = World::new();
    world.query("CREATE TABLE t (id bigint, t text); INSERT INTO t VALUES (1, E'\\x1b[2J\\nrun forged: succeeded')");
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "lake", "delta", &lake(&world, "lake")]);
    world.write(
        "evil.yaml",
        "name: evil\ntasks:\n  rows: { extract: { from: shop.public.t } }\n  \
         c: { check: { input: rows, rules: [ { sql: \"length(t) < 3\", name: short } ], on_failure: warn } }\n  \
         publish: { load: { input: c, into: lake.t, mode: append } }\n",
    );
    for told in
        [world.succeed(&["run", "evil.yaml"]), world.succeed(&["runs", "show"]), world.succeed(&["runs", "logs"])]
    {
        assert!(told.contains("forged") && !told.contains('\u{1b}') && !told.contains("\nrun forged"), "{told}");
    }
}

#[test]
fn a_folder_is_planned_as_it_would_be_applied() {
    let world = World::new();
    world.query("CREATE TABLE t (id bigint)");
    std::fs::create_dir(world.folder.join("specs")).unwrap();
    world.write("specs/a.yaml", &format!("connections:\n  shop: {{ type: postgres, url: \"{}\" }}\n", world.url()));
    world.write("specs/b.yaml", &copy("second", &own_lake(&world)));
    let plans = world.json(&["plan", "specs", "--json"])["plans"].clone();
    assert_eq!((plans[1]["pipeline"].as_str(), plans[1]["file"].as_str()), (Some("second"), Some("specs/b.yaml")));
    let alone = world.run(&["plan", "specs/a.yaml"]);
    assert!(alone.code() == Some(0) && alone.stderr.is_empty(), "{alone}");
    world.write("broken.yaml", "connections:\n  ok: { type: postgres, url: \"postgres://u@h/d\", bogus: 1 }\n");
    refused(&world.run(&["plan", "broken.yaml"]), &["bogus"]);
    world.write("specs/b.yaml", &copy("second", &own_lake(&world)).replace("shop.", "shpo."));
    refused(&world.run(&["plan", "specs"]), &["b.yaml", "shpo"]);
}
