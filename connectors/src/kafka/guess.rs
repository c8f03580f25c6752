//! Types of members, guessed from a sample of messages: what is not seen in it may not fit, and is refused then.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::message::{BorrowedMessage, Message};
use serde::{Deserialize, Serialize};

use super::debezium::{self, Event, placeholder};
use super::endpoint::Format;
use super::json::members::members;
use super::schemas::look::Look;
use super::schemas::shape::Shape;
use crate::values::{Digits, digits, is_double};

/// What a member is, after the values seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// NULL in every message.
    Unknown,
    Boolean,
    /// Integers of 64 bits; a double holds each of them, or not.
    Integer {
        #[serde(default)]
        double: bool,
    },
    /// Longer integers, of at most 38 digits.
    Long,
    /// Numbers whose digits a double keeps.
    Double,
    Text,
    /// Objects, lists, and what has no type in common.
    Json,
    /// A field of messages whose schemas say what it is.
    #[serde(alias = "avro")]
    Schema(Shape),
}

/// Members that become columns. Objects whose names are data have more, and belong into one column of type json.
const MOST_MEMBERS: usize = 1_000;

/// Members in the order in which they were first seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct Guess {
    pub members: Vec<(String, Kind)>,
    places: HashMap<String, usize>,
    /// Whether there are more members than are kept.
    pub more: bool,
    /// Messages looked at, without tombstones.
    pub messages: usize,
    /// How many of them are no JSON objects, or name no schema.
    pub broken: usize,
    /// Format debezium: whether messages may hold defaults in place of NULL.
    pub defaults: bool,
    /// Format debezium: the columns in the key of a message.
    pub key: Option<Vec<String>>,
    /// The schemas that were seen, if the messages have any.
    pub seen: Look,
}

impl Guess {
    /// Looks at a message of a topic, if it has a value.
    pub(crate) fn look_at(&mut self, format: Format, message: &BorrowedMessage<'_>) {
        let Some(payload) = message.payload() else { return };
        if let Some(language) = format.language() {
            self.messages += 1;
            self.broken += usize::from(!self.seen.look(language, payload, message.partition(), message.offset()));
            return;
        }
        match format {
            Format::Json => self.look(payload),
            Format::Debezium => {
                self.look_at_event(payload);
                self.key = self.key.take().or_else(|| debezium::key(message.key()?));
            }
            Format::Avro | Format::Protobuf | Format::JsonSchema | Format::Raw => {}
        }
    }

    /// Looks at the row of a change event.
    pub(crate) fn look_at_event(&mut self, message: &[u8]) {
        match debezium::read(message) {
            Ok(Event::Change(change)) => {
                self.defaults |= change.has_defaults();
                self.look(change.row);
            }
            Ok(Event::Truncate | Event::Other) => {}
            Err(_) => {
                self.messages += 1;
                self.broken += 1;
            }
        }
    }

    /// Looks at a message of JSON.
    pub(crate) fn look(&mut self, message: &[u8]) {
        self.messages += 1;
        let Ok(found) = members(message) else {
            self.broken += 1;
            return;
        };
        for (name, value) in found {
            self.add(name, Kind::of(value));
        }
    }

    /// The same, but what was known before stays as it was: a column that has been loaded keeps its place and its type. A field of schemas keeps its
    /// place, and holds what its new schemas have too.
    pub(crate) fn under(mut self, known: &[(String, Kind)]) -> Self {
        let seen = std::mem::take(&mut self.members);
        let widened = |(name, kind): &(String, Kind)| {
            let new = seen
                .iter()
                .find_map(|(seen, new)| matches!(new, Kind::Schema(_)).then_some(new).filter(|_| seen == name));
            (name.clone(), new.map_or(*kind, |new| kind.and(*new)))
        };
        let known: Vec<(String, Kind)> = known.iter().map(widened).collect();
        let is_known = |name: &String| known.iter().any(|(known, _)| known == name);
        let new = seen.into_iter().filter(|(name, _)| !is_known(name));
        self.members = known.iter().cloned().chain(new).collect();
        self.places = self.members.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        self
    }

    /// Takes over what another one knows.
    pub(crate) fn join(&mut self, other: Self) {
        other.members.into_iter().for_each(|(name, kind)| match kind {
            Kind::Schema(_) => self.add_kind(&name, kind),
            _ => self.add(name, kind),
        });
        self.seen.join(other.seen);
        self.more |= other.more;
        self.defaults |= other.defaults;
        self.key = self.key.take().or(other.key);
        self.messages += other.messages;
        self.broken += other.broken;
    }

    fn add(&mut self, name: String, kind: Kind) {
        if self.places.contains_key(&name) || self.members.len() < MOST_MEMBERS {
            self.add_kind(&name, kind);
        } else {
            self.more = true;
        }
    }

    /// Adds a member, however many there are: those of a schema are no data.
    pub(crate) fn add_kind(&mut self, name: &str, kind: Kind) {
        if let Some(place) = self.places.get(name) {
            let known = &mut self.members[*place].1;
            *known = known.and(kind);
        } else {
            self.places.insert(name.to_owned(), self.members.len());
            self.members.push((name.to_owned(), kind));
        }
    }
}

