//! Reaching the listeners of a broker, or saying why not; what there is to read.

use std::time::{Duration, Instant};

use headwater_engine::ErrorKind;
use headwater_engine::connector::{SourceObject, SourceRequest};
use serde_json::{Value, json};

use crate::broker::{PASSWORD, broker, name};
use crate::kafka::{kafka, request, source};
use crate::load::{open, read, show};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasons_for_a_failed_connection_are_told_apart() {
    let broker = broker();
    let check = async |settings: Value| open("kafka", settings).check().await;
    let at = |host: &str, port: u16| format!("{host}:{port}");
    let plain = at("127.0.0.1", broker.plain);
    let (sasl, tls, both) =
        (at("127.0.0.1", broker.sasl), at("localhost", broker.tls), at("localhost", broker.sasl_tls));
    let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (web_port, mute_port) = (web.local_addr().unwrap().port(), mute.local_addr().unwrap().port());
    let answer = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = web.accept().await.unwrap();
        socket.read_exact(&mut [0; 8]).await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let user = |password: &str, more: Value| {
        let mut settings = json!({ "user": "admin", "password": password });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let cases = [
        (json!({ "bootstrap": "no-such-host.invalid:9092" }), "is unknown", ErrorKind::Transient),
        (json!({ "bootstrap": "127.0.0.1:1" }), "refused the connection", ErrorKind::Transient),
        (json!({ "bootstrap": at("127.0.0.1", web_port) }), "not answer as a Kafka broker", ErrorKind::Config),
        (json!({ "bootstrap": at("127.0.0.1", mute_port) }), "did not answer within", ErrorKind::Transient),
        (json!({ "bootstrap": tls }), "answers in TLS", ErrorKind::Config),
        (json!({ "bootstrap": plain, "security": "tls" }), "TLS with", ErrorKind::Config),
        (json!({ "bootstrap": tls, "security": "tls" }), "TLS with", ErrorKind::Config),
        (
            json!({ "bootstrap": at("127.0.0.1", broker.tls), "security": "tls", "ca": broker.ca() }),
            "TLS with",
            ErrorKind::Config,
        ),
        (json!({ "bootstrap": sasl }), "closed the connection instead", ErrorKind::Config),
        (
            user(PASSWORD, json!({ "bootstrap": plain, "security": "sasl_plaintext" })),
            "does not ask for SASL",
            ErrorKind::Config,
        ),
        (
            user("wrong", json!({ "bootstrap": sasl, "security": "sasl_plaintext" })),
            "refused the password",
            ErrorKind::Config,
        ),
        (
            user("wrong", json!({ "bootstrap": sasl, "security": "sasl_plaintext", "mechanism": "SCRAM-SHA-256" })),
            "refused the password",
            ErrorKind::Config,
        ),
        (
            user(
                PASSWORD,
                json!({ "bootstrap": both, "security": "sasl_tls", "ca": broker.ca(), "mechanism": "SCRAM-SHA-512" }),
            ),
            "does not offer the SASL mechanism",
            ErrorKind::Config,
        ),
        (
            user("wrong", json!({ "bootstrap": both, "security": "sasl_tls", "ca": broker.ca() })),
            "refused the password",
            ErrorKind::Config,
        ),
    ];
    for (settings, part, kind) in cases {
        let error = check(settings.clone()).await.unwrap_err();
        assert!(error.message.contains(part) && error.kind == kind && error.hint.is_some(), "{settings}: {error:?}");
        assert!(!format!("{error:?}").contains(PASSWORD) && !error.message.contains("wrong"), "{error:?}");
    }
    answer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_listener_is_reached_and_read() {
    let (broker, topic) = (broker(), name());
    broker.client().create(&topic, 1).send(&topic, 0, &["{\"id\":1}"]);
    let login = json!({ "user": "admin", "password": PASSWORD });
    for (host, port, security, mechanism, transport) in [
        ("127.0.0.1", broker.plain, "plaintext", "PLAIN", "TCP, not encrypted"),
        ("127.0.0.1", broker.sasl, "sasl_plaintext", "PLAIN", "TCP, not encrypted"),
        ("127.0.0.1", broker.sasl, "sasl_plaintext", "SCRAM-SHA-256", "TCP, not encrypted"),
        ("127.0.0.1", broker.sasl, "sasl_plaintext", "SCRAM-SHA-512", "TCP, not encrypted"),
        ("localhost", broker.tls, "tls", "PLAIN", "TLS 1.3, certificate verified"),
        ("localhost", broker.sasl_tls, "sasl_tls", "PLAIN", "TLS 1.3, certificate verified"),
    ] {
        let mut settings =
            json!({ "bootstrap": format!("kafka://{host}:{port}"), "security": security, "mechanism": mechanism });
        let options = settings.as_object_mut().unwrap();
        if security.contains("sasl") {
            options.extend(login.as_object().unwrap().clone());
        }
        if security.contains("tls") {
            options.insert("ca".to_owned(), json!(broker.ca()));
        }
        let connection = open("kafka", settings);
        let health = connection.check().await.unwrap();
        assert_eq!(health.transport, transport);
        assert!(health.version.starts_with("Kafka, 1 broker, cluster ") && health.tables > 0, "{health:?}");
        assert_eq!(health.identity.is_some(), security.contains("sasl"));
        let found = connection.source(&request(&topic, json!(["id"]), None)).await.unwrap();
        assert_eq!(show(&read(found.table).await.unwrap()), ["1"], "{security}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_the_user_may_not_read_is_an_error_with_the_privilege() {
    let (broker, topic) = (broker(), name());
    let mut client = broker.client();
    client.create(&topic, 1).send(&topic, 0, &["{\"id\":1}"]);
    client.run(&json!({ "do": "deny", "group": "headwater", "user": "narrow" }));
    let settings = json!({ "bootstrap": format!("127.0.0.1:{}", broker.sasl), "security": "sasl_plaintext", "user": "narrow", "password": PASSWORD });
    let narrow = open("kafka", settings);
    // No group is joined, so that none need be allowed.
    let found = narrow.source(&request(&topic, json!(["id"]), None)).await.unwrap();
    assert_eq!(show(&read(found.table).await.unwrap()), ["1"]);
    client.run(&json!({ "do": "deny", "topic": topic, "user": "narrow" }));
    let deadline = Instant::now() + Duration::from_secs(10);
    let error = loop {
        let opened = narrow.source(&request(&topic, json!({ "id": "bigint" }), None)).await;
        let read = match opened {
            Ok(found) => read(found.table).await.map(drop),
            Err(error) => Err(error),
        };
        match read {
            Err(error) => break error,
            Ok(()) => assert!(Instant::now() < deadline, "the user may read still"),
        }
    };
    assert_eq!(error.kind, ErrorKind::Config, "{error}");
    assert!(
        error.message.contains("may not read the topic") && error.hint.unwrap().contains("READ"),
        "{}",
        error.message
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalog_has_topics_without_the_brokers_own() {
    let (topic, mut client) = (name(), broker().client());
    client.create(&topic, 2).fill(&topic, 2, 0, 30, 0);
    client.run(&json!({ "do": "begin", "id": topic })).run(&json!({ "do": "abort" }));
    let tables = kafka().catalog(true).await.unwrap();
    assert!(tables.iter().all(|table| !table.path[0].starts_with("__")), "{tables:?}");
    let table = tables.iter().find(|table| table.path == [topic.clone()]).unwrap();
    assert_eq!((table.kind.as_str(), table.rows), ("topic, 2 partitions", Some(30)));
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["_partition", "_offset", "_timestamp", "_key", "_headers", "_tombstone", "id", "pad"]);
    let error = source(&topic[..topic.len() - 1], json!(null), None).await.err();
    assert!(error.is_none_or(|error| error.hint.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_the_position_of_the_topic_and_no_column() {
    let mut wrong = request("any", json!(null), None);
    wrong.cursor.as_mut().unwrap().cursor.column = Some("id".to_owned());
    let error = kafka().source(&wrong).await.unwrap_err();
    assert!(error.hint.unwrap().contains("cursor: auto"), "{}", error.message);
    let query = SourceRequest { object: SourceObject::Query("SELECT 1".to_owned()), ..wrong };
    assert_eq!(kafka().source(&query).await.unwrap_err().kind, ErrorKind::Config);
}
