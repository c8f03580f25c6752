//! A spec with ten mistakes: every one is told, in its place, in one go.

use serde_json::Value;

use crate::support::{Done, World};

const SPEC: &str = r#"name: ten_mistakes
schedule: { cron: "61 5 * * *" }
params:
  since: { type: date, default: yesterday }
connections:
  shop: { type: postgres, url: "${SHOP_URL}" }
  lake: { type: delta, location: "file:///tmp/lake" }
tasks:
  orders: { extract: { from: shop.public.orders } }
  customers: { extract: { from: shop.public.custmers } }
  refunds: { extract: { from: shop.public.refunds, colums: [id] } }
  by_day:
    transform: |
      SELECT o.id, o.amuont, o.placed_on + o.note AS shifted
      FROM orders o
      WHERE o.placed_on >= $since
  joined:
    transform: SELECT * FROM ordres
  clean:
    check:
      input: orders
      rules: [ { not_null: [idd] } ]
  first: { wait: 1s, needs: [second] }
  second: { wait: 1s, needs: [first] }
  publish:
    load: { input: by_day, into: lkae.by_day, mode: append }
"#;

fn plan(world: &World, arguments: &[&str]) -> Done {
    let mut command = world.command(arguments);
    command.env("SHOP_URL", world.url()).args(["--allow-variable", "SHOP_*"]);
    let done = world.start(command).wait();
    assert_eq!(done.code(), Some(1), "{done}");
    done
}

#[test]
fn ten_mistakes_two_of_them_in_one_select_are_all_told_with_their_places() {
    let world = World::new();
    world.query(
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12,2), placed_on date, note text);
         CREATE TABLE customers (id bigint); CREATE TABLE refunds (id bigint)",
    );
    world.write("ten.yaml", SPEC);
    let told = plan(&world, &["plan", "ten.yaml"]);
    assert!(told.stderr.ends_with("10 errors, 0 warnings\n"), "{told}");
    insta::assert_snapshot!("ten_mistakes_for_people", told.stderr);
    let document: Value = serde_json::from_str(&plan(&world, &["plan", "ten.yaml", "--json"]).stdout).unwrap();
    assert_eq!(document["diagnostics"].as_array().unwrap().len(), 10);
    insta::assert_snapshot!("ten_mistakes_as_json", serde_json::to_string_pretty(&document["diagnostics"]).unwrap());
}
