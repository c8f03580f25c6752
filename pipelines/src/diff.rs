//! What changed between two versions of a pipeline, in tasks and fields instead of lines.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::secrets::hide_in_spec;
use crate::spec::Spec;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Dotted path of the field, e.g. `tasks.publish.load.mode`.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The old value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The new value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What happened to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another value.
    Changed,
}

/// The differences in the order of the new spec, removals last. Layout, comments and the order of fields are ignored,
/// and so are the settings of connections, which may be secrets.
pub fn diff(before: &Spec, after: &Spec) -> Vec<Change> {
    let value = |spec: &Spec| {
        let mut value = serde_json::to_value(spec.without_settings()).unwrap_or(Value::Null);
        hide_in_spec(&mut value);
        value
    };
    let mut changes = Vec::new();
    compare("", &value(before), &value(after), &mut changes);
    changes
}

fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = new.keys().collect();
            for (key, value) in new {
                let path = join(path, key);
                match old.get(key) {
                    Some(before) => compare(&path, before, value, changes),
                    None => {
                        changes.push(Change { path, kind: ChangeKind::Added, before: None, after: Some(value.clone()) })
                    }
                }
            }
            for (key, value) in old.iter().filter(|(key, _)| !keys.contains(key)) {
                changes.push(Change {
                    path: join(path, key),
                    kind: ChangeKind::Removed,
                    before: Some(value.clone()),
                    after: None,
                });
            }
        }
        (before, after) if before == after => {}
        (Value::String(old), Value::String(new)) if same_sql(path, old, new) => {}
        (before, after) => changes.push(Change {
            path: path.to_owned(),
            kind: ChangeKind::Changed,
            before: Some(before.clone()),
            after: Some(after.clone()),
        }),
    }
}

/// Two transforms with the same syntax tree differ in layout only.
fn same_sql(path: &str, before: &str, after: &str) -> bool {
    path.ends_with(".transform")
        && matches!((crate::sql::parse(before), crate::sql::parse(after)), (Ok(before), Ok(after)) if before == after)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::document::Document;

    fn spec(tasks: &str) -> Spec {
        Document::read("t.yaml", format!("name: t\ntasks:\n{tasks}")).spec.unwrap()
    }

    #[test]
    fn layout_of_yaml_and_sql_is_no_change() {
        let before = spec("  a: { transform: 'SELECT  1   AS x' }\n");
        let after = spec("  a:\n    transform: |\n      SELECT 1 AS x\n");
        assert_eq!(diff(&before, &after), []);
    }

    #[test]
    fn added_removed_and_changed_fields_are_listed_by_path() {
        let before = spec("  a: { extract: { from: s.t } }\n  l: { load: { input: a, into: x.y, mode: append } }\n");
        let after = spec(
            "  a: { extract: { from: s.t, columns: [id] } }\n  m: { load: { input: a, into: x.y, mode: overwrite } }\n",
        );
        let told: Vec<String> = diff(&before, &after).iter().map(|c| format!("{:?} {}", c.kind, c.path)).collect();
        assert_eq!(told, ["Added tasks.a.extract.columns", "Added tasks.m", "Removed tasks.l"]);
    }
}
