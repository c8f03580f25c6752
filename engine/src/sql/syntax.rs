//! Rewrites the syntax tree so that the planner of expressions sees every construct whose meaning depends on types.
//!
//! DataFusion asks a planner about operators and dictionaries alone, so all other constructs are written as a dictionary:
//! its first key names the construct, its values are the operands. No statement can hold a dictionary of its own: Postgres
//! has none, and its parser knows none.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DictionaryField, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, Ident, Interval,
    NamedWindowExpr, Query, Select, TableFactor, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
    WindowFrameBound, WindowSpec, WindowType,
};

use super::{calls, parameters, queries, table_functions};
use crate::transform::Parameters;

/// Rewrites a statement or condition, with the parameters' values in place of their names.
pub(crate) fn rewrite(tree: &mut impl VisitMut, parameters: &Parameters) {
    let _ = tree.visit(&mut Rewriter { parameters });
    let _ = tree.visit(&mut Unmark);
}

/// Takes the marks away again.
struct Unmark;

impl VisitorMut for Unmark {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::Number(_, is_kept) = &mut value.value {
            *is_kept = false;
        }
        ControlFlow::Continue(())
    }
}

struct Rewriter<'a> {
    parameters: &'a Parameters,
}

fn keep_argument(argument: &mut FunctionArg) {
    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
        keep(expr);
    }
}

/// A construct with its operands.
pub(super) fn construct(name: impl Into<String>, operands: Vec<Expr>) -> Expr {
    let head = (name.into(), Expr::Value(Value::Null.with_empty_span()));
    let operands = operands.into_iter().map(|operand| (String::new(), operand));
    let field =
        |(key, value): (String, Expr)| DictionaryField { key: Ident::with_quote('\'', key), value: Box::new(value) };
    Expr::Dictionary(std::iter::once(head).chain(operands).map(field).collect())
}

pub(super) fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(expr))) }
}

