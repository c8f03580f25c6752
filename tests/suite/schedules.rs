//! Schedules, end to end: who fires, how often, with which data interval, and what people are told about it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::support::{Running, World, eventually};

/// A process with one role that is ready.
fn serve(world: &World, role: &str) -> Running {
    let serving = world.start(world.command(&["serve", "--roles", role]));
    eventually("it is ready", || serving.stderr().contains("headwater is ready"));
    serving
}

fn runs(world: &World) -> Vec<Value> {
    let list = world.json(&["runs", "list", "--json", "--limit", "500"]);
    list["runs"].as_array().unwrap().clone()
}

/// The fire times of all runs, sorted.
fn fire_times(world: &World) -> Vec<DateTime<Utc>> {
    let mut times: Vec<_> =
        runs(world).iter().map(|run| run["fire_time"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap()).collect();
    times.sort_unstable();
    times
}

#[test]
fn a_fire_that_made_no_run_is_shown_with_its_reason() {
    let world = World::new();
    world.write("slow.yaml", "name: slow\nschedule: { every: 1s, overlap: skip }\ntasks:\n  only: { wait: 1h }\n");
    world.succeed(&["apply", "slow.yaml"]);
    let serving = [serve(&world, "worker"), serve(&world, "scheduler")];
    let last = || world.json(&["schedules", "list", "--json"])["schedules"][0]["last_skipped"].clone();
    eventually("a fire is skipped", || last().as_str().is_some_and(|why| !why.is_empty()));
    assert!(world.succeed(&["schedules", "list"]).contains("skipped"));
    for serving in serving {
        serving.signal("KILL");
        assert!(serving.wait().was_killed());
    }
}

#[test]
fn what_a_killed_process_held_goes_on_at_once_on_its_machine() {
    let world = World::new();
    let spec = format!(
        "name: slow\nconnections:\n  shop: {{ type: postgres, url: \"{}\" }}\ntasks:\n  \
         rows: {{ extract: {{ connection: shop, query: \"SELECT 1 AS one FROM pg_sleep(3)\" }} }}\n  \
         kept: {{ load: {{ input: rows, into: shop.public.kept, mode: append }} }}\n",
        world.url()
    );
    world.write("slow.yaml", &spec);
    world.succeed(&["apply", "slow.yaml"]);
    let patient = |world: &World| {
        let mut command = world.command(&["serve", "--roles", "scheduler,worker"]);
        // Nobody waits for so long: that its process has ended has to be seen.
        command.env("HEADWATER_LEASE_TIME_MS", "3600000");
        let serving = world.start(command);
        eventually("it is ready", || serving.stderr().contains("headwater is ready"));
        serving
    };
    let first = patient(&world);
    let watching = world.start(world.command(&["run", "slow", "--remote"]));
    eventually("it runs", || runs(&world).first().is_some_and(|run| run["state"] == "running"));
    first.signal("KILL");
    assert!(first.wait().was_killed());
    let second = patient(&world);
    eventually("the run has succeeded", || runs(&world)[0]["state"] == "succeeded");
    assert!(watching.wait().status.success());
    assert_eq!(world.query("SELECT count(*) FROM kept"), "1");
    second.signal("TERM");
    assert_eq!(second.wait().code(), Some(0));
}

#[test]
fn two_schedulers_make_one_run_of_each_second_and_one_that_comes_later_catches_up() {
    let world = World::new();
    world.write(
        "tick.yaml",
        "name: tick\nschedule: { every: 1s, catchup: all, overlap: allow }\ntasks:\n  only: { wait: 1ms }\n",
    );
    world.succeed(&["apply", "tick.yaml"]);
    let worker = serve(&world, "worker");
    let schedulers = [serve(&world, "scheduler"), serve(&world, "scheduler")];
    eventually("six seconds were scheduled by two", || fire_times(&world).len() >= 6);
    let [first, second] = schedulers;
    first.signal("KILL");
    assert!(first.wait().was_killed());
    let seen = fire_times(&world).len();
    eventually("the other one goes on", || fire_times(&world).len() >= seen + 2);
    second.signal("KILL");
    assert!(second.wait().was_killed());
    let seen = fire_times(&world);
    let missed = *seen.last().unwrap() + TimeDelta::seconds(4);
    eventually("some seconds pass", || Utc::now() > missed);
    assert_eq!(fire_times(&world), seen, "nobody is there to schedule them");
    let third = serve(&world, "scheduler");
    eventually("they are caught up", || *fire_times(&world).last().unwrap() > missed + TimeDelta::seconds(1));
    world.succeed(&["schedules", "pause", "tick"]);
    let times = fire_times(&world);
    let next_to_each_other = times.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::seconds(1));
    assert!(next_to_each_other, "one run for each second: {times:?}");
    eventually("all have run", || runs(&world).iter().all(|run| run["state"] == "succeeded"));
    for serving in [third, worker] {
        serving.signal("TERM");
        assert_eq!(serving.wait().code(), Some(0));
    }
}

