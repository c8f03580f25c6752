//! The cursors of a load: where its extracts go on, and what its commit moves.
//!
//! The control plane holds a cursor for one attempt at a time and hands out its position. The target remembers how often the cursor has moved, in the same commit
//! as the rows. If the two disagree, one of them was restored or made anew, and nothing is loaded.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use headwater_pipelines::plan::{Cursor, ExtractSource, Plan, Stage, TaskPath, Work};
use headwater_pipelines::spec::AUTO_CURSOR;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Attempt;
use crate::connector::{CursorRequest, Mark, Position, Reading, Sink};
use crate::control::{CursorKey, CursorMove, CursorState, Turn};
use crate::error::{EngineError, ErrorKind, Result};
use crate::receipt::CursorReceipt;

/// The first pause of an attempt that waits for its turn; each further attempt pauses twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How often the pause doubles: up to 32 s.
const DOUBLINGS: u32 = 7;

/// How long an attempt waits for its turn.
pub(super) fn pause(attempt: i32) -> Duration {
    let earlier = u32::try_from(attempt.saturating_sub(1)).unwrap_or_default();
    FIRST_PAUSE * 2u32.pow(earlier.min(DOUBLINGS))
}

/// Where the extracts of a load go on.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    states: BTreeMap<TaskPath, CursorState>,
    marks: Vec<Mark>,
    /// Set if a backfill reads the rows of an interval. Its loads take turns with those that follow the cursors, and move none: else a row that was
    /// read before it changed might replace the row that a later load has brought.
    within: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether the load merges rows by keys.
    by_keys: bool,
    /// When the keys of each extract's source were last scanned.
    scanned: BTreeMap<TaskPath, DateTime<Utc>>,
    /// When this load has begun to scan them, if a later one is to know.
    scans: Option<DateTime<Utc>>,
    /// Rows that are wanted at a time.
    most: Option<u64>,
}

/// Where the document of a position remembers when the keys of its source were scanned. The source never sees it.
const SCANNED: &str = "_keys_scanned";

impl Cursors {
    /// Takes the cursors of a stage for this attempt. Another load of theirs may come first.
    pub(super) async fn take(attempt: &Attempt<'_>, stage: &Stage, target: &str) -> Result<Turn<Self>> {
        let plan = &attempt.job.plan;
        let extracts = cursored(plan, stage);
        if extracts.is_empty() {
            return Ok(Turn::Now(Self::default()));
        }
        let by_keys = merges_by_keys(plan, stage);
        let params = parameters(attempt, stage);
        let key = |(_, source, cursor): &(TaskPath, &ExtractSource, &Cursor)| CursorKey {
            source: name_of(source),
            column: cursor.column.clone().unwrap_or_else(|| AUTO_CURSOR.to_owned()),
            target: target.to_owned(),
            params: params.clone(),
        };
        let keys: Vec<CursorKey> = extracts.iter().map(key).collect();
        let mut states = match attempt.control.cursors(attempt.job.load_id, &keys).await? {
            Turn::Now(states) => states,
            Turn::Later(why) => return Ok(Turn::Later(why)),
        };
        let tasks: Vec<TaskPath> = extracts.into_iter().map(|(task, ..)| task).collect();
        let scanned = tasks.iter().zip(&mut states);
        let scanned = scanned.filter_map(|(task, state)| Some((task.clone(), take_scanned(state.position.as_mut()?)?)));
        let scanned: BTreeMap<TaskPath, DateTime<Utc>> = scanned.collect();
        let tasks = tasks.into_iter();
        let run = &attempt.job.run;
        if run.backfill {
            let within = run.interval_start.zip(run.interval_end);
            let within = within.ok_or_else(|| EngineError::bug("a backfill has no data interval"))?;
            let states = tasks.zip(states).collect();
            return Ok(Turn::Now(Self { states, within: Some(within), by_keys, ..Self::default() }));
        }
        let most = attempt.batch.map(|batch| batch.rows);
        Ok(Turn::Now(Self { states: tasks.zip(states).collect(), by_keys, scanned, most, ..Self::default() }))
    }

    /// Asks the target whether it is where the cursors are.
    pub(super) async fn compare(&mut self, sink: &dyn Sink, target: &str) -> Result<()> {
        if self.within.is_some() || self.states.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = self.states.values().map(|state| state.id).collect();
        if let Some(found) = sink.generations(&ids).await? {
            self.marks = self.states.values().map(|state| mark(state, &found, target)).collect::<Result<_>>()?;
        }
        Ok(())
    }

