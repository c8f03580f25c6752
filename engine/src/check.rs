//! `plan`'s second half: the schema of every edge, derived from the real sources without reading a row of data.
//!
//! Every task is checked against its own inputs. A task whose input could not be checked is skipped, so that a mistake is
//! reported where it is and its consequences are not reported at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::tokenizer::Span;
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_pipelines::decode::Step;
use headwater_pipelines::diagnostic::{Code, Diagnostic, Finding, tidy};
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{ExtractSource, Planned, Relation, TableRef, TaskPath, Work};
use headwater_pipelines::spec::{Columns, OnFailure, Rule, WriteMode};
use headwater_pipelines::sql::SqlFinding;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::connector::{SinkPlan, SinkRequest};
use crate::nodes::compile;
use crate::parameters;
use crate::relations::{Connections, Relations, direct_name};
use crate::stage::Engine;
use crate::transform::{self, Parameters};

mod changes;
mod deletes;
mod history;
mod named;
mod notes;
mod partial;
mod places;

/// What checking found.
#[derive(Debug, Default)]
pub struct Checked {
    /// The schema of every dataset that could be checked.
    pub schemas: BTreeMap<TaskPath, SchemaRef>,
    /// What each load would do to its target.
    pub loads: BTreeMap<TaskPath, TargetPlan>,
    /// What sources say of themselves, by the task that reads them.
    pub notes: BTreeMap<TaskPath, Vec<String>>,
    /// Findings of planning and checking together, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// A load's target and what would be done to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetPlan {
    /// The target as the spec names it.
    pub target: String,
    /// Statements and remarks.
    #[serde(flatten)]
    pub plan: SinkPlan,
}

impl Engine {
    /// Checks a planned document against the systems behind connections, or against their catalogs. Works on whatever resolved, even if the plan has
    /// mistakes. The connections are closed afterwards.
    pub fn check<'a>(
        &'a self,
        document: &'a Document,
        planned: &'a Planned,
        connections: Connections,
    ) -> BoxFuture<'a, crate::Result<Checked>> {
        self.judge(document, planned, connections).boxed()
    }

    async fn judge(&self, document: &Document, planned: &Planned, connections: Connections) -> crate::Result<Checked> {
        let session = self.sessions().session(Arc::clone(self.sessions().pool()), true)?;
        let declared = document.spec.as_ref().map(|spec| spec.params.clone()).unwrap_or_default();
        let mut checker = Checker {
            document,
            planned,
            connections: &connections,
            parameters: parameters::placeholders(&declared),
            relations: Relations::new(session),
            cancel: CancellationToken::new(),
            unreachable: BTreeSet::new(),
            within: None,
            partial: BTreeSet::new(),
            whole: BTreeMap::new(),
            again: BTreeSet::new(),
            checked: Checked { diagnostics: planned.diagnostics.clone(), ..Checked::default() },
        };
        checker.settings();
        checker.expect().await;
        for task in order(planned) {
            checker.task(&task, &planned.works[&task]).await;
        }
        let mut checked = checker.checked;
        connections.close().await;
        tidy(&mut checked.diagnostics);
        Ok(checked)
    }
}

/// Tasks so that each comes after those it reads; those of a cycle, which planning has reported, are left out.
fn order(planned: &Planned) -> Vec<TaskPath> {
    let mut waiting: BTreeMap<&TaskPath, usize> = BTreeMap::new();
    let mut readers: BTreeMap<&TaskPath, Vec<&TaskPath>> = BTreeMap::new();
    for (path, work) in &planned.works {
        let above: BTreeSet<&TaskPath> = work
            .reads()
            .into_iter()
            .filter_map(|relation| match relation {
                Relation::Task(above) if planned.works.contains_key(above) => Some(above),
                _ => None,
            })
            .collect();
        waiting.insert(path, above.len());
        above.into_iter().for_each(|above| readers.entry(above).or_default().push(path));
    }
    let mut ready: Vec<&TaskPath> = waiting.iter().filter(|(_, count)| **count == 0).map(|(path, _)| *path).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(path) = ready.pop() {
        order.push(path.clone());
        for reader in readers.remove(path).unwrap_or_default() {
            if let Some(count) = waiting.get_mut(reader) {
                *count -= 1;
                if *count == 0 {
                    ready.push(reader);
                }
            }
        }
    }
    order
}

struct Checker<'a> {
    document: &'a Document,
    planned: &'a Planned,
    connections: &'a Connections,
    parameters: Parameters,
    relations: Relations,
    cancel: CancellationToken,
    /// Connections that failed: one finding each is enough.
    unreachable: BTreeSet<String>,
    /// The place of the relation that is being looked up, if a statement names it.
    within: Option<Span>,
    /// Relations that hold new rows alone.
    partial: BTreeSet<String>,
    /// Those of them that hold all rows of each value of these columns.
    whole: BTreeMap<String, Vec<String>>,
    /// What makes rows come again that a load has by a source's own position.
    again: BTreeSet<&'static str>,
    checked: Checked,
}

