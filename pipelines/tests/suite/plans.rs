//! Stored plans, and faults that reading and planning used to have.

use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{Plan, Planned, plan};

use super::connections;

fn planned(text: &str) -> Planned {
    plan(&Document::read("p.yaml", text), &connections())
}

fn told(text: &str) -> Vec<String> {
    let diagnostics = planned(text).diagnostics;
    diagnostics.iter().map(|d| format!("{}:{} {} {}", d.line, d.column, d.code, d.message)).collect()
}

#[test]
fn a_stored_plan_of_an_earlier_build_still_reads_and_is_written_the_same() {
    let stored = include_str!("../corpus/plan_format_1.json");
    let read: Plan = serde_json::from_str(stored).unwrap();
    assert_eq!(read.plan_format, 1);
    assert_eq!(read.stages[0].tasks, ["ingest.orders", "clean", "publish"]);
    let as_json: serde_json::Value = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), as_json);
}

#[test]
fn a_misspelled_field_of_a_check_is_one_mistake_though_a_load_reads_the_check() {
    let text = "
name: p
tasks:
  a: { extract: { from: shop.t } }
  clean: { check: { inptu: a, rules: [ { not_null: [id] } ] } }
  l: { load: { input: clean, into: lake.t, mode: append } }
";
    assert_eq!(told(text), ["5:21 unknown_field there is no field 'inptu' here"]);
}

#[test]
fn a_task_that_can_not_be_read_is_not_missing_to_its_readers() {
    let with = |task: &str| {
        told(&format!(
            "name: p\ntasks:\n  a: {task}\n  b: {{ transform: SELECT * FROM a }}\n  c: {{ check: {{ input: b, rules: [ {{ not_null: [id] }} ] }} }}\n  l: {{ load: {{ input: c, into: lake.t, mode: append }}, needs: [a] }}\n"
        ))
    };
    assert_eq!(with("5"), ["3:6 wrong_type 'a': expected a task such as { wait: 10s }, found 5"]);
    assert_eq!(with("{ extract: 5 }"), ["3:17 wrong_type 'extract': expected a mapping of fields, found 5"]);
    assert_eq!(with("{ zzz: 5 }"), ["3:8 unknown_field there is no field 'zzz' here"]);
    assert_eq!(with("{ transform: SELECT * FROM nosuch }"), ["3:33 unknown_name there is no task named 'nosuch'"]);
    assert_eq!(
        with("{ extract: { from: nosuch.t } }"),
        ["3:25 unknown_connection there is no connection named 'nosuch'"]
    );
    assert_eq!(with("{}"), ["3:3 task_kind task 'a' has no kind"]);
    assert_eq!(with("{ group: }"), ["3:8 bad_value `group` is empty: expected task names"]);
    assert_eq!(with("{ extract: }"), ["3:8 bad_value `extract` is empty: expected its fields"]);
}

#[test]
fn members_of_a_group_that_can_not_be_read_are_not_missing() {
    let text = "
name: p
tasks:
  g: { group: [a, b] }
  l: { load: { input: g.a, into: lake.t, mode: append }, needs: [g.b] }
";
    assert_eq!(told(text), ["4:15 wrong_type 'group': expected task names, found a list"]);
}

#[test]
fn connections_and_parameters_that_can_not_be_read_are_not_missing() {
    let text = "
name: p
params: { since: { type: dat } }
connections: { own: { url: x } }
tasks:
  a: { extract: { from: own.t } }
  b: { transform: SELECT * FROM a JOIN own.public.u ON true WHERE d > $since }
  l: { load: { input: b, into: own.v, mode: append } }
";
    assert_eq!(
        told(text),
        [
            "3:26 wrong_type 'type': expected one of string, integer, number, boolean, date, timestamp, found 'dat'",
            "4:16 missing_field 'own' needs the field 'type'"
        ]
    );
}

#[test]
fn a_mode_that_does_not_exist_is_one_mistake_with_all_modes_and_the_nearest() {
    let found = planned("name: p\ntasks:\n  l: { load: { input: shop.t, into: lake.t, mode: replace } }\n").diagnostics;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].message,
        "'mode': expected one of append, overwrite, upsert, insert_new, delete_insert, scd2, found 'replace'"
    );
    assert_eq!(found[0].hint.as_deref(), Some("did you mean 'overwrite'?"));
    assert_eq!(found[0].replacements[0].text, "overwrite");
}

