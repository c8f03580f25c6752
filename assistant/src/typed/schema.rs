//! The schema of an answer.

use std::sync::LazyLock;

use headwater_pipelines::kind::Kind;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Reply;
use super::fault::Fault;
use super::nodes::{self, KEPT, KINDS};
use super::strict::{self, Definitions};
use crate::known::{Known, TableId};

/// Values that an answer's enums may hold in all; the least that a provider takes.
const MOST_VALUES: usize = 900;

/// What an answer may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Tables.
    pub(crate) tables: Vec<String>,
    /// Columns of these tables.
    pub(crate) columns: Vec<String>,
    /// Connections that can be written to.
    pub(crate) targets: Vec<String>,
    /// Whether tasks stay as they are.
    pub(crate) keeps: bool,
}

impl Ids {
    /// The ids of the tables that a model is shown.
    pub(crate) fn of(known: &Known, shown: &[TableId], targets: usize, keeps: bool) -> Self {
        Self {
            tables: shown.iter().map(ToString::to_string).collect(),
            columns: shown.iter().flat_map(|table| known.columns(*table)).map(|(id, _)| id.to_string()).collect(),
            targets: (0..targets).map(target_id).collect(),
            keeps,
        }
    }
}

/// Stands for a connection that can be written to, by its place.
pub(crate) fn target_id(place: usize) -> String {
    format!("k{}", place + 1)
}

/// The form of an answer: the schema of its type, and the strict one that a model is given.
pub(crate) struct Form(Value);

impl Form {
    /// The form of a type. What stands beside a reference is put into what it refers to.
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
        let defined = schema["$defs"].clone();
        merge(&mut schema, &defined);
        Self(schema)
    }

    fn definitions(&self) -> Definitions<'_> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        Definitions(self.0["$defs"].as_object().unwrap_or(&NONE))
    }

    /// The strict schema.
    pub(crate) fn strict(&self) -> Value {
        strict::strict(&self.0, self.definitions())
    }

    /// An answer, if it has the form.
    pub(crate) fn read<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, Fault> {
        bounded(answer, "")?;
        let value = strict::from_model(answer, &self.0, self.definitions(), "")?;
        serde_json::from_value(value).map_err(|error| Fault::structure("", &error.to_string()))
    }

    /// An answer as a model would have given it.
    pub(crate) fn write<T: Serialize>(&self, reply: &T) -> Value {
        let value = serde_json::to_value(reply).unwrap_or(Value::Null);
        strict::to_model(&value, &self.0, self.definitions())
    }
}

/// The most items of a list, and the most characters of a text: more than any answer needs, and little enough to be stored and shown.
const MOST_ITEMS: usize = 120;
const LONGEST_TEXT: usize = 20_000;

/// Refuses an answer whose lists or texts are out of all proportion.
fn bounded(answer: &Value, at: &str) -> Result<(), Fault> {
    match answer {
        Value::Array(items) if items.len() > MOST_ITEMS => {
            Err(Fault::structure(at, &format!("a list has at most {MOST_ITEMS} items")))
        }
        Value::Array(items) => items.iter().try_for_each(|item| bounded(item, at)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, field)| bounded(field, name)),
        Value::String(text) if text.chars().count() > LONGEST_TEXT => {
            Err(Fault::structure(at, &format!("a text has at most {LONGEST_TEXT} characters")))
        }
        _ => Ok(()),
    }
}

fn merge(schema: &mut Value, defined: &Value) {
    match schema {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
            if let (Some(name), true) = (name.map(str::to_owned), fields.contains_key("properties")) {
                fields.remove("$ref");
                let inner = &defined[&name];
                for (field, schema) in inner["properties"].as_object().into_iter().flatten() {
                    fields["properties"][field] = schema.clone();
                }
                let required = inner["required"].as_array().cloned().unwrap_or_default();
                if let Some(all) = fields.get_mut("required").and_then(Value::as_array_mut) {
                    all.extend(required);
                }
            }
            fields.values_mut().for_each(|value| merge(value, defined));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| merge(item, defined)),
        _ => {}
    }
}

