//! The target table of a load: one transaction that holds the rows and, last, the load's id.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use headwater_engine::connector::{Changes, Commit, LoadContext, Sink, SinkPlan, SinkRequest, Staged, Taken};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::WriteMode;
use uuid::Uuid;

use super::Shared;
use super::casts;
use super::copy;
use super::keyed::{self, Merge};
use super::known::{self, Within};
use super::loads::{self, Backend};
use super::marks;
use super::names::{self, literal};
use super::relation::{self, ColumnMeta, Relation};
use super::session::Session;
use super::swap;
use super::target::{self, Fit, NewColumn};

/// A table that another session holds for longer than this fails the attempt, which is tried again.
pub(super) const LOCK_TIMEOUT: &str = "60s";

/// A frozen process may hold its open transaction this long; a successor ends it sooner.
const IDLE_TIMEOUT: &str = "15min";

/// Appends to or overwrites one table.
#[derive(Debug)]
pub(super) struct PostgresSink {
    shared: Arc<Shared>,
    schema: String,
    name: String,
    mode: WriteMode,
    keys: Vec<String>,
    order_by: Option<String>,
}

/// An open transaction with all rows in it.
struct Open {
    session: Session,
    backend: Backend,
    rows: u64,
    /// The target and the table built beside it.
    swap: Option<(Relation, String)>,
}

/// Rows and bytes, the table built beside the target, and what a merge did.
type Merged = (u64, u64, Option<(Relation, String)>, Option<Changes>);

/// The target as it is now.
struct Target {
    relation: Option<Relation>,
    fit: Fit,
    create: Vec<String>,
    /// What keeps an overwrite from swapping.
    dependents: Vec<String>,
    /// A unique index says which rows are one.
    has_index: bool,
}

impl PostgresSink {
    pub(super) fn open(shared: Arc<Shared>, request: &SinkRequest) -> Result<Self> {
        let label = format!("{}.{}", shared.dialer.name, request.path.join("."));
        if !super::SPEC.writes.contains(&request.mode) {
            return Err(EngineError::config(format!("{label}: mode {} is not supported yet", request.mode))
                .hint(format!("use one of {}", list_of(super::SPEC.writes))));
        }
        if !request.partition_by.is_empty() {
            return Err(EngineError::config(format!("{label}: a Postgres table is not partitioned by a load"))
                .hint("leave partition_by out; a table that is already partitioned can be loaded"));
        }
        let (schema, name) = match request.path.as_slice() {
            [name] => ("public".to_owned(), name.clone()),
            [schema, name] => (schema.clone(), name.clone()),
            _ => {
                return Err(EngineError::config(format!("{label} is not a table"))
                    .hint("name the target as connection.schema.table"));
            }
        };
        let (keys, order_by) = (request.keys.clone(), request.order_by.clone());
        Ok(Self { shared, schema, name, mode: request.mode, keys, order_by })
    }

    fn label(&self) -> String {
        format!("{}.{}.{}", self.shared.dialer.name, self.schema, self.name)
    }

