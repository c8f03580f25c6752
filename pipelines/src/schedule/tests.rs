#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use chrono::Timelike;
use proptest::prelude::*;

use super::*;
use crate::diagnostic::Severity;

fn schedule(text: &str) -> Schedule {
    let decoded = crate::decode::decode(&mut crate::yaml::read(text).root.unwrap(), &[]);
    assert!(decoded.findings.is_empty(), "{text}: {:?}", decoded.findings);
    decoded.value.unwrap()
}

fn cron(text: &str, zone: &str) -> Schedule {
    schedule(&format!("cron: '{text}'\ntimezone: {zone}"))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The first times of a schedule later than `from`, as local times with their offsets.
fn told(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    let zone = zone(schedule).unwrap();
    let times = Times::new(schedule, at(from)).unwrap();
    let told = |time: DateTime<Utc>| time.with_timezone(&zone).format("%m-%d %H:%M%:z").to_string();
    times.after(at(from)).take(count).map(told).collect()
}

/// The changes of 2026. The clock goes forward and back by an hour in the first two zones, by half an hour on Lord Howe.
const FORWARD: [(&str, &str); 3] = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
];
const BACK: [(&str, &str); 3] = [
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
];

/// Expression, zone, a time, and what comes after it.
type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// Expressions that name times of the day.
const NAMED: &[Row] = &[
    // 02:30 does not exist: right after the gap.
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T00:00:00Z",
        &["03-28 02:30+01:00", "03-29 03:00+02:00", "03-30 02:30+02:00"],
    ),
    (
        "30 2 * * *",
        "America/New_York",
        "2026-03-07T00:00:00Z",
        &["03-07 02:30-05:00", "03-08 03:00-04:00", "03-09 02:30-04:00"],
    ),
    (
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-02T12:00:00Z",
        &["10-03 02:15+10:30", "10-04 02:30+11:00", "10-05 02:15+11:00"],
    ),
    // It exists on Lord Howe, where the gap ends.
    (
        "30 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-02T12:00:00Z",
        &["10-03 02:30+10:30", "10-04 02:30+11:00", "10-05 02:30+11:00"],
    ),
    // It exists twice: the first time.
    (
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T00:00:00Z",
        &["10-24 02:30+02:00", "10-25 02:30+02:00", "10-26 02:30+01:00"],
    ),
    (
        "30 1 * * *",
        "America/New_York",
        "2026-10-31T00:00:00Z",
        &["10-31 01:30-04:00", "11-01 01:30-04:00", "11-02 01:30-05:00"],
    ),
    (
        "45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-03T12:00:00Z",
        &["04-04 01:45+11:00", "04-05 01:45+11:00", "04-06 01:45+10:30"],
    ),
    // Several times in one gap come together, once.
    (
        "0,30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        &["03-29 03:00+02:00", "03-30 02:00+02:00", "03-30 02:30+02:00"],
    ),
    (
        "0 2,3 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        &["03-29 03:00+02:00", "03-30 02:00+02:00", "03-30 03:00+02:00"],
    ),
    // A list of hours or a range names times, too.
    (
        "0 2,14 * * *",
        "Europe/Berlin",
        "2026-03-28T20:00:00Z",
        &["03-29 03:00+02:00", "03-29 14:00+02:00", "03-30 02:00+02:00"],
    ),
    (
        "0 1-3 * * *",
        "Europe/Berlin",
        "2026-10-24T20:00:00Z",
        &["10-25 01:00+02:00", "10-25 02:00+02:00", "10-25 03:00+01:00"],
    ),
    // On days that the clock leaves alone nothing is special, and in UTC there are no others.
    ("30 2 * * *", "UTC", "2026-03-28T03:00:00Z", &["03-29 02:30+00:00", "03-30 02:30+00:00"]),
    ("0 6 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", &["03-28 06:00+01:00", "03-29 06:00+02:00"]),
    // A day without midnight begins right after the gap.
    ("0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", &["03-29 01:00+03:00", "03-30 00:00+03:00"]),
];

