//! Runs the chores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use headwater_store::{HistoryWork, Store};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::fires;
use crate::reaper::Reaper;

/// How often history is kept in bounds.
const HISTORY_INTERVAL: Duration = Duration::from_secs(600);

/// How often the queue's tables are looked at: they may fill with thousands of dead rows a second.
const TIDY_INTERVAL: Duration = Duration::from_secs(2);

/// How long runs that have ended are remembered unless told otherwise.
const DEFAULT_RETENTION: Duration = Duration::from_secs(90 * 86_400);

/// A scheduler's settings.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Whether schedules fire. A process that only looks after its own run leaves them to others.
    pub fires: bool,
    /// The usual lease time of workers: the reaper looks six times in it. Each worker is judged by its own.
    pub lease_time: Duration,
    /// How often due schedules, waits and held runs are looked for.
    pub tick: Duration,
    /// How often the invariants are checked.
    pub reconcile_interval: Duration,
    /// How long runs that have ended are remembered.
    pub retention: Duration,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            fires: true,
            lease_time: Duration::from_secs(30),
            tick: Duration::from_millis(200),
            reconcile_interval: Duration::from_secs(5),
            retention: DEFAULT_RETENTION,
        }
    }
}

/// What a chore came to when it was done last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoreStatus {
    /// When it was done last.
    pub at: DateTime<Utc>,
    /// What it did, or why it could not.
    pub result: Result<String, String>,
}

/// The latest status of every chore, by name.
type Board = Arc<Mutex<BTreeMap<&'static str, ChoreStatus>>>;

/// Turns time into runs and heals what is broken.
#[derive(Debug)]
pub struct Scheduler;

/// A scheduler that runs. Dropping it stops it.
#[derive(Debug)]
pub struct SchedulerHandle {
    stop: CancellationToken,
    board: Board,
    chores: Vec<AbortOnDropHandle<()>>,
}

impl Scheduler {
    /// Starts every chore.
    #[allow(clippy::disallowed_methods, reason = "the handle owns the tasks")]
    pub fn start(store: Store, config: SchedulerConfig) -> SchedulerHandle {
        let stop = CancellationToken::new();
        let board = Board::default();
        let mut chores = Vec::new();
        let mut add = |name, every, chore: Box<dyn Chore>| {
            let running = drive(name, every, chore, Arc::clone(&board), stop.clone());
            chores.push(AbortOnDropHandle::new(tokio::spawn(running)));
        };
        if config.fires {
            add("fires", config.tick, Box::new(Fires(store.clone())));
            add("backfills", config.tick, Box::new(Backfills(store.clone())));
            add("streams", config.tick, Box::new(Streams(store.clone())));
            add("history", HISTORY_INTERVAL, Box::new(History(store.clone(), config.retention)));
            add("queue", TIDY_INTERVAL, Box::new(Tidy(store.clone())));
        }
        add("wakes", config.tick, Box::new(Wakes(store.clone())));
        add("held runs", config.tick, Box::new(Held(store.clone())));
        // The lease time is measured in looks, so there must be several in it.
        let pause = config.lease_time / 6;
        add("reaper", pause, Box::new(Reap(store.clone(), Reaper::new(pause))));
        add("reconciler", config.reconcile_interval, Box::new(Reconcile(store)));
        SchedulerHandle { stop, board, chores }
    }
}

impl SchedulerHandle {
    /// What every chore did last.
    pub fn status(&self) -> BTreeMap<&'static str, ChoreStatus> {
        self.board.lock().clone()
    }

    /// Lets every chore finish what it is doing, and ends.
    pub async fn shutdown(self) {
        self.stop.cancel();
        for chore in self.chores {
            if let Err(error) = chore.await {
                tracing::error!(error = %error, "a chore of the scheduler ended badly");
            }
        }
    }
}

/// Something that is done again and again.
#[async_trait::async_trait]
trait Chore: Send + 'static {
    /// Does it once. Answers with what was done, if anything.
    async fn once(&mut self) -> headwater_store::Result<Option<String>>;
}

async fn drive(name: &'static str, every: Duration, mut chore: Box<dyn Chore>, board: Board, stop: CancellationToken) {
    loop {
        let result = chore.once().await;
        let mut failed_before = false;
        let status = match result {
            Ok(done) => ChoreStatus { at: Utc::now(), result: Ok(done.unwrap_or_default()) },
            Err(error) => ChoreStatus { at: Utc::now(), result: Err(error.to_string()) },
        };
        if let Some(last) = board.lock().insert(name, status.clone()) {
            failed_before = last.result.is_err();
        }
        match &status.result {
            Err(error) if !failed_before => tracing::warn!(chore = name, error, "chore failed; it is tried again"),
            Ok(done) if !done.is_empty() => tracing::info!(chore = name, done, "chore done"),
            _ => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

struct Fires(Store);

#[async_trait::async_trait]
impl Chore for Fires {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let made = fires::fire_due(&self.0).await?;
        Ok((made > 0).then(|| format!("{made} runs made")))
    }
}

struct Backfills(Store);

#[async_trait::async_trait]
impl Chore for Backfills {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let made = self.0.advance_backfills().await?;
        Ok((made > 0).then(|| format!("{made} slices started")))
    }
}

struct Streams(Store);

#[async_trait::async_trait]
impl Chore for Streams {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let made = self.0.advance_streams().await?;
        Ok((made > 0).then(|| format!("{made} runs of streams started")))
    }
}

struct Wakes(Store);

#[async_trait::async_trait]
impl Chore for Wakes {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let woken = self.0.wake_due().await?;
        Ok((woken > 0).then(|| format!("{woken} stage runs woken")))
    }
}

struct Held(Store);

#[async_trait::async_trait]
impl Chore for Held {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let released = self.0.release_held().await?;
        Ok((released > 0).then(|| format!("{released} held runs released")))
    }
}

struct Reap(Store, Reaper);

#[async_trait::async_trait]
impl Chore for Reap {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let lost = self.1.look(&self.0, std::time::Instant::now()).await?;
        Ok((lost > 0).then(|| format!("{lost} workers given up")))
    }
}

struct Reconcile(Store);

#[async_trait::async_trait]
impl Chore for Reconcile {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let repairs = self.0.reconcile().await?;
        for repair in &repairs {
            tracing::warn!(run = ?repair.run_id, what = repair.what, "an invariant did not hold");
        }
        Ok((!repairs.is_empty()).then(|| format!("{} repairs", repairs.len())))
    }
}

struct History(Store, Duration);

#[async_trait::async_trait]
impl Chore for History {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let work = self.0.keep_history(self.1).await?;
        let HistoryWork { made, forgotten, dropped } = work;
        let done = format!("{made} partitions made, {forgotten} runs forgotten, {dropped} partitions dropped");
        Ok((work != HistoryWork::default()).then_some(done))
    }
}

struct Tidy(Store);

#[async_trait::async_trait]
impl Chore for Tidy {
    async fn once(&mut self) -> headwater_store::Result<Option<String>> {
        let tidied = self.0.tidy_queue().await?;
        if !tidied.is_empty() {
            tracing::debug!(tables = ?tidied, "vacuumed");
        }
        Ok(None)
    }
}