/// Numbers that are a position or a count stay as they are: the flag, which no number of Postgres has, marks them.
pub(super) fn keep(expr: &mut Expr) {
    if let Expr::Value(value) = expr
        && let Value::Number(_, is_kept) = &mut value.value
    {
        *is_kept = true;
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        queries::settle(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some(rows) = table_functions::settle(factor) {
            *factor = rows;
        }
        match factor {
            // DataFusion reads the arguments of its functions of tables as they are written.
            TableFactor::Table { args: Some(args), .. } => args.args.iter_mut().for_each(keep_argument),
            TableFactor::Function { args, .. } => args.iter_mut().for_each(keep_argument),
            TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter_mut().for_each(|array| {
                let whole = std::mem::replace(array, null());
                *array = construct("flat", vec![whole]);
            }),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(list, _) = &mut select.group_by {
            list.iter_mut().for_each(keep);
        }
        for window in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(window) = &mut window.1 {
                self.window(window);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(window)) = &mut function.over
        {
            self.window(window);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let whole = std::mem::replace(expr, null());
        *expr = self.rewritten(whole);
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    /// Bounds of a frame are numbers as they are; what orders and divides it is compared as Postgres compares.
    fn window(&self, window: &mut WindowSpec) {
        // DataFusion passes over the window that this one builds on.
        if window.window_name.is_some() {
            window.partition_by.push(construct("refused a window can't build on another: write it out", Vec::new()));
        }
        if let Some(frame) = &mut window.window_frame {
            for bound in std::iter::once(&mut frame.start_bound).chain(frame.end_bound.as_mut()) {
                if let WindowFrameBound::Preceding(Some(bound)) | WindowFrameBound::Following(Some(bound)) = bound {
                    keep(bound);
                }
            }
        }
        let keys = window.partition_by.iter_mut().chain(window.order_by.iter_mut().map(|order| &mut order.expr));
        for key in keys {
            let whole = std::mem::replace(key, null());
            *key = construct("key", vec![whole]);
        }
    }

    fn rewritten(&self, expr: Expr) -> Expr {
        match expr {
            Expr::Value(ref value) => match &value.value {
                Value::Number(text, false) => construct(format!("number {text}"), Vec::new()),
                Value::UnicodeStringLiteral(text) | Value::EscapedStringLiteral(text) => {
                    Expr::Value(Value::SingleQuotedString(text.clone()).with_empty_span())
                }
                // Strings of bits, which no column holds.
                Value::HexStringLiteral(_) | Value::SingleQuotedByteStringLiteral(_) => {
                    construct("cast bit", vec![null()])
                }
                Value::Placeholder(name) => match self.parameters.get(name.trim_start_matches('$')) {
                    Some(value) => parameters::literal(value),
                    None => expr,
                },
                _ => expr,
            },
            Expr::UnaryOp { op, expr } => unary(op, *expr),
            Expr::Cast { kind, expr, data_type, array: false, format: None } => {
                let verb = match kind {
                    CastKind::Cast | CastKind::DoubleColon => "cast",
                    CastKind::TryCast | CastKind::SafeCast => "try_cast",
                };
                construct(format!("{verb} {data_type}"), vec![*expr])
            }
            Expr::TypedString(typed) => construct(format!("cast {}", typed.data_type), vec![Expr::Value(typed.value)]),
            Expr::AnyOp { left, compare_op, right, .. } if !matches!(*right, Expr::Subquery(_)) => {
                construct(format!("any {compare_op}"), vec![*left, *right])
            }
            Expr::AllOp { left, compare_op, right } if !matches!(*right, Expr::Subquery(_)) => {
                construct(format!("all {compare_op}"), vec![*left, *right])
            }
            Expr::IsNull(inner) => match *inner {
                Expr::Tuple(parts) => every(parts, |part| Expr::IsNull(Box::new(part))),
                other => Expr::IsNull(Box::new(other)),
            },
            Expr::IsNotNull(inner) => match *inner {
                Expr::Tuple(parts) => every(parts, |part| Expr::IsNotNull(Box::new(part))),
                other => Expr::IsNotNull(Box::new(other)),
            },
            Expr::Interval(Interval { value, leading_field: None, last_field: None, .. }) => {
                construct("cast interval", vec![*value])
            }
            Expr::AtTimeZone { timestamp, time_zone } => construct("call timezone", vec![*time_zone, *timestamp]),
            other => conditions(other),
        }
    }
}

/// Conditions and what depends on them.
fn conditions(expr: Expr) -> Expr {
    match expr {
        Expr::Between { expr, negated, low, high } => {
            let between = construct("between", vec![*expr, *low, *high]);
            if negated { not(between) } else { between }
        }
        Expr::BinaryOp { left, op, right } => match (*left, *right) {
            (Expr::Tuple(left), Expr::Tuple(right)) if left.len() == right.len() => rows(left, &op, right),
            (left, right) => binary(left, op, right),
        },
        Expr::InList { expr, list, negated } => {
            let found = match (*expr, list) {
                (Expr::Tuple(left), list) => {
                    let equal = |right: Expr| match right {
                        Expr::Tuple(right) if right.len() == left.len() => {
                            rows(left.clone(), &BinaryOperator::Eq, right)
                        }
                        other => binary(Expr::Tuple(left.clone()), BinaryOperator::Eq, other),
                    };
                    construct("or", list.into_iter().map(equal).collect())
                }
                (expr, list) => construct("in", std::iter::once(expr).chain(list).collect()),
            };
            if negated { not(found) } else { found }
        }
        Expr::Exists { ref subquery, .. } | Expr::InSubquery { ref subquery, .. } if queries::skips(subquery) => {
            construct("refused OFFSET inside EXISTS and IN is not supported", Vec::new())
        }
        Expr::InSubquery { ref subquery, .. } if queries::is_windowed(subquery) => {
            construct("refused a window inside IN is not supported: put it into a subquery of FROM", Vec::new())
        }
        // An aggregate of everything is one value: DataFusion takes it for none where it reads no row.
        Expr::InSubquery { expr, subquery, negated } if queries::is_one_row(&subquery) => {
            let op = if negated { BinaryOperator::NotEq } else { BinaryOperator::Eq };
            binary(*expr, op, Expr::Subquery(subquery))
        }
        Expr::Exists { subquery, negated } if queries::is_one_row(&subquery) => {
            Expr::Value(Value::Boolean(!negated).with_empty_span())
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let name = if operand.is_some() { "case of" } else { "case" };
            let branches = conditions.into_iter().flat_map(|when| [when.condition, when.result]);
            let result = else_result.map_or_else(null, |result| *result);
            construct(name, operand.map(|operand| *operand).into_iter().chain(branches).chain([result]).collect())
        }
        Expr::IsDistinctFrom(left, right) => construct("is distinct from", vec![*left, *right]),
        Expr::IsNotDistinctFrom(left, right) => not(construct("is distinct from", vec![*left, *right])),
        other => calls::settle(other),
    }
}

/// A row is NULL if all its columns are, and not NULL if none is.
fn every(parts: Vec<Expr>, is: fn(Expr) -> Expr) -> Expr {
    let all = parts.into_iter().map(is).reduce(|left, right| binary(left, BinaryOperator::And, right));
    Expr::Nested(Box::new(all.unwrap_or_else(null)))
}

/// A sign before a number belongs to the number, as Postgres' grammar has it: so -2147483648 is an integer.
fn unary(op: UnaryOperator, operand: Expr) -> Expr {
    // In Postgres a sign binds more tightly than a power.
    let operand = match operand {
        Expr::BinaryOp { left, op: BinaryOperator::PGExp, right } if op == UnaryOperator::Minus => {
            return binary(unary(op, *left), BinaryOperator::PGExp, *right);
        }
        other => other,
    };
    let bare = match &operand {
        Expr::Nested(inner) => inner.as_ref(),
        other => other,
    };
    if op == UnaryOperator::Minus
        && let Expr::Dictionary(fields) = bare
        && let [only] = fields.as_slice()
        && let Some(number) = only.key.value.strip_prefix("number ")
    {
        let signed = number.strip_prefix('-').map_or_else(|| format!("-{number}"), str::to_owned);
        return construct(format!("number {signed}"), Vec::new());
    }
    match op {
        UnaryOperator::Minus => construct("negative", vec![operand]),
        UnaryOperator::Plus => construct("positive", vec![operand]),
        UnaryOperator::Not => construct("not", vec![operand]),
        UnaryOperator::BitwiseNot => construct("call ~", vec![operand]),
        UnaryOperator::PGSquareRoot => construct("call |/", vec![operand]),
        UnaryOperator::PGCubeRoot => construct("call cbrt", vec![operand]),
        UnaryOperator::PGAbs => construct("call abs", vec![operand]),
        op => Expr::UnaryOp { op, expr: Box::new(operand) },
    }
}

/// Two rows compared column by column.
///
/// See "Row Constructor Comparison" in Postgres' manual.
fn rows(left: Vec<Expr>, op: &BinaryOperator, right: Vec<Expr>) -> Expr {
    let pairs = || left.iter().cloned().zip(right.iter().cloned());
    let all = |op: &BinaryOperator, join: BinaryOperator| {
        pairs()
            .map(|(left, right)| binary(left, op.clone(), right))
            .reduce(|left, right| Expr::Nested(Box::new(binary(left, join.clone(), right))))
    };
    match op {
        BinaryOperator::Overlaps if left.len() == 2 => {
            construct("call overlaps", left.into_iter().chain(right).collect())
        }
        BinaryOperator::Eq => all(op, BinaryOperator::And).unwrap_or_else(null),
        BinaryOperator::NotEq => all(op, BinaryOperator::Or).unwrap_or_else(null),
        BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
            let strict = match op {
                BinaryOperator::Lt | BinaryOperator::LtEq => BinaryOperator::Lt,
                _ => BinaryOperator::Gt,
            };
            let mut pairs: Vec<(Expr, Expr)> = pairs().collect();
            let Some((left, right)) = pairs.pop() else { return null() };
            let last = binary(left, op.clone(), right);
            pairs.into_iter().rev().fold(last, |rest, (left, right)| {
                let equal = binary(left.clone(), BinaryOperator::Eq, right.clone());
                let both = Expr::Nested(Box::new(binary(equal, BinaryOperator::And, rest)));
                Expr::Nested(Box::new(binary(binary(left, strict.clone(), right), BinaryOperator::Or, both)))
            })
        }
        _ => binary(Expr::Tuple(left), op.clone(), Expr::Tuple(right)),
    }
}
