//! What a person can ask for, once: typed, authorised, audited. The command line, HTTP, MCP and the assistant are its faces: they parse,
//! call and show.
//!
//! A file for each noun. An operation takes an [`Actor`], checks its permission in one table ([`Role::allows`]), records what it changes in
//! the transaction of the change, and answers with a typed report, which is the `--json` document, the HTTP body and the MCP result.

mod actor;
mod admin;
mod backfills;
mod catalog;
mod connections;
mod conversations;
mod cursors;
mod drafts;
mod error;
mod executor;
mod fleet;
mod glossary;
mod models;
mod pipelines;
mod query;
mod rejects;
mod runs;
mod samples;
mod scaffold;
mod schedules;
mod specs;
mod streams;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_engine::job::ConnectionSettings;
use headwater_engine::stage::Engine;
use headwater_store::{MasterKey, Store, Workspace};

pub use actor::{Action, Actor, Role};
pub use admin::{DoctorReport, Readiness, examine};
pub use backfills::{BackfillPlan, BackfillReport, BackfillsReport, StartBackfill};
pub use catalog::{
    CatalogDiffReport, CatalogReport, KnownConnection, SnapshotReport, describe_connector, difference_in_words,
    spec_schema,
};
pub use connections::{AddConnection, AddedConnection, ConnectionReport, ConnectionsReport, HealthReport};
pub use conversations::{
    ConversationReport, ConversationSummary, ConversationsReport, NotUnderstood, OpenTurn, Refusal, RefusalReason,
    StatementStep, Step, StepReport, TurnReport,
};
pub use cursors::{CursorsReport, CursorsResetReport};
pub use drafts::{
    ApprovalReport, ApprovalsReport, ApprovedDraft, Choice, DiscardedDraft, DraftChange, DraftFilter, DraftNotes,
    DraftSummary, DraftsReport, Editing, MadeOn, Making, MakingReport, Question, Reading, Requirement, SaveDraft,
    SavedDraft, SavedSpec, StoredDraft, draft_body, draft_file,
};
pub use error::{ErrorKind, OperationError, Problems, Result};
pub use executor::{Execution, Executor, LocalWork};
pub use fleet::{FailureWatch, LimitsReport, WorkersReport};
pub use glossary::{GlossaryReport, QuestionsReport, SetTerm};
pub use headwater_engine::catalog::{CatalogChange, Difference};
pub use headwater_engine::connector::{Changes, ColumnInfo, ForeignKey, TableInfo};
pub use headwater_engine::printed::{flat, json_rows, without_intervals};
pub use headwater_engine::privacy::Mask;
pub use headwater_engine::receipt::Receipt;
pub use headwater_engine::samples::{SamplePolicy, TableSamples};
pub use headwater_store::embedded::Level;
pub use headwater_store::state::{AttemptState, BackfillState, DraftState, RejectState, RunState, StreamState};
pub use headwater_store::{
    AttemptRow, BOUNDS, BackfillRow, BudgetHolder, BudgetLimits, Cause, Counts, CursorRow, Face, FailedRun,
    GlossaryRow, GlossaryTerm, Leased, LimitRow, LogRow, ModelCall, ModelKeyRow, ModelUsage, PipelineRow, QuestionRow,
    QueueDepth, RejectChoice, RejectContent, RejectFilter, RejectOrigin, RejectRow, RerunMode, Rollup, ScheduleRow,
    Scope, SliceRow, StreamRow, Suggest, VersionSummary, WarningRow, Why, WorkerRow,
};
pub use models::{ModelKeysReport, UsageReport};
pub use pipelines::{PipelineReport, PipelinesReport, VersionsReport};
pub use query::{ColumnReport, QueryFailure, Rows};
pub use rejects::{RejectReport, RejectsDiscardReport, RejectsReport};
pub use runs::{
    Advice, CancelReport, ExplainReport, ExplainedFailure, FailureKind, KeyReport, LoadedTarget, LogTail, Origin,
    Place, RehearsalReport, Rehearse, RehearsedTaskReport, RuleViolations, RunError, RunEvent, RunFilter, RunReport,
    RunRow, RunsReport, Site, StartRun, Started, Target, TaskProgress, TaskReport, Watch, WhyReport, task_label,
};
pub use samples::SampledReport;
pub use schedules::{FireReport, PreviewReport, ScheduleReport, SchedulesReport};
pub use specs::{
    Against, Applied, ApplyReport, ChangeReport, ConnectionChange, DiagnosticReport, FieldReport, LoadReport,
    PipelineChange, PlanReport, PlannedSpec, PlansReport, Proposal, SpecFile, StageReport,
};
pub use streams::{StreamEntry, StreamReport, StreamsReport};
pub use variables::AllowedVariables;

/// What operations need to know of the installation.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Variables of the environment that connections of a file may resolve.
    pub allowed_variables: AllowedVariables,
    /// How long a worker may be silent before its stages are given to another.
    pub lease_time: std::time::Duration,
}

/// Everything that a person can ask for. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Operations {
    store: Store,
    workspace: Workspace,
    engine: Engine,
    key: Arc<MasterKey>,
    settings: Settings,
}

impl Operations {
    /// Operations on the default workspace of a control plane.
    pub fn new(store: Store, engine: Engine, key: Arc<MasterKey>, settings: Settings) -> Self {
        let workspace = store.default_workspace();
        Self { store, workspace, engine, key, settings }
    }

    /// The workspace as the actor may use it for an action: what is changed through it is recorded as theirs.
    fn permit(&self, actor: &Actor, action: Action) -> Result<Workspace> {
        if !actor.role.allows(action) {
            return Err(OperationError::new(
                ErrorKind::Forbidden,
                format!("{} may not do this: it needs the permission {}", actor.name, action.as_str()),
            ));
        }
        Ok(self.workspace.acting(actor.who()))
    }

    /// Names of all stored connections.
    async fn connection_names(&self) -> Result<BTreeSet<String>> {
        Ok(self.workspace.connections().await?.into_iter().map(|row| row.name).collect())
    }

    /// Settings of those of the named connections that are stored.
    async fn stored_settings(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, ConnectionSettings>> {
        let known = self.connection_names().await?;
        let names: Vec<String> = names.intersection(&known).cloned().collect();
        let opened = self.workspace.open_connections(&self.key, &names).await?;
        let settings = opened
            .into_iter()
            .map(|row| (row.name, ConnectionSettings { connector: row.connector, settings: row.settings }));
        Ok(settings.collect())
    }
}

#[cfg(test)]
mod tests;
