//! Which transactions a load holds, of which server and which files of a table.

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::{EngineError, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::relation::{self, Relation, number, optional, text};
use super::session::Session;

/// Transaction ids in rows have 32 bits and come round.
const ROUND: u64 = 1 << 32;

/// No clock of the world is further ahead of UTC.
const EAST: &str = "interval '14 hours'";

/// The first server that says which transactions a snapshot sees and reads ranges of a table.
const OLDEST_SERVER: u32 = 140_000;

/// Transactions that may begin and commit between an older snapshot and the one that the rows are read in. Their rows are left to the next window too.
const MARGIN: u64 = 1 << 24;

/// What a session sees while it looks for new rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// The snapshot in which the rows are read.
    Snapshot,
    /// One that is older than that, because a pooler keeps sessions from sharing theirs: what is settled for it is settled for the other.
    Older,
    /// It is in no transaction.
    Nothing,
}

pub(super) const WAY_OUT: &str = "load everything again: headwater run NAME --full-refresh; or, for a load by keys, go on from the value of the cursor: headwater cursors reset NAME --keep-value";

/// Which transactions a load holds, of which tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Written {
    /// Everything that transactions below it have written is read.
    pub(super) horizon: u64,
    /// What transactions from the horizon up to this one have written is passed over.
    #[serde(skip)]
    pub(super) end: u64,
    /// No transaction had ended from here on (`pg_snapshot_xmax`): those that are open may lie on both sides.
    #[serde(skip)]
    pub(super) next: u64,
    /// Set from a read of whole tables until the horizon has come here: it has passed over the rows of transactions up to here, which may be as old as any. So
    /// windows take them whatever their cursor is. On a server whose ids have come round, rows that are much older carry ids of those transactions too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) whole_to: Option<u64>,
    system: String,
    timeline: u32,
    database: u32,
    /// By its oid the file of each table that holds rows.
    pub(super) files: BTreeMap<u32, u32>,
    /// By their oids the partitions that are detached and were read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) apart: BTreeMap<u32, Apart>,
    /// When the oldest transaction began that was open, and may have been writing; what it writes may carry that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) writer_since: Option<String>,
    /// Since when a transaction keeps rows of later ones from being settled, if that is not just now.
    #[serde(skip)]
    pub(super) held_since: Option<String>,
}

/// A partition that is detached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Apart {
    /// The file that held its rows.
    file: u32,
    /// Everything that transactions below it have written into it is read.
    pub(super) horizon: u64,
}

impl Written {
    /// Partitions that were read before and are none now.
    pub(super) fn apart_from(&self, now: &Self) -> BTreeMap<u32, Apart> {
        let read = self.files.iter().map(|(table, file)| (*table, Apart { file: *file, horizon: self.horizon }));
        let known = self.apart.iter().map(|(table, apart)| (*table, *apart));
        known.chain(read).filter(|(table, _)| !now.files.contains_key(table)).collect()
    }

    /// Whether the server has given ids twice, as far as rows name them.
    pub(super) fn is_round(&self) -> bool {
        self.end >= ROUND
    }

