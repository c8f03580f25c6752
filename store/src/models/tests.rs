#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::testing::database;
use crate::{Face, StoreErrorKind, Who};

fn call(person: &str, cost_nanos: Option<i64>) -> ModelCall {
    ModelCall {
        id: Uuid::now_v7(),
        at: "2026-03-01T10:00:00Z".parse().unwrap(),
        person: person.to_owned(),
        why: "compile".to_owned(),
        model: "small".to_owned(),
        provider_model: Some("small-1".to_owned()),
        prompt_version: None,
        input_tokens: Some(100),
        cached_tokens: None,
        output_tokens: Some(20),
        reasoning_tokens: Some(5),
        cost_nanos,
        latency_ms: 900,
        first_token_ms: None,
        cache: "none".to_owned(),
        outcome: "answer".to_owned(),
        request_hash: [1; 32],
        answer_hash: None,
        request_text: None,
        answer_text: None,
    }
}

fn day() -> NaiveDate {
    "2026-03-01".parse().unwrap()
}

#[tokio::test]
async fn calls_are_summed_by_day_person_and_model_and_unknown_costs_are_counted_apart() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    workspace.record_model_calls(Vec::new()).await.unwrap();
    workspace.record_model_calls(vec![call("ada", Some(7)), call("ada", None), call("bo", Some(1))]).await.unwrap();
    let since = call("ada", None).at;
    let usage = workspace.model_usage(since).await.unwrap();
    let ada = ModelUsage {
        day: day(),
        person: "ada".to_owned(),
        model: "small".to_owned(),
        calls: 2,
        input_tokens: 200,
        cached_tokens: 0,
        output_tokens: 40,
        reasoning_tokens: 10,
        cost_nanos: 7,
        unpriced_calls: 1,
    };
    assert_eq!(usage.len(), 2);
    assert_eq!(usage[0], ada);
    assert_eq!(workspace.model_usage(since + TimeDelta::seconds(1)).await.unwrap(), []);
}

#[tokio::test]
async fn calls_are_forgotten_with_the_history() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let now = ModelCall { at: db.store.now().await.unwrap(), ..call("bo", None) };
    workspace.record_model_calls(vec![call("ada", None), now]).await.unwrap();
    db.store.keep_history(Duration::from_secs(3600)).await.unwrap();
    assert_eq!(db.value("SELECT string_agg(person, ',') FROM model_calls").await, "bo");
}

#[tokio::test]
async fn a_call_that_is_recorded_again_is_one() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let one = call("ada", Some(7));
    workspace.record_model_calls(vec![one.clone()]).await.unwrap();
    workspace.record_model_calls(vec![one, call("bo", None)]).await.unwrap();
    assert_eq!(db.value("SELECT count(*) FROM model_calls").await, "2");
}

fn person(limit: i64) -> BudgetLimits {
    BudgetLimits { workspace: None, person: Some(limit) }
}

#[tokio::test]
async fn leases_at_once_never_exceed_the_budget_of_the_day() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let leases = (0..8).map(|_| workspace.lease_budget("ada", day(), 30, person(100)));
    let granted = futures::future::try_join_all(leases).await.unwrap();
    let mut nanos: Vec<i64> = granted.iter().map(|leased| leased.nanos).collect();
    nanos.sort_unstable();
    assert_eq!(nanos, [0, 0, 0, 0, 10, 30, 30, 30]);
    let bo = workspace.lease_budget("bo", day(), 30, person(100)).await.unwrap();
    assert_eq!(bo, Leased { nanos: 30, exhausted: None }, "a budget is one person's");
}

#[tokio::test]
async fn what_everybody_may_spend_is_shared_by_persons() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let limits = BudgetLimits { workspace: Some(50), person: Some(40) };
    let leased = |nanos, exhausted| Leased { nanos, exhausted };
    let ada = workspace.lease_budget("ada", day(), 100, limits).await.unwrap();
    assert_eq!(ada, leased(40, Some(BudgetHolder::Person)));
    let bo = workspace.lease_budget("bo", day(), 30, limits).await.unwrap();
    assert_eq!(bo, leased(10, Some(BudgetHolder::Workspace)));
    workspace.give_back_budget("ada", day(), 15).await.unwrap();
    let bo = workspace.lease_budget("bo", day(), 12, limits).await.unwrap();
    assert_eq!(bo, leased(12, None));
}

#[tokio::test]
async fn what_is_given_back_can_be_leased_again() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let lease = async |nanos, limit| workspace.lease_budget("ada", day(), nanos, person(limit)).await.unwrap().nanos;
    assert_eq!(lease(100, 100).await, 100);
    workspace.give_back_budget("ada", day(), 40).await.unwrap();
    assert_eq!(lease(100, 100).await, 40);
    workspace.give_back_budget("ada", day(), 900).await.unwrap();
    assert_eq!(lease(900, 100).await, 100, "no more is left than there was");
    assert_eq!(lease(1, 50).await, 0, "the limit was lowered");
}

#[tokio::test]
async fn a_key_is_sealed_under_its_name_and_is_in_no_audit() {
    let db = database().await;
    let who = Who { actor: "ada".to_owned(), face: Face::CommandLine };
    let workspace = db.store.default_workspace().acting(who);
    let (key, other) = (MasterKey::from_bytes(&[3; 32]).unwrap(), MasterKey::from_bytes(&[4; 32]).unwrap());
    workspace.seal_model_key(&key, "openai", "sk-hunter22").await.unwrap();
    assert_eq!(workspace.model_key(&key, "openai").await.unwrap(), "sk-hunter22");
    assert!(workspace.model_key(&other, "openai").await.unwrap_err().message.contains("can't be decrypted"));
    let listed = workspace.model_keys().await.unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].changed_by.as_deref()), ("openai", Some("ada")));
    db.execute("UPDATE model_keys SET name = 'moved'").await;
    assert!(workspace.model_key(&key, "moved").await.is_err(), "the seal is bound to the name");
    workspace.remove_model_key("moved").await.unwrap();
    assert_eq!(workspace.remove_model_key("moved").await.unwrap_err().kind, StoreErrorKind::NotFound);
    assert_eq!(db.value("SELECT count(*) FROM audit WHERE audit::text LIKE '%hunter22%'").await, "0");
}
