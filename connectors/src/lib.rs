//! One file per system that Headwater reads from or writes to, and the registry.
