//! Windows of new rows: whatever writers do, each row is read once in the version that stays.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use headwater_engine::connector::{Connection, CursorRequest, Position, Reading, SourceObject, SourceRequest};
use headwater_engine::{ErrorKind, Result};
use headwater_pipelines::plan::Cursor;
use headwater_pipelines::spec::{CursorNulls, Reach};
use serde_json::Value;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::cluster::Database;
use crate::load::{path, postgres, read, show};

pub(crate) fn cursor(column: &str) -> Cursor {
    Cursor { column: Some(column.to_owned()), lookback: None, lag: None, nulls: None }
}

fn request(object: SourceObject, cursor: &Cursor, reading: Reading) -> SourceRequest {
    let cursor = Some(CursorRequest { cursor: cursor.clone(), reading, by_keys: true, most: None });
    SourceRequest { object, columns: None, cursor, quarantine: None, cancel: CancellationToken::new() }
}

/// A connection of its own, as a stage has one: its rows and position.
pub(crate) async fn window(
    url: &str,
    table: &str,
    cursor: &Cursor,
    after: Option<&Position>,
) -> Result<(Vec<String>, Position)> {
    let shop: Arc<dyn Connection> = postgres(url);
    let reading = Reading::After(after.map(|position| position.to.clone()));
    let opened = shop.source(&request(SourceObject::Table(path(table)), cursor, reading)).await?;
    let rows = show(&read(opened.table).await?);
    shop.close().await;
    Ok((rows, opened.position.unwrap()))
}

