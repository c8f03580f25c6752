//! Following cursors: a load of a stream commits batch after batch.
//!
//! A batch is a load like any other, with an id of its own that follows from where its cursors stand: an attempt that comes after a lost one finds the batch
//! in the target, or does it again. A checkpoint settles it in the control plane. What a batch opens it closes: the next one sees its sources anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_pipelines::plan::Stage;
use headwater_pipelines::spec::{Stream, WriteMode};
use uuid::Uuid;

use super::load::LoadEnd;
use super::{Attempt, cursors, sink_of};
use crate::connector::{AllKeys, LoadContext};
use crate::control::{Checkpoint, LogLevel};
use crate::error::Result;
use crate::job::StageOutcome;
use crate::receipt::Receipt;
use crate::relations::Connections;

/// Commits after which small files are looked for while the stream pauses.
const COMMITS: u32 = 16;

/// The same while it does not pause.
const MOST_COMMITS: u32 = 128;

/// A batch of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// Rows that are wanted at most, about.
    pub(super) rows: u64,
    /// The attempt's first: an attempt before may have committed it.
    pub(super) first: bool,
}

impl Attempt<'_> {
    /// Loads what is new again and again, until the control plane says that it is enough.
    pub(super) async fn follow(&self, stage: &Stage, stream: &Stream, mode: WriteMode) -> Result<StageOutcome> {
        self.progress.add(&self.job.counted);
        let every = stream.every(mode);
        let mut batch = Batch { rows: stream.rows(), first: true };
        let mut commits = 0;
        loop {
            let began = Instant::now();
            let (receipt, behind) = match self.next(stage, batch).await? {
                LoadEnd::Committed(receipt, behind) => (Some(*receipt), behind),
                LoadEnd::Nothing => (None, 0),
                LoadEnd::Later(why) => {
                    self.control.log(LogLevel::Info, Some(&stage.name), &why);
                    return Ok(StageOutcome::Waiting(cursors::pause(self.job.attempt)));
                }
            };
            // What an attempt before has committed says nothing about what is there by now.
            let is_behind = behind > 0 || receipt.as_ref().is_some_and(|receipt: &Receipt| receipt.adopted);
            let pause = if is_behind { Duration::ZERO } else { every.saturating_sub(began.elapsed()) };
            commits += u32::from(receipt.is_some());
            let done = Checkpoint { receipt, counts: self.progress.counts(), behind };
            let (goes_on, compacted) = tokio::join!(
                self.stopped_by_cancel(self.control.checkpoint(&done, pause)),
                self.compact(stage, commits >= if is_behind { MOST_COMMITS } else { COMMITS })
            );
            if compacted {
                commits = 0;
            }
            if !goes_on? {
                return Ok(StageOutcome::Succeeded);
            }
            batch.first = false;
        }
    }

    /// Puts small files of the target together, beside the pause; true if it looked. A target that can't be compacted now is none the worse for it.
    async fn compact(&self, stage: &Stage, is_due: bool) -> bool {
        let Some((connection, request)) = sink_of(&self.job.plan, stage).filter(|_| is_due) else { return false };
        let connections = Connections::new(self.engine.registry.clone(), self.job.connections.clone());
        let work = async {
            let sink = connections.open(&connection)?.sink(&request).await?;
            sink.compact(&self.apart(stage)).await
        };
        match self.stopped_by_cancel(work).await {
            Ok(None) => {}
            Ok(Some(done)) => {
                tracing::debug!(
                    stage = stage.name,
                    before = done.before,
                    after = done.after,
                    "small files were put together"
                );
            }
            Err(error) => {
                let message = format!("small files of the target could not be put together: {}", error.message);
                self.control.log(LogLevel::Warn, Some(&stage.name), &message);
            }
        }
        connections.close().await;
        true
    }

    /// The context of work on the target that is no load.
    fn apart(&self, stage: &Stage) -> LoadContext {
        LoadContext {
            load_id: Uuid::new_v4(),
            attempt: self.job.attempt,
            task: stage.name.clone(),
            predecessors: Vec::new(),
            marks: Vec::new(),
            keys: AllKeys::default(),
            memory: self.pool(),
            sessions: self.engine.sessions().clone(),
            progress: Arc::default(),
            cancel: self.cancel.clone(),
            control: Arc::clone(self.control),
        }
    }

    async fn next(&self, stage: &Stage, batch: Batch) -> Result<LoadEnd> {
        let progress = self.progress.part();
        let attempt = Attempt { progress: &progress, batch: Some(batch), ..*self };
        let connections = Connections::new(self.engine.registry.clone(), self.job.connections.clone());
        let loaded = match attempt.reserve(stage, &connections).await {
            Ok(()) => attempt.in_time(stage, &connections).await,
            Err(error) => Err(error),
        };
        connections.close().await;
        loaded
    }

    /// The timeout of a stage that follows is one of each batch.
    async fn in_time(&self, stage: &Stage, connections: &Connections) -> Result<LoadEnd> {
        match stage.timeout {
            None => self.load(stage, connections).await,
            Some(limit) => tokio::time::timeout(limit, self.load(stage, connections))
                .await
                .unwrap_or_else(|_| Err(super::timed_out("batch", limit))),
        }
    }
}
