//! Schedules in words: `every weekday at 6:30 in Europe/Berlin`.

use std::time::Duration;

use chrono_tz::{TZ_VARIANTS, Tz};
use headwater_pipelines::spec::Schedule;

use super::lexer::Token;
use super::stop::Stop;
use crate::draft::{Choice, Question};

/// A schedule and the tokens that it took.
pub(super) type Read = (usize, Schedule);

const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Which days a time is of, as fields of cron.
struct Dates {
    day_of_month: String,
    day_of_week: String,
}

/// Reads a schedule that begins at a token; `None` if none begins there.
pub(super) fn read(sentence: &str, said: &[Token], at: usize, zone: Tz) -> Option<Result<Read, Stop>> {
    let mut reading = Reading { said, at };
    let start = at;
    if let Some(every) = reading.period() {
        return Some(Ok((reading.at, Schedule { every: Some(every), ..Schedule::default() })));
    }
    // `at 6:30 every day`
    let before = if reading.take(&["at"]) { Some(reading.time()?) } else { None };
    let (dates, named_time) = reading.dates()?;
    let named_time = named_time.or(before);
    Some(reading.timed(sentence, start, &dates, named_time, zone))
}

struct Reading<'a> {
    said: &'a [Token],
    at: usize,
}

impl Reading<'_> {
    fn is(&self, ahead: usize, word: &str) -> bool {
        self.said.get(self.at + ahead).is_some_and(|token| token.is(word))
    }

    fn take(&mut self, words: &[&str]) -> bool {
        let are = words.iter().enumerate().all(|(ahead, word)| self.is(ahead, word));
        self.at += if are { words.len() } else { 0 };
        are
    }

    /// `every 10 minutes`, `hourly`
    fn period(&mut self) -> Option<Duration> {
        if self.take(&["hourly"]) || self.take(&["every", "hour"]) {
            return Some(Duration::from_secs(3_600));
        }
        if self.take(&["every", "minute"]) {
            return Some(Duration::from_secs(60));
        }
        if !self.is(0, "every") {
            return None;
        }
        let count: u64 = self.said.get(self.at + 1)?.text.parse().ok().filter(|count| (1..=100_000).contains(count))?;
        let unit = self.said.get(self.at + 2)?.text.to_lowercase();
        let seconds = match unit.trim_end_matches('s') {
            "second" | "sec" => 1,
            "minute" | "min" => 60,
            "hour" => 3_600,
            _ => return None,
        };
        self.at += 3;
        Some(Duration::from_secs(count * seconds))
    }

    /// Days, and a time that their name says.
    fn dates(&mut self) -> Option<(Dates, Option<(u32, u32)>)> {
        let all = |day_of_week: &str| Dates { day_of_month: "*".to_owned(), day_of_week: day_of_week.to_owned() };
        for (words, time) in [
            (&["every", "day"][..], None),
            (&["nightly"], None),
            (&["each", "night"], None),
            (&["each", "morning"], None),
            (&["each", "evening"], None),
            (&["each", "day"], None),
            (&["daily"], None),
            (&["every", "night"], None),
            (&["every", "morning"], None),
            (&["every", "evening"], None),
            (&["every", "midnight"], Some((0, 0))),
            (&["every", "noon"], Some((12, 0))),
        ] {
            if self.take(words) {
                return Some((all("*"), time));
            }
        }
        if self.take(&["every", "weekday"]) || self.take(&["on", "weekdays"]) || self.take(&["every", "working", "day"])
        {
            return Some((all("1-5"), None));
        }
        if let Some(days) = self.days_of_week() {
            return Some((all(&days), None));
        }
        self.day_of_month().map(|day| (Dates { day_of_month: day.to_string(), day_of_week: "*".to_owned() }, None))
    }

    /// `every Monday and Friday`, `Monday to Saturday`
    fn days_of_week(&mut self) -> Option<String> {
        let start = self.at;
        self.take(&["weekly"]);
        let opened = self.take(&["every"]) || self.take(&["each"]) || self.take(&["on"]);
        let Some(first) = self.day() else {
            self.at = start;
            return None;
        };
        let through = ["to", "through", "-"].iter().any(|word| self.is(0, word));
        if through {
            self.at += 1;
            let Some(last) = self.day() else {
                self.at = start;
                return None;
            };
            // Sunday ends a week, too.
            return Some(format!("{first}-{}", if last <= first { last + 7 } else { last }));
        }
        if !opened && !self.said[self.at - 1].text.to_lowercase().ends_with('s') {
            self.at = start;
            return None;
        }
        let mut days = vec![first];
        loop {
            let before = self.at;
            let joined = self.take(&[",", "and"]) || self.take(&[","]) || self.take(&["and"]);
            match self.day().filter(|_| joined) {
                Some(day) => days.push(day),
                None => {
                    self.at = before;
                    break;
                }
            }
        }
        days.sort_unstable();
        days.dedup();
        Some(days.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    /// The number of a day of the week, by its name or its plural.
    fn day(&mut self) -> Option<u32> {
        let token = self.said.get(self.at)?;
        let found = (0..).zip(DAYS).find(|(_, name)| token.is(name) || token.is(&format!("{name}s")))?;
        self.at += 1;
        Some(found.0)
    }

    /// `on the first of every month`, `on the 15th of each month`
    fn day_of_month(&mut self) -> Option<u32> {
        let start = self.at;
        self.take(&["every", "month"]);
        self.take(&["monthly"]);
        let opened = self.take(&["on", "the"]) || self.take(&["on"]) || self.take(&["every"]);
        let day = self.said.get(self.at).and_then(ordinal).filter(|_| opened);
        self.at += 1;
        self.take(&["day"]);
        let month = self.take(&["of", "every", "month"])
            || self.take(&["of", "each", "month"])
            || self.take(&["of", "the", "month"]);
        let monthly =
            self.said[start..self.at.min(self.said.len())].iter().any(|token| token.is("month") || token.is("monthly"));
        match day {
            Some(day) if month || monthly => Some(day),
            _ => {
                self.at = start;
                None
            }
        }
    }

    /// `at 6:30 and 18:00 in Europe/Berlin`
    fn timed(
        &mut self,
        sentence: &str,
        start: usize,
        dates: &Dates,
        named: Option<(u32, u32)>,
        zone: Tz,
    ) -> Result<Read, Stop> {
        let mut times: Vec<(u32, u32)> = named.into_iter().collect();
        if times.is_empty() && self.take(&["at"]) {
            loop {
                times.push(self.time().ok_or_else(|| Stop::at(self.at, "a time such as 6:30"))?);
                let before = self.at;
                if !(self.take(&["and"]) || self.take(&[","])) || self.said.get(self.at).and_then(clock).is_none() {
                    self.at = before;
                    break;
                }
            }
        }
        let zone = self.zone().unwrap_or(zone);
        if times.is_empty() {
            return Err(Stop::Ask(at_which_time(sentence, &self.said[start..self.at])));
        }
        let minute = times[0].1;
        if times.iter().any(|(_, other)| *other != minute) {
            return Err(Stop::at(self.at, "times with the same minutes: others need a pipeline of their own"));
        }
        let mut hours: Vec<u32> = times.iter().map(|(hour, _)| *hour).collect();
        hours.sort_unstable();
        hours.dedup();
        let hours = hours.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let cron = format!("{minute} {hours} {} * {}", dates.day_of_month, dates.day_of_week);
        let timezone = (zone != Tz::UTC).then(|| zone.name().to_owned());
        Ok((self.at, Schedule { cron: Some(cron), timezone, ..Schedule::default() }))
    }

    fn time(&mut self) -> Option<(u32, u32)> {
        if self.take(&["midnight"]) {
            return Some((0, 0));
        }
        if self.take(&["noon"]) {
            return Some((12, 0));
        }
        let (hour, minute) = self.said.get(self.at).and_then(clock)?;
        self.at += 1;
        let half = if self.take(&["am"]) { Some(0) } else { self.take(&["pm"]).then_some(12) };
        self.take(&["o'clock"]);
        match half {
            None => Some((hour, minute)),
            Some(half) if (1..=12).contains(&hour) => Some((hour % 12 + half, minute)),
            Some(_) => None,
        }
    }

    /// `in Europe/Berlin`, `(UTC)`, `Europe/Berlin time`, `in Berlin`, `New York time`
    fn zone(&mut self) -> Option<Tz> {
        let is_opened = self.is(0, "(");
        let ahead = usize::from(self.is(0, "in") || is_opened);
        let (length, zone) = self.named_zone(ahead).or_else(|| self.city(ahead))?;
        self.at += ahead + length;
        if is_opened && !self.take(&[")"]) {
            self.at -= ahead + length;
            return None;
        }
        self.take(&["time"]);
        Some(zone)
    }

    fn named_zone(&self, ahead: usize) -> Option<(usize, Tz)> {
        let zone = self.said.get(self.at + ahead).filter(|token| token.text.contains('/') || token.is("UTC"))?;
        Some((1, zone.text.parse().ok()?))
    }

    /// The zone that is named for a city, if there is one. Without `in` or `time` the word could be anything.
    fn city(&self, ahead: usize) -> Option<(usize, Tz)> {
        (1..=3).rev().find_map(|length| {
            let words = self.said.get(self.at + ahead..self.at + ahead + length)?;
            if !self.is(0, "in") && !self.is(ahead + length, "time") {
                return None;
            }
            let city = words.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join("_");
            let is_it =
                |zone: &&Tz| zone.name().rsplit_once('/').is_some_and(|(_, last)| last.eq_ignore_ascii_case(&city));
            let mut zones = TZ_VARIANTS.iter().filter(is_it);
            let only = zones.next()?;
            zones.next().is_none().then_some((length, *only))
        })
    }
}

/// `6:30`, `6`, `6am`
fn clock(token: &Token) -> Option<(u32, u32)> {
    let text = token.text.to_lowercase();
    let (text, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(text), _) => (text, Some(0)),
        (_, Some(text)) => (text, Some(12)),
        _ => (text.as_str(), None),
    };
    let (hour, minute) = text.split_once(':').unwrap_or((text, "0"));
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        None => hour,
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
    };
    (hour < 24 && minute < 60).then_some((hour, minute))
}

