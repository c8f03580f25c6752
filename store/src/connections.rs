//! Connections: saved settings, sealed as a whole.

use chrono::{DateTime, Utc};
use headwater_pipelines::diagnostic::nearest_hint;
use headwater_pipelines::plan::Plan;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::{MasterKey, Result, StoreError, Suggest, Workspace};

/// A connection, fit to be shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConnectionRow {
    /// Its name.
    pub name: String,
    /// Name of the connector.
    pub connector: String,
    /// Its settings with every secret replaced.
    pub shown: Value,
    /// The variables of the environment that it may resolve; absent if it was stored before they were recorded.
    pub variables: Option<Vec<String>>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// A connection that is to be stored.
#[derive(Clone)]
pub struct NewConnection {
    /// Its name.
    pub name: String,
    /// Name of the connector.
    pub connector: String,
    /// Its settings, secrets included.
    pub settings: Value,
    /// Its settings with every secret replaced.
    pub shown: Value,
    /// The variables of the environment that it references, and so may resolve.
    pub variables: Vec<String>,
}

/// A connection with its secrets.
#[derive(Clone)]
pub struct OpenedConnection {
    /// Its name.
    pub name: String,
    /// Name of the connector.
    pub connector: String,
    /// Its settings, secrets included.
    pub settings: Value,
    /// When the stored settings were changed last; absent for a run's own.
    pub changed_at: Option<DateTime<Utc>>,
}

/// Secrets never reach logs, so the settings are left out.
impl std::fmt::Debug for OpenedConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedConnection")
            .field("name", &self.name)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// As above.
impl std::fmt::Debug for NewConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewConnection")
            .field("name", &self.name)
            .field("connector", &self.connector)
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

/// What the audit says of a stored connection.
#[derive(Serialize)]
struct Stored<'a> {
    connector: &'a str,
    settings: &'a Value,
    variables: &'a [String],
}

impl Workspace {
    /// Adds a connection or replaces the one of that name.
    pub async fn put_connection(&self, key: &MasterKey, connection: &NewConnection) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        self.put_connection_in(&mut tx, key, connection).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(crate) async fn put_connection_in(
        &self,
        tx: &mut Tx,
        key: &MasterKey,
        connection: &NewConnection,
    ) -> Result<()> {
        let NewConnection { name, connector, settings, shown, variables } = connection;
        if self.is_stored(tx, key, connection).await? {
            return Ok(());
        }
        let sealed = key.seal(&self.bound_to(name), &serde_json::to_vec(settings)?)?;
        sqlx::query!(
            r#"INSERT INTO connections (workspace_id, name, connector, shown, sealed, variables) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (workspace_id, name) DO UPDATE
               SET connector = EXCLUDED.connector, shown = EXCLUDED.shown, sealed = EXCLUDED.sealed,
                   variables = EXCLUDED.variables, updated_at = clock_timestamp(), catalog_tried_at = NULL"#,
            self.id(),
            name,
            connector,
            shown,
            sealed,
            variables
        )
        .execute(&mut **tx)
        .await?;
        self.record(tx, "connections.put", name, &Stored { connector, settings: shown, variables }).await
    }

    /// Whether a connection is stored exactly so. What is known of it, its catalog above all, then stays.
    async fn is_stored(&self, tx: &mut Tx, key: &MasterKey, connection: &NewConnection) -> Result<bool> {
        let stored = sqlx::query!(
            "SELECT connector, sealed, variables FROM connections WHERE workspace_id = $1 AND name = $2 FOR UPDATE",
            self.id(),
            connection.name
        )
        .fetch_optional(&mut **tx)
        .await?;
        let Some(stored) = stored else { return Ok(false) };
        let plain = key.open(&self.bound_to(&connection.name), &stored.sealed);
        let settings = plain.and_then(|plain| serde_json::from_slice::<Value>(&plain).ok());
        Ok(settings.as_ref() == Some(&connection.settings)
            && stored.connector == connection.connector
            && stored.variables.as_ref() == Some(&connection.variables))
    }

    /// All connections by name, without their secrets.
    pub async fn connections(&self) -> Result<Vec<ConnectionRow>> {
        Ok(sqlx::query_as!(
            ConnectionRow,
            "SELECT name, connector, shown, variables, created_at, updated_at FROM connections WHERE workspace_id = $1 ORDER BY name",
            self.id()
        )
        .fetch_all(self.durable())
        .await?)
    }

