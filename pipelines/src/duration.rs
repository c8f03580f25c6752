//! Durations as users write them: `250ms`, `10s`, `15m`, `2h`, `7d`, and sums such as `1h30m`.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

/// Stands for a duration in the JSON Schema.
#[derive(JsonSchema, Deserialize)]
#[schemars(extend("pattern" = "^([0-9]+(ms|s|m|h|d))+$", "examples" = ["10s", "30m", "1h30m"]))]
pub struct DurationText(#[allow(dead_code, reason = "only its schema is used")] String);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration; the error says what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("'{text}' is not a duration; expected a number with a unit, such as 250ms, 10s, 15m, 2h or 7d");
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let factor = UNITS.iter().find(|(unit, _)| *unit == &rest[..end]).ok_or_else(wrong)?.1;
        total = number.checked_mul(factor).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        rest = &rest[end..];
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration the way [`parse`] reads it, largest units first.
pub fn format(duration: Duration) -> String {
    parts(duration).iter().map(|(number, unit)| std::format!("{number}{unit}")).collect()
}

/// Writes a duration for people: `1 h 30 min`.
pub fn in_words(duration: Duration) -> String {
    let told = |(number, unit): &(u64, &str)| std::format!("{number} {}", if *unit == "m" { "min" } else { unit });
    parts(duration).iter().map(told).collect::<Vec<_>>().join(" ")
}

/// Numbers with their units, largest first.
fn parts(duration: Duration) -> Vec<(u64, &'static str)> {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, factor) in UNITS {
        if rest >= factor {
            parts.push((rest / factor, unit));
            rest %= factor;
        }
    }
    if parts.is_empty() { vec![(0, "s")] } else { parts }
}

/// A duration as serde reads it.
struct Read(Duration);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Read;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 250ms, 10s or 1h30m")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Read, E> {
                parse(text).map(Read).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Form)
    }
}

/// Serde form for a required duration: its text.
pub mod text {
    use super::{Deserialize, Deserializer, Duration, Read, Serializer, format};

    /// Writes the text.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*duration))
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Read::deserialize(deserializer).map(|Read(duration)| duration)
    }
}

/// Serde form for an optional duration: its text.
pub mod option_text {
    use super::{Deserialize, Deserializer, Duration, Read, Serializer, format};

    /// Writes the text.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&format(*duration)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Read>::deserialize(deserializer)?.map(|Read(duration)| duration))
    }
}

/// Serde form in stored plans: milliseconds.
pub mod millis {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    /// Writes milliseconds.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// Serde form in stored plans: milliseconds or nothing.
pub mod option_millis {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    /// Writes milliseconds.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::millis::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_users_write_them() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn durations_are_written_for_people_with_spaces() {
        assert_eq!(in_words(Duration::from_secs(10)), "10 s");
        assert_eq!(in_words(Duration::from_millis(5_400_250)), "1 h 30 min 250 ms");
        assert_eq!(in_words(Duration::ZERO), "0 s");
    }

    #[test]
    fn a_number_without_a_unit_or_an_unknown_unit_is_refused() {
        for text in ["", "10", "s", "10y", "1.5h", "-1s", "99999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(ms in 0u64..10_000_000_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
