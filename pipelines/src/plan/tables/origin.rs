//! Where tasks come from that nobody wrote.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::TableSet;
use crate::decode::Step;
use crate::document::split_task;
use crate::path::TaskPath;

/// The tasks that were made of extracts of several tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expansion {
    /// Each extract that was expanded, with what became of it.
    pub(crate) sets: Vec<TableSet>,
    /// Every task that was made.
    pub(crate) origins: BTreeMap<TaskPath, Origin>,
}

/// What a task was made of.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Path in the document of the task as it was written.
    pub(crate) steps: Vec<Step>,
    /// Path in the document of the pattern that the table matches.
    pub(crate) pattern: Vec<Step>,
    /// The table, for messages.
    pub(crate) table: String,
}

impl Expansion {
    /// What a task on a path of the document was made of, if nobody wrote it.
    pub(crate) fn origin(&self, path: &[Step]) -> Option<&Origin> {
        if self.origins.is_empty() {
            return None;
        }
        self.origins.get(&split_task(path).0)
    }

    /// The path of what was written for a path of the document.
    pub(crate) fn written<'a>(&self, path: &'a [Step]) -> Cow<'a, [Step]> {
        let Some(origin) = self.origin(path) else { return Cow::Borrowed(path) };
        Cow::Owned(match split_task(path).1 {
            [Step::Key(kind), Step::Key(field), ..] if kind == "extract" && field == "from" => origin.pattern.clone(),
            inside => [origin.steps.as_slice(), inside].concat(),
        })
    }
}
