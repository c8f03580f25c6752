//! The target table of a load: one transaction that holds the rows and, last, the load's id.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use headwater_engine::connector::{Commit, LoadContext, Sink, SinkPlan, SinkRequest, Staged, Taken, without_flag};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::{Deletes, History};
use headwater_pipelines::spec::{Contract, LoadSchema, WriteMode};
use uuid::Uuid;

use super::Shared;
use super::alter::{self, Change};
use super::keyed;
use super::known::Within;
use super::loads::{self, Backend};
use super::marks;
use super::names;
use super::relation::Relation;
use super::session::Session;
use super::swap;
use crate::contract::refuse_scan_of_history;
use look::Target;
use transaction::Filled;

mod look;
mod transaction;

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
    /// The columns of which the target has each value once.
    unique: Vec<String>,
    contract: LoadSchema,
    deletes: Option<Deletes>,
    history: Option<History>,
}

/// An open transaction with all rows in it.
struct Open {
    session: Session,
    backend: Backend,
    rows: u64,
    /// The target and the table built beside it.
    swap: Option<(Relation, String)>,
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
        refuse_scan_of_history(&label, request)?;
        let (keys, order_by, contract) = (request.keys.clone(), request.order_by.clone(), request.schema.clone());
        let (deletes, history, unique) = (request.deletes.clone(), request.history.clone(), keyed::unique(request));
        Ok(Self { shared, schema, name, mode: request.mode, keys, order_by, unique, contract, deletes, history })
    }

    /// The quoted path of the target.
    fn sql(&self) -> String {
        names::path(&[&self.schema, &self.name])
    }

    fn label(&self) -> String {
        format!("{}.{}.{}", self.shared.dialer.name, self.schema, self.name)
    }

    fn canceled(&self) -> EngineError {
        EngineError::canceled(format!("writing {} was canceled", self.label()))
    }

    /// What the contract means where a plan alone does not show it.
    fn notes_of_columns(&self, target: &Target) -> Vec<String> {
        let mut notes = Vec::new();
        let is_swapped = target.swapped(self.mode).is_some();
        if self.mode == WriteMode::Overwrite && !self.contract.is_frozen() && target.relation.is_some() {
            notes.push(match (is_swapped, self.contract.default_contract()) {
                (true, Contract::Evolve) => {
                    "the overwrite replaces the columns: the table has those of the dataset afterwards, and those with a default of their own"
                        .to_owned()
                }
                _ => "the overwrite keeps the table's columns: those that no longer come stay".to_owned(),
            });
        }
        if !is_swapped && target.alters.iter().any(|alter| alter.change == Change::Widen) {
            notes.push(format!(
                "readers of {} wait while its columns are widened, which may rewrite the table",
                self.label()
            ));
        }
        notes
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
        let mut notes = self.notes_of_columns(&target);
        notes.extend(target.fit.notes);
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
                self.unique.join(", "),
                names::path(&[&self.schema, &self.name]),
                names::list(self.unique.iter().map(String::as_str))
            ));
        }
        let altered = target.alters.iter().map(|alter| alter.sql(&self.sql()));
        let ddl = target.create.into_iter().chain(altered).collect();
        Ok(SinkPlan { ddl, notes, columns: alter::column_changes(&target.alters) })
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
            self.look(&session, &without_flag(&input.schema(), self.deletes.as_ref()), Within::Nothing).await?;
            loads::ensure(&session, &self.schema).await?;
        }
        if !load.marks.is_empty() {
            marks::ensure(&session, &self.schema).await?;
        }
        let work = self.fill(&session, load, input);
        let filled = load.cancel.run_until_cancelled(work).await.unwrap_or_else(|| Err(self.canceled()))?;
        let Filled { rows, bytes, swap, changes, alters } = filled;
        let state = Box::new(Open { session, backend, rows, swap });
        Ok(Staged { rows, bytes, files: 0, changes, columns: alter::column_changes(&alters), state })
    }

    async fn commit(&self, load: &LoadContext, staged: Staged) -> Result<Commit> {
        let open = staged
            .state
            .downcast::<Open>()
            .map_err(|_| EngineError::bug("a load was handed to a sink that did not write it"))?;
        // Nothing is visible before the last statement, so that a cancel ends all waiting until then.
        let ready = load.cancel.run_until_cancelled(async {
            if let Some((table, beside)) = &open.swap {
                swap::swap(&open.session, load, table, beside).await?;
            }
            marks::advance(&open.session, &self.schema, load.load_id, &load.marks, &self.label()).await
        });
        ready.await.unwrap_or_else(|| Err(self.canceled()))?;
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
