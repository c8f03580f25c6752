//! PostgreSQL: tables, views and queries to read, tables to write.
//!
//! Reads: one snapshot for all tables of a stage; binary COPY over ranges of ctid, decoded straight into Arrow; projection,
//! limit and a written list of filters happen on the server. Cancelling ends the statement on the server.
//! Writes: binary COPY in one transaction together with the load's row in `_headwater_loads`, so that a load commits once;
//! rows that meet others by keys are copied beside the target and merged in that transaction, in which columns that a load's
//! contract changes are changed too.
//! Limits: Postgres 12 or newer (one COPY per table before 14); values that Arrow can't hold exactly are refused, not
//! rounded (see the types in `types.rs`).

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use headwater_engine::Result;
use headwater_engine::connector::{
    Connection, Connector, ConnectorSpec, Demand, Expected, Health, Sink, SinkRequest, Source, SourceRequest, TableInfo,
};
use headwater_pipelines::spec::WriteMode;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::settings;

mod alter;
mod casts;
mod catalog;
#[cfg(test)]
mod codec_tests;
mod copy;
mod decode;
mod encode;
mod endpoint;
mod exclusive;
mod failure;
mod filters;
mod gone;
mod history;
mod idle;
mod kept;
mod keyed;
mod known;
mod loads;
mod marks;
mod names;
mod numeric;
mod patience;
mod profile;
mod quota;
mod relation;
mod rows;
mod scan;
mod session;
mod sink;
mod snapshot;
mod source;
mod swap;
mod target;
mod tls;
mod types;
mod window;
mod written;

use endpoint::{Endpoint, Host, Settings};
use idle::Idle;
use known::Known;
use patience::Patience;
use quota::{DEFAULT_SESSIONS, Quota, Quotas, Reservation};
use session::{Dialer, Session};
use snapshot::Snapshots;
use written::Sight;

static SPEC: ConnectorSpec = ConnectorSpec {
    name: "postgres",
    summary: "PostgreSQL 12 or newer, and servers that speak its protocol",
    location: "url",
    schemes: &["postgres", "postgresql"],
    example: "type: postgres\nurl: \"postgres://app:${SHOP_PASSWORD}@db.example.com:5432/shop?sslmode=verify-full\"\n",
    reads: true,
    queries: true,
    rejects: false,
    writes: &[
        WriteMode::Append,
        WriteMode::Overwrite,
        WriteMode::Upsert,
        WriteMode::InsertNew,
        WriteMode::DeleteInsert,
        WriteMode::Scd2,
    ],
};

/// The connector. One for a process, which shares out the sessions of each connection.
#[derive(Debug)]
pub(crate) struct Postgres {
    quotas: Quotas,
    idle: Arc<Idle>,
    /// Where sessions are driven.
    io: Option<Handle>,
}

impl Postgres {
    /// A connector whose sessions are driven on the runtime that it is made on.
    pub(crate) fn new() -> Self {
        Self { quotas: Quotas::default(), idle: Arc::default(), io: Handle::try_current().ok() }
    }
}

impl Connector for Postgres {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn settings_schema(&self) -> Value {
        schemars::schema_for!(Settings).into()
    }

    fn redact(&self, settings: &Value) -> Value {
        settings::redact(settings, &self.secrets(settings))
    }

    fn secrets(&self, settings: &Value) -> Vec<String> {
        let text = |key: &str| settings.get(key).and_then(Value::as_str);
        let in_url = text("url").and_then(endpoint::password_in);
        let mut secrets: Vec<String> = in_url.into_iter().flatten().collect();
        secrets.extend(text("password").map(str::to_owned));
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }

    fn open(&self, name: &str, settings: &Value) -> Result<Arc<dyn Connection>> {
        let settings: Settings = settings::read(name, &SPEC, settings)?;
        let endpoint = Endpoint::resolve(&settings, &|variable| std::env::var(variable).ok())?;
        let quota = self.quotas.of(name, settings.max_sessions.map_or(DEFAULT_SESSIONS, NonZeroU32::get));
        let shared = Shared {
            dialer: Arc::new(Dialer::new(name, endpoint, self.io.clone())),
            idle: Arc::clone(&self.idle),
            snapshots: Snapshots::default(),
            quota,
            reserved: parking_lot::Mutex::default(),
            spare: Mutex::new(None),
            known: Known::default(),
        };
        Ok(Arc::new(PostgresConnection { shared: Arc::new(shared) }))
    }
}