    /// One connection with its secrets.
    pub async fn open_connection(&self, key: &MasterKey, name: &str) -> Result<OpenedConnection> {
        let mut opened = self.open_connections(key, &[name.to_owned()]).await?;
        opened.pop().ok_or_else(|| StoreError::bug("a connection was opened and is not there"))
    }

    /// The named connections with their secrets, sorted by name. The error names those that do not exist.
    pub async fn open_connections(&self, key: &MasterKey, names: &[String]) -> Result<Vec<OpenedConnection>> {
        let rows = sqlx::query_as!(
            SealedRow,
            r#"SELECT name, connector, sealed, NULL::uuid AS sealed_for, updated_at AS "changed_at?" FROM connections
               WHERE workspace_id = $1 AND name = ANY ($2) ORDER BY name"#,
            self.id(),
            names
        )
        .fetch_all(self.durable())
        .await?;
        self.unseal(key, names, rows).await
    }

    /// The named connections as a run sees them, sorted by name: those that it brought along, or that the run brought which it does
    /// again, stand before stored ones of the same name.
    pub async fn open_connections_for_run(
        &self,
        key: &MasterKey,
        run_id: Uuid,
        names: &[String],
    ) -> Result<Vec<OpenedConnection>> {
        let rows = sqlx::query_as!(
            SealedRow,
            r#"SELECT own.name AS "name!", own.connector AS "connector!", own.sealed AS "sealed!", own.sealed_for, NULL::timestamptz AS changed_at
               FROM run_connections own WHERE own.workspace_id = $1 AND own.run_id = $2 AND own.name = ANY ($3)
               UNION ALL
               SELECT c.name, c.connector, c.sealed, NULL, c.updated_at FROM connections c
               WHERE c.workspace_id = $1 AND c.name = ANY ($3) AND NOT EXISTS (
                   SELECT FROM run_connections o WHERE o.workspace_id = $1 AND o.run_id = $2 AND o.name = c.name)
               ORDER BY 1"#,
            self.id(),
            run_id,
            names
        )
        .fetch_all(self.durable())
        .await?;
        self.unseal(key, names, rows).await
    }

    async fn unseal(&self, key: &MasterKey, names: &[String], rows: Vec<SealedRow>) -> Result<Vec<OpenedConnection>> {
        if let Some(missing) = names.iter().find(|name| rows.iter().all(|row| row.name != **name)) {
            return Err(self.unknown_connection(missing).await?);
        }
        rows.into_iter()
            .map(|row| {
                let bound = match row.sealed_for {
                    Some(run_id) => self.bound_to_run(run_id, &row.name),
                    None => self.bound_to(&row.name),
                };
                let plain = key.open(&bound, &row.sealed).ok_or_else(|| undecipherable(&row.name))?;
                let settings = serde_json::from_slice(&plain)?;
                Ok(OpenedConnection { name: row.name, connector: row.connector, settings, changed_at: row.changed_at })
            })
            .collect()
    }

