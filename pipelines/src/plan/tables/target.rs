//! The target of a load of several tables: a name with places for the table's.

use super::SourceTable;
use crate::diagnostic::{Code, Finding};
use crate::sql::split_parts;

/// `connection.path` with placeholders.
#[derive(Debug)]
pub(super) struct Target {
    connection: String,
    path: Vec<Vec<Piece>>,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Table,
    Schema,
}

/// Whether a name has placeholders.
pub(in crate::plan) fn has_placeholders(into: &str) -> bool {
    into.contains("{{")
}

impl Target {
    /// Reads `into`; `None` if it is a plain name.
    pub(super) fn read(into: &str) -> Result<Option<Self>, Finding> {
        if !has_placeholders(into) {
            return Ok(None);
        }
        let parts = split_parts(into)?;
        let Some((first, rest)) =
            parts.split_first().filter(|(first, rest)| !has_placeholders(&first.text) && !rest.is_empty())
        else {
            let finding = Finding::error(Code::BadLoad, format!("'{into}' names no connection"));
            return Err(finding.hint("write connection.\"{{ table }}\""));
        };
        let path = rest.iter().map(|part| pieces(&part.text)).collect::<Result<Vec<_>, _>>()?;
        if !path.iter().flatten().any(|piece| *piece == Piece::Table) {
            let finding = Finding::error(Code::BadLoad, "all tables of a schema would go into one target");
            return Err(finding.hint("add {{ table }} to `into`"));
        }
        Ok(Some(Self { connection: if first.is_quoted { quoted(&first.text) } else { first.text.clone() }, path }))
    }

    /// The name of a table's target, as a spec writes it.
    pub(super) fn of(&self, table: &SourceTable) -> String {
        let part = |pieces: &Vec<Piece>| -> String {
            pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Table => table.name().to_owned(),
                    Piece::Schema => table.schema().join("_"),
                })
                .collect()
        };
        let path: Vec<String> = self.path.iter().map(part).collect();
        format!("{}.{}", self.connection, dotted(&path))
    }

    /// Whether tables of one name in two schemas have two targets.
    pub(super) fn has_schema(&self) -> bool {
        self.path.iter().flatten().any(|piece| *piece == Piece::Schema)
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, Finding> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((name, behind)) = behind.split_once("}}") else {
            return Err(Finding::error(Code::BadLoad, format!("'{text}' has an open {{{{")).hint("write {{ table }}"));
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(match name.trim() {
            "table" => Piece::Table,
            "schema" => Piece::Schema,
            other => {
                let finding =
                    Finding::error(Code::BadLoad, format!("there is no '{{{{ {other} }}}}' in the name of a target"));
                return Err(finding.nearest(other, ["table", "schema"]));
            }
        });
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// A path as a spec writes it.
pub(super) fn dotted(path: &[String]) -> String {
    let is_plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let part = |part: &String| if is_plain(part) { part.clone() } else { quoted(part) };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