    /// The load of a batch: that of the stage run, as it goes on from here. All attempts at one batch have the same.
    pub(super) fn load_id(&self, stage_run: Uuid) -> Uuid {
        let mut place = Sha256::new_with_prefix(stage_run.as_bytes());
        for state in self.states.values() {
            place.update(state.id.as_bytes());
            place.update(state.generation.to_be_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&place.finalize()[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// What the target has to remember.
    pub(super) fn marks(&self) -> Vec<Mark> {
        self.marks.clone()
    }

    /// Whether the load replaces what its target holds.
    pub(super) fn is_refresh(&self) -> bool {
        self.within.is_none() && self.states.values().any(|state| state.refresh)
    }

    /// Whether all extracts go on behind a position and no scan of keys is to be remembered, so that a load that changes nothing has nothing to commit.
    pub(super) fn go_on(&self) -> bool {
        self.within.is_none()
            && !self.is_refresh()
            && self.scans.is_none()
            && !self.states.is_empty()
            && self.states.values().all(|state| state.position.is_some())
    }

    /// Whether a scan of all keys is due, which begins now: if the last one of a source is so long ago, or there was none. A backfill and a load that
    /// replaces its target have none. If each load has one, none is remembered: a load that finds nothing would commit only to say so.
    pub(super) fn begin_scan(&mut self, every: Duration) -> bool {
        let now = Utc::now();
        let is_due = |task: &TaskPath| match self.scanned.get(task) {
            // A clock that was set back must not put the scan off.
            Some(last) => (now - *last).abs().to_std().is_ok_and(|since| since >= every),
            None => true,
        };
        let is_followed = self.within.is_none() && !self.is_refresh();
        let is_due = is_followed && self.states.keys().any(is_due);
        self.scans = (is_due && !every.is_zero()).then_some(now);
        is_due
    }

    /// The extracts that are read by cursors.
    pub(super) fn extracts(&self) -> impl Iterator<Item = &TaskPath> {
        self.states.keys()
    }

    /// What an extract asks its source for.
    pub(super) fn request(&self, task: &TaskPath, cursor: &Cursor) -> Result<CursorRequest> {
        let state = self.states.get(task).ok_or_else(|| {
            EngineError::bug(format!("the cursor of '{task}' was not opened: it is not read by a load"))
        })?;
        let reading = match self.within {
            Some((from, to)) => Reading::Within(from, to),
            None => Reading::After(if state.refresh { None } else { state.position.clone() }),
        };
        Ok(CursorRequest { cursor: cursor.clone(), reading, by_keys: self.by_keys, most: self.most })
    }

    /// What the commit moves.
    pub(super) fn moves(&self, reached: &BTreeMap<TaskPath, Position>) -> Result<Vec<CursorMove>> {
        if self.within.is_some() {
            return Ok(Vec::new());
        }
        let moved = self.states.iter().map(|(task, state)| {
            let position = reached
                .get(task)
                .ok_or_else(|| EngineError::bug(format!("the source of '{task}' did not say how far it was read")))?;
            let mark = self.marks.iter().find(|mark| mark.id == state.id);
            Ok(CursorMove {
                id: state.id,
                generation: state.generation,
                to_generation: mark.map_or(state.generation + 1, |mark| mark.to),
                position: with_scanned(position.to.clone(), self.scans.or_else(|| self.scanned.get(task).copied())),
                shown: position.shown.clone(),
            })
        });
        moved.collect()
    }

    /// The same for the receipt.
    pub(super) fn receipts(&self, reached: &BTreeMap<TaskPath, Position>) -> Vec<CursorReceipt> {
        let receipt = |(task, state): (&TaskPath, &CursorState)| {
            let from = if state.refresh { None } else { state.shown.clone() };
            Some(CursorReceipt { task: task.to_string(), from, to: reached.get(task)?.shown.clone() })
        };
        self.states.iter().filter_map(receipt).collect()
    }
}

/// Takes the time of the last scan out of a position.
fn take_scanned(position: &mut Value) -> Option<DateTime<Utc>> {
    let scanned = position.as_object_mut()?.remove(SCANNED)?;
    scanned.as_str()?.parse().ok()
}

/// A position with the time of the last scan.
fn with_scanned(mut position: Value, scanned: Option<DateTime<Utc>>) -> Value {
    if let (Some(fields), Some(scanned)) = (position.as_object_mut(), scanned) {
        fields.insert(SCANNED.to_owned(), Value::String(scanned.to_rfc3339()));
    }
    position
}

/// Whether the load of a stage merges rows by keys.
fn merges_by_keys(plan: &Plan, stage: &Stage) -> bool {
    let merges = |work: &Work| matches!(work, Work::Load { mode, .. } if mode.is_keyed());
    stage.tasks.iter().filter_map(|task| plan.tasks.get(task)).any(|task| merges(&task.work))
}

/// The extracts of a stage that have cursors.
fn cursored<'a>(plan: &'a Plan, stage: &Stage) -> Vec<(TaskPath, &'a ExtractSource, &'a Cursor)> {
    let works = stage.tasks.iter().filter_map(|task| Some((task, &plan.tasks.get(task)?.work)));
    let cursored = works.filter_map(|(task, work)| match work {
        Work::Extract { source, cursor: Some(cursor), .. } => Some((task.clone(), source, cursor)),
        _ => None,
    });
    cursored.collect()
}

/// Values of the parameters on which the rows depend, in the order of their names.
fn parameters(attempt: &Attempt<'_>, stage: &Stage) -> String {
    let plan = &attempt.job.plan;
    let value = |name: &String| {
        let given = attempt.job.run.params.get(name).or_else(|| plan.params.get(name)?.default.as_ref());
        given.cloned().unwrap_or(Value::Null)
    };
    let values: Map<String, Value> =
        plan.parameters_of(stage).into_iter().map(|name| (name.clone(), value(&name))).collect();
    Value::Object(values).to_string()
}

fn name_of(source: &ExtractSource) -> String {
    match source {
        ExtractSource::Table(table) => table.to_string(),
        ExtractSource::Query { connection, query } => format!("{connection}: {query}"),
    }
}

fn mark(state: &CursorState, found: &BTreeMap<Uuid, i64>, target: &str) -> Result<Mark> {
    let found = found.get(&state.id).copied();
    let goes_on = state.position.is_some() && !state.refresh;
    let mark = Mark {
        id: state.id,
        from: goes_on.then_some(state.generation),
        to: found.unwrap_or_default().max(state.generation) + 1,
    };
    match mark.check(found, target) {
        Err(error) if error.kind == ErrorKind::Transient => Err(EngineError::config(format!(
            "{target} holds rows behind the position that the control plane knows of the cursor"
        ))
        .hint("the control plane's database may have been restored from a backup; load everything again: headwater run NAME --full-refresh")),
        checked => checked.map(|()| mark),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_position_remembers_the_last_scan_and_its_source_does_not_see_it() {
        let at: DateTime<Utc> = "2026-11-27T10:00:00.123456Z".parse().unwrap();
        let mut position = with_scanned(serde_json::json!({ "value": 7 }), Some(at));
        assert_eq!(take_scanned(&mut position), Some(at));
        assert_eq!(position, serde_json::json!({ "value": 7 }));
        assert_eq!(take_scanned(&mut position), None);
        assert_eq!(with_scanned(position.clone(), None), position);
    }

    #[test]
    fn a_scan_is_due_if_there_was_none_or_long_ago() {
        let state = CursorState { id: Uuid::nil(), generation: 1, position: None, shown: None, refresh: false };
        let went_on = CursorState { position: Some(Value::Null), ..state.clone() };
        let states: BTreeMap<TaskPath, CursorState> = [("orders".into(), state)].into();
        let day = Duration::from_secs(24 * 3600);
        let due = |hours: Option<i64>, every: Duration| {
            let at = |hours: i64| ("orders".into(), Utc::now() - chrono::Duration::hours(hours));
            let scanned = hours.map(at).into_iter().collect();
            Cursors { states: states.clone(), scanned, ..Cursors::default() }.begin_scan(every)
        };
        assert!(due(None, day) && due(Some(25), day) && due(Some(-25), day) && due(Some(0), Duration::ZERO));
        assert!(!due(Some(23), day) && !due(Some(-1), day));
        for (every, commits) in [(Duration::ZERO, false), (day, true)] {
            let states = [("orders".into(), went_on.clone())].into();
            let mut cursors = Cursors { states, ..Cursors::default() };
            assert!(cursors.begin_scan(every));
            assert_eq!(!cursors.go_on(), commits, "{every:?}");
        }
        let now = Utc::now();
        assert!(!Cursors { states, within: Some((now, now)), ..Cursors::default() }.begin_scan(day));
    }

    #[test]
    fn the_pause_of_an_attempt_that_waits_grows_and_ends_growing() {
        let pauses: Vec<u128> = [1, 2, 3, 8, 9, 1_000].map(|attempt| pause(attempt).as_millis()).into();
        assert_eq!(pauses, [250, 500, 1_000, 32_000, 32_000, 32_000]);
    }
}
