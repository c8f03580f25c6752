//! What a sentence selects, in the terms of the catalog.

use std::ops::Range;

use super::period::Period;
use super::routes::{Hop, Route};
use crate::known::{ColumnId, TableId};

/// A column, and the way to its table from the table that is selected from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) route: Route,
    pub(super) column: ColumnId,
}

/// How many values are made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fold {
    Sum,
    Average,
    Smallest,
    Largest,
}

/// A piece of time that rows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// The value of an output column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Column(Place),
    /// The time of a column cut to a unit.
    Cut(Unit, Place),
    /// The number of rows.
    Rows,
    /// The number of different values.
    Distinct(Place),
    Folded(Fold, Place),
}

impl Value {
    pub(super) fn is_folded(&self) -> bool {
        matches!(self, Self::Rows | Self::Distinct(_) | Self::Folded(..))
    }

    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Column(place) | Self::Cut(_, place) | Self::Distinct(place) | Self::Folded(_, place) => Some(place),
            Self::Rows => None,
        }
    }
}

/// An output column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) value: Value,
    /// Its name, if one was given.
    pub(super) name: Option<String>,
}

/// A condition on rows; all of them hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) place: Place,
    pub(super) test: Test,
    /// The words that asked for it.
    pub(super) words: Range<usize>,
}

/// What a column's value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Empty,
    NotEmpty,
    /// `=`, `<>`, `<`, `<=`, `>`, `>=` and a literal in SQL.
    Compare(&'static str, String),
    Among(Vec<String>),
    Between(String, String),
    During(Period),
    /// Before a period begins, from its beginning on, up to its end, and after it.
    Before(Period),
    From(Period),
    Until(Period),
    After(Period),
    /// Text that holds, begins or ends with another one: the pattern of a LIKE.
    Like(String),
    /// None of the others.
    Not(Box<Test>),
}

/// How rows are ordered, and how many of them are kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Top {
    /// All rows if absent.
    pub(super) count: Option<u64>,
    /// The smallest come first.
    pub(super) ascending: bool,
    pub(super) by: Value,
}

/// Rows of another table that refer to the rows that are read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Partners {
    pub(super) table: TableId,
    /// From the other table to this one.
    pub(super) hop: Hop,
    pub(super) number: Number,
    /// Which of them count.
    pub(super) conditions: Vec<Condition>,
}

/// How many partners a row has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    None,
    Some,
    /// `=`, `<`, `<=`, `>` or `>=` and a number.
    Is(&'static str, u64),
}

/// One SELECT.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selection {
    /// The table whose rows are selected.
    pub(super) base: TableId,
    /// Output columns; none stands for all columns of the table.
    pub(super) items: Vec<Item>,
    /// All columns of the table stand before the others.
    pub(super) whole_rows: bool,
    /// Values are added up over all units.
    pub(super) mixes: bool,
    /// Rows without a partner in one of these tables are left out, and a person said so.
    pub(super) drops: Vec<TableId>,
    /// What folded values are folded by; stands before them.
    pub(super) groups: Vec<Item>,
    pub(super) conditions: Vec<Condition>,
    /// How many rows of other tables refer to a row.
    pub(super) partners: Vec<Partners>,
    /// Rows stay that have no partner in one of these tables.
    pub(super) keeps: Vec<TableId>,
    /// Rows of these tables stay that no row of the table refers to; they have nothing to fold.
    pub(super) whole: Vec<TableId>,
    pub(super) top: Option<Top>,
    /// The words of the groups.
    pub(super) group_words: Option<Range<usize>>,
    /// What was taken for granted.
    pub(super) notes: Vec<String>,
}

impl Selection {
    pub(super) fn of(base: TableId) -> Self {
        Self {
            base,
            items: Vec::new(),
            whole_rows: false,
            mixes: false,
            drops: Vec::new(),
            groups: Vec::new(),
            conditions: Vec::new(),
            partners: Vec::new(),
            keeps: Vec::new(),
            whole: Vec::new(),
            top: None,
            group_words: None,
            notes: Vec::new(),
        }
    }

    /// Whether it is the table, and nothing is done to it but that columns are left out.
    pub(super) fn is_copy(&self) -> bool {
        let plain =
            |item: &Item| matches!(&item.value, Value::Column(place) if place.route.is_empty()) && item.name.is_none();
        self.groups.is_empty()
            && self.conditions.is_empty()
            && self.partners.is_empty()
            && self.whole.is_empty()
            && self.top.is_none()
            && self.items.iter().all(plain)
            && (self.items.is_empty() || !self.whole_rows)
    }

    /// Every place that is read beside the table's own rows.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        let items = self.groups.iter().chain(&self.items).filter_map(|item| item.value.place());
        let conditions = self.conditions.iter().map(|condition| &condition.place);
        items.chain(conditions).chain(self.top.iter().filter_map(|top| top.by.place()))
    }
}
