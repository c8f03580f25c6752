//! The HTTP API: health, readiness and metrics.

mod metrics;

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use headwater_store::Store;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use metrics::SERIES;

/// A readiness probe that takes longer counts as a failure.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Why the server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or not ours.
    #[error("{address} can't be listened on: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The listener broke.
    #[error("the server ended: {0}")]
    Serve(#[from] std::io::Error),
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    store: Store,
}

impl Server {
    /// Listens on an address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, store: Store) -> Result<Self, ServerError> {
        let fail = |source| ServerError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, address, store })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is stopped.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServerError> {
        let stopped = async move { stop.cancelled().await };
        axum::serve(self.listener, router(self.store)).with_graceful_shutdown(stopped).await?;
        Ok(())
    }
}

fn router(store: Store) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(store)
}

/// Ready means that the control plane answers.
async fn ready(State(store): State<Store>) -> impl IntoResponse {
    match tokio::time::timeout(READY_WITHIN, store.now()).await {
        Ok(Ok(now)) => (StatusCode::OK, Json(json!({ "ready": true, "database_time": now }))),
        Ok(Err(error)) => unavailable(&error.to_string()),
        Err(_) => unavailable("the control plane's database does not answer"),
    }
}

fn unavailable(reason: &str) -> (StatusCode, Json<serde_json::Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "reason": reason })))
}

async fn metrics(State(store): State<Store>) -> axum::response::Response {
    match store.counts().await.map_err(|error| error.to_string()).and_then(|counts| metrics::render(&counts)) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(reason) => unavailable(&reason).into_response(),
    }
}
