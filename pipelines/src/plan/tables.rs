//! Whole schemas: an extract of several tables becomes a group with one extract for each of them, and a load below it a group with one load for each.
//!
//! This happens before names are resolved, and purely: what the connection can read comes in, tasks go out. From then on nothing needs to know that a person has not
//! written them. The document keeps where each of them comes from, so that findings point at what was written and name the table.

use std::collections::BTreeMap;

use crate::decode::Step;
use crate::diagnostic::Finding;

mod choose;
mod derive;
mod expand;
mod findings;
mod origin;
mod summary;
mod target;

pub use derive::mark_of_changes;
pub use expand::{expand, new_tables, sources};
pub use summary::{TableLoads, TableNote, TableSet};

pub(crate) use expand::Made;
pub(super) use findings::{findings, misfits};
pub(crate) use origin::Expansion;
pub(super) use target::has_placeholders;

/// A table that a connection can read, as far as tasks are made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceTable {
    /// The path below the connection, e.g. `["public", "orders"]`.
    pub path: Vec<String>,
    /// The catalog's word for it, e.g. `table` or `view`.
    pub kind: String,
    /// Its columns in order.
    pub columns: Vec<SourceColumn>,
    /// Columns of the primary key, in its order.
    pub primary_key: Vec<String>,
    /// Columns of each other unique key.
    pub unique_keys: Vec<Vec<String>>,
}

/// A column of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// What its values can be compared as.
    pub scale: Scale,
    /// Whether it can hold NULL.
    pub nullable: bool,
}

/// What the values of a column can be compared as, for a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Dates with times.
    Timestamp,
    /// Dates.
    Date,
    /// Whole numbers.
    Integer,
    /// Numbers with a fixed scale.
    Decimal,
    /// Nothing that a cursor could follow.
    Other,
}

/// What connections can read, by their names; a finding says why nothing is known of one.
pub type Catalogs = BTreeMap<String, Result<Vec<SourceTable>, Finding>>;

/// Kinds whose rows don't say when they were written, or are those of other tables.
const VIEWS: [&str; 3] = ["view", "materialized view", "foreign table"];

impl SourceTable {
    /// Its own name.
    fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The names around it, e.g. its schema; empty if there are none.
    fn schema(&self) -> &[String] {
        &self.path[..self.path.len().saturating_sub(1)]
    }

    /// Path for messages, e.g. `public.orders`.
    fn label(&self) -> String {
        self.path.join(".")
    }

    fn is_view(&self) -> bool {
        VIEWS.contains(&self.kind.as_str())
    }
}

/// A finding and the place of the field that it is about.
type Found = (Vec<Step>, Finding);

fn place(fields: &[&str]) -> Vec<Step> {
    fields.iter().map(|field| Step::from(*field)).collect()
}

#[cfg(test)]
mod tests;
