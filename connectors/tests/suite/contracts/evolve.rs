//! Types that become wider, columns that an overwrite replaces, and what no contract allows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, TimestampMicrosecondArray};
use headwater_engine::connector::SinkRequest;
use headwater_pipelines::spec::{Contract, LoadSchema, WriteMode};
use serde_json::{Value, json};

use super::{batch, columns_of, columns_of_lake, ids, load, plan, refused, request, rows_of, rows_of_lake, texts};
use crate::cluster::Database;
use crate::load::{copy, delta, path, postgres, table};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_columns_become_wider_under_evolve_and_nothing_else() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE source AS SELECT 1::bigint AS id, 3000000000 AS total, 1234567.89::numeric(9,2) AS price, 'long text'::text AS name,
               timestamp '2026-01-01 10:00' AS day, 1.5::float8 AS share;
             CREATE TABLE target (id bigint PRIMARY KEY, total int, price numeric(5,2), name varchar(3), day date, share real);
             INSERT INTO target VALUES (0, 7, 1.25, 'abc', '2025-12-31', 0.5);
             CREATE TABLE viewed (total int); CREATE VIEW over_viewed AS SELECT total FROM viewed",
        )
        .await;
    let shop = postgres(&database.url);
    let source = async || table(&shop, "public.source").await.unwrap();
    let sink = async |schema: Value| {
        let request = request("public.target", WriteMode::Upsert, schema);
        shop.sink(&request).await.unwrap()
    };
    let error = sink(json!("add_columns")).await.prepare(&source().await.schema()).await.unwrap_err();
    assert!(error.message.contains("total is Int64, in the table integer"), "{error}");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("`schema: evolve`")), "{error:?}");
    let evolve = sink(json!("evolve")).await;
    let planned = evolve.prepare(&source().await.schema()).await.unwrap();
    assert_eq!(planned.columns.columns_retyped.len(), 5, "{planned:?}");
    assert!(planned.ddl.contains(&"ALTER TABLE \"public\".\"target\" ALTER COLUMN \"total\" TYPE bigint".to_owned()));
    copy(source().await, &evolve).await.unwrap();
    assert_eq!(
        columns_of(&database, "target").await,
        "id bigint, total bigint, price numeric(9,2), name text, day timestamp without time zone, share double precision"
    );
    let expected =
        ["0|7|1.25|abc|2025-12-31 00:00:00|0.5", "1|3000000000|1234567.89|long text|2026-01-01 10:00:00|1.5"];
    assert_eq!(rows_of(&database, "target", &["id", "total", "price", "name", "day", "share"]).await, expected);
    // Again there is nothing to change.
    assert!(evolve.prepare(&source().await.schema()).await.unwrap().ddl.is_empty());
    let viewed = request("public.viewed", WriteMode::Append, json!("evolve"));
    let error = refused(&shop, &viewed, batch(vec![("total", ids(&[1]))])).await;
    assert!(
        error.message.contains("column total can't be widened because of rule _RETURN on view over_viewed"),
        "{error}"
    );
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![9]));
    let narrow = batch(vec![("id", ids(&[2])), ("total", narrow)]);
    load(&shop, &request("public.target", WriteMode::Upsert, json!("evolve")), narrow).await.unwrap();
    assert!(columns_of(&database, "target").await.contains("total bigint"), "never narrower");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_of_a_postgres_table_changes_its_columns_and_says_so_in_the_plan() {
    let database = Database::new().await;
    database
        .run(
            "CREATE ROLE column_guest LOGIN; CREATE TABLE t (id bigint); GRANT SELECT, INSERT ON t TO column_guest;
             CREATE TABLE parts (id bigint) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9)",
        )
        .await;
    let with = batch(vec![("id", ids(&[2])), ("note", texts(&["n"]))]);
    let guest = postgres(&crate::cluster::url("column_guest", &database.name));
    let add = |name: &str| request(name, WriteMode::Append, json!("add_columns"));
    let error = plan(&guest, &add("public.t"), &with).await.unwrap_err();
    assert!(error.message.contains("can only be changed by its owner, postgres"), "{error}");
    let owner = postgres(&database.url);
    let error = plan(&owner, &add("public.part"), &with).await.unwrap_err();
    assert!(error.message.contains("is a partition, which has its parent's columns"), "{error}");
    load(&owner, &add("public.parts"), with).await.unwrap();
    assert_eq!(rows_of(&database, "part", &["id", "note"]).await, ["2|n"]);
    guest.close().await;
    owner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_can_not_be_null_has_to_come() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id bigint, must int NOT NULL, own int NOT NULL DEFAULT 7, maybe int)").await;
    let shop = postgres(&database.url);
    let request = request("public.t", WriteMode::Append, json!("evolve"));
    let error = refused(&shop, &request, batch(vec![("id", ids(&[1]))])).await;
    assert!(error.message.contains("no column must (integer, NOT NULL)") && !error.message.contains("own"), "{error}");
    assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("DROP NOT NULL")), "{error:?}");
    let must: ArrayRef = Arc::new(Int32Array::from(vec![5]));
    load(&shop, &request, batch(vec![("id", ids(&[1])), ("must", must)])).await.unwrap();
    assert_eq!(rows_of(&database, "t", &["id", "must", "own", "maybe"]).await, ["1|5|7|∅"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwrite_that_evolves_replaces_the_columns() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, database) = (delta(folder.path()), Database::new().await);
    let shop = postgres(&database.url);
    database.run("CREATE TABLE t (own bigint DEFAULT 8, id bigint, total bigint DEFAULT 3, gone text); INSERT INTO t (id) VALUES (1)").await;
    let first = batch(vec![("id", ids(&[1])), ("total", ids(&[5])), ("gone", texts(&["g"]))]);
    load(&lake, &request("t", WriteMode::Append, json!("freeze")), first).await.unwrap();
    let other = || batch(vec![("id", ids(&[2])), ("total", texts(&["much"])), ("note", texts(&["n"]))]);
    for connection in [&lake, &shop] {
        let error = refused(connection, &request("t", WriteMode::Overwrite, json!("add_columns")), other()).await;
        assert!(error.message.contains("total is Utf8"), "{error}");
        let evolve = request("t", WriteMode::Overwrite, json!("evolve"));
        let planned = plan(connection, &evolve, &other()).await.unwrap();
        assert!(planned.notes.iter().any(|note| note.contains("the overwrite replaces the columns")), "{planned:?}");
        assert_eq!(load(connection, &evolve, other()).await.unwrap().len(), 1);
    }
    assert_eq!(columns_of_lake(&folder.path().join("t")), "id total note");
    assert_eq!(rows_of_lake(&folder.path().join("t"), &["id", "total", "note"]), ["2|much|n"]);
    // What has a default of its own stays; the default of a replaced column goes.
    assert_eq!(columns_of(&database, "t").await, "own bigint, id bigint, total text, note text");
    assert_eq!(rows_of(&database, "t", &["own", "id", "total", "note"]).await, ["8|2|much|n"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delta_table_that_gets_a_time_without_a_zone_names_the_feature_and_is_loaded_on() {
    let folder = tempfile::tempdir().unwrap();
    let lake = delta(folder.path());
    let request = request("t", WriteMode::Append, json!("add_columns"));
    load(&lake, &request, batch(vec![("id", ids(&[1]))])).await.unwrap();
    let times = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![0])) };
    for id in [2, 3] {
        load(&lake, &request, batch(vec![("id", ids(&[id])), ("at", times())])).await.unwrap();
    }
    let rows = rows_of_lake(&folder.path().join("t"), &["id", "at"]);
    assert_eq!(rows, ["1|∅", "2|1970-01-01 00:00:00", "3|1970-01-01 00:00:00"]);
    let log = folder.path().join("t/_delta_log/00000000000000000002.json");
    let log = std::fs::read_to_string(log).unwrap();
    let parts = ["\"metaData\"", "\"protocol\"", "timestampNtz", "\"add\"", "\"txn\""];
    assert!(parts.iter().all(|part| log.contains(part)), "columns, files and load id are one commit: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_take_no_contract() {
    let folder = tempfile::tempdir().unwrap();
    let files = crate::load::open("files", json!({ "location": folder.path().to_str().unwrap() }));
    for contract in [Contract::AddColumns, Contract::Evolve] {
        let schema = LoadSchema::All(contract);
        let error =
            files.sink(&SinkRequest { schema, ..SinkRequest::new(path("t"), WriteMode::Append) }).await.unwrap_err();
        assert!(error.message.contains("the columns of files don't change with a load"), "{error}");
        assert!(error.hint.is_some_and(|hint| hint.contains("leave `schema` out")));
    }
    assert!(files.sink(&request("t", WriteMode::Append, json!("freeze"))).await.is_ok());
}
