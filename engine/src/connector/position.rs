//! Where a read goes on, and what a target remembers of it.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use headwater_pipelines::plan::Cursor;
use serde_json::Value;
use uuid::Uuid;

use crate::error::{EngineError, Result};

/// A source that was opened.
pub struct Source {
    /// Its rows, lazily.
    pub table: Arc<dyn TableProvider>,
    /// What a load has reached that takes all of them; set if rows behind a position were asked for.
    pub position: Option<Position>,
    /// Remarks for the plan and the log.
    pub notes: Vec<String>,
    /// What makes rows behind a source's own position come again, for a load that appends, e.g. `a file that is overwritten at the source`.
    pub again: Option<&'static str>,
    /// Why its rows may not be all that there are, e.g. `a view, which may leave rows out`. A load that deletes what is missing does not read such a source.
    pub incomplete: Option<String>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("position", &self.position).finish_non_exhaustive()
    }
}

impl From<Arc<dyn TableProvider>> for Source {
    fn from(table: Arc<dyn TableProvider>) -> Self {
        Self { table, position: None, notes: Vec::new(), again: None, incomplete: None }
    }
}

/// Which rows of a source are asked for: those that a load does not hold yet.
#[derive(Debug, Clone)]
pub struct CursorRequest {
    /// What the spec says.
    pub cursor: Cursor,
    /// What it is asked for.
    pub reading: Reading,
    /// Whether the load merges rows by keys, so that one which comes again is there once.
    pub by_keys: bool,
    /// How many rows are wanted at most, about; a source that can't count them beforehand gives all.
    pub most: Option<u64>,
}

/// What a source is asked for by a cursor.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Whether it can be read so: for a plan. No row is read, and no position is found out.
    Judged,
    /// The rows behind this position; all of them if there is none.
    After(Option<Value>),
    /// The rows whose cursor lies in this half-open interval, whoever wrote them and whenever: for a backfill. No position comes of it.
    Within(DateTime<Utc>, DateTime<Utc>),
}

/// How far a read goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// The connector's own words, which it is given again by the next read. No value of a masked column and no secret is in them.
    pub to: Value,
    /// The same for people, e.g. `updated_at 2026-11-27 10:00:00`.
    pub shown: String,
    /// A load moves the cursor even if it has read no row: the source forgets what lies before (offsets of messages that nobody is to see), and a position that stays
    /// behind would look like lost data.
    pub must_move: bool,
    /// Rows that are there behind it already, about: more than were asked for at a time.
    pub behind: u64,
}

/// A cursor that a load moves, as its target remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The cursor.
    pub id: Uuid,
    /// How often the cursor has moved, as the target has to remember it; `None` if the load reads from the beginning, whatever the target remembers.
    pub from: Option<i64>,
    /// The same after the load.
    pub to: i64,
}

impl Mark {
    /// Whether the target is where the load goes on from.
    pub fn check(&self, found: Option<i64>, target: &str) -> Result<()> {
        let Some(from) = self.from else { return Ok(()) };
        match found {
            Some(found) if found == from => Ok(()),
            Some(found) if found > from => {
                let message = format!("{target} holds later rows of the cursor: another load has moved it");
                Err(EngineError::transient(message))
            }
            _ => Err(EngineError::config(format!(
                "{target} does not hold the rows up to which the cursor has read: it was made anew, restored or emptied"
            ))
            .hint("load everything again: headwater run NAME --full-refresh")),
        }
    }
}

/// Refuses a cursor that can't be compared, or whose NULLs nobody has thought of.
pub fn judge_column(cursor: &Cursor, label: &str, name: &str, columns: &[Field]) -> Result<()> {
    let Some(field) = columns.iter().find(|field| field.name() == name) else {
        let names: Vec<&str> = columns.iter().map(|field| field.name().as_str()).collect();
        let near = headwater_pipelines::diagnostic::nearest_hint(name, names.iter().copied());
        let missing = EngineError::config(format!("{label} has no column {name}, which is the cursor"));
        return Err(missing.hint(near.unwrap_or_else(|| format!("its columns are {}", names.join(", ")))));
    };
    let kind = field.data_type();
    let is_time = matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
    let is_number = kind.is_integer() || matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..));
    if !is_time && !is_number {
        return Err(EngineError::config(format!("the cursor {name} of {label} is {kind}"))
            .hint("a cursor is a date, a time or a number that grows, e.g. updated_at or id"));
    }
    let reach = cursor.lookback.or(cursor.lag);
    if reach.is_some_and(|reach| matches!(reach, headwater_pipelines::spec::Reach::Time(_)) != is_time) {
        let (wanted, example) = if is_time { ("a duration", "24h") } else { ("a number", "100000") };
        return Err(EngineError::config(format!(
            "the cursor {name} of {label} is {kind}, and its distance is no {}",
            &wanted[2..]
        ))
        .hint(format!("write {wanted}, e.g. {example}")));
    }
    if field.is_nullable() && cursor.nulls.is_none() {
        return Err(EngineError::config(format!("the cursor {name} of {label} can be NULL"))
            .hint("say what happens to such rows: `cursor_nulls: include` or `cursor_nulls: fail`"));
    }
    Ok(())
}

/// A source that has a position of its own, in the words of its messages.
#[derive(Debug, Clone, Copy)]
pub struct OwnPosition {
    /// What it is, e.g. `a topic`.
    pub source: &'static str,
    /// What is read once, e.g. `each offset`.
    pub unit: &'static str,
    /// What holds the rows, e.g. `messages`.
    pub rows: &'static str,
    /// What the position is, e.g. `the offsets of all partitions`.
    pub position: &'static str,
}

impl OwnPosition {
    /// Refuses what such a source can't be asked: its position is exact, and no column of it.
    pub fn judge(&self, request: &CursorRequest, label: &str) -> Result<()> {
        let Self { source, unit, rows, position } = self;
        let cursor = &request.cursor;
        if let Some(column) = &cursor.column {
            let what = format!("{label}: {source} has no cursor column, and '{column}' was named");
            return Err(EngineError::config(what).hint(format!("write `cursor: auto`: the position is {position}")));
        }
        let fields = [
            ("lookback", cursor.lookback.is_some()),
            ("lag", cursor.lag.is_some()),
            ("cursor_nulls", cursor.nulls.is_some()),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, is_set)| *is_set) {
            let what = format!("{label}: `{field}` has no meaning for {source}: {unit} is read once");
            return Err(EngineError::config(what).hint(format!("remove `{field}`")));
        }
        match request.reading {
            Reading::Within(..) => Err(EngineError::config(format!("{label}: {rows} of an interval can't be read"))
                .hint("read everything again: headwater run NAME --full-refresh")),
            Reading::Judged | Reading::After(_) => Ok(()),
        }
    }
}

/// A source that knows no cursors.
pub fn refuse_cursor(label: &str) -> EngineError {
    EngineError::config(format!("{label} can't be read by a cursor"))
        .hint("remove `cursor`: everything is read each time, for modes overwrite and upsert")
}
