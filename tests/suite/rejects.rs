//! Rows and messages that loads set aside: the others are in the target, each once, and what was set aside is listed once. The broker is a real one; lakes are
//! read by Python, tables by psql.

use serde_json::{Value, json};

use crate::broker::{Client, broker, name};
use crate::support::{World, eventually, python, server};

const MESSAGES: &str = "cursor: auto, columns: { id: bigint, note: text }, on_reject: quarantine";

/// A world with a topic of two partitions, and a pipeline that loads its messages into a lake.
fn topic(head: &str, further: &str) -> (World, String, Client) {
    let (world, topic, mut client) = (World::new(), name(), broker().client());
    client.create(&topic, 2);
    let extract = format!("{{ from: kafka.\"{topic}\", {MESSAGES}{further} }}");
    write(
        &world,
        head,
        &format!(
            "  events: {{ extract: {extract} }}\n  publish: {{ load: {{ input: events, into: lake.t, mode: append }} }}\n"
        ),
    );
    (world, topic, client)
}

fn write(world: &World, head: &str, tasks: &str) {
    let spec = format!(
        "name: p\n{head}connections:\n  kafka: {{ type: kafka, bootstrap: \"127.0.0.1:{}\" }}\n  source: {{ type: postgres, url: \"{}\" }}\n  \
         lake: {{ type: delta, location: \"file://{}\" }}\ntasks:\n{tasks}",
        broker().plain,
        world.url(),
        world.folder.join("lake").display()
    );
    world.write("p.yaml", &spec);
}

const STREAM: &str = "stream: { every: 100ms, rows: 3 }\n";

