//! What can be verified of loads by keys and of cursors without a model: that what was asked for is no weaker, and what an increment leaves as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use headwater_engine::connector::TableInfo;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{ExtractTask, LoadTask, OnDelete, OnFailure, Rule, Spec, Task, WriteMode};
use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, JoinConstraint, JoinOperator, Query, SelectItem, SetExpr, TableFactor, Visit,
    Visitor,
};

use super::verify::flat;
use crate::fresh;
use crate::known::Known;
use crate::typed::{Contract, Fault, Fresh, Phase, Said, TypedPlan, asks_for_fresh, asks_for_keys};

/// Tasks by their paths.
type Tasks<'a> = BTreeMap<TaskPath, &'a Task>;

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
            let what = weakness(load, (fresh, keyed), &tasks)?;
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
fn weakness(load: &LoadTask, (fresh, keyed): (Option<Fresh>, bool), tasks: &Tasks<'_>) -> Option<&'static str> {
    let has_cursor =
        || above(load, tasks).iter().any(|task| task.extract.as_ref().is_some_and(|one| one.cursor.is_some()));
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
    let cursor = extract.cursor.as_deref().filter(|cursor| *cursor != "auto")?;
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
    let mut all = Vec::new();
    for load in tasks.values().filter_map(|task| task.load.as_ref()) {
        let by_keys = matches!(load.mode, Some(WriteMode::Upsert | WriteMode::InsertNew));
        if by_keys && !is_proven(&load.input, &load.keys, &tasks, known) {
            all.push(fresh::unproven(&load.keys, &load.into, load.order_by.as_deref()));
        }
        let above = above(load, &tasks);
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
fn above<'a>(load: &LoadTask, tasks: &Tasks<'a>) -> Vec<&'a Task> {
    let (mut waiting, mut seen, mut found) = (vec![load.input.clone()], BTreeSet::new(), Vec::new());
    while let Some(name) = waiting.pop() {
        let Some((path, task)) = named(&name, tasks).filter(|(path, _)| seen.insert((*path).clone())) else { continue };
        found.push(task);
        waiting
            .extend(reads(task).into_iter().filter(|name| named(name, tasks).is_some_and(|(other, _)| other != path)));
    }
    found
}

/// A task by its path, or by the names that the path ends with.
fn named<'b, 'a>(name: &str, tasks: &'b Tasks<'a>) -> Option<(&'b TaskPath, &'a Task)> {
    let ends = format!(".{name}");
    let found = tasks.iter().find(|(path, _)| path.as_str() == name || path.ends_with(&ends))?;
    Some((found.0, found.1))
}

fn reads(task: &Task) -> Vec<String> {
    let input = task.check.iter().map(|check| check.input.clone());
    let queried = parsed(task).map(|query| relations(&query)).unwrap_or_default();
    input.chain(queried).collect()
}

fn parsed(task: &Task) -> Option<Query> {
    headwater_pipelines::sql::parse(task.transform.as_deref()?).ok().map(|query| *query)
}

/// Every relation that a statement names.
fn relations(query: &Query) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.0.push(relation(factor));
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let _ = query.visit(&mut names);
    names.0
}

/// The name of a relation; empty if it has none.
fn relation(factor: &TableFactor) -> String {
    let TableFactor::Table { name, .. } = factor else { return String::new() };
    name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
}

