//! Whether two lists of rules say the same. Conditions are compared by their values and not by their text.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use anyhow::Result;
use chrono::{Days, NaiveDate};
use headwater_operations::FieldReport;
use headwater_pipelines::casing::{Meaning, settle};
use headwater_pipelines::spec::{OnFailure, Rule};
use headwater_pipelines::sql::condition;
use sqlparser::ast::{Expr, Value, visit_expressions};

use super::bench::Bench;
use super::case::RuleCase;
use super::psql::quoted;
use super::sketch::FoundRule;

/// More combinations of values than this are not tried.
const MAX_COMBINATIONS: usize = 20_000;

/// A rule in the one form that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// No two rows agree in these columns.
    Unique(BTreeSet<String>),
    /// True or NULL for every row.
    Condition(String),
}

/// What is different about a draft's rules. `columns` are those of the rows that a check tests, by the check.
pub(super) async fn difference(
    bench: &Bench,
    expected: &[RuleCase],
    found: &[FoundRule],
    columns: &BTreeMap<String, Vec<FieldReport>>,
) -> Result<Option<String>> {
    let mut left: Vec<(Form, OnFailure, &[FieldReport])> = Vec::new();
    for found in found {
        let columns = super::sketch::columns_of(columns, &found.task);
        left.extend(forms(&found.rule, columns).into_iter().map(|form| (form, found.on_failure, columns)));
    }
    for case in expected {
        // Names of an expected rule are those of the rows that any check tests.
        let all = columns.values().max_by_key(|columns| columns.len()).map_or(&[][..], Vec::as_slice);
        for form in forms(&case.rule(), left.first().map_or(all, |(_, _, columns)| *columns)) {
            let mut same = None;
            for (place, (other, on_failure, columns)) in left.iter().enumerate() {
                if *on_failure == case.on_failure && are_same(bench, &form, other, columns).await {
                    same = Some(place);
                    break;
                }
            }
            match same {
                Some(place) => drop(left.remove(place)),
                None => return Ok(Some(format!("it lacks the rule {}", shown(&form, case.on_failure)))),
            }
        }
    }
    Ok(left.first().map(|(form, on_failure, _)| format!("nobody asked for the rule {}", shown(form, *on_failure))))
}

fn shown(form: &Form, on_failure: OnFailure) -> String {
    let what = match form {
        Form::Unique(columns) => format!("unique({})", columns.iter().cloned().collect::<Vec<_>>().join(", ")),
        Form::Condition(sql) => sql.clone(),
    };
    match on_failure {
        OnFailure::Fail => what,
        OnFailure::Warn => format!("{what}, which warns"),
        OnFailure::Quarantine => format!("{what}, which sets rows aside"),
    }
}

/// The forms of a rule: `not_null` of several columns is several.
fn forms(rule: &Rule, columns: &[FieldReport]) -> Vec<Form> {
    let name = |name: &String| settled(name, columns);
    let mut forms = Vec::new();
    if let Some(names) = &rule.not_null {
        forms.extend(names.iter().map(|column| Form::Condition(format!("{} IS NOT NULL", quoted(&name(column))))));
    }
    if let Some(names) = &rule.unique {
        forms.push(Form::Unique(names.iter().map(name).collect()));
    }
    if let Some(values) = &rule.accepted_values {
        let literals: Vec<String> = values.values.iter().map(literal).collect();
        forms.push(Form::Condition(format!("{} IN ({})", quoted(&name(&values.column)), literals.join(", "))));
    }
    if let Some(range) = &rule.range {
        let column = quoted(&name(&range.column));
        let bound = |sign: &str, value: &Option<serde_json::Value>| {
            value.as_ref().map(|value| format!("{column} {sign} {}", literal(value)))
        };
        let bounds: Vec<String> = [bound(">=", &range.min), bound("<=", &range.max)].into_iter().flatten().collect();
        forms.push(Form::Condition(bounds.join(" AND ")));
    }
    forms.extend(rule.sql.clone().map(Form::Condition));
    forms
}

/// A column by the name that the rows have.
fn settled(name: &str, columns: &[FieldReport]) -> String {
    match settle(name, false, columns.iter().map(|column| column.name.as_str())) {
        Meaning::One(found) => found.to_owned(),
        _ => name.to_owned(),
    }
}

fn literal(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), text_literal)
}

fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn are_same(bench: &Bench, one: &Form, other: &Form, columns: &[FieldReport]) -> bool {
    match (one, other) {
        _ if one == other => true,
        (Form::Condition(one), Form::Condition(other)) => match comparison(one, other, columns) {
            // A condition that the engine can't evaluate on these values is another one.
            Some(sql) => bench.rows(&sql).await.is_ok_and(|table| table.rows.is_empty()),
            None => false,
        },
        _ => false,
    }
}

/// The columns and literals of a condition.
#[derive(Debug, Default)]
struct Terms {
    columns: BTreeSet<String>,
    literals: BTreeSet<String>,
}

impl Terms {
    fn add(&mut self, sql: &str, columns: &[FieldReport]) -> Option<()> {
        let tree = condition(sql, &[]).ok()?;
        let _ = visit_expressions(&tree, |part: &Expr| {
            match part {
                Expr::Identifier(name) if name.quote_style.is_some() => {
                    self.columns.insert(name.value.clone());
                }
                Expr::Identifier(name) => {
                    self.columns.insert(settled(&name.value, columns));
                }
                Expr::Value(value) => match &value.value {
                    Value::Number(text, _) | Value::SingleQuotedString(text) => {
                        self.literals.insert(text.clone());
                    }
                    _ => {}
                },
                Expr::TypedString(typed) => {
                    if let Value::SingleQuotedString(text) = &typed.value.value {
                        self.literals.insert(text.clone());
                    }
                }
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
        Some(())
    }
}

/// A statement whose rows are the combinations of values on which two conditions disagree; NULL counts as true, as in a check.
fn comparison(one: &str, other: &str, columns: &[FieldReport]) -> Option<String> {
    let mut terms = Terms::default();
    terms.add(one, columns)?;
    terms.add(other, columns)?;
    let mut combinations = 1usize;
    let mut relations = Vec::new();
    for (place, column) in terms.columns.iter().enumerate() {
        let kind = columns.iter().find(|known| known.name == *column).map(|known| known.kind.as_str());
        let values = values_of(kind, &terms.literals);
        combinations = combinations.saturating_mul(values.len());
        let rows: Vec<String> = values.iter().map(|value| format!("({value})")).collect();
        relations.push(format!("(VALUES {}) AS t{place}({})", rows.join(", "), quoted(column)));
    }
    if relations.is_empty() || combinations > MAX_COMBINATIONS {
        return None;
    }
    Some(format!(
        "SELECT 1 AS differs FROM {} WHERE coalesce(({one}), true) <> coalesce(({other}), true)",
        relations.join(" CROSS JOIN ")
    ))
}

/// What a column takes: NULL, -1, 0, 1, the literals of both conditions, and what lies beside them.
fn values_of(kind: Option<&str>, literals: &BTreeSet<String>) -> Vec<String> {
    let numbers = || literals.iter().filter_map(|text| text.parse::<f64>().ok());
    let kind = kind.unwrap_or_else(|| if numbers().count() == literals.len() { "Float64" } else { "Utf8" });
    let (sql_type, mut values) = match kind {
        "Boolean" => ("BOOLEAN", vec!["true".to_owned(), "false".to_owned()]),
        kind if kind.starts_with("Date") || kind.starts_with("Timestamp") => {
            let days = literals.iter().filter_map(|text| text.get(..10)?.parse::<NaiveDate>().ok());
            let near = days
                .flat_map(|day| [day.checked_sub_days(Days::new(1)), Some(day), day.checked_add_days(Days::new(1))]);
            let near = near.flatten().map(|day| text_literal(&day.to_string()));
            let written =
                literals.iter().filter(|text| text.get(..10).is_some_and(|day| day.parse::<NaiveDate>().is_ok()));
            let is_date = kind.starts_with("Date");
            let exact = written.filter(|text| !is_date || text.len() == 10).map(|text| text_literal(text));
            (if is_date { "DATE" } else { "TIMESTAMP" }, near.chain(exact).collect())
        }
        kind if kind.contains("Utf8") => {
            let usual = ["-1", "0", "1"].map(str::to_owned);
            let texts = usual.iter().chain(literals).map(|text| text_literal(text));
            ("VARCHAR", texts.collect())
        }
        _ => {
            let near = numbers().flat_map(|number| [number, number + 1.0, -number, -number - 1.0]);
            ("DOUBLE PRECISION", [-1.0, 0.0, 1.0].into_iter().chain(near).map(|number| number.to_string()).collect())
        }
    };
    values.push("NULL".to_owned());
    values.sort();
    values.dedup();
    values.iter().map(|value| format!("CAST({value} AS {sql_type})")).collect()
}

#[cfg(test)]
mod tests;
