//! Cutting the graph of tasks into stages.
//!
//! Every action task is the head of a stage, which takes in the datasets that only it needs. A dataset that several stages
//! read, that nothing reads, that another stage waits for, or that has a lane of its own becomes a stage: it is
//! materialised once, so that all its readers see the same rows. Because every way out of a stage's datasets leads through
//! its head, the stages of a graph without cycles have none either. A dataset of new rows alone is computed in the stage of each load that takes it, because
//! each load has a cursor of its own.
//!
//! Datasets accept no `retry` of their own. One that became a stage, and whose groups hand it none, is tried as often as
//! the most patient of its readers: that a reader shares its input with another must not make its run more fragile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cursor;
use super::graph::{Edge, TaskGraph};
use super::tree::Tree;
use super::{
    CHANGE_PLAN_FORMAT, CLOSE_PLAN_FORMAT, CONTRACT_PLAN_FORMAT, CURSOR_PLAN_FORMAT, DELETE_PLAN_FORMAT,
    HISTORY_PLAN_FORMAT, Head, LABELED_PLAN_FORMAT, PLAN_FORMAT, REJECT_PLAN_FORMAT, STREAM_PLAN_FORMAT, Stage,
    TaskPath, Work,
};
use crate::spec::{LoadSchema, Retry};

/// The format that a plan needs.
pub(super) fn format_of(works: &BTreeMap<TaskPath, Work>, stages: &[Stage], is_stream: bool) -> i32 {
    let has_contract = |work: &Work| matches!(work, Work::Load { schema, .. } if *schema != LoadSchema::default());
    let deletes = |work: &Work| matches!(work, Work::Load { deletes: Some(_), .. });
    let applies = |work: &Work| matches!(work, Work::Load { deletes: Some(deletes), .. } if deletes.changes);
    let keeps_history = |work: &Work| matches!(work, Work::Load { history: Some(_), .. });
    let closes = |work: &Work| matches!(work, Work::Load { deletes: Some(deletes), .. } if deletes.closes());
    if works.values().any(closes) {
        CLOSE_PLAN_FORMAT
    } else if works.values().any(applies) {
        CHANGE_PLAN_FORMAT
    } else if works.values().any(keeps_history) {
        HISTORY_PLAN_FORMAT
    } else if works.values().any(Work::rejects) {
        REJECT_PLAN_FORMAT
    } else if is_stream {
        STREAM_PLAN_FORMAT
    } else if works.values().any(deletes) {
        DELETE_PLAN_FORMAT
    } else if works.values().any(has_contract) {
        CONTRACT_PLAN_FORMAT
    } else if cursor::are_used(works) {
        CURSOR_PLAN_FORMAT
    } else if stages.iter().any(|stage| !stage.labels.is_empty()) {
        LABELED_PLAN_FORMAT
    } else {
        PLAN_FORMAT
    }
}

/// Heads of stages by the tasks that they take in.
type Homes = BTreeMap<TaskPath, BTreeSet<TaskPath>>;

/// Cuts the graph; `order` is a topological order of its tasks.
pub(super) fn cut(
    tree: &Tree<'_>,
    works: &BTreeMap<TaskPath, Work>,
    graph: &TaskGraph,
    order: &[TaskPath],
) -> Vec<Stage> {
    let homes = homes(tree, works, graph, order);
    let mut tasks: BTreeMap<&TaskPath, Vec<TaskPath>> = BTreeMap::new();
    for path in order {
        homes[path].iter().for_each(|home| tasks.entry(home).or_default().push(path.clone()));
    }
    let heads = order.iter().filter(|path| homes[*path].contains(*path));
    let stages = heads.map(|head| stage(head, tasks.remove(head).unwrap_or_default(), tree, works, graph, &homes));
    let mut stages: Vec<Stage> = stages.collect();
    hand_up_retries(&mut stages, tree);
    stages
}

/// Gives stages of datasets the retries of their readers, which stand behind them in the order of stages.
fn hand_up_retries(stages: &mut [Stage], tree: &Tree<'_>) {
    let mut wanted: BTreeMap<TaskPath, Retry> = BTreeMap::new();
    for stage in stages.iter_mut().rev() {
        let own = |path: &TaskPath| tree.tasks.get(path).and_then(|placed| placed.inherited.retry.as_ref());
        if let (Head::Dataset, Some(head)) = (stage.head, stage.tasks.last())
            && own(head).is_none()
            && let Some(retry) = wanted.remove(head)
        {
            stage.retry = retry;
        }
        for input in &stage.staged_inputs {
            match wanted.get(input) {
                Some(other) if patience(other) >= patience(&stage.retry) => {}
                _ => drop(wanted.insert(input.clone(), stage.retry.clone())),
            }
        }
    }
}

/// Orders retries by what they allow.
fn patience(retry: &Retry) -> (u32, Duration, Duration) {
    (retry.attempts, retry.delay, retry.max_delay)
}

/// The stages that each task belongs to, by the paths of their heads.
fn homes(tree: &Tree<'_>, works: &BTreeMap<TaskPath, Work>, graph: &TaskGraph, order: &[TaskPath]) -> Homes {
    let partial = cursor::partial(works, order);
    let mut homes = Homes::new();
    for path in order.iter().rev() {
        let mut readers = BTreeSet::new();
        let mut waits = false;
        for (below, edge) in graph.below(path) {
            match edge {
                Edge::Data => match homes.get(below) {
                    Some(homes) => readers.extend(homes.iter().cloned()),
                    None => drop(readers.insert(below.clone())),
                },
                Edge::Needs => waits = true,
            }
        }
        let placed = |path: &str| &tree.tasks[path].inherited;
        // Whoever may run the reader may run this.
        let fits = |reader: &str| {
            placed(reader).queue() == placed(path).queue() && placed(reader).labels.is_superset(&placed(path).labels)
        };
        let is_one = |reader: &TaskPath| readers.len() == 1 && !waits && fits(reader);
        let home = match readers.first() {
            Some(_) if partial.contains(path) => readers,
            Some(reader) if works[path].kind().is_dataset() && is_one(reader) => readers,
            _ => BTreeSet::from([path.clone()]),
        };
        homes.insert(path.clone(), home);
    }
    homes
}

fn stage(
    name: &TaskPath,
    tasks: Vec<TaskPath>,
    tree: &Tree<'_>,
    works: &BTreeMap<TaskPath, Work>,
    graph: &TaskGraph,
    homes: &Homes,
) -> Stage {
    let mut staged_inputs = BTreeSet::new();
    let mut after = BTreeSet::new();
    for path in &tasks {
        for (above, edge) in graph.above(path).filter(|(above, _)| !homes[*above].contains(name)) {
            after.extend(homes[above].iter().cloned());
            if edge == Edge::Data {
                staged_inputs.insert(above.clone());
            }
        }
    }
    let inherited = &tree.tasks[name].inherited;
    Stage {
        name: name.to_string(),
        head: if works[name].kind().is_dataset() { Head::Dataset } else { Head::Action },
        tasks,
        staged_inputs: staged_inputs.into_iter().collect(),
        after: after.into_iter().map(String::from).collect(),
        retry: inherited.retry.clone().unwrap_or_default(),
        timeout: inherited.timeout,
        queue: inherited.queue().to_owned(),
        labels: inherited.labels.iter().cloned().collect(),
        priority: inherited.priority.unwrap_or(0),
    }
}
