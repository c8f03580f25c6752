//! A schedule in words: in lists, previews and plans.

use cron::Cron;

use super::parse_cron;
use crate::duration;
use crate::spec::Schedule;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[rustfmt::skip]
const MONTHS: [&str; 12] = ["January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December"];

/// A schedule in words, e.g. `every day at 06:00 in Europe/Berlin`.
pub fn in_words(schedule: &Schedule) -> String {
    let mut words = match (&schedule.cron, schedule.every) {
        (Some(text), _) => {
            let cron = parse_cron(text).map_or_else(|_| format!("cron {text}"), |cron| cron_in_words(&cron));
            format!("{cron} in {}", schedule.timezone.as_deref().unwrap_or("UTC"))
        }
        (None, Some(period)) => format!("every {}", duration::in_words(period)),
        (None, None) => "never".to_owned(),
    };
    schedule.start.iter().for_each(|start| words.push_str(&format!(", from {start}")));
    schedule.end.iter().for_each(|end| words.push_str(&format!(", until {end}")));
    schedule.jitter.iter().for_each(|jitter| words.push_str(&format!(", up to {} late", duration::in_words(*jitter))));
    words
}

fn cron_in_words(cron: &Cron) -> String {
    let pattern = &cron.pattern;
    if pattern.days.has_modifiers() || pattern.days_of_week.has_modifiers() {
        // The last Friday of the month and the like: the parser describes them.
        return cron.describe().trim_end_matches('.').replacen("At ", "at ", 1).replacen("Every ", "every ", 1);
    }
    let (time, by_the_clock) = time_in_words(&pattern.minutes.values(), &pattern.hours.values());
    let months = names(&MONTHS, &pattern.months.values().iter().map(|month| month - 1).collect::<Vec<_>>());
    let months = if months.len() == MONTHS.len() { String::new() } else { format!(" in {}", list(&months)) };
    let days: Vec<String> = pattern.days.values().iter().map(|day| ordinal(*day)).collect();
    let days = format!("on the {} of the month", list(&days));
    let weekdays = weekdays_in_words(&pattern.days_of_week.values());
    let days = match (pattern.is_dom_wildcard(), pattern.is_dow_wildcard()) {
        (true, true) if by_the_clock => return format!("every day {time}{months}"),
        (true, true) => return format!("{time}{months}"),
        (true, false) => weekdays,
        (false, true) => days,
        (false, false) if pattern.matches_dom_and_dow() => format!("{days} and only {weekdays}"),
        (false, false) => format!("{days} or {weekdays}"),
    };
    format!("{time} {days}{months}")
}

/// The time of the day, e.g. `at 30 minutes past every hour`, and whether it consists of clock times: `at 06:00 and 18:00`.
fn time_in_words(minutes: &[u16], hours: &[u16]) -> (String, bool) {
    /// More times of the day than this are described by minutes and hours.
    const TOLD: usize = 4;
    let (past, irregular) = hours_in_words(hours);
    if minutes.len() * hours.len() <= TOLD || (minutes.len() == 1 && irregular) {
        let times = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")));
        return (format!("at {}", list(&times.collect::<Vec<_>>())), true);
    }
    let every = match regular(minutes, 60) {
        _ if minutes == [0] => return (past, false),
        Some(1) => "every minute".to_owned(),
        Some(step) => format!("every {step} minutes"),
        None => {
            let unit = if minutes == [1] { "minute" } else { "minutes" };
            return (format!("at {} {unit} past {past}", list(minutes)), false);
        }
    };
    (if hours.len() == 24 { every } else { format!("{every} in {past}") }, false)
}

/// The hours, and whether they are neither a range nor evenly spread over the day.
fn hours_in_words(hours: &[u16]) -> (String, bool) {
    match (regular(hours, 24), hours) {
        (Some(1), _) => ("every hour".to_owned(), false),
        (Some(step), _) => (format!("every {} hour", ordinal(step)), false),
        (None, [first, .., last]) if usize::from(last - first) + 1 == hours.len() => {
            (format!("every hour from {first} to {last}"), false)
        }
        (None, [hour]) => (format!("hour {hour}"), true),
        (None, _) => (format!("hours {}", list(hours)), true),
    }
}

/// The step between values that begin with 0 and divide `whole` evenly.
fn regular(values: &[u16], whole: u16) -> Option<u16> {
    let step = values.get(1)? - values.first()?;
    let even = (0..whole).step_by(usize::from(step)).eq(values.iter().copied());
    (even && whole.is_multiple_of(step)).then_some(step)
}

fn weekdays_in_words(days: &[u16]) -> String {
    match days {
        [1, 2, 3, 4, 5] => "on weekdays".to_owned(),
        [0, 6] => "on weekends".to_owned(),
        // The week begins on Monday.
        [0, rest @ ..] => format!("on {}", list(&names(&WEEKDAYS, rest.iter().chain([&0])))),
        days => format!("on {}", list(&names(&WEEKDAYS, days))),
    }
}

fn names<'a>(names: &[&'static str], numbers: impl IntoIterator<Item = &'a u16>) -> Vec<&'static str> {
    numbers.into_iter().filter_map(|number| names.get(usize::from(*number)).copied()).collect()
}

/// `1, 2 and 3`.
fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    match items.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => items.concat(),
    }
}

fn ordinal(number: u16) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
