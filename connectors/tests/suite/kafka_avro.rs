//! Avro messages of a real broker, written by fastavro, with schemas of a registry that the test plays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_engine::ErrorKind;
use headwater_engine::connector::{Connection, Source};
use serde_json::{Value, json};

use crate::broker::{Client, broker, name};
use crate::kafka::request;
use crate::load::{open, read, show};
use crate::registry::Registry;

fn record(fields: Value) -> Value {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": fields })
}

/// Three schemas of one topic: a field is removed and another one added, then an int becomes a long.
fn versions() -> [Value; 3] {
    let note = json!({ "name": "note", "type": "string", "default": "none" });
    [
        record(json!([{ "name": "id", "type": "int" }, { "name": "gone", "type": ["null", "string"] }])),
        record(json!([{ "name": "id", "type": "int" }, note])),
        record(json!([note, { "name": "id", "type": "long" }])),
    ]
}

/// A message of a schema.
fn message(id: i32, schema: &Value, record: Value) -> Value {
    json!({ "value_avro": { "id": id, "schema": schema, "record": record } })
}

fn send(client: &mut Client, topic: &str, messages: &[Value]) {
    client.run(&json!({ "do": "send", "topic": topic, "messages": messages }));
}

fn connection(registry: Value) -> Arc<dyn Connection> {
    open("kafka", broker().settings(json!({ "format": "avro", "registry": registry })))
}

async fn source(connection: &Arc<dyn Connection>, topic: &str, columns: Value) -> headwater_engine::Result<Source> {
    connection.source(&request(topic, columns, None)).await
}

