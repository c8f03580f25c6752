//! Starting a run, and running a finished one again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use headwater_engine::parameters;
use headwater_pipelines::diagnostic::nearest_hint;
use headwater_pipelines::plan::{Plan, check_value};
use headwater_pipelines::schedule;
use headwater_pipelines::spec::{Moment, Spec};
use headwater_store::{MadeRun, NewConnection, NewRun, Once, RerunMode, Suggest, Trigger, VersionRow, Workspace};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Watch;
use crate::{Action, Actor, Executor, OperationError, Operations, Result, SpecFile};

/// A worker that was silent for longer doesn't count as serving a queue.
pub(super) const WORKER_IS_ALIVE: Duration = Duration::from_secs(5);

/// Bytes of an idempotency key.
const MAX_KEY: usize = 255;

/// A run that is to be started.
#[derive(Debug, Clone)]
pub struct StartRun {
    /// What it executes.
    pub target: Target,
    /// Values of parameters, as text.
    pub params: Vec<(String, String)>,
    /// The data interval, half-open.
    pub interval: Option<(Moment, Moment)>,
    /// Where it may be executed.
    pub place: Place,
    /// Loads with cursors read everything, and replace what their targets hold.
    pub full_refresh: bool,
    /// A key of the caller's: of all requests with the same one, only the first makes a run.
    pub idempotency_key: Option<String>,
}

/// What a run executes.
#[derive(Debug, Clone)]
pub enum Target {
    /// A spec, whose connections serve this run alone.
    Spec(SpecFile),
    /// A pipeline's approved version.
    Pipeline(String),
}

/// Where a run may be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// By workers of its queues, or in this process if there are none.
    Anywhere,
    /// In this process.
    Here,
    /// By workers of its queues, even if there are none yet.
    Workers,
}

/// Where a run is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// In the process that watches it.
    Here,
    /// By the workers of its queues, and here once none is left.
    Workers,
    /// By the workers of its queues, whether there are any or not.
    WorkersAlone,
}

/// Where a run comes from that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was made for this request.
    New,
    /// It is the unfinished run itself that was to be run again.
    Unfinished,
    /// The same was asked for before: the same rerun, or with the same idempotency key.
    Existing,
}

/// A run that was started, or found under way.
#[derive(Debug, Clone)]
pub struct Started {
    /// The run.
    pub run_id: Uuid,
    /// Its pipeline.
    pub pipeline: String,
    /// Number of the version that it executes.
    pub version: i32,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it is executed.
    pub site: Site,
    pub(super) plan: Plan,
    /// The worker that it is pinned to.
    pub(super) worker: Option<Uuid>,
}

impl Operations {
    /// Starts a run. The connections that a spec brings are sealed with the run and serve it alone.
    pub async fn start(&self, actor: &Actor, start: StartRun) -> Result<Started> {
        let workspace = self.permit(actor, Action::StartRun)?;
        let once = start.once()?;
        if let Some(once) = &once
            && let Some(run_id) = workspace.run_of(once).await?
        {
            // Nothing of it is planned again: its sources may have gone since.
            return self.existing(&workspace, run_id, start.place).await;
        }
        let (version, own) = self.version_of(actor, start.target).await?;
        self.must_not_follow(&version.plan).await?;
        let params = bind(&version.plan, &start.params)?;
        let interval = Self::interval_of(&version.plan, zone_of(&version.spec), start.interval)?;
        let here = self.is_here(&version.plan, start.place).await?;
        if start.full_refresh {
            self.permit(actor, Action::ResetCursors)?;
            crate::cursors::may_refresh(&workspace, &version.plan).await?;
        }
        let worker = here.then(Uuid::new_v4);
        let new = NewRun { version_id: version.id, params, trigger: Trigger::Manual, interval, pinned_worker: worker };
        let own = Some((self.key.as_ref(), own.as_slice()));
        let MadeRun { run_id, existing } = workspace.start_run(&new, own, once.as_ref(), start.full_refresh).await?;
        if existing {
            return self.existing(&workspace, run_id, start.place).await;
        }
        let site = match (worker, start.place) {
            (Some(_), _) => Site::Here,
            (None, Place::Workers) => Site::WorkersAlone,
            (None, _) => Site::Workers,
        };
        let VersionRow { pipeline, number, plan, .. } = version;
        Ok(Started { run_id, pipeline, version: number, origin: Origin::New, site, plan, worker })
    }

