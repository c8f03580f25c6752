//! Settings of a connection: the url, the environment for what it leaves out, the password file.
//!
//! libpq's urls know more than tokio-postgres reads, so they are parsed here.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_engine::{EngineError, Result};
use headwater_pipelines::diagnostic::nearest_hint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a `postgres` connection.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// `postgres://user@host:5432/database?sslmode=verify-full`, as libpq reads it. What it leaves out comes from the PG*
    /// variables of the environment and from `~/.pgpass`.
    pub url: String,
    /// The password, if it is kept apart from the url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Sessions that one process has with the server at a time, 8 unless it says otherwise. Stages wait for their turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<NonZeroU32>,
}

/// How much TLS is demanded, as libpq names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(EngineError::config("the value of sslmode is not known")
                    .hint("use disable, allow, prefer, require, verify-ca or verify-full"));
            }
        })
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Tcp(String),
    /// A folder with the server's Unix socket.
    Socket(PathBuf),
}

/// Everything needed to connect.
#[derive(Clone, PartialEq)]
pub(super) struct Endpoint {
    pub host: Host,
    pub port: u16,
    pub user: String,
    pub database: String,
    pub password: Option<String>,
    pub sslmode: SslMode,
    /// A PEM file, or `system` for the system's own roots.
    pub root_cert: Option<PathBuf>,
    pub require_channel_binding: bool,
    pub application_name: String,
    pub connect_timeout: Duration,
    pub options: Option<String>,
    /// Why a password file was not used, for the hint of a refused password.
    pub password_file_note: Option<String>,
}

/// Secrets never reach logs, so only the address is shown.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address())
    }
}

/// Longer than a slow TLS handshake, short enough for a person who waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The parts of a url before defaults are applied.
#[derive(Default, PartialEq, Eq, Debug)]
struct Parts {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<String>,
    database: Option<String>,
    query: Vec<(String, String)>,
}

impl Endpoint {
    /// Reads the settings; `env` looks up a variable of the environment.
    pub(super) fn resolve(settings: &Settings, env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut parts = split_url(&settings.url)?;
        let mut query = std::mem::take(&mut parts.query);
        let env = |variable: &str| env(variable).filter(|value| !value.is_empty());
        let mut take = |name: &str| {
            let position = query.iter().position(|(key, _)| key == name)?;
            Some(query.remove(position).1)
        };
        let sslmode = take("sslmode").or_else(|| env("PGSSLMODE"));
        let sslmode = sslmode.map_or(Ok(SslMode::Prefer), |text| SslMode::parse(&text))?;
        let root_cert = take("sslrootcert").or_else(|| env("PGSSLROOTCERT")).map(PathBuf::from);
        let application_name = take("application_name").or_else(|| env("PGAPPNAME"));
        let timeout = take("connect_timeout").or_else(|| env("PGCONNECT_TIMEOUT"));
        let options = take("options").or_else(|| env("PGOPTIONS"));
        let binding = take("channel_binding").or_else(|| env("PGCHANNELBINDING"));
        let host = take("host").or(parts.host.take()).or_else(|| env("PGHOST"));
        let port = take("port").or(parts.port.take()).or_else(|| env("PGPORT"));
        let user = take("user").or(parts.user.take()).or_else(|| env("PGUSER")).or_else(|| env("USER"));
        let database = take("dbname").or(parts.database.take()).or_else(|| env("PGDATABASE"));
        let password = take("password").or(parts.password.take());
        refuse_unknown(&query)?;
        let user = user.ok_or_else(|| {
            EngineError::config("the url names no user").hint("write postgres://USER@host/database, or set PGUSER")
        })?;
        let mut endpoint = Self {
            host: parse_host(host.as_deref().unwrap_or("localhost")),
            port: parse_port(port.as_deref())?,
            database: database.unwrap_or_else(|| user.clone()),
            user,
            password: password.or_else(|| settings.password.clone()).or_else(|| env("PGPASSWORD")),
            sslmode,
            root_cert,
            require_channel_binding: binding.as_deref() == Some("require"),
            application_name: application_name.unwrap_or_else(|| "headwater".to_owned()),
            connect_timeout: parse_timeout(timeout.as_deref())?,
            options,
            password_file_note: None,
        };
        if endpoint.password.is_none() {
            endpoint.read_password_file(&env);
        }
        Ok(endpoint)
    }

