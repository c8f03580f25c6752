//! Loads that keep history: a row that has changed ends the version that held and opens another one.
//!
//! Other loads of the table wait, so that a key has at most one version that holds.

use headwater_engine::Result;
use headwater_engine::connector::{Changes, late_rows};
use headwater_pipelines::plan::{HISTORY_COLUMNS, History, IS_CURRENT, VALID_FROM, VALID_TO};

use super::keyed::{Merge, NAMED_KEYS, counted, differ};
use super::names::ident;
use super::relation::text;
use super::session::Session;
use super::target::Written;

/// The column that says when the last version of a key has ended.
const ENDED: &str = "_hw_ended";

impl Merge<'_> {
    /// Ends versions, opens others, and brings what is not tracked up to date. `winners` stands behind FROM and has each key once.
    pub(super) async fn keep_history(
        &self,
        session: &Session,
        history: &History,
        winners: &str,
        rows: u64,
    ) -> Result<Changes> {
        let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.into);
        session.run("locking the target", &lock).await?;
        let ended = match &self.removal {
            Some(removal) => self.remove(session, removal, winners).await?.deleted,
            None => 0,
        };
        let is_tracked = |column: &&Written| history.tracks(&column.name, self.keys, self.order_by);
        let changed = differ(self.others().filter(is_tracked), "t", "r");
        let holds = format!("{} AND t.{}", self.same_key("t", "r"), ident(IS_CURRENT));
        self.refuse_late(session, winners, &format!("{holds} AND ({changed}) AND ({})", self.is_late("<="))).await?;
        let until = match self.closes() {
            true => format!("greatest(r.{0}, t.{0} + interval '1 microsecond')", ident(VALID_FROM)),
            false => format!("r.{}", ident(VALID_FROM)),
        };
        let close = format!(
            "UPDATE {} AS t SET {} = {until}, {} = false FROM (SELECT * FROM {winners}) AS r WHERE {holds} AND ({changed}) RETURNING false AS is_new",
            self.into,
            ident(VALID_TO),
            ident(IS_CURRENT)
        );
        let closed = counted(session, &close).await?.updated;
        let is_plain = |column: &&Written| !is_tracked(column) && !HISTORY_COLUMNS.contains(&column.name.as_str());
        let plain: Vec<&Written> = self.others().filter(is_plain).collect();
        let corrected = match plain.is_empty() {
            true => 0,
            false => self.correct(session, winners, &holds, &plain).await?,
        };
        let names = self.fit.names();
        let begin = match self.closes() {
            true => self.since_the_last_end(winners),
            false => format!("SELECT {names} FROM (SELECT * FROM {winners}) AS r"),
        };
        self.refuse_overlap(session, winners).await?;
        let open = format!(
            "INSERT INTO {0} ({names}) OVERRIDING SYSTEM VALUE {begin}
             WHERE NOT EXISTS (SELECT 1 FROM {0} AS t WHERE {holds}) RETURNING true AS is_new",
            self.into
        );
        let inserted = counted(session, &open).await?.inserted;
        let unchanged = rows.saturating_sub(inserted + corrected);
        Ok(Changes { inserted, updated: closed + corrected, deleted: ended, unchanged })
    }

    /// Whether versions end whose keys are gone at the source.
    fn closes(&self) -> bool {
        self.removal.is_some_and(|removal| removal.deletes.closes())
    }

    /// Selects the versions that begin, of rows `r`. A key that was found gone is back, and its row may be older than that: the version begins where the last one ended.
    fn since_the_last_end(&self, winners: &str) -> String {
        let value = |column: &Written| match column.name == VALID_FROM {
            true => format!("greatest(r.{}, e.{ENDED})", ident(VALID_FROM)),
            false => format!("r.{}", ident(&column.name)),
        };
        let values: Vec<String> = self.fit.columns.iter().map(value).collect();
        let keys: Vec<String> = self.keys.iter().map(|key| format!("t.{}", ident(key))).collect();
        format!(
            "SELECT {} FROM (SELECT * FROM {winners}) AS r
             LEFT JOIN (SELECT {keys}, max(t.{}) AS {ENDED} FROM {} AS t JOIN (SELECT * FROM {winners}) AS w ON {} GROUP BY {keys}) AS e ON {}",
            values.join(", "),
            ident(VALID_TO),
            self.into,
            self.same_key("t", "w"),
            self.same_key("e", "r"),
            keys = keys.join(", ")
        )
    }

    /// Refuses rows that would begin while an earlier version still held, which others have ended.
    async fn refuse_overlap(&self, session: &Session, winners: &str) -> Result<()> {
        let ends_later = match self.closes() {
            true => String::new(),
            false => format!(" OR t.{} > r.{}", ident(VALID_TO), ident(VALID_FROM)),
        };
        let ends_later = format!(
            "{} AND (t.{} IS NULL{ends_later}) AND NOT EXISTS (SELECT 1 FROM {} AS c WHERE {} AND c.{})",
            self.same_key("t", "r"),
            ident(VALID_TO),
            self.into,
            self.same_key("c", "r"),
            ident(IS_CURRENT)
        );
        self.refuse_late(session, winners, &ends_later).await
    }

    /// What is not tracked has no history: the version that holds has it as it is.
    async fn correct(&self, session: &Session, winners: &str, holds: &str, plain: &[&Written]) -> Result<u64> {
        let set: Vec<String> = plain.iter().map(|column| format!("{0} = r.{0}", ident(&column.name))).collect();
        let update = format!(
            "UPDATE {} AS t SET {} FROM (SELECT * FROM {winners}) AS r WHERE {holds} AND ({}) AND NOT ({}) RETURNING false AS is_new",
            self.into,
            set.join(", "),
            differ(plain.iter().copied(), "t", "r"),
            self.is_late("<")
        );
        Ok(counted(session, &update).await?.updated)
    }

    /// Whether a row is older than the version that holds, `<`, or no newer, `<=`: since when it holds, or as it was last seen. A version of a key that came back holds since
    /// the one before has ended, which says nothing of its row.
    fn is_late(&self, operator: &str) -> String {
        let compared = |column: &str| format!("coalesce(r.{0} {operator} t.{0}, false)", ident(column));
        if let Some(column) = self.order_by.filter(|_| self.closes()) {
            return compared(column);
        }
        let seen = self.order_by.map(|column| format!(" OR {}", compared(column))).unwrap_or_default();
        format!("{}{seen}", compared(VALID_FROM))
    }

    /// A version can't begin before another one of its key has ended. The condition is over versions `t` and rows `r`.
    async fn refuse_late(&self, session: &Session, winners: &str, condition: &str) -> Result<()> {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("r.{}", ident(key))).collect();
        let sql = format!(
            "SELECT DISTINCT CAST(ROW({}) AS text) FROM {} AS t JOIN (SELECT * FROM {winners}) AS r ON {condition} ORDER BY 1 LIMIT {NAMED_KEYS}",
            keys.join(", "),
            self.into
        );
        let found = session.rows("looking for rows that come late", &sql).await?;
        let named = found.iter().map(|row| text(row, 0)).collect::<Result<Vec<_>>>()?;
        if named.is_empty() { Ok(()) } else { Err(late_rows(self.keys, &named.join(" "))) }
    }
}
