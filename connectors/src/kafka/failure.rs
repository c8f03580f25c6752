//! What went wrong between us and the brokers, told apart by what a user would do about it.

use std::io;

use headwater_engine::{EngineError, ErrorKind};
use rdkafka::types::RDKafkaErrorCode;

use super::endpoint::{Endpoint, Security};
use super::session::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, codes};

/// Why a broker gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its host has no address.
    Unknown(io::Error),
    /// Nobody listens on the port.
    Refused(io::Error),
    /// The network does not reach it.
    Unreachable(io::Error),
    /// It took too long.
    Silent,
    /// It closed the connection at the very first request.
    ClosedAtOnce(io::Error),
    /// It closed the connection later.
    Closed(io::Error),
    /// It answered in TLS.
    SpeaksTls,
    /// The TLS handshake failed.
    Tls(io::Error),
    /// The host's name can't stand in a certificate.
    Name,
    /// The file of the authority, and what is wrong with it.
    Authority(String, String),
    /// What it answered is not Kafka's protocol.
    Foreign,
    /// It does not know the requests.
    Old,
    /// The listener offers other mechanisms.
    Mechanism(Vec<String>),
    /// The listener knows no SASL.
    NoSasl,
    /// User or password are wrong.
    Password,
    /// Another error code of the protocol.
    Code(i16),
}

impl Failure {
    pub(super) fn connecting(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused(error),
            io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Unreachable(error),
        }
    }

    pub(super) fn closed(error: io::Error) -> Self {
        Self::Closed(error)
    }

    /// The same at the first request, which every listener of Kafka answers.
    pub(super) fn at_greeting(self) -> Self {
        match self {
            Self::Closed(error) => Self::ClosedAtOnce(error),
            other => other,
        }
    }

    /// In words, of a broker that is not asked again.
    pub(super) fn again(&self, endpoint: &Endpoint, address: &str) -> EngineError {
        let (kind, what, hint) = self.words(endpoint, address);
        EngineError::new(kind, format!("connection '{}': {what}", endpoint.name)).hint(hint)
    }

    /// In words, at a broker.
    pub(super) fn at(self, endpoint: &Endpoint, address: &str) -> EngineError {
        if matches!(self, Self::Silent) {
            endpoint.silence.note(address);
        }
        let error = self.again(endpoint, address);
        match self {
            Self::Unknown(cause)
            | Self::Refused(cause)
            | Self::Unreachable(cause)
            | Self::ClosedAtOnce(cause)
            | Self::Closed(cause)
            | Self::Tls(cause) => error.caused_by(cause),
            _ => error,
        }
    }

    fn words(&self, endpoint: &Endpoint, address: &str) -> (ErrorKind, String, String) {
        let transient = |what: String, hint: &str| (ErrorKind::Transient, what, hint.to_owned());
        let config = |what: String, hint: &str| (ErrorKind::Config, what, hint.to_owned());
        match self {
            Self::Unknown(_) => transient(
                format!("the host of {address} is unknown"),
                "check the host name for a typing mistake, and the DNS of this machine; a broker's own name comes from its advertised.listeners",
            ),
            Self::Refused(_) => transient(
                format!("{address} refused the connection"),
                "is the broker running, and do host and port fit? brokers name each other by advertised.listeners, which has to be reachable from here",
            ),
            Self::Unreachable(error) => transient(
                format!("could not connect to {address}: {error}"),
                "check the network between this machine and the broker",
            ),
            Self::Silent => transient(
                format!("{address} did not answer within {} s", CONNECT_TIMEOUT.max(ANSWER_TIMEOUT).as_secs()),
                "a firewall may drop packets, or the broker is overloaded; does the listener speak what `security` says?",
            ),
            Self::ClosedAtOnce(_) => config(
                format!("{address} closed the connection at the first request"),
                "does the listener speak TLS? then set security: tls or sasl_tls; or is it no Kafka broker?",
            ),
            Self::Closed(error) if error.kind() == io::ErrorKind::UnexpectedEof && !endpoint.security.sasl() => config(
                format!("{address} closed the connection instead of answering"),
                "a listener that asks for SASL does so: set security: sasl_tls or sasl_plaintext, user and password; or was the broker stopped just now?",
            ),
            Self::Closed(error) => transient(
                format!("the connection to {address} broke: {error}"),
                "the broker's log says whether it was stopped or ended the connection",
            ),
            Self::SpeaksTls => config(
                format!("{address} answers in TLS"),
                if endpoint.security.sasl() { "set security: sasl_tls" } else { "set security: tls, or sasl_tls" },
            ),
            Self::Tls(error) => config(format!("TLS with {address} failed: {error}"), tls_hint(endpoint, error)),
            Self::Name => config(
                format!("the host of {address} can't be verified by a certificate"),
                "use the name or the address that the broker's certificate is issued for",
            ),
            Self::Authority(path, what) => config(
                format!("the certificates in {path} can't be used: {what}"),
                "option 'ca' is a PEM file with the certificate of the brokers' authority",
            ),
            Self::Foreign => config(
                format!("{address} does not answer as a Kafka broker does"),
                "is it a Kafka broker that listens on this port, and not its controller or another server?",
            ),
            Self::Old => config(
                format!("{address} does not know the requests that Headwater makes"),
                "Kafka 2.8 or newer is needed, or a server that speaks its protocol with topic ids",
            ),
            Self::Mechanism(offered) => (
                ErrorKind::Config,
                format!("{address} does not offer the SASL mechanism {}", endpoint.mechanism.name()),
                format!("the listener offers {}", offered.join(", ")),
            ),
            Self::NoSasl => config(
                format!("{address} does not ask for SASL"),
                if endpoint.security == Security::SaslTls { "set security: tls" } else { "set security: plaintext" },
            ),
            Self::Password => config(
                format!("{address} refused the password of user '{}'", endpoint.user),
                "check user, password and mechanism",
            ),
            Self::Code(code) => {
                let (kind, hint) = judge(*code);
                (kind, format!("{address} answered with error {code} ({})", named(*code)), hint.to_owned())
            }
        }
    }
}

