//! The corpus of this folder: each expression and statement gives what Postgres gives, or is refused when it is planned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use datafusion::datasource::MemTable;
use datafusion::physical_plan::collect;
use futures::FutureExt;
use headwater_engine::control::Progress;
use headwater_engine::relations::Relations;
use headwater_engine::session::{EngineConfig, SessionFactory};
use headwater_engine::transform::{self, Parameters};
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::plan::{Relation, TableRef};
use headwater_pipelines::sql::{self, Part, Scope};

use cluster::Database;

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "the connectors' tests use all of it"
)]
#[path = "../../connectors/tests/suite/cluster.rs"]
mod cluster;
#[allow(dead_code, missing_docs, unreachable_pub, reason = "the connectors' tests use all of it")]
#[path = "../../connectors/tests/suite/load.rs"]
mod load;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential")
}

fn text(name: &str) -> String {
    let path = corpus().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

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

enum Failure {
    Plan(String),
    Run(String),
}

fn told(findings: &[sql::SqlFinding]) -> String {
    findings.iter().map(|finding| finding.finding.message.clone()).collect::<Vec<_>>().join("; ")
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

/// A number without zeros that say nothing.
fn digits(text: &str) -> String {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
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
const LIMITS: [&str; 8] = [
    "numeric out of range",
    "date out of range",
    "timestamp out of range",
    "'NaN' is not a value of type numeric",
    "interval out of range",
    "is not a value of type date in the format",
    "a pattern that matches nothing at all",
    "must be Float32 or Float64 literal",
];

#[derive(Default)]
struct Report {
    same: usize,
    wrong: Vec<String>,
    lax: Vec<String>,
    refused: Vec<String>,
    limits: Vec<String>,
    types: Vec<String>,
}

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

fn files(folder: &str) -> Vec<String> {
    let found = std::fs::read_dir(corpus().join(folder)).unwrap();
    let mut names: Vec<String> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let only = std::env::var("DIFFERENTIAL").unwrap_or_default();
    names.retain(|name| only.is_empty() || only.split(',').any(|only| name.starts_with(only)));
    names.sort();
    names
}

/// What is written down as a difference: each of these lines must differ.
fn differences() -> BTreeSet<String> {
    let content = text("differences.sql");
    content.lines().filter(|line| !line.starts_with("--") && !line.trim().is_empty()).map(str::to_owned).collect()
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
    conclude(&all, "DIFFERENTIAL_REPORT");
}

impl Report {
    fn add(&mut self, other: Self) {
        self.same += other.same;
        self.wrong.extend(other.wrong);
        self.lax.extend(other.lax);
        self.refused.extend(other.refused);
        self.limits.extend(other.limits);
        self.types.extend(other.types);
    }
}

/// Fails with all that differs, and with the share that is refused if that is too much.
fn conclude(all: &BTreeMap<String, Report>, variable: &str) {
    let mut told = String::new();
    for (name, report) in all {
        let kinds = [
            ("WRONG", &report.wrong),
            ("LAX", &report.lax),
            ("TYPE", &report.types),
            ("LIMIT", &report.limits),
            ("REFUSED", &report.refused),
        ];
        for (what, lines) in kinds {
            lines.iter().for_each(|line| {
                let _ = writeln!(told, "{name} {what} {line}");
            });
        }
    }
    for (name, report) in all {
        let _ = writeln!(
            told,
            "{name}: {} same, {} wrong, {} lax, {} of another type, {} beyond a limit, {} refused",
            report.same,
            report.wrong.len(),
            report.lax.len(),
            report.types.len(),
            report.limits.len(),
            report.refused.len()
        );
    }
    if let Ok(path) = std::env::var(variable) {
        std::fs::write(path, &told).unwrap();
    }
    let differs = |report: &Report| !report.wrong.is_empty() || !report.lax.is_empty() || !report.types.is_empty();
    let failures: Vec<&str> =
        told.lines().filter(|line| [" WRONG ", " LAX ", " TYPE "].iter().any(|what| line.contains(what))).collect();
    assert!(!all.values().any(differs), "{}", failures.join("\n"));
}

/// Tables of two connections.
struct TwoConnections;

impl Scope for TwoConnections {
    fn relation(&self, parts: &[Part]) -> Result<Relation, Finding> {
        let found = |name: &str, part: &Part| {
            if part.is_quoted { part.text == name } else { part.text.eq_ignore_ascii_case(name) }
        };
        let [connection, table] = parts else {
            return Err(Finding::error(Code::UnknownTable, "a table is written connection.table"));
        };
        let connection = ["shop", "crm"].into_iter().find(|name| found(name, connection));
        let table = TABLES.into_iter().find(|(schema, name)| Some(*schema) == connection && found(name, table));
        let (connection, table) = table.ok_or_else(|| Finding::error(Code::UnknownTable, "there is no such table"))?;
        Ok(Relation::Table(TableRef { connection: connection.to_owned(), path: vec![table.to_owned()] }))
    }

    fn parameters(&self) -> Vec<&str> {
        Vec::new()
    }
}

const TABLES: [(&str, &str); 9] = [
    ("shop", "orders"),
    ("shop", "order_items"),
    ("shop", "products"),
    ("shop", "Mixed"),
    ("shop", "events"),
    ("crm", "customers"),
    ("crm", "orders"),
    ("crm", "countries"),
    ("crm", "contacts"),
];

/// Rows as texts; what is a number without zeros that say nothing.
fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<Vec<Option<String>>> = batch.columns().iter().map(texts).collect();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column[row].clone().unwrap_or_else(|| "∅".to_owned()));
            lines.push(cells.collect::<Vec<_>>().join(" | "));
        }
    }
    lines
}

