//! The apalis runtime over the store's queue: attempts, heartbeats, the finisher.
