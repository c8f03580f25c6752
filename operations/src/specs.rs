//! Specs: read, planned and checked as one, compared with what is approved, and approved.

mod apply;
pub(crate) mod document;
mod report;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use headwater_engine::catalog::Catalog;
use headwater_engine::check::Checked;
use headwater_engine::job::ConnectionSettings;
use headwater_engine::relations::Connections;
use headwater_pipelines::diagnostic::has_errors;
use headwater_pipelines::diff::{Change, diff};
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{self, Plan, Planned};
use headwater_pipelines::spec::Spec;
use headwater_store::{NewVersion, StoreErrorKind};
use serde_json::Value;

use crate::{Action, Actor, OperationError, Operations, Problems, Result, SnapshotReport, catalog, drafts};

pub use apply::{Applied, ApplyReport, ConnectionChange, PipelineChange, Proposal};
pub use report::{ChangeReport, DiagnosticReport, FieldReport, LoadReport, PlanReport, PlansReport, StageReport};

/// A spec as a face hands it in.
#[derive(Debug, Clone)]
pub struct SpecFile {
    /// Name for messages, e.g. the file's path.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Connections of files, by name.
pub(crate) type FileConnections = BTreeMap<String, ConnectionSettings>;

/// A spec after all checks.
#[derive(Debug)]
pub(crate) struct CheckedSpec {
    pub(crate) document: Document,
    pub(crate) planned: Planned,
    pub(crate) checked: Checked,
    spec: Value,
    /// The text that a version keeps.
    text: String,
    /// The catalogs that it was checked against; empty if it was checked against the systems.
    pub(crate) catalogs: BTreeMap<String, SnapshotReport>,
}

/// What a spec is checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The systems behind its connections, as they are now.
    Systems,
    /// The stored catalogs of its connections, as they were last seen: no system is reached.
    Catalogs,
}

/// What planning a spec found.
#[derive(Debug)]
pub struct PlannedSpec {
    /// The report.
    pub report: PlanReport,
    /// The findings with the spec's text.
    pub problems: Problems,
    /// Whether the spec can run.
    pub valid: bool,
}

impl CheckedSpec {
    pub(crate) fn has_errors(&self) -> bool {
        has_errors(&self.checked.diagnostics) || self.planned.plan.is_none()
    }

    pub(crate) fn problems(&self) -> Problems {
        Problems { source: self.document.source.clone(), diagnostics: self.checked.diagnostics.clone() }
    }

    /// The plan. Only for a spec without errors.
    pub(crate) fn plan(&self) -> Result<&Plan> {
        self.planned.plan.as_ref().ok_or_else(|| OperationError::problems(vec![self.problems()]))
    }

    /// The text that a version keeps.
    pub(crate) fn stored_text(&self) -> &str {
        &self.text
    }

    /// What the store keeps of it. Only for a spec without errors.
    pub(crate) fn version(&self) -> Result<NewVersion<'_>> {
        Ok(NewVersion { spec_text: self.stored_text(), spec: &self.spec, plan: self.plan()? })
    }

    /// The connections that the file brings.
    pub(crate) fn connections(&self) -> FileConnections {
        document::connections(&self.document)
    }
}

/// Names of the connections that a spec uses.
fn used(planned: &Planned) -> BTreeSet<String> {
    planned.works.values().flat_map(plan::Work::connections).collect()
}

impl Operations {
    /// Validates specs and checks them against the real schemas, or against the stored catalogs. The files' own connections serve this once, each
    /// of them all files.
    pub async fn plan(&self, actor: &Actor, files: Vec<SpecFile>, against: Against) -> Result<Vec<PlannedSpec>> {
        self.permit(actor, Action::PlanSpec)?;
        let documents: Vec<Document> = files.into_iter().map(document::read).collect();
        apply::refuse_twins(&documents)?;
        let brought = self.own_connections(&documents)?;
        for document in documents.iter().filter(|document| document.connections_alone().is_some()) {
            for (name, settings) in document::connections(document) {
                self.new_connection(name, settings)?;
            }
        }
        let mut planned = Vec::with_capacity(documents.len());
        for document in documents {
            let spec = match against {
                Against::Systems => self.check(document, &brought).await?,
                Against::Catalogs => self.check_on_catalogs(document).await?,
            };
            planned.push(self.planned(spec).await?);
        }
        Ok(planned)
    }

