//! `gateway [RATE] [SECONDS] [ROUNDS]`: what the gateway adds to a call of a model, beside bare reqwest on the same mock in the same run.
//!
//! An open loop: calls start at their times, however long earlier ones take, and a latency counts from the time that its call was due. Accounting is on:
//! a budget is held, and every call is a row.

#![allow(clippy::print_stdout, reason = "a measurement is its output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use headwater_assistant::gateway::scripted::{MemoryLedger, Rules, Script, Scripted};
use headwater_assistant::gateway::{
    AssistantSettings, Gateway, GatewaySettings, ModelSettings, Request, Scope, Shape, SystemClock, Turn, Why, silent,
};
use serde_json::{Value, json};

const SYSTEM_WORDS: usize = 500;

fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["table", "limit"],
        "properties": { "table": { "type": "string", "enum": ["t01", "t02"] }, "limit": { "type": "integer" } }
    })
}

fn request() -> Request {
    let text = |text: &str| text.to_owned();
    Request {
        scope: Scope {
            workspace: text("bench"),
            person: text("ada"),
            grants: String::new(),
            feature: text("bench"),
            prompt_version: String::new(),
            snapshot: String::new(),
            policy: String::new(),
        },
        why: Why::Compile,
        model: None,
        system: "S ".repeat(SYSTEM_WORDS),
        turns: vec![Turn::user("hello")],
        shape: Shape { name: text("bench"), schema: schema() },
        max_output: Some(100),
        allowance: None,
    }
}

fn gateway(url: &str, ledger: &Arc<MemoryLedger>) -> Result<Gateway> {
    let model: ModelSettings = serde_json::from_value(json!({
        "provider": "openai", "base_url": url, "model": "mock",
        "prices": [{ "from": "2020-01-01", "input": "1", "output": "2" }]
    }))?;
    let assistant: AssistantSettings = serde_json::from_value(json!({
        "model": "mock", "budget": { "workspace": "100000" }, "cache": { "ttl_seconds": 0 }
    }))?;
    let settings = GatewaySettings::new([("mock".to_owned(), model)].into(), assistant, |_| None)?;
    let ledger = Arc::clone(ledger);
    Ok(Gateway::new(settings, ledger, Arc::new(SystemClock::default()))?)
}

/// Latencies in milliseconds, sorted.
async fn load<F, Fut>(rate: u64, seconds: u64, call: F) -> Result<Vec<f64>>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let mut calls = tokio::task::JoinSet::new();
    let start = Instant::now();
    for number in 0..rate * seconds {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / rate);
        tokio::time::sleep_until(due.into()).await;
        let call = call();
        calls.spawn(async move { call.await.map(|()| due.elapsed().as_secs_f64() * 1_000.0) });
    }
    let mut latencies = Vec::new();
    while let Some(done) = calls.join_next().await {
        latencies.push(done??);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

/// The latency that so many of a thousand calls don't exceed.
fn at(latencies: &[f64], mille: usize) -> f64 {
    latencies.get(latencies.len().saturating_sub(1) * mille / 1_000).copied().unwrap_or_default()
}

/// Megabytes of this process.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = status.split(' ').nth(1).context("statm has a second field")?.parse()?;
    Ok((pages * 4_096) >> 20)
}

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |place: usize, default: u64| numbers.get(place).copied().unwrap_or(default);
    let (rate, seconds, rounds) = (number(0, 1_000), number(1, 5), number(2, 5));
    let answer = json!({ "table": "t01", "limit": 5 });
    let rules = Rules { keeps: false, ..Rules::default() };
    let server = Scripted::start(rules, move |_| Script::Json(answer.clone())).await?;
    let ledger = Arc::new(MemoryLedger::counting());
    let gateway = Arc::new(gateway(server.url(), &ledger)?);
    let http = reqwest::Client::new();
    let url = format!("{}/chat/completions", server.url());
    let body = json!({
        "model": "mock", "stream": true, "max_tokens": 100,
        "messages": [{ "role": "system", "content": "S ".repeat(SYSTEM_WORDS) }, { "role": "user", "content": "hello" }],
        "response_format": { "type": "json_schema", "json_schema": { "name": "bench", "schema": schema(), "strict": true } }
    });
    let body = body.to_string();
    for round in 1..=rounds {
        let bare = load(rate, seconds, || {
            let request = http.post(&url).header("content-type", "application/json").body(body.clone());
            async move {
                request.send().await?.error_for_status()?.bytes().await?;
                Ok(())
            }
        });
        let bare = bare.await?;
        let ours = load(rate, seconds, || {
            let gateway = Arc::clone(&gateway);
            async move {
                gateway.answer(request(), &silent).await?;
                Ok(())
            }
        });
        let ours = ours.await?;
        println!(
            "round {round}, {rate} requests/s: reqwest p50 {:.2} p99 {:.2}, gateway p50 {:.2} p99 {:.2}, added p50 {:.2} p99 {:.2} ms; {} MB",
            at(&bare, 500),
            at(&bare, 990),
            at(&ours, 500),
            at(&ours, 990),
            at(&ours, 500) - at(&bare, 500),
            at(&ours, 990) - at(&bare, 990),
            resident()?
        );
    }
    gateway.close().await;
    anyhow::ensure!(ledger.written() == rate * seconds * rounds, "every call is a row");
    Ok(())
}
