//! `headwater plan`: stages, schemas of every edge, what loads would do, the difference from the approved version.
//!
//! Of a group with many tasks it prints what they have in common, and what is special about some of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use headwater_operations::{Against, ChangeReport, LoadReport, PlanReport, PlannedSpec, PlansReport, StageReport};
use headwater_pipelines::plan::tables::TableSet;
use serde_json::Value;

use super::files;
use crate::context::Context;
use crate::failure::show_problems;
use crate::fold::{self, Fold, first_lines, shortened};
use crate::{output, waiting};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Spec file, or folder of spec files, planned together
    path: PathBuf,
    /// Check against the stored catalogs of the connections; no system is reached
    #[arg(long)]
    snapshot: bool,
    /// Print each task of large groups, too
    #[arg(long, conflicts_with = "json")]
    tasks: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn plan(context: &Context, args: &PlanArgs) -> Result<ExitCode> {
    let against = if args.snapshot { Against::Catalogs } else { Against::Systems };
    let planned = context.operations.plan(&context.actor, files::read_all(&args.path)?, against);
    let planned = waiting::shown(context, "planning", planned).await?;
    let valid = planned.iter().all(|spec| spec.valid);
    if args.json && args.path.is_dir() {
        output::json(&PlansReport { plans: planned.into_iter().map(|spec| spec.report).collect() })?;
    } else if args.json {
        planned.iter().try_for_each(|spec| output::json(&spec.report))?;
    } else {
        planned.iter().for_each(|spec| show_one(spec, args.path.is_dir(), args.tasks));
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn show_one(spec: &PlannedSpec, is_one_of_many: bool, each: bool) {
    if is_one_of_many {
        output::line(&format!("{}:", spec.report.file));
    }
    show_problems(std::slice::from_ref(&spec.problems));
    show(&spec.report, each);
    if is_one_of_many {
        output::line("");
    }
}

fn show(report: &PlanReport, each: bool) {
    let (Some(pipeline), Some(stages)) = (&report.pipeline, &report.stages) else { return };
    output::line(&format!("pipeline {pipeline}"));
    report.schedule_in_words.iter().for_each(|words| output::line(&format!("schedule: {words}")));
    report.tables.iter().flat_map(tables).for_each(|line| output::line(&line));
    let tasks: BTreeSet<&str> = stages.iter().flat_map(|stage| &stage.tasks).map(String::as_str).collect();
    let fold = if each { Fold::default() } else { Fold::of(tasks) };
    let rows = stage_rows(stages, &fold);
    output::table(&["stage", "tasks, one streaming plan", "after", "queue", "attempts"], rows);
    schemas(report, &fold);
    for (task, load) in report.ddl.iter().filter(|(task, _)| fold.group(task).is_none()) {
        output::line(&format!("{task} → {}", load.target));
        load.ddl.iter().for_each(|statement| output::line(&format!("  {statement}")));
        let notes = load.notes.iter().chain(report.notes.get(task).into_iter().flatten());
        notes.for_each(|note| output::line(&format!("  note: {note}")));
    }
    for (group, loads) in grouped(report.ddl.iter(), &fold) {
        output::line(&format!("{group}.* → {}", output::plural(loads.len(), "target")));
        load_lines(&loads).iter().for_each(|line| output::line(&format!("  {line}")));
    }
    for (connection, catalog) in &report.catalogs {
        output::line(&format!("{connection} as it was at {}", output::time(Some(catalog.seen_at))));
    }
    match report.diff.as_deref() {
        None => output::line("no version is approved yet"),
        Some([]) => output::line("no difference from the approved version"),
        Some(changes) => {
            output::line("differences from the approved version:");
            differences(changes).iter().for_each(|change| output::line(&format!("  {change}")));
        }
    }
}

/// What became of an extract of several tables.
fn tables(set: &TableSet) -> Vec<String> {
    let counts = |counts: &BTreeMap<String, usize>| {
        counts.iter().map(|(what, count)| format!("{what} {}", output::count(*count))).collect::<Vec<_>>().join(", ")
    };
    let mut lines =
        vec![format!("{}: {} of {}", set.task, output::plural(set.tables, "table"), set.patterns.join(", "))];
    if !set.cursors.is_empty() {
        lines.push(format!("  new rows alone, by cursor: {}", counts(&set.cursors)));
    }
    lines.extend(set.loads.iter().map(|load| format!("  {} → {}: {}", load.task, load.into, counts(&load.modes))));
    lines.extend(set.notes.iter().map(|note| {
        format!("  {} {}: {}", output::plural(note.tables.len(), "table"), note.what, shortened(&note.tables))
    }));
    lines
}

/// A row for each stage, and one for those of a folded group.
fn stage_rows(stages: &[StageReport], fold: &Fold) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for stage in stages {
        let Some(group) = fold.group(&stage.name) else {
            let attempts = stage.retry.attempts.to_string();
            let (tasks, after) = (shortened(&fold.names(&stage.tasks)), shortened(&fold.names(&stage.after)));
            rows.push([stage.name.clone(), tasks, after, stage.queue.clone(), attempts]);
            continue;
        };
        if !seen.insert(group) {
            continue;
        }
        let all: Vec<&StageReport> = stages.iter().filter(|other| fold.group(&other.name) == Some(group)).collect();
        let united = |names: &dyn Fn(&StageReport) -> Vec<String>| {
            let names: BTreeSet<String> = all.iter().flat_map(|stage| fold.names(&names(stage))).collect();
            shortened(&Vec::from_iter(names))
        };
        rows.push([
            format!("{group}.* ({})", output::plural(all.len(), "stage")),
            united(&|stage| stage.tasks.clone()),
            united(&|stage| stage.after.clone()),
            united(&|stage| vec![stage.queue.clone()]),
            united(&|stage| vec![stage.retry.attempts.to_string()]),
        ]);
    }
    rows
}

fn schemas(report: &PlanReport, fold: &Fold) {
    for (task, columns) in report.schemas.iter().filter(|(task, _)| fold.group(task).is_none()) {
        let columns = columns
            .iter()
            .map(|column| format!("{} {}{}", column.name, column.kind, if column.nullable { "" } else { " not null" }));
        output::line(&format!("{task}: {}", columns.collect::<Vec<_>>().join(", ")));
        report.notes.get(task).into_iter().flatten().for_each(|note| output::line(&format!("  note: {note}")));
    }
    for (group, datasets) in grouped(report.schemas.iter(), fold) {
        let columns = datasets.iter().map(|(_, columns)| columns.len()).sum::<usize>();
        let (datasets, columns) = (output::plural(datasets.len(), "dataset"), output::plural(columns, "column"));
        output::line(&format!("{group}.*: {datasets} with {columns}; --tasks prints them"));
        let notes = report.notes.iter().filter(|(task, _)| fold.group(task) == Some(group));
        note_lines(notes.flat_map(|(_, notes)| notes), "task")
            .iter()
            .for_each(|line| output::line(&format!("  {line}")));
    }
}

/// Entries of folded groups, by group.
fn grouped<'a, T>(
    entries: impl Iterator<Item = (&'a String, &'a T)>,
    fold: &Fold,
) -> BTreeMap<&'a str, Vec<(&'a String, &'a T)>> {
    let mut groups: BTreeMap<&str, Vec<(&String, &T)>> = BTreeMap::new();
    for (task, entry) in entries {
        if let Some(group) = fold.group(task) {
            groups.entry(group).or_default().push((task, entry));
        }
    }
    groups
}

