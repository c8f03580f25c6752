//! Rows of a table that a load does not hold yet, found by who wrote them.
//!
//! Every version of a row carries the transaction that wrote it (`xmin`). A window reaches from the horizon of the last load to the oldest transaction that is still
//! open: what lies below the horizon of a snapshot is settled, whatever commits later, and is in no later window. So each committed version of a row is read once, in
//! whatever order transactions commit; an open one only delays its rows. The cursor's column keeps old rows out, for which an index spares the scan.
//! Source: "pg_snapshot" in the manual, and `GetSnapshotData` in the server's procarray.c.

use std::time::Duration;

use arrow::datatypes::Field;
use chrono::{DateTime, NaiveTime, SecondsFormat, Utc};
use headwater_engine::connector::{CursorRequest, Position, Reading, SourceObject, SourceRequest, judge_column};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::Cursor;
use headwater_pipelines::spec::{CursorNulls, Reach};
use serde::{Deserialize, Serialize};

use super::names::{ident, literal};
use super::patience::Patience;
use super::relation::{self, ColumnMeta, Relation};
use super::session::Session;
use super::snapshot::SETTINGS;
use super::types::MIN_BARE_SCALE;
use super::written::{Sight, WAY_OUT, Written, in_range, judge_server, still_there, written};

/// How far behind the largest time late rows are looked for, unless the spec says otherwise.
const LOOKBACK: Duration = Duration::from_secs(24 * 3600);

/// Oid of `date`.
const DATE: u32 = 1082;

/// No clock of the world is further behind UTC.
const WEST: &str = "interval '12 hours'";

/// Rows to read, and how far they reach.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Conditions that all of them meet.
    pub conditions: Vec<String>,
    /// Whether it is a small part of the table.
    pub is_bounded: bool,
    pub position: Option<Position>,
    /// What a reader of the run should know: what keeps rows from being read now, and how far back it looks.
    pub notes: Vec<String>,
}

/// A position as it is kept. All its values are texts of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// The largest value of the cursor, or the time of the server if it is ahead of it; absent while there are no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Absent for sources whose rows don't say who wrote them, and once a person has it forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<Written>,
}

/// The scale of a cursor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Instant,
    /// A date or time without a zone.
    Local,
    Integer,
    Numeric,
}

/// A cursor that can be read.
pub(super) struct Reader<'a> {
    label: &'a str,
    /// What stands behind FROM.
    from: &'a str,
    cursor: &'a Cursor,
    column: &'a ColumnMeta,
    scale: Scale,
    /// Set unless the spec declares a lag.
    table: Option<&'a Relation>,
}

/// Whether a request reads rows of a table by who wrote them.
pub(super) fn reads_rows_of_a_table(request: &SourceRequest) -> bool {
    let is_window = |asked: &CursorRequest| matches!(asked.reading, Reading::After(_)) && asked.cursor.lag.is_none();
    matches!(request.object, SourceObject::Table(_)) && request.cursor.as_ref().is_some_and(is_window)
}

/// The window that a request asks for; for a plan only whether there can be one.
pub(super) async fn find(
    session: &Session,
    label: &str,
    from: &str,
    table: Option<&Relation>,
    metas: &[ColumnMeta],
    request: &CursorRequest,
    (sight, patience): (Sight, Patience),
) -> Result<Window> {
    let reader = Reader::judge(label, from, table, metas, &request.cursor)?;
    let after = match &request.reading {
        Reading::After(after) => after,
        Reading::Within(from, to) => return reader.within(*from, *to),
        Reading::Judged => {
            if let Some(table) = reader.table {
                judge_server(session, label).await?;
                reader.refuse_round(&written(session, label, table, sight).await?)?;
            }
            return Ok(Window { notes: reader.reach_note().into_iter().collect(), ..Window::default() });
        }
    };
    let after = after.as_ref().map(|after| {
        serde_json::from_value::<Stored>(after.clone()).map_err(|error| {
            EngineError::config(format!("the position of the cursor of {label} can't be read"))
                .hint(WAY_OUT)
                .caused_by(error)
        })
    });
    let after = after.transpose()?;
    if sight != Sight::Nothing {
        return reader.window(session, after, sight).await;
    }
    session.run("preparing to look for new rows", &format!("BEGIN READ ONLY; {}{SETTINGS}", patience.sql())).await?;
    let found = reader.window(session, after, sight).await;
    session.run("looking for new rows", "ROLLBACK").await?;
    found
}

