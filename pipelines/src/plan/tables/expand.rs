//! Tables in, tasks out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;

use super::choose::Chosen;
use super::derive::{Derived, KeyOf, derive, is_on_scale};
use super::findings::{Sound, SoundLoad, judged};
use super::origin::{Expansion, Origin};
use super::summary::{TableLoads, TableNote, TableSet};
use super::target::{dotted, has_placeholders};
use super::{Catalogs, SourceTable};
use crate::decode::Step;
use crate::diagnostic::{Code, Finding};
use crate::document::Document;
use crate::plan::known_connections;
use crate::plan::tree::Tree;
use crate::spec::{ExtractTask, LoadTask, Spec, Task, WriteMode};
use crate::sql::split_parts;

/// Longest name of a task.
const MAX_NAME: usize = 63;

/// The connections whose tables have to be known to expand a document.
pub fn sources(document: &Document, connections: &BTreeSet<String>) -> BTreeSet<String> {
    let Some(spec) = &document.spec else { return BTreeSet::new() };
    let known = known_connections(document, spec, connections);
    let tree = Tree::new(document, spec);
    let sets = judged(document, &tree, &known).into_iter().filter_map(|(_, set)| set.ok());
    sets.map(|set| set.choice.connection).filter(|name| known.known.contains(name)).collect()
}

/// Puts one task for each table in the place of extracts of several tables and of the loads below them. `connections` are the names that exist besides those that
/// the document brings. What can't be expanded stays as it is, and `plan` reports it.
pub fn expand(document: Document, connections: &BTreeSet<String>, catalogs: &Catalogs) -> Document {
    let Some(spec) = &document.spec else { return document };
    let known = known_connections(&document, spec, connections);
    let tree = Tree::new(&document, spec);
    let mut made = Made::default();
    for (_, set) in judged(&document, &tree, &known) {
        let Ok(set) = set else { continue };
        match catalogs.get(&set.choice.connection) {
            Some(Ok(tables)) => made.expand(&set, tables, &known.known),
            Some(Err(finding)) => made.lose(&set, finding.clone()),
            None => {}
        }
    }
    document.expanded(made)
}

/// What takes the place of what was written.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Tasks by their paths in the document.
    pub(crate) tasks: Vec<(Vec<Step>, Task)>,
    /// Extracts whose tables can't be known.
    pub(crate) lost: Vec<Vec<Step>>,
    /// What is wrong with them.
    pub(crate) findings: Vec<(Vec<Step>, Finding)>,
    /// Where the tasks come from.
    pub(crate) expansion: Expansion,
}

/// A table with the name of its tasks and how it is loaded.
struct Placed<'t> {
    table: &'t SourceTable,
    name: String,
    derived: Derived<'t>,
}

impl Made {
    fn lose(&mut self, set: &Sound<'_>, finding: Finding) {
        self.findings.push((set.placed.inside(&["extract", "tables"]), finding));
        self.lost.push(set.placed.steps.clone());
    }

    fn expand(&mut self, set: &Sound<'_>, tables: &[SourceTable], connections: &BTreeSet<String>) {
        let mut chosen = set.choice.among(tables);
        let findings = std::mem::take(&mut chosen.findings).into_iter();
        self.findings.extend(findings.map(|(inside, finding)| ([set.placed.steps.clone(), inside].concat(), finding)));
        self.refuse_unfit(set, &mut chosen);
        if chosen.tables.is_empty() {
            self.lost.push(set.placed.steps.clone());
            return;
        }
        let wanted: Vec<Option<WriteMode>> = set.loads.iter().map(|load| load.load.mode).collect();
        let names = names(&chosen, &reserved(set, connections));
        let mut placed = Vec::with_capacity(names.len());
        let mut extracts = IndexMap::new();
        for ((table, pattern), name) in chosen.tables.iter().zip(names) {
            let derived = derive(table, set.extract, &wanted);
            let origin = Origin {
                steps: set.placed.steps.clone(),
                pattern: [set.placed.steps.clone(), pattern.clone()].concat(),
                table: table.label(),
            };
            self.expansion.origins.insert(set.path.child(&name), origin);
            extracts.insert(name.clone(), Task { extract: Some(extract(set, table, &derived)), ..Task::default() });
            placed.push(Placed { table, name, derived });
        }
        self.tasks
            .push((set.placed.steps.clone(), Task { extract: None, group: Some(extracts), ..set.placed.task.clone() }));
        for (index, load) in set.loads.iter().enumerate() {
            self.loads(load, index, &placed);
        }
        self.expansion.sets.push(summary(set, &chosen, &placed));
    }

