//! Shows what a command waits for that has nothing else to show: a line that moves on a terminal, plain lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::context::Context;
use crate::output;

/// Who waits for less wants no words about it.
const SILENT: Duration = Duration::from_secs(2);

/// How often the line is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Without a terminal, the same words again at most this often.
const AGAIN: Duration = Duration::from_secs(10);

/// Does the work, and after two seconds says which connection owes an answer, or else what the work is.
pub(crate) async fn shown<T>(context: &Context, what: &str, work: impl Future<Output = T>) -> T {
    let mut line = Line::new();
    let mut looks = interval_at(Instant::now() + SILENT, LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = looks.tick() => {
                let asked = context.executor.engine.registry().asked().first();
                line.say(asked.map_or_else(|| what.to_owned(), |name| format!("{what}: waiting for connection {name}")));
            }
        }
    }
}

struct Line {
    bar: ProgressBar,
    said: Option<(String, Instant)>,
}

impl Line {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        Self { bar, said: None }
    }

    fn say(&mut self, text: String) {
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(Duration::from_millis(200));
            return self.bar.set_message(output::shown(&text));
        }
        if self.said.as_ref().is_none_or(|(said, at)| *said != text || at.elapsed() >= AGAIN) {
            output::error_line(&text);
            self.said = Some((text, Instant::now()));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