/// Two rows a second for some minutes.
const EVENTS: &str = "CREATE TABLE events AS
    SELECT at FROM generate_series(date_trunc('minute', now()), now() + interval '5 minutes', interval '500 ms') at";

#[test]
fn scheduled_runs_share_the_rows_by_their_data_intervals_in_transforms_and_rules() {
    let world = World::new();
    world.query(EVENTS);
    world.succeed(&["connections", "add", "shop", &world.url()]);
    world.succeed(&["connections", "add", "lake", "delta", &format!("file://{}/lake", world.folder.display())]);
    let spec = |name: &str, rule: &str| {
        format!(
            "name: {name}
schedule: {{ every: 2s, catchup: all, overlap: allow }}
tasks:
  mine:
    transform: |
      SELECT at, $interval_start AS starts, $interval_end AS ends
      FROM shop.public.events WHERE at >= $interval_start AND at < $interval_end
  clean: {{ check: {{ input: mine, rules: [ {{ sql: \"{rule}\" }} ] }} }}
  publish: {{ load: {{ input: clean, into: lake.{name}, mode: append }} }}
"
        )
    };
    world.write("right.yaml", &spec("right", "at >= $interval_start AND at < $interval_end AND ends = $interval_end"));
    world.write("wrong.yaml", &spec("wrong", "at < $interval_start"));
    world.succeed(&["apply", "right.yaml"]);
    let serving = serve(&world, "scheduler,worker");
    eventually("three runs are done", || runs(&world).iter().filter(|run| run["state"] == "succeeded").count() >= 3);
    world.succeed(&["apply", "wrong.yaml"]);
    eventually("the rule refuses the other's rows", || {
        runs(&world).iter().any(|run| run["pipeline"] == "wrong" && run["state"] == "failed")
    });
    serving.signal("TERM");
    assert_eq!(serving.wait().code(), Some(0));
    let right: Vec<Value> =
        runs(&world).into_iter().filter(|run| run["pipeline"] == "right" && run["state"] == "succeeded").collect();
    let found =
        "SELECT count(*) AS rows, count(DISTINCT at) AS times, count(DISTINCT ends) AS intervals FROM lake.right";
    let (rows, intervals) = (4 * right.len(), right.len());
    assert_eq!(
        world.succeed(&["sql", found, "--format", "csv"]),
        format!("rows,times,intervals\n{rows},{rows},{intervals}\n")
    );
    let ends = world.succeed(&["sql", "SELECT DISTINCT ends FROM lake.right ORDER BY ends DESC", "--format", "csv"]);
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let ends: Vec<_> = ends.lines().skip(1).map(time).collect();
    let fired: Vec<_> = right.iter().map(|run| time(run["fire_time"].as_str().unwrap())).collect();
    assert_eq!(ends, fired);
    assert_eq!(world.delta_files("wrong"), 0);
}

#[test]
fn a_preview_shows_both_clocks_and_their_changes() {
    let world = World::new();
    world.write(
        "nightly.yaml",
        "name: nightly\nschedule: { cron: '30 2 * * *', timezone: Europe/Berlin, jitter: 10m }\ntasks:\n  only: { wait: 1ms }\n",
    );
    let words = "every day at 02:30 in Europe/Berlin, up to 10 min late";
    let spring = world.succeed(&["schedules", "preview", "nightly.yaml", "--from", "2026-03-28", "--count", "3"]);
    insta::assert_snapshot!("preview_of_spring", spring);
    assert!(world.succeed(&["plan", "nightly.yaml"]).contains(&format!("schedule: {words}\n")));
    assert_eq!(world.json(&["plan", "nightly.yaml", "--json"])["schedule_in_words"], words);
    assert!(world.succeed(&["apply", "nightly.yaml"]).contains(words));
    assert!(world.succeed(&["schedules", "list"]).contains(words));
    let listed = world.json(&["schedules", "list", "--json"]);
    assert_eq!(listed["schedules"][0]["schedule_in_words"], words);
    let autumn =
        world.json(&["schedules", "preview", "nightly", "--from", "2026-10-25T00:30:00Z", "--count", "2", "--json"]);
    assert_eq!(autumn["fires"][0]["local_time"], "2026-10-25T02:30:00+02:00", "{autumn:#}");
    assert_eq!(autumn["fires"][1]["interval_start"], "2026-10-25T00:30:00Z");
    assert_eq!(autumn["fires"][1]["fire_time"], "2026-10-26T01:30:00Z");
    world.succeed(&["schedules", "pause", "nightly"]);
    assert!(world.succeed(&["schedules", "preview", "nightly"]).contains("paused"));
}

#[test]
fn a_preview_of_a_faulty_schedule_says_what_is_wrong_with_it() {
    let world = World::new();
    world.write(
        "faulty.yaml",
        "name: faulty\nschedule: { every: 1h, start: tomorrow, jitter: 2h }\ntasks:\n  x: { load: {} }\n",
    );
    let done = world.run(&["schedules", "preview", "faulty.yaml"]);
    assert_eq!(done.code(), Some(1), "{done}");
    assert!(done.stderr.contains("'tomorrow' is neither a date") && done.stderr.contains("'jitter' is 2h"), "{done}");
}
