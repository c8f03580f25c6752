//! What a load does with rows that are gone at the source, as a spec says it.

use std::time::Duration;

use super::{planned, told};
use crate::plan::{CLOSE_PLAN_FORMAT, CURSOR_PLAN_FORMAT, DELETE_PLAN_FORMAT, Deletes, Work};
use crate::spec::{OnDelete, Share};

/// A pipeline of one load, in its fifth line; the extract of `b` has a cursor, that of `a` has none.
fn text(load: &str) -> String {
    format!(
        "name: p\ntasks:\n  a: {{ extract: {{ from: shop.t }} }}\n  b: {{ extract: {{ from: shop.u, cursor: at }} }}\n  \
         l: {{ load: {{ into: lake.t, {load} }} }}\n{}",
        if load.contains("input: b") { "" } else { "  m: { load: { into: lake.u, input: b, mode: append } }\n" }
    )
}

/// What a load says of deletes, and the plan's format.
fn deletes(load: &str) -> (Option<Deletes>, i32) {
    let planned = planned(&text(load));
    let plan = planned.plan.as_ref().unwrap_or_else(|| panic!("{:?}", told(&planned)));
    match &plan.tasks["l"].work {
        Work::Load { deletes, .. } => (deletes.clone(), plan.plan_format),
        other => panic!("{other:?}"),
    }
}

/// The findings; each has to be at the last place of a word in the load.
fn refused(load: &str, at: &str) -> Vec<String> {
    let text = text(load);
    let line = text.lines().nth(4).unwrap();
    let place = format!("5:{} ", line.rfind(at).unwrap() + 1);
    let told = told(&planned(&text));
    let without = |told: &String| told.strip_prefix(&place).unwrap_or_else(|| panic!("{place}: {told}")).to_owned();
    told.iter().map(without).collect()
}

#[test]
fn what_becomes_of_rows_that_are_gone_is_in_the_plan_and_a_worker_that_knows_nothing_of_it_must_not_take_it() {
    let (all, some) = ("input: a, mode: upsert, keys: [id]", "input: b, mode: upsert, keys: [id]");
    assert_eq!(deletes(all).0, None);
    assert_eq!(deletes(&format!("{all}, on_delete: ignore")).0, None);
    let (found, format) = deletes(&format!("{all}, on_delete: soft"));
    let soft = Deletes { how: OnDelete::Soft, when: None, every: None, max: Share::default(), changes: false };
    assert_eq!((found.clone(), format), (Some(soft), DELETE_PLAN_FORMAT));
    assert!(found.is_some_and(|found| found.compares_rows() && found.is_soft()));
    assert_eq!(deletes(all).1, CURSOR_PLAN_FORMAT);
    let (found, _) = deletes(&format!("{some}, deleted_when: \"op = 'D'\""));
    let found = found.unwrap();
    assert_eq!((found.how, found.when.as_deref()), (OnDelete::Hard, Some("op = 'D'")));
    assert!(!found.compares_rows());
    let (found, _) = deletes(&format!("{some}, on_delete: soft, deletes: {{ by: keys }}, max_delete: 0.5%"));
    let found = found.unwrap();
    assert_eq!((found.how, found.every), (OnDelete::Soft, Some(Duration::from_secs(86_400))));
    assert_eq!(found.max.to_string(), "0.5%");
    let (found, _) = deletes(&format!("{some}, deletes: {{ by: keys, every: 0s }}"));
    assert_eq!(found.unwrap().every, Some(Duration::ZERO));
}

#[test]
fn a_load_that_keeps_history_ends_the_versions_of_what_is_gone_and_deletes_nothing() {
    let (found, format) = deletes("input: a, mode: scd2, keys: [id], on_delete: close");
    assert!(found.is_some_and(|found| found.closes() && found.compares_rows()));
    assert_eq!(format, CLOSE_PLAN_FORMAT);
    let (found, _) = deletes("input: b, mode: scd2, keys: [id], deletes: { by: keys }");
    assert_eq!(found.map(|found| found.how), Some(OnDelete::Close));
    assert_eq!(deletes("input: a, mode: scd2, keys: [id], on_delete: ignore").0, None);
    assert_eq!(
        refused("input: a, mode: scd2, keys: [id], on_delete: hard", "hard"),
        ["bad_load mode scd2 keeps what rows were, and neither marks nor deletes them"]
    );
    assert_eq!(
        refused("input: a, mode: upsert, keys: [id], on_delete: close", "close"),
        ["bad_load `on_delete: close` ends versions, and the mode keeps none"]
    );
}

