//! What can be verified of loads by keys and of cursors without a model: that what was asked for is no weaker, and what an increment leaves as it is.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{AUTO_CURSOR, ExtractTask, LoadTask, OnDelete, Spec, Task, WriteMode};
use sqlparser::ast::visit_relations;

use super::proofs::{Proofs, Tasks, dotted, named, parsed, relation, select, table_of};
use super::verify::flat;
use crate::fresh;
use crate::known::Known;
use crate::typed::{Contract, Fault, Fresh, Phase, Said, TypedPlan, asks_for_fresh, asks_for_keys};

/// Wishes for new rows or for rows by key that a load without them would weaken, and cursors that can't be one.
pub(super) fn faults(plan: &TypedPlan, contract: &Contract, spec: &Spec, known: &Known) -> Vec<Fault> {
    let tasks = flat(&spec.tasks);
    let mut faults: Vec<Fault> = tasks.iter().filter_map(|(path, task)| unusable(path, task, known)).collect();
    for (place, wish) in contract.requirements.iter().enumerate() {
        let said = Said::new(&wish.quote);
        let (fresh, keyed) = (asks_for_fresh(&said), asks_for_keys(&said));
        if fresh.is_none() && !keyed {
            continue;
        }
        let weaker = asked(plan, place, &tasks).into_iter().filter_map(|(path, load)| {
            let what = weakness(path, load, (fresh, keyed), &tasks)?;
            let message = format!("requirement {place}, '{}', asks for {what}", wish.quote);
            Some(Fault::new(Phase::Meaning, "weaker", path, &message))
        });
        faults.extend(weaker);
    }
    faults.sort();
    faults.dedup();
    faults
}

/// The loads that a requirement asks for; all of them if it names none.
fn asked<'a>(plan: &TypedPlan, place: usize, tasks: &'a Tasks<'_>) -> Vec<(&'a TaskPath, &'a LoadTask)> {
    let is_asked = |node: &serde_json::Value| {
        let mut places = node["asked_by"].as_array().into_iter().flatten();
        node["kind"] == "load" && places.any(|at| at.as_u64().is_some_and(|at| usize::try_from(at) == Ok(place)))
    };
    let names: BTreeSet<&str> =
        plan.tasks.iter().filter(|node| is_asked(node)).filter_map(|node| node["name"].as_str()).collect();
    let loads = tasks.iter().filter_map(|(path, task)| Some((path, task.load.as_ref()?)));
    loads.filter(|(path, _)| names.is_empty() || names.contains(path.name())).collect()
}

/// What a load lacks of a wish.
fn weakness(
    path: &TaskPath,
    load: &LoadTask,
    (fresh, keyed): (Option<Fresh>, bool),
    tasks: &Tasks<'_>,
) -> Option<&'static str> {
    let has_cursor =
        || above(path, load, tasks).iter().any(|task| task.extract.as_ref().is_some_and(|one| one.cursor.is_some()));
    match (fresh, load.mode) {
        (Some(Fresh::Changed), mode) if mode != Some(WriteMode::Upsert) => {
            Some("rows that are new or changed: they replace those of the same key by mode upsert with keys")
        }
        (Some(Fresh::New), Some(WriteMode::Overwrite | WriteMode::DeleteInsert)) => {
            Some("new rows alone: append, or insert_new with keys")
        }
        (Some(_), _) if !has_cursor() => Some("new rows alone: the extract above needs a cursor"),
        (None, mode) if keyed && mode != Some(WriteMode::Upsert) => Some("rows by key: mode upsert with keys"),
        _ => None,
    }
}

/// A cursor whose column can't be followed.
fn unusable(path: &TaskPath, task: &Task, known: &Known) -> Option<Fault> {
    let extract = task.extract.as_ref()?;
    let cursor = extract.cursor.as_deref().filter(|cursor| *cursor != AUTO_CURSOR)?;
    let table = table_of(extract, known)?;
    let column = table.columns.iter().find(|column| column.name == cursor)?;
    let message = match () {
        () if !fresh::can_be_followed(column) => {
            format!("{cursor} is neither a time nor a number, which a cursor follows")
        }
        () if column.nullable && extract.cursor_nulls.is_none() => {
            format!("{cursor} can be NULL: a cursor of it needs `cursor_nulls`, or another column")
        }
        () => return None,
    };
    let others = table.columns.iter().filter(|column| fresh::can_be_followed(column) && !column.nullable);
    Some(Fault::new(Phase::Types, "bad_cursor", path, &message).candidates(others.map(|column| &column.name)))
}

