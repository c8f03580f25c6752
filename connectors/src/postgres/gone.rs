//! Rows of the target that are gone at the source: found by comparing keys on the server, then deleted or marked, or ended where the target keeps history.
//!
//! Everything is compared before the rows are merged: what a load brings is never gone. The keys of rows that are gone stand in a temporary table first, so that
//! a load which finds too many fails before it has touched one.

use headwater_engine::connector::{Changes, DELETED, refuse_too_many};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::{DELETED_AT, Deletes, IS_CURRENT, VALID_FROM, VALID_TO};

use super::keyed::{Merge, ROWS, counted};
use super::names::{ident, list};
use super::relation::number;
use super::session::Session;
use super::target::Fit;

/// The temporary table of all keys of the source.
pub(super) const KEYS: &str = "_hw_keys";

/// The temporary table of the keys that are gone.
const GONE: &str = "_hw_gone";

/// What a merge deletes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removal<'a> {
    pub deletes: &'a Deletes,
    /// The target, for messages.
    pub label: &'a str,
    /// Whether the source's keys were scanned: they are in [`KEYS`] then.
    pub is_scanned: bool,
}

impl Removal<'_> {
    /// Whether the rows say which of them are gone.
    pub(super) fn is_flagged(&self) -> bool {
        self.deletes.when.is_some()
    }

    /// Whether a marked row whose key the scan has found is live again, though no row of it comes: it was restored as it had been. Where rows say that they are
    /// gone, the source keeps them.
    fn revives(&self) -> bool {
        self.is_scanned && self.deletes.is_soft() && !self.is_flagged()
    }

    /// Rows of the target `t` that can be gone. One without a key belongs to none of the source's rows, and one that is marked or has ended is gone already.
    fn is_live(&self, keys: &[String]) -> String {
        let mut conditions: Vec<String> = keys.iter().map(|key| format!("t.{} IS NOT NULL", ident(key))).collect();
        if self.deletes.is_soft() {
            conditions.push(format!("t.{} IS NULL", ident(DELETED_AT)));
        }
        if self.deletes.closes() {
            conditions.push(format!("t.{}", ident(IS_CURRENT)));
        }
        conditions.join(" AND ")
    }
}

/// The statement that makes the temporary table of all keys.
pub(super) fn create_keys(fit: &Fit, into: &str) -> String {
    format!("CREATE TEMP TABLE {KEYS} ON COMMIT DROP AS SELECT {} FROM {into} WITH NO DATA", fit.names())
}

impl Merge<'_> {
    /// Deletes, marks or ends what is gone, and takes the mark from what is there again; how many rows that are. `winners` stands behind FROM.
    pub(super) async fn remove(&self, session: &Session, removal: &Removal<'_>, winners: &str) -> Result<Changes> {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("t.{}", ident(key))).collect();
        let (into, keys, live) = (self.into, keys.join(", "), removal.is_live(self.keys));
        let missing = self.missing(removal);
        let condition = missing.as_deref().unwrap_or("false");
        let create = format!(
            "CREATE TEMP TABLE {GONE} ON COMMIT DROP AS SELECT {keys} FROM {into} AS t WHERE {live} AND {condition}"
        );
        session.run("looking for rows that are gone", &create).await?;
        if missing.is_some() {
            self.refuse_too_many(session, removal, &live).await?;
        }
        if removal.is_flagged() {
            let insert = format!(
                "INSERT INTO {GONE} SELECT {keys} FROM {into} AS t JOIN (SELECT * FROM {winners}) AS r ON {} WHERE {live} AND r.{}",
                self.same_key("t", "r"),
                ident(DELETED)
            );
            session.run("looking for rows that say they are gone", &insert).await?;
        }
        session.run("looking at the rows that are gone", &format!("ANALYZE {GONE}")).await?;
        let gone = format!("(SELECT DISTINCT {} FROM {GONE}) AS r", list(self.keys.iter().map(String::as_str)));
        let same = self.same_key("t", "r");
        let set = match removal.deletes {
            deletes if deletes.is_soft() => Some(format!("{} = now()", ident(DELETED_AT))),
            // A version that was to begin later has held for a moment: no two versions of a key begin at one time.
            deletes if deletes.closes() => Some(format!(
                "{} = greatest(now(), t.{} + interval '1 microsecond'), {} = false",
                ident(VALID_TO),
                ident(VALID_FROM),
                ident(IS_CURRENT)
            )),
            _ => None,
        };
        let statement = match set {
            Some(set) => format!("UPDATE {into} AS t SET {set} FROM {gone} WHERE {same} AND {live}"),
            None => format!("DELETE FROM {into} AS t USING {gone} WHERE {same}"),
        };
        let removed = counted(session, &format!("{statement} RETURNING false AS is_new")).await;
        let deleted = removed.map_err(|error| refused(error, removal))?.updated;
        let updated = if removal.revives() { self.revive(session).await? } else { 0 };
        Ok(Changes { deleted, updated, ..Changes::default() })
    }

    async fn revive(&self, session: &Session) -> Result<u64> {
        let (into, same, mark) = (self.into, self.same_key("t", "r"), ident(DELETED_AT));
        let update = format!(
            "UPDATE {into} AS t SET {mark} = NULL FROM {KEYS} AS r WHERE {same} AND t.{mark} IS NOT NULL AND {} RETURNING false AS is_new",
            self.has_none_of(ROWS)
        );
        Ok(counted(session, &update).await?.updated)
    }

    /// That a row of the target `t` has none of the keys of a table.
    fn has_none_of(&self, table: &str) -> String {
        format!("NOT EXISTS (SELECT 1 FROM {table} AS a WHERE {})", self.same_key("t", "a"))
    }

    /// When a row of the target `t` is missing from the source, if they are compared.
    fn missing(&self, removal: &Removal<'_>) -> Option<String> {
        match (removal.is_scanned, removal.deletes.compares_rows()) {
            // A row that was inserted behind the scan's snapshot may be among the load's own.
            (true, _) => Some(format!("{} AND {}", self.has_none_of(KEYS), self.has_none_of(ROWS))),
            (false, true) => Some(self.has_none_of(ROWS)),
            (false, false) => None,
        }
    }

    async fn refuse_too_many(&self, session: &Session, removal: &Removal<'_>, live: &str) -> Result<()> {
        let sql =
            format!("SELECT (SELECT count(*) FROM {GONE}), (SELECT count(*) FROM {} AS t WHERE {live})", self.into);
        let row = session.rows("counting rows that are gone", &sql).await?.into_iter().next().unwrap_or_default();
        refuse_too_many(removal.deletes, removal.label, number(&row, 0)?, number(&row, 1)?)
    }
}

/// Names the table and the way out where other tables need a row that is gone.
fn refused(error: EngineError, removal: &Removal<'_>) -> EngineError {
    let doing = match removal.deletes {
        deletes if deletes.is_soft() => "marking",
        deletes if deletes.closes() => "ending",
        _ => "deleting",
    };
    let message = format!("{doing} rows of {} that are gone at the source: {}", removal.label, error.message);
    EngineError { message, ..error }
}
