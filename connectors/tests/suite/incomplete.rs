//! Sources that may leave rows out say so: a load that deletes what is missing does not read them.

use std::sync::Arc;

use headwater_engine::connector::{Connection, SourceObject};
use serde_json::json;
use uuid::Uuid;

use crate::cluster::Database;
use crate::load::{open, path, postgres, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_says_why_its_rows_may_not_be_all_that_there_are() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let role = format!("few_{}", Uuid::new_v4().simple());
    database
        .run(&format!(
            "CREATE TABLE t (id bigint); CREATE VIEW v AS SELECT * FROM t; CREATE TABLE hidden (id bigint);
             ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
             CREATE ROLE {role}; GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON t, hidden TO {role}"
        ))
        .await;
    std::fs::write(folder.path().join("a.csv"), "id\n1\n").unwrap();
    let shop = postgres(&database.url);
    let drop = open("files", json!({ "location": folder.path().to_str().unwrap(), "format": "csv" }));
    let incomplete = async |connection: &Arc<dyn Connection>, object: SourceObject| {
        connection.source(&request(object)).await.unwrap().incomplete.unwrap_or_default()
    };
    let table = |name: &str| SourceObject::Table(path(name));
    assert_eq!(incomplete(&shop, table("public.t")).await, "");
    assert_eq!(incomplete(&shop, table("public.v")).await, "a view, which may leave rows out");
    let query = SourceObject::Query("SELECT * FROM t".to_owned());
    assert_eq!(incomplete(&shop, query).await, "a query, which may leave rows out");
    assert_eq!(incomplete(&drop, SourceObject::Table(vec!["a.csv".to_owned()])).await, "");
    let pattern = SourceObject::Table(vec!["*.csv".to_owned()]);
    assert_eq!(incomplete(&drop, pattern).await, "files by a pattern, which may not be all there");
    // Whoever made the tables sees all rows of them, as a superuser does; the role does not.
    database.run(&format!("ALTER DATABASE {} SET role = '{role}'", database.name)).await;
    let few = postgres(&database.url);
    assert_eq!(incomplete(&few, table("public.t")).await, "");
    assert!(incomplete(&few, table("public.hidden")).await.contains("row security"));
    shop.close().await;
    few.close().await;
}
