//! Keeping the queue's tables small.
//!
//! Every stage run passes through `ready` and `leases` and leaves a dead row in each. A claim walks past those that were claimed before it, and the
//! server's own vacuum comes once a minute: at thousands of stage runs a second that is half a million rows to walk past.

use crate::deadline::CHORE;
use crate::{Result, Store};

/// Dead rows that are worth a vacuum.
const MOST_DEAD: i64 = 10_000;

/// Its indexes too, though few of its pages have changed; the end of the file stays, since cutting it off takes a lock that claims would wait for.
const VACUUMS: [(&str, &str); 2] = [
    ("ready", "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) ready"),
    ("leases", "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) leases"),
];

impl Store {
    /// Vacuums the queue's tables that have many dead rows, and names them. Nobody has to wait for it, and a table that is being vacuumed already
    /// is left to whoever does it.
    pub async fn tidy_queue(&self) -> Result<Vec<&'static str>> {
        let full = sqlx::query_scalar!(
            r#"SELECT relname::text AS "table!" FROM pg_stat_user_tables
               WHERE relid IN ('ready'::regclass, 'leases'::regclass) AND n_dead_tup > $1"#,
            MOST_DEAD
        )
        .fetch_all(self.relaxed())
        .await?;
        let mut tidied = Vec::new();
        for (table, vacuum) in VACUUMS {
            if full.iter().any(|full| full == table) {
                sqlx::raw_sql(vacuum).execute(&self.relaxed().within(CHORE)).await?;
                tidied.push(table);
            }
        }
        Ok(tidied)
    }
}