    /// Runs a finished run again, or finds the run that does so already. An unfinished run that is to be run again from its failure is
    /// taken up itself: once its worker is lost it goes on.
    pub async fn rerun(&self, actor: &Actor, run: Uuid, mode: RerunMode) -> Result<Started> {
        let workspace = self.permit(actor, Action::Rerun)?;
        let old = workspace.show_run(run).await?;
        let version = workspace.version(old.version_id).await?;
        if mode == RerunMode::FromFailure && !old.run.state.is_final() {
            return Ok(under_way(version, run, Origin::Unfinished, Some(Uuid::new_v4())));
        }
        let worker = (!self.is_served(&version.plan).await?).then(Uuid::new_v4);
        let MadeRun { run_id, existing } = workspace.rerun(run, mode, worker).await?;
        match existing {
            false => Ok(under_way(version, run_id, Origin::New, worker)),
            true => self.existing(&workspace, run_id, Place::Anywhere).await,
        }
    }

    /// A run of a backfill, to be watched: this process executes it if no worker serves its queues.
    pub async fn attach(&self, actor: &Actor, run: Uuid) -> Result<Started> {
        let workspace = self.permit(actor, Action::StartRun)?;
        self.existing(&workspace, run, Place::Anywhere).await
    }

    /// A run that was there already. Whoever made it executes it; this process is there in case that one is not.
    async fn existing(&self, workspace: &Workspace, run_id: Uuid, place: Place) -> Result<Started> {
        let version = workspace.version(workspace.show_run(run_id).await?.version_id).await?;
        let here = self.is_here(&version.plan, place).await?;
        Ok(under_way(version, run_id, Origin::Existing, here.then(Uuid::new_v4)))
    }

    /// Watches a run until it has ended, executing it in this process if that is where it belongs.
    pub fn watch<'a>(&'a self, actor: &Actor, started: Started, executor: &'a dyn Executor) -> Result<Watch<'a>> {
        self.permit(actor, Action::ReadRuns)?;
        Ok(Watch::new(self, started, executor))
    }

    /// The version that a run executes, and the connections that it brings.
    async fn version_of(&self, actor: &Actor, target: Target) -> Result<(VersionRow, Vec<NewConnection>)> {
        let file = match target {
            Target::Pipeline(name) => return Ok((self.workspace.current_version(&name).await?, Vec::new())),
            Target::Spec(file) => file,
        };
        let spec = self.check_own(file).await?;
        self.must_be_approved(&spec.document).await?;
        if spec.has_errors() {
            return Err(OperationError::problems(vec![spec.problems()]));
        }
        let own = spec.connections().into_iter();
        let own = own.map(|(name, settings)| self.new_connection(name, settings)).collect::<Result<_>>()?;
        let workspace = self.permit(actor, Action::StartRun)?;
        Ok((workspace.save_version(&spec.version()?).await?, own))
    }

    /// Whether a run of a plan is executed in this process.
    async fn is_here(&self, plan: &Plan, place: Place) -> Result<bool> {
        Ok(match place {
            Place::Here => true,
            Place::Workers => false,
            Place::Anywhere => !self.is_served(plan).await?,
        })
    }

