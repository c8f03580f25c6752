//! Who asks, and what they may do.

use headwater_store::{Face, Who};

/// A person or program that asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who it is.
    pub name: String,
    /// How they reached Headwater.
    pub face: Face,
    /// What they may do.
    pub role: Role,
}

impl Actor {
    /// The owner of an installation without accounts.
    pub fn owner(name: impl Into<String>, face: Face) -> Self {
        Self { name: name.into(), face, role: Role::Owner }
    }

    pub(crate) fn who(&self) -> Who {
        Who { actor: self.name.clone(), face: self.face }
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything. The only role as long as there are no accounts.
    Owner,
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[Self::Owner];

    /// Whether the role has the permission.
    pub fn allows(self, action: Action) -> bool {
        GRANTS.iter().any(|(role, actions)| *role == self && actions.contains(&action))
    }
}

/// The table of permissions: what each role may do.
const GRANTS: &[(Role, &[Action])] = &[(Role::Owner, Action::ALL)];

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What somebody may be permitted to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $variant),+ }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As permissions are named.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

actions! {
    /// Check a spec against the real schemas.
    PlanSpec = "specs.plan",
    /// Approve specs and store their connections.
    ApplySpecs = "specs.apply",
    /// See drafts.
    ReadDrafts = "drafts.read",
    /// Make, answer and discard drafts. Approving one is approving its spec.
    ChangeDrafts = "drafts.change",
    /// See backfills.
    ReadBackfills = "backfills.read",
    /// Start, pause, resume and end backfills.
    ChangeBackfills = "backfills.change",
    /// See how far loads have read their sources.
    ReadCursors = "cursors.read",
    /// Let loads start over.
    ResetCursors = "cursors.reset",
    /// See streams.
    ReadStreams = "streams.read",
    /// Pause and resume streams.
    ChangeStreams = "streams.change",
    /// See what loads have set aside.
    ReadRejects = "rejects.read",
    /// Discard what loads have set aside.
    DiscardRejects = "rejects.discard",
    /// See pipelines and their versions.
    ReadPipelines = "pipelines.read",
    /// Withdraw a pipeline's approval.
    RemovePipeline = "pipelines.remove",
    /// Start a run.
    StartRun = "runs.start",
    /// See runs, their logs and receipts.
    ReadRuns = "runs.read",
    /// Ask a run to end.
    CancelRun = "runs.cancel",
    /// Run a finished run again.
    Rerun = "runs.rerun",
    /// See connections without their secrets.
    ReadConnections = "connections.read",
    /// Use a connection to see whether it works.
    CheckConnection = "connections.check",
    /// Add or replace a connection.
    AddConnection = "connections.add",
    /// Remove a connection.
    RemoveConnection = "connections.remove",
    /// Say what may be sampled of a connection, and which columns are masked.
    ChangeSamples = "connections.samples",
    /// See what connections can read.
    ReadCatalog = "catalog.read",
    /// Say what terms mean, and which statements answer a question.
    ChangeGlossary = "glossary.change",
    /// See what models were used for, and whose keys are stored.
    ReadModels = "models.read",
    /// Store and remove keys of models.
    ChangeModels = "models.change",
    /// See schedules.
    ReadSchedules = "schedules.read",
    /// Pause and resume schedules.
    ChangeSchedules = "schedules.change",
    /// Read rows across connections.
    Query = "query.run",
    /// See workers, limits and pauses.
    ReadFleet = "fleet.read",
    /// Set limits, pause and resume.
    ChangeFleet = "fleet.change",
    /// See the state of the control plane.
    ReadHealth = "admin.read",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_action_is_granted_to_some_role_and_named_once() {
        let names: HashSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert!(Role::ALL.iter().any(|role| role.allows(*action)), "nobody may {}", action.as_str());
        }
    }

    #[test]
    fn the_owner_may_do_everything() {
        assert!(Action::ALL.iter().all(|action| Role::Owner.allows(*action)));
    }

    #[test]
    fn a_role_without_a_row_in_the_table_may_do_nothing() {
        let rows: Vec<Role> = GRANTS.iter().map(|(role, _)| *role).collect();
        assert_eq!(rows, Role::ALL, "each role has one row");
    }
}
