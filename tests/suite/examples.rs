//! Every spec of pipelines/examples is planned and run, on TPC-H data.

use std::process::Command;

use crate::support::{World, headwater, python, root, server};

/// A world with the connections that the examples name.
fn world() -> World {
    let world = World::new();
    let loaded = Command::new(root().join("scripts/tpch-load"))
        .args([&world.url(), "0.01", "region", "nation", "customer", "orders"])
        .env("CARGO_TARGET_DIR", headwater().parent().unwrap().parent().unwrap())
        .output()
        .unwrap();
    assert!(loaded.status.success(), "scripts/tpch-load: {}", String::from_utf8_lossy(&loaded.stderr));
    let warehouse = format!("{}_warehouse", world.source);
    server().query("postgres", &format!("CREATE DATABASE {warehouse}"));
    let folder = world.folder.display();
    world.succeed(&["connections", "add", "tpch", &world.url()]);
    world.succeed(&["connections", "add", "warehouse", &server().url(&warehouse)]);
    world.succeed(&["connections", "add", "lake", "delta", &format!("file://{folder}/lake")]);
    world.succeed(&["connections", "add", "reports", "files", &format!("file://{folder}/reports")]);
    world
}

#[test]
fn every_example_can_be_planned_and_run() {
    let world = world();
    let folder = root().join("pipelines/examples");
    let mut specs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    specs.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    specs.sort();
    assert!(specs.len() >= 6, "{specs:?}");
    for path in &specs {
        let spec = path.to_str().unwrap();
        world.succeed(&["plan", spec]);
        let run = world.json(&["run", spec, "--json"]);
        assert_eq!(run["state"], "succeeded", "{spec}: {run:#}");
        for receipt in run["receipts"].as_array().unwrap() {
            assert!(receipt["rows_written"].as_u64().unwrap() > 0, "{spec}: {receipt:#}");
        }
    }
    others_read_what_was_written(&world);
}

fn others_read_what_was_written(world: &World) {
    let warehouse = format!("{}_warehouse", world.source);
    let nations = "SELECT count(*), sum(n_nationkey), count(DISTINCT n_name) FROM nation";
    assert_eq!(server().query(&warehouse, nations), world.query(nations));
    let read = "import sys, deltalake, pyarrow.compute as c\n\
                t = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table()\n\
                print(t.num_rows, c.sum(t[sys.argv[2]]), sep='|')";
    let lake = |table: &str| world.folder.join("lake").join(table).display().to_string();
    let customers = world.query("SELECT count(*), sum(c_acctbal) FROM customer");
    assert_eq!(python(read, &[&lake("customers"), "c_acctbal"]), customers);
    let sales = world.query("SELECT count(*), sum(o_totalprice) FROM orders WHERE o_orderdate >= '1995-01-01'");
    assert_eq!(python(read, &[&lake("sales"), "total"]), sales);
    let report = world.folder.join("reports/by_nation.parquet").display().to_string();
    let sum = "import sys, pyarrow.parquet as p, pyarrow.compute as c\nt = p.read_table(sys.argv[1])\n\
               print(c.sum(t['orders']), c.sum(t['revenue']), sep='|')";
    assert_eq!(python(sum, &[&report]), sales);
}
