//! Putting stage runs into the queue. The database's function `open_stage_runs` has the one statement that does.

use std::ops::RangeInclusive;
use std::time::Duration;

use sqlx::PgExecutor;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::{Result, StoreError};

/// Opens stage runs that are queued and have no row in `ready`: after a delay, and for a fence if they must end. Returns their queues.
pub(crate) async fn open(
    executor: impl PgExecutor<'_>,
    stage_runs: &[Uuid],
    delay: Duration,
    fence: bool,
) -> Result<Vec<String>> {
    if stage_runs.is_empty() {
        return Ok(Vec::new());
    }
    let made_with = made_with(stage_runs);
    let queues = sqlx::query_scalar!(
        r#"SELECT queue AS "queue!" FROM open_stage_runs($1, $2, $3, $4, $5)"#,
        stage_runs,
        made_with.start(),
        made_with.end(),
        interval(delay)?,
        fence
    );
    Ok(queues.fetch_all(executor).await?)
}

/// Bounds of the ids of all that was made together with these stage runs, in one statement: a day of the clock to either side. What a larger step of the
/// clock hid would not be counted down, and the reconciler would open it.
pub(super) fn made_with(stage_runs: &[Uuid]) -> RangeInclusive<Uuid> {
    // An id begins with 48 bits of milliseconds.
    const DAY: u128 = (24 * 3600 * 1000) << 80;
    let ids = || stage_runs.iter().map(Uuid::as_u128);
    let first = ids().min().unwrap_or(u128::MIN).saturating_sub(DAY);
    let last = ids().max().unwrap_or(u128::MAX).saturating_add(DAY);
    Uuid::from_u128(first)..=Uuid::from_u128(last)
}

/// A time as the database takes it.
pub(crate) fn interval(time: Duration) -> Result<PgInterval> {
    PgInterval::try_from(Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
        .map_err(|error| StoreError::invalid(format!("a delay of {time:?} is too long")).caused_by(error))
}
