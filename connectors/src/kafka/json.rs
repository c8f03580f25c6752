//! JSON messages to columns, driven by a schema: straight from the bytes, without a tree in between.
//!
//! A message is one object (RFC 8259, UTF-8), and each column is one of its members. A value is taken exactly or the message is refused
//! with the field and the byte where it went wrong; then the columns hold nothing of it. A refusal never repeats what the message says,
//! which may be secret. Members that no column has are checked for syntax and skipped. Two members of one name are refused if a column
//! has that name. A member that is missing or `null` is NULL.
//!
//! Types: booleans from `true` and `false`; integers and decimals from numbers, and from strings that hold just a number, if nothing is
//! lost; floats from numbers, to the nearest, but never to infinity or zero; text from strings; bytea from strings in base64; dates and
//! times from strings as ISO 8601 and Postgres write them; json from any value, kept as it is written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

pub(crate) mod base64;
pub(crate) mod members;
pub(crate) mod number;
pub(crate) mod scan;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod time;
mod value;

use super::debezium::placeholder;
use scan::Scan;
use store::Store;
use value::{Fault, document, raw, typed};

/// What is wrong with a value, without the value.
pub(crate) type Reason = &'static str;

/// A column to be filled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The member's name.
    pub name: String,
    /// The column's type.
    pub data_type: DataType,
    /// How values that the type alone does not settle are read.
    pub reading: Reading,
}

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As the type says, which a person has chosen.
    Typed,
    /// As the type says, which comes from a sample: floats have to be exact.
    Guessed,
    /// Any value, kept as it is written.
    Raw,
    /// The same, but of a string that holds a document the document.
    Document,
}

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The column at fault, if it is one.
    pub field: Option<String>,
    /// Bytes from the message's start.
    pub at: usize,
    /// What is wrong there.
    pub reason: Reason,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "field {field}: ")?;
        }
        write!(f, "{} (byte {})", self.reason, self.at)
    }
}

/// What becomes of placeholders for values that were not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// There are none: such texts are what they are.
    Never,
    /// They are NULL, and noted.
    Noted,
    /// The message is refused.
    Refused(Reason),
}

/// A column and what it holds so far.
#[derive(Debug)]
struct Column {
    name: String,
    reading: Reading,
    store: Store,
}

/// What the member in a certain place of the last message was called, quotes included, and which column it is.
#[derive(Debug)]
struct Guess {
    quoted: Vec<u8>,
    column: Option<usize>,
}

/// Columns that take messages one by one.
#[derive(Debug)]
pub(crate) struct Decoder {
    columns: Vec<Column>,
    by_name: HashMap<Vec<u8>, usize>,
    /// Messages of a topic mostly have the same members in the same order.
    guesses: Vec<Guess>,
    /// Set if no other members may come: those that the topic's columns are, read or not.
    known: Option<Arc<HashSet<Vec<u8>>>>,
    left_out: LeftOut,
    /// Columns of which the last message has no value.
    unsent: Vec<usize>,
    rows: usize,
}

/// The reason why a message is refused that has a member which nobody knew of.
pub(crate) const UNSEEN: Reason = "the message has a field that no message had that was looked at";

/// Places whose names are remembered.
const MOST_GUESSES: usize = 512;

impl Decoder {
    /// Columns for what is wanted; nothing if a type is none that messages have.
    pub(crate) fn new(wanted: &[Wanted]) -> Option<Self> {
        let column = |wanted: &Wanted| {
            let store = Store::new(&wanted.data_type)?;
            Some(Column { name: wanted.name.clone(), reading: wanted.reading, store })
        };
        let columns = wanted.iter().map(column).collect::<Option<Vec<_>>>()?;
        let by_name = wanted.iter().enumerate().map(|(index, wanted)| (wanted.name.clone().into_bytes(), index));
        let (by_name, left_out) = (by_name.collect(), LeftOut::Never);
        Some(Self { columns, by_name, guesses: Vec::new(), known: None, left_out, unsent: Vec::new(), rows: 0 })
    }

    /// Refuses messages that have members besides these.
    pub(crate) fn knowing(self, known: Option<Arc<HashSet<Vec<u8>>>>) -> Self {
        Self { known, ..self }
    }

    /// Adds a row of NULLs.
    pub(crate) fn push_nulls(&mut self) {
        self.columns.iter_mut().for_each(|column| column.store.push_null());
        self.rows += 1;
    }

    /// Takes the row of a change event; answers which columns were not sent.
    pub(crate) fn push_change(&mut self, row: &[u8], left_out: LeftOut) -> Result<impl Iterator<Item = &str>, Refusal> {
        self.left_out = left_out;
        self.unsent.clear();
        self.push(row)?;
        Ok(self.unsent.iter().filter_map(|index| self.columns.get(*index)).map(|column| column.name.as_str()))
    }

