//! Whether the person's words lead to a table that a draft reads. A model that obeys text of a catalog must not add a source.

use std::collections::BTreeSet;

use crate::known::{Known, TableId};
use crate::retrieval::Hint;
use crate::typed::{Said, is_joining};
use crate::words::{fold, split_name, tokens};

/// Of these tables, those that no word of the person leads to.
///
/// A table is led to if a word of its name was said, or a term of the glossary that is about it; by the name of a column, if no table that was named and
/// no target explains that word and a key joins it to a table that was named; or if it stands on a chain of keys between two tables that were led to.
pub(super) fn not_led_to(
    read: &BTreeSet<TableId>,
    targets: &BTreeSet<String>,
    known: &Known,
    said: &Said,
    hints: &[Hint],
) -> Vec<TableId> {
    let words: BTreeSet<String> = tokens(said.text()).into_iter().collect();
    let mut led: BTreeSet<TableId> = read.iter().copied().filter(|id| is_named(*id, known, &words)).collect();
    let terms = hints.iter().filter(|hint| holds(said, &hint.phrase)).flat_map(|hint| &hint.tables);
    led.extend(terms.filter_map(|(connection, path)| known.find(connection, path)));
    let mut free = words;
    let explained = led.iter().filter_map(|id| known.table(*id)).flat_map(|table| {
        let columns = table.table.columns.iter().flat_map(|column| tokens(&column.name));
        tokens(&table.full_name()).into_iter().chain(columns).collect::<Vec<_>>()
    });
    let explained: BTreeSet<String> = explained.chain(targets.iter().flat_map(|target| tokens(target))).collect();
    free.retain(|word| !explained.contains(word) && !VERBS.contains(&word.as_str()));
    let by_column: Vec<TableId> = read
        .iter()
        .copied()
        .filter(|id| {
            !led.contains(id) && (led.is_empty() || touches(known, *id, &led) > 0) && has_column(*id, known, &free)
        })
        .collect();
    led.extend(by_column);
    let mut grew = true;
    while grew {
        let between = read.iter().copied().filter(|id| !led.contains(id));
        let found: Vec<TableId> = between.filter(|id| touches(known, *id, &led) >= 2).collect();
        grew = !found.is_empty();
        led.extend(found);
    }
    read.iter().copied().filter(|id| !led.contains(id)).collect()
}

fn touches(known: &Known, id: TableId, led: &BTreeSet<TableId>) -> usize {
    known.neighbours(id).iter().filter(|other| led.contains(*other)).count()
}

fn holds(said: &Said, phrase: &str) -> bool {
    said.names(phrase)
}

fn is_named(id: TableId, known: &Known, words: &BTreeSet<String>) -> bool {
    let Some(table) = known.table(id) else { return false };
    // Of a name of many words, one that anybody says is not enough.
    let said = |name: &str| {
        let own: Vec<String> = split_name(name).into_iter().filter(|word| !is_joining(word)).collect();
        let said = own.iter().filter(|word| words.contains(&fold(word))).count();
        said > 0 && said * 2 >= own.len()
    };
    said(table.name())
}

/// Whether the words name a column of a table. Columns such as id and name are of every table.
fn has_column(id: TableId, known: &Known, words: &BTreeSet<String>) -> bool {
    let tells =
        |name: &str| split_name(name).iter().any(|word| !COMMON.contains(&word.as_str())) && all_said(name, words);
    known.columns(id).any(|(_, column)| tells(&column.name))
}

fn all_said(name: &str, words: &BTreeSet<String>) -> bool {
    let parts = tokens(name);
    !parts.is_empty() && parts.iter().all(|word| words.contains(word))
}

/// Names of columns that tell nothing of their table.
const COMMON: &[&str] =
    &["at", "code", "created", "date", "id", "key", "name", "number", "status", "type", "updated", "value"];

/// Words that say what to do, as the names of columns they would be folded to.
const VERBS: &[&str] = &[
    "add",
    "append",
    "check",
    "copy",
    "count",
    "export",
    "fail",
    "filter",
    "import",
    "join",
    "lade",
    "load",
    "move",
    "overwrite",
    "read",
    "replace",
    "save",
    "select",
    "show",
    "store",
    "sum",
    "sync",
    "total",
    "transfer",
    "warn",
    "write",
];
