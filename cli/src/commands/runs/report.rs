//! A run for people: what failed first, tasks, retries, receipts, and for a failure its cause and the next command.
//!
//! Of a group with many tasks the failed ones have lines of their own, and the rest of it has one for each state.

use std::collections::BTreeMap;

use headwater_operations::{
    AttemptRow, AttemptState, Changes, Receipt, RunError, RunReport, Suggest, TaskReport, WarningRow, task_label,
};

use crate::fold::{Fold, are_many, first_lines};
use crate::{output, watch, words};

/// Prints a run.
pub(in crate::commands) fn show(report: &RunReport) {
    let run = &report.run;
    let took = run.started_at.zip(run.finished_at).map(|(start, end)| format!(" in {}", output::duration(end - start)));
    let took = took.unwrap_or_default();
    output::line(&format!("run {} of {} v{}: {}{took}", run.run_id, run.pipeline, run.version, run.state));
    let fold = Fold::of(report.tasks.iter().map(|task| task.path.as_str()));
    let header = ["task", "kind", "state", "rows", "rejected", "memory bytes", "took", "attempts"];
    output::table(&header, rows(&report.tasks, &fold));
    first_lines(retries(&report.attempts), "attempts").iter().for_each(|line| output::line(line));
    report.receipts.iter().filter(|receipt| fold.group(&receipt.task).is_none()).for_each(show_receipt);
    show_many_receipts(&report.receipts, &fold);
    for WarningRow { task, message } in &report.warnings {
        output::line(&format!("warning {}: {}", task.as_deref().unwrap_or("run"), output::shown(message)));
    }
    if let Some(error) = &report.error {
        output::line("");
        let errors = std::iter::once(error).chain(&report.further_errors).map(error_lines);
        first_lines(errors.collect(), "errors").iter().for_each(|error| output::lines(error));
        output::line(&format!("  try:  {}", again(report)));
        output::line(&format!("  log:  headwater runs logs {}", run.run_id));
    }
}

/// A row for each task. Those of folded groups that failed come first, the others are a row for each state.
fn rows(tasks: &[TaskReport], fold: &Fold) -> Vec<[String; 8]> {
    let mut failed = Vec::new();
    let mut rows: Vec<[String; 8]> = Vec::new();
    let mut rest: BTreeMap<(&str, &str), (usize, Vec<&TaskReport>)> = BTreeMap::new();
    for task in tasks {
        match fold.group(&task.path) {
            None => rows.push(row(&[task], task_label(&task.path, task.stage.as_deref()))),
            Some(_) if task.state == "failed" && !are_many(failed.len() + 1) => {
                failed.push(row(&[task], task_label(&task.path, task.stage.as_deref())));
            }
            Some(group) => {
                let (_, tasks) = rest.entry((group, &task.state)).or_insert((rows.len(), Vec::new()));
                if tasks.is_empty() {
                    rows.push(Default::default());
                }
                tasks.push(task);
            }
        }
    }
    for ((group, _), (at, tasks)) in rest {
        rows[at] = row(&tasks, format!("{group}.* ({})", output::count(tasks.len())));
    }
    failed.extend(rows);
    failed
}

/// What tasks of one state have done together.
fn row(tasks: &[&TaskReport], label: String) -> [String; 8] {
    let sum = |figure: &dyn Fn(&TaskReport) -> i64| tasks.iter().map(|task| figure(task)).sum::<i64>().unsigned_abs();
    let first = tasks.first();
    let took = tasks.iter().filter_map(|task| task.duration_ms).max();
    [
        label,
        first.map(|task| task.kind.clone()).unwrap_or_default(),
        first.map(|task| task.state.clone()).unwrap_or_default(),
        output::count(sum(&|task| task.rows_written)),
        output::count(sum(&|task| task.rows_rejected)),
        output::bytes(sum(&|task| task.bytes)),
        took.map(|ms| output::duration(chrono::TimeDelta::milliseconds(ms))).unwrap_or_default(),
        tasks.iter().map(|task| task.attempts).max().unwrap_or_default().to_string(),
    ]
}

fn error_lines(error: &RunError) -> String {
    let line = format!("{}: {}", error.task.as_deref().unwrap_or("run"), output::shown(&error.message));
    match &error.hint {
        Some(hint) => format!("{line}\n  hint: {}", output::shown(hint)),
        None => line,
    }
}

