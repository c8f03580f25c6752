//! The spec's tasks flattened to paths, with what groups hand down.

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;

use super::TaskPath;
use crate::decode::Step;
use crate::spec::{Retry, Spec, Task};

/// The lane of tasks that name none.
pub(super) const DEFAULT_QUEUE: &str = "default";

/// A task, its place in the spec and what it has from its groups.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    /// The task as written.
    pub(super) task: &'a Task,
    /// Path in the document, ending in the task's name.
    pub(super) steps: Vec<Step>,
    /// Path of the group around it; empty at the root.
    pub(super) group: TaskPath,
    /// Settings handed down by groups, its own first.
    pub(super) inherited: Inherited,
}

/// What groups hand down to their tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Inherited {
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<Duration>,
    pub(super) queue: Option<String>,
    pub(super) labels: BTreeSet<String>,
    pub(super) priority: Option<i32>,
}

impl Inherited {
    fn refined(&self, task: &Task) -> Self {
        Self {
            retry: task.retry.clone().or_else(|| self.retry.clone()),
            timeout: task.timeout.or(self.timeout),
            queue: task.queue.clone().or_else(|| self.queue.clone()),
            labels: self.labels.iter().chain(&task.labels).cloned().collect(),
            priority: task.priority.or(self.priority),
        }
    }

    /// The lane, `default` if none was named.
    pub(super) fn queue(&self) -> &str {
        self.queue.as_deref().unwrap_or(DEFAULT_QUEUE)
    }
}

/// Every task by path, in the order of the spec.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) tasks: IndexMap<TaskPath, Placed<'a>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(spec: &'a Spec) -> Self {
        let mut tree = Self { tasks: IndexMap::new() };
        tree.add("", &[Step::from("tasks")], &Inherited::default(), &spec.tasks);
        tree
    }

    fn add(&mut self, group: &str, steps: &[Step], inherited: &Inherited, tasks: &'a IndexMap<String, Task>) {
        for (name, task) in tasks {
            let path = join(group, name);
            let steps: Vec<Step> = steps.iter().cloned().chain([Step::from(name.as_str())]).collect();
            let inherited = inherited.refined(task);
            let placed = Placed { task, steps: steps.clone(), group: group.to_owned(), inherited: inherited.clone() };
            self.tasks.insert(path.clone(), placed);
            if let Some(children) = &task.group {
                let steps: Vec<Step> = steps.into_iter().chain([Step::from("group")]).collect();
                self.add(&path, &steps, &inherited, children);
            }
        }
    }

    /// Names of the tasks directly in a group (the root is the empty path).
    pub(super) fn siblings<'t>(&'t self, group: &'t str) -> impl Iterator<Item = &'t str> {
        self.tasks.iter().filter(move |(_, placed)| placed.group == group).map(|(path, _)| last(path))
    }

    /// The tasks of a group to any depth, groups left out; the task itself if it is none.
    pub(super) fn leaves<'t>(&'t self, path: &'t str) -> impl Iterator<Item = &'t TaskPath> {
        let prefix = format!("{path}.");
        self.tasks
            .iter()
            .filter(move |(other, placed)| {
                placed.task.group.is_none() && (*other == path || other.starts_with(&prefix))
            })
            .map(|(other, _)| other)
    }
}

/// `group.name`, or `name` at the root.
pub(super) fn join(group: &str, name: &str) -> TaskPath {
    if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") }
}

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
