//! Windows as DataFusion reads them: one that builds on another is written out, distances in time are texts.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, NamedWindowExpr, Query, Select, Value, VisitMut,
    VisitorMut, WindowFrameUnits, WindowSpec, WindowType,
};

use super::syntax::{construct, keep};

/// Writes out the windows of a SELECT that build on those of its WINDOW clause.
pub(super) fn settle(select: &mut Select) {
    let mut known: Vec<(String, WindowSpec)> = Vec::new();
    for window in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
            built(spec, &known);
            known.push((window.0.value.clone(), spec.clone()));
        }
    }
    if !known.is_empty() {
        let _ = select.projection.visit(&mut Windows { known, queries: 0 });
    }
}

/// A window with the parts of the one that it builds on. What Postgres doesn't allow stays, and is refused.
fn built(spec: &mut WindowSpec, known: &[(String, WindowSpec)]) {
    let Some(name) = &spec.window_name else { return };
    let Some((_, base)) = known.iter().find(|(known, _)| *known == name.value) else { return };
    let is_allowed = base.window_name.is_none()
        && base.window_frame.is_none()
        && spec.partition_by.is_empty()
        && (base.order_by.is_empty() || spec.order_by.is_empty());
    if is_allowed {
        spec.window_name = None;
        spec.partition_by.clone_from(&base.partition_by);
        if spec.order_by.is_empty() {
            spec.order_by.clone_from(&base.order_by);
        }
    }
}

/// Visits the calls of one select list.
struct Windows {
    known: Vec<(String, WindowSpec)>,
    queries: usize,
}

impl VisitorMut for Windows {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(spec)) = &mut function.over
            && self.queries == 0
        {
            built(spec, &self.known);
        }
        ControlFlow::Continue(())
    }
}

/// A bound of a frame. Days and months of a distance in time are a text to DataFusion, which takes it as it takes a number.
pub(super) fn bound(bound: &mut Expr, units: WindowFrameUnits) {
    match distance(bound).filter(|_| units == WindowFrameUnits::Range) {
        Some(text) => *bound = Expr::Value(Value::Number(text, true).with_empty_span()),
        None => keep(bound),
    }
}

/// A whole number of days or months. Hours would be cut where dates are ordered.
fn distance(bound: &Expr) -> Option<String> {
    let value = match bound {
        Expr::Interval(interval) if interval.leading_field.is_none() && interval.last_field.is_none() => {
            interval.value.as_ref()
        }
        other => other,
    };
    let Expr::Value(value) = value else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let (count, unit) = text.trim().split_once(' ')?;
    let count: u32 = count.parse().ok()?;
    let lower = unit.trim().to_lowercase();
    let (factor, unit) = match lower.strip_suffix('s').unwrap_or(&lower) {
        "day" => (1, "days"),
        "week" => (7, "days"),
        "mon" | "month" => (1, "months"),
        "year" => (12, "months"),
        _ => return None,
    };
    Some(format!("{} {unit}", count.checked_mul(factor)?))
}

/// `lag(value, offset, default)`, whose default is computed of the row itself: the value where there is a row, else the default. The two
/// calls that come back are of the value and of whether there is a row.
pub(super) fn shifted(function: &Function) -> Option<(Function, Function, Expr)> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [_, offset, FunctionArg::Unnamed(FunctionArgExpr::Expr(default))] = list.args.as_slice() else { return None };
    if function.over.is_none() || is_plain(default) {
        return None;
    }
    let with = |args: Vec<FunctionArg>| {
        let mut found = function.clone();
        if let FunctionArguments::List(list) = &mut found.args {
            list.args = args;
        }
        found
    };
    let there = Expr::Value(Value::Boolean(true).with_empty_span());
    let there = FunctionArg::Unnamed(FunctionArgExpr::Expr(there));
    let value = with(vec![list.args.first()?.clone(), offset.clone()]);
    Some((value, with(vec![there, offset.clone()]), default.clone()))
}

/// Whether DataFusion takes a default as it is: a whole number, a quoted value or NULL.
fn is_plain(default: &Expr) -> bool {
    match default {
        Expr::Value(value) => matches!(value.value, Value::SingleQuotedString(_) | Value::Null),
        Expr::Dictionary(fields) => match fields.as_slice() {
            [only] => only.key.value.strip_prefix("number ").is_some_and(|number| number.parse::<i32>().is_ok()),
            _ => false,
        },
        _ => false,
    }
}

/// The value of a shifted row, or the default.
pub(super) fn or_default(value: Expr, there: Expr, default: Expr) -> Expr {
    construct("case", vec![Expr::IsNotNull(Box::new(there)), value, default])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use datafusion::sql::sqlparser::ast::SetExpr;

    use super::*;

    fn settled(sql: &str) -> String {
        let mut query = headwater_pipelines::sql::parse(sql).unwrap();
        let SetExpr::Select(select) = query.body.as_mut() else { panic!("{sql}") };
        settle(select);
        query.to_string()
    }

    #[test]
    fn a_window_that_builds_on_another_is_written_out() {
        assert_eq!(
            settled("SELECT sum(a) OVER (w ORDER BY b), max(a) OVER w FROM t WINDOW w AS (PARTITION BY c)"),
            "SELECT sum(a) OVER (PARTITION BY c ORDER BY b), max(a) OVER w FROM t WINDOW w AS (PARTITION BY c)"
        );
        // What Postgres refuses stays as it is.
        for sql in [
            "SELECT sum(a) OVER (w PARTITION BY b) FROM t WINDOW w AS (ORDER BY c)",
            "SELECT sum(a) OVER (w ORDER BY b) FROM t WINDOW w AS (ORDER BY c)",
            "SELECT sum(a) OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY c ROWS 1 PRECEDING)",
        ] {
            assert_eq!(settled(sql), sql);
        }
    }

    #[test]
    fn distances_of_days_and_months_are_texts() {
        let text = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).with_empty_span());
        assert_eq!(distance(&text("7 days")).as_deref(), Some("7 days"));
        assert_eq!(distance(&text("2 weeks")).as_deref(), Some("14 days"));
        assert_eq!(distance(&text("1 year")).as_deref(), Some("12 months"));
        for other in ["1 hour", "1.5 days", "-1 day", "1 day 2 hours", "day"] {
            assert_eq!(distance(&text(other)), None, "{other}");
        }
    }
}
