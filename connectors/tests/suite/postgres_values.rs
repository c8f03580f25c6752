//! Between two tables of Postgres every value stays what it is, or is refused; an overwritten table stays what it was.

use std::sync::Arc;

use headwater_engine::connector::Connection;
use headwater_engine::testing::attempt;
use headwater_pipelines::spec::WriteMode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cluster::Database;
use crate::load::{copy, delta, postgres, session, show, sink, table, with_columns};

const COLUMNS: &str =
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 AND attrelid = ";

async fn load(shop: &Arc<dyn Connection>, from: &str, into: &str, mode: WriteMode) -> headwater_engine::Result<()> {
    copy(table(shop, from).await?, &sink(shop, into, mode).await).await.map(|_| ())
}

/// Copies the table `source` into `target` and compares types and rows, which both have a column `id`.
async fn stays(database: &Database, target: &str) {
    let shop = postgres(&database.url);
    load(&shop, "public.source", target, WriteMode::Append).await.unwrap();
    let columns = async |name: &str| database.rows(&format!("{COLUMNS} '{name}'::regclass ORDER BY attnum")).await;
    assert_eq!(columns(target).await, columns("source").await);
    let rows = async |name: &str| database.rows(&format!("SELECT t::text FROM {name} t ORDER BY id")).await;
    assert_eq!(rows(target).await, rows("source").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_keep_their_dimensions_and_subscripts_between_tables() {
    let database = Database::new().await;
    database
        .run(
            "CREATE DOMAIN grid AS int[];
             CREATE TABLE source (id int, bounds int[], dims text[], g grid, n numeric(5,1)[]);
             INSERT INTO source VALUES (1, '[0:2]={10,20,30}', '{{a,\"b,c\"},{NULL,\"\"}}', '{{1},{2}}', '{1.5,NULL}'),
                                       (2, '{1,2}', '{}', NULL, '{}')",
        )
        .await;
    stays(&database, "copied.fresh").await;
    database.run("CREATE TABLE there (LIKE source)").await;
    stays(&database, "public.there").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_odd_array_that_the_sample_misses_is_refused() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE source AS SELECT g AS id, ARRAY[g] AS a FROM generate_series(1, 10001) g;
             UPDATE source SET a = '[5:6]={1,2}' WHERE id = 10001; ALTER TABLE source ADD PRIMARY KEY (id)",
        )
        .await;
    let error = load(&postgres(&database.url), "public.source", "public.target", WriteMode::Append).await.unwrap_err();
    assert!(error.message.contains("column a: an array whose first subscript is not 1"), "{error}");
    assert!(error.message.contains("id = 10001") && error.hint.unwrap().contains("columns: { a: text }"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrays_of_rare_types_domains_oids_and_modifiers_stay_between_tables() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TYPE address AS (street text, zip int);
             CREATE TYPE mood AS ENUM ('sad', 'so la la');
             CREATE DOMAIN positive AS int CHECK (VALUE > 0);
             CREATE DOMAIN short AS varchar(5);
             CREATE TABLE source (id positive, iv interval[], ip inet[], mo money[], r int4range[], co address[], en mood[], o oid,
               s short, ts timestamp(0), tz timestamptz(3), b bit(3), vb varbit(5), ti time(1), v varchar(3), i0 interval(0));
             INSERT INTO source VALUES (1, '{1 mon,NULL}', '{10.0.0.1/8}', '{1234.5}', '{\"[1,5)\",empty}',
               ARRAY[ROW('x, \"y\"', 1)::address, NULL], '{\"so la la\"}', 4294967295, 'abc', '2024-01-01 10:00:00',
               '2024-01-01 10:00:00.123', '101', '10', '10:00:00.5', 'ab', '1 day 2 sec');
             INSERT INTO source (id) VALUES (2)",
        )
        .await;
    stays(&database, "copied.fresh").await;
    database.run("CREATE TABLE there (LIKE source)").await;
    stays(&database, "public.there").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_a_target_column_would_round_or_cut_are_refused() {
    let database = Database::new().await;
    for (source, target, words) in [
        ("'2024-01-01 10:00:00.5'::timestamp", "timestamp(0)", "timestamp(0) would round"),
        ("'{2024-01-01 10:00:00.123456}'::timestamptz[]", "timestamptz(3)[]", "timestamp(3) would round"),
        ("'ab   '::varchar", "varchar(3)", "character varying(3) would cut"),
        ("'10101'::varbit", "bit(3)", "'10101' is not one of bit(3)"),
        ("'10:00:00.5'::time", "time(0)", "'10:00:00.5' is not one of time(0) without time zone"),
        ("'1.5 sec'::interval", "interval(0)", "'00:00:01.5' is not one of interval(0)"),
    ] {
        database
            .run(&format!("DROP TABLE IF EXISTS source, target; CREATE TABLE source AS SELECT {source} AS v; CREATE TABLE target (v {target})"))
            .await;
        // One connection reads in one snapshot.
        let shop = postgres(&database.url);
        let error = load(&shop, "public.source", "public.target", WriteMode::Append).await.unwrap_err();
        assert!(error.message.contains(words), "{source} into {target}: {error}");
        assert_eq!(database.rows("SELECT count(*) FROM target").await, ["0"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn years_that_microseconds_cannot_count_are_refused_in_words_that_fit() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE far AS SELECT '294276-12-31 23:59:59'::timestamp AS ts; CREATE TABLE bc AS SELECT '0044-03-15 BC'::date AS d")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let shop = postgres(&database.url);
    let target = sink(&delta(folder.path()), "t", WriteMode::Append).await;
    for (name, words) in [("far", "after the year 294246"), ("bc", "before the year 1")] {
        let error = copy(table(&shop, &format!("public.{name}")).await.unwrap(), &target).await.unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_postgres_would_cut_is_refused_before_and_after_there_is_a_table() {
    let database = Database::new().await;
    let long = "customer_satisfaction_survey_question_forty_two_answer_in_english_v1";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), format!("id,{long}\n1,2\n")).unwrap();
    let drop = crate::load::open("files", json!({ "location": folder.path().to_str().unwrap() }));
    let rows = table(&drop, "t.csv").await.unwrap();
    let target = sink(&postgres(&database.url), "public.t", WriteMode::Append).await;
    for make in ["SELECT 1", "CREATE TABLE t (id text)"] {
        database.run(make).await;
        let error = target.prepare(&rows.schema()).await.unwrap_err();
        assert!(
            error.message.contains(long) && error.message.contains("has 68 bytes, and Postgres keeps 63"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwrite_keeps_exactly_the_privileges_and_the_statistics_targets() {
    let database = Database::new().await;
    database
        .run(
            "CREATE ROLE auditor; CREATE ROLE writer; CREATE ROLE owner_of_it;
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO auditor;
             CREATE TABLE source AS SELECT 1 AS id, 'x' AS v;
             CREATE TABLE target (id int, v text); ALTER TABLE target OWNER TO owner_of_it;
             REVOKE ALL ON target FROM auditor; GRANT SELECT ON target TO writer WITH GRANT OPTION; GRANT INSERT ON target TO PUBLIC;
             REVOKE DELETE ON target FROM owner_of_it;
             ALTER TABLE target ALTER v SET STATISTICS 700, ALTER v SET (n_distinct = 5);
             CREATE TABLE plain (id int, v text); REVOKE ALL ON plain FROM auditor; COMMENT ON TABLE plain IS 'without privileges'",
        )
        .await;
    let shop = postgres(&database.url);
    for name in ["target", "plain"] {
        let kept = format!(
            "SELECT relowner::regrole, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(relacl) a),
                    (SELECT string_agg(concat(attname, attstattarget, attoptions), ' ') FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)
             FROM pg_class c WHERE oid = '{name}'::regclass"
        );
        let before = database.rows(&kept).await;
        let oid = database.rows(&format!("SELECT '{name}'::regclass::oid")).await;
        for _ in 0..2 {
            load(&shop, "public.source", &format!("public.{name}"), WriteMode::Overwrite).await.unwrap();
        }
        assert_eq!(database.rows(&kept).await, before);
        assert_ne!(database.rows(&format!("SELECT '{name}'::regclass::oid")).await, oid, "the table was not swapped");
        assert_eq!(database.rows(&format!("SELECT has_table_privilege('auditor', '{name}', 'SELECT')")).await, ["f"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_that_make_or_replace_one_table_at_once_follow_each_other() {
    let database = Database::new().await;
    database.run("CREATE TABLE source AS SELECT g AS id FROM generate_series(1, 20000) g").await;
    let (one, two) = (postgres(&database.url), postgres(&database.url));
    for round in 0..5 {
        let both = tokio::join!(
            load(&one, "public.source", "public.target", WriteMode::Overwrite),
            load(&two, "public.source", "public.target", WriteMode::Overwrite),
        );
        assert!(both.0.is_ok() && both.1.is_ok(), "round {round}: {both:?}");
        assert_eq!(database.rows("SELECT count(*), count(DISTINCT id) FROM target").await, ["20000|20000"]);
    }
    let both = tokio::join!(
        load(&one, "public.source", "public.appended", WriteMode::Append),
        load(&two, "public.source", "public.appended", WriteMode::Append),
    );
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    assert_eq!(database.rows("SELECT count(*) FROM appended").await, ["40000"]);
    assert_eq!(database.rows("SELECT count(*) FROM pg_class WHERE relname LIKE '\\_hw\\_%'").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_got_a_trigger_while_it_was_loaded_is_not_swapped() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE source AS SELECT 7 AS id; CREATE TABLE target (id int); INSERT INTO target VALUES (1)")
        .await;
    let shop = postgres(&database.url);
    let target = sink(&shop, "public.target", WriteMode::Overwrite).await;
    let rows = table(&shop, "public.source").await.unwrap();
    let context = attempt(Uuid::now_v7(), 1);
    let staged =
        target.write(&context, session().read_table(rows).unwrap().execute_stream().await.unwrap()).await.unwrap();
    database
        .run(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER watch AFTER DELETE ON target EXECUTE FUNCTION nothing()",
        )
        .await;
    let error = target.commit(&context, staged).await.unwrap_err();
    assert!(error.message.contains("has the trigger watch now"), "{error}");
    assert_eq!(database.rows("SELECT id FROM target").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_that_was_read_as_text_fits_its_own_type() {
    let database = Database::new().await;
    database.run("CREATE TABLE source AS SELECT '{{1,2}}'::int[] AS a; CREATE TABLE target (a int[])").await;
    let shop = postgres(&database.url);
    let source = with_columns(&shop, "public.source", json!({ "a": "text" })).await.unwrap();
    copy(source, &sink(&shop, "public.target", WriteMode::Append).await).await.unwrap();
    assert_eq!(database.rows("SELECT a FROM target").await, ["{{1,2}}"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_of_texts_is_read_under_another_type_exactly_or_not_at_all() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE source (id int PRIMARY KEY, fine text, late text, n text);
             INSERT INTO source VALUES (1, '2024-01-01 10:00:00.123456000', '2024-01-01 10:00:00.123456789', '1.5'),
                                       (2, NULL, '2024-01-01 10:00:00+02', 'x')",
        )
        .await;
    let shop = postgres(&database.url);
    let read = async |columns: Value| {
        let source = with_columns(&shop, "public.source", columns).await.unwrap();
        crate::load::sql(source, "SELECT * FROM t").await
    };
    let fine = read(json!({ "fine": "timestamp" })).await.unwrap();
    assert!(show(&fine)[0].starts_with("1|2024-01-01T10:00:00.123456|"), "{fine:?}");
    for (columns, words) in [
        (json!({ "late": "timestamp" }), "column late: '2024-01-01 10:00:00.123456789' is finer than a microsecond"),
        (json!({ "n": "double" }), "column n: 'x' is not a number in the row with id = 2"),
    ] {
        let error = read(columns).await.unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
    database.run("DELETE FROM source WHERE id = 1").await;
    let shop = postgres(&database.url);
    let source = with_columns(&shop, "public.source", json!({ "late": "timestamp" })).await.unwrap();
    let error = crate::load::sql(source, "SELECT * FROM t").await.unwrap_err();
    assert!(error.message.contains("has an offset, which a timestamp without time zone can't hold"), "{error}");
}

const EVERY_TYPE: &str = "
    CREATE TABLE source (id int, b bool, i2 smallint, i8 bigint, f4 real, f8 float8, n numeric(38,10), t text, y bytea, d date, ts timestamp,
                         tz timestamptz);
    INSERT INTO source VALUES
      (1, true, -32768, 9223372036854775807, '1e-45', 5e-324, 1234567890123456789012345678.0123456789, E'a\\b\t\"x\"\r\n', '\\x00ff',
       '15000-12-31', '15000-12-31 23:59:59.999999', '0001-01-01 00:00:00.000001+00'),
      (2, false, 0, -9223372036854775808, 3.4028235e38, 1.7976931348623157e308, -0.0000000001, '', '', '0001-01-01',
       '1969-12-31 23:59:59.9', '2024-07-01 00:00+02'),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (4, true, 1, 2, 0.1, 0.1, 1, 'NULL', '\\x5c78', '1582-10-10', '0099-01-01 00:00:00', '9999-12-31 23:59:59.999999+00')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_comes_back_from_csv_and_json_lines() {
    let database = Database::new().await;
    database.run(EVERY_TYPE).await;
    let folder = tempfile::tempdir().unwrap();
    let drop = crate::load::open("files", json!({ "location": folder.path().to_str().unwrap() }));
    let types = json!({ "id": "int", "b": "boolean", "i2": "smallint", "i8": "bigint", "f4": "real", "f8": "double", "n": "decimal(38,10)",
        "t": "text", "y": "bytea", "d": "date", "ts": "timestamp", "tz": "timestamptz" });
    let shop = postgres(&database.url);
    let rows = async |name: &str| database.rows(&format!("SELECT t::text FROM {name} t ORDER BY id")).await;
    for (file, target) in [("t.csv", "from_csv"), ("t.jsonl", "from_json")] {
        let out = sink(&drop, file, WriteMode::Overwrite).await;
        copy(table(&shop, "public.source").await.unwrap(), &out).await.unwrap();
        let back = with_columns(&drop, file, types.clone()).await.unwrap();
        copy(back, &sink(&shop, &format!("public.{target}"), WriteMode::Append).await).await.unwrap();
        assert_eq!(rows(target).await, rows("source").await, "{file}");
    }
}