/// The fields of a table with their types.
fn fields(source: &Source) -> Vec<String> {
    let schema = source.table.schema();
    schema.fields()[6..].iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_several_schemas_are_rows_of_one_table() {
    let (topic, mut client, registry) = (name(), broker().client(), Registry::start().await);
    let subject = format!("{topic}-value");
    let [one, two, three] = versions();
    registry.ask_for("Basic dTpwdy0z");
    for (version, schema) in [(1, &one), (2, &two), (3, &three)] {
        registry.register(&subject, version, version as i32 + 10, schema, &json!([]));
    }
    client.create(&topic, 1);
    let messages = [
        message(11, &one, json!({ "id": 1, "gone": "x" })),
        json!({ "key": "k", "value": null }),
        message(13, &three, json!({ "note": "n", "id": 1_i64 << 40 })),
        message(12, &two, json!({ "id": -2, "note": "\u{e9}" })),
    ];
    send(&mut client, &topic, &messages);
    let shop = connection(json!({ "url": registry.url, "user": "u", "password": "pw-3" }));
    let found = source(&shop, &topic, json!(null)).await.unwrap();
    assert_eq!(fields(&found), ["note Utf8", "id Int64", "gone Utf8"]);
    let asked = registry.asked();
    assert_eq!(asked[0], format!("/subjects/{subject}/versions/latest"));
    assert_eq!(asked[1..], [11, 12].map(|id| format!("/schemas/ids/{id}?subject={subject}")));
    let found = source(&shop, &topic, json!(["_offset", "_key", "_tombstone", "id", "note", "gone"])).await.unwrap();
    assert_eq!(
        show(&read(found.table).await.unwrap()),
        [
            "0|NULL|false|1|none|x",
            "1|k|true|NULL|NULL|NULL",
            "2|NULL|false|1099511627776|n|NULL",
            "3|NULL|false|-2|\u{e9}|NULL",
        ]
    );
    assert!(registry.asked().iter().all(|path| !path.starts_with("/schemas")), "an id is asked for once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_nobody_knew_of_lets_the_load_begin_again() {
    let (topic, mut client, registry) = (name(), broker().client(), Registry::start().await);
    let subject = format!("{topic}-value");
    let [one, _, three] = versions();
    registry.register(&subject, 1, 3, &three, &json!([])).register(&subject, 2, 1, &one, &json!([]));
    let many = |from: i32| -> Vec<Value> {
        (from..from + 150).map(|id| message(1, &one, json!({ "id": id, "gone": null }))).collect()
    };
    client.create(&topic, 1);
    send(&mut client, &topic, &many(0));
    send(&mut client, &topic, &[message(3, &three, json!({ "id": 7, "note": "new" }))]);
    send(&mut client, &topic, &many(150));
    let shop = connection(json!({ "url": registry.url }));
    let found = source(&shop, &topic, json!(null)).await.unwrap();
    assert_eq!(fields(&found), ["id Int32", "gone Utf8"]);
    let error = read(found.table).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unseen, "{error}");
    assert!(
        error.message.contains(&format!("{topic}, partition 0, offset 150: its schema 3 has a field note")),
        "{error}"
    );
    let again = source(&shop, &topic, json!(null)).await.unwrap();
    assert_eq!(fields(&again), ["id Int64", "gone Utf8", "note Utf8"]);
    let position = again.position.as_ref().unwrap().to.clone();
    assert_eq!(position["columns"][0], json!(["id", { "schema": "long" }]));
    assert_eq!(read(again.table).await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(), 301);
    // A column that was loaded keeps its place, and holds what it held.
    send(&mut client, &topic, &many(300));
    let next = connection(json!({ "url": registry.url })).source(&request(&topic, json!(null), Some(&position))).await;
    assert_eq!(fields(&next.unwrap()), ["id Int64", "gone Utf8", "note Utf8"]);
    // Who wants one column only is not troubled by others.
    let fresh = connection(json!({ "url": registry.url }));
    let only = source(&fresh, &topic, json!(["gone"])).await.unwrap();
    assert_eq!(read(only.table).await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(), 451);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_avro_or_has_no_schema_is_named_and_not_repeated() {
    let (topic, mut client, registry) = (name(), broker().client(), Registry::start().await);
    let [one, ..] = versions();
    registry.register(&format!("{topic}-value"), 1, 1, &one, &json!([]));
    client.create(&topic, 2);
    send(
        &mut client,
        &topic,
        &[message(1, &one, json!({ "id": 1, "gone": "x" })), json!({ "value": "{\"card\":\"4111\"}" })],
    );
    let shop = connection(json!({ "url": registry.url }));
    let found = source(&shop, &topic, json!(["id"])).await.unwrap();
    assert!(found.notes.iter().any(|note| note.contains("1 of 2 messages looked at")), "{:?}", found.notes);
    let error = read(found.table).await.unwrap_err();
    let part = format!("{topic}, partition 0, offset 1: the message does not begin with a zero and the id of a schema");
    assert!(error.message.contains(&part) && error.kind == ErrorKind::Data, "{error}");
    assert!(
        error.hint.as_ref().unwrap().contains("format: raw") && !format!("{error:?}").contains("4111"),
        "{error:?}"
    );
    client.run(&json!({ "do": "truncate", "topic": topic, "partition": 0, "before": 2 }));
    send(&mut client, &topic, &[message(99, &one, json!({ "id": 1, "gone": "x" }))]);
    // What was looked at is kept for some seconds by each connector.
    let shop = connection(json!({ "url": registry.url }));
    let found = source(&shop, &topic, json!(["id"])).await.unwrap();
    assert!(found.notes.iter().any(|note| note.contains("no schema with the id 99")), "{:?}", found.notes);
    let error = read(found.table).await.unwrap_err();
    assert!(error.message.contains(&format!("{topic}, partition 0, offset 2: the schema registry {}", registry.url)));
    assert!(error.message.contains("no schema with the id 99") && error.hint.is_some(), "{error}");
    registry.put(&format!("/schemas/ids/99?subject={topic}-value"), json!({ "schema": "x", "schemaType": "PROTOBUF" }));
    let error = read(source(&shop, &topic, json!(["id"])).await.unwrap().table).await.unwrap_err();
    assert!(error.message.contains("it is of the type PROTOBUF") && error.kind == ErrorKind::Config, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_may_refer_to_others_and_columns_may_be_declared() {
    let (topic, mut client, registry) = (name(), broker().client(), Registry::start().await);
    let color = json!({ "type": "enum", "name": "Color", "namespace": "shop", "symbols": ["RED", "BLUE"] });
    let order = record(
        json!([{ "name": "id", "type": "string" }, { "name": "color", "type": "Color" }, { "name": "all", "type": { "type": "array", "items": "Color" } }]),
    );
    registry.register("colors", 1, 5, &color, &json!([]));
    let reference = json!([{ "name": "shop.Color", "subject": "colors", "version": 1 }]);
    registry.register(&format!("{topic}-value"), 1, 6, &order, &reference);
    let whole = record(
        json!([{ "name": "id", "type": "string" }, { "name": "color", "type": color }, { "name": "all", "type": { "type": "array", "items": "Color" } }]),
    );
    client.create(&topic, 1);
    send(&mut client, &topic, &[message(6, &whole, json!({ "id": "17", "color": "BLUE", "all": ["RED", "BLUE"] }))]);
    let shop = connection(json!({ "url": registry.url }));
    let found = source(&shop, &topic, json!({ "id": "bigint", "color": "json" })).await.unwrap();
    assert_eq!(fields(&found), ["id Int64", "color Utf8", "all Utf8"]);
    let shown = show(&read(found.table).await.unwrap());
    assert!(shown[0].ends_with("|17|\"BLUE\"|[\"RED\",\"BLUE\"]"), "{shown:?}");
    for (columns, part) in [
        (json!({ "all": "text" }), "field all can't be read as Utf8"),
        (json!({ "id": "boolean" }), "field id can't be read as Boolean"),
        (json!({ "nope": "text" }), "no column nope"),
    ] {
        let error = source(&shop, &topic, columns).await.err().unwrap();
        assert!(error.message.contains(part) && error.kind == ErrorKind::Config && error.hint.is_some(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_recovers_is_asked_again_and_others_say_what_is_wrong() {
    let (topic, mut client, registry) = (name(), broker().client(), Registry::start().await);
    let [one, ..] = versions();
    registry.register(&format!("{topic}-value"), 1, 1, &one, &json!([]));
    client.create(&topic, 1);
    // What was looked at is kept for some seconds by each connector.
    let shop = || connection(json!({ "url": registry.url }));
    let refused = async || source(&shop(), &topic, json!(null)).await.err().unwrap();
    registry.fail(500, None).fail(429, Some(0)).fail(0, None).fail(503, None);
    let found = source(&shop(), &topic, json!(null)).await.unwrap();
    assert_eq!((fields(&found).len(), registry.asked().len()), (2, 5));
    registry.fail(429, Some(3_600));
    let error = refused().await;
    assert!(error.message.contains("status 429") && error.kind == ErrorKind::Transient, "{error}");
    registry.fail(302, None);
    let error = refused().await;
    assert!(error.message.contains("sends to another address") && error.kind == ErrorKind::Config, "{error}");
    registry.put(&format!("/subjects/{topic}-value/versions/latest"), json!("<html>"));
    let error = refused().await;
    assert!(error.message.contains("does not answer as a schema registry"), "{error}");
    // A cancel ends the waiting.
    for _ in 0..20 {
        registry.fail(500, None);
    }
    let request = request(&topic, json!(null), None);
    let (cancel, start, shop) = (request.cancel.clone(), Instant::now(), shop());
    let canceled = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(shop.source(&request), canceled);
    assert_eq!(ended.err().unwrap().kind, ErrorKind::Canceled);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_asks_the_registry_and_says_why_it_gives_no_answer() {
    let registry = Registry::start().await;
    registry.register("a-value", 1, 1, &versions()[0], &json!([])).register(
        "b-value",
        1,
        2,
        &versions()[1],
        &json!([]),
    );
    let health = connection(json!({ "url": registry.url })).check().await.unwrap();
    assert!(health.notes.contains(&format!("schema registry {}: 2 subjects", registry.url)), "{:?}", health.notes);
    registry.fail(403, None);
    let health = connection(json!({ "url": registry.url })).check().await.unwrap();
    assert!(health.notes.iter().any(|note| note.contains("may not list its subjects")), "{:?}", health.notes);
    registry.ask_for("Basic dTpwdy0z");
    let secure = registry.url.replace("http://", "https://");
    for (settings, part, kind) in [
        (json!({ "url": registry.url }), "asks for a login (401)", ErrorKind::Config),
        (
            json!({ "url": registry.url, "user": "u", "password": "pw-4" }),
            "refused user or password (401)",
            ErrorKind::Config,
        ),
        (json!({ "url": "http://no-such-host.invalid:8081" }), "has a host that is unknown", ErrorKind::Transient),
        (json!({ "url": "http://127.0.0.1:1" }), "refused the connection", ErrorKind::Transient),
        (json!({ "url": secure }), "failed the TLS handshake", ErrorKind::Config),
        (
            json!({ "url": secure, "ca": "/no/such.pem" }),
            "certificates in /no/such.pem can't be used",
            ErrorKind::Config,
        ),
    ] {
        let error = connection(settings).check().await.unwrap_err();
        assert!(error.message.contains(part) && error.kind == kind && error.hint.is_some(), "{part}: {error:?}");
        assert!(!format!("{error:?}").contains("pw-4"), "{error:?}");
    }
    let health = connection(json!({ "url": registry.url, "user": "u", "password": "pw-3" })).check().await.unwrap();
    assert!(health.notes.iter().any(|note| note.contains("is sent unencrypted")), "{:?}", health.notes);
    let connectors = headwater_connectors::registry();
    let settings =
        json!({ "bootstrap": "h", "format": "avro", "registry": { "url": "http://u:pw-5@h", "password": "pw-6" } });
    let redacted = connectors.get("kafka").unwrap().redact(&settings).to_string();
    assert!(!redacted.contains("pw-5") && !redacted.contains("pw-6"), "{redacted}");
}