    /// Looks at the target and fits the dataset to it, or to the table that would be made.
    async fn look(&self, session: &Session, incoming: &SchemaRef, within: Within) -> Result<Target> {
        let names = incoming.fields().iter().map(|field| ("column", field.name().as_str()));
        names::refuse_long(session, names.chain([("schema", self.schema.as_str()), ("table", self.name.as_str())]))
            .await?;
        let path = [self.schema.clone(), self.name.clone()];
        // What was looked at before counts only for a plan.
        let known = if within == Within::Nothing { self.shared.known.take(&path) } else { None };
        let quoted = names::path(&path);
        let exists = format!("SELECT to_regclass({}) IS NOT NULL", literal(&quoted));
        if known.is_none() && session.value("looking for the target", &exists).await?.as_deref() != Some("t") {
            let mut columns = target::new_columns(incoming)?;
            return Ok(Target {
                relation: None,
                fit: self.fit_new(session, incoming, &mut columns, within).await?,
                create: self.create(session, &columns).await?,
                dependents: Vec::new(),
                has_index: true,
            });
        }
        let (relation, columns) = match known {
            Some(known) => known?,
            None => known::look(session, &self.shared.dialer.name, &path).await?,
        };
        if !matches!(relation.kind, 'r' | 'p') {
            let kind = relation::kind_name(relation.kind);
            return Err(EngineError::config(format!("{} is a {kind}, which can't be loaded", self.label()))
                .hint("load into a table"));
        }
        if self.mode.is_keyed() {
            keyed::refuse_heirs(session, &relation).await?;
        }
        let fit = target::fit(&self.label(), incoming, &columns)?;
        let dependents = match self.mode {
            WriteMode::Overwrite => match self.shared.known.take_dependents(&relation) {
                Some(known) => known,
                None => swap::dependents(session, &relation).await?,
            },
            _ => Vec::new(),
        };
        let has_index = match self.unique_keys() {
            [] => true,
            keys => keyed::has_unique_index(session, &relation, keys).await?,
        };
        Ok(Target { relation: Some(relation), fit, create: Vec::new(), dependents, has_index })
    }

    /// The statements that make the table, and its schema if there is none.
    async fn create(&self, session: &Session, columns: &[NewColumn]) -> Result<Vec<String>> {
        let mut statements = loads::create_schema(session, &self.schema).await?;
        statements.push(target::create_table(&self.schema, &self.name, columns, self.unique_keys()));
        Ok(statements)
    }

    /// The keys of which the target has each once. An overwrite has keys if a load by keys starts over.
    fn unique_keys(&self) -> &[String] {
        if keyed::is_unique(self.mode) || self.mode == WriteMode::Overwrite { &self.keys } else { &[] }
    }

    /// Fits the dataset to a table that doesn't exist, by the types that its columns would have. A remembered type that this database does not have
    /// gives way to the one that holds the column's values.
    async fn fit_new(
        &self,
        session: &Session,
        incoming: &SchemaRef,
        columns: &mut [NewColumn],
        within: Within,
    ) -> Result<Fit> {
        let natives: Vec<&str> =
            columns.iter().flat_map(|column| [column.native.as_str(), column.fallback.as_str()]).collect();
        let types = self.shared.known.types(session, &natives, within).await?;
        let mut metas = Vec::with_capacity(columns.len());
        for (column, found) in columns.iter_mut().zip(types.chunks(2)) {
            let (meta, native) = match found {
                [Some(remembered), _] => (remembered, column.native.clone()),
                [None, Some(fallback)] => (fallback, column.fallback.clone()),
                _ => {
                    let (name, kind) = (&column.name, &column.fallback);
                    return Err(EngineError::config(format!("column {name}: the database has no type {kind}")));
                }
            };
            metas.push(ColumnMeta { name: column.name.clone(), nullable: true, ..meta.clone() });
            column.native = native;
        }
        target::fit(&self.label(), incoming, &metas)
    }