fn texts(column: &ArrayRef) -> Vec<Option<String>> {
    let options = arrow::util::display::FormatOptions::default()
        .with_null("NULL")
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00"));
    let formatter = arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
    let one = |row: usize| match column.data_type() {
        DataType::Boolean => if column.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        DataType::Decimal128(_, _) | DataType::Float64 | DataType::Float32 => {
            rounded(&formatter.value(row).to_string()).replace("inf", "Infinity")
        }
        DataType::Interval(_) => span(column.as_primitive::<IntervalMonthDayNanoType>().value(row)),
        DataType::Timestamp(_, _) => {
            let text = formatter.value(row).to_string();
            let (clock, zone) = text.strip_suffix("+00").map_or((text.as_str(), ""), |clock| (clock, "+00"));
            let clock = if clock.contains('.') { clock.trim_end_matches('0').trim_end_matches('.') } else { clock };
            format!("{clock}{zone}")
        }
        DataType::List(_) => formatter.value(row).to_string().replace('[', "{").replace(']', "}").replace(", ", ","),
        _ => formatter.value(row).to_string(),
    };
    let is_valid = |row: usize| column.is_valid(row) && *column.data_type() != DataType::Null;
    (0..column.len()).map(|row| is_valid(row).then(|| one(row))).collect()
}

