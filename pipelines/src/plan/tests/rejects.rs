//! Rows that are set aside.

use super::{planned, told};
use crate::plan::{REJECT_PLAN_FORMAT, Work};
use crate::spec::MaxRejected;

const EXTRACT: &str = "extract: { from: shop.t, cursor: auto, on_reject: quarantine, max_rejected: 5% }";
const CHECK: &str = "check: { input: a, on_failure: quarantine, max_rejected: 7, rules: [ { not_null: [x] } ] }";

fn text(extract: &str, check: &str, more: &str) -> String {
    format!(
        "name: p\ntasks:\n  a: {{ {extract} }}\n  c: {{ {check} }}\n  l: {{ load: {{ input: c, into: lake.t, mode: append }} }}\n{more}"
    )
}

#[test]
fn what_is_set_aside_is_in_the_plan_and_a_worker_that_knows_none_must_not_take_it() {
    for head in ["", "stream: {}\n"] {
        let plan = planned(&format!("{head}{}", text(EXTRACT, CHECK, ""))).plan.unwrap();
        assert_eq!(plan.plan_format, REJECT_PLAN_FORMAT);
        let max = |task: &str| match &plan.tasks[task].work {
            Work::Extract { quarantine, .. } => quarantine.unwrap().max_rejected,
            Work::Check { max_rejected, .. } => *max_rejected,
            work => panic!("{work:?}"),
        };
        assert_eq!(max("a").map(|max| max.to_string()).as_deref(), Some("5%"));
        assert_eq!(max("c"), Some(MaxRejected::Rows(7)));
    }
}

#[test]
fn what_can_set_nothing_aside_is_refused_at_its_place() {
    let told = |extract: &str, check: &str, more: &str| told(&planned(&text(extract, check, more)));
    assert_eq!(
        told(&EXTRACT.replace("quarantine", "fail"), &CHECK.replace("quarantine", "warn"), ""),
        [
            "3:64 bad_extract `max_rejected` says how much may be set aside, and nothing is",
            "4:45 bad_rule `max_rejected` says how much may be set aside, and nothing is",
        ]
    );
    assert_eq!(
        told(EXTRACT, &CHECK.replace("not_null", "unique"), ""),
        ["4:79 not_yet unique rules of a check that sets rows aside can't be executed yet"]
    );
    let whole = EXTRACT.replace("cursor: auto, ", "");
    let several = told(&whole, CHECK, "  m: { load: { input: c, into: lake.u, mode: append } }\n");
    assert_eq!(several.len(), 2, "{several:?}");
    for found in several {
        assert!(found.contains("sets rows aside, and no single load takes the others"), "{found}");
    }
}
