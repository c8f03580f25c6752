//! The control plane's database: where its tables are, who may make them, and what happens when it is out of reach.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Done, World, eventually, server};

/// The master key of the installation in tests/fixtures, which was made for this test.
const ITS_KEY: &str = "0f133d284d6c6f5a972811b81960a25c5001d356702caedc37abb1ee52a04248";

/// Time after which a fleet whose control plane was out of reach must work again.
const HEALED: Duration = Duration::from_secs(15);

#[test]
fn a_fleet_whose_control_plane_swallowed_everything_works_again_within_fifteen_seconds() {
    let world = World::new();
    world.write("tick.yaml", "name: tick\nschedule: { every: 1s, overlap: allow }\ntasks:\n  only: { wait: 1ms }\n");
    world.succeed(&["apply", "tick.yaml"]);
    let (link, url) = world.control_link();
    let mut command = world.command(&["serve", "--roles", "scheduler,worker"]);
    command.env("HEADWATER_DATABASE_URL", url);
    let serving = world.start(command);
    let succeeded = || world.control("SELECT count(*) FROM runs WHERE state = 'succeeded'").parse::<u64>().unwrap();
    eventually("schedules fire", || succeeded() >= 2);
    link.go_dark();
    // Long enough for every session to hang in a statement.
    std::thread::sleep(Duration::from_secs(4));
    let before = succeeded();
    link.mend();
    let mended = Instant::now();
    eventually("runs succeed again", || succeeded() > before + 1);
    assert!(mended.elapsed() < HEALED, "it took {:?}", mended.elapsed());
    serving.signal("TERM");
    assert_eq!(serving.wait().code(), Some(0));
}

/// A command on a database of its own, which an environment variable names.
fn on(world: &World, variable: &str, database: &str, arguments: &[&str]) -> Done {
    let mut command = world.command(arguments);
    command
        .env_remove("HEADWATER_DATABASE_URL")
        .env(variable, server().url(database))
        .env("HEADWATER_MASTER_KEY", ITS_KEY);
    world.start(command).wait()
}

#[test]
fn an_applications_database_gets_no_tables_from_a_command_that_finds_it_in_the_environment() {
    let world = World::new();
    server().query(&world.source, "CREATE TABLE customers (id bigint)");
    let listed = on(&world, "DATABASE_URL", &world.source, &["runs", "list"]);
    assert_eq!(listed.code(), Some(0), "{listed}");
    let tables = "SELECT string_agg(schemaname || '.' || relname, ', ') FROM pg_stat_user_tables";
    assert_eq!(server().query(&world.source, tables), "public.customers");
}

#[test]
fn a_database_that_holds_other_tables_is_asked_for_first() {
    let world = World::new();
    server().query(&world.source, "CREATE TABLE customers (id bigint)");
    for command in [&["runs", "list"][..], &["up"], &["admin", "migrate"]] {
        let refused = on(&world, "HEADWATER_DATABASE_URL", &world.source, command);
        assert_eq!(refused.code(), Some(1), "{refused}");
        assert!(refused.stderr.contains("headwater admin migrate"), "{refused}");
    }
    let allowed = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["admin", "migrate", "--shared-database"]);
    assert_eq!(allowed.code(), Some(0), "{allowed}");
    let listed = on(&world, "DATABASE_URL", &world.source, &["runs", "list"]);
    assert_eq!(listed.code(), Some(0), "{listed}");
    let beside = "SELECT string_agg(DISTINCT schemaname, ', ') FROM pg_stat_user_tables";
    assert_eq!(server().query(&world.source, beside), "headwater, public");
}

#[test]
fn a_control_plane_that_refuses_is_reported_at_once_with_the_cause() {
    let world = World::new();
    for (url, words) in [
        ("postgres://headwater@127.0.0.1:1/headwater", "127.0.0.1:1 refused the connection"),
        (&server().url("nosuch"), "there is no database 'nosuch' on the server"),
        ("postgres://headwater@nosuch.invalid/headwater", "the host of nosuch.invalid:5432 is unknown"),
    ] {
        let began = Instant::now();
        let mut command = world.command(&["runs", "list"]);
        command.env("HEADWATER_DATABASE_URL", url);
        let refused = world.start(command).wait();
        assert!(began.elapsed() < Duration::from_secs(8), "{refused}");
        assert_eq!(refused.code(), Some(1));
        assert!(refused.stderr.contains(words) && refused.stderr.contains("hint:"), "{refused}");
    }
}