    /// `host:port/database`, without secrets.
    pub(super) fn address(&self) -> String {
        match &self.host {
            Host::Tcp(host) => format!("{host}:{}/{}", self.port, self.database),
            Host::Socket(folder) => format!("{}/.s.PGSQL.{}, database {}", folder.display(), self.port, self.database),
        }
    }

    fn read_password_file(&mut self, env: &dyn Fn(&str) -> Option<String>) {
        let explicit = env("PGPASSFILE").map(PathBuf::from);
        let Some(path) = explicit.or_else(|| env("HOME").map(|home| Path::new(&home).join(".pgpass"))) else { return };
        let Ok(text) = std::fs::read_to_string(&path) else { return };
        if is_open_to_others(&path) {
            self.password_file_note =
                Some(format!("{} was not used because others may read it; run chmod 600 on it", path.display()));
            return;
        }
        self.password = find_password(&text, self);
        if self.password.is_none() {
            self.password_file_note = Some(format!("{} has no line for {}", path.display(), self.address()));
        }
    }
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}

/// Parameters of a url whose values are no secrets.
const PLAIN: [&str; 14] = [
    "sslmode",
    "sslrootcert",
    "channel_binding",
    "application_name",
    "connect_timeout",
    "options",
    "host",
    "port",
    "user",
    "dbname",
    "gssencmode",
    "target_session_attrs",
    "client_encoding",
    "sslnegotiation",
];

/// The nearest parameter that is known, for messages.
fn near(key: &str) -> String {
    let hint = nearest_hint(key, PLAIN.into_iter().chain(["password"])).filter(|hint| hint.starts_with("did you mean"));
    hint.map(|hint| format!("; {hint}")).unwrap_or_default()
}

/// The secrets in a url, as they are written and as they are meant: the password, and values of parameters that are not known to be
/// none, such as `sslpassword`.
pub(super) fn password_in(url: &str) -> Option<Vec<String>> {
    let (_, rest) = url.split_once("://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let login = rest.rsplit_once('@').map(|(login, _)| login);
    let written = login.and_then(|login| login.split_once(':')).map(|(_, password)| password);
    let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    let parameters = parameters.filter(|(key, _)| !PLAIN.contains(key)).map(|(_, value)| value);
    let all = written.into_iter().chain(parameters);
    Some(all.flat_map(|text| [Some(text.to_owned()), percent_decode(text)]).flatten().collect())
}

fn refuse_unknown(query: &[(String, String)]) -> Result<()> {
    /// Accepted because they ask for what happens anyway.
    const HARMLESS: [(&str, &[&str]); 4] = [
        ("gssencmode", &["disable", "prefer"]),
        ("target_session_attrs", &["any"]),
        ("client_encoding", &["utf8", "UTF8", "auto"]),
        ("sslnegotiation", &["postgres"]),
    ];
    for (key, value) in query {
        let harmless = HARMLESS.iter().any(|(name, values)| name == key && values.contains(&value.as_str()));
        if !harmless {
            return Err(EngineError::config(format!("the url's parameter '{key}' is not supported{}", near(key))).hint(
                "use sslmode, sslrootcert, channel_binding, application_name, connect_timeout, options, host, port, user, \
                 password, dbname",
            ));
        }
    }
    Ok(())
}

fn split_url(url: &str) -> Result<Parts> {
    let malformed = |what: &str| {
        EngineError::config(format!("the url {what}"))
            .hint("write postgres://user:password@host:5432/database?sslmode=require")
    };
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or_else(|| malformed(&format!("doesn't begin with postgres://{}", near_scheme(url))))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    // What stands before it is the rest of a password then, which no message may repeat as a host or a database.
    if database.contains('@') || authority.matches('@').count() > 1 {
        return Err(EngineError::config(
            "the url has an '@' in the wrong place: a password holds '@', '/' or '?' as it is",
        )
        .hint("write %40 for @, %2F for /, %3F for ?, %23 for #, %25 for %; or set the option `password`"));
    }
    let (login, address) =
        authority.rsplit_once('@').map_or((None, authority), |(login, address)| (Some(login), address));
    if address.contains(',') {
        return Err(malformed("names several hosts, which is not supported yet"));
    }
    let (host, port) = split_address(address).ok_or_else(|| malformed("has a '[' without ']' in its host"))?;
    let decode = |text: &str| percent_decode(text).ok_or_else(|| malformed("has a malformed %-escape"));
    let filled = |text: &str| if text.is_empty() { Ok(None) } else { decode(text).map(Some) };
    let (user, password) = match login {
        None => (None, None),
        Some(login) => match login.split_once(':') {
            Some((user, password)) => (filled(user)?, filled(password)?),
            None => (filled(login)?, None),
        },
    };
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| malformed("has a parameter without '='"))?;
        pairs.push((decode(key)?, decode(value)?));
    }
    Ok(Parts { user, password, host: filled(host)?, port: filled(port)?, database: filled(database)?, query: pairs })
}

