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
const IDLE: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(60) };

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

#[cfg(test)]
mod tests {
    use super::super::failure::Failure;
    use super::super::ledger::CallOutcome;
    use super::super::money::Money;
    use super::super::request::Why;
    use super::super::scripted::MemoryLedger;
    use super::super::settings::Budget;
    use super::super::tests::scope;
    use super::*;

    fn row() -> CallRow {
        CallRow {
            id: uuid::Uuid::now_v7(),
            at: chrono::DateTime::UNIX_EPOCH,
            workspace: "shop".to_owned(),
            person: "ada".to_owned(),
            why: Why::Ask,
            feature: String::new(),
            model: "fast".to_owned(),
            provider: "openai",
            provider_model: "small".to_owned(),
            prompt_version: String::new(),
            usage: None,
            cost: None,
            charged: Money(0),
            latency_ms: 0,
            first_token_ms: None,
            cache_hit: false,
            outcome: CallOutcome::Answered,
            request_hash: String::new(),
            answer_hash: None,
            request_text: None,
            answer_text: None,
        }
    }

    fn start(limits: Budget) -> (Arc<MemoryLedger>, Budgets, Accounts) {
        let ledger = Arc::new(MemoryLedger::default());
        let budgets = Budgets::new(ledger.clone(), limits);
        let accounts = Accounts::start(ledger.clone(), budgets.clone());
        (ledger, budgets, accounts)
    }

    /// Looks again until something holds; it must in time.
    async fn eventually(holds: impl Fn() -> bool) {
        let start = std::time::Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(60), "not in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn rows_wait_for_a_ledger_that_is_away_for_a_moment() {
        let (ledger, _, accounts) = start(Budget::default());
        ledger.set_down(true);
        (0..3).for_each(|_| accounts.add(row()));
        eventually(|| ledger.refused() > 0).await;
        ledger.set_down(false);
        accounts.close().await;
        assert_eq!(ledger.rows().len(), 3);
    }

    #[tokio::test]
    async fn a_ledger_that_stays_away_does_not_keep_a_process_from_ending() {
        let (ledger, _, accounts) = start(Budget::default());
        ledger.set_down(true);
        accounts.add(row());
        accounts.close().await;
        accounts.add(row());
        assert!(ledger.rows().is_empty());
    }

    #[tokio::test]
    async fn more_rows_than_a_batch_holds_are_all_written() {
        let (ledger, _, accounts) = start(Budget::default());
        (0..BATCH * 3 + 1).for_each(|_| accounts.add(row()));
        accounts.close().await;
        assert_eq!((ledger.rows().len(), ledger.visits().1), (BATCH * 3 + 1, 4));
    }

    #[tokio::test]
    async fn a_lease_that_nobody_uses_is_given_back_while_the_process_runs() {
        let limits = Budget { workspace: Some(Money(1_000_000_000)), person: None };
        let (ledger, budgets, accounts) = start(limits);
        let scope = scope();
        let day = chrono::NaiveDate::MIN;
        let mut reservation = budgets.reserve(&scope, day, 1_000).await.unwrap();
        assert_eq!(ledger.spent(), Money(100_000_000));
        reservation.spend(400);
        drop(reservation);
        eventually(|| ledger.spent() == Money(400)).await;
        let failure = budgets.reserve(&scope, day, 2_000_000_000).await.err();
        assert!(matches!(failure, Some(Failure::OverBudget { .. })));
        accounts.close().await;
        assert_eq!(ledger.spent(), Money(400));
    }

    #[tokio::test]
    async fn a_call_that_cost_more_than_was_reserved_counts_in_full() {
        let limits = Budget { workspace: None, person: Some(Money(1_000_000_000)) };
        let (ledger, budgets, accounts) = start(limits);
        let mut reservation = budgets.reserve(&scope(), chrono::NaiveDate::MIN, 1_000).await.unwrap();
        reservation.spend(700_000_000);
        drop(reservation);
        accounts.close().await;
        assert_eq!(ledger.spent(), Money(700_000_000));
    }
}
