//! A load: write so that nothing is visible, wait for the checks, record the intent, commit once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use headwater_pipelines::plan::{Deletes, Stage, TaskPath};
use headwater_pipelines::spec::WriteMode;

use super::build::{Builder, Built};
use super::counted::Counted;
use super::cursors::Cursors;
use super::slice::Keys;
use super::{Attempt, pull, rows_read, sink_of};
use crate::connector::{
    AllKeys, Changes, ColumnChanges, Commit, LoadContext, Position, Sink, SinkRequest, Staged, Taken,
};
use crate::control::{Intent, LogLevel, SliceKeys, Turn};
use crate::error::{EngineError, ErrorKind, Result};
use crate::failpoint::failpoint;
use crate::job::StageJob;
use crate::memory::StagePool;
use crate::parameters;
use crate::receipt::Receipt;
use crate::relations::Connections;

/// How often a load begins again because its source has shown new columns.
const ROUNDS: u32 = 10;

/// One attempt of a load.
#[derive(Clone)]
pub(super) struct Load<'a> {
    pub(super) attempt: &'a Attempt<'a>,
    pub(super) task: &'a str,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) target: String,
    pub(super) mode: WriteMode,
    pub(super) keys: Vec<String>,
    pub(super) order_by: Option<String>,
    pub(super) deletes: Option<Deletes>,
    pub(super) cursors: &'a Cursors,
    /// Whether the target is compared with all keys of the source.
    pub(super) scans: bool,
    pub(super) pool: &'a Arc<StagePool>,
}

/// How an attempt of a load ends that did not fail.
pub(super) enum LoadEnd {
    /// The target holds its rows. So many more are there already, about.
    Committed(Box<Receipt>, u64),
    /// Its cursors found no new rows.
    Nothing,
    /// Another load of its cursors comes first.
    Later(String),
}

impl Attempt<'_> {
    /// Runs the load that heads a stage.
    pub(super) async fn load(&self, stage: &Stage, connections: &Connections) -> Result<LoadEnd> {
        let started = Instant::now();
        let parameters = parameters::bind(&self.job.plan.params, &self.job.run)?;
        let pool = self.pool();
        let Some((connection, request)) = sink_of(&self.job.plan, stage) else {
            return Err(EngineError::bug(format!("'{}' is not a load", stage.name)));
        };
        let target = [std::slice::from_ref(&connection), request.path.as_slice()].concat().join(".");
        let open = connections.open(&connection)?;
        let sink = async |request: &SinkRequest| open.sink(request).await.map_err(|error| error.in_task(&stage.name));
        let load = Load {
            attempt: self,
            task: &stage.name,
            sink: sink(&request).await?,
            target: target.clone(),
            mode: request.mode,
            keys: request.keys.clone(),
            order_by: request.order_by.clone(),
            deletes: request.deletes.clone(),
            cursors: &Cursors::default(),
            scans: false,
            pool: &pool,
        };
        if self.batch.is_none()
            && let Some(receipt) = load.adopted(started).await?
        {
            return Ok(LoadEnd::Committed(Box::new(receipt), 0));
        }
        let taken = Cursors::take(self, stage, &target).await.map_err(|error| error.in_task(&stage.name))?;
        let mut cursors = match taken {
            Turn::Now(cursors) => cursors,
            Turn::Later(why) => return Ok(LoadEnd::Later(why)),
        };
        // A batch is a load of its own.
        let job = self.batch.map(|_| StageJob { load_id: cursors.load_id(self.job.load_id), ..self.job.clone() });
        let attempt = Attempt { job: job.as_ref().unwrap_or(self.job), ..*self };
        let load = Load { attempt: &attempt, ..load };
        if self.batch.is_some_and(|batch| batch.first)
            && let Some(receipt) = load.adopted(started).await?
        {
            return Ok(LoadEnd::Committed(Box::new(receipt), 0));
        }
        cursors.compare(load.sink.as_ref(), &target).await.map_err(|error| error.in_task(&stage.name))?;
        // Everything is read, and is all that the target is to hold.
        let sink = match cursors.is_refresh() {
            true => sink(&SinkRequest { mode: WriteMode::Overwrite, deletes: None, ..request }).await?,
            false => Arc::clone(&load.sink),
        };
        let every = load.deletes.as_ref().and_then(|deletes| deletes.every);
        let scans = every.is_some_and(|every| cursors.begin_scan(every));
        let (parameters, pool, cursors) = (&parameters, &pool, &cursors);
        let mut rounds = 0..ROUNDS;
        loop {
            let progress = attempt.progress.part();
            let attempt = Attempt { progress: &progress, ..attempt };
            let builder = Builder { attempt: &attempt, connections, parameters, pool, cursors, is_complete: false };
            let load = Load { attempt: &attempt, sink: Arc::clone(&sink), cursors, scans, ..load.clone() };
            match load.run(stage, &builder, started).await {
                Err(error) if error.kind == ErrorKind::Unseen && rounds.next().is_some() => {
                    self.control.log(LogLevel::Info, error.task.as_deref(), &error.message);
                    progress.withdraw();
                }
                ended => return ended,
            }
        }
    }
}

