//! What a load may change of its target's columns when the columns of its rows have changed.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What may be changed of a target's column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// Nothing: rows that don't fit are refused.
    #[default]
    Freeze,
    /// A new column is added to the target; one that no longer comes is NULL in new rows.
    AddColumns,
    /// As add_columns; types of columns become wider too. An overwrite replaces the columns.
    Evolve,
}

impl Contract {
    /// As it is spelled in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::AddColumns => "add_columns",
            Self::Evolve => "evolve",
        }
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may be changed of a target's columns: a word for all of them, or a mapping with words for some.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LoadSchema {
    /// The same for every column.
    All(Contract),
    /// Some columns have a contract of their own.
    ByColumn(ColumnContracts),
}

/// Contracts of some columns, and of all others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnContracts {
    /// Of columns that are not named; `freeze` if absent.
    pub default: Contract,
    /// By the names of columns.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub columns: IndexMap<String, Contract>,
}

impl Default for LoadSchema {
    fn default() -> Self {
        Self::All(Contract::Freeze)
    }
}

impl LoadSchema {
    /// The contract of columns that are not named.
    pub fn default_contract(&self) -> Contract {
        match self {
            Self::All(contract) => *contract,
            Self::ByColumn(contracts) => contracts.default,
        }
    }

    /// The contract of a column.
    pub fn of(&self, column: &str) -> Contract {
        self.named(column).unwrap_or_else(|| self.default_contract())
    }

    /// The contract of a column that has one of its own.
    pub fn named(&self, column: &str) -> Option<Contract> {
        match self {
            Self::All(_) => None,
            Self::ByColumn(contracts) => contracts.columns.get(column).copied(),
        }
    }

    /// The same contracts, with another one for a column.
    #[must_use]
    pub fn with(self, column: &str, contract: Contract) -> Self {
        let mut contracts = match self {
            Self::All(default) => ColumnContracts { default, columns: IndexMap::new() },
            Self::ByColumn(contracts) => contracts,
        };
        contracts.columns.insert(column.to_owned(), contract);
        Self::ByColumn(contracts)
    }

    /// Whether no column may change, as in a load that says nothing of it.
    pub fn is_frozen(&self) -> bool {
        match self {
            Self::All(contract) => *contract == Contract::Freeze,
            Self::ByColumn(contracts) => {
                contracts.default == Contract::Freeze && contracts.columns.values().all(|of| *of == Contract::Freeze)
            }
        }
    }
}

/// Serde's own reading of untagged enums forgets which entry is wrong.
impl<'de> Deserialize<'de> for LoadSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = LoadSchema;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("freeze, add_columns or evolve, or a mapping with `default` and `columns`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<LoadSchema, E> {
                Contract::deserialize(word.into_deserializer()).map(LoadSchema::All)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LoadSchema, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(LoadSchema::ByColumn)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_contract_is_a_word_or_a_mapping_and_is_written_as_it_was_read() {
        for written in [
            json!("freeze"),
            json!("add_columns"),
            json!({ "default": "add_columns", "columns": { "total": "freeze", "note": "evolve" } }),
        ] {
            let read: LoadSchema = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), written);
        }
        for wrong in [json!("grow"), json!(true), json!({ "columns": { "a": "grow" } }), json!({ "all": "evolve" })] {
            assert!(serde_json::from_value::<LoadSchema>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_named_column_has_its_own_contract() {
        let read = |value: Value| serde_json::from_value::<LoadSchema>(value).unwrap();
        let mixed = read(json!({ "default": "add_columns", "columns": { "total": "freeze" } }));
        assert_eq!((mixed.of("total"), mixed.of("note")), (Contract::Freeze, Contract::AddColumns));
        assert_eq!((mixed.named("total"), mixed.named("note")), (Some(Contract::Freeze), None));
        assert!(!mixed.is_frozen() && !read(json!({ "columns": { "note": "evolve" } })).is_frozen());
        assert!(read(json!({ "columns": { "total": "freeze" } })).is_frozen() && LoadSchema::default().is_frozen());
    }
}
