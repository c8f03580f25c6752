//! Protobuf messages with schemas of a registry to columns: straight from the bytes by the schema's fields, without a tree in between.
//!
//! Behind the id of its schema a message names its type, by the places of the type and of those around it, as Confluent's serializers do. Its fields are columns, by name.
//! A field that is absent has its default, or is NULL if the schema tells both apart (`optional`, `oneof`, messages, all of proto2); so is a field that a message's schema
//! lacks. Fields that no schema has, and extensions, are passed over. Of a field that comes several times the last value counts, messages are merged, and the last member of a
//! oneof counts. A value that does not fit the schema's type is refused, and never cut to it.
//!
//! The schema's text is read by protox, a compiler of .proto files, and is kept as tables of our own (`schema.rs`): a dynamic message of a reflection library would be a
//! tree for each message. Types: see `schema.rs`; json: see `json.rs`.

use super::schemas::{HEADER, Reason};
use wire::{Cursor, unzigzag};

mod decode;
mod json;
mod meaning;
mod parse;
mod parts;
mod scalar;
pub(crate) mod schema;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use decode::Decoder;

/// Values inside of each other: as many as Protobuf's own libraries read.
const MOST_DEPTH: usize = 100;

const TOO_DEEP: Reason = "values are nested too deeply";

/// What is wrong, and where in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault {
    at: usize,
    reason: Reason,
}

/// The place of a message's type, and where its fields begin. A single zero is short for the first type.
pub(crate) fn path(message: &[u8]) -> Result<(Vec<u64>, usize), Reason> {
    /// Types inside of each other; people write two or three.
    const MOST_PLACES: u64 = 32;
    const WRONG: Reason = "the place of the message's type in its schema is not given as serializers write it";
    let mut cursor = Cursor::new(message, HEADER, message.len());
    let mut next = || {
        let value = cursor.varint().map_err(|_| WRONG)?;
        u64::try_from(unzigzag(value)).map_err(|_| WRONG)
    };
    let path = match next()? {
        0 => vec![0],
        count if count <= MOST_PLACES => (0..count).map(|_| next()).collect::<Result<_, _>>()?,
        _ => return Err(WRONG),
    };
    Ok((path, cursor.at))
}