#[test]
fn empty_lists_and_names_are_refused_at_their_place() {
    let check = |rules: &str| {
        told(&format!(
            "name: p\ntasks:\n  a: {{ extract: {{ from: shop.t }} }}\n  c: {{ check: {{ input: a, rules: {rules} }} }}\n"
        ))
    };
    assert_eq!(check("[]"), ["4:34 bad_value `rules` is empty: expected at least one rule"]);
    assert_eq!(check("[ { not_null: [] } ]"), ["4:48 bad_value `not_null` is empty: expected column names"]);
    assert_eq!(check("[ { unique: [] } ]"), ["4:46 bad_value `unique` is empty: expected column names"]);
    assert_eq!(check("[ { unique: [id, ''] } ]"), ["4:51 bad_name a column's name is empty"]);
    assert_eq!(
        check("[ { accepted_values: { column: x, values: [] } } ]"),
        ["4:76 bad_value `values` is empty: expected at least one value"]
    );
    let load = |rest: &str| {
        told(&format!("name: p\ntasks:\n  l: {{ load: {{ input: shop.t, into: lake.t, mode: append, {rest} }} }}\n"))
    };
    assert_eq!(load("keys: []"), ["3:65 bad_value `keys` is empty: expected column names"]);
    assert_eq!(load("partition_by: ['']"), ["3:74 bad_name a column's name is empty"]);
    let task = |text: &str| told(&format!("name: p\ntasks:\n  w: {{ wait: 1s, {text} }}\n"));
    assert_eq!(task("timeout: 0s"), ["3:27 bad_value with a timeout of 0s every attempt fails; expected at least 1ms"]);
    assert_eq!(task("queue: 'a,b'"), ["3:25 bad_name a queue can't be named 'a,b'"]);
    assert_eq!(task("queue: ''"), ["3:25 bad_name a queue can't be named ''"]);
    assert_eq!(
        task("labels: ['a b', 'c,d']"),
        ["3:27 bad_name a label can't be named 'a b'", "3:34 bad_name a label can't be named 'c,d'"]
    );
    assert_eq!(task("needs: ['']"), ["3:26 unknown_name '' is not a name"]);
    assert_eq!(told("name: ''\ntasks: { w: { wait: 1s } }\n"), ["1:7 bad_name the pipeline can't be named ''"]);
    assert_eq!(told("name: p\ntasks: { '': { wait: 1s } }\n"), ["2:10 bad_name a task can't be named ''"]);
    assert_eq!(
        told("name: p\ntasks: { g: { group: {} } }\n"),
        ["2:22 bad_value `group` is empty: expected task names"]
    );
}

#[test]
fn a_schedule_and_a_parameter_without_a_default_are_refused() {
    let text = "name: p\nparams: { country: { type: string } }\nschedule: { every: 1h }\ntasks: { w: { wait: 1s } }\n";
    assert_eq!(
        told(text),
        ["2:11 bad_parameter parameter 'country' has no default, and the schedule gives it no value"]
    );
    assert_eq!(told(&text.replace("schedule: { every: 1h }\n", "")), Vec::<String>::new());
}

#[test]
fn a_plan_says_whether_it_uses_the_data_interval() {
    let uses = |task: &str| {
        let text = format!(
            "name: p\ntasks:\n  a: {{ extract: {{ from: shop.t }} }}\n  b: {task}\n  l: {{ load: {{ input: b, into: lake.t, mode: append }} }}\n"
        );
        planned(&text).plan.unwrap_or_else(|| panic!("{:?}", told(&text))).uses_interval()
    };
    assert!(uses("{ transform: SELECT * FROM a WHERE d >= $interval_start }"));
    assert!(uses("{ check: { input: a, rules: [ { sql: 'd < $interval_end' } ] } }"));
    assert!(!uses("{ transform: \"SELECT '$interval_start', $run_id FROM a\" }"));
}

#[test]
fn names_in_statements_match_exactly_then_in_lower_case_then_by_letters() {
    let text = "
name: p
tasks:
  orders: { extract: { from: shop.t } }
  Ab: { extract: { from: shop.t } }
  aB: { extract: { from: shop.t } }
  g: { group: { Items: { extract: { from: shop.t } } } }
  b: { transform: 'SELECT ORDERS.id, G.ITEMS.n FROM ORDERS, G.ITEMS, SHOP.public.Raw' }
  c: { transform: SELECT * FROM AB }
  d: { transform: 'SELECT * FROM \"ORDERS\"' }
";
    let planned = planned(text);
    let told = told(text);
    assert_eq!(
        told,
        ["9:33 ambiguous_name 'AB' could be \"Ab\" or \"aB\"", "10:34 unknown_name there is no task named 'ORDERS'"]
    );
    assert_eq!(
        planned.queries["b"].sql(),
        "SELECT \"orders\".id, \"Items\".n FROM \"orders\" AS \"orders\", \"g.Items\" AS \"Items\", \"shop.public.Raw\" AS \"Raw\""
    );
}
