//! What commands share: the store, the engine, and the connections' settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use headwater_engine::job::ConnectionSettings;
use headwater_engine::session::EngineConfig;
use headwater_engine::stage::Engine;
use headwater_engine::staging::StagingArea;
use headwater_pipelines::spec::ConnectionSpec;
use headwater_store::embedded::{Attached, EmbeddedPostgres};
use headwater_store::{Beside, MasterKey, Migrated, SchemaState, Store, Workspace};
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use crate::config::Config;
use crate::failure::hinted;
use crate::output;

/// An opened control plane and an engine.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) workspace: Workspace,
    pub(crate) engine: Engine,
    pub(crate) key: Arc<MasterKey>,
    attached: Option<Attached>,
}

/// What a command may do to the control plane's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Nothing, but for making it in an embedded database that is new.
    Use,
    /// Bring it up to date.
    Migrate(Beside),
}

impl Context {
    /// Connects to the control plane, starting the embedded Postgres if none is given.
    pub(crate) async fn open(config: Config, opening: Opening) -> Result<Self> {
        let config = config.with_control_plane().await?;
        let attached = match &config.database_url {
            Some(_) => None,
            None => Some(EmbeddedPostgres::attach(&config.data_dir, config.pg_user.as_deref()).await?),
        };
        let url = config.database_url.clone().or_else(|| attached.as_ref().map(Attached::url)).unwrap_or_default();
        let store = Store::connect(&url).await?;
        match opening {
            Opening::Migrate(beside) => say_migrated(store.migrate(beside).await?),
            Opening::Use if attached.is_some() && is_absent(&store).await? => {
                drop(store.migrate(Beside::Others).await?)
            }
            Opening::Use => store.must_be_ready().await?,
        }
        let text = std::env::var("HEADWATER_MASTER_KEY").ok();
        let key = Arc::new(MasterKey::load(text.as_deref(), &config.data_dir)?);
        let engine = engine(&config)?;
        let workspace = store.default_workspace();
        Ok(Self { config, store, workspace, engine, key, attached })
    }

    /// Lets go of the control plane; the last user of the embedded Postgres stops it.
    pub(crate) async fn close(self) -> Result<()> {
        self.store.close().await;
        if let Some(attached) = self.attached {
            attached.detach().await?;
        }
        Ok(())
    }

    /// The embedded server, if it is in use.
    pub(crate) fn embedded(&self) -> Option<&Attached> {
        self.attached.as_ref()
    }

    /// Where runs stage their datasets.
    pub(crate) fn staging(&self) -> Result<StagingArea> {
        let Some(location) = &self.config.staging else {
            let folder = make_dir(self.config.data_dir.join("staging"))?;
            let url = Url::from_directory_path(&folder)
                .map_err(|()| anyhow!("'{}' is not an absolute path", folder.display()))?;
            return Ok(StagingArea::open(&url, &Map::new())?);
        };
        let url = Url::parse(location).map_err(|error| {
            hinted(format!("staging '{location}' is not a location: {error}"), "write s3://bucket/folder")
        })?;
        let options = Value::Object(self.config.staging_options.clone());
        // As in a connection, `${NAME}` stands for a variable of the environment.
        let resolved = headwater_engine::settings::resolve("staging", &options, &|name| std::env::var(name).ok())?;
        Ok(StagingArea::open(&url, resolved.as_object().unwrap_or(&Map::new()))?)
    }

    /// Names of all connections.
    pub(crate) async fn connection_names(&self) -> Result<BTreeSet<String>> {
        Ok(self.workspace.connections().await?.into_iter().map(|row| row.name).collect())
    }

    /// Settings of the named connections that exist.
    pub(crate) async fn settings(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, ConnectionSettings>> {
        let known = self.connection_names().await?;
        let names: Vec<String> = names.intersection(&known).cloned().collect();
        let opened = self.workspace.open_connections(&self.key, &names).await?;
        Ok(opened
            .into_iter()
            .map(|row| (row.name, ConnectionSettings { connector: row.connector, settings: row.settings }))
            .collect())
    }

    /// Stores a connection.
    pub(crate) async fn put_connection(&self, name: &str, connector: &str, settings: &Value) -> Result<()> {
        let shown = self.engine.registry().get(connector)?.redact(settings);
        Ok(self.workspace.put_connection(&self.key, name, connector, settings, &shown).await?)
    }

    /// The newest run, for commands that are given none.
    pub(crate) async fn run_or_newest(&self, run: Option<Uuid>) -> Result<Uuid> {
        if let Some(run) = run {
            return Ok(run);
        }
        let filter = headwater_store::RunFilter { limit: Some(1), ..Default::default() };
        let newest = self.workspace.list_runs(&filter).await?;
        let newest = newest.first().ok_or_else(|| hinted("there are no runs yet", "headwater run FILE"))?;
        Ok(newest.run_id)
    }
}

async fn is_absent(store: &Store) -> Result<bool> {
    Ok(matches!(store.schema_state().await?, SchemaState::Absent { .. }))
}

fn say_migrated(done: Migrated) {
    if done.moved {
        output::error_line("the control plane's tables moved from the schema public to the schema headwater");
    }
}

/// The engine of this process.
pub(crate) fn engine(config: &Config) -> Result<Engine> {
    let spill = make_dir(config.data_dir.join("spill"))?;
    let engine = EngineConfig { memory: config.memory, ..EngineConfig::new(spill) };
    Ok(Engine::new(headwater_connectors::registry(), engine))
}

/// A connection of a spec file in the form that the store and the engine take.
pub(crate) fn settings_of(spec: &ConnectionSpec) -> ConnectionSettings {
    let fields = spec.settings.iter().map(|(key, value)| (key.clone(), value.clone()));
    ConnectionSettings { connector: spec.connector.clone(), settings: Value::Object(fields.collect()) }
}

fn make_dir(path: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&path).with_context(|| format!("the folder '{}' can't be made", path.display()))?;
    Ok(path)
}