/// `first`, `1st`, `15th`: days that every month has.
fn ordinal(token: &Token) -> Option<u32> {
    let words = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    if let Some((number, _)) = (1..).zip(words).find(|(_, word)| token.is(word)) {
        return Some(number);
    }
    let text = token.text.to_lowercase();
    let number = ["st", "nd", "rd", "th", "."].iter().find_map(|ending| text.strip_suffix(ending))?;
    number.parse().ok().filter(|number| (1..=28).contains(number))
}

fn at_which_time(sentence: &str, words: &[Token]) -> Question {
    let quote = words.first().zip(words.last()).map_or("", |(first, last)| &sentence[first.span.start..last.span.end]);
    let choices = ["0:00", "6:00", "22:00"].map(|time| {
        let said = format!("{quote} at {time}");
        Choice { text: time.to_owned(), sentence: sentence.replacen(quote, &said, 1) }
    });
    Question { text: format!("At which time, {quote}?"), choices: choices.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::cut;
    use super::*;

    fn cron(words: &str) -> String {
        let said = cut(words);
        match read(words, &said, 0, Tz::UTC) {
            Some(Ok((length, schedule))) => {
                assert_eq!(length, said.len(), "{words}");
                let zone = schedule.timezone.map(|zone| format!(" {zone}")).unwrap_or_default();
                schedule.cron.map_or_else(|| format!("{:?}", schedule.every.unwrap_or_default()), |cron| cron + &zone)
            }
            Some(Err(Stop::Ask(question))) => format!("asks: {}", question.text),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn schedules_in_words_become_cron() {
        for (words, expected) in [
            ("every day at 6:30 in Europe/Berlin", "30 6 * * * Europe/Berlin"),
            ("daily at 06:30 Europe/Berlin", "30 6 * * * Europe/Berlin"),
            ("Every weekday at 2:15 in America/New_York", "15 2 * * 1-5 America/New_York"),
            ("Every Monday at 0:00", "0 0 * * 1"),
            ("every Monday, Wednesday and Friday at 7am", "0 7 * * 1,3,5"),
            ("Monday to Saturday at 5:45", "45 5 * * 1-6"),
            ("Saturday to Sunday at noon", "0 12 * * 6-7"),
            ("On the first of every month at 3:20", "20 3 1 * *"),
            ("every month on the 15th at 4 pm", "0 16 15 * *"),
            ("every day at 7:00 and 19:00", "0 7,19 * * *"),
            ("every 10 minutes", "600s"),
            ("Every 6 hours", "21600s"),
            ("hourly", "3600s"),
            ("at 6:30 every weekday in Europe/Berlin", "30 6 * * 1-5 Europe/Berlin"),
            ("every weekday at 6 in Berlin", "0 6 * * 1-5 Europe/Berlin"),
            ("every day at 9 New York time", "0 9 * * * America/New_York"),
            ("every night", "asks: At which time, every night?"),
        ] {
            assert_eq!(cron(words), expected, "{words}");
        }
    }

    #[test]
    fn other_words_begin_no_schedule() {
        for words in ["every order", "on orders", "monday", "the first order", "every 3 customers"] {
            assert!(read(words, &cut(words), 0, Tz::UTC).is_none(), "{words}");
        }
    }
}
