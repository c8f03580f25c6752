//! What may be computed of new rows alone.
//!
//! An extract with a cursor gives the rows that its load does not hold yet. What looks at one row at a time gives the same for them as it would among all rows;
//! what looks at many (counts, windows, DISTINCT, LIMIT, an outer join that misses a partner) does not.

use std::collections::BTreeSet;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, JoinType, LogicalPlan};
use headwater_pipelines::decode::Step;
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{Cursor, DELETED_AT, Deletes, ExtractSource, Relation, TableRef, TaskPath, Work};
use headwater_pipelines::spec::{Columns, WriteMode};

use super::Checker;
use crate::connector::{CursorRequest, Reading, SinkPlan, SinkRequest};

impl Checker<'_> {
    /// Describes the source and judges the cursor of an extract at once. Whether there is nothing to report; what it is shows in two looks.
    pub(super) async fn readable_by_cursor(
        &mut self,
        task: &TaskPath,
        source: &ExtractSource,
        columns: Option<&Columns>,
        cursor: Option<&Cursor>,
    ) -> bool {
        let Some(cursor) = cursor.filter(|_| matches!(source, ExtractSource::Table(_))) else { return false };
        if self.inability(source).is_some() || self.unreachable.contains(source.connection()) {
            return false;
        }
        let request = CursorRequest { cursor: cursor.clone(), reading: Reading::Judged, by_keys: false, most: None };
        let Ok(read) = self.connections.read(source, columns, Some(request), &self.cancel).await else { return false };
        self.partial.insert(task.to_string());
        self.note(task, &read);
        self.again.extend(read.again);
        self.keep(task, read.table.schema());
        true
    }

    /// Judges the cursor of an extract whose source is readable.
    pub(super) async fn cursor(
        &mut self,
        task: &TaskPath,
        source: &ExtractSource,
        columns: Option<&Columns>,
        cursor: Option<&Cursor>,
    ) {
        let Some(cursor) = cursor else { return };
        self.partial.insert(task.to_string());
        if !self.relations.contains(task) {
            return;
        }
        let request = CursorRequest { cursor: cursor.clone(), reading: Reading::Judged, by_keys: false, most: None };
        let steps = self.steps(task, &["extract", "cursor"]);
        match self.connections.read(source, columns, Some(request), &self.cancel).await {
            Ok(source) => {
                self.note(task, &source);
                self.again.extend(source.again);
            }
            Err(error) => self.failed(Code::BadCursor, source.connection(), &steps, error).await,
        }
    }

    /// Judges a statement over new rows. Its own rows are new ones too if those that it reads come out of it.
    pub(super) fn partial_statement(&mut self, task: &TaskPath, plan: &LogicalPlan) {
        if self.partial.is_empty() {
            return;
        }
        let steps = self.steps(task, &["transform"]);
        let judge = Judge { partial: &self.partial };
        match judge.plan(plan) {
            Ok(true) => {
                let whole = judge.whole(plan);
                self.whole.extend(whole.map(|keys| (task.to_string(), keys)));
                self.partial.insert(task.to_string());
            }
            Ok(false) => {}
            Err(what) => {
                let finding = Finding::error(Code::BadCursor, format!("{what}, and a cursor gives new rows alone"));
                let hint = "compute it over the table itself, e.g. … FROM shop.public.items WHERE order_id IN (SELECT order_id FROM new_items), or remove `cursor`";
                self.add(&steps, finding.hint(hint));
            }
        }
    }

    /// A check lets new rows through.
    pub(super) fn partial_check(&mut self, task: &TaskPath, input: &str) {
        if self.partial.contains(input) {
            self.partial.insert(task.to_string());
        }
        if let Some(keys) = self.whole.get(input).cloned() {
            self.whole.insert(task.to_string(), keys);
        }
    }

    /// Says what becomes of rows that come again, and of those that don't.
    pub(super) fn partial_load(&mut self, task: &TaskPath, input: &Relation, request: &SinkRequest) {
        if !self.partial.contains(&input.internal_name()) {
            return;
        }
        match request.mode {
            WriteMode::Append => self.partial_append(task),
            WriteMode::DeleteInsert => self.partial_slices(task, input, &request.keys),
            _ => {}
        }
    }

    /// A slice of which only new rows come would lose the others.
    fn partial_slices(&mut self, task: &TaskPath, input: &Relation, keys: &[String]) {
        let is_whole = |by: &Vec<String>| by.iter().all(|key| keys.contains(key));
        if self.whole.get(&input.internal_name()).is_some_and(is_whole) {
            return;
        }
        let (key, keys) = (keys.first().map_or("", String::as_str), keys.join(", "));
        let message = format!(
            "delete_insert replaces all rows of each {keys}, and a cursor gives new rows alone: a row that has not changed since the last load is deleted with its slice"
        );
        let hint = format!(
            "use mode upsert with keys that identify a row, or read whole slices: … FROM shop.public.items WHERE {key} IN (SELECT {key} FROM new_items)"
        );
        let steps: Vec<Step> = self.steps(task, &["load", "mode"]);
        self.add(&steps, Finding::error(Code::BadCursor, message).hint(hint));
    }

    fn partial_append(&mut self, task: &TaskPath) {
        let is_timed =
            |work: &Work| matches!(work, Work::Extract { cursor: Some(cursor), .. } if cursor.column.is_some());
        let steps: Vec<Step> = self.steps(task, &["load", "mode"]);
        if self.planned.works.values().any(is_timed) {
            let finding = Finding::warning(
                Code::BadCursor,
                "a row that is updated at the source is read again and appended again",
            );
            self.add(
                &steps,
                finding.hint("use mode upsert or insert_new with keys, unless the source's rows never change"),
            );
        }
        for what in self.again.clone() {
            let finding =
                Finding::warning(Code::BadCursor, format!("{what} is read again, and its rows are appended again"));
            self.add(&steps, finding.hint("use mode upsert or insert_new with keys, unless that never happens"));
        }
    }
}

