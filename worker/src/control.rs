//! An attempt's line to the control plane.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use headwater_engine::control::{Checkpoint, Control, CursorKey, CursorState, Intent, LogLevel, Turn};
use headwater_engine::rejects::{Origin, Reject};
use headwater_engine::{EngineError, Result};
use headwater_store::state::TaskRunState;
use headwater_store::{
    Batch, CursorName, CursorPosition, IntentRow, LeaseKey, MovedCursor, NewReject, RejectOrigin, SliceKeys, Store,
    StoreError, StoreErrorKind,
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::attempt::{load_receipt, task_end};
use crate::logs::AttemptLog;

/// Tries of a call whose database can't be reached, with a pause that doubles from 100 ms: a restart of the database takes
/// some seconds, and an intent is worth waiting for.
const TRIES: u32 = 7;

/// How often an attempt that follows its sources asks, while it pauses, whether it is to go on.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Implements the engine's contract over the store.
pub(crate) struct AttemptControl {
    store: Store,
    /// The worker's own runtime. A session with the control plane belongs to the runtime that it was opened on, and may not end up on that of an
    /// attempt, which is busy with data.
    runtime: Handle,
    lease: LeaseKey,
    log: Arc<AttemptLog>,
    /// Set once it is settled whether the attempt may commit; for a stream, each of its batches.
    course: Mutex<Option<Course>>,
    /// The worker is to stop.
    stopping: CancellationToken,
}

/// What becomes of an attempt. Whichever comes first holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It has asked to commit, and its end is waited for.
    Commits,
    /// It was abandoned while it computed.
    Abandoned,
}

impl AttemptControl {
    pub(crate) fn new(store: Store, lease: LeaseKey, log: Arc<AttemptLog>, stopping: CancellationToken) -> Self {
        Self { store, runtime: Handle::current(), lease, log, course: Mutex::new(None), stopping }
    }

    /// Refuses the attempt's intent from now on; false if it has asked already.
    pub(crate) fn abandon(&self) -> bool {
        *self.course.lock().get_or_insert(Course::Abandoned) == Course::Abandoned
    }
}

impl AttemptControl {
    /// Calls the store on the worker's runtime, again while its database can't be reached. Every call is idempotent.
    async fn call<T, F>(&self, mut call: impl FnMut(Store) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = headwater_store::Result<T>> + Send + 'static,
    {
        let store = self.store.clone();
        let calling = self.runtime.spawn(async move { persistently(|| call(store.clone())).await });
        match AbortOnDropHandle::new(calling).await {
            Ok(answer) => answer,
            Err(error) => Err(EngineError::transient(format!("a call to the control plane was interrupted: {error}"))),
        }
    }
}

#[async_trait]
impl Control for AttemptControl {
    async fn record_handle(&self, _task: &str, handle: Value) -> Result<()> {
        let (lease, handle) = (self.lease, Arc::new(handle));
        self.call(move |store| {
            let handle = Arc::clone(&handle);
            async move { store.record_handle(&lease, &handle).await }
        })
        .await
    }

    async fn intend(&self, intent: &Intent) -> Result<Turn<()>> {
        if *self.course.lock().get_or_insert(Course::Commits) == Course::Abandoned {
            return Err(EngineError::canceled("the run was canceled, and the attempt was abandoned"));
        }
        let document = serde_json::to_value(intent)
            .map_err(|error| EngineError::bug("an intent could not be written as JSON").caused_by(error))?;
        let moved = intent.cursors.iter().map(|moved| MovedCursor { id: moved.id, generation: moved.generation });
        let row = IntentRow {
            load_id: intent.load_id,
            attempt: intent.attempt,
            task: intent.task.clone(),
            intent: document,
            cursors: moved.collect(),
            slice: intent
                .slice
                .as_ref()
                .map(|slice| SliceKeys { target: slice.target.clone(), keys: slice.keys.clone() }),
            rejects: intent.rejects.iter().map(new_reject).collect(),
        };
        let (lease, row) = (self.lease, Arc::new(row));
        self.call(move |store| {
            let row = Arc::clone(&row);
            async move { store.intend(&lease, &row).await }
        })
        .await
        .map(|intended| match intended {
            true => Turn::Now(()),
            false => Turn::Later("another load has moved the cursor meanwhile: the rows are read again".to_owned()),
        })
    }

