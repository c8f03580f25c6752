//! Which tables an extract of several tables reads.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One pattern, or a list of patterns and names.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TableNames {
    /// e.g. `shop.public.*`.
    One(String),
    /// e.g. `[shop.public.*, shop.sales.orders]`.
    Several(Vec<String>),
}

impl TableNames {
    /// The patterns and names, in the order of the spec.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// Serde's own reading of untagged enums forgets which entry is wrong.
impl<'de> Deserialize<'de> for TableNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = TableNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pattern such as shop.public.*, or a list of patterns and names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<TableNames, E> {
                Ok(TableNames::One(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<TableNames, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(TableNames::Several)
            }
        }
        deserializer.deserialize_any(Form)
    }
}