/// Receipts of folded groups, summed up.
fn show_many_receipts(receipts: &[Receipt], fold: &Fold) {
    let mut groups: BTreeMap<&str, Vec<&Receipt>> = BTreeMap::new();
    for receipt in receipts {
        if let Some(group) = fold.group(&receipt.task) {
            groups.entry(group).or_default().push(receipt);
        }
    }
    for (group, receipts) in groups {
        let sum = |figure: &dyn Fn(&Receipt) -> u64| output::count(receipts.iter().map(|one| figure(one)).sum::<u64>());
        output::line(&format!(
            "{} of {group}.*: read {}, wrote {}, rejected {}; --json has each of them",
            output::plural(receipts.len(), "receipt"),
            sum(&|receipt| receipt.rows_read),
            sum(&|receipt| receipt.rows_written),
            sum(&|receipt| receipt.rows_rejected),
        ));
    }
}

/// What to do about a failed run. Running it again executes its own version, which a newer one may have corrected; a stream makes its next run by itself.
fn again(report: &RunReport) -> String {
    if report.run.trigger == "stream" {
        return words::suggestion(&Suggest::ShowStream { pipeline: report.run.pipeline.clone() });
    }
    let rerun = words::suggestion(&Suggest::Rerun { run: report.run.run_id, all: false });
    match report.newer_version {
        Some(newer) => format!(
            "headwater run {} for version {newer}, which is approved now; {rerun} for version {} again",
            report.run.pipeline, report.run.version
        ),
        None => rerun,
    }
}

/// Why there was another attempt: a line for each that was not the last of its stage.
fn retries(attempts: &[AttemptRow]) -> Vec<String> {
    let of_run = |attempt: &&AttemptRow| attempt.kind == "run";
    let replaced = |attempt: &&AttemptRow| {
        let later = |other: &AttemptRow| other.stage_run_id == attempt.stage_run_id && other.number > attempt.number;
        attempts.iter().filter(of_run).any(later)
    };
    let lines = attempts.iter().filter(of_run).filter(replaced).map(|attempt| {
        let AttemptRow { stage, number, state, .. } = attempt;
        let took = attempt.finished_at.map(|end| format!(" after {}", output::duration(end - attempt.started_at)));
        let what = match state {
            AttemptState::Waiting => "waited".to_owned(),
            state => watch::ended(*state),
        };
        let cause = attempt.cause().map(|cause| format!(": {}", output::shown(&cause))).unwrap_or_default();
        format!("attempt {number} of {stage} {what}{}{cause}", took.unwrap_or_default())
    });
    lines.collect()
}

fn show_receipt(receipt: &Receipt) {
    let version = receipt.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    let adopted = if receipt.adopted { ", adopted" } else { "" };
    output::line(&format!(
        "receipt {} → {} ({}): read {}, wrote {}, rejected {}, {}, {}{version}, peak {}{adopted}, load {}",
        receipt.task,
        receipt.target,
        receipt.mode,
        output::count(receipt.rows_read),
        output::count(receipt.rows_written),
        output::count(receipt.rows_rejected),
        output::bytes(receipt.bytes),
        output::plural(receipt.files, "file"),
        output::bytes(receipt.peak_memory),
        receipt.load_id,
    ));
    if let Some(changes) = receipt.changes {
        let Changes { inserted, updated, deleted, unchanged } = changes;
        let [inserted, updated, deleted, unchanged] = [inserted, updated, deleted, unchanged].map(output::count);
        output::line(&format!(
            "  target: {inserted} inserted, {updated} updated, {deleted} deleted, {unchanged} unchanged"
        ));
    }
    for (what, columns) in receipt.columns.kinds() {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        output::line(&format!("  columns {what}: {}", columns.join(", ")));
    }
    for cursor in &receipt.cursors {
        let from = cursor.from.as_deref().unwrap_or("the beginning");
        output::line(&format!("  {}: from {from} to {}", cursor.task, cursor.to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(path: &str, state: &str) -> TaskReport {
        TaskReport {
            path: path.to_owned(),
            stage: None,
            kind: "load".to_owned(),
            state: state.to_owned(),
            rows_read: None,
            rows_written: 2,
            rows_rejected: 0,
            bytes: 0,
            duration_ms: None,
            attempts: 1,
        }
    }

    #[test]
    fn of_many_tasks_those_that_failed_come_first_and_the_rest_is_a_row_for_each_state() {
        let mut tasks: Vec<TaskReport> =
            (0..30).map(|number| task(&format!("publish.t{number}"), "succeeded")).collect();
        tasks[3].state = "failed".to_owned();
        tasks[4].state = "canceled".to_owned();
        tasks.insert(0, task("first", "succeeded"));
        let fold = Fold::of(tasks.iter().map(|task| task.path.as_str()));
        let told: Vec<String> =
            rows(&tasks, &fold).iter().map(|row| [&*row[0], &*row[2], &*row[3]].join(" ")).collect();
        assert_eq!(
            told,
            ["publish.t3 failed 2", "first succeeded 2", "publish.* (28) succeeded 56", "publish.* (1) canceled 2"]
        );
    }
}
