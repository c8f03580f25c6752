//! When runs start by themselves: POSIX cron in a time zone, or a fixed period.
//!
//! docs/schedules.md explains to users what changes of the clock do; the rules are Vixie cron's. A cron expression without `*` in its
//! minute and hour names times of the day, and each happens exactly once on each of its days: one that the clock skips comes right
//! after the gap, one that exists twice comes the first time. With `*` it follows the clock: times that the clock skips are left out,
//! and those that exist twice come twice.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use cron::Cron;
use sha2::{Digest, Sha256};

use crate::spec::{Moment, Schedule};

mod expression;
mod problems;
mod slices;
mod words;

pub use problems::problems;
pub use slices::{Cut, Interval, Step, slices};
pub use words::in_words;

use expression::parse_cron;

/// The smallest step of a time: the control plane keeps microseconds.
const TICK: TimeDelta = TimeDelta::microseconds(1);

/// Longer than the longest distance between two days of any pattern, 29 February on a given weekday included.
const LONGEST_GAP: TimeDelta = TimeDelta::days(50 * 366);

/// The times at which a schedule fires, from the first to the last.
#[derive(Debug, Clone)]
pub struct Times {
    rule: Rule,
    start: Option<DateTime<Utc>>,
    end: Option<DateTime<Utc>>,
}

/// What repeats, without beginning or end.
#[derive(Debug, Clone)]
enum Rule {
    /// anchor + k × period, so that a late fire moves none of those after it.
    Every { anchor: DateTime<Utc>, period: TimeDelta },
    /// Cron in a zone.
    Cron { cron: Box<Cron>, zone: Tz },
}

impl Times {
    /// The times of a schedule, unless it is faulty. `every` counts from the schedule's `start`, and from `anchor` if it has none: then
    /// the first time is one period later.
    pub fn new(schedule: &Schedule, anchor: DateTime<Utc>) -> Option<Self> {
        let zone = zone(schedule)?;
        let known = |moment: Option<Moment>| moment.map_or(Some(None), |moment| instant(moment, zone).map(Some));
        let (start, end) = (known(schedule.start)?, known(schedule.end)?);
        let (rule, start) = match (&schedule.cron, schedule.every) {
            (Some(text), None) => (Rule::Cron { cron: Box::new(parse_cron(text).ok()?), zone }, start),
            (None, Some(period)) => {
                let period = TimeDelta::from_std(period).ok().filter(|period| *period > TimeDelta::zero())?;
                let first = start.map_or_else(|| anchor.checked_add_signed(period), Some)?;
                (Rule::Every { anchor: start.unwrap_or(anchor), period }, Some(first))
            }
            _ => return None,
        };
        Some(Self { rule, start, end })
    }

    /// The first time later than `last`; `None` if there is none.
    pub fn next_after(&self, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.start.map_or(last, |start| last.max(start - TICK));
        self.rule.next_after(last).filter(|next| self.end.is_none_or(|end| *next < end))
    }

    /// The times later than `last`, in their order.
    pub fn after(&self, last: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.next_after(last), |last| self.next_after(*last))
    }

    /// The latest `count` times later than `from` and not later than `until`, oldest first. What it costs depends on `count`, however
    /// far the two are apart.
    pub fn latest(&self, from: DateTime<Utc>, until: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        let mut back = TimeDelta::try_seconds(i64::try_from(count).unwrap_or(i64::MAX)).unwrap_or(TimeDelta::MAX);
        loop {
            let begin = until.checked_sub_signed(back).unwrap_or(from).max(from);
            let mut times: Vec<_> = self.after(begin).take_while(|time| *time <= until).collect();
            if begin == from || times.len() >= count {
                return times.split_off(times.len().saturating_sub(count));
            }
            back = back.checked_mul(2).unwrap_or(TimeDelta::MAX);
        }
    }

    /// The data interval of the run of a time: from the time before it, which may be before `start`, up to it.
    pub fn interval(&self, at: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        Some((self.rule.last_before(at)?, at))
    }
}

