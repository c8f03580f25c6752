//! Approving specs: all files of a call are one change, all of it or nothing.

use std::collections::BTreeMap;

use headwater_engine::connector::Connector;
use headwater_engine::job::ConnectionSettings;
use headwater_engine::settings;
use headwater_pipelines::diagnostic::{has_errors, tidy};
use headwater_pipelines::diff::diff;
use headwater_pipelines::document::Document;
use headwater_pipelines::secrets::literal_secrets;
use headwater_pipelines::spec::Spec;
use headwater_store::state::DraftState;
use headwater_store::{Change, NewConnection, StoreErrorKind};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{ChangeReport, CheckedSpec, FileConnections, SpecFile, document};
use crate::{Action, Actor, OperationError, Operations, Problems, Result};

/// What an approval changes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ApplyReport {
    /// The connections that the files bring, by name.
    pub connections: Vec<ConnectionChange>,
    /// The pipelines, in the order of the files.
    pub pipelines: Vec<PipelineChange>,
}

/// What happens to a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConnectionChange {
    /// Its name.
    pub connection: String,
    /// What happens to it.
    pub change: Applied,
    /// The variables of the environment that it may resolve from now on.
    pub variables: Vec<String>,
    /// If it is replaced: approved pipelines that use the name, and from then on what is behind it.
    pub users: Vec<String>,
}

/// What happens to a pipeline.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PipelineChange {
    /// Its name.
    pub pipeline: String,
    /// The file.
    pub file: String,
    /// What happens to it.
    pub change: Applied,
    /// Number of the version that is approved before.
    pub before: Option<i32>,
    /// Number of the version that is approved after; absent in a proposal.
    pub version: Option<i32>,
    /// Its schedule or stream in words.
    pub schedule_in_words: Option<String>,
    /// Differences from the approved version.
    pub diff: Vec<ChangeReport>,
    /// The open draft whose text the file has: it is approved with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<Uuid>,
}

/// What happens to something that is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// It is new.
    Added,
    /// It is replaced.
    Changed,
    /// It stays as it is.
    Unchanged,
}

/// A change that was checked and not made yet.
#[derive(Debug)]
pub struct Proposal {
    /// What will change.
    pub report: ApplyReport,
    /// Warnings, by file.
    pub warnings: Vec<Problems>,
    pub(crate) specs: Vec<CheckedSpec>,
    connections: Vec<NewConnection>,
}

impl Operations {
    /// Checks all files as one change: each spec against the connections of all of them. Nothing is stored yet.
    pub async fn propose(&self, actor: &Actor, files: Vec<SpecFile>) -> Result<Proposal> {
        self.permit(actor, Action::ApplySpecs)?;
        let documents: Vec<Document> = files.into_iter().map(document::read).collect();
        refuse_twins(&documents)?;
        let brought = merge_connections(&documents)?;
        let mut specs = Vec::with_capacity(documents.len());
        let mut problems = Vec::with_capacity(documents.len());
        for document in documents {
            let secrets = literal_secrets(&document);
            let (source, mut diagnostics) = if document.connections_alone().is_some() {
                (document.source, document.diagnostics)
            } else {
                let checked = self.check(document, &brought).await?;
                let Problems { source, diagnostics } = checked.problems();
                specs.push(checked);
                (source, diagnostics)
            };
            diagnostics.extend(secrets);
            tidy(&mut diagnostics);
            problems.push(Problems { source, diagnostics });
        }
        problems.retain(|file| !file.diagnostics.is_empty());
        if problems.iter().any(|file| has_errors(&file.diagnostics)) || specs.iter().any(CheckedSpec::has_errors) {
            return Err(OperationError::problems(problems));
        }
        let mut connections = Vec::with_capacity(brought.len());
        for (name, settings) in brought {
            connections.push(self.new_connection(name, settings)?);
        }
        let report = self.describe(&specs, &connections).await?;
        Ok(Proposal { report, warnings: problems, specs, connections })
    }

    /// Makes a proposed change, in one transaction.
    pub async fn apply(&self, actor: &Actor, proposal: &Proposal) -> Result<ApplyReport> {
        let workspace = self.permit(actor, Action::ApplySpecs)?;
        let drafts =
            proposal.report.pipelines.iter().filter_map(|change| Some((change.draft_id?, change.pipeline.clone())));
        let mut change =
            Change { connections: proposal.connections.clone(), pipelines: Vec::new(), drafts: drafts.collect() };
        for spec in &proposal.specs {
            let schedule = spec.document.spec.as_ref().and_then(|spec| spec.schedule.as_ref());
            change.pipelines.push((spec.version()?, schedule));
        }
        let versions = workspace.apply_all(&self.key, &change).await?;
        let numbers: BTreeMap<&str, i32> =
            versions.iter().map(|version| (version.pipeline.as_str(), version.number)).collect();
        let mut report = proposal.report.clone();
        for pipeline in &mut report.pipelines {
            pipeline.version = numbers.get(pipeline.pipeline.as_str()).copied();
        }
        Ok(report)
    }

