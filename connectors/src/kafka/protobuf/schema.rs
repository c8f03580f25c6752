//! Schemas of Protobuf, as tables of what reading needs.

use std::collections::HashMap;
use std::sync::Arc;

use super::wire::Wire;
use crate::kafka::schemas::shape::Shape;
use crate::kafka::schemas::{self, Named};

/// A message type of a schema, by its place in the tables.
pub(super) type Id = usize;

/// A schema, and the type of its values.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    /// The registry's number.
    pub id: i32,
    pub(super) file: Arc<File>,
    pub(super) root: Id,
}

/// A file with all that it refers to.
#[derive(Debug, Default)]
pub(super) struct File {
    pub types: Vec<Type>,
    pub enums: Vec<Enum>,
    /// The types of the file itself, by their places.
    pub places: HashMap<Vec<u64>, Id>,
}

/// A message type.
#[derive(Debug, Default)]
pub(super) struct Type {
    /// With its package.
    pub name: String,
    /// In the order of the schema.
    pub fields: Vec<Field>,
    /// Places of fields by their numbers, sorted.
    pub numbers: Vec<(u32, usize)>,
    /// Whether some fields exclude each other.
    pub has_oneofs: bool,
    pub meaning: Meaning,
}

/// What a message type is besides its fields.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    #[default]
    None,
    /// google.protobuf.Timestamp.
    Timestamp,
    /// google.protobuf.Duration.
    Duration,
    /// google.type.Date.
    Date,
    /// google.protobuf.Int64Value and the like: a value of its only field, or none.
    Wrapper,
    /// google.protobuf.Struct.
    Struct,
    /// google.protobuf.Value.
    Value,
    /// google.protobuf.ListValue.
    List,
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: String,
    pub kind: Kind,
    pub count: Count,
    /// Fields of one oneof exclude each other.
    pub oneof: Option<usize>,
}

/// How often a field comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// Absent is the default.
    Implicit,
    /// Absent is no value.
    Optional,
    Required,
    List,
    /// Entries with a key and a value.
    Map,
}

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    Float,
    Double,
    String,
    Bytes,
    /// By its place in the tables.
    Enum(usize),
    Message(Id),
    Group(Id),
}

#[derive(Debug)]
pub(super) struct Enum {
    /// Names by numbers, sorted; the first name of each.
    pub names: Vec<(i32, String)>,
    /// The value of an absent field.
    pub first: i32,
    /// Whether it may have other numbers than these (proto3).
    pub is_open: bool,
}

impl Kind {
    /// How a value is written, on its own.
    #[inline]
    pub(super) fn wire(self) -> Wire {
        match self {
            Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 | Self::Sint32 | Self::Sint64 => Wire::Varint,
            Self::Bool | Self::Enum(_) => Wire::Varint,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Wire::Fixed64,
            Self::Fixed32 | Self::Sfixed32 | Self::Float => Wire::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => Wire::Bytes,
            Self::Group(_) => Wire::Start,
        }
    }

    /// The message type, if it is one.
    pub(super) fn message(self) -> Option<Id> {
        match self {
            Self::Message(id) | Self::Group(id) => Some(id),
            _ => None,
        }
    }
}

impl Field {
    /// Whether values may be written in this way; those of a list of numbers may come all at once.
    #[inline]
    pub(super) fn takes(&self, wire: Wire) -> bool {
        wire == self.kind.wire() || (wire == Wire::Bytes && self.is_packable())
    }

    fn is_packable(&self) -> bool {
        self.count == Count::List && !matches!(self.kind.wire(), Wire::Bytes | Wire::Start)
    }
}

impl Type {
    #[inline]
    pub(super) fn slot(&self, number: u32) -> Option<usize> {
        let found = self.numbers.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.numbers.get(found).map(|(_, slot)| *slot)
    }
}

impl File {
    /// A type. Ids come from this file alone.
    #[inline]
    pub(super) fn get(&self, id: Id) -> &Type {
        &self.types[id]
    }

    /// The column of a field.
    pub(super) fn shape(&self, field: &Field) -> Shape {
        match field.count {
            Count::List | Count::Map => Shape::Json,
            Count::Implicit | Count::Optional | Count::Required => self.shape_of(field.kind),
        }
    }

    fn shape_of(&self, kind: Kind) -> Shape {
        match kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Shape::Int,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint32 | Kind::Fixed32 => Shape::Long,
            Kind::Uint64 | Kind::Fixed64 => Shape::Decimal { precision: 20, scale: 0 },
            Kind::Bool => Shape::Boolean,
            Kind::Float => Shape::Float,
            Kind::Double => Shape::Double,
            Kind::String | Kind::Enum(_) => Shape::Text,
            Kind::Bytes => Shape::Bytes,
            Kind::Message(id) | Kind::Group(id) => match self.get(id).meaning {
                Meaning::Timestamp => Shape::Timestamptz,
                Meaning::Duration => Shape::Text,
                Meaning::Date => Shape::Date,
                // It is a scalar, so that this ends here.
                Meaning::Wrapper => self.get(id).fields.first().map_or(Shape::Json, |field| self.shape_of(field.kind)),
                Meaning::None | Meaning::Struct | Meaning::Value | Meaning::List => Shape::Json,
            },
        }
    }
}

impl Schema {
    /// Reads a schema, whose values are of its first type. The schemas that it refers to are those that it imports.
    pub(crate) fn parse(id: i32, text: &str, references: &[Named]) -> Result<Self, String> {
        let file = super::parse::file(text, references)?;
        let root = *file.places.get([0].as_slice()).ok_or("it has no message type, whose fields would be columns")?;
        Ok(Self { id, file: Arc::new(file), root })
    }

    /// The same for values of the type in a place.
    pub(crate) fn at(&self, path: &[u64]) -> Option<Self> {
        self.file.places.get(path).map(|root| self.of(*root))
    }

    /// The same for values of the type of a name.
    pub(crate) fn named(&self, name: &str) -> Option<Self> {
        let mut places = self.file.places.values();
        places.find(|id| self.file.get(**id).name == name).map(|root| self.of(*root))
    }

    fn of(&self, root: Id) -> Self {
        Self { root, ..self.clone() }
    }

    /// The type of values, with its package.
    pub(crate) fn type_name(&self) -> &str {
        &self.root().name
    }

    pub(super) fn root(&self) -> &Type {
        self.file.get(self.root)
    }

    /// The fields of values.
    pub(crate) fn fields(&self) -> Vec<schemas::Field<'_>> {
        let fields = self.root().fields.iter();
        fields.map(|field| schemas::Field { name: &field.name, shape: Some(self.file.shape(field)) }).collect()
    }

    /// The column of a field, by its place.
    pub(crate) fn shape(&self, index: usize) -> Option<Shape> {
        self.root().fields.get(index).map(|field| self.file.shape(field))
    }
}
