//! Whether two schedules say the same.

use chrono::{DateTime, TimeDelta, Utc};
use headwater_pipelines::schedule::Times;
use headwater_pipelines::spec::Schedule;

use super::case::ScheduleCase;

/// Fires that are compared.
const FIRES: usize = 50;

/// What is different about a draft's schedule, if anything is.
pub(super) fn difference(expected: Option<&ScheduleCase>, found: Option<&Schedule>) -> Option<String> {
    match (expected, found) {
        (None | Some(ScheduleCase::Word(_)), None) => None,
        (None | Some(ScheduleCase::Word(_)), Some(_)) => Some("nobody asked for its schedule".to_owned()),
        (Some(ScheduleCase::Times(_)), None) => Some("it has no schedule".to_owned()),
        (Some(ScheduleCase::Times(expected)), Some(found)) if same(expected, found) => None,
        (Some(ScheduleCase::Times(expected)), Some(found)) => {
            Some(format!("its schedule is {} instead of {}", words(found), words(expected)))
        }
    }
}

fn words(schedule: &Schedule) -> String {
    headwater_pipelines::schedule::in_words(schedule)
}

/// Equal by the next fires; a fixed period by the period alone.
fn same(expected: &Schedule, found: &Schedule) -> bool {
    if is_period(expected) {
        return period(expected).is_some_and(|wanted| period(found) == Some(wanted));
    }
    // One of the two lists crosses a change of the clock, whatever the zone.
    ["2026-03-01T00:00:00Z", "2026-03-27T00:00:00Z"].iter().all(|from| {
        let from = from.parse::<DateTime<Utc>>().unwrap_or_default();
        let (expected, found) = (fires(expected, from), fires(found, from));
        expected.is_some() && expected == found
    })
}

/// Whether it repeats without a time of the day: `every`, or cron whose hour is `*`.
fn is_period(schedule: &Schedule) -> bool {
    let hour = schedule.cron.as_deref().and_then(|cron| cron.split_whitespace().nth(1));
    schedule.every.is_some() || hour.is_some_and(|hour| hour.starts_with('*')) && period(schedule).is_some()
}

/// The distance between its fires, if it is always the same.
fn period(schedule: &Schedule) -> Option<TimeDelta> {
    if let Some(every) = schedule.every {
        return TimeDelta::from_std(every).ok();
    }
    // January has no change of the clock.
    let fires = fires(schedule, "2026-01-05T00:00:00Z".parse().ok()?)?;
    let mut distances = fires.windows(2).map(|pair| pair[1] - pair[0]);
    let first = distances.next()?;
    distances.all(|distance| distance == first).then_some(first)
}

fn fires(schedule: &Schedule, from: DateTime<Utc>) -> Option<Vec<DateTime<Utc>>> {
    Some(Times::new(schedule, from)?.after(from).take(FIRES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str, zone: &str) -> Schedule {
        Schedule { cron: Some(text.to_owned()), timezone: Some(zone.to_owned()), ..Schedule::default() }
    }

    fn every(seconds: u64) -> Schedule {
        Schedule { every: Some(std::time::Duration::from_secs(seconds)), ..Schedule::default() }
    }

    #[test]
    fn a_cron_is_equal_by_its_fires_however_it_is_written() {
        assert!(same(&cron("30 6 * * *", "Europe/Berlin"), &cron("30 06 * * 0-6", "Europe/Berlin")));
        assert!(same(&cron("0 7,19 * * 1-5", "UTC"), &cron("0 7,19 * * mon-fri", "UTC")));
        assert!(!same(&cron("30 6 * * *", "Europe/Berlin"), &cron("30 6 * * *", "UTC")));
        assert!(!same(&cron("30 6 * * *", "Europe/London"), &cron("30 6 * * *", "UTC")), "they differ in summer");
        assert!(!same(&cron("0 7,19 * * *", "UTC"), &cron("0 8,20 * * *", "UTC")));
    }

    #[test]
    fn a_fixed_period_is_equal_by_the_period_alone() {
        assert!(same(&every(900), &cron("*/15 * * * *", "Europe/Berlin")));
        assert!(same(&cron("*/15 * * * *", "UTC"), &every(900)));
        assert!(same(&every(3600), &cron("5 * * * *", "UTC")));
        assert!(same(&every(21_600), &cron("0 */6 * * *", "UTC")));
        assert!(!same(&every(900), &every(600)));
        assert!(!same(&every(21_600), &cron("0 6 * * *", "UTC")));
    }

    #[test]
    fn a_time_of_the_day_is_no_period() {
        assert!(!same(&cron("0 6 * * *", "UTC"), &every(86_400)));
        assert!(!same(&cron("0 6 * * *", "UTC"), &cron("0 7 * * *", "UTC")));
    }

    #[test]
    fn none_means_that_there_is_none() {
        let none = ScheduleCase::Word("none".to_owned());
        assert_eq!(difference(Some(&none), None), None);
        assert!(difference(Some(&none), Some(&every(60))).is_some());
        assert!(difference(Some(&ScheduleCase::Times(every(60))), None).is_some());
        assert_eq!(difference(Some(&ScheduleCase::Times(every(60))), Some(&every(60))), None);
    }
}
