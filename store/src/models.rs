//! Models: their calls, what a person may spend in a day, and the keys of their providers.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::deadline::Tx;
use crate::{MasterKey, Result, StoreError, Workspace};

/// A call of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCall {
    /// Unique: a call that is recorded again is recorded once.
    pub id: Uuid,
    /// When it began.
    pub at: DateTime<Utc>,
    /// For whom.
    pub person: String,
    /// The feature that called, e.g. `compile`.
    pub why: String,
    /// The model by the name that the configuration gives it.
    pub model: String,
    /// The provider's own name, if one was reached.
    pub provider_model: Option<String>,
    /// Hash of the prompts.
    pub prompt_version: Option<String>,
    /// Tokens of the request; absent if the provider did not say, as below.
    pub input_tokens: Option<i64>,
    /// Those of them that the provider had cached.
    pub cached_tokens: Option<i64>,
    /// Tokens of the answer.
    pub output_tokens: Option<i64>,
    /// Those of them that were thoughts.
    pub reasoning_tokens: Option<i64>,
    /// Cost in billionths of a dollar; absent if the price is unknown.
    pub cost_nanos: Option<i64>,
    /// Time to the end of the answer, in milliseconds.
    pub latency_ms: i64,
    /// Time to its first token, in milliseconds.
    pub first_token_ms: Option<i64>,
    /// Whether a cache answered, and which.
    pub cache: String,
    /// How it ended.
    pub outcome: String,
    /// SHA-256 of the request.
    pub request_hash: [u8; 32],
    /// SHA-256 of the answer, if there was one.
    pub answer_hash: Option<[u8; 32]>,
    /// The request, if the workspace keeps texts; without secrets.
    pub request_text: Option<String>,
    /// The answer, if the workspace keeps texts.
    pub answer_text: Option<String>,
}

/// What a person used of a model on a day (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelUsage {
    /// The day.
    pub day: NaiveDate,
    /// The person.
    pub person: String,
    /// The model.
    pub model: String,
    /// Calls.
    pub calls: i64,
    /// Tokens of requests, as far as they are known.
    pub input_tokens: i64,
    /// Those of them that the provider had cached.
    pub cached_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// Those of them that were thoughts.
    pub reasoning_tokens: i64,
    /// Known costs in billionths of a dollar.
    pub cost_nanos: i64,
    /// Calls whose cost is unknown.
    pub unpriced_calls: i64,
}

/// Stands for everybody in a workspace together among the holders of budgets.
const EVERYBODY: &str = "";

/// What may be taken of a day's budgets in all, in billionths of a dollar; `None` for any amount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BudgetLimits {
    /// By everybody together.
    pub workspace: Option<i64>,
    /// By the person.
    pub person: Option<i64>,
}

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetHolder {
    /// Everybody's together.
    Workspace,
    /// The person's.
    Person,
}

/// What was taken of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leased {
    /// In billionths of a dollar.
    pub nanos: i64,
    /// The budget that is at its end, if less was taken than was asked for.
    pub exhausted: Option<BudgetHolder>,
}

/// A key of a provider, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelKeyRow {
    /// Its name.
    pub name: String,
    /// Who stored it.
    pub changed_by: Option<String>,
    /// When.
    pub changed_at: DateTime<Utc>,
}

