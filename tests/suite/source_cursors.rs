//! Files and Delta tables whose new rows alone are loaded: each once, whatever is killed. The target is read by Python.

use serde_json::Value;

use crate::killed::at_each_step;
use crate::support::{World, python};

/// The rows of the target, as `id:note` in order.
fn lake(world: &World) -> String {
    let path = world.folder.join("lake/orders").display().to_string();
    let program = "import deltalake, sys\nt = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()\n\
                   print(' '.join(sorted(f\"{r['id']}:{r['note']}\" for r in t)))";
    python(program, &[&path])
}

fn run(world: &World) -> Value {
    let run = world.json(&["run", "p.yaml", "--json"]);
    assert_eq!(run["state"], "succeeded", "{run:#}");
    run
}

/// A world whose source gets rows one by one, by a function of them.
struct Growing {
    world: World,
    add: fn(&World, i64),
}

impl Growing {
    fn new(source: &str, add: fn(&World, i64)) -> Self {
        let world = World::new();
        std::fs::create_dir_all(world.folder.join("drop")).unwrap();
        let spec = format!(
            "name: p\nconnections:\n  drop: {{ type: files, location: \"file://{0}/drop\" }}\n  \
             raw: {{ type: delta, location: \"file://{0}/raw\" }}\n  lake: {{ type: delta, location: \"file://{0}/lake\" }}\n\
             tasks:\n  orders: {{ extract: {{ from: {source}, cursor: auto }} }}\n  \
             publish: {{ load: {{ input: orders, into: lake.orders, mode: append }} }}\n",
            world.folder.display()
        );
        world.write("p.yaml", &spec);
        Self { world, add }
    }

    fn add(&self, id: i64) {
        (self.add)(&self.world, id);
    }
}

fn files() -> Growing {
    // Later names come first.
    Growing::new("drop.\"*.csv\"", |world, id| {
        let path = world.folder.join(format!("drop/{}.csv", 9 - id));
        std::fs::write(path, format!("id,note\n{id},n\n")).unwrap();
    })
}

fn delta() -> Growing {
    Growing::new("raw.orders", |world, id| {
        let path = world.folder.join("raw/orders").display().to_string();
        let program = "import sys, pyarrow as pa\nfrom deltalake import write_deltalake\n\
                       write_deltalake(sys.argv[1], pa.table({'id': [int(sys.argv[2])], 'note': ['n']}), mode='append')";
        std::fs::create_dir_all(&path).unwrap();
        python(program, &[&path, &id.to_string()]);
    })
}

fn three_runs(source: &Growing, shown: [&str; 2]) {
    let world = &source.world;
    source.add(1);
    source.add(2);
    run(world);
    assert_eq!(lake(world), "1:n 2:n");
    source.add(3);
    let second = run(world);
    assert_eq!(second["receipts"][0]["rows_written"], 1, "{second:#}");
    let cursor = &second["receipts"][0]["cursors"][0];
    assert_eq!((cursor["from"].as_str(), cursor["to"].as_str()), (Some(shown[0]), Some(shown[1])), "{second:#}");
    assert_eq!(lake(world), "1:n 2:n 3:n");
    let third = run(world);
    assert_eq!(third["receipts"].as_array().unwrap().len(), 0, "nothing is new: {third:#}");
    let cursors = world.json(&["cursors", "list", "p", "--json"]);
    assert_eq!(cursors["cursors"][0]["position"], shown[1], "{cursors:#}");
    let full = world.json(&["run", "p.yaml", "--full-refresh", "--json"]);
    assert_eq!(full["state"], "succeeded", "{full:#}");
    assert_eq!(lake(world), "1:n 2:n 3:n");
}

/// Loads some rows, then is killed at one place while it loads a further one, and is finished by another process.
fn killed_at(source: &Growing, point: &str) {
    let world = &source.world;
    source.add(1);
    run(world);
    source.add(2);
    let mut command = world.command(&["run", "p.yaml"]);
    command.env("HEADWATER_FAILPOINTS", format!("{point}=kill"));
    let done = world.start(command).wait();
    assert!(done.was_killed(), "{point}: {done}");
    if point != "after_finish" {
        let rerun = world.json(&["runs", "rerun", "--json"]);
        assert_eq!(rerun["state"], "succeeded", "{point}: {rerun:#}");
    }
    assert_eq!(lake(world), "1:n 2:n", "{point}");
    source.add(3);
    run(world);
    assert_eq!(lake(world), "1:n 2:n 3:n", "{point}");
}

fn killed_anywhere(source: fn() -> Growing) {
    at_each_step(|point| killed_at(&source(), point));
}

#[test]
fn files_are_loaded_once_each() {
    let source = files();
    three_runs(&source, ["2 files, the last 8.csv", "3 files, the last 8.csv"]);
    let world = &source.world;
    let planned = world.run(&["plan", "p.yaml"]);
    assert!(planned.to_string().contains("overwritten or grows at the source is read again"), "{planned}");
    std::fs::write(world.folder.join("drop/8.csv"), "id,note\n1,changed\n").unwrap();
    run(world);
    assert_eq!(lake(world), "1:changed 1:n 2:n 3:n", "an append takes a file that was overwritten as another one");
}

#[test]
fn versions_of_a_delta_table_are_loaded_once_each() {
    let source = delta();
    three_runs(&source, ["version 1", "version 2"]);
    let world = &source.world;
    let path = world.folder.join("raw/orders").display().to_string();
    python(
        "import deltalake, sys\ndeltalake.DeltaTable(sys.argv[1]).update(predicate='id = 2', updates={'note': \"'u'\"})",
        &[&path],
    );
    let refused = world.run(&["run", "p.yaml"]);
    assert!(
        !refused.status.success() && refused.to_string().contains("rows were changed or deleted in version 3"),
        "{refused}"
    );
    assert_eq!(lake(world), "1:n 2:n 3:n");
}

#[test]
fn a_process_killed_at_any_step_of_a_load_of_new_files_leaves_every_row_once() {
    killed_anywhere(files);
}

#[test]
fn a_process_killed_at_any_step_of_a_load_of_new_versions_leaves_every_row_once() {
    killed_anywhere(delta);
}
