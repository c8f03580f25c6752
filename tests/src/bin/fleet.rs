//! Measures the queue: a chain, a fan-out, the time from trigger to start, and lists, on an embedded Postgres with its flushes on, or on
//! the empty database of HEADWATER_DATABASE_URL.
//!
//! usage: fleet HEADWATER (scripts/bench calls it). RUNS sets how often triggers, chain and fan-out are measured, one after the other, so that a
//! machine that is slower for a while is so for all of them, and afterwards the lists; OLD_RUNS how many runs that have ended are in the tables
//! meanwhile; SUSTAIN for how many seconds the fan-out goes on; GRAPHILE_WORKER names the script that measures the peer on the same server; CASES chooses among triggers,
//! chain, fan-out, sustain and lists. Prints one line a case.
#![allow(clippy::print_stdout, reason = "a measurement is its output")]
#![allow(clippy::disallowed_methods, reason = "it waits for another process, and for idleness itself")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use headwater_pipelines::plan::Plan;
use headwater_store::embedded::EmbeddedPostgres;
use headwater_store::testing::{plan, save};
use headwater_store::{Beside, NewRun, RunFilter, Store, Trigger};
use uuid::Uuid;

/// Stages of the chain.
const CHAIN: usize = 40;

/// Chains of one set.
const CHAINS: usize = 5;

/// Stages of the fan-out.
const FAN: usize = 1_000;

/// Fan-outs that are under way together, so that no tail is measured.
const FANS: usize = 10;

/// Old runs written by one statement.
const OLD_AT_ONCE: usize = 50_000;

/// Runs made one by one on an idle worker, each time.
const TRIGGERS: usize = 300;

/// Looks at lists and at runs of one set.
const LISTS: usize = 200;

