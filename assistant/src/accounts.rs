//! The gateway's accounts in the control plane.

use async_trait::async_trait;
use chrono::NaiveDate;
use headwater_operations::{BudgetHolder, BudgetLimits, ModelCall, Operations};

use crate::gateway::{CallRow, Granted, Holder, Lease, Ledger, LedgerError, Money};

/// Budgets and rows of a workspace.
pub(crate) struct Accounts(pub(crate) Operations);

/// Money of the gateway as the control plane counts it.
fn nanos(money: Money) -> i64 {
    i64::try_from(money.0).unwrap_or(i64::MAX)
}

fn money(nanos: i64) -> Money {
    Money(u64::try_from(nanos).unwrap_or_default())
}

#[async_trait]
impl Ledger for Accounts {
    async fn lease(&self, lease: Lease) -> Result<Granted, LedgerError> {
        let Lease { person, day, wanted, workspace_limit, person_limit, .. } = lease;
        let limits = BudgetLimits { workspace: workspace_limit.map(nanos), person: person_limit.map(nanos) };
        let leased = self.0.lease_model_budget(&person, day, nanos(wanted), limits).await;
        let leased = leased.map_err(|error| LedgerError(error.message))?;
        let holder = |holder| match holder {
            BudgetHolder::Workspace => Holder::Workspace,
            BudgetHolder::Person => Holder::Person,
        };
        Ok(Granted { money: money(leased.nanos), exhausted: leased.exhausted.map(holder) })
    }

    async fn give_back(&self, _: &str, person: &str, day: NaiveDate, unspent: Money) -> Result<(), LedgerError> {
        let given = self.0.give_back_model_budget(person, day, nanos(unspent)).await;
        given.map_err(|error| LedgerError(error.message))
    }

    async fn record(&self, rows: Vec<CallRow>) -> Result<(), LedgerError> {
        let recorded = self.0.record_model_calls(rows.into_iter().map(call).collect()).await;
        recorded.map_err(|error| LedgerError(error.message))
    }
}

fn call(row: CallRow) -> ModelCall {
    let tokens = |count: fn(crate::gateway::Usage) -> u64| {
        row.usage.map(count).map(|count| i64::try_from(count).unwrap_or(i64::MAX))
    };
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    ModelCall {
        id: row.id,
        at: row.at,
        person: row.person,
        why: word(serde_json::to_value(row.why).unwrap_or_default()),
        model: row.model,
        provider_model: Some(row.provider_model),
        prompt_version: Some(row.prompt_version).filter(|version| !version.is_empty()),
        input_tokens: tokens(|usage| usage.input + usage.cached + usage.cache_write),
        cached_tokens: tokens(|usage| usage.cached),
        output_tokens: tokens(|usage| usage.output),
        reasoning_tokens: tokens(|usage| usage.reasoning),
        cost_nanos: row.cost.map(nanos),
        latency_ms: i64::try_from(row.latency_ms).unwrap_or(i64::MAX),
        first_token_ms: row.first_token_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        cache: if row.cache_hit { "hit" } else { "none" }.to_owned(),
        outcome: word(serde_json::to_value(row.outcome).unwrap_or_default()),
        request_hash: digest(&row.request_hash).unwrap_or_default(),
        answer_hash: row.answer_hash.as_deref().and_then(digest),
        request_text: row.request_text,
        answer_text: row.answer_text,
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}
