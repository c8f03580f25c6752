//! One SELECT of a transform, planned: columns settled, types checked, every mistake found in one go.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, Select, SelectItem, SetExpr, Spanned, Statement, Value,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use headwater_pipelines::diagnostic::{Code, Finding};
use headwater_pipelines::sql::SqlFinding;

use crate::columns;
use crate::error::EngineError;
use crate::relations::Relations;
use crate::sql;

/// Values of `$name` in SQL, typed.
pub type Parameters = BTreeMap<String, ScalarValue>;

/// Plans a statement whose relations are resolved.
pub async fn plan(
    query: &Query,
    relations: &Relations,
    parameters: &Parameters,
) -> Result<LogicalPlan, Vec<SqlFinding>> {
    let mut query = query.clone();
    let mut findings = columns::settle_query(&mut query, &relations.columns());
    match statement_to_plan(&query, relations, parameters).await {
        Ok(plan) if findings.is_empty() => Ok(plan),
        Ok(_) => Err(findings),
        Err(error) => {
            let has_unknown = !findings.is_empty();
            findings.extend(isolate(&query, relations, parameters, &error, has_unknown).await);
            findings.sort_by_key(|finding| (finding.line, finding.column));
            Err(findings)
        }
    }
}

/// Plans a statement as it would be executed, over relations of which the schema is enough: part of what can't be run is found only then.
pub async fn check_executable(query: &Query, plan: &LogicalPlan, relations: &Relations) -> Result<(), Vec<SqlFinding>> {
    match relations.session().state().create_physical_plan(plan).await {
        Ok(_) => Ok(()),
        Err(error) => Err(vec![SqlFinding::new(first_span(query), type_finding(&error))]),
    }
}

/// Plans the text of a stored plan, which was checked when it was made: a mistake now means that the source has changed.
pub async fn plan_text(sql: &str, relations: &Relations, parameters: &Parameters) -> Result<LogicalPlan, EngineError> {
    let told = |findings: Vec<SqlFinding>| {
        let messages: Vec<String> = findings.into_iter().map(|finding| finding.finding.message).collect();
        EngineError::config(messages.join("; "))
            .hint("the source may have changed since the version was made: run `headwater plan`")
    };
    let query = headwater_pipelines::sql::parse(sql).map_err(|finding| told(vec![finding]))?;
    plan(&query, relations, parameters).await.map_err(told)
}

async fn statement_to_plan(
    query: &Query,
    relations: &Relations,
    parameters: &Parameters,
) -> Result<LogicalPlan, DataFusionError> {
    let state = relations.session().state();
    let mut query = query.clone();
    sql::rewrite(&mut query, parameters);
    let statement = DfStatement::Statement(Box::new(Statement::Query(Box::new(query))));
    let plan = state.statement_to_plan(statement).await?;
    sql::check(&plan)?;
    // Analysis coerces types, which is where operators on types that don't fit are found.
    state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    Ok(plan)
}

/// Planning stops at its first error: each expression is planned alone to find the others and the place of each. What holds
/// an unknown name is passed over: its other mistakes may be consequences of that one.
async fn isolate(
    query: &Query,
    relations: &Relations,
    parameters: &Parameters,
    error: &DataFusionError,
    has_unknown: bool,
) -> Vec<SqlFinding> {
    let mut found: Vec<SqlFinding> = Vec::new();
    if let SetExpr::Select(select) = query.body.as_ref()
        && !columns::is_unsettled(&query.with)
        && !columns::is_unsettled(&select.from)
        && !columns::is_unsettled(&select.group_by)
    {
        let base =
            alone(query, select, vec![SelectItem::UnnamedExpr(Expr::Value(Value::Null.with_empty_span()))], None);
        if statement_to_plan(&base, relations, parameters).await.is_ok() {
            for (span, probe) in probes(query, select) {
                if let Err(error) = statement_to_plan(&probe, relations, parameters).await {
                    found.push(SqlFinding::new(span, type_finding(&error)));
                }
            }
        }
    }
    if found.is_empty() && !has_unknown {
        found.push(SqlFinding::new(first_span(query), type_finding(error)));
    }
    found
}

fn probes(query: &Query, select: &Select) -> Vec<(Span, Query)> {
    let items = select.projection.iter().filter(|item| !columns::is_unsettled(*item));
    let items = items.map(|item| (item.span(), alone(query, select, vec![item.clone()], None)));
    let nothing = || vec![SelectItem::UnnamedExpr(Expr::Value(Value::Null.with_empty_span()))];
    let conditions = select.selection.iter().flat_map(conjuncts).filter(|part| !columns::is_unsettled(*part));
    let conditions = conditions
        .map(|condition| (condition.span(), alone(query, &ungrouped(select), nothing(), Some(condition.clone()))));
    items.chain(conditions).collect()
}

/// The statement with these items and this condition and nothing else that could be wrong.
fn alone(query: &Query, select: &Select, projection: Vec<SelectItem>, selection: Option<Expr>) -> Query {
    let mut query = query.clone();
    query.order_by = None;
    query.limit_clause = None;
    let select = Select { projection, selection, having: None, distinct: None, ..select.clone() };
    *query.body = SetExpr::Select(Box::new(select));
    query
}

fn ungrouped(select: &Select) -> Select {
    Select {
        group_by: datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(Vec::new(), Vec::new()),
        ..select.clone()
    }
}

fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left).into_iter().chain(conjuncts(right)).collect()
        }
        Expr::Nested(inner) => conjuncts(inner),
        other => vec![other],
    }
}

fn type_finding(error: &DataFusionError) -> Finding {
    Finding::error(Code::SqlType, columns::planning_message(error))
}

/// The first identifier that still knows its place.
fn first_span(query: &Query) -> Span {
    struct First(Option<Span>);
    impl datafusion::sql::sqlparser::ast::Visitor for First {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let span = expr.span();
            if span.start.line == 0 {
                return ControlFlow::Continue(());
            }
            self.0 = Some(span);
            ControlFlow::Break(())
        }
    }
    let mut first = First(None);
    let _ = datafusion::sql::sqlparser::ast::Visit::visit(query, &mut first);
    first.0.unwrap_or_else(|| Span::new((1, 1).into(), (1, 2).into()))
}
