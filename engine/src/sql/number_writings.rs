//! to_char of numbers: digits at the places of a format.

use super::number_digits::{Digits, Number, float, roman, rounded};
use super::number_formats::{Anchor, NumberFormat, Piece};

const TOO_WIDE: &str = "the number is out of the range of its format";

impl NumberFormat {
    /// The number in this format.
    pub(super) fn write(&self, number: Number) -> Result<String, String> {
        if self.pieces.is_empty() {
            return Ok(String::new());
        }
        if self.is_roman {
            let numeral = roman(number)?;
            return Writer::new(self, &numeral, 0, None, 0).finish();
        }
        if self.is_scientific {
            return Ok(self.scientific(number));
        }
        let digits = self.digits(number)?;
        let before = self.before + self.shifted;
        let length = digits.text.find('.').unwrap_or(digits.text.len());
        let (text, spaces) = if length > before {
            (format!("{}.{}", "#".repeat(before), "#".repeat(digits.behind)), 0)
        } else {
            (digits.text, before - length)
        };
        Writer::new(self, &text, spaces, Some(digits.is_negative), digits.behind).finish()
    }

    fn digits(&self, number: Number) -> Result<Digits, String> {
        let behind = self.behind;
        let whole = |value: i64| Digits {
            is_negative: value < 0,
            text: format!("{}{}{}", value.unsigned_abs(), if behind > 0 { "." } else { "" }, "0".repeat(behind)),
            behind,
        };
        let up = || u32::try_from(self.shifted).ok().and_then(|digits| 10_i64.checked_pow(digits));
        match number {
            Number::Int4(value) => {
                let value = up().and_then(|up| i64::from(value).checked_mul(up));
                value.filter(|value| i32::try_from(*value).is_ok()).map(whole).ok_or_else(|| TOO_WIDE.to_owned())
            }
            Number::Int8(value) => {
                up().and_then(|up| value.checked_mul(up)).map(whole).ok_or_else(|| TOO_WIDE.to_owned())
            }
            Number::Numeric(value, scale) => {
                let digits = value.unsigned_abs().to_string();
                let shift = i64::try_from(self.shifted).unwrap_or(i64::MAX);
                let text = rounded(&digits, i64::from(scale).saturating_sub(shift), behind);
                let is_negative = value < 0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
                Ok(Digits { is_negative, text, behind })
            }
            #[allow(clippy::cast_possible_truncation, reason = "the product of a single float is one")]
            Number::Float4(value) if self.has_shift => Ok(float(f64::from(value * self.factor() as f32), 6, behind)),
            Number::Float4(value) => Ok(float(f64::from(value), 6, behind)),
            Number::Float8(value) if self.has_shift => Ok(float(value * self.factor(), 15, behind)),
            Number::Float8(value) => Ok(float(value, 15, behind)),
        }
    }

    fn factor(&self) -> f64 {
        10_f64.powi(i32::try_from(self.shifted).unwrap_or(i32::MAX))
    }

