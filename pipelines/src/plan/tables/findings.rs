//! What is wrong with extracts of several tables and with loads below them, as far as that shows without their catalogs.

use super::choose::Choice;
use super::target::{Target, has_placeholders};
use super::{Found, place};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::document::Document;
use crate::kind::Kind;
use crate::path::TaskPath;
use crate::plan::names::{Connections, GroupScope};
use crate::plan::tree::{self, Tree};
use crate::spec::{ExtractTask, LoadTask, WriteMode};
use crate::sql::split_parts;

/// The fields that an extract has and one of several tables can't have, or that only the latter can have.
pub(in crate::plan) fn misfits(extract: &ExtractTask) -> Vec<(&'static str, Finding)> {
    if extract.tables.is_none() {
        let finding =
            Finding::error(Code::BadExtract, "`exclude` leaves tables out of `tables`, and there is no `tables`");
        return if extract.exclude.is_empty() { Vec::new() } else { vec![("exclude", finding)] };
    }
    let columns =
        "tables have different columns: leave the table out with `exclude`, and write an extract of its own for it";
    let lag = "patterns mean tables, whose rows say when they were written; write an extract of its own for a view";
    let topics = "each topic has messages of its own: write an extract of its own for it";
    let fields = [
        ("columns", extract.columns.is_some(), columns),
        ("lag", extract.lag.is_some(), lag),
        ("on_reject", extract.on_reject.is_some(), topics),
    ];
    let refused = |(field, _, hint): (&'static str, bool, &str)| {
        (
            field,
            Finding::error(Code::BadExtract, format!("an extract of several tables accepts no `{field}`")).hint(hint),
        )
    };
    fields.into_iter().filter(|(_, written, _)| *written).map(refused).collect()
}

/// The fields of a load that don't fit one of several tables.
fn load_misfits(load: &LoadTask, extract: &ExtractTask) -> Vec<(&'static str, Finding)> {
    let own = "leave the table out with `exclude`, and write an extract and a load of its own for it";
    let refused = |what: String| Finding::error(Code::BadLoad, what);
    let mut found = Vec::new();
    let fields = [
        ("keys", !load.keys.is_empty(), "each table has its own, from the catalog"),
        ("order_by", load.order_by.is_some(), "each table's key identifies one row"),
        ("partition_by", !load.partition_by.is_empty(), own),
        ("on_delete", load.on_delete.is_some(), own),
        ("deleted_when", load.deleted_when.is_some(), own),
        ("deletes", load.deletes.is_some(), own),
        ("changes", load.changes, own),
        ("max_delete", load.max_delete.is_some(), own),
    ];
    for (field, _, hint) in fields.into_iter().filter(|(_, written, _)| *written) {
        found.push((field, refused(format!("a load of several tables accepts no `{field}`")).hint(hint)));
    }
    match load.mode {
        Some(mode @ (WriteMode::DeleteInsert | WriteMode::Scd2)) => {
            found.push(("mode", refused(format!("several tables can't be loaded with mode {mode}")).hint(own)));
        }
        Some(WriteMode::Overwrite) if extract.cursor.is_some() => {
            let finding = Finding::error(Code::BadCursor, "mode overwrite would leave the targets with new rows alone");
            found.push(("mode", finding.hint("remove `cursor` from the extract, or the mode from the load")));
        }
        _ => {}
    }
    found
}

/// An extract of several tables and its loads, which nothing is wrong with.
pub(super) struct Sound<'a> {
    pub(super) path: &'a TaskPath,
    pub(super) placed: &'a tree::Placed<'a>,
    pub(super) extract: &'a ExtractTask,
    pub(super) choice: Choice,
    pub(super) loads: Vec<SoundLoad<'a>>,
}

/// A load of several tables.
pub(super) struct SoundLoad<'a> {
    pub(super) path: &'a TaskPath,
    pub(super) placed: &'a tree::Placed<'a>,
    pub(super) load: &'a LoadTask,
    pub(super) target: Target,
}

/// The extracts of several tables, each with what is wrong with it or its loads.
pub(super) fn judged<'a>(
    document: &Document,
    tree: &'a Tree<'a>,
    connections: &Connections,
) -> Vec<(&'a TaskPath, Result<Sound<'a>, Vec<Found>>)> {
    let several = tree.tasks.iter().filter_map(|(path, placed)| {
        let extract = placed.task.extract.as_ref().filter(|extract| extract.tables.is_some())?;
        Some((path, judge(document, tree, connections, (path, placed, extract))))
    });
    several.collect()
}

