//! Rows of a table that a load does not hold yet, found by who wrote them.
//!
//! Every version of a row carries the transaction that wrote it (`xmin`). A window reaches from the horizon of the last load to the oldest transaction that is still
//! open: what lies below the horizon of a snapshot is settled, whatever commits later, and is in no later window. So each committed version of a row is read once, in
//! whatever order transactions commit; an open one only delays its rows. The cursor's column keeps old rows out, for which an index spares the scan.
//! Source: "pg_snapshot" in the manual, and `GetSnapshotData` in the server's procarray.c.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::datatypes::Field;
use headwater_engine::connector::{CursorRequest, Position, Reading, judge_column};
use headwater_engine::{EngineError, ErrorKind, Result};
use headwater_pipelines::plan::Cursor;
use headwater_pipelines::spec::{CursorNulls, Reach};
use serde::{Deserialize, Serialize};

use super::names::{ident, literal};
use super::relation::{self, ColumnMeta, Relation, number, optional, text};
use super::session::Session;
use super::snapshot::SETTINGS;
use super::types::MIN_BARE_SCALE;

/// Transaction ids in rows have 32 bits and come round.
const ROUND: u64 = 1 << 32;

/// How far behind the largest time late rows are looked for, unless the spec says otherwise.
const LOOKBACK: Duration = Duration::from_secs(24 * 3600);

/// No clock of the world is further behind UTC, and none further ahead.
const WEST: &str = "interval '12 hours'";
const EAST: &str = "interval '14 hours'";

/// The first server that says which transactions a snapshot sees and reads ranges of a table.
const OLDEST_SERVER: u32 = 140_000;

/// Transactions that may begin and commit between the look at the horizon and the snapshot that the rows are read in. Their rows are left to the next window too.
const MARGIN: u64 = 1 << 24;

const WAY_OUT: &str = "load everything again: headwater run NAME --full-refresh; or, for a load by keys, go on from the value of the cursor: headwater cursors reset NAME --keep-value";

/// Rows to read, and how far they reach.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Conditions that all of them meet.
    pub conditions: Vec<String>,
    /// Whether it is a small part of the table.
    pub is_bounded: bool,
    pub position: Option<Position>,
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

/// Which transactions a load holds, of which tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Written {
    /// Everything that transactions below it have written is read.
    horizon: u64,
    /// The load passed over what transactions from the horizon up to this one have written.
    end: u64,
    /// It read tables as a whole. If ids have come round, rows that are much older carry those of the transactions that it passed over, so the next window takes them
    /// whatever their cursor is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_whole: bool,
    system: String,
    timeline: u32,
    database: u32,
    /// By its oid the file of each table that holds rows.
    files: BTreeMap<u32, u32>,
    /// When the oldest transaction began that was open, and may have been writing; what it writes may carry that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer_since: Option<String>,
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