    /// A position of another server, of tables that were written anew, or of a time that is over.
    pub(super) fn refuse_other_source(&self, before: &Self, label: &str) -> Result<()> {
        let now = self;
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
        let apart = before.apart.iter().map(|(table, apart)| (table, &apart.file));
        let mut read = before.files.iter().chain(apart);
        if read.any(|(table, file)| now.files.get(table).is_some_and(|now| now != file)) {
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

    /// Keeps what an earlier read of whole tables has left, until the horizon has come to its end.
    pub(super) fn carry(self, before: Option<&Self>, apart: BTreeMap<u32, Apart>) -> Self {
        let is_whole = before.is_none_or(|before| self.files.keys().any(|table| !before.files.contains_key(table)));
        let end = if self.is_round() { self.end } else { self.next };
        let whole_to = if is_whole { Some(end) } else { before.and_then(|before| before.whole_to) };
        Self { whole_to: whole_to.filter(|end| self.horizon < *end), apart, ..self }
    }
}

/// Whether the server says what a window needs.
pub(super) async fn judge_server(session: &Session, label: &str) -> Result<()> {
    let version = session.value("asking for the version", "SHOW server_version_num").await?;
    if version.and_then(|version| version.parse::<u32>().ok()).is_none_or(|version| version < OLDEST_SERVER) {
        return Err(EngineError::config(format!("{label} is on a server that does not say which rows are new"))
            .hint("cursors need Postgres 14 or newer; declare a `lag` and load by keys: mode upsert"));
    }
    Ok(())
}

/// Whether a row was written by a transaction from `start` to `end`, which it names by its last 32 bits.
pub(super) fn in_range(start: u64, end: u64) -> String {
    match end.saturating_sub(start) {
        0 => "false".to_owned(),
        length if length >= ROUND => "true".to_owned(),
        length => format!("(CAST(CAST(xmin AS text) AS bigint) - {} + {ROUND}) % {ROUND} < {length}", start % ROUND),
    }
}

/// Where the server is, and which files hold the table's rows.
pub(super) async fn written(session: &Session, label: &str, table: &Relation, sight: Sight) -> Result<Written> {
    let since = format!(
        "SELECT min(since) FROM (
           SELECT xact_start AS since FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
           UNION ALL SELECT prepared - {EAST} FROM pg_prepared_xacts WHERE database = current_database()) w"
    );
    // Of others' transactions not every role may see when they began. Unknown is any time, but where the cursor has to tell new rows from old ones with the same ids.
    let since = format!(
        "CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') OR pg_snapshot_xmin(s) = pg_snapshot_xmax(s)
           OR CAST(CAST(pg_snapshot_xmax(s) AS text) AS numeric) >= {ROUND} THEN ({since}) ELSE '-infinity' END"
    );
    let sql = format!(
        "SELECT pg_snapshot_xmin(s), pg_snapshot_xmax(s), (SELECT system_identifier FROM pg_control_system()),
                (SELECT timeline_id FROM pg_control_checkpoint()), (SELECT oid FROM pg_database WHERE datname = current_database()), {since},
                (SELECT min(xact_start) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND xact_start < now() - interval '1 minute')
         FROM pg_current_snapshot() s"
    );
    let rows = session.rows("looking for the horizon of transactions", &sql).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    Ok(Written {
        horizon: number(&row, 0)?,
        end: number::<u64>(&row, 1)? + if sight == Sight::Snapshot { 0 } else { MARGIN },
        next: number(&row, 1)?,
        whole_to: None,
        system: text(&row, 2)?,
        timeline: number(&row, 3)?,
        database: number(&row, 4)?,
        files: files(session, label, table).await?,
        apart: BTreeMap::new(),
        writer_since: optional(&row, 5),
        held_since: optional(&row, 6),
    })
}

/// Those of detached partitions that were not dropped.
pub(super) async fn still_there(session: &Session, apart: BTreeMap<u32, Apart>) -> Result<BTreeMap<u32, Apart>> {
    if apart.is_empty() {
        return Ok(apart);
    }
    let oids: Vec<String> = apart.keys().map(u32::to_string).collect();
    let sql = format!("SELECT oid FROM pg_class WHERE oid IN ({})", oids.join(", "));
    let rows = session.rows("looking for detached partitions", &sql).await?;
    let there = rows.iter().map(|row| number(row, 0)).collect::<Result<BTreeSet<u32>>>()?;
    Ok(apart.into_iter().filter(|(table, _)| there.contains(table)).collect())
}

/// The files that hold a table's rows, with those of its partitions and heirs, as the session's snapshot sees them.
async fn files(session: &Session, label: &str, table: &Relation) -> Result<BTreeMap<u32, u32>> {
    let sql = format!(
        "WITH RECURSIVE t (oid) AS (SELECT oid '{}' UNION SELECT i.inhrelid FROM pg_inherits i JOIN t ON i.inhparent = t.oid)
         SELECT c.oid, c.relfilenode, c.relkind FROM t JOIN pg_class c ON c.oid = t.oid WHERE c.relkind <> 'p' ORDER BY 1",
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

    fn at(horizon: u64, tables: &[u32]) -> Written {
        let files = tables.iter().map(|table| (*table, 1)).collect();
        let (system, timeline, database) = (String::new(), 1, 1);
        Written {
            horizon,
            end: horizon + MARGIN,
            next: horizon + 2,
            whole_to: None,
            system,
            timeline,
            database,
            files,
            apart: BTreeMap::new(),
            writer_since: None,
            held_since: None,
        }
    }

    #[test]
    fn what_a_whole_read_has_passed_over_is_kept_until_the_horizon_has_come_to_its_end() {
        let none = BTreeMap::new;
        let first = at(ROUND + 7, &[1]).carry(None, none());
        assert_eq!(first.whole_to, Some(ROUND + 7 + MARGIN));
        let second = at(ROUND + 9, &[1]).carry(Some(&first), none());
        assert_eq!(second.whole_to, first.whole_to);
        assert_eq!(at(ROUND + 7 + MARGIN, &[1]).carry(Some(&second), none()).whole_to, None);
        assert_eq!(
            at(ROUND + 11, &[1, 2]).carry(Some(&second), none()).whole_to,
            Some(ROUND + 11 + MARGIN),
            "a partition is read whole"
        );
        let young = at(7, &[1]).carry(None, none());
        assert_eq!(young.whole_to, Some(9), "rows of transactions that had begun may be old ones");
        assert_eq!(at(9, &[1]).carry(Some(&young), none()).whole_to, None);
    }

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
