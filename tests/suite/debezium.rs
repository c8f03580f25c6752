//! Change events of a real Debezium, from a real Postgres over a real broker into a lake and another database: both equal the source, whatever it does.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::broker::{broker, name};
use crate::server::cluster;
use crate::support::{World, eventually, python, root};

/// The password of the source's superuser, for connections by TCP.
const PASSWORD: &str = "only-for-tests";

/// A database with logical decoding.
struct Source {
    database: String,
}

impl Source {
    fn new() -> Self {
        let source = Self { database: name().replace('-', "_") };
        psql("postgres", &format!("ALTER ROLE postgres PASSWORD '{PASSWORD}'"));
        psql("postgres", &format!("CREATE DATABASE {}", source.database));
        source
    }

    fn run(&self, sql: &str) -> String {
        psql(&self.database, sql)
    }
}

fn psql(database: &str, sql: &str) -> String {
    let cluster = cluster();
    let done = Command::new("psql")
        .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", &cluster.port.to_string(), "-h"])
        .arg(&cluster.socket)
        .args(["-d", database, "-c", sql])
        .output()
        .unwrap();
    assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// The folder of Connect and Debezium, which `scripts/debezium` fetches and prints.
fn programs() -> &'static PathBuf {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        if let Some(programs) = std::env::var_os("HEADWATER_TEST_DEBEZIUM") {
            return PathBuf::from(programs);
        }
        let done = Command::new(root().join("scripts/debezium")).stderr(Stdio::inherit()).output().unwrap();
        assert!(done.status.success(), "scripts/debezium could not fetch what this test runs");
        PathBuf::from(String::from_utf8(done.stdout).unwrap().trim())
    })
}

/// Connect with one connector, in a process that ends with the value.
struct Connect {
    process: Child,
}

