use std::time::Duration;

use headwater_engine::connector::{ColumnInfo, TableInfo};
use headwater_pipelines::diagnostic::Code;
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::plan;
use headwater_pipelines::spec::{
    Columns, CursorNulls, KeyScan, OnDelete, Reach, ScanBy, Share, Spec, Stream, Task, WriteMode,
};
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::json;

use super::nodes::{KINDS, SPEC};
use super::*;
use crate::known::{Known, KnownTable};

fn column(name: &str) -> ColumnInfo {
    ColumnInfo {
        name: name.to_owned(),
        native_type: "text".to_owned(),
        arrow_type: "Utf8".to_owned(),
        nullable: true,
        primary_key: None,
        comment: None,
    }
}

fn table(name: &str, columns: &[String]) -> KnownTable {
    let path = headwater_pipelines::sql::split_name(name).unwrap();
    KnownTable {
        connection: path[0].clone(),
        table: TableInfo {
            path: path[1..].to_vec(),
            kind: "table".to_owned(),
            rows: None,
            comment: None,
            columns: columns.iter().map(|name| column(name)).collect(),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
        },
    }
}

/// A catalog in which all that a spec reads is.
fn catalog_of(spec: &Spec) -> Known {
    let mut tables: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    let mut groups = vec![&spec.tasks];
    while let Some(tasks) = groups.pop() {
        for task in tasks.values() {
            groups.extend(&task.group);
            let Some((from, columns, cursor)) = task
                .extract
                .as_ref()
                .and_then(|extract| Some((extract.from.clone()?, &extract.columns, &extract.cursor)))
            else {
                continue;
            };
            let mut named = match columns {
                Some(Columns::Only(names)) => names.clone(),
                Some(Columns::Override(columns)) => columns.keys().cloned().collect(),
                None => Vec::new(),
            };
            named.extend(cursor.iter().filter(|name| *name != "auto").cloned());
            tables.entry(from).or_default().extend(named);
        }
    }
    Known::new(tables.iter().map(|(name, columns)| table(name, columns)).collect())
}

/// Lifts a spec, gives it the form of an answer, reads that and compiles it.
fn there_and_back(spec: &Spec, targets: &[String]) -> (Spec, Vec<String>) {
    let known = catalog_of(spec);
    let base = lift(spec, &known, targets);
    let answer = Reply::write(Contract::default(), base.plan.clone());
    let reply = Reply::read(&serde_json::from_str(&answer.to_string()).unwrap()).unwrap();
    let PlanOutcome::Draft(plan) = reply.outcome else { panic!("the outcome changed") };
    let said = Said::new("");
    let frame = Frame { known: &known, targets, said: &said, base: &base };
    let compiled = compile(&plan, &reply.contract, &frame).unwrap_or_else(|faults| panic!("{faults:#?}"));
    (compiled.spec, base.kept.iter().map(|(path, task)| format!("{path}: {task:?}")).collect())
}

fn writable() -> Vec<String> {
    ["lake", "reports", "shop", "tpch", "warehouse"].map(str::to_owned).to_vec()
}

proptest! {
    #![proptest_config(seeded(500))]

    #[test]
    fn a_spec_that_is_lifted_and_compiled_is_the_same(spec in generator::valid()) {
        let (back, kept) = there_and_back(&spec, &writable());
        prop_assert!(kept.iter().all(|task| is_inexpressible(task)), "{kept:?}");
        prop_assert_eq!(back, spec);
    }

    #[test]
    fn cursors_keys_deletes_and_streams_are_the_same_when_they_are_lifted_and_compiled(
        spec in generator::valid(),
        numbers in prop::collection::vec(any::<u32>(), 20..80),
    ) {
        let spec = keyed(spec, &mut generator::Dice::new(numbers));
        let (back, kept) = there_and_back(&spec, &writable());
        prop_assert!(kept.iter().all(|task| is_inexpressible(task)), "{kept:?}");
        prop_assert_eq!(back, spec);
    }
}

/// What no model is shown: statements in a source's own language, and contracts of single columns.
fn is_inexpressible(task: &str) -> bool {
    task.contains("query: Some") || task.contains("schema: Some(ByColumn")
}

/// The spec with modes, cursors and a stream, whether or not they fit together: lifting plans nothing.
fn keyed(mut spec: Spec, dice: &mut generator::Dice) -> Spec {
    if dice.one_in(3) {
        spec.stream = Some(Stream {
            every: dice.one_in(2).then(|| Duration::from_secs(5)),
            rows: dice.one_in(2).then_some(1_000),
        });
    }
    keyed_tasks(&mut spec.tasks, dice);
    spec
}

