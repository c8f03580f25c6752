//! Topics that are loaded by scheduled runs: each message once, whatever is killed. The broker is a real one, the lake is read by Python.

use headwater_engine::failpoint::FAILPOINTS;
use serde_json::{Value, json};

use crate::broker::{Client, broker, name};
use crate::support::{World, python, server};

/// A world with a topic of two partitions, and a pipeline that loads its new messages into a lake.
fn world() -> (World, String, Client) {
    let (world, topic, mut client) = (World::new(), name(), broker().client());
    client.create(&topic, 2);
    let spec = format!(
        "name: events\nconnections:\n  stream: {{ type: kafka, bootstrap: \"127.0.0.1:{}\" }}\n  lake: {{ type: delta, location: \"file://{}\" }}\n\
         tasks:\n  events: {{ extract: {{ from: stream.\"{topic}\", cursor: auto, columns: {{ id: bigint, note: text }} }} }}\n  \
         publish: {{ load: {{ input: events, into: lake.events, mode: append }} }}\n",
        broker().plain,
        world.folder.join("lake").display()
    );
    world.write("p.yaml", &spec);
    (world, topic, client)
}

/// Ids and notes of the lake's rows, in order.
fn lake(world: &World) -> String {
    let path = world.folder.join("lake/events").display().to_string();
    let program = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(' '.join(sorted(f\"{r['id']}:{r['note']}\" for r in t)))";
    python(program, &[&path])
}

fn run(world: &World) -> Value {
    let run = world.json(&["run", "p.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    run
}

#[test]
fn each_message_is_loaded_once_and_the_receipt_says_which_offsets() {
    let (world, topic, mut client) = world();
    client.send(&topic, 0, &[r#"{"id":1,"note":"a"}"#]).send(&topic, 1, &[r#"{"id":2,"note":"b"}"#]);
    run(&world);
    client.send(&topic, 1, &[r#"{"id":3,"note":"c"}"#]);
    let second = run(&world);
    assert_eq!(lake(&world), "1:a 2:b 3:c");
    assert_eq!(second["receipts"][0]["rows_written"], 1);
    assert_eq!(second["receipts"][0]["cursors"][0]["task"], "events", "{second:#}");
    let third = run(&world);
    assert_eq!(third["receipts"], json!([]), "nothing is new: {third:#}");
}

#[test]
fn a_process_killed_at_any_step_of_a_load_from_a_topic_leaves_every_message_once() {
    server();
    for point in FAILPOINTS {
        let (world, topic, mut client) = world();
        client.send(&topic, 0, &[r#"{"id":1,"note":"a"}"#, r#"{"id":2,"note":"b"}"#]);
        run(&world);
        client.send(&topic, 1, &[r#"{"id":3,"note":"c"}"#]);
        let mut command = world.command(&["run", "p.yaml"]);
        command.env("HEADWATER_FAILPOINTS", format!("{point}=kill"));
        let done = world.start(command).wait();
        if done.was_killed() && point != "after_finish" {
            let rerun = world.json(&["runs", "rerun", "--json"]);
            assert_eq!(rerun["state"], "succeeded", "{point}: {rerun:#}");
        }
        client.send(&topic, 0, &[r#"{"id":4,"note":"d"}"#]);
        run(&world);
        assert_eq!(lake(&world), "1:a 2:b 3:c 4:d", "{point}");
    }
}

#[test]
fn messages_that_nobody_is_to_see_move_the_position_so_that_their_end_is_no_lost_data() {
    let (world, topic, mut client) = world();
    client.send(&topic, 0, &[r#"{"id":1,"note":"a"}"#]);
    run(&world);
    let begin = json!({ "do": "begin", "id": topic });
    client.run(&begin).send(&topic, 0, &[r#"{"id":2,"note":"b"}"#]).run(&json!({ "do": "abort" }));
    let second = run(&world);
    assert_eq!(second["receipts"][0]["rows_written"], 0, "{second:#}");
    client.run(&json!({ "do": "truncate", "topic": topic, "partition": 0, "before": 3 }));
    client.send(&topic, 0, &[r#"{"id":3,"note":"c"}"#]);
    run(&world);
    assert_eq!(lake(&world), "1:a 3:c");
}

#[test]
fn a_topic_that_was_made_again_stops_the_run_and_a_full_refresh_replaces_the_rows() {
    let (world, topic, mut client) = world();
    client.send(&topic, 0, &[r#"{"id":1,"note":"a"}"#]);
    run(&world);
    client.run(&json!({ "do": "delete", "topic": topic }));
    crate::support::eventually("it is gone", || !world.run(&["plan", "p.yaml"]).status.success());
    client.create(&topic, 2).send(&topic, 0, &[r#"{"id":7,"note":"x"}"#, r#"{"id":8,"note":"y"}"#]);
    let stopped = world.run(&["run", "p.yaml"]);
    assert!(!stopped.status.success() && stopped.stdout.contains("--full-refresh"), "{stopped}");
    assert_eq!(lake(&world), "1:a");
    world.succeed(&["run", "p.yaml", "--full-refresh"]);
    assert_eq!(lake(&world), "7:x 8:y");
}

#[test]
fn a_plan_says_what_was_guessed_of_messages() {
    let (world, topic, mut client) = world();
    client.send(&topic, 0, &[r#"{"id":1,"_offset":7}"#, "broken"]);
    for cursor in ["", ", cursor: auto"] {
        let broker = broker().plain;
        let folder = world.folder.join("lake").display().to_string();
        let text = format!(
            "name: guessed\nconnections:\n  stream: {{ type: kafka, bootstrap: \"127.0.0.1:{broker}\" }}\n  lake: {{ type: delta, location: \"file://{folder}\" }}\n\
             tasks:\n  events: {{ extract: {{ from: stream.\"{topic}\"{cursor} }} }}\n  publish: {{ load: {{ input: events, into: lake.guessed, mode: append }} }}\n"
        );
        world.write("guessed.yaml", &text);
        let plan = world.json(&["plan", "guessed.yaml", "--json"]);
        let notes = plan["notes"]["events"].as_array().unwrap_or_else(|| panic!("{plan:#}"));
        assert!(notes.iter().any(|note| note.as_str().unwrap().contains("guessed")), "{plan:#}");
        let shown = world.succeed(&["plan", "guessed.yaml"]);
        assert!(shown.contains("  note: ") && shown.contains("guessed"), "{shown}");
    }
}

#[test]
fn what_would_leave_changes_out_or_their_order_unknown_is_refused_at_plan() {
    let (world, topic, other, mut client) = (World::new(), name(), name(), broker().client());
    let message = json!({ "key": "{\"a\":1,\"b\":2}", "value": json!({ "before": null, "after": { "a": 1, "b": 2, "n": 3 }, "op": "c" }).to_string() });
    for topic in [&topic, &other] {
        client.create(topic, 1).run(&json!({ "do": "send", "topic": topic, "partition": 0, "messages": [message] }));
    }
    let plan = |transform: &str, load: &str| {
        let spec = format!(
            "name: changes\nconnections:\n  cdc: {{ type: kafka, bootstrap: \"127.0.0.1:{}\", format: debezium }}\n  lake: {{ type: delta, location: \"file://{}\" }}\n\
             tasks:\n  x: {{ extract: {{ from: cdc.\"{topic}\", cursor: auto }} }}\n  y: {{ extract: {{ from: cdc.\"{other}\", cursor: auto }} }}\n  \
             z: {{ transform: \"{transform}\" }}\n  publish: {{ load: {{ input: z, into: lake.t, {load} }} }}\n  rest: {{ load: {{ input: y, into: lake.y, mode: append }} }}\n",
            broker().plain,
            world.folder.join("lake").display()
        );
        world.write("changes.yaml", &spec);
        // Messages are wrapped.
        world.run(&["plan", "changes.yaml"]).to_string().replace("\n  │ ", " ")
    };
    let changes = "mode: upsert, keys: [a, b], changes: true";
    let fine = plan("SELECT a, b, n + 1 AS n, _op, _position, _unchanged FROM x", changes);
    assert!(fine.contains("of each a, b the last change counts"), "{fine}");
    for (transform, load, expected) in [
        ("SELECT * FROM x WHERE n > 1", changes, "has a condition"),
        (
            "SELECT a, b, CASE WHEN n > 1 THEN _op ELSE 'd' END AS _op, _position, _unchanged FROM x",
            changes,
            "computes _op",
        ),
        ("SELECT a, b, _op, -_position AS _position, _unchanged FROM x", changes, "computes _position"),
        ("SELECT * FROM x UNION ALL SELECT * FROM y", changes, "several sources"),
        ("SELECT a, b, n, _op, _position FROM x", changes, "no column _unchanged"),
        ("SELECT a, b, n AS _hw_kept, _op, _position, _unchanged FROM x", changes, "names that begin with _hw_"),
        ("SELECT * FROM x", "mode: upsert, keys: [a], changes: true", "those of the messages are a, b"),
        ("SELECT * FROM x", "mode: upsert, keys: [a, b]", "the rows are changes"),
        ("SELECT * FROM x", "mode: append, changes: true", "accepts no `changes`"),
        ("SELECT * FROM x", "mode: upsert, keys: [a, b], changes: true, order_by: n", "accepts no `order_by`"),
        ("SELECT * FROM x", "mode: upsert, keys: [a, b], changes: true, on_delete: ignore", "on_delete: ignore"),
    ] {
        let refused = plan(transform, load);
        assert!(refused.contains(expected), "{transform} {load}: {refused}");
    }
}
