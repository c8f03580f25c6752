//! Plans of versions, read once: versions are immutable.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use headwater_pipelines::plan::Plan;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{Result, StoreError, Workspace};

/// A workspace and one of its versions.
type Key = (Uuid, Uuid);

/// Plans kept; a process rarely has to do with more versions at a time.
const KEPT: usize = 256;

/// The latest plans.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    kept: Mutex<Kept>,
}

/// Plans by version, and the versions in the order they came. Whoever asks while a plan is being read waits for it.
#[derive(Debug, Default)]
struct Kept {
    plans: HashMap<Key, Arc<OnceCell<Arc<Plan>>>>,
    order: VecDeque<Key>,
}

impl Plans {
    fn cell(&self, key: Key) -> Arc<OnceCell<Arc<Plan>>> {
        let mut kept = self.kept.lock();
        if let Some(cell) = kept.plans.get(&key) {
            return Arc::clone(cell);
        }
        if kept.order.len() >= KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.plans.remove(&oldest);
        }
        kept.order.push_back(key);
        Arc::clone(kept.plans.entry(key).or_default())
    }
}

impl Workspace {
    /// The plan of a version.
    pub async fn plan(&self, version_id: Uuid) -> Result<Arc<Plan>> {
        let cell = self.store.inner.plans.cell((self.id, version_id));
        let plan = cell.get_or_try_init(|| async {
            let text = sqlx::query_scalar!(
                r#"SELECT plan::text AS "plan!" FROM versions WHERE workspace_id = $1 AND id = $2"#,
                self.id,
                version_id
            )
            .fetch_optional(self.durable())
            .await?
            .ok_or_else(|| StoreError::not_found(format!("there is no version {version_id}")))?;
            Ok::<_, StoreError>(Arc::new(serde_json::from_str(&text)?))
        });
        Ok(Arc::clone(plan.await?))
    }
}
