#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
use std::collections::BTreeSet;

use super::*;
use crate::diagnostic::Code;
use crate::plan::plan;

fn told(document: &Document) -> Vec<String> {
    document.diagnostics.iter().map(|d| format!("{}:{} {} {}", d.line, d.column, d.code, d.message)).collect()
}

fn read(name: &str, text: &str) -> Vec<String> {
    told(&Document::read(name, text))
}

#[test]
fn a_file_of_connections_alone_is_valid_and_can_not_be_planned() {
    let document =
        Document::read("c.yaml", "# ours\nconnections:\n  lake: { type: delta, location: file:///srv/lake }\n");
    assert_eq!(told(&document), Vec::<String>::new());
    assert!(document.spec.is_none());
    assert_eq!(document.connections_alone().unwrap()["lake"].connector, "delta");
    let planned = plan(&document, &BTreeSet::new());
    assert!(planned.plan.is_none());
    let messages: Vec<_> = planned.diagnostics.iter().map(|d| (d.line, d.column, d.message.as_str())).collect();
    assert_eq!(messages, [(2, 1, "the file holds connections and no pipeline")]);
    assert_eq!(read("c.yaml", "connections:\n"), ["1:1 wrong_type `connections` is empty: expected connection names"]);
}

#[test]
fn a_file_that_is_something_else_gets_one_finding_that_says_what() {
    let sql = "CREATE TABLE orders (\n  id bigint, -- key: value\n  note text\n);\nSELECT 1;\n";
    assert_eq!(read("schema.sql", sql), ["1:1 not_a_spec 'schema.sql' is SQL, not a spec"]);
    assert_eq!(read("q", "select 1"), ["1:1 not_a_spec 'q' is SQL, not a spec"]);
    assert_eq!(read("l.yaml", "- a\n- b\n"), ["1:1 not_a_spec 'l.yaml' is a list, not a spec"]);
    let compose = "services:\n  db: { image: postgres }\nvolumes: {}\n";
    assert_eq!(read("compose.yaml", compose), ["1:1 not_a_spec 'compose.yaml' has none of the fields of a spec"]);
    let binary = |name: &str, bytes: &[u8]| told(&Document::from_bytes(name, bytes.to_vec()));
    assert_eq!(binary("x.yaml", b"PAR1\x15\0"), ["1:1 not_a_spec 'x.yaml' is a Parquet file, not a spec"]);
    assert_eq!(binary("x.yaml", b"na\0me: x"), ["1:1 not_a_spec 'x.yaml' is a binary file, not a spec"]);
    assert_eq!(binary("x.yaml", b"name: \xe4"), ["1:1 not_a_spec 'x.yaml' is not UTF-8 text, not a spec"]);
}

#[test]
fn nothing_of_a_file_that_is_something_else_is_shown() {
    let document = Document::read(".env", "PASSWORD=hunter2\n");
    let shown = document.source.render(&document.diagnostics, false, 80);
    assert!(shown.contains("'.env' is environment variables, not a spec"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_empty_file_is_reported_as_empty() {
    for text in ["", "\n\n", "# only a comment\n", "---\n", "{}", "~"] {
        assert_eq!(read("e.yaml", text), ["1:1 missing_field the file is empty"], "{text:?}");
    }
}

#[test]
fn empty_tasks_are_reported_once_at_their_place() {
    for text in ["name: x\ntasks:\n", "name: x\ntasks: {}\n"] {
        let planned = plan(&Document::read("x.yaml", text), &BTreeSet::new());
        let messages: Vec<_> = planned.diagnostics.iter().map(|d| (d.line, d.message.as_str())).collect();
        assert_eq!(messages, [(2, "`tasks` is empty: expected task names")], "{text:?}");
    }
}

#[test]
fn a_missing_name_does_not_hide_the_other_mistakes() {
    let planned = plan(&Document::read("x.yaml", "tasks:\n  a: { wait: 1s, needs: [b] }\n"), &BTreeSet::new());
    let codes: Vec<Code> = planned.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::MissingField, Code::UnknownName]);
}

#[test]
fn a_diagnostic_names_its_task() {
    let document = Document::read("x.yaml", "name: x\ntasks:\n  g: { group: { a: { wiat: 1s } } }\n");
    assert_eq!(document.diagnostics[0].task, Some(TaskPath::from("g.a")));
    assert_eq!(document.diagnostics[0].replacements[0].text, "wait");
}
