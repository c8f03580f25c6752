//! What a load sets aside: rows that violate a rule, and messages that can't be read. The load hands them to the control plane with its intent, so that they
//! are there if it commits, and only then.
//!
//! Content is what the source gives, after its masks. Of very many only the first are kept in full; all are counted, and too many fail the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_pipelines::spec::MaxRejected;
use parking_lot::Mutex;

use crate::control::TaskProgress;
use crate::error::{EngineError, Result};

/// Rejects that a load keeps in full.
pub const MOST: usize = 1_000;

/// Bytes of their contents in all: they are held in memory, and written in one statement, which has ten seconds.
const MOST_BYTES: usize = 4 << 20;

/// Bytes of the content of one.
const MOST_CONTENT: usize = 64 << 10;

/// Reasons that a message shows.
const REASONS: usize = 3;

/// A row or message that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Path of the check or extract.
    pub task: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What is wrong, without what it holds.
    pub reason: String,
    /// The row as JSON, or the value of the message; `None` for a message without one.
    pub content: Option<Vec<u8>>,
    /// There is more of the content than is kept.
    pub truncated: bool,
}

/// Where a reject comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A row of a dataset.
    Row {
        /// Path of the dataset, or the table as the spec names it.
        dataset: String,
    },
    /// A message of a topic.
    Message {
        /// The topic, as the spec names it.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The message's offset there.
        offset: i64,
    },
}

impl Origin {
    /// The kind of reason that it has, as it is stored.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Row { .. } => "rule_violated",
            Self::Message { .. } => "message_unreadable",
        }
    }
}

/// What all tasks of one load set aside.
#[derive(Debug, Default)]
pub(crate) struct Rejects {
    tasks: Vec<Arc<Quarantine>>,
    kept: Arc<Mutex<Kept>>,
}

/// Rejects that are kept in full.
#[derive(Debug, Default)]
struct Kept {
    rejects: Vec<Reject>,
    bytes: usize,
}

/// Where a check or an extract of a load sets aside what can't be loaded.
#[derive(Debug)]
pub struct Quarantine {
    task: String,
    /// What is counted: `rows` or `messages`.
    of: &'static str,
    max: Option<MaxRejected>,
    progress: Arc<TaskProgress>,
    passed: AtomicU64,
    rejected: AtomicU64,
    /// The first reasons, each with words and an example.
    reasons: Mutex<Vec<(String, String)>>,
    kept: Arc<Mutex<Kept>>,
}

