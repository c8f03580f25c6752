//! What went wrong between us and a schema registry, told apart by what a user would do about it.

use std::error::Error;
use std::io;
use std::time::Duration;

use headwater_engine::{EngineError, ErrorKind};
use serde::Deserialize;
use url::Url;

use super::{ANSWER_TIMEOUT, Registry};

/// Why a registry gave no schema.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Its host has no address.
    Unknown,
    /// Nobody listens on the port.
    Refused,
    /// The network does not reach it.
    Unreachable(String),
    /// It took too long.
    Silent,
    /// It closed the connection.
    Closed(String),
    /// The TLS handshake failed.
    Tls(String),
    /// The file of the authority, and what is wrong with it.
    Authority(String, String),
    /// It wants another login, or none is enough: 401 or 403.
    Denied(u16),
    /// It has no such subject, version or id.
    Missing,
    /// It can't answer now: its status, and how long it wants to be left alone.
    Busy(u16, Option<Duration>),
    /// It sends to another address.
    Moved(u16),
    /// It answers with another status.
    Status(u16),
    /// What it answers is no registry's.
    Foreign,
}

/// How a registry words its errors.
#[derive(Debug, Deserialize)]
struct Refused {
    error_code: i64,
}

/// Codes of a subject, a version or a schema that is not there. Without such a code, it is the address that is not there.
const MISSING: std::ops::RangeInclusive<i64> = 40_401..=40_499;

/// An error of this kind may hold another one, which its chain of causes leaves out.
fn innermost(error: &io::Error) -> &io::Error {
    error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).map_or(error, innermost)
}

impl Trouble {
    /// A status that is no success.
    pub(super) fn status(status: u16, after: Option<Duration>, body: &[u8]) -> Self {
        match status {
            401 | 403 => Self::Denied(status),
            404 if serde_json::from_slice(body).is_ok_and(|Refused { error_code }| MISSING.contains(&error_code)) => {
                Self::Missing
            }
            404 => Self::Foreign,
            429 | 500..=599 => Self::Busy(status, after),
            300..=399 => Self::Moved(status),
            _ => Self::Status(status),
        }
    }

    /// No answer came at all.
    pub(super) async fn sending(error: reqwest::Error, url: &Url) -> Self {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        match Self::unsent(&error.without_url()) {
            // The library does not say so in a way that can be told.
            Self::Unreachable(_) if tokio::net::lookup_host((host, port)).await.is_err() => Self::Unknown,
            trouble => trouble,
        }
    }

    fn unsent(error: &reqwest::Error) -> Self {
        let mut causes: Vec<&(dyn Error + 'static)> = vec![error];
        while let Some(cause) = causes.last().copied().and_then(|last| last.source()) {
            causes.push(cause);
        }
        let io = causes.iter().find_map(|cause| cause.downcast_ref::<io::Error>()).map(innermost);
        let in_io = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let tls = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()).or(in_io);
        let words = causes.last().map(ToString::to_string).unwrap_or_default();
        match (tls, io.map(io::Error::kind)) {
            (Some(error), _) => Self::Tls(error.to_string()),
            _ if error.is_timeout() => Self::Silent,
            (None, Some(io::ErrorKind::ConnectionRefused)) => Self::Refused,
            (None, Some(io::ErrorKind::TimedOut)) => Self::Silent,
            _ if error.is_connect() => Self::Unreachable(words),
            (None, Some(_)) => Self::Closed(words),
            // The library's error says so in words alone.
            (None, None) if words.contains("connection closed") => Self::Closed(words),
            (None, None) => Self::Foreign,
        }
    }

    /// The answer broke off.
    pub(super) fn closed(error: &reqwest::Error) -> Self {
        match error.is_timeout() {
            true => Self::Silent,
            false => Self::Closed("in the middle of its answer".to_owned()),
        }
    }

    /// How long to wait before it is asked again; nothing if it would answer the same.
    pub(super) fn wait(&self, pause: Duration) -> Option<Duration> {
        match self {
            Self::Refused | Self::Unreachable(_) | Self::Silent | Self::Closed(_) => Some(pause),
            Self::Busy(_, after) => Some(after.unwrap_or(pause).max(pause)),
            _ => None,
        }
    }

    /// In words.
    pub(super) fn at(self, registry: &Registry) -> EngineError {
        let (kind, what, hint) = self.words(registry);
        EngineError::new(kind, format!("connection '{}': {what}", registry.connection)).hint(hint)
    }

    fn words(&self, registry: &Registry) -> (ErrorKind, String, &'static str) {
        let transient = |what: &str, hint| {
            (ErrorKind::Transient, format!("the schema registry {} {what}", registry.address()), hint)
        };
        let config =
            |what: &str, hint| (ErrorKind::Config, format!("the schema registry {} {what}", registry.address()), hint);
        match self {
            Self::Unknown => transient(
                "has a host that is unknown",
                "check registry.url for a typing mistake, and the DNS of this machine",
            ),
            Self::Refused => {
                transient("refused the connection", "is it running, and do host and port of registry.url fit?")
            }
            Self::Unreachable(what) => transient(
                &format!("could not be reached: {what}"),
                "check the network between this machine and the registry",
            ),
            Self::Silent => transient(
                &format!("did not answer within {} s", ANSWER_TIMEOUT.as_secs()),
                "a firewall may drop packets, or the registry is overloaded",
            ),
            Self::Closed(what) => transient(&format!("closed the connection: {what}"), "the registry's log says more"),
            Self::Tls(what) if registry.at.ca.is_none() => config(
                &format!("failed the TLS handshake: {what}"),
                "set registry.ca to the PEM file of the authority that signed its certificate; does it speak TLS at all?",
            ),
            Self::Tls(what) => config(
                &format!("failed the TLS handshake: {what}"),
                "is its certificate signed by registry.ca, valid now, and issued for the host of registry.url?",
            ),
            Self::Authority(path, what) => config(
                &format!("can't be verified: the certificates in {path} can't be used: {what}"),
                "registry.ca is a PEM file with the certificate of the registry's authority",
            ),
            Self::Denied(401) if registry.at.login.is_none() => {
                config("asks for a login (401)", "set registry.user and registry.password")
            }
            Self::Denied(401) => config("refused user or password (401)", "check registry.user and registry.password"),
            Self::Denied(status) => config(
                &format!("does not let the user read this ({status})"),
                "the user needs to read the topic's subjects and the schemas that they refer to",
            ),
            Self::Busy(status, _) => {
                transient(&format!("answers with status {status} again and again"), "the registry's log says more")
            }
            Self::Moved(status) => config(
                &format!("sends to another address (status {status})"),
                "write the address that it sends to in registry.url: a password is not sent on",
            ),
            Self::Status(status) => config(&format!("answers with status {status}"), "the registry's log says more"),
            Self::Missing | Self::Foreign => config(
                "does not answer as a schema registry does",
                "check registry.url, and its path if the registry has one, such as /apis/ccompat/v7",
            ),
        }
    }
}