    /// Removes a connection that no approved pipeline uses.
    pub async fn remove_connection(&self, name: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let removed = sqlx::query!("DELETE FROM connections WHERE workspace_id = $1 AND name = $2", self.id(), name)
            .execute(&mut *tx)
            .await?;
        if removed.rows_affected() == 0 {
            drop(tx);
            return Err(self.unknown_connection(name).await?);
        }
        let users = self.users_of(&mut *tx, name).await?;
        if !users.is_empty() {
            let noun = if users.len() == 1 { "pipeline" } else { "pipelines" };
            return Err(StoreError::invalid(format!(
                "connection '{name}' is used by the approved {noun} {}",
                users.join(", ")
            ))
            .hint("apply versions that do without it, or remove the pipelines first")
            .suggest(Suggest::ListPipelines));
        }
        if let Some((run, pipeline)) = self.run_that_uses(&mut *tx, name).await? {
            let message = format!("connection '{name}' is used by run {run} of {pipeline}, which is under way");
            return Err(StoreError::invalid(message)
                .hint("wait until it has ended")
                .suggest(Suggest::CancelRun { run }));
        }
        self.record(&mut tx, "connections.remove", name, &()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Names of the pipelines whose approved version reads or writes a connection. A plan that this build can't read counts as using it.
    pub async fn users_of_connection(&self, name: &str) -> Result<Vec<String>> {
        self.users_of(self.reads(), name).await
    }

    async fn users_of(&self, executor: impl PgExecutor<'_>, name: &str) -> Result<Vec<String>> {
        let rows = sqlx::query!(
            r#"SELECT p.name, v.plan::text AS "plan!"
               FROM pipelines p JOIN versions v ON v.workspace_id = p.workspace_id AND v.id = p.current_version_id
               WHERE p.workspace_id = $1 ORDER BY p.name"#,
            self.id()
        )
        .fetch_all(executor)
        .await?;
        Ok(rows.into_iter().filter(|row| uses(&row.plan, name)).map(|row| row.name).collect())
    }

    /// The newest unfinished run whose version reads or writes a connection, with its pipeline.
    async fn run_that_uses(&self, executor: impl PgExecutor<'_>, name: &str) -> Result<Option<(Uuid, String)>> {
        let rows = sqlx::query!(
            r#"SELECT r.id, p.name, v.plan::text AS "plan!"
               FROM runs r JOIN versions v ON v.workspace_id = r.workspace_id AND v.id = r.version_id
               JOIN pipelines p ON p.workspace_id = r.workspace_id AND p.id = r.pipeline_id
               WHERE r.workspace_id = $1 AND r.state IN ('pending', 'queued', 'running') ORDER BY r.id DESC"#,
            self.id()
        )
        .fetch_all(executor)
        .await?;
        Ok(rows.into_iter().find(|row| uses(&row.plan, name)).map(|row| (row.id, row.name)))
    }

    pub(crate) async fn must_have_connection(&self, name: &str) -> Result<()> {
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM connections WHERE workspace_id = $1 AND name = $2) AS "known!""#,
            self.id(),
            name
        )
        .fetch_one(self.durable())
        .await?;
        if known { Ok(()) } else { Err(self.unknown_connection(name).await?) }
    }

    async fn unknown_connection(&self, name: &str) -> Result<StoreError> {
        let rows = self.connections().await?;
        let error = StoreError::not_found(format!("there is no connection named '{name}'"));
        let add = Suggest::AddConnection { name: Some(name.to_owned()) };
        Ok(match nearest_hint(name, rows.iter().map(|row| row.name.as_str())) {
            Some(hint) if hint.starts_with("did you mean") => error.hint(hint).suggest(Suggest::ListConnections),
            Some(hint) => error.hint(hint).suggest(add),
            None => error.suggest(add),
        })
    }

    /// What a sealed row is bound to.
    fn bound_to(&self, name: &str) -> Vec<u8> {
        let mut bound = Uuid::as_bytes(&self.id()).to_vec();
        bound.extend_from_slice(name.as_bytes());
        bound
    }

    /// What a run's own connection is bound to. The slash keeps it apart from every stored connection, whose name has none.
    pub(crate) fn bound_to_run(&self, run_id: Uuid, name: &str) -> Vec<u8> {
        let mut bound = Uuid::as_bytes(&self.id()).to_vec();
        bound.extend_from_slice(format!("run/{run_id}/{name}").as_bytes());
        bound
    }
}

/// A row whose settings are sealed.
struct SealedRow {
    name: String,
    connector: String,
    sealed: Vec<u8>,
    /// The run that it was sealed for, if it is a run's own.
    sealed_for: Option<Uuid>,
    changed_at: Option<DateTime<Utc>>,
}

fn undecipherable(name: &str) -> StoreError {
    StoreError::invalid(format!("the secrets of connection '{name}' can't be decrypted with this master key"))
        .hint("use the HEADWATER_MASTER_KEY (or the data directory) it was added with, or add it again")
}

/// Whether a plan reads or writes a connection. One that this build can't read counts as doing so.
fn uses(plan: &str, connection: &str) -> bool {
    match serde_json::from_str::<Plan>(plan) {
        Ok(plan) => plan.tasks.values().flat_map(|task| task.work.connections()).any(|used| used == connection),
        Err(_) => true,
    }
}
