//! Single values: into columns, as texts, and as JSON.

use super::Fault;
use super::schema::{File, Kind};
use super::wire::{Cursor, unzigzag};
use crate::kafka::json::base64;
use crate::kafka::json::store::{Store, Values};
use crate::kafka::schemas::put::{self, OTHER, extend};
use crate::kafka::schemas::{Reason, text};

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Integer(i128),
    Bool(bool),
    Float(f32),
    Double(f64),
    /// A string, or the name of an enum's value.
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A value of an enum that has no name.
    Unnamed(i32),
    /// Since 1970, in UTC.
    Timestamp {
        seconds: i64,
        nanos: u32,
    },
    /// Both have one sign.
    Duration {
        seconds: i64,
        nanos: i32,
    },
    /// Days since 1970.
    Date(i32),
}

const TOO_LARGE: Reason = "the integer is too large for the field's type";

impl File {
    /// The value that stands here. It is no message.
    #[inline]
    pub(super) fn scalar<'a>(&'a self, kind: Kind, cursor: &mut Cursor<'a>) -> Result<Scalar<'a>, Fault> {
        let at = cursor.at;
        let fault = |reason| Fault { at, reason };
        let narrow = |value: i64| i32::try_from(value).map_err(|_| fault(TOO_LARGE));
        let integer = |value: i64| Ok(Scalar::Integer(i128::from(value)));
        match kind {
            Kind::Int64 => integer(cursor.varint()? as i64),
            Kind::Sint64 => integer(unzigzag(cursor.varint()?)),
            Kind::Int32 => integer(i64::from(narrow(cursor.varint()? as i64)?)),
            Kind::Sint32 => integer(i64::from(narrow(unzigzag(cursor.varint()?))?)),
            Kind::Uint64 => Ok(Scalar::Integer(i128::from(cursor.varint()?))),
            Kind::Uint32 => {
                let value = u32::try_from(cursor.varint()?).map_err(|_| fault(TOO_LARGE))?;
                Ok(Scalar::Integer(i128::from(value)))
            }
            Kind::Fixed32 => Ok(Scalar::Integer(i128::from(u32::from_le_bytes(cursor.array()?)))),
            Kind::Fixed64 => Ok(Scalar::Integer(i128::from(u64::from_le_bytes(cursor.array()?)))),
            Kind::Sfixed32 => Ok(Scalar::Integer(i128::from(i32::from_le_bytes(cursor.array()?)))),
            Kind::Sfixed64 => Ok(Scalar::Integer(i128::from(i64::from_le_bytes(cursor.array()?)))),
            Kind::Float => Ok(Scalar::Float(f32::from_le_bytes(cursor.array()?))),
            Kind::Double => Ok(Scalar::Double(f64::from_le_bytes(cursor.array()?))),
            Kind::Bool => match cursor.varint()? {
                0 => Ok(Scalar::Bool(false)),
                1 => Ok(Scalar::Bool(true)),
                _ => Err(fault("a boolean is neither 0 nor 1")),
            },
            Kind::String => {
                let text = std::str::from_utf8(cursor.rest()).map_err(|_| fault("a string is not UTF-8"))?;
                Ok(Scalar::Text(text))
            }
            Kind::Bytes => Ok(Scalar::Bytes(cursor.rest())),
            Kind::Enum(index) => self.symbol(index, narrow(cursor.varint()? as i64)?).map_err(fault),
            Kind::Message(_) | Kind::Group(_) => Err(fault(OTHER)),
        }
    }

    /// The name of an enum's value. Those of proto3 may have others than their names, which are numbers then.
    fn symbol(&self, index: usize, number: i32) -> Result<Scalar<'_>, Reason> {
        let symbols = self.enums.get(index).ok_or(OTHER)?;
        match symbols.names.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(found) => symbols.names.get(found).map(|(_, name)| Scalar::Text(name)).ok_or(OTHER),
            Err(_) if symbols.is_open => Ok(Scalar::Unnamed(number)),
            Err(_) => Err("an enum has no value of that number"),
        }
    }

    /// The value of a field that is absent, and no message.
    pub(super) fn default(&self, kind: Kind) -> Result<Scalar<'_>, Reason> {
        Ok(match kind {
            Kind::Bool => Scalar::Bool(false),
            Kind::Float => Scalar::Float(0.0),
            Kind::Double => Scalar::Double(0.0),
            Kind::String => Scalar::Text(""),
            Kind::Bytes => Scalar::Bytes(b""),
            Kind::Enum(index) => self.symbol(index, self.enums.get(index).ok_or(OTHER)?.first)?,
            Kind::Message(_) | Kind::Group(_) => return Err(OTHER),
            _ => Scalar::Integer(0),
        })
    }
}

