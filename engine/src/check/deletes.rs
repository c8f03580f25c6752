//! Loads that delete what is gone at the source: what their rows say of it, and whether they are all that there are.
//!
//! A row that is not read for any other reason would be deleted, so that only what is known to keep every row is let through: whole tables, and
//! statements that look at one row at a time and leave none out.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{DELETED_AT, Deletes, ExtractSource, Relation, TaskPath, Work};
use headwater_pipelines::spec::OnFailure;

use super::Checker;
use crate::connector::{DELETED, SAID, SinkPlan, SinkRequest};
use crate::lineage;
use crate::nodes;
use crate::transform;

/// Which rows may not be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Those that a load compares with its target.
    Compared,
    /// The same, read without their cursors.
    Scanned,
    /// Changes that are new.
    Changes,
}

/// What loads that compare are let through with.
const ACCEPTED: &str = "what is compared are whole tables of Postgres and Delta and single files, through transforms that choose, rename, cast or compute their columns or put them together with UNION ALL; otherwise let rows say it themselves: deleted_when";

impl Checker<'_> {
    /// Judges how a load deletes. Whether there is nothing to report.
    pub(super) async fn deletes(
        &mut self,
        task: &TaskPath,
        input: &Relation,
        deletes: Option<&Deletes>,
        schema: &SchemaRef,
    ) -> bool {
        let Some(deletes) = deletes else { return true };
        let before = self.checked.diagnostics.len();
        let taken = schema.fields().iter().find(|field| field.name().eq_ignore_ascii_case(DELETED_AT));
        if let Some(field) = taken.filter(|_| deletes.is_soft()) {
            let message = format!("the rows have a column {}, in which soft deletes leave their time", field.name());
            let hint = "give it another name with AS in a transform, or use `on_delete: hard`";
            let steps = self.steps(task, &["load", "on_delete"]);
            self.add(&steps, Finding::error(Code::BadLoad, message).hint(hint));
        }
        if let Some(text) = deletes.when.as_ref().filter(|_| !deletes.changes) {
            if schema.field_with_name(DELETED).is_ok() {
                let message = format!("the rows have a column {DELETED}, as one that the load needs itself");
                let steps = self.steps(task, &["load", "deleted_when"]);
                self.add(&steps, Finding::error(Code::BadLoad, message).hint("give it another name with AS"));
            }
            self.deleted_when(task, input, text);
        }
        let scans = deletes.every.is_some();
        let rows = if scans { Rows::Scanned } else { Rows::Compared };
        if (scans || deletes.compares_rows())
            && let Some(why) = self.incomplete(input, rows).await
        {
            let message = format!("a row that is not read would be deleted, and {why}");
            let steps = self.steps(task, &["load", if scans { "deletes" } else { "on_delete" }]);
            self.add(&steps, Finding::error(Code::BadLoad, message).hint(ACCEPTED));
        }
        self.checked.diagnostics.len() == before
    }

    fn deleted_when(&mut self, task: &TaskPath, input: &Relation, text: &str) {
        let Ok(input) = self.relations.plan(input) else { return };
        let state = self.relations.session().state();
        let Err(findings) = nodes::condition(text, input.schema(), &state, &self.parameters) else { return };
        let steps = self.steps(task, &["load", "deleted_when"]);
        for found in findings {
            let placed = self.document.at_text(&steps, found.line, found.column, found.length, found.finding);
            self.checked.diagnostics.push(placed);
        }
    }

    /// Why rows of a relation may be missing. What could not be looked at is reported elsewhere.
    pub(super) async fn incomplete(&self, relation: &Relation, rows: Rows) -> Option<String> {
        let (mut waiting, mut seen, mut sources) = (vec![relation.clone()], BTreeSet::new(), 0);
        while let Some(relation) = waiting.pop() {
            if !seen.insert(relation.clone()) {
                continue;
            }
            let is_source = |path: &TaskPath| matches!(self.planned.works.get(path), Some(Work::Extract { .. }));
            sources += usize::from(match &relation {
                Relation::Table(_) => true,
                Relation::Task(path) => is_source(path),
            });
            if rows == Rows::Changes && sources > 1 {
                return Some("it comes from several sources, whose changes have no order".to_owned());
            }
            let path = match &relation {
                Relation::Table(_) if rows == Rows::Changes => continue,
                Relation::Table(table) => {
                    let source = ExtractSource::Table(table.clone());
                    match self.incomplete_source(&source).await {
                        Some(why) => return Some(format!("{table} is {why}")),
                        None => continue,
                    }
                }
                Relation::Task(path) => path,
            };
            let work = self.planned.works.get(path)?;
            let why = match work {
                Work::Extract { .. } if rows == Rows::Changes => None,
                Work::Extract { cursor: Some(_), .. } if rows == Rows::Compared => {
                    Some("gives new rows alone".to_owned())
                }
                Work::Extract { source, .. } => {
                    self.incomplete_source(source).await.map(|what| format!("reads {what}"))
                }
                Work::Transform { .. } => {
                    let resolved = self.planned.queries.get(path)?;
                    let plan = transform::plan(&resolved.query, &self.relations, &self.parameters).await.ok()?;
                    let computed = || {
                        let outputs = lineage::of(&plan);
                        let name = lineage::computed(&outputs, &SAID).filter(|_| rows == Rows::Changes)?;
                        Some(format!("computes {name}"))
                    };
                    drops_rows(&plan).map(|what| format!("has {what}")).or_else(computed)
                }
                Work::Check { on_failure: OnFailure::Quarantine, .. } => Some("takes rows out".to_owned()),
                _ => None,
            };
            if let Some(why) = why {
                return Some(format!("'{path}' {why}"));
            }
            waiting.extend(work.reads().into_iter().cloned());
        }
        None
    }

    async fn incomplete_source(&self, source: &ExtractSource) -> Option<String> {
        match source {
            ExtractSource::Query { .. } => Some("a query, which may leave rows out".to_owned()),
            ExtractSource::Table(_) => self.connections.read(source, None, None, &self.cancel).await.ok()?.incomplete,
        }
    }
}

