//! Avro messages with schemas of a registry to columns: straight from the bytes, without a tree in between.
//!
//! A message is what Confluent's serializers write: a zero, the schema's id in four bytes, and one record in Avro's binary encoding (Avro 1.11).
//! Each field of the record is a column. A value is taken exactly or the message is refused, with the field and the byte where it went wrong; then
//! the columns hold nothing of it. A refusal never repeats what the message says, which may be secret.
//!
//! Messages of one topic have several schemas. A column that a message's schema lacks has its default in the latest schema of the topic's
//! subject, or else NULL. Types: see `shape.rs`; what a column takes besides its own type: see `scalar.rs`; json: see `walk.rs`.
//!
//! arrow-avro 59 was weighed and not taken: a message that it refuses leaves half a row behind and no word of the field, a long that becomes a
//! double is rounded, any byte but zero is true, and records, maps and unions would have to be turned from arrays into json afterwards.

use std::borrow::Cow;
use std::sync::Arc;

use headwater_engine::EngineError;

mod cursor;
mod decode;
mod default;
pub(crate) mod failure;
pub(crate) mod look;
pub(crate) mod registry;
mod scalar;
pub(crate) mod schema;
pub(crate) mod settings;
pub(crate) mod shape;
#[cfg(test)]
mod tests;
mod text;
mod walk;

pub(crate) use decode::Decoder;
use schema::Schema;

/// What is wrong with a value, without the value.
pub(crate) type Reason = &'static str;

/// Bytes in front of the record: a zero and the schema's id.
pub(crate) const HEADER: usize = 5;

/// Where the decoder gets schemas from.
pub(crate) trait Schemas: std::fmt::Debug + Send + Sync {
    /// The schema of an id. Blocks. That there is none is an error.
    fn schema(&self, id: i32) -> Result<Arc<Schema>, EngineError>;
}

/// What a read needs besides its columns.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// A load goes on behind a position: schemas that need another column, or another type of one, are noticed.
    pub follows: bool,
    /// The latest schema of the topic's subject, which has the defaults.
    pub latest: Option<Arc<Schema>>,
}

/// Why a message is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It does not hold what its schema says, or a value does not fit its column.
    Message {
        /// The column at fault, if it is one.
        field: Option<String>,
        /// Bytes from the message's start.
        at: usize,
        /// What is wrong there.
        reason: Cow<'static, str>,
    },
    /// Its schema has a field, or gives one a type, that nobody knew of when the columns were chosen.
    Unseen {
        /// The schema.
        id: i32,
        /// The field.
        field: String,
    },
    /// Its schema is not to be had.
    Schema(EngineError),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message { field: Some(field), at, reason } => write!(f, "field {field}: {reason} (byte {at})"),
            Self::Message { field: None, at, reason } => write!(f, "{reason} (byte {at})"),
            Self::Unseen { id, field } => {
                write!(f, "its schema {id} has a field {field}, or a type of it, that no schema had that was looked at")
            }
            Self::Schema(error) => f.write_str(&error.message),
        }
    }
}

/// The id of the schema that a message was written with.
pub(crate) fn schema_id(message: &[u8]) -> Result<i32, Reason> {
    match message {
        [0, a, b, c, d, ..] => Ok(i32::from_be_bytes([*a, *b, *c, *d])),
        [0, ..] => Err("the message ends before the id of its schema"),
        [] => Err("the message is empty, and no record of Avro with the id of a schema"),
        _ => Err("the message does not begin with a zero and the id of a schema"),
    }
}