/// What the loads of a draft leave as it is, and what is not proven of their keys.
pub(super) fn assumptions(spec: &Spec, known: &Known) -> Vec<String> {
    let tasks = flat(&spec.tasks);
    let mut proofs = Proofs::new(&tasks, known);
    let mut all = Vec::new();
    for (path, load) in tasks.iter().filter_map(|(path, task)| Some((path, task.load.as_ref()?))) {
        let by_keys = matches!(load.mode, Some(WriteMode::Upsert | WriteMode::InsertNew));
        if by_keys && !proofs.are_unique(&load.input, path, &load.keys) {
            all.push(fresh::unproven(&load.keys, &load.into, load.order_by.as_deref()));
        }
        let above = above(path, load, &tasks);
        let cursored = above.iter().any(|task| task.extract.as_ref().is_some_and(|one| one.cursor.is_some()));
        if !cursored && !by_keys {
            continue;
        }
        for query in above.iter().filter_map(|task| parsed(task)) {
            let Some(select) = select(&query) else { continue };
            all.extend(
                select.selection.iter().map(|held| fresh::leaves_the_condition(&format!("'{held}'"), &load.into)),
            );
            let others: Vec<String> =
                select.from.iter().flat_map(|from| &from.joins).map(|join| relation(&join.relation)).collect();
            if cursored && !others.is_empty() {
                all.push(fresh::changes_elsewhere(&others.join(" and "), &load.into));
            }
        }
        let extracts = above.iter().filter_map(|task| task.extract.as_ref());
        all.extend(extracts.filter_map(|extract| time_of(extract, known)).map(fresh::comes_too_late));
        let compares = load.on_delete.is_some_and(|what| what != OnDelete::Ignore);
        let finds_deletes = compares || load.deletes.is_some() || load.deleted_when.is_some();
        if load.mode == Some(WriteMode::Upsert) && !finds_deletes {
            all.push(fresh::stays_when_deleted(&load.into));
        }
    }
    all
}

/// The column by which an extract is followed, if that is a time.
fn time_of<'a>(extract: &'a ExtractTask, known: &Known) -> Option<&'a str> {
    let cursor = extract.cursor.as_deref()?;
    let column = table_of(extract, known)?.columns.iter().find(|column| column.name == cursor)?;
    ["Timestamp", "Date"].iter().any(|time| column.arrow_type.starts_with(time)).then_some(cursor)
}

/// The datasets that a load comes from.
fn above<'a>(path: &TaskPath, load: &LoadTask, tasks: &Tasks<'a>) -> Vec<&'a Task> {
    let (mut waiting, mut seen, mut found) = (vec![(path.clone(), load.input.clone())], BTreeSet::new(), Vec::new());
    while let Some((reader, name)) = waiting.pop() {
        let Some((path, task)) = named(&name, &reader, tasks) else { continue };
        if seen.insert(path.clone()) {
            found.push(task);
            waiting.extend(reads(task).into_iter().map(|name| (path.clone(), name)));
        }
    }
    found
}

