//! The temporary installation that an evaluation runs on: a control plane, source databases and lakes, all of them removed at the end.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use headwater_assistant::Assistant;
use headwater_assistant::gateway::Recording;
use headwater_operations::{AddConnection, Place, RunEvent, RunReport, StartRun, Target};
use headwater_pipelines::spec::{ExtractTask, LoadTask, Moment, Spec, Task, WriteMode};
use headwater_pipelines::write::{Comments, yaml};
use serde_json::Map;
use tempfile::TempDir;

use super::arrow_rows;
use super::case::Case;
use super::compare::Table;
use super::psql::{psql, quoted};
use super::suite::Schema;
use crate::config::Config;
use crate::context::{Context, Opening};

/// A run of a case moves a few hundred rows.
const RUN_TIME: Duration = Duration::from_secs(120);

/// A statement of a case reads a few hundred rows.
const STATEMENT_TIME: Duration = Duration::from_secs(60);

/// How long the installation may take to shut down.
const CLOSE_TIME: Duration = Duration::from_secs(30);

/// The connection of Delta tables.
const LAKE: &str = "lake";

/// A data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Data {
    Plausible,
    Hostile,
}

impl Data {
    pub(super) const ALL: [Self; 2] = [Self::Plausible, Self::Hostile];

    /// As cases and files name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Plausible => "data",
            Self::Hostile => "hostile",
        }
    }
}

/// The installation.
pub(super) struct Bench {
    pub(super) context: Context,
    pub(super) assistant: Assistant,
    folder: TempDir,
    /// The data set behind the connection of the schema.
    standing: Option<Data>,
    /// Lakes that were made so far.
    lakes: usize,
    /// Tables of a case that exist beforehand, by the folder that holds them once they are made.
    made: BTreeMap<(String, Data), PathBuf>,
}