impl Drop for Connect {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts Debezium over the tables of a database; `topics` is what their topics begin with.
fn connect(world: &World, source: &Source, topics: &str) -> Connect {
    let worker = format!(
        "bootstrap.servers=127.0.0.1:{}\nkey.converter=org.apache.kafka.connect.json.JsonConverter\nkey.converter.schemas.enable=false\n\
         value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false\n\
         value.converter.replace.null.with.default=false\noffset.storage.file.filename={}\noffset.flush.interval.ms=200\n\
         plugin.path={}\nlisteners=http://127.0.0.1:0\n",
        broker().plain,
        world.folder.join("offsets").display(),
        programs().join("plugins").display()
    );
    let connector = format!(
        "name={topics}\nconnector.class=io.debezium.connector.postgresql.PostgresConnector\ntasks.max=1\ndatabase.hostname=127.0.0.1\n\
         database.port={}\ndatabase.user=postgres\ndatabase.password={PASSWORD}\ndatabase.dbname={}\ntopic.prefix={topics}\n\
         table.include.list=public.customers,public.lines\npublication.autocreate.mode=filtered\n\
         plugin.name=pgoutput\nslot.name={}\npublication.name={}\ndecimal.handling.mode=string\ntime.precision.mode=isostring\n",
        cluster().port,
        source.database,
        source.database,
        source.database
    );
    for (name, text) in [("worker.properties", worker), ("connector.properties", connector)] {
        world.write(name, &text);
    }
    let log = std::fs::File::options().create(true).append(true).open(world.folder.join("connect.log")).unwrap();
    let process = Command::new("java")
        .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}/*", programs().join("lib").display()))
        .arg("org.apache.kafka.connect.cli.ConnectStandalone")
        .args(["worker.properties", "connector.properties"])
        .current_dir(&world.folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Connect { process }
}

/// Rows of the source, in a form that no reader of the targets can miss a difference in.
const SOURCE: &str = "SELECT string_agg(concat_ws('|', id, coalesce(name, '∅'), coalesce(balance::text, '∅'), coalesce(at::text, '∅'), coalesce(born::text, '∅'),
     coalesce(md5(long), '∅'), coalesce(md5(bytes), '∅')), ' ' ORDER BY id) FROM customers";

fn lake(world: &World, table: &str) -> String {
    let path = world.folder.join("lake").join(table).display().to_string();
    let program = "import deltalake, hashlib, sys
if not deltalake.DeltaTable.is_deltatable(sys.argv[1]): sys.exit()
shown = lambda value: '∅' if value is None else str(value)
def time(value):
    if value is None: return '∅'
    text = value.strftime('%Y-%m-%d %H:%M:%S.%f').rstrip('0').rstrip('.')
    return text
md5 = lambda value: '∅' if value is None else hashlib.md5(value if isinstance(value, bytes) else value.encode()).hexdigest()
rows = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()
print(' '.join('|'.join([str(r['id']), shown(r['name']), shown(r['balance']), time(r['at']), shown(r['born']), md5(r['long']), md5(r['bytes'])]) for r in sorted(rows, key=lambda r: r['id'])))";
    python(program, &[&path])
}

/// A world with the customers of a source in a lake and in another database, kept by one stream, and the orders in a lake.
fn world(source: &Source, topics: &str) -> World {
    let world = World::new();
    let cluster = cluster();
    let columns =
        "{ id: bigint, name: text, balance: \"decimal(12,2)\", at: timestamp, born: date, long: text, bytes: bytea }";
    let spec = format!(
        "name: customers\nstream: {{ every: 200ms }}\nconnections:\n  \
         cdc: {{ type: kafka, bootstrap: \"127.0.0.1:{}\", format: debezium }}\n  lake: {{ type: delta, location: \"file://{}\" }}\n  \
         copy: {{ type: postgres, url: \"postgres://postgres@/{}?host={}&port={}\" }}\ntasks:\n  \
         customers: {{ extract: {{ from: cdc.\"{topics}.public.customers\", cursor: auto, columns: {columns} }} }}\n  \
         into_lake: {{ load: {{ input: customers, into: lake.customers, mode: upsert, keys: [id], changes: true, schema: add_columns }} }}\n  \
         into_copy: {{ load: {{ input: customers, into: copy.mine.customers, mode: upsert, keys: [id], changes: true, on_delete: soft, schema: add_columns }} }}\n  \
         lines: {{ extract: {{ from: cdc.\"{topics}.public.lines\", cursor: auto, columns: {{ a: bigint, b: text, n: integer }} }} }}\n  \
         into_lines: {{ load: {{ input: lines, into: lake.lines, mode: upsert, keys: [a, b], changes: true }} }}\n",
        broker().plain,
        world.folder.join("lake").display(),
        source.database,
        cluster.socket.display(),
        cluster.port
    );
    world.write("p.yaml", &spec);
    world
}

#[test]
fn a_lake_and_a_table_equal_their_source_through_everything_that_it_does() {
    let source = Source::new();
    let topics = format!("dbz-{}", name());
    for table in ["customers", "lines"] {
        broker().client().create(&format!("{topics}.public.{table}"), 3);
    }
    source.run(
        "CREATE TABLE customers (id bigint PRIMARY KEY, name text DEFAULT 'nobody', balance numeric(12,2), at timestamp, born date, long text, bytes bytea);
         ALTER TABLE customers ALTER COLUMN long SET STORAGE EXTERNAL, ALTER COLUMN bytes SET STORAGE EXTERNAL;
         CREATE TABLE lines (a bigint, b text, n integer, PRIMARY KEY (a, b));
         INSERT INTO customers SELECT n, CASE WHEN n % 3 > 0 THEN 'name ' || n END, n / 7.0, timestamp '2026-01-01 00:00:00.123456' + n * interval '1 hour', date '1970-01-01' + n,
           repeat(md5(n::text), 200), decode(repeat(md5(n::text), 200), 'hex') FROM generate_series(1, 40) n;
         INSERT INTO lines SELECT n, 'x' || n % 3, n FROM generate_series(1, 10) n",
    );
    let world = world(&source, &topics);
    let mut running = Some(connect(&world, &source, &topics));
    let mut serving = Some(world.serve(""));
    let told = || std::fs::read_to_string(world.folder.join("connect.log")).unwrap_or_default();
    eventually("the snapshot is sent", || {
        told().contains("Snapshot completed") || told().contains("Finished exporting")
    });
    world.succeed(&["apply", "p.yaml"]);
    let equal = |what: &str| {
        let expected = source.run(SOURCE);
        let lines = source.run("SELECT string_agg(a || b || n, ' ' ORDER BY a, b) FROM lines");
        eventually(&format!("{what}: the lake equals the source"), || lake(&world, "customers") == expected);
        let copied = SOURCE.replace("FROM customers", "FROM mine.customers WHERE deleted_at IS NULL");
        eventually(&format!("{what}: the copy equals the source"), || {
            source.run("SELECT to_regclass('mine.customers') IS NOT NULL") == "t" && source.run(&copied) == expected
        });
        let program = "import deltalake, sys
rows = deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist()
print(' '.join(f\"{r['a']}{r['b']}{r['n']}\" for r in sorted(rows, key=lambda r: (r['a'], r['b']))))";
        let path = world.folder.join("lake/lines").display().to_string();
        eventually(&format!("{what}: the lines equal"), || python(program, &[&path]) == lines);
    };
    equal("the snapshot");
    let from = format!("cdc.\"{topics}.public.lines\"");
    let written = world.succeed(&["new", "--from", &from, "--into", "lake"]);
    assert!(written.contains("mode: upsert, keys: [a, b], changes: true"), "{written}");
    world.write("new.yaml", &written);
    world.succeed(&["plan", "new.yaml"]);
    // Long values are not sent by updates of other columns.
    source.run("UPDATE customers SET balance = -balance WHERE id <= 20; UPDATE customers SET name = NULL, born = NULL WHERE id % 5 = 0; UPDATE lines SET n = n + 100 WHERE a > 5");
    source.run("BEGIN; UPDATE customers SET long = repeat('new ', 3000) WHERE id = 7; UPDATE customers SET at = NULL WHERE id = 7; COMMIT");
    equal("updates without long values");
    // Keys that change, with everything sent.
    source.run("ALTER TABLE customers REPLICA IDENTITY FULL; UPDATE customers SET id = id + 1000 WHERE id IN (3, 4); ALTER TABLE customers REPLICA IDENTITY DEFAULT");
    source.run("BEGIN; DELETE FROM customers WHERE id = 9; INSERT INTO customers (id, name) VALUES (9, 'again'); COMMIT; UPDATE lines SET b = 'y' WHERE a = 2");
    source.run("BEGIN; INSERT INTO customers (id) VALUES (50); SAVEPOINT s; INSERT INTO customers (id) VALUES (51); ROLLBACK TO s; DELETE FROM customers WHERE id = 10; COMMIT; DELETE FROM lines WHERE a = 1");
    equal("keys, deletes and savepoints");
    assert_eq!(
        source.run("SELECT count(*) FROM mine.customers WHERE deleted_at IS NOT NULL AND id IN (3, 4, 10)"),
        "3"
    );
    // Both the sender and the loader die in the middle of it.
    source.run("UPDATE customers SET name = 'first ' || id WHERE id < 30");
    drop(running.take());
    drop(serving.take());
    source.run("UPDATE customers SET name = 'second ' || id WHERE id < 20; ALTER TABLE customers ADD COLUMN extra integer; INSERT INTO customers (id, extra) VALUES (60, 5)");
    let _connect = connect(&world, &source, &topics);
    let _serving = world.serve("");
    equal("after both were killed");
    eventually("the new column is there", || {
        source.run("SELECT to_regclass('mine.customers') IS NOT NULL AND EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'mine' AND column_name = 'extra')") == "t"
    });
    eventually("with its value", || source.run("SELECT extra FROM mine.customers WHERE id = 60") == "5");
}
