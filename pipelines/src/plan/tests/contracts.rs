//! What a load may change of its target's columns, as a spec says it.

use super::{planned, told};
use crate::plan::{CONTRACT_PLAN_FORMAT, PLAN_FORMAT, Work};
use crate::spec::{Contract, LoadSchema};

fn text(load: &str) -> String {
    format!(
        "name: p\ntasks:\n  a: {{ extract: {{ from: shop.t }} }}\n  l: {{ load: {{ input: a, into: lake.t, {load} }} }}\n"
    )
}

/// The contract in the plan, and the plan's format.
fn contract(load: &str) -> (LoadSchema, i32) {
    let planned = planned(&text(load));
    let plan = planned.plan.as_ref().unwrap_or_else(|| panic!("{:?}", told(&planned)));
    match &plan.tasks["l"].work {
        Work::Load { schema, .. } => (schema.clone(), plan.plan_format),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_contract_is_in_the_plan_and_a_worker_that_knows_none_must_not_take_it() {
    assert_eq!(contract("mode: append"), (LoadSchema::default(), PLAN_FORMAT));
    assert_eq!(contract("mode: append, schema: freeze"), (LoadSchema::default(), PLAN_FORMAT));
    let evolve = LoadSchema::All(Contract::Evolve);
    assert_eq!(contract("mode: append, schema: evolve"), (evolve, CONTRACT_PLAN_FORMAT));
    let (mixed, _) = contract("mode: append, schema: { default: add_columns, columns: { total: freeze } }");
    assert_eq!((mixed.of("total"), mixed.of("note")), (Contract::Freeze, Contract::AddColumns));
}

#[test]
fn what_no_table_can_do_is_refused_by_the_place_of_the_word() {
    let told = |load: &str| told(&planned(&text(load)));
    assert_eq!(
        told("mode: append, schema: grow"),
        ["4:62 wrong_type 'schema': expected one of freeze, add_columns, evolve, found 'grow'"]
    );
    assert_eq!(
        told("mode: upsert, keys: [id], schema: { columns: { id: add_columns } }"),
        ["4:87 bad_load id is a key, which can't be added to a table"]
    );
    assert_eq!(
        told("mode: append, partition_by: [day], schema: { columns: { day: evolve } }"),
        ["4:96 bad_load day is a partition column, which can't be added or changed"]
    );
    assert_eq!(
        told("mode: append, schema: { default: evolve, columns: {} }"),
        ["4:90 bad_value `columns` is empty: expected column names"]
    );
    assert!(planned(&text("mode: upsert, keys: [id], schema: { columns: { id: evolve } }")).plan.is_some());
}
