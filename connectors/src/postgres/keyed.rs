//! Loads that meet rows by keys: upsert, insert_new, delete_insert and scd2.
//!
//! The rows are copied into a temporary table of the target's types first and merged from there, in the load's one transaction. Loads of one table
//! take turns (`swap::exclude_others`), so that two of them never wait for each other's rows.

use headwater_engine::connector::{Changes, DELETED, KEPT, SinkRequest};
use headwater_engine::{EngineError, Result};
use headwater_pipelines::plan::{History, VALID_FROM};
use headwater_pipelines::spec::WriteMode;

use super::alter::Alter;
use super::gone::Removal;
use super::names::{ident, list, literal};
use super::relation::{Relation, number, optional, text};
use super::session::Session;
use super::target::{Fit, Written};
use super::types::Wire;

/// The temporary table of the rows.
pub(super) const ROWS: &str = "_hw_rows";

/// The column that ranks rows of one key.
const RANK: &str = "_hw_rank";

/// Keys that an error names.
pub(super) const NAMED_KEYS: usize = 3;

/// What a keyed load is to do.
#[derive(Debug, Clone)]
pub(super) struct Merge<'a> {
    pub mode: WriteMode,
    /// The quoted path of the target.
    pub into: &'a str,
    pub keys: &'a [String],
    /// Which of several rows of one key counts: the last by this column.
    pub order_by: Option<&'a str>,
    /// How the rows are written.
    pub fit: &'a Fit,
    /// Of a partitioned table a statement can't say which rows are new.
    pub is_partitioned: bool,
    /// What becomes of rows that are gone at the source.
    pub removal: Option<Removal<'a>>,
    /// How the target keeps the versions of its rows.
    pub history: Option<&'a History>,
    /// Columns that the load adds to the target.
    pub added: Vec<&'a str>,
}

/// The columns of which a target has each value once, if its load says so.
pub(super) fn unique(request: &SinkRequest) -> Vec<String> {
    let since = request.history.iter().map(|_| VALID_FROM.to_owned());
    match request.mode {
        // An overwrite has keys if a load by keys starts over.
        WriteMode::Upsert | WriteMode::InsertNew | WriteMode::Scd2 | WriteMode::Overwrite => {
            request.keys.iter().cloned().chain(since).collect()
        }
        WriteMode::Append | WriteMode::DeleteInsert => Vec::new(),
    }
}

/// Whether a unique index over exactly these columns decides which rows are one.
pub(super) async fn has_unique_index(session: &Session, relation: &Relation, keys: &[String]) -> Result<bool> {
    let mut names: Vec<String> = keys.iter().map(|key| format!("{}::name", literal(key))).collect();
    names.sort();
    names.dedup();
    // One that may be late can't decide, and keeps the others from it.
    let sql = format!(
        "SELECT coalesce(bool_and(x.indimmediate), false) FROM pg_index x WHERE x.indrelid = {} AND x.indisunique AND x.indisvalid
           AND x.indpred IS NULL AND x.indexprs IS NULL
           AND (SELECT count(*) FROM unnest((x.indkey::int2[])[0:x.indnkeyatts - 1])) = {}
           AND NOT EXISTS (SELECT 1 FROM unnest((x.indkey::int2[])[0:x.indnkeyatts - 1]) AS k (attnum)
                           JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum WHERE a.attname NOT IN ({}))",
        relation.oid,
        names.len(),
        names.join(", ")
    );
    Ok(session.value("looking for a unique index", &sql).await?.as_deref() == Some("t"))
}

/// A row that the role doesn't see would be written a second time.
pub(super) fn refuse_hidden(relation: &Relation) -> Result<()> {
    if !relation.hides_rows {
        return Ok(());
    }
    let message = format!(
        "row security hides rows of {} from the connection's role, and a load by keys has to see them all",
        relation.label()
    );
    Err(EngineError::config(message).hint("load as the table's owner or as a role with BYPASSRLS, or use mode append"))
}

/// A table from which others inherit has their rows too, and its own index knows nothing of them.
pub(super) async fn refuse_heirs(session: &Session, relation: &Relation) -> Result<()> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = {})", relation.oid);
    if relation.kind == 'p' || session.value("looking for tables that inherit", &sql).await?.as_deref() != Some("t") {
        return Ok(());
    }
    let message = format!("other tables inherit from {}: a key may be in one of them", relation.label());
    Err(EngineError::config(message).hint("load into a table without heirs, or into a partitioned one"))
}

