//! What an error suggests, as an operation. Each face words it in its own way: a command, a button.

use uuid::Uuid;

use crate::Scope;

/// An operation that would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suggest {
    /// Add a connection.
    AddConnection {
        /// Its name, if it is known.
        name: Option<String>,
    },
    /// List the connections.
    ListConnections,
    /// List what a connection can read.
    ShowCatalog {
        /// The connection.
        connection: String,
    },
    /// Read again what a connection can read.
    RefreshCatalog {
        /// The connection.
        connection: String,
    },
    /// Approve a spec.
    Apply,
    /// Run a spec.
    Run,
    /// List the pipelines.
    ListPipelines,
    /// List the runs.
    ListRuns,
    /// Show a run.
    ShowRun {
        /// The run.
        run: Uuid,
    },
    /// Ask a run to end.
    CancelRun {
        /// The run.
        run: Uuid,
    },
    /// Run what failed again.
    Rerun {
        /// The run.
        run: Uuid,
        /// Everything, as new loads.
        all: bool,
    },
    /// List limits and pauses.
    ListLimits,
    /// Pause what a scope covers.
    Pause {
        /// The scope.
        scope: Scope,
    },
    /// List the terms of the glossary.
    ListGlossary,
    /// List the verified questions.
    ListQuestions,
    /// List the person's conversations.
    ListConversations,
    /// List what loads have set aside.
    ListRejects,
    /// Show a stream.
    ShowStream {
        /// Its pipeline.
        pipeline: String,
    },
    /// List the drafts.
    ListDrafts,
    /// Show a draft.
    ShowDraft {
        /// The draft.
        draft: Uuid,
    },
    /// Approve a draft, or apply the file that it was written to.
    ApproveDraft {
        /// The draft.
        draft: Uuid,
    },
    /// List the schedules.
    ListSchedules,
    /// Examine the control plane.
    Doctor,
    /// Bring the control plane's schema up to date.
    Migrate,
    /// Let connections of a file resolve a variable of the environment.
    AllowVariable {
        /// Its name.
        name: String,
    },
    /// Give a run its data interval.
    GiveInterval,
    /// Give a run a parameter's value.
    GiveParameter {
        /// Its name.
        name: String,
    },
}
