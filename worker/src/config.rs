//! What a worker is started with.

use std::sync::Arc;
use std::time::Duration;

use headwater_engine::staging::StagingArea;
use headwater_pipelines::plan::PLAN_FORMATS;
use headwater_store::MasterKey;
use uuid::Uuid;

/// Light attempts at a time unless told otherwise: as many as one finish takes.
const LIGHT_SLOTS: usize = 256;

/// A worker's settings.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Its incarnation, if somebody must know it beforehand (a run pinned to it); else a random one.
    pub id: Option<Uuid>,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// The labels it has.
    pub labels: Vec<String>,
    /// Attempts that move data at a time.
    pub slots: usize,
    /// Attempts at a time that only wait or ask: they cost next to nothing.
    pub light_slots: usize,
    /// How long a worker may be silent before its attempts are given up. The same for all workers and reapers.
    pub lease_time: Duration,
    /// How often it beats.
    pub beat_interval: Duration,
    /// How often it looks for work when nobody wakes it.
    pub poll_interval: Duration,
    /// How long attempts may go on after the worker was told to stop.
    pub grace: Duration,
    /// Set for a worker that executes a single run.
    pub only_run: Option<Uuid>,
    /// Where runs stage their datasets. A local folder pins a run to this host once something is staged there.
    pub staging: StagingArea,
    /// Opens the secrets of connections.
    pub master_key: Arc<MasterKey>,
    /// Name of this host: staged datasets on a local disk pin a run to theirs.
    pub host: String,
}

impl WorkerConfig {
    /// The usual settings: queue `default`, two slots, a lease time of 30 seconds.
    pub fn new(staging: StagingArea, master_key: Arc<MasterKey>, host: impl Into<String>) -> Self {
        Self {
            id: None,
            queues: vec!["default".to_owned()],
            labels: Vec::new(),
            slots: 2,
            light_slots: LIGHT_SLOTS,
            lease_time: Duration::from_secs(30),
            beat_interval: Duration::from_millis(500),
            poll_interval: Duration::from_millis(500),
            grace: Duration::from_secs(600),
            only_run: None,
            staging,
            master_key,
            host: host.into(),
        }
    }

    /// The plan formats that this build executes.
    pub(crate) fn plan_formats() -> Vec<i32> {
        PLAN_FORMATS.to_vec()
    }
}
