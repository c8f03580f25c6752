//! What can be verified of a draft without a model: every wish is met, nothing is there that nobody asked for, and the target has the columns of the contract.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use headwater_operations::PlanReport;
use headwater_pipelines::diagnostic::{Diagnostic, Severity};
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::schedule::{Times, in_words};
use headwater_pipelines::spec::{Schedule, Spec, Task};
use headwater_pipelines::sql::split_name;
use indexmap::IndexMap;

use crate::offline;
use crate::typed::{Contract, Fault, Phase, Said, TypedPlan, unasked};

/// Fires that are compared: days of more than a year, which has both borders of summer time.
const FIRES: usize = 400;

/// What planning found, for the model.
pub(super) fn planned(report: &PlanReport) -> Vec<Fault> {
    report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).map(fault).collect()
}

fn fault(diagnostic: &Diagnostic) -> Fault {
    let at = diagnostic.task.as_ref().map_or("", |task| task.as_str());
    let hint = diagnostic.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let message = format!("{}{hint}", diagnostic.message);
    Fault::new(Phase::Types, diagnostic.code.as_str(), at, &message)
}

/// Where contract and plan don't fit.
pub(super) fn meaning(plan: &TypedPlan, contract: &Contract, spec: &Spec, report: &PlanReport) -> Vec<Fault> {
    let mut faults = Vec::new();
    let places = |value: &serde_json::Value| -> Vec<usize> {
        let numbers = value["asked_by"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_u64);
        numbers.filter_map(|place| usize::try_from(place).ok()).collect()
    };
    let met: BTreeSet<usize> = plan.tasks.iter().flat_map(places).chain(plan.asked_by.iter().copied()).collect();
    for (place, wish) in contract.requirements.iter().enumerate().filter(|(place, _)| !met.contains(place)) {
        let message = format!("no task is asked by requirement {place}, '{}'", wish.quote);
        faults.push(Fault::new(Phase::Meaning, "unmet", &format!("requirements[{place}]"), &message));
    }
    let is_place = |place: &usize| *place < contract.requirements.len();
    for node in &plan.tasks {
        let (kind, name) = (node["kind"].as_str().unwrap_or_default(), node["name"].as_str().unwrap_or_default());
        let has_wish = places(node).iter().any(is_place);
        if matches!(kind, "load" | "check" | "wait") && !has_wish {
            faults.push(Fault::new(Phase::Meaning, "unasked", name, &format!("no requirement asks for this {kind}")));
        }
    }
    if plan.schedule.is_some() && !plan.asked_by.iter().any(is_place) {
        faults.push(Fault::new(Phase::Meaning, "unasked", "schedule", "no requirement asks for a schedule"));
    }
    let tasks = flat(&spec.tasks);
    faults.extend(unread(&tasks));
    faults.extend(shapes(contract, &tasks, report));
    faults
}

/// What a plan's schedule says beyond the words, and against them. The schedule of a pipeline that is edited stays without any word.
pub(super) fn schedule(
    plan: &TypedPlan,
    contract: &Contract,
    said: &Said,
    (stays, zone): (Option<&Schedule>, Tz),
) -> Vec<Fault> {
    let Some(schedule) = plan.schedule.as_ref().filter(|schedule| stays != Some(schedule)) else { return Vec::new() };
    let unasked = unasked(said, schedule).into_iter();
    let unasked = unasked.map(|at| Fault::new(Phase::Meaning, "unasked", at, "no word of the prompt asks for it"));
    let wishes = plan.asked_by.iter().filter_map(|place| contract.requirements.get(*place));
    let other =
        wishes.filter_map(|wish| offline::schedule_in(&wish.quote, zone)).find(|read| !fires_as(read, schedule));
    let other = other.map(|read| {
        let message = format!("the words say '{}'", in_words(&read));
        Fault::new(Phase::Meaning, "other_schedule", "schedule", &message)
    });
    unasked.chain(other).collect()
}

