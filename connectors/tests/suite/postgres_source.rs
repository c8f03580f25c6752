//! Reading from Postgres.

use arrow::datatypes::{DataType, TimeUnit};
use headwater_engine::ErrorKind;
use headwater_engine::connector::{Expected, SourceObject};
use headwater_pipelines::spec::WriteMode;
use serde_json::json;

use crate::cluster::Database;
use crate::load::{copy, delta, path, postgres, read, request, show, sink, sql, table, with_columns};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_is_read_as_what_it_is() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TYPE mood AS ENUM ('sad', 'glad');
             CREATE DOMAIN positive AS int CHECK (VALUE > 0);
             CREATE TABLE \"Every Type\" (
               b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric(12,2), bare numeric, big numeric(50,3),
               t text, v varchar(5), c char(4), bin bytea, d date, ts timestamp, tz timestamptz,
               u uuid, j json, jb jsonb, m mood, p positive, iv interval, ip inet, tm time, r int4range,
               ai int[], at text[], an numeric(10,1)[], au uuid[]);
             INSERT INTO \"Every Type\" VALUES
               (true, -32768, 2147483647, -9223372036854775808, 1.5, 'NaN', -1234567890.12, 0.123456789012, 1.5,
                'grün', 'abc', 'ab', '\\x00ff', '1969-12-31', '1969-12-31 23:59:59.999999', '2026-07-01 12:00+02',
                'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', '{\"b\":2}', 'glad', 7, '1 day 2 hours', '10.0.0.1/8',
                '12:30', '[1,5)', '{1,NULL,3}', '{a,\"b,c\"}', '{1.5,2}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'),
               (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,
                NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL)",
        )
        .await;
    let shop = postgres(&database.url);
    let source = table(&shop, "public.Every Type").await.unwrap();
    let schema = source.schema();
    let of = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(of("n"), DataType::Decimal128(12, 2));
    assert_eq!(of("bare"), DataType::Decimal128(38, 12));
    assert_eq!(of("p"), DataType::Int32);
    assert_eq!(of("tz"), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(schema.field_with_name("u").unwrap().metadata()["headwater.native_type"], "uuid");
    let rows = show(&read(source).await.unwrap());
    insta::assert_snapshot!(rows.join("\n"), @r#"
    NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|[]|NULL|NULL|NULL
    true|-32768|2147483647|-9223372036854775808|1.5|NaN|-1234567890.12|0.123456789012|1.500|grün|abc|ab  |00ff|1969-12-31|1969-12-31T23:59:59.999999|2026-07-01T10:00:00Z|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|{"a": 1}|{"b": 2}|glad|7|1 day 02:00:00|10.0.0.1/8|12:30:00|[1,5)|[1, NULL, 3]|[a, b,c]|[1.5, 2.0]|[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]
    "#);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_does_not_fit_names_column_and_key_and_the_line_to_paste() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE prices (id int PRIMARY KEY, amount numeric, day date, grid int[]);
             INSERT INTO prices VALUES (1, 1, '2026-01-01', '{1}'), (42, 'NaN', 'infinity', '{{1,2},{3,4}}')",
        )
        .await;
    let shop = postgres(&database.url);
    for (column, what) in [("amount", "NaN"), ("day", "infinity")] {
        let source = table(&shop, "public.prices").await.unwrap();
        let error = sql(source, &format!("SELECT id, {column} FROM t")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data);
        assert!(error.message.contains(what) && error.message.contains("id = 42"), "{error}");
        assert!(error.hint.unwrap().contains(&format!("columns: {{ {column}: text }}")));
    }
    let texts =
        with_columns(&shop, "public.prices", json!({ "amount": "text", "day": "text", "grid": "text" })).await.unwrap();
    assert_eq!(show(&read(texts).await.unwrap()), ["1|1|2026-01-01|{1}", "42|NaN|infinity|{{1,2},{3,4}}"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_table_is_read_in_ranges_and_loaded_into_delta_once() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS note, (g % 97)::numeric(10,2) AS amount,
                    timestamp '2026-01-01' + g * interval '1 second' AS at FROM generate_series(1, 300000) g;
             ANALYZE orders",
        )
        .await;
    let shop = postgres(&database.url);
    let source = table(&shop, "public.orders").await.unwrap();
    let plan = crate::load::session().read_table(source.clone()).unwrap().create_physical_plan().await.unwrap();
    let text = datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string();
    assert!(text.contains("sessions=2"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let target = sink(&lake, "orders", WriteMode::Append).await;
    let (rows, _) = copy(source, &target).await.unwrap();
    assert_eq!(rows, 300_000);
    let back = table(&lake, "orders").await.unwrap();
    let sums = sql(back, "SELECT count(*), count(distinct id), sum(id), sum(amount), max(at) FROM t").await.unwrap();
    let expected =
        database.rows("SELECT count(*), count(distinct id), sum(id), sum(amount), max(at) FROM orders").await;
    assert_eq!(show(&sums)[0].replace('T', " "), expected[0]);
    shop.close().await;
    let left = "SELECT count(*) FROM pg_stat_activity
                WHERE application_name LIKE 'headwater %' AND datname = current_database() AND state <> 'idle'";
    // The server needs a moment to end a session whose socket is closed. One that waits for the next stage does nothing.
    let closed = std::time::Instant::now();
    while database.rows(left).await != ["0"] {
        assert!(closed.elapsed() < std::time::Duration::from_secs(2), "a session is at work on the server");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_whose_session_is_lost_is_a_passing_failure() {
    let database = Database::new().await;
    database.run("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10) g; ANALYZE t").await;
    let shop = postgres(&database.url);
    let source = table(&shop, "public.t").await.unwrap();
    let session = crate::load::session();
    let plan = session.read_table(source).unwrap().create_physical_plan().await.unwrap();
    let holder = "FROM pg_stat_activity WHERE query LIKE '%pg_export_snapshot%' AND state = 'idle in transaction' AND datname = current_database()";
    assert_eq!(database.rows(&format!("SELECT pg_terminate_backend(pid, 5000) {holder}")).await, ["t"]);
    let read = datafusion::physical_plan::collect(plan, session.task_ctx()).await;
    let error = headwater_engine::EngineError::from(read.unwrap_err());
    assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    assert!(error.message.contains("the session that held the snapshot of all tables was lost"), "{error}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_queries_partitions_and_odd_names_are_read() {
    let database = Database::new().await;
    database
        .run(
            "CREATE SCHEMA \"Sales\";
             CREATE TABLE \"Sales\".\"select\" (\"Order\" int, \"a\"\"b\" text);
             INSERT INTO \"Sales\".\"select\" VALUES (1, 'x');
             CREATE VIEW v AS SELECT \"Order\" AS n FROM \"Sales\".\"select\";
             CREATE MATERIALIZED VIEW mv AS SELECT * FROM v;
             CREATE TABLE part (k int, t text) PARTITION BY RANGE (k);
             CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
             CREATE TABLE part2 (t text, k int); ALTER TABLE part ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);
             INSERT INTO part VALUES (1, 'a'), (11, 'b');
             CREATE TABLE empty (x int)",
        )
        .await;
    let shop = postgres(&database.url);
    let read_table = async |name: &str| show(&read(table(&shop, name).await.unwrap()).await.unwrap());
    assert_eq!(read_table("Sales.select").await, ["1|x"]);
    assert_eq!(read_table("public.v").await, ["1"]);
    assert_eq!(read_table("mv").await, ["1"]);
    assert_eq!(read_table("public.part").await, ["11|b", "1|a"]);
    assert_eq!(read_table("public.empty").await, Vec::<String>::new());
    let query = SourceObject::Query("SELECT k * 2 AS double, t FROM part WHERE k > 5;".to_owned());
    let source = shop.source(&request(query)).await.unwrap().table;
    assert_eq!(show(&read(source).await.unwrap()), ["22|b"]);
    let counted = sql(table(&shop, "public.part").await.unwrap(), "SELECT count(*) FROM t").await.unwrap();
    assert_eq!(show(&counted), ["2"]);
    let missing = shop.source(&request(SourceObject::Table(path("public.pert")))).await.unwrap_err();
    assert!(missing.hint.unwrap().contains("public.part"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_a_table_that_is_locked_ends_soon_and_names_it() {
    let database = Database::new().await;
    database.run("CREATE TABLE prices (id int PRIMARY KEY, amount numeric); CREATE TABLE other (id int)").await;
    database.run("BEGIN; LOCK TABLE prices IN ACCESS EXCLUSIVE MODE").await;
    let shop = postgres(&database.url);
    let start = std::time::Instant::now();
    let table_error = table(&shop, "public.prices").await.unwrap_err();
    let query = request(SourceObject::Query("SELECT * FROM prices".to_owned()));
    let query_error = shop.source(&query).await.unwrap_err();
    let opened = [path("public.other"), path("public.prices")].into();
    let expected = Expected { opened, ..Expected::default() };
    let many_error = shop.expect(&expected).await.unwrap_err();
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
    for (error, what) in
        [(table_error, "shop.public.prices"), (query_error, "a table of the query"), (many_error, "shop.public.prices")]
    {
        assert_eq!(error.kind, ErrorKind::Transient, "{error}");
        assert!(error.message.starts_with(&format!("{what} is locked by another session")), "{error}");
    }
    database.run("ROLLBACK").await;
    assert_eq!(table(&shop, "public.prices").await.unwrap().schema().fields().len(), 2);
    shop.close().await;
}