fn tls_hint(endpoint: &Endpoint, error: &io::Error) -> &'static str {
    let text = error.to_string();
    if error.kind() == io::ErrorKind::UnexpectedEof || text.contains("InvalidContentType") {
        "is it a listener for TLS? if not, set security: plaintext or sasl_plaintext"
    } else if text.contains("NotValidForName") || text.contains("not valid for name") {
        "the certificate has to name the host by which the broker is reached; advertised.listeners says which that is"
    } else if endpoint.ca.is_none() {
        "set `ca` to the PEM file of the authority that signed the brokers' certificates"
    } else {
        "is the broker's certificate signed by `ca`, valid now, and for server authentication?"
    }
}

/// What a caller can do about an error code.
fn judge(code: i16) -> (ErrorKind, &'static str) {
    match code {
        codes::TOPIC_DENIED => {
            (ErrorKind::Config, "the user needs READ and DESCRIBE on the topic: kafka-acls --add --operation READ")
        }
        codes::UNKNOWN_TOPIC => (ErrorKind::Config, "`headwater connections catalog` lists the topics"),
        codes::INVALID_TOPIC => (ErrorKind::Config, "check the topic's name"),
        30 | 31 | 65 => (ErrorKind::Config, "the user lacks a privilege; the broker's log says which"),
        35 => (ErrorKind::Config, "Kafka 2.8 or newer is needed"),
        _ => (ErrorKind::Transient, "the broker's log says more; a cluster that is restarting recovers by itself"),
    }
}

/// The name of an error code, without its text.
pub(super) fn named(code: i16) -> String {
    match code {
        codes::UNKNOWN_TOPIC => "unknown topic or partition".to_owned(),
        codes::LEADER_NOT_AVAILABLE => "leader not available".to_owned(),
        codes::NOT_LEADER => "not leader or follower".to_owned(),
        codes::INVALID_TOPIC => "invalid topic".to_owned(),
        codes::TOPIC_DENIED => "topic authorization failed".to_owned(),
        31 => "cluster authorization failed".to_owned(),
        35 => "unsupported version".to_owned(),
        other => format!("code {other}"),
    }
}

/// An error code of a topic.
pub(super) fn topic(label: &str, code: i16) -> EngineError {
    let (kind, hint) = judge(code);
    let what = match code {
        codes::UNKNOWN_TOPIC => "there is no such topic".to_owned(),
        codes::TOPIC_DENIED => "the user may not read the topic".to_owned(),
        other => format!("the brokers answered with: {}", named(other)),
    };
    EngineError::new(kind, format!("{label}: {what}")).hint(hint)
}

/// What librdkafka reports while messages are read: nothing if it goes on by itself, or does not concern us.
pub(super) fn reading(label: &str, code: RDKafkaErrorCode) -> Option<EngineError> {
    use RDKafkaErrorCode as Code;
    let config = |what: &str, hint: &str| Some(EngineError::config(format!("reading {label}: {what}")).hint(hint));
    match code {
        Code::TopicAuthorizationFailed => Some(topic(label, codes::TOPIC_DENIED)),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => config(
            "the topic was deleted, or lost a partition, while it was read",
            "if it was made again, read it from its beginning: headwater run NAME --full-refresh",
        ),
        Code::SaslAuthenticationFailed | Code::Authentication => {
            config("a broker refused the user", "check user and password on every broker")
        }
        Code::SSL => config("TLS with a broker failed", "`headwater connections check` says why"),
        Code::BadCompression | Code::BadMessage | Code::InvalidMessage | Code::UnsupportedCompressionType => {
            let what = format!("reading {label}: a batch of messages can't be unpacked ({code})");
            Some(EngineError::data(what).hint("the broker's log and kafka-dump-log say what is wrong with the segment"))
        }
        _ => None,
    }
}
