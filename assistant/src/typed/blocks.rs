//! The blocks of extracts and loads: ids become names, and what only the person can order has to have been said.

use serde_json::{Map, Value};

use headwater_pipelines::path::TaskPath;
use headwater_pipelines::spec::{AUTO_CURSOR, LoadTask};

use super::compile::Compiler;
use super::fault::{Fault, Phase};
use super::modes::{self, ModeSaid};
use super::sql;
use super::target::{self, Target};
use crate::draft::Question;
use crate::known::{ColumnId, Known, TableId};

/// Fields of a load by which rows of its target are deleted or marked.
const DELETING: [&str; 4] = ["on_delete", "deleted_when", "deletes", "max_delete"];

impl Compiler<'_> {
    /// The table and columns of an extract, by their ids.
    pub(super) fn source(&mut self, path: &TaskPath, node: &mut Map<String, Value>) -> Result<(), Fault> {
        let known = self.frame.known;
        let id = node.get("from").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some((table, found)) = known.read_table(&id).and_then(|id| Some((id, known.table(id)?))) else {
            let message = format!("'{id}' stands for no table that you were shown");
            return Err(Fault::name("unknown_table", &format!("{path}.from"), &message));
        };
        node.insert("from".to_owned(), found.full_name().into());
        self.cursor(path, node, (&id, table))?;
        let at = format!("{path}.columns");
        for item in node.get_mut("columns").and_then(Value::as_array_mut).into_iter().flatten() {
            match item {
                Value::String(id) => *id = column(known, table, id, &at)?,
                Value::Object(entry) => {
                    if let Some(Value::String(id)) = entry.get_mut("name") {
                        *id = column(known, table, id, &at)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// New rows alone are the person's to ask for. A cursor of the pipeline that is edited stays without any word.
    fn cursor(
        &mut self,
        path: &TaskPath,
        node: &mut Map<String, Value>,
        (from, table): (&str, TableId),
    ) -> Result<(), Fault> {
        let Some(Value::String(cursor)) = node.get_mut("cursor") else { return Ok(()) };
        let at = format!("{path}.cursor");
        let mut earlier = self.frame.base.plan.tasks.iter();
        let stays = earlier.any(|task| task["from"] == from && task["cursor"] == cursor.as_str());
        let said = self.frame.said;
        if !stays && modes::asks_for_fresh(said).is_none() && !modes::says_stream(said) {
            let message = "no word of the prompt asks for new rows alone";
            self.faults.push(Fault::new(Phase::Meaning, "unasked", &at, message));
        }
        if cursor != AUTO_CURSOR {
            *cursor = column(self.frame.known, table, cursor, &at)?;
        }
        Ok(())
    }

    /// Where a load writes, and how.
    pub(super) fn target(&mut self, path: &TaskPath, node: &mut Map<String, Value>) -> Result<(), Fault> {
        let at = format!("{path}.into");
        let Some(Value::Object(into)) = node.get("into") else {
            return Err(Fault::structure(&at, "expected words, connection and table"));
        };
        let input = node.get("input").and_then(Value::as_str).unwrap_or_default();
        let target = match target::resolve(into, input, self.frame, &at)? {
            Target::Into(target) => target,
            Target::Assumed(target, assumption) => {
                self.assumptions.push(assumption);
                target
            }
            Target::Asked(question) => {
                self.question.get_or_insert(question);
                "nowhere.nothing".to_owned()
            }
        };
        let stays = self.frame.base.targets.get(&target);
        self.mode(path, node, (&target, stays))?;
        self.changes(path, node, stays);
        node.insert("into".to_owned(), target.into());
        Ok(())
    }

    /// How rows are written is the person's to say. A target of the pipeline that is edited keeps its mode.
    fn mode(
        &mut self,
        path: &TaskPath,
        node: &Map<String, Value>,
        (target, stays): (&str, Option<&LoadTask>),
    ) -> Result<(), Fault> {
        let mode = node.get("mode").and_then(Value::as_str).unwrap_or_default();
        if stays.and_then(|own| own.mode).is_some_and(|own| own.as_str() == mode) {
            return Ok(());
        }
        // A stream that names no mode adds what comes.
        let streams = modes::says_stream(self.frame.said) && mode == "append";
        match modes::says_mode(self.frame.said, mode) {
            ModeSaid::Yes => Ok(()),
            ModeSaid::Nothing if streams => Ok(()),
            ModeSaid::Other => Err(Fault::new(
                Phase::Meaning,
                "other_mode",
                &format!("{path}.mode"),
                "the prompt asks for another mode",
            )),
            ModeSaid::Nothing => {
                let choice = |mode: &str, text: &str| self.frame.choice(text, mode);
                let choices = vec![
                    choice("overwrite", "overwrite: each run replaces all rows of the target"),
                    choice("append", "append: each run adds its rows"),
                    choice("upsert", "upsert: rows replace those of the same key, others stay"),
                ];
                let text = format!("How should rows be written into {target}?");
                self.question.get_or_insert(Question { text, choices });
                Ok(())
            }
        }
    }

    /// What else a load may change of its target is the person's to say, too.
    fn changes(&mut self, path: &TaskPath, node: &Map<String, Value>, stays: Option<&LoadTask>) {
        let own = stays.and_then(|load| serde_json::to_value(load).ok()).unwrap_or_default();
        let said = self.frame.said;
        let is_new =
            |field: &str| node.get(field).is_some_and(|value| !value.is_null() && !is_same(value, &own[field]));
        let mut unasked: Vec<(&str, &str)> = Vec::new();
        if !modes::says_deletes(said) {
            let fields = DELETING.into_iter().filter(|field| is_new(field));
            unasked.extend(fields.map(|field| (field, "no word of the prompt speaks of rows that are gone")));
        }
        if is_new("schema") && !modes::says_columns(said) {
            unasked.push(("schema", "no word of the prompt speaks of columns that come or change"));
        }
        for (field, message) in unasked {
            self.faults.push(Fault::new(Phase::Meaning, "unasked", &format!("{path}.{field}"), message));
        }
    }
}

/// Whether a value of an answer says what a spec does: what is `null` in one is absent in the other.
fn is_same(answer: &Value, own: &Value) -> bool {
    match (answer, own) {
        (Value::Object(answer), Value::Object(own)) => {
            let set: Map<String, Value> = answer
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            set == *own
        }
        _ => answer == own,
    }
}

/// The name of a column of a table, by its id.
fn column(known: &Known, table: TableId, id: &str, at: &str) -> Result<String, Fault> {
    let found = known.read_column(id).filter(|column: &ColumnId| column.table == table);
    found.and_then(|id| known.column(id)).map(|column| column.name.clone()).ok_or_else(|| {
        let ids = known.columns(table).map(|(id, _)| id.to_string());
        Fault::name("unknown_column", at, &format!("'{id}' stands for no column of {id}'s table")).candidates(ids)
    })
}

/// Replaces ids of columns where columns are named: a text that is one id, and conditions.
pub(super) fn replace_ids(value: &mut Value, known: &Known, at: &str) -> Result<(), Fault> {
    match value {
        Value::String(text) => {
            let whole = known.read_column(text).or_else(|| known.read_column(&text.replacen("_c", ".c", 1)));
            match whole.and_then(|id| known.column(id)) {
                Some(column) => text.clone_from(&column.name),
                None if text.contains("_c") => {
                    *text = sql::with_names(text, known, at).unwrap_or_else(|_| text.clone())
                }
                None => {}
            }
        }
        Value::Array(items) => {
            for item in items {
                replace_ids(item, known, at)?;
            }
        }
        Value::Object(fields) => {
            for (_, field) in fields.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "values" | "name")) {
                replace_ids(field, known, at)?;
            }
        }
        _ => {}
    }
    Ok(())
}
