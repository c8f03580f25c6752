//! What executes stages: the engine, or a script in tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use headwater_engine::catalog::Catalog;
use headwater_engine::connector::Taken;
use headwater_engine::control::{Control, Progress};
use headwater_engine::job::{ConnectionSettings, StageJob, StageReport};
use headwater_engine::stage::Engine;
use tokio_util::sync::CancellationToken;

/// Executes stages.
#[async_trait]
pub trait StageRunner: Send + Sync + 'static {
    /// Runs one attempt. It ends soon after `cancel`, and what it reports as failed or canceled is not visible in any target.
    async fn run_stage(
        &self,
        job: StageJob,
        control: Arc<dyn Control>,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> StageReport;

    /// Takes the load's id in its target so that no late attempt can commit it, or names the commit that is there.
    async fn fence(&self, job: StageJob) -> headwater_engine::Result<Option<Taken>>;

    /// What a connection can read now.
    async fn catalog(&self, name: &str, settings: ConnectionSettings) -> headwater_engine::Result<Catalog>;

    /// The literal secrets of these connections, to be erased from whatever is logged.
    fn secrets(&self, connections: &BTreeMap<String, ConnectionSettings>) -> Vec<String>;
}

#[async_trait]
impl StageRunner for Engine {
    async fn run_stage(
        &self,
        job: StageJob,
        control: Arc<dyn Control>,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> StageReport {
        Engine::run_stage(self, job, control, progress, cancel).await
    }

    async fn fence(&self, job: StageJob) -> headwater_engine::Result<Option<Taken>> {
        Engine::fence(self, &job).await
    }

    async fn catalog(&self, name: &str, settings: ConnectionSettings) -> headwater_engine::Result<Catalog> {
        Engine::catalog(self, name, settings).await
    }

    fn secrets(&self, connections: &BTreeMap<String, ConnectionSettings>) -> Vec<String> {
        Engine::secrets(self, connections)
    }
}
