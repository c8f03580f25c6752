//! What a type of a schema is as a column, and which column holds two of them.

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// Digits of the widest decimal that is a column of its own.
pub(crate) const MOST_DIGITS: usize = 38;

/// A column of messages that have a schema. Names are those that positions keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    /// Strings, enums, UUIDs, times of day, durations, and decimals of more than 38 digits.
    Text,
    /// Bytes of any length, and of one.
    Bytes,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    /// In UTC.
    Timestamptz,
    /// Local.
    Timestamp,
    /// Records, messages, objects, lists, maps, unions, and what has no type in common.
    Json,
}

impl Shape {
    /// The column that holds both: numbers become wider as Avro has it, but an integer that meets a float becomes a double, which holds both exactly.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, same) if one == same => one,
            (Self::Int, Self::Long) | (Self::Long, Self::Int) => Self::Long,
            (one, other) if one.is_number() && other.is_number() => Self::Double,
            _ => match (self.digits(), other.digits()) {
                (Some((w1, s1)), Some((w2, s2))) => {
                    let (whole, scale) = (w1.max(w2), s1.max(s2));
                    match usize::from(whole) + usize::from(scale) <= MOST_DIGITS {
                        true => Self::Decimal { precision: whole + scale, scale },
                        false => Self::Json,
                    }
                }
                _ => Self::Json,
            },
        }
    }

    /// Digits before the point and behind it, of integers and decimals.
    fn digits(self) -> Option<(u8, u8)> {
        match self {
            Self::Int => Some((10, 0)),
            Self::Long => Some((19, 0)),
            Self::Decimal { precision, scale } => Some((precision.saturating_sub(scale), scale)),
            _ => None,
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Float | Self::Double)
    }

    /// The type of the column; nothing for json, which is a text with a mark.
    pub(crate) fn data_type(self) -> Option<DataType> {
        Some(match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, i8::try_from(scale).ok()?),
            Self::Date => DataType::Date32,
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Json => return None,
        })
    }

    /// Whether a column of a type, which is not json, holds every value of this shape as its own.
    pub(crate) fn is_within(self, data_type: &DataType) -> bool {
        let wider = |shape: Self| shape.data_type().as_ref() == Some(data_type);
        match (self, data_type) {
            (Self::Int, DataType::Int64 | DataType::Float64) | (Self::Long | Self::Float, DataType::Float64) => true,
            (_, DataType::Decimal128(p, s)) => self.digits().is_some_and(|(whole, scale)| {
                u8::try_from(*s).is_ok_and(|s| s >= scale && p.saturating_sub(s) >= whole)
            }),
            _ => wider(self),
        }
    }
    /// Whether a column that a person has declared, or that was chosen after other schemas, can take such values, each of them exactly or refused. What was declared may be
    /// further from them: then texts are read as what they say, and values are written as texts.
    pub(crate) fn fits(self, to: &DataType, declared: bool) -> bool {
        match (self, to) {
            (Self::Json, _) => false,
            (shape, DataType::Utf8) => declared || matches!(shape, Self::Text | Self::Decimal { .. }),
            (Self::Boolean, DataType::Boolean)
            | (Self::Bytes, DataType::Binary)
            | (Self::Int | Self::Long, DataType::Decimal128(..) | DataType::Float32 | DataType::Float64)
            | (Self::Float, DataType::Float32 | DataType::Float64)
            | (Self::Double, DataType::Float64)
            | (Self::Decimal { .. }, DataType::Decimal128(..))
            | (Self::Date, DataType::Date32) => true,
            (Self::Int | Self::Long | Self::Decimal { .. }, to) if is_integer(to) => true,
            (Self::Timestamptz | Self::Timestamp, DataType::Timestamp(_, zone)) => {
                (self == Self::Timestamptz) == zone.is_some()
            }
            (Self::Text, DataType::Decimal128(..) | DataType::Date32 | DataType::Timestamp(..)) => declared,
            (Self::Text, to) => declared && is_integer(to),
            _ => false,
        }
    }
}

fn is_integer(to: &DataType) -> bool {
    matches!(to, DataType::Int16 | DataType::Int32 | DataType::Int64)
}