fn keyed_tasks(tasks: &mut IndexMap<String, Task>, dice: &mut generator::Dice) {
    for task in tasks.values_mut() {
        if let Some(inside) = &mut task.group {
            keyed_tasks(inside, dice);
        }
        if let Some(extract) = task.extract.as_mut().filter(|extract| extract.from.is_some()) {
            extract.cursor = dice.pick(&[None, Some("auto".to_owned()), Some("updated_at".to_owned())]);
            extract.lookback = dice.pick(&[None, Some(Reach::Time(Duration::from_secs(3_600))), Some(Reach::Count(5))]);
            extract.cursor_nulls = dice.pick(&[None, Some(CursorNulls::Include), Some(CursorNulls::Fail)]);
        }
        if let Some(load) = &mut task.load {
            load.mode = Some(dice.pick(&[WriteMode::Upsert, WriteMode::InsertNew, WriteMode::DeleteInsert]));
            load.keys = dice.pick(&[vec!["id".to_owned()], vec!["id".to_owned(), "total amount".to_owned()]]);
            load.order_by = dice.one_in(2).then(|| "updated_at".to_owned());
            load.on_delete = dice.pick(&[None, Some(OnDelete::Soft), Some(OnDelete::Hard)]);
            load.deleted_when = dice.one_in(3).then(|| "op = 'delete'".to_owned());
            let every = dice.pick(&[None, Some(Duration::from_secs(86_400))]);
            load.deletes = dice.one_in(3).then_some(KeyScan { by: ScanBy::Keys, every });
            load.max_delete = dice.one_in(3).then(Share::default);
        }
    }
}

#[test]
fn the_examples_are_the_same_when_they_are_lifted_and_compiled() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../pipelines/examples");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let spec = Document::read("example.yaml", text).spec.unwrap();
        let mut without = spec.clone();
        without.connections.clear();
        assert_eq!(there_and_back(&without, &writable()).0, without, "{}", path.display());
    }
}

/// Whether planning a spec says that a part of it does not execute yet.
fn is_not_yet(spec: &serde_json::Value) -> bool {
    let document = Document::read("x.yaml", spec.to_string());
    assert!(document.spec.is_some(), "{spec:#} {:#?}", document.diagnostics);
    let connections = writable().into_iter().collect();
    plan(&document, &connections).diagnostics.iter().any(|diagnostic| diagnostic.code == Code::NotYet)
}

#[test]
fn a_typed_plan_has_all_fields_that_execute_and_no_other() {
    let spec = |tasks: serde_json::Value| json!({ "name": "x", "tasks": tasks });
    let base = json!({ "o": { "extract": { "from": "shop.a" } } });
    let with = |task: serde_json::Value| {
        let mut tasks = base.clone();
        tasks["t"] = task;
        spec(tasks)
    };
    let load = |field: &str, value: serde_json::Value| {
        let mut load = json!({ "input": "o", "into": "lake.o", "mode": "append" });
        load[field] = value;
        with(json!({ "load": load }))
    };
    let extract = |field: &str, value: serde_json::Value| {
        let mut extract = json!({ "from": "shop.b" });
        extract[field] = value;
        with(json!({ "extract": extract }))
    };
    let rule = |rule: serde_json::Value| with(json!({ "check": { "input": "o", "rules": [rule] } }));
    let check =
        |what: &str| with(json!({ "check": { "input": "o", "rules": [{ "not_null": ["id"] }], "on_failure": what } }));
    let has = |name: &str, field: &str| SPEC["$defs"][name]["properties"].get(field).is_some();
    let has_word = |name: &str, word: &str| {
        SPEC["$defs"][name]["oneOf"].as_array().unwrap().iter().any(|choice| choice["const"] == word)
    };
    for (field, value) in [
        ("columns", json!(["id"])),
        ("cursor", json!("id")),
        ("lookback", json!("1h")),
        ("lag", json!("1h")),
        ("cursor_nulls", json!("include")),
        ("on_value", json!("null")),
    ] {
        assert_eq!(has("ExtractTask", field), !is_not_yet(&extract(field, value)), "{field}");
    }
    for (field, value) in [
        ("partition_by", json!(["id"])),
        ("keys", json!(["id"])),
        ("order_by", json!("id")),
        ("schema", json!("add_columns")),
        ("on_delete", json!("soft")),
        ("deleted_when", json!("id > 0")),
        ("deletes", json!({ "by": "keys" })),
        ("max_delete", json!("5%")),
        ("verify", json!("checksum")),
    ] {
        assert_eq!(has("LoadTask", field), !is_not_yet(&load(field, value)), "{field}");
    }
    for mode in ["append", "overwrite", "upsert", "insert_new", "delete_insert"] {
        assert_eq!(has_word("WriteMode", mode), !is_not_yet(&load("mode", json!(mode))), "{mode}");
    }
    // History executes, and no model knows it yet.
    assert!(!has_word("WriteMode", "scd2") && !has("LoadTask", "track") && !has("LoadTask", "late"));
    for what in ["fail", "warn"] {
        assert!(has_word("OnFailure", what) && !is_not_yet(&check(what)), "{what}");
    }
    // Rows that are set aside wait for a person, and no model knows them yet.
    assert!(!has_word("OnFailure", "quarantine") && !has("CheckTask", "max_rejected"));
    assert!(!has("ExtractTask", "on_reject") && !has("ExtractTask", "max_rejected"));
    for (field, value) in [
        ("not_null", json!(["id"])),
        ("unique", json!(["id"])),
        ("accepted_values", json!({ "column": "id", "values": [1] })),
        ("range", json!({ "column": "id", "min": 1 })),
        ("sql", json!("id > 0")),
    ] {
        assert_eq!(has("Rule", field), !is_not_yet(&rule(json!({ field: value }))), "{field}");
    }
    assert_eq!(has("ColumnRule", "mask"), !is_not_yet(&extract("columns", json!({ "id": { "mask": "hash" } }))));
    let blocks = ["ExtractTask", "LoadTask", "Rule", "ColumnRule", "CheckTask"];
    let counts = blocks.map(|name| SPEC["$defs"][name]["properties"].as_object().unwrap().len());
    assert_eq!(counts, [6, 11, 5, 1, 3], "a new field is to be tried above");
    assert!(KINDS.iter().all(|kind| kind.executes()));
}

