//! The target table of a load.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::DeltaTable;
use deltalake::kernel::Add;
use headwater_engine::connector::{
    Changes, ColumnChanges, Commit, Compacted, LoadContext, Mark, Sink, SinkPlan, SinkRequest, Staged, Taken,
    refuse_without_history, without_flag,
};
use headwater_engine::{EngineError, ErrorKind, Result};
use headwater_pipelines::plan::{Deletes, History};
use headwater_pipelines::spec::{Contract, LoadSchema, WriteMode};
use uuid::Uuid;

use super::columns::{self, Columns, Terms};
use super::commit::{self, Contents, Guard, Removes, Unguarded};
use super::compact;
use super::ground::Ground;
use super::merge::Merge;
use super::protocol;
use super::table::{self, Location};
use super::write::{self, Layout, Written};
use crate::conform;
use crate::contract::refuse_scan_of_history;

/// How often rows are merged again because others have changed what they meet.
const MERGES: u32 = 5;

/// Loads into one table.
#[derive(Debug)]
pub(super) struct DeltaSink {
    location: Location,
    mode: WriteMode,
    keys: Vec<String>,
    order_by: Option<String>,
    partition_by: Vec<String>,
    contract: LoadSchema,
    deletes: Option<Deletes>,
    history: Option<History>,
}

/// What `write` leaves for `commit`.
struct Files {
    adds: Vec<Add>,
    layout: Layout,
    /// What it changes of the table's columns.
    changes: ColumnChanges,
    /// What a merge depends on.
    ground: Option<Ground>,
}

impl DeltaSink {
    pub(super) fn new(location: Location, request: &SinkRequest) -> Result<Self> {
        if !super::SPEC.writes.contains(&request.mode) {
            return Err(EngineError::config(format!("{}: mode {} is not supported yet", location.label, request.mode))
                .hint("use append, overwrite, upsert, insert_new, delete_insert or scd2"));
        }
        refuse_scan_of_history(&location.label, request)?;
        let SinkRequest { mode, keys, order_by, partition_by, schema: contract, deletes, history, .. } =
            request.clone();
        Ok(Self { location, mode, keys, order_by, partition_by, contract, deletes, history })
    }

    /// Judges a dataset against the table; returns what the table's files look like, and its columns after the load.
    fn judge(&self, incoming: &Schema, table: &DeltaTable) -> Result<(Layout, Columns)> {
        let label = self.location.label.as_str();
        protocol::check(label, table, self.mode)?;
        if self.mode == WriteMode::Scd2 {
            let columns = table::arrow_schema(table)?;
            refuse_without_history(label, columns.fields().iter().map(|field| field.name().as_str()))?;
        }
        let state = table.snapshot().map_err(|error| self.location.failed("reading", error))?;
        let existing = state.metadata().partition_columns().to_vec();
        let keys: &[String] = if self.mode.is_keyed() { &self.keys } else { &[] };
        let terms = Terms { label, contract: &self.contract, mode: self.mode, keys, partition_by: &existing };
        let columns = columns::judge(terms, incoming, table::arrow_schema(table)?.as_ref())?;
        let schema = Arc::clone(&columns.schema);
        let is_bytes = |name: &&String| schema.field_with_name(name).is_ok_and(|field| field.data_type().is_binary());
        if let Some(name) = existing.iter().find(is_bytes) {
            let message = format!("the Delta table {label} is partitioned by {name}, which holds bytes");
            return Err(EngineError::config(message).hint("load into another table"));
        }
        if !self.partition_by.is_empty() && self.partition_by != existing {
            let kept = if existing.is_empty() {
                "not partitioned".to_owned()
            } else {
                format!("partitioned by {}", existing.join(", "))
            };
            return Err(EngineError::config(format!("the Delta table {label} is {kept}"))
                .hint("leave partition_by out, or load into another table"));
        }
        let layout = Layout::new(Some(table), schema, existing)?;
        Ok((Layout { absent: columns.absent.clone(), ..layout }, columns))
    }

    /// The schema of a table that is to be made.
    fn new_schema(&self, incoming: &Schema) -> Result<Schema> {
        let schema = conform::lake_schema(incoming)?;
        for name in &self.partition_by {
            let field = schema.field_with_name(name).map_err(|_| write::no_column(name))?;
            // A float has no one text, and the text of a small one is longer than a file's name may be.
            let is_float = matches!(field.data_type(), DataType::Float32 | DataType::Float64);
            if is_float || matches!(field.data_type(), DataType::List(_) | DataType::Struct(_) | DataType::Binary) {
                return Err(EngineError::config(format!(
                    "a table can't be partitioned by {name} ({})",
                    field.data_type()
                )));
            }
        }
        if schema.fields().is_empty() {
            return Err(EngineError::config("a dataset without columns is no table of Delta")
                .hint("leave it out of the load; of a whole schema: exclude: [name]"));
        }
        if self.partition_by.len() == schema.fields().len() {
            return Err(EngineError::config("a table can't be partitioned by all its columns"));
        }
        Ok(schema)
    }

