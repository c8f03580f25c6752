//! Why a run failed, in plain words: from typed errors, and from what planning its version finds now.

use std::collections::BTreeSet;

use headwater_pipelines::diagnostic::{Diagnostic, Severity};
use headwater_store::AttemptRow;
use headwater_store::state::AttemptState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::report::{RunError, RunReport, RunRow};
use crate::{Action, Actor, Against, DiagnosticReport, OperationError, Operations, Result, RunState, SpecFile};

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The same attempt may succeed later.
    Transient,
    /// A person has to change a spec, a connection, a privilege or a table.
    Config,
    /// A row or value does not fit.
    Data,
    /// Another writer won.
    Conflict,
    /// A staged dataset is no longer there.
    Gone,
    /// It was told to stop.
    Canceled,
    /// A fault of Headwater.
    Bug,
    /// The worker went silent.
    Lost,
    /// Attempts of earlier versions did not say.
    Unknown,
}

impl FailureKind {
    /// What it means, in plain words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Transient => "a system could not be reached or was busy; the same run may succeed later",
            Self::Config => "something has to be changed first: the spec, a connection, a privilege or a table",
            Self::Data => "a row or value does not fit what the spec says; the same rows fail again",
            Self::Conflict => "somebody else wrote to the target at the same time",
            Self::Gone => "staged data of the run is no longer there; a rerun makes it again",
            Self::Canceled => "it was told to stop",
            Self::Bug => "Headwater itself is at fault",
            Self::Lost => "the worker went silent: it was killed, ran out of memory, or lost its network",
            Self::Unknown => "the attempt did not say what kind of failure it was",
        }
    }
}

/// The document of `runs explain`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExplainReport {
    /// The run.
    #[serde(flatten)]
    pub run: RunRow,
    /// What failed, the first failure first.
    pub failures: Vec<ExplainedFailure>,
    /// Targets that hold what this run loaded, with their rows.
    pub loaded: Vec<LoadedTarget>,
    /// Tasks that did not run because one before them failed.
    pub not_run: Vec<String>,
    /// What planning the run's version against the systems finds now.
    #[schemars(with = "Vec<DiagnosticReport>")]
    pub findings: Vec<Diagnostic>,
    /// Why it can't be planned now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_planned: Option<String>,
    /// What to do, the most likely first.
    pub advice: Vec<Advice>,
}

/// A failure of a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExplainedFailure {
    /// The task at fault.
    pub task: Option<String>,
    /// What can be done about it.
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Attempts that were made.
    pub attempts: usize,
}

/// A target that holds rows of a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LoadedTarget {
    /// As the spec names it.
    pub target: String,
    /// Rows in its commit.
    pub rows: u64,
}

/// What a person can do about a failed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Advice {
    /// Run what failed again: loads that were committed are kept.
    Rerun,
    /// Run what failed again, with the newer version.
    RunNewer {
        /// Its number.
        version: i32,
    },
    /// Correct the spec: it does not plan any more.
    ChangeSpec,
    /// Correct the rows at the source, or let the spec deal with them.
    ChangeRows,
    /// Do what the hint says, and run it again.
    FollowHint,
    /// Report the fault.
    Report,
    /// Nothing failed.
    Nothing,
}

impl Operations {
    /// Why a run failed, and what to do. Its version is planned against the systems as they are now.
    pub async fn explain_run(&self, actor: &Actor, run: Uuid) -> Result<ExplainReport> {
        self.permit(actor, Action::ReadRuns)?;
        let report = self.report(run).await?;
        let failures = failures(&report);
        let (findings, not_planned) = match failures.is_empty() {
            true => (Vec::new(), None),
            false => match self.findings_now(actor, &report.run).await {
                Ok(findings) => (findings, None),
                Err(error) => (Vec::new(), Some(error.message)),
            },
        };
        let advice = advice(&report, &failures, &findings);
        let ran: BTreeSet<&str> =
            report.tasks.iter().filter(|task| task.attempts > 0).map(|task| task.path.as_str()).collect();
        let not_run = report.tasks.iter().filter(|task| task.state == "upstream_failed" || task.state == "skipped");
        Ok(ExplainReport {
            not_run: not_run.filter(|task| !ran.contains(task.path.as_str())).map(|task| task.path.clone()).collect(),
            loaded: report
                .receipts
                .iter()
                .map(|receipt| LoadedTarget { target: receipt.target.clone(), rows: receipt.rows_written })
                .collect(),
            run: report.run,
            failures,
            findings,
            not_planned,
            advice,
        })
    }

    /// The errors that planning a run's version finds now.
    async fn findings_now(&self, actor: &Actor, run: &RunRow) -> Result<Vec<Diagnostic>> {
        let version = match self.pipeline(actor, &run.pipeline, Some(run.version)).await {
            Err(error) if error.kind == crate::ErrorKind::NotFound => {
                return Err(OperationError::not_found("the run's version is no longer stored"));
            }
            version => version?,
        };
        let file = SpecFile { name: format!("{}.yaml", run.pipeline), bytes: version.spec_text.into_bytes() };
        let planned = self.plan(actor, vec![file], Against::Systems).await?;
        let found = planned.into_iter().flat_map(|planned| planned.report.diagnostics);
        Ok(found.filter(|diagnostic| diagnostic.severity == Severity::Error).collect())
    }
}

/// What failed: each stage by its last attempt, the run's own failure first.
fn failures(report: &RunReport) -> Vec<ExplainedFailure> {
    let told = report.error.iter().chain(&report.further_errors);
    told.map(|error| {
        let attempts: Vec<&AttemptRow> = report.attempts.iter().filter(|attempt| is_of(attempt, error)).collect();
        let last = attempts.last();
        let kind = last.and_then(|attempt| attempt.error.as_ref()?.get("kind").cloned());
        let kind = kind.and_then(|kind| serde_json::from_value(kind).ok());
        let lost = last.is_some_and(|attempt| attempt.state == AttemptState::Lost);
        let stage = last.map(|attempt| attempt.stage_run_id);
        ExplainedFailure {
            task: error.task.clone(),
            kind: kind.unwrap_or(if lost { FailureKind::Lost } else { FailureKind::Unknown }),
            message: error.message.clone(),
            hint: error.hint.clone(),
            attempts: report.attempts.iter().filter(|attempt| Some(attempt.stage_run_id) == stage).count(),
        }
    })
    .collect()
}

/// Whether an attempt ended by this error.
fn is_of(attempt: &AttemptRow, error: &RunError) -> bool {
    attempt
        .error
        .as_ref()
        .is_some_and(|own| own.get("message").and_then(|message| message.as_str()) == Some(&error.message))
}

fn advice(report: &RunReport, failures: &[ExplainedFailure], findings: &[Diagnostic]) -> Vec<Advice> {
    if failures.is_empty() {
        return if report.run.state == RunState::Failed { vec![Advice::Rerun] } else { vec![Advice::Nothing] };
    }
    let has = |kinds: &[FailureKind]| failures.iter().any(|failure| kinds.contains(&failure.kind));
    let mut advice = Vec::new();
    if !findings.is_empty() {
        advice.push(Advice::ChangeSpec);
    } else if has(&[FailureKind::Data]) {
        advice.push(Advice::ChangeRows);
    } else if has(&[FailureKind::Config, FailureKind::Unknown]) {
        advice.push(Advice::FollowHint);
    }
    if has(&[FailureKind::Bug]) {
        advice.push(Advice::Report);
    }
    advice.push(match report.newer_version {
        Some(version) => Advice::RunNewer { version },
        None => Advice::Rerun,
    });
    advice
}