/// Says in a plan what becomes of rows that are gone.
pub(super) fn note(request: &SinkRequest, plan: &mut SinkPlan) {
    let Some(deletes) = &request.deletes else { return };
    let done = deletes.done();
    let max = deletes.max;
    if deletes.when.is_some() && !deletes.changes {
        plan.notes.push(format!("keys for whose row `deleted_when` is true are {done}"));
    }
    if let Some(every) = deletes.every {
        let every = match every.is_zero() {
            true => "with each load".to_owned(),
            false => format!("at most every {}", headwater_pipelines::duration::format(every)),
        };
        plan.notes.push(format!(
            "{every} all keys of the source are read, and rows whose keys it does not have are {done}: {max} of the rows at most (max_delete)"
        ));
    }
    if deletes.compares_rows() {
        plan.notes.push(format!(
            "rows whose keys the source does not have are {done}: {max} of the rows at most (max_delete)"
        ));
    }
}

/// What of a statement may leave rows out.
fn drops_rows(plan: &LogicalPlan) -> Option<&'static str> {
    let of_this = match plan {
        LogicalPlan::Projection(_) if plan.expressions().iter().any(has_subquery) => Some("a subquery"),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => None,
        LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => None,
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => None,
        LogicalPlan::Filter(_) | LogicalPlan::TableScan(_) => Some("a condition"),
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => Some("a LIMIT"),
        LogicalPlan::Join(_) => Some("a join"),
        LogicalPlan::Aggregate(_) => Some("an aggregate"),
        LogicalPlan::Distinct(_) => Some("a DISTINCT, or a UNION without ALL"),
        LogicalPlan::Window(_) => Some("a window function"),
        _ => Some("more than columns of whole tables"),
    };
    of_this.or_else(|| plan.inputs().into_iter().find_map(drops_rows))
}

fn has_subquery(expression: &Expr) -> bool {
    let mut found = false;
    // Walking an expression fails only if the closure does.
    let _ = expression.apply(|part| {
        found |=
            matches!(part, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}