/// Every dataset that a task names.
fn reads(task: &Task) -> Vec<String> {
    let mut names: Vec<String> = task.check.iter().map(|check| check.input.clone()).collect();
    let _ = visit_relations(&parsed(task), |name| {
        names.push(dotted(name));
        ControlFlow::<()>::Continue(())
    });
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use headwater_pipelines::document::Document;
    use serde_json::json;

    use super::*;
    use crate::known::tests::table;
    use crate::typed::Wish;

    fn known() -> Known {
        let mut orders = table(&["public", "orders"], &["id", "customer_id", "status", "updated_at"]);
        let mut customers = table(&["public", "customers"], &["id", "country"]);
        for known in [&mut orders, &mut customers] {
            known.table.columns[0].primary_key = Some(1);
        }
        orders.table.columns[3].arrow_type = "Timestamp(µs, \"UTC\")".to_owned();
        orders.table.columns[3].nullable = false;
        Known::new(vec![orders, customers])
    }

    /// A pipeline of orders with these settings of its extract, this statement and this load.
    fn spec(cursor: &str, statement: &str, load: &str) -> Spec {
        let text = format!(
            "name: x\ntasks:\n  orders: {{ extract: {{ from: shop.public.orders{cursor} }} }}\n  customers: {{ extract: {{ from: shop.public.customers }} }}\n\
             \x20 made: {{ transform: \"{statement}\" }}\n  publish: {{ load: {{ input: made, into: lake.orders, {load} }} }}\n"
        );
        read(text)
    }

    fn read(text: String) -> Spec {
        let read = Document::read("x.yaml", text);
        assert_eq!(read.diagnostics, []);
        read.spec.unwrap()
    }

    fn is_called_unproven(spec: &Spec) -> bool {
        assumptions(spec, &known()).iter().any(|said| said.starts_with("no key of the catalog"))
    }

    const CURSOR: &str = ", cursor: updated_at";
    const UPSERT: &str = "mode: upsert, keys: [id]";
    const JOINED: &str =
        "SELECT o.*, c.country FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = 'paid'";

    fn codes(quote: &str, spec: &Spec) -> Vec<String> {
        let wish = Wish { quote: quote.to_owned(), meaning: String::new() };
        let contract = Contract { requirements: vec![wish], ..Contract::default() };
        let tasks = vec![json!({ "kind": "load", "name": "publish", "asked_by": [0] })];
        let plan = TypedPlan { tasks, ..TypedPlan::default() };
        faults(&plan, &contract, spec, &known()).into_iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn a_wish_for_changed_rows_needs_a_cursor_and_an_upsert() {
        let changed = "new and changed orders";
        assert_eq!(codes(changed, &spec(CURSOR, JOINED, UPSERT)), Vec::<String>::new());
        assert_eq!(codes(changed, &spec("", JOINED, UPSERT)), ["weaker"]);
        assert_eq!(codes(changed, &spec(CURSOR, JOINED, "mode: append")), ["weaker"]);
        assert_eq!(codes("only new orders", &spec(CURSOR, JOINED, "mode: append")), Vec::<String>::new());
        assert_eq!(codes("upsert by id", &spec("", JOINED, "mode: overwrite")), ["weaker"]);
        assert_eq!(codes("all orders", &spec("", JOINED, "mode: overwrite")), Vec::<String>::new());
    }

    #[test]
    fn a_cursor_is_a_time_or_a_number_that_is_never_empty() {
        assert_eq!(codes("new orders", &spec(", cursor: status", JOINED, UPSERT)), ["bad_cursor"]);
    }

    #[test]
    fn keys_are_proven_through_joins_along_keys_and_through_nothing_that_repeats_or_renames_rows() {
        assert!(!is_called_unproven(&spec("", JOINED, UPSERT)));
        for statement in [
            "SELECT o.*, c.country FROM orders o JOIN customers c ON c.country = o.status",
            "SELECT o.customer_id AS id FROM orders o",
            "SELECT o.customer_id AS id, count(*) AS n FROM orders o GROUP BY o.customer_id",
            "SELECT o.id FROM orders o UNION ALL SELECT c.id FROM customers c",
            "SELECT o.id FROM orders o JOIN customers c ON c.id = c.country",
            "SELECT o.id FROM orders o JOIN customers c ON c.id = abs(c.country)",
            "SELECT o.id, unnest(o.status) AS one FROM orders o",
            "WITH orders AS (SELECT * FROM made) SELECT o.id FROM orders o",
        ] {
            assert!(is_called_unproven(&spec("", statement, UPSERT)), "{statement}");
        }
        assert!(is_called_unproven(&spec("", JOINED, "mode: upsert, keys: [status]")));
    }

    /// Two groups with a dataset `orders` each.
    fn grouped(made: &str) -> Spec {
        read(format!(
            "name: x\ntasks:\n  a:\n    group:\n      orders: {{ transform: SELECT 1 AS id }}\n  b:\n    group:\n      orders: {{ extract: {{ from: shop.public.orders, cursor: updated_at }} }}\n\
             \x20     made: {{ transform: {made} }}\n      publish: {{ load: {{ input: made, into: lake.orders, mode: upsert, keys: [id] }} }}\n"
        ))
    }

    #[test]
    fn a_name_means_the_nearest_task_as_the_planner_reads_it() {
        assert!(!is_called_unproven(&grouped("SELECT o.* FROM Orders o")));
        assert!(is_called_unproven(&grouped("SELECT o.* FROM a.orders o")));
        assert_eq!(codes("only new orders", &grouped("SELECT o.* FROM orders o")), Vec::<String>::new());
    }

    #[test]
    fn tasks_that_read_each_other_in_a_circle_prove_nothing_and_end() {
        assert!(is_called_unproven(&grouped("SELECT m.* FROM made m")));
    }

    #[test]
    fn what_a_cursor_leaves_as_it_is_is_listed() {
        let said = assumptions(&spec(CURSOR, JOINED, UPSERT), &known());
        for part in [
            "a row that stops meeting 'o.status = 'paid''",
            "a change of customers alone",
            "rows that are deleted",
            "a row is found by its updated_at",
        ] {
            assert!(said.iter().any(|one| one.starts_with(part)), "{part}: {said:#?}");
        }
        let without = assumptions(&spec("", JOINED, UPSERT), &known());
        assert_eq!(without.len(), 2, "all rows are read, and what is not among them stays: {without:#?}");
    }
}
