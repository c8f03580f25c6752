//! One cluster in a data directory: making it, starting it, stopping it.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::servers::{self, PgUser, Server};
use super::{ROLE, socket_dir, unusable};
use crate::{Result, StoreError, Suggest};

/// How long a start may take: crash recovery of a large cluster needs minutes.
const START_TIMEOUT: Duration = Duration::from_secs(600);

/// The line of postgresql.conf that includes our settings; those of a person stand below it.
const INCLUDED: &str = "include_if_exists = 'headwater.conf'\n";

/// How long a server that is neither up nor gone is waited for.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A cluster and where its things are.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    data_dir: PathBuf,
    pgdata: PathBuf,
    socket_dir: PathBuf,
    user: Option<PgUser>,
}

/// What a look at the server found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    Up,
    /// It starts, recovers or stops.
    Busy(String),
    Down,
}

impl Cluster {
    pub(super) fn open(data_dir: &Path, user: Option<PgUser>) -> Result<Self> {
        let socket_dir = socket_dir(data_dir, "run");
        Ok(Self { data_dir: data_dir.to_owned(), pgdata: data_dir.join("postgres"), socket_dir, user })
    }

    /// Another cluster beside this one, whose socket nobody looks for.
    pub(super) fn apart(&self, suffix: &str) -> Self {
        Self {
            pgdata: self.beside(suffix),
            socket_dir: socket_dir(&self.data_dir, &format!("run.{suffix}")),
            data_dir: self.data_dir.clone(),
            user: self.user.clone(),
        }
    }

