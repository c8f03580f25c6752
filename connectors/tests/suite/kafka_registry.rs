//! Messages that Confluent's own serializers wrote, with schemas that they registered in a real registry: all three kinds of them, while they change, and while the registry
//! fails.

use std::sync::Arc;

use headwater_engine::ErrorKind;
use headwater_engine::connector::{Connection, Source};
use serde_json::{Value, json};

use crate::apicurio::{self, Proxy};
use crate::broker::{Client, broker, name};
use crate::kafka::request;
use crate::load::{open, read, show};

fn connection(format: &str, url: &str) -> Arc<dyn Connection> {
    open("kafka", broker().settings(json!({ "format": format, "registry": { "url": url } })))
}

async fn source(connection: &Arc<dyn Connection>, topic: &str, columns: Value) -> headwater_engine::Result<Source> {
    connection.source(&request(topic, columns, None)).await
}

/// The fields of a table with their types.
fn fields(source: &Source) -> Vec<String> {
    let schema = source.table.schema();
    schema.fields()[6..].iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

/// The rows, without what stands beside the messages.
async fn rows(source: Source) -> headwater_engine::Result<Vec<String>> {
    let rows = show(&read(source.table).await?);
    Ok(rows.iter().map(|row| row.splitn(7, '|').nth(6).unwrap().to_owned()).collect())
}

fn send(client: &mut Client, topic: &str, messages: &[Value]) {
    let messages: Vec<Value> = messages.iter().map(|message| json!({ "value_registry": message })).collect();
    client.run(&json!({ "do": "send", "topic": topic, "messages": messages }));
}

/// A message of Avro or JSON Schema.
fn typed(language: &str, schema: &Value, record: Value) -> Value {
    json!({ "registry": apicurio::url(), "language": language, "schema": schema, "record": record })
}

/// A message of Protobuf, of a type in the last of some files.
fn proto(files: &Value, kind: &str, record: Value) -> Value {
    json!({ "registry": apicurio::url(), "files": files, "type": kind, "record": record })
}

const MONEY: &str = "syntax = \"proto3\"; package shop; message Money { string currency = 1; int64 units = 2; }";

/// A topic's own file imports another one, and changes: a field is removed, one added, and one becomes wider.
fn order(version: u32) -> Value {
    let fields = match version {
        1 => "int32 id = 1; string gone = 2; Money price = 3; google.protobuf.Timestamp at = 4;",
        _ => "int64 id = 1; reserved 2; Money price = 3; google.protobuf.Timestamp at = 4; optional string note = 5;",
    };
    let text = format!(
        "syntax = \"proto3\"; package shop; import \"shop/money.proto\"; import \"google/protobuf/timestamp.proto\";
         message Head {{ int32 version = 1; }} message Order {{ message Line {{ string sku = 1; }} {fields} repeated Line lines = 9; }}"
    );
    json!({ "shop/money.proto": MONEY, "shop/order.proto": text })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_protobuf_are_rows_of_one_table_while_their_schema_changes() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1);
    let first = json!({ "id": -5, "gone": "x", "price": { "units": "7" }, "at": "2024-12-31T23:59:59.5Z", "lines": [{ "sku": "a" }, {}] });
    let second = json!({ "id": "1099511627776", "note": "", "price": { "currency": "EUR" } });
    send(&mut client, &topic, &[proto(&order(1), "shop.Order", first), proto(&order(2), "shop.Order", second)]);
    let shop = connection("protobuf", &apicurio::url());
    let found = source(&shop, &topic, json!(null)).await.unwrap();
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    assert_eq!(
        fields(&found),
        ["id Int64", "price Utf8", "at Timestamp(\u{b5}s, \"UTC\")", "note Utf8", "lines Utf8", "gone Utf8"]
    );
    assert_eq!(
        rows(found).await.unwrap(),
        [
            r#"-5|{"currency":"","units":7}|2024-12-31T23:59:59.500Z|NULL|[{"sku":"a"},{"sku":""}]|x"#,
            r#"1099511627776|{"currency":"EUR","units":0}|NULL||[]|NULL"#,
        ]
    );
    // The other types of the file, in one table with the first.
    send(
        &mut client,
        &topic,
        &[
            proto(&order(2), "shop.Head", json!({ "version": 2 })),
            proto(&order(2), "shop.Order.Line", json!({ "sku": "z" })),
        ],
    );
    let found =
        source(&connection("protobuf", &apicurio::url()), &topic, json!(["_offset", "version", "sku", "id"])).await;
    let shown = show(&read(found.unwrap().table).await.unwrap());
    assert_eq!(shown, ["0|NULL|NULL|-5", "1|NULL|NULL|1099511627776", "2|2|NULL|NULL", "3|NULL|z|NULL"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_nobody_knew_of_lets_the_load_begin_again_in_each_language() {
    let avro = |fields: Value| json!({ "type": "record", "name": "Order", "fields": fields });
    let id = json!({ "name": "id", "type": "int" });
    let long = json!([{ "name": "id", "type": "long" }, { "name": "note", "type": "string", "default": "none" }]);
    let object = |properties: Value| json!({ "title": "Order", "type": "object", "properties": properties });
    let json_old = object(json!({ "id": { "type": "integer" } }));
    let json_new = object(json!({ "id": { "type": "number" }, "note": { "type": ["null", "string"] } }));
    let one = |record: Value| proto(&order(1), "shop.Order", record);
    for (format, old, new, before, after) in [
        (
            "avro",
            typed("avro", &avro(json!([id])), json!({ "id": 1 })),
            typed("avro", &avro(long), json!({ "id": 7, "note": "new" })),
            "id Int32",
            "id Int64",
        ),
        (
            "json_schema",
            typed("json", &json_old, json!({ "id": 1 })),
            typed("json", &json_new, json!({ "id": 7, "note": "new" })),
            "id Int64",
            "id Float64",
        ),
        (
            "protobuf",
            one(json!({ "id": 1 })),
            proto(&order(2), "shop.Order", json!({ "id": 7, "note": "new" })),
            "id Int32",
            "id Int64",
        ),
    ] {
        let (topic, mut client) = (name(), broker().client());
        client.create(&topic, 1);
        let many = vec![old.clone(); 150];
        send(&mut client, &topic, &many);
        let shop = connection(format, &apicurio::url());
        let found = source(&shop, &topic, json!(null)).await.unwrap();
        assert_eq!(fields(&found)[0], before, "{format}");
        // Far from both ends of what is looked at next, and not the latest: the old schema is registered again behind it.
        send(&mut client, &topic, &[new]);
        send(&mut client, &topic, &many);
        let proxy = Proxy::start().await;
        let shop = connection(format, &proxy.url);
        // As if it were not registered yet.
        proxy.fail(&[404]);
        let found = source(&shop, &topic, json!(null)).await.unwrap();
        assert!(found.notes.iter().any(|note| note.contains("has no subject")), "{:?}", found.notes);
        assert_eq!(fields(&found)[0], before, "{format}");
        let error = read(found.table).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unseen, "{format}: {error}");
        assert!(error.message.contains(&format!("{topic}, partition 0, offset 150: its schema ")), "{error}");
        let again = source(&shop, &topic, json!(null)).await.unwrap();
        assert_eq!(fields(&again)[0], after, "{format}");
        assert!(fields(&again).contains(&"note Utf8".to_owned()), "{format}");
        let position = again.position.as_ref().unwrap().to.clone();
        assert_eq!(read(again.table).await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(), 301);
        // A column that was loaded keeps its place, and holds what it held.
        send(&mut client, &topic, &[old]);
        let next = connection(format, &apicurio::url()).source(&request(&topic, json!(null), Some(&position))).await;
        assert_eq!(fields(&next.unwrap())[0], after, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_fails_in_between_is_asked_again_and_what_it_lacks_is_named() {
    let (topic, mut client, proxy) = (name(), broker().client(), Proxy::start().await);
    client.create(&topic, 1);
    let message = |version, id| proto(&order(version), "shop.Order", json!({ "id": id }));
    send(&mut client, &topic, &[message(1, 5), message(2, 6)]);
    let shop = connection("protobuf", &proxy.url);
    // The latest schema, what it imports, and the schema of the first message: each fails once.
    proxy.fail(&[500, 0, 503, 0, 500]);
    let found = source(&shop, &topic, json!(["id"])).await.unwrap();
    assert_eq!(show(&read(found.table).await.unwrap()), ["5", "6"]);
    let asked = proxy.asked();
    let count = |part: &str| asked.iter().filter(|path| path.contains(part)).count();
    assert_eq!((count("/versions/latest"), count("/schemas/ids/")), (2, 2), "{asked:?}");
    assert_eq!(count("/subjects/shop%2Fmoney.proto/versions/1"), 3, "{asked:?}");
    // Schemas that are not there are notes until a message needs them.
    let shop = connection("protobuf", &proxy.url);
    proxy.fail(&[404, 404, 404]);
    let found = source(&shop, &topic, json!(null)).await.unwrap();
    assert_eq!(
        found.notes.iter().filter(|note| note.contains("no schema with the id")).count(),
        2,
        "{:?}",
        found.notes
    );
    proxy.fail(&[404]);
    let error = read(found.table).await.unwrap_err();
    assert!(
        error.message.contains(&format!("{topic}, partition 0, offset 0: the schema registry {}", proxy.url)),
        "{error}"
    );
    assert!(error.message.contains("no schema with the id") && error.kind == ErrorKind::Config, "{error}");
    let shop = connection("protobuf", &proxy.url);
    let found = source(&shop, &topic, json!(["id"])).await.unwrap();
    assert_eq!(show(&read(found.table).await.unwrap()), ["5", "6"]);
    // It never recovers.
    proxy.fail(&[500; 40]);
    let error = source(&connection("protobuf", &proxy.url), &topic, json!(null)).await.err().unwrap();
    assert!(error.message.contains("status 500") && error.kind == ErrorKind::Transient, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_that_are_registered_as_texts_are_read_too() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1);
    let url = apicurio::url();
    let files = order(2);
    let mut register = |subject: &str, text: &Value, references: Value| {
        client.run(&json!({ "do": "register", "registry": url, "subject": subject, "language": "PROTOBUF", "schema": text, "references": references }));
    };
    let money = format!("{topic}-money");
    register(&money, &files["shop/money.proto"], json!([]));
    let reference = json!([{ "name": "shop/money.proto", "subject": money, "version": 1 }]);
    register(&format!("{topic}-value"), &files["shop/order.proto"], reference);
    let shop = connection("protobuf", &url);
    let found = source(&shop, &topic, json!(null)).await.unwrap();
    assert_eq!(fields(&found), ["version Int32"], "without a message the columns are those of the file's first type");
    let record = json!({ "id": 5, "at": "1970-01-01T00:00:00.000000001Z" });
    let message = json!({ "registry": url, "files": files, "type": "shop.Order", "record": record, "place": [2, 2] });
    send(&mut client, &topic, &[message]);
    let shop = connection("protobuf", &url);
    let found = source(&shop, &topic, json!({ "id": "decimal(20,1)", "at": "text" })).await.unwrap();
    assert_eq!(
        fields(&found),
        ["id Decimal128(20, 1)", "price Utf8", "at Utf8", "note Utf8", "lines Utf8"],
        "the latest schema is read as what messages are"
    );
    assert_eq!(rows(found).await.unwrap(), ["5.0|NULL|1970-01-01 00:00:00.000000001+00|NULL|[]"]);
    let health = shop.check().await.unwrap();
    assert!(
        health.notes.iter().any(|note| note.starts_with(&format!("schema registry {url}: "))),
        "{:?}",
        health.notes
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_with_a_schema_have_its_columns_and_those_that_are_declared() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1);
    let schema = json!({ "title": "Order", "type": "object", "properties": {
        "id": { "type": "integer" }, "price": { "type": "number" }, "at": { "type": "string", "format": "date-time" },
        "day": { "oneOf": [{ "type": "null" }, { "type": "string", "format": "date" }] }, "lines": { "type": "array" }
    } });
    let message = |record: Value| typed("json", &schema, record);
    let whole =
        json!({ "id": 5, "price": 0.5, "at": "2024-12-31T23:59:59Z", "day": "2024-02-29", "lines": [1], "extra": "x" });
    send(&mut client, &topic, &[message(whole), message(json!({ "day": null }))]);
    let shop = connection("json_schema", &apicurio::url());
    let found = source(&shop, &topic, json!(null)).await.unwrap();
    assert_eq!(
        fields(&found),
        ["id Int64", "price Float64", "at Timestamp(\u{b5}s, \"UTC\")", "day Date32", "lines Utf8"]
    );
    assert_eq!(rows(found).await.unwrap(), ["5|0.5|2024-12-31T23:59:59Z|2024-02-29|[1]", "NULL|NULL|NULL|NULL|NULL"]);
    let found = source(&shop, &topic, json!({ "price": "decimal(6,2)", "extra": "text" })).await.unwrap();
    assert_eq!(rows(found).await.unwrap()[0], "5|0.50|2024-12-31T23:59:59Z|2024-02-29|[1]|x");
    send(&mut client, &topic, &[message(json!({ "id": "x4111" }))]);
    let error = rows(source(&shop, &topic, json!(null)).await.unwrap()).await.unwrap_err();
    assert!(error.message.contains(&format!("{topic}, partition 0, offset 2: field id: ")), "{error}");
    assert!(error.kind == ErrorKind::Data && !format!("{error:?}").contains("4111"), "{error:?}");
    client.run(&json!({ "do": "send", "topic": topic, "messages": [{ "value": "{\"card\":\"4112\"}" }] }));
    let error = rows(source(&shop, &topic, json!(["price"])).await.unwrap()).await.unwrap_err();
    let part = format!("{topic}, partition 0, offset 3: the message does not begin with a zero and the id of a schema");
    assert!(error.message.contains(&part) && !format!("{error:?}").contains("4112"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_another_format_is_named_and_not_repeated() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1);
    send(&mut client, &topic, &[proto(&order(2), "shop.Order", json!({ "id": 5, "note": "4111" }))]);
    for (format, part) in
        [("avro", "it is of the type PROTOBUF, and format is avro"), ("json_schema", "and format is json_schema")]
    {
        let shop = connection(format, &apicurio::url());
        let found = source(&shop, &topic, json!({ "_key": "bytea" })).await.unwrap();
        assert!(found.notes.iter().any(|note| note.contains(part)), "{:?}", found.notes);
        let error = read(found.table).await.unwrap_err();
        assert!(error.message.contains(part) && error.kind == ErrorKind::Config, "{error}");
    }
    let shop = connection("protobuf", &apicurio::url());
    for (columns, part) in [
        (json!({ "lines": "text" }), "field lines can't be read as Utf8"),
        (json!({ "id": "boolean" }), "field id can't be read as Boolean"),
        (json!({ "nope": "text" }), "no column nope"),
    ] {
        let error = source(&shop, &topic, columns).await.err().unwrap();
        assert!(error.message.contains(part) && error.kind == ErrorKind::Config && error.hint.is_some(), "{error}");
    }
    let found = source(&shop, &topic, json!({ "note": "bigint" })).await.unwrap();
    assert!(rows(found).await.is_ok(), "a text that is a number is read as one");
    let found = source(&shop, &topic, json!({ "note": "date" })).await.unwrap();
    let error = rows(found).await.unwrap_err();
    assert!(error.message.contains(&format!("{topic}, partition 0, offset 0: field note: ")), "{error}");
    assert!(error.hint.is_some() && !format!("{error:?}").contains("4111"), "{error:?}");
}
