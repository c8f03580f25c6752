//! One snapshot for everything that a connection reads, so that joined tables agree.

use headwater_engine::{EngineError, Result};
use tokio::sync::{Mutex, OnceCell};

use super::Shared;
use super::session::{FAREWELL_TIMEOUT, Session};

/// How every transaction begins: its own statement, so that a pooler hands over one server for all that follows.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What text forms and long reads depend on, whatever the role's defaults are.
pub(super) const SETTINGS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'";

/// The snapshot of one opened connection, taken when the first row is asked for.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    current: Mutex<Option<Exported>>,
    /// Whether other sessions can import it; poolers in front of several servers can't.
    importable: OnceCell<bool>,
}

struct Exported {
    /// Keeps the snapshot alive; its transaction stays open.
    holder: Session,
    name: String,
}

impl std::fmt::Debug for Exported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Snapshots {
    /// Whether several sessions can share the snapshot. Asked once.
    pub(super) async fn importable(&self, shared: &Shared) -> Result<bool> {
        let probe = || async {
            let name = self.name(shared).await?;
            let question = async |session: &Session| {
                let imported = session.run("importing the snapshot", &import(&name)).await;
                if let Err(error) = &imported {
                    self.must_live().await?;
                    let connection = &shared.dialer.name;
                    tracing::warn!(connection, %error, "the snapshot can't be shared; each table is read by one COPY");
                }
                session.run("giving the snapshot back", "ROLLBACK").await?;
                Ok(imported.is_ok())
            };
            shared.ask(question).await
        };
        self.importable.get_or_try_init(probe).await.copied()
    }

    /// A session in a read-only transaction that sees the shared snapshot, where it can be shared.
    pub(super) async fn reader(&self, shared: &Shared) -> Result<Session> {
        let session = if self.importable(shared).await? {
            let begin = import(&self.name(shared).await?);
            let session = shared.session().await?;
            // It was imported before: if it can't be now, its holder is gone.
            session.run("importing the snapshot", &begin).await.map_err(|error| lost(&error))?;
            session
        } else {
            let session = shared.session().await?;
            session.run("beginning to read", BEGIN).await?;
            session
        };
        session.run("preparing to read", SETTINGS).await?;
        notice_lost_client(&session).await?;
        Ok(session)
    }

    /// Ends the snapshot.
    pub(super) async fn release(&self, shared: &Shared) {
        let Some(Exported { holder, .. }) = self.current.lock().await.take() else { return };
        // A session that does not answer is ended as one that is interrupted.
        let ended = tokio::time::timeout(FAREWELL_TIMEOUT, holder.run("ending the snapshot", "COMMIT")).await;
        if matches!(ended, Ok(Ok(()))) {
            shared.give_back(holder);
        }
    }

    /// A snapshot that is gone is no snapshot that can't be shared: tables that are read in snapshots of their own would not agree.
    async fn must_live(&self) -> Result<()> {
        let mut current = self.current.lock().await;
        let Some(exported) = &*current else { return Ok(()) };
        let answered = exported.holder.run("looking whether the snapshot is there", "SELECT 1").await;
        answered.map_err(|error| {
            *current = None;
            lost(&error)
        })
    }

    async fn name(&self, shared: &Shared) -> Result<String> {
        let mut current = self.current.lock().await;
        if let Some(exported) = &*current {
            return Ok(exported.name.clone());
        }
        let holder = shared.session().await?;
        holder.run("starting the snapshot", &format!("{BEGIN}; {SETTINGS}")).await?;
        let name = holder.value("exporting the snapshot", "SELECT pg_export_snapshot()").await?;
        let name = name.ok_or_else(|| EngineError::bug("the server exported a snapshot without a name"))?;
        *current = Some(Exported { holder, name: name.clone() });
        Ok(name)
    }
}

/// Another attempt gets a snapshot of its own.
fn lost(error: &EngineError) -> EngineError {
    EngineError::transient(format!("the session that held the snapshot of all tables was lost: {}", error.message))
}

fn import(name: &str) -> String {
    format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{name}'")
}

/// Asks the server to notice within a second that we are gone, e.g. killed, while it waits or sorts. Not every server can.
async fn notice_lost_client(session: &Session) -> Result<()> {
    let sql = "SAVEPOINT hw; SET LOCAL client_connection_check_interval = '1s'; RELEASE hw";
    match session.run("setting up the session", sql).await {
        Ok(()) => Ok(()),
        Err(_) => session.run("setting up the session", "ROLLBACK TO hw").await,
    }
}
