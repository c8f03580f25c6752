//! Streams: listed, shown, paused and resumed.

use headwater_pipelines::plan::Plan;
use headwater_store::{CursorRow, StreamRow, Why, Workspace};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Action, Actor, OperationError, Operations, Result, StreamState};

/// The document of `streams list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StreamsReport {
    /// Streams by pipeline.
    pub streams: Vec<StreamEntry>,
}

/// A stream, and what keeps it from loading.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StreamEntry {
    /// The stream.
    #[serde(flatten)]
    pub stream: StreamRow,
    /// Stages of its present run that no live worker executes, and what each waits for.
    pub waits: Vec<Why>,
}

/// The document of `streams show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StreamReport {
    /// The stream.
    #[serde(flatten)]
    pub entry: StreamEntry,
    /// How far each of its loads has read.
    pub cursors: Vec<CursorRow>,
}

impl Operations {
    /// All streams.
    pub async fn streams(&self, actor: &Actor) -> Result<StreamsReport> {
        let workspace = self.permit(actor, Action::ReadStreams)?;
        let mut streams = Vec::new();
        for stream in workspace.streams(None).await? {
            streams.push(entry(&workspace, stream).await?);
        }
        Ok(StreamsReport { streams })
    }

    /// The stream of a pipeline.
    pub async fn stream(&self, actor: &Actor, pipeline: &str) -> Result<StreamReport> {
        let workspace = self.permit(actor, Action::ReadStreams)?;
        let entry = entry(&workspace, workspace.stream(pipeline).await?).await?;
        Ok(StreamReport { entry, cursors: workspace.cursors(Some(pipeline)).await? })
    }

    /// Lets a stream end behind its present batch.
    pub async fn pause_stream(&self, actor: &Actor, pipeline: &str) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeStreams)?.pause_stream(pipeline).await?)
    }

    /// Lets a stream go on from where its loads are.
    pub async fn resume_stream(&self, actor: &Actor, pipeline: &str) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeStreams)?.resume_stream(pipeline).await?)
    }

    /// Refuses a run beside a stream: its loads would wait for their cursors as long as the stream runs.
    pub(crate) async fn must_not_follow(&self, plan: &Plan) -> Result<()> {
        if plan.stream.is_none() {
            return Ok(());
        }
        let pipeline = &plan.pipeline;
        match self.workspace.streams(Some(pipeline)).await?.pop() {
            Some(row) if row.state == StreamState::Running => Err(OperationError::invalid(format!(
                "'{pipeline}' is a stream that runs: it loads what is new by itself"
            ))
            .hint(format!(
                "look at it: headwater streams show {pipeline}; or pause it first: headwater streams pause {pipeline}"
            ))),
            _ => Ok(()),
        }
    }
}

/// A stream whose present run is looked at, if it is to run.
async fn entry(workspace: &Workspace, stream: StreamRow) -> Result<StreamEntry> {
    let mut waits = match stream.run_id {
        Some(run) if stream.state == StreamState::Running => workspace.why(run, None).await?,
        _ => Vec::new(),
    };
    waits.retain(|stage| !stage.is_executed());
    Ok(StreamEntry { stream, waits })
}