    /// Begins the transaction, looks at the target in it and makes the table that the rows go into; answers what follows COPY. Whatever the role's
    /// default is, each statement sees what others have committed while the load waited for its turn.
    async fn begin(
        &self,
        session: &Session,
        load: &LoadContext,
        incoming: &SchemaRef,
    ) -> Result<(Target, String, Option<(Relation, String)>)> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}';
             SET LOCAL statement_timeout = 0; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1"
        );
        session.run("beginning the load", &begin).await?;
        let mut into = names::path(&[&self.schema, &self.name]);
        let exists = format!("SELECT to_regclass({}) IS NOT NULL", literal(&into));
        let exists = session.value("looking for the target", &exists).await?.as_deref() == Some("t");
        // Who replaces, merges into or makes the table has it to themselves, and only then looks at it.
        if self.mode != WriteMode::Append || !exists {
            swap::exclude_others(session, load, &self.schema, &into).await?;
        }
        let target = self.look(session, incoming, Within::Transaction).await?;
        for statement in &target.create {
            session.run(&format!("making {}", self.label()), statement).await?;
        }
        let mut swapped = None;
        if let (WriteMode::Overwrite, Some(relation)) = (self.mode, &target.relation) {
            if target.dependents.is_empty() {
                let beside = swap::beside(load.load_id, load.attempt);
                session.run("making the new table", &swap::create_beside(relation, &beside)).await?;
                into = names::path(&[self.schema.as_str(), &beside]);
                swapped = Some((relation.clone(), beside));
            } else {
                let delete = format!("LOCK TABLE {into} IN SHARE ROW EXCLUSIVE MODE; DELETE FROM {into}");
                session.run("deleting the old rows", &delete).await?;
            }
        }
        Ok((target, into, swapped))
    }

    /// Sends all rows; answers their number and bytes.
    async fn send(
        &self,
        session: &Session,
        fit: &Fit,
        into: &str,
        input: SendableRecordBatchStream,
    ) -> Result<(u64, u64)> {
        let columns = if fit.columns.is_empty() { String::new() } else { format!(" ({})", fit.names()) };
        if !fit.casts() {
            return copy::copy(session, fit, &format!("COPY {into}{columns} FROM STDIN (FORMAT BINARY)"), input).await;
        }
        session.run("making room for the texts", &casts::create(fit, into)).await?;
        let into_incoming = format!("COPY {}{columns} FROM STDIN (FORMAT BINARY)", casts::INCOMING);
        let sent = copy::copy(session, fit, &into_incoming, input).await?;
        casts::refuse_changed(session, fit).await?;
        session.run("casting the texts", &casts::insert(fit, into)).await?;
        Ok(sent)
    }

    /// Sends all rows beside the target and merges them into it.
    async fn merge(
        &self,
        session: &Session,
        target: &Target,
        into: &str,
        input: SendableRecordBatchStream,
    ) -> Result<Merged> {
        let fit = &target.fit;
        if let Some(key) = self.keys.iter().find(|key| !fit.columns.iter().any(|column| column.name == **key)) {
            return Err(EngineError::config(format!(
                "{}: the load writes no column {key}, which is a key",
                self.label()
            )));
        }
        session.run("making room for the rows", &keyed::create_rows(fit, into)).await?;
        let (rows, bytes) = self.send(session, fit, keyed::ROWS, input).await?;
        let merge = Merge {
            mode: self.mode,
            into,
            keys: &self.keys,
            order_by: self.order_by.as_deref(),
            fit,
            is_partitioned: target.relation.as_ref().is_some_and(|relation| relation.kind == 'p'),
        };
        let changes = merge.run(session, target.has_index).await?;
        Ok((rows, bytes, None, Some(changes)))
    }

    /// Asks the target, on a session of its own, how a commit ended whose answer was lost.
    async fn outcome(&self, load: &LoadContext, backend: &Backend, error: EngineError) -> Result<Commit> {
        let session = self.shared.dialer.dial().await?;
        // While the old session lives, its commit may still happen.
        backend.end(&session).await?;
        match loads::taken(&session, &self.schema, load.load_id).await? {
            Some(taken) if taken.attempt == load.attempt => Ok(Commit::Committed { version: None }),
            Some(taken) => Ok(Commit::Adopted(taken)),
            None => Err(error),
        }
    }
}

#[async_trait]
impl Sink for PostgresSink {
    async fn prepare(&self, schema: &SchemaRef) -> Result<SinkPlan> {
        let target = self.shared.ask(async |session| self.look(session, schema, Within::Nothing).await).await?;
        let mut notes = target.fit.notes;
        if !target.dependents.is_empty() {
            notes.push(format!(
                "the rows of {} are deleted and inserted in one transaction instead of swapping tables, because of {}",
                self.label(),
                target.dependents.join(", ")
            ));
        }
        if !target.has_index {
            notes.push(format!(
                "{} has no unique index over {}: each load keeps other writers out while it compares rows; CREATE UNIQUE INDEX ON {} ({}) spares that",
                self.label(),
                self.keys.join(", "),
                names::path(&[&self.schema, &self.name]),
                names::list(self.keys.iter().map(String::as_str))
            ));
        }
        Ok(SinkPlan { ddl: target.create, notes })
    }

