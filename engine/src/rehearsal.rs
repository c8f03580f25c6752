//! Dry runs: a plan on a sample of its rows. Sources are read, nothing is loaded.
//!
//! What a load's rows begin with is sampled. Of the tables that a transform joins, the rows are read that the sample's keys meet, so that
//! a join finds the partners that it finds in a run.

mod joins;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_pipelines::plan::{ExtractSource, Plan, Relation, TableRef, TaskPath, Work};
use headwater_pipelines::spec::{Columns, Rule};
use tokio_util::sync::CancellationToken;

use crate::control::Progress;
use crate::error::{EngineError, Result};
use crate::job::{ConnectionSettings, RunContext};
use crate::nodes::{CheckRule, compile};
use crate::parameters;
use crate::relations::{Connections, Relations};
use crate::stage::Engine;
use crate::transform::{self, Parameters};
use joins::Meeting;

/// Rows of a sample.
const SAMPLE: usize = 1_000;

/// Rows that are read of any other table, and kept of a transform.
const MOST_ROWS: usize = 20_000;

/// Rows of a task that are shown.
const SHOWN: usize = 10;

/// What a dry run found.
#[derive(Debug)]
pub struct Rehearsal {
    /// Its tasks, in the order of the spec.
    pub tasks: Vec<RehearsedTask>,
}

/// A task on its sample.
#[derive(Debug)]
pub struct RehearsedTask {
    /// Its path.
    pub task: TaskPath,
    /// Its rows.
    pub rows: usize,
    /// Whether there are more than were read.
    pub has_more: bool,
    /// The first of them.
    pub shown: RecordBatch,
    /// The rules of a check, with the rows of the sample that violate each.
    pub violations: Vec<(String, usize)>,
    /// Of a load: the key of the rows that it begins with, and how many of its rows have the key of another one.
    pub key: Option<(Vec<String>, usize)>,
}

/// Primary keys of tables.
pub type Keys = BTreeMap<TableRef, Vec<String>>;

/// Rows that are in memory.
#[derive(Debug, Clone)]
struct Held {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    has_more: bool,
    /// The key of the source that it begins with, as far as its columns are there.
    key: Vec<String>,
}

impl Held {
    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn table(&self) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(MemTable::try_new(Arc::clone(&self.schema), vec![self.batches.clone()])?))
    }
}

impl Engine {
    /// Executes a plan on samples. The context gives the values of parameters and the data interval; `keys` are the primary keys of tables, as far as
    /// they are known.
    pub fn rehearse<'a>(
        &'a self,
        plan: &'a Plan,
        settings: BTreeMap<String, ConnectionSettings>,
        (run, keys): (&'a RunContext, &'a Keys),
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Rehearsal>> {
        async move {
            let connections = Connections::new(self.registry().clone(), settings);
            let parameters = parameters::bind(&plan.params, run)?;
            let held = BTreeMap::new();
            let mut stage =
                Rehearsing { engine: self, plan, connections: &connections, keys, parameters, cancel, held };
            let played = tokio::select! {
                played = stage.play() => played,
                () = cancel.cancelled() => Err(EngineError::canceled("the dry run was canceled")),
            };
            connections.close().await;
            played
        }
        .boxed()
    }
}

struct Rehearsing<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    connections: &'a Connections,
    keys: &'a Keys,
    parameters: Parameters,
    cancel: &'a CancellationToken,
    held: BTreeMap<String, Held>,
}