    /// Takes out tables that no task can be made of: of a schema with one of them the others are judged all the same.
    fn refuse_unfit(&mut self, set: &Sound<'_>, chosen: &mut Chosen<'_>) {
        chosen.tables.retain(|(table, pattern)| {
            let Some(finding) = unfit(table) else { return true };
            self.findings.push(([set.placed.steps.clone(), pattern.clone()].concat(), finding));
            false
        });
    }

    /// One load for each table, in the place of a load of all of them.
    fn loads(&mut self, load: &SoundLoad<'_>, index: usize, tables: &[Placed<'_>]) {
        let mut targets: HashMap<String, &SourceTable> = HashMap::new();
        let mut tasks = IndexMap::new();
        for Placed { table, name, derived } in tables {
            let into = load.target.of(table);
            if let Some(other) = targets.insert(into.clone(), table) {
                let message = format!("tables {} and {} both go into {into}", other.label(), table.label());
                let hint = match load.target.has_schema() {
                    true => "leave one of them out with `exclude`",
                    false => "put the schema into the name too, e.g. \"{{ schema }}_{{ table }}\"",
                };
                let finding = Finding::error(Code::SameTarget, message).hint(hint);
                self.findings.push((load.placed.inside(&["load", "into"]), finding));
                continue;
            }
            let origin =
                Origin { steps: load.placed.steps.clone(), pattern: load.placed.steps.clone(), table: table.label() };
            self.expansion.origins.insert(load.path.child(name), origin);
            let mode = derived.modes[index];
            let of_table = LoadTask {
                input: format!("{}.{name}", load.load.input),
                into,
                mode: Some(mode),
                keys: if mode.is_keyed() { derived.key.clone() } else { Vec::new() },
                ..load.load.clone()
            };
            tasks.insert(name.clone(), Task { load: Some(of_table), ..Task::default() });
        }
        self.tasks
            .push((load.placed.steps.clone(), Task { load: None, group: Some(tasks), ..load.placed.task.clone() }));
    }
}

/// Why no task can be made of a table.
fn unfit(table: &SourceTable) -> Option<Finding> {
    let label = table.label();
    let wrong = |code: Code, what: &str| Finding::error(code, format!("table {label} {what}"));
    // In YAML a quote is written twice between quotes.
    let name = dotted(&[table.name().to_owned()]).replace('\'', "''");
    let name = if name.starts_with('"') { format!("'{name}'") } else { name };
    if table.path.iter().any(|part| part.contains('"')) {
        let finding = wrong(Code::BadName, "has a double quote in its name, which no spec can write");
        return Some(finding.hint("leave it out with `exclude`, or read it with `query`"));
    }
    if table.path.iter().any(|part| has_placeholders(part)) {
        let finding = wrong(Code::BadName, "has {{ in its name, which a target takes for a placeholder");
        return Some(finding.hint(format!("leave it out: exclude: [{name}]")));
    }
    // Of files and topics nothing may be known yet.
    let is_relation = matches!(table.kind.as_str(), "table" | "partitioned table");
    (is_relation && table.columns.is_empty()).then(|| {
        wrong(Code::BadExtract, "has no columns, so that there is nothing to load")
            .hint(format!("leave it out: exclude: [{name}]"))
    })
}

fn extract(set: &Sound<'_>, table: &SourceTable, derived: &Derived<'_>) -> ExtractTask {
    let cursor = derived.cursor;
    ExtractTask {
        from: Some(format!("{}.{}", dotted(std::slice::from_ref(&set.choice.connection)), dotted(&table.path))),
        cursor: cursor.map(|column| column.name.clone()),
        lookback: set.extract.lookback.filter(|reach| cursor.is_some_and(|column| is_on_scale(*reach, column))),
        cursor_nulls: set.extract.cursor_nulls.filter(|_| cursor.is_some_and(|column| column.nullable)),
        ..ExtractTask::default()
    }
}

/// Names that a table's tasks can't have: those of connections, and what loads look for their input by, which would be found beside them first.
fn reserved(set: &Sound<'_>, connections: &BTreeSet<String>) -> BTreeSet<String> {
    let first = |load: &SoundLoad<'_>| Some(split_parts(&load.load.input).ok()?.first()?.text.to_lowercase());
    connections.iter().map(|name| name.to_lowercase()).chain(set.loads.iter().filter_map(first)).collect()
}

