//! A stage's relations: connections opened once, upstream datasets as lazy views, all in one session.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source, source_as_provider};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, ident, lit};
use datafusion::prelude::SessionContext;
use headwater_pipelines::plan::{ExtractSource, Relation, TableRef};
use headwater_pipelines::spec::Columns;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, SnapshotConnection};
use crate::connector::{Asking, Connection, CursorRequest, Registry, Source, SourceObject, SourceRequest};
use crate::control::Progress;
use crate::error::{EngineError, Result};
use crate::job::ConnectionSettings;
use crate::lineage;
use crate::nodes::{BoundaryNode, extension};
use crate::rejects::Quarantine;
use crate::settings;

/// Connections by name, each opened at most once.
#[derive(Debug)]
pub struct Connections {
    registry: Registry,
    settings: BTreeMap<String, ConnectionSettings>,
    opened: parking_lot::Mutex<BTreeMap<String, Arc<dyn Connection>>>,
    are_catalogs: bool,
}

impl Connections {
    /// Connections that can be opened with these settings.
    pub fn new(registry: Registry, settings: BTreeMap<String, ConnectionSettings>) -> Self {
        Self { registry, settings, opened: parking_lot::Mutex::default(), are_catalogs: false }
    }

    /// Connections that are planned on their catalogs, with the names of their connectors: no system is reached.
    pub fn of_catalogs(registry: Registry, catalogs: BTreeMap<String, (String, Catalog)>) -> Self {
        let mut connections = Self { are_catalogs: true, ..Self::new(registry, BTreeMap::new()) };
        for (name, (connector, catalog)) in catalogs {
            let settings = ConnectionSettings { connector, settings: serde_json::Value::Null };
            connections.settings.insert(name.clone(), settings);
            let planned = SnapshotConnection { name: name.clone(), catalog };
            connections.opened.get_mut().insert(name, Arc::new(planned));
        }
        connections
    }

    /// Whether they are planned on their catalogs.
    pub fn are_catalogs(&self) -> bool {
        self.are_catalogs
    }

    /// Their names.
    pub fn names(&self) -> BTreeSet<String> {
        self.settings.keys().cloned().collect()
    }

    /// Whether there is a connection of that name.
    pub fn knows(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    /// The opened connection of that name.
    pub fn open(&self, name: &str) -> Result<Arc<dyn Connection>> {
        if let Some(connection) = self.opened.lock().get(name) {
            return Ok(Arc::clone(connection));
        }
        let ConnectionSettings { connector, settings } = self.settings.get(name).ok_or_else(|| {
            EngineError::config(format!("there is no connection named '{name}'"))
                .hint("add it with `headwater connections add`")
        })?;
        let settings = settings::resolve(name, settings, &|variable| std::env::var(variable).ok())?;
        let connection = self.registry.get(connector)?.open(name, &settings)?;
        self.opened.lock().insert(name.to_owned(), Arc::clone(&connection));
        Ok(connection)
    }

    /// Notes that a connection is asked something, until the answer drops.
    pub(crate) fn asking(&self, name: &str) -> Asking {
        self.registry.asked().begin(name)
    }

    /// What the connector of a connection is and can do.
    pub fn spec(&self, name: &str) -> Result<&'static crate::connector::ConnectorSpec> {
        let settings = self
            .settings
            .get(name)
            .ok_or_else(|| EngineError::config(format!("there is no connection named '{name}'")))?;
        Ok(self.registry.get(&settings.connector)?.spec())
    }

    /// A lazy table of a connection.
    pub async fn source(
        &self,
        source: &ExtractSource,
        columns: Option<&Columns>,
        cancel: &CancellationToken,
    ) -> Result<Arc<dyn TableProvider>> {
        Ok(self.read(source, columns, None, cancel).await?.table)
    }

    /// A lazy table of a connection, or of its rows that a load does not hold yet.
    pub async fn read(
        &self,
        source: &ExtractSource,
        columns: Option<&Columns>,
        cursor: Option<CursorRequest>,
        cancel: &CancellationToken,
    ) -> Result<Source> {
        self.read_aside(source, columns, cursor, None, cancel).await
    }

    /// The same; with a quarantine what can't be read is set aside there instead of failing the read.
    pub async fn read_aside(
        &self,
        source: &ExtractSource,
        columns: Option<&Columns>,
        cursor: Option<CursorRequest>,
        quarantine: Option<Arc<Quarantine>>,
        cancel: &CancellationToken,
    ) -> Result<Source> {
        if quarantine.is_some() {
            self.must_reject(source)?;
        }
        let object = match source {
            ExtractSource::Table(table) => SourceObject::Table(table.path.clone()),
            ExtractSource::Query { query, .. } => SourceObject::Query(query.clone()),
        };
        let (columns, cancel) = (columns.cloned(), cancel.clone());
        let request = SourceRequest { object, columns, cursor, quarantine, cancel };
        let _asking = self.asking(source.connection());
        self.open(source.connection())?.source(&request).await
    }

