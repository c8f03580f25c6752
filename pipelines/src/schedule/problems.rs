//! What is wrong with a schedule.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::expression::parse_cron;
use super::{Times, instant, zone};
use crate::diagnostic::{Code, Finding, nearest_hint};
use crate::duration;
use crate::spec::{Catchup, Moment, Overlap, Schedule};

/// Shorter periods are refused: a fire is a transaction.
const MIN_PERIOD: Duration = Duration::from_secs(1);

/// Caps of runs: all that are caught up are made in one transaction.
const CAPS: RangeInclusive<u32> = 1..=1_000;

/// Every finding with the field it is about.
pub fn problems(schedule: &Schedule) -> Vec<(&'static str, Finding)> {
    let mut found = Problems(Vec::new());
    found.rule(schedule);
    found.timezone(schedule);
    found.caps(schedule);
    found.times(schedule);
    found.0
}

struct Problems(Vec<(&'static str, Finding)>);

impl Problems {
    fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push((field, Finding::error(Code::BadSchedule, message)));
    }

    fn rule(&mut self, schedule: &Schedule) {
        match (&schedule.cron, schedule.every) {
            (Some(_), Some(_)) => self.add("every", "a schedule has `cron` or `every`, not both"),
            (None, None) => self.add("cron", "a schedule needs `cron` or `every`"),
            (Some(text), None) => {
                if let Err(message) = parse_cron(text) {
                    self.add("cron", message);
                }
            }
            (None, Some(period)) if period < MIN_PERIOD => self.add("every", "the shortest period is 1s"),
            (None, Some(_)) => {}
        }
    }

    fn timezone(&mut self, schedule: &Schedule) {
        let Some(name) = &schedule.timezone else { return };
        if Tz::from_str(name).is_err() {
            let hint = nearest_hint(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            let hint = hint
                .filter(|hint| hint.starts_with("did you mean"))
                .unwrap_or_else(|| "use an IANA name such as Europe/Berlin".to_owned());
            self.add("timezone", format!("there is no time zone '{name}'; {hint}"));
        }
        let dated = [schedule.start, schedule.end].iter().any(|moment| matches!(moment, Some(Moment::Date(_))));
        if schedule.cron.is_none() && schedule.every.is_some() && !dated {
            self.add("timezone", "a time zone has a meaning only with `cron`, or with a date as `start` or `end`");
        }
    }

    fn caps(&mut self, schedule: &Schedule) {
        let caps = [
            ("max_catchup", schedule.max_catchup, schedule.catchup == Catchup::All, "catchup: all"),
            ("max_queued", schedule.max_queued, schedule.overlap == Overlap::Queue, "overlap: queue"),
        ];
        for (field, cap, has_meaning, with) in caps {
            match cap {
                Some(cap) if !CAPS.contains(&cap) => {
                    self.add(field, format!("'{field}' is {cap}; it can be {} to {}", CAPS.start(), CAPS.end()));
                }
                Some(_) if !has_meaning => self.add(field, format!("'{field}' has a meaning only with `{with}`")),
                _ => {}
            }
        }
        let lost = match schedule.overlap {
            Overlap::Skip => "only the first missed fire runs: it is not finished when the others come",
            Overlap::CancelRunning => "only the last missed fire runs: each one cancels the run before it",
            Overlap::Queue | Overlap::Allow => return,
        };
        if schedule.catchup == Catchup::All {
            let finding = Finding::warning(Code::BadSchedule, format!("with `catchup: all` and this overlap {lost}"));
            self.0.push(("catchup", finding.hint("add overlap: queue or overlap: allow")));
        }
    }

    fn times(&mut self, schedule: &Schedule) {
        // Any time would do; patterns repeat. Without a rule that can be read there is nothing more to judge.
        let reference = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let unbounded = Schedule { start: None, end: None, ..schedule.clone() };
        let Some(times) = Times::new(&unbounded, reference) else { return };
        if times.next_after(reference).is_none() {
            let text = schedule.cron.as_deref().unwrap_or_default();
            return self.add("cron", format!("'{text}' names a day that no year has, so it never fires"));
        }
        if let Some(jitter) = schedule.jitter
            && let Some(gap) = shortest_gap(&times, reference)
            && jitter >= gap
        {
            let (jitter, gap) = (duration::format(jitter), duration::format(gap));
            self.add("jitter", format!("'jitter' is {jitter}, and two fires are only {gap} apart; it must be shorter"));
        }
        self.bounds(schedule);
    }

    fn bounds(&mut self, schedule: &Schedule) {
        let (Some(start), Some(end), Some(zone)) = (schedule.start, schedule.end, zone(schedule)) else { return };
        let (Some(first), Some(last)) = (instant(start, zone), instant(end, zone)) else { return };
        if last <= first {
            self.add("end", format!("'end' ({end}) is not later than 'start' ({start})"));
        } else if Times::new(schedule, first)
            .is_some_and(|times| times.next_after(first - TimeDelta::days(1)).is_none())
        {
            self.add("end", format!("the schedule has no time from {start} until {end}"));
        }
    }
}

/// The shortest distance between two times: patterns show it within two months, or within so many times.
fn shortest_gap(times: &Times, from: DateTime<Utc>) -> Option<Duration> {
    const TIMES: usize = 500;
    let until = from + TimeDelta::days(62);
    let sample: Vec<_> = times.after(from).take(TIMES).take_while(|time| *time < until).collect();
    sample.windows(2).filter_map(|pair| (pair[1] - pair[0]).to_std().ok()).min()
}
