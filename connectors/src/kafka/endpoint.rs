//! Settings of a connection: the brokers, how they are reached, and how messages are read.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_engine::{EngineError, Result};
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::settings::{Address, RegistrySettings};
use super::schemas::Language;
use super::silence::Silence;

/// Settings of a `kafka` connection.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Brokers to ask first, `host:port` each, separated by commas; also as `kafka://host:port,host:port`. They name the others.
    pub bootstrap: String,
    /// How brokers are reached: as their listener is configured.
    #[serde(default)]
    pub security: Security,
    /// SASL: how a user proves who it is.
    #[serde(default)]
    pub mechanism: Mechanism,
    /// SASL: the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// SASL: the user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// TLS: the PEM file of the authority that signed the brokers' certificates; the system's authorities if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// What messages hold.
    #[serde(default)]
    pub format: Format,
    /// Format debezium: what an event does that says all rows of its table are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncates: Option<Truncates>,
    /// Formats avro, protobuf and json_schema: the schema registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistrySettings>,
}

/// How brokers are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Security {
    /// Neither encrypted nor authenticated (`PLAINTEXT`).
    #[default]
    Plaintext,
    /// Encrypted, the brokers' certificates verified (`SSL`).
    Tls,
    /// User and password over an open wire (`SASL_PLAINTEXT`).
    SaslPlaintext,
    /// User and password over TLS (`SASL_SSL`).
    SaslTls,
}

impl Security {
    pub(super) fn tls(self) -> bool {
        matches!(self, Self::Tls | Self::SaslTls)
    }

    pub(super) fn sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslTls)
    }

    /// librdkafka's name.
    fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslTls => "sasl_ssl",
        }
    }
}

/// How a user proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Mechanism {
    /// The password itself is sent.
    #[default]
    #[serde(rename = "PLAIN")]
    Plain,
    /// Both sides prove that they know the password, which is not sent.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with a longer hash.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    /// SASL's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// What messages hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// One JSON object each, whose members are columns.
    #[default]
    Json,
    /// One record of Avro each, behind the id of its schema in a schema registry; its fields are columns.
    Avro,
    /// One message of Protobuf each, behind the id of its schema in a schema registry; its fields are columns.
    Protobuf,
    /// One JSON object each, behind the id of its JSON Schema in a schema registry; the schema's properties are columns.
    JsonSchema,
    /// One change event of Debezium each, as JSON, with its schema embedded or without; the columns are those of the row that it is about.
    Debezium,
    /// Bytes, which are one column.
    Raw,
}

impl Format {
    /// What the schemas of messages are written in, if they have any.
    pub(crate) fn language(self) -> Option<Language> {
        match self {
            Self::Avro => Some(Language::Avro),
            Self::Protobuf => Some(Language::Protobuf),
            Self::JsonSchema => Some(Language::JsonSchema),
            Self::Json | Self::Debezium | Self::Raw => None,
        }
    }
}

/// What a truncate does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Truncates {
    /// The read fails.
    #[default]
    Fail,
    /// It is passed over: the rows stay.
    Ignore,
}

/// Everything needed to reach the brokers.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// The connection's name, for messages.
    pub name: String,
    /// Host and port of each broker to ask first.
    pub hosts: Vec<(String, u16)>,
    pub security: Security,
    pub mechanism: Mechanism,
    pub user: String,
    pub password: String,
    pub ca: Option<PathBuf>,
    pub format: Format,
    pub truncates: Truncates,
    /// Brokers that did not answer just now.
    pub silence: Arc<Silence>,
    pub registry: Option<Address>,
}

/// Secrets never reach logs, so only the addresses are shown.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address())
    }
}

/// Kafka's own port.
const DEFAULT_PORT: u16 = 9092;

impl Endpoint {
    /// Reads the settings.
    pub(crate) fn resolve(name: &str, settings: &Settings) -> Result<Self> {
        let wrong = |what: &str, setting: &str| {
            EngineError::config(format!("connection '{name}': {what}")).at_setting(setting.to_owned())
        };
        let list = settings.bootstrap.trim().strip_prefix("kafka://").unwrap_or(settings.bootstrap.trim());
        let hosts = list.trim_end_matches('/').split(',').map(str::trim).map(broker).collect::<Option<Vec<_>>>();
        let hosts = hosts.ok_or_else(|| {
            wrong("option 'bootstrap' is not a list of brokers", "bootstrap")
                .hint("write host:port, several separated by commas; user and password are options of their own")
        })?;
        let credentials = settings.user.is_some() || settings.password.is_some();
        if settings.security.sasl() && !(settings.user.is_some() && settings.password.is_some()) {
            return Err(wrong("SASL needs the options 'user' and 'password'", "user").hint(
                "write the password as ${NAME}, or set security: plaintext or tls if the listener asks for none",
            ));
        }
        if credentials && !settings.security.sasl() {
            return Err(wrong("user and password are not used without SASL", "security")
                .hint("set security: sasl_tls, or sasl_plaintext if the network is trusted; or leave them out"));
        }
        if settings.ca.is_some() && !settings.security.tls() {
            return Err(wrong("option 'ca' is not used without TLS", "ca").hint("set security: tls or sasl_tls"));
        }
        match (settings.format.language(), &settings.registry) {
            (Some(language), None) => {
                let what = format!("format {} needs the option 'registry'", language.format());
                return Err(wrong(&what, "registry")
                    .hint("write registry: { url: \"https://HOST:PORT\" }: the schemas of the messages are there"));
            }
            (None, Some(_)) => {
                return Err(wrong(
                    "option 'registry' is used with format: avro, protobuf or json_schema alone",
                    "format",
                )
                .hint("set one of these formats, or leave the option out"));
            }
            _ => {}
        }
        if settings.truncates.is_some() && settings.format != Format::Debezium {
            return Err(wrong("option 'truncates' is not used without format: debezium", "format")
                .hint("set format: debezium, or leave the option out"));
        }
        Ok(Self {
            name: name.to_owned(),
            hosts,
            security: settings.security,
            mechanism: settings.mechanism,
            user: settings.user.clone().unwrap_or_default(),
            password: settings.password.clone().unwrap_or_default(),
            ca: settings.ca.clone(),
            format: settings.format,
            truncates: settings.truncates.unwrap_or_default(),
            silence: Arc::default(),
            registry: settings.registry.as_ref().map(|settings| Address::resolve(name, settings)).transpose()?,
        })
    }