/// Whether two schedules have the same next fires.
fn fires_as(one: &Schedule, other: &Schedule) -> bool {
    let anchor = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let fires = |schedule: &Schedule| {
        let plain = Schedule { start: None, end: None, jitter: None, ..schedule.clone() };
        Times::new(&plain, anchor).map(|times| times.after(anchor).take(FIRES).collect::<Vec<_>>())
    };
    match (&one.every, &other.every) {
        (Some(one), Some(other)) => one == other,
        _ => fires(one) == fires(other),
    }
}

/// Loads into a table that the draft reads: they would change their source.
pub(super) fn own_targets(spec: &Spec) -> Vec<Fault> {
    let tasks = flat(&spec.tasks);
    let read: Vec<Vec<String>> =
        tasks.values().filter_map(|task| split_name(task.extract.as_ref()?.from.as_ref()?).ok()).collect();
    let is_read = |into: &[String]| {
        let Some((connection, path)) = into.split_first() else { return false };
        read.iter().any(|from| from.first() == Some(connection) && from[1..].ends_with(path))
    };
    let loads = tasks.iter().filter_map(|(path, task)| Some((path, task.load.as_ref()?)));
    let own = loads.filter(|(_, load)| split_name(&load.into).is_ok_and(|into| is_read(&into)));
    own.map(|(path, load)| {
        let message = format!("{} is read by this draft, and a source is never written", load.into);
        Fault::new(Phase::Meaning, "source_is_target", path, &message)
    })
    .collect()
}

/// Every task by its path.
pub(super) fn flat(tasks: &IndexMap<String, Task>) -> BTreeMap<TaskPath, &Task> {
    let mut all = BTreeMap::new();
    let mut groups = vec![(TaskPath::root(), tasks)];
    while let Some((group, tasks)) = groups.pop() {
        for (name, task) in tasks {
            let path = group.child(name);
            groups.extend(task.group.iter().map(|inside| (path.clone(), inside)));
            all.insert(path, task);
        }
    }
    all
}

/// Datasets that nothing reads.
fn unread(tasks: &BTreeMap<TaskPath, &Task>) -> Vec<Fault> {
    let mut read: BTreeSet<String> = BTreeSet::new();
    for task in tasks.values() {
        let inputs = task.load.iter().map(|load| &load.input).chain(task.check.iter().map(|check| &check.input));
        read.extend(inputs.cloned());
        let text = task.transform.as_deref().unwrap_or_default();
        read.extend(text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).map(str::to_owned));
    }
    let is_read =
        |path: &TaskPath| read.iter().any(|name| path.as_str() == name || path.ends_with(&format!(".{name}")));
    let datasets = tasks.iter().filter(|(_, task)| {
        task.load.is_none()
            && task.wait.is_none()
            && task.group.is_none()
            && (task.extract.is_some() || task.transform.is_some() || task.check.is_some())
    });
    let unread = datasets.filter(|(path, _)| !is_read(path)).map(|(path, _)| path);
    unread.map(|path| Fault::new(Phase::Meaning, "unread", path, "nothing reads this task")).collect()
}

/// Loads whose columns are others than the contract's.
fn shapes(contract: &Contract, tasks: &BTreeMap<TaskPath, &Task>, report: &PlanReport) -> Vec<Fault> {
    let found = contract.targets.iter().filter_map(|shape| {
        let (path, task) = tasks.iter().find(|(path, _)| path.as_str() == shape.load || path.name() == shape.load)?;
        let input = &task.load.as_ref()?.input;
        let fields = report.schemas.iter().find(|(name, _)| *name == input || name.ends_with(&format!(".{input}")))?.1;
        let columns: BTreeSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let wanted: BTreeSet<&str> = shape.columns.iter().map(String::as_str).collect();
        if columns == wanted || wanted.is_empty() {
            return None;
        }
        let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!("the contract has the columns {}, the load's input has {}", list(wanted), list(columns));
        Some(Fault::new(Phase::Meaning, "other_columns", path, &message))
    });
    found.collect()
}
