//! One error type. Its kind says what the caller can do about it.

use std::error::Error as _;
use std::fmt::Display;
use std::io::ErrorKind;

use sqlx::postgres::PgConnectOptions;

use crate::Suggest;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The database can't be reached or asked for the transaction again; trying later may succeed.
    Unavailable,
    /// There is no such thing.
    NotFound,
    /// The request can't be carried out as it stands; a person has to change something.
    Invalid,
    /// The lease token is not the current one: somebody else has the stage run, or it has ended.
    Stale,
    /// The run was canceled.
    Canceled,
    /// A fault of ours.
    Bug,
}

/// What happened and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What the caller can do.
    pub kind: StoreErrorKind,
    /// Lower case, without a final stop.
    pub message: String,
    /// The next thing to try, in words.
    pub hint: Option<String>,
    /// The operation that would help.
    pub suggest: Option<Suggest>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Shorthand for the store's results.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

impl StoreError {
    /// An error of the given kind.
    pub fn new(kind: StoreErrorKind, message: impl Display) -> Self {
        Self { kind, message: message.to_string(), hint: None, suggest: None, source: None }
    }

    pub(crate) fn invalid(message: impl Display) -> Self {
        Self::new(StoreErrorKind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Display) -> Self {
        Self::new(StoreErrorKind::NotFound, message)
    }

    pub(crate) fn bug(message: impl Display) -> Self {
        Self::new(StoreErrorKind::Bug, message)
    }

    pub(crate) fn stale() -> Self {
        Self::new(StoreErrorKind::Stale, "the lease token is not the current one: the attempt has lost its stage run")
    }

    pub(crate) fn canceled() -> Self {
        Self::new(StoreErrorKind::Canceled, "the run was canceled")
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    #[must_use]
    pub(crate) fn suggest(mut self, suggest: Suggest) -> Self {
        self.suggest = Some(suggest);
        self
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }

    /// Whether it took too long, by its deadline or waiting for a lock: a smaller call of the same kind may succeed.
    pub fn is_late(&self) -> bool {
        std::iter::successors(self.source(), |cause| (*cause).source()).any(|cause| {
            let missed =
                cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::TimedOut);
            let waited = cause.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
            missed || waited.and_then(|error| error.code()).is_some_and(|code| code == "55P03")
        })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let kind = if is_transient(&error) { StoreErrorKind::Unavailable } else { StoreErrorKind::Bug };
        let message = match &error {
            sqlx::Error::Database(cause) => format!("the control plane's database refused: {}", cause.message()),
            sqlx::Error::PoolTimedOut => "no connection to the control plane's database came free in time".to_owned(),
            other => format!("the control plane's database can't be used: {other}"),
        };
        Self { kind, message, hint: None, suggest: None, source: Some(Box::new(error)) }
    }
}

/// Why the control plane's server can't be reached, and what to do about it.
pub(crate) fn unreachable(options: &PgConnectOptions, error: sqlx::Error) -> StoreError {
    let address = match options.get_socket() {
        Some(folder) => format!("socket {}", folder.display()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let user = options.get_username();
    let (kind, message, hint) = match &error {
        sqlx::Error::Database(answer) => match answer.code().as_deref() {
            Some("28P01") => (
                StoreErrorKind::Invalid,
                format!("{address} refused the password of user '{user}'"),
                "check user and password of --database-url",
            ),
            Some("28000") => (
                StoreErrorKind::Invalid,
                format!("{address} does not let user '{user}' in: {}", answer.message()),
                "does the role exist, and does pg_hba.conf have a line for it, this host and this sslmode?",
            ),
            Some("3D000") => (
                StoreErrorKind::Invalid,
                format!("there is no database '{}' on the server", options.get_database().unwrap_or(user)),
                "check the last part of --database-url; psql -l lists the databases",
            ),
            _ => (
                StoreErrorKind::Unavailable,
                format!("{address} refused: {}", answer.message()),
                "the server's log says more",
            ),
        },
        sqlx::Error::Io(cause) => match cause.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => (
                StoreErrorKind::Unavailable,
                format!("{address} refused the connection"),
                "is the server running, and do host and port of --database-url fit?",
            ),
            ErrorKind::TimedOut => (
                StoreErrorKind::Unavailable,
                format!("{address} did not answer in time"),
                "a firewall or an allow-list may drop packets",
            ),
            ErrorKind::UnexpectedEof => (
                StoreErrorKind::Unavailable,
                format!("{address} ended the connection: is it a Postgres server?"),
                "check host and port of --database-url",
            ),
            _ if cause.to_string().contains("lookup") => (
                StoreErrorKind::Unavailable,
                format!("the host of {address} is unknown"),
                "check the host name for a typing mistake, and the DNS of this machine",
            ),
            _ => (
                StoreErrorKind::Unavailable,
                format!("could not connect to {address}: {cause}"),
                "check --database-url",
            ),
        },
        sqlx::Error::Tls(cause) => (
            StoreErrorKind::Invalid,
            format!("TLS with {address} failed: {cause}"),
            "check sslmode and sslrootcert of --database-url",
        ),
        sqlx::Error::Protocol(_) => (
            StoreErrorKind::Invalid,
            format!("{address} does not answer as a Postgres server does"),
            "check host and port of --database-url",
        ),
        other => {
            (StoreErrorKind::Unavailable, format!("could not connect to {address}: {other}"), "check --database-url")
        }
    };
    StoreError::new(kind, format!("the control plane's database: {message}")).hint(hint).caused_by(error)
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        // Serialisation, deadlock, connection, resources, shutdown and start-up; 25006 is a standby that was just promoted away.
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            matches!(&code[..2], "40" | "08" | "53" | "57") || matches!(code.as_ref(), "25006" | "55P03")
        }),
        _ => false,
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::bug(format!("a stored document can't be read: {error}")).caused_by(error)
    }
}
