//! Topics of Protobuf and JSON Schema that are loaded by runs, while their schemas change and their registry fails. Broker and registry are real ones, messages are written by
//! Confluent's serializers, the lake is read by Python.

use serde_json::{Value, json};

use crate::apicurio::{self, Proxy};
use crate::broker::{Client, broker, name};
use crate::support::{World, python};

/// A pipeline that loads the new messages of a topic.
fn write(world: &World, topic: &str, format: &str, registry: &str, contract: &str) {
    let spec = format!(
        "name: events\nconnections:\n  stream: {{ type: kafka, bootstrap: \"127.0.0.1:{}\", format: {format}, registry: {{ url: \"{registry}\" }} }}\n  \
         lake: {{ type: delta, location: \"file://{}\" }}\ntasks:\n  events: {{ extract: {{ from: stream.\"{topic}\", cursor: auto }} }}\n  \
         publish: {{ load: {{ input: events, into: lake.events, mode: append{contract} }} }}\n",
        broker().plain,
        world.folder.join("lake").display()
    );
    world.write("p.yaml", &spec);
}

fn send(client: &mut Client, topic: &str, schema: &Value, records: &[Value]) {
    let message = |record: &Value| {
        let mut message = json!({ "registry": apicurio::url(), "record": record });
        message.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
        json!({ "value_registry": message })
    };
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

/// Loads messages of an old schema, one of a new one in the middle of others, and what comes behind it.
fn evolve(format: &str, old: &Value, new: &Value) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(Proxy::start());
    let (world, topic, mut client) = (World::new(), name(), broker().client());
    let many = |from: i64| -> Vec<Value> { (from..from + 150).map(|id| json!({ "id": id })).collect() };
    client.create(&topic, 1);
    send(&mut client, &topic, old, &many(0));
    write(&world, &topic, format, &proxy.url, "");
    // It is not ready when the run begins.
    proxy.fail(&[503, 500]);
    world.succeed(&["run", "p.yaml"]);
    assert_eq!(lake(&world), "150 11175 []");
    send(&mut client, &topic, new, &[json!({ "id": 1_000, "note": "x" })]);
    send(&mut client, &topic, old, &many(150));
    // The subject is not to be found, so that the new schema comes up in the middle of the run.
    proxy.fail(&[404]);
    let refused = world.run(&["run", "p.yaml"]);
    assert!(!refused.status.success() && refused.to_string().contains("`schema: add_columns`"), "{refused}");
    assert_eq!(lake(&world), "150 11175 []");
    write(&world, &topic, format, &proxy.url, ", schema: add_columns");
    proxy.fail(&[0, 500, 0, 500]);
    world.succeed(&["run", "p.yaml"]);
    // 0 to 299, and 1,000.
    assert_eq!(lake(&world), "301 45850 ['x']");
    world.succeed(&["run", "p.yaml"]);
    assert_eq!(lake(&world), "301 45850 ['x']");
}

#[test]
fn a_schema_of_protobuf_that_comes_up_in_the_middle_of_a_run_is_judged_by_the_loads_contract() {
    let schema = |fields: &str| {
        let text = format!("syntax = \"proto3\"; package shop; message Order {{ {fields} }}");
        json!({ "files": { "order.proto": text }, "type": "shop.Order" })
    };
    evolve("protobuf", &schema("int64 id = 1;"), &schema("int64 id = 1; optional string note = 2;"));
}

#[test]
fn a_json_schema_that_comes_up_in_the_middle_of_a_run_is_judged_by_the_loads_contract() {
    let schema = |properties: Value| {
        let schema = json!({ "title": "Order", "type": "object", "properties": properties });
        json!({ "language": "json", "schema": schema })
    };
    let id = json!({ "type": "integer" });
    let old = schema(json!({ "id": id }));
    evolve("json_schema", &old, &schema(json!({ "id": id, "note": { "type": ["null", "string"] } })));
}