#[test]
fn a_time_of_the_day_happens_once_a_day_through_both_changes_of_the_clock() {
    for (text, zone, from, expected) in NAMED {
        assert_eq!(told(&cron(text, zone), from, expected.len()), *expected, "{text} in {zone}");
    }
}

#[test]
fn a_quarter_hour_keeps_its_pace_through_every_change_of_the_clock() {
    for (zone, change) in FORWARD.into_iter().chain(BACK).chain([("UTC", "2026-03-29T01:00:00Z")]) {
        let from = at(change) - TimeDelta::hours(3);
        let times = Times::new(&cron("*/15 * * * *", zone), from).unwrap();
        let found: Vec<_> = times.after(from).take(24).collect();
        let expected: Vec<_> = (1..=24).map(|quarter| from + TimeDelta::minutes(15 * quarter)).collect();
        assert_eq!(found, expected, "{zone} {change}");
    }
}

/// Expressions that follow the clock.
const FOLLOWING: &[Row] = &[
    ("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", &["03-29 03:00+02:00", "03-29 04:00+02:00"]),
    (
        "0 * * * *",
        "Europe/Berlin",
        "2026-10-24T23:30:00Z",
        &["10-25 02:00+02:00", "10-25 02:00+01:00", "10-25 03:00+01:00"],
    ),
    (
        "0 * * * *",
        "America/New_York",
        "2026-11-01T04:30:00Z",
        &["11-01 01:00-04:00", "11-01 01:00-05:00", "11-01 02:00-05:00"],
    ),
    // 02:00 is in the gap of half an hour, and 02:00 comes half an hour later when the clock goes back.
    ("0 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", &["10-04 01:00+10:30", "10-04 03:00+11:00"]),
    ("0 * * * *", "Australia/Lord_Howe", "2026-04-04T13:30:00Z", &["04-05 01:00+11:00", "04-05 02:00+10:30"]),
    (
        "30 * * * *",
        "Australia/Lord_Howe",
        "2026-04-04T14:00:00Z",
        &["04-05 01:30+11:00", "04-05 01:30+10:30", "04-05 02:30+10:30"],
    ),
    ("30 * * * *", "Australia/Lord_Howe", "2026-10-03T14:30:00Z", &["10-04 01:30+10:30", "10-04 02:30+11:00"]),
    // A `*` in the minute is enough.
    ("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["03-30 02:00+02:00", "03-30 02:30+02:00"]),
    (
        "*/30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &["10-25 02:00+02:00", "10-25 02:30+02:00", "10-25 02:00+01:00", "10-25 02:30+01:00"],
    ),
];

#[test]
fn an_hourly_schedule_follows_the_clock() {
    for (text, zone, from, expected) in FOLLOWING {
        assert_eq!(told(&cron(text, zone), from, expected.len()), *expected, "{text} in {zone}");
    }
}

#[test]
fn a_period_knows_no_clock_and_counts_from_its_anchor_and_not_from_now() {
    let anchor = at("2026-01-01T00:00:00Z");
    let next = |period: &str, last: &str| Times::new(&schedule(period), anchor).unwrap().next_after(at(last)).unwrap();
    assert_eq!(next("every: 10s", "2026-01-01T00:00:14.2Z"), at("2026-01-01T00:00:20Z"));
    assert_eq!(next("every: 10s", "2026-01-01T00:00:20Z"), at("2026-01-01T00:00:30Z"));
    assert_eq!(next("every: 10s", "2025-12-31T00:00:00Z"), at("2026-01-01T00:00:10Z"));
    assert_eq!(next("every: 1d", "2026-03-29T12:00:00Z"), at("2026-03-30T00:00:00Z"));
    let from_its_start = "every: 1h\nstart: 2026-03-28\ntimezone: Europe/Berlin";
    assert_eq!(next(from_its_start, "2026-01-01T00:00:00Z"), at("2026-03-27T23:00:00Z"));
    assert_eq!(next(from_its_start, "2026-03-29T00:30:00Z"), at("2026-03-29T01:00:00Z"));
}

#[test]
fn no_time_comes_before_start_and_none_at_end_or_after() {
    let daily = |bounds: &str| format!("cron: '0 0 * * *'\ntimezone: Europe/Berlin\n{bounds}");
    let days = |bounds: &str| told(&schedule(&daily(bounds)), "2026-03-01T00:00:00Z", 9);
    assert_eq!(days("start: 2026-03-28\nend: 2026-03-30"), ["03-28 00:00+01:00", "03-29 00:00+01:00"]);
    assert_eq!(days("start: 2026-03-28T00:00:01+01:00\nend: 2026-03-30T00:00:00+02:00"), ["03-29 00:00+01:00"]);
    assert_eq!(days("end: 2026-03-01T22:59:59Z"), [""; 0]);
    assert_eq!(days("end: 2026-03-01T23:00:01Z"), ["03-02 00:00+01:00"]);
    assert_eq!(
        told(&schedule("every: 1h\nstart: 2026-03-02\nend: 2026-03-02T01:30:00Z"), "2026-03-01T00:00:00Z", 9).len(),
        2
    );
}

#[test]
fn a_date_without_midnight_begins_right_after_the_gap() {
    let beirut = Tz::Asia__Beirut;
    assert_eq!(instant("2026-03-29".parse().unwrap(), beirut), Some(at("2026-03-28T22:00:00Z")));
    assert_eq!(instant("2026-03-30".parse().unwrap(), beirut), Some(at("2026-03-29T21:00:00Z")));
    // Samoa had no 30 December 2011 at all.
    assert_eq!(instant("2011-12-30".parse().unwrap(), Tz::Pacific__Apia), Some(at("2011-12-30T10:00:00Z")));
}

#[test]
fn a_moment_is_written_as_it_was_read() {
    for text in ["2026-01-31", "2026-01-31T06:00:00+01:00", "2026-01-31T06:00:00.250Z"] {
        assert_eq!(text.parse::<Moment>().unwrap().to_string(), text);
    }
    for text in ["", "tomorrow", "2026-02-30", "2026-01-31T06:00:00", "2026-01-31 06:00", "-0001-01-01", "+99999-01-01"]
    {
        assert!(text.parse::<Moment>().unwrap_err().contains("neither a date"), "{text}");
    }
}

#[test]
fn an_interval_reaches_back_to_the_time_before_whatever_the_clock_did() {
    let interval = |schedule: &Schedule, time: &str| {
        let (start, end) = Times::new(schedule, at("2026-01-01T00:00:00Z")).unwrap().interval(at(time)).unwrap();
        assert_eq!(end, at(time));
        start
    };
    let weekdays = cron("0 6 * * 1-5", "Europe/Berlin");
    assert_eq!(interval(&weekdays, "2026-03-30T04:00:00Z"), at("2026-03-27T05:00:00Z"));
    let hourly = cron("0 * * * *", "Europe/Berlin");
    assert_eq!(interval(&hourly, "2026-10-25T01:00:00Z"), at("2026-10-25T00:00:00Z"));
    assert_eq!(interval(&cron("0 0 29 2 *", "UTC"), "2104-02-29T00:00:00Z"), at("2096-02-29T00:00:00Z"));
    assert_eq!(
        interval(&schedule("every: 10s\nstart: 2026-03-01"), "2026-03-01T00:00:00Z"),
        at("2026-02-28T23:59:50Z")
    );
}

#[test]
fn the_latest_times_are_found_from_their_end() {
    let seconds = Times::new(&schedule("every: 1s"), at("2016-01-01T00:00:00Z")).unwrap();
    let latest = seconds.latest(at("2016-01-01T00:00:00Z"), at("2026-01-01T00:00:00.5Z"), 3);
    assert_eq!(latest, [at("2025-12-31T23:59:58Z"), at("2025-12-31T23:59:59Z"), at("2026-01-01T00:00:00Z")]);
    let yearly = Times::new(&cron("0 0 1 1 *", "UTC"), at("2016-01-01T00:00:00Z")).unwrap();
    assert_eq!(yearly.latest(at("2020-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z"), 100).len(), 6);
    assert_eq!(yearly.latest(at("2026-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z"), 100).len(), 0);
}

#[test]
fn jitter_is_an_offset_of_the_pipelines_own_that_stays_the_same() {
    let spread = cron("0 6 * * *", "UTC");
    let spread = Schedule { jitter: Some(std::time::Duration::from_secs(600)), ..spread };
    let offsets: Vec<i64> =
        (0..1_000).map(|number| offset(&spread, &format!("pipeline_{number}")).num_milliseconds()).collect();
    assert!(offsets.iter().all(|offset| (0..600_000).contains(offset)));
    // Every tenth of the ten minutes gets its share.
    for tenth in 0..10 {
        let share = offsets.iter().filter(|offset| **offset / 60_000 == tenth).count();
        assert!((60..=140).contains(&share), "{tenth}: {share}");
    }
    // The control plane adds the offset when it stores a time and takes it off again: no later version may compute another one.
    assert_eq!(offset(&spread, "orders"), TimeDelta::milliseconds(252_388));
    assert_eq!(offset(&Schedule { jitter: None, ..spread.clone() }, "orders"), TimeDelta::zero());
    assert_eq!(offset(&Schedule { jitter: Some(std::time::Duration::ZERO), ..spread }, "orders"), TimeDelta::zero());
}

#[test]
fn weekdays_are_posix_ones() {
    assert_eq!(told(&cron("0 9 * * 1", "UTC"), "2026-11-21T00:00:00Z", 1), ["11-23 09:00+00:00"]);
    assert_eq!(told(&cron("0 9 * * 7", "UTC"), "2026-11-21T00:00:00Z", 1), ["11-22 09:00+00:00"]);
}

#[test]
fn schedules_are_described_in_words() {
    for (text, words) in [
        ("0 6 * * *", "every day at 06:00"),
        ("0 6,18 * * *", "every day at 06:00 and 18:00"),
        ("@daily", "every day at 00:00"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour"),
        ("30 * * * 1-5", "at 30 minutes past every hour on weekdays"),
        ("1 * * * *", "at 1 minute past every hour"),
        ("5,20 * * * *", "at 5 and 20 minutes past every hour"),
        ("0 */2 * * *", "every 2nd hour"),
        ("15 */6 * * 1", "at 00:15, 06:15, 12:15 and 18:15 on Monday"),
        ("0 9-17 * * 1-5", "every hour from 9 to 17 on weekdays"),
        ("*/10 9-17 * * *", "every 10 minutes in every hour from 9 to 17"),
        ("* 2 * * *", "every minute in hour 2"),
        ("0 1,2,5,8,9 * * *", "every day at 01:00, 02:00, 05:00, 08:00 and 09:00"),
        ("0 6 * * 1,0", "at 06:00 on Monday and Sunday"),
        ("0 6 * * 6,0", "at 06:00 on weekends"),
        ("0 6 1,15 * *", "at 06:00 on the 1st and 15th of the month"),
        ("0 6 1 1,7 *", "at 06:00 on the 1st of the month in January and July"),
        ("0 6 * 1 *", "every day at 06:00 in January"),
        ("0 6 13 * 5", "at 06:00 on the 13th of the month or on Friday"),
        ("0 6 13 * +5", "at 06:00 on the 13th of the month and only on Friday"),
        ("0 6 L * *", "at 06:00, on the last day of the month"),
    ] {
        assert_eq!(in_words(&cron(text, "Europe/Berlin")), format!("{words} in Europe/Berlin"), "{text}");
    }
    assert_eq!(in_words(&schedule("cron: '0 6 * * *'")), "every day at 06:00 in UTC");
    assert_eq!(in_words(&schedule("every: 10s")), "every 10 s");
    let bounded = "every: 90m\nstart: 2026-03-01\nend: 2026-04-01T06:00:00Z\njitter: 5m";
    assert_eq!(
        in_words(&schedule(bounded)),
        "every 1 h 30 min, from 2026-03-01, until 2026-04-01T06:00:00Z, up to 5 min late"
    );
}

#[test]
fn faults_are_reported_by_field() {
    let faults = |text: &str| problems(&schedule(text)).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    for (text, fields) in [
        ("cron: 0 6 * * *\ntimezone: Europe/Berlin", &[][..]),
        ("cron: 0 6 * * * *", &["cron"]),
        ("cron: 61 6 * * *\ntimezone: Europe/Berln", &["cron", "timezone"]),
        ("cron: 0 0 30 2 *", &["cron"]),
        ("every: 10ms", &["every"]),
        ("every: 1h\ntimezone: UTC", &["timezone"]),
        ("every: 1h\ntimezone: UTC\nstart: 2026-01-01", &[]),
        ("every: 1h\nstart: 2026-01-02\nend: 2026-01-02", &["end"]),
        ("cron: 0 6 * * *\nstart: 2026-01-02\nend: 2026-01-02T05:00:00Z", &["end"]),
        ("cron: 0 6 * * *\nstart: 2026-01-02\nend: 2026-01-03\njitter: 23h59m", &[]),
        ("cron: 0 6 * * *\njitter: 24h", &["jitter"]),
        ("cron: 0 6,7 * * *\njitter: 1h", &["jitter"]),
        ("every: 10s\njitter: 10s", &["jitter"]),
        ("every: 10s\ncatchup: all\noverlap: queue\nmax_catchup: 0\nmax_queued: 1001", &["max_catchup", "max_queued"]),
        ("every: 10s\ncatchup: all\nmax_catchup: 0\njitter: 1m", &["max_catchup", "catchup", "jitter"]),
        ("every: 10s\nmax_catchup: 5\nmax_queued: 5", &["max_catchup", "max_queued"]),
        ("every: 10s\ncatchup: all\noverlap: queue\nmax_catchup: 1\nmax_queued: 1000", &[]),
    ] {
        assert_eq!(faults(text), fields, "{text}");
    }
    let lost = problems(&schedule("every: 10s\ncatchup: all"));
    assert_eq!((lost[0].0, lost[0].1.severity), ("catchup", Severity::Warning));
}

proptest! {
    #[test]
    fn the_next_time_is_later_and_nothing_that_the_clock_shows_is_left_out(
        seconds in 1_577_836_800i64..1_893_456_000,
        near in prop::sample::select(FORWARD.into_iter().chain(BACK).map(|(_, change)| change).collect::<Vec<_>>()),
        jump in prop::bool::ANY,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]),
        (expression, minutes) in prop::sample::select(vec![("* * * * *", 1), ("*/15 * * * *", 15), ("0 * * * *", 60), ("*/30 * * * *", 30)]),
    ) {
        // Half of the cases are within two hours of a change.
        let from = if jump { at(near) + TimeDelta::seconds(seconds % 14_400 - 7_200) } else { DateTime::from_timestamp(seconds, 0).unwrap() };
        let zone: Tz = zone.parse().unwrap();
        let next = Times::new(&cron(expression, zone.name()), from).unwrap().next_after(from).unwrap();
        let shows = |time: &DateTime<Utc>| {
            let local = time.with_timezone(&zone);
            local.second() == 0 && local.minute().is_multiple_of(minutes)
        };
        let expected = (1..=2 * 3_600).map(|second| from + TimeDelta::seconds(second)).find(shows);
        prop_assert_eq!(Some(next), expected);
    }

    #[test]
    fn times_rise_and_each_ones_interval_begins_with_the_one_before(
        seconds in 1_577_836_800i64..1_893_456_000,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Asia/Beirut"]),
        expression in prop::sample::select(vec!["* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0,15 1-3 * * *", "0 0 1 * *", "15 1 * * 0", "0 0 29 2 *"]),
    ) {
        let from = DateTime::from_timestamp(seconds, 0).unwrap();
        let times = Times::new(&cron(expression, zone), from).unwrap();
        let mut last = from;
        for (index, next) in times.after(from).take(5).enumerate() {
            prop_assert!(next > last);
            if index > 0 {
                prop_assert_eq!(times.interval(next), Some((last, next)));
            }
            last = next;
        }
    }
}