impl Scalar<'_> {
    /// Adds it to a column.
    pub(super) fn put(self, store: &mut Store) -> Result<(), Reason> {
        match (self, &mut store.values) {
            (_, Values::Text(bytes)) => bytes.push(|out| self.write(out)),
            (Self::Integer(value), _) => put::integer(value, store),
            (Self::Text(text), _) => put::meant(text.as_bytes(), store),
            (Self::Bool(value), Values::Bool(values)) => {
                values.append(value);
                Ok(())
            }
            (Self::Float(value), Values::Float32(values)) => added(values, value),
            (Self::Float(value), Values::Float64(values)) => added(values, f64::from(value)),
            (Self::Double(value), Values::Float64(values)) => added(values, value),
            (Self::Bytes(value), Values::Binary(bytes)) => bytes.push(|out| extend(out, value)),
            (Self::Date(days), Values::Date(values)) => added(values, days),
            (Self::Timestamp { seconds, nanos }, Values::Timestamp(values, _)) => {
                if !nanos.is_multiple_of(1_000) {
                    return Err("the timestamp is finer than a microsecond");
                }
                // Both are within their bounds.
                added(values, seconds * 1_000_000 + i64::from(nanos / 1_000))
            }
            _ => Err(OTHER),
        }
    }

    /// Writes it as Postgres prints it.
    fn write(self, out: &mut Vec<u8>) -> Result<(), Reason> {
        let written = match self {
            Self::Text(text) => return extend(out, text.as_bytes()),
            Self::Bytes(bytes) => return text::utf8(bytes, out),
            Self::Integer(value) => value.to_string(),
            Self::Unnamed(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Float(value) => text::float(value)?,
            Self::Double(value) => text::float(value)?,
            Self::Timestamp { seconds, nanos } => timestamp(seconds, nanos, ' ')? + "+00",
            Self::Duration { seconds, nanos } => duration(seconds, nanos),
            Self::Date(days) => text::date(days)?,
        };
        extend(out, written.as_bytes())
    }

    /// Writes it as JSON.
    pub(super) fn json(self, out: &mut Vec<u8>) -> Result<(), Reason> {
        let quoted = match self {
            Self::Text(text) => return text::json_string(text, out),
            Self::Integer(_) | Self::Unnamed(_) | Self::Bool(_) => return self.write(out),
            Self::Float(value) => return text::json_float(value, out),
            Self::Double(value) => return text::json_float(value, out),
            Self::Bytes(bytes) => base64::encode(bytes),
            Self::Timestamp { seconds, nanos } => timestamp(seconds, nanos, 'T')? + "+00:00",
            Self::Duration { seconds, nanos } => duration(seconds, nanos),
            Self::Date(days) => text::date(days)?,
        };
        // Nothing in it has to be escaped.
        extend(out, format!("\"{quoted}\"").as_bytes())
    }

    /// Writes it as the name of a member.
    pub(super) fn json_name(self, out: &mut Vec<u8>) -> Result<(), Reason> {
        match self {
            Self::Text(text) => text::json_string(text, out),
            other => {
                out.push(b'"');
                other.write(out)?;
                out.push(b'"');
                Ok(())
            }
        }
    }
}

fn added<T>(values: &mut Vec<T>, value: T) -> Result<(), Reason> {
    values.push(value);
    Ok(())
}

/// To the nanosecond, without zeros at its end.
fn timestamp(seconds: i64, nanos: u32, between: char) -> Result<String, Reason> {
    let whole = text::timestamp(seconds * 1_000_000, between)?;
    Ok(whole + &fraction(nanos))
}

/// In seconds, with their fraction as far as it has digits: `-1.5s`.
fn duration(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.unsigned_abs()))
}

fn fraction(nanos: u32) -> String {
    let digits = format!(".{nanos:09}");
    if nanos == 0 { String::new() } else { digits.trim_end_matches('0').to_owned() }
}
