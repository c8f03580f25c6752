//! Following a run: its events as bars on a terminal, as lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use headwater_operations::{AttemptState, Origin, RunEvent, RunReport, Site, Started, TaskProgress, Watch, task_label};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use crate::context::Context;
use crate::fold::Fold;
use crate::output;

/// Without a terminal, a line about running tasks at most this often.
const LINE: Duration = Duration::from_secs(2);

/// How often bars show that time passes.
const TICK: Duration = Duration::from_millis(200);

/// Follows a run until it has ended. The first Ctrl-C cancels it, the second leaves at once.
pub(crate) async fn until_end(context: &Context, started: Started) -> Result<RunReport> {
    // One listener for the whole time: a signal between two of them would be lost.
    let interrupts = signal(SignalKind::interrupt())?;
    let run = started.run_id;
    let mut watch = context.operations.watch(&context.actor, started, &context.executor)?;
    let followed = tokio::select! {
        followed = follow(&mut watch) => followed,
        failed = cancel_when_interrupted(context, run, interrupts) => failed,
    };
    watch.close().await;
    followed
}

async fn follow(watch: &mut Watch<'_>) -> Result<RunReport> {
    let mut view = View::default();
    while let Some(event) = watch.next().await? {
        match event {
            RunEvent::Placed { run_id, pipeline, version, tasks, origin, site, lease_time_ms } => {
                output::error_line(&placed(run_id, &format!("{pipeline} v{version}"), origin, site, lease_time_ms));
                view.start(&tasks);
            }
            RunEvent::TakenOver => {
                view.say("no worker serves the run's queues any more: it continues in this process");
            }
            RunEvent::Task(progress) => view.show(&progress),
            RunEvent::Retried { stage, attempt, state, cause } => view.say(&retried(&stage, attempt, state, cause)),
            RunEvent::Ended(report) => {
                view.end();
                return Ok(*report);
            }
        }
    }
    anyhow::bail!("run {} is no longer watched", watch.run_id())
}

fn placed(run: Uuid, pipeline: &str, origin: Origin, site: Site, lease_time_ms: u64) -> String {
    let place = if site == Site::Here { "in this process" } else { "by the workers of its queues" };
    match origin {
        Origin::New => format!("run {run} of {pipeline} is executed {place}"),
        Origin::Existing => format!("run {run} of {pipeline} does the same already: watching it"),
        Origin::Unfinished => format!(
            "run {run} of {pipeline} is not finished: it continues here once its worker has been silent for {} s, \
             unless that worker finishes it",
            Duration::from_millis(lease_time_ms).as_secs_f32()
        ),
    }
}

fn retried(stage: &str, attempt: i32, state: AttemptState, cause: Option<String>) -> String {
    let cause = cause.map(|cause| format!(": {}", output::shown(&cause))).unwrap_or_default();
    format!("{stage}: attempt {attempt} {}{cause}; another one follows", ended(state))
}

/// How an attempt ended, as a verb.
pub(crate) fn ended(state: AttemptState) -> String {
    match state {
        AttemptState::Lost => "was lost".to_owned(),
        AttemptState::Canceled => "was canceled".to_owned(),
        other => other.to_string(),
    }
}

/// Answers only if the run can't be canceled.
async fn cancel_when_interrupted(context: &Context, run: Uuid, mut interrupts: Signal) -> Result<RunReport> {
    interrupts.recv().await;
    output::error_line("canceling; press Ctrl-C again to leave at once");
    let cancel = async {
        context.operations.cancel(&context.actor, run).await?;
        std::future::pending().await
    };
    tokio::select! {
        failed = cancel => failed,
        _ = interrupts.recv() => std::process::exit(130),
    }
}

/// What is shown meanwhile. Tasks of a group with many are shown together.
#[derive(Default)]
struct View {
    bars: Option<(MultiProgress, BTreeMap<String, ProgressBar>)>,
    states: BTreeMap<String, String>,
    lines: BTreeMap<String, Instant>,
    fold: Fold,
    many: BTreeMap<String, Many>,
}

/// How far the tasks of a group have come.
#[derive(Default)]
struct Many {
    all: usize,
    /// State and rows of each task that has begun.
    tasks: BTreeMap<String, (String, i64)>,
    finished: usize,
    failed: usize,
    rows: i64,
}

