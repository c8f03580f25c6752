//! The reaper: gives up workers that have gone silent.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use headwater_store::{Store, WorkerBeat};
use uuid::Uuid;

/// Observations further apart than this share of the lease time say nothing: the reaper itself, or the database, was away.
const LARGEST_GAP: f64 = 0.5;

/// Trusts only what it has watched: a worker is lost once the SAME beat was seen for one lease time on the reaper's own monotonic
/// clock. The database's clock plays no part, so a jump of it, or a pause of the database, does not lose every lease at once.
#[derive(Debug)]
pub struct Reaper {
    lease_time: Duration,
    seen: HashMap<Uuid, Observation>,
    last_look: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Observation {
    beat: WorkerBeat,
    since: Instant,
}

impl Reaper {
    /// A reaper that has seen nothing yet.
    pub fn new(lease_time: Duration) -> Self {
        Self { lease_time, seen: HashMap::new(), last_look: None }
    }

    /// Looks once, at the given time, and gives up the workers that have been silent for too long. After a look that failed, or a
    /// pause, observations start anew: a database that was away has kept the workers from beating. Answers with the number of
    /// workers given up.
    pub async fn look(&mut self, store: &Store, now: Instant) -> headwater_store::Result<usize> {
        let beats = match store.worker_beats().await {
            Ok(beats) => beats,
            Err(error) => {
                self.forget();
                return Err(error);
            }
        };
        let mut lost = 0;
        for beat in self.observe(&beats, now) {
            if let Some(attempts) = store.lose_worker(beat).await? {
                tracing::warn!(worker = %beat.id, attempts, "worker went silent; its attempts are given up");
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
        if self.last_look.is_some_and(|last| now.saturating_duration_since(last) > self.lease_time.mul_f64(LARGEST_GAP))
        {
            self.seen.clear();
        }
        self.last_look = Some(now);
        self.seen.retain(|id, _| beats.iter().any(|beat| beat.id == *id));
        let mut silent = Vec::new();
        for beat in beats {
            let observation = self.seen.entry(beat.id).or_insert(Observation { beat: *beat, since: now });
            if observation.beat != *beat {
                *observation = Observation { beat: *beat, since: now };
            } else if now.saturating_duration_since(observation.since) >= self.lease_time {
                silent.push(*beat);
            }
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn beat(number: i64) -> WorkerBeat {
        WorkerBeat { id: Uuid::nil(), beat: number }
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
        let (mut reaper, start) = (Reaper::new(LEASE), Instant::now());
        assert!(look_at(&mut reaper, start, 0..=25, 7).is_empty());
        assert_eq!(look_at(&mut reaper, start, 30..=30, 7), [beat(7)]);
    }

    #[test]
    fn a_beat_starts_the_time_anew() {
        let (mut reaper, start) = (Reaper::new(LEASE), Instant::now());
        assert!(look_at(&mut reaper, start, 0..=25, 7).is_empty());
        assert!(look_at(&mut reaper, start, 30..=55, 8).is_empty());
        assert_eq!(look_at(&mut reaper, start, 60..=60, 8), [beat(8)]);
    }

    #[test]
    fn a_reaper_that_was_away_has_watched_nothing() {
        let (mut reaper, start) = (Reaper::new(LEASE), Instant::now());
        assert!(look_at(&mut reaper, start, 0..=5, 7).is_empty());
        assert!(look_at(&mut reaper, start, 3600..=3625, 7).is_empty());
        assert_eq!(look_at(&mut reaper, start, 3630..=3630, 7), [beat(7)]);
    }

    #[test]
    fn a_worker_that_took_leave_is_forgotten() {
        let (mut reaper, start) = (Reaper::new(LEASE), Instant::now());
        look_at(&mut reaper, start, 0..=25, 7);
        assert!(reaper.observe(&[], start + Duration::from_secs(30)).is_empty());
        assert!(reaper.observe(&[beat(7)], start + Duration::from_secs(35)).is_empty());
    }
}
