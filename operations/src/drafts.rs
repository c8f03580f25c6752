//! Drafts: what a sentence became is stored, and runs only once a person has approved exactly what they saw.

mod basis;
mod origin;
mod report;

use std::collections::BTreeMap;

use headwater_engine::settings::references;
use headwater_pipelines::diagnostic::{Code, Severity};
use headwater_pipelines::document::Document;
use headwater_pipelines::schedule::in_words;
use headwater_pipelines::secrets::SaidSecrets;
use headwater_pipelines::spec::Spec;
use headwater_store::state::DraftState;
use headwater_store::{ApproveDraft, DraftRow, DraftSpec, NewDraft, StoreErrorKind, Suggest, Workspace};
use serde_json::Value;
use uuid::Uuid;

use crate::catalog::hex;
use crate::specs::document;
use crate::{Action, Actor, OperationError, Operations, Problems, Proposal, Result, SpecFile};

use basis::Basis;

pub use basis::DraftChange;
pub use headwater_store::{DraftFilter, Making};
pub(crate) use origin::body;
pub use origin::{body as draft_body, draft_file};
pub use report::{
    ApprovalReport, ApprovalsReport, ApprovedDraft, Choice, DiscardedDraft, DraftNotes, DraftSummary, DraftsReport,
    Editing, MadeOn, MakingReport, Question, Reading, Requirement, SaveDraft, SavedDraft, SavedSpec, StoredDraft,
};

impl Operations {
    /// Drafts, newest first.
    pub async fn drafts(&self, actor: &Actor, filter: &DraftFilter) -> Result<DraftsReport> {
        let rows = self.permit(actor, Action::ReadDrafts)?.drafts(filter).await?;
        Ok(DraftsReport { drafts: rows.iter().map(Into::into).collect() })
    }

    /// The draft whose id begins like this.
    pub async fn find_draft(&self, actor: &Actor, beginning: &str) -> Result<Uuid> {
        Ok(self.permit(actor, Action::ReadDrafts)?.find_draft(beginning).await?)
    }

    /// Everything about one draft. An open one is planned on the stored catalogs; no system is reached.
    pub async fn draft(&self, actor: &Actor, id: Uuid) -> Result<StoredDraft> {
        let row = self.permit(actor, Action::ReadDrafts)?.draft(id).await?;
        let open = match (&row.spec, row.state) {
            (Some(spec), DraftState::Open) => Some((file_of(spec), read_basis(spec)?)),
            _ => None,
        };
        let mut report = StoredDraft::of(row)?;
        let Some((file, made_on)) = open else { return Ok(report) };
        let document = document::read(file);
        report.next_fires = self.next_fires(&document).await?;
        match self.check_on_catalogs(document).await {
            Ok(checked) => {
                let basis = self.basis(&checked.document, &checked.planned).await?;
                report.hash = Some(basis.hash_text()?);
                report.changes = made_on.changes_to(&basis);
                let planned = self.planned(checked).await?;
                report.plan = Some(planned.report);
                report.valid = Some(planned.valid);
                report.problems = Some(planned.problems);
            }
            Err(error) => report.not_planned = Some(error.message),
        }
        Ok(report)
    }

    /// Stores a draft, planned on the stored catalogs, or a question. Nothing runs, and no secret is kept.
    pub async fn save_draft(&self, actor: &Actor, save: SaveDraft) -> Result<SavedDraft> {
        let workspace = self.permit(actor, Action::ChangeDrafts)?;
        let said = SaidSecrets::of(&save.prompt);
        let notes = save.notes.masked(&said)?;
        let mut new = NewDraft {
            prompt: said.mask(&save.prompt),
            base: save.base,
            answers: save.answers,
            spec: None,
            document: serde_json::to_value(&notes)?,
            snapshots: Value::Object(serde_json::Map::new()),
            making: save.making,
        };
        let mut saved = None;
        if let Some(text) = save.text {
            let document = acceptable(&said, text)?;
            let text = document.stored_text().to_owned();
            let pipeline = document.spec.as_ref().map(|spec| spec.name.clone()).unwrap_or_default();
            let next_fires = self.next_fires(&document).await?;
            let checked = self.check_on_catalogs(document).await?;
            let basis = self.basis(&checked.document, &checked.planned).await?;
            let snapshots: BTreeMap<&String, MadeOn> =
                checked.catalogs.iter().map(|(name, snapshot)| (name, snapshot.into())).collect();
            new.snapshots = serde_json::to_value(snapshots)?;
            let based_on = current_number(&workspace, &pipeline).await?;
            let (hash, stored) = (basis.hash()?, serde_json::to_value(&basis)?);
            new.spec = Some(DraftSpec { pipeline, text: text.clone(), basis: stored, hash, based_on });
            saved = Some(SavedSpec { text, hash: hex(&hash), planned: self.planned(checked).await?, next_fires });
        }
        let draft_id = workspace.insert_draft(&new).await?;
        Ok(SavedDraft { draft_id, notes, spec: saved })
    }