    async fn write(&self, load: &LoadContext, input: SendableRecordBatchStream) -> Result<Staged> {
        let session = self.shared.session().await?;
        for backend in load.predecessors.iter().filter_map(Backend::from_handle) {
            backend.end(&session).await?;
        }
        let backend = Backend::of(&session).await?;
        load.record_handle(backend.to_handle()).await?;
        if !loads::exists(&session, &self.schema).await? {
            // Nothing is made for a load that can't be.
            self.look(&session, &input.schema(), Within::Nothing).await?;
            loads::ensure(&session, &self.schema).await?;
        }
        if !load.marks.is_empty() {
            marks::ensure(&session, &self.schema).await?;
        }
        let work = async {
            let (target, into, swap) = self.begin(&session, load, &input.schema()).await?;
            if self.mode.is_keyed() {
                return self.merge(&session, &target, &into, input).await;
            }
            let (rows, bytes) = self.send(&session, &target.fit, &into, input).await?;
            Ok::<_, EngineError>((rows, bytes, swap, None))
        };
        let canceled = || EngineError::canceled(format!("writing {} was canceled", self.label()));
        let (rows, bytes, swap, changes) =
            load.cancel.run_until_cancelled(work).await.unwrap_or_else(|| Err(canceled()))?;
        let state = Box::new(Open { session, backend, rows, swap });
        Ok(Staged { rows, bytes, files: 0, changes, state })
    }

    async fn commit(&self, load: &LoadContext, staged: Staged) -> Result<Commit> {
        let open = staged
            .state
            .downcast::<Open>()
            .map_err(|_| EngineError::bug("a load was handed to a sink that did not write it"))?;
        if let Some((table, beside)) = &open.swap {
            swap::swap(&open.session, table, beside).await?;
        }
        marks::advance(&open.session, &self.schema, load.load_id, &load.marks, &self.label()).await?;
        let insert = loads::insert(&self.schema, load.load_id, load.attempt, &load.task, &self.label(), open.rows);
        // One round trip: whatever goes wrong in it, the target is asked how it ended.
        let committed = open.session.run("committing the load", &format!("{insert}; COMMIT")).await;
        let Open { session, backend, .. } = *open;
        let Err(error) = committed else {
            self.shared.give_back(session);
            return Ok(Commit::Committed { version: None });
        };
        drop(session);
        self.outcome(load, &backend, error).await
    }

    async fn taken(&self, load_id: Uuid) -> Result<Option<Taken>> {
        self.shared.ask(async |session| loads::taken(session, &self.schema, load_id).await).await
    }

    async fn generations(&self, cursors: &[Uuid]) -> Result<Option<BTreeMap<Uuid, i64>>> {
        let found = async |session: &Session| marks::generations(session, &self.schema, cursors).await;
        self.shared.ask(found).await.map(Some)
    }

    async fn fence(&self, load_id: Uuid) -> Result<Option<Taken>> {
        let session = self.shared.dialer.dial().await?;
        loads::ensure(&session, &self.schema).await?;
        let insert = loads::insert(&self.schema, load_id, 0, "fence", &self.label(), 0);
        let sql = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; {insert} ON CONFLICT DO NOTHING; COMMIT"
        );
        session.run("fencing the load", &sql).await?;
        Ok(loads::taken(&session, &self.schema, load_id).await?.filter(|taken| taken.attempt != 0))
    }

    async fn abort(&self, _load: &LoadContext, staged: Option<Staged>) {
        if let Some(open) = staged.and_then(|staged| staged.state.downcast::<Open>().ok()) {
            // A session that can't roll back any more rolls back by ending.
            let _ = open.session.run("rolling back", "ROLLBACK").await;
        }
    }
}

fn list_of(modes: &[WriteMode]) -> String {
    modes.iter().map(|mode| mode.as_str()).collect::<Vec<_>>().join(", ")
}