    /// `d.ddde+dd`; what is no number fills the format with signs.
    fn scientific(&self, number: Number) -> String {
        let float = |value: f64| {
            if !value.is_finite() {
                return format!(" {}.{}", "#".repeat(self.before), "#".repeat(self.behind + 4));
            }
            let text = format!("{value:.width$e}", width = self.behind);
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let blank = if mantissa.starts_with('-') { "" } else { " " };
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{blank}{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        };
        match number {
            Number::Int4(value) => float(f64::from(value)),
            Number::Float4(value) => float(f64::from(value)),
            Number::Float8(value) => float(value),
            Number::Int8(value) => self.scientific_digits(value.into(), 0),
            Number::Numeric(value, scale) => self.scientific_digits(value, scale),
        }
    }

    fn scientific_digits(&self, value: i128, scale: u8) -> String {
        let digits = value.unsigned_abs().to_string();
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let exponent = if value == 0 { 0 } else { length - 1 - i64::from(scale) };
        let shown = rounded(&digits, if value == 0 { 0 } else { length - 1 }, self.behind);
        let blank = if value < 0 { "-" } else { " " };
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{blank}{shown}e{sign}{:02}", exponent.unsigned_abs())
    }
}

/// A number on its way into a format. Places are counted from the left, those of the blanks in front among them.
struct Writer<'a> {
    format: &'a NumberFormat,
    digits: &'a [u8],
    /// The next digit.
    next: usize,
    /// Blanks in front.
    spaces: usize,
    place: usize,
    places: usize,
    behind: usize,
    /// The last digit behind the point that is no zero, where the others are left out.
    last: Option<usize>,
    is_negative: Option<bool>,
    anchor: Option<Anchor>,
    has_brackets: bool,
    is_signed: bool,
    is_inside: bool,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(format: &'a NumberFormat, digits: &'a str, spaces: usize, is_negative: Option<bool>, behind: usize) -> Self {
        let before = format.before + format.shifted;
        let is_plus = is_negative == Some(false);
        let has_own = format.has_plus || format.has_minus;
        let anchor = format.sign.map(|(anchor, digits)| match anchor {
            Anchor::Before if !has_own && before == digits => Anchor::Behind,
            anchor => anchor,
        });
        let is_signed = if has_own { format.has_minus } else { is_plus && !format.is_filled && anchor.is_none() };
        let places = behind + before + usize::from(!is_signed && spaces == 0);
        Self {
            format,
            digits: digits.as_bytes(),
            next: 0,
            spaces,
            place: 0,
            places,
            behind,
            last: last(format, digits, spaces),
            is_negative,
            anchor,
            has_brackets: format.has_brackets && (format.is_filled || !is_plus || has_own),
            is_signed,
            is_inside: false,
            out: String::new(),
        }
    }

    fn finish(mut self) -> Result<String, String> {
        for piece in &self.format.pieces {
            self.piece(*piece)?;
        }
        // A place beyond the digits that there are ends the text, as it does in Postgres.
        let end = self.out.find('\0').unwrap_or(self.out.len());
        self.out.truncate(end);
        Ok(self.out)
    }

    fn piece(&mut self, piece: Piece) -> Result<(), String> {
        let is_filled = self.format.is_filled;
        let is_roman = self.format.is_roman;
        match piece {
            Piece::Digit | Piece::Zero | Piece::Point if is_roman => {}
            Piece::Digit | Piece::Zero | Piece::Point => self.place(piece == Piece::Zero),
            Piece::Comma | Piece::Group if self.is_inside => self.out.push(','),
            Piece::Comma | Piece::Group if is_filled => self.out.push(' '),
            Piece::Currency => self.out.push(' '),
            Piece::Roman(is_upper) => {
                let text = String::from_utf8_lossy(self.digits);
                let text = if is_upper { text.into_owned() } else { text.to_lowercase() };
                let width = if is_filled { 15 } else { 0 };
                self.out.push_str(&format!("{text:>width$}"));
            }
            Piece::Ordinal(is_upper) => self.ordinal(is_upper)?,
            Piece::Minus if self.is_negative == Some(true) && !is_roman => self.out.push('-'),
            Piece::Plus if self.is_negative == Some(false) && !is_roman => self.out.push('+'),
            Piece::Minus | Piece::Plus if is_filled => self.out.push(' '),
            Piece::Sign => self.out.push(match self.is_negative {
                Some(true) => '-',
                Some(false) => '+',
                None => '\0',
            }),
            Piece::Literal(text) => self.out.push(text),
            _ => {}
        }
        Ok(())
    }

