//! What one opened connection has learned of its database, so that it is asked once: tables that are about to be opened, and
//! types that tables are made of.

use std::collections::HashMap;

use headwater_engine::Result;
use headwater_engine::connector::Expected;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::names::literal;
use super::patience::Patience;
use super::relation::{self, ColumnMeta, Relation, flag};
use super::session::Session;
use super::swap;

/// A table and its columns.
pub(super) type Table = (Relation, Vec<ColumnMeta>);

/// What a session is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Nothing,
    Transaction,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    utf8: OnceCell<bool>,
    tables: Mutex<HashMap<Vec<String>, Result<Table>>>,
    /// What depends on tables that are to be replaced, by their oids.
    dependents: Mutex<HashMap<u32, Vec<String>>>,
    /// By the name of a type: a column of it, or `None` if the database does not have it.
    types: Mutex<HashMap<String, Option<ColumnMeta>>>,
}

impl Known {
    /// Whether the database's texts are UTF-8, so that bytes compare as they do here.
    pub(super) async fn is_utf8(&self, session: &Session) -> Result<bool> {
        let ask = || async {
            let encoding = session.value("asking for the encoding", "SELECT getdatabaseencoding()").await?;
            Ok(encoding.as_deref() == Some("UTF8"))
        };
        self.utf8.get_or_try_init(ask).await.copied()
    }

    /// Looks at many tables by a few statements. One that is not there is left to who opens it.
    pub(super) async fn expect(
        &self,
        session: &Session,
        connection: &str,
        expected: &Expected,
        patience: Patience,
    ) -> Result<()> {
        let paths = expected.all();
        let found = relation::find_all(session, connection, &paths, patience).await?;
        let there: Vec<&Relation> = found.iter().filter_map(|(_, relation)| relation.as_ref().ok()).collect();
        let mut columns = relation::columns_of(session, &there).await?;
        let is_replaced = |place: usize| paths.get(place).is_some_and(|path| expected.replaced.contains(path));
        let replaced = found.iter().filter(|(place, _)| is_replaced(*place));
        let replaced: Vec<u32> = replaced.filter_map(|(_, found)| Some(found.as_ref().ok()?.oid)).collect();
        let dependents = swap::dependents_of(session, &replaced).await?;
        self.dependents.lock().extend(dependents);
        let mut tables = self.tables.lock();
        for (place, relation) in found {
            let Some(path) = paths.get(place) else { continue };
            let table = relation.map(|relation| {
                let columns = columns.remove(&relation.oid).unwrap_or_default();
                (relation, columns)
            });
            tables.insert(path.clone(), table);
        }
        Ok(())
    }

    /// What is known of a table that is opened now; it is forgotten.
    pub(super) fn take(&self, path: &[String]) -> Option<Result<Table>> {
        self.tables.lock().remove(path)
    }

    /// What depends on a table that is to be replaced, if it is known; it is forgotten.
    pub(super) fn take_dependents(&self, table: &Relation) -> Option<Vec<String>> {
        self.dependents.lock().remove(&table.oid)
    }

    /// Columns of these types, in order; `None` for a type that the database does not have.
    pub(super) async fn types(
        &self,
        session: &Session,
        natives: &[&str],
        within: Within,
    ) -> Result<Vec<Option<ColumnMeta>>> {
        let mut new: Vec<&str> = {
            let known = self.types.lock();
            natives.iter().copied().filter(|native| !known.contains_key(*native)).collect()
        };
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            let described = describe(session, &new, within).await?;
            self.types.lock().extend(new.into_iter().map(str::to_owned).zip(described));
        }
        let known = self.types.lock();
        Ok(natives.iter().map(|native| known.get(*native).cloned().flatten()).collect())
    }
}

/// A table and its columns, looked at now.
pub(super) async fn look(session: &Session, connection: &str, path: &[String], patience: Patience) -> Result<Table> {
    let mut relation = relation::find(session, connection, path, patience).await?;
    loop {
        let columns = relation::columns_of(session, &[&relation]).await?.remove(&relation.oid).unwrap_or_default();
        if !columns.is_empty() {
            return Ok((relation, columns));
        }
        // A table without columns, or one that another load has replaced between the two questions.
        let now = relation::find(session, connection, path, patience).await?;
        if now.oid == relation.oid {
            return Ok((relation, columns));
        }
        relation = now;
    }
}

/// Columns of these types; `None` for those that the database does not have.
async fn describe(session: &Session, natives: &[&str], within: Within) -> Result<Vec<Option<ColumnMeta>>> {
    let questions: Vec<String> =
        natives.iter().map(|native| format!("to_regtype({}) IS NOT NULL", literal(plain(native)))).collect();
    let sql = format!("SELECT {}", questions.join(", "));
    let row = session.rows("looking for types", &sql).await?.into_iter().next().unwrap_or_default();
    let there = |index: usize| flag(&row, index);
    let columns = natives.iter().enumerate().filter(|(index, _)| there(*index));
    let columns: Vec<String> = columns.map(|(index, native)| format!("CAST(NULL AS {native}) AS c{index}")).collect();
    if columns.is_empty() {
        return Ok(vec![None; natives.len()]);
    }
    if within == Within::Nothing {
        session.run("preparing to describe the table", "BEGIN READ ONLY").await?;
    }
    let described = session.describe("describing the new table", &format!("SELECT {}", columns.join(", "))).await;
    if within == Within::Nothing {
        session.run("describing the new table", "ROLLBACK").await?;
    }
    let mut metas = relation::described(session, &described?).await?.into_iter();
    Ok((0..natives.len()).map(|index| there(index).then(|| metas.next()).flatten()).collect())
}

/// A type's name without its modifier, which not every version of `to_regtype` reads.
fn plain(kind: &str) -> &str {
    match kind.split_once('(') {
        Some((name, rest)) if !rest.contains(") ") => name,
        Some(("timestamp", rest)) if rest.contains("with time zone") => "timestamptz",
        Some(("timestamp", _)) => "timestamp",
        _ => kind,
    }
}