/// What many loads do to their targets: how many are changed, and each remark once.
fn load_lines(loads: &[(&String, &LoadReport)]) -> Vec<String> {
    let changed = loads.iter().filter(|(_, load)| !load.ddl.is_empty());
    let changed: Vec<String> = changed.map(|(_, load)| load.target.clone()).collect();
    let mut lines = Vec::new();
    if !changed.is_empty() {
        let targets = output::plural(changed.len(), "target");
        lines.push(format!("{targets} made or changed first: {}; --tasks prints the statements", shortened(&changed)));
    }
    lines.extend(note_lines(loads.iter().flat_map(|(_, load)| &load.notes), "load"));
    lines
}

/// Remarks about many, each once.
fn note_lines<'a>(all: impl Iterator<Item = &'a String>, of: &str) -> Vec<String> {
    let mut notes: BTreeMap<&str, usize> = BTreeMap::new();
    all.for_each(|note| *notes.entry(note).or_default() += 1);
    let notes = notes.into_iter().map(|(note, count)| format!("note of {}: {note}", output::plural(count, of)));
    first_lines(notes.collect(), "notes")
}

/// Differences, a line each; of a group with many tasks what was added, removed and changed is one line each.
pub(super) fn differences(changes: &[ChangeReport]) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for change in changes {
        if let Some((group, task)) = inside_group(&change.path) {
            groups.entry((&change.kind, group)).or_default().insert(task);
        }
    }
    groups.retain(|_, tasks| fold::are_many(tasks.len()));
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    for change in changes {
        let key = inside_group(&change.path).map(|(group, _)| (change.kind.as_str(), group));
        match key.and_then(|key| Some((key, groups.get(&key)?))) {
            None => lines.push(describe(change)),
            Some((key, tasks)) if seen.insert(key) => {
                let names: Vec<String> = tasks.iter().map(|task| (*task).to_owned()).collect();
                let count = output::plural(tasks.len(), "task");
                lines.push(format!("{} {}: {count}: {}", sign(&change.kind), key.1, shortened(&names)));
            }
            Some(_) => {}
        }
    }
    lines
}

/// The group in which a path of a spec stands, and the task of it.
fn inside_group(path: &str) -> Option<(&str, &str)> {
    let (group, inside) = path.rsplit_once(".group.")?;
    Some((group, inside.split_once('.').map_or(inside, |(task, _)| task)))
}

fn sign(kind: &str) -> char {
    match kind {
        "added" => '+',
        "removed" => '-',
        _ => '~',
    }
}

/// One difference on a line.
fn describe(change: &ChangeReport) -> String {
    let short = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    let sign = sign(&change.kind);
    match sign {
        '+' => format!("+ {}: {}", change.path, short(&change.after)),
        '-' => format!("- {}", change.path),
        _ => format!("~ {}: {} → {}", change.path, short(&change.before), short(&change.after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &str, path: String) -> ChangeReport {
        ChangeReport { path, kind: kind.to_owned(), before: None, after: Some(Value::Null) }
    }

    #[test]
    fn differences_of_many_tasks_of_a_group_are_one_line_and_few_stay_as_they_are() {
        let mut changes: Vec<ChangeReport> =
            (10..35).map(|number| change("added", format!("tasks.raw.group.t{number}"))).collect();
        changes.push(change("removed", "tasks.raw.group.old".to_owned()));
        changes.extend((10..35).flat_map(|number| {
            ["mode", "keys"].map(|field| change("changed", format!("tasks.publish.group.t{number}.load.{field}")))
        }));
        assert_eq!(
            differences(&changes),
            [
                "+ tasks.raw: 25 tasks: t10, t11, t12, t13, t14, t15 and 19 more",
                "- tasks.raw.group.old",
                "~ tasks.publish: 25 tasks: t10, t11, t12, t13, t14, t15 and 19 more",
            ]
        );
    }
}
