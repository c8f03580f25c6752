//! The running scan: COPY statements whose rows are decoded straight into Arrow.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use headwater_engine::{EngineError, Result};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::decode::{self, Problem};
use super::rows::RowBuffer;
use super::session::Session;
use super::types::Wire;

/// A batch is cut at this size even if it has few rows, so that wide rows stay in bounds.
const BATCH_BYTES: usize = 8 << 20;

/// Rows that are decoded at a time: few enough for their bytes and fields to be in the processor's cache for each of their columns.
const BLOCK_ROWS: usize = 1024;

/// A batch has so many times the rows of the session's batches, if they are small. Whoever writes files encodes it column by column, and finds a column's
/// dictionary in the processor's cache only while it stays with that column.
const SESSION_BATCHES: usize = 4;

/// Batches that may wait for the reader of a partition.
const WAITING_BATCHES: usize = 2;

/// A leftover statement of another client may hold the name that the driver picks behind a pooler.
const NAME_ATTEMPTS: usize = 20;

/// One COPY statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub from: String,
    pub range: Option<String>,
}

/// A column of the scan.
#[derive(Debug, Clone)]
pub(super) struct ScanColumn {
    pub name: String,
    pub sql: String,
    pub wire: Wire,
    /// Part of the primary key, which names the row in errors.
    pub in_key: bool,
}

/// The plan node.
#[derive(Debug, Clone)]
pub(super) struct CopyScan {
    work: Arc<Work>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
}

/// What every partition needs.
#[derive(Debug, Clone)]
struct Work {
    shared: Arc<Shared>,
    label: String,
    schema: SchemaRef,
    columns: Vec<ScanColumn>,
    partitions: Vec<Vec<Piece>>,
    lock: Option<String>,
    filters: Vec<String>,
    limit: Option<usize>,
    cancel: CancellationToken,
}

impl CopyScan {
    pub(super) fn new(
        shared: Arc<Shared>,
        label: String,
        schema: SchemaRef,
        columns: Vec<ScanColumn>,
        partitions: Vec<Vec<Piece>>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let statistics = Arc::new(Statistics::new_unknown(&schema));
        let work = Work {
            shared,
            label,
            schema,
            columns,
            partitions,
            lock: None,
            filters: Vec::new(),
            limit: None,
            cancel: CancellationToken::new(),
        };
        Self { work: Arc::new(work), properties: Arc::new(properties), statistics }
    }

    pub(super) fn with_lock(mut self, lock: Option<String>) -> Self {
        Arc::make_mut(&mut self.work).lock = lock;
        self
    }

    pub(super) fn with_filters(mut self, filters: Vec<String>) -> Self {
        Arc::make_mut(&mut self.work).filters = filters;
        self
    }

    pub(super) fn with_limit(mut self, limit: Option<usize>) -> Self {
        Arc::make_mut(&mut self.work).limit = limit;
        self
    }

    pub(super) fn with_statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = Arc::new(statistics);
        self
    }

    pub(super) fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        Arc::make_mut(&mut self.work).cancel = cancel;
        self
    }
}

impl DisplayAs for CopyScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let work = &self.work;
        let pieces: usize = work.partitions.iter().map(Vec::len).sum();
        write!(f, "PostgresCopy: {}, sessions={}, statements={pieces}", work.label, work.partitions.len())?;
        if !work.filters.is_empty() {
            write!(f, ", filter={}", work.filters.join(" AND "))?;
        }
        work.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

impl ExecutionPlan for CopyScan {
    fn name(&self) -> &str {
        "PostgresCopy"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> datafusion::common::Result<TreeNodeRecursion>,
    ) -> datafusion::common::Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> datafusion::common::Result<SendableRecordBatchStream> {
        let batch_rows = SESSION_BATCHES * context.session_config().batch_size();
        let work = Arc::clone(&self.work);
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&work.schema), WAITING_BATCHES);
        let output = stream.tx();
        // The stream owns the task; dropping it drops the session, which cancels its statement on the server.
        stream.spawn(async move {
            let cancel = work.cancel.clone();
            match cancel.run_until_cancelled(work.read(partition, batch_rows, &output)).await {
                Some(result) => result.map_err(DataFusionError::from),
                None => {
                    Err(DataFusionError::from(EngineError::canceled(format!("reading {} was canceled", work.label))))
                }
            }
        });
        Ok(stream.build())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> datafusion::common::Result<Arc<Statistics>> {
        match partition {
            None => Ok(Arc::clone(&self.statistics)),
            Some(_) => Ok(Arc::new(Statistics::new_unknown(&self.work.schema))),
        }
    }
}

/// Blocks on the way to a batch.
#[derive(Default)]
struct Decoded {
    blocks: Vec<RecordBatch>,
    rows: usize,
    /// Their size on the wire.
    bytes: usize,
}

impl Decoded {
    fn push(&mut self, block: RecordBatch, bytes: usize) {
        self.rows += block.num_rows();
        self.bytes += bytes;
        self.blocks.push(block);
    }

