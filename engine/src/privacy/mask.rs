//! The ways to mask a value.

use aws_lc_rs::hmac;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recognise;

/// What becomes of a value before somebody sees it who may not see it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Sixteen hexadecimal digits; equal values have equal ones within a workspace.
    Hash,
    /// The last characters stay, at most a quarter of them and four; the others become `*`.
    Partial,
    /// Words for what the value is.
    Redact,
    /// A number to its first digit, a date to its month, a time to its day.
    Round,
    /// NULL.
    Null,
}

/// Makes hashes that nobody else can repeat. Kept with the workspace's other secrets.
#[derive(Clone)]
pub struct MaskKey(hmac::Key);

/// The key is a secret.
impl std::fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKey")
    }
}

impl MaskKey {
    /// From a secret that is used for nothing else.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl Mask {
    /// Every mask.
    pub const ALL: [Self; 5] = [Self::Hash, Self::Partial, Self::Redact, Self::Round, Self::Null];

    /// As it is stored and typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Partial => "partial",
            Self::Redact => "redact",
            Self::Round => "round",
            Self::Null => "null",
        }
    }

    /// The mask of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mask| mask.as_str() == name)
    }

    /// The masked value; `None` is NULL.
    pub fn apply(self, value: &str, key: &MaskKey) -> Option<String> {
        match self {
            Self::Hash => Some(hex::encode(&hmac::sign(&key.0, value.as_bytes()).as_ref()[..8])),
            Self::Partial => Some(partial(value)),
            Self::Redact => Some(format!("[{}]", recognise(value).map_or("hidden", super::Personal::words))),
            Self::Round => Some(Rounding::of(value).round(value)),
            Self::Null => None,
        }
    }
}

/// The last characters of a value of eight or more.
fn partial(value: &str) -> String {
    let length = value.chars().count();
    let kept = if length < 8 { 0 } else { (length / 4).min(4) };
    let hidden = length - kept;
    value.chars().enumerate().map(|(place, c)| if place < hidden { '*' } else { c }).collect()
}

/// How a value is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To its first digit that isn't zero.
    Number,
    /// A date to the first of its month.
    Month,
    /// A time to its day.
    Day,
    /// Not: it is hidden.
    Hidden,
}

impl Rounding {
    fn of(value: &str) -> Self {
        let shape: String = value.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        if value.parse::<f64>().is_ok_and(f64::is_finite) {
            Self::Number
        } else if shape == "0000-00-00" {
            Self::Month
        } else if shape.starts_with("0000-00-00T") || shape.starts_with("0000-00-00 ") {
            Self::Day
        } else {
            Self::Hidden
        }
    }

    fn round(self, value: &str) -> String {
        match self {
            Self::Number => first_digit(value),
            Self::Month => format!("{}-01", &value[..7]),
            Self::Day => value[..10].to_owned(),
            Self::Hidden => "[hidden]".to_owned(),
        }
    }
}

/// The number with all digits but the first one zero; a fraction below one keeps its first digit too. It is never rounded up, which would need more places.
fn first_digit(value: &str) -> String {
    let (number, exponent) =
        value.split_once(['e', 'E']).map_or((value, None), |(number, exponent)| (number, Some(exponent)));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut seen = false;
    let mut keep_first = |digits: &str, zeros: bool| -> String {
        let mut out = String::new();
        for c in digits.chars() {
            if seen && c.is_ascii_digit() {
                if zeros { out.push('0') } else { break }
            } else {
                seen |= matches!(c, '1'..='9');
                out.push(c);
            }
        }
        out
    };
    let whole = keep_first(whole, true);
    let fraction =
        if whole.bytes().any(|b| matches!(b, b'1'..=b'9')) { String::new() } else { keep_first(fraction, false) };
    let dot = if fraction.is_empty() { "" } else { "." };
    let power = exponent.map(|exponent| format!("e{exponent}")).unwrap_or_default();
    format!("{whole}{dot}{fraction}{power}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MaskKey {
        MaskKey::new(b"secret")
    }

    #[test]
    fn a_hash_is_equal_for_equal_values_under_one_key_alone() {
        let hash = |value: &str, key: &MaskKey| Mask::Hash.apply(value, key);
        assert_eq!(hash("a", &key()), hash("a", &key()));
        assert_ne!(hash("a", &key()), hash("b", &key()));
        assert_ne!(hash("a", &key()), hash("a", &MaskKey::new(b"other")));
    }

    #[test]
    fn a_partial_mask_keeps_at_most_a_quarter() {
        assert_eq!(partial("DE89370400440532013000"), "******************3000");
        assert_eq!(partial("12345678"), "******78");
        assert_eq!(partial("1234567"), "*******");
        assert_eq!(partial("äöüäöüäö"), "******äö");
    }

    #[test]
    fn a_rounded_value_keeps_its_size_and_little_else() {
        let rounded = |value: &str| Mask::Round.apply(value, &key()).unwrap_or_default();
        assert_eq!(rounded("12345.67"), "10000");
        assert_eq!(rounded("-98.6"), "-90");
        assert_eq!(rounded("0.00456"), "0.004");
        assert_eq!(rounded("7.25e10"), "7e10");
        assert_eq!(rounded("1987-05-23"), "1987-05-01");
        assert_eq!(rounded("1987-05-23T10:11:12Z"), "1987-05-23");
        assert_eq!(rounded("some text"), "[hidden]");
    }

    #[test]
    fn a_redacted_value_says_what_it_was() {
        assert_eq!(Mask::Redact.apply("a@b.example", &key()), Some("[e-mail address]".to_owned()));
        assert_eq!(Mask::Redact.apply("anything", &key()), Some("[hidden]".to_owned()));
        assert_eq!(Mask::Null.apply("anything", &key()), None);
    }
}
