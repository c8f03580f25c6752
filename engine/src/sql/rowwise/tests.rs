//! Statements that DataFusion alone would not run, as DataFusion's own parser reads them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;

use super::*;
use crate::session::{EngineConfig, SessionFactory};

fn session() -> SessionContext {
    let factory = SessionFactory::new(EngineConfig { parallelism: 2, ..EngineConfig::new(std::env::temp_dir()) });
    factory.session(Arc::clone(factory.pool()), true).unwrap()
}

/// The rows of a statement over `c`, which holds 1, 2 and 3.
async fn rows(sql: &str) -> Vec<String> {
    let session = session();
    let state = session.state();
    let plan = state.create_logical_plan(&format!("WITH c (id) AS (VALUES (1), (2), (3)) {sql}")).await.unwrap();
    let plan = unfolded(plan, &state).unwrap();
    let batches = session.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in &batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
        let columns: Vec<ArrayFormatter> = columns.collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

#[tokio::test]
async fn an_aggregate_may_depend_on_its_row_by_any_condition() {
    let found = rows("SELECT c.id, (SELECT count(*) FROM c q WHERE q.id < c.id) AS n FROM c ORDER BY c.id").await;
    assert_eq!(found, ["1 0", "2 1", "3 2"]);
    let found = rows("SELECT c.id FROM c WHERE (SELECT max(q.id) FROM c q WHERE q.id <> c.id) = 2").await;
    assert_eq!(found, ["3"]);
}

#[tokio::test]
async fn the_value_may_be_made_of_the_row_and_an_aggregate_of_all() {
    let found = rows("SELECT c.id, (SELECT max(q.id) - c.id FROM c q) AS n FROM c ORDER BY c.id").await;
    assert_eq!(found, ["1 2", "2 1", "3 0"]);
}

#[tokio::test]
async fn rows_that_have_none_are_kept_by_a_left_join() {
    let sql = "SELECT c.id, l.x FROM c LEFT JOIN LATERAL (SELECT q.id AS x FROM c q WHERE q.id > c.id) l ON l.x <> 2";
    assert_eq!(rows(&format!("{sql} ORDER BY c.id, l.x")).await, ["1 3", "2 3", "3 NULL"]);
    let sql = "SELECT c.id, l.x FROM c CROSS JOIN LATERAL (SELECT c.id + 10 AS x) l WHERE c.id > 1 ORDER BY c.id";
    assert_eq!(rows(sql).await, ["2 12", "3 13"]);
}

#[tokio::test]
async fn existence_is_a_value_of_each_row() {
    let sql = "SELECT c.id, EXISTS (SELECT 1 FROM c q WHERE q.id > c.id) AS more FROM c ORDER BY c.id";
    assert_eq!(rows(sql).await, ["1 true", "2 true", "3 false"]);
    let sql = "SELECT c.id FROM c WHERE NOT EXISTS (SELECT 1 FROM c q WHERE q.id = c.id + 1 \
               AND NOT EXISTS (SELECT 1 FROM c r WHERE r.id = c.id + 2 AND r.id > q.id)) ORDER BY c.id";
    assert_eq!(rows(sql).await, ["1", "3"]);
}

#[tokio::test]
async fn what_datafusion_joins_for_is_left_to_it() {
    let state = session().state();
    let sql = "WITH c (id) AS (VALUES (1)) SELECT c.id, (SELECT count(*) FROM c q WHERE q.id = c.id) AS n FROM c";
    let plan = state.create_logical_plan(sql).await.unwrap();
    assert_eq!(unfolded(plan.clone(), &state).unwrap(), plan);
}
