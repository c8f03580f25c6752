//! Keys that loads of a backfill replace: none may be in two of its slices.

use uuid::Uuid;

use crate::deadline::Tx;
use crate::lifecycle::LeaseKey;
use crate::{Result, StoreError};

/// The keys of a load by delete_insert, which replaces all rows of each.
#[derive(Debug, Clone)]
pub struct SliceKeys {
    /// The table, as the spec names it.
    pub target: String,
    /// A hash of each key, and the key in words.
    pub keys: Vec<(Uuid, String)>,
}

/// Takes the keys for the slice that a run loads; refused if another slice of its backfill holds one of them. Nothing happens for other runs.
pub(crate) async fn take(tx: &mut Tx, lease: &LeaseKey, taken: &SliceKeys) -> Result<()> {
    let slice = sqlx::query!(
        r#"SELECT backfill_id AS "backfill_id!", interval_start AS "interval_start!" FROM runs
           WHERE workspace_id = $1 AND id = $2 AND backfill_id IS NOT NULL AND interval_start IS NOT NULL"#,
        lease.workspace_id,
        lease.run_id
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(slice) = slice else { return Ok(()) };
    // In one order, so that two slices never wait for each other.
    let mut keys = taken.keys.clone();
    keys.sort_unstable();
    let (hashes, shown): (Vec<Uuid>, Vec<String>) = keys.into_iter().unzip();
    sqlx::query!(
        "INSERT INTO backfill_keys (workspace_id, backfill_id, target, key, starts_at)
         SELECT $1, $2, $3, g.key, $5 FROM unnest($4::uuid[]) AS g (key) ON CONFLICT DO NOTHING",
        lease.workspace_id,
        slice.backfill_id,
        taken.target,
        &hashes,
        slice.interval_start
    )
    .execute(&mut **tx)
    .await?;
    // A statement of its own sees what another slice has committed while this one waited for it.
    let met = sqlx::query!(
        r#"SELECT g.shown AS "shown!", k.starts_at FROM unnest($4::uuid[], $5::text[]) AS g (key, shown)
           JOIN backfill_keys k ON k.workspace_id = $1 AND k.backfill_id = $2 AND k.target = $3 AND k.key = g.key
           WHERE k.starts_at <> $6 ORDER BY 1 LIMIT 1"#,
        lease.workspace_id,
        slice.backfill_id,
        taken.target,
        &hashes,
        &shown,
        slice.interval_start
    )
    .fetch_optional(&mut **tx)
    .await?;
    match met {
        None => Ok(()),
        Some(met) => Err(StoreError::invalid(format!(
            "the slice that begins at {} has rows of the key {}, and so has the slice that begins at {}: delete_insert into {} would delete the rows of one of them",
            slice.interval_start, met.shown, met.starts_at, taken.target
        ))
        .hint("start another backfill, cut so that each key is in one slice: with --timezone for days of a zone, with --every 1mo for months; or load by mode upsert")),
    }
}
