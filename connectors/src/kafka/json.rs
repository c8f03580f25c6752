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
mod scan;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod time;

use scan::Scan;
use store::{Store, Values};

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
        Some(Self { columns, by_name: by_name.collect(), guesses: Vec::new(), known: None, rows: 0 })
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
        let start = scan.at;
        let taken = match column.reading {
            Reading::Raw => raw(&mut column.store, scan),
            reading => typed(&mut column.store, scan, reading == Reading::Guessed),
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

/// What is wrong with a value: what it is made of, or what it is.
enum Fault {
    /// It is not JSON from where the cursor stands.
    Syntax(Reason),
    /// It does not fit the column.
    Value(Reason),
}

/// Keeps a value as it is written.
fn raw(store: &mut Store, scan: &mut Scan<'_>) -> Result<(), Fault> {
    let Values::Text(bytes) = &mut store.values else { return Err(Fault::Value("the column holds no text")) };
    let start = scan.at;
    scan.skip().map_err(Fault::Syntax)?;
    let written = scan.since(start);
    let copied = bytes.push(|out| {
        out.extend_from_slice(written);
        Ok(())
    });
    copied.map_err(Fault::Value)
}

/// Adds a value to the column of its type.
#[inline]
fn typed(store: &mut Store, scan: &mut Scan<'_>, exactly: bool) -> Result<(), Fault> {
    match &mut store.values {
        Values::Bool(values) => {
            let value = boolean(scan)?;
            values.append(value);
        }
        Values::Int16(values) => values.push(narrow(integer(scan)?)?),
        Values::Int32(values) => values.push(narrow(integer(scan)?)?),
        Values::Int64(values) => values.push(integer(scan)?),
        Values::Float32(values) => values.push(float(scan, exactly)?),
        Values::Float64(values) => values.push(float(scan, exactly)?),
        Values::Decimal(values, precision, scale) => {
            let text = number_text(scan)?;
            values.push(number::decimal(text, *precision, *scale).map_err(Fault::Value)?);
        }
        Values::Date(values) => values.push(text(scan, "a date is expected here, as a string", time::date)?),
        Values::Timestamp(values, utc) => {
            let utc = *utc;
            values.push(text(scan, "a timestamp is expected here, as a string", |text| time::timestamp(text, utc))?);
        }
        Values::Text(bytes) => {
            let quoted = string(scan, "a string is expected here")?;
            bytes
                .push(|out| {
                    quoted.append_to(out);
                    Ok(())
                })
                .map_err(Fault::Value)?;
        }
        Values::Binary(bytes) => {
            let quoted = string(scan, "a string in base64 is expected here")?;
            bytes.push(|out| plain(quoted, |text| base64::decode(text, out))).map_err(Fault::Value)?;
        }
    }
    Ok(())
}

fn boolean(scan: &mut Scan<'_>) -> Result<bool, Fault> {
    match scan.peek() {
        Some(b't') => scan.literal(b"true").map(|()| true).map_err(Fault::Syntax),
        Some(b'f') => scan.literal(b"false").map(|()| false).map_err(Fault::Syntax),
        _ => Err(other(scan, "true or false is expected here")),
    }
}

/// What stands here is of another kind, or nothing at all.
fn other(scan: &mut Scan<'_>, expected: Reason) -> Fault {
    match scan.skip() {
        Ok(()) => Fault::Value(expected),
        Err(reason) => Fault::Syntax(reason),
    }
}

fn integer(scan: &mut Scan<'_>) -> Result<i64, Fault> {
    match scan.peek() {
        Some(b'-' | b'0'..=b'9') => {
            let number = scan.number().map_err(Fault::Syntax)?;
            match number.small {
                Some(value) => Ok(value),
                None => number::integer(number.raw).map_err(Fault::Value),
            }
        }
        _ => number::integer(number_text(scan)?).map_err(Fault::Value),
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| Fault::Value("the number is too large for the column's type"))
}

fn float<T: std::str::FromStr + Copy + Into<f64>>(scan: &mut Scan<'_>, exactly: bool) -> Result<T, Fault> {
    match scan.peek() {
        Some(b'-' | b'0'..=b'9') => {
            let number = scan.number().map_err(Fault::Syntax)?;
            number::float(number.raw, exactly).map_err(Fault::Value)
        }
        _ => Err(other(scan, "a number is expected here")),
    }
}

/// A number, which may stand in a string.
fn number_text<'a>(scan: &mut Scan<'a>) -> Result<&'a [u8], Fault> {
    match scan.peek() {
        Some(b'-' | b'0'..=b'9') => scan.number().map(|number| number.raw).map_err(Fault::Syntax),
        Some(b'"') => {
            let quoted = scan.string().map_err(Fault::Syntax)?;
            number::quoted(quoted.raw).map_err(Fault::Value)
        }
        _ => Err(other(scan, "a number is expected here")),
    }
}

fn string<'a>(scan: &mut Scan<'a>, expected: Reason) -> Result<scan::Quoted<'a>, Fault> {
    match scan.peek() {
        Some(b'"') => scan.string().map_err(Fault::Syntax),
        _ => Err(other(scan, expected)),
    }
}

/// Reads the characters that are meant.
fn plain<T>(quoted: scan::Quoted<'_>, read: impl FnOnce(&[u8]) -> Result<T, Reason>) -> Result<T, Reason> {
    if !quoted.escaped {
        return read(quoted.raw);
    }
    let mut meant = Vec::new();
    quoted.append_to(&mut meant);
    read(&meant)
}

/// Reads a string that means something else.
fn text<T>(scan: &mut Scan<'_>, expected: Reason, read: impl FnOnce(&[u8]) -> Result<T, Reason>) -> Result<T, Fault> {
    plain(string(scan, expected)?, read).map_err(Fault::Value)
}
