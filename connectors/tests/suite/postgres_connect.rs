//! Reaching a server, or saying why not; leaving nothing behind.

use std::time::{Duration, Instant};

use futures::StreamExt;
use headwater_engine::ErrorKind;
use headwater_engine::connector::{SourceObject, SourceRequest};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Database, cluster, url};
use crate::load::{postgres, read, request, session, show, table};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_reports_version_role_and_tables() {
    let database = Database::new().await;
    database
        .run(
            "CREATE TABLE a (id int PRIMARY KEY, note text); COMMENT ON COLUMN a.note IS 'what'; CREATE VIEW b AS SELECT 1 AS x;
             CREATE TABLE hidden (y int); CREATE ROLE narrow LOGIN; GRANT SELECT ON a TO narrow",
        )
        .await;
    let health = postgres(&database.url).check().await.unwrap();
    assert!(health.version.starts_with("PostgreSQL 1"), "{health:?}");
    assert_eq!(
        (health.identity.as_deref(), health.transport.as_str(), health.tables),
        (Some("postgres"), "Unix socket", 3)
    );
    let narrow = postgres(&database.url.replace("postgres://postgres@", "postgres://narrow@"));
    let catalog = narrow.catalog(true).await.unwrap();
    assert_eq!(catalog.len(), 1);
    let columns: Vec<_> =
        catalog[0].columns.iter().map(|c| (c.name.as_str(), c.native_type.as_str(), c.primary_key)).collect();
    assert_eq!(columns, [("id", "integer", Some(1)), ("note", "text", None)]);
    assert_eq!(catalog[0].columns[1].comment.as_deref(), Some("what"));
    let denied = table(&narrow, "public.hidden").await.unwrap_err();
    assert!(denied.message.contains("may not read") && denied.hint.unwrap().contains("GRANT SELECT"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasons_for_a_failed_connection_are_told_apart() {
    let database = Database::new().await;
    database.run("CREATE ROLE secret_keeper LOGIN PASSWORD 'right'").await;
    let port = cluster().port;
    let reason = async |url: String| postgres(&url).check().await.unwrap_err();
    let missing = reason(url("postgres", "no_such_database")).await;
    assert!(missing.message.contains("no database 'no_such_database'"), "{missing}");
    let socket = cluster().socket.display();
    let wrong = reason(format!("postgres://secret_keeper:wrong@/postgres?host={socket}&port={port}")).await;
    assert!(wrong.message.contains("refused the password"), "{wrong}");
    let none = reason(format!("postgres://secret_keeper@/postgres?host={socket}&port={port}")).await;
    assert!(none.message.contains("asks for the password"), "{none}");
    let refused = reason("postgres://u@127.0.0.1:1/d?sslmode=disable".to_owned()).await;
    assert!(refused.message.contains("refused the connection"), "{refused}");
    assert_eq!(refused.kind, ErrorKind::Transient);
    let unknown = reason("postgres://u@no-such-host.invalid/d".to_owned()).await;
    assert!(unknown.message.contains("is unknown"), "{unknown}");
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    let answer_no = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = plain.accept().await.unwrap();
        let mut request = [0; 8];
        socket.read_exact(&mut request).await.unwrap();
        socket.write_all(b"N").await.unwrap();
    });
    let tls = reason(format!("postgres://postgres@127.0.0.1:{plain_port}/postgres?sslmode=require")).await;
    answer_no.await.unwrap();
    assert!(tls.message.contains("does not offer TLS"), "{tls}");
    for error in [missing, wrong, none, refused, unknown, tls] {
        assert!(error.hint.is_some(), "{error} has no hint");
        assert!(!error.message.contains("right") || !error.message.contains("wrong@"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_goes_as_far_as_sslmode_says() {
    let database = Database::new().await;
    database.run("CREATE ROLE over_tls LOGIN PASSWORD 'pw'").await;
    let (port, root) = (cluster().port, cluster().socket.join("ca.crt"));
    let check = async |host: &str, rest: &str| {
        postgres(&format!("postgres://over_tls:pw@{host}:{port}/postgres?{rest}")).check().await
    };
    let root = root.display();
    assert_eq!(check("127.0.0.1", "sslmode=disable").await.unwrap().transport, "TCP, not encrypted");
    for mode in ["prefer", "require"] {
        let health = check("127.0.0.1", &format!("sslmode={mode}")).await.unwrap();
        assert_eq!(health.transport, "TLS 1.3, certificate not verified");
    }
    let authority = check("localhost", &format!("sslmode=verify-ca&sslrootcert={root}")).await.unwrap();
    assert_eq!(authority.transport, "TLS 1.3, authority verified, host name not checked");
    let full = check("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}")).await.unwrap();
    assert_eq!(full.transport, "TLS 1.3, certificate verified");
    for (host, rest) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}")),
        ("127.0.0.1", "sslmode=verify-full".to_owned()),
    ] {
        let error = check(host, &rest).await.unwrap_err();
        assert!(error.message.contains("TLS") || error.message.contains("root certificate"), "{error}");
        assert!(error.hint.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_through_a_pooler_in_transaction_mode() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE big AS SELECT g AS id, repeat('x', 100) AS note, g::numeric AS n FROM generate_series(1, 200000) g; ANALYZE")
        .await;
    let pooler = crate::cluster::pooler();
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", pooler.port, database.name);
    let shop = postgres(&url);
    shop.check().await.unwrap();
    assert_eq!(shop.catalog(true).await.unwrap().len(), 1);
    let found =
        crate::load::sql(table(&shop, "public.big").await.unwrap(), "SELECT count(*), sum(id), sum(n) FROM t").await;
    assert_eq!(crate::load::show(&found.unwrap()), ["200000|20000100000|20000100000.0000000000"]);
    let query = SourceObject::Query("SELECT id FROM big WHERE id < 3".to_owned());
    let source = shop.source(&crate::load::request(query)).await.unwrap().table;
    let target = crate::load::sink(&shop, "public.target", headwater_pipelines::spec::WriteMode::Overwrite).await;
    for _ in 0..2 {
        crate::load::copy(source.clone(), &target).await.unwrap();
    }
    assert_eq!(database.rows("SELECT count(*) FROM target").await, ["2"]);
    shop.close().await;
}

#[test]
fn secrets_are_known_and_redacted() {
    let registry = headwater_connectors::registry();
    let connector = registry.get("postgres").unwrap();
    let settings = json!({ "url": "postgres://u:p%40ss@h/d?password=x1", "password": "other" });
    let redacted = connector.redact(&settings).to_string();
    for secret in ["p%40ss", "x1", "other"] {
        assert!(!redacted.contains(secret), "{redacted}");
    }
    assert!(connector.secrets(&settings).contains(&"p@ss".to_owned()));
}

/// Sessions of ours that do anything on this database.
async fn busy(database: &Database) -> String {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE application_name LIKE 'headwater %' AND datname = current_database() AND state = 'active'";
    database.rows(sql).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_the_statement_on_the_server() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    // One in the middle of its rows, one that sleeps before the first.
    for query in [
        "SELECT a, repeat('x', 100) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
        "SELECT pg_sleep(600)::text",
    ] {
        let cancel = CancellationToken::new();
        let request = SourceRequest {
            object: SourceObject::Query(query.to_owned()),
            columns: None,
            cursor: None,
            quarantine: None,
            cancel: cancel.clone(),
        };
        let source = shop.source(&request).await.unwrap().table;
        let mut rows = session().read_table(source).unwrap().execute_stream().await.unwrap();
        let reading = tokio::spawn(async move { while rows.next().await.is_some_and(|batch| batch.is_ok()) {} });
        while busy(&database).await == "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let start = Instant::now();
        cancel.cancel();
        reading.await.unwrap();
        while busy(&database).await != "0" {
            assert!(start.elapsed() < Duration::from_secs(2), "{query} is still running");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_stream_ends_the_statement_on_the_server() {
    let database = Database::new().await;
    let shop = postgres(&database.url);
    let query =
        SourceObject::Query("SELECT a FROM generate_series(1, 100000) a, generate_series(1, 100000) b".to_owned());
    let source = shop.source(&crate::load::request(query)).await.unwrap().table;
    let mut rows = session().read_table(source).unwrap().execute_stream().await.unwrap();
    rows.next().await.unwrap().unwrap();
    drop(rows);
    let start = Instant::now();
    while busy(&database).await != "0" {
        assert!(start.elapsed() < Duration::from_secs(2), "the statement is still running");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_being_altered_is_not_waited_for() {
    let database = Database::new().await;
    database.run("CREATE TABLE locked (id int); INSERT INTO locked VALUES (1)").await;
    let shop = postgres(&database.url);
    let source = table(&shop, "public.locked").await.unwrap();
    database.run("BEGIN; ALTER TABLE locked ADD COLUMN more int").await;
    let start = Instant::now();
    let error = crate::load::read(source).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.hint.unwrap().contains("lock") && start.elapsed() < Duration::from_secs(2));
    database.run("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_one_connection_are_read_in_one_snapshot() {
    let database = Database::new().await;
    database
        .run("CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)")
        .await;
    let shop = postgres(&database.url);
    let (a, b) = (table(&shop, "public.a").await.unwrap(), table(&shop, "public.b").await.unwrap());
    assert_eq!(crate::load::show(&crate::load::read(a).await.unwrap()), ["1"]);
    database.run("INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)").await;
    assert_eq!(crate::load::show(&crate::load::read(b).await.unwrap()), ["1"]);
}

/// What a connection to a port says that is answered like this, whatever comes in.
async fn answered_with(answer: &'static [u8], sslmode: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = async {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut question = [0; 4096];
            let _ = socket.read(&mut question).await;
            let _ = socket.write_all(answer).await;
            // Dropped here: it closes the connection, as such servers do.
        }
    };
    let url = format!("postgres://u:p@127.0.0.1:{port}/d?sslmode={sslmode}");
    let shop = postgres(&url);
    tokio::select! {
        checked = shop.check() => checked.unwrap_err().message,
        () = answering => unreachable!("it answers for ever"),
    }
}

#[tokio::test]
async fn a_port_that_is_not_postgres_is_reported_as_such() {
    for answer in [&b""[..], b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n"] {
        for sslmode in ["prefer", "disable", "require"] {
            let message = answered_with(answer, sslmode).await;
            // `require` may learn first that no TLS is offered.
            let known = ["does not answer as a Postgres server does", "does not offer TLS"];
            assert!(known.iter().any(|words| message.contains(words)), "{answer:?} {sslmode}: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_handed_on_as_new_and_only_to_the_same_connection() {
    let (database, other) = (Database::new().await, Database::new().await);
    for one in [&database, &other] {
        one.run("CREATE TABLE t AS SELECT 1 AS id").await;
    }
    let registry = headwater_connectors::registry();
    let open = |url: &str| registry.get("postgres").unwrap().open("shop", &json!({ "url": url })).unwrap();
    let processes = "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity
                     WHERE application_name LIKE 'headwater %' AND datname = current_database()";
    let first = open(&database.url);
    let query =
        "SELECT set_config('role', 'pg_monitor', false) AS role, set_config('work_mem', '77kB', false) AS memory,
                 pg_advisory_lock(7) IS NULL AS lock, 1 AS id";
    let source = first.source(&request(SourceObject::Query(query.to_owned()))).await.unwrap().table;
    read(source).await.unwrap();
    first.close().await;
    let before = database.rows(processes).await;
    let second = open(&database.url);
    let now =
        "SELECT current_setting('role') AS role, current_setting('work_mem') AS memory, current_user::text AS who";
    let source = second.source(&request(SourceObject::Query(now.to_owned()))).await.unwrap().table;
    let shown = show(&read(source).await.unwrap());
    assert!(shown[0].starts_with("none|") && !shown[0].contains("77kB"), "{shown:?}");
    assert_eq!(database.rows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").await, ["0"]);
    assert_eq!(database.rows(processes).await, before, "no session was opened");
    let elsewhere = open(&other.url);
    let query = request(SourceObject::Query("SELECT current_database()::text AS d".to_owned()));
    let source = elsewhere.source(&query).await.unwrap().table;
    assert_eq!(show(&read(source).await.unwrap()), [other.name.as_str()]);
    for connection in [second, elsewhere] {
        connection.close().await;
    }
}
