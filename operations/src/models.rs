//! Models: what they were used for, the keys of their providers, and the accounts that a gateway keeps.

use chrono::{DateTime, NaiveDate, Utc};
use headwater_store::{BudgetLimits, Leased, ModelCall, ModelKeyRow, ModelUsage};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::{Action, Actor, OperationError, Operations, Result};

/// The document of `models usage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UsageReport {
    /// Calls since then.
    pub since: DateTime<Utc>,
    /// By day, person and model, the newest day first.
    pub usage: Vec<ModelUsage>,
}

/// The document of `models keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelKeysReport {
    /// Stored keys by the models that they are of; the keys themselves are shown to nobody.
    pub keys: Vec<ModelKeyRow>,
}

impl Operations {
    /// The workspace's id: what belongs to one workspace is never given to another.
    pub fn workspace_id(&self) -> Uuid {
        self.workspace.id()
    }

    /// What was used of models since a time.
    pub async fn model_usage(&self, actor: &Actor, since: DateTime<Utc>) -> Result<UsageReport> {
        let usage = self.permit(actor, Action::ReadModels)?.model_usage(since).await?;
        Ok(UsageReport { since, usage })
    }

    /// The stored keys.
    pub async fn model_keys(&self, actor: &Actor) -> Result<ModelKeysReport> {
        Ok(ModelKeysReport { keys: self.permit(actor, Action::ReadModels)?.model_keys().await? })
    }

    /// Stores the key of a model's provider, sealed, or replaces it.
    pub async fn set_model_key(&self, actor: &Actor, model: &str, key: &str) -> Result<()> {
        let workspace = self.permit(actor, Action::ChangeModels)?;
        let is_key = !key.is_empty() && key.len() <= 4_096 && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key {
            return Err(OperationError::invalid("a key has 1 to 4096 printable characters and no space"));
        }
        Ok(workspace.seal_model_key(&self.key, model, key).await?)
    }

    /// Removes the stored key of a model's provider.
    pub async fn remove_model_key(&self, actor: &Actor, model: &str) -> Result<()> {
        Ok(self.permit(actor, Action::ChangeModels)?.remove_model_key(model).await?)
    }

    /// The stored key of a model's provider, for the gateway of this process. It goes into the header of a request and nowhere else.
    pub async fn stored_model_key(&self, model: &str) -> Result<Option<String>> {
        let is_stored = self.workspace.model_keys().await?.iter().any(|row| row.name == model);
        match is_stored {
            true => Ok(Some(self.workspace.model_key(&self.key, model).await?)),
            false => Ok(None),
        }
    }

    /// Takes a part of the day's budgets for the gateway of this process.
    pub async fn lease_model_budget(
        &self,
        person: &str,
        day: NaiveDate,
        nanos: i64,
        limits: BudgetLimits,
    ) -> Result<Leased> {
        Ok(self.workspace.lease_budget(person, day, nanos, limits).await?)
    }

    /// Gives back what the gateway did not spend.
    pub async fn give_back_model_budget(&self, person: &str, day: NaiveDate, nanos: i64) -> Result<()> {
        Ok(self.workspace.give_back_budget(person, day, nanos).await?)
    }

    /// Records calls of the gateway.
    pub async fn record_model_calls(&self, calls: Vec<ModelCall>) -> Result<()> {
        Ok(self.workspace.record_model_calls(calls).await?)
    }
}
