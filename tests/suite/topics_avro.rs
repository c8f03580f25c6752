//! Topics of Avro messages that are loaded by runs, while their schemas change. The broker is a real one, the lake is read by Python.

use serde_json::{Value, json};

use crate::broker::{Client, broker, name};
use crate::registry::Registry;
use crate::support::{World, python};

/// A pipeline that loads the new messages of a topic.
fn write(world: &World, topic: &str, registry: &str, contract: &str) {
    let spec = format!(
        "name: events\nconnections:\n  stream: {{ type: kafka, bootstrap: \"127.0.0.1:{}\", format: avro, registry: {{ url: \"{registry}\" }} }}\n  \
         lake: {{ type: delta, location: \"file://{}\" }}\ntasks:\n  events: {{ extract: {{ from: stream.\"{topic}\", cursor: auto }} }}\n  \
         publish: {{ load: {{ input: events, into: lake.events, mode: append{contract} }} }}\n",
        broker().plain,
        world.folder.join("lake").display()
    );
    world.write("p.yaml", &spec);
}

fn order(fields: Value) -> Value {
    json!({ "type": "record", "name": "Order", "fields": fields })
}

fn send(client: &mut Client, topic: &str, id: i32, schema: &Value, records: &[Value]) {
    let message = |record: &Value| json!({ "value_avro": { "id": id, "schema": schema, "record": record } });
    let messages: Vec<Value> = records.iter().map(message).collect();
    client.run(&json!({ "do": "send", "topic": topic, "messages": messages }));
}

/// How many rows the lake has, the sum of their ids, and the notes that there are.
fn lake(world: &World) -> String {
    let path = world.folder.join("lake/events").display().to_string();
    let program = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(len(t), sum(r['id'] for r in t), [r['note'] for r in t if r.get('note')])";
    python(program, &[&path]).trim().to_owned()
}

#[test]
fn a_schema_that_comes_up_in_the_middle_of_a_run_is_judged_by_the_loads_contract() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = runtime.block_on(Registry::start());
    let (world, topic, mut client) = (World::new(), name(), broker().client());
    let old = order(json!([{ "name": "id", "type": "long" }]));
    let new = order(json!([{ "name": "note", "type": ["null", "string"] }, { "name": "id", "type": "long" }]));
    let subject = format!("{topic}-value");
    registry.register(&subject, 1, 2, &new, &json!([])).register(&subject, 2, 1, &old, &json!([]));
    let many = |from: i64| -> Vec<Value> { (from..from + 150).map(|id| json!({ "id": id })).collect() };
    client.create(&topic, 1);
    send(&mut client, &topic, 1, &old, &many(0));
    write(&world, &topic, &registry.url, "");
    world.succeed(&["run", "p.yaml"]);
    assert_eq!(lake(&world), "150 11175 []");
    // Far from both ends of the topic, where nobody looks before the run begins.
    send(&mut client, &topic, 2, &new, &[json!({ "id": 1_000, "note": "x" })]);
    send(&mut client, &topic, 1, &old, &many(150));
    let refused = world.run(&["run", "p.yaml"]);
    assert!(!refused.status.success() && refused.to_string().contains("`schema: add_columns`"), "{refused}");
    assert_eq!(lake(&world), "150 11175 []");
    write(&world, &topic, &registry.url, ", schema: add_columns");
    world.succeed(&["run", "p.yaml"]);
    // 0 to 299, and 1,000.
    assert_eq!(lake(&world), "301 45850 ['x']");
    world.succeed(&["run", "p.yaml"]);
    assert_eq!(lake(&world), "301 45850 ['x']");
}
