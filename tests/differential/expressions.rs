//! Expressions over one table of all types, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::collect;
use futures::FutureExt;
use headwater_engine::control::Progress;
use headwater_engine::relations::Relations;
use headwater_engine::session::{EngineConfig, SessionFactory};
use headwater_engine::transform::{self, Parameters};
use headwater_pipelines::diagnostic::Finding;
use headwater_pipelines::plan::Relation;
use headwater_pipelines::sql::{self, Part, Scope};

use crate::cluster::Database;
use crate::load;
use crate::report::{Failure, Report, conclude, differences, digits, files, text, told};

/// Expressions that are refused, or beyond a limit.
const MOST_REFUSED: usize = 325;

/// The one table of the corpus of expressions.
struct OneTable;

impl Scope for OneTable {
    fn relation(&self, _: &[Part]) -> Result<Relation, Finding> {
        Ok(Relation::Task("v".into()))
    }

    fn parameters(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// What a side says of one row.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Value(Option<String>),
    Error(String),
}

/// Postgres, asked row by row, and the engine over the same rows.
struct Both {
    postgres: Database,
    relations: Relations,
    rows: Vec<i32>,
}

/// What kind of expression a file holds: how it becomes a statement.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Scalar,
    Aggregate,
    Window,
}

impl Both {
    async fn new() -> Self {
        let postgres = Database::new().await;
        postgres.run(&text("values.sql")).await;
        postgres
            .run(
                "CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
                 DECLARE answer text; BEGIN EXECUTE statement INTO answer; RETURN coalesce('=' || answer, '-');
                 EXCEPTION WHEN OTHERS THEN RETURN '!' || SQLSTATE || ' ' || SQLERRM; END $$;
                 SET timezone = 'UTC'",
            )
            .await;
        let connection = load::postgres(&postgres.url);
        let table = load::table(&connection, "public.v").await.unwrap();
        let schema = table.schema();
        let batches = load::read(table).await.unwrap();
        connection.close().await;
        let table = MemTable::try_new(schema, vec![batches]).unwrap();
        let folder = std::env::temp_dir();
        let factory = SessionFactory::new(EngineConfig { parallelism: 2, ..EngineConfig::new(folder) });
        let session = factory.session(Arc::clone(factory.pool()), true).unwrap();
        let mut relations = Relations::new(session);
        relations.add_table("v", Arc::new(table), &Progress::default()).unwrap();
        let rows = postgres.rows("SELECT id FROM v ORDER BY id").await;
        Self { postgres, relations, rows: rows.iter().map(|id| id.parse().unwrap()).collect() }
    }

    /// Postgres' answers by row.
    async fn postgres(&self, shape: Shape, expression: &str) -> (Vec<Answer>, String) {
        let statement = match shape {
            Shape::Scalar => "'SELECT (' || $1 || ')::text FROM public.v WHERE id = ' || id".to_owned(),
            Shape::Aggregate => "'SELECT (' || $1 || ')::text FROM public.v'".to_owned(),
            Shape::Window => {
                "'SELECT x FROM (SELECT id, (' || $1 || ')::text AS x FROM public.v) w WHERE id = ' || id".to_owned()
            }
        };
        let rows = if shape == Shape::Aggregate { "(SELECT 1 AS id) one" } else { "public.v" };
        let found = self
            .postgres
            .client
            .query(&format!("SELECT attempt({statement}) FROM {rows} ORDER BY id"), &[&expression])
            .await
            .unwrap_or_else(|error| panic!("{expression}: {error:?}"));
        let answers = found
            .iter()
            .map(|row| {
                let text: &str = row.get(0);
                match text.as_bytes()[0] {
                    b'=' => Answer::Value(Some(text[1..].to_owned())),
                    b'-' => Answer::Value(None),
                    _ => Answer::Error(text[1..].to_owned()),
                }
            })
            .collect();
        let typed = format!(
            "SELECT attempt('SELECT pg_typeof(' || $1 || ')::text FROM public.v {} LIMIT 1')",
            if shape == Shape::Aggregate { "" } else { "ORDER BY id" }
        );
        let kind: String = self.postgres.client.query_one(&typed, &[&expression]).await.unwrap().get(0);
        (answers, kind.trim_start_matches('=').to_owned())
    }

