//! The columns of a topic: what stands beside each message, and what is in it.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use headwater_engine::connector::{MESSAGE_KEY, OPERATION, POSITION, UNCHANGED, list_of_names};
use headwater_engine::{EngineError, Result, select, type_names};
use headwater_pipelines::spec::{ColumnOverride, Columns};

use super::endpoint::Format;
use super::guess::{Guess, Kind};
use super::json::{Reading, Wanted};
use crate::{NATIVE_FORM, NATIVE_TYPE};

/// What stands beside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meta {
    /// `_partition`, int.
    Partition,
    /// `_offset`, bigint.
    Offset,
    /// `_timestamp`, timestamptz: of the producer or of the log's append, as the topic says; NULL if there is none.
    Timestamp,
    /// `_key`, text, or bytea in format raw; `columns:` chooses the other. A key that is not UTF-8 has no text, and fails the read.
    Key,
    /// `_headers`, json: a list of objects with `key`, and `value`, or `base64` where it is not UTF-8. NULL if there are none.
    Headers,
    /// `_tombstone`, boolean: the message has no value; all columns of the value are NULL.
    Tombstone,
    /// `_op`, text: what happened to the row (format debezium).
    Operation,
    /// `_position`, bigint: offset and partition in one number (format debezium).
    Position,
}

/// Names and meanings, in order.
const METAS: [(&str, Meta); 6] = [
    ("_partition", Meta::Partition),
    ("_offset", Meta::Offset),
    ("_timestamp", Meta::Timestamp),
    ("_key", Meta::Key),
    ("_headers", Meta::Headers),
    ("_tombstone", Meta::Tombstone),
];

/// The same of a change event. What is no change is no row, tombstones among it.
const METAS_OF_CHANGES: [(&str, Meta); 7] = [
    (OPERATION, Meta::Operation),
    (POSITION, Meta::Position),
    ("_partition", Meta::Partition),
    ("_offset", Meta::Offset),
    ("_timestamp", Meta::Timestamp),
    ("_key", Meta::Key),
    ("_headers", Meta::Headers),
];

fn metas(format: Format) -> &'static [(&'static str, Meta)] {
    match format {
        Format::Debezium => &METAS_OF_CHANGES,
        Format::Json | Format::Avro | Format::Protobuf | Format::JsonSchema | Format::Raw => &METAS,
    }
}

/// The value of a message in format raw.
const VALUE: &str = "_value";

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fill {
    Meta(Meta),
    /// A member of a JSON message, or a field of one with a schema.
    Member(Wanted),
    /// The whole value.
    Value,
    /// Names of columns that a change has left out.
    Unsent,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub field: Field,
    pub fill: Fill,
}

/// The columns, and remarks about them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub columns: Vec<Column>,
    pub notes: Vec<String>,
}

impl Layout {
    /// Decides on the columns. The guess is empty for format raw, and where all of them are declared.
    pub(crate) fn new(label: &str, format: Format, columns: Option<&Columns>, guess: &Guess) -> Result<Self> {
        let none = HashMap::new();
        let rules: HashMap<&str, &ColumnOverride> = match columns {
            Some(Columns::Override(rules)) => rules.iter().map(|(name, rule)| (name.as_str(), rule)).collect(),
            _ => none,
        };
        let mut layout = Self { columns: Vec::new(), notes: Vec::new() };
        for (name, meta) in metas(format) {
            layout.columns.push(meta_column(name, *meta, format, rules.get(name).copied())?);
        }
        if format == Format::Debezium {
            if let (Some(key), Some(operation)) = (&guess.key, layout.columns.first_mut()) {
                let metadata = [(MESSAGE_KEY.to_owned(), key.join(", "))].into();
                operation.field = operation.field.clone().with_metadata(metadata);
            }
            layout.columns.push(Column { field: Field::new(UNCHANGED, list_of_names(), true), fill: Fill::Unsent });
        }
        match format {
            Format::Raw => {
                let data_type = match rules.get(VALUE) {
                    Some(rule) => text_or_bytes(VALUE, rule)?,
                    None => DataType::Binary,
                };
                layout.columns.push(Column { field: Field::new(VALUE, data_type, true), fill: Fill::Value });
            }
            Format::Json | Format::Debezium | Format::Avro | Format::Protobuf | Format::JsonSchema => {
                layout.members(label, format, &rules, guess)?;
            }
        }
        if let Some(Columns::Override(declared)) = columns {
            // In the order in which they are written; those of the sample have their place already.
            for (name, rule) in declared {
                if layout.columns.iter().all(|column| column.field.name() != name) {
                    match format {
                        Format::Json | Format::Debezium | Format::JsonSchema => {
                            layout.columns.push(declared_member(name, rule, format)?);
                        }
                        Format::Avro | Format::Protobuf | Format::Raw => {
                            return Err(layout.missing(label, format, name));
                        }
                    }
                }
            }
        }
        match columns {
            Some(Columns::Only(names)) => layout.only(label, format, names),
            _ => Ok(layout),
        }
    }

