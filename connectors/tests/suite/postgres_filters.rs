//! A filter that the server applies gives the rows that the engine would have kept.

use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use std::sync::Arc;

use crate::cluster::Database;
use crate::load::{postgres, read, session, show, sql, table};

/// Rows with every edge on which a server and an engine could differ.
const ROWS: &str = "
    CREATE TABLE edges (id int PRIMARY KEY, i2 int2, i8 int8, n numeric(12,3), b bool, d date, ts timestamp, tz timestamptz,
                        t text, v varchar(10), c char(5), f float8, u uuid);
    INSERT INTO edges VALUES
     (1, 1, 9223372036854775807, 1.500, true, '2026-01-01', '2026-01-01 00:00:00', '2026-01-01 00:00:00+02', 'a', 'a', 'a', 'NaN',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
     (2, -1, -9223372036854775808, -0.001, false, '1969-12-31', '1969-12-31 23:59:59.999999', '2026-01-01 00:00:00-02', 'B', 'B',
      'a ', 'Infinity', NULL),
     (3, 0, 0, 0, NULL, '0001-01-01', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:00+00', 'ä', 'ä', '', '-0', NULL),
     (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
     (5, 32767, 1, 999999999.999, true, '2026-03-29', '2026-03-29 02:30:00', '2026-03-29 02:30:00+01', 'z', '', 'z', 0.1, NULL),
     (6, 5, 5, 5, false, '2026-02-28', '2026-02-28 12:00:00.000001', '2026-02-28 12:00:00.000001+00', 'A', 'it''s', 'Z', 5, NULL);";

const FILTERS: [&str; 34] = [
    "id > 2",
    "3 <= id",
    "id <> 4",
    "i2 = -1",
    "i2 < 0",
    "i8 >= 9223372036854775807",
    "i8 = 0 OR i2 IS NULL",
    "NOT (i2 > 0)",
    "n = 1.5",
    "n < 0",
    "n BETWEEN 0 AND 5",
    "n NOT BETWEEN 0 AND 5",
    "b",
    "NOT b",
    "b = false",
    "b IS NOT NULL",
    "d < DATE '1970-01-01'",
    "d = DATE '0001-01-01'",
    "ts = TIMESTAMP '2026-02-28 12:00:00.000001'",
    "ts > TIMESTAMP '2026-01-01'",
    "tz = TIMESTAMPTZ '2025-12-31 22:00:00Z'",
    "tz < TIMESTAMPTZ '2026-01-01 00:00:00Z'",
    "t = 'a'",
    "t < 'b'",
    "t >= 'Z'",
    "t <> 'ä'",
    "v IN ('a', 'it''s', '')",
    "v NOT IN ('a', 'B')",
    "c = 'a'",
    "f > 1",
    "f = 0",
    "u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "id = 2 AND f > 1",
    "t IS NULL AND id > 1",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushed_and_unpushed_filters_keep_the_same_rows() {
    let database = Database::new().await;
    database.run(ROWS).await;
    let shop = postgres(&database.url);
    let all: Vec<RecordBatch> = read(table(&shop, "public.edges").await.unwrap()).await.unwrap();
    let local = Arc::new(MemTable::try_new(all[0].schema(), vec![all]).unwrap());
    for filter in FILTERS {
        let query = format!("SELECT id FROM t WHERE {filter}");
        let pushed = sql(table(&shop, "public.edges").await.unwrap(), &query).await.unwrap();
        let unpushed = sql(local.clone(), &query).await.unwrap();
        assert_eq!(show(&pushed), show(&unpushed), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agreed_filters_projection_and_limit_reach_the_server_and_floats_do_not() {
    let database = Database::new().await;
    database.run(ROWS).await;
    let shop = postgres(&database.url);
    let plan = async |query: &str| {
        let context = session();
        context.register_table("t", table(&shop, "public.edges").await.unwrap()).unwrap();
        let plan = context.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string()
    };
    let pushed = plan("SELECT t FROM t WHERE id > 2 AND t < 'b' LIMIT 3").await;
    assert!(pushed.contains(r#"filter=("id" > (2)) AND ("t" COLLATE "C" < 'b'), limit=3"#), "{pushed}");
    assert!(!pushed.contains("FilterExec"), "{pushed}");
    let kept = plan("SELECT id FROM t WHERE f > 1").await;
    assert!(kept.contains("FilterExec") && !kept.contains("filter=("), "{kept}");
}

mod property {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    fn comparison() -> impl Strategy<Value = String> {
        let operator = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
        let operand = prop_oneof![
            (prop::sample::select(vec!["id", "i2", "i8", "n"]), -7i64..7)
                .prop_map(|(column, value)| (column, value.to_string())),
            (Just("n"), -1500i64..1500)
                .prop_map(|(column, value)| (column, format!("{}.{:03}", value / 1000, value.abs() % 1000))),
            (prop::sample::select(vec!["t", "v"]), "[a-zA-ZäÄ']{0,2}")
                .prop_map(|(column, value)| (column, format!("'{}'", value.replace('\'', "''")))),
            (Just("d"), 1i64..29).prop_map(|(column, day)| (column, format!("DATE '2026-02-{day:02}'"))),
        ];
        (operand, operator).prop_map(|((column, value), operator)| format!("{column} {operator} {value}"))
    }

    #[test]
    fn any_combination_of_comparisons_keeps_the_same_rows() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (shop, local, _database) = runtime.block_on(async {
            let database = Database::new().await;
            database.run(ROWS).await;
            let shop = postgres(&database.url);
            let all: Vec<RecordBatch> = read(table(&shop, "public.edges").await.unwrap()).await.unwrap();
            (shop, Arc::new(MemTable::try_new(all[0].schema(), vec![all]).unwrap()), database)
        });
        let mut runner =
            TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() });
        let filters = (comparison(), comparison(), any::<bool>(), any::<bool>());
        runner
            .run(&filters, |(left, right, both, negated)| {
                let joined = format!("{left} {} {right}", if both { "AND" } else { "OR" });
                let filter = if negated { format!("NOT ({joined})") } else { joined };
                let query = format!("SELECT id FROM t WHERE {filter}");
                let (pushed, unpushed) = runtime.block_on(async {
                    let pushed = sql(table(&shop, "public.edges").await.unwrap(), &query).await.unwrap();
                    (pushed, sql(local.clone(), &query).await.unwrap())
                });
                prop_assert_eq!(show(&pushed), show(&unpushed), "{}", filter);
                Ok(())
            })
            .unwrap();
    }
}