/// The window that a request asks for; for a plan only whether there can be one.
pub(super) async fn find(
    session: &Session,
    label: &str,
    from: &str,
    table: Option<&Relation>,
    metas: &[ColumnMeta],
    request: &CursorRequest,
) -> Result<Window> {
    let reader = Reader::judge(label, from, table, metas, &request.cursor)?;
    let Reading::After(after) = &request.reading else {
        reader.judge_server(session).await?;
        return Ok(Window::default());
    };
    let after = after.as_ref().map(|after| {
        serde_json::from_value::<Stored>(after.clone()).map_err(|error| {
            EngineError::config(format!("the position of the cursor of {label} can't be read"))
                .hint(WAY_OUT)
                .caused_by(error)
        })
    });
    session.run("preparing to look for new rows", &format!("BEGIN READ ONLY; {SETTINGS}")).await?;
    let found = reader.window(session, after.transpose()?).await;
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
            1114 | 1082 => Scale::Local,
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

    /// Whether the server says what a window needs.
    async fn judge_server(&self, session: &Session) -> Result<()> {
        let Some(table) = self.table else { return Ok(()) };
        let version = session.value("asking for the version", "SHOW server_version_num").await?;
        if version.and_then(|version| version.parse::<u32>().ok()).is_none_or(|version| version < OLDEST_SERVER) {
            return Err(EngineError::config(format!(
                "{} is on a server that does not say which rows are new",
                self.label
            ))
            .hint("cursors need Postgres 14 or newer; declare a `lag` and load by keys: mode upsert"));
        }
        files(session, self.label, table).await.map(|_| ())
    }

    async fn window(&self, session: &Session, after: Option<Stored>) -> Result<Window> {
        self.judge_server(session).await?;
        let before = after.as_ref().and_then(|after| after.written.clone());
        // The horizon is older than the snapshot that the rows are read in: what is settled for the one is settled for the other.
        let now = match self.table {
            Some(table) => {
                let now = written(session, self.label, table).await?;
                before.as_ref().map_or(Ok(()), |before| self.refuse_other_source(before, &now))?;
                let is_whole = before
                    .as_ref()
                    .is_none_or(|before| now.files.keys().any(|table| !before.files.contains_key(table)));
                Some(Written { is_whole, ..now })
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
        let to = serde_json::to_value(Stored { value, written: now })
            .map_err(|error| EngineError::bug("a position could not be written as JSON").caused_by(error))?;
        Ok(Window { conditions, is_bounded: after.is_some(), position: Some(Position { to, shown }) })
    }

    /// A position of another server, of tables that were written anew, or of a time that is over.
    fn refuse_other_source(&self, before: &Written, now: &Written) -> Result<()> {
        let label = self.label;
        let refused = |what: String| Err(EngineError::new(ErrorKind::Config, what).hint(WAY_OUT));
        if (&before.system, before.database) != (&now.system, now.database) {
            return refused(format!("{label} is on another server or in another database than at the last load"));
        }
        if before.timeline != now.timeline {
            return refused(format!(
                "the server of {label} was restored or failed over since the last load, and may have lost or repeated transactions"
            ));
        }
        if now.horizon < before.horizon {
            return refused(format!(
                "the transactions of {label} are behind those of the last load: the server is another one, or was restored"
            ));
        }
        let rewritten = before.files.iter().find(|(table, file)| now.files.get(table).is_some_and(|now| now != *file));
        if rewritten.is_some() {
            return refused(format!(
                "{label} was rewritten since the last load (ALTER TABLE, TRUNCATE, VACUUM FULL, CLUSTER): its rows don't say any more when they were written"
            ));
        }
        let is_there = |table: &u32| now.files.contains_key(table);
        if !before.files.is_empty() && !before.files.keys().any(is_there) {
            return refused(format!("{label} was made anew since the last load"));
        }
        Ok(())
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
            let is_round = before.is_whole && before.end >= ROUND;
            let old = if is_round { format!(" OR {}", in_range(before.horizon, before.end)) } else { String::new() };
            new = format!("{new} AND ({reach}{old})");
        }
        let added: Vec<&u32> = now.files.keys().filter(|table| !before.files.contains_key(table)).collect();
        if !added.is_empty() {
            // Partitions of which no row was read yet.
            let added: Vec<String> = added.into_iter().map(u32::to_string).collect();
            let over = in_range(now.horizon, now.end);
            new = format!("({new}) OR (tableoid IN ({}) AND NOT ({over}))", added.join(", "));
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
        let largest = match self.scale {
            Scale::Instant => format!("least(max({column}), now())"),
            Scale::Local => {
                let kind = &self.column.unlimited;
                format!("least(max({column}), CAST(now() AT TIME ZONE 'UTC' - {WEST} AS {kind}))")
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

/// Whether a row was written by a transaction from `start` to `end`, which it names by its last 32 bits.
fn in_range(start: u64, end: u64) -> String {
    match end.saturating_sub(start) {
        0 => "false".to_owned(),
        length if length >= ROUND => "true".to_owned(),
        length => format!("(CAST(CAST(xmin AS text) AS bigint) - {} + {ROUND}) % {ROUND} < {length}", start % ROUND),
    }
}

/// Where the server is, and which files hold the table's rows.
async fn written(session: &Session, label: &str, table: &Relation) -> Result<Written> {
    let since = format!(
        "SELECT min(since) FROM (
           SELECT xact_start AS since FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
           UNION ALL SELECT prepared - {EAST} FROM pg_prepared_xacts WHERE database = current_database()) w"
    );
    // Of others' transactions not every role may see when they began. Unknown is any time.
    let since = format!(
        "CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') OR pg_snapshot_xmin(s) = pg_snapshot_xmax(s) THEN ({since}) ELSE '-infinity' END"
    );
    let sql = format!(
        "SELECT pg_snapshot_xmin(s), pg_snapshot_xmax(s), (SELECT system_identifier FROM pg_control_system()),
                (SELECT timeline_id FROM pg_control_checkpoint()), (SELECT oid FROM pg_database WHERE datname = current_database()), {since}
         FROM pg_current_snapshot() s"
    );
    let rows = session.rows("looking for the horizon of transactions", &sql).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    Ok(Written {
        horizon: number(&row, 0)?,
        end: number::<u64>(&row, 1)? + MARGIN,
        is_whole: false,
        system: text(&row, 2)?,
        timeline: number(&row, 3)?,
        database: number(&row, 4)?,
        files: files(session, label, table).await?,
        writer_since: optional(&row, 5),
    })
}

/// The files that hold a table's rows, with those of its partitions and heirs.
async fn files(session: &Session, label: &str, table: &Relation) -> Result<BTreeMap<u32, u32>> {
    let sql = format!(
        "WITH RECURSIVE t (oid) AS (SELECT oid '{}' UNION SELECT i.inhrelid FROM pg_inherits i JOIN t ON i.inhparent = t.oid)
         SELECT c.oid, coalesce(pg_relation_filenode(c.oid), 0), c.relkind FROM t JOIN pg_class c ON c.oid = t.oid WHERE c.relkind <> 'p' ORDER BY 1",
        table.oid
    );
    let mut files = BTreeMap::new();
    for row in session.rows("looking for the table's files", &sql).await? {
        if relation::letter(&row, 2) != Some('r') {
            return Err(EngineError::config(format!(
                "{label} has a foreign table as partition, whose rows don't say when they were written"
            ))
            .hint(
                "declare how far behind the largest value rows may come, e.g. `lag: 1h`, and load by keys: mode upsert",
            ));
        }
        files.insert(number(&row, 0)?, number(&row, 1)?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_transactions_are_compared_where_they_come_round() {
        assert_eq!(in_range(7, 7), "false");
        assert_eq!(in_range(7, 7 + ROUND), "true");
        assert_eq!(
            in_range(ROUND + 5, ROUND + 9),
            "(CAST(CAST(xmin AS text) AS bigint) - 5 + 4294967296) % 4294967296 < 4"
        );
    }
}
