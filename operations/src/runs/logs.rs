//! A run's log, as far as it has come.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use headwater_store::LogRow;
use uuid::Uuid;

use crate::{Action, Actor, Operations, Result};

/// Log lines fetched at a time.
const PAGE: i64 = 500;

/// How often new lines are looked for; longer than the pause between a worker's batches.
const LOOK: Duration = Duration::from_millis(1_500);

/// Lines written this long before the last one may still turn up.
const OVERLAP: Duration = Duration::from_secs(10);

/// A run's log that is being read. Ids are made when lines are written and seen when that is committed, so a line may turn up behind one
/// that was read: each look begins a little before the last one's end and passes over what was read.
#[derive(Debug)]
pub struct LogTail<'a> {
    operations: &'a Operations,
    run: Uuid,
    follow: bool,
    read: BTreeSet<Uuid>,
    lines: VecDeque<LogRow>,
    phase: Phase,
}

/// How far a log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not at all.
    New,
    /// Up to now; the run goes on.
    Following,
    /// The run has ended: workers write lines in batches, so one more look.
    Last,
    /// To its end.
    Ended,
}

impl Operations {
    /// The log of a run; followed, until the run has ended.
    pub async fn logs(&self, actor: &Actor, run: Uuid, follow: bool) -> Result<LogTail<'_>> {
        self.permit(actor, Action::ReadRuns)?.run(run).await?;
        Ok(LogTail { operations: self, run, follow, read: BTreeSet::new(), lines: VecDeque::new(), phase: Phase::New })
    }
}

impl LogTail<'_> {
    /// The next line; `None` once there is no more.
    pub async fn next(&mut self) -> Result<Option<LogRow>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            match self.phase {
                Phase::Ended => return Ok(None),
                Phase::New => {}
                Phase::Following | Phase::Last => tokio::time::sleep(LOOK).await,
            }
            // Asked before the lines are read, so that none is missed.
            let over = self.operations.workspace.run(self.run).await?.state.is_final();
            self.fetch().await?;
            self.phase = match (self.follow, over, self.phase) {
                (false, _, _) | (true, _, Phase::Last) => Phase::Ended,
                (true, true, _) => Phase::Last,
                (true, false, _) => Phase::Following,
            };
        }
    }

    async fn fetch(&mut self) -> Result<()> {
        let mut after = self.read.first().copied();
        loop {
            let lines = self.operations.workspace.logs(self.run, after, PAGE).await?;
            let Some(last) = lines.last() else { break };
            after = Some(last.id);
            self.lines.extend(lines.into_iter().filter(|line| self.read.insert(line.id)));
        }
        if let Some(last) = self.read.last().copied() {
            self.read = self.read.split_off(&before(last, OVERLAP));
        }
        Ok(())
    }
}

/// An id that was made so much earlier: the first 48 bits of an id are milliseconds.
fn before(id: Uuid, time: Duration) -> Uuid {
    let ms = (id.as_u128() >> 80).saturating_sub(time.as_millis());
    Uuid::from_u128(ms << 80)
}
