//! What a model is shown of the catalogs: ids, names, types, keys, comments and values that may be shown, all as quoted data.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use headwater_engine::connector::ColumnInfo;
use headwater_engine::samples::TableSamples;

use crate::known::{ColumnId, Known, KnownTable, TableId};
use crate::retrieval::{Hint, Retrieval};
use crate::typed::target_id;

/// Longest comment that is shown.
const LONGEST: usize = 200;

/// Values of a column that are shown.
const MOST_VALUES: usize = 20;

/// Tables that are named without their columns.
const MOST_LISTED: usize = 60;

/// What a model is shown.
pub(super) struct Shown<'a> {
    pub(super) known: &'a Known,
    pub(super) found: &'a Retrieval,
    pub(super) targets: &'a [String],
    pub(super) hints: &'a [Hint],
    /// Samples by connection and path.
    pub(super) samples: &'a BTreeMap<(String, String), TableSamples>,
    /// How a column is written: in lists of columns and in SQL.
    pub(super) column: fn(ColumnId) -> String,
}

/// Text that can't end the line or the quotes that it stands in.
pub(super) fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let plain = cut.replace('<', "‹").replace('>', "›");
    serde_json::to_string(&format!("{plain}{more}")).unwrap_or_default()
}

impl Shown<'_> {
    /// The catalog's part of a turn.
    pub(super) fn catalog(&self) -> String {
        let mut out = String::from("<catalog>\n");
        for found in &self.found.shown {
            self.table(found.table, &mut out);
        }
        let listed: Vec<String> = self.found.left.listed.iter().take(MOST_LISTED).map(|id| self.line(*id)).collect();
        if !listed.is_empty() {
            let _ = writeln!(out, "Tables without room for their columns: {}", listed.join(", "));
        }
        for hint in self.hints.iter().take(MOST_LISTED) {
            let _ = writeln!(out, "Word of the workspace: {} means {}", quoted(&hint.phrase), quoted(&hint.meaning));
        }
        out.push_str("</catalog>\n");
        if !self.targets.is_empty() {
            out.push_str("Connections that can be written to:");
            for (place, name) in self.targets.iter().enumerate() {
                let _ = write!(out, " {} {}", target_id(place), quoted(name));
            }
            out.push('\n');
        }
        out
    }

    fn line(&self, id: TableId) -> String {
        self.known.table(id).map(|table| quoted(&table.full_name())).unwrap_or_default()
    }

    fn table(&self, id: TableId, out: &mut String) {
        let Some(table) = self.known.table(id) else { return };
        let comment = table.table.comment.as_deref().map(|comment| format!(", comment {}", quoted(comment)));
        let rows = table.table.rows.map(|rows| format!(", about {rows} rows")).unwrap_or_default();
        let _ = writeln!(out, "{id} {}{rows}{}", quoted(&table.full_name()), comment.unwrap_or_default());
        for (column_id, column) in self.known.columns(id) {
            let _ = writeln!(out, "  {}", self.column(column_id, column, table));
        }
    }

    fn column(&self, id: ColumnId, column: &ColumnInfo, table: &KnownTable) -> String {
        let mut line = format!("{} {} {}", (self.column)(id), quoted(&column.name), quoted(&column.native_type));
        if column.primary_key.is_some() {
            line.push_str(", key");
        }
        if !column.nullable {
            line.push_str(", never null");
        }
        for key in &table.table.foreign_keys {
            let place = key.columns.iter().position(|name| *name == column.name);
            let other = place.and_then(|place| key.references.get(place));
            if let (Some(other), Some(of)) = (other, self.known.find(&table.connection, &key.table)) {
                let target = self.known.columns(of).find(|(_, column)| column.name == *other);
                target.iter().for_each(|(id, _)| line.push_str(&format!(", refers to {}", (self.column)(*id))));
            }
        }
        if let Some(comment) = &column.comment {
            line.push_str(&format!(", comment {}", quoted(comment)));
        }
        let sampled = self.samples.get(&(table.connection.clone(), table.table.path.join(".")));
        let values = sampled.and_then(|sampled| sampled.values.get(&column.name));
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            let values: Vec<String> = values.iter().take(MOST_VALUES).map(|value| quoted(value)).collect();
            line.push_str(&format!(", values {}", values.join(" ")));
        }
        line
    }
}