    /// What the files of a load look like, what it changes of the table's columns, and the table, if it is there.
    async fn layout(&self, incoming: &Schema) -> Result<(Layout, ColumnChanges, Option<DeltaTable>)> {
        if let Some(table) = self.location.open().await? {
            let (layout, columns) = self.judge(incoming, &table)?;
            return Ok((layout, columns.changes, Some(table)));
        }
        let schema = table::as_stored(&self.new_schema(incoming)?)?;
        Ok((Layout::new(None, schema, self.partition_by.clone())?, ColumnChanges::default(), None))
    }

    fn contents(&self, files: &Files, marks: &[Mark]) -> Contents {
        let removes = match (&files.ground, self.mode) {
            (Some(ground), _) => Removes::Some(ground.removed.iter().cloned().collect()),
            (None, WriteMode::Overwrite) => Removes::All,
            (None, _) => Removes::None,
        };
        let (adds, partition_by) = (files.adds.clone(), files.layout.partition_by.clone());
        Contents { adds, removes, partition_by, marks: marks.to_vec(), is_compaction: false }
    }

    fn merge<'a>(&'a self, load: &'a LoadContext, layout: &'a Layout) -> Merge<'a> {
        let (keys, order_by, deletes) = (self.keys.as_slice(), self.order_by.as_deref(), self.deletes.as_ref());
        let history = self.history.as_ref();
        Merge { location: &self.location, layout, mode: self.mode, keys, order_by, deletes, history, load }
    }

    /// Writes the files of a load, merged with those of the table if rows meet by keys.
    async fn merged(
        &self,
        load: &LoadContext,
        layout: &Layout,
        table: Option<&DeltaTable>,
        input: SendableRecordBatchStream,
    ) -> Result<(u64, Vec<Add>, Option<Changes>, Option<Ground>)> {
        if !self.mode.is_keyed() {
            let Written { rows, adds } = write::files(&self.location, layout, load, input).await?;
            return Ok((rows, adds, None, None));
        }
        let merged = self.merge(load, layout).write(table, input).await?;
        Ok((merged.rows, merged.written.adds, Some(merged.changes), Some(merged.ground)))
    }
}

impl DeltaSink {
    /// The table's columns are no longer what the load was judged by.
    fn changed(&self) -> EngineError {
        let message = format!("the schema of {} changed while the load ran", self.location.label);
        EngineError::new(ErrorKind::Conflict, message)
    }

    /// Remarks of a plan about the table's columns.
    fn notes(&self, columns: &Columns) -> Vec<String> {
        let mut notes = Vec::new();
        if self.mode == WriteMode::Overwrite && !self.contract.is_frozen() {
            notes.push(match self.contract.default_contract() {
                Contract::Evolve => "the overwrite replaces the columns: the table has those of the dataset afterwards",
                _ => "the overwrite keeps the table's columns: those that no longer come stay",
            });
        }
        notes.into_iter().map(str::to_owned).chain(columns.notes.iter().cloned()).collect()
    }

    /// Merges the rows into the table as others have left it.
    async fn merge_again(&self, load: &LoadContext, files: &mut Files) -> Result<()> {
        let Some(ground) = &files.ground else { return Ok(()) };
        let Some(table) = self.location.open().await? else {
            return Err(EngineError::config(format!("the Delta table {} is gone", self.location.label)));
        };
        let (layout, columns) = self.judge(&files.layout.schema, &table)?;
        if !columns.changes_no_more_than(&files.changes) {
            return Err(self.changed());
        }
        files.layout = layout;
        let merged = self.merge(load, &files.layout).again(&table, ground).await?;
        write::remove(&self.location.store()?, &files.adds).await;
        files.adds = merged.written.adds;
        files.ground = Some(merged.ground);
        Ok(())
    }
}

/// Files were written for this layout; a table that changed meanwhile needs the load to be planned again, unless it has their columns: then others
/// have added the same ones, or some that the contract leaves without a value.
struct SameLayout<'a> {
    sink: &'a DeltaSink,
    files: &'a Files,
}

