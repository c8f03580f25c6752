//! What is reported of secrets, and that nothing is planned without them.

use headwater_pipelines::diagnostic::{Code, Severity, has_errors};
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::plan;

use super::{MARKER, leak};
use crate::connections;

#[test]
fn a_secret_outside_of_a_connection_is_an_error_at_its_place_and_the_only_one() {
    let told = |text: &str| {
        let planned = plan(&Document::read("x.yaml", text), &connections());
        assert!(planned.plan.is_none());
        planned
            .diagnostics
            .iter()
            .map(|d| format!("{}:{} {} {}", d.line, d.column, d.code, d.message))
            .collect::<Vec<_>>()
    };
    let task = |task: &str| format!("name: x\ntasks:\n  a: {{ extract: {{ from: shop.t }} }}\n  b: {task}\n");
    assert_eq!(
        told(&task("{ extract: { from: 'postgres://app:hunter2@db/shop.public.orders' } }")),
        ["4:41 literal_secret 'from' holds a secret that is written out"]
    );
    assert_eq!(
        told(&task("{ transform: \"SELECT dblink('password=hunter2') FROM a\" }")),
        ["4:44 literal_secret 'transform' holds a secret that is written out"]
    );
    assert_eq!(
        told("name: x\nparams: { token: { type: string, default: hunter2 } }\ntasks: { w: { wait: 1s } }\n"),
        ["2:43 literal_secret 'default' holds a secret that is written out"]
    );
    // What can't be read is reported as such, and its secret not as a second mistake.
    assert_eq!(told("name: x\npassword: hunter2\ntasks: { w: { wait: 1s } }\n").len(), 1);
    assert_eq!(told("name: x\ntasks: { w: { wait: 'postgres://app:hunter2@db' } }\n").len(), 1);
}

#[test]
fn a_secret_in_a_description_or_a_comment_is_masked_and_the_pipeline_runs() {
    let text = "name: x # postgres://app:hunter2@db\ndescription: from postgres://app:hunter2@db/shop\ntasks:\n  b:\n    transform: |\n      SELECT 1 AS x -- postgres://app:hunter2@db\n  l: { load: { input: b, into: lake.t, mode: append } }\n";
    let (document, planned) = leak(text).unwrap();
    let told: Vec<_> = planned.diagnostics.iter().map(|d| (d.line, d.code, d.severity)).collect();
    assert_eq!(told, [(2, Code::LiteralSecret, Severity::Warning), (6, Code::LiteralSecret, Severity::Warning)]);
    let plain = plan(&Document::read("x.yaml", text.replace(MARKER, "xxxxxxx")), &connections());
    assert_eq!(planned.plan, plain.plan, "the plan is that of the text without the secret");
    let again = Document::read("x.yaml", document.stored_text());
    assert_eq!((again.diagnostics.as_slice(), again.spec), (&[][..], document.spec), "the stored text is stable");
}

#[test]
fn a_text_that_was_masked_is_not_planned_where_the_masked_value_counts() {
    let told = |text: &str| {
        let shown = Document::read("x.yaml", text).stored_text().to_owned();
        let planned = plan(&Document::read("x.yaml", shown), &connections());
        let told = planned.diagnostics.iter().map(|d| format!("{}:{} {}", d.line, d.column, d.message));
        (planned.plan.is_some(), told.collect::<Vec<_>>())
    };
    let own =
        "name: x\nconnections:\n  own: { type: postgres, url: 'postgres://app@db/shop' }\ntasks: { w: { wait: 1s } }\n";
    assert_eq!(told(own), (false, vec!["3:31 'url' has been masked: its value is not in this text".to_owned()]));
    let task = "name: x\ntasks:\n  a: { extract: { from: shop.t } }\n  b: { transform: \"SELECT dblink('password=hunter2') FROM a\" }\n  l: { load: { input: b, into: lake.t, mode: append } }\n";
    assert_eq!(told(task), (false, vec!["4:44 'transform' has been masked: its value is not in this text".to_owned()]));
    let described = "name: x\ndescription: postgres://app:hunter2@db\ntasks: { w: { wait: 1s } }\n";
    assert_eq!(told(described), (true, Vec::new()));
}

#[test]
fn a_password_of_a_connection_that_sql_repeats_is_an_error_there() {
    let text = "name: x\nconnections:\n  own: { type: postgres, url: 'postgres://app:hunter2-9@db/shop' }\ntasks:\n  a: { extract: { from: shop.t } }\n  b: { transform: \"SELECT crypt(p, 'hunter2-9') AS p FROM a\" }\n  l: { load: { input: b, into: lake.t, mode: append } }\n";
    let (_, planned) = leak(text).unwrap();
    let told: Vec<_> = planned.diagnostics.iter().map(|d| (d.line, d.code, d.severity)).collect();
    assert_eq!(told, [(6, Code::LiteralSecret, Severity::Error)]);
}

#[test]
fn an_error_behind_a_hundred_warnings_is_not_lost() {
    let mut text = "name: x\ntasks:\n".to_owned();
    (0..150).for_each(|n| text += &format!("  w{n}: {{ wait: 1s, description: 'token=hunter2 {n}' }}\n"));
    text += "  l: { load: { input: shop.t, into: 'lake.\"a?token=hunter2\"', mode: append } }\n  c: { load: { input: shop.t, into: 'lake.\"password=hunter2\"', mode: append } }\n";
    let (_, planned) = leak(&text).unwrap();
    assert!(planned.plan.is_none() && has_errors(&planned.diagnostics));
}

#[test]
fn a_misspelled_task_with_the_name_of_a_secret_or_of_connections_is_one_mistake() {
    for name in ["token", "collections", "credentials"] {
        let text = format!(
            "name: x\ntasks:\n  {name}: {{ extrct: {{ from: shop.t }} }}\n  l: {{ load: {{ input: {name}, into: lake.t, mode: append }} }}\n"
        );
        let (_, planned) = leak(&text).unwrap();
        let told: Vec<_> = planned.diagnostics.iter().map(|found| (found.line, found.message.as_str())).collect();
        assert_eq!(told, [(3, "there is no field 'extrct' here")]);
    }
}

#[test]
fn nothing_is_planned_from_a_masked_value() {
    for text in [
        "name: x\ntasks: { w: { command: { run: [x], env: { description: 'token=hunter2', sql: 'token=hunter2' } } } }\n",
        "name: x\ntasks: { w: { http: { url: 'https://x', body: { description: 'token=hunter2' } } } }\n",
        "name: x\ntasks: { w: { pipeline: { name: y, params: { query: 'token=hunter2' } } } }\n",
        "name: x\ntasks: { a: { extract: { from: shop.t, columns: { description: 'token=hunter2' } } } }\n",
        "name: x\ntasks: { c: { check: { input: shop.t, rules: [ { accepted_values: { column: a, values: [ { b: { type: postgres, url: hunter2 } } ] } } ] } } }\n",
    ] {
        let (_, planned) = leak(text).unwrap();
        let is_literal = |found: &headwater_pipelines::diagnostic::Diagnostic| {
            found.code == Code::LiteralSecret && found.severity == Severity::Error
        };
        assert!(
            planned.plan.is_none() && planned.diagnostics.iter().any(is_literal),
            "{text}{:?}",
            planned.diagnostics
        );
    }
}
