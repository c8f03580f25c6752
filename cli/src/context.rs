//! The composition of a command: the control plane, the engine and the operations on them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use headwater_assistant::Assistant;
use headwater_assistant::gateway::{Gateway, Recording};
use headwater_engine::session::EngineConfig;
use headwater_engine::stage::Engine;
use headwater_engine::staging::StagingArea;
use headwater_operations::{Actor, Face, OperationError, Operations, Settings};
use headwater_store::embedded::{Attached, EmbeddedPostgres};
use headwater_store::{Beside, MasterKey, Migrated, SchemaState, Store};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use url::Url;

use crate::config::Config;
use crate::executor::LocalExecutor;
use crate::failure::hinted;
use crate::output;

/// What a command works with.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) operations: Operations,
    /// Who uses the command line.
    pub(crate) actor: Actor,
    /// Executes runs in this process.
    pub(crate) executor: LocalExecutor,
    attached: Option<Attached>,
    /// Models, once a command needs them.
    gateway: OnceCell<Option<Arc<Gateway>>>,
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
            None => {
                let attached = EmbeddedPostgres::attach(&config.data_dir, config.pg_user.as_deref()).await;
                Some(attached.map_err(OperationError::from)?)
            }
        };
        let url = config.database_url.clone().or_else(|| attached.as_ref().map(Attached::url)).unwrap_or_default();
        let store = Store::connect(&url).await.map_err(OperationError::from)?;
        prepare(&store, opening, attached.is_some()).await.map_err(OperationError::from)?;
        let text = std::env::var("HEADWATER_MASTER_KEY").ok();
        let key = Arc::new(MasterKey::load(text.as_deref(), &config.data_dir).map_err(OperationError::from)?);
        let engine = engine(&config)?;
        let settings = Settings { allowed_variables: config.allowed_variables.clone(), lease_time: config.lease_time };
        Ok(Self {
            operations: Operations::new(store.clone(), engine.clone(), Arc::clone(&key), settings),
            actor: Actor::owner(user(), Face::CommandLine),
            executor: LocalExecutor { config: config.clone(), store, engine: Arc::new(engine), key },
            config,
            attached,
            gateway: OnceCell::new(),
        })
    }

    /// The models of the settings; `None` if there is none.
    pub(crate) async fn gateway(&self) -> Result<Option<&Arc<Gateway>>> {
        let gateway = self.gateway.get_or_try_init(async || {
            let (models, assistant) = (self.config.models.clone(), self.config.assistant.clone());
            let recording = self.config.recording.clone();
            if models.is_empty() && assistant.model.is_none() && !matches!(recording, Recording::Replay(_)) {
                return Ok::<_, anyhow::Error>(None);
            }
            let variable = |name: &str| std::env::var(name).ok();
            let started = headwater_assistant::start_models(&self.operations, models, assistant, recording, variable);
            Ok(Some(started.await?))
        });
        Ok(gateway.await?.as_ref())
    }

    /// The assistant, with the models of the settings.
    pub(crate) async fn assistant(&self) -> Result<Assistant> {
        let assistant = Assistant::new(self.operations.clone());
        Ok(match self.gateway().await? {
            Some(gateway) => assistant.with_models(Arc::clone(gateway), Arc::new(crate::thinking::Thinking::new())),
            None => assistant,
        })
    }

    /// Lets go of the control plane; the last user of the embedded Postgres stops it.
    pub(crate) async fn close(self) -> Result<()> {
        if let Some(Some(gateway)) = self.gateway.get() {
            gateway.close().await;
        }
        self.executor.store.close().await;
        if let Some(attached) = self.attached {
            attached.detach().await.map_err(OperationError::from)?;
        }
        Ok(())
    }

    /// The embedded server, if it is in use.
    pub(crate) fn embedded(&self) -> Option<&Attached> {
        self.attached.as_ref()
    }
}

/// Migrates the schema if the command may, and checks otherwise that it can be used.
async fn prepare(store: &Store, opening: Opening, embedded: bool) -> headwater_store::Result<()> {
    match opening {
        Opening::Migrate(beside) => say_migrated(store.migrate(beside).await?),
        Opening::Use if embedded && matches!(store.schema_state().await?, SchemaState::Absent { .. }) => {
            store.migrate(Beside::Others).await?;
        }
        Opening::Use => store.must_be_ready().await?,
    }
    Ok(())
}

fn say_migrated(done: Migrated) {
    if done.moved {
        output::error_line("the control plane's tables moved from the schema public to the schema headwater");
    }
    if !done.exposed.is_empty() {
        output::error_line(
            "versions of an earlier headwater held settings of these connections in clear; they are masked now:",
        );
        done.exposed.iter().for_each(|connection| output::error_line(&format!("  {connection}")));
        output::error_line("replace their passwords, and those in backups of the control plane");
    }
}

/// Name of the user who runs the command, for the audit.
fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map_or_else(|| nix::unistd::geteuid().to_string(), |user| user.name)
}

/// The engine of this process.
fn engine(config: &Config) -> Result<Engine> {
    let spill = make_dir(config.data_dir.join("spill"))?;
    let engine = EngineConfig { memory: config.memory, ..EngineConfig::new(spill) };
    Ok(Engine::new(headwater_connectors::registry(), engine))
}

/// Where runs stage their datasets.
pub(crate) fn staging(config: &Config) -> Result<StagingArea> {
    let Some(location) = &config.staging else {
        let folder = make_dir(config.data_dir.join("staging"))?;
        let url = Url::from_directory_path(&folder)
            .map_err(|()| anyhow!("'{}' is not an absolute path", folder.display()))?;
        return Ok(StagingArea::open(&url, &Map::new()).map_err(OperationError::from)?);
    };
    let url = Url::parse(location).map_err(|error| {
        hinted(format!("staging '{location}' is not a location: {error}"), "write s3://bucket/folder")
    })?;
    let options = Value::Object(config.staging_options.clone());
    // As in a connection, `${NAME}` stands for a variable of the environment.
    let resolved = headwater_engine::settings::resolve("staging", &options, &|name| std::env::var(name).ok())
        .map_err(OperationError::from)?;
    Ok(StagingArea::open(&url, resolved.as_object().unwrap_or(&Map::new())).map_err(OperationError::from)?)
}

fn make_dir(path: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&path).with_context(|| format!("the folder '{}' can't be made", path.display()))?;
    Ok(path)
}