    /// The names of members that messages may have without telling anything new: columns, and those that no column can be.
    pub(crate) fn known(&self, guess: &Guess) -> HashSet<Vec<u8>> {
        let columns = self.columns.iter().map(|column| column.field.name().as_str());
        let seen = guess.members.iter().map(|(name, _)| name.as_str());
        let reserved = METAS.iter().chain(&METAS_OF_CHANGES).map(|(name, _)| *name);
        columns.chain(seen).chain(reserved).map(|name| name.as_bytes().to_vec()).collect()
    }

    /// The schema of all columns.
    pub(crate) fn schema(&self) -> Schema {
        Schema::new(self.columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>())
    }

    /// Columns for the members of the sample, typed by a rule or by what was seen.
    fn members(
        &mut self,
        label: &str,
        format: Format,
        rules: &HashMap<&str, &ColumnOverride>,
        guess: &Guess,
    ) -> Result<()> {
        let mut guessed = 0;
        for (name, kind) in &guess.members {
            if self.columns.iter().any(|column| column.field.name() == name && !matches!(column.fill, Fill::Member(_)))
            {
                self.notes.push(format!(
                    "{label}: field {name} of the messages is not read: a column about the message has that name"
                ));
                continue;
            }
            self.columns.push(match rules.get(name.as_str()) {
                Some(rule) => declared_member(name, rule, format)?,
                None => {
                    guessed += 1;
                    guessed_member(name, *kind)
                }
            });
        }
        if format.language().is_some() {
            self.schema_notes(label, guess);
            return Ok(());
        }
        if guessed > 0 {
            self.notes.push(format!(
                "{label}: the types of {guessed} columns are guessed from {} messages, the first and last of each partition; a message that \
                 does not fit fails the read; `columns:` declares types, and fields that those messages do not have",
                guess.messages
            ));
        }
        if guess.broken > 0 {
            self.notes.push(format!(
                "{label}: {} of {} messages looked at are no {}",
                guess.broken,
                guess.messages,
                if format == Format::Debezium { "change events" } else { "JSON objects" }
            ));
        }
        if guess.defaults {
            self.notes.push(format!(
                "{label}: Debezium writes the default of a column where its value is NULL: set value.converter.replace.null.with.default=false in its connector"
            ));
        }
        if guess.more {
            let shown = guess.members.len();
            self.notes.push(format!("{label}: messages have more than {shown} different fields: only the first are columns, unless they are declared"));
        }
        if guess.members.is_empty() && rules.is_empty() {
            self.notes.push(format!("{label}: no message shows what fields there are: declare them with `columns:`"));
        }
        Ok(())
    }

    fn schema_notes(&mut self, label: &str, guess: &Guess) {
        self.notes.extend(guess.seen.remarks.iter().cloned());
        if guess.broken > 0 {
            self.notes.push(format!(
                "{label}: {} of {} messages looked at do not begin with the id of a schema",
                guess.broken, guess.messages
            ));
        }
        if guess.members.is_empty() {
            self.notes.push(format!("{label}: neither the schema registry nor a message shows what fields there are"));
        }
    }

    fn only(self, label: &str, format: Format, names: &[String]) -> Result<Self> {
        if let Some(twice) = names.iter().enumerate().find_map(|(at, name)| names[..at].contains(name).then_some(name))
        {
            return Err(EngineError::config(format!("{label}: column {twice} is in the list twice"))
                .hint("name each column once, and repeat it in a transform"));
        }
        let find = |name: &String| {
            let found = self.columns.iter().find(|column| column.field.name() == name).cloned();
            found.ok_or_else(|| self.missing(label, format, name))
        };
        let columns = names.iter().map(find).collect::<Result<Vec<_>>>()?;
        Ok(Self { columns, notes: self.notes })
    }