impl Many {
    /// Whether a task has come to its end with this.
    fn show(&mut self, label: &str, progress: &TaskProgress) -> bool {
        let now = (progress.state.clone(), progress.rows);
        let (state, rows) = self.tasks.insert(label.to_owned(), now).unwrap_or_default();
        let ends = is_final(&progress.state) && !is_final(&state);
        self.finished += usize::from(ends);
        self.failed += usize::from(ends && progress.state == "failed");
        self.rows += progress.rows - rows;
        ends
    }

    fn describe(&self) -> String {
        let failed = if self.failed == 0 { String::new() } else { format!(", {} failed", output::count(self.failed)) };
        let (done, all) = (output::count(self.finished), output::count(self.all));
        format!("{done} of {all} done{failed}, {} rows", output::count(self.rows.unsigned_abs()))
    }
}

/// Whether a task stays in this state.
fn is_final(state: &str) -> bool {
    matches!(state, "succeeded" | "failed" | "canceled" | "skipped")
}

/// The path in a task's label.
fn path_of(label: &str) -> &str {
    label.split_once(" (").map_or(label, |(path, _)| path)
}

impl View {
    fn start(&mut self, tasks: &[String]) {
        self.fold = Fold::of(tasks.iter().map(|label| path_of(label)));
        for group in tasks.iter().filter_map(|label| self.fold.group(path_of(label))) {
            self.many.entry(format!("{group}.*")).or_default().all += 1;
        }
        let paths: Vec<String> =
            tasks.iter().filter(|label| self.fold.group(path_of(label)).is_none()).cloned().collect();
        self.draw(paths.iter().chain(self.many.keys()).cloned().collect());
    }

    fn draw(&mut self, labels: Vec<String>) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{spinner} {prefix:30!} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = |path: &String| {
            let bar = ProgressBar::new_spinner().with_style(style.clone()).with_prefix(output::shown(path));
            let bar = all.add(bar);
            bar.enable_steady_tick(TICK);
            (path.clone(), bar)
        };
        let bars = labels.iter().map(bar).collect();
        self.bars = Some((all, bars));
    }

    fn show(&mut self, progress: &TaskProgress) {
        let label = task_label(&progress.path, progress.stage.as_deref());
        if let Some(group) = self.fold.group(&progress.path).map(|group| format!("{group}.*")) {
            return self.show_many(group, &label, progress);
        }
        let text = describe(progress);
        if let Some((_, bars)) = &self.bars {
            bars.get(&label).iter().for_each(|bar| bar.set_message(text.clone()));
            return;
        }
        let before = self.states.insert(label.clone(), progress.state.clone());
        let changed = before.is_none_or(|before| before != progress.state);
        let due = self.lines.get(&label).is_none_or(|last| last.elapsed() >= LINE);
        if changed || (progress.state == "running" && due) {
            output::error_line(&format!("{label}: {text}"));
            self.lines.insert(label, Instant::now());
        }
    }

    /// Shows how far a group has come; of its tasks only those that fail.
    fn show_many(&mut self, group: String, label: &str, progress: &TaskProgress) {
        let many = self.many.entry(group.clone()).or_default();
        let ends = many.show(label, progress);
        let (text, is_over) = (many.describe(), ends && many.finished == many.all);
        if ends && progress.state == "failed" {
            self.say(&format!("{label}: failed"));
        }
        if let Some((_, bars)) = &self.bars {
            bars.get(&group).iter().for_each(|bar| bar.set_message(text.clone()));
        } else if is_over || self.lines.get(&group).is_none_or(|last| last.elapsed() >= LINE) {
            output::error_line(&format!("{group}: {text}"));
            self.lines.insert(group, Instant::now());
        }
    }

    fn say(&self, text: &str) {
        match &self.bars {
            // A bar that went away is no reason to end the command.
            Some((all, _)) => drop(all.println(output::shown(text))),
            None => output::error_line(text),
        }
    }

    fn end(&mut self) {
        if let Some((all, bars)) = &self.bars {
            bars.values().for_each(ProgressBar::finish_and_clear);
            // The table of the finished run takes the bars' place.
            let _ = all.clear();
        }
    }
}

fn describe(progress: &TaskProgress) -> String {
    let TaskProgress { state, rows, bytes, elapsed_ms, .. } = progress;
    if *rows == 0 {
        return state.clone();
    }
    let ms = elapsed_ms.map_or(1, |ms| ms.max(1));
    let rate = u64::try_from(bytes.saturating_mul(1000) / ms).unwrap_or_default();
    format!("{state}, {} rows, {}/s", output::count(rows.unsigned_abs()), output::bytes(rate))
}
