//! The rows that Postgres says are right. One transaction makes what the statements read and is rolled back, so that the assistant sees none of it.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::case::{Case, Part};
use super::compare::Gold;
use super::psql::{psql, quoted};
use super::value::{Class, Value, read};

/// Gold of a part: after a first run, and after changes and a second one.
#[derive(Debug, Clone, Default)]
pub(super) struct Golds {
    pub(super) first: Gold,
    pub(super) second: Option<Gold>,
}

/// A view as the script prints it: types of its columns, and rows of text.
#[derive(Deserialize)]
struct Printed {
    types: Vec<(String, String)>,
    rows: Option<Vec<Vec<Option<String>>>>,
}

/// Runs gold of a part, then its `gold_second` after the changes. Changes nothing.
pub(super) async fn golds(url: &str, case: &Case, part: &Part, changes: &str) -> Result<Golds> {
    let gold = part.gold.as_deref().context("the case has no gold")?;
    let mut script = "BEGIN; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; CREATE SCHEMA lake;\n".to_owned();
    for (name, select) in &case.lake_tables {
        script += &format!("CREATE TABLE lake.{} AS {select};\n", quoted(name));
    }
    script += &format!("CREATE TEMP VIEW gold AS {gold};\n{}", printing("gold", &part.columns));
    if let Some(second) = &part.gold_second {
        script += "CREATE TEMP TABLE first_run AS SELECT * FROM pg_temp.gold; DROP VIEW pg_temp.gold;\n";
        script += &format!("{changes}\nCREATE TEMP VIEW second AS {second};\n{}", printing("second", &part.columns));
    }
    script += "ROLLBACK;\n";
    let printed = psql(url, &script).await?;
    let mut lines = printed.lines().map(|line| serde_json::from_str::<Printed>(line).map(Printed::gold));
    Ok(Golds { first: lines.next().context("gold printed nothing")??, second: lines.next().transpose()? })
}

/// Prints a view on one line. Values are text, so that decimals keep every digit.
fn printing(view: &str, columns: &[String]) -> String {
    let values: Vec<String> = columns.iter().map(|column| format!("v.{}::text", quoted(column))).collect();
    format!(
        "SELECT jsonb_build_object(\n\
         'types', (SELECT jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod)) ORDER BY attnum) FROM pg_attribute\n\
                   WHERE attrelid = 'pg_temp.{view}'::regclass AND attnum > 0),\n\
         'rows', (SELECT jsonb_agg(jsonb_build_array({})) FROM pg_temp.{view} v));\n",
        values.join(", ")
    )
}

impl Printed {
    fn gold(self) -> Gold {
        let classes: Vec<Class> = self.types.iter().map(|(_, kind)| Class::of(kind)).collect();
        let value = |(text, class): (Option<String>, &Class)| text.map_or(Value::Null, |text| read(&text, *class));
        let rows = self.rows.unwrap_or_default().into_iter();
        Gold {
            columns: self.types.into_iter().map(|(name, _)| name).collect(),
            rows: rows.map(|row| row.into_iter().zip(&classes).map(value).collect()).collect(),
            classes,
        }
    }
}