impl Checker<'_> {
    /// Says that rows which a cursor has passed over have nothing in a column that is added.
    pub(super) fn partial_columns(
        &self,
        input: &Relation,
        into: &TableRef,
        request: &SinkRequest,
        plan: &mut SinkPlan,
    ) {
        // The column of soft deletes comes from no row.
        let is_own = |name: &str| name == DELETED_AT && request.deletes.as_ref().is_some_and(Deletes::is_soft);
        let added = plan.columns.columns_added.iter().map(|column| column.name.as_str());
        let added: Vec<&str> = added.filter(|name| !is_own(name)).collect();
        if added.is_empty() || !self.partial.contains(&input.internal_name()) {
            return;
        }
        let pipeline = self.document.spec.as_ref().map_or("NAME", |spec| spec.name.as_str());
        plan.notes.push(format!(
            "rows that {into} holds already stay NULL in {}: headwater run {pipeline} --full-refresh loads all of them again",
            added.join(", ")
        ));
    }
}

/// Looks for what looks at more than one row.
struct Judge<'a> {
    partial: &'a BTreeSet<String>,
}

impl Judge<'_> {
    /// Whether new rows come out of a plan; the error says what would be computed of them alone.
    fn plan(&self, plan: &LogicalPlan) -> Result<bool, String> {
        let is_touched = self.subqueries(plan)?;
        let inputs = plan.inputs().into_iter().map(|input| self.plan(input)).collect::<Result<Vec<bool>, String>>()?;
        let any = inputs.iter().any(|partial| *partial);
        if any && is_touched {
            return Err(TWO_SETS.to_owned());
        }
        let refused = |what: &str| if any { Err(what.to_owned()) } else { Ok(false) };
        match plan {
            LogicalPlan::TableScan(scan) => Ok(self.partial.contains(scan.table_name.table())),
            // All rows of each key that is touched are there.
            LogicalPlan::Aggregate(aggregate) if any && self.is_by_touched_keys(aggregate) => Ok(true),
            LogicalPlan::Aggregate(_) => refused("the statement groups or aggregates"),
            LogicalPlan::Window(_) => refused("the statement has a window function"),
            LogicalPlan::Distinct(_) => refused("the statement has a DISTINCT, or a UNION without ALL"),
            LogicalPlan::Limit(_) => refused("the statement has a LIMIT"),
            LogicalPlan::Sort(sort) if sort.fetch.is_some() => refused("the statement has a LIMIT"),
            LogicalPlan::RecursiveQuery(_) => refused("the statement is recursive"),
            LogicalPlan::Join(join) => match inputs[..] {
                [left, right] => judge_join(join.join_type, left, right),
                _ => Ok(any),
            },
            _ => Ok(any || is_touched),
        }
    }

    /// Whether a plan keeps only rows whose keys new rows have; any other use of new rows in an expression is refused.
    fn subqueries(&self, plan: &LogicalPlan) -> Result<bool, String> {
        let memberships: Vec<&Expr> = match plan {
            LogicalPlan::Filter(filter) => {
                split_conjunction(&filter.predicate).into_iter().filter(|part| is_membership(part)).collect()
            }
            _ => Vec::new(),
        };
        let (mut found, mut is_touched) = (Ok(()), false);
        for expression in plan.expressions() {
            // Walking an expression fails only if the closure does.
            let _ = expression.apply(|inner| {
                let Some(subquery) = subquery_of(inner) else { return Ok(TreeNodeRecursion::Continue) };
                match self.plan(subquery) {
                    Ok(true) if memberships.contains(&inner) => is_touched = true,
                    Ok(true) => found = Err("a subquery looks for what is not there, or computes a value".to_owned()),
                    Ok(false) => {}
                    Err(what) => found = Err(what),
                }
                Ok(TreeNodeRecursion::Continue)
            });
        }
        found.map(|()| is_touched)
    }

    /// Whether rows are grouped by the keys by which they were chosen.
    fn is_by_touched_keys(&self, aggregate: &Aggregate) -> bool {
        let groups: Vec<&str> = aggregate.group_expr.iter().filter_map(column_name).collect();
        self.touched_by(&aggregate.input).is_some_and(|keys| keys.iter().all(|key| groups.contains(&key.as_str())))
    }

    /// The columns of a statement by which its rows are whole: all rows are there of each value that a new row has.
    fn whole(&self, plan: &LogicalPlan) -> Option<Vec<String>> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let inner = self.whole(&projection.input)?;
                let outer = |key: &String| {
                    let index = projection.expr.iter().position(|expression| column_name(expression) == Some(key))?;
                    Some(projection.schema.field(index).name().clone())
                };
                inner.iter().map(outer).collect()
            }
            LogicalPlan::SubqueryAlias(alias) => self.whole(&alias.input),
            LogicalPlan::Sort(sort) => self.whole(&sort.input),
            LogicalPlan::Aggregate(aggregate) => {
                self.touched_by(&aggregate.input).filter(|_| self.is_by_touched_keys(aggregate))
            }
            _ => self.touched_by(plan),
        }
    }

    /// The columns whose values new rows have, if all rows of them are there.
    fn touched_by(&self, plan: &LogicalPlan) -> Option<Vec<String>> {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.touched_by(&alias.input),
            LogicalPlan::Filter(filter) => {
                let chosen = split_conjunction(&filter.predicate).into_iter().filter_map(|part| match part {
                    Expr::InSubquery(inside) if self.plan(&inside.subquery.subquery) == Ok(true) => {
                        Some(column_name(&inside.expr))
                    }
                    _ => None,
                });
                let chosen: Vec<Option<&str>> = chosen.collect();
                match chosen[..] {
                    [] => self.touched_by(&filter.input),
                    [Some(key)] if self.plan(&filter.input) == Ok(false) => Some(vec![key.to_owned()]),
                    _ => None,
                }
            }
            LogicalPlan::Join(join) if join.join_type == JoinType::LeftSemi && self.plan(&join.left) == Ok(false) => {
                let keys = join.on.iter().map(|(left, _)| column_name(left).map(str::to_owned));
                keys.collect::<Option<Vec<String>>>().filter(|keys| !keys.is_empty() && join.filter.is_none())
            }
            _ => None,
        }
    }
}

