//! Extracts that go on where their last load ended.
//!
//! A position belongs to what is read and where it goes: (pipeline, source, column, target, parameters), so that a task can be renamed. Each load below
//! a cursor has a position of its own and reads for itself: if one of two fails, the other one goes on, and nothing is read twice or passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::graph::{Edge, TaskGraph};
use super::tree::Tree;
use super::{Relation, TableRef, Work};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::path::TaskPath;
use crate::spec::{AUTO_CURSOR, CursorNulls, ExtractTask, Reach, WriteMode};

/// What a cursored extract asks of its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The column whose growth marks new rows; `None` is the source's own position, e.g. offsets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// How far behind the largest value rows are still looked for that come late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback: Option<Reach>,
    /// Set for sources that can't say which rows are new: how far behind the largest value rows are read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Reach>,
    /// What happens to rows whose cursor is NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<CursorNulls>,
}

impl Cursor {
    /// The cursor of an extract.
    pub(super) fn of(extract: &ExtractTask) -> Option<Self> {
        let column = extract.cursor.as_ref()?;
        Some(Self {
            column: (column != AUTO_CURSOR).then(|| column.clone()),
            lookback: extract.lookback,
            lag: extract.lag,
            nulls: extract.cursor_nulls,
        })
    }
}

/// Datasets that hold new rows alone: cursored extracts, and whatever reads them.
pub(super) fn partial(works: &BTreeMap<TaskPath, Work>, order: &[TaskPath]) -> BTreeSet<TaskPath> {
    let mut found: BTreeSet<TaskPath> = BTreeSet::new();
    for path in order {
        let Some(work) = works.get(path).filter(|work| work.kind().is_dataset()) else { continue };
        let is_cursored = matches!(work, Work::Extract { cursor: Some(_), .. });
        let reads =
            || work.reads().into_iter().any(|read| matches!(read, Relation::Task(task) if found.contains(task)));
        if is_cursored || reads() {
            found.insert(path.clone());
        }
    }
    found
}

/// Whether a plan has cursors.
pub(super) fn are_used(works: &BTreeMap<TaskPath, Work>) -> bool {
    works.values().any(|work| matches!(work, Work::Extract { cursor: Some(_), .. }))
}

/// What is wrong with cursors, by the place of a field.
pub(super) fn findings(
    works: &BTreeMap<TaskPath, Work>,
    tree: &Tree<'_>,
    graph: &TaskGraph,
    order: &[TaskPath],
) -> Vec<(Vec<Step>, Finding)> {
    let partial = partial(works, order);
    let mut found = Vec::new();
    let mut moved: BTreeMap<(String, &TableRef), &TaskPath> = BTreeMap::new();
    let steps = |path: &TaskPath, fields: &[&str]| tree.tasks[path].inside(fields);
    for path in &partial {
        found.extend(unread(path, works, tree, graph));
    }
    for (path, work) in works {
        let Work::Load { input: Relation::Task(input), mode, into, .. } = work else { continue };
        let extracts = cursored_above(input, works);
        let Some(extract) = extracts.first().filter(|_| partial.contains(input)) else { continue };
        // Whether new rows make whole slices for a delete_insert only their statement shows.
        if *mode == WriteMode::Overwrite {
            let finding = Finding::error(
                Code::BadCursor,
                format!("mode {mode} would leave {into} with the new rows of '{extract}' alone"),
            );
            found.push((
                steps(path, &["load", "mode"]),
                finding.hint("use append or upsert, or remove `cursor` from the extract"),
            ));
        }
        found.extend(twice(&extracts, works).map(|extract| {
            let finding = Finding::error(
                Code::BadCursor,
                format!("the load '{path}' reads the source of '{extract}' twice by one cursor"),
            );
            (steps(&extract, &["extract", "cursor"]), finding.hint("let both readers use one extract"))
        }));
        for extract in &extracts {
            let Work::Extract { source, cursor: Some(cursor), .. } = &works[extract] else { continue };
            let read = format!("{source:?} {:?}", cursor.column);
            if let Some(other) = moved.insert((read, into), path).filter(|other| *other != path) {
                let finding = Finding::error(
                    Code::BadCursor,
                    format!("the load '{other}' takes rows of one source by one cursor into {into} too"),
                );
                found.push((steps(path, &["load", "into"]), finding.hint("let one load take both with UNION ALL")));
            }
            if cursor.lag.is_some() && !mode.is_keyed() {
                let finding = Finding::error(
                    Code::BadCursor,
                    format!(
                        "with `lag` rows of '{extract}' are read again by each run, and mode {mode} would load them again"
                    ),
                );
                found.push((steps(path, &["load", "mode"]), finding.hint("use mode upsert with keys")));
            }
        }
    }
    found
}

/// A dataset of new rows that no load takes, or that is not computed where the load is.
fn unread(
    path: &TaskPath,
    works: &BTreeMap<TaskPath, Work>,
    tree: &Tree<'_>,
    graph: &TaskGraph,
) -> Option<(Vec<Step>, Finding)> {
    let is_extract = matches!(works[path], Work::Extract { .. });
    if !graph.below(path).any(|(_, edge)| edge == Edge::Data) {
        let message = format!("no load takes the new rows of '{path}'");
        let steps = tree.tasks[path].inside(if is_extract { &["extract", "cursor"] } else { &[] });
        return Some((steps, Finding::error(Code::BadCursor, message).hint("load them, or remove `cursor`")));
    }
    let task = tree.tasks[path].task;
    let own_lane = (task.queue.is_some() || !task.labels.is_empty()).then_some("a queue or labels of its own");
    let waited = graph.below(path).any(|(_, edge)| edge == Edge::Needs).then_some("tasks that wait for it");
    let what = own_lane.or(waited)?;
    let finding = Finding::error(
        Code::BadCursor,
        format!("'{path}' has {what}, and new rows are read by the load that takes them"),
    );
    Some((
        tree.tasks[path].steps.clone(),
        finding.hint("let the tasks behind the load wait for the load, and give them one queue"),
    ))
}

/// The cursored extracts that a dataset comes from, itself included.
pub(super) fn cursored_above(path: &TaskPath, works: &BTreeMap<TaskPath, Work>) -> Vec<TaskPath> {
    let mut seen: BTreeSet<&TaskPath> = BTreeSet::new();
    let mut waiting = vec![path];
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        let Some(work) = works.get(path).filter(|_| seen.insert(path)) else { continue };
        if matches!(work, Work::Extract { cursor: Some(_), .. }) {
            found.push(path.clone());
        }
        waiting.extend(work.reads().into_iter().filter_map(|read| match read {
            Relation::Task(above) => Some(above),
            Relation::Table(_) => None,
        }));
    }
    found.sort();
    found
}

/// Extracts that read what an earlier one reads, by the same column.
fn twice<'a>(extracts: &'a [TaskPath], works: &'a BTreeMap<TaskPath, Work>) -> impl Iterator<Item = TaskPath> + 'a {
    extracts.iter().enumerate().filter_map(|(index, path)| {
        let identity = |path: &TaskPath| match &works[path] {
            Work::Extract { source, cursor: Some(cursor), .. } => Some((source.clone(), cursor.column.clone())),
            _ => None,
        };
        let own = identity(path);
        extracts[..index].iter().any(|other| identity(other) == own).then(|| path.clone())
    })
}