    fn missing(&self, label: &str, format: Format, name: &str) -> EngineError {
        let names: Vec<&str> = self.columns.iter().map(|column| column.field.name().as_str()).collect();
        let further = match format {
            Format::Json | Format::Debezium => {
                format!("a field that the sample does not show needs a type: `columns: {{ {name}: text }}`")
            }
            Format::JsonSchema => format!("a field that no schema has needs a type: `columns: {{ {name}: text }}`"),
            Format::Avro | Format::Protobuf => {
                "no other field is in the schemas of its subject and of the messages looked at".to_owned()
            }
            Format::Raw => "format raw has no others".to_owned(),
        };
        EngineError::config(format!("{label} has no column {name}"))
            .hint(format!("its columns are {}; {further}", names.join(", ")))
    }
}

fn meta_column(name: &str, meta: Meta, format: Format, rule: Option<&ColumnOverride>) -> Result<Column> {
    let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = match (meta, rule) {
        (Meta::Key, Some(rule)) => Field::new(name, text_or_bytes(name, rule)?, true),
        (_, Some(_)) => {
            return Err(EngineError::config(format!("column {name} has a type of its own, which can't be changed"))
                .hint("CAST it in a transform"));
        }
        (Meta::Partition, None) => Field::new(name, DataType::Int32, false),
        (Meta::Offset, None) => Field::new(name, DataType::Int64, false),
        (Meta::Timestamp, None) => Field::new(name, utc(), true),
        (Meta::Key, None) if format == Format::Raw => Field::new(name, DataType::Binary, true),
        (Meta::Key, None) => Field::new(name, DataType::Utf8, true),
        (Meta::Headers, None) => json_field(name),
        (Meta::Tombstone, None) => Field::new(name, DataType::Boolean, false),
        (Meta::Operation, None) => Field::new(name, DataType::Utf8, false),
        (Meta::Position, None) => Field::new(name, DataType::Int64, false),
    };
    Ok(Column { field, fill: Fill::Meta(meta) })
}

fn text_or_bytes(name: &str, rule: &ColumnOverride) -> Result<DataType> {
    match type_names::parse(name, select::kind(name, rule)?)? {
        known @ (DataType::Utf8 | DataType::Binary) => Ok(known),
        _ => Err(EngineError::config(format!("column {name} is text or bytea, and nothing else"))
            .hint("read it as text, and CAST it in a transform")),
    }
}

/// A text that between tables of Postgres is json.
fn json_field(name: &str) -> Field {
    let marks = [(NATIVE_TYPE, "json".to_owned()), (NATIVE_FORM, DataType::Utf8.to_string())];
    Field::new(name, DataType::Utf8, true).with_metadata(marks.map(|(key, value)| (key.to_owned(), value)).into())
}

fn member(field: Field, reading: Reading) -> Column {
    let wanted = Wanted { name: field.name().clone(), data_type: field.data_type().clone(), reading };
    Column { field, fill: Fill::Member(wanted) }
}

fn declared_member(name: &str, rule: &ColumnOverride, format: Format) -> Result<Column> {
    let kind = select::kind(name, rule)?;
    if matches!(kind.trim().to_ascii_lowercase().as_str(), "json" | "jsonb") {
        // Debezium writes documents as strings.
        let reading = if format == Format::Debezium { Reading::Document } else { Reading::Raw };
        return Ok(member(json_field(name), reading));
    }
    let data_type = type_names::parse(name, kind).map_err(|error| {
        let hint = error.hint.as_ref().map_or_else(|| "use json".to_owned(), |hint| format!("{hint}; or json"));
        error.hint(hint)
    })?;
    Ok(member(Field::new(name, data_type, true), Reading::Typed))
}

