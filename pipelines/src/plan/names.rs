//! What a name in a spec refers to: siblings first, then outward, then connections.

use std::collections::BTreeSet;

use super::tree::{Tree, join};
use super::{Relation, TableRef};
use crate::diagnostic::{Code, Finding};
use crate::sql::Scope;

/// The run context that every statement may use, besides the declared parameters.
pub const CONTEXT_PARAMETERS: [&str; 3] = ["run_id", "interval_start", "interval_end"];

/// The names visible from one group.
pub(super) struct GroupScope<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) group: &'a str,
    pub(super) connections: &'a BTreeSet<String>,
    pub(super) parameters: &'a [&'a str],
}

impl GroupScope<'_> {
    /// The path of the task or group that a name refers to, if it refers to one.
    pub(super) fn task(&self, parts: &[String]) -> Option<Result<String, Finding>> {
        let first = parts.first()?;
        let mut group = self.group;
        loop {
            let start = join(group, first);
            if self.tree.tasks.contains_key(&start) {
                return Some(self.descend(start, &parts[1..]));
            }
            if group.is_empty() {
                return None;
            }
            group = group.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
    }

    fn descend(&self, start: String, rest: &[String]) -> Result<String, Finding> {
        rest.iter().try_fold(start, |path, part| {
            let next = join(&path, part);
            if self.tree.tasks.contains_key(&next) {
                return Ok(next);
            }
            let message = format!("'{path}' holds no task named '{part}'");
            Err(Finding::error(Code::UnknownName, message).nearest(part, self.tree.siblings(&path)))
        })
    }

    /// A name that is nothing: say what it could have been.
    pub(super) fn unknown(&self, parts: &[String]) -> Finding {
        let name = parts.join(".");
        let first = parts.first().map_or("", String::as_str);
        let outward = std::iter::successors(Some(self.group), |group| {
            (!group.is_empty()).then(|| group.rsplit_once('.').map_or("", |(outer, _)| outer))
        });
        let tasks = outward.flat_map(|group| self.tree.siblings(group));
        let names: Vec<&str> = tasks.chain(self.connections.iter().map(String::as_str)).collect();
        if parts.len() > 1 && !self.tree.tasks.contains_key(first) {
            let message = format!("'{name}': there is no task, group or connection named '{first}'");
            return Finding::error(Code::UnknownName, message).nearest(first, names);
        }
        Finding::error(Code::UnknownName, format!("there is no task named '{name}'")).nearest(first, names)
    }

    /// The table of a connection that a name refers to, if its first part is a connection.
    pub(super) fn table(&self, parts: &[String]) -> Option<TableRef> {
        let (first, rest) = parts.split_first()?;
        let known = self.connections.contains(first) && !rest.is_empty();
        known.then(|| TableRef { connection: first.clone(), path: rest.to_vec() })
    }
}

impl Scope for GroupScope<'_> {
    fn relation(&self, parts: &[String]) -> Result<Relation, Finding> {
        if let Some(path) = self.task(parts) {
            let path = path?;
            let task = self.tree.tasks[&path].task;
            if task.extract.is_some() || task.transform.is_some() || task.check.is_some() {
                return Ok(Relation::Task(path));
            }
            let what = if task.group.is_some() { "a group" } else { "an action task" };
            let finding = Finding::error(Code::NotADataset, format!("'{path}' is {what} and holds no rows"));
            return Err(match task.group.is_some() {
                true => finding.nearest("", self.tree.siblings(&path)),
                false => finding.hint("use `needs` to run after it"),
            });
        }
        self.table(parts).map(Relation::Table).ok_or_else(|| self.unknown(parts))
    }

    fn parameters(&self) -> Vec<&str> {
        self.parameters.to_vec()
    }
}
