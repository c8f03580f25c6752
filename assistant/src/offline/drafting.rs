//! What a sentence asks for as a spec.

use std::collections::BTreeMap;

use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{
    AUTO_CURSOR, CheckTask, Columns, ExtractTask, LoadTask, OnFailure, Rule, Schedule, Spec, Task,
};
use headwater_pipelines::write::Comments;
use indexmap::IndexMap;

use super::keyed::{self, Settled};
use super::lexer::{self, Token};
use super::loads::{Load, Request};
use super::period::Period;
use super::routes::reach;
use super::selection::{Selection, Test};
use super::sql::{self, Writing};
use super::stop::Stop;
use super::whole::Whole;
use super::{Setting, interval};
use crate::draft::{Choice, Drafted, Question, Requirement};
use crate::known::{Known, KnownTable, TableId};
use crate::words::split_name;

/// The tables that a selection reads.
pub(super) fn tables(selection: &Selection) -> Vec<TableId> {
    let routes = selection.places().flat_map(|place| place.route.iter().map(|hop| hop.table));
    let others = selection.partners.iter().map(|partners| partners.table);
    let mut all: Vec<TableId> =
        std::iter::once(selection.base).chain(routes).chain(others).chain(selection.whole.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What a selection takes for granted.
pub(super) fn assumptions(selection: &Selection, known: &Known) -> Vec<String> {
    let routes = selection.places().flat_map(|place| &place.route);
    let hops = routes.chain(selection.partners.iter().map(|partners| &partners.hop)).filter(|hop| hop.is_assumed);
    let left = selection.places().flat_map(|place| &place.route).filter(|hop| {
        let said =
            [&selection.keeps, &selection.drops, &selection.whole].iter().any(|tables| tables.contains(&hop.table));
        hop.is_optional && !said
    });
    let left: Vec<String> = left
        .filter_map(|hop| {
            let (base, other) = (known.table(selection.base)?, known.table(hop.table)?);
            Some(format!("{} without {} are left out", base.name(), other.name()))
        })
        .collect();
    let mut all: Vec<String> = hops
        .filter_map(|hop| {
            let from = known.column(*hop.from.first()?)?;
            let to = known.column(*hop.to.first()?)?;
            let table = known.table(hop.table)?.full_name();
            Some(format!("{} refers to {} of {table}: the names say so, no foreign key does", from.name, to.name))
        })
        .chain(left)
        .chain(nearest(selection, known))
        .chain(unknown_left_out(selection, known))
        .chain(selection.notes.iter().cloned())
        .collect();
    all.sort();
    all.dedup();
    all
}

/// What is not a value leaves out the rows that have none.
fn unknown_left_out(selection: &Selection, known: &Known) -> Vec<String> {
    let not = selection.conditions.iter().filter(|condition| match &condition.test {
        Test::Compare(sign, _) => *sign == "<>",
        Test::Not(inner) => !matches!(**inner, Test::Empty | Test::NotEmpty),
        _ => false,
    });
    let nullable = not.filter_map(|condition| known.column(condition.place.column).filter(|column| column.nullable));
    nullable.map(|column| format!("rows without a value in {} are left out", column.name)).collect()
}

/// Columns that a table further away has as well.
fn nearest(selection: &Selection, known: &Known) -> Vec<String> {
    let said = selection.places().filter_map(|place| {
        let table = place.route.last()?.table;
        let column = known.column(place.column)?;
        let has = |other| known.columns(other).any(|(_, own)| own.name.eq_ignore_ascii_case(&column.name));
        let others = reach(known, selection.base, |other| other != selection.base && other != table && has(other));
        let other = known.table(others.first()?.last()?.table)?;
        let name = known.table(table)?.name();
        Some(format!("{} is that of {name}, which is nearer than {}", column.name, other.name()))
    });
    said.collect()
}

/// Makes the spec.
pub(super) fn draft(sentence: &str, said: &[Token], request: &Request, setting: &Setting<'_>) -> Result<Drafted, Stop> {
    let mut drafting = Drafting {
        sentence,
        said,
        setting,
        schedule: request.schedule.as_ref().map(|(schedule, _)| schedule),
        streams: request.stream.is_some(),
        tasks: IndexMap::new(),
        extracts: BTreeMap::new(),
        comments: BTreeMap::new(),
        requirements: Vec::new(),
        assumptions: Vec::new(),
    };
    for load in &request.loads {
        drafting.load(load)?;
    }
    if let Some(whole) = &request.whole {
        drafting.whole(whole);
    }
    if let Some((stream, words)) = &request.stream {
        drafting.require(&sentence[words.clone()], None, &stream.in_words());
    }
    if let Some((schedule, words)) = &request.schedule {
        let meaning = match (&schedule.cron, &schedule.timezone) {
            (Some(cron), zone) => format!("cron {cron} in {}", zone.as_deref().unwrap_or("UTC")),
            (None, _) => "a period".to_owned(),
        };
        drafting.requirements.push(Requirement { quote: sentence[words.clone()].to_owned(), task: None, meaning });
    }
    let name = match request.loads.as_slice() {
        [] => request.whole.as_ref().map(|whole| as_name(whole.pattern.trim_end_matches(".*"))).unwrap_or_default(),
        [only] => plain_name(&only.target),
        [one, other] => format!("{}_and_{}", plain_name(&one.target), plain_name(&other.target)),
        [first, rest @ ..] => format!("{}_and_{}_more", plain_name(&first.target), rest.len()),
    };
    let spec = Spec {
        name,
        description: Some(sentence.split_whitespace().collect::<Vec<_>>().join(" ")),
        params: IndexMap::new(),
        schedule: request.schedule.as_ref().map(|(schedule, _)| schedule.clone()),
        connections: IndexMap::new(),
        stream: request.stream.as_ref().map(|(stream, _)| stream.clone()),
        tasks: std::mem::take(&mut drafting.tasks),
    };
    let comments = Comments { top: None, tasks: std::mem::take(&mut drafting.comments) };
    let Drafting { requirements, assumptions, .. } = drafting;
    // A sentence is read whole or not at all.
    Ok(Drafted { spec, comments, requirements, assumptions, not_understood: Vec::new(), faults: Vec::new() })
}

struct Drafting<'a> {
    sentence: &'a str,
    said: &'a [Token],
    setting: &'a Setting<'a>,
    schedule: Option<&'a Schedule>,
    streams: bool,
    tasks: IndexMap<String, Task>,
    /// Extracts of whole tables, by table and cursor.
    extracts: BTreeMap<(TableId, Option<String>), String>,
    comments: BTreeMap<TaskPath, String>,
    requirements: Vec<Requirement>,
    assumptions: Vec<String>,
}

impl Drafting<'_> {
    fn load(&mut self, load: &Load) -> Result<(), Stop> {
        let quote = self.sentence[load.words.clone()].trim_end_matches([',', ' ']).to_owned();
        if load.selection.top.as_ref().is_some_and(|top| top.count.is_none()) {
            return Err(Stop::at(0, "rows without an order: those of a table have none"));
        }
        if load.moves {
            let target = &load.target;
            self.assumptions.push(format!("the rows stay where they are, and {target} gets a copy of them"));
        }
        self.must_keep_or_leave(load)?;
        self.assumptions.extend(assumptions(&load.selection, self.setting.known));
        let behind = |words: &str| behind_target(self.sentence, load, words);
        let settled = keyed::settle(load, self.streams, self.setting, &behind)?;
        self.assumptions.extend(settled.notes.iter().cloned());
        if !load.how.is_named {
            let target = &load.target;
            self.assumptions.push(format!("the rows go to {target}, a table that does not exist yet: nobody named it"));
        }
        let cursor = settled.cursor.as_deref();
        // A column that a cursor follows is read in any case; a statement leaves it out.
        let columns = sql::columns(&load.selection, self.setting.known);
        let reads_cursor =
            cursor.is_none_or(|cursor| cursor == AUTO_CURSOR || columns.iter().any(|name| name == cursor));
        let mut input = match load.selection.is_copy() && reads_cursor {
            true => self.copy(&load.selection, cursor),
            false => self.transform(load, cursor)?,
        };
        self.comment(&input, &quote);
        for on_failure in [OnFailure::Fail, OnFailure::Warn] {
            let rules: Vec<_> = load.rules.iter().filter(|(_, what, _)| *what == on_failure).collect();
            if !rules.is_empty() {
                let ending = if on_failure == OnFailure::Fail { "checked" } else { "noted" };
                let task = self.free(&format!("{}_{ending}", plain_name(&load.target)));
                for (rule, _, words) in &rules {
                    let (quote, meaning) = (&self.sentence[words.clone()], rule_in_words(rule, on_failure));
                    self.require(quote, Some(&task), &meaning);
                }
                let rules = rules.into_iter().map(|(rule, ..)| rule.clone()).collect();
                let check = CheckTask { input, rules, on_failure, max_rejected: None };
                self.tasks.insert(task.clone(), Task { check: Some(check), ..Task::default() });
                input = task;
            }
        }
        let task = self.free(&format!("load_{}", plain_name(&load.target)));
        let meaning = in_words(&load.target, &settled);
        let Settled { mode, keys, order_by, on_delete, deletes, schema, cursor, .. } = settled;
        let into = LoadTask {
            input,
            into: load.target.clone(),
            mode: Some(mode),
            keys,
            order_by,
            schema,
            on_delete,
            deletes,
            ..LoadTask::default()
        };
        self.tasks.insert(task.clone(), Task { load: Some(into), ..Task::default() });
        self.require(&quote, Some(&task), &meaning);
        if let (Some(words), Some(cursor)) = (load.how.fresh_words.clone(), cursor) {
            self.require(
                &self.sentence[words],
                Some(&task),
                &format!("each run reads what {} does not hold yet, by the cursor {cursor}", load.target),
            );
        }
        Ok(())
    }

    /// All tables of a schema: one extract and one load, of which planning makes those of each table.
    fn whole(&mut self, whole: &Whole) {
        let quote = self.sentence[whole.words.clone()].trim_end_matches([',', ' ']).to_owned();
        let input = self.free("tables");
        let task = self.free(&format!("load_{}", as_name(&whole.target)));
        let (extract, load) = whole.tasks(&input);
        self.tasks.insert(input.clone(), Task { extract: Some(extract), ..Task::default() });
        self.tasks.insert(task.clone(), Task { load: Some(load), ..Task::default() });
        self.comment(&input, &quote);
        let mode = whole.mode.map_or_else(
            || "new and changed rows where a table says which these are".to_owned(),
            |mode| mode.to_string(),
        );
        self.require(&quote, Some(&task), &format!("each loaded into {} under its own name, {mode}", whole.target));
        self.assumptions.extend(whole.notes(self.setting.known));
    }

    /// Rows without a partner would be lost in silence: with and without them other rows are loaded, so it is asked.
    fn must_keep_or_leave(&self, load: &Load) -> Result<(), Stop> {
        let selection = &load.selection;
        if selection.items.is_empty() || selection.items.iter().any(|item| item.value.is_folded()) {
            return Ok(());
        }
        let known = self.setting.known;
        let columns = selection.items.iter().filter_map(|item| item.value.place());
        let lost = columns.flat_map(|place| &place.route).find(|hop| {
            let said = selection.keeps.contains(&hop.table) || selection.drops.contains(&hop.table);
            hop.is_optional && !said
        });
        let Some(hop) = lost else { return Ok(()) };
        let filtered = selection.conditions.iter().any(|condition| condition.place.route.contains(hop));
        let (Some(base), Some(other)) = (known.table(selection.base), known.table(hop.table)) else { return Ok(()) };
        if filtered {
            return Ok(());
        }
        let (base, other) = (base.name(), other.name());
        let words = self.sentence[load.words.clone()].trim_end().trim_end_matches(',');
        let choice = |text: String, said: String| Choice {
            text,
            sentence: self.sentence.replacen(words, &format!("{words}, {said},"), 1),
        };
        let choices = vec![
            choice(
                format!("also {base} without {other}"),
                format!("also {} without {}", lexer::as_name(base), lexer::as_name(other)),
            ),
            choice(
                format!("only {base} with {other}"),
                format!("only {} with {}", lexer::as_name(base), lexer::as_name(other)),
            ),
        ];
        Err(Stop::Ask(Question { text: format!("Should {base} without {other} be loaded, too?"), choices }))
    }

    /// An extract of the columns that are loaded.
    fn copy(&mut self, selection: &Selection, cursor: Option<&str>) -> String {
        let Some(table) = self.setting.known.table(selection.base) else { return String::new() };
        if selection.items.is_empty() {
            return self.extract(selection.base, cursor);
        }
        let columns = sql::columns(selection, self.setting.known);
        let extract = ExtractTask {
            from: Some(table.full_name()),
            columns: Some(Columns::Only(columns)),
            cursor: cursor.map(str::to_owned),
            ..ExtractTask::default()
        };
        let task = self.free(&task_name(table));
        self.tasks.insert(task.clone(), Task { extract: Some(extract), ..Task::default() });
        task
    }

    fn extract(&mut self, id: TableId, cursor: Option<&str>) -> String {
        let cursor = cursor.map(str::to_owned);
        if let Some(task) = self.extracts.get(&(id, cursor.clone())) {
            return task.clone();
        }
        let Some(table) = self.setting.known.table(id) else { return String::new() };
        let task = self.free(&task_name(table));
        let extract = ExtractTask { from: Some(table.full_name()), cursor: cursor.clone(), ..ExtractTask::default() };
        self.tasks.insert(task.clone(), Task { extract: Some(extract), ..Task::default() });
        self.extracts.insert((id, cursor), task.clone());
        task
    }

    fn transform(&mut self, load: &Load, cursor: Option<&str>) -> Result<String, Stop> {
        let base = load.selection.base;
        let of = |id: TableId| cursor.filter(|_| id == base);
        let extracts: BTreeMap<TableId, String> =
            tables(&load.selection).into_iter().map(|id| (id, self.extract(id, of(id)))).collect();
        // A task may be called like a word of SQL.
        let table = |id: TableId| extracts.get(&id).map(|task| sql::identifier(task)).unwrap_or_default();
        let schedule = self.schedule;
        let zone = interval::zone_of(schedule, self.setting);
        let bounds = |period: Period, kind: &str| interval::bounds(period, kind, schedule, self.setting);
        let writing = Writing { known: self.setting.known, table: &table, bounds: &bounds, zone: &zone };
        let sql = writing.select(&load.selection).ok_or_else(|| interval::no_interval(&load.selection, self.said))?;
        let task = self.free(&plain_name(&load.target));
        self.tasks.insert(task.clone(), Task { transform: Some(format!("{sql}\n")), ..Task::default() });
        Ok(task)
    }

    /// A name that no task has, nor a connection.
    fn free(&self, wanted: &str) -> String {
        let connections = self.setting.known.tables().map(|(_, table)| table.connection.as_str());
        let taken: std::collections::BTreeSet<&str> = connections
            .chain(self.setting.targets.iter().map(String::as_str))
            .chain(self.tasks.keys().map(String::as_str))
            .collect();
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| !taken.contains(name.as_str())).unwrap_or_default()
    }

    fn comment(&mut self, task: &str, quote: &str) {
        self.comments.entry(TaskPath::root().child(task)).or_insert_with(|| format!("\"{quote}\""));
    }

    fn require(&mut self, quote: &str, task: Option<&str>, meaning: &str) {
        let (quote, task) = (quote.to_owned(), task.map(str::to_owned));
        self.requirements.push(Requirement { quote, task, meaning: meaning.to_owned() });
    }
}

