//! What a person can ask of the assistant.

mod answers;
mod drafts;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use headwater_operations::{Actor, Editing, OperationError, Operations, Reading};
use headwater_pipelines::secrets::SaidSecrets;

use crate::gateway::{Checked, Gateway, Progress, Scope};
use crate::model::{self, ModelError};
use crate::retrieval::{Budget, Retrieval};
use crate::seen::Seen;

pub use answers::{AnswerReport, AskReport, StatementReport, Turn};
pub use drafts::{CompileReport, DraftReport, QuestionReport};

/// The assistant on the operations of a workspace. It makes drafts and statements; it applies and runs nothing.
#[derive(Clone)]
pub struct Assistant {
    operations: Operations,
    /// Models; without one, sentences are read by the offline grammar.
    gateway: Option<Arc<Gateway>>,
    watcher: Arc<dyn Watcher>,
}

/// Sees what models do while somebody waits for them.
pub trait Watcher: Send + Sync {
    /// Something happened.
    fn saw(&self, progress: Progress<'_>);
    /// Nothing more happens for now.
    fn done(&self);
}

/// Sees nothing.
struct Nobody;

impl Watcher for Nobody {
    fn saw(&self, _: Progress<'_>) {}

    fn done(&self) {}
}

impl std::fmt::Debug for Assistant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assistant").field("has_models", &self.gateway.is_some()).finish_non_exhaustive()
    }
}

/// What a sentence or a question is read with.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The sentence or question.
    pub text: String,
    /// The connections that it is about; empty for all.
    pub on: Vec<String>,
    /// The zone that days are of. Without one it is that of the question before, or else UTC.
    pub zone: Option<Tz>,
    /// The moment of asking.
    pub now: DateTime<Utc>,
    /// The model that reads it; the assistant's if absent. Without any, the offline grammar does.
    pub model: Option<String>,
    /// Whether the offline grammar reads it whatever models there are.
    pub offline: bool,
    /// The spec that the sentence changes; without one it makes a new one.
    pub edit: Option<Editing>,
}

impl Assistant {
    /// On these operations.
    pub fn new(operations: Operations) -> Self {
        Self { operations, gateway: None, watcher: Arc::new(Nobody) }
    }

    /// With models, which read sentences from now on.
    #[must_use]
    pub fn with_models(self, gateway: Arc<Gateway>, watcher: Arc<dyn Watcher>) -> Self {
        Self { gateway: Some(gateway), watcher, ..self }
    }

    /// Asks a model for next to nothing, to see whether it answers.
    pub async fn check_model(&self, actor: &Actor, name: &str) -> Result<Checked, OperationError> {
        let Some(gateway) = &self.gateway else {
            return Err(OperationError::invalid(format!("there is no model '{name}'")));
        };
        let scope = Scope {
            workspace: self.operations.workspace_id().to_string(),
            person: actor.name.clone(),
            grants: String::new(),
            feature: "check".to_owned(),
            prompt_version: String::new(),
            snapshot: String::new(),
            policy: String::new(),
        };
        Ok(gateway.check(name, scope).await.map_err(ModelError::from)?)
    }

    /// The tables whose columns a model would be shown, by connection and path.
    pub async fn retrieved(
        &self,
        actor: &Actor,
        asked: &Asked,
    ) -> Result<BTreeSet<(String, Vec<String>)>, OperationError> {
        let seen = Seen::of(&self.operations, actor, &asked.on).await?;
        let found = Retrieval::of(&asked.text, &seen.known, &seen.hints, Budget::default());
        let tables = found.shown.iter().filter_map(|found| seen.known.table(found.table));
        Ok(tables.map(|table| (table.connection.clone(), table.table.path.clone())).collect())
    }

    /// The models, if one of them is to read this.
    fn models(&self, asked: &Asked) -> Result<Option<&Arc<Gateway>>, OperationError> {
        match (&self.gateway, &asked.model) {
            (_, Some(name)) if asked.offline => {
                Err(OperationError::invalid(format!("the offline grammar needs no model, and '{name}' was named")))
            }
            (Some(gateway), model) if !asked.offline && (model.is_some() || gateway.has_default()) => Ok(Some(gateway)),
            (None, Some(name)) => Err(OperationError::invalid(format!("there is no model '{name}'"))
                .hint(format!("add [models.{name}] to headwater.toml (docs/models.md)"))),
            _ => Ok(None),
        }
    }

    fn opening<'a>(
        &'a self,
        gateway: &'a Arc<Gateway>,
        actor: &Actor,
        asked: &Asked,
        seen: &Seen,
        (feature, policy): (&str, &str),
    ) -> model::Opening<'a> {
        let scope = Scope {
            workspace: self.operations.workspace_id().to_string(),
            person: actor.name.clone(),
            grants: format!("{:?}", actor.role),
            feature: feature.to_owned(),
            prompt_version: String::new(),
            snapshot: seen.fingerprint(),
            policy: policy.to_owned(),
        };
        model::Opening { gateway, scope, model: asked.model.clone(), watcher: self.watcher.as_ref() }
    }
}

impl Asked {
    /// The zone that days are of.
    pub(crate) fn zone(&self) -> Tz {
        self.zone.unwrap_or(Tz::UTC)
    }

    /// As a model may see it: without the secrets that the words write out. Answers also what stands in their places.
    fn without_secrets(&self) -> (Self, Covers) {
        let text = SaidSecrets::of(&self.text).mask(&self.text);
        let mut covers: Vec<String> = Vec::new();
        let mut is_covered = false;
        for (own, shown) in self.text.chars().zip(text.chars()) {
            // A sign of the secret may be the one that covers it.
            let goes_on = is_covered && covers.last().is_some_and(|cover| cover.ends_with(shown));
            match (own != shown || goes_on, is_covered, covers.last_mut()) {
                (true, true, Some(cover)) => cover.push(shown),
                (true, ..) => covers.push(shown.to_string()),
                (false, ..) => {}
            }
            is_covered = own != shown || goes_on;
        }
        (Self { text, ..self.clone() }, Covers(covers))
    }

    fn reading(&self) -> Reading {
        let edit = self.edit.clone();
        Reading { edit, on: self.on.clone(), timezone: self.zone().name().to_owned(), at: self.now }
    }
}

/// What stands in the places of secrets.
struct Covers(Vec<String>);

impl Covers {
    /// Refuses what would mean something else with the secret.
    fn must_not_be_in(&self, made: &str) -> Result<(), OperationError> {
        match self.0.iter().any(|cover| made.contains(cover.as_str())) {
            true => Err(OperationError::invalid("the words hold a secret, and what they ask for would need it")
                .hint("say it without the secret: connections keep secrets, encrypted")),
            false => Ok(()),
        }
    }
}
