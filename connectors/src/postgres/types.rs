//! Postgres types, the Arrow types they are read as, and how their values travel in a binary COPY.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use headwater_engine::{EngineError, Result};

/// Precision of the widest decimal that Arrow, Parquet and Delta share.
pub(super) const MAX_PRECISION: u8 = 38;

/// Scale that a numeric without one gets at least.
pub(super) const MIN_BARE_SCALE: u8 = 10;

/// How a value travels in a binary COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric {
        precision: u8,
        scale: u8,
    },
    /// The bytes are the text, in the client's encoding (UTF-8).
    Text,
    /// A version byte, then text.
    Jsonb,
    Uuid,
    Bytea,
    Date,
    /// Microseconds since 2000, without or with the meaning of an instant.
    Timestamp {
        utc: bool,
    },
    Array(Box<ElementType>),
    /// The bytes are a text, which is read as a value of another type here: a cast by the server would round it.
    Parsed(Box<Wire>),
}

/// The element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ElementType {
    pub oid: u32,
    pub wire: Wire,
}

/// What the catalog says about a column's type, domains already followed to their base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseType {
    pub oid: u32,
    pub modifier: i32,
    /// `b` base, `e` enum, `c` composite, `r` range, …
    pub kind: char,
    /// Of the element, if this is an array: its oid and kind.
    pub element: Option<(u32, char)>,
}

/// How a column is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadAs {
    pub wire: Wire,
    /// What the SELECT casts the column to, when its own binary form isn't read.
    pub cast: Option<String>,
}

/// Oids of the built-in types that are read in their own binary form. They are the same in every server.
pub(super) mod oid {
    pub(in crate::postgres) const BOOL: u32 = 16;
    pub(in crate::postgres) const BYTEA: u32 = 17;
    pub(in crate::postgres) const NAME: u32 = 19;
    pub(in crate::postgres) const INT8: u32 = 20;
    pub(in crate::postgres) const INT2: u32 = 21;
    pub(in crate::postgres) const INT4: u32 = 23;
    pub(in crate::postgres) const TEXT: u32 = 25;
    pub(in crate::postgres) const OID: u32 = 26;
    pub(in crate::postgres) const JSON: u32 = 114;
    pub(in crate::postgres) const FLOAT4: u32 = 700;
    pub(in crate::postgres) const FLOAT8: u32 = 701;
    pub(in crate::postgres) const BPCHAR: u32 = 1042;
    pub(in crate::postgres) const VARCHAR: u32 = 1043;
    pub(in crate::postgres) const DATE: u32 = 1082;
    pub(in crate::postgres) const TIMESTAMP: u32 = 1114;
    pub(in crate::postgres) const TIMESTAMPTZ: u32 = 1184;
    pub(in crate::postgres) const NUMERIC: u32 = 1700;
    pub(in crate::postgres) const UUID: u32 = 2950;
    pub(in crate::postgres) const JSONB: u32 = 3802;
}

impl BaseType {
    /// A numeric without precision and scale: its scale is profiled.
    pub(super) fn is_bare_numeric(&self) -> bool {
        self.oid == oid::NUMERIC && self.modifier < 0
    }

    pub(super) fn is_array(&self) -> bool {
        self.element.is_some()
    }

    /// How a column of this type is read; `bare_scale` is the profiled scale of a bare numeric.
    pub(super) fn read_as(&self, bare_scale: u8) -> ReadAs {
        if let Some(wire) = scalar(self.oid, self.modifier, self.kind, bare_scale) {
            return ReadAs { wire, cast: None };
        }
        if self.oid == oid::OID {
            return ReadAs { wire: Wire::Int8, cast: Some("int8".to_owned()) };
        }
        if let Some((element, kind)) = self.element {
            return match scalar(element, self.modifier, kind, bare_scale) {
                Some(wire) => ReadAs { wire: Wire::Array(Box::new(ElementType { oid: element, wire })), cast: None },
                None => ReadAs {
                    wire: Wire::Array(Box::new(ElementType { oid: oid::TEXT, wire: Wire::Text })),
                    cast: Some("text[]".to_owned()),
                },
            };
        }
        ReadAs { wire: Wire::Text, cast: Some("text".to_owned()) }
    }
}