    /// Whether live workers serve every stage of a plan.
    pub(super) async fn is_served(&self, plan: &Plan) -> Result<bool> {
        for stage in &plan.stages {
            if !self.store.is_served(stage, WORKER_IS_ALIVE).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The data interval of a manual run, which a plan that uses it can't do without.
    pub(super) fn interval_of(
        plan: &Plan,
        zone: Tz,
        given: Option<(Moment, Moment)>,
    ) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
        let Some((from, to)) = given else {
            if !plan.uses_interval() {
                return Ok(None);
            }
            return Err(OperationError::invalid(format!(
                "pipeline {} uses $interval_start or $interval_end, and a manual run has no data interval of its own",
                plan.pipeline
            ))
            .hint("say which interval it should load")
            .suggest(Suggest::GiveInterval));
        };
        let instant = |moment: Moment| {
            schedule::instant(moment, zone)
                .ok_or_else(|| OperationError::invalid(format!("that time does not exist in {}", zone.name())))
        };
        let (from, to) = (instant(from)?, instant(to)?);
        if from >= to {
            return Err(
                OperationError::invalid("the data interval ends before it starts").suggest(Suggest::GiveInterval)
            );
        }
        Ok(Some((from, to)))
    }
}

impl StartRun {
    /// The key, with a hash of what is asked for: the target and its text, parameters and interval.
    fn once(&self) -> Result<Option<Once>> {
        let Some(key) = &self.idempotency_key else { return Ok(None) };
        if !(1..=MAX_KEY).contains(&key.len()) {
            return Err(OperationError::invalid(format!("an idempotency key has 1 to {MAX_KEY} bytes")));
        }
        let target = match &self.target {
            Target::Pipeline(name) => format!("pipeline {name}").into_bytes(),
            Target::Spec(file) => file.bytes.clone(),
        };
        let refresh = if self.full_refresh { " full refresh" } else { "" };
        let rest = format!("{:?} {:?}{refresh}", self.params, self.interval);
        let request = Sha256::new().chain_update(Sha256::digest(target)).chain_update(rest).finalize();
        Ok(Some(Once { key: key.clone(), request: request.into() }))
    }
}

/// A run and where it is executed: here, if a worker of this process is named.
fn under_way(version: VersionRow, run_id: Uuid, origin: Origin, worker: Option<Uuid>) -> Started {
    let site = if worker.is_some() { Site::Here } else { Site::Workers };
    let VersionRow { pipeline, number, plan, .. } = version;
    Started { run_id, pipeline, version: number, origin, site, plan, worker }
}

/// The zone of a version's schedule, in which days of an interval are meant.
pub(crate) fn zone_of(spec: &Value) -> Tz {
    let spec: Option<Spec> = serde_json::from_value(spec.clone()).ok();
    spec.and_then(|spec| spec.schedule).as_ref().and_then(schedule::zone).unwrap_or(Tz::UTC)
}

/// Values of the parameters, checked against their types before a run exists.
pub(crate) fn bind(plan: &Plan, given: &[(String, String)]) -> Result<Map<String, Value>> {
    let mut params = Map::new();
    for (name, text) in given {
        let Some(param) = plan.params.get(name) else {
            let error = OperationError::invalid(format!("pipeline {} has no parameter '{name}'", plan.pipeline));
            let hint = nearest_hint(name, plan.params.keys().map(String::as_str));
            return Err(error.hint(hint.unwrap_or_else(|| "it takes no parameters".to_owned())));
        };
        let value = parameters::parse(param.kind, text);
        check_value(param.kind, &value).map_err(|reason| {
            OperationError::invalid(format!("parameter '{name}': {reason}"))
                .suggest(Suggest::GiveParameter { name: name.clone() })
        })?;
        params.insert(name.clone(), value);
    }
    let missing = plan.params.iter().find(|(name, param)| param.default.is_none() && !params.contains_key(*name));
    if let Some((name, _)) = missing {
        return Err(OperationError::invalid(format!("parameter '{name}' has no value and no default"))
            .suggest(Suggest::GiveParameter { name: name.clone() }));
    }
    Ok(params)
}
