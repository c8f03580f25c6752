//! Plans of versions, read once: versions are immutable.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use headwater_pipelines::plan::Plan;
use headwater_store::Workspace;
use parking_lot::Mutex;
use uuid::Uuid;

/// Plans by version, and the versions in the order they came.
type Kept = (HashMap<Uuid, Arc<Plan>>, VecDeque<Uuid>);

/// Plans kept; a worker rarely executes more versions at a time.
const KEPT: usize = 256;

/// The latest plans.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    kept: Mutex<Kept>,
}

impl Plans {
    pub(crate) async fn get(&self, workspace: &Workspace, version_id: Uuid) -> headwater_store::Result<Arc<Plan>> {
        if let Some(plan) = self.kept.lock().0.get(&version_id) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(workspace.version(version_id).await?.plan);
        let mut kept = self.kept.lock();
        if kept.0.insert(version_id, Arc::clone(&plan)).is_none() {
            kept.1.push_back(version_id);
        }
        if kept.1.len() > KEPT
            && let Some(oldest) = kept.1.pop_front()
        {
            kept.0.remove(&oldest);
        }
        Ok(plan)
    }
}
