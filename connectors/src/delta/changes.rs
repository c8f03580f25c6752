//! What commits of a table's log have done to its rows.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::kernel::{Action, Add};

/// What some commits, one after the other, have added and changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files that hold rows which were added and not changed since, by their paths.
    pub added: BTreeMap<String, Added>,
    /// Files that were written, for whatever reason, and not removed since.
    pub live: BTreeMap<String, Add>,
    /// Files of the change data feed.
    pub feed: BTreeSet<String>,
    /// The first commit that wrote files anew because rows of them were changed or deleted.
    pub rewritten: Option<u64>,
    /// A commit that took the table back to an older version.
    pub restored: Option<u64>,
    /// Whether the change data feed holds every change.
    pub feed_is_whole: bool,
    /// Whether the feed is on; unknown before the first commit that says so.
    feed_is_on: Option<bool>,
}

/// A file with new rows.
#[derive(Debug)]
pub(super) struct Added {
    pub add: Add,
    /// The commit that moved its rows into another file without changing them.
    pub moved_in: Option<u64>,
}

/// The property of a table that has its changes recorded.
pub(super) const FEED: &str = "delta.enableChangeDataFeed";

/// Whether a property is on.
pub(super) fn is_on(value: Option<&String>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

impl Changes {
    /// Nothing yet, of a table of which is known whether its feed is on.
    pub(super) fn new(feed_is_on: Option<bool>) -> Self {
        Self { feed_is_whole: true, feed_is_on, ..Self::default() }
    }

    /// Takes a commit in.
    pub(super) fn commit(&mut self, version: u64, actions: Vec<Action>) {
        let (mut adds, mut removes, mut feed) = (Vec::new(), Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Add(add) => adds.push(add),
                Action::Remove(remove) => removes.push(remove),
                Action::Cdc(file) => feed.push(file.path),
                Action::Metadata(metadata) => self.feed_is_on = Some(is_on(metadata.configuration().get(FEED))),
                Action::CommitInfo(info) if info.operation.as_deref() == Some("RESTORE") => {
                    self.restored.get_or_insert(version);
                }
                _ => {}
            }
        }
        // Files that are removed and none added instead: their rows were deleted, and none changed.
        let rewrites = removes.iter().any(|remove| remove.data_change) && adds.iter().any(|add| add.data_change);
        if rewrites {
            self.rewritten.get_or_insert(version);
            self.feed_is_whole &= !feed.is_empty() || self.feed_is_on == Some(true);
        }
        self.feed.extend(feed);
        // In a commit a path may be removed and added again, with other rows marked as deleted.
        for remove in removes {
            self.live.remove(&remove.path);
            if remove.data_change {
                self.added.remove(&remove.path);
            } else if let Some(added) = self.added.get_mut(&remove.path) {
                added.moved_in.get_or_insert(version);
            }
        }
        for add in adds {
            if add.data_change {
                self.added.insert(add.path.clone(), Added { add: add.clone(), moved_in: None });
            }
            self.live.insert(add.path.clone(), add);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use deltalake::logstore::get_actions;
    use serde_json::{Value, json};

    use super::*;

    fn add(path: &str, data_change: bool) -> Value {
        json!({ "add": { "path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": data_change } })
    }

    fn remove(path: &str, data_change: bool) -> Value {
        json!({ "remove": { "path": path, "dataChange": data_change, "deletionTimestamp": 1 } })
    }

    fn cdc(path: &str) -> Value {
        json!({ "cdc": { "path": path, "partitionValues": {}, "size": 1, "dataChange": false } })
    }

    fn after(feed_is_on: Option<bool>, commits: &[&[Value]]) -> Changes {
        let mut changes = Changes::new(feed_is_on);
        for (version, commit) in (1..).zip(commits) {
            let lines: Vec<String> = commit.iter().map(Value::to_string).collect();
            changes.commit(version, get_actions(version, &lines.join("\n").into()).unwrap());
        }
        changes
    }

    fn added(changes: &Changes) -> Vec<(&str, Option<u64>)> {
        changes.added.iter().map(|(path, added)| (path.as_str(), added.moved_in)).collect()
    }

    #[test]
    fn rows_that_were_moved_are_new_where_they_were_added_and_nowhere_else() {
        let changes = after(
            None,
            &[&[add("a", true)], &[add("b", true)], &[remove("a", false), remove("old", false), add("c", false)]],
        );
        assert_eq!(added(&changes), [("a", Some(3)), ("b", None)]);
        assert_eq!(changes.live.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((changes.rewritten, changes.restored), (None, None));
    }

    #[test]
    fn files_that_are_written_anew_are_changes_and_files_that_are_deleted_are_not() {
        let deleted = after(None, &[&[add("a", true), add("b", true)], &[remove("a", true)]]);
        assert_eq!((added(&deleted), deleted.rewritten), (vec![("b", None)], None));
        let changed = after(None, &[&[add("a", true)], &[remove("a", true), add("a", true)]]);
        assert_eq!((added(&changed), changed.rewritten), (vec![("a", None)], Some(2)));
    }

    #[test]
    fn a_feed_is_whole_if_it_is_on_or_has_files_wherever_rows_were_changed() {
        let change = || vec![remove("a", true), add("b", true)];
        let with_feed = || [change(), vec![cdc("f")]].concat();
        for (is_on, commit, whole) in [
            (Some(true), change(), true),
            (Some(false), change(), false),
            (None, change(), false),
            (None, with_feed(), true),
        ] {
            assert_eq!(after(is_on, &[&commit]).feed_is_whole, whole, "{is_on:?}");
        }
    }

    #[test]
    fn a_restore_is_known_by_its_name() {
        let restore = json!({ "commitInfo": { "timestamp": 1, "operation": "RESTORE" } });
        assert_eq!(after(None, &[&[add("a", true)], &[restore, remove("a", true)]]).restored, Some(2));
    }
}
