//! Avro messages with schemas of a registry to columns: straight from the bytes, without a tree in between.
//!
//! The value of a message is one record in Avro's binary encoding (Avro 1.11), whose fields are columns. A column that a message's schema lacks has its default in the
//! latest schema of the topic's subject, or else NULL. Types: see `shape.rs`; json: see `walk.rs`; what messages with a schema have in common: see `../schemas.rs`.
//!
//! arrow-avro 59 was weighed and not taken: a message that it refuses leaves half a row behind and no word of the field, a long that becomes a
//! double is rounded, any byte but zero is true, and records, maps and unions would have to be turned from arrays into json afterwards.

mod cursor;
mod decode;
mod default;
mod scalar;
pub(crate) mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use decode::{Decoder, is_readable};
pub(crate) use shape::fields;
