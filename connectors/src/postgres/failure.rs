//! What went wrong between us and a server, told apart by what a user would do about it.

use std::error::Error as _;

use headwater_engine::{EngineError, ErrorKind};
use tokio_postgres::error::{DbError, SqlState};

use super::endpoint::{Endpoint, SslMode};

/// An error while connecting.
pub(super) fn connecting(name: &str, endpoint: &Endpoint, error: tokio_postgres::Error) -> EngineError {
    if let Some(answer) = error.as_db_error().cloned() {
        return refused(name, endpoint, &answer).caused_by(error);
    }
    let causes = chain(&error);
    let address = endpoint.address();
    let failed = |message: String| EngineError::transient(format!("connection '{name}': {message}"));
    let known = if causes.contains("failed to lookup address") || causes.contains("Name or service not known") {
        failed(format!("the host of {address} is unknown"))
            .hint("check the host name for a typing mistake, and the DNS of this machine")
    } else if causes.contains("does not support TLS") {
        tls_error(name, format!("{address} does not offer TLS, and sslmode demands it"))
            .hint("turn TLS on at the server, or set sslmode=prefer if the network is trusted")
    } else if is_not_postgres(&causes) {
        failed(format!("{address} does not answer as a Postgres server does")).hint(
            "is it a Postgres server that listens on this port? one that is restarting may close connections, too",
        )
    } else if causes.contains("TLS") || causes.contains("certificate") {
        tls_error(name, format!("TLS with {address} failed: {}", root(&error))).hint(tls_hint(endpoint))
    } else if causes.contains("refused") || causes.contains("No such file") {
        failed(format!("{address} refused the connection"))
            .hint("is the server running, and do host and port fit? a server in a container needs its port published")
    } else if causes.contains("timed out") || causes.contains("timeout") {
        failed(format!("{address} did not answer within {} s", endpoint.connect_timeout.as_secs()))
            .hint("a firewall or an allow-list may drop packets; connect_timeout can be raised")
    } else if causes.contains("password missing") {
        password_missing(name, endpoint)
    } else {
        failed(format!("could not connect to {address}: {}", root(&error)))
    };
    known.caused_by(error)
}

/// Whether the answer was none of Postgres' protocol: another server, which closes the socket or talks its own language.
fn is_not_postgres(causes: &str) -> bool {
    let signs = [
        "eof",
        "connection closed",
        "invalid message",
        "unexpected message",
        "bytes remaining on stream",
        "InvalidContentType",
    ];
    signs.iter().any(|sign| causes.contains(sign))
}

fn tls_error(name: &str, message: String) -> EngineError {
    EngineError::config(format!("connection '{name}': {message}"))
}

fn tls_hint(endpoint: &Endpoint) -> String {
    match (&endpoint.root_cert, endpoint.sslmode) {
        (None, SslMode::VerifyCa | SslMode::VerifyFull) => {
            "set sslrootcert to the PEM file of the server's authority".to_owned()
        }
        (Some(_), SslMode::VerifyFull) => "the certificate must name this host and be signed by sslrootcert; \
             sslmode=verify-ca accepts any host name"
            .to_owned(),
        (Some(path), _) => format!("is the server's certificate signed by {}?", path.display()),
        (None, _) => "does the server speak TLS 1.2 or 1.3?".to_owned(),
    }
}

fn password_missing(name: &str, endpoint: &Endpoint) -> EngineError {
    let note = endpoint.password_file_note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
    EngineError::config(format!("connection '{name}': the server asks for the password of user '{}'", endpoint.user))
        .hint(format!("put it into the url as ${{NAME}}, into `password`, or into ~/.pgpass{note}"))
}

/// The server answered and said no.
fn refused(name: &str, endpoint: &Endpoint, answer: &DbError) -> EngineError {
    let code = answer.code();
    let config = |message: String| EngineError::config(format!("connection '{name}': {message}"));
    if *code == SqlState::INVALID_PASSWORD {
        let note = endpoint.password_file_note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
        config(format!("{} refused the password of user '{}'", endpoint.address(), endpoint.user))
            .hint(format!("check user and password{note}"))
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        config(format!("{} does not let user '{}' in: {}", endpoint.address(), endpoint.user, answer.message()))
            .hint("does the role exist, and does pg_hba.conf have a line for it, this host and this sslmode?")
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        config(format!("there is no database '{}' on the server", endpoint.database))
            .hint("check the last part of the url; psql -l lists the databases")
    } else {
        from_server(name, "connecting", answer)
    }
}

/// An error while something was done on an open connection.
pub(super) fn working(name: &str, doing: &str, error: tokio_postgres::Error) -> EngineError {
    if let Some(answer) = error.as_db_error().cloned() {
        return from_server(name, doing, &answer).caused_by(error);
    }
    let kind = if error.is_closed() || chain(&error).contains("os error") || chain(&error).contains("communicating") {
        ErrorKind::Transient
    } else {
        ErrorKind::Bug
    };
    EngineError::new(kind, format!("connection '{name}': the connection broke while {doing}: {}", root(&error)))
        .hint("the server's log says whether it restarted or ended the session")
        .caused_by(error)
}

fn from_server(name: &str, doing: &str, answer: &DbError) -> EngineError {
    let (kind, hint) = judge(answer);
    let detail = answer.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let place =
        answer.where_().and_then(|place| place.lines().next()).map(|place| format!(" [{place}]")).unwrap_or_default();
    let message = format!("connection '{name}': {doing}: {}{detail}{place}", answer.message());
    let error = EngineError::new(kind, message);
    match answer.hint().map(str::to_owned).or(hint.map(str::to_owned)) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What a caller can do about an answer, by its SQLSTATE.
fn judge(answer: &DbError) -> (ErrorKind, Option<&'static str>) {
    let code = answer.code().code();
    match code {
        "23503" => (
            ErrorKind::Data,
            Some(
                "load the tables that are referred to first and delete from them last, give the foreign key ON DELETE CASCADE, or use on_delete: soft",
            ),
        ),
        "42501" => (ErrorKind::Config, Some("grant the role the missing privilege, e.g. GRANT SELECT ON … TO …")),
        "42P01" | "3F000" => (ErrorKind::Config, Some("`headwater connections catalog` lists what the role can read")),
        "53300" => {
            (ErrorKind::Transient, Some("the server has no free connection; raise max_connections or use a pooler"))
        }
        "53100" => (ErrorKind::Transient, Some("the server's disk is full; free some space and run again")),
        "55P03" => {
            (ErrorKind::Transient, Some("another session holds or waits for a lock on the table; try again later"))
        }
        "40001" | "40P01" => (ErrorKind::Transient, None),
        "57014" => (ErrorKind::Transient, Some("the statement was canceled; check the role's statement_timeout")),
        "25006" => (ErrorKind::Config, Some("the server or the transaction is read-only; is this a standby?")),
        _ => match code.get(..2) {
            Some("08" | "53" | "57" | "58" | "25") => (ErrorKind::Transient, None),
            Some("22" | "23") => (ErrorKind::Data, None),
            _ => (ErrorKind::Config, None),
        },
    }
}

/// The texts of an error and all its causes.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// The text of the innermost cause.
fn root(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
