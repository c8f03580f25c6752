//! Periods in words: `this month`, `last week`, `in March 2026`, and the instants they begin and end at.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::lexer::Token;
use super::selection::Unit;

/// A stretch of time: from the beginning of its first day up to the beginning of the day after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// A unit, so many before the one of now: 0 is the running one.
    Relative(Unit, u32),
    /// From a day up to another one, which is not in it.
    Fixed(NaiveDate, NaiveDate),
    /// A month by its name alone: the one of this year, if it has begun.
    Month(u32),
}

/// The months in English and German.
const MONTHS: [[&str; 2]; 12] = [
    ["january", "januar"],
    ["february", "februar"],
    ["march", "märz"],
    ["april", "april"],
    ["may", "mai"],
    ["june", "juni"],
    ["july", "juli"],
    ["august", "august"],
    ["september", "september"],
    ["october", "oktober"],
    ["november", "november"],
    ["december", "dezember"],
];

/// Reads a period from the first tokens; answers with how many it took.
pub(super) fn read(said: &[Token]) -> Option<(usize, Period)> {
    const OPENING: [&str; 6] = ["in", "on", "during", "of", "for", "within"];
    let skipped = usize::from(said.first().is_some_and(|token| OPENING.iter().any(|word| token.is(word))));
    let named = said.get(skipped).is_some_and(|token| ["year", "jahr"].iter().any(|word| token.is(word)));
    let skipped = skipped + usize::from(named);
    let rest = &said[skipped..];
    let (length, period) = relative(rest)
        .or_else(|| quarter(rest))
        .or_else(|| day_in_words(rest))
        .or_else(|| month(rest))
        .or_else(|| day_or_year(rest))?;
    Some((skipped + length, period))
}

fn relative(said: &[Token]) -> Option<(usize, Period)> {
    let first = said.first()?;
    if first.is("today") {
        return Some((1, Period::Relative(Unit::Day, 0)));
    }
    if first.is("yesterday") {
        return Some((1, Period::Relative(Unit::Day, 1)));
    }
    if let [the, day, before, yesterday, ..] = said
        && the.is("the")
        && day.is("day")
        && before.is("before")
        && yesterday.is("yesterday")
    {
        return Some((4, Period::Relative(Unit::Day, 2)));
    }
    let skipped = usize::from(first.is("the"));
    let before = match said.get(skipped)? {
        token if token.is("this") || token.is("current") => 0,
        token if token.is("last") || token.is("previous") => 1,
        _ => return None,
    };
    // The hour of now is none of days.
    let unit = unit(said.get(skipped + 1)?).filter(|unit| *unit != Unit::Hour)?;
    Some((skipped + 2, Period::Relative(unit, before)))
}

/// A unit of time by its name.
pub(super) fn unit(token: &Token) -> Option<Unit> {
    let units = [
        (["hour", "stunde", "stunden"], Unit::Hour),
        (["day", "tag", "tage"], Unit::Day),
        (["week", "woche", "kalenderwoche"], Unit::Week),
        (["month", "monat", "monats"], Unit::Month),
        (["quarter", "quartal", "quartals"], Unit::Quarter),
        (["year", "jahr", "jahres"], Unit::Year),
    ];
    units.into_iter().find(|(words, _)| words.iter().any(|word| token.is(word))).map(|(_, unit)| unit)
}

/// `Q1 2026`, `the first quarter of 2026`.
fn quarter(said: &[Token]) -> Option<(usize, Period)> {
    if let [quarter, year, ..] = said
        && let Some(number) = quarter.text.to_ascii_lowercase().strip_prefix('q')
        && let Ok(number @ 1..=4) = number.parse::<u32>()
    {
        return Some((2, quarter_of(number, year_of(year)?)?));
    }
    let skipped = usize::from(said.first()?.is("the"));
    let rest = &said[skipped..];
    let number = (1..)
        .zip(["first", "second", "third", "fourth"])
        .find(|(_, word)| rest.first().is_some_and(|token| token.is(word)));
    let (number, _) = number?;
    if !rest.get(1)?.is("quarter") {
        return None;
    }
    let of = usize::from(rest.get(2)?.is("of"));
    Some((skipped + 3 + of, quarter_of(number, year_of(rest.get(2 + of)?)?)?))
}

fn quarter_of(number: u32, year: i32) -> Option<Period> {
    let start = NaiveDate::from_ymd_opt(year, number * 3 - 2, 1)?;
    Some(Period::Fixed(start, start.checked_add_months(Months::new(3))?))
}

/// `March 2026`, `2026-03`.
fn month(said: &[Token]) -> Option<(usize, Period)> {
    let first = said.first()?;
    if let Some(number) = month_of(first) {
        return Some(match said.get(1).and_then(year_of) {
            Some(year) => (2, Period::month(year, number)?),
            None => (1, Period::Month(number)),
        });
    }
    let (year, month) = first.text.split_once('-')?;
    Some((1, Period::month(year.parse().ok().filter(|_| year.len() == 4)?, month.parse().ok()?)?))
}

