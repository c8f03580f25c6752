//! Columns that a change did not send: the rows of a load get them from the target before they are merged into it.

use std::collections::BTreeSet;

use headwater_engine::connector::{DELETED, KEPT, not_sent};
use headwater_engine::{EngineError, Result};

use super::keyed::{Merge, ROWS};
use super::names::{ident, list, literal};
use super::relation::text;
use super::session::Session;

impl Merge<'_> {
    /// Fills in what the target has. Its rows are locked first, so that nobody changes them until the load has written them again.
    pub(super) async fn fill_kept(&self, session: &Session) -> Result<()> {
        let kept = ident(KEPT);
        let sql = format!("SELECT DISTINCT unnest({kept}) FROM {ROWS} WHERE NOT {}", ident(DELETED));
        let rows = session.rows("looking for columns that were not sent", &sql).await?;
        let named = rows.iter().map(|row| text(row, 0)).collect::<Result<BTreeSet<String>>>()?;
        let columns: Vec<&str> =
            self.others().map(|column| column.name.as_str()).filter(|name| named.contains(*name)).collect();
        if columns.is_empty() {
            return Ok(());
        }
        // The target has nothing in columns that the load adds.
        let added: Vec<&str> = columns.iter().copied().filter(|name| self.added.contains(name)).collect();
        if !added.is_empty() {
            self.refuse_unknown(session, &added).await?;
        }
        let filled = columns.iter().map(|name| {
            let (column, name) = (ident(name), literal(name));
            format!("{column} = CASE WHEN {name} = ANY (r.{kept}) THEN h.{column} ELSE r.{column} END")
        });
        let needed = list(self.keys.iter().map(String::as_str).chain(columns.iter().copied()));
        let update = format!(
            "UPDATE {ROWS} AS r SET {}, {kept} = NULL
             FROM (SELECT {needed} FROM {} AS t WHERE EXISTS (SELECT 1 FROM {ROWS} AS r WHERE r.{kept} IS NOT NULL AND {}) FOR UPDATE) AS h
             WHERE r.{kept} IS NOT NULL AND {}",
            filled.collect::<Vec<_>>().join(", "),
            self.into,
            self.same_key("t", "r"),
            self.same_key("h", "r")
        );
        session.run("filling in columns that were not sent", &update).await?;
        self.refuse_unknown(session, &columns).await
    }

    /// Refuses rows of which a column is neither sent nor known.
    async fn refuse_unknown(&self, session: &Session, columns: &[&str]) -> Result<()> {
        let loaded: Vec<String> = columns.iter().map(|name| literal(name)).collect();
        let keys: Vec<String> = self.keys.iter().map(|key| format!("CAST({} AS text)", ident(key))).collect();
        let sql = format!(
            "SELECT k.name, concat_ws(', ', {}) FROM {ROWS} AS r, unnest(r.{}) AS k (name) WHERE k.name IN ({}) LIMIT 1",
            keys.join(", "),
            ident(KEPT),
            loaded.join(", ")
        );
        let rows = session.rows("looking for columns that nobody knows", &sql).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let key = format!("{} = {}", self.keys.join(", "), text(row, 1)?);
        Err::<(), EngineError>(not_sent(&text(row, 0)?, &key))
    }
}
