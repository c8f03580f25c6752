#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;

mod contracts;
mod deletes;
mod rejects;
mod streams;

fn planned(text: &str) -> Planned {
    let connections = ["shop", "lake", "drop"].map(str::to_owned).into();
    plan(&Document::read("p.yaml", text), &connections)
}

fn told(planned: &Planned) -> Vec<String> {
    planned.diagnostics.iter().map(|d| format!("{}:{} {} {}", d.line, d.column, d.code, d.message)).collect()
}

/// Stages as `name(head): tasks <- staged inputs, after`.
fn stages(text: &str) -> Vec<String> {
    let planned = planned(text);
    let plan = planned.plan.as_ref().unwrap_or_else(|| panic!("{:?}", told(&planned)));
    let told = |stage: &Stage| {
        format!(
            "{}: {} <- {} after {}",
            stage.name,
            stage.tasks.join(" "),
            stage.staged_inputs.join(" "),
            stage.after.join(" ")
        )
    };
    plan.stages.iter().map(told).collect()
}

#[test]
fn datasets_join_the_stage_of_the_one_load_that_reads_them() {
    let text = "
name: p
tasks:
  ingest:
    group:
      orders: { extract: { from: shop.public.orders } }
      customers: { extract: { from: shop.public.customers } }
  joined: { transform: 'SELECT * FROM ingest.orders o JOIN ingest.customers c ON o.c = c.id' }
  clean: { check: { input: joined, rules: [ { not_null: [id] } ] } }
  publish: { load: { input: clean, into: lake.orders, mode: append } }
";
    assert_eq!(stages(text), ["publish: ingest.orders ingest.customers joined clean publish <-  after "]);
}

#[test]
fn a_dataset_that_two_stages_read_is_materialised_once() {
    let text = "
name: p
tasks:
  a: { extract: { from: shop.t } }
  b: { transform: SELECT * FROM a }
  one: { load: { input: b, into: lake.one, mode: append } }
  two: { load: { input: b, into: lake.two, mode: append }, needs: [one] }
";
    assert_eq!(stages(text), ["b: a b <-  after ", "one: one <- b after b", "two: two <- b after b one"]);
}

#[test]
fn a_shared_dataset_is_tried_as_often_as_the_most_patient_of_its_readers() {
    let text = "
name: p
tasks:
  a: { extract: { from: shop.t } }
  b: { check: { input: a, rules: [ { not_null: [id] } ] } }
  patient:
    load: { input: b, into: lake.one, mode: append }
    retry: { attempts: 5, backoff: constant, delay: 1m }
  hasty: { load: { input: a, into: lake.two, mode: append }, retry: { attempts: 2, delay: 1h } }
  once: { load: { input: b, into: lake.three, mode: append } }
  g:
    retry: { attempts: 3 }
    group:
      c: { extract: { from: shop.u } }
      one: { load: { input: c, into: lake.four, mode: append }, retry: { attempts: 9 } }
      two: { load: { input: c, into: lake.five, mode: append } }
  d: { extract: { from: shop.v } }
  alone: { check: { input: d, rules: [ { not_null: [id] } ] } }
";
    let plan = planned(text).plan.unwrap();
    let retry = |stage: &str| plan.stage(stage).unwrap().retry.clone();
    assert_eq!(retry("b"), retry("patient"), "the attempts and the delays of one reader");
    assert_eq!(retry("a"), retry("patient"), "through a dataset that is shared itself");
    assert_eq!(retry("g.c").attempts, 3, "what its group says stands");
    assert_eq!((retry("once").attempts, retry("alone").attempts), (1, 1));
}

#[test]
fn a_connection_matches_exactly_then_in_lower_case_then_by_letters() {
    let with = |task: &str, others: &[&str]| {
        let text = format!("name: p\ntasks:\n  t: {{ extract: {{ from: shop.t }} }}\n  x: {task}\n");
        let names = others.iter().chain(&["shop"]).map(|name| (*name).to_owned()).collect();
        let planned = plan(&Document::read("p.yaml", text), &names);
        let told = told(&planned).join("\n");
        planned.works.get("x").map(|work| work.connections().join(" ")).ok_or(told)
    };
    let from = |name: &str| format!("{{ extract: {{ from: '{name}.public.Orders' }} }}");
    assert_eq!(with(&from("SHOP"), &["Shop"]).unwrap(), "shop");
    assert_eq!(with(&from("Lake"), &["LAKE"]).unwrap(), "LAKE");
    assert_eq!(with("{ extract: { connection: LAKE, query: SELECT 1 } }", &["Lake"]).unwrap(), "Lake");
    assert_eq!(with("{ load: { input: T, into: lAKE.t, mode: append } }", &["Lake"]).unwrap(), "Lake");
    assert_eq!(with("{ load: { input: SHOP.t, into: shop.u, mode: append } }", &[]).unwrap(), "shop shop");
    assert_eq!(
        with(&from("LAKE"), &["Lake", "lakE"]).unwrap_err(),
        "4:25 ambiguous_name 'LAKE' could be \"Lake\" or \"lakE\""
    );
    assert_eq!(
        with(&from("\"SHOP\""), &[]).unwrap_err(),
        "4:25 unknown_connection there is no connection named 'SHOP'",
        "a quoted name matches exactly"
    );
}