    fn ordinal(&mut self, is_upper: bool) -> Result<(), String> {
        let is_none = self.format.is_roman || self.format.has_point || self.is_negative == Some(true);
        if is_none || self.digits.first() == Some(&b'#') {
            return Ok(());
        }
        let last = self.digits.last().copied().unwrap_or(0);
        if !last.is_ascii_digit() {
            return Err("what is no number has no ordinal".to_owned());
        }
        let is_teen = self.digits.len() > 1 && self.digits[self.digits.len() - 2] == b'1';
        let ending = match last {
            b'1' if !is_teen => "st",
            b'2' if !is_teen => "nd",
            b'3' if !is_teen => "rd",
            _ => "th",
        };
        self.out.push_str(&if is_upper { ending.to_uppercase() } else { ending.to_owned() });
        Ok(())
    }

    /// A blank in place of the zero before the point: `9.9` writes ` .1`.
    fn is_hidden(&self) -> bool {
        let is_first = self.next == 0 && self.digits.first() == Some(&b'0');
        self.format.zeros.is_none() && is_first && self.behind > 0
    }

    fn ends_in_point(&self) -> bool {
        self.last.is_some_and(|last| self.digits.get(last) == Some(&b'.'))
    }

    /// The sign before the first digit.
    fn sign(&mut self) {
        let is_here = self.place >= self.spaces || self.format.zeros == Some(self.place);
        if self.is_signed || !is_here || (self.is_hidden() && !self.ends_in_point()) {
            return;
        }
        let is_negative = self.is_negative == Some(true);
        match self.anchor {
            Some(Anchor::Before) => self.out.push(if is_negative { '-' } else { '+' }),
            Some(Anchor::Behind) => return,
            None if self.has_brackets => self.out.push(if is_negative { '<' } else { ' ' }),
            None if is_negative => self.out.push('-'),
            None if self.format.is_filled => self.out.push(' '),
            None => {}
        }
        self.is_signed = true;
    }

    /// The next place: a blank, a zero in front, a digit or the point.
    fn place(&mut self, is_zero: bool) {
        self.is_inside = false;
        self.sign();
        let is_filled = self.format.is_filled;
        let is_in_front = self.place < self.spaces;
        let is_zeroed = self.format.zeros.is_some_and(|first| first <= self.place);
        if is_in_front && !is_zeroed {
            if is_filled {
                self.out.push(' ');
            }
        } else if is_in_front {
            self.out.push('0');
            self.is_inside = true;
        } else {
            self.digit(is_zero);
        }
        self.place += 1;
        let end = self.places + usize::from(self.spaces > 0) + usize::from(self.format.has_point);
        if self.last == Some(self.next) || self.place + 1 != end {
            return;
        }
        let is_negative = self.is_negative == Some(true);
        if self.is_signed && self.has_brackets {
            self.out.push(if is_negative { '>' } else { ' ' });
        } else if self.anchor == Some(Anchor::Behind) {
            self.out.push(if is_negative { '-' } else { '+' });
        }
    }

    fn digit(&mut self, is_zero: bool) {
        let digit = self.digits.get(self.next).copied();
        if digit == Some(b'.') {
            if !self.ends_in_point() || !self.format.is_filled {
                self.out.push('.');
            }
        } else if self.last.is_some_and(|last| self.next > last) && !is_zero {
        } else if self.is_hidden() {
            if self.format.is_filled {
                self.out.push(' ');
            } else if self.ends_in_point() {
                self.out.push('0');
            }
        } else {
            self.out.push(digit.map_or('\0', char::from));
            self.is_inside = true;
        }
        if digit.is_some() {
            self.next += 1;
        }
    }
}

/// The last place behind the point that is written under FM: zeros behind it are left out but for those that a format wants.
fn last(format: &NumberFormat, digits: &str, spaces: usize) -> Option<usize> {
    if format.is_filled || !format.has_point {
        return None;
    }
    let point = digits.find('.')?;
    let last = digits.trim_end_matches('0').len() - 1;
    let last = last.max(point);
    if format.zeros_end <= spaces {
        return Some(last);
    }
    Some(last.max((digits.len() - 1).min(format.zeros_end - spaces)))
}
