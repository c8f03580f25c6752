//! Earlier answers to equal requests in the same scope.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::request::Request;
use super::settings::{CacheSettings, Model};

/// An answer that may be given again.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) document: Value,
    /// The answer as the model wrote it, for its hash and size.
    pub(super) text: String,
}

/// A cache that is bounded by bytes and by age.
pub(super) struct Cache(Option<moka::future::Cache<[u8; 32], Arc<Cached>>>);

impl Cache {
    pub(super) fn new(settings: CacheSettings) -> Self {
        let is_on = settings.ttl_seconds > 0 && settings.megabytes > 0;
        Self(is_on.then(|| {
            moka::future::Cache::builder()
                .weigher(|_, cached: &Arc<Cached>| {
                    // The document takes several times its text.
                    u32::try_from(cached.text.len().saturating_mul(4).saturating_add(256)).unwrap_or(u32::MAX)
                })
                .max_capacity(settings.megabytes << 20)
                .time_to_live(Duration::from_secs(settings.ttl_seconds))
                .build()
        }))
    }

    /// Where an answer of this model to this request is. The person is no part of it: grants are.
    pub(super) fn key(request: &Request, model: &Model) -> [u8; 32] {
        let scope = &request.scope;
        let temperature = model.temperature.map(|degree| degree.to_string()).unwrap_or_default();
        request.digest([
            scope.workspace.as_str(),
            &scope.grants,
            &scope.feature,
            &scope.prompt_version,
            &scope.snapshot,
            &scope.policy,
            &model.base_url,
            &model.model,
            &temperature,
        ])
    }

    pub(super) async fn get(&self, key: &[u8; 32]) -> Option<Arc<Cached>> {
        self.0.as_ref()?.get(key).await
    }

    pub(super) async fn put(&self, key: [u8; 32], document: Value, text: String) {
        if let Some(cache) = &self.0 {
            cache.insert(key, Arc::new(Cached { document, text })).await;
        }
    }
}