    /// All blocks as one batch.
    fn take(&mut self) -> Result<RecordBatch> {
        let Self { blocks, .. } = std::mem::take(self);
        let joined = arrow::compute::concat_batches(&blocks[0].schema(), &blocks);
        joined.map_err(|error| EngineError::bug(format!("blocks of one batch differ: {error}")))
    }
}

type Output = Sender<datafusion::common::Result<RecordBatch>>;

impl Work {
    /// Reads the pieces of a partition one after the other in one session.
    async fn read(&self, partition: usize, batch_rows: usize, output: &Output) -> Result<()> {
        let session = self.begin().await?;
        let mut session = Some(session);
        for piece in &self.partitions[partition] {
            let (open, copy) = self.start(session.take(), piece).await?;
            let mut copy = std::pin::pin!(copy);
            let mut rows = RowBuffer::new(self.columns.len());
            let mut decoded = Decoded::default();
            while let Some(chunk) = copy.next().await {
                let chunk = chunk.map_err(|error| open.failed(&format!("reading {}", self.label), error))?;
                rows.push(&chunk).map_err(|error| EngineError::bug(error.to_string()))?;
                let full = decoded.bytes + rows.bytes() >= BATCH_BYTES;
                if rows.rows() < BLOCK_ROWS.min(batch_rows) && !full {
                    continue;
                }
                decoded.push(self.batch(&rows)?, rows.bytes());
                rows.clear();
                if (decoded.rows >= batch_rows || full) && output.send(Ok(decoded.take()?)).await.is_err() {
                    return Ok(());
                }
            }
            open.idle();
            if !rows.is_finished() {
                return Err(EngineError::transient(format!("reading {}: the answer ended in the middle", self.label)));
            }
            decoded.push(self.batch(&rows)?, rows.bytes());
            if decoded.rows > 0 && output.send(Ok(decoded.take()?)).await.is_err() {
                return Ok(());
            }
            session = Some(open);
        }
        if let Some(session) = session {
            session.run("ending the read", "COMMIT").await?;
            self.shared.give_back(session);
        }
        Ok(())
    }

    /// A session in the shared snapshot. The lock is taken before the first row and never waited for: an ALTER TABLE that
    /// queues up in between would make the remaining readers wait for it, and it for the first ones.
    async fn begin(&self) -> Result<Session> {
        let session = self.shared.snapshots.reader(&self.shared).await?;
        if let Some(table) = &self.lock {
            session
                .run(&format!("locking {}", self.label), &format!("LOCK TABLE {table} IN ACCESS SHARE MODE NOWAIT"))
                .await?;
        }
        Ok(session)
    }

    async fn start(&self, session: Option<Session>, piece: &Piece) -> Result<(Session, tokio_postgres::CopyOutStream)> {
        let sql = self.statement(piece);
        let mut session = match session {
            Some(session) => session,
            None => self.begin().await?,
        };
        for _ in 0..NAME_ATTEMPTS {
            match session.copy_out(&sql).await {
                Ok(copy) => return Ok((session, copy)),
                Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::DUPLICATE_PSTATEMENT) => {
                    session = self.begin().await?;
                }
                Err(error) => return Err(session.failed(&format!("reading {}", self.label), error)),
            }
        }
        Err(EngineError::transient(format!(
            "reading {}: the pooler's sessions are full of leftover statements",
            self.label
        ))
        .hint("set server_reset_query_always = 1 in PgBouncer, or connect to the server itself"))
    }

    fn statement(&self, piece: &Piece) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|column| column.sql.as_str()).collect();
        let conditions: Vec<&str> = self.filters.iter().chain(&piece.range).map(String::as_str).collect();
        let condition =
            if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let limit = self.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        format!("COPY (SELECT {} FROM {}{condition}{limit}) TO STDOUT (FORMAT BINARY)", columns.join(", "), piece.from)
    }

    fn batch(&self, rows: &RowBuffer) -> Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let array = decode::decode(&column.wire, rows.column(index));
            arrays.push(array.map_err(|problem| self.explain(column, &problem, rows))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| EngineError::data(format!("reading {}: {error}", self.label)))
    }

    /// Names the column, and the row by its key where the key is read too.
    fn explain(&self, column: &ScanColumn, problem: &Problem, rows: &RowBuffer) -> EngineError {
        let key: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.in_key)
            .filter_map(|(index, column)| {
                let array = decode::decode(&column.wire, rows.column(index)).ok()?;
                let options = FormatOptions::default();
                let formatter = ArrayFormatter::try_new(&array, &options).ok()?;
                Some(format!("{} = {}", column.name, formatter.value(problem.row)))
            })
            .collect();
        let place = if key.is_empty() { String::new() } else { format!(" in the row with {}", key.join(", ")) };
        let error = EngineError::data(format!("{}, column {}: {}{place}", self.label, column.name, problem.what));
        if problem.text_helps {
            error.hint(format!("correct the value, or read the column as text: `columns: {{ {}: text }}`", column.name))
        } else {
            error
        }
    }
}
