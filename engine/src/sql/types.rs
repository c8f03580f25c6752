//! Types as Postgres names them, and which Arrow types hold their values.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable};

use crate::{NATIVE_FORM, NATIVE_TYPE};

/// Digits that a decimal holds at most.
pub(super) const MAX_DIGITS: u8 = 38;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Type {
    /// A quoted literal or NULL, whose type its surroundings decide.
    Unknown,
    Bool,
    Int2,
    Int4,
    Int8,
    /// Digits altogether and behind the point.
    Numeric(u8, u8),
    Float4,
    Float8,
    Text,
    /// char(n): blanks at its end say nothing.
    Char,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Array(Box<Type>),
    /// A type of the source that is read as text, and compares and orders in another way than a text.
    Native(String),
    /// A type of Arrow that SQL passes on and does nothing else with.
    Other(DataType),
}

impl Type {
    /// The type whose values an Arrow type holds.
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Unknown,
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int2,
            DataType::Int32 | DataType::UInt16 => Self::Int4,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Self::Int8,
            DataType::Decimal128(precision, scale) if *scale >= 0 => Self::Numeric(*precision, scale.unsigned_abs()),
            DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytea,
            DataType::Date32 => Self::Date,
            DataType::Time64(_) | DataType::Time32(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::Timestamptz,
            DataType::Interval(_) => Self::Interval,
            DataType::List(field) | DataType::LargeList(field) => Self::Array(Box::new(Self::of(field.data_type()))),
            other => Self::Other(other.clone()),
        }
    }

    /// The Arrow type that holds its values; what is still unknown is text.
    pub(super) fn arrow(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Numeric(precision, scale) => {
                DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
            }
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Unknown | Self::Text | Self::Char | Self::Native(_) => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Array(element) => DataType::List(Arc::new(Field::new_list_field(element.arrow(), true))),
            Self::Other(other) => other.clone(),
        }
    }

    pub(super) fn json() -> Self {
        Self::Native("json".to_owned())
    }

    pub(super) fn jsonb() -> Self {
        Self::Native("jsonb".to_owned())
    }

    /// Whether it is json or jsonb.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::Native(name) if matches!(name.as_str(), "json" | "jsonb"))
    }

    pub(super) fn is_jsonb(&self) -> bool {
        matches!(self, Self::Native(name) if name == "jsonb")
    }

    /// What a field of the type remembers: the type that Arrow has no name for.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        match self {
            Self::Native(name) => HashMap::from([
                (NATIVE_TYPE.to_owned(), name.clone()),
                (NATIVE_FORM.to_owned(), self.arrow().to_string()),
            ]),
            _ => HashMap::new(),
        }
    }

    pub(super) fn is_integer(&self) -> bool {
        matches!(self, Self::Int2 | Self::Int4 | Self::Int8)
    }

    pub(super) fn is_float(&self) -> bool {
        matches!(self, Self::Float4 | Self::Float8)
    }

    pub(super) fn is_number(&self) -> bool {
        self.is_integer() || self.is_float() || matches!(self, Self::Numeric(..))
    }

    /// Whether it is a point in time.
    pub(super) fn is_moment(&self) -> bool {
        matches!(self, Self::Date | Self::Timestamp | Self::Timestamptz)
    }

    /// Digits and scale of a number that a numeric holds exactly.
    pub(super) fn digits(&self) -> Option<(u8, u8)> {
        match self {
            Self::Int2 => Some((5, 0)),
            Self::Int4 => Some((10, 0)),
            Self::Int8 => Some((19, 0)),
            Self::Numeric(precision, scale) => Some((*precision, *scale)),
            _ => None,
        }
    }

    /// The one type that CASE, COALESCE, arrays, IN and set operations give two types, as Postgres chooses it.
    ///
    /// See "UNION, CASE, and Related Constructs" in Postgres' manual.
    pub(super) fn unify(&self, other: &Self) -> Option<Self> {
        if self == other {
            return Some(self.clone());
        }
        match (self, other) {
            (Self::Unknown, kind) | (kind, Self::Unknown) => Some(kind.clone()),
            (Self::Char, Self::Text) | (Self::Text, Self::Char) => Some(Self::Text),
            (Self::Float8, kind) | (kind, Self::Float8) if kind.is_number() => Some(Self::Float8),
            (Self::Float4, Self::Float4) => Some(Self::Float4),
            (Self::Float4, kind) | (kind, Self::Float4) if kind.is_number() => Some(Self::Float4),
            (left, right) if left.is_integer() && right.is_integer() => {
                Some([Self::Int8, Self::Int4].into_iter().find(|kind| kind == left || kind == right)?)
            }
            (left, right) if left.is_number() && right.is_number() => {
                let ((p1, s1), (p2, s2)) = (left.digits()?, right.digits()?);
                let scale = s1.max(s2);
                Some(Self::Numeric((p1 - s1).max(p2 - s2).saturating_add(scale).min(MAX_DIGITS), scale))
            }
            (left, right) if left.is_moment() && right.is_moment() => {
                Some([Self::Timestamptz, Self::Timestamp].into_iter().find(|kind| kind == left || kind == right)?)
            }
            (Self::Array(left), Self::Array(right)) if **left == Self::Unknown => Some(Self::Array(right.clone())),
            (Self::Array(left), Self::Array(right)) if **right == Self::Unknown => Some(Self::Array(left.clone())),
            (Self::Array(left), Self::Array(right)) => match (left.as_ref(), right.as_ref()) {
                (Self::Numeric(..), Self::Numeric(..)) => Some(Self::Array(Box::new(left.unify(right)?))),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The name of a type as a message says it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Unknown => "unknown",
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Numeric(..) => "numeric",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Text => "text",
            Self::Char => "character",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Interval => "interval",
            Self::Array(element) => return write!(f, "{element}[]"),
            Self::Native(name) => return f.write_str(name),
            Self::Other(other) => return write!(f, "{other}"),
        };
        f.write_str(name)
    }
}

