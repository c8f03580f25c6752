//! `headwater drafts`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Subcommand;
use headwater_operations::{
    ApprovalReport, ApprovalsReport, ApprovedDraft, DraftFilter, DraftState, DraftSummary, OperationError, StoredDraft,
    draft_file,
};

use super::compile::{finish, show_fires, show_gaps, show_question, show_requirements};
use super::plan;
use super::runs::confirm;
use crate::context::Context;
use crate::failure::{hinted, report, show_problems};
use crate::output;

/// Characters of a prompt that a list shows.
const PROMPT: usize = 60;

#[derive(Debug, Subcommand)]
pub(crate) enum DraftsCommand {
    /// List drafts, newest first
    #[command(
        after_help = "Examples:\n  headwater drafts list\n  headwater drafts list --state open --state question --limit 50"
    )]
    List {
        /// Number of drafts
        #[arg(long, default_value_t = 20)]
        limit: i64,
        /// Only drafts in this state; can be repeated
        #[arg(long)]
        state: Vec<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show a draft: its spec, what each part of the sentence became, its hash
    #[command(
        after_help = "Examples:\n  headwater drafts show 0199c2c0-7d1e\n  headwater drafts show 0199c2c0-7d1e --json"
    )]
    Show {
        /// Draft id, or the beginning of one
        draft: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Answer the question that a sentence left open
    #[command(
        after_help = "Examples:\n  headwater drafts answer 0199c2c0-7d1e 1\n  headwater drafts answer 0199c2c0-7d1e 2 -o orders.yaml"
    )]
    Answer {
        /// Draft id, or the beginning of one
        draft: String,
        /// Number of the answer, or its text
        choice: String,
        /// Write the draft to a file instead of standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Approve drafts as their pipelines' next versions
    #[command(
        after_help = "Examples:\n  headwater drafts approve 0199c2c0-7d1e\n  headwater drafts approve 0199c2c0-7d1e --hash 6d1f…"
    )]
    Approve {
        /// Draft ids, or the beginnings of some; each is approved on its own
        #[arg(required = true)]
        drafts: Vec<String>,
        /// The hash that you saw: if the spec, a schema or a policy has changed, nothing is approved
        #[arg(long, value_name = "HASH")]
        hash: Option<String>,
        /// Approve what the drafts say now, without a prompt
        #[arg(long, short, conflicts_with = "hash")]
        yes: bool,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Discard a draft or a question
    #[command(
        after_help = "Examples:\n  headwater drafts discard 0199c2c0-7d1e\n  headwater drafts discard 0199c2c0-7d1e --json"
    )]
    Discard {
        /// Draft id, or the beginning of one
        draft: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn drafts(context: &Context, command: DraftsCommand) -> Result<ExitCode> {
    let (operations, actor) = (&context.operations, &context.actor);
    match command {
        DraftsCommand::List { limit, state, json } => {
            let states = state.iter().map(|state| parse_state(state)).collect::<Result<_>>()?;
            let report = operations.drafts(actor, &DraftFilter { states, limit: Some(limit) }).await?;
            if json { output::json(&report)? } else { list(&report.drafts) }
        }
        DraftsCommand::Show { draft, json } => {
            let report = operations.draft(actor, operations.find_draft(actor, &draft).await?).await?;
            if json { output::json(&report)? } else { show(&report) }
        }
        DraftsCommand::Answer { draft, choice, output, json } => {
            let question = operations.find_draft(actor, &draft).await?;
            let answered = context.assistant().await?.answer(actor, question, &choice).await?;
            return finish(&answered, output.as_deref(), json);
        }
        DraftsCommand::Approve { drafts, hash, yes, json } => {
            return approve(context, &drafts, &Consent { hash, yes, json }).await;
        }
        DraftsCommand::Discard { draft, json } => {
            let report = operations.discard_draft(actor, operations.find_draft(actor, &draft).await?).await?;
            if json { output::json(&report)? } else { output::line(&format!("draft {} is discarded", report.draft_id)) }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_state(text: &str) -> Result<DraftState> {
    text.parse()
        .map_err(|_| hinted(format!("'{text}' is not a state of a draft"), "question, open, approved or discarded"))
}

/// How a person consents.
struct Consent {
    hash: Option<String>,
    yes: bool,
    json: bool,
}

/// Approves drafts one by one, and reports each.
async fn approve(context: &Context, drafts: &[String], consent: &Consent) -> Result<ExitCode> {
    if consent.hash.is_some() && drafts.len() > 1 {
        return Err(hinted("--hash is the hash of one draft", "approve the drafts one by one, or all with --yes"));
    }
    let mut approvals = Vec::with_capacity(drafts.len());
    let mut code = ExitCode::SUCCESS;
    for draft in drafts {
        match approve_one(context, draft, consent).await {
            Ok(approved) => {
                if !consent.json {
                    show_approved(&approved);
                }
                approvals.push(ApprovalReport::Approved(approved));
            }
            Err(error) => {
                code = report(&error);
                approvals.push(refused(draft, &error));
            }
        }
    }
    if consent.json {
        output::json(&ApprovalsReport { approvals })?;
    }
    Ok(code)
}

async fn approve_one(context: &Context, draft: &str, consent: &Consent) -> Result<ApprovedDraft> {
    let (operations, actor) = (&context.operations, &context.actor);
    let id = operations.find_draft(actor, draft).await?;
    if let Some(hash) = &consent.hash {
        return Ok(operations.approve_draft(actor, id, hash).await?);
    }
    let seen = operations.draft(actor, id).await?;
    let is_open = seen.draft.state == DraftState::Open;
    if is_open && !consent.yes {
        if consent.json || !std::io::stdin().is_terminal() {
            return Err(hinted(
                format!("draft {id} is approved by the hash that you saw, or with --yes"),
                format!("headwater drafts show {id}, then headwater drafts approve {id} --hash HASH"),
            ));
        }
        show(&seen);
        if !confirm(&format!("approve draft {id}?"))? {
            return Err(anyhow!("draft {id} was not approved"));
        }
    }
    Ok(operations.approve_draft(actor, id, &seen.hash.unwrap_or_default()).await?)
}

fn refused(draft: &str, error: &anyhow::Error) -> ApprovalReport {
    let hint = error.chain().find_map(|cause| cause.downcast_ref::<OperationError>()?.hint.clone());
    ApprovalReport::Refused { draft: draft.to_owned(), message: error.to_string(), hint }
}

fn show_approved(approved: &ApprovedDraft) {
    let ApprovedDraft { draft_id, pipeline, version, already, schedule_in_words, .. } = approved;
    let when = schedule_in_words.as_deref().unwrap_or("no schedule");
    let was = if *already { "was approved before" } else { "is approved" };
    output::line(&format!("draft {draft_id} {was}: pipeline {pipeline}, version {version} ({when})"));
}

fn list(drafts: &[DraftSummary]) {
    let rows = drafts.iter().map(|draft| {
        let version = draft.version.map(|version| format!(" v{version}")).unwrap_or_default();
        let pipeline = draft.pipeline.as_ref().map(|name| format!("{name}{version}")).unwrap_or_default();
        let mut prompt: String = draft.prompt.chars().take(PROMPT).collect();
        if prompt.len() < draft.prompt.len() {
            prompt.push('…');
        }
        [draft.draft_id.to_string(), draft.state.to_string(), pipeline, output::time(Some(draft.created_at)), prompt]
    });
    output::table(&["draft", "state", "pipeline", "made", "sentence"], rows);
}

fn show(report: &StoredDraft) {
    let StoredDraft { draft, notes, .. } = report;
    if let Some(text) = &report.text {
        output::document(draft_file(draft.draft_id, text).trim_end());
    }
    report.problems.iter().for_each(|problems| show_problems(std::slice::from_ref(problems)));
    let version = draft.version.map(|version| format!(" as version {version}")).unwrap_or_default();
    output::error_line(&format!("draft {} is {}{version}", draft.draft_id, in_words(draft.state)));
    output::error_line(&format!("sentence: {}", output::shown(&draft.prompt)));
    show_gaps(&notes.not_understood, &notes.unmet);
    show_requirements(&notes.requirements, &notes.assumptions);
    if let Some(question) = notes.question.as_ref().filter(|_| draft.state == DraftState::Question) {
        show_question(question);
        output::error_line(&format!("answer with `headwater drafts answer {} NUMBER`", draft.draft_id));
    }
    let words = report.plan.as_ref().and_then(|plan| plan.schedule_in_words.as_ref());
    words.iter().for_each(|words| output::error_line(&format!("schedule: {words}")));
    show_fires(&report.next_fires);
    let differences = report.plan.as_ref().and_then(|plan| plan.diff.as_deref()).unwrap_or_default();
    if !differences.is_empty() {
        output::error_line("differences from the approved version:");
        plan::differences(differences)
            .iter()
            .for_each(|change| output::error_line(&format!("  {}", output::shown(change))));
    }
    report.not_planned.iter().for_each(|reason| output::error_line(&format!("not planned: {}", output::shown(reason))));
    for change in &report.changes {
        output::error_line(&format!("changed since it was made: {}", output::shown(&change.in_words())));
    }
    if let Some(hash) = &report.hash {
        output::error_line(&format!("hash: {hash}"));
        if draft.state == DraftState::Open {
            output::error_line(&format!("approve it with: headwater drafts approve {} --hash {hash}", draft.draft_id));
        }
    }
}

fn in_words(state: DraftState) -> &'static str {
    match state {
        DraftState::Question => "a question",
        DraftState::Open => "open",
        DraftState::Approved => "approved",
        DraftState::Discarded => "discarded",
    }
}
