//! Slices of time: what a backfill loads run by run.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Months, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Times, first_instant};

/// A half-open interval of time.
pub type Interval = (DateTime<Utc>, DateTime<Utc>);

/// How long a slice is: time that passes, or days and months of a calendar, which may be shorter or longer where the clock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hours, minutes or seconds.
    Time(TimeDelta),
    /// Days of a calendar.
    Days(u32),
    /// Months of a calendar.
    Months(u32),
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is no length of a slice: write a number with s, m, h, d, w or mo, e.g. 1d or 1mo");
        let at = text.find(|sign: char| !sign.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(at);
        let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        match unit {
            "s" => Ok(Self::Time(TimeDelta::seconds(number.into()))),
            "m" => Ok(Self::Time(TimeDelta::minutes(number.into()))),
            "h" => Ok(Self::Time(TimeDelta::hours(number.into()))),
            "d" => Ok(Self::Days(number)),
            "w" => number.checked_mul(7).map(Self::Days).ok_or_else(wrong),
            "mo" => Ok(Self::Months(number)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Months(months) => write!(f, "{months}mo"),
            Self::Time(time) => match time.num_seconds() {
                hours if hours % 3600 == 0 => write!(f, "{}h", hours / 3600),
                minutes if minutes % 60 == 0 => write!(f, "{}m", minutes / 60),
                seconds => write!(f, "{seconds}s"),
            },
        }
    }
}

/// Where an interval is cut.
#[derive(Debug, Clone)]
pub enum Cut {
    /// Every so often from its beginning on, by the calendar of a zone.
    Every(Step, Tz),
    /// At the times of a schedule.
    At(Times),
}

/// Cuts an interval: each slice begins where the one before ends, and the last one ends with the interval. `Err` if there were more than `most`.
pub fn slices(cut: &Cut, (from, to): Interval, most: usize) -> Result<Vec<Interval>, usize> {
    let mut slices = Vec::new();
    let mut start = from;
    for boundary in boundaries(cut, from).take_while(|boundary| *boundary < to).chain([to]) {
        if boundary <= start {
            continue;
        }
        if slices.len() == most {
            return Err(most);
        }
        slices.push((start, boundary));
        start = boundary;
    }
    Ok(slices)
}

/// Boundaries behind `from`, in their order.
fn boundaries(cut: &Cut, from: DateTime<Utc>) -> Box<dyn Iterator<Item = DateTime<Utc>> + '_> {
    match cut {
        Cut::At(times) => Box::new(times.after(from)),
        Cut::Every(Step::Time(time), _) => {
            Box::new(std::iter::successors(from.checked_add_signed(*time), |last| last.checked_add_signed(*time)))
        }
        Cut::Every(Step::Days(days), zone) => {
            let days = TimeDelta::days((*days).into());
            on_the_calendar(from, *zone, move |local, count| local.checked_add_signed(days.checked_mul(count)?))
        }
        Cut::Every(Step::Months(months), zone) => {
            let months = *months;
            on_the_calendar(from, *zone, move |local, count| {
                local.checked_add_months(Months::new(months.checked_mul(count.try_into().ok()?)?))
            })
        }
    }
}

/// Each boundary is counted from the first one, so that 31 January is followed by the end of February and by 31 March.
fn on_the_calendar<'a>(
    from: DateTime<Utc>,
    zone: Tz,
    later: impl Fn(NaiveDateTime, i32) -> Option<NaiveDateTime> + 'a,
) -> Box<dyn Iterator<Item = DateTime<Utc>> + 'a> {
    let local = from.with_timezone(&zone).naive_local();
    Box::new((1..).map_while(move |count| first_instant(later(local, count)?, zone)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;
    use crate::spec::Schedule;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn cut(step: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
        let slices = slices(&Cut::Every(step.parse().unwrap(), zone), (at(from), at(to)), 1_000).unwrap();
        slices.iter().map(|(start, _)| start.format("%m-%dT%H:%MZ").to_string()).collect()
    }

    #[test]
    fn days_follow_the_calendar_of_the_zone_where_the_clock_changes() {
        let starts = cut("1d", chrono_tz::Europe::Berlin, "2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z");
        assert_eq!(starts, ["03-27T23:00Z", "03-28T23:00Z", "03-29T22:00Z"]);
    }

    #[test]
    fn months_end_with_the_shorter_month_and_go_on_from_the_day_of_the_first() {
        let starts = cut("1mo", Tz::UTC, "2026-01-31T00:00:00Z", "2026-05-01T00:00:00Z");
        assert_eq!(starts, ["01-31T00:00Z", "02-28T00:00Z", "03-31T00:00Z", "04-30T00:00Z"]);
    }

    #[test]
    fn a_schedule_cuts_at_its_own_times_and_the_ends_are_kept() {
        let schedule = Schedule { cron: Some("0 6 * * *".to_owned()), ..Schedule::default() };
        let times = Times::new(&schedule, DateTime::UNIX_EPOCH).unwrap();
        let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T12:00:00Z"));
        let found = slices(&Cut::At(times), (from, to), 10).unwrap();
        let six = |day: u32| at(&format!("2026-01-0{day}T06:00:00Z"));
        assert_eq!(found, [(from, six(1)), (six(1), six(2)), (six(2), to)]);
    }

    #[test]
    fn more_slices_than_are_allowed_are_no_slices() {
        let hours = Cut::Every("1h".parse().unwrap(), Tz::UTC);
        let day = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
        assert_eq!(slices(&hours, day, 24).unwrap().len(), 24);
        assert_eq!(slices(&hours, day, 23), Err(23));
    }

    #[test]
    fn lengths_without_a_unit_a_number_or_sense_are_refused() {
        for text in ["", "1", "d", "0d", "-1d", "1y", "1.5h", "99999999999d", "4294967295w"] {
            assert!(text.parse::<Step>().is_err(), "{text}");
        }
        for text in ["15m", "6h", "1d", "1mo", "90s"] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn slices_follow_one_another_without_gap_or_overlap(
            from in 0i64..2_000_000_000, length in 1i64..20_000_000, number in 1u32..60, unit in 0usize..4, zone in 0usize..4,
        ) {
            let zone = [Tz::UTC, chrono_tz::Europe::Berlin, chrono_tz::America::New_York, chrono_tz::Australia::Lord_Howe][zone];
            let step: Step = format!("{number}{}", ["h", "d", "w", "mo"][unit]).parse().unwrap();
            let (from, to) = (DateTime::from_timestamp(from, 0).unwrap(), DateTime::from_timestamp(from + length, 0).unwrap());
            let found = slices(&Cut::Every(step, zone), (from, to), usize::MAX).unwrap();
            prop_assert_eq!(found.first().unwrap().0, from);
            prop_assert_eq!(found.last().unwrap().1, to);
            prop_assert!(found.iter().all(|(start, end)| start < end));
            prop_assert!(found.windows(2).all(|pair| pair[0].1 == pair[1].0));
        }
    }
}
