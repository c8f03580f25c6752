//! Tasks as a flat list: one form for each kind that executes, with the fields that execute.

use std::sync::LazyLock;

use headwater_pipelines::kind::{Kind, Setting};
use headwater_pipelines::schema::spec_schema;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::strict::{self, Definitions};

/// Fields and words of the spec that a typed plan does not have: `plan` calls them `not_yet`, or a model must not fill them in.
const LEFT_OUT: [(&str, &[&str]); 8] = [
    ("ExtractTask", &["tables", "exclude", "on_value", "on_reject", "max_rejected", "connection", "query"]),
    ("ColumnRule", &["mask"]),
    ("LoadTask", &["track", "late", "verify", "changes"]),
    ("WriteMode", &["scd2"]),
    ("OnDelete", &["close"]),
    ("CheckTask", &["max_rejected"]),
    ("OnFailure", &["quarantine"]),
    ("Rule", &["range"]),
];

/// The kinds that a model may use.
pub(super) const KINDS: [Kind; 6] = [Kind::Extract, Kind::Transform, Kind::Check, Kind::Load, Kind::Wait, Kind::Group];

/// A task of the pipeline that is edited, which a typed plan can't express and so stays as it is.
pub(super) const KEPT: &str = "kept";

/// The schema of specs without what is left out.
pub(super) static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = spec_schema();
    for (name, left_out) in LEFT_OUT {
        let Some(defined) = schema["$defs"].get_mut(name) else { continue };
        for key in ["oneOf", "anyOf"] {
            if let Some(choices) = defined.get_mut(key).and_then(Value::as_array_mut) {
                choices.retain(|choice| !left_out.iter().any(|word| choice["const"] == **word));
            }
        }
        if let Some(fields) = defined.get_mut("properties").and_then(Value::as_object_mut) {
            fields.retain(|field, _| !left_out.contains(&field.as_str()));
        }
    }
    // The one source that is left is no choice.
    schema["$defs"]["ExtractTask"]["required"] = json!(["from"]);
    schema["$defs"]["ExtractTask"]["properties"]["from"] = json!({ "type": "string", "description": "A table." });
    // Loads of several tables alone can do without a mode.
    let load = &mut schema["$defs"]["LoadTask"];
    load["required"] = json!(["input", "into", "mode"]);
    load["properties"]["into"]["description"] = json!("`connection.path`, e.g. `lake.orders`.");
    load["properties"]["mode"]["description"] = json!("How rows meet those already there.");
    load["properties"]["keys"]["description"] =
        json!("Key columns (upsert, insert_new), or those that name a slice (delete_insert).");
    // Of history there is no word.
    load["properties"]["on_delete"]["description"] = json!(
        "What happens to rows of the target that are gone at the source (upsert). If absent `hard` with `deleted_when` or `deletes`, else `ignore`."
    );
    load["properties"]["deletes"]["description"] =
        json!("A complete scan of the source's keys from time to time, for a load with a cursor (upsert).");
    // Columns with contracts of their own stay as a person has written them.
    load["properties"]["schema"] = json!({
        "anyOf": [{ "$ref": "#/$defs/Contract" }, { "type": "null" }],
        "description": "What happens when the columns of the rows are not those of the target; `freeze` if absent."
    });
    schema
});

/// Reads [`SPEC`].
pub(super) fn definitions() -> Definitions<'static> {
    static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    Definitions(SPEC["$defs"].as_object().unwrap_or(&EMPTY))
}

/// The schema of a kind's block, before the rule.
fn block(kind: Kind) -> &'static Value {
    let field = &SPEC["$defs"]["Task"]["properties"][kind.as_str()];
    let name = field["anyOf"][0]["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    name.map_or(field, |name| &SPEC["$defs"][name])
}

/// The schema of a setting, before the rule.
fn setting(setting: Setting) -> &'static Value {
    &SPEC["$defs"]["Task"]["properties"][setting.as_str()]
}

fn settings(kind: Kind) -> impl Iterator<Item = Setting> {
    Setting::ALL.into_iter().filter(move |setting| kind.takes(*setting) && setting.executes())
}