/// The statement that makes the temporary table, with the columns that the target is going to have.
pub(super) fn create_rows(fit: &Fit, into: &str, alters: &[Alter]) -> String {
    let value = |column: &Written| match alters.iter().find(|alter| alter.column.name == column.name) {
        Some(alter) => alter.value(),
        None if column.name == DELETED => format!("false AS {}", ident(DELETED)),
        None if column.name == KEPT => format!("CAST(NULL AS text[]) AS {}", ident(KEPT)),
        None => ident(&column.name),
    };
    let columns: Vec<String> = fit.columns.iter().map(value).collect();
    format!("CREATE TEMP TABLE {ROWS} ON COMMIT DROP AS SELECT {} FROM {into} WITH NO DATA", columns.join(", "))
}

impl Merge<'_> {
    /// Merges the rows into the target; counts what happened to its rows.
    pub(super) async fn run(&self, session: &Session, has_index: bool) -> Result<Changes> {
        if let Some(name) =
            [RANK, DELETED, KEPT].into_iter().find(|name| self.fit.columns.iter().any(|column| column.name == *name))
        {
            let message = format!("a column is called {name}, as one that a merge needs itself");
            return Err(EngineError::config(message).hint("give it another name with AS"));
        }
        session.run("looking at the rows", &format!("ANALYZE {ROWS}")).await?;
        self.refuse_null_keys(session).await?;
        if self.removal.is_some_and(|removal| removal.deletes.changes) {
            self.fill_kept(session).await?;
        }
        if self.mode == WriteMode::DeleteInsert {
            return self.replace_slices(session).await;
        }
        let (mut rows, mut winners) = self.winners(session).await?;
        if let Some(history) = self.history {
            return self.keep_history(session, history, &winners, rows).await;
        }
        let mut removed = Changes::default();
        if let Some(removal) = &self.removal {
            removed = self.remove(session, removal, &winners).await?;
            if removal.is_flagged() {
                (rows, winners) = self.kept(session, &winners).await?;
            }
        }
        let mut changes = match has_index {
            true => self.insert_on_conflict(session, &winners).await?,
            false => self.update_and_insert(session, &winners).await?,
        };
        changes.unchanged = rows.saturating_sub(changes.inserted + changes.updated);
        Ok(Changes { deleted: removed.deleted, updated: changes.updated + removed.updated, ..changes })
    }

    fn keys(&self) -> String {
        list(self.keys.iter().map(String::as_str))
    }

    pub(super) fn others(&self) -> impl Iterator<Item = &Written> {
        self.fit.columns.iter().filter(|column| !self.keys.contains(&column.name))
    }

    async fn refuse_null_keys(&self, session: &Session) -> Result<()> {
        let since = self.history.iter().map(|_| VALID_FROM);
        let known = self.keys.iter().map(String::as_str).chain(since);
        let is_null: Vec<String> = known.map(|key| format!("{} IS NULL", ident(key))).collect();
        let sql = format!("SELECT count(*) FROM {ROWS} WHERE {}", is_null.join(" OR "));
        let row = session.rows("looking for keys that are NULL", &sql).await?.into_iter().next().unwrap_or_default();
        match number::<u64>(&row, 0)? {
            0 => Ok(()),
            count => Err(headwater_engine::connector::null_keys(
                count,
                self.keys,
                self.order_by.filter(|_| self.history.is_some()),
            )),
        }
    }

    /// Of the rows of each key those that are not gone, as what stands behind FROM, and how many that are.
    async fn kept(&self, session: &Session, winners: &str) -> Result<(u64, String)> {
        let kept = format!("(SELECT {} FROM {winners} WHERE NOT {}) AS k", self.fit.names(), ident(DELETED));
        let sql = format!("SELECT count(*) FROM {kept}");
        let row = session.rows("counting the rows", &sql).await?.into_iter().next().unwrap_or_default();
        Ok((number(&row, 0)?, kept))
    }

    /// The columns of the rows, quoted.
    fn columns(&self) -> String {
        match self.removal.is_some_and(|removal| removal.is_flagged()) {
            true => format!("{}, {}", self.fit.names(), ident(DELETED)),
            false => self.fit.names(),
        }
    }

    /// One row for each key, as what stands behind FROM, and how many that are.
    async fn winners(&self, session: &Session) -> Result<(u64, String)> {
        let keys = self.keys();
        let sql = format!("SELECT count(*), count(DISTINCT ({keys})) FROM {ROWS}");
        let row = session.rows("looking for keys that repeat", &sql).await?.into_iter().next().unwrap_or_default();
        let (rows, distinct): (u64, u64) = (number(&row, 0)?, number(&row, 1)?);
        if rows == distinct {
            return Ok((rows, ROWS.to_owned()));
        }
        self.refuse_ties(session).await?;
        let order = self.order_by.map(|column| format!(", {} DESC NULLS LAST", ident(column))).unwrap_or_default();
        let names = self.columns();
        let winners = format!("(SELECT DISTINCT ON ({keys}) {names} FROM {ROWS} ORDER BY {keys}{order}) AS w");
        Ok((distinct, winners))
    }

    /// Rows of one key between which nothing decides have to be equal.
    async fn refuse_ties(&self, session: &Session) -> Result<()> {
        let (keys, names) = (self.keys(), self.columns());
        let order = self.order_by.map(|column| format!(" ORDER BY {} DESC NULLS LAST", ident(column)));
        let rank = format!("rank() OVER (PARTITION BY {keys}{})", order.unwrap_or_default());
        let sql = format!(
            "SELECT CAST(ROW({keys}) AS text) FROM (SELECT {names}, {rank} AS \"{RANK}\" FROM {ROWS}) AS r WHERE \"{RANK}\" = 1
             GROUP BY {keys} HAVING count(DISTINCT CAST(ROW({names}) AS text)) > 1 ORDER BY 1 LIMIT {NAMED_KEYS}"
        );
        let rows = session.rows("looking for keys that repeat", &sql).await?;
        let named = rows.iter().map(|row| text(row, 0)).collect::<Result<Vec<_>>>()?;
        if named.is_empty() {
            return Ok(());
        }
        let message =
            format!("several rows have the key {} and differ, e.g. {}", self.keys.join(", "), named.join(" "));
        Err(EngineError::data(message).hint(match self.order_by {
            None => "name the column by which the last one counts: order_by: updated_at".to_owned(),
            Some(column) => format!("they have one value of {column}: choose one of them in a transform"),
        }))
    }

    async fn insert_on_conflict(&self, session: &Session, winners: &str) -> Result<Changes> {
        let (keys, names) = (self.keys(), self.fit.names());
        let set: Vec<String> = self.others().map(|column| format!("{0} = EXCLUDED.{0}", ident(&column.name))).collect();
        let action = match self.mode {
            WriteMode::Upsert if !set.is_empty() => {
                format!("DO UPDATE SET {} WHERE {}", set.join(", "), self.differs("t", "EXCLUDED"))
            }
            _ => "DO NOTHING".to_owned(),
        };
        let is_new = if self.is_partitioned { "false" } else { "t.xmax = 0" };
        let before = match self.is_partitioned {
            true => self.absent(session, winners).await?,
            false => 0,
        };
        let insert = format!(
            "INSERT INTO {} AS t ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {winners} ON CONFLICT ({keys}) {action}
             RETURNING {is_new} AS is_new",
            self.into
        );
        let changes = counted(session, &insert).await?;
        Ok(Changes { inserted: changes.inserted + before, updated: changes.updated.saturating_sub(before), ..changes })
    }

    /// How many rows the target does not have.
    async fn absent(&self, session: &Session, winners: &str) -> Result<u64> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT * FROM {winners}) AS r WHERE NOT EXISTS (SELECT 1 FROM {} AS t WHERE {})",
            self.into,
            self.same_key("t", "r")
        );
        let row = session.rows("counting new rows", &sql).await?.into_iter().next().unwrap_or_default();
        number(&row, 0)
    }

    /// Without a unique index nobody else may write while rows are compared.
    async fn update_and_insert(&self, session: &Session, winners: &str) -> Result<Changes> {
        let names = self.fit.names();
        let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.into);
        session.run("locking the target", &lock).await?;
        self.refuse_repeated(session, winners).await?;
        let set: Vec<String> = self.others().map(|column| format!("{0} = r.{0}", ident(&column.name))).collect();
        let mut changes = Changes::default();
        if self.mode == WriteMode::Upsert && !set.is_empty() {
            let update = format!(
                "UPDATE {} AS t SET {} FROM (SELECT * FROM {winners}) AS r WHERE {} AND ({}) RETURNING false AS is_new",
                self.into,
                set.join(", "),
                self.same_key("t", "r"),
                self.differs("t", "r")
            );
            changes.updated = counted(session, &update).await?.updated;
        }
        let insert = format!(
            "INSERT INTO {0} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM (SELECT * FROM {winners}) AS r
             WHERE NOT EXISTS (SELECT 1 FROM {0} AS t WHERE {1}) RETURNING true AS is_new",
            self.into,
            self.same_key("t", "r")
        );
        changes.inserted = counted(session, &insert).await?.inserted;
        Ok(changes)
    }

    async fn refuse_repeated(&self, session: &Session, winners: &str) -> Result<()> {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("t.{}", ident(key))).collect();
        let keys = keys.join(", ");
        let sql = format!(
            "SELECT CAST(ROW({keys}) AS text) FROM {} AS t JOIN (SELECT * FROM {winners}) AS r ON {} GROUP BY {keys}
             HAVING count(*) > 1 LIMIT {NAMED_KEYS}",
            self.into,
            self.same_key("t", "r")
        );
        let rows = session.rows("looking for keys that repeat in the target", &sql).await?;
        let Some(first) = rows.first() else { return Ok(()) };
        let first = text(first, 0)?;
        Err(EngineError::data(format!("the target has several rows of the key {}, e.g. {first}", self.keys.join(", ")))
            .hint("remove all but one of them, and give the table a unique index"))
    }

    /// All rows of the slices that the keys name give way.
    async fn replace_slices(&self, session: &Session) -> Result<Changes> {
        let (keys, names) = (self.keys(), self.fit.names());
        let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.into);
        session.run("locking the target", &lock).await?;
        let delete = format!(
            "DELETE FROM {} AS t USING (SELECT DISTINCT {keys} FROM {ROWS}) AS r WHERE {} RETURNING false AS is_new",
            self.into,
            self.same_key("t", "r")
        );
        let deleted = counted(session, &delete).await?.updated;
        let insert = format!(
            "INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {ROWS} RETURNING true AS is_new",
            self.into
        );
        let inserted = counted(session, &insert).await?.inserted;
        Ok(Changes { inserted, deleted, ..Changes::default() })
    }

    pub(super) fn same_key(&self, left: &str, right: &str) -> String {
        let pairs = self.keys.iter().map(|key| format!("{left}.{0} = {right}.{0}", ident(key)));
        pairs.collect::<Vec<_>>().join(" AND ")
    }

    /// Whether a row is another one.
    fn differs(&self, left: &str, right: &str) -> String {
        differ(self.others(), left, right)
    }
}

