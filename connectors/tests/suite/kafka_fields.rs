//! Fields of JSON messages that no sample shows, of a real broker's topic.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use headwater_engine::{ErrorKind, texts};
use serde_json::{Value, json};

use crate::broker::{broker, name};
use crate::kafka::{kafka, request, source};
use crate::load::read;

/// Columns of a batch as texts, `-` where there is no such column.
fn shown(batch: &RecordBatch) -> Vec<String> {
    let columns = ["id", "a", "b"].map(|name| batch.column_by_name(name).map(|column| texts(column).unwrap()));
    let value = |column: &Option<ArrayRef>, row: usize| match column {
        Some(column) if column.is_valid(row) => column.as_string::<i32>().value(row).to_owned(),
        Some(_) => "NULL".to_owned(),
        None => "-".to_owned(),
    };
    (0..batch.num_rows()).map(|row| columns.each_ref().map(|column| value(column, row)).join("|")).collect()
}

/// Loads what is new of a topic as often as its fields are new, as the engine does, and gives the rows.
async fn seen(topic: &str, after: Option<&Value>) -> (Vec<String>, Value, u32) {
    // What one read has learned the next one knows.
    let connection = kafka();
    for round in 0.. {
        let source = connection.source(&request(topic, json!({ "_key": "bytea" }), after)).await.unwrap();
        let position = source.position.unwrap().to;
        match read(source.table).await {
            Ok(batches) => return (batches.iter().flat_map(shown).collect(), position, round),
            Err(error) => assert_eq!(error.kind, ErrorKind::Unseen, "{error}"),
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_no_sample_shows_is_noticed_before_it_is_loaded_and_stays_a_column() {
    let (topic, mut client) = (name(), broker().client());
    let plain = |ids: std::ops::Range<u32>| ids.map(|id| format!("{{\"id\":{id},\"a\":1}}")).collect::<Vec<_>>();
    let mut messages = plain(0..600);
    messages.push("{\"id\":600,\"a\":2,\"b\":\"rare\"}".to_owned());
    messages.extend(plain(601..1_200));
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    client.create(&topic, 1).send(&topic, 0, &messages);
    let (rows, first, rounds) = seen(&topic, None).await;
    assert_eq!((rows.len(), rounds), (1_200, 1));
    assert!(rows.contains(&"600|2|rare".to_owned()) && rows.contains(&"5|1|NULL".to_owned()));
    client.send(&topic, 0, &["{\"id\":7,\"a\":\"x\"}"; 1]);
    let error = {
        let source = source(&topic, json!({ "_key": "bytea" }), Some(&first)).await.unwrap();
        read(source.table).await.unwrap_err()
    };
    assert!(error.message.contains("field a"), "what was a number stays one: {error}");
    let declared = source(&topic, json!({ "a": "json" }), Some(&first)).await.unwrap();
    let schema = declared.table.schema();
    assert!(schema.field_with_name("b").is_ok(), "what was loaded stays a column: {schema:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_no_objects_are_refused_even_if_no_field_is_known() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 1).send(&topic, 0, &["not json", "[1]"]);
    let source = source(&topic, json!({ "_key": "bytea" }), None).await.unwrap();
    let error = read(source.table).await.unwrap_err();
    assert!(error.message.contains("partition 0, offset 0"), "{error}");
}
