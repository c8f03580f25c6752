//! Rows that are set aside belong to a load, and are seen once it has committed. What is computed apart from one can't set rows aside.

use std::collections::BTreeMap;

use super::tree::Tree;
use super::{Head, Quarantine, Stage, TaskPath, Work};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::spec::{ExtractTask, OnReject};

impl Quarantine {
    /// The quarantine of an extract.
    pub(super) fn of(extract: &ExtractTask) -> Option<Self> {
        let max_rejected = extract.max_rejected;
        (extract.on_reject == Some(OnReject::Quarantine)).then_some(Self { max_rejected })
    }
}

/// Tasks that set rows aside and have no load to do it for, by the place of their field.
pub(super) fn findings(
    works: &BTreeMap<TaskPath, Work>,
    stages: &[Stage],
    tree: &Tree<'_>,
) -> Vec<(Vec<Step>, Finding)> {
    let apart = stages.iter().filter(|stage| stage.head == Head::Dataset).flat_map(|stage| &stage.tasks);
    let rejecting = apart.filter(|task| works.get(*task).is_some_and(Work::rejects));
    let finding = |task: &TaskPath| {
        let (code, fields) = match &works[task] {
            Work::Extract { .. } => (Code::BadExtract, ["extract", "on_reject"]),
            _ => (Code::BadRule, ["check", "on_failure"]),
        };
        let message = format!(
            "'{task}' sets rows aside, and no single load takes the others: they are computed once for several readers, or for none"
        );
        let hint = "let one load take the rows, or give each load tasks of its own; a queue of its own and tasks that wait for it part it from its load too";
        (tree.tasks[task].inside(&fields), Finding::error(code, message).hint(hint))
    };
    rejecting.map(finding).collect()
}
