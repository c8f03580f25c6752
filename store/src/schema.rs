//! The control plane's schema in the database: what state it is in, how it is made, brought up to date, and moved out of `public`, where the first
//! versions had it. Only `up`, `serve` and `admin migrate` do any of that; other commands ask for the state.

mod masking;

use sqlx::migrate::Migrator;

use crate::deadline::{CHORE, Tx};
use crate::{COMPAT, Result, Store, StoreError, Suggest};

/// Everything of Headwater's is in this schema of the control plane's database.
pub(crate) const SCHEMA: &str = "headwater";

/// A worker that has beaten within this time is alive.
const ALIVE_S: f64 = 30.0;

/// What is in the control plane's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// All that this build needs.
    Ready,
    /// Headwater's schema, without this many migrations that this build needs.
    Behind(usize),
    /// The tables of a version that kept them in `public`.
    InPublic,
    /// Nothing of Headwater's, beside so many tables of others.
    Absent {
        /// Tables in schemas that are not the server's own.
        others: i64,
    },
}

/// What a migration did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The tables were in `public` and have moved.
    pub moved: bool,
    /// Migrations applied.
    pub applied: usize,
    /// Connections whose settings versions of earlier builds held in clear, with the version: their secrets should be replaced.
    pub exposed: Vec<String>,
}

/// Whether Headwater may make its schema in a database that holds other tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// It may: a person said so.
    Others,
    /// It makes it in an empty database only.
    Nothing,
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.set_ignore_missing(true);
    migrator
}

impl Store {
    /// What is in the database.
    pub async fn schema_state(&self) -> Result<SchemaState> {
        let found = sqlx::query!(
            r#"SELECT to_regclass('headwater.compat_floor') IS NOT NULL AS "ours!",
                      to_regclass('public.compat_floor') IS NOT NULL AND to_regclass('public.stage_runs') IS NOT NULL
                          AND to_regclass('public._sqlx_migrations') IS NOT NULL AS "in_public!",
                      (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('information_schema', 'headwater') AND n.nspname NOT LIKE 'pg\_%') AS "others!""#
        )
        .fetch_one(self.durable())
        .await?;
        if !found.ours {
            return Ok(match found.in_public {
                true => SchemaState::InPublic,
                false => SchemaState::Absent { others: found.others },
            });
        }
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(self.durable()).await?;
        let migrator = migrator();
        let missing = migrator.iter().filter(|migration| !applied.contains(&migration.version)).count();
        Ok(if missing == 0 { SchemaState::Ready } else { SchemaState::Behind(missing) })
    }

    /// Fails with what to do unless the schema has all that this build needs.
    pub async fn must_be_ready(&self) -> Result<()> {
        let message = match self.schema_state().await? {
            SchemaState::Ready => return Ok(()),
            SchemaState::Behind(1) => "the control plane's schema lacks 1 migration of this build".to_owned(),
            SchemaState::Behind(missing) => {
                format!("the control plane's schema lacks {missing} migrations of this build")
            }
            SchemaState::InPublic => {
                "the control plane's tables are in the schema public, where an earlier version kept them".to_owned()
            }
            SchemaState::Absent { .. } => "the control plane's database has no schema 'headwater' yet".to_owned(),
        };
        Err(StoreError::invalid(message).suggest(Suggest::Migrate))
    }

    /// Brings the schema up to what this build knows, making or moving it first if need be. Migrations that are newer than the build are left alone.
    /// What an interrupted upgrade left undone is done.
    pub async fn migrate(&self, beside: Beside) -> Result<Migrated> {
        let before = self.schema_state().await?;
        let mut moved = false;
        match before {
            SchemaState::Ready | SchemaState::Behind(_) => {}
            SchemaState::InPublic => moved = self.move_out_of_public().await?,
            SchemaState::Absent { others: 1.. } if beside == Beside::Nothing => return Err(occupied(before)),
            SchemaState::Absent { .. } => {
                sqlx::query("CREATE SCHEMA IF NOT EXISTS headwater").execute(self.durable()).await?;
            }
        }
        let applied = match self.schema_state().await? {
            SchemaState::Ready => 0,
            SchemaState::Behind(missing) => missing,
            SchemaState::InPublic | SchemaState::Absent { .. } => migrator().iter().count(),
        };
        if applied > 0 {
            migrator().run(self.durable().pool()).await.map_err(|error| {
                StoreError::invalid(format!("the control plane's schema can't be migrated: {error}"))
                    .hint("look at the table headwater._sqlx_migrations; migrations/README.md has the rules")
                    .caused_by(error)
            })?;
            self.check_floor().await?;
        }
        Ok(Migrated { moved, applied, exposed: self.mask_versions().await? })
    }

    /// Moves everything in one transaction, under a lock that keeps workers of the old version from beating. Answers whether it was this process
    /// that did.
    async fn move_out_of_public(&self) -> Result<bool> {
        let db = self.durable().within(CHORE);
        let mut tx = db.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('headwater schema'))").execute(&mut *tx).await?;
        let moved: bool =
            sqlx::query_scalar("SELECT to_regclass('headwater.compat_floor') IS NOT NULL").fetch_one(&mut *tx).await?;
        if moved {
            return Ok(false);
        }
        refuse_live_workers(&mut tx).await?;
        sqlx::query("CREATE SCHEMA IF NOT EXISTS headwater").execute(&mut *tx).await?;
        sqlx::raw_sql(include_str!("schema/move.sql")).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Refuses a database whose floor is above this build. A database without Headwater's schema has none.
    pub(crate) async fn check_floor(&self) -> Result<()> {
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('headwater.compat_floor') IS NOT NULL")
            .fetch_one(self.durable())
            .await?;
        if !exists {
            return Ok(());
        }
        let floor = sqlx::query_scalar!("SELECT floor FROM compat_floor").fetch_one(self.durable()).await?;
        if floor > COMPAT {
            return Err(StoreError::invalid(format!(
                "the control plane's database needs a newer headwater (its floor is {floor}, this build is {COMPAT})"
            ))
            .hint("install the version that the other processes run"));
        }
        Ok(())
    }
}

/// A worker of the old version would go on with tables that are gone.
async fn refuse_live_workers(tx: &mut Tx) -> Result<()> {
    sqlx::query("LOCK TABLE public.workers IN ACCESS EXCLUSIVE MODE").execute(&mut **tx).await?;
    let hosts: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT host FROM public.workers WHERE beat_at > clock_timestamp() - $1 * interval '1 second' ORDER BY host",
    )
    .bind(ALIVE_S)
    .fetch_all(&mut **tx)
    .await?;
    if hosts.is_empty() {
        return Ok(());
    }
    Err(StoreError::invalid(format!("workers of an earlier version are alive on {}", hosts.join(", ")))
        .hint(format!("stop every headwater process of that version, wait {ALIVE_S} s, and migrate again")))
}

fn occupied(state: SchemaState) -> StoreError {
    let others = if let SchemaState::Absent { others } = state { others } else { 0 };
    let tables = if others == 1 { "1 other table".to_owned() } else { format!("{others} other tables") };
    StoreError::invalid(format!("the database holds {tables} and nothing of Headwater's")).hint(
        "give Headwater a database of its own, or let it make its schema beside them: headwater admin migrate --shared-database",
    )
}