    /// Fails if nothing of a source can be set aside.
    pub(crate) fn must_reject(&self, source: &ExtractSource) -> Result<()> {
        let spec = self.spec(source.connection())?;
        if spec.rejects && matches!(source, ExtractSource::Table(_)) {
            return Ok(());
        }
        Err(EngineError::config(format!("what a {} connection reads can't be set aside as unreadable", spec.name))
            .hint("remove `on_reject`; rows that violate rules are set aside by a check with `on_failure: quarantine`"))
    }

    /// Ends every session that was opened.
    pub async fn close(&self) {
        let opened = std::mem::take(&mut *self.opened.lock());
        for connection in opened.into_values() {
            connection.close().await;
        }
    }
}

/// The relations that statements of one stage can name.
pub struct Relations {
    session: SessionContext,
    schemas: BTreeMap<String, SchemaRef>,
    plans: BTreeMap<String, LogicalPlan>,
}

impl Relations {
    /// An empty set over a session.
    pub fn new(session: SessionContext) -> Self {
        Self { session, schemas: BTreeMap::new(), plans: BTreeMap::new() }
    }

    /// The session that statements are planned in.
    pub fn session(&self) -> &SessionContext {
        &self.session
    }

    /// Whether a relation is there.
    pub fn contains(&self, name: &str) -> bool {
        self.plans.contains_key(name)
    }

    /// The schema of a relation.
    pub fn schema(&self, name: &str) -> Option<&SchemaRef> {
        self.schemas.get(name)
    }

    /// Column names by relation, for settling columns.
    pub fn columns(&self) -> BTreeMap<String, Vec<String>> {
        let names = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect();
        self.schemas.iter().map(|(name, schema)| (name.clone(), names(schema))).collect()
    }

    /// The plan that gives a relation's rows.
    pub fn plan(&self, relation: &Relation) -> Result<LogicalPlan> {
        let name = relation.internal_name();
        self.plans
            .get(&name)
            .cloned()
            .ok_or_else(|| EngineError::bug(format!("relation '{name}' is not part of the stage")))
    }

    /// Adds a table of a source under its internal name, counted as `task`.
    pub fn add_table(&mut self, name: &str, provider: Arc<dyn TableProvider>, progress: &Progress) -> Result<()> {
        let withheld = pruned_floats(provider.as_ref())?;
        let scan = LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(provider), None)?.build()?;
        self.add(name, scan, withheld, progress)
    }

    /// Adds a relation of which nothing but its schema is known: statements over it are planned and never run.
    pub fn add_schema(&mut self, name: &str, schema: SchemaRef) -> Result<()> {
        let table: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(Arc::clone(&schema)));
        let source = provider_as_source(Arc::clone(&table));
        let scan = LogicalPlanBuilder::scan(TableReference::bare(name), source, None)?.build()?;
        self.session.register_table(TableReference::bare(name), table)?;
        self.schemas.insert(name.to_owned(), schema);
        self.plans.insert(name.to_owned(), scan);
        Ok(())
    }

    /// Adds a dataset that a plan computes, counted as `task`.
    pub fn add_plan(&mut self, name: &str, plan: LogicalPlan, progress: &Progress) -> Result<()> {
        self.add(name, plan, HashSet::new(), progress)
    }

    fn add(&mut self, name: &str, input: LogicalPlan, withheld: HashSet<String>, progress: &Progress) -> Result<()> {
        let (task, withheld) = (name.into(), Arc::new(withheld));
        let plan = extension(BoundaryNode { task, progress: progress.task(name), withheld, input });
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let view = ViewTable::new(plan.clone(), None);
        self.session.register_table(TableReference::bare(name), Arc::new(view))?;
        self.schemas.insert(name.to_owned(), schema);
        self.plans.insert(name.to_owned(), plan);
        Ok(())
    }
}

/// Columns of floats whose conditions a table would answer by its files' statistics, which leave NaN out: NaN is greater than
/// all other numbers, so a file that holds one would be passed over.
fn pruned_floats(provider: &dyn TableProvider) -> Result<HashSet<String>> {
    if let Some(view) = provider.get_logical_plan() {
        // A view calls every filter exact, and hands it down to its tables.
        let below = pruned_below(&view)?;
        let is_touched = |origin: &lineage::Origin| !below.is_disjoint(&origin.of);
        return Ok(lineage::of(&view)
            .into_iter()
            .filter(|(_, origin)| is_touched(origin))
            .map(|(name, _)| name)
            .collect());
    }
    let schema = provider.schema();
    let floats = schema.fields().iter().filter(|field| field.data_type().is_floating());
    let mut found = HashSet::new();
    for field in floats {
        let condition = ident(field.name()).gt(lit(0.0));
        if provider.supports_filters_pushdown(&[&condition])? != [TableProviderFilterPushDown::Exact] {
            found.insert(field.name().clone());
        }
    }
    Ok(found)
}

/// The same of all tables that a plan reads.
fn pruned_below(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    if let LogicalPlan::TableScan(scan) = plan {
        found.extend(pruned_floats(source_as_provider(&scan.source)?.as_ref())?);
    }
    for input in plan.inputs() {
        found.extend(pruned_below(input)?);
    }
    Ok(found)
}

/// The internal name of a table that is read directly.
pub(crate) fn direct_name(table: &TableRef) -> String {
    Relation::Table(table.clone()).internal_name()
}
