//! Files that are something else than a spec: one finding that says what, instead of one for everything in them.

use crate::diagnostic::{Code, Finding, Severity};
use crate::yaml::{Document, Node, Value};

use super::is_field;

/// What files begin with.
const MAGIC: [(&[u8], &str); 9] = [
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"PK\x03\x04", "a zip file"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"%PDF", "a PDF document"),
    (b"ARROW1", "an Arrow file"),
];

/// What names end with.
const ENDINGS: [(&str, &str); 10] = [
    ("sql", "SQL"),
    ("csv", "CSV"),
    ("tsv", "CSV"),
    ("toml", "TOML"),
    ("py", "Python"),
    ("md", "Markdown"),
    ("xml", "XML"),
    ("html", "HTML"),
    ("sh", "a shell script"),
    ("env", "environment variables"),
];

/// What statements of SQL begin with.
const STATEMENTS: [&str; 12] =
    ["select", "with", "create", "insert", "update", "delete", "drop", "alter", "begin", "copy", "set", "--"];

const EXPECTED: &str = "a spec is YAML with at least the fields `name` and `tasks`";

/// The text of a file; the finding says what the file is if it holds none.
pub(super) fn text(name: &str, bytes: Vec<u8>) -> Result<String, Finding> {
    let binary = |what: &str| other(format!("'{name}' is {what}, not a spec"));
    if let Some((_, what)) = MAGIC.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(binary(what));
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(binary("a binary file")),
        Ok(text) => Ok(text),
        Err(error) if error.as_bytes().contains(&0) => Err(binary("a binary file")),
        Err(_) => Err(binary("not UTF-8 text")),
    }
}

/// What a file is, if it is evidently not a spec.
pub(super) fn not_a_spec(name: &str, text: &str, yaml: &Document) -> Option<Finding> {
    let broken = yaml.root.is_none() && yaml.errors.iter().any(|error| error.finding.severity == Severity::Error);
    match &yaml.root {
        None if !broken => Some(empty()),
        None => language(name, text).map(|what| other(format!("'{name}' is {what}, not a spec"))),
        Some(Node { value: Value::Scalar { text, plain: true }, .. }) if matches!(text.as_str(), "" | "~" | "null") => {
            Some(empty())
        }
        Some(Node { value: Value::Mapping(entries), .. }) if entries.is_empty() => Some(empty()),
        Some(Node { value: Value::Mapping(entries), .. }) => {
            if entries.iter().any(|entry| is_field(&entry.key)) {
                return None;
            }
            Some(other(format!("'{name}' has none of the fields of a spec")))
        }
        Some(root) => {
            let found = match &root.value {
                Value::Sequence(_) => "a list",
                _ => "text without fields",
            };
            Some(other(format!("'{name}' is {}, not a spec", language(name, text).unwrap_or(found))))
        }
    }
}

/// Whether a file holds connections and nothing else.
pub(super) fn holds_only_connections(tree: &Node) -> bool {
    matches!(&tree.value, Value::Mapping(entries) if entries.len() == 1 && entries[0].key == "connections")
}

fn empty() -> Finding {
    Finding::error(Code::MissingField, "the file is empty").hint("a spec needs at least `name` and `tasks`")
}

fn other(message: String) -> Finding {
    Finding::error(Code::NotASpec, message).hint(EXPECTED)
}

/// What a text is, by its name and its first word.
fn language(name: &str, text: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    if let Some((_, what)) = ENDINGS.iter().find(|(known, _)| *known == ending) {
        return Some(what);
    }
    let start = text.trim_start();
    let word: String = start.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').collect();
    if STATEMENTS.contains(&word.to_lowercase().as_str()) {
        return Some("SQL");
    }
    match start {
        start if start.starts_with("#!") => Some("a script"),
        start if start.starts_with('<') => Some("XML or HTML"),
        _ => None,
    }
}