impl Checker<'_> {
    async fn task(&mut self, task: &TaskPath, work: &Work) {
        match work {
            Work::Extract { source, columns, cursor, quarantine } => {
                self.note_quarantine(task, source, *quarantine);
                if !self.readable_by_cursor(task, source, columns.as_ref(), cursor.as_ref()).await {
                    self.extract(task, source, columns.as_ref()).await;
                    self.cursor(task, source, columns.as_ref(), cursor.as_ref()).await;
                }
            }
            Work::Transform { .. } => self.transform(task, work).await,
            Work::Check { input, rules, on_failure, max_rejected } => {
                if *on_failure == OnFailure::Quarantine {
                    self.note_rejects(task, "rows that violate a rule are", *max_rejected, "rows");
                }
                self.check(task, input, rules).await;
            }
            Work::Load { input, into, .. } => {
                if let Some(request) = SinkRequest::of(work) {
                    self.load(task, input, into, &request).await;
                }
            }
            Work::Wait { .. } | Work::Group => {}
        }
    }

    async fn extract(&mut self, task: &TaskPath, source: &ExtractSource, columns: Option<&Columns>) {
        let place = match source {
            ExtractSource::Table(_) => ["extract", "from"],
            ExtractSource::Query { .. } => ["extract", "query"],
        };
        let steps = self.steps(task, &place);
        // Under the types that it asks for an extract may be readable where it is not without them. Only if it isn't are the names looked at.
        let described = !self.connections.are_catalogs() || matches!(source, ExtractSource::Table(_));
        if columns.is_some()
            && described
            && self.inability(source).is_none()
            && let Ok(read) = self.connections.read(source, columns, None, &self.cancel).await
        {
            self.note(task, &read);
            return self.keep(task, read.table.schema());
        }
        let Some(plain) = self.source(task, source, None, &steps).await else { return };
        let provider = match columns {
            None => plain,
            Some(columns) => {
                let names: Vec<String> = plain.schema().fields().iter().map(|field| field.name().clone()).collect();
                if !self.names(task, columns, &names) {
                    return;
                }
                let steps = self.steps(task, &["extract", "columns"]);
                let Some(typed) = self.source(task, source, Some(columns), &steps).await else { return };
                typed
            }
        };
        self.keep(task, provider.schema());
    }

    async fn source(
        &mut self,
        task: &TaskPath,
        source: &ExtractSource,
        columns: Option<&Columns>,
        steps: &[Step],
    ) -> Option<Arc<dyn datafusion::catalog::TableProvider>> {
        if self.unreachable.contains(source.connection()) {
            return None;
        }
        if let Some(finding) = self.inability(source) {
            self.add(steps, finding);
            return None;
        }
        if self.connections.are_catalogs() && matches!(source, ExtractSource::Query { .. }) {
            let finding =
                Finding::warning(Code::Unreachable, "a query is not described when a plan is made on catalogs");
            self.add(steps, finding.hint("what reads it is not checked; plan without --snapshot"));
            return None;
        }
        match self.connections.read(source, columns, None, &self.cancel).await {
            Ok(read) => {
                self.note(task, &read);
                Some(read.table)
            }
            Err(error) => {
                self.failed(Code::UnknownTable, source.connection(), steps, error).await;
                None
            }
        }
    }

    fn inability(&self, source: &ExtractSource) -> Option<Finding> {
        let spec = self.connections.spec(source.connection()).ok()?;
        let able = match source {
            ExtractSource::Table(_) => spec.reads,
            ExtractSource::Query { .. } => spec.queries,
        };
        let what = if matches!(source, ExtractSource::Table(_)) { "read tables" } else { "run queries" };
        (!able).then(|| Finding::error(Code::Abilities, format!("a {} connection can't {what}", spec.name)))
    }

    /// Tables that a statement reads directly. Whether everything the work reads is there.
    async fn inputs(&mut self, task: &TaskPath, work: &Work, place: &[&str]) -> bool {
        let mut complete = true;
        for relation in work.reads() {
            if let Relation::Table(table) = relation
                && !self.relations.contains(&direct_name(table))
            {
                let steps = self.steps(task, place);
                let source = ExtractSource::Table(table.clone());
                self.within = self.place_in_statement(task, &direct_name(table));
                let provider = self.source(task, &source, None, &steps).await;
                self.within = None;
                if let Some(provider) = provider {
                    let name = direct_name(table);
                    self.keep(&name, provider.schema());
                }
            }
            complete &= self.relations.contains(&relation.internal_name());
        }
        complete
    }

    async fn transform(&mut self, task: &TaskPath, work: &Work) {
        if !self.inputs(task, work, &["transform"]).await {
            return;
        }
        let Some(resolved) = self.planned.queries.get(task) else { return };
        match self.planned_statement(&resolved.query).await {
            Ok(plan) => {
                self.partial_statement(task, &plan);
                self.keep(task, Arc::new(plan.schema().as_arrow().clone()));
            }
            Err(findings) => {
                let steps = self.steps(task, &["transform"]);
                for found in findings {
                    let placed = self.document.at_text(&steps, found.line, found.column, found.length, found.finding);
                    self.checked.diagnostics.push(placed);
                }
            }
        }
    }

    /// The plan of a statement that can be run.
    async fn planned_statement(&self, query: &Query) -> Result<LogicalPlan, Vec<SqlFinding>> {
        let plan = transform::plan(query, &self.relations, &self.parameters).await?;
        transform::check_executable(query, &plan, &self.relations).await?;
        Ok(plan)
    }

    async fn check(&mut self, task: &TaskPath, input: &Relation, rules: &[Rule]) {
        let work = &self.planned.works[task];
        if !self.inputs(task, work, &["check", "input"]).await {
            return;
        }
        self.partial_check(task, &input.internal_name());
        let Ok(input) = self.relations.plan(input) else { return };
        let state = self.relations.session().state();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.kind().is_some()) {
            let Err(findings) = compile(rule, input.schema(), &state, &self.parameters) else { continue };
            for found in findings {
                let rule =
                    [self.steps(task, &["check", "rules"]), vec![Step::from(index), Step::from(found.field)]].concat();
                let steps = [rule, found.index.map(Step::from).into_iter().collect()].concat();
                let inner = found.finding;
                self.checked.diagnostics.push(match found.field {
                    "sql" => self.document.at_text(&steps, inner.line, inner.column, inner.length, inner.finding),
                    _ => self.document.at(&steps, inner.finding),
                });
            }
        }
        self.keep(task, Arc::new(input.schema().as_arrow().clone()));
    }

    async fn load(&mut self, task: &TaskPath, input: &Relation, into: &TableRef, request: &SinkRequest) {
        let work = &self.planned.works[task];
        if !self.inputs(task, work, &["load", "input"]).await {
            return;
        }
        let Some(schema) = self.relations.schema(&input.internal_name()).cloned() else { return };
        if self.unreachable.contains(&into.connection) {
            return;
        }
        if !self.named_columns(task, request, &schema) {
            return;
        }
        if let Some(finding) = self.write_inability(into, request.mode) {
            let steps = self.steps(task, &["load", "mode"]);
            self.add(&steps, finding);
            return;
        }
        let is_fine = self.history(task, request, &schema) & self.changes(task, input, request, &schema).await;
        if !self.deletes(task, input, request.deletes.as_ref(), &schema).await || !is_fine {
            return;
        }
        let steps = self.steps(task, &["load", "into"]);
        match self.prepared(into, request, &request.written_columns(&schema)).await {
            Ok(mut plan) => {
                deletes::note(request, &mut plan);
                changes::note(request, &mut plan);
                history::note(request, &mut plan);
                self.partial_load(task, input, request);
                self.partial_columns(input, into, request, &mut plan);
                self.checked.loads.insert(task.clone(), TargetPlan { target: into.to_string(), plan });
            }
            Err(error) => self.failed(Code::SinkType, &into.connection, &steps, error).await,
        }
    }

    fn write_inability(&self, into: &TableRef, mode: WriteMode) -> Option<Finding> {
        let spec = self.connections.spec(&into.connection).ok()?;
        if spec.writes.contains(&mode) {
            return None;
        }
        let modes: Vec<&str> = spec.writes.iter().map(|mode| mode.as_str()).collect();
        let finding =
            Finding::error(Code::Abilities, format!("a {} connection can't be written with mode {mode}", spec.name));
        Some(if modes.is_empty() { finding } else { finding.hint(format!("it accepts {}", modes.join(", "))) })
    }

    async fn prepared(&self, into: &TableRef, request: &SinkRequest, schema: &SchemaRef) -> crate::Result<SinkPlan> {
        let _asking = self.connections.asking(&into.connection);
        self.connections.open(&into.connection)?.sink(request).await?.prepare(schema).await
    }

    fn keep(&mut self, name: &str, schema: SchemaRef) {
        if self.planned.works.contains_key(name) {
            self.checked.schemas.insert(name.into(), Arc::clone(&schema));
        }
        if let Err(error) = self.relations.add_schema(name, schema) {
            let steps = self.planned.steps.get(name).cloned().unwrap_or_default();
            self.add(&steps, Finding::error(Code::SqlType, error.message));
        }
    }
}
