//! Other spellings of dates, times and intervals that Postgres reads, as the ones that are read here.

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A date, a time or both in ISO's form: `Feb 29, 2024`, `29-Feb-2024`, `02/29/2024`, `2024-060`, `20240229T123456`,
/// `04:05 PM`, `epoch`. Days and months of two digits stand in the order of the session, month first.
pub(super) fn moment(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    if lower == "epoch" {
        return Some("1970-01-01".to_owned());
    }
    let (rest, is_afternoon) = half(&lower);
    let words: Vec<&str> = rest.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let (date, time) = match words.as_slice() {
        [first, second, year, time @ ..] if month(first).is_some() => (iso(year, month(first)?, second)?, time),
        [first, second, year, time @ ..] if month(second).is_some() => (iso(year, month(second)?, first)?, time),
        [clock] if is_afternoon.is_some() && clock.contains(':') => (String::new(), words.as_slice()),
        [date, time @ ..] => match compact(date) {
            Some(both) if time.is_empty() => return Some(both),
            _ => (one_word(date)?, time),
        },
        [] => return None,
    };
    let time = match (time, is_afternoon) {
        ([], None) => return Some(date),
        ([clock], Some(is_afternoon)) => whole_day(clock, is_afternoon)?,
        ([_, ..], None) => time.join(" "),
        _ => return None,
    };
    Some(format!("{date} {time}").trim_start().to_owned())
}

/// A time of day without colons: `040506`.
pub(super) fn time(text: &str) -> Option<String> {
    let text = text.trim();
    is_digits(text, 6).then(|| format!("{}:{}:{}", &text[..2], &text[2..4], &text[4..]))
}

/// A text without AM or PM, and whether it is PM.
fn half(text: &str) -> (&str, Option<bool>) {
    for (suffix, is_afternoon) in [("am", false), ("pm", true)] {
        if let Some(rest) = text.strip_suffix(suffix)
            && rest.trim_end().ends_with(|last: char| last.is_ascii_digit())
        {
            return (rest.trim_end(), Some(is_afternoon));
        }
    }
    (text, None)
}

/// A clock of 12 hours as one of 24.
fn whole_day(clock: &str, is_afternoon: bool) -> Option<String> {
    let (hour, rest) = clock.split_once(':')?;
    let hour: u32 = hour.parse().ok().filter(|hour| *hour <= 12)?;
    let hour = hour % 12 + if is_afternoon { 12 } else { 0 };
    Some(format!("{hour:02}:{rest}"))
}

fn month(word: &str) -> Option<usize> {
    let is_it = |month: &&str| word == *month || word == &month[..3] || (word == "sept" && month.starts_with("sep"));
    MONTHS.iter().position(is_it).map(|place| place + 1)
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_short(text: &str) -> bool {
    is_digits(text, 1) || is_digits(text, 2)
}

fn iso(year: &str, month: usize, day: &str) -> Option<String> {
    (is_digits(year, 4) && is_short(day)).then(|| format!("{year}-{month:02}-{day:0>2}"))
}

/// A date of one word.
fn one_word(word: &str) -> Option<String> {
    let parts: Vec<&str> = word.split(['-', '/']).collect();
    match parts.as_slice() {
        [year, month, day] if is_digits(year, 4) && is_short(month) && is_short(day) => Some(word.to_owned()),
        [day, name, year] if month(name).is_some() => iso(year, month(name)?, day),
        [month, day, year] if is_short(month) => iso(year, month.parse().ok()?, day),
        _ => {
            let (year, day) = word.split_once(['-', '.'])?;
            if is_digits(year, 4) && is_digits(day, 3) { of_year(year.parse().ok()?, day.parse().ok()?) } else { None }
        }
    }
}

/// The date of a day of a year.
fn of_year(year: u32, day: u32) -> Option<String> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut left = day;
    for (place, length) in lengths.into_iter().enumerate() {
        if (1..=length).contains(&left) {
            return Some(format!("{year:04}-{:02}-{left:02}", place + 1));
        }
        left = left.checked_sub(length)?;
    }
    None
}

/// `20240229t123456`
fn compact(word: &str) -> Option<String> {
    let (date, clock) = word.split_once('t')?;
    let is_both = is_digits(date, 8) && is_digits(clock, 6);
    is_both.then(|| {
        let (hour, minute, second) = (&clock[..2], &clock[2..4], &clock[4..]);
        format!("{}-{}-{} {hour}:{minute}:{second}", &date[..4], &date[4..6], &date[6..])
    })
}

