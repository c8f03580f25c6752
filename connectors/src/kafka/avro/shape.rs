//! What a type of Avro is as a column, and which column holds two of them.

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

use super::schema::{Id, Node, Schema};

/// Digits of the widest decimal that is a column of its own.
const MOST_DIGITS: usize = 38;

/// A column of Avro messages. Names are those that positions keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    /// Strings, enums, UUIDs, times of day, and decimals of more than 38 digits.
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
    /// Records, lists, maps, unions, and what has no type in common.
    Json,
}

impl Shape {
    /// The column for a type. NULL is no type of its own.
    pub(crate) fn of(schema: &Schema, id: Id) -> Self {
        match schema.node(id) {
            Node::Boolean => Self::Boolean,
            Node::Int => Self::Int,
            Node::Long => Self::Long,
            Node::Float => Self::Float,
            Node::Double => Self::Double,
            Node::Bytes | Node::Fixed(_) => Self::Bytes,
            Node::String | Node::Enum(_) | Node::Uuid { .. } | Node::TimeMillis | Node::TimeMicros => Self::Text,
            Node::Decimal { precision, scale, .. } if *precision <= MOST_DIGITS => {
                // Both are at most 38.
                let narrow = |digits: usize| u8::try_from(digits).unwrap_or_default();
                Self::Decimal { precision: narrow(*precision), scale: narrow(*scale) }
            }
            Node::Decimal { .. } => Self::Text,
            Node::Date => Self::Date,
            Node::Timestamp { utc: true, .. } => Self::Timestamptz,
            Node::Timestamp { utc: false, .. } => Self::Timestamp,
            Node::Union(branches) => {
                let mut some = branches.iter().filter(|branch| *schema.node(**branch) != Node::Null);
                match (some.next(), some.next()) {
                    (Some(only), None) => Self::of(schema, *only),
                    _ => Self::Json,
                }
            }
            Node::Null | Node::Record(_) | Node::Array(_) | Node::Map(_) => Self::Json,
        }
    }

    /// The column that holds both: numbers become wider as Avro has it, but an integer that meets a float becomes a double, which holds both exactly.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, same) if one == same => one,
            (Self::Int, Self::Long) | (Self::Long, Self::Int) => Self::Long,
            (one, other) if one.is_number() && other.is_number() => Self::Double,
            (Self::Decimal { precision: p1, scale: s1 }, Self::Decimal { precision: p2, scale: s2 }) => {
                let (whole, scale) = ((p1 - s1.min(p1)).max(p2 - s2.min(p2)), s1.max(s2));
                match usize::from(whole) + usize::from(scale) <= MOST_DIGITS {
                    true => Self::Decimal { precision: whole + scale, scale },
                    false => Self::Json,
                }
            }
            _ => Self::Json,
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
            (Self::Decimal { precision, scale }, DataType::Decimal128(p, s)) => {
                u8::try_from(*s).is_ok_and(|s| s >= scale && p.saturating_sub(s) >= precision.saturating_sub(scale))
            }
            _ => wider(self),
        }
    }
}
