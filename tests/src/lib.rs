//! End to end: service harness, crash tests, golden cases, benchmarks.