/// An interval with its units: `P1Y2M3DT4H5M6S`, `1-2`, `3 4:05:06`, `1 month - 1 day`.
pub(super) fn interval(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    if let Some(rest) = text.trim().strip_prefix('P') {
        return designated(rest);
    }
    let mut words: Vec<String> = Vec::new();
    let mut sign = "";
    for word in lower.split_ascii_whitespace() {
        match word {
            "-" | "+" if sign.is_empty() => sign = word,
            word => words.push(format!("{}{word}", std::mem::take(&mut sign))),
        }
    }
    if !sign.is_empty() {
        return None;
    }
    let mut found = Vec::with_capacity(words.len());
    for (place, word) in words.iter().enumerate() {
        let is_days = is_whole(word) && words.get(place + 1).is_some_and(|next| next.contains(':'));
        found.push(match years_and_months(word) {
            Some(both) => both,
            None if is_days && (place == 0 || years_and_months(&words[place - 1]).is_some()) => format!("{word} days"),
            None => word.clone(),
        });
    }
    Some(found.join(" ")).filter(|found| *found != lower)
}

/// An interval of which the fields are named: `'1-2' year to month`, `'10:20' minute to second`.
pub(super) fn between(text: &str, fields: &str) -> Option<String> {
    let text = text.trim();
    let colons = text.matches(':').count();
    let is_days = text.split_once(' ').is_some_and(|(days, clock)| is_whole(days) && !clock.trim().contains(' '));
    let is_clock = !text.contains(' ') && text.starts_with(|first: char| first.is_ascii_digit());
    match fields {
        "year to month" => years_and_months(text),
        "day to minute" if is_days && colons == 1 => Some(text.to_owned()),
        "day to second" if is_days && colons == 2 => Some(text.to_owned()),
        "hour to minute" if is_clock && colons == 1 => Some(text.to_owned()),
        "hour to second" if is_clock && colons == 2 => Some(text.to_owned()),
        "minute to second" if is_clock && colons == 1 => Some(format!("0:{text}")),
        _ => None,
    }
}

fn is_whole(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1-2`: years and months of one sign.
fn years_and_months(word: &str) -> Option<String> {
    let (sign, rest) = match word.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let (years, months) = rest.split_once('-')?;
    let is_both = is_whole(years) && is_short(months) && years.len() <= 6 && !years.starts_with(['-', '+']);
    let is_year = months.parse::<u32>().is_ok_and(|months| months < 12);
    (is_both && is_year).then(|| format!("{sign}{years} years {sign}{months} months"))
}

/// What stands behind the P of an ISO interval.
fn designated(text: &str) -> Option<String> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (text, ""),
    };
    let date_units = [('Y', "years"), ('M', "months"), ('W', "weeks"), ('D', "days")];
    let time_units = [('H', "hours"), ('M', "minutes"), ('S', "seconds")];
    let mut found = measures(date, &date_units)?;
    found.extend(measures(time, &time_units)?);
    (!found.is_empty()).then(|| found.join(" "))
}

fn measures(text: &str, units: &[(char, &str)]) -> Option<Vec<String>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = (&rest[..end], rest[end..].chars().next()?);
        let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok();
        let (_, name) = units.iter().find(|(known, _)| *known == unit).filter(|_| is_number)?;
        found.push(format!("{number} {name}"));
        rest = &rest[end + 1..];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What psql of Postgres 15 reads them as.
    #[test]
    fn moments_become_those_of_iso() {
        for (text, wanted) in [
            ("Feb 29, 2024", "2024-02-29"),
            ("29 february 2024", "2024-02-29"),
            ("9-Sept-2024 12:30", "2024-09-09 12:30"),
            ("02/29/2024", "2024-02-29"),
            ("1-8-1999 4:05 PM", "1999-01-08 16:05"),
            ("2024-060", "2024-02-29"),
            ("2023.365", "2023-12-31"),
            ("20240229T123456", "2024-02-29 12:34:56"),
            ("2024-02-29 12:34:56 AM", "2024-02-29 00:34:56"),
            ("04:05pm", "16:05"),
            ("Epoch", "1970-01-01"),
        ] {
            assert_eq!(moment(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["2024-366x", "2023-366", "13:05 PM", "Feb 2024", "29 Foo 2024", "1/2/24", "", "am", "tomorrow"] {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(time("040506").as_deref(), Some("04:05:06"));
        assert_eq!(time("0405"), None);
    }

    #[test]
    fn intervals_get_their_units() {
        for (text, wanted) in [
            ("P1Y2M3DT4H5M6.5S", "1 years 2 months 3 days 4 hours 5 minutes 6.5 seconds"),
            ("PT-0.5S", "-0.5 seconds"),
            ("1-2", "1 years 2 months"),
            ("-1-2", "-1 years -2 months"),
            ("3 4:05:06", "3 days 4:05:06"),
            ("1-2 3 4:05", "1 years 2 months 3 days 4:05"),
            ("1 month - 1 day", "1 month -1 day"),
        ] {
            assert_eq!(interval(text).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(between("1-2", "year to month").as_deref(), Some("1 years 2 months"));
        assert_eq!(between("10:20", "minute to second").as_deref(), Some("0:10:20"));
        assert_eq!(between("1 12:59:10", "day to second").as_deref(), Some("1 12:59:10"));
        assert_eq!(between("1 12", "day to hour"), None);
        for text in ["P", "PT", "P1", "P1X", "p1d", "1-13", "1 day", "1 day -"] {
            assert_eq!(interval(text), None, "{text}");
        }
    }
}