#[test]
fn a_model_reads_one_table_by_each_extract_and_writes_no_statement_of_a_source() {
    for field in ["tables", "exclude", "connection", "query"] {
        assert!(SPEC["$defs"]["ExtractTask"]["properties"].get(field).is_none(), "{field}");
    }
}

/// What both providers' strict modes refuse.
fn problems(schema: &serde_json::Value, at: &str, out: &mut Vec<String>) {
    let serde_json::Value::Object(fields) = schema else { return out.push(format!("{at}: no schema")) };
    for key in fields.keys() {
        if !["type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "description"]
            .contains(&key.as_str())
        {
            out.push(format!("{at}: {key}"));
        }
    }
    if let Some(properties) = fields.get("properties").and_then(|value| value.as_object()) {
        let required: Vec<&str> =
            fields["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
        if required != names || fields.get("additionalProperties") != Some(&json!(false)) {
            out.push(format!("{at}: {required:?} of {names:?}"));
        }
        properties.iter().for_each(|(name, schema)| problems(schema, &format!("{at}.{name}"), out));
    } else if fields.get("type") == Some(&json!("object")) {
        out.push(format!("{at}: an object of any fields"));
    }
    if let Some(items) = fields.get("items") {
        problems(items, &format!("{at}[]"), out);
    }
    for (place, choice) in fields.get("anyOf").and_then(|value| value.as_array()).into_iter().flatten().enumerate() {
        problems(choice, &format!("{at}|{place}"), out);
    }
    if fields.get("type").is_none() && fields.get("anyOf").is_none() {
        out.push(format!("{at}: no type"));
    }
}

#[test]
fn the_schema_is_in_the_subset_that_strict_modes_take() {
    let ids = Ids {
        tables: vec!["t01".to_owned()],
        columns: vec!["t01.c1".to_owned()],
        targets: vec!["k1".to_owned()],
        keeps: true,
    };
    let mut found = Vec::new();
    problems(&reply_schema(&ids), "", &mut found);
    assert_eq!(found, Vec::<String>::new());
    for schema in [reply_schema(&ids), model_schema(), Form::of::<AskReply>().strict()] {
        assert_eq!(crate::gateway::scripted::outside_subset(&schema), None);
    }
    assert_eq!(reply_schema(&ids)["type"], "object");
}

#[test]
fn the_schema_is_as_it_was_reviewed() {
    let schema = reply_schema(&Ids {
        tables: vec!["t01".to_owned(), "t02".to_owned()],
        columns: vec!["t01.c1".to_owned(), "t02.c1".to_owned()],
        targets: vec!["k1".to_owned()],
        keeps: false,
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema).unwrap());
}
