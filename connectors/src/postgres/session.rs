//! One session on a server: connecting, simple statements, COPY, and an end that leaves nothing running behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_engine::{EngineError, Result};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_postgres::{CancelToken, Client, Config, CopyInSink, CopyOutStream, NoTls, SimpleQueryMessage};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::endpoint::{Endpoint, Host, SslMode};
use super::failure;
use super::tls::Tls;

/// How long a cancel request may take, and ending sessions from outside.
const CANCEL_TIMEOUT: Duration = Duration::from_millis(1000);

/// How long a session may take to close once its statement was canceled.
pub(super) const FAREWELL_TIMEOUT: Duration = Duration::from_millis(300);

/// Opens sessions and outlives them until their ends are done.
pub(super) struct Dialer {
    /// The connection's name, for messages.
    pub name: String,
    pub endpoint: Endpoint,
    /// What the server knows our sessions by, and no others: a process may be somebody else's behind a pooler.
    session_name: String,
    /// A session ended in the middle of a statement. If its socket swallowed the farewell, the server still has it.
    interrupted: Arc<AtomicBool>,
    /// Tasks that drive sockets; a session may go to another dialer.
    sockets: TaskTracker,
    /// Sessions that are ours; `close` waits for their ends.
    tasks: TaskTracker,
    /// Where sockets are driven: they outlive the stage that opened them, and answer while its plan computes.
    pub io: Option<Handle>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The transport of a socket without TLS.
pub(super) const NOT_ENCRYPTED: &str = "TCP, not encrypted";

/// One session. Dropping it cancels what it does on the server and closes it.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    name: String,
    /// A statement is running, so that an end has to cancel it.
    busy: Arc<AtomicBool>,
    /// What protects the socket, for reports.
    pub transport: String,
    /// Who waits for its end.
    owner: Arc<Mutex<Owner>>,
    opened: Instant,
    /// Dropped with the session, which tells the driving task to end.
    _ended: oneshot::Sender<()>,
}

/// The dialer that waits until a session has ended, and hears whether it was interrupted.
#[derive(Debug, Default)]
struct Owner {
    token: Option<TaskTrackerToken>,
    interrupted: Arc<AtomicBool>,
}

/// A row of text values, as simple statements answer.
pub(super) type TextRow = Vec<Option<String>>;

impl Dialer {
    pub(super) fn new(name: &str, endpoint: Endpoint, io: Option<Handle>) -> Self {
        let session_name = format!("{} {:.8}", endpoint.application_name, uuid::Uuid::new_v4().simple().to_string());
        let (interrupted, sockets, tasks) = (Arc::default(), TaskTracker::new(), TaskTracker::new());
        Self { name: name.to_owned(), endpoint, session_name, interrupted, sockets, tasks, io }
    }

    /// Waits until every socket is closed, for at most the time that cancelling takes. If a statement was interrupted, sessions that the
    /// server still has are then ended over a socket of its own.
    pub(super) async fn close(&self) {
        self.tasks.close();
        // A socket that doesn't close in time is closed by its own task; there is nobody to tell.
        let _ = tokio::time::timeout(CANCEL_TIMEOUT * 2, self.tasks.wait()).await;
        self.tasks.reopen();
        if self.interrupted.swap(false, Ordering::AcqRel) {
            // Where no new socket gets through either, only the server's own timeouts can help.
            let _ = tokio::time::timeout(CANCEL_TIMEOUT, self.end_leftovers()).await;
        }
    }