/// Two messages that can be read and two that can't, one of them in each partition.
fn send(client: &mut Client, topic: &str) {
    client.send(topic, 0, &[r#"{"id":1,"note":"a"}"#, r#"{"id":"x\u001b[2J","note":"b"}"#, r#"{"id":2,"note":"c"}"#]);
    client.send(topic, 1, &["no object"]);
}

/// Ids of the lake's rows, in order.
fn lake(world: &World) -> String {
    let path = world.folder.join("lake/t").display().to_string();
    let program = "import deltalake, sys\n\
                   if not deltalake.DeltaTable.is_deltatable(sys.argv[1]): sys.exit()\n\
                   t = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(' '.join(sorted(str(r['id']) for r in t)))";
    python(program, &[&path])
}

/// Where the rejects come from, in order.
fn origins(world: &World) -> Vec<String> {
    let report = world.json(&["rejects", "list", "--json"]);
    let rejects = report["rejects"].as_array().unwrap();
    assert_eq!(report["total"], rejects.len());
    let origin = |reject: &Value| format!("{} {}", reject["origin"]["partition"], reject["origin"]["offset"]);
    let mut origins: Vec<String> = rejects.iter().map(origin).collect();
    origins.sort();
    origins
}

#[test]
fn a_stream_goes_on_past_messages_that_cannot_be_read_and_a_person_looks_at_them() {
    let (world, topic, mut client) = topic(STREAM, "");
    world.succeed(&["apply", "p.yaml"]);
    let _serving = world.serve("");
    send(&mut client, &topic);
    eventually("what can be read is loaded", || lake(&world) == "1 2");
    eventually("the others are listed", || origins(&world) == ["0 1", "1 0"]);
    client.send(&topic, 1, &[r#"{"id":3,"note":"d"}"#]);
    eventually("the stream goes on", || lake(&world) == "1 2 3");
    eventually("all is counted", || {
        let shown = world.json(&["streams", "show", "p", "--json"]);
        (&shown["rows"], &shown["rejected"], &shown["state"]) == (&json!(3), &json!(2), &json!("running"))
    });
    let listed = world.json(&["rejects", "list", "--pipeline", "p", "--json"]);
    let of = |partition: i32| {
        let rejects = listed["rejects"].as_array().unwrap();
        rejects.iter().find(|reject| reject["origin"]["partition"] == partition).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let shown = world.json(&["rejects", "show", &of(0), "--json"]);
    assert_eq!(shown["content"]["text"], r#"{"id":"x\u001b[2J","note":"b"}"#, "{shown:#}");
    assert_eq!((&shown["code"], &shown["task"]), (&json!("message_unreadable"), &json!("events")), "{shown:#}");
    assert!(shown["reason"].as_str().unwrap().starts_with("field id: "), "{shown:#}");
    // The beginning of an id is enough.
    let shown = world.succeed(&["rejects", "show", &of(1)[..34]]);
    assert!(shown.contains("the message is not a JSON object (byte 0)") && shown.contains("no object"), "{shown}");
    world.succeed(&["rejects", "discard", &of(1)]);
    assert_eq!(origins(&world), ["0 1"]);
    world.succeed(&["rejects", "discard", "--pipeline", "p"]);
    assert_eq!(origins(&world), Vec::<String>::new());
}

#[test]
fn a_worker_killed_around_a_commit_leaves_each_reject_and_each_message_once() {
    server();
    for point in ["after_write", "after_intent", "after_commit"] {
        let (world, topic, mut client) = topic(STREAM, "");
        send(&mut client, &topic);
        world.succeed(&["apply", "p.yaml"]);
        let killed = world.serve(&format!("{point}=kill")).wait();
        assert!(killed.was_killed(), "{point}: {killed}");
        assert_eq!(origins(&world), Vec::<String>::new(), "{point}: nobody knows yet that the load has committed");
        let _serving = world.serve("");
        eventually(&format!("{point}: what can be read is loaded"), || lake(&world) == "1 2");
        eventually(&format!("{point}: the others are listed"), || origins(&world) == ["0 1", "1 0"]);
        client.send(&topic, 1, &["broken", r#"{"id":3}"#]);
        eventually(&format!("{point}: the stream goes on"), || lake(&world) == "1 2 3");
        eventually(&format!("{point}: and sets aside"), || origins(&world) == ["0 1", "1 0", "1 1"]);
    }
}

#[test]
fn more_broken_messages_than_may_be_set_aside_fail_the_load_and_nothing_is_visible() {
    let (world, topic, mut client) = topic("", ", max_rejected: 1");
    send(&mut client, &topic);
    let failed = world.run(&["run", "p.yaml"]);
    assert!(!failed.status.success(), "{failed}");
    let text = failed.to_string();
    assert!(
        text.contains("2 of 4 messages can't be loaded") && text.contains("at most 1 message may be set aside"),
        "{text}"
    );
    assert!(text.contains("the message is not a JSON object"), "{text}");
    assert_eq!(lake(&world), "");
    assert_eq!(origins(&world), Vec::<String>::new());
    let spec = std::fs::read_to_string(world.folder.join("p.yaml")).unwrap();
    world.write("p.yaml", &spec.replace("max_rejected: 1", "max_rejected: 50%"));
    let run = world.json(&["run", "p.yaml", "--json"]);
    let receipt = &run["receipts"][0];
    let counts = ["rows_read", "rows_written", "rows_rejected"].map(|count| receipt[count].as_i64().unwrap());
    assert_eq!(counts, [4, 2, 2], "{run:#}");
    assert_eq!((lake(&world).as_str(), origins(&world).len()), ("1 2", 2));
}

#[test]
fn rows_that_violate_a_rule_are_set_aside_and_the_others_are_loaded() {
    for target in ["lake.t", "source.public.copied"] {
        let world = World::new();
        world.query(
            "CREATE TABLE orders (id bigint PRIMARY KEY, price numeric(8,2), note text);
             INSERT INTO orders VALUES (1, 1.50, 'a'), (2, -1, 'b'), (3, NULL, 'c'), (4, -2.25, NULL), (5, 3, 'e'), (6, 4, 'f')",
        );
        let tasks = |max: &str| {
            format!(
                "  orders: {{ extract: {{ from: source.public.orders }} }}\n  clean:\n    check:\n      input: orders\n      on_failure: quarantine\n      \
                 max_rejected: {max}\n      rules: [ {{ sql: \"price >= 0\", name: price_positive }}, {{ not_null: [note] }} ]\n  \
                 mine: {{ transform: \"SELECT id FROM clean WHERE id > 0\" }}\n  publish: {{ load: {{ input: mine, into: {target}, mode: overwrite }} }}\n"
            )
        };
        write(&world, "", &tasks("10%"));
        let plan = world.succeed(&["plan", "p.yaml"]);
        assert!(plan.contains("set aside more than 10% of the rows fails"), "{plan}");
        let failed = world.run(&["run", "p.yaml"]);
        assert!(!failed.status.success() && failed.to_string().contains("2 of 6 rows can't be loaded"), "{failed}");
        let text = failed.to_string();
        assert!(text.contains("rule price_positive is violated, e.g. id = 2, price = -1.00"), "{text}");
        assert!(text.contains("rule not_null(note) is violated, e.g. id = 4, note = NULL"), "{text}");
        write(&world, "", &tasks("2"));
        let run = world.json(&["run", "p.yaml", "--json"]);
        let receipt = &run["receipts"][0];
        let counts = ["rows_read", "rows_written", "rows_rejected"].map(|count| receipt[count].as_i64().unwrap());
        assert_eq!(counts, [6, 4, 2], "{run:#}");
        let held = match target {
            "lake.t" => lake(&world),
            _ => world.query("SELECT string_agg(id::text, ' ' ORDER BY id) FROM copied"),
        };
        assert_eq!(held, "1 3 5 6", "a NULL price violates no rule about prices");
        let listed = world.json(&["rejects", "list", "--run", run["run_id"].as_str().unwrap(), "--json"]);
        let ids = listed["rejects"].as_array().unwrap().iter().map(|reject| reject["id"].as_str().unwrap());
        let shown = ids.map(|id| world.json(&["rejects", "show", id, "--json"]));
        let mut found: Vec<String> =
            shown.map(|shown| format!("{} {}", shown["reason"], shown["content"]["text"])).collect();
        found.sort();
        assert!(found[0].contains("rule price_positive is violated") && found[0].contains(r#"\"id\":2"#), "{found:?}");
        assert!(found[1].contains("rules price_positive, not_null(note) are violated"), "{found:?}");
        assert!(found[1].contains(r#"\"id\":4"#) && found[1].contains(r#"\"note\":null"#), "{found:?}");
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn a_load_that_begins_again_with_a_new_column_sets_each_message_aside_once() {
    let (world, topic, mut client) = (World::new(), name(), broker().client());
    client.create(&topic, 1);
    let extract =
        format!("{{ from: kafka.\"{topic}\", cursor: auto, columns: {{ id: bigint }}, on_reject: quarantine }}");
    let load = "{ input: events, into: lake.t, mode: append, schema: add_columns }";
    write(&world, "", &format!("  events: {{ extract: {extract} }}\n  publish: {{ load: {load} }}\n"));
    let many = |from: i64| -> Vec<String> { (from..from + 600).map(|id| format!(r#"{{"id":{id}}}"#)).collect() };
    let send = |client: &mut Client, messages: &[String]| {
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        client.send(&topic, 0, &messages);
    };
    send(&mut client, &many(0));
    world.succeed(&["run", "p.yaml"]);
    // Far from both ends of the topic, where nobody looks before the run begins.
    client.send(&topic, 0, &["broken", r#"{"id":5000,"note":"x"}"#]);
    send(&mut client, &many(600));
    let run = world.json(&["run", "p.yaml", "--json"]);
    let receipt = &run["receipts"][0];
    let counts = ["rows_read", "rows_written", "rows_rejected"].map(|count| receipt[count].as_i64().unwrap());
    assert_eq!((counts, receipt["columns_added"][0]["name"].as_str()), ([602, 601, 1], Some("note")), "{run:#}");
    assert_eq!(origins(&world), ["0 600"]);
}
