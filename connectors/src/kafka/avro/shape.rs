//! What a type of Avro is as a column.

use super::schema::{Id, Node, Schema};
use crate::kafka::schemas::Field;
use crate::kafka::schemas::shape::{MOST_DIGITS, Shape};

/// The fields of the record that a message is.
pub(crate) fn fields(schema: &Schema) -> Vec<Field<'_>> {
    let fields = schema.fields().iter();
    fields.map(|field| Field { name: &field.name, shape: some(schema, field.node) }).collect()
}

/// The column for a type; nothing if all its values are NULL.
pub(super) fn some(schema: &Schema, id: Id) -> Option<Shape> {
    let is_null = match schema.node(id) {
        Node::Null => true,
        Node::Union(branches) => branches.iter().all(|branch| *schema.node(*branch) == Node::Null),
        _ => false,
    };
    (!is_null).then(|| of(schema, id))
}

/// The column for a type. NULL is no type of its own.
pub(crate) fn of(schema: &Schema, id: Id) -> Shape {
    match schema.node(id) {
        Node::Boolean => Shape::Boolean,
        Node::Int => Shape::Int,
        Node::Long => Shape::Long,
        Node::Float => Shape::Float,
        Node::Double => Shape::Double,
        Node::Bytes | Node::Fixed(_) => Shape::Bytes,
        Node::String | Node::Enum(_) | Node::Uuid { .. } | Node::TimeMillis | Node::TimeMicros => Shape::Text,
        Node::Decimal { precision, scale, .. } if *precision <= MOST_DIGITS => {
            // Both are at most 38.
            let narrow = |digits: usize| u8::try_from(digits).unwrap_or_default();
            Shape::Decimal { precision: narrow(*precision), scale: narrow(*scale) }
        }
        Node::Decimal { .. } => Shape::Text,
        Node::Date => Shape::Date,
        Node::Timestamp { utc: true, .. } => Shape::Timestamptz,
        Node::Timestamp { utc: false, .. } => Shape::Timestamp,
        Node::Union(branches) => {
            let mut some = branches.iter().filter(|branch| *schema.node(**branch) != Node::Null);
            match (some.next(), some.next()) {
                (Some(only), None) => of(schema, *only),
                _ => Shape::Json,
            }
        }
        Node::Null | Node::Record(_) | Node::Array(_) | Node::Map(_) => Shape::Json,
    }
}
