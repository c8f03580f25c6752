//! How rows are written is the person's to order: the words for it. A model that writes more than was said is asked about or sent back.

use headwater_pipelines::spec::WriteMode;

use super::said::Said;

const OVERWRITE: &[&str] = &[
    "overwrite",
    "overwriting",
    "overwritten",
    "replace",
    "replacing",
    "replaced",
    "refresh",
    "refreshed",
    "rewrite",
    "rewritten",
    "reload",
    "rebuild",
    "truncate",
    "snapshot",
    "überschreibe",
    "überschreiben",
    "überschrieben",
    "ersetze",
    "ersetzen",
    "ersetzt",
    "neu",
];
/// Words that mean rows are added, whatever else is said.
const APPEND: &[&str] = &["append", "appending", "appended", "anhänge", "anhängen", "angehängt"];

/// Words that mean the same where nothing says which rows are left out or replaced.
const ADD: &[&str] = &["add", "adding", "added", "insert", "hinzufügen", "hinzugefügt", "ergänze", "ergänzen", "dazu"];

const UPSERT: &[&str] = &[
    "upsert",
    "upserting",
    "one row per",
    "latest row per",
    "update existing",
    "updating existing",
    "einarbeiten",
    "eine Zeile je",
    "eine Zeile pro",
];

/// Words that mean the same, unless something is merged with something else: that is a join.
const MERGE: &[&str] = &["merge", "merging", "merged"];

/// Words before what is joined.
const JOINING: &[&str] = &["with", "mit"];

const INSERT_NEW: &[&str] = &[
    "insert new",
    "new row once",
    "each row once",
    "every row once",
    "ignore existing",
    "skip existing",
    "leave existing",
    "nur einmal",
    "jede Zeile einmal",
    "jede neue Zeile einmal",
];
const DELETE_INSERT: &[&str] = &[
    "delete insert",
    "delete and insert",
    "delete and reinsert",
    "slice",
    "in slices",
    "replace only",
    "replacing only",
    "reload the day",
    "replace the day",
    "replace the month",
    "replace the partition",
    "löschen und einfügen",
    "ersetze nur",
    "nur die Scheiben",
];

/// Rows that are new or changed since the last run.
const CHANGED: &[&str] = &[
    "new and changed",
    "new or changed",
    "changed and new",
    "changed or new",
    "new and updated",
    "new or updated",
    "new and modified",
    "new or modified",
    "only changes",
    "only changed",
    "only what changed",
    "changed rows",
    "changed since",
    "modified since",
    "updated since",
    "has changed",
    "have changed",
    "incremental",
    "incrementally",
    "neue und geänderte",
    "neuen und geänderten",
    "geänderte und neue",
    "geänderten und neuen",
    "neue oder geänderte",
    "nur geänderte",
    "inkrementell",
    "inkrementelle",
    "inkrementellen",
];

/// Rows that are new since the last run.
const NEW: &[&str] = &[
    "only new",
    "new rows",
    "append new",
    "add new",
    "insert new",
    "new row once",
    "since the last run",
    "since last run",
    "since last time",
    "since the last load",
    "not loaded yet",
    "nur neue",
    "nur die neuen",
    "jede neue Zeile",
    "seit dem letzten Lauf",
    "seit dem letzten Mal",
];

const STREAM: &[&str] = &[
    "stream",
    "streaming",
    "streamed",
    "continuously",
    "continuous",
    "real time",
    "realtime",
    "near real time",
    "live",
    "keep following",
    "streame",
    "streamen",
    "laufend",
    "fortlaufend",
    "kontinuierlich",
    "Echtzeit",
];

const DELETES: &[&str] = &[
    "deleted",
    "delete",
    "deletes",
    "deletions",
    "removed",
    "remove",
    "gone",
    "disappear",
    "disappeared",
    "tombstone",
    "soft delete",
    "gelöscht",
    "gelöschte",
    "gelöschten",
    "löschen",
    "löschungen",
    "entfernt",
    "entfernte",
];

const COLUMNS: &[&str] = &["column", "schema", "field", "Spalte", "Spalten", "Schema", "Felder"];

/// What the words say of a load's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModeSaid {
    /// It is this one.
    Yes,
    /// It is another one.
    Other,
    /// Nothing.
    Nothing,
}

/// Which rows of a source are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// Those that are new or changed since the last run.
    Changed,
    /// Those that are new.
    New,
}