/// The wire form of a scalar type that is read without a cast.
fn scalar(type_oid: u32, modifier: i32, kind: char, bare_scale: u8) -> Option<Wire> {
    Some(match type_oid {
        oid::BOOL => Wire::Bool,
        oid::INT2 => Wire::Int2,
        oid::INT4 => Wire::Int4,
        oid::INT8 => Wire::Int8,
        oid::FLOAT4 => Wire::Float4,
        oid::FLOAT8 => Wire::Float8,
        oid::NUMERIC => numeric(modifier, bare_scale),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON => Wire::Text,
        oid::JSONB => Wire::Jsonb,
        oid::UUID => Wire::Uuid,
        oid::BYTEA => Wire::Bytea,
        oid::DATE => Wire::Date,
        oid::TIMESTAMP => Wire::Timestamp { utc: false },
        oid::TIMESTAMPTZ => Wire::Timestamp { utc: true },
        _ if kind == 'e' => Wire::Text,
        _ => return None,
    })
}

/// numeric(p, s) exactly where 38 digits suffice; else decimal(38, s), which refuses values that don't fit.
fn numeric(modifier: i32, bare_scale: u8) -> Wire {
    let Some((precision, scale)) = numeric_modifier(modifier) else {
        return Wire::Numeric { precision: MAX_PRECISION, scale: bare_scale };
    };
    // A negative scale means zeros before the point, a scale above the precision zeros behind it.
    let digits = precision.max(scale).max(precision - scale).max(1);
    let clamp = |value: i32| u8::try_from(value.clamp(0, i32::from(MAX_PRECISION))).unwrap_or(MAX_PRECISION);
    Wire::Numeric { precision: clamp(digits), scale: clamp(scale) }
}

/// Precision and scale of a numeric's type modifier.
pub(super) fn numeric_modifier(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    // The scale is an 11-bit two's complement number since Postgres 15, and never had the sign bit set before.
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    Some(((packed >> 16) & 0xffff, scale))
}

impl Wire {
    /// The Arrow type that this wire form is decoded into.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric { precision, scale } => {
                DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
            }
            Self::Text | Self::Jsonb | Self::Uuid => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp { utc } => DataType::Timestamp(TimeUnit::Microsecond, utc.then(|| Arc::from("UTC"))),
            Self::Array(element) => DataType::List(Arc::new(list_item(element.wire.arrow()))),
            Self::Parsed(wire) => wire.arrow(),
        }
    }

    /// Average width of a decoded value in bytes, where the type knows it.
    pub(super) fn width(&self) -> Option<usize> {
        self.arrow().primitive_width().or(matches!(self, Self::Bool).then_some(1))
    }
}

/// The field of a list's items, which may always be NULL in Postgres.
pub(super) fn list_item(data_type: DataType) -> Field {
    Field::new("item", data_type, true)
}

/// A type that a spec asks a column to be read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Override {
    pub wire: Wire,
    /// Its name in Postgres.
    pub native: String,
}

impl Override {
    /// Reads a type's name in a spec, e.g. `text`, `decimal(12,2)`.
    pub(super) fn parse(column: &str, text: &str) -> Result<Self> {
        let (wire, native) = match headwater_engine::type_names::parse(column, text)? {
            DataType::Boolean => (Wire::Bool, "boolean".to_owned()),
            DataType::Int16 => (Wire::Int2, "smallint".to_owned()),
            DataType::Int32 => (Wire::Int4, "integer".to_owned()),
            DataType::Int64 => (Wire::Int8, "bigint".to_owned()),
            DataType::Float32 => (Wire::Float4, "real".to_owned()),
            DataType::Float64 => (Wire::Float8, "double precision".to_owned()),
            DataType::Binary => (Wire::Bytea, "bytea".to_owned()),
            DataType::Date32 => (Wire::Date, "date".to_owned()),
            DataType::Timestamp(_, None) => (Wire::Timestamp { utc: false }, "timestamp".to_owned()),
            DataType::Timestamp(_, Some(_)) => (Wire::Timestamp { utc: true }, "timestamptz".to_owned()),
            DataType::Decimal128(precision, scale) => {
                let scale = u8::try_from(scale).unwrap_or_default();
                (Wire::Numeric { precision, scale }, format!("numeric({precision},{scale})"))
            }
            _ => (Wire::Text, "text".to_owned()),
        };
        Ok(Self { wire, native })
    }

