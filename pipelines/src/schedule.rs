//! When runs start by themselves: POSIX cron in a time zone, or a fixed period.
//!
//! Daylight saving follows croner's rules, which are Vixie cron's: a fixed time that does not exist runs right after the
//! gap, one that exists twice runs once, and patterns with intervals keep their pace through both changes.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use cron::Cron;

use crate::spec::Schedule;

/// Shorter periods are refused: a fire is a transaction.
const MIN_PERIOD: std::time::Duration = std::time::Duration::from_secs(1);

/// What is wrong with a schedule, by field.
pub fn problems(schedule: &Schedule) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    match (&schedule.cron, schedule.every) {
        (Some(_), Some(_)) => problems.push(("every", "a schedule has `cron` or `every`, not both".to_owned())),
        (None, None) => problems.push(("cron", "a schedule needs `cron` or `every`".to_owned())),
        (Some(text), None) => problems.extend(parse_cron(text).err().map(|message| ("cron", message))),
        (None, Some(period)) if period < MIN_PERIOD => problems.push(("every", "the shortest period is 1s".to_owned())),
        (None, Some(_)) if schedule.timezone.is_some() => {
            problems.push(("timezone", "a time zone has a meaning only with `cron`".to_owned()));
        }
        (None, Some(_)) => {}
    }
    if let Some(name) = &schedule.timezone
        && Tz::from_str(name).is_err()
    {
        let hint = crate::diagnostic::nearest_hint(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let hint = hint
            .filter(|hint| hint.starts_with("did you mean"))
            .unwrap_or_else(|| "use an IANA name such as Europe/Berlin".to_owned());
        problems.push(("timezone", format!("there is no time zone '{name}'; {hint}")));
    }
    problems
}

/// The first instant of the schedule later than `last`; `None` if there is none or the schedule is faulty.
///
/// `every` counts from `anchor`: the instants are anchor + k × period for k ≥ 1, whatever the time of the call.
pub fn next_after(schedule: &Schedule, anchor: DateTime<Utc>, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Some(period) = schedule.every {
        let period = TimeDelta::from_std(period).ok()?.num_milliseconds();
        let passed = (last - anchor).num_milliseconds();
        let steps = if passed < 0 { 1 } else { passed / period.max(1) + 1 };
        return anchor.checked_add_signed(TimeDelta::try_milliseconds(period.checked_mul(steps)?)?);
    }
    let cron = parse_cron(schedule.cron.as_deref()?).ok()?;
    let zone = Tz::from_str(schedule.timezone.as_deref().unwrap_or("UTC")).ok()?;
    let mut from = last.with_timezone(&zone);
    // In the hour that occurs twice a local time may map to its first instant: step on until time really advances.
    for _ in 0..8 {
        let next = cron.find_next_occurrence(&from, false).ok()?;
        if next.to_utc() > last {
            return Some(next.to_utc());
        }
        from += TimeDelta::minutes(30);
    }
    None
}

/// The next `count` instants.
pub fn preview(schedule: &Schedule, anchor: DateTime<Utc>, from: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    std::iter::successors(next_after(schedule, anchor, from), |last| next_after(schedule, anchor, *last))
        .take(count)
        .collect()
}

fn parse_cron(text: &str) -> Result<Cron, String> {
    let fields = text.split_whitespace().count();
    if fields != 5 && !text.starts_with('@') {
        return Err(format!(
            "'{text}' has {fields} fields; expected five: minute, hour, day of month, month, day of week"
        ));
    }
    Cron::from_str(text).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.trim_start_matches("Component error: ").trim_end_matches('.').to_lowercase();
        format!("'{text}' is not a cron expression: {reason}")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn cron(text: &str, zone: &str) -> Schedule {
        let text = format!("cron: '{text}'\ntimezone: {zone}");
        crate::decode::decode(&mut crate::yaml::read(&text).0.unwrap()).0.unwrap()
    }

    fn every(period: &str) -> Schedule {
        crate::decode::decode(&mut crate::yaml::read(&format!("every: {period}")).0.unwrap()).0.unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_quarter_hour_keeps_its_pace_through_both_changes_of_the_clock() {
        for (from, change) in [("2026-03-28T23:50:00Z", "spring"), ("2026-10-24T23:50:00Z", "autumn")] {
            let fires = preview(&cron("*/15 * * * *", "Europe/Berlin"), at(from), at(from), 16);
            assert!(fires.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::minutes(15)), "{change}: {fires:?}");
        }
    }

    #[test]
    fn a_time_that_the_clock_skips_runs_right_after_the_gap_and_one_that_comes_twice_runs_once() {
        let daily = cron("30 2 * * *", "Europe/Berlin");
        let spring = preview(&daily, at("2026-03-28T12:00:00Z"), at("2026-03-28T12:00:00Z"), 2);
        assert_eq!(spring[0], at("2026-03-29T01:00:00Z"));
        let autumn = preview(&daily, at("2026-10-24T12:00:00Z"), at("2026-10-24T12:00:00Z"), 2);
        assert_eq!(autumn, [at("2026-10-25T00:30:00Z"), at("2026-10-26T01:30:00Z")]);
    }

    #[test]
    fn a_period_counts_from_its_anchor_and_not_from_now() {
        let anchor = at("2026-01-01T00:00:00Z");
        assert_eq!(next_after(&every("10s"), anchor, at("2026-01-01T00:00:14.2Z")), Some(at("2026-01-01T00:00:20Z")));
        assert_eq!(next_after(&every("10s"), anchor, at("2026-01-01T00:00:20Z")), Some(at("2026-01-01T00:00:30Z")));
        assert_eq!(next_after(&every("10s"), anchor, at("2025-12-31T00:00:00Z")), Some(at("2026-01-01T00:00:10Z")));
    }

    #[test]
    fn weekdays_are_posix_ones() {
        let monday =
            next_after(&cron("0 9 * * 1", "UTC"), at("2026-11-21T00:00:00Z"), at("2026-11-21T00:00:00Z")).unwrap();
        assert_eq!(monday, at("2026-11-23T09:00:00Z"));
    }

    #[test]
    fn faults_are_told_by_field() {
        let faults = |schedule: &Schedule| problems(schedule).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        assert_eq!(faults(&cron("0 6 * * * *", "UTC")), ["cron"]);
        assert_eq!(faults(&cron("61 6 * * *", "Europe/Berln")), ["cron", "timezone"]);
        assert_eq!(faults(&every("10ms")), ["every"]);
        assert!(faults(&cron("0 6 * * *", "Europe/Berlin")).is_empty());
    }

    proptest! {
        #[test]
        fn the_next_instant_is_always_later(
            seconds in 1_577_836_800i64..1_893_456_000,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]),
            expression in prop::sample::select(vec!["* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 0 1 * *", "15 1 * * 0"]),
        ) {
            let from = DateTime::from_timestamp(seconds, 0).unwrap();
            let next = next_after(&cron(expression, zone), from, from).unwrap();
            prop_assert!(next > from);
            let after = next_after(&cron(expression, zone), from, next).unwrap();
            prop_assert!(after > next);
        }
    }
}
