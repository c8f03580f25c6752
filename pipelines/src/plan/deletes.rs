//! Loads that delete what is gone at the source.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cursor::cursored_above;
use super::names::GroupScope;
use super::tree::{Placed, Tree};
use super::{Plan, Planner, Relation, Work};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::path::TaskPath;
use crate::spec::{LoadTask, OnDelete, Share, WriteMode};
use crate::sql::{self, Scope as _};

/// The column in which a soft delete leaves its time.
pub const DELETED_AT: &str = "deleted_at";

/// What a change of a row that is gone says.
const GONE: &str = "_op = 'd'";

/// How often keys are scanned if the spec does not say.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// How a load finds rows of its target that are gone at the source, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deletes {
    /// Whether the rows are marked, deleted, or ended: never `ignore`.
    pub how: OnDelete,
    /// A row for which this is true says that its key is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Set if the source's keys are scanned, at most so often.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::duration::option_millis")]
    pub every: Option<Duration>,
    /// The largest share of the target's rows that a comparison may find missing.
    pub max: Share,
    /// Whether the rows are changes, which are folded to the last of each key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
}

impl Deletes {
    /// What a load says of deletes, if it is anything.
    fn of(load: &LoadTask) -> Option<Self> {
        let is_asked = load.changes || load.deleted_when.is_some() || load.deletes.is_some();
        let how = load.on_delete.unwrap_or(match (is_asked, load.mode) {
            (false, _) => OnDelete::Ignore,
            (true, Some(WriteMode::Scd2)) => OnDelete::Close,
            (true, _) => OnDelete::Hard,
        });
        (how != OnDelete::Ignore).then(|| Self {
            how,
            when: if load.changes { Some(GONE.to_owned()) } else { load.deleted_when.clone() },
            every: load.deletes.map(|scan| scan.every.unwrap_or(DAILY)),
            max: load.max_delete.unwrap_or_default(),
            changes: load.changes,
        })
    }

    /// Whether rows stay and are marked.
    pub fn is_soft(&self) -> bool {
        self.how == OnDelete::Soft
    }

    /// Whether versions of a history end.
    pub fn closes(&self) -> bool {
        self.how == OnDelete::Close
    }

    /// What becomes of rows that are gone, behind `are`.
    pub fn done(&self) -> &'static str {
        match self.how {
            OnDelete::Soft => "marked in deleted_at",
            OnDelete::Close => "no longer current",
            OnDelete::Hard | OnDelete::Ignore => "deleted",
        }
    }

    /// Whether the load's own rows are compared with the target: then they are all that the source has.
    pub fn compares_rows(&self) -> bool {
        self.when.is_none() && self.every.is_none()
    }
}

impl Planner<'_> {
    /// How a load deletes; its condition is read, and its names are left to whoever knows the columns.
    pub(super) fn deletes(&mut self, load: &LoadTask, placed: &Placed<'_>, scope: &GroupScope<'_>) -> Option<Deletes> {
        if let Some(text) = &load.deleted_when
            && let Err(findings) = sql::condition(text, &scope.parameters())
        {
            self.add_in_text(&placed.inside(&["load", "deleted_when"]), findings);
        }
        Deletes::of(load)
    }
}

impl Plan {
    /// Whether rows of this task are compared with the target of a load, or it is that load: a row that it does not read would be deleted.
    pub fn is_compared(&self, task: &TaskPath) -> bool {
        let compares =
            |work: &Work| matches!(work, Work::Load { deletes: Some(deletes), .. } if deletes.compares_rows());
        let mut waiting: Vec<&TaskPath> =
            self.tasks.iter().filter(|(_, task)| compares(&task.work)).map(|(path, _)| path).collect();
        let mut seen: BTreeSet<&TaskPath> = BTreeSet::new();
        while let Some(path) = waiting.pop() {
            let Some(planned) = self.tasks.get(path).filter(|_| seen.insert(path)) else { continue };
            waiting.extend(planned.work.reads().into_iter().filter_map(|read| match read {
                Relation::Task(above) => Some(above),
                Relation::Table(_) => None,
            }));
        }
        seen.contains(task)
    }
}

/// What does not fit how the rows of a load come, by the place of a field.
pub(super) fn findings(works: &BTreeMap<TaskPath, Work>, tree: &Tree<'_>) -> Vec<(Vec<Step>, Finding)> {
    let mut found = Vec::new();
    for (path, work) in works {
        let Work::Load { input, into, deletes: Some(deletes), .. } = work else { continue };
        let writes_too = |(other, work): &(&TaskPath, &Work)| {
            *other != path && matches!(work, Work::Load { into: others, .. } if others == into)
        };
        let compares = deletes.compares_rows() || deletes.every.is_some();
        if let Some((other, _)) = works.iter().find(writes_too).filter(|_| compares) {
            let message = format!("the load '{other}' writes into {into} too, and its rows would be deleted");
            let hint = "give each load a table of its own, or let one load take both with UNION ALL";
            found.push((
                tree.tasks[path].inside(&["load", "into"]),
                Finding::error(Code::SameTarget, message).hint(hint),
            ));
        }
        let extracts = match input {
            Relation::Task(input) => cursored_above(input, works),
            Relation::Table(_) => Vec::new(),
        };
        match extracts.first() {
            None if deletes.every.is_some() => {
                let message = "`deletes` scans the keys of what a cursor reads, and the load has no cursor";
                let kept = if deletes.closes() { "`on_delete: close`" } else { "`on_delete: hard` or `soft`" };
                let hint =
                    format!("remove `deletes` and keep {kept}: the load's own rows are compared with the target");
                let steps = tree.tasks[path].inside(&["load", "deletes"]);
                found.push((steps, Finding::error(Code::BadLoad, message).hint(hint)));
            }
            Some(extract) if deletes.compares_rows() => {
                let message =
                    format!("'{extract}' gives new rows alone, so that rows which are not there are not gone");
                let hint = "add `deletes: { by: keys, every: 1d }`, which scans all keys, or `deleted_when` if rows say that they are deleted; or remove `cursor`";
                let steps = tree.tasks[path].inside(&["load", "on_delete"]);
                found.push((steps, Finding::error(Code::BadLoad, message).hint(hint)));
            }
            _ => {}
        }
    }
    found
}
