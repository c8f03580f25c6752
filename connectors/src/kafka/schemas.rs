//! What the formats have in common whose messages name a schema of a registry: Avro, Protobuf and JSON Schema.
//!
//! A message is what Confluent's serializers write: a zero, the schema's id in four bytes, in Protobuf the place of the message's type in its schema, and the value.
//! Each field at the value's top level is a column. A value is taken exactly or the message is refused, with the field and the byte where it went wrong; then
//! the columns hold nothing of it. A refusal never repeats what the message says, which may be secret.
//!
//! Messages of one topic have several schemas. Which of them were seen, and what columns follow from it: see `look.rs`; types: see `shape.rs`; what a column takes
//! besides its own type: see `put.rs`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use headwater_engine::EngineError;

pub(crate) mod look;
pub(crate) mod put;
pub(crate) mod shape;
pub(crate) mod text;

use super::json::{Reading, Wanted};
use super::{avro, json_schema, protobuf};
use shape::Shape;

/// What is wrong with a value, without the value.
pub(crate) type Reason = &'static str;

/// Bytes in front of the value, or of its type's place: a zero and the schema's id.
pub(crate) const HEADER: usize = 5;

/// What a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Avro,
    Protobuf,
    JsonSchema,
}

impl Language {
    /// What registries call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
            Self::JsonSchema => "JSON",
        }
    }

    /// The option `format` of a connection that reads it.
    pub(crate) fn format(self) -> &'static str {
        match self {
            Self::Avro => "avro",
            Self::Protobuf => "protobuf",
            Self::JsonSchema => "json_schema",
        }
    }
}

/// A schema that another one refers to, by a name of its own.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub name: String,
    pub text: String,
}

/// A schema of a registry.
#[derive(Debug, Clone)]
pub(crate) enum Schema {
    Avro(Arc<avro::schema::Schema>),
    Protobuf(protobuf::schema::Schema),
    Json(Arc<json_schema::Schema>),
}

/// A field at the top level of values, which is a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub name: &'a str,
    /// Nothing if it is NULL in every message.
    pub shape: Option<Shape>,
}

impl Schema {
    /// Reads a schema. Those that it refers to come first, each behind those that it refers to itself.
    pub(crate) fn parse(language: Language, id: i32, text: &str, references: &[Named]) -> Result<Self, String> {
        match language {
            Language::Avro => {
                let texts: Vec<String> = references.iter().map(|reference| reference.text.clone()).collect();
                avro::schema::Schema::parse(id, text, &texts).map(|schema| Self::Avro(Arc::new(schema)))
            }
            Language::Protobuf => protobuf::schema::Schema::parse(id, text, references).map(Self::Protobuf),
            Language::JsonSchema => {
                json_schema::Schema::parse(id, text, references).map(|schema| Self::Json(Arc::new(schema)))
            }
        }
    }

    /// The registry's number.
    pub(crate) fn id(&self) -> i32 {
        match self {
            Self::Avro(schema) => schema.id,
            Self::Protobuf(schema) => schema.id,
            Self::Json(schema) => schema.id,
        }
    }

    /// The same for values of the type in a place; nothing if there is no such place.
    pub(crate) fn at(self, path: &[u64]) -> Option<Self> {
        match self {
            Self::Protobuf(schema) => schema.at(path).map(Self::Protobuf),
            other => Some(other),
        }
    }

    /// The same for each type that values of other schemas have, as far as this one has it. Without any it is for the type that it has first.
    fn for_types_of(&self, others: &[Self]) -> Vec<Self> {
        let Self::Protobuf(schema) = self else { return vec![self.clone()] };
        let mut names: Vec<&str> = others.iter().filter_map(Self::type_name).collect();
        names.sort_unstable();
        names.dedup();
        let found: Vec<Self> = names.into_iter().filter_map(|name| schema.named(name)).map(Self::Protobuf).collect();
        if found.is_empty() { vec![self.clone()] } else { found }
    }

    fn type_name(&self) -> Option<&str> {
        match self {
            Self::Protobuf(schema) => Some(schema.type_name()),
            Self::Avro(_) | Self::Json(_) => None,
        }
    }

    /// The fields in order.
    pub(crate) fn fields(&self) -> Vec<Field<'_>> {
        match self {
            Self::Avro(schema) => avro::fields(schema),
            Self::Protobuf(schema) => schema.fields(),
            Self::Json(schema) => schema.fields(),
        }
    }

    /// Whether values of a field, by its place, can be read into a column. The values of JSON say for themselves what they are.
    fn is_readable(&self, index: usize, wanted: &Wanted) -> bool {
        let is_typed = wanted.reading == Reading::Typed;
        match self {
            _ if wanted.reading == Reading::Raw => true,
            Self::Avro(schema) => avro::is_readable(schema, index, wanted),
            Self::Protobuf(schema) => schema.shape(index).is_some_and(|shape| shape.fits(&wanted.data_type, is_typed)),
            Self::Json(_) => true,
        }
    }
}

