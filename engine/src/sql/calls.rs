//! Patterns, functions and aggregates as constructs, under whatever syntax they are written.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CeilFloorKind, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgOperator, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Subscript,
    TrimWhereField, ValueWithSpan,
};

use super::percentiles;
use super::syntax::{construct, not, null};

/// Patterns and functions, under whatever syntax.
pub(super) fn settle(expr: Expr) -> Expr {
    if let Some(found) = each_pattern(&expr) {
        return found;
    }
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
        Expr::CompoundFieldAccess { root, access_chain } => sliced(*root, access_chain),
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

/// LIKE and ILIKE with ANY or ALL of an array.
fn each_pattern(expr: &Expr) -> Option<Expr> {
    let (name, negated, any, value, list) = match expr {
        Expr::Like { negated, any, expr, pattern, escape_char: None } => {
            ("like", *negated, *any, expr, pattern.as_ref())
        }
        Expr::ILike { negated, any, expr, pattern, escape_char: None } => {
            ("ilike", *negated, *any, expr, pattern.as_ref())
        }
        _ => return None,
    };
    let list = if any { list } else { operand_of_all(list)? };
    let Some(patterns) = elements(list) else {
        // What is not like one of them is not like all of them.
        let which = if any == negated { "all" } else { "any" };
        let found = construct(format!("{name} {which}"), vec![value.as_ref().clone(), list.clone()]);
        return Some(if negated { not(found) } else { found });
    };
    let likes = each_like(name, negated, value, patterns);
    if any {
        return Some(construct("or", likes));
    }
    likes.into_iter().reduce(|left, right| {
        let both = Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) };
        Expr::Nested(Box::new(both))
    })
}

/// `ALL (array)`, which the parser takes for a call.
fn operand_of_all(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Dictionary(fields) => match fields.as_slice() {
            [head, list] if head.key.value == "call all" => Some(&list.value),
            _ => None,
        },
        _ => None,
    }
}

/// The elements of an array that is written out.
fn elements(list: &Expr) -> Option<Vec<Expr>> {
    match list {
        Expr::Nested(inner) => elements(inner),
        Expr::Array(Array { elem, .. }) => Some(elem.clone()),
        _ => None,
    }
}

fn each_like(name: &str, negated: bool, value: &Expr, patterns: Vec<Expr>) -> Vec<Expr> {
    let one = |pattern: Expr| {
        let like = construct(name, vec![value.clone(), pattern]);
        if negated { not(like) } else { like }
    };
    patterns.into_iter().map(one).collect()
}

/// `array[low:high]`; a bound that is not written is the array's own.
fn sliced(root: Expr, chain: Vec<AccessExpr>) -> Expr {
    let Some((AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }), names)) =
        chain.split_last()
    else {
        return Expr::CompoundFieldAccess { root: Box::new(root), access_chain: chain };
    };
    let names = names.iter().map(|name| match name {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
        _ => None,
    });
    let list = match (names.collect::<Option<Vec<Ident>>>(), root.clone()) {
        (Some(names), root) if names.is_empty() => root,
        (Some(names), Expr::Identifier(first)) => {
            Expr::CompoundIdentifier(std::iter::once(first).chain(names).collect())
        }
        _ => return Expr::CompoundFieldAccess { root: Box::new(root), access_chain: chain },
    };
    let bound = |bound: &Option<Expr>, own: &str| bound.clone().unwrap_or_else(|| construct(own, Vec::new()));
    let bounds = [bound(lower_bound, "number 1"), bound(upper_bound, "number 2147483647")];
    construct("slice", std::iter::once(list).chain(bounds).collect())
}

/// The parts of make_interval in order; those that are not given are 0.
fn interval_parts(list: &FunctionArgumentList) -> Option<Vec<Expr>> {
    const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
    let mut parts = vec![None; PARTS.len()];
    for (index, arg) in list.args.iter().enumerate() {
        let (index, expr) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (index, expr),
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg: FunctionArgExpr::Expr(expr),
                operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
            } => (PARTS.iter().position(|part| name.value.eq_ignore_ascii_case(part))?, expr),
            _ => return None,
        };
        let part = parts.get_mut(index)?;
        if part.replace(expr.clone()).is_some() {
            return None;
        }
    }
    Some(parts.into_iter().map(|part| part.unwrap_or_else(|| construct("number 0", Vec::new()))).collect())
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
    if matches!(name.as_str(), "json_agg" | "jsonb_agg") {
        return gathered(&name, function);
    }
    if percentiles::is_one(&name) {
        return percentiles::syntax(&name, function, |gathered| aggregate("array_agg", gathered));
    }
    let is_scalar = function.over.is_none() && function.within_group.is_empty() && function.filter.is_none();
    if !is_scalar || !super::functions::is_scalar(&name) {
        return aggregate(&name, function);
    }
    if super::correlation::is_rows(&name)
        && let Some(found) = rows(&name, &function)
    {
        return found;
    }
    match function.args {
        FunctionArguments::List(ref list) if name == "make_interval" => match interval_parts(list) {
            Some(parts) => construct("call make_interval", parts),
            None => Expr::Function(function),
        },
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

/// A function that gives rows is one that gives an array, whose elements are the rows.
fn rows(name: &str, function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let operands = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let (array, cast) = super::table_functions::array(name, operands.collect())?;
    let elements = super::trees::call("unnest", Some(array), Vec::new());
    Some(match cast {
        Some(kind) => construct(format!("cast {kind}"), vec![elements]),
        None => elements,
    })
}

/// `json_agg` and `jsonb_agg` make a document of an array, whose elements are pieces of JSON.
fn gathered(name: &str, mut function: Function) -> Expr {
    if let FunctionArguments::List(list) = &function.args
        && matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct))
    {
        return construct(format!("refused {name}(DISTINCT …) is not supported"), Vec::new());
    }
    function.name = ObjectName::from(vec![Ident::new("array_agg")]);
    construct(format!("gathered {name}"), vec![aggregate(name, function)])
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