impl Rehearsing<'_> {
    async fn play(&mut self) -> Result<Rehearsal> {
        let mut tasks = Vec::new();
        let plan = self.plan;
        // In the order in which they depend on each other.
        let order = plan.stages.iter().flat_map(|stage| &stage.tasks);
        let mut done = BTreeSet::new();
        // Joined tables are read where they are joined, so that they come last of all.
        let (joined, first): (Vec<&TaskPath>, Vec<&TaskPath>) = order.partition(|task| self.is_met(task));
        for path in first.into_iter().chain(joined).filter(|path| done.insert((*path).clone())) {
            let played = self.task(path, &plan.tasks[path].work).await;
            tasks.extend(played.map_err(|error| error.in_task(path))?);
        }
        let place = |task: &RehearsedTask| plan.tasks.get_index_of(&task.task);
        tasks.sort_by_key(place);
        Ok(Rehearsal { tasks })
    }

    /// Whether a task is an extract that nothing begins with.
    fn is_met(&self, path: &TaskPath) -> bool {
        let is_extract = matches!(self.plan.tasks[path].work, Work::Extract { .. });
        let name = Relation::Task(path.clone()).internal_name();
        let begins = self.plan.tasks.values().any(|task| match &task.work {
            Work::Transform { sql, .. } => joins::first(sql).is_none_or(|first| first == name),
            Work::Check { input, .. } | Work::Load { input, .. } => input.internal_name() == name,
            Work::Extract { .. } | Work::Wait { .. } | Work::Group => false,
        });
        is_extract && !begins
    }

    async fn task(&mut self, path: &TaskPath, work: &Work) -> Result<Option<RehearsedTask>> {
        let name = Relation::Task(path.clone()).internal_name();
        let (mut violations, mut key) = (Vec::new(), None);
        let held = match work {
            Work::Wait { .. } | Work::Group => return Ok(None),
            Work::Extract { source, columns, .. } => match self.held.get(&name) {
                Some(held) => held.clone(),
                None => self.sample(source, columns.as_ref()).await?,
            },
            Work::Transform { sql, reads } => self.transform(sql, reads).await?,
            Work::Check { input, rules, .. } => {
                let held = self.input(input).await?;
                violations = self.violations(&held, rules).await?;
                held
            }
            Work::Load { input, .. } => {
                let held = self.input(input).await?;
                key = self.duplicates(&held).await?.map(|twins| (held.key.clone(), twins));
                held
            }
        };
        let shown = concat_batches(&held.schema, &held.batches).map_err(DataFusionError::from)?;
        let shown = shown.slice(0, shown.num_rows().min(SHOWN));
        let (rows, has_more) = (held.rows(), held.has_more);
        self.held.insert(name, held);
        Ok(Some(RehearsedTask { task: path.clone(), rows, has_more, shown, violations, key }))
    }

    /// The rows of an input, which a table that is read directly does not have yet.
    async fn input(&mut self, relation: &Relation) -> Result<Held> {
        let name = relation.internal_name();
        if let Some(held) = self.held.get(&name) {
            return Ok(held.clone());
        }
        let (source, columns) = self.source_of(relation)?;
        let held = self.sample(&source, columns.as_ref()).await?;
        self.held.insert(name, held.clone());
        Ok(held)
    }

    /// What a relation that is not there yet reads.
    fn source_of(&self, relation: &Relation) -> Result<(ExtractSource, Option<Columns>)> {
        match relation {
            Relation::Table(table) => Ok((ExtractSource::Table(table.clone()), None)),
            Relation::Task(path) => match self.plan.tasks.get(path).map(|task| &task.work) {
                Some(Work::Extract { source, columns, .. }) => Ok((source.clone(), columns.clone())),
                _ => Err(EngineError::bug(format!("task {path} comes before what it reads"))),
            },
        }
    }

    async fn sample(&self, source: &ExtractSource, columns: Option<&Columns>) -> Result<Held> {
        let session = self.session()?;
        let rows = self.rows_of(&session, source, columns).await?;
        collect(rows, SAMPLE, self.key_of(source)).await
    }

    async fn rows_of(
        &self,
        session: &SessionContext,
        source: &ExtractSource,
        columns: Option<&Columns>,
    ) -> Result<DataFrame> {
        Ok(session.read_table(self.connections.source(source, columns, self.cancel).await?)?)
    }

    /// The primary key of a table, if it is known.
    fn key_of(&self, source: &ExtractSource) -> Vec<String> {
        let ExtractSource::Table(table) = source else { return Vec::new() };
        self.keys.get(table).cloned().unwrap_or_default()
    }

    async fn transform(&mut self, sql: &str, reads: &[Relation]) -> Result<Held> {
        let first = joins::first(sql);
        let meetings = joins::meetings(sql);
        let mut relations = Relations::new(self.session()?);
        let progress = Progress::default();
        let mut here: BTreeMap<String, Held> = BTreeMap::new();
        // What the statement begins with comes first: the others meet it.
        let mut order: Vec<&Relation> = reads.iter().collect();
        order.sort_by_key(|relation| first.as_ref() != Some(&relation.internal_name()));
        let (mut key, mut has_more) = (Vec::new(), false);
        for relation in order {
            let name = relation.internal_name();
            let begins = first.as_ref() == Some(&name);
            let held = if begins || !self.is_source(relation) {
                self.input(relation).await?
            } else {
                self.met(relation, &meetings, &here).await?
            };
            if begins {
                (key, has_more) = (held.key.clone(), held.has_more);
            }
            relations.add_table(&name, held.table()?, &progress)?;
            here.insert(name, held);
        }
        let plan = transform::plan_text(sql, &relations, &self.parameters).await?;
        let rows = relations.session().execute_logical_plan(plan).await?;
        let mut held = collect(rows, MOST_ROWS, key).await?;
        held.has_more |= has_more;
        // What was read of a joined table is what its own task shows.
        for (name, rows) in here {
            self.held.entry(name).or_insert(rows);
        }
        Ok(held)
    }

    /// Whether a relation is read from a source.
    fn is_source(&self, relation: &Relation) -> bool {
        match relation {
            Relation::Table(_) => true,
            Relation::Task(path) => matches!(self.plan.tasks[path].work, Work::Extract { .. }),
        }
    }

    /// The rows of a table whose keys the rows that are here have.
    async fn met(&self, relation: &Relation, meetings: &[Meeting], here: &BTreeMap<String, Held>) -> Result<Held> {
        let (source, columns) = self.source_of(relation)?;
        let session = self.session()?;
        let mut rows = self.rows_of(&session, &source, columns.as_ref()).await?;
        let name = relation.internal_name();
        let condition = meetings.iter().find_map(|meeting| meeting.of(&name, |other| here.get(other)));
        if let Some((column, held, other)) = condition {
            let values = distinct(held, other).await?;
            let place = rows.schema().field_with_unqualified_name(column).map(|field| field.name().clone());
            if let (Some(values), Ok(place)) = (values, place) {
                rows = rows.filter(Expr::Column(Column::from_name(place)).in_list(values, false))?;
            }
        }
        collect(rows, MOST_ROWS, self.key_of(&source)).await
    }

    /// Rows that violate each rule.
    async fn violations(&self, held: &Held, rules: &[Rule]) -> Result<Vec<(String, usize)>> {
        let session = self.session()?;
        let rows = session.read_table(held.table()?)?;
        let mut found = Vec::with_capacity(rules.len());
        for rule in rules {
            let compiled = compile(rule, rows.schema(), &session.state(), &self.parameters).map_err(|findings| {
                let messages: Vec<String> = findings.into_iter().map(|found| found.finding.finding.message).collect();
                EngineError::config(format!("rule {}: {}", rule.label(), messages.join("; ")))
            })?;
            let wrong = match &compiled {
                CheckRule::Row { violation, .. } => rows.clone().filter(violation.clone())?.count().await?,
                CheckRule::Unique { columns, .. } => twins(&rows, columns.clone()).await?,
            };
            found.push((compiled.label().to_owned(), wrong));
        }
        Ok(found)
    }

    /// How many rows have the key of another one; `None` without a key.
    async fn duplicates(&self, held: &Held) -> Result<Option<usize>> {
        if held.key.is_empty() {
            return Ok(None);
        }
        let rows = self.session()?.read_table(held.table()?)?;
        let columns = held.key.iter().map(|column| Expr::Column(Column::from_name(column))).collect();
        Ok(Some(twins(&rows, columns).await?))
    }

    fn session(&self) -> Result<SessionContext> {
        self.engine.sessions().session(Arc::clone(self.engine.sessions().pool()), true)
    }
}

