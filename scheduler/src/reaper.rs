//! The reaper: gives up workers that have gone silent.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use headwater_store::{Store, Watched, WorkerBeat};
use uuid::Uuid;

/// Observations further apart than this many of the usual pauses say nothing: the reaper itself, or the database, was away.
const LARGEST_GAP: u32 = 3;

/// Trusts only what it has watched: a worker is lost once the SAME beat was seen for that worker's lease time on the reaper's own monotonic
/// clock. The database's clock plays no part, so a jump of it, or a pause of the database, does not lose every lease at once. A worker of this machine is lost
/// as soon as its process has ended: a process that is started again and again would never watch for long enough.
#[derive(Debug)]
pub struct Reaper {
    pause: Duration,
    seen: HashMap<Uuid, Observation>,
    last_look: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Observation {
    beat: WorkerBeat,
    since: Instant,
}

impl Reaper {
    /// A reaper that has seen nothing yet, and looks with such pauses.
    pub fn new(pause: Duration) -> Self {
        Self { pause, seen: HashMap::new(), last_look: None }
    }

    /// Looks once, at the given time, and gives up the workers that have been silent for too long. After a look that failed, or a
    /// pause, observations start anew: a database that was away has kept the workers from beating. Answers with the number of
    /// workers given up.
    pub async fn look(&mut self, store: &Store, now: Instant) -> headwater_store::Result<usize> {
        let watched = match store.watched_workers().await {
            Ok(watched) => watched,
            Err(error) => {
                self.forget();
                return Err(error);
            }
        };
        let (gone, others): (Vec<Watched>, Vec<Watched>) = watched.into_iter().partition(|worker| worker.is_gone);
        let others: Vec<WorkerBeat> = others.iter().map(|worker| worker.beat).collect();
        let gone = gone.into_iter().map(|worker| (worker.beat, "the worker's process has ended"));
        let silent = self.observe(&others, now).into_iter().map(|beat| (beat, "worker went silent"));
        let mut lost = 0;
        for (beat, why) in gone.chain(silent).collect::<Vec<_>>() {
            if let Some(attempts) = store.lose_worker(beat).await? {
                tracing::warn!(worker = %beat.id, attempts, "{why}; its attempts are given up");
                lost += 1;
            }
            self.seen.remove(&beat.id);
        }
        Ok(lost)
    }

    fn forget(&mut self) {
        self.seen.clear();
        self.last_look = None;
    }

    /// Takes a look's beats in, and answers with those that have stood still for the lease time.
    fn observe(&mut self, beats: &[WorkerBeat], now: Instant) -> Vec<WorkerBeat> {
        if self.last_look.is_some_and(|last| now.saturating_duration_since(last) > self.pause * LARGEST_GAP) {
            self.seen.clear();
        }
        self.last_look = Some(now);
        self.seen.retain(|id, _| beats.iter().any(|beat| beat.id == *id));
        let mut silent = Vec::new();
        for beat in beats {
            let observation = self.seen.entry(beat.id).or_insert(Observation { beat: *beat, since: now });
            if observation.beat != *beat {
                *observation = Observation { beat: *beat, since: now };
            } else if now.saturating_duration_since(observation.since) >= lease_time(beat) {
                silent.push(*beat);
            }
        }
        silent
    }
}

fn lease_time(worker: &WorkerBeat) -> Duration {
    Duration::from_millis(u64::try_from(worker.lease_time_ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn beat(number: i64) -> WorkerBeat {
        WorkerBeat { id: Uuid::nil(), beat: number, lease_time_ms: 30_000 }
    }

    /// Looks every five seconds on a clock that the test moves.
    fn look_at(
        reaper: &mut Reaper,
        start: Instant,
        seconds: std::ops::RangeInclusive<u64>,
        number: i64,
    ) -> Vec<WorkerBeat> {
        let mut silent = Vec::new();
        for second in seconds.step_by(5) {
            silent = reaper.observe(&[beat(number)], start + Duration::from_secs(second));
        }
        silent
    }

    #[test]
    fn a_worker_is_lost_only_after_the_same_beat_for_one_lease_time() {
        let (mut reaper, start) = (Reaper::new(PAUSE), Instant::now());
        assert!(look_at(&mut reaper, start, 0..=25, 7).is_empty());
        assert_eq!(look_at(&mut reaper, start, 30..=30, 7), [beat(7)]);
    }

    #[test]
    fn a_worker_is_given_its_own_lease_time_whatever_the_others_have() {
        let (mut reaper, start) = (Reaper::new(PAUSE), Instant::now());
        let patient = WorkerBeat { id: Uuid::max(), lease_time_ms: 60_000, ..beat(7) };
        let mut lost = Vec::new();
        for second in (0..=60).step_by(5) {
            lost.push(reaper.observe(&[beat(7), patient], start + Duration::from_secs(second)));
        }
        assert_eq!(lost[6], [beat(7)]);
        assert!(lost[..6].iter().all(Vec::is_empty));
        assert!(lost[12].contains(&patient) && lost[..12].iter().all(|lost| !lost.contains(&patient)));
    }

    #[test]
    fn a_beat_starts_the_time_anew() {
        let (mut reaper, start) = (Reaper::new(PAUSE), Instant::now());
        assert!(look_at(&mut reaper, start, 0..=25, 7).is_empty());
        assert!(look_at(&mut reaper, start, 30..=55, 8).is_empty());
        assert_eq!(look_at(&mut reaper, start, 60..=60, 8), [beat(8)]);
    }

    #[test]
    fn a_reaper_that_was_away_has_watched_nothing() {
        let (mut reaper, start) = (Reaper::new(PAUSE), Instant::now());
        assert!(look_at(&mut reaper, start, 0..=5, 7).is_empty());
        assert!(look_at(&mut reaper, start, 3600..=3625, 7).is_empty());
        assert_eq!(look_at(&mut reaper, start, 3630..=3630, 7), [beat(7)]);
    }

    #[test]
    fn a_worker_that_took_leave_is_forgotten() {
        let (mut reaper, start) = (Reaper::new(PAUSE), Instant::now());
        look_at(&mut reaper, start, 0..=25, 7);
        assert!(reaper.observe(&[], start + Duration::from_secs(30)).is_empty());
        assert!(reaper.observe(&[beat(7)], start + Duration::from_secs(35)).is_empty());
    }
}
