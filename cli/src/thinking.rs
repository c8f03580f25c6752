//! Shows that a model is at work: a line that moves on a terminal, plain lines elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use headwater_assistant::Watcher;
use headwater_assistant::gateway::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// Characters of an answer that stand for one of its tokens.
const CHARACTERS: usize = 4;

/// What is shown of a model's work.
pub(crate) struct Thinking {
    bar: ProgressBar,
    /// Characters of the answer so far.
    seen: AtomicUsize,
}

impl Thinking {
    /// Shows nothing until a model is asked.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        Self { bar, seen: AtomicUsize::new(0) }
    }

    fn say(&self, text: String) {
        if self.bar.is_hidden() {
            return output::error_line(&text);
        }
        self.bar.enable_steady_tick(Duration::from_millis(200));
        self.bar.set_message(output::shown(&text));
    }
}

impl Watcher for Thinking {
    fn saw(&self, progress: Progress<'_>) {
        match progress {
            Progress::Started { model, call } => {
                self.seen.store(0, Ordering::Relaxed);
                self.say(format!("asking model {model}, call {call}"));
            }
            Progress::Text(text) => {
                let more = text.chars().count();
                let seen = self.seen.fetch_add(more, Ordering::Relaxed) + more;
                if !self.bar.is_hidden() {
                    self.bar.set_message(format!("answering, about {} tokens so far", seen / CHARACTERS));
                }
            }
            Progress::Waiting(pause) => {
                self.say(format!("the provider is busy: next call in {:.1} s", pause.as_secs_f64()))
            }
        }
    }

    fn done(&self) {
        self.bar.finish_and_clear();
    }
}
