//! Cutting the graph of tasks into stages.
//!
//! Every action task is the head of a stage, which takes in the datasets that only it needs. A dataset that several stages
//! read, that nothing reads, that another stage waits for, or that has a lane of its own becomes a stage: it is
//! materialised once, so that all its readers see the same rows. Because every way out of a stage's datasets leads through
//! its head, the stages of a graph without cycles have none either.
//!
//! Datasets accept no `retry` of their own. One that became a stage, and whose groups hand it none, is tried as often as
//! the most patient of its readers: that a reader shares its input with another must not make its run more fragile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::graph::{Edge, TaskGraph};
use super::tree::Tree;
use super::{Head, Stage, TaskPath, Work};
use crate::spec::Retry;

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
        tasks.entry(&homes[path]).or_default().push(path.clone());
    }
    let heads = order.iter().filter(|path| homes.get(*path) == Some(path));
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

/// The stage that each task belongs to, by the path of the stage's head.
fn homes(
    tree: &Tree<'_>,
    works: &BTreeMap<TaskPath, Work>,
    graph: &TaskGraph,
    order: &[TaskPath],
) -> BTreeMap<TaskPath, TaskPath> {
    let mut homes: BTreeMap<TaskPath, TaskPath> = BTreeMap::new();
    for path in order.iter().rev() {
        let mut readers = BTreeSet::new();
        let mut waits = false;
        for (below, edge) in graph.below(path) {
            let home = homes.get(below).cloned().unwrap_or_else(|| below.clone());
            match edge {
                Edge::Data => {
                    readers.insert(home);
                }
                Edge::Needs => waits = true,
            }
        }
        let placed = |path: &str| &tree.tasks[path].inherited;
        // Whoever may run the reader may run this.
        let fits = |reader: &str| {
            placed(reader).queue() == placed(path).queue() && placed(reader).labels.is_superset(&placed(path).labels)
        };
        let home = match readers.first() {
            Some(reader) if readers.len() == 1 && !waits && works[path].kind().is_dataset() && fits(reader) => {
                reader.clone()
            }
            _ => path.clone(),
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
    homes: &BTreeMap<TaskPath, TaskPath>,
) -> Stage {
    let mut staged_inputs = BTreeSet::new();
    let mut after = BTreeSet::new();
    for path in &tasks {
        for (above, edge) in graph.above(path).filter(|(above, _)| &homes[*above] != name) {
            after.insert(homes[above].clone());
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
