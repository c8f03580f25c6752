//! Statements over the tables of two connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType};
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

use crate::cluster::Database;
use crate::load;
use crate::report::{Failure, Report, conclude, differences, digits, files, text, told};

/// Statements that are refused.
const MOST_REFUSED: usize = 98;

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
                (Ok(theirs), Ok(Answer { names, .. })) if !are_called(&names, &titles(&theirs)) => {
                    Some(("wrong", format!("columns {names:?}, Postgres {:?}", titles(&theirs))))
                }
                (Ok(theirs), Ok(Answer { rows: mut ours, numbers, .. })) => {
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
                None if known.contains(&line) => {
                    report.wrong.push(format!("{line}   is listed as a difference and is none"));
                }
                _ if known.contains(&line) => report.same += 1,
                None => report.same += 1,
                Some(("lax", told)) => report.lax.push(format!("{line}   {told}")),
                Some(("refused", told)) => report.refused.push(format!("{line}   {told}")),
                Some((_, told)) => report.wrong.push(format!("{line}   {told}")),
            }
        }
        all.insert(name, report);
    }
    conclude(&all, "STATEMENTS_REPORT", MOST_REFUSED);
}

/// No statement of the corpus takes a hundredth of this.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(20);

/// Whether the order of its rows is part of a statement.
fn is_ordered(statement: &str) -> bool {
    let query = sql::parse(statement);
    query.is_ok_and(|query| query.order_by.is_some())
}

/// What the engine answers.
struct Answer {
    names: Vec<String>,
    rows: Vec<String>,
    /// Which columns are numbers with a point.
    numbers: Vec<bool>,
}

/// Names of the columns of an answer of Postgres.
fn titles(messages: &[tokio_postgres::SimpleQueryMessage]) -> Vec<String> {
    let described = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::RowDescription(columns) => Some(columns),
        _ => None,
    });
    described.into_iter().flat_map(|columns| columns.iter()).map(|column| column.name().to_owned()).collect()
}

/// Whether columns have their names, in whatever case the statement writes them. One that is there before may have a number, as docs/sql.md says.
fn are_called(names: &[String], titles: &[String]) -> bool {
    let is_called = |name: &str, title: &str| {
        let numbered = name.strip_prefix(title).and_then(|rest| rest.strip_prefix('_'));
        name.to_lowercase() == title.to_lowercase() || numbered.is_some_and(|number| number.parse::<usize>().is_ok())
    };
    names.len() == titles.len() && names.iter().zip(titles).all(|(name, title)| is_called(name, title))
}

async fn answer(relations: &Relations, statement: &str) -> Result<Answer, Failure> {
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
    let names = physical.schema().fields().iter().map(|field| field.name().clone()).collect();
    let rows = match std::panic::AssertUnwindSafe(collect(physical, session.task_ctx())).catch_unwind().await {
        Ok(rows) => rows.map_err(|error| Failure::Run(error.strip_backtrace()))?,
        Err(_) => return Err(Failure::Run("a panic".to_owned())),
    };
    Ok(Answer { names, rows: lines(&rows), numbers })
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