/// Whether rows differ in some columns. Types whose equal values can differ, or that have no equality, are compared by their text.
pub(super) fn differ<'a>(columns: impl Iterator<Item = &'a Written>, left: &str, right: &str) -> String {
    let form = |side: &str, column: &Written| match is_exact(column) {
        true => format!("{side}.{}", ident(&column.name)),
        false => format!("CAST({side}.{} AS text) COLLATE \"C\"", ident(&column.name)),
    };
    let pairs = columns.map(|column| format!("{} IS DISTINCT FROM {}", form(left, column), form(right, column)));
    let pairs: Vec<String> = pairs.collect();
    if pairs.is_empty() { "false".to_owned() } else { pairs.join(" OR ") }
}

/// Whether equal values of a column are one value.
fn is_exact(column: &Written) -> bool {
    let is_plain = matches!(
        column.wire,
        Wire::Bool
            | Wire::Int2
            | Wire::Int4
            | Wire::Int8
            | Wire::Uuid
            | Wire::Bytea
            | Wire::Date
            | Wire::Timestamp { .. }
    );
    is_plain && column.cast.is_none()
}

/// Runs a statement and counts the rows that it returns.
pub(super) async fn counted(session: &Session, statement: &str) -> Result<Changes> {
    let sql = format!(
        "WITH w AS ({statement}) SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM w"
    );
    let row = session.rows("merging the rows", &sql).await?.into_iter().next().unwrap_or_default();
    let count = |index: usize| optional::<u64>(&row, index).unwrap_or_default();
    Ok(Changes { inserted: count(0), updated: count(1), ..Changes::default() })
}
