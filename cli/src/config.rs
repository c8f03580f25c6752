//! Settings: `headwater.toml` of the user or the machine, then `HEADWATER_*` in the environment, then flags.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use headwater_assistant::gateway::{AssistantSettings, ModelSettings, Recording};
use headwater_operations::{AllowedVariables, OperationError};
use headwater_store::{SchemaState, Store};
use serde::Deserialize;

use crate::args::Global;
use crate::commands::ServeArgs;
use crate::failure::hinted;

/// The server's port.
const DEFAULT_PORT: u16 = 7700;

/// Memory that a stage which moves data should have to itself, in bytes.
const MEMORY_PER_SLOT: usize = 128 << 20;

/// A silent worker is declared lost after this time.
const DEFAULT_LEASE_TIME: Duration = Duration::from_secs(30);

/// Several heartbeats must fit into a lease, even on a busy machine.
const SHORTEST_LEASE_TIME: Duration = Duration::from_secs(1);

/// How long runs that have ended are kept.
const DEFAULT_HISTORY_DAYS: u64 = 90;

/// A target remembers loads for a week; a run that could still be rerun from its failure must not be forgotten earlier.
const SHORTEST_HISTORY_DAYS: u64 = 7;

/// What `headwater.toml` may hold.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    database_url: Option<String>,
    data_dir: Option<PathBuf>,
    pg_user: Option<String>,
    memory_mb: Option<usize>,
    lease_time_ms: Option<u64>,
    history_days: Option<u64>,
    bind: Option<IpAddr>,
    port: Option<u16>,
    slots: Option<usize>,
    queues: Option<Vec<String>>,
    labels: Vec<String>,
    staging: Option<String>,
    staging_options: serde_json::Map<String, serde_json::Value>,
    allowed_variables: Vec<String>,
    models: BTreeMap<String, ModelSettings>,
    assistant: AssistantSettings,
}

/// The settings in force.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The control plane's Postgres; `None` means the embedded one.
    pub(crate) database_url: Option<String>,
    /// An application's variable, which counts only if Headwater's schema is in that database.
    pub(crate) application_url: Option<String>,
    /// Where the embedded Postgres, the master key and staged data live.
    pub(crate) data_dir: PathBuf,
    /// User of the embedded Postgres when started by root.
    pub(crate) pg_user: Option<String>,
    /// The memory pool, in bytes.
    pub(crate) memory: usize,
    /// How long a worker may be silent before its stages are given to another. The same for all processes.
    pub(crate) lease_time: Duration,
    /// How long runs that have ended are kept.
    pub(crate) retention: Duration,
    /// The server's address.
    pub(crate) bind: IpAddr,
    /// The server's port.
    pub(crate) port: u16,
    /// Concurrent stages that move data; those that only wait or ask take no slot.
    pub(crate) slots: usize,
    /// Queues to serve.
    pub(crate) queues: Vec<String>,
    /// Labels that the worker has.
    pub(crate) labels: Vec<String>,
    /// Where shared datasets are staged; `None` means a folder of the data directory, which pins runs to their host.
    pub(crate) staging: Option<String>,
    /// Options of the object store that `staging` is in, as connections have them.
    pub(crate) staging_options: serde_json::Map<String, serde_json::Value>,
    /// Variables of the environment that connections of a file may resolve.
    pub(crate) allowed_variables: AllowedVariables,
    /// Language models by name.
    pub(crate) models: BTreeMap<String, ModelSettings>,
    /// Which of them the assistant uses, and what it may spend.
    pub(crate) assistant: AssistantSettings,
    /// Whether answers of models are kept in files, or come from them.
    pub(crate) recording: Recording,
}