impl Workspace {
    /// Records calls, in one statement.
    pub async fn record_model_calls(&self, calls: Vec<ModelCall>) -> Result<()> {
        if calls.is_empty() {
            return Ok(());
        }
        let mut rows = Columns::default();
        calls.into_iter().for_each(|call| rows.push(call));
        sqlx::query!(
            "INSERT INTO model_calls (workspace_id, id, at, person, why, model, provider_model, prompt_version, input_tokens, cached_tokens,
                                      output_tokens, reasoning_tokens, cost_nanos, latency_ms, first_token_ms, cache, outcome,
                                      request_hash, answer_hash, request_text, answer_text)
             SELECT $1::uuid, * FROM unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
                                      $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::text[],
                                      $18::bytea[], $19::bytea[], $20::text[], $21::text[])
             ON CONFLICT DO NOTHING",
            self.id(),
            &rows.id,
            &rows.at,
            &rows.person,
            &rows.why,
            &rows.model,
            &rows.provider_model as &[Option<String>],
            &rows.prompt_version as &[Option<String>],
            &rows.input_tokens as &[Option<i64>],
            &rows.cached_tokens as &[Option<i64>],
            &rows.output_tokens as &[Option<i64>],
            &rows.reasoning_tokens as &[Option<i64>],
            &rows.cost_nanos as &[Option<i64>],
            &rows.latency_ms,
            &rows.first_token_ms as &[Option<i64>],
            &rows.cache,
            &rows.outcome,
            &rows.request_hash,
            &rows.answer_hash as &[Option<Vec<u8>>],
            &rows.request_text as &[Option<String>],
            &rows.answer_text as &[Option<String>]
        )
        .execute(self.store().relaxed())
        .await?;
        Ok(())
    }

    /// What was used since a time, by day, person and model.
    pub async fn model_usage(&self, since: DateTime<Utc>) -> Result<Vec<ModelUsage>> {
        Ok(sqlx::query_as!(
            ModelUsage,
            r#"SELECT (at AT TIME ZONE 'UTC')::date AS "day!", person, model, count(*) AS "calls!",
                      COALESCE(sum(input_tokens), 0)::bigint AS "input_tokens!", COALESCE(sum(cached_tokens), 0)::bigint AS "cached_tokens!",
                      COALESCE(sum(output_tokens), 0)::bigint AS "output_tokens!",
                      COALESCE(sum(reasoning_tokens), 0)::bigint AS "reasoning_tokens!",
                      COALESCE(sum(cost_nanos), 0)::bigint AS "cost_nanos!",
                      count(*) FILTER (WHERE cost_nanos IS NULL) AS "unpriced_calls!"
               FROM model_calls WHERE workspace_id = $1 AND at >= $2
               GROUP BY 1, person, model ORDER BY 1 DESC, person, model"#,
            self.id(),
            since
        )
        .fetch_all(self.reads())
        .await?)
    }

    /// Takes a part of the day's budgets of a person and of everybody together, at most what is left of each limit.
    pub async fn lease_budget(&self, person: &str, day: NaiveDate, nanos: i64, limits: BudgetLimits) -> Result<Leased> {
        let mut tx = self.durable().begin().await?;
        let mut leased = Leased { nanos: nanos.max(0), exhausted: None };
        // Everybody's row is locked first by all.
        let holders =
            [(EVERYBODY, limits.workspace, BudgetHolder::Workspace), (person, limits.person, BudgetHolder::Person)];
        for (holder, limit, which) in &holders {
            let taken = self.lock_budget(&mut tx, holder, day).await?;
            let left = limit.map_or(i64::MAX, |limit| limit.saturating_sub(taken).max(0));
            if left < leased.nanos {
                leased = Leased { nanos: left, exhausted: Some(*which) };
            }
        }
        for (holder, ..) in &holders {
            self.add_to_budget(&mut tx, holder, day, leased.nanos).await?;
        }
        tx.commit().await?;
        Ok(leased)
    }

    /// Gives back what was taken of the budgets and not spent.
    pub async fn give_back_budget(&self, person: &str, day: NaiveDate, nanos: i64) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        for holder in [EVERYBODY, person] {
            self.lock_budget(&mut tx, holder, day).await?;
        }
        for holder in [EVERYBODY, person] {
            self.add_to_budget(&mut tx, holder, day, nanos.max(0).saturating_neg()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// What was taken of a budget, whose row is locked.
    async fn lock_budget(&self, tx: &mut Tx, holder: &str, day: NaiveDate) -> Result<i64> {
        sqlx::query!(
            "INSERT INTO model_budgets (workspace_id, person, day, leased_nanos) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING",
            self.id(),
            holder,
            day
        )
        .execute(&mut **tx)
        .await?;
        let leased = sqlx::query_scalar!(
            "SELECT leased_nanos FROM model_budgets WHERE workspace_id = $1 AND person = $2 AND day = $3 FOR UPDATE",
            self.id(),
            holder,
            day
        )
        .fetch_one(&mut **tx)
        .await?;
        Ok(leased)
    }

    async fn add_to_budget(&self, tx: &mut Tx, holder: &str, day: NaiveDate, nanos: i64) -> Result<()> {
        sqlx::query!(
            "UPDATE model_budgets SET leased_nanos = GREATEST(leased_nanos + $4, 0) WHERE workspace_id = $1 AND person = $2 AND day = $3",
            self.id(),
            holder,
            day,
            nanos
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Stores a provider's key, or replaces the one of that name.
    pub async fn seal_model_key(&self, key: &MasterKey, name: &str, secret: &str) -> Result<()> {
        let sealed = key.seal(&self.bound_to_model(name), secret.as_bytes())?;
        let mut tx = self.durable().begin().await?;
        sqlx::query!(
            "INSERT INTO model_keys (workspace_id, name, sealed, changed_by) VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id, name) DO UPDATE
             SET sealed = EXCLUDED.sealed, changed_by = EXCLUDED.changed_by, changed_at = clock_timestamp()",
            self.id(),
            name,
            sealed,
            self.actor()
        )
        .execute(&mut *tx)
        .await?;
        self.record(&mut tx, "models.key", name, &()).await?;
        Ok(tx.commit().await?)
    }

    /// A provider's key.
    pub async fn model_key(&self, key: &MasterKey, name: &str) -> Result<String> {
        let sealed =
            sqlx::query_scalar!("SELECT sealed FROM model_keys WHERE workspace_id = $1 AND name = $2", self.id(), name)
                .fetch_optional(self.durable())
                .await?
                .ok_or_else(|| unknown_key(name))?;
        let plain = key.open(&self.bound_to_model(name), &sealed).and_then(|plain| String::from_utf8(plain).ok());
        plain.ok_or_else(|| {
            StoreError::invalid(format!("the model key '{name}' can't be decrypted with this master key"))
                .hint("use the HEADWATER_MASTER_KEY (or the data directory) it was stored with, or store it again")
        })
    }

    /// Removes a provider's key.
    pub async fn remove_model_key(&self, name: &str) -> Result<()> {
        let mut tx = self.durable().begin().await?;
        let removed = sqlx::query!("DELETE FROM model_keys WHERE workspace_id = $1 AND name = $2", self.id(), name)
            .execute(&mut *tx)
            .await?;
        if removed.rows_affected() == 0 {
            return Err(unknown_key(name));
        }
        self.record(&mut tx, "models.remove_key", name, &()).await?;
        Ok(tx.commit().await?)
    }

    /// Names of the stored keys.
    pub async fn model_keys(&self) -> Result<Vec<ModelKeyRow>> {
        Ok(sqlx::query_as!(
            ModelKeyRow,
            "SELECT name, changed_by, changed_at FROM model_keys WHERE workspace_id = $1 ORDER BY name",
            self.id()
        )
        .fetch_all(self.reads())
        .await?)
    }

    /// What a sealed key is bound to. The slash keeps it apart from every connection, whose name has none.
    fn bound_to_model(&self, name: &str) -> Vec<u8> {
        let mut bound = Uuid::as_bytes(&self.id()).to_vec();
        bound.extend_from_slice(format!("model/{name}").as_bytes());
        bound
    }
}

/// Calls, column by column.
#[derive(Default)]
struct Columns {
    id: Vec<Uuid>,
    at: Vec<DateTime<Utc>>,
    person: Vec<String>,
    why: Vec<String>,
    model: Vec<String>,
    provider_model: Vec<Option<String>>,
    prompt_version: Vec<Option<String>>,
    input_tokens: Vec<Option<i64>>,
    cached_tokens: Vec<Option<i64>>,
    output_tokens: Vec<Option<i64>>,
    reasoning_tokens: Vec<Option<i64>>,
    cost_nanos: Vec<Option<i64>>,
    latency_ms: Vec<i64>,
    first_token_ms: Vec<Option<i64>>,
    cache: Vec<String>,
    outcome: Vec<String>,
    request_hash: Vec<Vec<u8>>,
    answer_hash: Vec<Option<Vec<u8>>>,
    request_text: Vec<Option<String>>,
    answer_text: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, call: ModelCall) {
        self.id.push(call.id);
        self.at.push(call.at);
        self.person.push(call.person);
        self.why.push(call.why);
        self.model.push(call.model);
        self.provider_model.push(call.provider_model);
        self.prompt_version.push(call.prompt_version);
        self.input_tokens.push(call.input_tokens);
        self.cached_tokens.push(call.cached_tokens);
        self.output_tokens.push(call.output_tokens);
        self.reasoning_tokens.push(call.reasoning_tokens);
        self.cost_nanos.push(call.cost_nanos);
        self.latency_ms.push(call.latency_ms);
        self.first_token_ms.push(call.first_token_ms);
        self.cache.push(call.cache);
        self.outcome.push(call.outcome);
        self.request_hash.push(call.request_hash.to_vec());
        self.answer_hash.push(call.answer_hash.map(|hash| hash.to_vec()));
        self.request_text.push(call.request_text);
        self.answer_text.push(call.answer_text);
    }
}

fn unknown_key(name: &str) -> StoreError {
    StoreError::not_found(format!("there is no model key named '{name}'"))
}

#[cfg(test)]
mod tests;