/// Rows that agree in all these columns with an earlier one. NULLs are equal to nothing.
async fn twins(rows: &DataFrame, columns: Vec<Expr>) -> Result<usize> {
    let known = columns.iter().cloned().map(Expr::is_not_null).reduce(Expr::and).unwrap_or_else(|| lit(true));
    let rows = rows.clone().filter(known)?;
    let all = rows.clone().count().await?;
    let distinct = rows.select(columns)?.distinct()?.count().await?;
    Ok(all - distinct)
}

/// The first rows.
async fn collect(rows: DataFrame, most: usize, key: Vec<String>) -> Result<Held> {
    let schema = Arc::new(rows.schema().as_arrow().clone());
    let mut batches = rows.limit(0, Some(most + 1))?.collect().await?;
    let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let has_more = read > most;
    if let Some(last) = batches.last_mut().filter(|_| has_more) {
        *last = last.slice(0, last.num_rows() - 1);
    }
    // A key that stays in part tells no rows apart.
    let stays = key.iter().all(|column| schema.field_with_name(column).is_ok());
    let key = if stays { key } else { Vec::new() };
    // A batch may know more of nullability than the plan.
    let batches = batches.into_iter().map(|batch| batch.with_schema(Arc::clone(&schema)));
    let batches = batches.collect::<Result<_, _>>().map_err(DataFusionError::from)?;
    Ok(Held { batches, schema, has_more, key })
}

/// The values of a column, without NULL; `None` if it is not there.
async fn distinct(held: &Held, column: &str) -> Result<Option<Vec<Expr>>> {
    let Some(index) = held.schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(column)) else {
        return Ok(None);
    };
    let mut values = BTreeMap::new();
    for batch in &held.batches {
        let column = batch.column(index);
        for row in 0..batch.num_rows() {
            let value = ScalarValue::try_from_array(column, row)?;
            if !value.is_null() {
                values.insert(value.to_string(), value);
            }
        }
    }
    Ok(Some(values.into_values().map(lit).collect()))
}