    /// The brokers to ask first, as librdkafka takes them.
    pub(crate) fn address(&self) -> String {
        let shown: Vec<String> = self.hosts.iter().map(|(host, port)| shown(host, *port)).collect();
        shown.join(",")
    }

    /// What librdkafka needs to connect.
    pub(super) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("security.protocol", self.security.protocol());
        if self.security.sasl() {
            config.set("sasl.mechanisms", self.mechanism.name());
            config.set("sasl.username", &self.user).set("sasl.password", &self.password);
        }
        if self.security.tls() {
            // `probe` looks for the system's authorities where distributions keep them.
            let ca = self.ca.as_ref().map_or("probe".into(), |ca| ca.to_string_lossy());
            config.set("ssl.ca.location", ca).set("ssl.endpoint.identification.algorithm", "https");
        }
        config
    }
}

/// An address as it is written; an IPv6 host stands in brackets.
pub(super) fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What stands before an `@`, where no broker has anything: somebody's user and password.
pub(super) fn logins_in(bootstrap: &str) -> impl Iterator<Item = &str> {
    let brokers = bootstrap.trim().strip_prefix("kafka://").unwrap_or(bootstrap).split(',');
    brokers.filter_map(|broker| broker.rsplit_once('@').map(|(login, _)| login))
}

/// Host and port of one broker. A login before the host is no part of it, and is not repeated in messages.
fn broker(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%');
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok().filter(|port| *port > 0))?;
    (!host.is_empty() && host.bytes().all(plain)).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn resolve(settings: serde_json::Value) -> Result<Endpoint> {
        Endpoint::resolve("events", &serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn brokers_are_read_from_a_list_or_a_location() {
        let endpoint = resolve(json!({ "bootstrap": "kafka://a.example:9094, b ,[::1]:9093" })).unwrap();
        assert_eq!(endpoint.address(), "a.example:9094,b:9092,[::1]:9093");
        for wrong in ["", "a:b", "a:0", "kafka://u:12345678@h:9092", "a,,b", "http://a:1", "a:70000"] {
            let error = resolve(json!({ "bootstrap": wrong })).unwrap_err();
            assert!(error.hint.is_some() && !error.to_string().contains("12345678"), "{error}");
        }
    }

    #[test]
    fn a_password_is_sent_only_where_that_was_asked_for() {
        let with = |security: &str| json!({ "bootstrap": "h", "user": "u", "password": "pw-1", "security": security });
        assert!(resolve(with("plaintext")).unwrap_err().message.contains("without SASL"));
        assert!(resolve(with("tls")).is_err());
        let endpoint = resolve(with("sasl_tls")).unwrap();
        assert!(!format!("{endpoint:?}").contains("pw-1"));
        assert!(resolve(json!({ "bootstrap": "h", "security": "sasl_tls", "user": "u" })).is_err());
        assert!(resolve(json!({ "bootstrap": "h", "ca": "/x.pem" })).is_err());
    }

    #[test]
    fn a_registry_and_a_format_with_schemas_belong_together() {
        let error = resolve(json!({ "bootstrap": "h", "format": "avro" })).unwrap_err();
        assert_eq!((error.setting.as_deref(), error.hint.is_some()), (Some("registry"), true));
        let registry = json!({ "url": "http://r:8081" });
        assert!(resolve(json!({ "bootstrap": "h", "registry": registry })).is_err());
        assert!(resolve(json!({ "bootstrap": "h", "truncates": "ignore" })).is_err());
        let changes = resolve(json!({ "bootstrap": "h", "format": "debezium", "truncates": "ignore" })).unwrap();
        assert_eq!(changes.truncates, Truncates::Ignore);
        assert!(
            resolve(json!({ "bootstrap": "h", "format": "avro", "registry": registry })).unwrap().registry.is_some()
        );
    }
}
