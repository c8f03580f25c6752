//! How a load is written: by which keys, from which cursor on, and what that leaves as it is. The catalog says what the sentence does not, or it is asked.

use std::time::Duration;

use headwater_engine::connector::{ColumnInfo, TableInfo};
use headwater_pipelines::spec::{AUTO_CURSOR, KeyScan, LoadSchema, OnDelete, ScanBy, WriteMode};

use super::Setting;
use super::condition::Family;
use super::how::How;
use super::lexer::as_name;
use super::loads::Load;
use super::selection::{Number, Place, Selection, Value};
use super::sql;
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::fresh::{self, Following};
use crate::known::{ColumnId, KnownTable};
use crate::typed::Fresh;

/// How often the keys of a source are compared with the target unless it is said.
const SCANS: Duration = Duration::from_secs(86_400);

/// The column of a topic by which its messages are in order.
const OFFSET: &str = "_offset";

/// What a load needs beside its input and target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settled {
    pub(super) mode: WriteMode,
    pub(super) keys: Vec<String>,
    pub(super) order_by: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) on_delete: Option<OnDelete>,
    pub(super) deletes: Option<KeyScan>,
    pub(super) schema: Option<LoadSchema>,
    /// What was taken for granted.
    pub(super) notes: Vec<String>,
}

/// Settles how a load is written. `sentence` gives the sentence with more words behind the load's target.
pub(super) fn settle(
    load: &Load,
    streams: bool,
    setting: &Setting<'_>,
    sentence: &dyn Fn(&str) -> String,
) -> Result<Settled, Stop> {
    let Some(known) = setting.known.table(load.selection.base) else { return Err(Stop::at(load.at, "a table")) };
    let settling = Settling { load, streams, setting, known, table: &known.table, sentence };
    settling.settle()
}

struct Settling<'a> {
    load: &'a Load,
    streams: bool,
    setting: &'a Setting<'a>,
    known: &'a KnownTable,
    table: &'a TableInfo,
    sentence: &'a dyn Fn(&str) -> String,
}