/// An expression and its type.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) expr: Expr,
    pub(super) kind: Type,
}

impl Operand {
    /// An expression over a schema. A quoted literal is unknown until it is cast, and a literal that remembers a type has
    /// it; values of other widths than those of Postgres, as files have them, get the next one that holds them all.
    pub(super) fn new(expr: Expr, schema: &DFSchema) -> Result<Self> {
        if let Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, None) = &expr {
            return Ok(Self { expr, kind: Type::Unknown });
        }
        let field = field_of(&expr, schema)?;
        let native = field.metadata().get(NATIVE_TYPE).map_or("", String::as_str);
        let kind = match (Type::of(field.data_type()), field.data_type()) {
            (Type::Text, _) if native.starts_with("character(") => Type::Char,
            (Type::Text, _) if is_other_than_text(native) => Type::Native(native.to_owned()),
            (_, DataType::UInt64) => Type::Numeric(20, 0),
            (kind, _) => kind,
        };
        // Intervals and times of day come as text and are read where they are used.
        let (expr, kind) = match kind {
            Type::Native(native) if native.starts_with("interval") => {
                (super::cast::read(expr, &Type::Interval), Type::Interval)
            }
            Type::Native(native) if native.starts_with("time") && !native.contains("with time zone") => {
                (super::cast::read(expr, &Type::Time), Type::Time)
            }
            kind => (expr, kind),
        };
        let expr = match field.data_type() {
            DataType::Utf8 if matches!(kind, Type::Interval | Type::Time) => expr,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => super::moments::microseconds(expr, &kind),
            DataType::Time64(TimeUnit::Nanosecond) => {
                return Ok(Self { expr, kind: Type::Other(field.data_type().clone()) });
            }
            data_type if is_canonical(data_type, &kind) => expr,
            _ => Expr::Cast(Cast::new(Box::new(expr), kind.arrow())),
        };
        Ok(Self { expr, kind })
    }

    /// The text of a quoted literal.
    pub(super) fn literal(&self) -> Option<&str> {
        match &self.expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text),
            _ => None,
        }
    }
}

/// The field of an expression. A column that USING merges has two fields of one type, and DataFusion chooses later.
fn field_of(expr: &Expr, schema: &DFSchema) -> Result<FieldRef> {
    let error = match expr.to_field(schema) {
        Ok((_, field)) => return Ok(field),
        Err(error) => error,
    };
    let qualified = expr.clone().transform(|part| match &part {
        Expr::Column(column) if column.relation.is_none() => {
            match schema.qualified_fields_with_unqualified_name(&column.name).first() {
                Some(found) => Ok(Transformed::yes(Expr::Column(Column::from(*found)))),
                None => Ok(Transformed::no(part)),
            }
        }
        _ => Ok(Transformed::no(part)),
    })?;
    qualified.data.to_field(schema).map(|(_, field)| field).map_err(|_| error)
}

/// Whether a type of Postgres is read as text and is none: it compares and orders in a way of its own.
fn is_other_than_text(native: &str) -> bool {
    const TEXTS: [&str; 5] = ["text", "character", "name", "uuid", "numeric"];
    !native.is_empty() && !native.ends_with("[]") && !TEXTS.iter().any(|start| native.starts_with(start))
}

/// Whether values of a type are equal where their texts are: labels of an enum, and domains.
pub(super) fn has_labels(native: &str) -> bool {
    const OTHERS: [&str; 13] =
        ["json", "money", "inet", "cidr", "macaddr", "bit", "hstore", "ts", "xml", "citext", "point", "box", "time"];
    !OTHERS.iter().any(|start| native.starts_with(start)) && !native.ends_with("range")
}

/// Whether values are in the form that the kernels here read.
fn is_canonical(data_type: &DataType, kind: &Type) -> bool {
    match (data_type, kind) {
        (DataType::List(field), Type::Array(element)) => is_canonical(field.data_type(), element),
        (DataType::Null, Type::Unknown) | (_, Type::Other(_)) => true,
        (DataType::Timestamp(unit, _), _) => *unit == TimeUnit::Microsecond,
        _ => *data_type == kind.arrow(),
    }
}

/// A mistake that planning finds.
pub(super) fn refused(message: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(message.into())
}
