//! Log lines on their way to the store: redacted, capped, in batches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::Utc;
use headwater_engine::control::LogLevel;
use headwater_store::{Claimed, LogLine, MAX_LOG_LINES_PER_ATTEMPT, Store};
use tokio::sync::{mpsc, oneshot};

/// Lines are stored this often.
const INTERVAL: Duration = Duration::from_millis(250);

/// Lines stored in one statement.
const BATCH: usize = 1_000;

/// Shorter secrets are not erased: they would blacken every other word and protect nothing.
const SHORTEST_SECRET: usize = 4;

pub(crate) enum Entry {
    Line(LogLine),
    Flush(oneshot::Sender<()>),
}

/// Where attempts leave their lines.
#[derive(Debug, Clone)]
pub(crate) struct LogSender {
    entries: mpsc::UnboundedSender<Entry>,
}

impl LogSender {
    /// The sender, and what the writer reads. The queue needs no bound of its own, since every attempt has one.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Entry>) {
        let (entries, received) = mpsc::unbounded_channel();
        (Self { entries }, received)
    }

    /// Waits until everything said so far is stored.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.entries.send(Entry::Flush(done)).is_ok() {
            // An error means that the writer has ended, and then nothing is left to wait for.
            let _ = wait.await;
        }
    }
}

/// The log of one attempt.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    sender: LogSender,
    lease: headwater_store::LeaseKey,
    secrets: Vec<String>,
    lines: AtomicUsize,
}

impl AttemptLog {
    pub(crate) fn new(sender: LogSender, claimed: &Claimed, mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // The longest first: one secret may hold another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { sender, lease: claimed.lease, secrets, lines: AtomicUsize::new(0) }
    }

    /// The text without secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    pub(crate) fn say(&self, level: LogLevel, task: Option<&str>, message: &str) {
        let earlier = self.lines.fetch_add(1, Ordering::Relaxed);
        if earlier > MAX_LOG_LINES_PER_ATTEMPT {
            return;
        }
        let message = match earlier == MAX_LOG_LINES_PER_ATTEMPT {
            true => format!("more than {MAX_LOG_LINES_PER_ATTEMPT} lines: the rest is left out"),
            false => self.redact(message),
        };
        let line = LogLine {
            lease: self.lease,
            level: level.as_str(),
            task: task.map(str::to_owned),
            message,
            at: Utc::now(),
        };
        // The writer outlives the attempts; if it is gone, so is the worker.
        let _ = self.sender.entries.send(Entry::Line(line));
    }

    /// Whether there is anything to flush.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.load(Ordering::Relaxed) == 0
    }
}

/// Stores lines until every sender is gone.
pub(crate) async fn write(store: Store, mut entries: mpsc::UnboundedReceiver<Entry>) {
    while let Some(first) = entries.recv().await {
        let mut lines = Vec::new();
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => lines.push(line),
                Entry::Flush(done) => waiting.push(done),
            }
            next = if lines.len() < BATCH { entries.try_recv().ok() } else { None };
        }
        if let Err(error) = store.append_logs(&lines).await {
            tracing::warn!(error = %error, lines = lines.len(), "log lines not stored");
        }
        let in_a_hurry = !waiting.is_empty();
        for done in waiting {
            let _ = done.send(());
        }
        if !in_a_hurry && entries.is_empty() {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}