/// A scheme that is nearly right is named: it is no secret.
fn near_scheme(url: &str) -> String {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    let near = scheme.filter(|scheme| nearest_hint(scheme, ["postgres"]).is_some_and(|hint| hint.starts_with("did")));
    near.map(|scheme| format!(", but with {scheme}://")).unwrap_or_default()
}

/// Host and port; an IPv6 host stands in brackets.
fn split_address(address: &str) -> Option<(&str, &str)> {
    match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            Some((host, rest.strip_prefix(':').unwrap_or("")))
        }
        None => Some(address.split_once(':').unwrap_or((address, ""))),
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

fn parse_host(host: &str) -> Host {
    if host.starts_with('/') { Host::Socket(PathBuf::from(host)) } else { Host::Tcp(host.to_owned()) }
}

fn parse_port(port: Option<&str>) -> Result<u16> {
    match port {
        None | Some("") => Ok(5432),
        Some(text) => text.parse().map_err(|_| {
            EngineError::config("the url's port is not a number")
                .hint("use a number from 1 to 65535; a '/', ':' or '@' in a password is written %2F, %3A or %40")
        }),
    }
}

fn parse_timeout(text: Option<&str>) -> Result<Duration> {
    match text {
        None => Ok(CONNECT_TIMEOUT),
        Some(text) => text.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(|| {
            EngineError::config("the value of connect_timeout is not a number").hint("use a number of seconds")
        }),
    }
}

/// The password of the first line of a password file that fits.
fn find_password(text: &str, endpoint: &Endpoint) -> Option<String> {
    let hosts = match &endpoint.host {
        Host::Tcp(host) => vec![host.clone()],
        Host::Socket(folder) => vec![folder.display().to_string(), "localhost".to_owned()],
    };
    let port = endpoint.port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = split_escaped(line);
        let [host, line_port, database, user, password] = fields.as_slice() else { return None };
        let fits = |pattern: &String, value: &str| pattern == "*" || pattern == value;
        let matches = hosts.iter().any(|candidate| fits(host, candidate))
            && fits(line_port, &port)
            && fits(database, &endpoint.database)
            && fits(user, &endpoint.user);
        matches.then(|| password.clone())
    })
}

/// Splits at colons; a backslash takes the next character as it is.
fn split_escaped(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|field| field.extend(characters.next())),
            other => fields.last_mut().into_iter().for_each(|field| field.push(other)),
        }
    }
    fields
}

#[cfg(test)]
mod tests;
