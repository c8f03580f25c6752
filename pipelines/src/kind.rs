//! The kinds of tasks and everything that depends on the kind alone.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::spec::Task;

/// What a task is. A task has exactly one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Reads from a connection.
    Extract,
    /// One SELECT over other datasets and tables.
    Transform,
    /// Tests the rows of its input.
    Check,
    /// Writes a dataset into a target.
    Load,
    /// Runs another pipeline.
    Pipeline,
    /// Sends a request.
    Http,
    /// Runs a program.
    Command,
    /// Waits for a person.
    Approve,
    /// Notifies people.
    Notify,
    /// Waits for time to pass.
    Wait,
    /// Holds other tasks.
    Group,
}

/// How a kind takes part in stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A lazy table: it runs inside the stage of its reader, or as a stage of its own if it has several.
    Dataset,
    /// An effect: the head of a stage.
    Action,
    /// Holds tasks and has no stage.
    Group,
}

/// A field that a task takes besides its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Tasks that must succeed first.
    Needs,
    /// A condition.
    When,
    /// A list of items.
    ForEach,
    /// Retries.
    Retry,
    /// A limit on the time of an attempt.
    Timeout,
    /// The routing lane.
    Queue,
    /// What a worker must have.
    Labels,
    /// Which stage goes first.
    Priority,
    /// Text for people.
    Description,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Extract,
        Self::Transform,
        Self::Check,
        Self::Load,
        Self::Pipeline,
        Self::Http,
        Self::Command,
        Self::Approve,
        Self::Notify,
        Self::Wait,
        Self::Group,
    ];

    /// The field of a spec that sets this kind; also what users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Transform => "transform",
            Self::Check => "check",
            Self::Load => "load",
            Self::Pipeline => "pipeline",
            Self::Http => "http",
            Self::Command => "command",
            Self::Approve => "approve",
            Self::Notify => "notify",
            Self::Wait => "wait",
            Self::Group => "group",
        }
    }

    /// How it takes part in stages.
    pub const fn role(self) -> Role {
        match self {
            Self::Extract | Self::Transform | Self::Check => Role::Dataset,
            Self::Group => Role::Group,
            Self::Load | Self::Pipeline | Self::Http | Self::Command | Self::Approve | Self::Notify | Self::Wait => {
                Role::Action
            }
        }
    }

    /// Whether the task holds rows that others can read.
    pub fn is_dataset(self) -> bool {
        self.role() == Role::Dataset
    }

    /// Whether it moves no data: it only waits, asks or tells, and takes no slot of those that move some.
    pub const fn is_light(self) -> bool {
        matches!(self, Self::Wait | Self::Approve | Self::Http | Self::Notify)
    }

    /// Whether this build executes it.
    pub const fn executes(self) -> bool {
        !matches!(self, Self::Pipeline | Self::Http | Self::Command | Self::Approve | Self::Notify)
    }

    /// Whether a task of this kind takes a field. Datasets are lazy: their stage retries, not the task.
    pub fn takes(self, setting: Setting) -> bool {
        match setting {
            Setting::Needs | Setting::Queue | Setting::Labels | Setting::Description => true,
            Setting::When | Setting::ForEach | Setting::Retry | Setting::Timeout | Setting::Priority => {
                !self.is_dataset()
            }
        }
    }

    /// The kinds that a task sets: exactly one in a valid spec.
    pub fn of(task: &Task) -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| kind.is_set(task)).collect()
    }

    fn is_set(self, task: &Task) -> bool {
        match self {
            Self::Extract => task.extract.is_some(),
            Self::Transform => task.transform.is_some(),
            Self::Check => task.check.is_some(),
            Self::Load => task.load.is_some(),
            Self::Pipeline => task.pipeline.is_some(),
            Self::Http => task.http.is_some(),
            Self::Command => task.command.is_some(),
            Self::Approve => task.approve.is_some(),
            Self::Notify => task.notify.is_some(),
            Self::Wait => task.wait.is_some(),
            Self::Group => task.group.is_some(),
        }
    }

    /// The names of all kinds, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Setting {
    /// Every setting.
    pub const ALL: [Self; 9] = [
        Self::Needs,
        Self::When,
        Self::ForEach,
        Self::Retry,
        Self::Timeout,
        Self::Queue,
        Self::Labels,
        Self::Priority,
        Self::Description,
    ];

    /// The field in a spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Needs => "needs",
            Self::When => "when",
            Self::ForEach => "for_each",
            Self::Retry => "retry",
            Self::Timeout => "timeout",
            Self::Queue => "queue",
            Self::Labels => "labels",
            Self::Priority => "priority",
            Self::Description => "description",
        }
    }

    /// Whether this build executes it.
    pub const fn executes(self) -> bool {
        !matches!(self, Self::When | Self::ForEach)
    }

    /// Whether a task gives it.
    pub fn is_set(self, task: &Task) -> bool {
        match self {
            Self::Needs => !task.needs.is_empty(),
            Self::When => task.when.is_some(),
            Self::ForEach => task.for_each.is_some(),
            Self::Retry => task.retry.is_some(),
            Self::Timeout => task.timeout.is_some(),
            Self::Queue => task.queue.is_some(),
            Self::Labels => !task.labels.is_empty(),
            Self::Priority => task.priority.is_some(),
            Self::Description => task.description.is_some(),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_and_setting_is_a_field_of_a_task() {
        let schema = crate::schema::spec_schema();
        let fields = &schema["$defs"]["Task"]["properties"];
        for name in Kind::ALL.map(Kind::as_str).into_iter().chain(Setting::ALL.map(Setting::as_str)) {
            assert!(fields.get(name).is_some(), "{name}");
        }
        assert_eq!(fields.as_object().map(serde_json::Map::len), Some(Kind::ALL.len() + Setting::ALL.len()));
    }
}
