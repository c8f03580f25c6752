//! Change events as Debezium writes them, in a real broker's topic: the rows that they are about.

use std::sync::Arc;

use headwater_engine::connector::Connection;
use headwater_engine::{ErrorKind, Result};
use serde_json::{Value, json};

use crate::broker::{broker, name};
use crate::kafka::request;
use crate::load::{open, read, show, sql};

const UNSENT: &str = "__debezium_unavailable_value";

fn changes(settings: Value) -> Arc<dyn Connection> {
    let mut all = json!({ "format": "debezium" });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    open("kafka", broker().settings(all))
}

fn event(op: &str, before: &Value, after: &Value) -> String {
    json!({ "before": before, "after": after, "source": { "snapshot": null, "lsn": 7, "table": "t" }, "transaction": null, "op": op, "ts_ms": 1 })
        .to_string()
}

/// A topic of one partition with these messages; one that is absent is a tombstone.
fn topic(messages: &[Option<String>]) -> String {
    let (topic, mut client) = (name(), broker().client());
    let messages: Vec<Value> = messages.iter().map(|value| json!({ "key": "k", "value": value })).collect();
    client.create(&topic, 1).run(&json!({ "do": "send", "topic": topic, "partition": 0, "messages": messages }));
    topic
}

async fn rows(topic: &str, columns: Value, statement: &str) -> Result<Vec<String>> {
    let connection = changes(json!({}));
    let source = connection.source(&request(topic, columns, None)).await?;
    Ok(show(&sql(source.table, statement).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_the_row_after_it_and_what_is_no_change_is_no_row() {
    let (ada, bob) = (json!({ "id": 1, "name": "Ada" }), json!({ "id": 2, "name": "Bob" }));
    let embedded = format!("{{\"schema\":{{\"type\":\"struct\"}},\"payload\":{}}}", event("u", &Value::Null, &ada));
    let topic = topic(&[
        Some(event("r", &Value::Null, &ada)),
        Some(event("c", &Value::Null, &bob)),
        Some(embedded),
        Some(event("d", &json!({ "id": 2, "name": null }), &Value::Null)),
        None,
        Some("{\"op\":\"m\",\"message\":{\"prefix\":\"x\"}}".to_owned()),
    ]);
    let found =
        rows(&topic, json!({ "_key": "text" }), "SELECT _offset, _op, id, name, _unchanged FROM t").await.unwrap();
    assert_eq!(found, ["0|r|1|Ada|NULL", "1|c|2|Bob|NULL", "2|u|1|Ada|NULL", "3|d|2|NULL|NULL"]);
    let limited = rows(&topic, json!({ "_key": "text" }), "SELECT _op FROM t LIMIT 3").await.unwrap();
    assert_eq!(limited.len(), 3);
    let counted = rows(&topic, json!({ "_key": "text" }), "SELECT count(*) FROM t").await.unwrap();
    assert_eq!(counted, ["4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_were_not_sent_are_null_and_named_and_refused_where_nobody_reads_their_names() {
    let bytes = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==";
    let whole = json!({ "id": 1, "note": "long", "raw": "AP8=", "tags": ["a"], "n": "1.50" });
    let part = json!({ "id": 1, "note": UNSENT, "raw": bytes, "tags": [UNSENT], "n": "2.50" });
    let topic = topic(&[Some(event("c", &Value::Null, &whole)), Some(event("u", &Value::Null, &part))]);
    let columns = json!({ "id": "bigint", "note": "text", "raw": "bytea", "tags": "json", "n": "decimal(12,2)" });
    let found = rows(&topic, columns.clone(), "SELECT id, note, raw, tags, n, _unchanged FROM t").await.unwrap();
    assert_eq!(found, ["1|NULL|NULL|NULL|2.50|[note, raw, tags]", "1|long|00ff|[\"a\"]|1.50|NULL"]);
    let error = rows(&topic, columns.clone(), "SELECT id, note FROM t").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data);
    assert!(error.message.contains("offset 1") && error.message.contains("field note"), "{error}");
    assert!(error.hint.unwrap().contains("_unchanged"));
    assert_eq!(rows(&topic, columns, "SELECT id, n FROM t").await.unwrap(), ["1|1.50", "1|2.50"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_got_another_key_without_its_long_values_is_refused() {
    let topic = topic(&[Some(event("c", &Value::Null, &json!({ "id": 2, "note": UNSENT })))]);
    let columns = json!({ "id": "bigint", "note": "text" });
    let error = rows(&topic, columns, "SELECT * FROM t").await.unwrap_err();
    assert!(error.message.contains("offset 0") && error.message.contains("key"), "{error}");
    assert!(error.hint.unwrap().contains("REPLICA IDENTITY FULL"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_times_and_numbers_are_read_as_debezium_writes_them() {
    let row = json!({ "day": 20_784, "iso": "2026-11-27Z", "at": "2026-11-27T12:34:56.123456Z", "tz": "2026-11-27T10:34:56.5Z", "f": "NaN", "g": "-Infinity" });
    let topic = topic(&[Some(event("c", &Value::Null, &row))]);
    let columns =
        json!({ "day": "date", "iso": "date", "at": "timestamp", "tz": "timestamptz", "f": "double", "g": "real" });
    let found = rows(&topic, columns, "SELECT day, iso, at, tz, f, g FROM t").await.unwrap();
    assert_eq!(found, ["2026-11-27|2026-11-27|2026-11-27T12:34:56.123456|2026-11-27T10:34:56.500Z|NaN|-inf"]);
    for (column, kind) in [("day", "timestamp"), ("at", "date")] {
        let error = rows(&topic, json!({ column: kind }), &format!("SELECT {column} FROM t")).await.unwrap_err();
        assert!(error.message.contains(&format!("field {column}")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncate_fails_the_read_unless_the_connection_ignores_it() {
    let row = json!({ "id": 1 });
    let truncate = json!({ "before": null, "after": null, "op": "t" }).to_string();
    let topic = topic(&[Some(event("c", &Value::Null, &row)), Some(truncate)]);
    let error = rows(&topic, json!({ "id": "bigint" }), "SELECT * FROM t").await.unwrap_err();
    assert!(error.message.contains("offset 1") && error.message.contains("truncated"), "{error}");
    assert_eq!(error.kind, ErrorKind::Config, "it is never set aside");
    let source = changes(json!({ "truncates": "ignore" })).source(&request(&topic, json!(["id"]), None)).await.unwrap();
    assert_eq!(show(&read(source.table).await.unwrap()), ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_change_event_is_refused_and_defaults_in_place_of_nulls_are_noted() {
    let plain = topic(&[Some("{\"id\":1}".to_owned())]);
    let error = rows(&plain, json!({ "id": "bigint" }), "SELECT * FROM t").await.unwrap_err();
    assert!(error.message.contains("offset 0") && error.hint.unwrap().contains("format: json"));
    let keyless = topic(&[Some(event("d", &Value::Null, &Value::Null))]);
    let error = rows(&keyless, json!({ "id": "bigint" }), "SELECT * FROM t").await.unwrap_err();
    assert!(error.hint.unwrap().contains("REPLICA IDENTITY FULL"));
    let defaulted = json!({ "before": null, "after": { "id": 1 }, "source": { "snapshot": "false" }, "op": "c" });
    let topic = topic(&[Some(defaulted.to_string())]);
    let source = changes(json!({})).source(&request(&topic, json!({ "id": "bigint" }), None)).await.unwrap();
    assert!(source.notes.iter().any(|note| note.contains("replace.null.with.default=false")), "{:?}", source.notes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_document_is_taken_out_of_its_string_and_the_least_number_is_read() {
    let row = json!({ "doc": "{\"a\": [1.50, \"x\"]}", "text": "no document", "list": [1, null], "n": i64::MIN });
    let topic = topic(&[Some(event("c", &Value::Null, &row))]);
    let columns = json!({ "doc": "json", "text": "json", "list": "json", "n": "bigint" });
    let found = rows(&topic, columns, "SELECT doc, text, list, n FROM t").await.unwrap();
    assert_eq!(found, ["{\"a\": [1.50, \"x\"]}|\"no document\"|[1,null]|-9223372036854775808"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_without_a_key_are_refused_by_loads_by_keys_alone() {
    let (topic, mut client) = (name(), broker().client());
    let value = event("c", &Value::Null, &json!({ "id": 1 }));
    client
        .create(&topic, 1)
        .run(&json!({ "do": "send", "topic": topic, "partition": 0, "messages": [{ "value": value }] }));
    for by_keys in [true, false] {
        let mut request = request(&topic, json!(["id"]), None);
        request.cursor.as_mut().unwrap().by_keys = by_keys;
        let read = read(changes(json!({})).source(&request).await.unwrap().table).await;
        match by_keys {
            true => assert!(read.unwrap_err().message.contains("no key")),
            false => assert_eq!(show(&read.unwrap()), ["1"]),
        }
    }
}