fn guessed_member(name: &str, kind: Kind) -> Column {
    let typed = |data_type| member(Field::new(name, data_type, true), Reading::Guessed);
    match kind {
        Kind::Boolean => typed(DataType::Boolean),
        Kind::Integer { .. } => typed(DataType::Int64),
        Kind::Long => typed(DataType::Decimal128(38, 0)),
        Kind::Double => typed(DataType::Float64),
        Kind::Text => typed(DataType::Utf8),
        // It takes whatever comes.
        Kind::Unknown | Kind::Json => member(json_field(name), Reading::Raw),
        Kind::Schema(shape) => match shape.data_type() {
            Some(data_type) => typed(data_type),
            None => member(json_field(name), Reading::Raw),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::kafka::schemas::shape::Shape;

    fn guess(messages: &[&str]) -> Guess {
        let mut guess = Guess::default();
        messages.iter().for_each(|message| guess.look(message.as_bytes()));
        guess
    }

    fn columns(json: serde_json::Value) -> Columns {
        serde_json::from_value(json).unwrap()
    }

    fn shown(layout: &Layout) -> Vec<String> {
        layout.columns[6..]
            .iter()
            .map(|column| format!("{} {}", column.field.name(), column.field.data_type()))
            .collect()
    }

    #[test]
    fn declared_types_win_over_guesses_and_add_fields_that_the_sample_lacks() {
        let sample = guess(&["{\"id\":1,\"amount\":\"1.50\",\"deep\":{},\"_offset\":9}"]);
        let rules = columns(serde_json::json!({ "amount": "decimal(12,2)", "late": "timestamptz", "raw": "json" }));
        let layout = Layout::new("c.t", Format::Json, Some(&rules), &sample).unwrap();
        assert_eq!(
            shown(&layout),
            ["id Int64", "amount Decimal128(12, 2)", "deep Utf8", "late Timestamp(µs, \"UTC\")", "raw Utf8"]
        );
        assert_eq!(layout.columns[8].field.metadata().get(NATIVE_TYPE).unwrap(), "json");
        assert!(
            layout.notes.iter().any(|note| note.contains("guessed"))
                && layout.notes.iter().any(|note| note.contains("_offset"))
        );
    }

    #[test]
    fn a_list_of_columns_projects_and_names_what_is_missing() {
        let sample = guess(&["{\"id\":1}"]);
        let only = columns(serde_json::json!(["id", "_offset"]));
        let layout = Layout::new("c.t", Format::Json, Some(&only), &sample).unwrap();
        assert_eq!(
            layout.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
            ["id", "_offset"]
        );
        let error = Layout::new("c.t", Format::Json, Some(&columns(serde_json::json!(["nope"]))), &sample).unwrap_err();
        assert!(error.message.contains("no column nope") && error.hint.unwrap().contains("columns: { nope: text }"));
    }

    #[test]
    fn fields_of_avro_are_columns_and_others_are_not_declared() {
        let mut seen = Guess::default();
        for (name, shape) in [("id", Shape::Int), ("lines", Shape::Json), ("_key", Shape::Bytes), ("at", Shape::Text)] {
            seen.add_kind(name, Kind::Schema(shape));
        }
        let rules = columns(serde_json::json!({ "at": "timestamptz" }));
        let layout = Layout::new("c.t", Format::Avro, Some(&rules), &seen).unwrap();
        assert_eq!(shown(&layout), ["id Int32", "lines Utf8", "at Timestamp(µs, \"UTC\")"]);
        assert!(layout.notes.len() == 1 && layout.notes[0].contains("_key"), "{:?}", layout.notes);
        let error = Layout::new("c.t", Format::Avro, Some(&columns(serde_json::json!({ "nope": "text" }))), &seen);
        let error = error.unwrap_err();
        assert!(error.message.contains("no column nope") && error.hint.unwrap().contains("no other field"));
    }

    #[test]
    fn raw_messages_are_bytes_and_the_key_is_what_is_asked_for() {
        let layout = Layout::new("c.t", Format::Raw, None, &Guess::default()).unwrap();
        assert_eq!(shown(&layout), ["_value Binary"]);
        assert_eq!(layout.columns[3].field.data_type(), &DataType::Binary);
        let rules = columns(serde_json::json!({ "_key": "bytea" }));
        let layout = Layout::new("c.t", Format::Json, Some(&rules), &Guess::default()).unwrap();
        assert_eq!(layout.columns[3].field.data_type(), &DataType::Binary);
        for wrong in [
            serde_json::json!({ "_offset": "text" }),
            serde_json::json!({ "_key": "int" }),
            serde_json::json!({ "x": "nonsense" }),
        ] {
            assert!(
                Layout::new("c.t", Format::Json, Some(&columns(wrong)), &Guess::default()).unwrap_err().hint.is_some()
            );
        }
    }
}
