//! What a name in a spec refers to: siblings first, then outward, then connections.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{Relation, TableRef};
use crate::casing::{Meaning, quoted_forms, settle};
use crate::diagnostic::{Code, Finding};
use crate::kind::{Kind, Role};
use crate::path::TaskPath;
use crate::sql::{Part, Scope};

/// The run context that every statement may use, besides the declared parameters.
pub const CONTEXT_PARAMETERS: [&str; 3] = ["run_id", "interval_start", "interval_end"];

/// The connections that a document may name.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Those that are there.
    pub(super) known: BTreeSet<String>,
    /// Those of the document that could not be read.
    pub(super) unknown: BTreeSet<String>,
    /// Whether none of those of the document could be read.
    pub(super) all_unknown: bool,
}

impl Connections {
    /// Whether nothing can be said about a connection, because the document's own could not be read.
    pub(super) fn is_unknown(&self, name: &str) -> bool {
        !self.known.contains(name) && (self.all_unknown || self.unknown.contains(name))
    }

    /// The connection that a name means: exactly, then in lower case, then by letters if that is unique.
    pub(super) fn settle(&self, name: &str, is_quoted: bool) -> Result<String, Finding> {
        if self.is_unknown(name) {
            return Ok(name.to_owned());
        }
        match settle(name, is_quoted, self.known.iter().map(String::as_str)) {
            Meaning::One(known) => Ok(known.to_owned()),
            Meaning::Several(names) => Err(ambiguous(name, &names)),
            Meaning::Nothing => {
                let finding = Finding::error(Code::UnknownConnection, format!("there is no connection named '{name}'"));
                Err(if self.known.is_empty() {
                    finding.hint(format!("add it: headwater connections add {name} postgres://user@host/database"))
                } else {
                    finding.nearest(name, self.known.iter().map(String::as_str))
                })
            }
        }
    }
}

/// The names visible from one group.
pub(super) struct GroupScope<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) group: &'a TaskPath,
    pub(super) connections: &'a Connections,
    pub(super) parameters: &'a [&'a str],
}

impl GroupScope<'_> {
    /// The path of the task or group that a name refers to, if it refers to one.
    pub(super) fn task(&self, parts: &[Part]) -> Option<Result<TaskPath, Finding>> {
        let (first, rest) = parts.split_first()?;
        for group in std::iter::successors(Some(self.group.clone()), TaskPath::parent) {
            if let Some(found) = self.child(&group, first) {
                return Some(found.and_then(|start| self.descend(start, rest)));
            }
        }
        None
    }

    fn child(&self, group: &TaskPath, part: &Part) -> Option<Result<TaskPath, Finding>> {
        let exact = group.child(&part.text);
        // The tables of an extract that is not expanded are not known.
        let is_table = || self.tree.is_several(group) && self.tree.children(group).next().is_none();
        if self.tree.tasks.contains_key(&exact) || self.tree.is_unknown(&exact) || is_table() {
            return Some(Ok(exact));
        }
        match settle(&part.text, part.is_quoted, self.tree.alike(group, &part.text)) {
            Meaning::One(name) => Some(Ok(group.child(name))),
            Meaning::Nothing => None,
            Meaning::Several(names) => Some(Err(ambiguous(&part.text, &names))),
        }
    }

    fn descend(&self, start: TaskPath, rest: &[Part]) -> Result<TaskPath, Finding> {
        rest.iter().try_fold(start, |path, part| {
            self.child(&path, part).unwrap_or_else(|| {
                let message = format!("'{path}' holds no task named '{}'", part.text);
                Err(Finding::error(Code::UnknownName, message).nearest(&part.text, self.tree.children(&path)))
            })
        })
    }

    /// A name that is nothing: say what it could have been.
    pub(super) fn unknown(&self, parts: &[Part]) -> Finding {
        let name = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(".");
        let first = parts.first().map_or("", |part| part.text.as_str());
        let groups: Vec<TaskPath> = std::iter::successors(Some(self.group.clone()), TaskPath::parent).collect();
        let tasks = groups.iter().flat_map(|group| self.tree.children(group));
        let names: Vec<&str> = tasks.chain(self.connections.known.iter().map(String::as_str)).collect();
        let message = if parts.len() > 1 {
            format!("'{name}': there is no task, group or connection named '{first}'")
        } else {
            format!("there is no task named '{name}'")
        };
        Finding::error(Code::UnknownName, message).nearest(first, names)
    }

    /// The table of a connection that a name refers to, if its first part is a connection.
    fn table(&self, parts: &[Part]) -> Option<Result<TableRef, Finding>> {
        let (first, rest) = parts.split_first()?;
        if rest.is_empty() {
            return None;
        }
        let path = rest.iter().map(|part| part.text.clone()).collect();
        if self.connections.is_unknown(&first.text) {
            return Some(Ok(TableRef { connection: first.text.clone(), path }));
        }
        match settle(&first.text, first.is_quoted, self.connections.known.iter().map(String::as_str)) {
            Meaning::One(name) => Some(Ok(TableRef { connection: name.to_owned(), path })),
            Meaning::Nothing => None,
            Meaning::Several(names) => Some(Err(ambiguous(&first.text, &names))),
        }
    }

    /// A dataset can be read. Of a task that could not be read, or whose kind is reported as wrong, nothing is known.
    fn readable(&self, path: TaskPath) -> Result<Relation, Finding> {
        let kinds = self.tree.tasks.get(&path).map(|placed| Kind::of(placed.task)).unwrap_or_default();
        let [kind] = kinds.as_slice() else { return Ok(Relation::Task(path)) };
        let not = |what: &str| Finding::error(Code::NotADataset, format!("'{path}' is {what} and holds no rows"));
        if self.tree.is_several(&path) {
            let finding = Finding::error(Code::NotADataset, format!("'{path}' is several tables"));
            let one = self.tree.children(&path).next().unwrap_or("orders");
            return Err(finding.hint(format!(
                "name one of them, e.g. {path}.{one}; a load with {{{{ table }}}} in `into` takes them all"
            )));
        }
        match kind.role() {
            Role::Dataset => Ok(Relation::Task(path)),
            Role::Group => {
                let hint = match self.tree.children(&path).next() {
                    Some(name) => format!("name a task in it, e.g. {path}.{name}"),
                    None => "name a task in it".to_owned(),
                };
                Err(not("a group").hint(hint))
            }
            Role::Action => Err(not("an action task").hint("use `needs` to run after it")),
        }
    }
}

fn ambiguous(name: &str, names: &[&str]) -> Finding {
    let message = format!("'{name}' could be {}", quoted_forms(names));
    Finding::error(Code::AmbiguousName, message).hint("write the name in double quotes with its exact case")
}

impl Scope for GroupScope<'_> {
    fn relation(&self, parts: &[Part]) -> Result<Relation, Finding> {
        if let Some(path) = self.task(parts) {
            return path.and_then(|path| self.readable(path));
        }
        self.table(parts).unwrap_or_else(|| Err(self.unknown(parts))).map(Relation::Table)
    }

    fn parameters(&self) -> Vec<&str> {
        self.parameters.to_vec()
    }
}