/// The strict schema of a kind's tasks.
pub(super) fn schema(kind: Kind) -> Map<String, Value> {
    let mut fields = envelope(kind.as_str());
    // The tasks of a group are tasks of the list.
    if kind != Kind::Group {
        let made = strict::strict(block(kind), definitions());
        match made["properties"].as_object() {
            Some(inner) => fields.extend(inner.clone()),
            None => {
                let text = if made["anyOf"].is_array() { made["anyOf"][0].clone() } else { made };
                fields.insert(kind.as_str().to_owned(), text);
            }
        }
    }
    for named in settings(kind) {
        let schema = setting(named);
        let made = strict::strict(schema, definitions());
        let is_list = made["type"] == "array";
        let is_optional = made["anyOf"].is_array() || is_list;
        fields.insert(
            named.as_str().to_owned(),
            if is_optional { made } else { strict::either(vec![made, json!({ "type": "null" })]) },
        );
    }
    fields
}

/// What every task has.
pub(super) fn envelope(kind: &str) -> Map<String, Value> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    Map::from_iter([
        ("kind".to_owned(), json!({ "type": "string", "const": kind })),
        ("name".to_owned(), text("Its name, from the prompt's words: letters, digits and underscores.")),
        (
            "parent".to_owned(),
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "description": "Path of the group that holds it; null for none." }),
        ),
        (
            "asked_by".to_owned(),
            json!({ "type": "array", "items": { "type": "integer" }, "description": "Places of the requirements that ask for it, from 0; none if another task needs it." }),
        ),
    ])
}

/// Fields of the envelope, which are no part of the task.
pub(super) const ENVELOPE: [&str; 4] = ["kind", "name", "parent", "asked_by"];

/// A task of the spec as a node.
pub(super) fn to_node(kind: Kind, task: &Map<String, Value>) -> Map<String, Value> {
    let mut node = Map::new();
    let given = task.get(kind.as_str()).unwrap_or(&Value::Null);
    match strict::to_model(given, block(kind), definitions()) {
        _ if kind == Kind::Group => {}
        Value::Object(fields) => node.extend(fields),
        plain => {
            node.insert(kind.as_str().to_owned(), plain);
        }
    }
    for named in settings(kind) {
        let absent = if matches!(named, Setting::Needs | Setting::Labels) { json!([]) } else { Value::Null };
        let value = task.get(named.as_str()).map(|value| strict::to_model(value, setting(named), definitions()));
        node.insert(named.as_str().to_owned(), value.unwrap_or(absent));
    }
    node
}

/// A node as the task of a spec; of a group without the tasks that it holds.
pub(super) fn from_node(kind: Kind, node: &Map<String, Value>, at: &str) -> Result<Map<String, Value>, Fault> {
    let mut task = Map::new();
    let mut inside = Map::new();
    for (name, value) in node.iter().filter(|(name, _)| !ENVELOPE.contains(&name.as_str())) {
        match settings(kind).find(|setting| setting.as_str() == name) {
            Some(_) if value.is_null() || *value == json!([]) => {}
            Some(named) => {
                let at = format!("{at}.{name}");
                task.insert(name.clone(), strict::from_model(value, setting(named), definitions(), &at)?);
            }
            None => {
                inside.insert(name.clone(), value.clone());
            }
        }
    }
    let made = match block(kind)["properties"].is_object() {
        true => strict::from_model(&Value::Object(inside), block(kind), definitions(), at)?,
        false if kind == Kind::Group => match inside.keys().next() {
            None => Value::Object(Map::new()),
            Some(field) => return Err(Fault::structure(&format!("{at}.{field}"), "a group has no such field")),
        },
        false => match inside.remove(kind.as_str()) {
            Some(value) if inside.is_empty() => value,
            _ => return Err(Fault::structure(at, &format!("expected the field '{kind}' and no other"))),
        },
    };
    task.insert(kind.as_str().to_owned(), made);
    Ok(task)
}
