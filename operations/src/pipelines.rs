//! Pipelines: what is approved, what was, and taking the approval back.

use headwater_store::{PipelineRow, VersionSummary};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{Action, Actor, Operations, Result};

/// The document of `pipelines list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PipelinesReport {
    /// Pipelines with an approved version, by name.
    pub pipelines: Vec<PipelineRow>,
}

/// The document of `pipelines show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PipelineReport {
    /// Its name.
    pub pipeline: String,
    /// Number of the version that is shown.
    pub version: i32,
    /// Whether it is the approved one.
    pub current: bool,
    /// When it was stored.
    pub created_at: chrono::DateTime<chrono::Utc>,
    /// Its schedule or stream in words.
    pub schedule_in_words: Option<String>,
    /// The spec as its author wrote it.
    pub spec_text: String,
    /// The spec as it was read; where it asks for several tables, with one task for each of them.
    pub spec: Value,
    /// Tables that match its patterns and are not in it, by the catalogs as they were last read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_tables: Vec<String>,
}

/// The document of `pipelines versions`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VersionsReport {
    /// The pipeline.
    pub pipeline: String,
    /// Its versions, newest first.
    pub versions: Vec<VersionSummary>,
}

impl Operations {
    /// Pipelines with an approved version, by name.
    pub async fn pipelines(&self, actor: &Actor) -> Result<PipelinesReport> {
        Ok(PipelinesReport { pipelines: self.permit(actor, Action::ReadPipelines)?.list_pipelines().await? })
    }

    /// A pipeline's approved version, or the one of a number.
    pub async fn pipeline(&self, actor: &Actor, name: &str, number: Option<i32>) -> Result<PipelineReport> {
        let workspace = self.permit(actor, Action::ReadPipelines)?;
        let version = match number {
            Some(number) => workspace.numbered_version(name, number).await?,
            None => workspace.current_version(name).await?,
        };
        let new_tables = self.tables_since(&version).await?;
        let spec: Option<headwater_pipelines::spec::Spec> = serde_json::from_value(version.spec.clone()).ok();
        Ok(PipelineReport {
            pipeline: version.pipeline,
            version: version.number,
            current: version.current,
            created_at: version.created_at,
            schedule_in_words: spec.and_then(|spec| spec.when_in_words()),
            spec_text: version.spec_text,
            spec: version.spec,
            new_tables,
        })
    }

    /// A pipeline's versions, newest first.
    pub async fn versions(&self, actor: &Actor, name: &str) -> Result<VersionsReport> {
        let versions = self.permit(actor, Action::ReadPipelines)?.versions(name).await?;
        Ok(VersionsReport { pipeline: name.to_owned(), versions })
    }

    /// Withdraws a pipeline's approval and retires its schedule.
    pub async fn remove_pipeline(&self, actor: &Actor, name: &str) -> Result<()> {
        Ok(self.permit(actor, Action::RemovePipeline)?.remove_pipeline(name).await?)
    }
}
