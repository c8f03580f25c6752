//! Patterns, functions and aggregates as constructs, under whatever syntax they are written.

use datafusion::sql::sqlparser::ast::{
    CeilFloorKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    ObjectName, TrimWhereField, ValueWithSpan,
};

use super::syntax::{construct, not, null};

/// Patterns and functions, under whatever syntax.
pub(super) fn settle(expr: Expr) -> Expr {
    let escape = |escape: Option<ValueWithSpan>| escape.map(Expr::Value);
    let pattern = |name: &str, negated: bool, operands: [Box<Expr>; 2], escape: Option<Expr>| {
        let operands = operands.into_iter().map(|operand| *operand).chain(escape).collect();
        let found = construct(name, operands);
        if negated { not(found) } else { found }
    };
    match expr {
        Expr::Like { negated, any: false, expr, pattern: text, escape_char } => {
            pattern("like", negated, [expr, text], escape(escape_char))
        }
        Expr::ILike { negated, any: false, expr, pattern: text, escape_char } => {
            pattern("ilike", negated, [expr, text], escape(escape_char))
        }
        Expr::SimilarTo { negated, expr, pattern: text, escape_char } => {
            pattern("similar to", negated, [expr, text], escape(escape_char))
        }
        Expr::Extract { field, expr, .. } => {
            construct(format!("extract {}", field.to_string().to_lowercase()), vec![*expr])
        }
        Expr::Position { expr, r#in } => construct("call position", vec![*r#in, *expr]),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let from = substring_from.map_or_else(|| construct("number 1", Vec::new()), |from| *from);
            construct(
                "call substring",
                [Some(*expr), Some(from), substring_for.map(|length| *length)].into_iter().flatten().collect(),
            )
        }
        Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "call ltrim",
                Some(TrimWhereField::Trailing) => "call rtrim",
                Some(TrimWhereField::Both) | None => "call btrim",
            };
            let characters = trim_what.map(|what| *what).into_iter().chain(trim_characters.into_iter().flatten());
            construct(name, std::iter::once(*expr).chain(characters).collect())
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let operands = [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for];
            construct("call overlay", operands.into_iter().flatten().map(|operand| *operand).collect())
        }
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(_) } => construct("call ceil", vec![*expr]),
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(_) } => construct("call floor", vec![*expr]),
        Expr::Function(function) => called(function),
        other => other,
    }
}

/// A call of a function that gives a value for each row. Aggregates and windows keep their syntax.
fn called(mut function: Function) -> Expr {
    let name = function.name.to_string().to_lowercase();
    let name = match name.as_str() {
        "every" => "bool_and".to_owned(),
        "variance" => "var_samp".to_owned(),
        _ => name,
    };
    if matches!(name.as_str(), "bool_and" | "var_samp") {
        function.name = ObjectName::from(vec![Ident::new(name.clone())]);
    }
    let is_scalar = function.over.is_none() && function.within_group.is_empty() && function.filter.is_none();
    if !is_scalar || !super::functions::is_scalar(&name) {
        return aggregate(&name, function);
    }
    match function.args {
        FunctionArguments::None => construct(format!("call {name}"), Vec::new()),
        FunctionArguments::List(ref list)
            if list.duplicate_treatment.is_none()
                && list.clauses.is_empty()
                && list.args.iter().all(|arg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)))) =>
        {
            let operands = list.args.iter().filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            });
            construct(format!("call {name}"), operands.collect())
        }
        _ => Expr::Function(function),
    }
}

/// A call of an aggregate or a function of windows: its arguments are looked at by its name.
fn aggregate(name: &str, mut function: Function) -> Expr {
    if matches!(name, "unnest" | "grouping") {
        return Expr::Function(function);
    }
    if let FunctionArguments::List(list) = &mut function.args {
        // DISTINCT needs the very expression that is aggregated.
        for clause in list.clauses.iter_mut().filter(|_| list.duplicate_treatment.is_none()) {
            if let FunctionArgumentClause::OrderBy(orders) = clause {
                for order in orders {
                    let whole = std::mem::replace(&mut order.expr, null());
                    order.expr = construct("key", vec![whole]);
                }
            }
        }
        for (place, arg) in list.args.iter_mut().enumerate() {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                let whole = std::mem::replace(expr, null());
                *expr = construct(format!("argument {name} {place}"), vec![whole]);
            }
        }
    }
    Expr::Function(function)
}