    /// The cast that turns the column into this type, or a refusal if a value could be changed by it.
    pub(super) fn apply(&self, column: &str, native: &str, base: &BaseType) -> Result<ReadAs> {
        let own = base.read_as(MIN_BARE_SCALE);
        let is_text = own.wire == Wire::Text && base.element.is_none();
        let is_integer = matches!(own.wire, Wire::Int2 | Wire::Int4 | Wire::Int8);
        let cast = match (&own.wire, &self.wire) {
            (_, Wire::Text) => Some("text".to_owned()),
            (from, to) if from == to && own.cast.is_none() => None,
            // Decoded at the wanted scale: a value with more digits is refused and never rounded.
            (Wire::Numeric { .. }, Wire::Numeric { .. }) => None,
            (_, Wire::Numeric { .. }) if is_integer || is_text => Some("numeric".to_owned()),
            (Wire::Int2, Wire::Int4 | Wire::Int8) | (Wire::Int4, Wire::Int8 | Wire::Float8) => {
                Some(self.native.clone())
            }
            (Wire::Int8 | Wire::Int4, Wire::Int2) | (Wire::Int8, Wire::Int4) => Some(self.native.clone()),
            (Wire::Float4, Wire::Float8) | (Wire::Int2, Wire::Float4 | Wire::Float8) => Some(self.native.clone()),
            (Wire::Date, Wire::Timestamp { .. }) | (Wire::Timestamp { .. }, Wire::Timestamp { .. }) => {
                Some(self.native.clone())
            }
            // The server knows more forms of bytes.
            (_, Wire::Bytea) if is_text => Some(self.native.clone()),
            _ if is_text => return Ok(ReadAs { wire: Wire::Parsed(Box::new(self.wire.clone())), cast: own.cast }),
            _ => {
                return Err(EngineError::config(format!(
                    "column {column} of type {native} can't be read as {} without changing values",
                    self.native
                ))
                .hint("read it as text, or convert it in a transform, where the rounding is visible"));
            }
        };
        Ok(ReadAs { wire: self.wire.clone(), cast })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn base(oid: u32, modifier: i32) -> BaseType {
        BaseType { oid, modifier, kind: 'b', element: None }
    }

    #[test]
    fn a_numeric_keeps_its_precision_and_scale() {
        let modifier = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        let wire = |modifier| base(oid::NUMERIC, modifier).read_as(12).wire;
        assert_eq!(wire(modifier(12, 2)), Wire::Numeric { precision: 12, scale: 2 });
        assert_eq!(wire(modifier(5, -2)), Wire::Numeric { precision: 7, scale: 0 });
        assert_eq!(wire(modifier(3, 5)), Wire::Numeric { precision: 5, scale: 5 });
        assert_eq!(wire(modifier(50, 10)), Wire::Numeric { precision: 38, scale: 10 });
        assert_eq!(wire(-1), Wire::Numeric { precision: 38, scale: 12 });
    }

    #[test]
    fn an_unknown_type_is_read_as_text() {
        let interval = base(1186, -1).read_as(10);
        assert_eq!(interval, ReadAs { wire: Wire::Text, cast: Some("text".to_owned()) });
    }

    #[test]
    fn a_text_is_read_as_another_type_without_a_cast_that_could_round() {
        let wanted = Override::parse("x", "timestamp").unwrap();
        let read = wanted.apply("x", "text", &base(oid::TEXT, -1)).unwrap();
        assert_eq!(read, ReadAs { wire: Wire::Parsed(Box::new(Wire::Timestamp { utc: false })), cast: None });
        assert_eq!(read.wire.arrow(), DataType::Timestamp(TimeUnit::Microsecond, None));
    }

    #[test]
    fn an_override_that_could_round_is_refused() {
        let double = base(oid::FLOAT8, -1);
        let wanted = Override::parse("x", "decimal(10, 2)").unwrap();
        let error = wanted.apply("x", "double precision", &double).unwrap_err();
        assert!(error.message.contains("without changing values"), "{error}");
        assert!(Override::parse("x", "decimal(50,2)").is_err());
    }
}