    pub(crate) async fn planned(&self, mut spec: CheckedSpec) -> Result<PlannedSpec> {
        // It is no spec, and need not be one.
        let is_spec = spec.document.connections_alone().is_none();
        if !is_spec {
            spec.checked.diagnostics = spec.document.diagnostics.clone();
        }
        let changes = match spec.document.stored_spec() {
            Some(new) => self.changes(&new).await?,
            None => None,
        };
        Ok(PlannedSpec {
            report: PlanReport::of(&spec, changes.as_deref()),
            problems: spec.problems(),
            valid: if is_spec { !spec.has_errors() } else { !has_errors(&spec.checked.diagnostics) },
        })
    }

    /// Checks a file whose own connections resolve allowed variables only.
    pub(crate) async fn check_own(&self, file: SpecFile) -> Result<CheckedSpec> {
        let document = document::read(file);
        let own = self.own_connections(std::slice::from_ref(&document))?;
        self.check(document, &own).await
    }

    /// The connections that files bring, which resolve allowed variables only.
    fn own_connections(&self, documents: &[Document]) -> Result<FileConnections> {
        for document in documents {
            for (name, settings) in &document::connections(document) {
                self.settings.allowed_variables.check(&document.source.name, name, settings)?;
            }
        }
        apply::merge_connections(documents)
    }

    /// Plans and checks a document. Connections of files stand before stored ones of the same name.
    pub(crate) async fn check(&self, document: Document, files: &FileConnections) -> Result<CheckedSpec> {
        let mut names = self.connection_names().await?;
        names.extend(files.keys().cloned());
        let document = self.expand_now(document, &names, files).await?;
        let planned = plan::plan(&document, &names);
        let stored = used(&planned).into_iter().filter(|name| !files.contains_key(name)).collect();
        let mut settings = self.stored_settings(&stored).await?;
        settings.extend(files.iter().map(|(name, settings)| (name.clone(), settings.clone())));
        let connections = Connections::new(self.engine.registry().clone(), settings);
        let checked = self.engine.check(&document, &planned, connections).await?;
        let spec = serde_json::to_value(document.stored_spec())?;
        let text = drafts::body(document.stored_text()).into_owned();
        Ok(CheckedSpec { document, planned, checked, spec, text, catalogs: BTreeMap::new() })
    }

    /// Plans and checks a document on the stored catalogs of stored connections; no system is reached.
    pub(crate) async fn check_on_catalogs(&self, document: Document) -> Result<CheckedSpec> {
        let stored = self.workspace.connections().await?;
        let connectors: BTreeMap<String, String> = stored.into_iter().map(|row| (row.name, row.connector)).collect();
        if let Some(own) = document::connections(&document).into_keys().next() {
            let message = format!("connection {own} is the file's own: its catalog is stored nowhere");
            return Err(OperationError::invalid(message).hint("plan without --snapshot, or store the connection"));
        }
        let names: BTreeSet<String> = connectors.keys().cloned().collect();
        let document = self.expand_on_catalogs(document, &names).await?;
        let planned = plan::plan(&document, &names);
        // Targets are not looked at.
        let read: BTreeSet<String> = planned.works.values().flat_map(plan::Work::sources).collect();
        let snapshots = self.newest_catalogs(&Vec::from_iter(read.intersection(&names).cloned())).await?;
        let mut catalogs: BTreeMap<String, (String, Catalog)> = connectors
            .iter()
            .map(|(name, connector)| (name.clone(), (connector.clone(), Catalog::default())))
            .collect();
        for (name, snapshot) in &snapshots {
            let connector = connectors.get(name).cloned().unwrap_or_default();
            catalogs.insert(name.clone(), (connector, catalog::content(snapshot)?));
        }
        let connections = Connections::of_catalogs(self.engine.registry().clone(), catalogs);
        let checked = self.engine.check(&document, &planned, connections).await?;
        let spec = serde_json::to_value(document.stored_spec())?;
        let catalogs = snapshots.iter().map(|(name, snapshot)| (name.clone(), snapshot.into())).collect();
        let text = drafts::body(document.stored_text()).into_owned();
        Ok(CheckedSpec { document, planned, checked, spec, text, catalogs })
    }

    /// Differences from the approved version; `None` when there is none.
    async fn changes(&self, spec: &Spec) -> Result<Option<Vec<Change>>> {
        match self.workspace.current_version(&spec.name).await {
            Ok(version) => Ok(serde_json::from_value::<Spec>(version.spec).ok().map(|before| diff(&before, spec))),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