impl Bench {
    /// Makes the installation: nothing of the person's own is used but models, and the limits of this process.
    pub(super) async fn open(config: Config, recording: Recording) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("headwater-eval-").tempdir().context("no temporary folder")?;
        // A server that root starts runs as another user, who has to reach its files.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let config = config.temporary(folder.path().join("installation"), recording);
        let context = Context::open(config, Opening::Use).await?;
        match Self::prepare(&context).await {
            Ok(assistant) => Ok(Self { context, assistant, folder, standing: None, lakes: 0, made: BTreeMap::new() }),
            Err(error) => {
                context.close().await?;
                Err(error)
            }
        }
    }

    async fn prepare(context: &Context) -> Result<Assistant> {
        // What a crash would cost is thrown away anyway.
        let settings =
            "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf();";
        psql(&url(context, "postgres")?, settings).await?;
        context.assistant().await
    }

    /// Stops everything and removes it.
    pub(super) async fn close(self) -> Result<()> {
        let closed = tokio::time::timeout(CLOSE_TIME, self.context.close()).await;
        self.folder.close().context("the temporary installation could not be removed")?;
        closed.context("the temporary installation did not shut down in time")?
    }

    /// Makes the databases of a schema, each with a copy that is never changed, and looks at what they hold.
    pub(super) async fn install(&mut self, schema: &Schema) -> Result<()> {
        self.made.clear();
        self.standing = None;
        for (data, rows) in [(Data::Plausible, &schema.data), (Data::Hostile, &schema.hostile)] {
            let template = template(schema, data);
            let make = format!("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0;", quoted(&template));
            psql(&self.url("postgres")?, &make).await?;
            let script = format!("{}\n{rows}\nANALYZE;", schema.ddl);
            psql(&self.url(&template)?, &script)
                .await
                .with_context(|| format!("schema {} with {}.sql can't be loaded", schema.name, data.as_str()))?;
            self.restore(schema, data).await?;
        }
        self.point(schema, Data::Plausible).await?;
        self.connect(&schema.name, "postgres", self.url(&live(schema))?).await?;
        self.context.operations.catalog(&self.context.actor, &schema.name, true).await?;
        Ok(())
    }

    /// Removes the databases of a schema.
    pub(super) async fn remove(&self, schema: &Schema) -> Result<()> {
        for data in Data::ALL {
            self.drop(&template(schema, data)).await?;
            self.drop(&parked(schema, data)).await?;
        }
        self.drop(&live(schema)).await
    }

    async fn drop(&self, database: &str) -> Result<()> {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE);", quoted(database));
        psql(&self.url("postgres")?, &drop).await?;
        Ok(())
    }

    /// Makes the database of a data set what it was at first.
    pub(super) async fn restore(&self, schema: &Schema, data: Data) -> Result<()> {
        let database = self.database(schema, data);
        self.drop(&database).await?;
        let copy = format!("CREATE DATABASE {} TEMPLATE {};", quoted(&database), quoted(&template(schema, data)));
        psql(&self.url("postgres")?, &copy).await?;
        Ok(())
    }

    /// Changes the database of a data set as between two runs.
    pub(super) async fn change(&self, schema: &Schema, data: Data) -> Result<()> {
        psql(&self.url(&self.database(schema, data))?, &schema.changes).await.context("changes.sql can't be run")?;
        Ok(())
    }

    /// Points the connections of a case to a data set, with a lake that holds the case's tables alone.
    pub(super) async fn stand(&mut self, schema: &Schema, name: &str, case: &Case, data: Data) -> Result<()> {
        self.point(schema, data).await?;
        if !case.uses_lake() {
            return Ok(());
        }
        if !case.lake_tables.is_empty() && !self.made.contains_key(&(name.to_owned(), data)) {
            let folder = self.new_lake().await?;
            self.make_tables(schema, case).await.context("lake_tables can't be made")?;
            self.made.insert((name.to_owned(), data), folder);
        }
        let lake = self.new_lake().await?;
        if let Some(made) = self.made.get(&(name.to_owned(), data)) {
            copy(made, &lake)?;
        }
        self.context.operations.catalog(&self.context.actor, LAKE, true).await?;
        Ok(())
    }

    /// Puts a data set behind the connection. Databases change their names, because other settings of a connection would be another catalog.
    async fn point(&mut self, schema: &Schema, data: Data) -> Result<()> {
        if self.standing == Some(data) {
            return Ok(());
        }
        let rename = |from: &str, to: &str| format!("ALTER DATABASE {} RENAME TO {};\n", quoted(from), quoted(to));
        let (live, parked) = (live(schema), parked(schema, data));
        let mut script = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN (".to_owned();
        script += &format!("'{}', '{}');\n", live.replace('\'', "''"), parked.replace('\'', "''"));
        if let Some(before) = self.standing {
            script += &rename(&live, &self::parked(schema, before));
        }
        script += &rename(&parked, &live);
        psql(&self.url("postgres")?, &script).await?;
        self.standing = Some(data);
        Ok(())
    }

    /// The name that the database of a data set has now.
    fn database(&self, schema: &Schema, data: Data) -> String {
        if self.standing == Some(data) { live(schema) } else { parked(schema, data) }
    }

    /// An empty lake, which the connection points to from now on.
    async fn new_lake(&mut self) -> Result<PathBuf> {
        self.lakes += 1;
        let folder = self.folder.path().join(format!("lake{}", self.lakes));
        std::fs::create_dir(&folder)?;
        self.connect(LAKE, "delta", format!("file://{}", folder.display())).await?;
        Ok(folder)
    }

    async fn connect(&self, name: &str, connector: &str, location: String) -> Result<()> {
        let add = AddConnection {
            name: name.to_owned(),
            connector: Some(connector.to_owned()),
            location: Some(location),
            settings: Map::new(),
            check: false,
        };
        self.context.operations.add_connection(&self.context.actor, add).await?;
        Ok(())
    }

    /// Loads the Delta tables that a case has beforehand.
    async fn make_tables(&self, schema: &Schema, case: &Case) -> Result<()> {
        let mut spec = Spec {
            name: "lake_tables".to_owned(),
            description: None,
            params: Default::default(),
            schedule: None,
            connections: Default::default(),
            stream: None,
            tasks: Default::default(),
        };
        for (number, (name, select)) in case.lake_tables.iter().enumerate() {
            let (connection, query) = (Some(schema.name.clone()), Some(select.clone()));
            let extract = Some(ExtractTask { connection, query, ..ExtractTask::default() });
            let load = LoadTask {
                input: format!("rows{number}"),
                into: format!("{LAKE}.{}", quoted(name)),
                mode: Some(WriteMode::Overwrite),
                ..LoadTask::default()
            };
            spec.tasks.insert(format!("rows{number}"), Task { extract, ..Task::default() });
            spec.tasks.insert(format!("load{number}"), Task { load: Some(load), ..Task::default() });
        }
        let bytes = yaml(&spec, &Comments::default()).into_bytes();
        let file = headwater_operations::SpecFile { name: "lake_tables.yaml".to_owned(), bytes };
        let report = self.run(Target::Spec(file), None).await?;
        match report.error {
            Some(error) => bail!("{}", error.message),
            None => Ok(()),
        }
    }

    /// Runs a target in this process, and gives what became of it.
    pub(super) async fn run(&self, target: Target, interval: Option<(Moment, Moment)>) -> Result<RunReport> {
        let Context { operations, actor, executor, .. } = &self.context;
        let start = StartRun {
            target,
            params: Vec::new(),
            interval,
            place: Place::Here,
            full_refresh: false,
            idempotency_key: None,
        };
        let started = operations.start(actor, start).await?;
        let mut watch = operations.watch(actor, started, executor)?;
        let ended = tokio::time::timeout(RUN_TIME, async {
            while let Some(event) = watch.next().await? {
                if let RunEvent::Ended(report) = event {
                    return Ok(*report);
                }
            }
            bail!("the run is no longer watched")
        });
        let ended = ended.await;
        watch.close().await;
        ended.with_context(|| format!("the run did not end within {} s", RUN_TIME.as_secs()))?
    }

    /// The rows of one SELECT, through the engine.
    pub(super) async fn rows(&self, sql: &str) -> Result<Table> {
        let read = async {
            let mut rows = self.context.operations.query(&self.context.actor, sql).await?;
            let table = arrow_rows::table(&mut rows).await;
            rows.close().await;
            table
        };
        let within = || format!("the statement did not end within {} s", STATEMENT_TIME.as_secs());
        tokio::time::timeout(STATEMENT_TIME, read).await.with_context(within)?
    }

    /// Whether a table of the lake exists.
    pub(super) async fn exists(&self, path: &[String]) -> Result<bool> {
        let catalog = self.context.operations.catalog(&self.context.actor, LAKE, true).await?;
        Ok(catalog.tables.iter().any(|table| table.path == path))
    }

    /// URL of the copy of a data set that is never changed.
    pub(super) fn pristine(&self, schema: &Schema, data: Data) -> Result<String> {
        self.url(&template(schema, data))
    }

    fn url(&self, database: &str) -> Result<String> {
        url(&self.context, database)
    }
}

fn url(context: &Context, database: &str) -> Result<String> {
    Ok(context.embedded().context("the temporary installation has no server of its own")?.url_of(database))
}

fn template(schema: &Schema, data: Data) -> String {
    format!("{}_{}_template", schema.name, data.as_str())
}

/// The database behind the connection.
fn live(schema: &Schema) -> String {
    format!("{}_live", schema.name)
}

/// The database of a data set that is not behind the connection.
fn parked(schema: &Schema, data: Data) -> String {
    format!("{}_{}", schema.name, data.as_str())
}

/// Copies a folder and what is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&source, &target)?;
        } else {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
