//! Formats of numbers with Postgres' patterns: what a format holds, and numbers written in it.
//!
//! See "Data Type Formatting Functions" in Postgres' manual.

/// A pattern of a format, or text between patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// `9`, a digit.
    Digit,
    /// `0`, a digit that is written even if it is a zero in front.
    Zero,
    /// `.` and `D`
    Point,
    /// `,`
    Comma,
    /// `G`
    Group,
    /// `L`: without a locale, a blank.
    Currency,
    /// `RN`, and whether it is in capitals.
    Roman(bool),
    /// `TH`, and whether it is in capitals.
    Ordinal(bool),
    Minus,
    Plus,
    Sign,
    /// What says something about the whole number and stands for no character: `S`, `PR`, `FM`, `V`, `B`, `EEEE`, `C`, `SP`.
    Nothing,
    Literal(char),
}

/// Where `S` puts the sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Before,
    Behind,
}

/// A format of numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberFormat {
    pub(super) pieces: Vec<Piece>,
    /// Digits before the point, those of `V` among them when a number is written.
    pub(super) before: usize,
    /// Digits behind the point.
    pub(super) behind: usize,
    /// Digits behind `V`.
    pub(super) shifted: usize,
    /// The first place with a zero, and the one behind the last.
    pub(super) zeros: Option<usize>,
    pub(super) zeros_end: usize,
    /// Where `S` puts the sign, and how many digits stand before it.
    pub(super) sign: Option<(Anchor, usize)>,
    pub(super) has_point: bool,
    pub(super) is_filled: bool,
    pub(super) has_minus: bool,
    pub(super) has_plus: bool,
    pub(super) has_brackets: bool,
    pub(super) has_shift: bool,
    pub(super) is_roman: bool,
    pub(super) is_scientific: bool,
    is_blank: bool,
}

/// Patterns; a longer one stands before its own beginning.
const PATTERNS: [&str; 20] =
    ["EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "B", "C", "D", "G", "L", "S", "V", ",", ".", "0", "9"];

/// The pattern that a text starts with, and whether it is in capitals.
fn pattern(text: &str) -> Option<(&'static str, bool)> {
    PATTERNS.into_iter().find_map(|name| match text.get(..name.len()) {
        Some(start) if start == name => Some((name, true)),
        Some(start) if start == name.to_ascii_lowercase() => Some((name, false)),
        _ => None,
    })
}

impl NumberFormat {
    /// Reads a format; what is wrong with it.
    pub(super) fn parse(format: &str) -> Result<Self, String> {
        let mut made = Self { is_filled: true, ..Self::default() };
        let mut rest = format;
        let mut is_quoted = false;
        while let Some(next) = rest.chars().next() {
            if !is_quoted && let Some((name, is_upper)) = pattern(rest) {
                made.add(name, is_upper)?;
                rest = &rest[name.len()..];
                continue;
            }
            rest = &rest[next.len_utf8()..];
            match next {
                '"' => is_quoted = !is_quoted,
                '\\' if is_quoted || rest.starts_with('"') => {
                    let Some(escaped) = rest.chars().next() else { break };
                    made.pieces.push(Piece::Literal(escaped));
                    rest = &rest[escaped.len_utf8()..];
                }
                other => made.pieces.push(Piece::Literal(other)),
            }
        }
        Ok(made)
    }

    fn add(&mut self, name: &str, is_upper: bool) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("the pattern {name} {why}"));
        let has_sign = self.sign.is_some();
        if self.is_scientific {
            return wrong("can't stand behind EEEE");
        }
        let piece = match name {
            "9" | "0" => return self.digit(name),
            "." | "D" if self.has_point => return wrong("can't stand twice"),
            "." | "D" if self.has_shift => return wrong("does not go with V"),
            "." | "D" => {
                self.has_point = true;
                Piece::Point
            }
            "S" if has_sign => return wrong("can't stand twice"),
            "S" if self.has_plus || self.has_minus || self.has_brackets => {
                return wrong("does not go with MI, PL, SG or PR");
            }
            "S" => {
                let anchor = if self.has_point { Anchor::Behind } else { Anchor::Before };
                self.sign = Some((anchor, self.before));
                Piece::Nothing
            }
            "MI" | "PL" | "SG" if has_sign => return wrong("does not go with S"),
            "PR" if has_sign || self.has_plus || self.has_minus => return wrong("does not go with S, MI, PL or SG"),
            "V" if self.has_point => return wrong("does not go with a point"),
            "EEEE" if self.is_incompatible() => return wrong("goes with digits and a point alone"),
            _ => self.mark(name, is_upper),
        };
        self.pieces.push(piece);
        Ok(())
    }

    fn digit(&mut self, name: &str) -> Result<(), String> {
        let is_zero = name == "0";
        if self.has_brackets {
            return Err(format!("the pattern {name} has to stand before PR"));
        }
        if is_zero && self.zeros.is_none() && !self.has_point {
            self.zeros = Some(self.before);
        }
        if !is_zero && self.has_shift {
            self.shifted += 1;
        } else if self.has_point {
            self.behind += 1;
        } else {
            self.before += 1;
        }
        if is_zero {
            self.zeros_end = self.before + self.behind;
        }
        self.pieces.push(if is_zero { Piece::Zero } else { Piece::Digit });
        Ok(())
    }

    fn is_incompatible(&self) -> bool {
        let has_sign = self.sign.is_some() || self.has_minus || self.has_plus || self.has_brackets;
        has_sign || self.is_blank || !self.is_filled || self.is_roman || self.has_shift
    }

    /// Patterns that go with all others.
    fn mark(&mut self, name: &str, is_upper: bool) -> Piece {
        match name {
            "," => return Piece::Comma,
            "G" => return Piece::Group,
            "L" => return Piece::Currency,
            "TH" => return Piece::Ordinal(is_upper),
            "RN" => {
                self.is_roman = true;
                return Piece::Roman(is_upper);
            }
            "MI" => {
                self.has_minus = true;
                return Piece::Minus;
            }
            "PL" => {
                self.has_plus = true;
                return Piece::Plus;
            }
            "SG" => {
                self.has_minus = true;
                self.has_plus = true;
                return Piece::Sign;
            }
            "B" if self.before + self.behind == 0 && self.zeros.is_none() => self.is_blank = true,
            "FM" => self.is_filled = false,
            "PR" => self.has_brackets = true,
            "V" => self.has_shift = true,
            "EEEE" => self.is_scientific = true,
            _ => {}
        }
        Piece::Nothing
    }
}
