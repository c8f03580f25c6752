#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::json;

use crate::testing::{database, empty_database, plan};
use crate::{Beside, MasterKey, NewConnection, NewVersion, Store, StoreError, StoreErrorKind, Suggest};

#[tokio::test]
async fn migrating_twice_changes_nothing_and_newer_migrations_are_left_alone() {
    let store = Store::connect(&empty_database().await).await.unwrap();
    store.migrate(Beside::Nothing).await.unwrap();
    store.migrate(Beside::Nothing).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'newer', true, '', 0)",
    )
    .execute(store.durable())
    .await
    .unwrap();
    store.migrate(Beside::Nothing).await.unwrap();
}

#[tokio::test]
async fn a_database_whose_floor_is_above_this_build_is_refused() {
    let db = database().await;
    sqlx::query("UPDATE compat_floor SET floor = 99").execute(db.store.durable()).await.unwrap();
    let error = Store::connect(&db.url).await.unwrap_err();
    assert!(error.message.contains("needs a newer headwater"), "{error}");
}

#[tokio::test]
async fn a_url_that_is_none_says_what_one_looks_like() {
    let error = Store::connect("headwater").await.unwrap_err();
    assert!(error.hint.unwrap().contains("postgres://"));
}

#[tokio::test]
async fn ids_grow_with_time_and_are_of_version_seven() {
    let db = database().await;
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT uuid_v7() FROM generate_series(1, 3), pg_sleep(0.001)")
        .fetch_all(db.store.durable())
        .await
        .unwrap();
    assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
    let later: uuid::Uuid = sqlx::query_scalar("SELECT uuid_v7()").fetch_one(db.store.durable()).await.unwrap();
    assert!(ids.iter().all(|id| *id < later));
}

#[tokio::test]
async fn a_version_is_stored_once_for_its_content_and_never_changes() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let plan = plan("p", &[("b", &[]), ("a", &["b"])]);
    let spec = json!({ "z": 1, "a": 2 });
    let version = NewVersion { spec_text: "name: p", spec: &spec, plan: &plan };
    let first = workspace.save_version(&version).await.unwrap();
    assert_eq!((first.number, first.current), (1, false));
    assert_eq!(first.plan, plan);
    assert_eq!(first.spec.to_string(), r#"{"z":1,"a":2}"#);
    assert_eq!(workspace.save_version(&version).await.unwrap().id, first.id);
    let other = workspace.save_version(&NewVersion { spec_text: "name:  p", ..version.clone() }).await.unwrap();
    assert_eq!(other.number, 2);
    let error = workspace.current_version("p").await.unwrap_err();
    assert_eq!((error.kind, error.suggest), (StoreErrorKind::NotFound, Some(Suggest::Apply)));
    workspace.apply(&version, None).await.unwrap();
    assert_eq!(workspace.current_version("p").await.unwrap().id, first.id);
    assert!(workspace.current_version("q").await.unwrap_err().hint.unwrap().contains("valid names are p"));
    let changed = sqlx::query("UPDATE versions SET spec_text = ''").execute(db.store.durable()).await;
    assert!(changed.unwrap_err().to_string().contains("immutable"));
}

#[tokio::test]
async fn a_connections_secrets_are_sealed_and_open_with_the_right_key_alone() {
    let db = database().await;
    let workspace = db.store.default_workspace();
    let key = MasterKey::from_bytes(&[3; 32]).unwrap();
    let settings = json!({ "url": "postgres://app:hunter22@db/shop" });
    let shown = json!({ "url": "postgres://app:***@db/shop" });
    let shop = NewConnection {
        name: "shop".to_owned(),
        connector: "postgres".to_owned(),
        settings: settings.clone(),
        shown: shown.clone(),
        variables: vec!["SHOP_PASSWORD".to_owned()],
    };
    workspace.put_connection(&key, &shop).await.unwrap();
    let rows = workspace.connections().await.unwrap();
    assert_eq!((rows[0].name.as_str(), &rows[0].shown), ("shop", &shown));
    let dump: String = sqlx::query_scalar("SELECT c::text || encode(sealed, 'escape') FROM connections c")
        .fetch_one(db.store.durable())
        .await
        .unwrap();
    assert!(!dump.contains("hunter22"));
    let opened = workspace.open_connection(&key, "shop").await.unwrap();
    assert_eq!(opened.settings, settings);
    assert!(!format!("{opened:?}").contains("hunter22"));
    let other = MasterKey::from_bytes(&[4; 32]).unwrap();
    let error = workspace.open_connection(&other, "shop").await.unwrap_err();
    assert!(error.message.contains("can't be decrypted with this master key"), "{error}");
    sqlx::query("UPDATE connections SET name = 'lake'").execute(db.store.durable()).await.unwrap();
    assert!(workspace.open_connection(&key, "lake").await.is_err());
    assert!(workspace.open_connection(&key, "shop").await.unwrap_err().hint.unwrap().contains("lake"));
    workspace.remove_connection("lake").await.unwrap();
    assert_eq!(workspace.remove_connection("lake").await.unwrap_err().kind, StoreErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_of_ready_work_and_of_cancels() {
    let db = database().await;
    let mut listener = db.store.listen().await.unwrap();
    let run_id = crate::testing::start_run(&db.store, &plan("p", &[("a", &[])])).await;
    assert_eq!(listener.next().await.unwrap(), crate::Wakeup::Ready("default".to_owned()));
    db.store.default_workspace().cancel_run(run_id).await.unwrap();
    assert_eq!(listener.next().await.unwrap(), crate::Wakeup::Canceled(run_id));
}

#[tokio::test]
async fn a_statement_that_misses_its_deadline_is_late_and_one_that_is_refused_is_not() {
    let db = database().await;
    let hasty = db.store.durable().within(Duration::from_millis(50));
    let missed = StoreError::from(sqlx::query("SELECT pg_sleep(30)").execute(&hasty).await.unwrap_err());
    assert!(missed.is_late() && missed.is_transient(), "{missed:?}");
    let refused = StoreError::from(sqlx::query("SELECT 1 / 0").execute(db.store.durable()).await.unwrap_err());
    assert!(!refused.is_late(), "{refused:?}");
}

#[tokio::test]
async fn a_statement_that_waits_too_long_for_a_lock_is_late() {
    let db = database().await;
    let mut holder = db.store.durable().begin().await.unwrap();
    sqlx::query("LOCK TABLE ready").execute(&mut *holder).await.unwrap();
    let mut waiting = db.store.durable().begin().await.unwrap();
    sqlx::query("SET LOCAL lock_timeout = '20ms'").execute(&mut *waiting).await.unwrap();
    let waited = StoreError::from(sqlx::query("DELETE FROM ready").execute(&mut *waiting).await.unwrap_err());
    assert!(waited.is_late() && waited.is_transient(), "{waited:?}");
}
