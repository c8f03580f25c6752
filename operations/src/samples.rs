//! Samples of tables, for those who have to know what values look like: what may be sampled, and which columns are masked.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use headwater_engine::catalog::Catalog;
use headwater_engine::connector::TableInfo;
use headwater_engine::job::ConnectionSettings;
use headwater_engine::privacy::{Mask, MaskKey};
use headwater_engine::samples::{SamplePolicy, Sampling, TableSamples};
use headwater_pipelines::diagnostic::nearest_hint;
use headwater_store::{OpenedConnection, SampleRules, Suggest, Workspace};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Action, Actor, OperationError, Operations, Result};

/// Tables that are sampled of one connection, in the order of their paths.
const MOST_TABLES: usize = 200;

/// Tables that are read at a time.
const AT_A_TIME: usize = 2;

/// Longest time that one table, and all of them, may take.
const FOR_ONE: Duration = Duration::from_secs(10);
const FOR_ALL: Duration = Duration::from_secs(60);

/// The document of `connections samples` and `connections mask`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SampledReport {
    /// The connection.
    pub connection: String,
    /// What may be sampled of it.
    pub policy: SamplePolicy,
    /// Masks by column, e.g. `public.customers.email`.
    pub masks: BTreeMap<String, Mask>,
    /// Tables that have samples now.
    pub sampled: u64,
}

impl Operations {
    /// Says what may be sampled of a connection, and samples it.
    pub async fn set_samples(&self, actor: &Actor, connection: &str, policy: SamplePolicy) -> Result<SampledReport> {
        let workspace = self.permit(actor, Action::ChangeSamples)?;
        workspace.set_samples(connection, policy.as_str()).await?;
        self.sampled_anew(&workspace, connection).await
    }

    /// Masks a column of a connection, `connection.schema.table.column`, or ends its mask, and samples the connection again.
    pub async fn set_mask(&self, actor: &Actor, column: &str, mask: Option<Mask>) -> Result<SampledReport> {
        let workspace = self.permit(actor, Action::ChangeSamples)?;
        let mut parts = headwater_pipelines::sql::split_name(column)
            .map_err(|error| OperationError::invalid(format!("'{column}' names no column: {}", error.message)))?;
        let (Some(name), true) = (parts.pop(), parts.len() >= 2) else {
            return Err(OperationError::invalid(format!("'{column}' names no column of a connection"))
                .hint("write connection.schema.table.column"));
        };
        let path = parts.split_off(1);
        let connection = parts.remove(0);
        self.must_have_column(&connection, &path, &name).await?;
        let stored = mask.map(Mask::as_str);
        workspace.set_mask(&connection, &path, &name, stored).await?;
        self.sampled_anew(&workspace, &connection).await
    }

    async fn must_have_column(&self, connection: &str, path: &[String], name: &str) -> Result<()> {
        let found = self.newest_catalogs(&[connection.to_owned()]).await?;
        let catalog = found.values().map(crate::catalog::content).next().transpose()?.unwrap_or_default();
        let table = catalog.tables.iter().find(|table| table.path == path);
        let columns = table.map(|table| table.columns.as_slice()).unwrap_or_default();
        if columns.iter().any(|column| column.name == name) {
            return Ok(());
        }
        let label = format!("{connection}.{}", path.join("."));
        let missing = match table {
            None => OperationError::not_found(format!("there is no table {label}")),
            Some(_) => OperationError::not_found(format!("table {label} has no column '{name}'")),
        };
        let missing = match nearest_hint(name, columns.iter().map(|column| column.name.as_str())) {
            Some(near) if table.is_some() => missing.hint(near),
            _ => missing,
        };
        Err(missing.suggest(Suggest::ShowCatalog { connection: connection.to_owned() }))
    }

    async fn sampled_anew(&self, workspace: &Workspace, connection: &str) -> Result<SampledReport> {
        let opened = workspace.open_connection(&self.key, connection).await?;
        let snapshot = workspace.newest_catalogs(&[connection.to_owned()]).await?.pop();
        if let Some(snapshot) = snapshot {
            self.sample_tables(workspace, &opened, &crate::catalog::content(&snapshot)?).await?;
        }
        let rules = workspace.sample_rules(connection).await?;
        let masks = rules.masks.iter().filter_map(|masked| {
            Some((format!("{}.{}", masked.path.join("."), masked.column), Mask::parse(&masked.mask)?))
        });
        Ok(SampledReport {
            connection: connection.to_owned(),
            policy: policy_of(&rules),
            masks: masks.collect(),
            sampled: workspace.samples(connection).await?.len() as u64,
        })
    }

    /// Samples the tables of a connection as its rules allow. A table that can't be read in time has none; that is logged.
    pub(crate) async fn sample_tables(
        &self,
        workspace: &Workspace,
        opened: &OpenedConnection,
        catalog: &Catalog,
    ) -> Result<()> {
        let rules = workspace.sample_rules(&opened.name).await?;
        if policy_of(&rules) == SamplePolicy::None {
            return Ok(());
        }
        let key = MaskKey::new(&self.key.derive(&format!("samples of workspace {}", workspace.id())));
        let tables = catalog.tables.iter().take(MOST_TABLES);
        let sampling = futures::stream::iter(tables).for_each_concurrent(AT_A_TIME, |table| {
            let (rules, key) = (&rules, &key);
            async move {
                let sampled = tokio::time::timeout(FOR_ONE, self.sample(workspace, opened, rules, key, table)).await;
                let error = match sampled {
                    Ok(Ok(())) => return,
                    // A source's own words may quote cells.
                    Ok(Err(error)) => format!("{:?}", error.kind).to_lowercase(),
                    Err(_) => "it took too long".to_owned(),
                };
                tracing::warn!(
                    connection = opened.name,
                    table = table.path.join("."),
                    error,
                    "a table was not sampled"
                );
            }
        });
        if tokio::time::timeout(FOR_ALL, sampling).await.is_err() {
            tracing::warn!(connection = opened.name, "sampling took too long: some tables have no samples");
        }
        Ok(())
    }

    async fn sample(
        &self,
        workspace: &Workspace,
        opened: &OpenedConnection,
        rules: &SampleRules,
        key: &MaskKey,
        table: &TableInfo,
    ) -> Result<()> {
        let masks: BTreeMap<String, Mask> = rules
            .masks
            .iter()
            .filter(|masked| masked.path == table.path)
            // A mask that is not known hides everything.
            .map(|masked| (masked.column.clone(), Mask::parse(&masked.mask).unwrap_or(Mask::Null)))
            .collect();
        let settings = ConnectionSettings { connector: opened.connector.clone(), settings: opened.settings.clone() };
        let sampling = Sampling { policy: policy_of(rules), masks: &masks, key };
        let samples = self.engine.sample(&opened.name, settings, table, sampling).await?;
        Ok(workspace.put_samples(opened, rules, &table.path, &serde_json::to_value(&samples)?).await?)
    }

    /// The samples of a connection's tables, by path.
    pub(crate) async fn table_samples(&self, connection: &str) -> Result<BTreeMap<String, TableSamples>> {
        let stored = self.workspace.samples(connection).await?;
        let read = stored.into_iter().map(|(path, samples)| Ok((path.join("."), serde_json::from_value(samples)?)));
        read.collect()
    }
}

fn policy_of(rules: &SampleRules) -> SamplePolicy {
    SamplePolicy::ALL.into_iter().find(|policy| policy.as_str() == rules.policy).unwrap_or_default()
}