/// Whether the words say this mode.
pub(super) fn says_mode(said: &Said, mode: &str) -> ModeSaid {
    let slices = said.says(DELETE_INSERT);
    let fresh = asks_for_fresh(said);
    let (upserts, once) = (said.says(UPSERT) || said.says(MERGE), said.says(INSERT_NEW));
    let keyed = slices || upserts || once || fresh.is_some();
    let modes = [
        (WriteMode::DeleteInsert, slices),
        (WriteMode::Overwrite, said.has(OVERWRITE) && !slices),
        (WriteMode::Upsert, upserts || fresh == Some(Fresh::Changed)),
        (WriteMode::InsertNew, once || (fresh == Some(Fresh::New) && !upserts)),
        (
            WriteMode::Append,
            said.has(APPEND) || (said.has(ADD) && !keyed) || (fresh == Some(Fresh::New) && !upserts && !once),
        ),
    ];
    let is_said = |(of, said): &(WriteMode, bool)| *said && of.as_str() == mode;
    match modes.iter().any(|(_, said)| *said) {
        true if modes.iter().any(is_said) => ModeSaid::Yes,
        true => ModeSaid::Other,
        false => ModeSaid::Nothing,
    }
}

/// Which rows the words ask for, if not for all of them.
pub(crate) fn asks_for_fresh(said: &Said) -> Option<Fresh> {
    match (said.says(CHANGED), said.says(NEW)) {
        (true, _) => Some(Fresh::Changed),
        (false, true) => Some(Fresh::New),
        (false, false) => None,
    }
}

/// Whether the words ask for rows that replace those of the same key.
pub(crate) fn asks_for_keys(said: &Said) -> bool {
    let merges = said.says(MERGE) && !said.says(JOINING);
    said.says(UPSERT) || merges || asks_for_fresh(said) == Some(Fresh::Changed)
}

/// Whether the words ask for a pipeline that runs until it is stopped.
pub(super) fn says_stream(said: &Said) -> bool {
    said.says(STREAM)
}

/// Whether the words speak of rows that are gone.
pub(super) fn says_deletes(said: &Said) -> bool {
    said.has(DELETES)
}

/// Whether the words speak of columns that come and go.
pub(super) fn says_columns(said: &Said) -> bool {
    said.has(COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str, mode: &str) -> ModeSaid {
        says_mode(&Said::new(text), mode)
    }

    #[test]
    fn a_mode_is_said_by_words_of_its_own() {
        assert_eq!(says("append the orders to lake.sales", "append"), ModeSaid::Yes);
        assert_eq!(says("append the orders to lake.sales", "overwrite"), ModeSaid::Other);
        assert_eq!(says("ersetze jeden Tag lake.sales", "overwrite"), ModeSaid::Yes);
        assert_eq!(says("Hänge die Bestellungen an", "append"), ModeSaid::Nothing);
        assert_eq!(says("load the orders to lake.sales", "overwrite"), ModeSaid::Nothing);
        assert_eq!(says("upsert orders by id into lake.sales", "upsert"), ModeSaid::Yes);
        assert_eq!(says("load orders with delete_insert by day", "delete_insert"), ModeSaid::Yes);
    }

    #[test]
    fn new_and_changed_rows_are_neither_appended_nor_put_in_the_place_of_all_rows() {
        for text in ["copy new and changed orders to lake.sales", "neue und geänderte Bestellungen nach lake.sales"] {
            assert_eq!(says(text, "upsert"), ModeSaid::Yes, "{text}");
            for mode in ["append", "overwrite", "insert_new"] {
                assert_eq!(says(text, mode), ModeSaid::Other, "{text}: {mode}");
            }
        }
        assert_eq!(says("append new orders to lake.sales", "append"), ModeSaid::Yes);
        assert_eq!(says("insert new orders into lake.sales, every row once", "append"), ModeSaid::Other);
    }

    #[test]
    fn a_slice_that_is_replaced_is_not_the_whole_table() {
        let text = "replace only the warehouses that come in lake.stock";
        assert_eq!((says(text, "delete_insert"), says(text, "overwrite")), (ModeSaid::Yes, ModeSaid::Other));
    }

    #[test]
    fn what_is_merged_with_something_else_is_joined_and_asks_for_no_keys() {
        let asks = |text: &str| asks_for_keys(&Said::new(text));
        assert!(asks("merge the orders by id") && asks("upsert orders with their customers"));
        assert!(!asks("merge orders with customers") && !asks("orders, merged with the brand's name"));
    }

    #[test]
    fn a_column_that_is_called_like_a_change_asks_for_no_new_rows() {
        let said = Said::new("load id and updated_at of orders into lake.sales, overwrite");
        assert_eq!(asks_for_fresh(&said), None);
    }
}