/// The form of a pipeline's answer.
pub(crate) static REPLY: LazyLock<Form> = LazyLock::new(Form::of::<Reply>);

/// The schema of a pipeline's answer that may name these ids.
pub(crate) fn reply_schema(ids: &Ids) -> Value {
    let mut schema = REPLY.strict();
    let tasks = json!({ "type": "array", "items": strict::either(task_schemas(ids)) });
    put_tasks(&mut schema, &tasks);
    schema
}

/// The schema with ids left open: what `headwater schema --model` prints.
pub fn model_schema() -> Value {
    reply_schema(&Ids::default())
}

/// The schema of specs without the fields and words that do not execute yet, or that no model fills in.
pub fn executing_schema() -> &'static Value {
    &nodes::SPEC
}

/// The tasks of the types are any values; here is what they are.
fn put_tasks(schema: &mut Value, tasks: &Value) {
    match schema {
        Value::Object(fields) => {
            let is_plan = fields.contains_key("tasks") && fields.contains_key("contract");
            for (name, value) in fields.iter_mut() {
                match is_plan && name == "tasks" {
                    true => *value = tasks.clone(),
                    false => put_tasks(value, tasks),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put_tasks(item, tasks)),
        _ => {}
    }
}

fn task_schemas(ids: &Ids) -> Vec<Value> {
    let mut schemas: Vec<Value> = KINDS.into_iter().map(|kind| task_schema(kind, ids)).collect();
    if ids.keeps {
        schemas.push(strict::object(nodes::envelope(KEPT)));
    }
    schemas
}

fn task_schema(kind: Kind, ids: &Ids) -> Value {
    let mut fields = nodes::schema(kind);
    match kind {
        Kind::Extract => {
            fields.insert("from".to_owned(), one_of(&ids.tables, "The table, by its id."));
            let column = || one_of(&ids.columns, "A column of the table, by its id.");
            if let Some(columns) = fields.get_mut("columns") {
                name_columns(columns, &column);
            }
            // No list of ids: providers count its values, and those of `columns` are as many already.
            let cursor = "A column whose growth marks new and changed rows, by its id: each run reads what its load does not hold yet. `auto` is the own position of a topic, of files or of a Delta table.";
            let cursor = json!({ "type": "string", "description": cursor });
            fields.insert("cursor".to_owned(), strict::either(vec![cursor, json!({ "type": "null" })]));
        }
        Kind::Load => {
            let words = json!({ "type": "string", "description": "The words of the prompt that name the target, copied letter by letter." });
            let table = json!({ "type": "string", "description": "Its name behind the connection: from the prompt's words, or of what is loaded." });
            let into = Map::from_iter([
                ("words".to_owned(), words),
                ("connection".to_owned(), one_of(&ids.targets, "The connection that it is written to, by its id.")),
                ("table".to_owned(), table),
            ]);
            fields.insert("into".to_owned(), strict::object(into));
        }
        _ => {}
    }
    strict::object(fields)
}

fn one_of(ids: &[String], description: &str) -> Value {
    match ids.is_empty() || ids.len() > MOST_VALUES / 2 {
        true => json!({ "type": "string", "description": description }),
        false => json!({ "type": "string", "enum": ids, "description": description }),
    }
}

/// Both forms of `columns` name columns: as items, or as the names of entries.
fn name_columns(columns: &mut Value, column: &dyn Fn() -> Value) {
    for choice in columns["anyOf"].as_array_mut().into_iter().flatten() {
        if choice["type"] != "array" {
            continue;
        }
        match choice["items"]["properties"].get_mut("name") {
            Some(name) => *name = column(),
            None => choice["items"] = column(),
        }
    }
}
