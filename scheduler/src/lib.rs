//! Time becomes runs; the reaper and the reconciler.
