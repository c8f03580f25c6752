//! Keeping history in bounds: partitions made ahead, old runs forgotten. A chore of the scheduler.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::deadline::{CHORE, Db};
use crate::{Result, Store, StoreError};

/// How long before a month begins its partitions are made. Every statement locks all partitions of its tables, so one more costs each link of a chain. Should no
/// chore run in these days, the month's first rows go into the default partitions, and its partitions are made once a month is over.
const AHEAD: Duration = Duration::from_secs(3 * 24 * 3600);

/// How long an open draft and a question wait for a person.
const DRAFTS_WAIT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Runs looked at, and other rows forgotten, in one transaction.
const BATCH: i32 = 200;

/// Tries to lock history before the chore leaves it to the next time.
const LOCK_TRIES: u32 = 30;

/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// What the chore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistoryWork {
    /// Partitions made.
    pub made: i32,
    /// Runs forgotten.
    pub forgotten: i32,
    /// Empty partitions dropped.
    pub dropped: i32,
}

impl Store {
    /// Makes partitions ahead, and forgets runs that ended longer ago than the given time, and fires that made none, in small transactions until none
    /// is left. So it does with drafts that nobody approved, with calls of models, with conversations, with rejects and with backfills that have ended. Loads are forgotten with their runs: the time must be longer than anybody may rerun a run from its failure.
    pub async fn keep_history(&self, retention: Duration) -> Result<HistoryWork> {
        let made = self.with_locks(|| self.prepare_history(AHEAD)).await?;
        let retention = interval(retention)?;
        let workspaces =
            sqlx::query_scalar!("SELECT id FROM workspaces ORDER BY id").fetch_all(&self.patient()).await?;
        let mut forgotten = 0;
        let drafts_wait = interval(DRAFTS_WAIT)?;
        for workspace_id in workspaces {
            forgotten += self.forget_runs(workspace_id, &retention).await?;
            self.forget_drafts(workspace_id, &drafts_wait).await?;
            self.forget_model_calls(workspace_id, &retention).await?;
            self.forget_conversations(workspace_id, &retention).await?;
            self.forget_backfills(workspace_id, &retention).await?;
            self.forget_rejects(workspace_id, &retention).await?;
        }
        self.forget_fires(&retention).await?;
        let dropped = match forgotten {
            0 => 0,
            _ => self.with_locks(|| self.drop_empty_history()).await?,
        };
        Ok(HistoryWork { made, forgotten, dropped })
    }

    /// Batch by batch, each from where the last one ended: what stays is looked at once.
    async fn forget_runs(&self, workspace_id: Uuid, retention: &PgInterval) -> Result<i32> {
        let (mut forgotten, mut above) = (0, Uuid::nil());
        loop {
            let batch = sqlx::query!(
                r#"SELECT last, forgotten AS "forgotten!" FROM forget_runs($1, clock_timestamp() - $2::interval, $3, $4)"#,
                workspace_id,
                retention,
                above,
                BATCH
            )
            .fetch_one(&self.patient())
            .await?;
            forgotten += batch.forgotten;
            match batch.last {
                Some(last) => above = last,
                None => return Ok(forgotten),
            }
        }
    }

    async fn forget_fires(&self, retention: &PgInterval) -> Result<()> {
        until_few(|| async {
            sqlx::query_scalar!(
                r#"SELECT forget_fires(clock_timestamp() - $1::interval, $2) AS "forgotten!""#,
                retention,
                BATCH
            )
            .fetch_one(&self.patient())
            .await
        })
        .await
    }

    async fn forget_drafts(&self, workspace_id: Uuid, wait: &PgInterval) -> Result<()> {
        until_few(|| async {
            sqlx::query_scalar!(
                r#"SELECT forget_drafts($1, clock_timestamp() - $2::interval, $3) AS "forgotten!""#,
                workspace_id,
                wait,
                BATCH
            )
            .fetch_one(&self.patient())
            .await
        })
        .await
    }

    async fn forget_model_calls(&self, workspace_id: Uuid, retention: &PgInterval) -> Result<()> {
        until_few(|| async {
            sqlx::query_scalar!(
                r#"SELECT forget_model_calls($1, clock_timestamp() - $2::interval, $3) AS "forgotten!""#,
                workspace_id,
                retention,
                BATCH
            )
            .fetch_one(&self.patient())
            .await
        })
        .await
    }

    async fn forget_conversations(&self, workspace_id: Uuid, retention: &PgInterval) -> Result<()> {
        until_few(|| async {
            sqlx::query_scalar!(
                r#"SELECT forget_conversations($1, clock_timestamp() - $2::interval, $3) AS "forgotten!""#,
                workspace_id,
                retention,
                BATCH
            )
            .fetch_one(&self.patient())
            .await
        })
        .await
    }

    async fn forget_backfills(&self, workspace_id: Uuid, retention: &PgInterval) -> Result<()> {
        until_few(|| async {
            sqlx::query_scalar!(
                r#"SELECT forget_backfills($1, clock_timestamp() - $2::interval, $3) AS "forgotten!""#,
                workspace_id,
                retention,
                BATCH
            )
            .fetch_one(&self.patient())
            .await
        })
        .await
    }

    async fn forget_rejects(&self, workspace_id: Uuid, retention: &PgInterval) -> Result<()> {
        until_few(|| async {
            sqlx::query_scalar!(
                r#"SELECT forget_rejects($1, clock_timestamp() - $2::interval, $3) AS "forgotten!""#,
                workspace_id,
                retention,
                BATCH
            )
            .fetch_one(&self.patient())
            .await
        })
        .await
    }