    /// The engine's rows: the value, and its text.
    async fn engine(&self, statement: &str) -> Result<Vec<RecordBatch>, Failure> {
        let resolved = sql::resolve(statement, &OneTable).map_err(|findings| Failure::Plan(told(&findings)))?;
        let plan = transform::plan(&resolved.query, &self.relations, &Parameters::new())
            .await
            .map_err(|findings| Failure::Plan(told(&findings)))?;
        let session = self.relations.session();
        let physical =
            session.state().create_physical_plan(&plan).await.map_err(|error| Failure::Plan(error.to_string()))?;
        match std::panic::AssertUnwindSafe(collect(physical, session.task_ctx())).catch_unwind().await {
            Ok(rows) => rows.map_err(|error| Failure::Run(error.strip_backtrace())),
            Err(_) => Err(Failure::Run("a panic".to_owned())),
        }
    }

    async fn values(&self, shape: Shape, expression: &str, rows: &[i32]) -> Result<(Vec<Answer>, DataType), Failure> {
        let ids: Vec<String> = rows.iter().map(ToString::to_string).collect();
        let statement = match shape {
            Shape::Scalar => format!(
                "SELECT ({expression}) AS x, ({expression})::text AS y FROM v WHERE id IN ({}) ORDER BY id",
                ids.join(", ")
            ),
            Shape::Aggregate => format!("SELECT x, x::text AS y FROM (SELECT {expression} AS x FROM v) s"),
            Shape::Window => {
                format!("SELECT x, x::text AS y FROM (SELECT id, {expression} AS x FROM v) s ORDER BY id")
            }
        };
        let batches = match self.engine(&statement).await {
            // A value that has no text is compared by its type alone.
            Err(Failure::Plan(_)) => {
                self.engine(
                    &statement.replacen(&format!("({expression})::text"), "NULL", 1).replacen("x::text", "NULL", 1),
                )
                .await?
            }
            other => other?,
        };
        let mut answers = Vec::new();
        let mut kind = DataType::Null;
        for batch in &batches {
            kind = batch.column(0).data_type().clone();
            answers
                .extend((0..batch.num_rows()).map(|row| Answer::Value(shown(batch.column(0), batch.column(1), row))));
        }
        Ok((answers, kind))
    }
}

/// Stands for a value whose text can't be asked for.
const NO_TEXT: &str = "a value without text";

/// A value as Postgres' text is compared with it.
fn shown(value: &ArrayRef, text: &ArrayRef, row: usize) -> Option<String> {
    if value.is_null(row) {
        return None;
    }
    Some(match value.data_type() {
        DataType::Float64 => value.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Float32 => value.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Decimal128(_, _) => value.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => match text.as_string_opt::<i32>() {
            Some(text) => text.value(row).to_owned(),
            None => NO_TEXT.to_owned(),
        },
    })
}

/// Whether the engine's value is Postgres' value.
fn is_equal(kind: &DataType, ours: &str, theirs: &str) -> bool {
    match kind {
        DataType::Float64 | DataType::Float32 => {
            let (Ok(left), Ok(right)) = (ours.parse::<f64>(), theirs.parse::<f64>()) else { return false };
            let near = if *kind == DataType::Float32 { 1e-6 } else { 1e-14 };
            (left.is_nan() && right.is_nan()) || left == right || (left - right).abs() <= near * right.abs()
        }
        DataType::Decimal128(_, scale) => {
            let (left, right) = (digits(ours), digits(theirs));
            left == right
                || (*scale >= 16 && significant(&left) == significant(&right))
                || (*scale >= 16 && {
                    let (l, r) = (ours.parse::<f64>().unwrap_or(f64::NAN), theirs.parse::<f64>().unwrap_or(f64::NAN));
                    (l - r).abs() <= 1e-15 * r.abs() || (l - r).abs() < 1e-19
                })
        }
        // The text of a numeric has as many zeros as its type has digits behind the point.
        _ if theirs.contains('.') || ours.contains('.') => ours == theirs || is_equal_number(ours, theirs),
        _ => ours == theirs,
    }
}

fn is_equal_number(ours: &str, theirs: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    is_number(ours)
        && is_number(theirs)
        && (digits(ours) == digits(theirs) || significant(&digits(ours)) == significant(&digits(theirs)))
}

fn significant(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').chars().take(16).collect()
}

/// Whether the engine's type is the one that Postgres gives the expression.
fn is_type(kind: &DataType, theirs: &str) -> bool {
    let names: &[&str] = match kind {
        DataType::Boolean => &["boolean"],
        DataType::Int16 => &["smallint"],
        DataType::Int32 => &["integer"],
        DataType::Int64 | DataType::UInt64 => &["bigint"],
        DataType::Float32 => &["real"],
        DataType::Float64 => &["double precision"],
        DataType::Decimal128(_, _) => &["numeric"],
        DataType::Date32 => &["date"],
        DataType::Timestamp(_, None) => &["timestamp without time zone"],
        DataType::Timestamp(_, Some(_)) => &["timestamp with time zone"],
        DataType::Interval(_) => &["interval"],
        DataType::Binary => &["bytea"],
        _ => return true,
    };
    names.contains(&theirs) || theirs.starts_with('!') || theirs == "-"
}

