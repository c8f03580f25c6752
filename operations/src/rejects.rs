//! Rejects: what loads have set aside, listed, shown and discarded.

use headwater_store::{RejectChoice, RejectContent, RejectFilter, RejectRow};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Action, Actor, Operations, Result};

/// The document of `rejects list`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RejectsReport {
    /// Rows and messages that committed loads have set aside and nobody has discarded, the newest first.
    pub rejects: Vec<RejectRow>,
    /// How many there are, listed or not.
    pub total: i64,
}

/// The document of `rejects show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RejectReport {
    /// The reject.
    #[serde(flatten)]
    pub reject: RejectRow,
    /// The row or message itself.
    pub content: RejectContent,
}

/// The document of `rejects discard`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RejectsDiscardReport {
    /// How many were kept until now.
    pub discarded: u64,
}

impl Operations {
    /// What was set aside, all of it or that of a pipeline or run.
    pub async fn rejects(&self, actor: &Actor, filter: &RejectFilter) -> Result<RejectsReport> {
        let workspace = self.permit(actor, Action::ReadRejects)?;
        let (rejects, total) = workspace.rejects(filter).await?;
        if total == 0 {
            // Says so if there is no such pipeline or run.
            if let Some(pipeline) = &filter.pipeline {
                workspace.current_version(pipeline).await?;
            }
            if let Some(run) = filter.run {
                workspace.run(run).await?;
            }
        }
        Ok(RejectsReport { rejects, total })
    }

    /// The one whose id begins like this.
    pub async fn find_reject(&self, actor: &Actor, beginning: &str) -> Result<Uuid> {
        Ok(self.permit(actor, Action::ReadRejects)?.find_reject(beginning).await?)
    }

    /// One of them, with its content.
    pub async fn reject(&self, actor: &Actor, id: Uuid) -> Result<RejectReport> {
        let (reject, content) = self.permit(actor, Action::ReadRejects)?.reject(id).await?;
        Ok(RejectReport { reject, content })
    }

    /// Notes that somebody has dealt with some of them: they are listed no more.
    pub async fn discard_rejects(&self, actor: &Actor, choice: &RejectChoice) -> Result<RejectsDiscardReport> {
        let workspace = self.permit(actor, Action::DiscardRejects)?;
        let discarded = workspace.discard_rejects(choice).await?;
        if let (RejectChoice::Pipeline(pipeline), 0) = (choice, discarded) {
            workspace.current_version(pipeline).await?;
        }
        Ok(RejectsDiscardReport { discarded })
    }
}