fn select(query: &Query) -> Option<&sqlparser::ast::Select> {
    match &*query.body {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// Whether the catalog says that no two rows of a dataset agree in these columns.
fn is_proven(input: &str, keys: &[String], tasks: &Tasks<'_>, known: &Known) -> bool {
    let Some((_, task)) = named(input, tasks) else { return false };
    if let Some(extract) = &task.extract {
        return table_of(extract, known).is_some_and(|table| fresh::are_unique(table, keys));
    }
    if let Some(check) = &task.check {
        // A check of just these columns says so itself, or fails.
        let is_key = |unique: &Vec<String>| unique.iter().all(|name| keys.contains(name));
        let says = |rule: &Rule| check.on_failure == OnFailure::Fail && rule.unique.as_ref().is_some_and(is_key);
        return check.rules.iter().any(says) || is_proven(&check.input, keys, tasks, known);
    }
    let Some(query) = parsed(task) else { return false };
    let Some(select) = select(&query) else { return false };
    let [from] = select.from.as_slice() else { return false };
    let multiplies = from.joins.iter().any(|join| !meets_one(&join.relation, &join.join_operator, tasks, known));
    let is_plain = select.distinct.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
    let alias = alias_of(&from.relation);
    let kept = keys.iter().all(|key| select.projection.iter().any(|item| keeps(item, &alias, key)));
    !multiplies && is_plain && kept && is_proven(&relation(&from.relation), keys, tasks, known)
}

/// Whether a join finds at most one partner of a row: it compares a key of the other table.
fn meets_one(other: &TableFactor, operator: &JoinOperator, tasks: &Tasks<'_>, known: &Known) -> bool {
    use JoinOperator::{Inner, Join, Left, LeftOuter};
    let (Join(constraint) | Inner(constraint) | Left(constraint) | LeftOuter(constraint)) = operator else {
        return false;
    };
    let JoinConstraint::On(condition) = constraint else { return false };
    let mut compared = Vec::new();
    equalities(condition, &alias_of(other), &mut compared);
    is_proven(&relation(other), &compared, tasks, known)
}

/// What a statement calls a relation.
fn alias_of(factor: &TableFactor) -> String {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } => alias.name.value.clone(),
        _ => relation(factor),
    }
}

/// Whether an output is the column of this name of a relation.
fn keeps(item: &SelectItem, of: &str, name: &str) -> bool {
    let is_it = |expr: &Expr| match expr {
        Expr::Identifier(column) => column.value == name,
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [relation, column] => relation.value.eq_ignore_ascii_case(of) && column.value == name,
            _ => false,
        },
        _ => false,
    };
    match item {
        SelectItem::Wildcard(_) => true,
        SelectItem::QualifiedWildcard(relation, _) => relation.to_string().eq_ignore_ascii_case(&format!("{of}.*")),
        SelectItem::UnnamedExpr(expr) => is_it(expr),
        SelectItem::ExprWithAlias { expr, alias } => alias.value == name && is_it(expr),
        _ => false,
    }
}

/// Columns of a relation that a condition holds equal to something, in parts that all have to be true.
fn equalities(condition: &Expr, alias: &str, found: &mut Vec<String>) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equalities(left, alias, found);
            equalities(right, alias, found);
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let column = |side: &Expr| match side {
                Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                    [of, column] if of.value.eq_ignore_ascii_case(alias) => Some(column.value.clone()),
                    _ => None,
                },
                _ => None,
            };
            match (column(left), column(right)) {
                (Some(name), None) | (None, Some(name)) => found.push(name),
                _ => {}
            }
        }
        Expr::Nested(inner) => equalities(inner, alias, found),
        _ => {}
    }
}

fn table_of<'a>(extract: &ExtractTask, known: &'a Known) -> Option<&'a TableInfo> {
    let from = extract.from.as_deref()?;
    known.tables().map(|(_, known)| known).find(|known| known.full_name() == from).map(|known| &known.table)
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
        let read = Document::read("x.yaml", text);
        assert_eq!(read.diagnostics, []);
        read.spec.unwrap()
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
        let is_called_unproven = |statement: &str, load: &str| {
            let found = assumptions(&spec("", statement, load), &known());
            found.iter().any(|said| said.starts_with("no key of the catalog"))
        };
        assert!(!is_called_unproven(JOINED, UPSERT));
        for statement in [
            "SELECT o.*, c.country FROM orders o JOIN customers c ON c.country = o.status",
            "SELECT o.customer_id AS id FROM orders o",
            "SELECT o.customer_id AS id, count(*) AS n FROM orders o GROUP BY o.customer_id",
            "SELECT o.id FROM orders o UNION ALL SELECT c.id FROM customers c",
        ] {
            assert!(is_called_unproven(statement, UPSERT), "{statement}");
        }
        assert!(is_called_unproven(JOINED, "mode: upsert, keys: [status]"));
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
