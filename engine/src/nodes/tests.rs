#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use headwater_pipelines::plan::Relation;
use headwater_pipelines::spec::{OnFailure, Rule};

use super::{Barrier, BarrierNode, compile, extension};
use crate::control::{Control, Progress};
use crate::error::EngineError;
use crate::relations::Relations;
use crate::session::{EngineConfig, SessionFactory};
use crate::testing::Recorder;
use crate::transform::{self, Parameters};

mod rejects;

/// `orders(id, amount, country)` behind a check of these rules, as the relation `checked`.
struct Checked {
    relations: Relations,
    progress: Arc<Progress>,
    control: Arc<Recorder>,
    barrier: Arc<Barrier>,
    _spill: tempfile::TempDir,
}

fn orders() -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), Some(3), None]));
    let amount: ArrayRef = Arc::new(Int64Array::from(vec![10, -5, 30, 30, 50]));
    let country: ArrayRef = Arc::new(StringArray::from(vec!["DE", "FR", "DE", "FR", "DE"]));
    RecordBatch::try_from_iter([("id", id), ("amount", amount), ("country", country)]).unwrap()
}

fn checked(rules: Vec<Rule>, on_failure: OnFailure) -> Checked {
    checked_by(rules, on_failure, |barrier, _| barrier)
}

fn checked_by(rules: Vec<Rule>, on_failure: OnFailure, finish: impl FnOnce(Barrier, &Progress) -> Barrier) -> Checked {
    let spill = tempfile::tempdir().unwrap();
    let factory = SessionFactory::new(EngineConfig::new(spill.path().to_owned()));
    let session = factory.session(Arc::clone(factory.pool()), true).unwrap();
    let progress = Arc::new(Progress::default());
    let mut relations = Relations::new(session);
    let table = MemTable::try_new(orders().schema(), vec![vec![orders()]]).unwrap();
    relations.add_table("orders", Arc::new(table), &progress).unwrap();
    let input = relations.plan(&Relation::Task("orders".into())).unwrap();
    let state = relations.session().state();
    let parameters = Parameters::from([("least".to_owned(), ScalarValue::Int64(Some(0)))]);
    let rules = rules.iter().map(|rule| compile(rule, input.schema(), &state, &parameters).unwrap()).collect();
    let control = Arc::new(Recorder::default());
    let barrier =
        Barrier::new("checked", on_failure, Arc::clone(&control) as Arc<dyn Control>, relations.session().clone());
    let barrier = Arc::new(finish(barrier, &progress));
    let node = BarrierNode { barrier: Arc::clone(&barrier), rules, input };
    relations.add_plan("checked", extension(node), &progress).unwrap();
    Checked { relations, progress, control, barrier, _spill: spill }
}

impl Checked {
    /// Runs a statement to its end and then waits for the check, as a stage does.
    async fn run(&self, sql: &str) -> Result<usize, EngineError> {
        let plan = transform::plan_text(sql, &self.relations, &Parameters::new()).await.unwrap();
        let session = self.relations.session();
        let physical = session.state().create_physical_plan(&plan).await.unwrap();
        let batches = datafusion::physical_plan::collect(physical, session.task_ctx()).await?;
        self.barrier.verdict().await?;
        Ok(batches.iter().map(RecordBatch::num_rows).sum())
    }

    async fn explained(&self, sql: &str) -> String {
        let plan = transform::plan_text(sql, &self.relations, &Parameters::new()).await.unwrap();
        let physical = self.relations.session().state().create_physical_plan(&plan).await.unwrap();
        displayable(physical.as_ref()).indent(false).to_string()
    }
}

fn rule(set: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule::default();
    set(&mut rule);
    rule
}

fn not_negative() -> Rule {
    rule(|rule| rule.sql = Some("amount >= 0".to_owned()))
}

#[tokio::test]
async fn a_filter_above_a_check_does_not_hide_the_rows_that_violate_it() {
    let checked = checked(vec![not_negative()], OnFailure::Fail);
    let error = checked.run("SELECT id FROM checked WHERE amount > 0").await.unwrap_err();
    assert_eq!(error.message, "rule amount >= 0 is violated by 1 row, e.g. id = 2, amount = -5");
    assert_eq!(error.task.as_deref(), Some("checked"));
    let plan = checked.explained("SELECT id FROM checked WHERE amount > 0").await;
    let place = |name: &str| plan.find(name).unwrap_or_else(|| panic!("{name} is not in\n{plan}"));
    assert!(place("FilterExec") < place("CheckExec"), "{plan}");
}