/// The number of a month by its name, or its first three letters.
fn month_of(token: &Token) -> Option<u32> {
    let said = token.text.to_lowercase();
    let short = |name: &str| said.chars().count() == 3 && name.chars().take(3).eq(said.chars());
    let is = |name: &&str| said == **name || short(name);
    (1..).zip(MONTHS).find(|(_, names)| !token.is_quoted && names.iter().any(is)).map(|(number, _)| number)
}

/// `March 31, 2026`, `1 April 2026`, `1st of April 2026`, `31.03.2026`.
fn day_in_words(said: &[Token]) -> Option<(usize, Period)> {
    let first = said.first()?;
    let day = |year: i32, month: u32, day: u32| Period::of_day(NaiveDate::from_ymd_opt(year, month, day)?);
    let parts: Vec<&str> = first.text.split('.').collect();
    if let [date, month, year] = parts.as_slice()
        && year.len() == 4
    {
        return Some((1, day(year.parse().ok()?, month.parse().ok()?, date.parse().ok()?)?));
    }
    if let Some(month) = month_of(first) {
        let date = said.get(1).and_then(day_of_month)?;
        let comma = usize::from(said.get(2)?.is(","));
        return Some((3 + comma, day(year_of(said.get(2 + comma)?)?, month, date)?));
    }
    let date = day_of_month(first)?;
    let of = usize::from(said.get(1)?.is("of"));
    let month = month_of(said.get(1 + of)?)?;
    Some((3 + of, day(year_of(said.get(2 + of)?)?, month, date)?))
}

/// `1`, `1.`, `1st`
fn day_of_month(token: &Token) -> Option<u32> {
    let text = token.text.to_lowercase();
    let number = ["st", "nd", "rd", "th", "."].iter().find_map(|ending| text.strip_suffix(ending)).unwrap_or(&text);
    number.parse().ok().filter(|number: &u32| (1..=31).contains(number))
}

/// `2026-03-29`, `2026`.
fn day_or_year(said: &[Token]) -> Option<(usize, Period)> {
    let first = said.first()?;
    if let Ok(day) = first.text.parse::<NaiveDate>() {
        return Some((1, Period::of_day(day)?));
    }
    let year = year_of(first)?;
    Some((1, Period::Fixed(NaiveDate::from_ymd_opt(year, 1, 1)?, NaiveDate::from_ymd_opt(year + 1, 1, 1)?)))
}

fn year_of(token: &Token) -> Option<i32> {
    let year = token.text.parse().ok().filter(|_| token.text.len() == 4)?;
    (1900..=2200).contains(&year).then_some(year)
}

impl Period {
    pub(super) fn month(year: i32, month: u32) -> Option<Self> {
        let start = NaiveDate::from_ymd_opt(year, month, 1)?;
        Some(Self::Fixed(start, start.checked_add_months(Months::new(1))?))
    }

    fn of_day(day: NaiveDate) -> Option<Self> {
        Some(Self::Fixed(day, day.succ_opt()?))
    }

    pub(super) fn is_day(self) -> bool {
        match self {
            Self::Fixed(start, end) => start.succ_opt() == Some(end),
            Self::Relative(unit, _) => unit == Unit::Day,
            Self::Month(_) => false,
        }
    }

    /// From the beginning of this one to the end of another one; both have to be fixed.
    pub(super) fn through(self, last: Self) -> Option<Self> {
        match (self, last) {
            (Self::Fixed(start, _), Self::Fixed(_, end)) => Some(Self::Fixed(start, end)),
            _ => None,
        }
    }

    /// The days it begins at and ends before, as they are in a zone at a moment. Weeks begin on Monday.
    pub(super) fn days(self, now: DateTime<Utc>, zone: Tz) -> Option<(NaiveDate, NaiveDate)> {
        match self {
            Self::Fixed(start, end) => Some((start, end)),
            Self::Month(month) => {
                let today = now.with_timezone(&zone).date_naive();
                // A month that is yet to come may be last year's: only its year tells.
                Self::month(today.year(), month).filter(|_| month <= today.month())?.days(now, zone)
            }
            Self::Relative(unit, before) => {
                let today = now.with_timezone(&zone).date_naive();
                let start = back(unit.start(today)?, unit, before)?;
                Some((start, unit.next(start)?))
            }
        }
    }

    /// The instants it begins at and ends before.
    pub(super) fn instants(self, now: DateTime<Utc>, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let (start, end) = self.days(now, zone)?;
        Some((midnight(start, zone)?, midnight(end, zone)?))
    }
}

fn back(start: NaiveDate, unit: Unit, times: u32) -> Option<NaiveDate> {
    let months = |each: u32| start.checked_sub_months(Months::new(each * times));
    match unit {
        Unit::Hour | Unit::Day => start.checked_sub_days(Days::new(times.into())),
        Unit::Week => start.checked_sub_days(Days::new(u64::from(times) * 7)),
        Unit::Month => months(1),
        Unit::Quarter => months(3),
        Unit::Year => months(12),
    }
}