#[test]
fn a_dataset_that_nothing_reads_or_that_something_waits_for_is_a_stage_of_its_own() {
    let text = "
name: p
tasks:
  a: { extract: { from: shop.t } }
  seen: { check: { input: a, rules: [ { not_null: [id] } ] } }
  pause: { wait: 1s, needs: [seen] }
  l: { load: { input: shop.u, into: lake.u, mode: append }, needs: [pause] }
";
    assert_eq!(stages(text), ["seen: a seen <-  after ", "pause: pause <-  after seen", "l: l <-  after pause"]);
}

#[test]
fn a_queue_cuts_a_stage_and_groups_hand_settings_down() {
    let text = "
name: p
tasks:
  g:
    queue: big
    retry: { attempts: 4 }
    priority: 7
    timeout: 1m
    group:
      a: { extract: { from: shop.t }, queue: small }
      l: { load: { input: a, into: lake.t, mode: append } }
";
    assert_eq!(stages(text), ["g.a: g.a <-  after ", "g.l: g.l <- g.a after g.a"]);
    let plan = planned(text).plan.unwrap();
    let load = plan.stage("g.l").unwrap();
    assert_eq!((load.queue.as_str(), load.retry.attempts, load.priority), ("big", 4, 7));
    assert_eq!(load.timeout, Some(std::time::Duration::from_secs(60)));
    assert_eq!(plan.stage("g.a").unwrap().queue, "small");
}

#[test]
fn labels_of_groups_add_up_and_a_dataset_that_needs_more_than_its_reader_is_a_stage_of_its_own() {
    let text = "
name: p
tasks:
  g:
    labels: [eu]
    group:
      a: { extract: { from: shop.t }, labels: [vpn] }
      b: { extract: { from: shop.u } }
      j: { transform: select * from a union all select * from b }
      l: { load: { input: j, into: lake.t, mode: append }, labels: [gpu] }
";
    assert_eq!(stages(text), ["g.a: g.a <-  after ", "g.l: g.b g.j g.l <- g.a after g.a"]);
    let plan = planned(text).plan.unwrap();
    assert_eq!(plan.stage("g.a").unwrap().labels, ["eu", "vpn"]);
    assert_eq!(plan.stage("g.l").unwrap().labels, ["eu", "gpu"]);
    assert_eq!(plan.plan_format, LABELED_PLAN_FORMAT, "a worker that knows no labels must not take it");
    assert_eq!(planned("name: p\ntasks: { a: { wait: 0s } }\n").plan.unwrap().plan_format, PLAN_FORMAT);
}

#[test]
fn needing_a_group_is_needing_all_its_tasks_and_a_group_hands_its_needs_down() {
    let text = "
name: p
tasks:
  first: { group: { a: { wait: 0s }, b: { group: { c: { wait: 0s } } } } }
  second: { needs: [first], group: { d: { wait: 0s } } }
";
    assert_eq!(
        stages(text),
        [
            "first.a: first.a <-  after ",
            "first.b.c: first.b.c <-  after ",
            "second.d: second.d <-  after first.a first.b.c"
        ]
    );
}

#[test]
fn names_resolve_among_siblings_first_and_then_outward() {
    let text = "
name: p
tasks:
  t: { extract: { from: shop.outer } }
  g:
    group:
      t: { extract: { from: shop.inner } }
      x: { transform: SELECT * FROM t }
      l: { load: { input: x, into: lake.x, mode: append } }
  y: { transform: SELECT * FROM t }
  l: { load: { input: y, into: lake.y, mode: append } }
";
    assert_eq!(stages(text), ["g.l: g.t g.x g.l <-  after ", "l: t y l <-  after "]);
}