/// The names of the tables' tasks: those of the tables, as far as tasks can have them.
fn names(chosen: &Chosen<'_>, reserved: &BTreeSet<String>) -> Vec<String> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    chosen.tables.iter().for_each(|(table, _)| *count.entry(table.name()).or_default() += 1);
    let wanted = |table: &SourceTable| match count.get(table.name()) {
        // Tables of one name in two schemas.
        Some(2..) => table.path.join("_"),
        _ => table.name().to_owned(),
    };
    let clean = |name: &str| {
        let letters: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let is_free =
            letters.starts_with(|c: char| c.is_ascii_alphabetic()) && !reserved.contains(&letters.to_lowercase());
        let name = if is_free { letters } else { format!("t_{letters}") };
        name.chars().take(MAX_NAME).collect::<String>()
    };
    let wanted: Vec<String> = chosen.tables.iter().map(|(table, _)| wanted(table)).collect();
    let mut names: Vec<String> = wanted.iter().map(|name| clean(name)).collect();
    // Whoever has its own name keeps it.
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|index| names[*index] != wanted[*index]);
    let mut used: BTreeSet<String> = BTreeSet::new();
    for index in order {
        let mut number = 2;
        while !used.insert(names[index].clone()) {
            let start: String = clean(&wanted[index]).chars().take(MAX_NAME - 6).collect();
            names[index] = format!("{start}_{number}");
            number += 1;
        }
    }
    names
}

fn summary(set: &Sound<'_>, chosen: &Chosen<'_>, tables: &[Placed<'_>]) -> TableSet {
    let mut cursors: BTreeMap<String, usize> = BTreeMap::new();
    for column in tables.iter().filter_map(|table| table.derived.cursor) {
        *cursors.entry(column.name.clone()).or_default() += 1;
    }
    let loads = set.loads.iter().enumerate().map(|(index, load)| {
        let mut modes: BTreeMap<String, usize> = BTreeMap::new();
        tables.iter().for_each(|table| *modes.entry(table.derived.modes[index].to_string()).or_default() += 1);
        TableLoads { task: load.path.to_string(), into: load.load.into.clone(), modes }
    });
    let is_whole = |table: &Placed<'_>| table.derived.modes.contains(&WriteMode::Overwrite);
    let of = |what: &str, which: &dyn Fn(&Placed<'_>) -> bool| {
        let tables = tables.iter().filter(|table| which(table)).map(|table| table.table.label());
        TableNote { what: what.to_owned(), tables: tables.collect() }
    };
    let left_out = |what: &str, tables: &[&SourceTable]| TableNote {
        what: what.to_owned(),
        tables: tables.iter().map(|table| table.label()).collect(),
    };
    let mut notes = vec![
        of("without a key, loaded whole", &|table| table.derived.lacks_key),
        of("without a column for the cursor, loaded whole", &|table| table.derived.lacks_cursor && is_whole(table)),
        of("without a column for the cursor, read whole by each run", &|table| {
            table.derived.lacks_cursor && !is_whole(table)
        }),
        of("without a primary key, matched by their unique key", &|table| {
            table.derived.key_of == KeyOf::Unique && table.derived.modes.iter().any(|mode| mode.is_keyed())
        }),
        left_out("left out by `exclude`", &chosen.excluded),
        left_out("left out: a view or foreign table is read if it is named", &chosen.views),
    ];
    notes.retain(|note| !note.tables.is_empty());
    TableSet {
        task: set.path.to_string(),
        connection: set.choice.connection.clone(),
        patterns: set.extract.tables.iter().flat_map(|names| names.as_slice()).cloned().collect(),
        tables: tables.len(),
        cursors,
        loads: loads.collect(),
        notes,
    }
}

/// Tables that a document reads and an earlier version of it does not, as a spec names them.
pub fn new_tables(before: &Spec, after: &Document) -> Vec<String> {
    let Some(spec) = &after.spec else { return Vec::new() };
    let sets = after.table_sets().iter().map(|set| set.task.as_str());
    sets.flat_map(|set| read(spec, set).difference(&read(before, set)).cloned().collect::<Vec<_>>()).collect()
}

/// The tables that the extracts of a group read.
fn read(spec: &Spec, group: &str) -> BTreeSet<String> {
    let mut names = group.split('.');
    let first = names.next().and_then(|name| spec.tasks.get(name));
    let task = names.try_fold(first, |task, name| task?.group.as_ref().map(|tasks| tasks.get(name)));
    let tasks = task.flatten().and_then(|task| task.group.as_ref()).into_iter().flat_map(IndexMap::values);
    tasks.filter_map(|task| task.extract.as_ref()?.from.clone()).collect()
}
