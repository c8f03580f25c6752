//! What a sentence asks for as a spec.

use std::collections::BTreeMap;

use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{CheckTask, Columns, ExtractTask, LoadTask, OnFailure, Rule, Schedule, Spec, Task};
use headwater_pipelines::write::Comments;
use indexmap::IndexMap;

use super::lexer::{self, Token};
use super::loads::{Load, Request};
use super::period::Period;
use super::routes::reach;
use super::selection::{Selection, Test, Unit};
use super::sql::{self, Writing};
use super::stop::Stop;
use super::{Setting, literals};
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
        tasks: IndexMap::new(),
        extracts: BTreeMap::new(),
        comments: BTreeMap::new(),
        requirements: Vec::new(),
        assumptions: Vec::new(),
    };
    for load in &request.loads {
        drafting.load(load)?;
    }
    if let Some((schedule, words)) = &request.schedule {
        let meaning = match (&schedule.cron, &schedule.timezone) {
            (Some(cron), zone) => format!("cron {cron} in {}", zone.as_deref().unwrap_or("UTC")),
            (None, _) => "a period".to_owned(),
        };
        drafting.requirements.push(Requirement { quote: sentence[words.clone()].to_owned(), task: None, meaning });
    }
    let name = match request.loads.as_slice() {
        [] => String::new(),
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
        stream: None,
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
    tasks: IndexMap<String, Task>,
    /// Extracts of whole tables, by table.
    extracts: BTreeMap<TableId, String>,
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
        let mut input = match load.selection.is_copy() {
            true => self.copy(&load.selection),
            false => self.transform(load)?,
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
        let into = LoadTask {
            input,
            into: load.target.clone(),
            mode: Some(load.mode),
            keys: Vec::new(),
            track: Vec::new(),
            partition_by: Vec::new(),
            order_by: None,
            schema: None,
            late: None,
            on_delete: None,
            deleted_when: None,
            deletes: None,
            max_delete: None,
            verify: None,
        };
        self.tasks.insert(task.clone(), Task { load: Some(into), ..Task::default() });
        self.require(&quote, Some(&task), &format!("loaded into {}, {}", load.target, load.mode));
        Ok(())
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
    fn copy(&mut self, selection: &Selection) -> String {
        let Some(table) = self.setting.known.table(selection.base) else { return String::new() };
        if selection.items.is_empty() {
            return self.extract(selection.base);
        }
        let columns = sql::columns(selection, self.setting.known);
        let extract = ExtractTask {
            from: Some(table.full_name()),
            columns: Some(Columns::Only(columns)),
            ..ExtractTask::default()
        };
        let task = self.free(&task_name(table));
        self.tasks.insert(task.clone(), Task { extract: Some(extract), ..Task::default() });
        task
    }

    fn extract(&mut self, id: TableId) -> String {
        if let Some(task) = self.extracts.get(&id) {
            return task.clone();
        }
        let Some(table) = self.setting.known.table(id) else { return String::new() };
        let task = self.free(&task_name(table));
        let extract = ExtractTask { from: Some(table.full_name()), ..ExtractTask::default() };
        self.tasks.insert(task.clone(), Task { extract: Some(extract), ..Task::default() });
        self.extracts.insert(id, task.clone());
        task
    }

    fn transform(&mut self, load: &Load) -> Result<String, Stop> {
        let extracts: BTreeMap<TableId, String> =
            tables(&load.selection).into_iter().map(|id| (id, self.extract(id))).collect();
        // A task may be called like a word of SQL.
        let table = |id: TableId| extracts.get(&id).map(|task| sql::identifier(task)).unwrap_or_default();
        let schedule = self.schedule;
        let zone = zone_of(schedule, self.setting);
        let bounds = |period: Period, kind: &str| bounds(period, kind, schedule, self.setting);
        let writing = Writing { known: self.setting.known, table: &table, bounds: &bounds, zone: &zone };
        let sql = writing.select(&load.selection).ok_or_else(|| self.no_interval(&load.selection))?;
        let task = self.free(&plain_name(&load.target));
        self.tasks.insert(task.clone(), Task { transform: Some(format!("{sql}\n")), ..Task::default() });
        Ok(task)
    }

    /// A relative period is the interval of a run, which its schedule has to end where the period does.
    fn no_interval(&self, selection: &Selection) -> Stop {
        let relative = selection.conditions.iter().find_map(|condition| match &condition.test {
            Test::During(Period::Relative(unit, before)) => Some((*unit, *before, condition.words.start)),
            _ => None,
        });
        let at = relative.map_or(0, |(_, _, start)| start);
        let token = self.said.iter().position(|token| token.span.start >= at).unwrap_or(0);
        let expected = match relative {
            Some((unit, 1, _)) => {
                format!("a schedule that runs when the {} ends, e.g. {}", unit.as_str(), at_the_end_of(unit))
            }
            _ => {
                "a fixed period such as in 2026, or the last day, week or month with a schedule that runs when it ends"
                    .to_owned()
            }
        };
        Stop::at(token, expected)
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

/// The zone that days and months of a pipeline are of: the schedule's, or the workspace's.
fn zone_of(schedule: Option<&Schedule>, setting: &Setting<'_>) -> String {
    let own = schedule.filter(|schedule| schedule.cron.is_some()).map(|schedule| schedule.timezone.clone());
    own.map_or_else(|| setting.zone.name().to_owned(), |zone| zone.unwrap_or_else(|| "UTC".to_owned()))
}

/// The bounds of a period in a pipeline: literals if they are fixed, else the run's interval, which must be the period.
fn bounds(period: Period, kind: &str, schedule: Option<&Schedule>, setting: &Setting<'_>) -> Option<(String, String)> {
    let (unit, before) = match period {
        Period::Fixed(..) => return literals(period, kind, setting),
        Period::Relative(unit, before) => (unit, before),
        // Which year's it is would depend on the day of writing.
        Period::Month(_) => return None,
    };
    let cron = schedule?.cron.as_deref()?;
    if before != 1 || cron != cron_at_the_end_of(unit)? {
        return None;
    }
    let zone = zone_of(schedule, setting);
    let local = |name: &str| match (kind.starts_with("Timestamp"), sql::is_zoned(kind)) {
        (true, true) => format!("${name}"),
        // A time without a zone is compared with the clock of the zone; the cast alone would give that of UTC.
        (true, false) => format!("to_local_time(${name} AT TIME ZONE '{zone}')"),
        _ => format!("CAST(${name} AT TIME ZONE '{zone}' AS date)"),
    };
    Some((local("interval_start"), local("interval_end")))
}

fn cron_at_the_end_of(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Day => Some("0 0 * * *"),
        Unit::Week => Some("0 0 * * 1"),
        Unit::Month => Some("0 0 1 * *"),
        Unit::Hour | Unit::Quarter | Unit::Year => None,
    }
}

fn at_the_end_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Week => "every Monday at 0:00",
        Unit::Month => "on the first of every month at 0:00",
        _ => "every day at 0:00",
    }
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
