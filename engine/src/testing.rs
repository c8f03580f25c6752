//! The contract suite that every connector calls: what a sink promises, tried on the real thing.
//!
//! A connector's test builds a [`Subject`] and calls [`conformance`]. A broken promise panics with the name of the case.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite of tests fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SessionConfig, SessionContext};
use headwater_pipelines::spec::{Columns, WriteMode};
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::connector::{AllKeys, Commit, Connection, LoadContext, Sink, SinkRequest, SourceObject, SourceRequest};
use crate::control::{Checkpoint, Control, CursorKey, CursorState, Intent, LogLevel, Turn};
use crate::error::Result;
use crate::memory::StagePool;
use crate::session::{EngineConfig, SessionFactory};

mod commits;
mod samples;
mod values;

/// The path of a table of a name.
pub type NamePath = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// A connector under test.
pub struct Subject {
    /// Opened anew for every call, as separate attempts do.
    pub open: Box<dyn Fn() -> Arc<dyn Connection> + Send + Sync>,
    /// The path of a target by a name that the suite invents.
    pub path: NamePath,
    /// Whether a target keeps values of this type.
    pub carries: fn(&DataType) -> bool,
    /// Whether NaN and infinity are kept.
    pub carries_nan: bool,
    /// Whether append is possible.
    pub appends: bool,
    /// What a source needs to read the types back, e.g. of a CSV file.
    pub columns: fn(&Schema) -> Option<Columns>,
}

/// Runs every case.
pub async fn conformance(subject: &Subject) {
    values::every_type_comes_back(subject).await;
    values::an_empty_input_makes_an_empty_target(subject).await;
    values::wide_rows_come_back(subject).await;
    values::an_overwrite_replaces_everything(subject).await;
    commits::a_canceled_load_leaves_nothing(subject).await;
    commits::a_failed_input_leaves_nothing(subject).await;
    commits::an_aborted_load_leaves_nothing(subject).await;
    commits::a_lost_answer_is_adopted(subject).await;
    commits::of_two_attempts_one_commits(subject).await;
    commits::a_fence_keeps_a_late_attempt_out(subject).await;
    if subject.appends {
        commits::two_writers_both_commit(subject).await;
    }
}

impl Subject {
    /// The sink of a target.
    pub async fn sink(&self, name: &str, mode: WriteMode) -> Arc<dyn Sink> {
        let request = SinkRequest::new((self.path)(name), mode);
        (self.open)().sink(&request).await.unwrap()
    }

    /// The mode in which the cases about commits load.
    pub fn mode(&self) -> WriteMode {
        if self.appends { WriteMode::Append } else { WriteMode::Overwrite }
    }

    /// The target's rows in the order of `id`; none if there is no target.
    pub async fn rows(&self, name: &str, schema: &Schema) -> Vec<RecordBatch> {
        let connection = (self.open)();
        let request = SourceRequest {
            object: SourceObject::Table((self.path)(name)),
            columns: (self.columns)(schema),
            cursor: None,
            quarantine: None,
            cancel: CancellationToken::new(),
        };
        let Ok(source) = connection.source(&request).await else { return Vec::new() };
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        context.register_table("t", source.table).unwrap();
        let rows = context.sql("SELECT * FROM t ORDER BY id").await.unwrap().collect().await;
        connection.close().await;
        rows.unwrap_or_else(|error| panic!("reading {name} back: {error}"))
    }

    /// Values of `id` in the target.
    pub async fn ids(&self, name: &str) -> Vec<i64> {
        let rows = self.rows(name, &samples::ids_schema()).await;
        let mut ids = Vec::new();
        for batch in rows {
            let column = arrow::compute::cast(batch.column_by_name("id").unwrap(), &DataType::Int64).unwrap();
            ids.extend(column.as_any().downcast_ref::<arrow::array::Int64Array>().unwrap().values());
        }
        ids
    }

    /// Writes and commits as one attempt.
    pub async fn load(
        &self,
        name: &str,
        mode: WriteMode,
        context: &LoadContext,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<Commit> {
        let sink = self.sink(name, mode).await;
        sink.prepare(&schema).await?;
        let staged = sink.write(context, stream(schema, batches)).await?;
        sink.commit(context, staged).await
    }
}

/// Remembers handles and warnings; grants every intent.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What was recorded.
    pub handles: Mutex<Vec<Value>>,
    /// What was logged as a warning.
    pub warnings: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Control for Recorder {
    async fn record_handle(&self, _task: &str, handle: Value) -> Result<()> {
        self.handles.lock().push(handle);
        Ok(())
    }

    async fn intend(&self, _intent: &Intent) -> Result<Turn<()>> {
        Ok(Turn::Now(()))
    }

    async fn cursors(&self, _load_id: Uuid, _keys: &[CursorKey]) -> Result<Turn<Vec<CursorState>>> {
        Ok(Turn::Now(Vec::new()))
    }

    async fn recorded_intent(&self, _load_id: Uuid, _attempt: i32) -> Result<Option<Intent>> {
        Ok(None)
    }

    async fn checkpoint(&self, _batch: &Checkpoint, _pause: Duration) -> Result<bool> {
        Ok(false)
    }

    fn log(&self, level: LogLevel, _task: Option<&str>, message: &str) {
        if level == LogLevel::Warn {
            self.warnings.lock().push(message.to_owned());
        }
    }
}

/// An attempt of a load.
pub fn attempt(load_id: Uuid, number: i32) -> LoadContext {
    LoadContext {
        load_id,
        attempt: number,
        task: "publish".to_owned(),
        predecessors: Vec::new(),
        marks: Vec::new(),
        keys: AllKeys::default(),
        memory: Arc::new(StagePool::new(Arc::new(GreedyMemoryPool::new(512 << 20)))),
        sessions: SessionFactory::new(EngineConfig::new(std::env::temp_dir().join("headwater-tests"))),
        progress: Arc::default(),
        cancel: CancellationToken::new(),
        control: Arc::new(Recorder::default()),
    }
}

/// Batches as a stream.
pub fn stream(schema: SchemaRef, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches.into_iter().map(Ok))))
}