    /// A directory beside the cluster's.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        self.data_dir.join(format!("postgres.{suffix}"))
    }

    pub(super) fn user(&self) -> Option<&PgUser> {
        self.user.as_ref()
    }

    pub(super) fn gate_lock(&self) -> PathBuf {
        self.data_dir.join("gate.lock")
    }

    pub(super) fn use_lock(&self) -> PathBuf {
        self.data_dir.join("use.lock")
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn pgdata(&self) -> PathBuf {
        self.pgdata.clone()
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.data_dir.join("postgres-log").join("postgres.log")
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!(
            "postgres://{ROLE}@localhost:5432/{}?host={}",
            encode(database),
            encode(&self.socket_dir.to_string_lossy())
        )
    }

    /// The major version that made the cluster, if there is one.
    pub(super) fn major(&self) -> Option<u32> {
        std::fs::read_to_string(self.pgdata().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// The process id that the server left in its directory.
    pub(super) fn postmaster(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.pgdata().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Makes the cluster if need be and starts it if need be. The caller holds the gate.
    pub(super) async fn ensure_running(&self) -> Result<()> {
        self.finish_upgrade()?;
        if self.major().is_some() && self.settled().await? == Health::Up {
            return Ok(());
        }
        let server = servers::choose(self.major())?;
        if self.major().is_none() {
            self.init(&server).await?;
        }
        self.configure()?;
        self.start(&server).await
    }

    /// Puts an upgraded cluster into its place, if the process that upgraded it died before it could.
    pub(super) fn finish_upgrade(&self) -> Result<()> {
        let upgraded = self.beside("upgraded");
        if self.pgdata.exists() || !upgraded.exists() {
            return Ok(());
        }
        std::fs::rename(&upgraded, &self.pgdata).map_err(|error| unusable(&self.pgdata, error))
    }

    /// Names of the databases that can be connected to.
    pub(super) async fn databases(&self) -> Result<Vec<String>> {
        let mut connection = self.connect("postgres").await?;
        let names = sqlx::query_scalar(
            "SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1",
        )
        .fetch_all(&mut connection)
        .await?;
        connection.close().await?;
        Ok(names)
    }

    /// Asks the server how it is, and waits while it is between two states.
    async fn settled(&self) -> Result<Health> {
        let began = Instant::now();
        loop {
            match self.health().await {
                Health::Busy(state) if began.elapsed() > START_TIMEOUT => {
                    return Err(StoreError::new(
                        crate::StoreErrorKind::Unavailable,
                        format!("the embedded Postgres has not become ready in {START_TIMEOUT:?}: {state}"),
                    )
                    .hint(format!("look at {}", self.log_file().display())));
                }
                Health::Busy(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                health => return Ok(health),
            }
        }
    }

    pub(super) async fn health(&self) -> Health {
        match self.connect("postgres").await {
            Ok(connection) => {
                // It has answered; how the goodbye goes does not matter.
                let _ = connection.close().await;
                Health::Up
            }
            Err(sqlx::Error::Database(error)) => Health::Busy(error.message().to_owned()),
            Err(_) => Health::Down,
        }
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url(database).parse()?;
        options.connect().await
    }

    /// Makes the cluster beside its final place, so that a half-made one is never taken for a cluster.
    pub(super) async fn init(&self, server: &Server) -> Result<()> {
        let draft = self.data_dir.join("postgres.new");
        if draft.exists() {
            std::fs::remove_dir_all(&draft).map_err(|error| unusable(&draft, error))?;
        }
        self.make_private(&draft)?;
        let mut initdb = servers::command(&server.bin.join("initdb"), self.user.as_ref());
        initdb.args(["--username", ROLE, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]);
        initdb.arg("--no-instructions").arg("--pgdata").arg(&draft);
        let output = run(initdb).await?;
        if !output.status.success() {
            return Err(self.failed("initdb could not make a cluster", &output));
        }
        let conf = draft.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&conf).map_err(|error| unusable(&conf, error))?;
        text.push('\n');
        text.push_str(INCLUDED);
        std::fs::write(&conf, text).map_err(|error| unusable(&conf, error))?;
        std::fs::rename(&draft, self.pgdata()).map_err(|error| unusable(&self.pgdata(), error))
    }

    /// Writes our settings. Those of a person go into postgresql.conf, below the line that includes this file.
    pub(super) fn configure(&self) -> Result<()> {
        self.make_private(&self.socket_dir)?;
        let log = self.log_file();
        if let Some(folder) = log.parent() {
            self.make_private(folder)?;
        }
        let socket_dir = self.socket_dir.to_string_lossy().replace('\'', "''");
        let text = format!(
            "# Written by headwater at every start.\n\
             listen_addresses = ''\n\
             unix_socket_directories = '{socket_dir}'\n\
             port = 5432\n\
             fsync = on\n\
             max_connections = 200\n\
             jit = off\n\
             max_wal_size = '2GB'\n\
             wal_buffers = '8MB'\n\
             log_min_messages = warning\n"
        );
        let path = self.pgdata().join("headwater.conf");
        std::fs::write(&path, text).map_err(|error| unusable(&path, error))?;
        PgUser::own(self.user.as_ref(), &path).map_err(|error| unusable(&path, error))
    }

    /// Gives a new cluster what a person has written into the files of this one. A server that can't read it does not start.
    pub(super) fn hand_down_settings(&self, new: &Self) -> Result<()> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| unusable(path, error));
        let write = |path: &Path, text: String| std::fs::write(path, text).map_err(|error| unusable(path, error));
        let access = "pg_hba.conf";
        write(&new.pgdata.join(access), read(&self.pgdata.join(access))?)?;
        let conf = "postgresql.conf";
        let old = read(&self.pgdata.join(conf))?;
        if let Some((_, theirs)) = old.split_once(INCLUDED) {
            let path = new.pgdata.join(conf);
            write(&path, format!("{}{theirs}", read(&path)?))?;
        }
        Ok(())
    }

    /// A directory that only the server's user (and root) can enter. One that belongs to somebody else is refused.
    pub(super) fn make_private(&self, path: &Path) -> Result<()> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => PgUser::own(self.user.as_ref(), path).map_err(|error| unusable(path, error)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let metadata = std::fs::symlink_metadata(path).map_err(|error| unusable(path, error))?;
                if metadata.is_dir() && metadata.uid() == PgUser::uid(self.user.as_ref()) {
                    let private = std::fs::Permissions::from_mode(0o700);
                    return std::fs::set_permissions(path, private).map_err(|error| unusable(path, error));
                }
                Err(StoreError::invalid(format!("{} belongs to somebody else", path.display())).hint(
                    "start as the user (and with the --pg-user) that made the data directory, or choose another one",
                ))
            }
            Err(error) => Err(unusable(path, error)),
        }
    }

    /// `pg_ctl` gives the server a session of its own and waits through crash recovery. A server that is on its way out still
    /// has the directory for a moment, hence the second and third try.
    pub(super) async fn start(&self, server: &Server) -> Result<()> {
        let began = Instant::now();
        loop {
            let mut start = servers::command(&server.bin.join("pg_ctl"), self.user.as_ref());
            start.arg("start").arg("--pgdata").arg(self.pgdata()).arg("--log").arg(self.log_file());
            start.args(["--wait", "--silent", "--timeout"]).arg(START_TIMEOUT.as_secs().to_string());
            let output = run(start).await?;
            if output.status.success() || self.settled().await? == Health::Up {
                return Ok(());
            }
            if began.elapsed() > SETTLE_TIMEOUT || self.postmaster().is_none() {
                return Err(self.failed("the embedded Postgres did not start", &output));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Stops the server. The caller holds the gate and knows that nobody uses it.
    pub(super) async fn stop(&self) -> Result<()> {
        let server = servers::choose(self.major())?;
        let mut stop = servers::command(&server.bin.join("pg_ctl"), self.user.as_ref());
        stop.arg("stop").arg("--pgdata").arg(self.pgdata()).args(["--mode", "fast", "--wait", "--silent"]);
        let output = run(stop).await?;
        if output.status.success() || self.health().await == Health::Down {
            return Ok(());
        }
        Err(self.failed("the embedded Postgres did not stop", &output))
    }

    pub(super) async fn ensure_database(&self, database: &str) -> Result<()> {
        let mut connection = self.connect("postgres").await?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(database)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            let statement = format!("CREATE DATABASE \"{}\"", database.replace('"', "\"\""));
            match sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await {
                Ok(_) => {}
                // Another process made it in the same moment.
                Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {}
                Err(error) => return Err(error.into()),
            }
        }
        connection.close().await?;
        Ok(())
    }

    pub(super) fn failed(&self, what: &str, output: &Output) -> StoreError {
        let said = String::from_utf8_lossy(&output.stderr);
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let last = said.lines().chain(log.lines().rev().take(3)).map(str::trim).find(|line| !line.is_empty());
        let message = match last {
            Some(line) => format!("{what}: {line}"),
            None => what.to_owned(),
        };
        StoreError::invalid(message)
            .hint(format!("the server's log is {}", self.log_file().display()))
            .suggest(Suggest::Doctor)
    }
}

/// Runs a command off the runtime's threads. The output is captured through pipes, and a server started by `pg_ctl` has its own.
pub(super) async fn run(mut command: Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(|error| StoreError::bug(format!("{program} was interrupted")).caused_by(error))?
        .map_err(|error| StoreError::invalid(format!("{program} can't be run: {error}")).caused_by(error))
}

/// Percent-encoding of whatever is not plain in a URL.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