impl Load<'_> {
    /// What an earlier attempt has committed; the source is not read again then.
    pub(super) async fn adopted(&self, started: Instant) -> Result<Option<Receipt>> {
        let taken = self.sink.taken(self.attempt.job.load_id).await.map_err(|error| error.in_task(self.task))?;
        match taken {
            Some(taken) => self.adopt(&taken, started).await.map(Some),
            None => Ok(None),
        }
    }

    /// Runs the load.
    pub(super) async fn run(&self, stage: &Stage, builder: &Builder<'_>, started: Instant) -> Result<LoadEnd> {
        let mut built = pull::fitting(builder.build(stage).await?, builder).await?;
        let is_refresh = self.cursors.is_refresh();
        let changes = self.deletes.as_ref().filter(|deletes| deletes.changes);
        if is_refresh && keeps_keys_once(self.mode) && changes.is_none() {
            builder.once_by_keys(&mut built, self.task, &self.keys, self.order_by.as_deref())?;
        }
        if self.mode == WriteMode::Scd2 {
            builder.with_history(&mut built, self.order_by.as_deref())?;
        }
        if let Some(changes) = changes {
            super::changes::fold(&mut built, changes, &self.keys, is_refresh)?;
        } else if let Some(deletes) = &self.deletes {
            builder.with_deletes(&mut built, deletes, is_refresh)?;
        }
        let keys = match self.scans {
            true => builder.all_keys(stage, &self.keys).await.map_err(|error| error.in_task(self.task))?,
            false => AllKeys::default(),
        };
        let context = self.context(keys);
        let stream = pull::stream(&built, builder).await?;
        let progress = self.attempt.progress.task(self.task);
        let slice = Keys::of(self.mode, &self.keys, &self.attempt.job.run);
        let stream = Counted::over(stream, progress, slice.clone());
        let written = self.attempt.stopped_by_cancel(self.sink.write(&context, stream)).await;
        let staged = match written {
            Ok(staged) => staged,
            Err(error) => {
                self.sink.abort(&context, None).await;
                return Err(error.in_task(self.task));
            }
        };
        let Staged { rows, bytes, files, changes, columns, .. } = &staged;
        let written =
            Written { rows: *rows, bytes: *bytes, files: *files, changes: *changes, columns: columns.clone() };
        match self.conclude(&built, builder, written, started, slice.as_deref()).await {
            Ok(Concluded::Commit(receipt)) => {
                let committed = self.commit(&context, staged, *receipt, started).await;
                let behind = built.reached.values().map(|position| position.behind).sum();
                committed
                    .map(|receipt| LoadEnd::Committed(Box::new(receipt), behind))
                    .map_err(|error| error.in_task(self.task))
            }
            Ok(Concluded::Nothing) => {
                self.sink.abort(&context, Some(staged)).await;
                Ok(LoadEnd::Nothing)
            }
            Ok(Concluded::Later(why)) => {
                self.sink.abort(&context, Some(staged)).await;
                Ok(LoadEnd::Later(why))
            }
            Err(error) => {
                self.sink.abort(&context, Some(staged)).await;
                Err(error.in_task(self.task))
            }
        }
    }

    /// Whether the cursors found nothing. What an earlier attempt has intended is settled by a commit all the same.
    fn is_empty(&self, written: &Written, reached: &BTreeMap<TaskPath, Position>) -> bool {
        let counts = self.attempt.progress.counts();
        let is_read =
            |task: &TaskPath| counts.get(task.as_str()).is_some_and(|counts| counts.rows + counts.rejected > 0);
        let is_first = self.attempt.job.attempt == 1 || self.attempt.batch.is_some_and(|batch| !batch.first);
        let found_nothing =
            written.rows == 0 && written.changes.is_none_or(Changes::is_empty) && !self.cursors.extracts().any(is_read);
        is_first && found_nothing && self.cursors.go_on() && !reached.values().any(|position| position.must_move)
    }

    /// Everything between the last row and the commit: checks, then the intent, which is the point of no return.
    async fn conclude(
        &self,
        built: &Built,
        builder: &Builder<'_>,
        written: Written,
        started: Instant,
        slice: Option<&Keys>,
    ) -> Result<Concluded> {
        failpoint("after_write")?;
        built.verdicts(builder).await?;
        built.rejects.judge()?;
        if self.is_empty(&written, &built.reached) {
            return Ok(Concluded::Nothing);
        }
        let cursors = self.cursors.receipts(&built.reached);
        let receipt = Receipt { cursors, ..self.receipt(written, started)? };
        let StageIdentity { load_id, attempt } = self.identity();
        let cursors = self.cursors.moves(&built.reached)?;
        let (task, slice, rejects) = (self.task.to_owned(), self.compared(slice), built.rejects.kept());
        let intent = Intent { load_id, attempt, task, receipt: receipt.clone(), cursors, slice, rejects };
        if let Turn::Later(why) = self.attempt.control.intend(&intent).await? {
            return Ok(Concluded::Later(why));
        }
        for (task, words) in built.rejects.words() {
            self.attempt.control.log(LogLevel::Warn, Some(task), &format!("{words}; they are set aside"));
        }
        failpoint("after_intent")?;
        Ok(Concluded::Commit(Box::new(receipt)))
    }

    /// The keys that no other slice of the backfill may have.
    fn compared(&self, slice: Option<&Keys>) -> Option<SliceKeys> {
        let slice = slice?;
        let compared = slice.taken(&self.target);
        if compared.is_none() {
            let message = format!(
                "the slice has too many keys for a comparison with other slices of its backfill: one that holds the same keys of {} would delete their rows",
                self.target
            );
            self.attempt.control.log(LogLevel::Warn, Some(self.task), &message);
        }
        compared
    }

    async fn commit(
        &self,
        context: &LoadContext,
        staged: Staged,
        receipt: Receipt,
        started: Instant,
    ) -> Result<Receipt> {
        let commit = self.sink.commit(context, staged).await?;
        failpoint("after_commit")?;
        match commit {
            Commit::Committed { version } => Ok(Receipt { version, ..receipt }),
            Commit::Adopted(taken) => self.adopt(&taken, started).await,
        }
    }

    /// The winner's intent is the truth about what the target holds.
    async fn adopt(&self, taken: &Taken, started: Instant) -> Result<Receipt> {
        let StageIdentity { load_id, .. } = self.identity();
        if taken.attempt == 0 {
            return Err(EngineError::canceled("the load was fenced in its target before this attempt could commit"));
        }
        let recorded = self.attempt.control.recorded_intent(load_id, taken.attempt).await?;
        let intent = recorded.ok_or_else(|| {
            EngineError::config(format!(
                "target {} holds a commit of load {load_id}, attempt {}, that the control plane does not know", self.target, taken.attempt
            ))
            .hint("the control plane's database may have been restored from a backup: compare the target with its source before you rerun")
        })?;
        let message = format!(
            "attempt {} of this load had committed: its commit is adopted, nothing is loaded twice",
            taken.attempt
        );
        self.attempt.control.log(LogLevel::Info, Some(self.task), &message);
        let duration_ms = millis(started).max(intent.receipt.duration_ms);
        Ok(Receipt { version: taken.version.clone(), adopted: true, duration_ms, ..intent.receipt })
    }

    fn receipt(&self, written: Written, started: Instant) -> Result<Receipt> {
        let job = self.attempt.job;
        let stage = super::find_stage(&job.plan, &job.stage)?;
        let counts = self.attempt.progress.counts();
        let handed = counts.get(self.task).map_or(0, |counts| counts.rows);
        if handed != written.rows {
            return Err(EngineError::bug(format!(
                "the sink of {} took {} of {handed} rows",
                self.target, written.rows
            )));
        }
        let StageIdentity { load_id, attempt } = self.identity();
        Ok(Receipt {
            task: self.task.to_owned(),
            load_id,
            attempt,
            target: self.target.clone(),
            mode: self.mode.to_string(),
            rows_read: rows_read(&job.plan, stage, self.attempt.progress),
            rows_written: written.rows,
            changes: written.changes,
            columns: written.columns,
            rows_rejected: counts.values().map(|counts| counts.rejected).sum(),
            bytes: written.bytes,
            files: written.files,
            version: None,
            duration_ms: millis(started),
            peak_memory: self.pool.peak(),
            cursors: Vec::new(),
            adopted: false,
        })
    }

    fn identity(&self) -> StageIdentity {
        StageIdentity { load_id: self.attempt.job.load_id, attempt: self.attempt.job.attempt }
    }

    fn context(&self, keys: AllKeys) -> LoadContext {
        let StageIdentity { load_id, attempt } = self.identity();
        LoadContext {
            load_id,
            attempt,
            task: self.task.to_owned(),
            predecessors: self.attempt.job.predecessors.clone(),
            marks: self.cursors.marks(),
            keys,
            memory: Arc::clone(self.pool),
            sessions: self.attempt.engine.sessions().clone(),
            progress: Arc::clone(self.attempt.progress),
            cancel: self.attempt.cancel.clone(),
            control: Arc::clone(self.attempt.control),
        }
    }
}

/// Modes that have each key once when everything is loaded again.
fn keeps_keys_once(mode: WriteMode) -> bool {
    matches!(mode, WriteMode::Upsert | WriteMode::InsertNew | WriteMode::Scd2)
}

/// What comes of the rows that are written.
enum Concluded {
    Commit(Box<Receipt>),
    Nothing,
    Later(String),
}

/// What the sink says it wrote.
struct Written {
    rows: u64,
    bytes: u64,
    files: u64,
    changes: Option<Changes>,
    columns: ColumnChanges,
}

struct StageIdentity {
    load_id: uuid::Uuid,
    attempt: i32,
}

fn millis(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
