//! Following cursors: a load of a stream commits batch after batch.
//!
//! A batch is a load like any other, with an id of its own that follows from where its cursors stand: an attempt that comes after a lost one finds the batch
//! in the target, or does it again. A checkpoint settles it in the control plane. What a batch opens it closes: the next one sees its sources anew.

use std::time::{Duration, Instant};

use headwater_pipelines::plan::Stage;
use headwater_pipelines::spec::{Stream, WriteMode};

use super::load::LoadEnd;
use super::{Attempt, cursors};
use crate::control::{Checkpoint, LogLevel};
use crate::error::Result;
use crate::job::StageOutcome;
use crate::receipt::Receipt;
use crate::relations::Connections;

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
            let done = Checkpoint { receipt, counts: self.progress.counts(), behind };
            if !self.stopped_by_cancel(self.control.checkpoint(&done, pause)).await? {
                return Ok(StageOutcome::Succeeded);
            }
            batch.first = false;
        }
    }

    async fn next(&self, stage: &Stage, batch: Batch) -> Result<LoadEnd> {
        let progress = self.progress.part();
        let attempt = Attempt { progress: &progress, batch: Some(batch), ..*self };
        let connections = Connections::new(self.engine.registry.clone(), self.job.connections.clone());
        let loaded = match attempt.reserve(stage, &connections).await {
            Ok(()) => attempt.load(stage, &connections).await,
            Err(error) => Err(error),
        };
        connections.close().await;
        loaded
    }
}
