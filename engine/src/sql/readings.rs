//! to_date and to_timestamp: texts in a format. Fields that are not listed here are refused when a statement is planned.

use super::date_fields::Found;
use super::formats::{MONTHS, Piece, ROMAN};

/// The field of a format that can't be read.
pub(super) fn missing(pieces: &[Piece]) -> Option<&'static str> {
    pieces.iter().find_map(|piece| match piece {
        Piece::Field { name: name @ ("TZ" | "OF"), .. } => Some(*name),
        _ => None,
    })
}

/// Fields of digits alone: one that they follow at once takes no more than its own digits.
const DIGITS: [&str; 37] = [
    "CC", "DDD", "DD", "D", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY",
    "IYY", "IY", "I", "J", "MI", "MM", "MS", "Q", "SSSSS", "SSSS", "SS", "TZM", "US", "WW", "W", "Y,YYY", "YYYY",
    "YYY", "YY", "Y",
];

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A text that is read field by field.
struct Reading<'a> {
    text: &'a str,
    next: usize,
    /// Blanks that were passed over and have no place in the format.
    skipped: i64,
    found: Found,
}

/// The day that a text names, and the microseconds since 1970 in UTC.
pub(super) fn reading(text: &str, pieces: &[Piece]) -> Option<(i32, i64)> {
    let mut reading = Reading { text, next: 0, skipped: 0, found: Found::default() };
    for (index, piece) in pieces.iter().enumerate() {
        if reading.rest().is_empty() {
            break;
        }
        if index == 0 || matches!(piece, Piece::Field { .. }) {
            reading.blanks();
        }
        match piece {
            Piece::Separator(_) => reading.separator(),
            Piece::Literal(literal) => {
                for _ in literal.chars() {
                    if !reading.rest().is_empty() {
                        reading.character();
                    }
                }
            }
            Piece::Field { name, is_filled, ordinal, .. } => {
                let is_free = !is_filled || ordinal.is_some() || is_separated(pieces.get(index + 1));
                reading.field(name, is_free)?;
                if ordinal.is_some() && *name != "TZM" && DIGITS.contains(name) {
                    reading.pass();
                    reading.pass();
                }
                reading.skipped = 0;
                reading.blanks();
            }
        }
    }
    reading.found.finish()
}

/// Whether what follows a field is no digit.
fn is_separated(next: Option<&Piece>) -> bool {
    match next {
        None | Some(Piece::Separator(_)) => true,
        Some(Piece::Literal(text)) => !text.starts_with(|first: char| first.is_ascii_digit()),
        Some(Piece::Field { name, .. }) => !DIGITS.contains(name),
    }
}

