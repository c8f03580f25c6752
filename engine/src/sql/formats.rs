//! Formats of moments with Postgres' patterns, and moments written in them. A pattern that is not listed here is refused when it
//! is planned.
//!
//! See "Data Type Formatting Functions" in Postgres' manual.

use chrono::{Datelike, NaiveDate};

use super::dates::{DAY, days};

/// Patterns that are fields, in capitals. A longer one stands before its own beginning.
const FIELDS: [&str; 47] = [
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "A.M.",
    "P.M.", "AM", "PM", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "IW", "IDDD", "ID", "I", "B.C.",
    "A.D.", "BC", "AD", "MONTH", "MON", "MM", "DAY", "DDD", "DD", "DY", "D", "WW", "W", "CC", "J",
];

/// Fields that only to_char has, beside those.
const MORE: [&str; 6] = ["Q", "RM", "TZH", "TZM", "TZ", "OF"];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// How letters of a field are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Case {
    Upper,
    Lower,
    Title,
}

/// A part of a format.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// Text in quotes, letters and digits.
    Literal(String),
    /// A blank or a mark that is not in quotes.
    Separator(char),
    Field {
        name: &'static str,
        case: Case,
        is_filled: bool,
        ordinal: Option<Case>,
    },
}

/// The pieces of a format; what it holds that is not supported.
pub(super) fn pieces(format: &str) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        // FM holds for the field that follows it at once.
        let behind = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm"));
        let is_filled = behind.is_none();
        rest = behind.unwrap_or(rest);
        if let Some(modifier) = ["TM", "tm", "FX", "fx", "SP"].into_iter().find(|word| rest.starts_with(word)) {
            return Err(modifier.to_owned());
        }
        let Some((name, case, length)) = field(rest) else {
            rest = literal(rest, &mut pieces);
            continue;
        };
        rest = &rest[length..];
        let ordinal = match rest.get(..2) {
            Some("TH") => Some(Case::Upper),
            Some("th") => Some(Case::Lower),
            _ => None,
        };
        if ordinal.is_some() {
            rest = &rest[2..];
        }
        pieces.push(Piece::Field { name, case, is_filled, ordinal });
    }
    Ok(pieces)
}

fn field(text: &str) -> Option<(&'static str, Case, usize)> {
    let names = FIELDS.into_iter().chain(MORE);
    let fits = |name: &&'static str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let case = |name: &str| {
        let start = text.get(..name.len())?;
        let title = format!("{}{}", &name[..1], name[1..].to_lowercase());
        match start {
            start if start == name => Some(Case::Upper),
            start if start == name.to_lowercase() => Some(Case::Lower),
            start if matches!(name, "MONTH" | "MON" | "DAY" | "DY") && start == title => Some(Case::Title),
            _ => None,
        }
    };
    let found = names.filter(fits).filter_map(|name| case(name).map(|case| (name, case)));
    found.max_by_key(|(name, _)| name.len()).map(|(name, case)| (name, case, name.len()))
}

/// Text in quotes, or one character that is no pattern.
fn literal<'a>(text: &'a str, pieces: &mut Vec<Piece>) -> &'a str {
    let mut rest = text.chars();
    let mut found = String::new();
    match rest.next() {
        Some('"') => {
            while let Some(next) = rest.next() {
                match next {
                    '"' => break,
                    '\\' => found.extend(rest.next()),
                    other => found.push(other),
                }
            }
        }
        Some('\\') if rest.as_str().starts_with('"') => found.extend(rest.next()),
        Some(mark) if mark.is_ascii_punctuation() || mark.is_ascii_whitespace() => {
            pieces.push(Piece::Separator(mark));
            return rest.as_str();
        }
        Some(other) => found.push(other),
        None => {}
    }
    if let Some(Piece::Literal(last)) = pieces.last_mut() {
        last.push_str(&found);
    } else {
        pieces.push(Piece::Literal(found));
    }
    rest.as_str()
}

/// A moment that is written.
pub(super) struct Moment {
    pub(super) date: NaiveDate,
    /// Microseconds since midnight.
    pub(super) clock: i64,
    pub(super) is_instant: bool,
}

