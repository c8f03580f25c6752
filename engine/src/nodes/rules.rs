//! Check rules compiled to conditions that are true for rows which violate them.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, cast, lit};
use datafusion::sql::sqlparser::ast::ExprWithAlias;
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::spec::{Rule, RuleKind, Values};
use headwater_pipelines::sql::{self, SqlFinding};

use crate::columns;
use crate::sql as postgres;
use crate::transform::Parameters;

/// A rule, ready to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub enum CheckRule {
    /// A row violates the rule where this is true.
    Row {
        /// What the rule is called.
        label: String,
        /// True for a violation.
        violation: Expr,
    },
    /// No two rows agree in all these columns; NULLs don't count as equal.
    Unique {
        /// What the rule is called.
        label: String,
        /// The key.
        columns: Vec<Expr>,
    },
}

impl CheckRule {
    /// What the rule is called.
    pub fn label(&self) -> &str {
        match self {
            Self::Row { label, .. } | Self::Unique { label, .. } => label,
        }
    }

    /// The expressions over the input's columns.
    pub(super) fn expressions(&self) -> Vec<Expr> {
        match self {
            Self::Row { violation, .. } => vec![violation.clone()],
            Self::Unique { columns, .. } => columns.clone(),
        }
    }

    /// The same rule over rewritten expressions, taken from the front of `expressions`.
    pub(super) fn with(&self, expressions: &mut impl Iterator<Item = Expr>) -> Self {
        match self {
            Self::Row { label, violation } => {
                Self::Row { label: label.clone(), violation: expressions.next().unwrap_or_else(|| violation.clone()) }
            }
            Self::Unique { label, columns } => {
                Self::Unique { label: label.clone(), columns: expressions.take(columns.len()).collect() }
            }
        }
    }
}

/// Where in a rule something is wrong.
#[derive(Debug)]
pub struct RuleFinding {
    /// Fields below the rule, e.g. `["not_null", "0"]`.
    pub field: &'static str,
    /// Index in the field's list, if it is one.
    pub index: Option<usize>,
    /// The finding; its place counts for `sql` alone.
    pub finding: SqlFinding,
}

/// Compiles a rule against its input's schema; its SQL may use the parameters.
pub fn compile(
    rule: &Rule,
    schema: &DFSchema,
    state: &SessionState,
    parameters: &Parameters,
) -> Result<CheckRule, Vec<RuleFinding>> {
    let label = rule.label();
    match rule.kind() {
        Some(RuleKind::NotNull(names)) => {
            let columns = columns_of("not_null", names, schema)?;
            let violation = columns.into_iter().map(Expr::is_null).reduce(Expr::or).unwrap_or_else(|| lit(false));
            Ok(CheckRule::Row { label, violation })
        }
        Some(RuleKind::Unique(names)) => Ok(CheckRule::Unique { label, columns: columns_of("unique", names, schema)? }),
        Some(RuleKind::AcceptedValues(values)) => accepted(label, values, schema),
        Some(RuleKind::Sql(text)) => {
            let at = |finding: SqlFinding| RuleFinding { field: "sql", index: None, finding };
            let holds = condition(text, schema, state, parameters);
            let holds = holds.map_err(|findings| findings.into_iter().map(at).collect::<Vec<_>>())?;
            Ok(CheckRule::Row { label, violation: holds.is_false() })
        }
        None => Err(vec![finding("rule", None, Finding::error(Code::BadRule, "a rule has exactly one kind"))]),
    }
}

fn finding(field: &'static str, index: Option<usize>, finding: Finding) -> RuleFinding {
    RuleFinding { field, index, finding: SqlFinding { line: 1, column: 1, length: 1, finding } }
}

fn columns_of(field: &'static str, names: &[String], schema: &DFSchema) -> Result<Vec<Expr>, Vec<RuleFinding>> {
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match column(name, schema) {
            Ok(column) => found.push(column),
            Err(problem) => wrong.push(finding(field, Some(index), problem)),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn column(name: &str, schema: &DFSchema) -> Result<Expr, Finding> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let exact = columns::settle(name, &names)?;
    Ok(Expr::Column(Column::from_name(exact)))
}

fn accepted(label: String, values: &Values, schema: &DFSchema) -> Result<CheckRule, Vec<RuleFinding>> {
    let wrong = |problem| vec![finding("accepted_values", None, problem)];
    let column = column(&values.column, schema).map_err(wrong)?;
    let data_type = column.get_type(schema).unwrap_or(DataType::Utf8);
    let mut list = Vec::with_capacity(values.values.len());
    for value in &values.values {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let scalar = ScalarValue::try_from_string(text.clone(), &data_type).map_err(|_| {
            wrong(Finding::error(
                Code::SqlType,
                format!("{value} is not a value of column '{}', which is {data_type}", values.column),
            ))
        })?;
        list.push(Expr::Literal(scalar, None));
    }
    let violation = column.clone().is_not_null().and(column.in_list(list, true));
    Ok(CheckRule::Row { label, violation })
}

/// Compiles a condition over the columns of one row; it is true, false or NULL.
pub fn condition(
    text: &str,
    schema: &DFSchema,
    state: &SessionState,
    parameters: &Parameters,
) -> Result<Expr, Vec<SqlFinding>> {
    let declared: Vec<&str> = parameters.keys().map(String::as_str).collect();
    let mut tree = sql::condition(text, &declared)?;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let findings = columns::settle_expr(&mut tree, &names);
    if !findings.is_empty() {
        return Err(findings);
    }
    postgres::rewrite(&mut tree, parameters);
    let wrong = |message: String| {
        vec![SqlFinding { line: 1, column: 1, length: 1, finding: Finding::error(Code::SqlType, message) }]
    };
    let expr = state
        .create_logical_expr_from_sql_expr(ExprWithAlias { expr: tree, alias: None }, schema)
        .map_err(|error| wrong(columns::planning_message(&error)))?;
    if let Some(what) = of_many_rows(&expr) {
        return Err(wrong(format!("the condition is about one row: {what} can't stand in it")));
    }
    let data_type = expr.get_type(schema).map_err(|error| wrong(columns::planning_message(&error)))?;
    if !matches!(data_type, DataType::Boolean | DataType::Null) {
        return Err(wrong(format!("the condition is {data_type}; expected true or false")));
    }
    Ok(cast(expr, DataType::Boolean))
}

/// What of a condition is about more than one row.
fn of_many_rows(expr: &Expr) -> Option<&'static str> {
    let mut found = None;
    let walked = expr.apply(|part| {
        found = match part {
            Expr::AggregateFunction(_) => Some("an aggregate"),
            Expr::WindowFunction(_) => Some("a window function"),
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) => Some("a subquery"),
            Expr::Unnest(_) => Some("a function that gives rows"),
            _ => found,
        };
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.ok().and(found)
}
