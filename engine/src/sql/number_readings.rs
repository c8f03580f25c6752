//! to_number: texts in a format of numbers.

use super::number_formats::{NumberFormat, Piece};

/// What has been read of a text, byte by byte.
struct Reader<'a> {
    format: &'a NumberFormat,
    text: &'a [u8],
    next: usize,
    sign: Option<bool>,
    digits: String,
    point: Option<usize>,
}

impl NumberFormat {
    /// The digits of the number that a text holds, and how many are behind the point. Where the format has a point or `V`, that is
    /// what it says.
    pub(super) fn read(&self, text: &str) -> Result<(i128, usize), String> {
        if self.is_scientific || self.is_roman {
            return Err("EEEE and RN can't be read".to_owned());
        }
        let wrong = || format!("'{text}' is no number in this format");
        let mut reader =
            Reader { format: self, text: text.as_bytes(), next: 0, sign: None, digits: String::new(), point: None };
        for piece in &self.pieces {
            if reader.is_at_end() {
                break;
            }
            reader.piece(*piece);
        }
        let read = reader.digits.len() - reader.point.unwrap_or(reader.digits.len());
        let wanted = self.behind.saturating_sub(read);
        if reader.digits.is_empty() {
            return Err(wrong());
        }
        let whole = reader.digits[..reader.digits.len() - read].trim_start_matches('0').len();
        if whole > self.before + self.shifted {
            return Err(format!("'{text}' has more digits than its format"));
        }
        let digits = format!("{}{}", reader.digits, "0".repeat(wanted));
        let value: i128 = digits.parse().map_err(|_| wrong())?;
        Ok((if reader.sign == Some(true) { -value } else { value }, read + wanted + self.shifted))
    }
}

impl Reader<'_> {
    fn is_at_end(&self) -> bool {
        self.next >= self.text.len()
    }

    fn here(&self) -> u8 {
        self.text.get(self.next).copied().unwrap_or(0)
    }

    fn piece(&mut self, piece: Piece) {
        let is_filled = self.format.is_filled;
        match piece {
            Piece::Digit | Piece::Zero | Piece::Point => {
                self.number(piece != Piece::Point);
                self.next += 1;
            }
            Piece::Comma | Piece::Group if is_filled && self.here() == b',' => self.next += 1,
            Piece::Currency => self.pass(1),
            Piece::Ordinal(_) => self.pass(2),
            Piece::Minus => self.own_sign(b"-"),
            Piece::Plus => self.own_sign(b"+"),
            Piece::Sign => self.own_sign(b"+-"),
            Piece::Literal(_) => self.next += width(self.here()),
            _ => {}
        }
    }

    /// Passes over characters that are no part of a number.
    fn pass(&mut self, count: usize) {
        for _ in 0..count {
            if self.is_at_end() || b"0123456789.,+-".contains(&self.here()) {
                return;
            }
            self.next += width(self.here());
        }
    }

    fn own_sign(&mut self, signs: &[u8]) {
        if signs.contains(&self.here()) {
            self.sign = Some(self.here() == b'-');
            self.next += 1;
        } else {
            self.pass(1);
        }
    }

    /// A sign, a digit or the point.
    fn number(&mut self, is_digit: bool) {
        if self.here() == b' ' {
            self.next += 1;
        }
        if self.is_at_end() {
            return;
        }
        if self.sign.is_none() && is_digit && self.digits.is_empty() {
            self.sign_before();
        }
        if self.is_at_end() {
            return;
        }
        let mut is_read = false;
        let here = self.here();
        if here.is_ascii_digit() {
            if self.point.is_some_and(|point| self.digits.len() - point == self.format.behind) {
                return;
            }
            self.digits.push(char::from(here));
            is_read = true;
        } else if self.format.has_point && self.point.is_none() && here == b'.' {
            self.point = Some(self.digits.len());
            is_read = true;
        }
        if self.sign.is_none() && !self.digits.is_empty() {
            self.sign_behind(is_read);
        }
    }

    fn sign_before(&mut self) {
        let is_bracket = self.format.has_brackets && self.here() == b'<';

        let found = match self.here() {
            b'-' => Some(true),
            b'+' => Some(false),
            _ if is_bracket && self.format.sign.is_none() => Some(true),
            _ => None,
        };

        if found.is_some() {
            self.sign = found;
            self.next += 1;
        }
    }

    fn sign_behind(&mut self, is_read: bool) {
        let next = self.text.get(self.next + 1).copied();
        if self.format.sign.is_some() {
            if is_read && let Some(sign @ (b'-' | b'+')) = next {
                self.sign = Some(sign == b'-');
                self.next += 1;
            }
        } else if !is_read && (self.format.has_plus || self.format.has_minus) && matches!(self.here(), b'-' | b'+') {
            self.sign = Some(self.here() == b'-');
        }
    }
}

/// Bytes of a character, by its first one.
fn width(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}
