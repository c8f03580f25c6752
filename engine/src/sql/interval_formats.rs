//! to_char of intervals: their months, days and time in a format of moments.

use super::formats::{Case, Piece, fraction_of, suffix};

/// Fields that an interval has; the others belong to a date.
const FIELDS: [&str; 31] = [
    "HH24", "HH12", "HH", "MI", "SS", "SSSS", "SSSSS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "AM",
    "PM", "A.M.", "P.M.", "YYYY", "YYY", "YY", "Y", "Y,YYY", "CC", "Q", "MM", "DDD", "DD", "WW", "W",
];

/// The field of a format that an interval does not have.
pub(super) fn missing(pieces: &[Piece]) -> Option<&'static str> {
    pieces.iter().find_map(|piece| match piece {
        Piece::Field { name, .. } if !FIELDS.contains(name) => Some(*name),
        _ => None,
    })
}

/// Months, days and microseconds of an interval that is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i64,
}

impl Span {
    /// The interval in a format.
    pub(super) fn written(self, pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| self.piece(piece)).collect()
    }

    fn piece(self, piece: &Piece) -> String {
        match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Separator(mark) => mark.to_string(),
            Piece::Field { name, case, is_filled, ordinal } => {
                if matches!(*name, "AM" | "PM" | "A.M." | "P.M.") {
                    return self.half(name, *case);
                }
                let number = self.number(name, *is_filled);
                let ending = ordinal.filter(|_| !number.is_empty()).map_or("", |case| suffix(&number, case));
                format!("{number}{ending}")
            }
        }
    }

    fn half(self, name: &str, case: Case) -> String {
        let is_morning = self.micros / 3_600_000_000 % 24 < 12;
        let word = match (is_morning, name.contains('.')) {
            (true, true) => "A.M.",
            (true, false) => "AM",
            (false, true) => "P.M.",
            (false, false) => "PM",
        };
        if case == Case::Upper { word.to_owned() } else { word.to_lowercase() }
    }

    fn number(self, name: &str, is_filled: bool) -> String {
        let (years, months) = (self.months / 12, self.months % 12);
        let day_of_year = self.months * 30 + self.days;
        let seconds = self.micros / 1_000_000;
        let fraction = self.micros % 1_000_000;
        let hours = seconds / 3_600;
        // A sign has a place of its own in front of the digits.
        let filled = |value: i64, width: usize| match is_filled {
            true => format!("{value:0width$}", width = width + usize::from(value < 0)),
            false => value.to_string(),
        };
        let narrow = |value: i64, width: usize| if is_filled { format!("{value:0width$}") } else { value.to_string() };
        let tail = |digits: u32| {
            let width = usize::try_from(digits).unwrap_or(0) + usize::from(years < 0);
            narrow(years % 10_i64.pow(digits), width)
        };
        match name {
            "HH24" => filled(hours, 2),
            "HH12" | "HH" => {
                let hour = if hours % 12 == 0 { 12 } else { hours % 12 };
                narrow(hour, 2 + usize::from(hours < 0))
            }
            "MI" => filled(seconds / 60 % 60, 2),
            "SS" => filled(seconds % 60, 2),
            "SSSS" | "SSSSS" => seconds.to_string(),
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => fraction_of(name, fraction),
            "YYYY" => filled(years, 4),
            "YYY" => tail(3),
            "YY" => tail(2),
            "Y" => tail(1),
            "Y,YYY" => format!("{},{:03}", years / 1_000, years % 1_000),
            "CC" if (years / 100).abs() > 99 => (years / 100).to_string(),
            "CC" => filled(years / 100, 2),
            "Q" if months == 0 => String::new(),
            "Q" => ((months - 1) / 3 + 1).to_string(),
            "MM" => filled(months, 2),
            "DDD" => narrow(day_of_year, 3),
            "DD" => narrow(self.days, 2),
            "WW" => narrow((day_of_year - 1) / 7 + 1, 2),
            "W" => ((self.days - 1) / 7 + 1).to_string(),
            _ => String::new(),
        }
    }
}
