//! What the contract of a load says to columns of its rows that are not those of its target.

use headwater_engine::connector::SinkRequest;
use headwater_engine::{EngineError, Result};
use headwater_pipelines::spec::{Contract, LoadSchema};

/// Collects how a dataset's columns differ from those of a target: what is changed is noted, what is refused is told in one error.
#[derive(Debug)]
pub(crate) struct Drift<'a> {
    contract: &'a LoadSchema,
    /// Remarks for the plan.
    pub notes: Vec<String>,
    refused: Vec<String>,
    /// The contracts that would allow what is refused, each with a column.
    ways: Vec<(Contract, String)>,
    /// What helps besides, in the target's own words.
    hints: Vec<&'static str>,
}

impl<'a> Drift<'a> {
    pub(crate) fn new(contract: &'a LoadSchema) -> Self {
        Self { contract, notes: Vec::new(), refused: Vec::new(), ways: Vec::new(), hints: Vec::new() }
    }

    /// Whether a column that the target does not have is added, under the name of none that it has.
    pub(crate) fn adds<'n>(&mut self, name: &str, kind: &str, table: impl Iterator<Item = &'n str>) -> bool {
        let what = format!("the table has no column {name} ({kind})");
        let contract = self.contract.of(name);
        if let Some(twin) = table.into_iter().find(|column| column.eq_ignore_ascii_case(name)) {
            self.refused.push(format!("{what}, only {twin}"));
        } else if contract >= Contract::AddColumns {
            self.notes.push(format!("column {name} ({kind}) is new: it is added (schema: {contract})"));
            return true;
        } else {
            self.refuse_for(Contract::AddColumns, name, what);
        }
        false
    }

    /// Whether a column that no longer comes may be left to what the target puts into new rows.
    pub(crate) fn leaves(&mut self, name: &str, kind: &str) -> bool {
        let may = self.contract.of(name) >= Contract::AddColumns;
        if may {
            self.notes.push(format!("column {name} ({kind}) no longer comes: new rows have NULL in it"));
        } else {
            self.refuse_for(Contract::AddColumns, name, format!("the dataset has no column {name} ({kind})"));
        }
        may
    }

    /// Whether a column whose values can't be kept may get a type that holds them.
    pub(crate) fn widens(&mut self, name: &str, from: &str, to: &str) -> bool {
        let may = self.contract.of(name) >= Contract::Evolve;
        if may {
            self.notes.push(format!("column {name} is {to} now, in the table {from}: it is widened (schema: evolve)"));
        }
        may
    }

    /// Whether a column has to stay as it is.
    pub(crate) fn is_frozen(&self, name: &str) -> bool {
        self.contract.of(name) == Contract::Freeze
    }

    /// Whether the contract names a column that has to come.
    pub(crate) fn requires(&self, name: &str) -> bool {
        self.contract.named(name) == Some(Contract::Freeze)
    }

    /// Whether an overwrite may leave a column out or give it any type.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        self.contract.of(name) >= Contract::Evolve
    }

    /// Refuses what a wider contract would allow.
    pub(crate) fn refuse_for(&mut self, way: Contract, name: &str, what: String) {
        let frozen =
            if self.contract.named(name).is_some_and(|named| named < way) { ", as `schema` says of it" } else { "" };
        self.refused.push(format!("{what}{frozen}"));
        self.ways.push((way, name.to_owned()));
    }

    /// Refuses what no contract allows.
    pub(crate) fn refuse(&mut self, what: String, hint: Option<&'static str>) {
        self.refused.push(what);
        self.hints.extend(hint.filter(|hint| !self.hints.contains(hint)));
    }

    /// The remarks, or an error with everything that is refused.
    pub(crate) fn settle(self, target: &str) -> Result<Vec<String>> {
        if self.refused.is_empty() {
            return Ok(self.notes);
        }
        let message = format!("the dataset does not fit the table {target}: {}", self.refused.join("; "));
        Err(EngineError::config(message).hint(self.hint()))
    }

    /// The line to paste, if one would do, and what helps otherwise.
    fn hint(&self) -> String {
        let mut ways = Vec::new();
        if self.refused.len() == self.ways.len() {
            let is_named = |name: &str| self.contract.named(name).is_some();
            let wanted = self.ways.iter().filter(|(_, name)| !is_named(name)).map(|(way, _)| *way).max();
            ways.extend(wanted.map(|way| match way {
                Contract::Evolve => "`schema: evolve` in the load lets columns become wider, and adds new ones",
                _ => "`schema: add_columns` in the load adds new columns, and leaves NULL in those that no longer come",
            }));
            ways.extend(
                self.ways
                    .iter()
                    .any(|(_, name)| is_named(name))
                    .then_some("name a wider contract for the column under `schema.columns`"),
            );
        }
        ways.extend(&self.hints);
        ways.push(
            "select and cast the columns in a transform so that names and types agree, or load into another table",
        );
        ways.join("; or ")
    }
}