    /// Approves a draft: its spec becomes the approved version of its pipeline. `hash` is that of what the person saw: if the spec, a schema that it reads
    /// or the policy of a connection is another one by now, nothing is approved. One that was approved before stays what it became.
    pub async fn approve_draft(&self, actor: &Actor, id: Uuid, hash: &str) -> Result<ApprovedDraft> {
        let workspace = self.permit(actor, Action::ApplySpecs)?;
        let row = workspace.draft(id).await?;
        let Some(spec) = &row.spec else {
            return Err(OperationError::invalid(format!("draft {id} is a question: answer it first"))
                .suggest(Suggest::ShowDraft { draft: id }));
        };
        if row.state == DraftState::Discarded {
            return Err(OperationError::invalid(format!("draft {id} is discarded")).suggest(Suggest::ListDrafts));
        }
        let document = document::read(file_of(spec));
        let basis = match approved_before(&row, hash)? {
            Some(version) => return Ok(approved(&row, &document, (hash, version), true)),
            None => self.basis_now(&document).await?,
        };
        // Looked at again: an approval in the meantime has changed what the draft would replace.
        let row = workspace.draft(id).await?;
        if let Some(version) = approved_before(&row, hash)? {
            return Ok(approved(&row, &document, (hash, version), true));
        }
        must_be_seen(&row, spec, &basis, hash)?;
        let proposal = self.propose(actor, vec![file_of(spec)]).await?;
        let version = self.approve_in_store(&workspace, id, &basis, &proposal).await?;
        Ok(approved(&row, &document, (hash, version), false))
    }

    async fn approve_in_store(
        &self,
        workspace: &Workspace,
        id: Uuid,
        basis: &Basis,
        proposal: &Proposal,
    ) -> Result<i32> {
        let checked = proposal.specs.first().ok_or_else(|| OperationError::bug("a draft was proposed as nothing"))?;
        let schedule = checked.document.spec.as_ref().and_then(|spec| spec.schedule.as_ref());
        let (stored, hash) = (serde_json::to_value(basis)?, basis.hash()?);
        let version = checked.version()?;
        // A version of the same text is replaced by nothing that a person would have to see.
        let replaces = match basis.replaces() {
            None if self.is_current(&version.plan.pipeline, version.spec_text).await? => {
                current_number(workspace, &version.plan.pipeline).await?
            }
            number => number,
        };
        let approve = ApproveDraft { basis: &stored, hash: &hash, version, schedule, replaces };
        Ok(workspace.approve_draft(id, &approve).await?.number)
    }

    /// Discards a draft or a question.
    pub async fn discard_draft(&self, actor: &Actor, id: Uuid) -> Result<DiscardedDraft> {
        self.permit(actor, Action::ChangeDrafts)?.discard_draft(id).await?;
        Ok(DiscardedDraft { draft_id: id, state: DraftState::Discarded })
    }

    /// Proposes one file as [`Operations::propose`] does, if it and what it depends on have this hash: that of a draft, or one that was printed before.
    pub async fn propose_approved(&self, actor: &Actor, file: SpecFile, hash: &str) -> Result<Proposal> {
        self.permit(actor, Action::ApplySpecs)?;
        let document = document::read(file.clone());
        if document.connections().next().is_some() {
            return Err(OperationError::invalid(format!(
                "{} brings connections: a hash is over stored connections alone",
                file.name
            ))
            .hint("apply the connections on their own first, and take them out of the spec")
            .suggest(Suggest::AddConnection { name: None }));
        }
        let basis = self.basis_now(&document).await?;
        let now = basis.hash_text()?;
        if now == hash || self.was_approved_as(&document, &basis, hash).await? {
            return self.propose(actor, vec![file]).await;
        }
        let made = self.unedited_draft(&document).await?.and_then(|row| row.spec);
        let changes = match made {
            Some(spec) if hex(&spec.hash) == hash => listed(&read_basis(&spec)?.changes_to(&basis)),
            _ => "its text, a schema that it reads, or the policy of a connection is another one".to_owned(),
        };
        Err(OperationError::invalid(format!("{} is not what was approved: {changes}", file.name))
            .hint(format!("look at it again; its hash is now {now}")))
    }
}