impl Settling<'_> {
    fn settle(&self) -> Result<Settled, Stop> {
        let Load { how, target, .. } = self.load;
        let mode = self.mode()?;
        let follows = how.fresh.is_some() || self.streams;
        let cursor = if follows { Some(self.cursor(mode)?) } else { None };
        let keys = if mode.is_keyed() { self.keys(mode)? } else { Vec::new() };
        let order_by = self.order_by(mode, cursor.as_deref(), &keys);
        let (on_delete, deletes) = self.deletes(mode, cursor.is_some())?;
        let mut notes = how.notes.clone();
        if matches!(mode, WriteMode::Upsert | WriteMode::InsertNew) && !self.is_proven(&keys) {
            notes.push(fresh::unproven(&keys, target, order_by.as_deref()));
        }
        if order_by.as_deref() == Some(OFFSET) {
            notes.push(format!(
                "of several messages with one {} the one with the largest offset counts: messages of one key are in one partition",
                keys.join(", ")
            ));
        }
        if deletes.is_some() {
            notes.push(format!("rows that are gone are looked for once a day, by comparing all keys with {target}"));
        }
        notes.extend(self.left(mode, cursor.as_deref()));
        let schema = how.columns.map(LoadSchema::All);
        Ok(Settled { mode, keys, order_by, cursor, on_delete, deletes, schema, notes })
    }

    /// Of new and changed rows each replaces the one of its key; of new rows each is there once.
    fn mode(&self) -> Result<WriteMode, Stop> {
        let How { mode, fresh, keys, .. } = &self.load.how;
        let has_key = !keys.is_empty() || fresh::key(self.table).is_some();
        let mode = match (mode, fresh) {
            (Some(mode), _) => *mode,
            (None, Some(Fresh::Changed)) => WriteMode::Upsert,
            (None, Some(Fresh::New)) if has_key => WriteMode::InsertNew,
            (None, Some(Fresh::New)) => WriteMode::Append,
            (None, None) if !keys.is_empty() => WriteMode::Upsert,
            (None, None) if fresh::is_topic(self.table) => WriteMode::Append,
            (None, None) if has_key => WriteMode::Upsert,
            (None, None) => return Err(Stop::at(self.load.at, "'append', or 'one row per' and a column")),
        };
        let follows = fresh.is_some() || self.streams;
        match mode {
            WriteMode::Overwrite if follows => Err(Stop::at(
                self.load.at,
                "'overwrite' for all rows, or new and changed rows, which replace those of the same key",
            )),
            WriteMode::DeleteInsert if follows => {
                Err(Stop::at(self.load.at, "whole slices: new rows alone would replace them in part"))
            }
            WriteMode::Append if *fresh == Some(Fresh::Changed) && !self.streams => {
                Err(Stop::at(self.load.at, "'upsert' for changed rows: appended they would be there twice"))
            }
            mode => Ok(mode),
        }
    }

    /// By what new rows are found.
    fn cursor(&self, mode: WriteMode) -> Result<String, Stop> {
        self.must_be_row_by_row()?;
        let (at, name) = (self.load.at, self.known.full_name());
        if let Some(place) = &self.load.how.cursor {
            return self.said_cursor(place);
        }
        match fresh::following(self.table) {
            Following::Position => return Ok(AUTO_CURSOR.to_owned()),
            Following::Nothing => {
                return Err(Stop::at(
                    at,
                    format!("a table: {name} is a {}, which does not say which of its rows are new", self.table.kind),
                ));
            }
            Following::Column => {}
        }
        if let Some(column) = fresh::marks_changes(self.table) {
            return Ok(column.name.clone());
        }
        let number = self.number();
        if let Some(number) = number.filter(|_| mode != WriteMode::Upsert) {
            return Ok(number.name.clone());
        }
        let times = self
            .table
            .columns
            .iter()
            .filter(|column| !column.nullable && Family::of(&column.arrow_type) == Family::Time);
        let choices: Vec<Choice> = number.into_iter().chain(times).map(|column| self.choice(column)).collect();
        if choices.is_empty() {
            return Err(Stop::at(
                at,
                format!("all rows, with overwrite: no column of {name} says which rows are new or changed"),
            ));
        }
        let text =
            format!("Which column of {} says which rows are new or changed? None is called like it", self.known.name());
        Err(Stop::Ask(Question { text, choices }))
    }

    fn said_cursor(&self, place: &Place) -> Result<String, Stop> {
        let column = self.setting.known.column(place.column).ok_or_else(|| Stop::at(self.load.at, "a column"))?;
        match fresh::can_be_followed(column) && !column.nullable {
            true => Ok(column.name.clone()),
            false => Err(Stop::at(
                self.load.at,
                format!("a cursor that is a time or a number and never empty: {} is not", column.name),
            )),
        }
    }

    /// The primary key, if it is one number: Postgres finds all rows by it that were written since, and looks at each of them.
    fn number(&self) -> Option<&ColumnInfo> {
        let mut keys = self.table.columns.iter().filter(|column| column.primary_key.is_some());
        let only = keys.next().filter(|column| column.arrow_type.starts_with("Int"))?;
        (keys.next().is_none() && self.table.kind.ends_with("table")).then_some(only)
    }

    fn choice(&self, column: &ColumnInfo) -> Choice {
        let name = &column.name;
        let text = match Family::of(&column.arrow_type) {
            Family::Time => format!("{name}: a row that changes more than a day after its {name} is not seen again"),
            _ => format!("{name}: each run looks at all rows and loads those that were written since the last one"),
        };
        Choice { text, sentence: (self.sentence)(&format!("cursor {}", as_name(name))) }
    }

    /// What counts, adds up or limits rows needs all of them.
    fn must_be_row_by_row(&self) -> Result<(), Stop> {
        let Selection { groups, items, whole, top, partners, .. } = &self.load.selection;
        let folds = items.iter().any(|item| item.value.is_folded());
        let counts = partners.iter().any(|partners| matches!(partners.number, Number::Is(..)));
        let looks_at_many = !groups.is_empty() || folds || !whole.is_empty() || top.is_some() || counts;
        match looks_at_many {
            true => Err(Stop::at(
                self.load.at,
                "rows as they are: sums, counts and limits of new rows alone would be wrong, so that they need all rows and overwrite",
            )),
            false => Ok(()),
        }
    }

    /// The names of the keys among the columns that are loaded.
    fn keys(&self, mode: WriteMode) -> Result<Vec<String>, Stop> {
        let Load { how, selection, at, .. } = self.load;
        let known = self.setting.known;
        let name = |place: &Place| {
            let column = known.column(place.column).map_or("", |column| column.name.as_str());
            let lacks = format!("{} among the columns that are loaded: rows are told apart by it", as_name(column));
            sql::name_of(place, selection, known).ok_or_else(|| Stop::at(*at, lacks))
        };
        if !how.keys.is_empty() {
            return how.keys.iter().map(name).collect();
        }
        if mode == WriteMode::DeleteInsert {
            return self.slice();
        }
        let Some(key) = fresh::key(self.table) else {
            let table = self.known.full_name();
            return Err(Stop::at(
                *at,
                format!("'by' and the columns that tell rows apart: the catalog declares no key of {table}"),
            ));
        };
        let column =
            |name: &String| known.columns(selection.base).find(|(_, column)| column.name == *name).map(|(id, _)| id);
        let places = key.iter().filter_map(column).map(|column: ColumnId| Place { route: Vec::new(), column });
        places.map(|place| name(&place)).collect()
    }

    /// The column that holds the day, month or year which is replaced.
    fn slice(&self) -> Result<Vec<String>, Stop> {
        let Load { how, selection, at, .. } = self.load;
        let Some(unit) = how.slice else { return Err(Stop::at(*at, "'by' and the columns that name a slice")) };
        let names = sql::columns(selection, self.setting.known);
        let outputs: Vec<&Value> = selection.groups.iter().chain(&selection.items).map(|item| &item.value).collect();
        let own = names.len() - outputs.len();
        let is_it = |value: &&Value| matches!(value, Value::Cut(of, _) if *of == unit);
        let found: Vec<String> =
            outputs.iter().zip(&names[own..]).filter(|(value, _)| is_it(value)).map(|(_, name)| name.clone()).collect();
        match found.as_slice() {
            [_] => Ok(found),
            _ => {
                let unit = unit.as_str();
                let expected = format!(
                    "'per {unit}' in what is loaded, or 'replace the slices of' and the column that holds the {unit}"
                );
                Err(Stop::at(*at, expected))
            }
        }
    }

    /// Which of several rows of a key counts: the one that came last.
    fn order_by(&self, mode: WriteMode, cursor: Option<&str>, keys: &[String]) -> Option<String> {
        if !matches!(mode, WriteMode::Upsert | WriteMode::InsertNew) {
            return None;
        }
        let wanted = match cursor? {
            AUTO_CURSOR if fresh::is_topic(self.table) => OFFSET,
            AUTO_CURSOR => return None,
            column => column,
        };
        let known = self.setting.known;
        let (column, _) = known.columns(self.load.selection.base).find(|(_, column)| column.name == wanted)?;
        let name = sql::name_of(&Place { route: Vec::new(), column }, &self.load.selection, known)?;
        (!keys.contains(&name)).then_some(name)
    }

    /// What becomes of rows that are gone, and how they are found. A row that is not read for another reason would be deleted.
    fn deletes(&self, mode: WriteMode, follows: bool) -> Result<(Option<OnDelete>, Option<KeyScan>), Stop> {
        let Load { how, selection, at, .. } = self.load;
        let Some(what) = how.deleted.filter(|what| *what != OnDelete::Ignore) else { return Ok((None, None)) };
        if mode != WriteMode::Upsert {
            return Err(Stop::at(*at, "'upsert': rows that are gone are found by their keys"));
        }
        let joins = selection.places().any(|place| !place.route.is_empty());
        let leaves_out = !selection.conditions.is_empty() || !selection.partners.is_empty() || joins;
        if leaves_out || selection.top.is_some() || !selection.groups.is_empty() {
            let expected = "a whole table: with a condition or another table, rows that are not read would be taken for deleted ones";
            return Err(Stop::at(*at, expected));
        }
        if fresh::is_topic(self.table) || fresh::following(self.table) == Following::Nothing {
            return Err(Stop::at(
                *at,
                format!("a table whose rows can all be read: {} is a {}", self.known.full_name(), self.table.kind),
            ));
        }
        match follows {
            true => Ok((Some(what), Some(KeyScan { by: ScanBy::Keys, every: Some(SCANS) }))),
            false => Ok((Some(what), None)),
        }
    }

    /// Whether the catalog says that the keys tell the rows apart. Rows are joined along keys, so that none is multiplied.
    fn is_proven(&self, keys: &[String]) -> bool {
        let Selection { base, groups, .. } = &self.load.selection;
        let known = self.setting.known;
        if !groups.is_empty() {
            let names = sql::columns(&self.load.selection, known);
            return names.iter().take(groups.len()).all(|name| keys.contains(name));
        }
        let own = known.columns(*base).filter_map(|(column, info)| {
            let name = sql::name_of(&Place { route: Vec::new(), column }, &self.load.selection, known)?;
            keys.contains(&name).then(|| info.name.clone())
        });
        let joins = self.load.selection.places().flat_map(|place| &place.route);
        joins.into_iter().all(|hop| !hop.is_assumed) && fresh::are_unique(self.table, &own.collect::<Vec<_>>())
    }

    /// What a load of some rows leaves as it is.
    fn left(&self, mode: WriteMode, cursor: Option<&str>) -> Vec<String> {
        let Load { selection, target, how, rules, .. } = self.load;
        let known = self.setting.known;
        let keeps_others = cursor.is_some() || matches!(mode, WriteMode::Upsert | WriteMode::InsertNew);
        let mut notes = if keeps_others { self.left_conditions() } else { Vec::new() };
        if cursor.is_some() {
            let hops = selection.places().flat_map(|place| &place.route).map(|hop| hop.table);
            let mut others: Vec<&str> = hops.filter_map(|id| Some(known.table(id)?.name())).collect();
            others.sort_unstable();
            others.dedup();
            notes.extend((!others.is_empty()).then(|| fresh::changes_elsewhere(&others.join(" and "), target)));
        }
        let is_time = |column: &&ColumnInfo| Family::of(&column.arrow_type) == Family::Time;
        let column = self.table.columns.iter().find(|column| Some(column.name.as_str()) == cursor);
        notes.extend(column.filter(is_time).map(|column| fresh::comes_too_late(&column.name)));
        match mode {
            WriteMode::Upsert if how.deleted.is_none() && !fresh::is_topic(self.table) => {
                notes.push(fresh::stays_when_deleted(target));
            }
            WriteMode::DeleteInsert => notes.push(format!("a slice of {target} for which no row comes any more stays")),
            WriteMode::InsertNew => {
                notes.push(format!("a row that changes later stays in {target} as it was first loaded"))
            }
            WriteMode::Append if cursor.is_some() && fresh::following(self.table) == Following::Column => {
                notes.push(format!("a row that is updated at the source is added to {target} again"));
            }
            _ => {}
        }
        if cursor.is_some() && rules.iter().any(|(rule, ..)| rule.unique.is_some()) {
            notes.push(format!("the check sees new rows alone: it does not compare them with those that {target} has"));
        }
        notes
    }

    /// Conditions that rows of the target may stop to meet.
    fn left_conditions(&self) -> Vec<String> {
        let Load { selection, target, .. } = self.load;
        let known = self.setting.known;
        let is_key = |place: &Place| {
            place.route.is_empty() && known.column(place.column).is_some_and(|column| column.primary_key.is_some())
        };
        let own = selection
            .conditions
            .iter()
            .filter(|condition| !is_key(&condition.place))
            .map(|condition| known.column(condition.place.column).map_or("", |column| column.name.as_str()));
        let partners = selection.partners.iter().filter_map(|partners| Some(known.table(partners.table)?.name()));
        own.chain(partners).map(|on| fresh::leaves_the_condition(&format!("the condition on {on}"), target)).collect()
    }
}