/// A scan of keys does not read a row that comes back as it was, so that no version of it would begin again.
pub(crate) fn refuse_scan_of_history(target: &str, request: &SinkRequest) -> Result<()> {
    let scans = request.deletes.as_ref().is_some_and(|deletes| deletes.every.is_some());
    if request.history.is_none() || !scans {
        return Ok(());
    }
    let message = format!(
        "{target}: mode scd2 can't end versions by a scan of keys, which does not read the rows that come back"
    );
    Err(EngineError::config(message)
        .hint("read the source whole, without a cursor, and write `on_delete: close`; or remove `deletes`"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn refusal(contract: &serde_json::Value, judge: impl Fn(&mut Drift<'_>)) -> (String, String) {
        let contract: LoadSchema = serde_json::from_value(contract.clone()).unwrap();
        let mut drift = Drift::new(&contract);
        judge(&mut drift);
        let error = drift.settle("lake.t").unwrap_err();
        let hint = error.hint.clone().unwrap_or_default();
        (error.message, hint)
    }

    #[test]
    fn everything_is_told_at_once_and_the_line_to_paste_is_the_least_that_helps() {
        let both = |drift: &mut Drift<'_>| {
            assert!(!drift.adds("note", "text", ["id"].into_iter()));
            assert!(!drift.leaves("fax", "text"));
        };
        let (message, hint) = refusal(&json!("freeze"), both);
        assert_eq!(
            message,
            "the dataset does not fit the table lake.t: the table has no column note (text); the dataset has no column fax (text)"
        );
        assert!(hint.starts_with("`schema: add_columns` in the load"), "{hint}");
        let wider = |drift: &mut Drift<'_>| {
            both(drift);
            drift.refuse_for(Contract::Evolve, "total", "column total is bigint".to_owned());
        };
        assert!(refusal(&json!("freeze"), wider).1.starts_with("`schema: evolve` in the load"));
        // Where something is refused in any case, the line would not do.
        let never = |drift: &mut Drift<'_>| {
            both(drift);
            drift.refuse("column id is text".to_owned(), Some("make it anew"));
        };
        let (_, hint) = refusal(&json!("freeze"), never);
        assert!(hint.starts_with("make it anew; or select and cast"), "{hint}");
    }

    #[test]
    fn a_column_that_is_named_is_judged_by_its_own_contract() {
        let contract = json!({ "default": "add_columns", "columns": { "note": "freeze" } });
        let (message, hint) = refusal(&contract, |drift| {
            assert!(drift.adds("size", "text", ["id"].into_iter()));
            assert!(!drift.adds("note", "text", ["id"].into_iter()));
            assert!(drift.requires("note") && !drift.requires("size"));
        });
        assert!(message.ends_with("the table has no column note (text), as `schema` says of it"), "{message}");
        assert!(hint.starts_with("name a wider contract for the column under `schema.columns`"), "{hint}");
    }
}