const TWO_SETS: &str = "two sets of new rows are joined, whose partners may have been read earlier";

/// `IN` or `EXISTS` of a subquery.
fn is_membership(expression: &Expr) -> bool {
    match expression {
        Expr::InSubquery(inside) => !inside.negated,
        Expr::Exists(exists) => !exists.negated,
        _ => false,
    }
}

fn subquery_of(expression: &Expr) -> Option<&LogicalPlan> {
    match expression {
        Expr::InSubquery(inside) => Some(&inside.subquery.subquery),
        Expr::Exists(exists) => Some(&exists.subquery.subquery),
        Expr::ScalarSubquery(scalar) => Some(&scalar.subquery),
        Expr::SetComparison(compared) => Some(&compared.subquery.subquery),
        _ => None,
    }
}

fn column_name(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Column(column) => Some(&column.name),
        Expr::Alias(alias) => column_name(&alias.expr),
        _ => None,
    }
}

fn judge_join(kind: JoinType, left: bool, right: bool) -> Result<bool, String> {
    let lost = |side: bool| match side {
        true => Err("an outer join would miss partners that were read earlier".to_owned()),
        false => Ok(()),
    };
    match kind {
        JoinType::Inner if left && right => Err(TWO_SETS.to_owned()),
        JoinType::Inner => Ok(left || right),
        JoinType::Left => lost(right).map(|()| left),
        JoinType::Right => lost(left).map(|()| right),
        JoinType::Full => lost(left || right).map(|()| false),
        JoinType::LeftSemi | JoinType::RightSemi if left && right => Err(TWO_SETS.to_owned()),
        JoinType::LeftSemi | JoinType::RightSemi => Ok(left || right),
        JoinType::LeftAnti | JoinType::LeftMark if right => Err("a subquery looks for what is not there".to_owned()),
        JoinType::RightAnti | JoinType::RightMark if left => Err("a subquery looks for what is not there".to_owned()),
        JoinType::LeftAnti | JoinType::LeftMark => Ok(left),
        JoinType::RightAnti | JoinType::RightMark => Ok(right),
    }
}
