//! Rows of calls on their way to the ledger: one queue, one task, batches.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::budget::Budgets;
use super::ledger::{CallRow, Ledger};

/// Rows that may wait. At a thousand calls a second the ledger may be away for ten seconds.
const WAITING: usize = 10_000;

/// Rows of a batch.
const BATCH: usize = 500;

/// A batch may fill for so long.
const GATHERING: Duration = Duration::from_millis(200);

/// Leases that were idle for so long are given back.
const IDLE: Duration = Duration::from_secs(60);

/// A batch is tried so often before it is lost.
const TRIES: u32 = 5;

/// The way to the ledger.
pub(super) struct Accounts {
    queue: Mutex<Option<mpsc::Sender<CallRow>>>,
    writer: TaskTracker,
}

impl Accounts {
    /// Starts the task that writes. It ends when the queue is closed and empty.
    pub(super) fn start(ledger: Arc<dyn Ledger>, budgets: Budgets) -> Self {
        let (queue, rows) = mpsc::channel(WAITING);
        let writer = TaskTracker::new();
        writer.spawn(write(rows, ledger, budgets));
        writer.close();
        Self { queue: Mutex::new(Some(queue)), writer }
    }

    /// Queues a row. If the ledger has been away for too long, the row is lost rather than the person's answer.
    pub(super) fn add(&self, row: CallRow) {
        let queue = self.queue.lock().clone();
        let is_queued = queue.is_some_and(|queue| queue.try_send(row).is_ok());
        if !is_queued {
            tracing::error!("a row of a model call was lost: the queue to the ledger is full or closed");
        }
    }

    /// Writes what waits, gives leases back, and waits for both.
    pub(super) async fn close(&self) {
        self.queue.lock().take();
        self.writer.wait().await;
    }
}

async fn write(mut rows: mpsc::Receiver<CallRow>, ledger: Arc<dyn Ledger>, budgets: Budgets) {
    let mut idle = tokio::time::interval(IDLE);
    idle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            received = rows.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    break;
                }
                gather(&mut rows, &mut batch).await;
                record(ledger.as_ref(), batch).await;
            }
            _ = idle.tick() => budgets.give_back(false).await,
        }
    }
    budgets.give_back(true).await;
}

/// Fills a batch for a moment; stops at once when the queue is closed.
async fn gather(rows: &mut mpsc::Receiver<CallRow>, batch: &mut Vec<CallRow>) {
    let until = tokio::time::Instant::now() + GATHERING;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        match tokio::time::timeout_at(until, rows.recv_many(batch, room)).await {
            Ok(received) if received > 0 => {}
            _ => return,
        }
    }
}

async fn record(ledger: &dyn Ledger, batch: Vec<CallRow>) {
    for tried in 1..=TRIES {
        let Err(error) = ledger.record(batch.clone()).await else { return };
        if tried == TRIES {
            tracing::error!(error = %error, rows = batch.len(), "rows of model calls were lost: the ledger can't be written");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100 << tried)).await;
    }
}