impl Rejects {
    /// A quarantine for a task, of `rows` or `messages`.
    pub(crate) fn quarantine(
        &mut self,
        task: &str,
        of: &'static str,
        max: Option<MaxRejected>,
        progress: Arc<TaskProgress>,
    ) -> Arc<Quarantine> {
        let kept = Arc::clone(&self.kept);
        let (task, passed, rejected, reasons) =
            (task.to_owned(), AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        let quarantine = Arc::new(Quarantine { task, of, max, progress, passed, rejected, reasons, kept });
        self.tasks.push(Arc::clone(&quarantine));
        quarantine
    }

    /// Fails if a task has set aside more than it may.
    pub(crate) fn judge(&self) -> Result<()> {
        self.tasks.iter().try_for_each(|task| task.judge())
    }

    /// Whether a task of the load may set something aside.
    pub(crate) fn are_possible(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// What each task has set aside, in words, with its path.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&str, String)> {
        self.tasks.iter().filter(|task| task.rejected() > 0).map(|task| (task.task.as_str(), task.words()))
    }

    /// Those that are kept in full.
    pub(crate) fn kept(&self) -> Vec<Reject> {
        self.kept.lock().rejects.clone()
    }
}

impl Quarantine {
    /// Counts what was read and goes on.
    pub fn pass(&self, count: u64) {
        self.passed.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts what is set aside. A plan that reads a topic twice counts its messages twice, as it does with rows.
    pub fn reject(&self, count: u64) {
        self.rejected.fetch_add(count, Ordering::Relaxed);
        self.progress.reject(count);
    }

    /// Notes a reason for what messages say, unless it is known or there are enough. The words show where it was met first, or the columns that it is about.
    pub fn explain<E>(&self, reason: &str, words: impl FnOnce() -> Result<String, E>) -> Result<(), E> {
        let mut reasons = self.reasons.lock();
        if reasons.len() < REASONS && !reasons.iter().any(|(known, _)| known == reason) {
            reasons.push((reason.to_owned(), words()?));
        }
        Ok(())
    }

    /// How many more may be kept in full; not to be relied on, since others keep some at the same time.
    pub fn room(&self) -> usize {
        let kept = self.kept.lock();
        if kept.bytes < MOST_BYTES { MOST.saturating_sub(kept.rejects.len()) } else { 0 }
    }

    /// Keeps one that was counted, if there is room for it. A message is kept once, however often it is read.
    pub fn keep(&self, origin: Origin, reason: String, content: Option<&[u8]>) {
        let kept = &mut *self.kept.lock();
        let is_message = matches!(origin, Origin::Message { .. });
        let is_known = |known: &Reject| known.task == self.task && known.origin == origin;
        let is_full = kept.rejects.len() >= MOST || kept.bytes >= MOST_BYTES;
        if is_full || is_message && kept.rejects.iter().any(is_known) {
            return;
        }
        let part = content.map(beginning);
        let truncated = part.map(<[u8]>::len) < content.map(<[u8]>::len);
        kept.bytes += part.map_or(0, <[u8]>::len);
        let (task, content) = (self.task.clone(), part.map(<[u8]>::to_vec));
        kept.rejects.push(Reject { task, origin, reason, content, truncated });
    }

    fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    fn judge(&self) -> Result<()> {
        let all = self.passed.load(Ordering::Relaxed) + self.rejected();
        if !MaxRejected::is_exceeded(self.max, self.rejected(), all) {
            return Ok(());
        }
        let most = MaxRejected::words(self.max, self.of);
        let message = format!("{}; at most {most} may be set aside, and nothing is loaded", self.words());
        let hint = "mend them at their source, or let more be set aside with `max_rejected`";
        Err(EngineError::data(message).hint(hint).in_task(&self.task))
    }

    /// How many of all can't be loaded, and the first reasons.
    fn words(&self) -> String {
        let (rejected, of) = (self.rejected(), self.of);
        let all = self.passed.load(Ordering::Relaxed) + rejected;
        let reasons: Vec<String> = self.reasons.lock().iter().map(|(_, words)| words.clone()).collect();
        let of = if all == 1 { of.trim_end_matches('s') } else { of };
        format!("{rejected} of {all} {of} can't be loaded: {}", reasons.join("; "))
    }
}

/// What is kept of a content; of a text no part of a character.
fn beginning(content: &[u8]) -> &[u8] {
    let end = match std::str::from_utf8(content) {
        Ok(text) => text.floor_char_boundary(MOST_CONTENT),
        Err(_) => content.len().min(MOST_CONTENT),
    };
    &content[..end]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn message(offset: i64) -> Origin {
        Origin::Message { topic: "kafka.t".to_owned(), partition: 0, offset }
    }

    fn of_messages(rejects: &mut Rejects, max: Option<MaxRejected>) -> Arc<Quarantine> {
        rejects.quarantine("events", "messages", max, Arc::default())
    }

    #[test]
    fn too_many_fail_the_load_with_their_number_and_the_first_reasons() {
        let mut rejects = Rejects::default();
        let quarantine = of_messages(&mut rejects, Some(MaxRejected::Rows(2)));
        quarantine.pass(7);
        for offset in 1..=3 {
            rejects.judge().unwrap();
            quarantine.reject(1);
            quarantine.explain("it is cut", || Ok::<_, EngineError>(format!("offset {offset}: it is cut"))).unwrap();
        }
        let error = rejects.judge().unwrap_err();
        assert_eq!(error.task.as_deref(), Some("events"));
        assert_eq!(
            error.message,
            "3 of 10 messages can't be loaded: offset 1: it is cut; at most 2 messages may be set aside, and nothing is loaded"
        );
        assert_eq!(quarantine.progress.counts().rejected, 3);
    }

    #[test]
    fn of_very_many_the_first_are_kept_and_of_large_ones_a_part() {
        let mut rejects = Rejects::default();
        let quarantine = of_messages(&mut rejects, None);
        let large = "é".repeat(MOST_CONTENT / 2 + 1);
        quarantine.keep(message(0), "x".to_owned(), Some(large.as_bytes()));
        quarantine.keep(message(1), "x".to_owned(), None);
        quarantine.keep(message(1), "x".to_owned(), None);
        let kept = rejects.kept();
        assert_eq!(kept.len(), 2, "a message is kept once");
        assert_eq!(kept[0].content.as_ref().map(Vec::len), Some(MOST_CONTENT));
        assert!(kept[0].truncated && !kept[1].truncated);
        for offset in 2..2_000 {
            quarantine.keep(message(offset), "x".to_owned(), Some(b"short"));
        }
        assert_eq!((rejects.kept().len(), quarantine.room()), (MOST, 0));
        let mut others = Rejects::default();
        let quarantine = of_messages(&mut others, None);
        for offset in 0..1_000 {
            quarantine.keep(message(offset), "x".to_owned(), Some(large.as_bytes()));
        }
        assert_eq!((others.kept().len(), quarantine.room()), (MOST_BYTES / MOST_CONTENT, 0));
    }
}