#[test]
fn a_cycle_is_reported_with_its_tasks() {
    let text = "
name: p
tasks:
  a: { transform: SELECT * FROM b }
  b: { transform: SELECT * FROM a }
  w: { wait: 1s, needs: [w] }
";
    assert_eq!(told(&planned(text)), ["4:3 cycle these tasks wait for each other: a → b → a"]);
}

#[test]
fn what_does_not_execute_yet_is_refused_and_never_ignored() {
    let text = "
name: p
tasks:
  a: { extract: { from: shop.t, on_value: fail, columns: { x: { mask: hash } } } }
  c: { check: { input: a, on_failure: quarantine, rules: [ { unique: [x] }, { range: { column: x, min: 1 } } ] } }
  l: { load: { input: c, into: lake.t, mode: upsert, keys: [id], verify: checksum }, when: 'true' }
  n: { notify: { connection: shop, message: done } }
";
    let planned = planned(text);
    assert!(planned.plan.is_none());
    let codes: Vec<(usize, Code)> = planned.diagnostics.iter().map(|d| (d.line, d.code)).collect();
    assert_eq!(
        codes,
        [
            (4, Code::NotYet),
            (4, Code::NotYet),
            (5, Code::NotYet),
            (5, Code::NotYet),
            (6, Code::NotYet),
            (6, Code::NotYet),
            (7, Code::NotYet)
        ]
    );
}

/// The findings of a spec whose tasks are these.
fn cursors(tasks: &str) -> Vec<String> {
    told(&planned(&format!("name: p\ntasks:\n{tasks}")))
}

#[test]
fn a_cursor_that_would_lose_rows_or_load_them_twice_is_refused() {
    let orders = "  o: { extract: { from: shop.orders, cursor: id } }\n";
    let load = |name: &str, rest: &str| format!("  {name}: {{ load: {{ input: o, into: lake.{rest} }} }}\n");
    let found = cursors(&format!("{orders}{}", load("l", "t, mode: overwrite")));
    assert!(found[0].starts_with("4:46 bad_cursor mode"), "{found:?}");
    for mode in ["upsert", "insert_new", "delete_insert", "scd2"] {
        let found = cursors(&format!("{orders}{}", load("l", &format!("t, mode: {mode}, keys: [id]"))));
        assert!(found.is_empty(), "{mode}: {found:?}");
    }
    assert_eq!(cursors(orders), ["3:46 bad_cursor no load takes the new rows of 'o'"]);
    let twice = format!("{orders}{}{}", load("a", "t, mode: append"), load("b", "t, mode: append"));
    assert_eq!(
        cursors(&twice),
        ["5:32 bad_cursor the load 'a' takes rows of one source by one cursor into lake.t too"]
    );
    let lane = orders.replace("cursor: id }", "cursor: id }, queue: big");
    let found = cursors(&format!("{lane}{}", load("l", "t, mode: append")));
    assert!(found[0].contains("bad_cursor 'o' has a queue or labels of its own"), "{found:?}");
    let waiting = format!("{orders}{}  w: {{ wait: 1s, needs: [o] }}\n", load("l", "t, mode: append"));
    assert!(cursors(&waiting)[0].contains("bad_cursor 'o' has tasks that wait for it"), "{:?}", cursors(&waiting));
    let lag = format!("{}{}", orders.replace("cursor: id", "cursor: id, lag: 5"), load("l", "t, mode: append"));
    assert!(cursors(&lag)[0].contains("read again by each run"), "{:?}", cursors(&lag));
}

#[test]
fn what_says_how_a_cursor_reads_is_nothing_without_one() {
    let extract = |fields: &str| {
        cursors(&format!(
            "  o: {{ extract: {{ {fields} }} }}\n  l: {{ load: {{ input: o, into: lake.t, mode: append }} }}\n"
        ))
    };
    assert_eq!(
        extract("from: shop.t, lookback: 1h"),
        ["3:33 bad_cursor `lookback` says how a cursor reads, and there is none"]
    );
    assert_eq!(
        extract("from: shop.t, cursor: auto, lag: 5"),
        ["3:47 bad_cursor the source's own position has no `lag`"]
    );
    assert_eq!(
        extract("connection: shop, query: SELECT 1, cursor: id"),
        ["3:62 bad_cursor the cursor of a query needs a `lag`"]
    );
    assert_eq!(
        extract("from: shop.t, cursor: id, lookback: never"),
        [
            "3:55 wrong_type 'lookback': 'never' is not a duration; expected a number with a unit, such as 250ms, 10s, 15m, 2h or 7d"
        ]
    );
}