impl Config {
    /// Settings for a command that serves nothing.
    pub(crate) fn load(global: &Global) -> Result<Self> {
        let file = read(global.config.as_deref())?;
        let data_dir = global.data_dir.clone().or_else(|| file.data_dir.clone()).map_or_else(default_data_dir, Ok)?;
        let memory_mb = number("HEADWATER_MEMORY_MB", file.memory_mb)?;
        let lease_time = number("HEADWATER_LEASE_TIME_MS", file.lease_time_ms)?;
        let lease_time = lease_time.map_or(DEFAULT_LEASE_TIME, Duration::from_millis);
        if lease_time < SHORTEST_LEASE_TIME {
            bail!("a lease time of {} ms is too short; expected at least 1000", lease_time.as_millis());
        }
        let history_days = number("HEADWATER_HISTORY_DAYS", file.history_days)?.unwrap_or(DEFAULT_HISTORY_DAYS);
        if history_days < SHORTEST_HISTORY_DAYS {
            bail!("a history of {history_days} days is too short; expected at least {SHORTEST_HISTORY_DAYS}");
        }
        let memory = memory_mb.map_or(headwater_engine::session::EngineConfig::DEFAULT_MEMORY, |mb| mb << 20);
        Ok(Self {
            database_url: global.database_url.clone().or(file.database_url),
            application_url: std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()),
            data_dir: std::path::absolute(&data_dir)
                .with_context(|| format!("'{}' is not a folder", data_dir.display()))?,
            pg_user: global.pg_user.clone().or(file.pg_user),
            memory,
            lease_time,
            retention: Duration::from_secs(history_days * 86_400),
            bind: file.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: file.port.unwrap_or(DEFAULT_PORT),
            slots: file.slots.unwrap_or_else(|| default_slots(memory)),
            queues: file.queues.unwrap_or_else(|| vec!["default".to_owned()]),
            labels: file.labels,
            staging: std::env::var("HEADWATER_STAGING").ok().filter(|url| !url.is_empty()).or(file.staging),
            staging_options: file.staging_options,
            allowed_variables: AllowedVariables::new(
                file.allowed_variables.into_iter().chain(global.allowed_variables.iter().cloned()),
            ),
            models: file.models,
            assistant: file.assistant,
            recording: Recording::Off,
        })
    }

    /// The same, with an application's DATABASE_URL in force if Headwater's schema is in that database.
    pub(crate) async fn with_control_plane(mut self) -> Result<Self> {
        let Some(url) = self.application_url.take().filter(|_| self.database_url.is_none()) else { return Ok(self) };
        let store = Store::connect(&url).await.map_err(|error| {
            hinted(
                format!("DATABASE_URL may name the control plane, and can't be used: {error}"),
                "set HEADWATER_DATABASE_URL, or unset DATABASE_URL to use the embedded Postgres",
            )
        })?;
        let state = store.schema_state().await.map_err(OperationError::from)?;
        store.close().await;
        if !matches!(state, SchemaState::Absent { .. }) {
            self.database_url = Some(url);
        }
        Ok(self)
    }

    /// The same for an installation of its own in this folder, which reaches nothing of the person's but models.
    pub(crate) fn temporary(self, data_dir: PathBuf, recording: Recording) -> Self {
        Self {
            database_url: None,
            application_url: None,
            data_dir,
            queues: vec!["default".to_owned()],
            labels: Vec::new(),
            staging: None,
            staging_options: serde_json::Map::new(),
            allowed_variables: AllowedVariables::default(),
            recording,
            ..self
        }
    }

    /// The same, with the flags of a command that serves.
    pub(crate) fn serving(self, flags: &ServeArgs) -> Self {
        Self {
            bind: flags.bind.unwrap_or(self.bind),
            port: flags.port.unwrap_or(self.port),
            slots: flags.slots.unwrap_or(self.slots),
            queues: if flags.queues.is_empty() { self.queues } else { flags.queues.clone() },
            labels: if flags.labels.is_empty() { self.labels } else { flags.labels.clone() },
            ..self
        }
    }
}

/// A stage that moves data keeps a core busy: one for each, as far as the memory goes, and two at least.
fn default_slots(memory: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    cores.min(memory / MEMORY_PER_SLOT).max(2)
}

/// A number of the environment, or else of the settings file.
fn number<T: std::str::FromStr>(variable: &str, filed: Option<T>) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match std::env::var(variable) {
        Ok(text) => Ok(Some(text.parse().with_context(|| format!("{variable} is '{text}'; expected a number"))?)),
        Err(_) => Ok(filed),
    }
}

/// The settings of a named file, else those of the user, else those of the machine. A file in the working folder is not read unless it is
/// named: the folder may be a stranger's.
fn read(path: Option<&Path>) -> Result<File> {
    let usual = usual_files(|variable| std::env::var_os(variable).filter(|value| !value.is_empty()));
    let path = match path {
        Some(path) => path,
        None => match usual.iter().find(|path| path.is_file()) {
            Some(path) => path,
            None => return Ok(File::default()),
        },
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}:{}", path.display(), problem(&text, &error)))
}

/// Line and cause of a mistake. The parser's own report shows the line, which may hold a secret.
fn problem(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message();
    let quotes_a_value =
        ["invalid type", "invalid value", "unknown variant"].iter().any(|kind| message.starts_with(kind));
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if quotes_a_value => format!("{line}: expected {expected}"),
        _ => format!("{line}: {message}"),
    }
}

/// Where settings are looked for, the user's before the machine's.
fn usual_files(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Vec<PathBuf> {
    let own = variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let own = own.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")));
    own.into_iter().chain([PathBuf::from("/etc")]).map(|folder| folder.join("headwater/headwater.toml")).collect()
}

/// As root a folder that an unprivileged server can enter; else the user's own data folder.
fn default_data_dir() -> Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/headwater"));
    }
    let base = match std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("neither HOME nor XDG_DATA_HOME is set; use --data-dir")?)
                .join(".local/share")
        }
    };
    Ok(base.join("headwater"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_the_settings_file_is_reported_by_its_line_and_without_its_value() {
        for (text, expected) in [
            ("slots = 2\nstaging_options = \"hunter22\"\n", "2: expected a map"),
            ("port = \"hunter22\"\n", "1: expected u16"),
            ("\nslotz = 2\n", "2: unknown field `slotz`"),
        ] {
            let error = toml::from_str::<File>(text).expect_err("it is wrong");
            let told = problem(text, &error);
            assert!(told.starts_with(expected) && !told.contains("hunter22"), "{told}");
        }
    }

    #[test]
    fn settings_are_the_users_or_the_machines_and_never_those_of_the_working_folder() {
        let home = |name: &str| (name == "HOME").then(|| "/home/ada".into());
        let xdg = |name: &str| (name == "XDG_CONFIG_HOME").then(|| "/cfg".into());
        let files = usual_files(home);
        assert_eq!(files[0], Path::new("/home/ada/.config/headwater/headwater.toml"));
        assert_eq!(files[1], Path::new("/etc/headwater/headwater.toml"));
        assert_eq!(usual_files(xdg)[0], Path::new("/cfg/headwater/headwater.toml"));
        assert!(usual_files(|_| None).iter().all(|path| path.is_absolute()));
    }
}
