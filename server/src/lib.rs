//! The HTTP API: health, readiness and metrics.
