//! Claiming where limits or pauses are set.

use std::collections::HashMap;

use uuid::Uuid;

use super::claim::{Claimed, Slots, Taker, claim_on};
use crate::deadline::Tx;
use crate::{Result, Store};

/// Rounds in which other claimers took all candidates. Whoever loses more often looks again at the next poll.
const MOST_LOST_ROUNDS: usize = 8;

/// Rows at the head of the queue, in addition to one for each free slot, that are looked at before all lanes are. Where little is kept back they are
/// enough, however many lanes there are.
const HEAD: i64 = 64;

/// What one limit leaves free.
type Room = HashMap<(Uuid, String, String), i64>;

/// Limits and pauses that let nothing start now.
struct Full {
    workspaces: Vec<Uuid>,
    kinds: Vec<String>,
    names: Vec<String>,
}

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
            let (candidates, more) = self.claim_limited_once(taker, slots.after(&claimed)).await?;
            let all = more.len() == candidates;
            lost += usize::from(more.is_empty());
            claimed.extend(more);
            if all {
                break;
            }
        }
        Ok(claimed)
    }

    /// One round: how many candidates there were, and what was claimed of them.
    async fn claim_limited_once(&self, taker: &Taker, slots: Slots) -> Result<(usize, Vec<Claimed>)> {
        let mut tx = self.relaxed().begin().await?;
        let full = full(&mut tx).await?;
        let mut candidates = candidates(&mut tx, taker, &full, false, slots.data).await?;
        candidates.extend(self::candidates(&mut tx, taker, &full, true, slots.light).await?);
        if candidates.is_empty() {
            return Ok((0, Vec::new()));
        }
        lock(&mut tx, &candidates).await?;
        let admitted = admit(&mut tx, &candidates).await?;
        let claimed = claim_on(&mut *tx, taker, slots, Some(&admitted)).await?;
        tx.commit().await?;
        Ok((candidates.len(), claimed))
    }
}

/// The limits and pauses that let nothing start.
async fn full(tx: &mut Tx) -> Result<Full> {
    let rows = sqlx::query!(
        r#"SELECT workspace_id AS "workspace_id!", kind AS "kind!", name AS "name!" FROM limits_in_use WHERE room <= 0"#
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut full = Full { workspaces: Vec::new(), kinds: Vec::new(), names: Vec::new() };
    for row in rows {
        full.workspaces.push(row.workspace_id);
        full.kinds.push(row.kind);
        full.names.push(row.name);
    }
    Ok(full)
}

/// The best-ranked of a kind that nothing keeps back now. If the head of the queue doesn't hold enough of them, they are looked for lane by lane.
async fn candidates(tx: &mut Tx, taker: &Taker, full: &Full, light: bool, slots: usize) -> Result<Vec<Uuid>> {
    let most = i64::try_from(slots).unwrap_or(i64::MAX);
    let mut candidates = Vec::new();
    for head in [most.saturating_add(HEAD), 0] {
        if candidates.len() == slots {
            break;
        }
        let query = sqlx::query_file_scalar!(
            "src/lifecycle/candidates.sql",
            taker.worker_id,
            &taker.queues,
            &taker.plan_formats,
            taker.host,
            taker.only_run,
            most,
            &taker.labels,
            light,
            head,
            &full.workspaces,
            &full.kinds,
            &full.names
        );
        candidates = query.fetch_all(&mut **tx).await?;
    }
    Ok(candidates)
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
        r#"WITH counted AS MATERIALIZED (SELECT workspace_id, kind, name, room FROM limits_in_use)
           SELECT q.stage_run_id, v.workspace_id AS "workspace_id!", v.kind AS "kind!", v.name AS "name!", c.room AS "room!"
           FROM ready q
           JOIN stage_run_limits v ON v.workspace_id = q.workspace_id AND v.stage_run_id = q.stage_run_id
           JOIN counted c ON c.workspace_id = v.workspace_id AND c.kind = v.kind AND c.name = v.name
           WHERE q.stage_run_id = ANY ($1) AND NOT q.fence"#,
        candidates
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut room = Room::new();
    let mut limits: HashMap<Uuid, Vec<(Uuid, String, String)>> = HashMap::new();
    for row in rows {
        let key = (row.workspace_id, row.kind, row.name);
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
