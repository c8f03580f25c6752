//! Where a task stands in its pipeline.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Dotted path of a task or group from the root of the pipeline, e.g. `ingest.orders`. The root itself is the empty path.
///
/// It serialises as its text and reads like a `&str` wherever one is wanted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskPath(String);

impl TaskPath {
    /// The pipeline's root, which holds the outermost tasks.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of a task inside this group.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.is_root() { Self(name.to_owned()) } else { Self(format!("{self}.{name}")) }
    }

    /// The group around this task; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        (!self.is_root()).then(|| self.0.rsplit_once('.').map_or_else(Self::root, |(group, _)| group.into()))
    }

    /// The task's own name.
    pub fn name(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }
}

impl fmt::Display for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Deref for TaskPath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for TaskPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TaskPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TaskPath {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for TaskPath {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<TaskPath> for String {
    fn from(path: TaskPath) -> Self {
        path.0
    }
}

impl PartialEq<str> for TaskPath {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for TaskPath {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for TaskPath {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_path_knows_its_group_and_its_name() {
        let path = TaskPath::root().child("ingest").child("orders");
        assert_eq!((path.as_str(), path.name()), ("ingest.orders", "orders"));
        let group = path.parent().unwrap();
        assert_eq!(group, "ingest");
        assert_eq!(group.parent(), Some(TaskPath::root()));
        assert_eq!(TaskPath::root().parent(), None);
    }

    #[test]
    fn a_path_is_stored_as_its_text() {
        let path = TaskPath::from("ingest.orders");
        assert_eq!(serde_json::to_string(&path).unwrap(), "\"ingest.orders\"");
        assert_eq!(serde_json::from_str::<TaskPath>("\"ingest.orders\"").unwrap(), path);
    }
}