#[test]
fn an_installation_that_kept_its_tables_in_public_is_moved_with_its_history() {
    let world = World::new();
    let dump = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/installation_0011.sql");
    let restored = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump])
        .arg(server().url(&world.source))
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    server().query(&world.source, "CREATE TABLE customers (id bigint)");
    // JSON may hold what jsonb refuses.
    server().query(
        &world.source,
        r#"CREATE TABLE copy AS SELECT v.* FROM public.versions v JOIN public.pipelines p ON p.id = v.pipeline_id
               WHERE p.name = 'nightly' AND v.number = 1;
           UPDATE copy SET id = gen_random_uuid(), number = 9, hash = sha256('9'), spec = '{"name": "nightly", "description": "\u0000",
               "connections": {"old": {"type": "postgres", "url": "postgres://app:hunter2@h/d"}}}';
           INSERT INTO public.versions SELECT * FROM copy;
           DROP TABLE copy"#,
    );
    let refused = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["runs", "list"]);
    assert!(refused.stderr.contains("in the schema public") && refused.stderr.contains("admin migrate"), "{refused}");
    server().query(
        &world.source,
        "INSERT INTO public.workers (id, host, queues, slots, plan_formats) VALUES (gen_random_uuid(), 'elsewhere', '{default}', 1, '{1}')",
    );
    let alive = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["admin", "migrate"]);
    assert!(alive.stderr.contains("alive on elsewhere"), "{alive}");
    server().query(&world.source, "DELETE FROM public.workers");
    let moved = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["admin", "migrate"]);
    assert_eq!(moved.code(), Some(0), "{moved}");
    assert!(moved.stderr.contains("shop (pipeline nightly, version 1)"), "its password is to be replaced: {moved}");
    let kept = "SELECT count(*) FROM versions WHERE spec_text LIKE '%hunter2%' OR spec::text LIKE '%hunter2%'";
    assert_eq!(server().query(&world.source, kept), "0");
    assert!(moved.stderr.contains("old (pipeline nightly, version 9)"), "{moved}");
    let public = "SELECT string_agg(tablename, ', ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(server().query(&world.source, public), "compat_floor, customers");
    assert_eq!(server().query(&world.source, "SELECT floor FROM public.compat_floor"), "2", "older binaries refuse");
    let functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(server().query(&world.source, functions), "0");
    // The history is there, and can be gone on with.
    let runs = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["runs", "list", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs.stdout).unwrap();
    let states: Vec<&str> = runs["runs"].as_array().unwrap().iter().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["succeeded", "failed", "succeeded"]);
    let again = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["run", "naps", "--json"]);
    assert_eq!(again.code(), Some(0), "{again}");
    let schedules = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["schedules", "list"]);
    assert!(schedules.stdout.contains("nightly"), "{schedules}");
    let checked = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["connections", "check", "shop"]);
    assert!(checked.stderr.contains("127.0.0.1:1/shop refused the connection"), "its seal can be opened: {checked}");
}

#[test]
fn a_step_of_an_upgrade_that_was_interrupted_is_done_by_the_next_migration() {
    let world = World::new();
    let migrate = || on(&world, "HEADWATER_DATABASE_URL", &world.source, &["admin", "migrate"]);
    assert_eq!(migrate().code(), Some(0));
    let name = "on_its_own";
    let spec = format!("name: {name}\ntasks:\n  a: {{ wait: 0s }}\n");
    world.write("spec.yaml", &spec);
    let applied = on(&world, "HEADWATER_DATABASE_URL", &world.source, &["apply", "spec.yaml"]);
    assert_eq!(applied.code(), Some(0), "{applied}");
    // As an earlier version left it: a spec with a password, and the step that is still to be done.
    server().query(
        &world.source,
        r#"ALTER TABLE headwater.versions DISABLE TRIGGER ALL;
           UPDATE headwater.versions SET spec_text = 'connections: { shop: { type: postgres, url: "postgres://u:hunter2@h/d" } }' || E'\n' || spec_text,
               spec = (spec::jsonb || '{"connections": {"shop": {"type": "postgres", "url": "postgres://u:hunter2@h/d"}}}')::json;
           ALTER TABLE headwater.versions ENABLE TRIGGER ALL;
           INSERT INTO headwater.upgrade_steps VALUES ('mask_versions')"#,
    );
    let done = migrate();
    assert!(done.stderr.contains("shop (pipeline on_its_own, version 1)"), "{done}");
    let kept =
        "SELECT count(*) FROM headwater.versions WHERE spec_text LIKE '%hunter2%' OR spec::text LIKE '%hunter2%'";
    assert_eq!(server().query(&world.source, kept), "0");
    assert!(!migrate().stderr.contains("shop (pipeline"), "it is done once");
}