pub(crate) async fn client(database: &Database) -> Client {
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_future_and_of_the_past_keep_no_later_row_out() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL); INSERT INTO t VALUES (1, '2999-01-01')")
        .await;
    let cursor = cursor("at");
    let (rows, first) = settled(&database, "public.t", &cursor, None, 1).await;
    assert_eq!(rows.len(), 1);
    database
        .run("INSERT INTO t VALUES (2, now()), (3, now() - interval '23 hours'), (4, now() - interval '25 hours')")
        .await;
    let (rows, _) = settled(&database, "public.t", &cursor, Some(&first), 2).await;
    assert_eq!(rows.iter().map(|row| &row[..1]).collect::<Vec<_>>(), ["2", "3"], "24 hours are looked back");
    let longer = Cursor { lookback: Some(Reach::Time(Duration::from_secs(26 * 3600))), ..cursor };
    assert_eq!(settled(&database, "public.t", &longer, Some(&first), 3).await.0.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_after_an_empty_first_load_are_read_however_old_they_are() {
    let database = Database::new().await;
    for (kind, old) in
        [("timestamptz", "2020-01-01"), ("timestamp", "2020-01-01"), ("date", "2020-01-01"), ("bigint", "7")]
    {
        database.run(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, at {kind} NOT NULL)")).await;
        let cursor = cursor("at");
        let (rows, first) = window(&database.url, "public.t", &cursor, None).await.unwrap();
        assert_eq!(rows.len(), 0);
        database.run(&format!("INSERT INTO t SELECT n, '{old}' FROM generate_series(1, 5) n")).await;
        assert_eq!(settled(&database, "public.t", &cursor, Some(&first), 5).await.0.len(), 5, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_rows_that_a_first_load_passes_over_because_of_an_open_transaction_are_in_the_next() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL); CREATE TABLE other (n int)").await;
    let holder = client(&database).await;
    holder.batch_execute("BEGIN; INSERT INTO other VALUES (1)").await.unwrap();
    database.run("INSERT INTO t SELECT n, '2020-01-01' FROM generate_series(1, 5) n").await;
    let cursor = cursor("at");
    let (mut rows, mut position) = window(&database.url, "public.t", &cursor, None).await.unwrap();
    assert_eq!(rows.len(), 0, "a transaction is open that is older");
    database.run("INSERT INTO t VALUES (6, now())").await;
    let (more, next) = window(&database.url, "public.t", &cursor, Some(&position)).await.unwrap();
    (rows, position) = ([rows, more].concat(), next);
    holder.batch_execute("COMMIT").await.unwrap();
    for _ in 0..100 {
        let (more, next) = window(&database.url, "public.t", &cursor, Some(&position)).await.unwrap();
        (rows, position) = ([rows, more].concat(), next);
        if rows.len() >= 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rows.sort();
    assert_eq!(rows.iter().map(|row| &row[..1]).collect::<Vec<_>>(), ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_detached_for_a_while_is_not_read_again() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (id int, at timestamptz NOT NULL) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);
             INSERT INTO t SELECT n, now() FROM generate_series(1, 15) n",
        )
        .await;
    let cursor = cursor("at");
    let (_, first) = settled(&database, "public.t", &cursor, None, 15).await;
    database
        .run("ALTER TABLE t DETACH PARTITION low; INSERT INTO low VALUES (0, now()); INSERT INTO t VALUES (16, now())")
        .await;
    let (rows, second) = settled(&database, "public.t", &cursor, Some(&first), 1).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    database
        .run("ALTER TABLE t ATTACH PARTITION low FOR VALUES FROM (0) TO (10); INSERT INTO t VALUES (17, now())")
        .await;
    let (rows, third) = settled(&database, "public.t", &cursor, Some(&second), 2).await;
    assert_eq!(rows.iter().map(|row| row.split('|').next().unwrap()).collect::<Vec<_>>(), ["0", "17"]);
    database.run("ALTER TABLE t DETACH PARTITION low; TRUNCATE low; INSERT INTO low VALUES (1, now())").await;
    let (_, fourth) = window(&database.url, "public.t", &cursor, Some(&third)).await.unwrap();
    database.run("ALTER TABLE t ATTACH PARTITION low FOR VALUES FROM (0) TO (10)").await;
    let error = window(&database.url, "public.t", &cursor, Some(&fourth)).await.unwrap_err();
    assert!(error.message.contains("rewritten"), "{error}");
}

/// A window that has so many rows: transactions of other tests delay them.
async fn settled(
    database: &Database,
    table: &str,
    cursor: &Cursor,
    after: Option<&Position>,
    rows: usize,
) -> (Vec<String>, Position) {
    for _ in 0..100 {
        let found = window(&database.url, table, cursor, after).await.unwrap();
        if found.0.len() >= rows {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    window(&database.url, table, cursor, after).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_lookback_rows_that_a_writer_delays_are_read_all_the_same() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let cursor = Cursor { lookback: Some(Reach::Count(0)), ..cursor("id") };
    let (_, first) = settled(&database, "public.t", &cursor, None, 1).await;
    let writer = client(&database).await;
    writer.batch_execute("BEGIN; CREATE TEMP TABLE w (n int)").await.unwrap();
    database.run("INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)").await;
    let (rows, second) = window(&database.url, "public.t", &cursor, Some(&first)).await.unwrap();
    assert!(rows.is_empty(), "{rows:?}");
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(settled(&database, "public.t", &cursor, Some(&second), 2).await.0, ["2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_number_that_is_far_ahead_keeps_nothing_out_and_changes_are_read() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (id bigint PRIMARY KEY, note text); INSERT INTO t VALUES (1, 'a'), (9000000000, 'far')")
        .await;
    let (_, first) = settled(&database, "public.t", &cursor("id"), None, 2).await;
    database.run("INSERT INTO t VALUES (6, 'new'); UPDATE t SET note = 'b' WHERE id = 1").await;
    assert_eq!(settled(&database, "public.t", &cursor("id"), Some(&first), 2).await.0, ["1|b", "6|new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_older_than_the_lookback_loses_no_row() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES (1)")
        .await;
    let cursor = Cursor { lookback: Some(Reach::Time(Duration::ZERO)), ..cursor("at") };
    let writer = client(&database).await;
    writer.batch_execute("BEGIN; SELECT now()").await.unwrap();
    database.run("INSERT INTO t VALUES (2)").await;
    let (_, first) = settled(&database, "public.t", &cursor, None, 2).await;
    writer.batch_execute("INSERT INTO t VALUES (3); COMMIT").await.unwrap();
    let (rows, _) = settled(&database, "public.t", &cursor, Some(&first), 1).await;
    assert!(rows.len() == 1 && rows[0].starts_with("3|"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_commit_while_a_table_is_read_whole_are_read_once() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp()); INSERT INTO t (at) SELECT now() FROM generate_series(1, 50000)")
        .await;
    let cursor = cursor("at");
    let shop = postgres(&database.url);
    let opened =
        shop.source(&request(SourceObject::Table(path("public.t")), &cursor, Reading::After(None))).await.unwrap();
    // Between the look at the horizon and the first row.
    for _ in 0..5 {
        database.run("INSERT INTO t DEFAULT VALUES").await;
    }
    let mut rows = show(&read(opened.table).await.unwrap());
    shop.close().await;
    let (later, _) = settled(&database, "public.t", &cursor, opened.position.as_ref(), 50005 - rows.len()).await;
    rows.extend(later);
    let distinct: HashSet<&String> = rows.iter().collect();
    assert_eq!((distinct.len(), rows.len()), (50005, 50005));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_table_without_partitions_goes_on_once_it_has_some() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id int NOT NULL) PARTITION BY RANGE (id)").await;
    let cursor = cursor("id");
    let (_, first) = window(&database.url, "public.t", &cursor, None).await.unwrap();
    let (_, second) = window(&database.url, "public.t", &cursor, Some(&first)).await.unwrap();
    database.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9); INSERT INTO t VALUES (5)").await;
    assert_eq!(settled(&database, "public.t", &cursor, Some(&second), 1).await.0, ["5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_of_every_type_go_on_where_they_were() {
    let database = Database::new().await;
    let types = [
        ("smallint", "7", "8"),
        ("integer", "7", "8"),
        ("bigint", "9223372036854775806", "9223372036854775807"),
        ("numeric", "7.5", "7.75"),
        ("numeric(12,2)", "7.50", "7.75"),
        ("date", "now()", "now()"),
        ("timestamp", "now()", "now()"),
        ("timestamptz", "now()", "now()"),
    ];
    for (index, (kind, old, new)) in types.into_iter().enumerate() {
        let table = format!("t{index}");
        database
            .run(&format!("CREATE TABLE {table} (id int, c {kind} NOT NULL); INSERT INTO {table} VALUES (1, {old})"))
            .await;
        let (cursor, name) = (cursor("c"), format!("public.{table}"));
        let (rows, first) = settled(&database, &name, &cursor, None, 1).await;
        assert_eq!(rows.len(), 1, "{kind}");
        database.run(&format!("INSERT INTO {table} VALUES (2, {new})")).await;
        let (rows, second) = settled(&database, &name, &cursor, Some(&first), 1).await;
        assert!(rows.len() == 1 && rows[0].starts_with("2|"), "{kind}: {rows:?}");
        assert_eq!(window(&database.url, &name, &cursor, Some(&second)).await.unwrap().0.len(), 0, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_a_cursor_are_read_each_once_or_refused() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, at timestamptz); INSERT INTO t VALUES (1, NULL), (2, now())")
        .await;
    let shop = postgres(&database.url);
    let judged = shop.source(&request(SourceObject::Table(path("public.t")), &cursor("at"), Reading::Judged)).await;
    let error = judged.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Config, "the cursor at of shop.public.t can be NULL"));
    let include = Cursor { nulls: Some(CursorNulls::Include), ..cursor("at") };
    let (rows, first) = settled(&database, "public.t", &include, None, 2).await;
    assert_eq!(rows.len(), 2);
    database.run("INSERT INTO t VALUES (3, NULL)").await;
    let (rows, second) = settled(&database, "public.t", &include, Some(&first), 1).await;
    assert_eq!(rows, ["3|NULL"]);
    assert!(window(&database.url, "public.t", &include, Some(&second)).await.unwrap().0.is_empty());
    let fail = Cursor { nulls: Some(CursorNulls::Fail), ..cursor("at") };
    let error = window(&database.url, "public.t", &fail, None).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Data, "shop.public.t: the cursor at is NULL in some rows")
    );
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_rewritten_emptied_or_made_anew_is_refused() {
    let database = Database::new().await;
    let make =
        "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i";
    database.run(make).await;
    let cursor = cursor("n");
    let (rows, first) = settled(&database, "public.t", &cursor, None, 9).await;
    assert_eq!(rows.len(), 9);
    for (change, message) in [
        ("ALTER TABLE t ALTER n TYPE bigint", "was rewritten"),
        ("TRUNCATE t; INSERT INTO t VALUES (10, 10)", "was rewritten"),
        ("VACUUM FULL t", "was rewritten"),
        ("DROP TABLE t", ""),
        (make, "was made anew"),
    ] {
        // VACUUM is in no transaction with others.
        database.run(change).await;
        if !message.is_empty() {
            let error = window(&database.url, "public.t", &cursor, Some(&first)).await.unwrap_err();
            assert!(error.kind == ErrorKind::Config && error.message.contains(message), "{change}: {error}");
            assert!(error.hint.unwrap().contains("--full-refresh"), "{change}");
        }
    }
    // Without who wrote the rows it goes on from the value.
    let mut kept: Value = first.to.clone();
    kept.as_object_mut().unwrap().remove("written");
    let kept = Position { to: kept, shown: String::new(), must_move: false, behind: 0 };
    database.run("INSERT INTO t VALUES (12, 12)").await;
    assert_eq!(settled(&database, "public.t", &cursor, Some(&kept), 10).await.0.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_added_is_read_whole_and_once() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE t (day date NOT NULL, id int) PARTITION BY RANGE (day);
             CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
             INSERT INTO t VALUES ('2026-01-05', 1);
             CREATE TABLE old (day date NOT NULL, id int); INSERT INTO old VALUES ('2020-01-05', 2)",
        )
        .await;
    let cursor = cursor("day");
    let (rows, first) = settled(&database, "public.t", &cursor, None, 1).await;
    assert_eq!(rows, ["2026-01-05|1"]);
    database.run("ALTER TABLE t ATTACH PARTITION old FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')").await;
    let (rows, second) = settled(&database, "public.t", &cursor, Some(&first), 1).await;
    assert_eq!(rows, ["2020-01-05|2"], "older than any lookback, and written before the last window");
    assert!(window(&database.url, "public.t", &cursor, Some(&second)).await.unwrap().0.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_and_a_query_are_read_with_a_lag_alone() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id int NOT NULL); INSERT INTO t SELECT generate_series(1, 100); CREATE VIEW v AS SELECT * FROM t").await;
    let shop = postgres(&database.url);
    let nulls = Some(CursorNulls::Include);
    let plain = Cursor { nulls, ..cursor("id") };
    for object in [SourceObject::Table(path("public.v")), SourceObject::Query("SELECT * FROM t".to_owned())] {
        let error = shop.source(&request(object.clone(), &plain, Reading::Judged)).await.unwrap_err();
        assert!(error.message.contains("its rows don't say when they were written"), "{error}");
        let lag = Cursor { lag: Some(Reach::Count(10)), ..plain.clone() };
        let first = shop.source(&request(object.clone(), &lag, Reading::After(None))).await.unwrap();
        let after = Reading::After(Some(first.position.unwrap().to));
        assert_eq!(show(&read(first.table).await.unwrap()).len(), 100);
        let second = shop.source(&request(object, &lag, after)).await.unwrap();
        assert_eq!(show(&read(second.table).await.unwrap()).len(), 11, "90 to 100");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_no_cursor_is_said_at_plan() {
    let database = Database::new().await;
    database.run("CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL)").await;
    let shop = postgres(&database.url);
    let judge = async |cursor: Cursor| {
        let judged = shop.source(&request(SourceObject::Table(path("public.t")), &cursor, Reading::Judged)).await;
        judged.map(|_| ()).map_err(|error| error.message)
    };
    assert_eq!(judge(cursor("idd")).await.unwrap_err(), "shop.public.t has no column idd, which is the cursor");
    assert_eq!(judge(cursor("name")).await.unwrap_err(), "the cursor name of shop.public.t is Utf8");
    let wrong = Cursor { lookback: Some(Reach::Count(5)), ..cursor("at") };
    assert!(judge(wrong).await.unwrap_err().contains("its distance is no duration"));
    assert_eq!(
        judge(Cursor { column: None, ..cursor("at") }).await.unwrap_err(),
        "shop.public.t has no position of its own"
    );
    assert_eq!(judge(cursor("at")).await, Ok(()));
    shop.close().await;
}