/// Guesses at topics that are loaded again and again, by their ids. No member that was seen is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<HashMap<String, (Instant, Guess)>>);

/// How long a guess is good for further loads, e.g. the batches of a stream.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// Topics whose guesses are kept.
const MOST_TOPICS: usize = 256;

impl Guesses {
    /// A guess that is not old.
    pub(crate) fn known(&self, topic_id: &str) -> Option<Guess> {
        let known = self.0.lock();
        known.get(topic_id).filter(|(at, _)| at.elapsed() < GOOD_FOR).map(|(_, guess)| guess.clone())
    }

    /// Joins what is seen now with what was seen before.
    pub(crate) fn learn(&self, topic_id: &str, seen: Guess) -> Guess {
        let mut known = self.0.lock();
        if known.len() >= MOST_TOPICS && !known.contains_key(topic_id) {
            let oldest = known.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| id.clone());
            oldest.and_then(|id| known.remove(&id));
        }
        let (at, guess) = known.entry(topic_id.to_owned()).or_insert_with(|| (Instant::now(), Guess::default()));
        *at = Instant::now();
        guess.join(seen);
        guess.clone()
    }
}

impl Kind {
    fn of(value: &[u8]) -> Self {
        match value.first() {
            // It stands for a value of any type.
            _ if placeholder(value) == Some(value.len()) => Self::Unknown,
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

    /// The column of messages with schemas that holds the same.
    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::Schema(shape) => shape,
            Self::Boolean => Shape::Boolean,
            Self::Integer { .. } => Shape::Long,
            Self::Long => Shape::Decimal { precision: 38, scale: 0 },
            Self::Double => Shape::Double,
            Self::Text => Shape::Text,
            Self::Unknown | Self::Json => Shape::Json,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, same) if one == same => one,
            (Self::Schema(one), other) | (other, Self::Schema(one)) => Self::Schema(one.and(other.shape())),
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
    fn a_member_that_was_seen_once_stays_known() {
        let guesses = Guesses::default();
        let seen = |text: &str| {
            let mut guess = Guess::default();
            guess.look(text.as_bytes());
            guess
        };
        guesses.learn("t", seen("{\"a\":1,\"b\":true}"));
        let known = guesses.learn("t", seen("{\"a\":0.5,\"c\":null}"));
        let kinds: Vec<_> = known.members.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        assert_eq!(kinds, [("a", Kind::Double), ("b", Kind::Boolean), ("c", Kind::Unknown)]);
        assert_eq!(guesses.known("t").map(|guess| guess.messages), Some(2));
        assert!(guesses.known("u").is_none());
    }

    #[test]
    fn a_column_that_was_loaded_keeps_its_place_and_its_type() {
        let mut guess = Guess::default();
        guess.look(b"{\"new\":1,\"a\":\"x\"}");
        let guess = guess.under(&[("gone".to_owned(), Kind::Text), ("a".to_owned(), Kind::Json)]);
        let kinds: Vec<_> = guess.members.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        assert_eq!(kinds, [("gone", Kind::Text), ("a", Kind::Json), ("new", Kind::Integer { double: true })]);
    }

    #[test]
    fn a_column_of_schemas_keeps_its_place_and_holds_what_new_ones_have() {
        let mut guess = Guess::default();
        guess.add_kind("new", Kind::Schema(Shape::Text));
        guess.add_kind("a", Kind::Schema(Shape::Long));
        guess.add_kind("b", Kind::Schema(Shape::Int));
        let known = [("gone", Shape::Date), ("a", Shape::Int), ("b", Shape::Text)];
        let mut known = known.map(|(name, shape)| (name.to_owned(), Kind::Schema(shape))).to_vec();
        // Loaded by a connection of format json before.
        known.push(("c".to_owned(), Kind::Integer { double: true }));
        guess.add_kind("c", Kind::Schema(Shape::Int));
        let guess = guess.under(&known);
        let kinds: Vec<_> = guess.members.iter().map(|(name, kind)| (name.as_str(), kind.shape())).collect();
        let expected =
            [("gone", Shape::Date), ("a", Shape::Long), ("b", Shape::Json), ("c", Shape::Long), ("new", Shape::Text)];
        assert_eq!(kinds, expected);
        let stored = serde_json::to_value(&guess.members).unwrap();
        assert_eq!(stored[1], serde_json::json!(["a", { "schema": "long" }]));
        assert_eq!(serde_json::from_value::<Vec<(String, Kind)>>(stored).unwrap(), guess.members);
        // As positions had it when Avro was the only format with schemas.
        let old = serde_json::json!({ "avro": "long" });
        assert_eq!(serde_json::from_value::<Kind>(old).unwrap(), Kind::Schema(Shape::Long));
    }

    #[test]
    fn broken_messages_are_counted() {
        let mut guess = Guess::default();
        guess.look(b"{\"a\":1}");
        guess.look(b"{\"a\":");
        assert_eq!((guess.messages, guess.broken, guess.members.len()), (2, 1, 1));
    }
}