/// What sources, scans and sinks of one opened connection share.
#[derive(Debug)]
struct Shared {
    dialer: Arc<Dialer>,
    idle: Arc<Idle>,
    snapshots: Snapshots,
    quota: Quota,
    /// What the stage that opened the connection may use.
    reserved: parking_lot::Mutex<Option<Reservation>>,
    /// A session for questions, kept between them until somebody needs one for longer.
    spare: Mutex<Option<Session>>,
    /// What has been learned of the database.
    known: Known,
}

impl Shared {
    /// Sessions that may read a table at a time.
    fn readers(&self, table: &str) -> usize {
        self.reserved.lock().as_ref().map_or(usize::MAX, |reserved| reserved.readers(table))
    }

    /// How long a question may wait for a lock: who reserved nothing only looks.
    fn patience(&self) -> Patience {
        if self.reserved.lock().is_some() { Patience::Session } else { Patience::Short }
    }

    /// Gives back what a table does not need of that.
    fn reduce(&self, table: &str, readers: usize) {
        self.reserved.lock().iter_mut().for_each(|reserved| reserved.reduce(table, readers));
    }

    /// A session to keep: the spare one, or a new one.
    async fn session(&self) -> Result<Session> {
        // Nobody waits for the spare one while a new one is opened.
        let spare = self.spare.lock().await.take();
        match spare.filter(Session::is_open) {
            Some(session) => Ok(session),
            None => self.open().await,
        }
    }

    /// A session that waits for a stage, or a new one.
    async fn open(&self) -> Result<Session> {
        match self.idle.take(&self.dialer).await {
            Some(session) => Ok(session),
            None => self.dialer.dial().await,
        }
    }

    /// Leaves a session that is in no transaction to the next stage.
    fn give_back(&self, session: Session) {
        self.idle.put(&self.dialer, session);
    }

    /// Asks something on the spare session, which is kept only if it answered.
    async fn ask<T>(&self, question: impl AsyncFnOnce(&Session) -> Result<T>) -> Result<T> {
        let mut spare = self.spare.lock().await;
        let session = match spare.take().filter(Session::is_open) {
            Some(session) => session,
            None => self.open().await?,
        };
        let answer = question(&session).await?;
        *spare = Some(session);
        Ok(answer)
    }

    fn is_socket(&self) -> bool {
        matches!(self.dialer.endpoint.host, Host::Socket(_))
    }
}

/// One opened connection.
struct PostgresConnection {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for PostgresConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shared.dialer.fmt(f)
    }
}

#[async_trait]
impl Connection for PostgresConnection {
    async fn check(&self) -> Result<Health> {
        self.shared.ask(async |session| catalog::check(&self.shared, session).await).await
    }

    async fn catalog(&self, columns: bool) -> Result<Vec<TableInfo>> {
        self.shared.ask(async |session| catalog::catalog(session, columns).await).await
    }

    async fn expect(&self, tables: &Expected) -> Result<()> {
        let (known, name) = (&self.shared.known, &self.shared.dialer.name);
        self.shared.ask(async |session| known.expect(session, name, tables, self.shared.patience()).await).await
    }

    async fn source(&self, request: &SourceRequest) -> Result<Source> {
        let shared = Arc::clone(&self.shared);
        let (table, position, notes) = if window::reads_rows_of_a_table(request) {
            let is_shared = self.shared.snapshots.importable(&self.shared).await?;
            let session = self.shared.snapshots.reader(&self.shared).await?;
            let sight = if is_shared { Sight::Snapshot } else { Sight::Older };
            let opened = source::PostgresTable::open(shared, &session, request, sight).await?;
            session.run("ending the look for new rows", "COMMIT").await?;
            self.shared.give_back(session);
            opened
        } else {
            let opened =
                async |session: &Session| source::PostgresTable::open(shared, session, request, Sight::Nothing).await;
            self.shared.ask(opened).await?
        };
        let incomplete = table.incomplete();
        Ok(Source { position, notes, incomplete, ..Source::from(Arc::new(table) as Arc<dyn TableProvider>) })
    }

    async fn sink(&self, request: &SinkRequest) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(sink::PostgresSink::open(Arc::clone(&self.shared), request)?))
    }

    async fn reserve(&self, demand: &Demand) -> Result<()> {
        let reserved = self.shared.quota.reserve(demand).await;
        *self.shared.reserved.lock() = reserved;
        Ok(())
    }

    async fn close(&self) {
        if let Some(session) = self.shared.spare.lock().await.take() {
            self.shared.give_back(session);
        }
        self.shared.snapshots.release(&self.shared).await;
        self.shared.dialer.close().await;
        self.shared.reserved.lock().take();
    }
}