/// What a message says of its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark {
    /// The registry's number.
    pub id: i32,
    /// Format protobuf: the place of the value's type in its file, and in the types around it.
    pub path: Vec<u64>,
}

impl Mark {
    /// The mark of a message, and where its value begins.
    pub(crate) fn of(language: Language, message: &[u8]) -> Result<(Self, usize), Reason> {
        let id = schema_id(message)?;
        let (path, start) = match language {
            Language::Protobuf => protobuf::path(message)?,
            Language::Avro | Language::JsonSchema => (Vec::new(), HEADER),
        };
        Ok((Self { id, path }, start))
    }
}

/// The id of the schema that a message was written with.
pub(crate) fn schema_id(message: &[u8]) -> Result<i32, Reason> {
    match message {
        [0, a, b, c, d, ..] => Ok(i32::from_be_bytes([*a, *b, *c, *d])),
        [0, ..] => Err("the message ends before the id of its schema"),
        [] => Err("the message is empty, and does not name a schema"),
        _ => Err("the message does not begin with a zero and the id of a schema"),
    }
}

/// Where decoders get schemas from.
pub(crate) trait Schemas: std::fmt::Debug + Send + Sync {
    /// The schema of an id. Blocks. That there is none is an error.
    fn schema(&self, id: i32) -> Result<Schema, EngineError>;
}

/// Columns that take messages one by one.
pub(crate) trait Records: std::fmt::Debug + Send {
    /// Takes a message as a row.
    fn push(&mut self, message: &[u8]) -> Result<(), Refusal>;

    /// Adds a row of NULLs.
    fn push_nulls(&mut self);

    /// The rows as arrays, in the order of what is wanted; nothing is left.
    fn take(&mut self) -> Result<Vec<ArrayRef>, ArrowError>;
}

/// What a read needs besides its columns.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// A load goes on behind a position: schemas that need another column, or another type of one, are noticed.
    pub follows: bool,
    /// The latest schema of the topic's subject. Avro's has defaults.
    pub latest: Option<Schema>,
}

/// The columns that schemas are compared with.
#[derive(Debug)]
pub(crate) struct Target {
    pub wanted: Vec<Wanted>,
    /// Set if no other fields may come: those that the topic's columns are, read or not.
    pub known: Option<Arc<HashSet<Vec<u8>>>>,
    pub rules: Rules,
}

impl Target {
    /// The column of each field of a schema, if it has one.
    pub(crate) fn places(&self, schema: &Schema) -> Result<Vec<Option<usize>>, Refusal> {
        schema.fields().iter().enumerate().map(|(index, field)| self.place(schema, index, field)).collect()
    }

    fn place(&self, schema: &Schema, index: usize, field: &Field<'_>) -> Result<Option<usize>, Refusal> {
        let column = self.wanted.iter().position(|wanted| wanted.name == field.name);
        let unseen = || Refusal::Unseen { id: schema.id(), field: field.name.to_owned() };
        match column.and_then(|column| self.wanted.get(column)) {
            Some(wanted) if self.is_news(field.shape, wanted) => Err(unseen()),
            Some(wanted) if !schema.is_readable(index, wanted) => {
                let what = format!("its type in schema {} does not fit the column's type", schema.id());
                Err(refusal(Some(field.name.to_owned()), 0, what))
            }
            None if self.known.as_ref().is_some_and(|known| !known.contains(field.name.as_bytes())) => Err(unseen()),
            _ => Ok(column),
        }
    }

    /// Whether a type needs another column than the one that was chosen after other schemas.
    pub(crate) fn is_news(&self, shape: Option<Shape>, wanted: &Wanted) -> bool {
        let is_within = || shape.is_none_or(|shape| shape.is_within(&wanted.data_type));
        self.rules.follows && wanted.reading == Reading::Guessed && !is_within()
    }

    /// The columns that none of the fields has.
    pub(crate) fn without(&self, places: &[Option<usize>]) -> Vec<usize> {
        let filled: HashSet<usize> = places.iter().copied().flatten().collect();
        (0..self.wanted.len()).filter(|index| !filled.contains(index)).collect()
    }
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

pub(crate) fn refusal(field: Option<String>, at: usize, reason: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::Message { field, at, reason: reason.into() }
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

/// Values that a message may have, however short it is: some cost nothing to write, such as nulls in a list of Avro.
const FREE_STEPS: usize = 1 << 20;

/// Values for each byte of a message.
const STEPS_PER_BYTE: usize = 16;

/// Counts values: a small message could have more of them than there is time for, or memory.
#[derive(Debug)]
pub(crate) struct Steps(usize);

impl Steps {
    pub(crate) fn of(message: &[u8]) -> Self {
        Self(FREE_STEPS.saturating_add(message.len().saturating_mul(STEPS_PER_BYTE)))
    }

    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), Reason> {
        self.0 = self.0.checked_sub(1).ok_or("the message has far more values than bytes")?;
        Ok(())
    }
}