impl Operations {
    /// Whether a document is the approved version already, and was approved under this hash: what it replaced then is no longer there to be replaced.
    async fn was_approved_as(&self, document: &Document, basis: &Basis, hash: &str) -> Result<bool> {
        let Some(spec) = &document.spec else { return Ok(false) };
        if !self.is_current(&spec.name, &origin::body(document.stored_text())).await? {
            return Ok(false);
        }
        let current = current_number(&self.workspace, &spec.name).await?.unwrap_or_default();
        basis.was_approved_as(hash, current)
    }
}

/// The spec of a draft as a file.
fn file_of(spec: &DraftSpec) -> SpecFile {
    SpecFile { name: format!("{}.yaml", spec.pipeline), bytes: spec.text.clone().into_bytes() }
}

/// The version that a draft became before; an error if it was approved under another hash.
fn approved_before(row: &DraftRow, hash: &str) -> Result<Option<i32>> {
    let (Some(approval), Some(spec)) = (&row.approval, &row.spec) else { return Ok(None) };
    if hex(&spec.hash) == hash {
        return Ok(Some(approval.version));
    }
    Err(OperationError::invalid(format!("draft {} is approved, under another hash", row.id))
        .suggest(Suggest::ShowDraft { draft: row.id }))
}

fn approved(row: &DraftRow, document: &Document, (hash, version): (&str, i32), already: bool) -> ApprovedDraft {
    let schedule = document.spec.as_ref().and_then(|spec| spec.schedule.as_ref());
    ApprovedDraft {
        draft_id: row.id,
        pipeline: row.spec.as_ref().map(|spec| spec.pipeline.clone()).unwrap_or_default(),
        version,
        hash: hash.to_owned(),
        already,
        schedule_in_words: schedule.map(in_words),
    }
}

fn read_basis(spec: &DraftSpec) -> Result<Basis> {
    Ok(serde_json::from_value(spec.basis.clone())?)
}

fn listed(changes: &[DraftChange]) -> String {
    changes.iter().map(DraftChange::in_words).collect::<Vec<_>>().join("; ")
}

/// Refuses an approval of what the person has not seen.
fn must_be_seen(row: &DraftRow, spec: &DraftSpec, basis: &Basis, hash: &str) -> Result<()> {
    let now = basis.hash_text()?;
    if now == hash {
        return Ok(());
    }
    let changes = read_basis(spec)?.changes_to(basis);
    let message = match changes.as_slice() {
        [] => format!("draft {} has another hash", row.id),
        changes => format!("draft {} is not what it was any more: {}", row.id, listed(changes)),
    };
    Err(OperationError::invalid(message)
        .hint(format!("look at it again before you approve it; its hash is now {now}"))
        .suggest(Suggest::ShowDraft { draft: row.id }))
}

/// Reads the text of a draft without secrets. What a draft may not carry, or would not mean the same without its secrets, is refused.
fn acceptable(said: &SaidSecrets, text: String) -> Result<Document> {
    if let Some(variable) = references(&Value::String(text.clone())).into_iter().next() {
        return Err(OperationError::invalid(format!("a draft may not name a variable of the environment: {variable}"))
            .hint("store a connection that resolves it, and use the connection's name"));
    }
    let plain = Document::read("draft.yaml", text.clone());
    let name = plain.spec.as_ref().map_or("draft", |spec| &spec.name);
    let document = Document::read(format!("{name}.yaml"), said.mask(&text));
    if document.connections().next().is_some() {
        return Err(OperationError::invalid("a draft may not bring connections: it uses stored ones alone")
            .suggest(Suggest::AddConnection { name: None }));
    }
    let meaning = |document: &Document| document.stored_spec().map(|spec| Spec { description: None, ..spec });
    let is_secret = |found: &headwater_pipelines::diagnostic::Diagnostic| {
        found.code == Code::LiteralSecret && found.severity == Severity::Error
    };
    if meaning(&document) != meaning(&plain) || document.diagnostics.iter().any(is_secret) {
        return Err(OperationError::invalid("the sentence holds a secret, and the draft would need it")
            .hint("say it without the secret: connections keep secrets, encrypted"));
    }
    if document.spec.is_none() {
        return Err(OperationError::problems(vec![Problems {
            source: document.source,
            diagnostics: document.diagnostics,
        }]));
    }
    Ok(document)
}

/// Number of a pipeline's approved version.
async fn current_number(workspace: &Workspace, pipeline: &str) -> Result<Option<i32>> {
    match workspace.current_version(pipeline).await {
        Ok(version) => Ok(Some(version.number)),
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