    async fn end_leftovers(&self) -> Result<()> {
        let session = self.dial_by_mode(&self.endpoint.application_name).await?;
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = {} AND usename = current_user AND datname = current_database()",
            super::names::literal(&self.session_name)
        );
        session.run("ending interrupted sessions", &end).await
    }

    /// Opens a session with the TLS that sslmode asks for.
    pub(super) async fn dial(self: &Arc<Self>) -> Result<Session> {
        let limit = self.endpoint.connect_timeout;
        let dialer = Arc::clone(self);
        let dialing = async move { tokio::time::timeout(limit, dialer.dial_by_mode(&dialer.session_name)).await };
        let dialed = match &self.io {
            Some(io) => AbortOnDropHandle::new(io.spawn(dialing)).await.map_err(|error| {
                EngineError::transient(format!("connection '{}': the process ends: {error}", self.name))
            })?,
            None => dialing.await,
        };
        match dialed {
            Ok(result) => result,
            Err(_) => Err(EngineError::transient(format!(
                "connection '{}': {} did not answer within {} s",
                self.name,
                self.endpoint.address(),
                limit.as_secs()
            ))
            .hint("a firewall or an allow-list may drop packets; connect_timeout can be raised")),
        }
    }

    async fn dial_by_mode(&self, session_name: &str) -> Result<Session> {
        use tokio_postgres::config::SslMode as Wire;
        if matches!(self.endpoint.host, Host::Socket(_)) {
            return self.dial_plain(session_name).await;
        }
        match self.endpoint.sslmode {
            SslMode::Disable => self.dial_plain(session_name).await,
            SslMode::Allow => match self.dial_plain(session_name).await {
                Ok(session) => Ok(session),
                Err(_) => self.dial_tls(Wire::Require, session_name).await,
            },
            SslMode::Prefer => match self.dial_tls(Wire::Prefer, session_name).await {
                Ok(session) => Ok(session),
                Err(first) if first.message.contains("TLS") => self.dial_plain(session_name).await,
                Err(error) => Err(error),
            },
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                self.dial_tls(Wire::Require, session_name).await
            }
        }
    }

    async fn dial_plain(&self, session_name: &str) -> Result<Session> {
        let config = self.config(tokio_postgres::config::SslMode::Disable, session_name);
        let (client, connection) = config.connect(NoTls).await.map_err(|e| self.failed(e))?;
        let cancel = client.cancel_token();
        let cancel = move || async move { cancel.cancel_query(NoTls).await };
        Ok(self.drive(client, connection, cancel, NOT_ENCRYPTED.to_owned()))
    }

    async fn dial_tls(&self, mode: tokio_postgres::config::SslMode, session_name: &str) -> Result<Session> {
        let tls = Tls::new(&self.endpoint)?;
        let config = self.config(mode, session_name);
        let (client, connection) = config.connect(tls.connector.clone()).await.map_err(|e| self.failed(e))?;
        let cancel: CancelToken = client.cancel_token();
        let connector = tls.connector;
        let cancel = move || async move { cancel.cancel_query(connector).await };
        let mut session = self.drive(client, connection, cancel, String::new());
        session.transport = session.describe_transport(tls.verified).await;
        Ok(session)
    }

    fn failed(&self, error: tokio_postgres::Error) -> EngineError {
        failure::connecting(&self.name, &self.endpoint, error)
    }

    fn config(&self, ssl_mode: tokio_postgres::config::SslMode, session_name: &str) -> Config {
        let endpoint = &self.endpoint;
        let mut config = Config::new();
        config.user(&endpoint.user).dbname(&endpoint.database).port(endpoint.port).ssl_mode(ssl_mode);
        config.application_name(session_name).connect_timeout(endpoint.connect_timeout);
        config.keepalives_idle(Duration::from_secs(15)).tcp_user_timeout(Duration::from_secs(30));
        match &endpoint.host {
            Host::Tcp(host) => config.host(host),
            Host::Socket(folder) => config.host_path(folder),
        };
        if let Some(password) = &endpoint.password {
            config.password(password);
        }
        if let Some(options) = &endpoint.options {
            config.options(options);
        }
        if endpoint.require_channel_binding {
            config.channel_binding(tokio_postgres::config::ChannelBinding::Require);
        }
        config
    }

    /// Drives the socket until the session is dropped; then cancels a running statement and closes.
    fn drive<S, T, C, F>(
        &self,
        client: Client,
        connection: tokio_postgres::Connection<S, T>,
        cancel: C,
        transport: String,
    ) -> Session
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        C: FnOnce() -> F + Send + 'static,
        F: Future<Output = std::result::Result<(), tokio_postgres::Error>> + Send,
    {
        let busy = Arc::new(AtomicBool::new(false));
        let (ended, on_end) = oneshot::channel::<()>();
        let owner = Arc::new(Mutex::new(self.owner()));
        let (was_busy, owned) = (Arc::clone(&busy), Arc::clone(&owner));
        let driving = async move {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = &mut connection => return,
                _ = on_end => {}
            }
            if was_busy.load(Ordering::Acquire) {
                owned.lock().interrupted.store(true, Ordering::Release);
                // The socket is read meanwhile, so that the server is not stuck in a write when the request arrives.
                let cancel = tokio::time::timeout(CANCEL_TIMEOUT, cancel());
                tokio::pin!(cancel);
                tokio::select! {
                    _ = &mut connection => {}
                    _ = &mut cancel => {}
                }
            }
            // An idle session ends by the client's own farewell.
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, &mut connection).await;
        };
        let ends = Arc::clone(&owner);
        self.sockets.spawn(async move {
            driving.await;
            ends.lock().token.take();
        });
        let opened = Instant::now();
        Session { client, name: self.name.clone(), busy, transport, owner, opened, _ended: ended }
    }
}

