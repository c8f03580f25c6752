//! Which columns an extract reads, and as what.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A list of columns projects; a map overrides types and masks and keeps the rest.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    /// Only these columns, in this order.
    Only(Vec<String>),
    /// All columns, some of them read as another type.
    Override(IndexMap<String, ColumnOverride>),
}

/// How one column is read: the short form is a type name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ColumnOverride {
    /// A type, e.g. `text`, `decimal(12,2)`, `timestamptz`.
    Type(String),
    /// A type, a mask or both.
    Full(ColumnRule),
}

/// The long form of a column's override.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnRule {
    /// The type to read it as.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How its values are hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
}

/// Serde's own reading of untagged enums forgets which entry is wrong.
impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of columns, or a mapping from columns to types")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Columns, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Columns::Only)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Columns, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Columns::Override)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for ColumnOverride {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = ColumnOverride;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a type such as text, or a mapping with `type` or `mask`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<ColumnOverride, E> {
                Ok(ColumnOverride::Type(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ColumnOverride, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(ColumnOverride::Full)
            }
        }
        deserializer.deserialize_any(Form)
    }
}
