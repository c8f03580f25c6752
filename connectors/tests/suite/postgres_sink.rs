//! Writing to Postgres: types, overwriting, and what happens around a commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_engine::ErrorKind;
use headwater_engine::connector::Commit;
use headwater_engine::testing::{Recorder, attempt};
use headwater_pipelines::spec::WriteMode;
use uuid::Uuid;

use crate::cluster::{Database, url};
use crate::load::{copy, postgres, session, sink, table};

const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE source (id int PRIMARY KEY, u uuid, j json, jb jsonb, m mood, iv interval, ip inet, bare numeric, n numeric(9,2),
                         v varchar(7), tz timestamptz, a uuid[], ints int[], bits bit(3), bin bytea);
    INSERT INTO source VALUES
      (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\":  1}', '{\"b\": [1]}', 'glad', '1 mon 2 days', '10.0.0.1', 1.23456789012345,
       -5.5, 'x', '2026-01-01 00:00+02', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}', '{1,NULL}', '101', '\\x00'),
      (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_stay_native_between_tables() {
    let database = Database::new().await;
    database.run(TYPES).await;
    let shop = postgres(&database.url);
    let target = sink(&shop, "copied.target", WriteMode::Append).await;
    let plan = target.prepare(&table(&shop, "public.source").await.unwrap().schema()).await.unwrap();
    assert!(plan.ddl[1].contains("\"u\" uuid") && plan.ddl[1].contains("\"iv\" interval"), "{:?}", plan.ddl);
    copy(table(&shop, "public.source").await.unwrap(), &target).await.unwrap();
    let columns = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 AND attrelid = ";
    assert_eq!(
        database.rows(&format!("{columns} 'copied.target'::regclass ORDER BY attnum")).await,
        database.rows(&format!("{columns} 'source'::regclass ORDER BY attnum")).await,
    );
    let all = |name: &str| format!("SELECT to_jsonb(t)::text, j::text FROM {name} t ORDER BY id");
    assert_eq!(database.rows(&all("copied.target")).await, database.rows(&all("source")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwrite_keeps_grants_indexes_constraints_and_comments() {
    let database = Database::new().await;
    database
        .run(
            "CREATE ROLE reader_of_target;
             CREATE TABLE source AS SELECT g AS id, 'n' || g AS name FROM generate_series(1, 100) g;
             CREATE TABLE target (id int PRIMARY KEY, name text NOT NULL DEFAULT 'none' CHECK (name <> ''));
             CREATE INDEX target_by_name ON target (lower(name));
             COMMENT ON TABLE target IS 'kept'; COMMENT ON COLUMN target.name IS 'kept too';
             GRANT SELECT ON target TO reader_of_target; INSERT INTO target VALUES (-1, 'old')",
        )
        .await;
    let shop = postgres(&database.url);
    let target = sink(&shop, "public.target", WriteMode::Overwrite).await;
    let source = table(&shop, "public.source").await.unwrap();
    assert!(target.prepare(&source.schema()).await.unwrap().notes.is_empty());
    let before = database.rows("SELECT 'target'::regclass::oid").await;
    let structure =
        "SELECT relname, pg_get_indexdef(oid) FROM pg_class WHERE relkind = 'i' AND relname LIKE 'target%' ORDER BY 1";
    let indexes = database.rows(structure).await;
    copy(source, &target).await.unwrap();
    assert_ne!(database.rows("SELECT 'target'::regclass::oid").await, before, "the table was not swapped");
    assert_eq!(database.rows("SELECT count(*), min(id) FROM target").await, ["100|1"]);
    assert_eq!(database.rows(structure).await, indexes);
    let kept = "SELECT obj_description('target'::regclass), col_description('target'::regclass, 2),
                       has_table_privilege('reader_of_target', 'target', 'SELECT'),
                       (SELECT count(*) FROM pg_constraint WHERE conrelid = 'target'::regclass AND contype IN ('c', 'p'))";
    assert_eq!(database.rows(kept).await, ["kept|kept too|t|2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_dependents_an_overwrite_deletes_and_inserts_and_says_so() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE source AS SELECT 7 AS id; CREATE TABLE target (id int PRIMARY KEY); INSERT INTO target VALUES (1);
             CREATE VIEW over_target AS SELECT * FROM target",
        )
        .await;
    let shop = postgres(&database.url);
    let target = sink(&shop, "public.target", WriteMode::Overwrite).await;
    let source = table(&shop, "public.source").await.unwrap();
    let notes = target.prepare(&source.schema()).await.unwrap().notes;
    assert!(notes[0].contains("the view over_target"), "{notes:?}");
    copy(source, &target).await.unwrap();
    assert_eq!(database.rows("SELECT id FROM over_target").await, ["7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_ends_the_session_of_a_frozen_attempt() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE source AS SELECT g AS id FROM generate_series(1, 10) g; CREATE TABLE target (id int)")
        .await;
    let shop = postgres(&database.url);
    let rows = table(&shop, "public.source").await.unwrap();
    let input = async || session().read_table(rows.clone()).unwrap().execute_stream().await.unwrap();
    let load_id = Uuid::now_v7();
    let recorder = Arc::new(Recorder::default());
    let mut first = attempt(load_id, 1);
    first.control = recorder.clone();
    let frozen = sink(&shop, "public.target", WriteMode::Append).await;
    let staged = frozen.write(&first, input().await).await.unwrap();
    let mut second = attempt(load_id, 2);
    second.predecessors = recorder.handles.lock().clone();
    assert_eq!(second.predecessors.len(), 1);
    let successor = sink(&shop, "public.target", WriteMode::Append).await;
    let ours = successor.write(&second, input().await).await.unwrap();
    assert!(matches!(successor.commit(&second, ours).await.unwrap(), Commit::Committed { .. }));
    // The frozen attempt wakes up and tries to commit.
    let late = frozen.commit(&first, staged).await.unwrap();
    assert!(matches!(&late, Commit::Adopted(taken) if taken.attempt == 2), "{late:?}");
    assert_eq!(database.rows("SELECT count(*) FROM target").await, ["10"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_that_does_not_fit_is_refused_with_every_difference() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE source AS SELECT 1::bigint AS id, 'x' AS extra; CREATE TABLE target (id int, must int NOT NULL)")
        .await;
    let shop = postgres(&database.url);
    let target = sink(&shop, "public.target", WriteMode::Append).await;
    let error = target.prepare(&table(&shop, "public.source").await.unwrap().schema()).await.unwrap_err();
    for part in ["id is Int64, in the table integer", "no column extra", "no column must"] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_the_server_refuses_names_its_reason_and_leaves_nothing() {
    let database = Database::new().await;
    database.run("CREATE TABLE source AS SELECT 'too long' AS name; CREATE TABLE target (name varchar(3))").await;
    let shop = postgres(&database.url);
    let target = sink(&shop, "public.target", WriteMode::Append).await;
    let error = copy(table(&shop, "public.source").await.unwrap(), &target).await.unwrap_err();
    assert_eq!(error.kind, headwater_engine::ErrorKind::Data);
    assert!(error.message.contains("too long for type character varying(3)"), "{error}");
    assert_eq!(database.rows("SELECT count(*) FROM target").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_make_tables_and_no_schemas_can_load() {
    let database = Database::new().await;
    database
        .run(
            "CREATE ROLE table_maker LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO table_maker; CREATE TABLE t (id int);
             INSERT INTO t VALUES (1); GRANT SELECT ON t TO table_maker",
        )
        .await;
    let shop = postgres(&url("table_maker", &database.name));
    let target = sink(&shop, "public.copied", WriteMode::Append).await;
    let (rows, _) = copy(table(&shop, "public.t").await.unwrap(), &target).await.unwrap();
    assert_eq!(rows, 1);
    assert_eq!(database.rows("SELECT id FROM copied").await, ["1"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwrite_that_waits_for_a_reader_lets_others_pass_and_can_be_canceled() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE source AS SELECT 7 AS id; CREATE TABLE target (id int); INSERT INTO target VALUES (1)")
        .await;
    let shop = postgres(&database.url);
    let rows = table(&shop, "public.source").await.unwrap();
    let input = async || session().read_table(rows.clone()).unwrap().execute_stream().await.unwrap();
    database.run("BEGIN; SELECT * FROM target").await;
    let load = attempt(Uuid::now_v7(), 1);
    let target = sink(&shop, "public.target", WriteMode::Overwrite).await;
    let staged = target.write(&load, input().await).await.unwrap();
    let (cancel, sees) = (load.cancel.clone(), load.progress.clone());
    let mut committing = tokio::task::JoinSet::new();
    committing.spawn(async move { target.commit(&load, staged).await });
    while sees.waiting().now.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Of readers that come later none waits longer than an attempt.
    for _ in 0..3 {
        let start = Instant::now();
        let other = crate::cluster::connect("postgres", &database.name).await;
        assert_eq!(other.query_one("SELECT id FROM target", &[]).await.unwrap().get::<_, i32>(0), 1);
        assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    }
    let start = Instant::now();
    cancel.cancel();
    let error = committing.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Canceled, "{error}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    shop.close().await;
    database.run("COMMIT").await;
    assert_eq!(database.rows("SELECT id FROM target").await, ["1"]);
    // Once the reader has gone, the next attempt has the table to itself.
    let again = sink(&postgres(&database.url), "public.target", WriteMode::Overwrite).await;
    copy(rows.clone(), &again).await.unwrap();
    assert_eq!(database.rows("SELECT id FROM target").await, ["7"]);
}