/// What an error says where a value has more digits than a numeric holds, or is beyond a calendar.
const LIMITS: [&str; 9] = [
    "24:00 is the next day's 00:00 here",
    "numeric out of range",
    "date out of range",
    "timestamp out of range",
    "'NaN' is not a value of type numeric",
    "interval out of range",
    "is not a value of type date in the format",
    "a pattern that matches nothing at all",
    "must be Float32 or Float64 literal",
];

impl Both {
    async fn judge(&self, shape: Shape, expression: &str, report: &mut Report) {
        let (theirs, their_kind) = self.postgres(shape, expression).await;
        let ids: Vec<i32> = if shape == Shape::Aggregate { vec![1] } else { self.rows.clone() };
        let (good, bad): (Vec<_>, Vec<_>) =
            ids.iter().zip(&theirs).partition(|(_, answer)| matches!(answer, Answer::Value(_)));
        let good_ids: Vec<i32> = good.iter().map(|(id, _)| **id).collect();
        let mut is_fine = true;
        if !good.is_empty() && (shape == Shape::Scalar || bad.is_empty()) {
            match self.values(shape, expression, &good_ids).await {
                Ok((ours, _)) if ours.contains(&Answer::Value(Some(NO_TEXT.to_owned()))) => {
                    report.refused.push(format!("{expression}   {NO_TEXT}"));
                    return;
                }
                Ok((ours, kind)) => {
                    let differing = good.iter().zip(&ours).find_map(|((id, theirs), ours)| match (theirs, ours) {
                        (Answer::Value(Some(right)), Answer::Value(Some(found))) if is_equal(&kind, found, right) => {
                            None
                        }
                        (Answer::Value(None), Answer::Value(None)) => None,
                        (right, found) => Some(format!("{expression}   row {id}: {found:?}, Postgres {right:?}")),
                    });
                    if let Some(differing) = differing {
                        report.wrong.push(differing);
                        is_fine = false;
                    } else if ours.len() != good.len() {
                        report.wrong.push(format!("{expression}   {} rows of {}", ours.len(), good.len()));
                        is_fine = false;
                    } else if !is_type(&kind, &their_kind) {
                        report.types.push(format!("{expression}   {kind}, Postgres {their_kind}"));
                        is_fine = false;
                    }
                }
                Err(Failure::Plan(message)) => {
                    report.refused.push(format!("{expression}   {message}"));
                    return;
                }
                // A value that no column here could hold is an error, not another value.
                Err(Failure::Run(message)) if LIMITS.iter().any(|limit| message.contains(limit)) => {
                    report.limits.push(format!("{expression}   {message}"));
                    return;
                }
                Err(Failure::Run(message)) => {
                    report.wrong.push(format!("{expression}   fails: {message}"));
                    is_fine = false;
                }
            }
        }
        for (id, answer) in bad.iter().take(2) {
            if let Ok((ours, _)) = self.values(shape, expression, &[**id]).await {
                report.lax.push(format!("{expression}   row {id}: {:?}, Postgres {answer:?}", ours.first()));
                is_fine = false;
                break;
            }
        }
        report.same += usize::from(is_fine);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_expression_gives_what_postgres_gives_or_is_refused() {
    let both = Both::new().await;
    let known = differences();
    let mut all: BTreeMap<String, Report> = BTreeMap::new();
    for name in files("expressions") {
        let shape = match name.as_str() {
            "aggregates.sql" => Shape::Aggregate,
            "windows.sql" => Shape::Window,
            _ => Shape::Scalar,
        };
        let mut report = Report::default();
        let content = text(&format!("expressions/{name}"));
        let lines = content.lines().filter(|line| !line.starts_with("--") && !line.trim().is_empty());
        for line in lines.collect::<BTreeSet<_>>() {
            let mut judged = Report::default();
            both.judge(shape, line, &mut judged).await;
            let is_known = known.contains(line);
            if is_known && judged.wrong.is_empty() && judged.lax.is_empty() {
                judged.wrong.push(format!("{line}   is listed as a difference and is none"));
            } else if is_known {
                judged = Report { same: 1, ..Report::default() };
            }
            report.add(judged);
        }
        all.insert(name, report);
    }
    conclude(&all, "DIFFERENTIAL_REPORT", MOST_REFUSED);
}