#[async_trait]
impl Guard for SameLayout<'_> {
    async fn check(&self, table: &DeltaTable) -> Result<Option<SchemaRef>> {
        let layout = &self.files.layout;
        let (now, columns) = self.sink.judge(&layout.schema, table)?;
        let has =
            |field: &FieldRef| now.schema.field_with_name(field.name()).is_ok_and(|there| there == field.as_ref());
        let is_same = layout.schema.fields().iter().all(has) && now.partition_by == layout.partition_by;
        if !is_same || !columns.changes_no_more_than(&self.files.changes) {
            return Err(self.sink.changed());
        }
        if let Some(ground) = &self.files.ground {
            ground.check(table).await?;
        }
        Ok((!columns.changes.is_empty()).then_some(columns.schema))
    }
}

#[async_trait]
impl Sink for DeltaSink {
    async fn prepare(&self, schema: &SchemaRef) -> Result<SinkPlan> {
        match self.location.open().await? {
            Some(table) => {
                let (_, columns) = self.judge(schema, &table)?;
                let ddl = columns.statement(&self.location.label).into_iter().collect();
                Ok(SinkPlan { ddl, notes: self.notes(&columns), columns: columns.changes })
            }
            None => {
                let schema = self.new_schema(schema)?;
                let create = columns::create_statement(&self.location.label, &schema, &self.partition_by);
                Ok(SinkPlan { ddl: vec![create], ..SinkPlan::default() })
            }
        }
    }

    /// The table is made once all its first rows are in files: a load that fails before leaves none. It is there before
    /// the intent is recorded, so that `fence` finds every load that might still commit.
    async fn write(&self, load: &LoadContext, input: SendableRecordBatchStream) -> Result<Staged> {
        let incoming = without_flag(&input.schema(), self.deletes.as_ref());
        let (layout, columns, table) = self.layout(&incoming).await?;
        let (rows, adds, changes, ground) = self.merged(load, &layout, table.as_ref(), input).await?;
        if table.is_none()
            && let Err(error) = self.location.create(&layout.schema, &layout.partition_by).await
        {
            write::remove(&self.location.store()?, &adds).await;
            return Err(error);
        }
        Ok(Staged {
            rows,
            bytes: adds.iter().map(|add| u64::try_from(add.size).unwrap_or_default()).sum(),
            files: u64::try_from(adds.len()).unwrap_or_default(),
            changes,
            columns: columns.clone(),
            state: Box::new(Files { adds, layout, changes: columns, ground }),
        })
    }

    async fn commit(&self, load: &LoadContext, staged: Staged) -> Result<Commit> {
        let files = staged
            .state
            .downcast::<Files>()
            .map_err(|_| EngineError::bug("a load was handed to a sink that did not write it"))?;
        let mut files = files;
        let mut round = 0;
        let commit = loop {
            let contents = self.contents(&files, &load.marks);
            let guard = SameLayout { sink: self, files: &files };
            match commit::once(&self.location, load.load_id, load.attempt, &contents, &guard).await {
                // Nothing of it is committed: the id was looked for on the version that the guard refused.
                Err(error) if error.kind == ErrorKind::Conflict && files.ground.is_some() && round < MERGES => {
                    round += 1;
                    tracing::debug!(table = self.location.label, round, %error, "the rows are merged again");
                    self.merge_again(load, &mut files).await?;
                }
                ended => break ended?,
            }
        };
        if let Commit::Adopted(winner) = &commit
            && winner.attempt != load.attempt
        {
            write::remove(&self.location.store()?, &files.adds).await;
        }
        Ok(commit)
    }

    async fn taken(&self, load_id: Uuid) -> Result<Option<Taken>> {
        match self.location.open().await? {
            Some(table) => commit::taken(&self.location, &table, load_id).await,
            None => Ok(None),
        }
    }

    async fn generations(&self, cursors: &[Uuid]) -> Result<Option<BTreeMap<Uuid, i64>>> {
        let mut found = BTreeMap::new();
        let Some(table) = self.location.open().await? else { return Ok(Some(found)) };
        for cursor in cursors {
            found.extend(commit::generation(&self.location, &table, *cursor).await?.map(|count| (*cursor, count)));
        }
        Ok(Some(found))
    }

    async fn fence(&self, load_id: Uuid) -> Result<Option<Taken>> {
        // An attempt that might still commit has made the table before its intent; without a table there is none.
        if self.location.open().await?.is_none() {
            return Ok(None);
        }
        match commit::once(&self.location, load_id, 0, &Contents::default(), &Unguarded).await? {
            Commit::Committed { .. } => Ok(None),
            Commit::Adopted(taken) => Ok(Some(taken)),
        }
    }

    async fn compact(&self, load: &LoadContext) -> Result<Option<Compacted>> {
        compact::run(&self.location, load).await
    }

    async fn abort(&self, _load: &LoadContext, staged: Option<Staged>) {
        if let Some(files) = staged.and_then(|staged| staged.state.downcast::<Files>().ok())
            && let Ok(store) = self.location.store()
        {
            write::remove(&store, &files.adds).await;
        }
    }
}