fn judge<'a>(
    document: &Document,
    tree: &'a Tree<'a>,
    connections: &Connections,
    (path, placed, extract): (&'a TaskPath, &'a tree::Placed<'a>, &'a ExtractTask),
) -> Result<Sound<'a>, Vec<Found>> {
    // Whatever else is wrong with it is reported where tasks are judged one by one.
    let is_single = Kind::of(placed.task) == [Kind::Extract] && extract.on_value.is_none();
    let is_blank = extract.cursor.as_ref().is_some_and(|cursor| cursor.trim().is_empty());
    let has_others = extract.from.is_some() || extract.connection.is_some() || extract.query.is_some();
    if !is_single || is_blank || has_others || !misfits(extract).is_empty() || document.lost().within(&placed.steps) {
        return Err(Vec::new());
    }
    let inside = |placed: &tree::Placed<'_>, (steps, finding): Found| ([placed.steps.clone(), steps].concat(), finding);
    let choice = Choice::read(extract, connections);
    let choice = choice.map_err(|wrong| wrong.into_iter().map(|one| inside(placed, one)).collect::<Vec<_>>())?;
    let (mut loads, mut wrong) = (Vec::new(), Vec::new());
    for (load_path, load_placed, load) in readers(tree, connections, path) {
        let mut problems: Vec<Found> = load_misfits(load, extract)
            .into_iter()
            .map(|(field, finding)| (place(&["load", field]), finding))
            .collect();
        match Target::read(&load.into) {
            Ok(Some(target)) => loads.push(SoundLoad { path: load_path, placed: load_placed, load, target }),
            Ok(None) => problems.push((place(&["load", "into"]), one_target(path, &load.into))),
            Err(finding) => problems.push((place(&["load", "into"]), finding)),
        }
        wrong.extend(problems.into_iter().map(|one| inside(load_placed, one)));
    }
    if loads.is_empty() && wrong.is_empty() && document.lost().paths().next().is_none() {
        let finding = Finding::error(Code::BadExtract, format!("no load takes the tables of '{path}'"));
        let hint = "add a load with {{ table }} in `into`; to read one table, name it with `from`";
        wrong.push(inside(placed, (place(&["extract", "tables"]), finding.hint(hint))));
    }
    if wrong.is_empty() && !loads.is_empty() { Ok(Sound { path, placed, extract, choice, loads }) } else { Err(wrong) }
}

fn one_target(extract: &str, into: &str) -> Finding {
    let message = format!("'{extract}' is several tables, and '{into}' is one target");
    Finding::error(Code::BadLoad, message)
        .hint("put {{ table }} into the name, e.g. lake.\"{{ table }}\"; or read one table, e.g. with `from`")
}

/// The loads whose input is a task.
fn readers<'a, 'b>(
    tree: &'a Tree<'a>,
    connections: &'b Connections,
    task: &'b TaskPath,
) -> impl Iterator<Item = (&'a TaskPath, &'a tree::Placed<'a>, &'a LoadTask)> {
    tree.tasks.iter().filter_map(move |(path, placed)| {
        let load = placed.task.load.as_ref()?;
        (input(tree, connections, placed, load)? == *task).then_some((path, placed, load))
    })
}

/// The task that a load reads, if it reads one.
fn input(tree: &Tree<'_>, connections: &Connections, placed: &tree::Placed<'_>, load: &LoadTask) -> Option<TaskPath> {
    let scope = GroupScope { tree, group: &placed.group, connections, parameters: &[] };
    scope.task(&split_parts(&load.input).ok()?)?.ok()
}

/// What is wrong with extracts of several tables that are not expanded, and with targets that only loads below such an extract can have.
pub(in crate::plan) fn findings(
    document: &Document,
    tree: &Tree<'_>,
    connections: &Connections,
) -> Vec<(Vec<Step>, Finding)> {
    let mut found = Vec::new();
    for (path, judged) in judged(document, tree, connections) {
        match judged {
            Err(wrong) => found.extend(wrong),
            Ok(set) if connections.is_unknown(&set.choice.connection) => {}
            Ok(set) => {
                let message = format!(
                    "the tables of '{path}' are not known, because the catalog of {} was not read",
                    set.choice.connection
                );
                found.push((set.placed.inside(&["extract", "tables"]), Finding::error(Code::UnknownTable, message)));
            }
        }
    }
    for placed in tree.tasks.values() {
        let Some(load) = placed.task.load.as_ref().filter(|load| has_placeholders(&load.into)) else { continue };
        let Some(input) = input(tree, connections, placed, load) else { continue };
        if !tree.is_several(&input) && !tree.is_unknown(&input) {
            let finding = Finding::error(
                Code::BadLoad,
                format!("'{input}' is one dataset, and only a load of several tables has placeholders in its target"),
            );
            let hint = "write the name of the target; or let the load read an extract with `tables`";
            found.push((placed.inside(&["load", "into"]), finding.hint(hint)));
        }
    }
    found
}