impl<'a> Reader<'a> {
    fn judge(
        label: &'a str,
        from: &'a str,
        table: Option<&'a Relation>,
        metas: &'a [ColumnMeta],
        cursor: &'a Cursor,
    ) -> Result<Self> {
        let Some(name) = &cursor.column else {
            return Err(EngineError::config(format!("{label} has no position of its own"))
                .hint("name the column whose growth marks new rows, e.g. `cursor: updated_at`"));
        };
        let field =
            |meta: &ColumnMeta| Field::new(&meta.name, meta.base.read_as(MIN_BARE_SCALE).wire.arrow(), meta.nullable);
        judge_column(cursor, label, name, &metas.iter().map(field).collect::<Vec<_>>())?;
        let column = metas.iter().find(|meta| meta.name == *name);
        let column = column.ok_or_else(|| EngineError::bug(format!("the column {name} is there and is not")))?;
        let scale = match column.base.oid {
            1184 => Scale::Instant,
            1114 | DATE => Scale::Local,
            20 | 21 | 23 => Scale::Integer,
            1700 => Scale::Numeric,
            _ => {
                return Err(EngineError::config(format!("the cursor {name} of {label} is {}", column.native))
                    .hint("a cursor is a date, a time or a number that grows, e.g. updated_at or id"));
            }
        };
        let table = table.filter(|_| cursor.lag.is_none());
        let kind = table.map(|table| relation::kind_name(table.kind));
        if cursor.lag.is_none() && !table.is_some_and(Relation::is_lockable) {
            let kind = kind.unwrap_or("query");
            return Err(EngineError::config(format!("{label} is a {kind}: its rows don't say when they were written"))
                .hint("declare how far behind the largest value rows may come, e.g. `lag: 1h`, and load by keys: mode upsert"));
        }
        Ok(Self { label, from, cursor, column, scale, table })
    }