impl Unit {
    /// The first day of the unit that a day is in.
    fn start(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Hour | Self::Day => Some(day),
            Self::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
            Self::Quarter => day.with_day(1)?.with_month((day.month0() / 3) * 3 + 1),
            Self::Year => day.with_day(1)?.with_month(1),
        }
    }

    /// The first day of the next one.
    fn next(self, start: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Hour | Self::Day => start.succ_opt(),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
            Self::Quarter => start.checked_add_months(Months::new(3)),
            Self::Year => start.checked_add_months(Months::new(12)),
        }
    }

    /// As SQL calls it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

/// The instant at which a day begins in a zone: where midnight is left out by a clock change, the first instant after it.
pub(super) fn midnight(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let start: NaiveDateTime = day.and_hms_opt(0, 0, 0)?;
    let at = |minutes: i64| zone.from_local_datetime(&(start + chrono::Duration::minutes(minutes))).earliest();
    (0..=180).find_map(at).map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::lexer::cut;
    use super::*;

    fn instants(words: &str, now: &str, zone: Tz) -> (String, String) {
        let (length, period) = read(&cut(words)).unwrap();
        assert_eq!(length, cut(words).len(), "{words}");
        let (start, end) = period.instants(now.parse().unwrap(), zone).unwrap();
        (start.format("%FT%RZ").to_string(), end.format("%FT%RZ").to_string())
    }

    #[test]
    fn a_period_begins_and_ends_at_midnight_in_its_zone() {
        let berlin = chrono_tz::Europe::Berlin;
        let month = ("2026-03-31T22:00Z".to_owned(), "2026-04-30T22:00Z".to_owned());
        assert_eq!(instants("this month", "2026-03-31T22:30:00Z", berlin), month);
        let short = ("2026-03-08T05:00Z".to_owned(), "2026-03-09T04:00Z".to_owned());
        assert_eq!(instants("yesterday", "2026-03-09T12:00:00Z", chrono_tz::America::New_York), short, "23 hours");
        let week = ("2026-03-22T23:00Z".to_owned(), "2026-03-29T22:00Z".to_owned());
        assert_eq!(instants("last week", "2026-03-30T10:00:00Z", berlin), week);
        let year = ("2024-12-31T23:00Z".to_owned(), "2025-12-31T23:00Z".to_owned());
        assert_eq!(instants("in 2025", "2026-03-30T10:00:00Z", berlin), year);
        let quarter = ("2025-12-31T23:00Z".to_owned(), "2026-03-31T22:00Z".to_owned());
        for words in ["in Q1 2026", "the first quarter of 2026"] {
            assert_eq!(instants(words, "2020-01-01T00:00:00Z", berlin), quarter);
        }
        let day = ("2026-03-30T22:00Z".to_owned(), "2026-03-31T22:00Z".to_owned());
        for words in ["31.03.2026", "March 31, 2026", "the 31st of March 2026", "am 31. März 2026", "on 31 mar 2026"] {
            assert_eq!(
                instants(words.trim_start_matches("the ").trim_start_matches("am "), "2020-01-01T00:00:00Z", berlin),
                day
            );
        }
        assert_eq!(instants("last quarter", "2026-04-02T00:00:00Z", berlin), quarter);
        let march = ("2026-02-28T23:00Z".to_owned(), "2026-03-31T22:00Z".to_owned());
        for words in ["in March 2026", "mar 2026", "in 2026-03"] {
            assert_eq!(instants(words, "2020-01-01T00:00:00Z", berlin), march);
        }
    }

    #[test]
    fn a_month_without_its_year_is_the_one_of_this_year_once_it_has_begun() {
        let march = ("2026-03-01T00:00Z".to_owned(), "2026-04-01T00:00Z".to_owned());
        assert_eq!(instants("in March", "2026-03-02T00:00:00Z", Tz::UTC), march);
        let (_, period) = read(&cut("in March")).unwrap();
        assert_eq!(period.instants("2026-02-28T23:00:00Z".parse().unwrap(), Tz::UTC), None);
    }

    #[test]
    fn a_day_whose_midnight_is_left_out_begins_after_it() {
        // Clocks in Beirut went from 0:00 to 1:00 on 2026-03-29.
        let start = midnight("2026-03-29".parse().unwrap(), chrono_tz::Asia::Beirut).unwrap();
        assert_eq!(start.format("%FT%RZ").to_string(), "2026-03-28T22:00Z");
    }

    #[test]
    fn other_words_are_no_period() {
        for words in ["last", "this table", "20260", "in Berlin", "marches", "q5 2026", "2026-13", "32 March 2026"] {
            assert_eq!(read(&cut(words)), None, "{words}");
        }
    }
}
