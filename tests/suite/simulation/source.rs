//! The source that changes, and the pipelines that load it.

use crate::random::Random;
use crate::support::World;

/// One table for each kind of load.
pub(super) const TABLES: &str = "
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric(12,2) NOT NULL, note text,
                     updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON orders (updated_at);
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, seen_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, segment text,
                        updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE products (id bigint PRIMARY KEY, name text, price numeric(12,2) NOT NULL);
CREATE TABLE prices (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric(12,2) NOT NULL,
                     updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seen_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO orders (total, note) SELECT i / 4.0, 'first' FROM generate_series(1, 300) i;
INSERT INTO customers (name, segment) SELECT 'n' || i, 's' || i % 3 FROM generate_series(1, 60) i;
INSERT INTO products SELECT i, 'n' || i, i / 4.0 FROM generate_series(1, 80) i;
INSERT INTO prices (price) SELECT i / 4.0 FROM generate_series(1, 80) i";

/// The column that `orders` gets one day.
pub(super) const NEW_COLUMN: &str = "ALTER TABLE orders ADD COLUMN channel text";

/// The pipelines: one by the hour, and one in the night by the clock of Berlin.
pub(super) fn pipelines(world: &World) -> [String; 2] {
    let connections = format!(
        "connections:\n  shop: {{ type: postgres, url: \"{}\" }}\n  lake: {{ type: delta, location: \"file://{}\" }}\ntasks:\n",
        world.url(),
        world.folder.join("lake").display()
    );
    let hourly = "  \
  orders: { extract: { from: shop.public.orders, cursor: updated_at } }
  events: { extract: { from: shop.public.events, cursor: id } }
  customers: { extract: { from: shop.public.customers, cursor: updated_at } }
  to_orders:
    load: { input: orders, into: lake.orders, mode: upsert, keys: [id], order_by: updated_at, schema: add_columns, deletes: { by: keys, every: 1d } }
  to_events: { load: { input: events, into: lake.events, mode: append } }
  to_history: { load: { input: customers, into: lake.history, mode: scd2, keys: [id], order_by: updated_at, track: [segment] } }
";
    // Open: a scan is due by the wall clock. With `every: 1d`, a night that starts a second earlier than the last one scans nothing, and what is gone stays until the next
    // night. So 23h here, until a scan is due by the run's time; then it has to be 1d again.
    let nightly = "  \
  products: { extract: { from: shop.public.products } }
  prices: { extract: { from: shop.public.prices, cursor: updated_at } }
  visits: { transform: \"SELECT id, seen_at FROM shop.public.visits WHERE seen_at >= $interval_start AND seen_at < $interval_end\" }
  to_products: { load: { input: products, into: lake.products, mode: upsert, keys: [id], on_delete: soft } }
  to_prices: { load: { input: prices, into: lake.prices, mode: upsert, keys: [id], order_by: updated_at, deletes: { by: keys, every: 23h } } }
  to_visits: { load: { input: visits, into: lake.visits, mode: append } }
";
    [
        format!("name: hourly\nschedule: {{ cron: '0 * * * *', timezone: Europe/Berlin }}\n{connections}{hourly}"),
        format!(
            "name: nightly\nschedule: {{ cron: '30 2 * * *', timezone: Europe/Berlin, catchup: all, overlap: queue }}\n{connections}{nightly}"
        ),
    ]
}

/// What happens to the source between two stops. It prints the orders that are deleted. Rows whose ids end in zero are left to transactions that
/// stay open, so that nobody waits for their locks.
pub(super) fn changes(random: &mut Random, channel: bool) -> String {
    let mut some = |few: u64, many: u64| {
        let one_in = random.between(few, many);
        format!("id % 10 <> 0 AND id % {one_in} = {}", random.below(one_in))
    };
    let (updated, deleted, moved, renamed, gone) = (some(7, 20), some(40, 70), some(8, 15), some(8, 15), some(60, 90));
    let (repriced, unpriced, edited) = (some(8, 15), some(60, 90), some(8, 15));
    let (added, note, back) = (random.between(1, 6), random.below(1_000), random.between(1, 80));
    let (column, value) = if channel { (", channel", ", 'c' || i % 3") } else { ("", "") };
    let set_channel = if channel { ", channel = 'web'" } else { "" };
    format!(
        "BEGIN;
         INSERT INTO orders (total, note{column}) SELECT i / 4.0, 'new {note}'{value} FROM generate_series(1, {added}) i;
         UPDATE orders SET total = total + 0.25, note = 'u{note}'{set_channel}, updated_at = clock_timestamp() WHERE {updated};
         INSERT INTO events (kind) SELECT 'k{note}' FROM generate_series(1, {added}) i;
         COMMIT; BEGIN;
         UPDATE customers SET segment = nullif('s{}', 's3'), updated_at = clock_timestamp() WHERE {moved};
         UPDATE customers SET name = 'n{note}', updated_at = clock_timestamp() WHERE {renamed};
         INSERT INTO customers (name, segment) VALUES ('new', 's{}');
         COMMIT; BEGIN;
         UPDATE products SET price = price + 1, name = nullif('n{}', 'n0') WHERE {edited};
         DELETE FROM products WHERE {gone};
         INSERT INTO products VALUES ({back}, 'back', 1) ON CONFLICT DO NOTHING;
         UPDATE prices SET price = price + 1, updated_at = clock_timestamp() WHERE {repriced};
         DELETE FROM prices WHERE {unpriced};
         INSERT INTO prices (price) VALUES ({note});
         INSERT INTO visits SELECT FROM generate_series(1, {added});
         COMMIT;
         DELETE FROM orders WHERE {deleted} RETURNING id",
        note % 4,
        note % 3,
        note % 2,
    )
}

/// What a transaction does that stays open.
pub(super) fn late_changes(random: &mut Random) -> String {
    let (rows, hundred) = (random.between(1, 4), random.below(3));
    format!(
        "INSERT INTO orders (total, note) SELECT i, 'late' FROM generate_series(1, {rows}) i;
         SAVEPOINT s; INSERT INTO events (kind) VALUES ('late'), ('late'); RELEASE s;
         UPDATE orders SET note = 'late', total = total + 1, updated_at = clock_timestamp() WHERE id % 10 = 0 AND id / 100 = {hundred};
         UPDATE customers SET segment = 'late {rows}', updated_at = clock_timestamp() WHERE id % 20 = 10"
    )
}