    /// Takes a message as a row.
    pub(crate) fn push(&mut self, message: &[u8]) -> Result<(), Refusal> {
        if let Err(error) = std::str::from_utf8(message) {
            return Err(Refusal { field: None, at: error.valid_up_to(), reason: "the message is not UTF-8" });
        }
        let mut scan = Scan::new(message);
        let mut field = None;
        if let Err(reason) = self.object(&mut scan, &mut field) {
            self.columns.iter_mut().for_each(|column| column.store.truncate(self.rows));
            let field = field.and_then(|index: usize| self.columns.get(index)).map(|column| column.name.clone());
            return Err(Refusal { field, at: scan.at, reason });
        }
        self.rows += 1;
        for column in &mut self.columns {
            if column.store.len() < self.rows {
                column.store.push_null();
            }
        }
        Ok(())
    }

    /// The rows as arrays, in the order of what is wanted; nothing is left.
    pub(crate) fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.rows = 0;
        self.columns.iter_mut().map(|column| column.store.take()).collect()
    }

    /// Takes the members of the whole message; `field` is the column that is being read.
    fn object(&mut self, scan: &mut Scan<'_>, field: &mut Option<usize>) -> Result<(), Reason> {
        if scan.next().is_none() {
            return Err("the message is empty");
        }
        if !scan.take(b'{') {
            return Err("the message is not a JSON object");
        }
        let mut place = 0;
        let mut ended = scan.take(b'}');
        while !ended {
            let column = self.name(scan, place)?;
            if !scan.take(b':') {
                return Err(scan.unexpected("a colon is missing here"));
            }
            scan.next();
            match column {
                Some(index) => {
                    *field = column;
                    self.value(scan, index)?;
                    *field = None;
                }
                None => scan.skip()?,
            }
            ended = scan.take(b'}');
            if !ended && !scan.take(b',') {
                return Err(scan.unexpected("a comma or the end of the object is missing here"));
            }
            place += 1;
        }
        match scan.next() {
            None => Ok(()),
            Some(_) => Err("something stands behind the object"),
        }
    }

    /// Takes a member's name and finds its column.
    #[inline]
    fn name(&mut self, scan: &mut Scan<'_>, place: usize) -> Result<Option<usize>, Reason> {
        if scan.next() != Some(b'"') {
            return Err(scan.unexpected("the name of a field is missing here"));
        }
        if let Some(guess) = self.guesses.get(place)
            && scan.rest().starts_with(&guess.quoted)
        {
            scan.at += guess.quoted.len();
            return Ok(guess.column);
        }
        let start = scan.at;
        let quoted = scan.string()?;
        let mut plain = Vec::new();
        let name = if quoted.escaped {
            quoted.append_to(&mut plain);
            plain.as_slice()
        } else {
            quoted.raw
        };
        let column = self.by_name.get(name).copied();
        if column.is_none() && self.known.as_ref().is_some_and(|known| !known.contains(name)) {
            return Err(UNSEEN);
        }
        let guess = Guess { quoted: scan.since(start).to_vec(), column };
        if let Some(known) = self.guesses.get_mut(place) {
            *known = guess;
        } else if place == self.guesses.len() && place < MOST_GUESSES {
            self.guesses.push(guess);
        }
        Ok(column)
    }

    /// Takes a column's value, which is here.
    #[inline]
    fn value(&mut self, scan: &mut Scan<'_>, index: usize) -> Result<(), Reason> {
        let Some(column) = self.columns.get_mut(index) else { return scan.skip() };
        if column.store.len() > self.rows {
            return Err("the field is there twice");
        }
        if scan.peek() == Some(b'n') {
            scan.literal(b"null")?;
            column.store.push_null();
            return Ok(());
        }
        let is_change = self.left_out != LeftOut::Never;
        if is_change && let Some(length) = placeholder(scan.rest()) {
            if let LeftOut::Refused(reason) = self.left_out {
                return Err(reason);
            }
            scan.at += length;
            self.unsent.push(index);
            column.store.push_null();
            return Ok(());
        }
        let start = scan.at;
        let taken = match column.reading {
            Reading::Raw => raw(&mut column.store, scan),
            Reading::Document => document(&mut column.store, scan),
            reading => typed(&mut column.store, scan, reading == Reading::Guessed, is_change),
        };
        match taken {
            Ok(()) => column.store.valid(),
            Err(Fault::Syntax(reason)) => return Err(reason),
            // What does not fit is named by where the value begins.
            Err(Fault::Value(reason)) => {
                scan.at = start;
                return Err(reason);
            }
        }
        Ok(())
    }
}
