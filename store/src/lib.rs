//! The control plane's state in Postgres: state machines, queue, history, connections.