impl Dialer {
    fn owner(&self) -> Owner {
        Owner { token: Some(self.tasks.token()), interrupted: Arc::clone(&self.interrupted) }
    }
}

impl Session {
    /// Whether another stage can have it: it is open, does nothing, and is not older than that.
    pub(super) fn is_reusable(&self, oldest: Duration) -> bool {
        self.is_open() && !self.busy.load(Ordering::Acquire) && self.opened.elapsed() < oldest
    }

    /// Nobody waits for its end any more.
    pub(super) fn leave(&self) {
        *self.owner.lock() = Owner::default();
    }

    /// Its end is waited for where sessions of this dialer are.
    pub(super) fn join(&self, dialer: &Dialer) {
        *self.owner.lock() = dialer.owner();
    }

    /// Makes it what a new session of this dialer would be: a query of a user's may have called what changes a session. Prepared statements stay, since
    /// the driver counts on its own.
    pub(super) async fn renew(&self, dialer: &Dialer) -> Result<()> {
        let name = super::names::literal(&dialer.session_name);
        let renew = format!(
            "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES;
             SET application_name = {name}"
        );
        self.run("taking up a session", &renew).await
    }

    /// Whether nothing has closed it yet, as far as this side knows.
    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Runs statements that answer nothing. `doing` says in messages what they are for.
    pub(super) async fn run(&self, doing: &str, sql: &str) -> Result<()> {
        self.tracked(self.client.batch_execute(sql)).await.map_err(|error| self.failed(doing, error))
    }

    /// Rows of a statement, as text. Simple statements need nothing that a pooler would have to remember.
    pub(super) async fn rows(&self, doing: &str, sql: &str) -> Result<Vec<TextRow>> {
        let messages = self.tracked(self.client.simple_query(sql)).await.map_err(|error| self.failed(doing, error))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first value of the first row.
    pub(super) async fn value(&self, doing: &str, sql: &str) -> Result<Option<String>> {
        Ok(self.rows(doing, sql).await?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// Describes a statement's columns: name, type's oid, type modifier.
    pub(super) async fn describe(&self, doing: &str, sql: &str) -> Result<Vec<(String, u32, i32)>> {
        let statement = self.tracked(self.client.prepare(sql)).await.map_err(|error| self.failed(doing, error))?;
        let columns = statement.columns().iter();
        Ok(columns.map(|c| (c.name().to_owned(), c.type_().oid(), c.type_modifier())).collect())
    }

    /// Starts a COPY … TO STDOUT. The session counts as busy until [`Session::idle`] is called.
    pub(super) async fn copy_out(&self, sql: &str) -> std::result::Result<CopyOutStream, tokio_postgres::Error> {
        self.busy.store(true, Ordering::Release);
        self.client.copy_out(sql).await
    }

    /// Starts a COPY … FROM STDIN. The session counts as busy until [`Session::idle`] is called.
    pub(super) async fn copy_in(&self, sql: &str) -> Result<CopyInSink<Bytes>> {
        self.busy.store(true, Ordering::Release);
        self.client.copy_in(sql).await.map_err(|error| self.failed("starting to copy", error))
    }

    /// The running COPY has ended.
    pub(super) fn idle(&self) {
        self.busy.store(false, Ordering::Release);
    }

    /// Puts an error of this session into words.
    pub(super) fn failed(&self, doing: &str, error: tokio_postgres::Error) -> EngineError {
        failure::working(&self.name, doing, error)
    }

    /// Round trip of a trivial statement.
    pub(super) async fn latency(&self) -> Result<Duration> {
        let start = Instant::now();
        self.run("checking the connection", "SELECT 1").await?;
        Ok(start.elapsed())
    }

    /// A future that is dropped half-way leaves the session busy, so that its end cancels what still runs.
    async fn tracked<T>(&self, statement: impl Future<Output = T>) -> T {
        self.busy.store(true, Ordering::Release);
        let result = statement.await;
        self.busy.store(false, Ordering::Release);
        result
    }

    async fn describe_transport(&self, verified: &str) -> String {
        let sql = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
        match self.value("asking about TLS", sql).await {
            Ok(Some(version)) => format!("{}, {verified}", version.replace("TLSv", "TLS ")),
            _ => NOT_ENCRYPTED.to_owned(),
        }
    }
}
