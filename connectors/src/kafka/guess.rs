//! Types of members, guessed from a sample of messages: what is not seen in it may not fit, and is refused then.

use std::collections::HashMap;

use super::json::members::members;
use crate::values::{Digits, digits, is_double};

/// What a member is, after the values seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// NULL in every message.
    Unknown,
    Boolean,
    /// Integers of 64 bits; a double holds each of them, or not.
    Integer {
        double: bool,
    },
    /// Longer integers, of at most 38 digits.
    Long,
    /// Numbers whose digits a double keeps.
    Double,
    Text,
    /// Objects, lists, and what has no type in common.
    Json,
}

/// Members that become columns. Objects whose names are data have more, and belong into one column of type json.
const MOST_MEMBERS: usize = 1_000;

/// Members in the order in which they were first seen.
#[derive(Debug, Default)]
pub(crate) struct Guess {
    pub members: Vec<(String, Kind)>,
    places: HashMap<String, usize>,
    /// Whether there are more members than are kept.
    pub more: bool,
    /// Messages looked at, without tombstones.
    pub messages: usize,
    /// How many of them are no JSON objects.
    pub broken: usize,
}

impl Guess {
    /// Looks at a message.
    pub(crate) fn look(&mut self, message: &[u8]) {
        self.messages += 1;
        let Ok(found) = members(message) else {
            self.broken += 1;
            return;
        };
        for (name, value) in found {
            let kind = Kind::of(value);
            if let Some(place) = self.places.get(&name) {
                let known = &mut self.members[*place].1;
                *known = known.and(kind);
            } else if self.members.len() < MOST_MEMBERS {
                self.places.insert(name.clone(), self.members.len());
                self.members.push((name, kind));
            } else {
                self.more = true;
            }
        }
    }
}

impl Kind {
    fn of(value: &[u8]) -> Self {
        match value.first() {
            Some(b'n') => Self::Unknown,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'"') => Self::Text,
            Some(b'-' | b'0'..=b'9') => std::str::from_utf8(value).map_or(Self::Json, Self::of_number),
            _ => Self::Json,
        }
    }

    fn of_number(text: &str) -> Self {
        /// Digits of the widest decimal.
        const MOST_DIGITS: usize = 38;
        let integer =
            digits(text).filter(|Digits { fraction, exponent, .. }| fraction.is_empty() && exponent.is_none());
        // A zero with a sign is one for doubles alone.
        match integer.filter(|_| text != "-0") {
            Some(_) if text.parse::<i64>().is_ok() => Self::Integer { double: is_double(text) },
            Some(Digits { whole, .. }) if whole.len() <= MOST_DIGITS => Self::Long,
            None if is_double(text) => Self::Double,
            _ => Self::Json,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, same) if one == same => one,
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Integer { .. }, Self::Integer { .. }) => Self::Integer { double: false },
            (Self::Integer { .. }, Self::Long) | (Self::Long, Self::Integer { .. }) => Self::Long,
            (Self::Integer { double: true }, Self::Double) | (Self::Double, Self::Integer { double: true }) => {
                Self::Double
            }
            _ => Self::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn of(values: &[&str]) -> Kind {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.look(format!("{{\"v\":{value}}}").as_bytes()));
        guess.members[0].1
    }

    #[test]
    fn a_guess_holds_every_value_of_the_sample() {
        assert_eq!(of(&["null", "1", "-5"]), Kind::Integer { double: true });
        assert_eq!(of(&["1", "0.5"]), Kind::Double);
        assert_eq!(of(&["9007199254740993", "0.5"]), Kind::Json);
        assert_eq!(of(&["1", "18446744073709551615"]), Kind::Long);
        assert_eq!(of(&["0.12345678901234567890"]), Kind::Json);
        assert_eq!(of(&["\"a\"", "null"]), Kind::Text);
        assert_eq!(of(&["\"a\"", "1"]), Kind::Json);
        assert_eq!(of(&["{}", "[1]"]), Kind::Json);
        assert_eq!(of(&["null"]), Kind::Unknown);
    }

    #[test]
    fn broken_messages_are_counted() {
        let mut guess = Guess::default();
        guess.look(b"{\"a\":1}");
        guess.look(b"{\"a\":");
        assert_eq!((guess.messages, guess.broken, guess.members.len()), (2, 1, 1));
    }
}
