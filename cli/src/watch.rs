//! Following a run: progress from heartbeats, so that it looks the same for any worker.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use headwater_pipelines::plan::Plan;
use headwater_store::RunDetail;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use crate::context::Context;
use crate::output;

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Without a terminal, a line about running tasks at most so often.
const LINE: Duration = Duration::from_secs(2);

/// Follows a run until it has ended. The first Ctrl-C cancels it, the second leaves at once.
pub(crate) async fn until_end(context: &Context, run: Uuid, plan: &Plan) -> Result<()> {
    // One listener for the whole time: a signal between two of them would be lost.
    let interrupts = signal(SignalKind::interrupt())?;
    tokio::select! {
        followed = follow(context, run, plan) => followed,
        failed = cancel_when_interrupted(context, run, interrupts) => failed,
    }
}

async fn follow(context: &Context, run: Uuid, plan: &Plan) -> Result<()> {
    let mut view = View::new(plan);
    loop {
        let detail = context.workspace.show_run(run).await?;
        view.show(&detail);
        if detail.run.state.is_final() {
            view.end();
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Answers only if the run can't be canceled.
async fn cancel_when_interrupted(context: &Context, run: Uuid, mut interrupts: Signal) -> Result<()> {
    interrupts.recv().await;
    output::error_line("canceling; press Ctrl-C again to leave at once");
    let cancel = async {
        context.workspace.cancel_run(run).await?;
        std::future::pending().await
    };
    tokio::select! {
        failed = cancel => failed,
        _ = interrupts.recv() => std::process::exit(130),
    }
}

/// What is shown meanwhile.
struct View {
    bars: Option<(MultiProgress, BTreeMap<String, ProgressBar>)>,
    states: BTreeMap<String, String>,
    last_line: std::time::Instant,
}

impl View {
    fn new(plan: &Plan) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bars = terminal.then(|| {
            let all = MultiProgress::new();
            let style = ProgressStyle::with_template("{spinner} {prefix:30!} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = |path: &str| {
                let spinner = ProgressBar::new_spinner().with_style(style.clone()).with_prefix(path.to_owned());
                (path.to_owned(), all.add(spinner))
            };
            let bars = plan
                .tasks
                .iter()
                .filter(|(_, task)| !task.stages.is_empty())
                .map(|(path, _)| bar(path.as_str()))
                .collect();
            (all, bars)
        });
        Self { bars, states: BTreeMap::new(), last_line: std::time::Instant::now() }
    }

    fn show(&mut self, detail: &RunDetail) {
        for task in &detail.tasks {
            let elapsed = task.started_at.map(|start| task.finished_at.unwrap_or_else(chrono::Utc::now) - start);
            let text = describe(&task.state, task.rows, task.bytes, elapsed);
            match &self.bars {
                Some((_, bars)) => {
                    if let Some(bar) = bars.get(&task.path) {
                        bar.set_message(text);
                        bar.tick();
                    }
                }
                None => {
                    let changed = self
                        .states
                        .insert(task.path.clone(), task.state.clone())
                        .is_none_or(|before| before != task.state);
                    let due = task.state == "running" && self.last_line.elapsed() >= LINE;
                    if (changed && task.state != "pending") || due {
                        output::error_line(&format!("{}: {text}", task.path));
                    }
                }
            }
        }
        if self.last_line.elapsed() >= LINE {
            self.last_line = std::time::Instant::now();
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

fn describe(state: &str, rows: i64, bytes: i64, elapsed: Option<chrono::TimeDelta>) -> String {
    if rows == 0 {
        return state.to_owned();
    }
    let ms = elapsed.map_or(1, |time| time.num_milliseconds().max(1));
    let rate = u64::try_from(bytes.saturating_mul(1000) / ms).unwrap_or_default();
    format!("{state}, {} rows, {}/s", output::count(rows.unsigned_abs()), output::bytes(rate))
}