#[tokio::test]
async fn a_rule_can_use_the_runs_parameters() {
    let at_least = rule(|rule| rule.sql = Some("amount >= $least".to_owned()));
    let error = checked(vec![at_least], OnFailure::Fail).run("SELECT id FROM checked").await.unwrap_err();
    assert_eq!(error.message, "rule amount >= $least is violated by 1 row, e.g. id = 2, amount = -5");
}

#[tokio::test]
async fn a_reader_that_stops_early_or_needs_no_rows_does_not_end_the_check_early() {
    let limited = checked(vec![not_negative()], OnFailure::Warn);
    assert_eq!(limited.run("SELECT id FROM checked LIMIT 1").await.unwrap(), 1);
    let warned = "rule amount >= 0 is violated by 1 row, e.g. id = 2, amount = -5";
    assert_eq!(*limited.control.warnings.lock(), [warned], "the violation stands behind the row that was read");
    assert_eq!(limited.progress.counts()["checked"].rejected, 0, "rows that are loaded all the same are not rejected");
    let unread = checked(vec![not_negative()], OnFailure::Fail);
    assert_eq!(unread.run("SELECT id FROM checked WHERE 1 = 0").await.unwrap(), 0);
    assert!(!unread.barrier.started(), "the stage reads such a check by itself");
}

#[tokio::test]
async fn columns_of_rules_are_kept_though_the_reader_does_not_ask_for_them() {
    let checked = checked(vec![not_negative()], OnFailure::Warn);
    assert_eq!(checked.run("SELECT country FROM checked").await.unwrap(), 5);
    assert_eq!(checked.control.warnings.lock().len(), 1);
}

#[tokio::test]
async fn rows_that_share_a_key_are_counted_beyond_the_first_and_nulls_are_not_equal() {
    let unique = |columns: &[&str]| rule(|rule| rule.unique = Some(columns.iter().map(|c| (*c).to_owned()).collect()));
    let error = checked(vec![unique(&["id"])], OnFailure::Fail).run("SELECT * FROM checked").await.unwrap_err();
    assert_eq!(error.message, "rule unique(id) is violated by 1 row, e.g. id = 3");
    assert_eq!(
        checked(vec![unique(&["id", "country"])], OnFailure::Fail).run("SELECT * FROM checked").await.unwrap(),
        5
    );
}

#[tokio::test]
async fn missing_and_unaccepted_values_are_found() {
    let missing = rule(|rule| rule.not_null = Some(vec!["id".to_owned()]));
    let error = checked(vec![missing], OnFailure::Fail).run("SELECT * FROM checked").await.unwrap_err();
    assert_eq!(error.message, "rule not_null(id) is violated by 1 row, e.g. id = NULL");
    let accepted = rule(|rule| {
        rule.accepted_values = Some(headwater_pipelines::spec::Values {
            column: "country".to_owned(),
            values: vec!["DE".into(), "AT".into()],
        });
    });
    let error = checked(vec![accepted], OnFailure::Fail).run("SELECT * FROM checked").await.unwrap_err();
    assert_eq!(error.message, "rule accepted_values(country) is violated by 2 rows, e.g. id = 2, country = FR");
}

#[tokio::test]
async fn a_failure_names_every_rule_that_was_violated_until_then() {
    let missing = rule(|rule| rule.not_null = Some(vec!["id".to_owned()]));
    let error = checked(vec![not_negative(), missing], OnFailure::Fail).run("SELECT * FROM checked").await.unwrap_err();
    assert_eq!(
        error.message,
        "rule amount >= 0 is violated by 1 row, e.g. id = 2, amount = -5; rule not_null(id) is violated by 1 row, e.g. id = NULL"
    );
}

#[tokio::test]
async fn boundaries_let_filters_pass_and_count_what_leaves_each_task() {
    let checked = checked(vec![], OnFailure::Fail);
    let rows = checked.run("SELECT id FROM orders WHERE country = 'DE'").await.unwrap();
    assert_eq!((rows, checked.progress.counts()["orders"].rows), (3, 3));
}

