//! The spec's tasks flattened to paths, with what groups hand down.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use indexmap::IndexMap;

use crate::decode::Step;
use crate::document::{Document, split_task};
use crate::path::TaskPath;
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
    /// Path of the group around it; the root for outermost tasks.
    pub(super) group: TaskPath,
    /// Settings handed down by groups, its own first.
    pub(super) inherited: Inherited,
    /// Behind the last task in it, counted over all tasks.
    end: usize,
}

impl Placed<'_> {
    /// The path in the document of a value in the task.
    pub(super) fn inside(&self, fields: &[&str]) -> Vec<Step> {
        self.steps.iter().cloned().chain(fields.iter().map(|field| Step::from(*field))).collect()
    }
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

/// Every task by path, in the order of the spec: each group is followed by what it holds.
#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    pub(super) tasks: IndexMap<TaskPath, Placed<'a>>,
    children: HashMap<TaskPath, Vec<&'a str>>,
    /// The same by their names in lower case.
    alike: HashMap<TaskPath, Vec<&'a str>>,
    /// Tasks that could not be read. Readers may name them; nothing is known about them.
    unknown: HashSet<TaskPath>,
    /// Extracts of several tables, whether they are groups by now or not.
    several: HashSet<TaskPath>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(document: &Document, spec: &'a Spec) -> Self {
        let mut tree = Self::default();
        for path in document.lost().paths() {
            match split_task(path) {
                (task, []) if !task.is_root() => tree.unknown.insert(task),
                // Whatever the group held could not be read.
                (task, [Step::Key(field)]) if field == "group" => tree.unknown.insert(task),
                _ => false,
            };
        }
        tree.add(&TaskPath::root(), &[Step::from("tasks")], &Inherited::default(), &spec.tasks);
        tree.several.extend(document.table_sets().iter().map(|set| TaskPath::from(set.task.as_str())));
        tree
    }

    fn add(&mut self, group: &TaskPath, steps: &[Step], inherited: &Inherited, tasks: &'a IndexMap<String, Task>) {
        for (name, task) in tasks {
            let path = group.child(name);
            let steps: Vec<Step> = steps.iter().cloned().chain([Step::from(name.as_str())]).collect();
            let inherited = inherited.refined(task);
            if task.extract.as_ref().is_some_and(|extract| extract.tables.is_some()) {
                self.several.insert(path.clone());
            }
            self.children.entry(group.clone()).or_default().push(name);
            self.alike.entry(group.child(&name.to_lowercase())).or_default().push(name);
            let (index, _) = self.tasks.insert_full(
                path.clone(),
                Placed { task, steps: steps.clone(), group: group.clone(), inherited: inherited.clone(), end: 0 },
            );
            if let Some(children) = &task.group {
                let steps: Vec<Step> = steps.into_iter().chain([Step::from("group")]).collect();
                self.add(&path, &steps, &inherited, children);
            }
            let end = self.tasks.len();
            if let Some((_, placed)) = self.tasks.get_index_mut(index) {
                placed.end = end;
            }
        }
    }

    /// Names of the tasks directly in a group or at the root.
    pub(super) fn children<'t>(&'t self, group: &str) -> impl Iterator<Item = &'t str> + use<'t, 'a> {
        self.children.get(group).into_iter().flatten().copied()
    }

    /// Names of the tasks directly in a group that a name could mean if its case is free.
    pub(super) fn alike<'t>(&'t self, group: &TaskPath, name: &str) -> impl Iterator<Item = &'t str> + use<'t, 'a> {
        self.alike.get(&group.child(&name.to_lowercase())).into_iter().flatten().copied()
    }

    /// Whether a task is an extract of several tables.
    pub(super) fn is_several(&self, path: &TaskPath) -> bool {
        self.several.contains(path)
    }

    /// Whether a task could not be read, or is in a group that could not.
    pub(super) fn is_unknown(&self, path: &TaskPath) -> bool {
        std::iter::successors(Some(path.clone()), TaskPath::parent).any(|path| self.unknown.contains(&path))
    }

    /// The tasks of a group to any depth, groups left out; the task itself if it is none.
    pub(super) fn leaves<'t>(&'t self, path: &TaskPath) -> impl Iterator<Item = &'t TaskPath> + use<'t, 'a> {
        let range = self.tasks.get_full(path).map_or(0..0, |(index, _, placed)| index..placed.end);
        self.tasks[range].iter().filter(|(_, placed)| placed.task.group.is_none()).map(|(path, _)| path)
    }
}