    /// A connection as the store takes it, after its settings were validated as far as that goes without reaching the system.
    pub(crate) fn new_connection(&self, name: String, settings: ConnectionSettings) -> Result<NewConnection> {
        let connector = self.engine.registry().get(&settings.connector)?;
        validate(connector.as_ref(), &name, &settings)?;
        Ok(NewConnection {
            shown: connector.redact(&settings.settings),
            variables: Vec::from_iter(settings::references(&settings.settings)),
            name,
            connector: settings.connector,
            settings: settings.settings,
        })
    }

    async fn describe(&self, specs: &[CheckedSpec], connections: &[NewConnection]) -> Result<ApplyReport> {
        let names = connections.iter().map(|connection| connection.name.clone()).collect();
        let stored = self.stored_settings(&names).await?;
        let mut changes = Vec::with_capacity(connections.len());
        for connection in connections {
            changes.push(self.connection_change(connection, stored.get(&connection.name)).await?);
        }
        let mut pipelines = Vec::with_capacity(specs.len());
        for checked in specs {
            if let Some(spec) = checked.document.stored_spec() {
                pipelines.push(self.describe_pipeline(checked, &spec).await?);
            }
        }
        Ok(ApplyReport { connections: changes, pipelines })
    }

    /// What storing a connection in the place of another changes, and for whom.
    pub(crate) async fn connection_change(
        &self,
        new: &NewConnection,
        stored: Option<&ConnectionSettings>,
    ) -> Result<ConnectionChange> {
        let change = match stored {
            None => Applied::Added,
            Some(old) if old.connector == new.connector && old.settings == new.settings => Applied::Unchanged,
            Some(_) => Applied::Changed,
        };
        let users = match change {
            Applied::Changed => self.workspace.users_of_connection(&new.name).await?,
            Applied::Added | Applied::Unchanged => Vec::new(),
        };
        Ok(ConnectionChange { connection: new.name.clone(), change, variables: new.variables.clone(), users })
    }

    async fn describe_pipeline(&self, checked: &CheckedSpec, spec: &Spec) -> Result<PipelineChange> {
        let before = match self.workspace.current_version(&spec.name).await {
            Ok(version) => Some(version),
            Err(error) if error.kind == StoreErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let change = match &before {
            None => Applied::Added,
            Some(version) if version.spec_text == checked.stored_text() && version.plan == *checked.plan()? => {
                Applied::Unchanged
            }
            Some(_) => Applied::Changed,
        };
        let old = before.as_ref().and_then(|version| serde_json::from_value::<Spec>(version.spec.clone()).ok());
        let differences = old.map(|old| diff(&old, spec)).unwrap_or_default();
        let draft = self.unedited_draft(&checked.document).await?;
        let draft = draft.filter(|row| row.state == DraftState::Open);
        Ok(PipelineChange {
            pipeline: spec.name.clone(),
            file: checked.document.source.name.clone(),
            change,
            before: before.map(|version| version.number),
            version: None,
            schedule_in_words: spec.when_in_words(),
            diff: differences.iter().map(ChangeReport::of).collect(),
            draft_id: draft.map(|row| row.id),
        })
    }
}

/// Settings whose variables are not all set here are left to where the connection is opened.
fn validate(connector: &dyn Connector, name: &str, settings: &ConnectionSettings) -> Result<()> {
    let set = |variable: &String| std::env::var_os(variable).is_some();
    if settings::references(&settings.settings).iter().all(set) {
        let resolved = settings::resolve(name, &settings.settings, &|variable| std::env::var(variable).ok())?;
        connector.open(name, &resolved)?;
    }
    Ok(())
}

/// Two files of one pipeline would each undo the other.
pub(super) fn refuse_twins(documents: &[Document]) -> Result<()> {
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for document in documents {
        let Some(spec) = &document.spec else { continue };
        if let Some(other) = files.insert(&spec.name, &document.source.name) {
            return Err(OperationError::invalid(format!(
                "pipeline '{}' is in two files: {other} and {}",
                spec.name, document.source.name
            ))
            .hint("rename one of them, or apply one file"));
        }
    }
    Ok(())
}

/// Connections of all files. One that several files bring must be the same in all of them.
pub(super) fn merge_connections(documents: &[Document]) -> Result<FileConnections> {
    let mut merged = FileConnections::new();
    let mut files: BTreeMap<String, &str> = BTreeMap::new();
    for document in documents {
        for (name, settings) in document::connections(document) {
            let other = files.insert(name.clone(), &document.source.name);
            match (merged.get(&name), other) {
                (Some(known), Some(other)) if *known != settings => {
                    return Err(OperationError::invalid(format!(
                        "connection '{name}' differs between {other} and {}",
                        document.source.name
                    ))
                    .hint("keep it in one file: all files of an apply know it"));
                }
                _ => drop(merged.insert(name, settings)),
            }
        }
    }
    Ok(merged)
}
