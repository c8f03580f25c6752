//! Uniqueness of a key, decided beside the stream by an aggregation that can spill.

use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::Column;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// How many key batches may wait for the aggregation.
const QUEUED: usize = 4;

/// Rows that share their key with another row.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Duplicates {
    /// Rows beyond the first of each key.
    pub(super) rows: u64,
    /// One such key, as text.
    pub(super) example: Option<String>,
}

/// Takes the keys of a stream and says at its end which are not unique.
pub(super) struct Uniqueness {
    keys: mpsc::Sender<RecordBatch>,
    verdict: SpawnedTask<Result<Duplicates>>,
}

impl Uniqueness {
    /// Starts the aggregation for keys of the given schema.
    pub(super) fn start(session: SessionContext, schema: &SchemaRef) -> Self {
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| field.as_ref().clone().with_name(format!("k{i}")))
            .collect();
        let renamed = Arc::new(Schema::new(fields));
        let (keys, receiver) = mpsc::channel(QUEUED);
        let verdict = SpawnedTask::spawn(count_duplicates(session, renamed, Arc::clone(schema), receiver));
        Self { keys, verdict }
    }

    /// Adds a batch of keys. An aggregation that has failed says so at the end.
    pub(super) async fn add(&self, keys: RecordBatch) {
        let _ = self.keys.send(keys).await;
    }

    /// The verdict over everything that was added.
    pub(super) async fn finish(self) -> Result<Duplicates> {
        drop(self.keys);
        self.verdict.join().await.map_err(|error| DataFusionError::External(Box::new(error)))?
    }
}

async fn count_duplicates(
    session: SessionContext,
    schema: SchemaRef,
    original: SchemaRef,
    keys: mpsc::Receiver<RecordBatch>,
) -> Result<Duplicates> {
    let source = KeyStream { schema: Arc::clone(&schema), keys: Mutex::new(Some(keys)) };
    let table = StreamingTable::try_new(Arc::clone(&schema), vec![Arc::new(source)])?;
    let columns: Vec<Expr> =
        schema.fields().iter().map(|field| Expr::Column(Column::from_name(field.name()))).collect();
    let complete = columns.iter().cloned().map(Expr::is_not_null).reduce(Expr::and).unwrap_or_else(|| lit(true));
    let mut groups = session
        .read_table(Arc::new(table))?
        .filter(complete)?
        .aggregate(columns, vec![count(lit(1i64)).alias("n")])?
        .filter(Expr::Column(Column::from_name("n")).gt(lit(1i64)))?
        .execute_stream()
        .await?;
    let mut found = Duplicates::default();
    while let Some(batch) = groups.try_next().await? {
        let counts = batch.column(batch.num_columns() - 1).as_any().downcast_ref::<Int64Array>();
        found.rows +=
            counts.map_or(0, |counts| counts.values().iter().map(|n| n.unsigned_abs().saturating_sub(1)).sum());
        if found.example.is_none() && batch.num_rows() > 0 {
            let parts = original
                .fields()
                .iter()
                .enumerate()
                .map(|(i, field)| Ok(format!("{} = {}", field.name(), array_value_to_string(batch.column(i), 0)?)));
            found.example = Some(parts.collect::<Result<Vec<_>>>()?.join(", "));
        }
    }
    Ok(found)
}

#[derive(Debug)]
struct KeyStream {
    schema: SchemaRef,
    keys: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl PartitionStream for KeyStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let stream = match self.keys.lock().take() {
            Some(keys) => {
                let schema = Arc::clone(&schema);
                let renamed = move |batch: RecordBatch| {
                    RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()).map_err(Into::into)
                };
                futures::stream::unfold(keys, |mut keys| async move { keys.recv().await.map(|batch| (batch, keys)) })
                    .map(renamed)
                    .boxed()
            }
            None => {
                futures::stream::once(async { Err(DataFusionError::Internal("keys are read once".to_owned())) }).boxed()
            }
        };
        Box::pin(RecordBatchStreamAdapter::new(schema, stream))
    }
}