    /// For statements that may take longer than those that keep a fleet going.
    fn patient(&self) -> Db {
        self.durable().within(CHORE)
    }

    /// Makes the partitions of this month and of every month that begins within that time.
    async fn prepare_history(&self, ahead: Duration) -> Result<i32> {
        let ahead = interval(ahead)?;
        let made = sqlx::query_scalar!(
            r#"SELECT prepare_history((extract(year FROM months) * 12 + extract(month FROM months))::integer) AS "made!"
               FROM (SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now) AS clock,
                    age(date_trunc('month', now + $1::interval), date_trunc('month', now)) AS months"#,
            ahead
        );
        Ok(made.fetch_one(&self.patient()).await?)
    }

    async fn drop_empty_history(&self) -> Result<i32> {
        let dropped = sqlx::query_scalar!(r#"SELECT drop_empty_history() AS "dropped!""#);
        Ok(dropped.fetch_one(&self.patient()).await?)
    }

    /// Tries until the locks are had. Each try gives way soon, so that nothing else waits for long.
    async fn with_locks<F: Future<Output = Result<i32>>>(&self, work: impl Fn() -> F) -> Result<i32> {
        for _ in 1..LOCK_TRIES {
            match work().await {
                Err(error) if error.is_transient() => tokio::time::sleep(LOCK_PAUSE).await,
                answer => return answer,
            }
        }
        work().await
    }
}

/// Repeats a chore that does up to [`BATCH`] at a time until it finds fewer.
async fn until_few<F: Future<Output = sqlx::Result<i32>>>(batch: impl Fn() -> F) -> Result<()> {
    while batch().await? >= BATCH {}
    Ok(())
}

fn interval(time: Duration) -> Result<PgInterval> {
    PgInterval::try_from(time).map_err(|error| StoreError::invalid(format!("{time:?} is no interval")).caused_by(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::lifecycle::{AttemptEnd, Finish};
    use crate::testing::{database, plan, start_run};
    use crate::{RunFilter, Taker};

    async fn count(store: &Store, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(store.durable()).await.unwrap()
    }

    #[tokio::test]
    async fn partitions_are_made_once_and_only_for_months_that_begin_soon() {
        let db = database().await;
        assert_eq!(
            db.store.prepare_history(Duration::ZERO).await.unwrap(),
            0,
            "this month's were made with the database"
        );
        let month = Duration::from_secs(31 * 24 * 3600);
        let made = db.store.prepare_history(month).await.unwrap();
        assert!(made == 5 || made == 10, "31 days after the end of January it is March: {made}");
        assert_eq!(db.store.prepare_history(month).await.unwrap(), 0);
        assert_eq!(db.store.keep_history(Duration::from_secs(3600)).await.unwrap(), HistoryWork::default());
        let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'stage_runs'::regclass";
        assert_eq!(count(&db.store, parts).await, 2 + i64::from(made) / 5, "the default, this month and those ahead");
    }

    #[tokio::test]
    async fn a_new_installations_rows_are_in_the_partition_of_their_month() {
        let db = database().await;
        start_run(&db.store, &plan("p", &[("a", &[])])).await;
        assert_eq!(count(&db.store, "SELECT count(*) FROM stage_runs").await, 1);
        assert_eq!(count(&db.store, "SELECT count(*) FROM stage_runs_default").await, 0);
    }

    #[tokio::test]
    async fn a_month_whose_rows_are_in_the_default_partition_stays_there() {
        let db = database().await;
        let month = "SELECT 'stage_runs_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')";
        let month: String = sqlx::query_scalar(month).fetch_one(db.store.durable()).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("DROP TABLE {month}"))).execute(db.store.durable()).await.unwrap();
        start_run(&db.store, &plan("p", &[("a", &[])])).await;
        assert_eq!(db.store.prepare_history(Duration::ZERO).await.unwrap(), 0);
        assert_eq!(count(&db.store, "SELECT count(*) FROM stage_runs_default").await, 1);
    }

    #[tokio::test]
    async fn old_runs_are_forgotten_with_everything_about_them_and_live_ones_stay() {
        let db = database().await;
        let ended = start_run(&db.store, &plan("two", &[("a", &[])])).await;
        let taker = Taker {
            worker_id: uuid::Uuid::new_v4(),
            queues: vec!["default".to_owned()],
            labels: Vec::new(),
            plan_formats: vec![headwater_pipelines::plan::PLAN_FORMAT],
            host: "here".to_owned(),
            only_run: None,
        };
        let claimed = db.store.claim(&taker, 1).await.unwrap().remove(0);
        let finish = Finish {
            lease: claimed.lease,
            end: AttemptEnd::Succeeded,
            tasks: Vec::new(),
            receipts: Vec::new(),
            manifest: None,
            host: None,
        };
        db.store.finish(&[finish], None).await.unwrap();
        let live = start_run(&db.store, &plan("two", &[("a", &[])])).await;
        assert_eq!(db.store.keep_history(Duration::from_secs(3600)).await.unwrap().forgotten, 0);
        assert_eq!(db.store.keep_history(Duration::ZERO).await.unwrap().forgotten, 1);
        let workspace = db.store.default_workspace();
        assert!(workspace.show_run(ended).await.is_err());
        let left = workspace.list_runs(&RunFilter::default()).await.unwrap();
        assert_eq!(left.iter().map(|run| run.run_id).collect::<Vec<_>>(), [live]);
        assert_eq!(count(&db.store, "SELECT count(*) FROM attempts").await, 0);
        assert_eq!(count(&db.store, "SELECT count(*) FROM stage_runs").await, 1);
    }
}
