//! What is there, and what is wrong with it.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::cluster::{Cluster, Health};
use super::servers::{self, PgUser, find_servers};
use super::{open_lock, unusable};
use crate::Result;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Warn,
    /// The embedded server can't be used like this.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Everything that was looked at.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Findings in the order they were made.
    pub findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, level: Level, what: String, hint: Option<String>) {
        self.findings.push(Finding { level, what, hint });
    }

    /// Whether the embedded server can be used.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.level != Level::Error)
    }
}

/// Looks at the embedded server of a data directory without changing anything.
pub async fn doctor(data_dir: &Path, pg_user: Option<&str>) -> Result<Report> {
    let mut report = Report { data_dir: data_dir.to_owned(), findings: Vec::new() };
    look_at_servers(&mut report);
    let user = match PgUser::resolve(pg_user) {
        Ok(user) => user,
        Err(error) => {
            report.add(Level::Error, error.message, error.hint);
            return Ok(report);
        }
    };
    if let Some(user) = &user {
        report.add(Level::Ok, format!("started as root, so the server runs as '{}'", user.name), None);
    }
    if !data_dir.is_dir() {
        report.add(
            Level::Ok,
            format!("{} does not exist yet and is made at the first start", data_dir.display()),
            None,
        );
        return Ok(report);
    }
    if let Err(error) = servers::check_can_enter(data_dir, user.as_ref()) {
        report.add(Level::Error, error.message, error.hint);
        return Ok(report);
    }
    let data_dir = data_dir.canonicalize().map_err(|error| unusable(data_dir, error))?;
    look_at_cluster(&mut report, &Cluster::open(&data_dir, user)?).await?;
    Ok(report)
}

fn look_at_servers(report: &mut Report) {
    let servers = find_servers();
    for server in &servers {
        report.add(Level::Ok, format!("Postgres {} is installed in {}", server.major, server.bin.display()), None);
    }
    if servers.is_empty()
        && let Err(error) = servers::choose(None)
    {
        report.add(Level::Error, error.message, error.hint);
    }
}

async fn look_at_cluster(report: &mut Report, cluster: &Cluster) -> Result<()> {
    let Some(major) = cluster.major() else {
        report.add(Level::Ok, "there is no cluster yet; the first start makes one".to_owned(), None);
        return Ok(());
    };
    report.add(Level::Ok, format!("the cluster in {} was made by Postgres {major}", cluster.pgdata().display()), None);
    match (servers::choose(Some(major)), servers::choose(None)) {
        (Err(error), _) => report.add(Level::Error, error.message, error.hint),
        (Ok(_), Ok(newest)) if newest.major > major => report.add(
            Level::Ok,
            format!("Postgres {} is installed and newer than the cluster", newest.major),
            Some("headwater admin upgrade-db moves the cluster to it".to_owned()),
        ),
        _ => {}
    }
    match (cluster.health().await, cluster.postmaster()) {
        (Health::Up, pid) => {
            let pid = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
            report.add(
                Level::Ok,
                format!("the server is up{pid}, its socket is in {}", cluster.socket_dir().display()),
                None,
            );
        }
        (Health::Busy(state), _) => {
            report.add(
                Level::Warn,
                format!("the server is not ready: {state}"),
                Some("wait a moment and look again".to_owned()),
            );
        }
        (Health::Down, Some(pid)) => report.add(
            Level::Warn,
            format!("the server is down and left a postmaster.pid (process {pid}): it did not stop by itself"),
            Some("the next start recovers from that; nothing has to be done".to_owned()),
        ),
        (Health::Down, None) => report.add(Level::Ok, "the server is down".to_owned(), None),
    }
    let in_use = open_lock(&cluster.use_lock())?.try_lock().is_err();
    let what = if in_use { "other processes are attached to it" } else { "no process is attached to it" };
    report.add(Level::Ok, what.to_owned(), None);
    report.add(Level::Ok, format!("the server's log is {}", cluster.log_file().display()), None);
    Ok(())
}
