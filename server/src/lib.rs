//! The HTTP API: health, readiness and metrics.

mod metrics;

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use headwater_operations::{Operations, Readiness};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use metrics::{ENDED, SERIES};

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
    operations: Operations,
}

impl Server {
    /// Listens on an address; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, operations: Operations) -> Result<Self, ServerError> {
        let fail = |source| ServerError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, address, operations })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is stopped.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), ServerError> {
        let stopped = async move { stop.cancelled().await };
        axum::serve(self.listener, router(self.operations)).with_graceful_shutdown(stopped).await?;
        Ok(())
    }
}

fn router(operations: Operations) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(operations)
}

/// Ready means that the control plane answers.
async fn ready(State(operations): State<Operations>) -> (StatusCode, Json<Readiness>) {
    let readiness = operations.readiness(READY_WITHIN).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

async fn metrics(State(operations): State<Operations>) -> axum::response::Response {
    match operations.counts().await.map_err(|error| error.to_string()).and_then(|counts| metrics::render(&counts)) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}
