//! Runs of an approved draft on a data set, and the rows that they leave.

use anyhow::{Context as _, Result};
use headwater_operations::{RunReport, RunState, Target};

use super::bench::Data;
use super::compare::{Comparison, Gold};
use super::drafts::Trial;
use super::psql::quoted;
use super::sources;

/// What became of a draft on a data set.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Why a run failed that has to succeed.
    pub(super) failure: Option<String>,
    /// What is different after the first run.
    pub(super) first: Option<String>,
    /// What is different after changes and a second run.
    pub(super) second: Option<String>,
}

impl Trial<'_> {
    /// Runs a pipeline on a data set, once or twice. The database is what it was afterwards.
    pub(super) async fn load(&mut self, pipeline: &str, data: Data) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        let report = match self.run(pipeline).await {
            Ok(report) => report,
            Err(error) => {
                loaded.failure = Some(format!("{error:#}"));
                return Ok(loaded);
            }
        };
        if self.case.stops_on.iter().any(|name| name == data.as_str()) {
            loaded.first = self.stop_difference(&report).await?;
            return Ok(loaded);
        }
        loaded.failure = failure(&report);
        if loaded.failure.is_some() {
            return Ok(loaded);
        }
        loaded.first = self.rows_difference(data, false).await?;
        if self.parts.iter().any(|part| part.gold_second.is_some()) {
            self.bench.change(self.schema, data).await?;
            let again = self.run(pipeline).await.map(|report| failure(&report));
            match again {
                Ok(None) => loaded.second = self.rows_difference(data, true).await?,
                Ok(Some(cause)) => loaded.failure = Some(format!("second run: {cause}")),
                Err(error) => loaded.failure = Some(format!("second run: {error:#}")),
            }
            self.bench.restore(self.schema, data).await?;
        }
        Ok(loaded)
    }

    async fn run(&self, pipeline: &str) -> Result<RunReport> {
        let interval = self.case.interval.map(|interval| (interval.from, interval.to));
        self.bench.run(Target::Pipeline(pipeline.to_owned()), interval).await
    }

    /// What is wrong with a run that a check has to stop.
    async fn stop_difference(&self, report: &RunReport) -> Result<Option<String>> {
        if report.run.state == RunState::Succeeded {
            return Ok(Some("no check stopped the run".to_owned()));
        }
        let at_fault = report.error.as_ref().and_then(|error| error.task.as_ref());
        let is_check =
            at_fault.is_some_and(|task| report.tasks.iter().any(|known| known.path == *task && known.kind == "check"));
        if !is_check {
            let cause = report.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
            return Ok(Some(format!("it was not a check that stopped the run: {cause}")));
        }
        for part in &self.parts {
            let name = part.target.as_deref().context("a draft's case has no target")?;
            if self.bench.exists(&sources::target(name)?.path).await? {
                return Ok(Some(format!("{name} exists although the run was stopped")));
            }
        }
        Ok(None)
    }

    /// What is different about the rows of the targets, after a first or a second run.
    async fn rows_difference(&mut self, data: Data, second: bool) -> Result<Option<String>> {
        for place in 0..self.parts.len() {
            let golds = self.gold(place, data).await?;
            let part = &self.parts[place];
            let gold: &Gold = match (second, &golds.second) {
                (false, _) => &golds.first,
                (true, Some(gold)) => gold,
                (true, None) => continue,
            };
            let name = part.target.as_deref().context("a draft's case has no target")?;
            let target = sources::target(name)?;
            let path: Vec<String> = target.path.iter().map(|part| quoted(part)).collect();
            let sql = format!("SELECT * FROM {}.{}", quoted(&target.connection), path.join("."));
            let told = match self.bench.rows(&sql).await {
                Ok(table) => Comparison { gold, part, zone: self.case.zone() }.of_target(&table),
                Err(error) => Some(format!("it can't be read: {error:#}")),
            };
            if let Some(told) = told {
                return Ok(Some(format!("{name}: {told}")));
            }
        }
        Ok(None)
    }
}

/// Why a run has not succeeded.
fn failure(report: &RunReport) -> Option<String> {
    let message =
        || report.error.as_ref().map_or_else(|| "the run did not succeed".to_owned(), |error| error.message.clone());
    (report.run.state != RunState::Succeeded).then(message)
}