impl Rule {
    fn next_after(&self, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Every { anchor, period } => {
                let period = period.num_microseconds()?;
                let steps = (last - anchor).num_microseconds()?.div_euclid(period).checked_add(1)?;
                anchor.checked_add_signed(TimeDelta::microseconds(period.checked_mul(steps)?))
            }
            Self::Cron { cron, zone } if names_times(cron) => next_named(cron, *zone, last),
            Self::Cron { cron, zone } => next_on_the_clock(cron, *zone, last),
        }
    }

    /// Cron is searched forwards only: from further and further back, and then on to the last time before `at`.
    fn last_before(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if let Self::Every { period, .. } = self {
            return at.checked_sub_signed(*period);
        }
        let mut back = TimeDelta::minutes(1);
        while back < LONGEST_GAP {
            let found = self.next_after(at.checked_sub_signed(back)?).filter(|time| *time < at);
            if found.is_some() {
                return std::iter::successors(found, |time| self.next_after(*time).filter(|next| *next < at)).last();
            }
            back = back * 2;
        }
        None
    }
}

/// Whether an expression names times of the day and does not follow the clock.
fn names_times(cron: &Cron) -> bool {
    !cron.pattern.minutes.from_wildcard && !cron.pattern.hours.from_wildcard
}

/// Named times are found on a calendar without changes of the clock and then given the instant at which the clock shows them first.
fn next_named(cron: &Cron, zone: Tz, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut local = last.with_timezone(&zone).naive_local();
    loop {
        local = cron.find_next_occurrence(&local, false).ok()?;
        let next = first_instant(local, zone)?;
        if next > last {
            return Some(next);
        }
    }
}

fn next_on_the_clock(cron: &Cron, zone: Tz, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut from = last.with_timezone(&zone);
    // A minute that exists twice may be answered with its first instant: step on until time really advances.
    for _ in 0..8 {
        let next = cron.find_next_occurrence(&from, false).ok()?;
        if next.to_utc() > last {
            return Some(next.to_utc());
        }
        from += TimeDelta::minutes(30);
    }
    None
}

/// When the clocks of a zone show a local time first; right after the gap if they never do.
fn first_instant(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    /// Zones that moved across the date line skipped a whole day.
    const LONGEST_SKIP: i64 = 24 * 60;
    (0..=LONGEST_SKIP).find_map(|minutes| {
        let local = local.checked_add_signed(TimeDelta::minutes(minutes))?;
        zone.from_local_datetime(&local).earliest().map(|time| time.to_utc())
    })
}

/// The zone that a schedule counts in, unless there is none of its name.
pub fn zone(schedule: &Schedule) -> Option<Tz> {
    schedule.timezone.as_deref().map_or(Some(Tz::UTC), |name| Tz::from_str(name).ok())
}

/// The instant that a moment means in a zone.
pub fn instant(moment: Moment, zone: Tz) -> Option<DateTime<Utc>> {
    match moment {
        Moment::Date(date) => first_instant(date.and_time(NaiveTime::MIN), zone),
        Moment::Instant(time) => Some(time.to_utc()),
    }
}

/// How much later than its fire times a pipeline's runs start: less than the schedule's `jitter`, and always the same, so that runs
/// stay as far apart as their times.
pub fn offset(schedule: &Schedule, pipeline: &str) -> TimeDelta {
    let jitter = schedule.jitter.and_then(|jitter| u64::try_from(jitter.as_millis()).ok()).unwrap_or(0);
    let hash = Sha256::digest(pipeline.as_bytes());
    let number = hash.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    let millis = number.checked_rem(jitter).and_then(|millis| i64::try_from(millis).ok()).unwrap_or(0);
    TimeDelta::try_milliseconds(millis).unwrap_or_default()
}

#[cfg(test)]
mod tests;
