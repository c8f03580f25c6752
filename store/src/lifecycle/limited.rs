//! Claiming where limits or pauses are set.

use std::collections::HashMap;

use uuid::Uuid;

use super::claim::{Claimed, Slots, Taker, claim_on};
use crate::deadline::Tx;
use crate::{Result, Store};

/// Rounds in which other claimers took all candidates. Whoever loses more often looks again at the next poll.
const MOST_LOST_ROUNDS: usize = 8;

/// What one limit leaves free.
type Room = HashMap<(Uuid, String, String), i64>;

impl Store {
    /// Claims under limits: candidates first, then the rows of their limits are locked in the order of their keys, then live leases are
    /// counted. Answers nothing, after one cheap question, if there are no limits at all.
    ///
    /// It is a transaction of its own: one that holds the lock of a run, as a finish does, may not wait for that of a limit, since
    /// whoever holds the limit's may be waiting for the run's.
    pub(super) async fn claim_limited(&self, taker: &Taker, slots: Slots) -> Result<Vec<Claimed>> {
        let limited = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM limits) AS "limited!""#);
        if slots.is_none() || !limited.fetch_one(self.relaxed()).await? {
            return Ok(Vec::new());
        }
        let mut claimed = Vec::new();
        let mut lost = 0;
        // What a full limit held back in one round is passed over in the next, and so is what another claimer took meanwhile.
        while !slots.after(&claimed).is_none() && lost < MOST_LOST_ROUNDS {
            let Some(more) = self.claim_limited_once(taker, slots.after(&claimed)).await? else { break };
            lost += usize::from(more.is_empty());
            claimed.extend(more);
        }
        Ok(claimed)
    }

    /// One round. Returns `None` if there is nothing that could be claimed.
    async fn claim_limited_once(&self, taker: &Taker, slots: Slots) -> Result<Option<Vec<Claimed>>> {
        let mut tx = self.relaxed().begin().await?;
        let mut candidates = candidates(&mut tx, taker, false, slots.data).await?;
        candidates.extend(self::candidates(&mut tx, taker, true, slots.light).await?);
        if candidates.is_empty() {
            return Ok(None);
        }
        lock(&mut tx, &candidates).await?;
        let admitted = admit(&mut tx, &candidates).await?;
        let claimed = claim_on(&mut *tx, taker, slots, Some(&admitted)).await?;
        tx.commit().await?;
        Ok(Some(claimed))
    }
}

/// The best-ranked of a kind that nothing keeps back now.
async fn candidates(tx: &mut Tx, taker: &Taker, light: bool, slots: usize) -> Result<Vec<Uuid>> {
    if slots == 0 {
        return Ok(Vec::new());
    }
    let candidates = sqlx::query_file_scalar!(
        "src/lifecycle/candidates.sql",
        taker.worker_id,
        &taker.queues,
        &taker.plan_formats,
        taker.host,
        taker.only_run,
        i64::try_from(slots).unwrap_or(i64::MAX),
        &taker.labels,
        light
    );
    Ok(candidates.fetch_all(&mut **tx).await?)
}

/// Locks the limits of the candidates. Everything counted afterwards stays true until the transaction ends.
async fn lock(tx: &mut Tx, candidates: &[Uuid]) -> Result<()> {
    sqlx::query!(
        r#"SELECT 1 AS "locked" FROM limits m
           WHERE (m.workspace_id, m.kind, m.name) IN (
               SELECT v.workspace_id, v.kind, v.name FROM stage_run_limits v
               JOIN ready q ON q.workspace_id = v.workspace_id AND q.stage_run_id = v.stage_run_id
               WHERE q.stage_run_id = ANY ($1) AND NOT q.fence)
           ORDER BY m.workspace_id, m.kind, m.name FOR UPDATE"#,
        candidates
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(())
}

/// Those of the candidates that all their limits have room for, best first.
async fn admit(tx: &mut Tx, candidates: &[Uuid]) -> Result<Vec<Uuid>> {
    let rows = sqlx::query!(
        r#"SELECT q.stage_run_id, v.workspace_id, v.kind AS "kind!", v.name AS "name!",
                  CASE WHEN v.paused_at IS NOT NULL THEN 0 ELSE COALESCE(v.slots::bigint, 2147483647) END
                  - (SELECT count(*) FROM leases l
                     JOIN stage_run_limits o ON o.workspace_id = l.workspace_id AND o.stage_run_id = l.stage_run_id
                     WHERE o.workspace_id = v.workspace_id AND o.kind = v.kind AND o.name = v.name AND NOT l.fence) AS "room!"
           FROM ready q
           JOIN stage_run_limits v ON v.workspace_id = q.workspace_id AND v.stage_run_id = q.stage_run_id
           WHERE q.stage_run_id = ANY ($1) AND NOT q.fence"#,
        candidates
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut room = Room::new();
    let mut limits: HashMap<Uuid, Vec<(Uuid, String, String)>> = HashMap::new();
    for row in rows {
        let key = (row.workspace_id.unwrap_or_default(), row.kind, row.name);
        room.insert(key.clone(), row.room);
        limits.entry(row.stage_run_id).or_default().push(key);
    }
    Ok(candidates.iter().copied().filter(|candidate| take(&mut room, limits.get(candidate))).collect())
}

/// Takes a place under each of the limits, if all have one.
fn take(room: &mut Room, limits: Option<&Vec<(Uuid, String, String)>>) -> bool {
    let limits = limits.map_or(&[][..], Vec::as_slice);
    let free = limits.iter().all(|key| room.get(key).is_none_or(|room| *room > 0));
    if free {
        limits.iter().for_each(|key| {
            room.entry(key.clone()).and_modify(|room| *room -= 1);
        });
    }
    free
}