    /// The rows of an interval, whoever wrote them. Times without a zone are UTC's.
    fn within(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Window> {
        let (name, label) = (&self.column.name, self.label);
        let is_midnight = |at: DateTime<Utc>| at.time() == NaiveTime::MIN;
        match self.scale {
            Scale::Integer | Scale::Numeric => {
                return Err(EngineError::config(format!(
                    "the cursor {name} of {label} is a number, and a slice is an interval of time"
                ))
                .hint("backfill by a query with $interval_start and $interval_end, or use a time as cursor"));
            }
            Scale::Local if self.column.base.oid == DATE && !(is_midnight(from) && is_midnight(to)) => {
                return Err(EngineError::config(format!("the cursor {name} of {label} is a date, and the slice from {from} to {to} does not begin and end with a day of UTC"))
                    .hint("cut it by days of UTC: --timezone UTC --every 1d"));
            }
            Scale::Instant | Scale::Local => {}
        }
        let at = |at: DateTime<Utc>| {
            let at = format!("timestamptz {}", literal(&at.to_rfc3339_opts(SecondsFormat::Micros, true)));
            if self.scale == Scale::Local { format!("({at} AT TIME ZONE 'UTC')") } else { at }
        };
        let column = ident(name);
        let condition = format!("{column} >= {} AND {column} < {}", at(from), at(to));
        Ok(Window { conditions: vec![condition], is_bounded: true, ..Window::default() })
    }

    async fn window(&self, session: &Session, after: Option<Stored>, sight: Sight) -> Result<Window> {
        if self.table.is_some() {
            judge_server(session, self.label).await?;
        }
        let before = after.as_ref().and_then(|after| after.written.clone());
        let now = match self.table {
            Some(table) => {
                let now = written(session, self.label, table, sight).await?;
                self.refuse_round(&now)?;
                before.as_ref().map_or(Ok(()), |before| now.refuse_other_source(before, self.label))?;
                let apart = before.as_ref().map(|before| before.apart_from(&now));
                let apart = still_there(session, apart.unwrap_or_default()).await?;
                Some(now.carry(before.as_ref(), apart))
            }
            None => None,
        };
        let reach = self.reach(after.as_ref());
        let mut conditions = Vec::new();
        match &now {
            Some(now) => conditions.push(self.written_between(before.as_ref(), now, reach.as_deref())),
            None => conditions.extend(reach.clone()),
        }
        if self.cursor.nulls == Some(CursorNulls::Fail) && self.column.nullable {
            self.refuse_nulls(session).await?;
        }
        // Of rows that the next window takes, none may move the value that it looks back from.
        let over = now.as_ref().map(|now| format!("NOT ({})", in_range(now.horizon, now.end)));
        let within: Vec<String> = reach.iter().cloned().chain(over).collect();
        let value = self.largest(session, &within).await?;
        let value = value.or_else(|| after.as_ref().and_then(|after| after.value.clone()));
        let shown = match &value {
            Some(value) => format!("{} {value}", self.column.name),
            None => format!("{}, no rows yet", self.column.name),
        };
        let held = now.as_ref().and_then(|now| now.held_since.as_ref());
        let notes = held.map(|since| {
            format!("{}: a transaction is open on its server since {since}: rows that others have written since then are read once it has ended", self.label)
        });
        let to = serde_json::to_value(Stored { value, written: now })
            .map_err(|error| EngineError::bug("a position could not be written as JSON").caused_by(error))?;
        Ok(Window {
            conditions,
            is_bounded: after.is_some(),
            position: Some(Position { to, shown, must_move: false, behind: 0 }),
            notes: notes.into_iter().collect(),
        })
    }

    /// Which rows a load passes over.
    fn reach_note(&self) -> Option<String> {
        let is_time = matches!(self.scale, Scale::Instant | Scale::Local);
        let reach = match self.cursor.lookback {
            Some(Reach::Time(time)) => time,
            Some(Reach::Count(_)) => return None,
            None => LOOKBACK,
        };
        let (label, name, reach) = (self.label, &self.column.name, headwater_pipelines::duration::format(reach));
        let is_window = is_time && self.table.is_some();
        is_window.then(|| format!("{label}: rows that come with a {name} more than {reach} behind the largest are not loaded; `lookback` sets another reach"))
    }

    /// Where ids have come round, only the cursor tells new rows from old ones that carry the same ids.
    fn refuse_round(&self, now: &Written) -> Result<()> {
        let is_number = matches!(self.scale, Scale::Integer | Scale::Numeric);
        if !now.is_round() || !is_number || self.cursor.lookback.is_some() {
            return Ok(());
        }
        let name = &self.column.name;
        Err(EngineError::config(format!(
            "the server of {} has given ids of transactions twice, so they alone don't say which rows are new",
            self.label
        ))
        .hint(format!(
            "say how far behind the largest {name} rows may come, e.g. `lookback: 100000`, or use a time as cursor"
        )))
    }

    /// What transactions have written since the last load.
    fn written_between(&self, before: Option<&Written>, now: &Written, reach: Option<&str>) -> String {
        let Some(before) = before else {
            // All rows, those in reach if a person has the horizon forgotten; but for transactions whose rows the next window takes.
            let over = format!("NOT ({})", in_range(now.horizon, now.end));
            let conditions: Vec<String> = reach.map(str::to_owned).into_iter().chain([over]).collect();
            return conditions.join(" AND ");
        };
        let mut new = in_range(before.horizon, now.horizon);
        if let Some(reach) = reach {
            let old = before.whole_to.map(|end| format!(" OR {}", in_range(before.horizon, end))).unwrap_or_default();
            new = format!("{new} AND ({reach}{old})");
        }
        let added: Vec<&u32> = now.files.keys().filter(|table| !before.files.contains_key(table)).collect();
        let (back, added): (Vec<&u32>, Vec<&u32>) =
            added.into_iter().partition(|table| before.apart.contains_key(table));
        if !added.is_empty() {
            // Partitions of which no row was read yet.
            let added: Vec<String> = added.into_iter().map(u32::to_string).collect();
            let over = in_range(now.horizon, now.end);
            new = format!("({new}) OR (tableoid IN ({}) AND NOT ({over}))", added.join(", "));
        }
        for table in back {
            // Partitions that were detached for a while: what was written into them since they were read.
            let since = in_range(before.apart[table].horizon, now.horizon);
            new = format!("({new}) OR (tableoid = {table} AND {since})");
        }
        format!("({new})")
    }

    /// Values behind the largest of the last load, less how late rows may come; `None` if there is no such value.
    fn reach(&self, after: Option<&Stored>) -> Option<String> {
        let value = literal(after?.value.as_ref()?);
        let distance = self.cursor.lookback.or(self.cursor.lag);
        let column = ident(&self.column.name);
        let since = after.and_then(|after| after.written.as_ref()?.writer_since.as_deref());
        let bound = match self.scale {
            Scale::Instant | Scale::Local => {
                let kind = &self.column.unlimited;
                let time = match distance {
                    Some(Reach::Time(time)) => time,
                    _ => LOOKBACK,
                };
                let bound = format!("CAST({value} AS {kind}) - interval '{} milliseconds'", time.as_millis());
                match since.map(literal) {
                    Some(since) if self.scale == Scale::Instant => format!("least({bound}, timestamptz {since})"),
                    Some(since) => format!("least({bound}, timestamptz {since} AT TIME ZONE 'UTC' - {WEST})"),
                    None => bound,
                }
            }
            Scale::Integer | Scale::Numeric => {
                // One number that is far ahead would keep all later ones out, and rows that change keep theirs. So unless the spec says how far, all rows count.
                let Some(Reach::Count(count)) = distance else { return None };
                let bound = format!("CAST({value} AS numeric) - {count}");
                match self.scale {
                    Scale::Integer => format!("CAST(greatest({bound}, {}) AS bigint)", i64::MIN),
                    _ => bound,
                }
            }
        };
        let nulls = if self.cursor.nulls == Some(CursorNulls::Include) {
            format!(" OR {column} IS NULL")
        } else {
            String::new()
        };
        Some(format!("({column} >= {bound}{nulls})"))
    }

    /// The largest value of rows that meet conditions. A value of the future, or no number, would keep all later rows out.
    async fn largest(&self, session: &Session, within: &[String]) -> Result<Option<String>> {
        let column = ident(&self.column.name);
        // `least` passes over NULL: without a row there is no value, and every row is new to the next window.
        let at_most =
            |most: String| format!("CASE WHEN max({column}) IS NOT NULL THEN least(max({column}), {most}) END");
        let largest = match self.scale {
            Scale::Instant => at_most("now()".to_owned()),
            Scale::Local => {
                let kind = &self.column.unlimited;
                at_most(format!("CAST(now() AT TIME ZONE 'UTC' - {WEST} AS {kind})"))
            }
            Scale::Integer => format!("max({column})"),
            Scale::Numeric => format!("max({column}) FILTER (WHERE {column} < 'Infinity')"),
        };
        let within = if within.is_empty() { String::new() } else { format!(" WHERE {}", within.join(" AND ")) };
        let sql = format!("SELECT CAST({largest} AS text) FROM {}{within}", self.from);
        session.value("looking for the largest value of the cursor", &sql).await
    }

    async fn refuse_nulls(&self, session: &Session) -> Result<()> {
        let column = ident(&self.column.name);
        let sql = format!("SELECT 1 FROM {} WHERE {column} IS NULL LIMIT 1", self.from);
        match session.value("looking for rows without a cursor", &sql).await? {
            None => Ok(()),
            Some(_) => {
                Err(EngineError::data(format!("{}: the cursor {} is NULL in some rows", self.label, self.column.name))
                    .hint("fill them in, or read such rows each time they change: `cursor_nulls: include`"))
            }
        }
    }
}