#[tokio::test]
async fn every_mistake_of_one_statement_is_found_with_its_place() {
    let checked = checked(vec![], OnFailure::Fail);
    let query = headwater_pipelines::sql::parse(
        "SELECT idd,\n  amount + country AS x,\n  nofunc(id)\nFROM orders\nWHERE country > 5 AND amunt = 1",
    )
    .unwrap();
    let findings = transform::plan(&query, &checked.relations, &Parameters::new()).await.unwrap_err();
    let told: Vec<String> =
        findings.iter().map(|f| format!("{}:{} {} {}", f.line, f.column, f.finding.code, f.finding.message)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_misspelled_column_of_a_statement_is_one_finding_at_its_place() {
    let checked = checked(vec![], OnFailure::Fail);
    let statements = [
        "SELECT id, amount FROM orders WHERE country = 'DE' ORDER BY amount",
        "SELECT o.id, sum(o.amount) AS total FROM orders o GROUP BY o.id HAVING sum(o.amount) > 1 ORDER BY total",
        "SELECT t.id, t.total FROM (SELECT id, amount + 1 AS total FROM orders) t WHERE t.total > 2 ORDER BY t.id",
        "WITH c AS (SELECT id, country FROM orders) SELECT c.id FROM c JOIN orders o ON c.id = o.id AND c.country = o.country",
        "SELECT id FROM orders WHERE amount IN (SELECT amount FROM orders WHERE country = 'FR')",
        "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM orders p WHERE p.id = o.id AND p.amount > o.amount)",
        "SELECT id FROM orders UNION ALL SELECT amount FROM orders ORDER BY id",
        "SELECT CASE WHEN amount > 0 THEN country ELSE upper(country) END AS c, count(*) OVER (PARTITION BY country ORDER BY amount) AS n FROM orders",
    ];
    let mut count = 0;
    for statement in statements {
        let relations = &checked.relations;
        let findings = |text: String| async move {
            let query = headwater_pipelines::sql::parse(&text).unwrap();
            transform::plan(&query, relations, &Parameters::new()).await.err().unwrap_or_default()
        };
        assert!(findings(statement.to_owned()).await.is_empty(), "{statement}");
        for name in ["id", "amount", "country", "total"] {
            for (at, _) in statement.match_indices(name).filter(|(at, _)| is_use(statement, *at, name)) {
                let mut text = statement.to_owned();
                text.replace_range(at..at + name.len(), &format!("x{name}"));
                let found = findings(text.clone()).await;
                let told: Vec<String> =
                    found.iter().map(|f| format!("{}:{} {}", f.line, f.column, f.finding.message)).collect();
                assert!(found.len() == 1 && found[0].column == at as u64 + 1, "{text}\n{told:?}");
                count += 1;
            }
        }
    }
    assert!(count >= 39, "{count}");
}

/// Whether a word of a statement is a whole word and names a column instead of giving a name.
fn is_use(statement: &str, at: usize, name: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !letter(statement[..at].chars().next_back())
        && !letter(statement[at + name.len()..].chars().next())
        && !statement[..at].ends_with("AS ")
}

#[tokio::test]
async fn names_of_subqueries_and_tables_are_settled_and_columns_keep_the_sources_case() {
    let checked = checked(vec![], OnFailure::Fail);
    for (sql, columns) in [
        ("SELECT t.ID FROM (SELECT id FROM orders) t", vec!["id"]),
        ("SELECT T.Total FROM (SELECT amount AS Total FROM orders) AS t ORDER BY t.TOTAL", vec!["Total"]),
        (
            "WITH Cte AS (SELECT Id, Country FROM orders) SELECT CTE.* FROM \"Cte\" ORDER BY COUNTRY",
            vec!["id", "country"],
        ),
        ("SELECT Country, count(*) AS N FROM orders GROUP BY COUNTRY HAVING COUNT(ID) > 0", vec!["country", "N"]),
    ] {
        let plan = transform::plan_text(sql, &checked.relations, &Parameters::new()).await.unwrap();
        let names: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, columns, "{sql}");
    }
}