/// An interval of days and time.
fn span(interval: IntervalMonthDayNano) -> String {
    let seconds = interval.nanoseconds / 1_000_000_000;
    let fraction = format!(".{:09}", interval.nanoseconds % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    if seconds == 0 && fraction.is_empty() && interval.days > 1 {
        return format!("{} days", interval.days);
    }
    let days = match interval.days {
        0 => String::new(),
        1 => "1 day ".to_owned(),
        days => format!("{days} days "),
    };
    format!("{days}{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A number to nine digits behind the point.
fn rounded(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => digits(&format!("{value:.9}")),
        _ => text.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_statement_gives_what_postgres_gives_or_is_refused() {
    let postgres = Database::new().await;
    postgres.run(&text("tables.sql")).await;
    postgres.run("SET timezone = 'UTC'").await;
    let connection = load::postgres(&postgres.url);
    let factory = SessionFactory::new(EngineConfig { parallelism: 2, ..EngineConfig::new(std::env::temp_dir()) });
    let session = factory.session(Arc::clone(factory.pool()), true).unwrap();
    let mut relations = Relations::new(session);
    for (schema, name) in TABLES {
        let table = load::table(&connection, &format!("{schema}.{name}")).await.unwrap();
        let kept = MemTable::try_new(table.schema(), vec![load::read(table).await.unwrap()]).unwrap();
        let relation = Relation::Table(TableRef { connection: schema.to_owned(), path: vec![name.to_owned()] });
        relations.add_table(&relation.internal_name(), Arc::new(kept), &Progress::default()).unwrap();
    }
    connection.close().await;
    let known = differences();
    let mut all: BTreeMap<String, Report> = BTreeMap::new();
    for name in files("statements") {
        let mut report = Report::default();
        let content = text(&format!("statements/{name}"));
        for statement in content.split("\n;").map(str::trim).filter(|statement| !statement.is_empty()) {
            let statement: Vec<&str> = statement.lines().filter(|line| !line.starts_with("--")).collect();
            let statement = statement.join("\n");
            let theirs = postgres.client.simple_query(&statement).await;
            let ours = match tokio::time::timeout(LONGEST, answer(&relations, &statement)).await {
                Ok(ours) => ours,
                Err(_) => Err(Failure::Run("it does not end".to_owned())),
            };
            let line = statement.replace('\n', " ");
            let difference = match (theirs, ours) {
                (Err(_), Err(_)) => None,
                (Err(error), Ok(_)) => {
                    Some(("lax", format!("Postgres: {}", error.as_db_error().map_or("", |error| error.message()))))
                }
                (Ok(_), Err(Failure::Plan(message))) => Some(("refused", message)),
                (Ok(_), Err(Failure::Run(message))) => Some(("wrong", format!("fails: {message}"))),
                (Ok(theirs), Ok((mut ours, numbers))) => {
                    let mut theirs = rows(&theirs, &numbers);
                    if !is_ordered(&statement) {
                        ours.sort();
                        theirs.sort();
                    }
                    let place = (0..ours.len().max(theirs.len())).find(|row| ours.get(*row) != theirs.get(*row));
                    place
                        .map(|row| ("wrong", format!("row {row}: {:?}, Postgres {:?}", ours.get(row), theirs.get(row))))
                }
            };
            match difference {
                _ if known.contains(&line) => report.same += 1,
                None => report.same += 1,
                Some(("lax", told)) => report.lax.push(format!("{line}   {told}")),
                Some(("refused", told)) => report.refused.push(format!("{line}   {told}")),
                Some((_, told)) => report.wrong.push(format!("{line}   {told}")),
            }
        }
        all.insert(name, report);
    }
    conclude(&all, "STATEMENTS_REPORT");
}

/// No statement of the corpus takes a hundredth of this.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(20);

/// Whether the order of its rows is part of a statement.
fn is_ordered(statement: &str) -> bool {
    let query = sql::parse(statement);
    query.is_ok_and(|query| query.order_by.is_some())
}

/// The engine's rows, and which columns are numbers with a point.
async fn answer(relations: &Relations, statement: &str) -> Result<(Vec<String>, Vec<bool>), Failure> {
    let resolved = sql::resolve(statement, &TwoConnections).map_err(|findings| Failure::Plan(told(&findings)))?;
    let plan = transform::plan(&resolved.query, relations, &Parameters::new())
        .await
        .map_err(|findings| Failure::Plan(told(&findings)))?;
    let session = relations.session();
    let physical =
        session.state().create_physical_plan(&plan).await.map_err(|error| Failure::Plan(error.to_string()))?;
    let is_number =
        |kind: &DataType| matches!(kind, DataType::Decimal128(_, _) | DataType::Float64 | DataType::Float32);
    let numbers = physical.schema().fields().iter().map(|field| is_number(field.data_type())).collect();
    let rows = match std::panic::AssertUnwindSafe(collect(physical, session.task_ctx())).catch_unwind().await {
        Ok(rows) => rows.map_err(|error| Failure::Run(error.strip_backtrace()))?,
        Err(_) => return Err(Failure::Run("a panic".to_owned())),
    };
    Ok((lines(&rows), numbers))
}

fn rows(messages: &[tokio_postgres::SimpleQueryMessage], numbers: &[bool]) -> Vec<String> {
    let row = |message: &tokio_postgres::SimpleQueryMessage| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => {
            let cell = |index: usize| match row.get(index) {
                None => "∅".to_owned(),
                Some(text) if numbers.get(index).copied().unwrap_or(false) => rounded(text),
                Some(text) => text.to_owned(),
            };
            Some((0..row.len()).map(cell).collect::<Vec<_>>().join(" | "))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}