#[tokio::main]
async fn main() -> Result<()> {
    let headwater = std::env::args().nth(1).context("usage: fleet HEADWATER")?;
    let number =
        |name: &str, default: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let folder = tempfile::Builder::new().prefix("hwfleet").tempdir_in("/var/tmp")?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let (url, embedded) = match std::env::var("HEADWATER_DATABASE_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let embedded = EmbeddedPostgres::attach(folder.path(), None).await?;
            (embedded.url(), Some(embedded))
        }
    };
    let store = Store::connect(&url).await?;
    store.migrate(Beside::Nothing).await?;
    let mut worker = Worker(
        Command::new(&headwater)
            .args(["serve", "--roles", "worker,scheduler"])
            .env("HEADWATER_DATA_DIR", folder.path())
            .env("HEADWATER_DATABASE_URL", &url)
            .stderr(std::fs::File::create(folder.path().join("worker.log"))?)
            .spawn()?,
    );
    while store.workers().await?.is_empty() {
        if let Some(status) = worker.0.try_wait()? {
            bail!("the worker ended: {status}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let bench = Bench { store, runs: number("RUNS", 5), folder: folder.path().to_owned() };
    bench.grow(&url, number("OLD_RUNS", 0)).await?;
    let cases = std::env::var("CASES").unwrap_or_else(|_| "triggers chain fan-out sustain lists".to_owned());
    let (mut repeated, mut once) = (Vec::new(), Vec::new());
    for case in cases.split_whitespace() {
        match case {
            "triggers" | "chain" | "fan-out" => repeated.push((case, Vec::new())),
            "sustain" | "lists" => once.push(case),
            other => bail!("CASES names {other}, which is none of triggers, chain, fan-out, sustain, lists"),
        }
    }
    bench.in_turn(repeated).await?;
    for case in once {
        match case {
            "sustain" => bench.sustain(Duration::from_secs(u64::try_from(number("SUSTAIN", 0))?)).await?,
            lists => bench.in_turn(vec![(lists, Vec::new())]).await?,
        }
    }
    drop(worker);
    bench.store.close().await;
    if let Ok(script) = std::env::var("GRAPHILE_WORKER") {
        let done = Command::new("node").arg(script).arg(&url).status()?;
        anyhow::ensure!(done.success(), "graphile-worker ended with {done}");
    }
    if let Some(embedded) = embedded {
        embedded.detach().await?;
    }
    Ok(())
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Median time of a small write that is flushed: what every durable commit waits for at least.
fn flush(folder: &Path) -> Result<Duration> {
    let mut file = std::fs::File::create(folder.join("flush"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    Ok(percentile(&mut times, 50))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

struct Bench {
    store: Store,
    runs: usize,
    /// On the disk that the measured database is on, unless it is somebody else's.
    folder: PathBuf,
}

impl Bench {
    async fn start(&self, version_id: Uuid) -> Result<Uuid> {
        let params = serde_json::Map::new();
        let run = NewRun { version_id, params, trigger: Trigger::Manual, interval: None, pinned_worker: None };
        Ok(self.store.default_workspace().create_run(&run).await?)
    }

    /// Waits until a run has succeeded; answers with when it was made, started and ended.
    async fn finished(&self, run: Uuid) -> Result<[chrono::DateTime<chrono::Utc>; 3]> {
        loop {
            let summary = self.store.default_workspace().run(run).await?;
            if let (Some(started), Some(ended)) = (summary.started_at, summary.finished_at) {
                if summary.state.as_str() != "succeeded" {
                    bail!("run {run} is {}", summary.state);
                }
                return Ok([summary.created_at, started, ended]);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fills the tables with ended runs of one stage, so that what follows is measured beside history. They are written by SQL: nobody
    /// wants to wait until a million were executed.
    async fn grow(&self, url: &str, runs: usize) -> Result<()> {
        if runs == 0 {
            return Ok(());
        }
        let version = save(&self.store, &fan(1)).await;
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        let start = Instant::now();
        for _ in (0..runs).step_by(OLD_AT_ONCE) {
            let runs = i32::try_from(runs.min(OLD_AT_ONCE))?;
            client.execute(include_str!("fleet/old_runs.sql"), &[&version, &runs]).await?;
        }
        client.batch_execute("VACUUM ANALYZE").await?;
        // What is measured next is not to share the disk with what was just written.
        client.batch_execute("CHECKPOINT").await?;
        println!("history: {runs} runs, written in {:.0} s", start.elapsed().as_secs_f64());
        drop(client);
        connection.await??;
        Ok(())
    }

    /// Measures sets of cases in turn, and prints the medians of each.
    async fn in_turn(&self, mut cases: Vec<(&str, Vec<[Duration; 2]>)>) -> Result<()> {
        for _ in 0..self.runs {
            for (case, sets) in &mut cases {
                sets.push(match *case {
                    "triggers" => self.triggers().await?,
                    "chain" => self.chain().await?,
                    "lists" => self.lists().await?,
                    _ => self.fan_out().await?,
                });
            }
        }
        for (case, sets) in cases {
            let [one, two] = [0, 1].map(|n| percentile(&mut sets.iter().map(|set| set[n]).collect::<Vec<_>>(), 50));
            let sets = self.runs;
            match case {
                "triggers" => println!(
                    "trigger to start, idle: p50 {}, p99 {} of {TRIGGERS} (medians of {sets})",
                    ms(one),
                    ms(two)
                ),
                "chain" => println!(
                    "chain of {CHAIN}: {} a task, of which a flush of the disk {} (medians of {sets} times {CHAINS})",
                    ms(one),
                    ms(two)
                ),
                "lists" => println!(
                    "list of runs: p99 {}; one run of {FAN} stages: p99 {} of {LISTS} (medians of {sets})",
                    ms(one),
                    ms(two)
                ),
                _ => println!(
                    "fan-out of {FANS} x {FAN}: {:.0} stage runs/s, {} in all (median of {sets})",
                    1.0 / one.as_secs_f64(),
                    ms(two)
                ),
            }
        }
        Ok(())
    }

    /// From trigger to start: p50 and p99.
    async fn triggers(&self) -> Result<[Duration; 2]> {
        let version = save(&self.store, &fan(1)).await;
        let mut times = Vec::new();
        for _ in 0..TRIGGERS {
            let run = self.start(version).await?;
            let [made, started, _] = self.finished(run).await?;
            times.push((started - made).to_std().unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        Ok([percentile(&mut times, 50), percentile(&mut times, 99)])
    }

    /// A task of a chain, and a flush of the disk at that time.
    async fn chain(&self) -> Result<[Duration; 2]> {
        let names: Vec<String> = (0..CHAIN).map(|n| format!("t{n}")).collect();
        let ups: Vec<Vec<&str>> =
            (0..CHAIN).map(|n| n.checked_sub(1).map(|up| names[up].as_str()).into_iter().collect()).collect();
        let stages: Vec<(&str, &[&str])> =
            names.iter().map(String::as_str).zip(ups.iter().map(Vec::as_slice)).collect();
        let version = save(&self.store, &plan("chain", &stages)).await;
        let flush = flush(&self.folder)?;
        let mut times = Vec::new();
        for _ in 0..CHAINS {
            let run = self.start(version).await?;
            let [_, started, ended] = self.finished(run).await?;
            times.push((ended - started).to_std()? / u32::try_from(CHAIN)?);
        }
        Ok([percentile(&mut times, 50), flush])
    }

    /// A stage run of a fan-out, and all of them.
    async fn fan_out(&self) -> Result<[Duration; 2]> {
        let version = save(&self.store, &fan(FAN)).await;
        let mut made = Vec::new();
        for _ in 0..FANS {
            made.push(self.start(version).await?);
        }
        let mut first = None;
        let mut last = None;
        for run in made {
            let [_, started, ended] = self.finished(run).await?;
            first = Some(first.map_or(started, |first: chrono::DateTime<_>| first.min(started)));
            last = Some(last.map_or(ended, |last: chrono::DateTime<_>| last.max(ended)));
        }
        let took = last.zip(first).map(|(last, first)| (last - first).to_std()).context("runs")??;
        Ok([Duration::from_secs_f64(took.as_secs_f64() / (FAN * FANS) as f64), took])
    }

    /// Keeps as many runs under way, for so long.
    async fn sustain(&self, time: Duration) -> Result<()> {
        if time.is_zero() {
            return Ok(());
        }
        let version = save(&self.store, &fan(FAN)).await;
        let start = Instant::now();
        let mut made = std::collections::VecDeque::new();
        let mut ended = 0;
        while start.elapsed() < time {
            while made.len() < FANS {
                made.push_back(self.start(version).await?);
            }
            if let Some(oldest) = made.pop_front() {
                self.finished(oldest).await?;
                ended += FAN;
            }
        }
        let rate = ended as f64 / start.elapsed().as_secs_f64();
        println!("fan-out for {} s, runs made meanwhile: {rate:.0} stage runs/s", time.as_secs());
        for run in made {
            self.finished(run).await?;
        }
        Ok(())
    }

    /// Of the list of runs and of one run that has many stages: p99.
    async fn lists(&self) -> Result<[Duration; 2]> {
        let workspace = self.store.default_workspace();
        let newest = workspace.list_runs(&RunFilter::default()).await?;
        let (mut list, mut show) = (Vec::new(), Vec::new());
        for summary in newest.iter().cycle().take(LISTS) {
            let start = Instant::now();
            workspace.list_runs(&RunFilter::default()).await?;
            list.push(start.elapsed());
            let start = Instant::now();
            workspace.show_run(summary.run_id).await?;
            show.push(start.elapsed());
        }
        Ok([percentile(&mut list, 99), percentile(&mut show, 99)])
    }
}

/// Stages that depend on nothing.
fn fan(stages: usize) -> Plan {
    let names: Vec<String> = (0..stages).map(|n| format!("t{n}")).collect();
    let stages: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    plan("fan", &stages)
}