#[test]
fn new_rows_are_computed_in_the_stage_of_each_load_that_takes_them() {
    let text = "
name: p
tasks:
  o: { extract: { from: shop.orders, cursor: id } }
  c: { extract: { from: shop.customers } }
  t: { transform: SELECT o.id FROM o JOIN c ON c.id = o.id }
  a: { load: { input: t, into: lake.a, mode: append } }
  b: { load: { input: t, into: lake.b, mode: append } }
";
    let plan = planned(text).plan.unwrap();
    let stages: Vec<(String, usize)> =
        plan.stages.iter().map(|stage| (stage.name.clone(), stage.tasks.len())).collect();
    assert_eq!(stages, [("c".to_owned(), 1), ("a".to_owned(), 3), ("b".to_owned(), 3)]);
    assert_eq!(plan.plan_format, CURSOR_PLAN_FORMAT, "a worker that knows no cursors must not take it");
    assert_eq!(plan.tasks["o"].stages, ["a", "b"]);
}

#[test]
fn mistakes_in_a_schedule_are_reported_at_their_fields() {
    let schedule =
        |block: &str| told(&planned(&format!("name: p\nschedule:\n{block}tasks: {{ w: {{ wait: 1s }} }}\n")));
    assert_eq!(
        schedule("  every: 1h\n  start: 2026-02-30\n  end: later\n  max_catchup: -1\n  jitter: 5\n"),
        [
            "4:10 wrong_type 'start': '2026-02-30' is neither a date such as 2026-01-31 nor a time with its offset such as 2026-01-31T06:00:00+01:00",
            "5:8 wrong_type 'end': 'later' is neither a date such as 2026-01-31 nor a time with its offset such as 2026-01-31T06:00:00+01:00",
            "6:16 wrong_type 'max_catchup': expected a whole number from 0 to 4294967295, found -1",
            "7:11 wrong_type 'jitter': expected a duration such as 250ms, 10s or 1h30m, found 5",
        ]
    );
    assert_eq!(
        schedule("  every: 1h\n  start: 2026-02-02\n  end: 2026-02-01\n  jitter: 1h\n"),
        [
            "5:8 bad_schedule 'end' (2026-02-01) is not later than 'start' (2026-02-02)",
            "6:11 bad_schedule 'jitter' is 1h, and two fires are only 1h apart; it must be shorter",
        ]
    );
    assert_eq!(
        schedule("  every: 1h\n  catchup: all\n  overlap: queue\n  max_catchup: 0\n  max_queued: 0\n"),
        [
            "6:16 bad_schedule 'max_catchup' is 0; it can be 1 to 1000",
            "7:15 bad_schedule 'max_queued' is 0; it can be 1 to 1000",
        ]
    );
    assert_eq!(
        schedule("  cron: 0 6 * * 1\n  start: 2026-02-03\n  end: 2026-02-09\n"),
        ["5:8 bad_schedule the schedule has no time from 2026-02-03 until 2026-02-09"]
    );
    assert_eq!(
        schedule("  every: 1h\n  catchup: all\n"),
        [
            "4:12 bad_schedule with `catchup: all` and this overlap only the first missed fire runs: it is not finished when the others come"
        ]
    );
}

#[test]
fn wrong_names_and_kinds_are_all_reported_with_hints() {
    let text = "
name: my pipeline
schedule: { cron: '61 6 * * *', timezone: Europe/Berln }
tasks:
  shop: { wait: 1s }
  orders: { extract: { from: shp.public.orders } }
  joined: { transform: SELECT * FROM ordrs }
  both: { wait: 1s, transform: SELECT 1 }
  l: { load: { input: both_, into: lake, mode: append, keys: [id] } }
  late: { extract: { from: shop.t }, retry: { attempts: 2 }, needs: [nobody] }
";
    let planned = planned(text);
    insta::assert_snapshot!(planned.diagnostics.iter().map(|d| format!("{d}\n")).collect::<String>());
}

#[test]
fn two_loads_that_overwrite_one_table_are_refused_and_two_that_append_are_not() {
    let text = |mode: &str| {
        format!(
            "name: p\ntasks:\n  a: {{ extract: {{ from: shop.public.a }} }}\n  b: {{ extract: {{ from: shop.public.b }} }}\n  \
             one: {{ load: {{ input: a, into: lake.t, mode: {mode} }} }}\n  two: {{ load: {{ input: b, into: lake.t, mode: {mode} }} }}\n"
        )
    };
    assert_eq!(told(&planned(&text("overwrite"))), ["6:34 same_target the load 'one' overwrites lake.t too"]);
    assert!(planned(&text("append")).plan.is_some());
}