/// The sentence with more words behind a load's target.
pub(super) fn behind_target(sentence: &str, load: &Load, words: &str) -> String {
    let (before, behind) = sentence.trim_end_matches(['.', ' ']).split_at(load.target_words.end);
    format!("{before}, {words}{behind}")
}

fn in_words(target: &str, settled: &Settled) -> String {
    let by = match settled.keys.is_empty() {
        true => String::new(),
        false => format!(" by {}", settled.keys.join(", ")),
    };
    format!("loaded into {target}, {}{by}", settled.mode)
}

fn rule_in_words(rule: &Rule, on_failure: OnFailure) -> String {
    let what = if on_failure == OnFailure::Fail { "the load fails unless" } else { "it warns unless" };
    format!("{what} {}", rule.label())
}

/// The last part of a target's name, as the name of a task.
fn plain_name(target: &str) -> String {
    let parts = headwater_pipelines::sql::split_name(target).unwrap_or_default();
    as_name(parts.last().map_or("", String::as_str))
}

fn task_name(table: &KnownTable) -> String {
    as_name(table.name())
}

/// Letters, digits and underscores, beginning with a letter.
fn as_name(text: &str) -> String {
    let words: String = split_name(text).join("_");
    let ascii: String = words.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    match ascii.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => ascii,
        false => format!("t_{ascii}"),
    }
}
