//! The control plane itself: what is wrong with it, and what it counts.

use std::path::Path;

use chrono::{DateTime, Utc};
use headwater_store::embedded::{self, Finding};
use headwater_store::{Counts, WorkerRow};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Action, Actor, Operations, Result};

/// The document of `admin doctor`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DoctorReport {
    /// Whether the control plane can be used.
    pub healthy: bool,
    /// Registered workers, if the control plane answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// What it counts, if it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// What was found in the data directory of an embedded server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<embedded::Report>,
}

/// Whether the control plane answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Readiness {
    /// Whether it does.
    pub ready: bool,
    /// The time on its clock, if it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_time: Option<DateTime<Utc>>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DoctorReport {
    /// Findings about an embedded server.
    pub fn findings(&self) -> &[Finding] {
        self.report.as_ref().map_or(&[], |report| &report.findings)
    }
}

impl Operations {
    /// Examines a control plane that answers.
    pub async fn doctor(&self, actor: &Actor) -> Result<DoctorReport> {
        self.permit(actor, Action::ReadHealth)?;
        let workers: Vec<WorkerRow> = self.store.workers().await?;
        let counts = self.store.counts().await?;
        Ok(DoctorReport { healthy: true, workers: Some(workers.len()), counts: Some(counts), report: None })
    }

    /// Whether the control plane answers. Asks for no permission: load balancers have none.
    pub async fn readiness(&self, within: std::time::Duration) -> Readiness {
        let not_ready = |reason: String| Readiness { ready: false, database_time: None, reason: Some(reason) };
        match tokio::time::timeout(within, self.store.now()).await {
            Ok(Ok(now)) => Readiness { ready: true, database_time: Some(now), reason: None },
            Ok(Err(error)) => not_ready(error.to_string()),
            Err(_) => not_ready("the control plane's database does not answer".to_owned()),
        }
    }

    /// What the control plane counts at this moment, for metrics.
    pub async fn counts(&self) -> Result<Counts> {
        Ok(self.store.counts().await?)
    }
}

/// Examines the data directory of an embedded server without starting it.
pub async fn examine(data_dir: &Path, pg_user: Option<&str>) -> Result<DoctorReport> {
    let report = embedded::doctor(data_dir, pg_user).await?;
    Ok(DoctorReport { healthy: report.is_healthy(), workers: None, counts: None, report: Some(report) })
}