#[test]
fn a_load_whose_rows_come_by_a_cursor_is_told_how_it_can_find_what_is_gone() {
    assert_eq!(
        refused("input: b, mode: upsert, keys: [id], on_delete: hard", "hard"),
        ["bad_load 'b' gives new rows alone, so that rows which are not there are not gone"]
    );
    assert_eq!(
        refused("input: a, mode: upsert, keys: [id], deletes: { by: keys }", "{ by"),
        ["bad_load `deletes` scans the keys of what a cursor reads, and the load has no cursor"]
    );
}

#[test]
fn a_load_that_would_delete_the_rows_of_another_one_is_refused() {
    let both = text("input: a, mode: upsert, keys: [id], on_delete: hard").replace("lake.u", "lake.t");
    assert_eq!(
        told(&planned(&both)),
        ["5:22 same_target the load 'm' writes into lake.t too, and its rows would be deleted"]
    );
    let told_of = text("input: a, mode: upsert, keys: [id], deleted_when: gone").replace("lake.u", "lake.t");
    assert!(planned(&told_of).plan.is_some());
}

#[test]
fn what_says_nothing_or_contradicts_is_refused() {
    let upsert = |rest: &str| format!("input: a, mode: upsert, keys: [id], {rest}");
    assert_eq!(
        refused("input: a, mode: append, on_delete: soft", "on_delete"),
        ["bad_load mode append accepts no `on_delete`"]
    );
    assert_eq!(
        refused("input: b, mode: insert_new, keys: [id], deletes: { by: keys }", "deletes"),
        ["bad_load mode insert_new accepts no `deletes`"]
    );
    assert_eq!(
        refused(&upsert("max_delete: 5%"), "max_delete"),
        ["bad_load `max_delete` limits what a comparison may find gone, and nothing is compared"]
    );
    assert_eq!(
        refused(&upsert("deleted_when: gone, max_delete: 5%"), "max_delete"),
        ["bad_load `max_delete` limits what a comparison may find gone, and nothing is compared"]
    );
    assert_eq!(
        refused(&upsert("deleted_when: gone, on_delete: ignore"), "ignore"),
        ["bad_load `on_delete: ignore` leaves in the target what `deleted_when` finds gone"]
    );
    let wrong = refused(&upsert("on_delete: hard, max_delete: 120%"), "120%");
    assert!(wrong.len() == 1 && wrong[0].contains("a share between 0% and 100%, e.g. 20%"), "{wrong:?}");
    let wrong = refused(&upsert("on_delete: gone"), "gone");
    assert!(wrong.len() == 1 && wrong[0].contains("ignore, soft, hard, close"), "{wrong:?}");
    assert!(!told(&planned(&text(&upsert("deleted_when: \"a = \"")))).is_empty());
    assert!(!told(&planned(&text(&upsert("deleted_when: \"\"")))).is_empty());
}

#[test]
fn an_extract_whose_rows_are_compared_is_known_through_all_that_reads_it() {
    let text = "name: p\ntasks:\n  a: { extract: { from: shop.t } }\n  b: { extract: { from: shop.u } }\n  \
                c: { transform: SELECT * FROM a }\n  l: { load: { input: c, into: lake.t, mode: upsert, keys: [id], on_delete: hard } }\n  \
                m: { load: { input: b, into: lake.u, mode: upsert, keys: [id], deleted_when: gone } }\n";
    let planned = planned(text);
    let plan = planned.plan.as_ref().unwrap_or_else(|| panic!("{:?}", told(&planned)));
    assert!(plan.is_compared(&"a".into()) && !plan.is_compared(&"b".into()));
}