    async fn cursors(&self, load_id: Uuid, keys: &[CursorKey]) -> Result<Turn<Vec<CursorState>>> {
        let name = |key: &CursorKey| CursorName {
            source: key.source.clone(),
            column: key.column.clone(),
            target: key.target.clone(),
            params: key.params.clone(),
        };
        let (lease, names) = (self.lease, Arc::new(keys.iter().map(name).collect::<Vec<_>>()));
        let taken = self.call(move |store| {
            let names = Arc::clone(&names);
            async move { store.take_cursors(&lease, load_id, &names).await }
        });
        let state = |taken: CursorPosition| CursorState {
            id: taken.id,
            generation: taken.generation,
            position: taken.position,
            shown: taken.shown,
            refresh: taken.refresh,
        };
        Ok(match taken.await? {
            Ok(taken) => Turn::Now(taken.into_iter().map(state).collect()),
            Err(why) => Turn::Later(why),
        })
    }

    async fn recorded_intent(&self, load_id: Uuid, attempt: i32) -> Result<Option<Intent>> {
        let workspace_id = self.lease.workspace_id;
        let document = self
            .call(move |store| async move { store.workspace(workspace_id).recorded_intent(load_id, attempt).await })
            .await?;
        document
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| EngineError::bug("a recorded intent can't be read").caused_by(error))
    }

    async fn checkpoint(&self, done: &Checkpoint, pause: Duration) -> Result<bool> {
        let ended = Instant::now() + pause;
        let lease = self.lease;
        let tasks = done.counts.iter().map(|(task, counts)| task_end(task.clone(), TaskRunState::Pending, *counts));
        let batch = done.receipt.as_ref().and_then(|receipt| {
            let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
            let (rows, rejected) = (count(receipt.rows_written), count(receipt.rows_rejected));
            Some(Batch { load: load_receipt(receipt)?, rows, rejected, tasks: tasks.collect() })
        });
        let (batch, behind) = (Arc::new(batch), i64::try_from(done.behind).unwrap_or(i64::MAX));
        self.call(move |store| {
            let batch = Arc::clone(&batch);
            async move { store.checkpoint(&lease, batch.as_ref().as_ref(), behind).await }
        })
        .await?;
        // The next batch asks anew.
        self.course.lock().take_if(|course| *course == Course::Commits);
        loop {
            let goes_on = self.call(move |store| async move { store.goes_on(&lease).await }).await?;
            let left = ended.saturating_duration_since(Instant::now());
            if !goes_on || self.stopping.is_cancelled() || left.is_zero() {
                return Ok(goes_on && !self.stopping.is_cancelled());
            }
            self.stopping.run_until_cancelled(tokio::time::sleep(left.min(ASK_AGAIN))).await;
        }
    }

    fn log(&self, level: LogLevel, task: Option<&str>, message: &str) {
        self.log.say(level, task, message);
    }
}

/// A reject as the store takes it: without NUL, which the database's text can't hold.
fn new_reject(reject: &Reject) -> NewReject {
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    let origin = match &reject.origin {
        Origin::Row { dataset } => RejectOrigin { source: clean(dataset), partition: None, offset: None },
        Origin::Message { topic, partition, offset } => {
            RejectOrigin { source: clean(topic), partition: Some(*partition), offset: Some(*offset) }
        }
    };
    NewReject {
        task: reject.task.clone(),
        origin,
        code: reject.origin.code().to_owned(),
        reason: clean(&reject.reason),
        content: reject.content.clone(),
        truncated: reject.truncated,
    }
}

/// Calls again while the database can't be reached. Every call behind it is idempotent.
async fn persistently<T, F>(mut call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = headwater_store::Result<T>>,
{
    let mut pause = Duration::from_millis(100);
    for _ in 1..TRIES {
        match call().await {
            Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
            answer => return answer.map_err(engine_error),
        }
        pause *= 2;
    }
    call().await.map_err(engine_error)
}

/// What a store's refusal means to the engine.
pub(crate) fn engine_error(error: StoreError) -> EngineError {
    let engine_error = match error.kind {
        StoreErrorKind::Unavailable => EngineError::transient(&error.message),
        StoreErrorKind::NotFound | StoreErrorKind::Invalid => EngineError::config(&error.message),
        StoreErrorKind::Stale | StoreErrorKind::Canceled => EngineError::canceled(&error.message),
        StoreErrorKind::Bug => EngineError::bug(&error.message),
    };
    match &error.hint {
        Some(hint) => engine_error.hint(hint.clone()).caused_by(error),
        None => engine_error.caused_by(error),
    }
}
