//! What is written reads back equal.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_pipelines::document::Document;
use headwater_pipelines::path::TaskPath;
use headwater_pipelines::plan::plan;
use headwater_pipelines::spec::{
    ConnectionSpec, ExtractTask, NotifyTask, Param, ParamType, PipelineTask, Rule, Spec, Stream, Task,
};
use headwater_pipelines::write::{Comments, yaml as write};
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{config, connections, examples};
use crate::generator::{Dice, valid};

/// Text that YAML might take for something else.
const AWKWARD: [&str; 30] = [
    "",
    " ",
    "~",
    "null",
    "true",
    "no",
    "5",
    "007",
    "0x1F",
    "1e400",
    "-",
    "- a",
    "a: b",
    "a #b",
    "#",
    "*a",
    "&a",
    "!a",
    "%",
    "@x",
    "`",
    "'",
    "\"",
    "\\",
    "{}",
    "[",
    "a\nb",
    "  a\n b\n\n",
    "\ta\n",
    "|",
];

fn text(dice: &mut Dice, others: &[String]) -> String {
    if others.is_empty() || dice.one_in(2) { dice.pick(&AWKWARD).to_owned() } else { dice.pick(others) }
}

fn value(dice: &mut Dice, others: &[String], depth: usize) -> Value {
    match dice.roll(if depth < 3 { 7 } else { 5 }) {
        0 => json!(text(dice, others)),
        1 => json!(i64::MIN + i64::from(dice.roll(9) as u32)),
        2 => json!(u64::MAX),
        3 => dice.pick(&[json!(0.1), json!(1e21), json!(-2.5e-7), json!(1.0)]),
        4 => dice.pick(&[json!(true), json!(false)]),
        5 => (0..dice.roll(4)).map(|_| value(dice, others, depth + 1)).collect(),
        _ => {
            let entries =
                (0..dice.roll(4)).map(|n| (format!("{}{n}", text(dice, others)), value(dice, others, depth + 1)));
            Value::Object(entries.collect())
        }
    }
}

/// Any spec that the types can hold, valid or not.
fn any_spec(dice: &mut Dice, others: &[String], mut spec: Spec) -> Spec {
    spec.name = text(dice, others);
    spec.description = dice.one_in(2).then(|| text(dice, others));
    let default = Some(value(dice, others, 0));
    let description = Some(text(dice, others));
    spec.params.insert(text(dice, others), Param { kind: ParamType::String, default, description });
    let settings: BTreeMap<String, Value> =
        (0..dice.roll(4)).map(|n| (format!("s{n}{}", text(dice, others)), value(dice, others, 0))).collect();
    let connector = text(dice, others);
    spec.connections.insert(text(dice, others), ConnectionSpec { connector, settings });
    if dice.one_in(3) {
        let every = dice.one_in(2).then(|| Duration::from_millis(u64::from(dice.roll(9) as u32) * 250));
        spec.stream = Some(Stream { every, rows: dice.one_in(2).then_some(u64::MAX) });
    }
    let rules = Rule { sql: Some(text(dice, others)), name: Some(text(dice, others)), ..Rule::default() };
    for _ in 0..dice.roll(4) {
        let task = match dice.roll(5) {
            0 => Task { transform: Some(text(dice, others)), when: Some(text(dice, others)), ..Task::default() },
            1 => Task {
                extract: Some(ExtractTask { query: Some(text(dice, others)), ..ExtractTask::default() }),
                for_each: Some(value(dice, others, 0)),
                ..Task::default()
            },
            2 => Task {
                notify: Some(NotifyTask { connection: text(dice, others), message: text(dice, others) }),
                ..Task::default()
            },
            3 => {
                let params = IndexMap::from([(text(dice, others), value(dice, others, 0))]);
                Task { pipeline: Some(PipelineTask { name: text(dice, others), params }), ..Task::default() }
            }
            _ => {
                let check = headwater_pipelines::spec::CheckTask {
                    input: text(dice, others),
                    rules: vec![rules.clone()],
                    on_failure: headwater_pipelines::spec::OnFailure::Warn,
                    max_rejected: Some(headwater_pipelines::spec::MaxRejected::Rows(7)),
                };
                Task { check: Some(check), timeout: Some(Duration::from_millis(1)), ..Task::default() }
            }
        };
        spec.tasks.insert(text(dice, others), task);
    }
    spec
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_written_spec_reads_back_equal(
        spec in valid(),
        numbers in prop::collection::vec(any::<u32>(), 0..200),
        others in prop::collection::vec(any::<String>(), 0..12),
    ) {
        let mut dice = Dice::new(numbers);
        let spec = any_spec(&mut dice, &others, spec);
        let top = Some(text(&mut dice, &others));
        let tasks = spec.tasks.keys().map(|name| (TaskPath::root().child(name), text(&mut dice, &others)));
        let comments = Comments { top, tasks: tasks.collect() };
        let written = write(&spec, &comments);
        let back = Document::read("w.yaml", written.clone());
        prop_assert_eq!(&back.diagnostics, &[], "{}", written);
        prop_assert_eq!(back.spec.as_ref(), Some(&spec), "{}", written);
        prop_assert_eq!(back.stored_text().len(), written.len());
    }
}

#[test]
fn examples_and_their_stored_texts_read_back_equal() {
    for (name, text) in examples() {
        let document = Document::read(name.clone(), text);
        let spec = document.spec.clone().unwrap();
        let back = Document::from_spec(name.clone(), &spec, &Comments::default());
        assert_eq!(back.spec.as_ref(), Some(&spec), "{name}");
        let stored = Document::read(name.clone(), document.stored_text());
        assert_eq!(stored.spec.as_ref(), Some(&spec), "{name}");
        let (one, other) = (plan(&document, &connections()).plan, plan(&back, &connections()).plan);
        assert!(one.is_some() && one == other, "{name}");
    }
}
