//! Fields of a date and a clock that a text gives, put together as Postgres does it.

use chrono::{Datelike, Days, NaiveDate, Weekday};

use super::dates::{DAY, days};

/// The Julian day of 1 January 1970.
const EPOCH_JULIAN: i32 = 2_440_588;

/// Numbers that a text gives; what it does not give is nothing, as a zero is.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) year: i64,
    /// Digits of the year's field.
    pub(super) year_digits: usize,
    pub(super) century: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) day_of_year: i64,
    /// Sunday is 1.
    pub(super) weekday: i64,
    pub(super) week: i64,
    pub(super) week_of_month: i64,
    pub(super) julian: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) second_of_day: i64,
    pub(super) millis: i64,
    pub(super) micros: i64,
    /// Digits of a second that are kept, where a field says it.
    pub(super) fraction_digits: Option<u32>,
    pub(super) is_before_christ: Option<bool>,
    pub(super) is_afternoon: Option<bool>,
    pub(super) has_halves: bool,
    pub(super) is_iso: Option<bool>,
    pub(super) zone_sign: i64,
    pub(super) zone_hour: i64,
    pub(super) zone_minute: i64,
}

/// A date as it is put together: what no field has said yet is the first.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    has_year: bool,
    has_month: bool,
    has_day: bool,
}

impl Found {
    /// The first day of the week with 4 January in it, which is a Monday.
    fn iso_start(year: i64) -> Option<NaiveDate> {
        NaiveDate::from_isoywd_opt(i32::try_from(year).ok()?, 1, Weekday::Mon)
    }

    fn year(&self) -> (i64, bool) {
        let is_before = self.is_before_christ == Some(true);
        let century = if is_before { -self.century } else { self.century };
        match (self.year, century) {
            (0, 0) => (0, false),
            (0, century) if century >= 0 => ((century - 1) * 100 + 1, true),
            (0, century) => (century * 100 + 1, true),
            (year, century) if century != 0 && self.year_digits <= 2 => {
                let year = match (year % 100, century >= 0) {
                    (0, true) => century * 100,
                    (0, false) => century * 100 + 1,
                    (year, true) => year + (century - 1) * 100,
                    (year, false) => (century + 1) * 100 - year + 1,
                };
                (year, true)
            }
            (year, _) => {
                let year = if is_before { -year } else { year };
                (if year < 0 { year + 1 } else { year }, true)
            }
        }
    }

    /// The day, and the microseconds since 1970 in UTC.
    pub(super) fn finish(mut self) -> Option<(i32, i64)> {
        if self.second_of_day != 0 {
            if self.hour == 0 {
                self.hour = self.second_of_day / 3600;
            }
            if self.minute == 0 {
                self.minute = self.second_of_day / 60 % 60;
            }
            if self.second == 0 {
                self.second = self.second_of_day % 60;
            }
        }
        if self.has_halves {
            if !(1..=12).contains(&self.hour) {
                return None;
            }
            let is_afternoon = self.is_afternoon == Some(true);
            self.hour = self.hour % 12 + if is_afternoon { 12 } else { 0 };
        }
        let date = self.date()?;
        let fraction = self.millis.checked_mul(1000)?.checked_add(self.micros)?;
        let is_clock = (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second)
            && (0..1_000_000).contains(&fraction);
        let is_zone =
            self.zone_sign == 0 || ((0..=15).contains(&self.zone_hour) && (0..60).contains(&self.zone_minute));
        if !is_clock || !is_zone {
            return None;
        }
        let clock = ((self.hour * 60 + self.minute) * 60 + self.second) * 1_000_000 + fraction;
        let ahead = self.zone_sign * (self.zone_hour * 60 + self.zone_minute) * 60_000_000;
        let moment = i64::from(days(date)).checked_mul(DAY)?.checked_add(clock - ahead)?;
        let unit = 10_i64.pow(6 - self.fraction_digits.unwrap_or(6));
        let rounded = (moment.checked_abs()?.checked_add(unit / 2)? / unit * unit) * moment.signum();
        // What is earlier than the first Julian day has no place in Postgres.
        (days(date) >= -EPOCH_JULIAN && rounded >= -i64::from(EPOCH_JULIAN) * DAY).then_some((days(date), rounded))
    }

    fn date(&mut self) -> Option<NaiveDate> {
        let (year, has_year) = self.year();
        let mut date = Date { year, month: 1, day: 1, has_year, has_month: false, has_day: false };
        if self.julian != 0 {
            date.take(NaiveDate::from_ymd_opt(1970, 1, 1)?, self.julian - i64::from(EPOCH_JULIAN))?;
        }
        if self.week != 0 {
            if self.is_iso == Some(true) {
                let weekday = match self.weekday {
                    0 => 0,
                    weekday if weekday > 1 => weekday - 2,
                    _ => 6,
                };
                date.take(Self::iso_start(date.year)?, (self.week - 1) * 7 + weekday)?;
            } else {
                self.day_of_year = (self.week - 1) * 7 + 1;
            }
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            date.day = self.day;
            date.has_day = true;
        }
        if self.month != 0 {
            date.month = self.month;
            date.has_month = true;
        }
        if self.day_of_year != 0 && (date.month <= 1 || date.day <= 1) {
            if date.year == 0 && self.is_before_christ != Some(true) {
                return None;
            }
            if self.is_iso == Some(true) {
                date.take(Self::iso_start(date.year)?, self.day_of_year - 1)?;
            } else {
                date.on(self.day_of_year)?;
            }
        }
        date.finish()
    }
}

impl Date {
    /// A day that is so many days away from another.
    fn take(&mut self, start: NaiveDate, distance: i64) -> Option<()> {
        let found = moved(start, distance)?;
        (self.year, self.month, self.day) = (found.year().into(), found.month().into(), found.day().into());
        (self.has_year, self.has_month, self.has_day) = (true, true, true);
        Some(())
    }

    /// The month and the day of a day of the year, where they are not known.
    fn on(&mut self, day_of_year: i64) -> Option<()> {
        let year = i32::try_from(self.year).ok()?;
        let first = |month: u32| NaiveDate::from_ymd_opt(year, month, 1).map(|date| i64::from(date.ordinal0()));
        let mut month = 1;
        while month < 12 && first(month + 1)? < day_of_year {
            month += 1;
        }
        let is_beyond = day_of_year > i64::from(NaiveDate::from_ymd_opt(year, 12, 31)?.ordinal());
        if self.month <= 1 {
            self.month = if is_beyond { 13 } else { month.into() };
        }
        if self.day <= 1 {
            self.day = day_of_year - first(month)?;
        }
        (self.has_month, self.has_day) = (true, true);
        Some(())
    }

    fn finish(&self) -> Option<NaiveDate> {
        if self.has_month && !(1..=12).contains(&self.month) || self.has_day && !(1..=31).contains(&self.day) {
            return None;
        }
        let start = NaiveDate::from_ymd_opt(i32::try_from(self.year).ok()?, u32::try_from(self.month).ok()?, 1)?;
        let date = moved(start, self.day - 1)?;
        // Without a year, Postgres does not ask how long the month is.
        let is_whole = self.has_year && self.has_month && self.has_day;
        (!is_whole || date.month() == start.month()).then_some(date)
    }
}

fn moved(start: NaiveDate, distance: i64) -> Option<NaiveDate> {
    let days = Days::new(distance.unsigned_abs());
    if distance < 0 { start.checked_sub_days(days) } else { start.checked_add_days(days) }
}