impl Reading<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.next..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        let count = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b').len();
        self.next += count;
        self.skipped += i64::try_from(count).unwrap_or(0);
    }

    fn pass(&mut self) {
        self.next += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    /// A separator stands for any other one, or for none.
    fn separator(&mut self) {
        self.skipped -= 1;
        if self.rest().starts_with(|c: char| c.is_ascii_whitespace() || c == '\x0b' || c.is_ascii_punctuation()) {
            self.pass();
            self.skipped += 1;
        }
    }

    /// A character of a text stands for any other one, or for a blank that was passed over.
    fn character(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else {
            self.pass();
        }
    }

    fn field(&mut self, name: &'static str, is_free: bool) -> Option<()> {
        let is_iso = match name {
            "IYYY" | "IYY" | "IY" | "I" | "IW" | "IDDD" | "ID" => Some(true),
            "YYYY" | "YYY" | "YY" | "Y" | "Y,YYY" | "MONTH" | "MON" | "MM" | "RM" | "DDD" | "DD" | "D" | "WW" | "W" => {
                Some(false)
            }
            _ => None,
        };
        set(&mut self.found.is_iso, is_iso)?;
        match name {
            "MONTH" | "MON" => {
                let month = self.word(MONTHS, name == "MON")?;
                number(&mut self.found.month, month + 1)
            }
            "DAY" | "DY" => {
                let day = self.word(DAYS, name == "DY")?;
                // A name says its day anew.
                self.found.weekday =
                    if self.found.weekday == 0 || self.found.weekday == day { day + 1 } else { return None };
                Some(())
            }
            "RM" => {
                let mut numerals = ROMAN;
                numerals.reverse();
                let month = 12 - self.word(numerals, false)?;
                number(&mut self.found.month, month)
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let words = if name.contains('.') { ["A.M.", "P.M."] } else { ["AM", "PM"] };
                let half = self.word(words, false)?;
                self.found.has_halves = true;
                set(&mut self.found.is_afternoon, Some(half == 1))
            }
            "BC" | "AD" | "B.C." | "A.D." => {
                let words = if name.contains('.') { ["A.D.", "B.C."] } else { ["AD", "BC"] };
                let era = self.word(words, false)?;
                set(&mut self.found.is_before_christ, Some(era == 1))
            }
            "TZH" | "TZM" => self.zone(name, is_free),
            "Y,YYY" => self.thousands(),
            name => self.digits(name, is_free),
        }
    }

    /// The index of the word that the text goes on with.
    fn word<const N: usize>(&mut self, words: [&str; N], is_short: bool) -> Option<i64> {
        let rest = self.rest();
        let short = |word: &'_ str| if is_short { 3 } else { word.len() };
        let is_here = |word: &&str| {
            let length = short(word);
            rest.get(..length).is_some_and(|start| start.eq_ignore_ascii_case(&word[..length]))
        };
        let found = words.iter().position(is_here)?;
        self.next += short(words[found]);
        i64::try_from(found).ok()
    }

    /// A number, and how many characters it takes.
    fn integer(&mut self, width: usize, is_free: bool) -> Option<(i64, usize)> {
        self.blanks_of_number();
        let taken: String = match is_free {
            true => self.rest().to_owned(),
            false => {
                let bytes = self.rest().as_bytes();
                if bytes.len() < width {
                    return None;
                }
                String::from_utf8_lossy(&bytes[..width]).into_owned()
            }
        };
        let sign = usize::from(taken.starts_with(['-', '+']));
        let count = sign + taken[sign..].bytes().take_while(u8::is_ascii_digit).count();
        if count == sign || (!is_free && count < width) {
            return None;
        }
        let value: i32 = taken[..count].parse().ok()?;
        self.next += count;
        Some((i64::from(value), count))
    }

    fn blanks_of_number(&mut self) {
        let skipped = self.skipped;
        self.blanks();
        self.skipped = skipped;
    }

    fn digits(&mut self, name: &str, is_free: bool) -> Option<()> {
        let width = match name {
            "YYYY" | "IYYY" | "SSSS" => 4,
            "MS" | "DDD" | "IDDD" | "YYY" | "IYY" => 3,
            "US" => 6,
            "SSSSS" => 5,
            "D" | "ID" | "W" | "J" | "Q" | "Y" | "I" => 1,
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => usize::from(name.as_bytes()[2] - b'0'),
            _ => 2,
        };
        let (value, count) = self.integer(width, is_free)?;
        match name {
            "HH24" | "HH12" | "HH" | "MI" | "SS" | "SSSS" | "SSSSS" => self.clock(name, value),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => self.fraction(name, value, width, count),
            name => self.date(name, value, width, count),
        }
    }

    fn clock(&mut self, name: &str, value: i64) -> Option<()> {
        let found = &mut self.found;
        match name {
            "HH24" => number(&mut found.hour, value),
            "HH12" | "HH" => {
                found.has_halves = true;
                number(&mut found.hour, value)
            }
            "MI" => number(&mut found.minute, value),
            "SS" => number(&mut found.second, value),
            _ => number(&mut found.second_of_day, value),
        }
    }

    /// 25 of milliseconds are 250: digits behind the point of a second.
    fn fraction(&mut self, name: &str, value: i64, width: usize, count: usize) -> Option<()> {
        let digits: usize = if name == "MS" { 3 } else { 6 };
        let zeros = u32::try_from(digits.saturating_sub(count)).ok()?;
        let place = if name == "MS" { &mut self.found.millis } else { &mut self.found.micros };
        number(place, value)?;
        *place = value.checked_mul(10_i64.pow(zeros))?;
        if name.starts_with("FF") {
            self.found.fraction_digits = u32::try_from(width).ok();
        }
        Some(())
    }

    fn date(&mut self, name: &str, value: i64, width: usize, count: usize) -> Option<()> {
        let found = &mut self.found;
        match name {
            "YYYY" | "IYYY" | "YYY" | "IYY" | "YY" | "IY" | "Y" | "I" => {
                number(&mut found.year, value)?;
                if width < 4 && count < 4 {
                    found.year = completed(found.year);
                }
                found.year_digits = width;
                Some(())
            }
            "CC" => number(&mut found.century, value),
            "MM" => number(&mut found.month, value),
            "DD" => number(&mut found.day, value),
            "DDD" | "IDDD" => number(&mut found.day_of_year, value),
            "D" => number(&mut found.weekday, value),
            "ID" => {
                number(&mut found.weekday, value)?;
                found.weekday = if value >= 7 { 1 } else { value + 1 };
                Some(())
            }
            "WW" | "IW" => number(&mut found.week, value),
            "W" => number(&mut found.week_of_month, value),
            "J" => number(&mut found.julian, value),
            _ => Some(()),
        }
    }

    fn thousands(&mut self) -> Option<()> {
        let rest = self.rest();
        let (thousands, behind) = rest.split_once(',')?;
        let years = behind.trim_ascii_start();
        let sign = usize::from(years.starts_with(['-', '+']));
        let count = sign + years.bytes().skip(sign).take(3 - sign).take_while(u8::is_ascii_digit).count();
        let plain = thousands.strip_prefix(['-', '+']).unwrap_or(thousands);
        if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) || count == sign {
            return None;
        }
        let value = thousands.parse::<i32>().ok()?.checked_mul(1000)?.checked_add(years[..count].parse().ok()?)?;
        let length = rest.len() - years.len() + count;
        self.next += length;
        number(&mut self.found.year, value.into())?;
        self.found.year_digits = 4;
        Some(())
    }

    /// Hours and minutes that a clock is ahead of UTC. The sign may have been taken for a separator.
    fn zone(&mut self, name: &str, is_free: bool) -> Option<()> {
        if name == "TZH" {
            let before = self.text.as_bytes().get(self.next.wrapping_sub(1)).copied();
            let first = self.rest().bytes().next();
            self.found.zone_sign = match first {
                Some(b'-') => -1,
                Some(b'+' | b' ') => 1,
                _ if self.skipped > 0 && before == Some(b'-') => -1,
                _ => 1,
            };
            if matches!(first, Some(b'-' | b'+' | b' ')) {
                self.next += 1;
            }
            let (value, _) = self.integer(2, is_free)?;
            return number(&mut self.found.zone_hour, value);
        }
        if self.found.zone_sign == 0 {
            self.found.zone_sign = 1;
        }
        let (value, _) = self.integer(2, is_free)?;
        number(&mut self.found.zone_minute, value)
    }
}

/// Keeps a value; another one than was there is a contradiction.
fn number(place: &mut i64, value: i64) -> Option<()> {
    if *place != 0 && *place != value {
        return None;
    }
    *place = value;
    Some(())
}

fn set(place: &mut Option<bool>, value: Option<bool>) -> Option<()> {
    match (*place, value) {
        (_, None) => Some(()),
        (Some(before), Some(now)) if before != now => None,
        _ => {
            *place = value;
            Some(())
        }
    }
}

/// The year next to 2020 that ends in these digits.
fn completed(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}