impl Moment {
    /// The moment in a format.
    pub(super) fn written(&self, pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| self.piece(piece)).collect()
    }

    fn piece(&self, piece: &Piece) -> String {
        match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Separator(mark) => mark.to_string(),
            Piece::Field { name, case, is_filled, ordinal } => {
                // Words have no ordinals.
                let Some(number) = self.number(name, *is_filled) else { return self.word(name, *case, *is_filled) };
                let ending = ordinal.map_or("", |case| suffix(&number, case));
                format!("{number}{ending}")
            }
        }
    }

    fn number(&self, name: &str, is_filled: bool) -> Option<String> {
        let date = self.date;
        let year = if date.year() > 0 { date.year() } else { 1 - date.year() };
        let iso = date.iso_week();
        let hour = self.clock / 3_600_000_000;
        let fraction = self.clock % 1_000_000;
        let seconds = self.clock / 1_000_000;
        let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
        let filled = |value: i64, width: usize| if is_filled { format!("{value:0width$}") } else { value.to_string() };
        let tail =
            |year: i32, width: u32| filled(i64::from(year) % 10_i64.pow(width), usize::try_from(width).unwrap_or(0));
        Some(match name {
            "HH24" => filled(hour, 2),
            "HH12" | "HH" => filled(hour12, 2),
            "MI" => filled(seconds / 60 % 60, 2),
            "SS" => filled(seconds % 60, 2),
            "SSSS" | "SSSSS" => seconds.to_string(),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => fraction_of(name, fraction),
            "YYYY" => filled(year.into(), 4),
            "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
            "YYY" => tail(year, 3),
            "YY" => tail(year, 2),
            "Y" => tail(year, 1),
            "IYYY" => filled(iso.year().into(), 4),
            "IYY" => tail(iso.year(), 3),
            "IY" => tail(iso.year(), 2),
            "I" => tail(iso.year(), 1),
            "IW" => filled(iso.week().into(), 2),
            "IDDD" => filled(i64::from(iso.week0() * 7 + date.weekday().number_from_monday()), 3),
            "ID" => date.weekday().number_from_monday().to_string(),
            "MM" => filled(date.month().into(), 2),
            "DDD" => filled(date.ordinal().into(), 3),
            "DD" => filled(date.day().into(), 2),
            "D" => date.weekday().number_from_sunday().to_string(),
            "WW" => filled(i64::from(date.ordinal0() / 7 + 1), 2),
            "W" => (date.day0() / 7 + 1).to_string(),
            "CC" if date.year() > 0 => filled(i64::from((year + 99) / 100), 2),
            // Before Christ, Postgres' year is one more than this.
            "CC" => match i64::from(date.year() / 100 - 1) {
                century if is_filled => format!("{century:03}"),
                century => century.to_string(),
            },
            "J" => (i64::from(days(date)) + 2_440_588).to_string(),
            "Q" => (date.month0() / 3 + 1).to_string(),
            _ => return None,
        })
    }

    fn word(&self, name: &str, case: Case, is_filled: bool) -> String {
        let month = MONTHS[usize::try_from(self.date.month0()).unwrap_or(0).min(11)];
        let day = DAYS[usize::try_from(self.date.weekday().num_days_from_sunday()).unwrap_or(0).min(6)];
        let is_morning = self.clock < DAY / 2;
        let (word, width) = match name {
            "MONTH" => (month, 9),
            "MON" => (&month[..3], 0),
            "DAY" => (day, 9),
            "DY" => (&day[..3], 0),
            "AM" | "PM" => (if is_morning { "AM" } else { "PM" }, 0),
            "A.M." | "P.M." => (if is_morning { "A.M." } else { "P.M." }, 0),
            "BC" | "AD" => (if self.date.year() > 0 { "AD" } else { "BC" }, 0),
            "B.C." | "A.D." => (if self.date.year() > 0 { "A.D." } else { "B.C." }, 0),
            "RM" => (ROMAN[usize::try_from(self.date.month0()).unwrap_or(0).min(11)], 4),
            "TZ" if self.is_instant => ("UTC", 0),
            "TZH" | "OF" => ("+00", 0),
            "TZM" => ("00", 0),
            _ => ("", 0),
        };
        let word = match case {
            Case::Upper => word.to_uppercase(),
            Case::Lower => word.to_lowercase(),
            Case::Title => word.to_owned(),
        };
        if is_filled { format!("{word:width$}") } else { word }
    }
}

/// A second's fraction, in as many digits as the field has.
pub(super) fn fraction_of(name: &str, micros: i64) -> String {
    let digits: u32 = match name {
        "MS" => 3,
        _ => name.trim_start_matches("FF").parse().unwrap_or(6),
    };
    let width = usize::try_from(digits).unwrap_or(6);
    format!("{:0width$}", micros / 10_i64.pow(6 - digits.min(6)))
}

/// The ending of an ordinal.
pub(super) fn suffix(number: &str, case: Case) -> &'static str {
    let digits = number.as_bytes();
    let is_teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let suffix = match digits.last() {
        Some(b'1') if !is_teen => ["ST", "st"],
        Some(b'2') if !is_teen => ["ND", "nd"],
        Some(b'3') if !is_teen => ["RD", "rd"],
        _ => ["TH", "th"],
    };
    suffix[usize::from(case != Case::Upper)]
}
