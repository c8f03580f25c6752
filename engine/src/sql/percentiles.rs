//! Aggregates that look for a place in the order of their values: percentile_cont, percentile_disc and mode.
//!
//! The values of a group are gathered in an array, and a kernel looks into it as Postgres does (`orderedsetaggs.c`): DataFusion has neither of the latter two,
//! and rounds where it interpolates.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt32Array};
use arrow::compute::{SortOptions, sort_to_indices, take};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName,
};

use super::cast;
use super::kernel::{Body, Form, Kernel};
use super::syntax::construct;
use super::types::{Operand, Type, refused};

/// Whether a call is one of these aggregates.
pub(super) fn is_one(name: &str) -> bool {
    matches!(name, "percentile_cont" | "percentile_disc" | "mode")
}

/// What such a call is: the aggregate of its values, where they are ordered, and its fraction.
pub(super) fn syntax(
    name: &str,
    function: Function,
    gather: impl FnOnce(Function) -> datafusion::sql::sqlparser::ast::Expr,
) -> datafusion::sql::sqlparser::ast::Expr {
    let wrong = |what: &str| construct(format!("refused {name} {what}"), Vec::new());
    let FunctionArguments::List(list) = &function.args else { return wrong("has an argument") };
    let fraction = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let fraction: Option<Vec<_>> = fraction.collect();
    let count = usize::from(name != "mode");
    let Some(fraction) = fraction.filter(|fraction| fraction.len() == count) else {
        return wrong(if count == 0 { "takes no argument" } else { "takes one fraction" });
    };
    if matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)) || function.over.is_some() {
        return wrong("takes neither DISTINCT nor OVER");
    }
    let [order] = function.within_group.as_slice() else {
        return wrong("is ordered by one value: WITHIN GROUP (ORDER BY x)");
    };
    let order_by = if order.options.asc == Some(false) { "desc" } else { "asc" };
    let arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(order.expr.clone()));
    let list = FunctionArgumentList { duplicate_treatment: None, args: vec![arg], clauses: Vec::new() };
    let gathered = Function {
        name: ObjectName::from(vec![Ident::new("array_agg")]),
        args: FunctionArguments::List(list),
        within_group: Vec::new(),
        ..function
    };
    construct(format!("percentile {name} {order_by}"), std::iter::once(gather(gathered)).chain(fraction).collect())
}

/// The kernel over gathered values; `what` is a name and an order.
pub(super) fn plan(what: &str, operands: Vec<Operand>) -> Result<Expr> {
    let (name, order) = what.split_once(' ').unwrap_or((what, "asc"));
    let is_descending = order == "desc";
    let mut operands = operands.into_iter();
    let list = operands.next().ok_or_else(|| refused(format!("{name} needs values")))?;
    let Type::Array(element) = &list.kind else { return Err(refused(format!("{name} needs values"))) };
    let element = element.as_ref().clone();
    let none = || refused(format!("{name} of {element} is not supported"));
    let fraction = operands.next().map(|fraction| match &fraction.kind {
        kind if kind.is_number() || *kind == Type::Unknown => cast::implicit(fraction, &Type::Float8),
        kind => Err(refused(format!("{name} takes a number from 0 to 1 as its fraction, not {kind}"))),
    });
    let fraction = fraction.transpose()?.map(|fraction| fraction.expr);
    let (kernel, gives, body): (&'static str, Type, Body) = match (name, is_descending) {
        ("percentile_cont", _) if !element.is_number() => return Err(none()),
        ("percentile_cont", false) => ("percentile_cont", Type::Float8, |c, _| interpolated(c, false)),
        ("percentile_cont", true) => ("percentile_cont desc", Type::Float8, |c, _| interpolated(c, true)),
        _ if !is_ordered(&element, name) => return Err(none()),
        ("percentile_disc", false) => ("percentile_disc", element, |c, kind| chosen(c, kind, false)),
        ("percentile_disc", true) => ("percentile_disc desc", element, |c, kind| chosen(c, kind, true)),
        (_, false) => ("mode", element, |c, kind| commonest(&c[0], kind, false)),
        (_, true) => ("mode desc", element, |c, kind| commonest(&c[0], kind, true)),
    };
    let values = match name {
        "percentile_cont" => cast::convert(list, &Type::Array(Box::new(Type::Float8)), false)?,
        _ => list.expr,
    };
    Ok(Kernel::call(kernel, Form::Call, gives, body, std::iter::once(values).chain(fraction).collect()))
}

/// Whether values are ordered as Arrow orders them. Of equal floats that are not the same Postgres shows whichever came first.
fn is_ordered(element: &Type, name: &str) -> bool {
    match element {
        Type::Bool | Type::Text | Type::Date | Type::Time | Type::Timestamp | Type::Timestamptz => true,
        kind => kind.is_number() && (name != "mode" || !kind.is_float()),
    }
}

/// The fraction of a row, if it has one.
fn fraction(column: &ArrayRef, row: usize) -> Result<Option<f64>> {
    let fractions = column.as_primitive::<Float64Type>();
    if fractions.is_null(row) {
        return Ok(None);
    }
    let fraction = fractions.value(row);
    match (0.0..=1.0).contains(&fraction) {
        true => Ok(Some(fraction)),
        false => Err(refused(format!("percentile value {fraction} is not between 0 and 1"))),
    }
}

/// The value at a fraction of the way from the first to the last, between two if there is none.
fn interpolated(columns: &[ArrayRef], is_descending: bool) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let order = |a: &f64, b: &f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (a, b) => a.cmp(&b),
    };
    let found = (0..lists.len()).map(|row| {
        let Some(fraction) = fraction(&columns[1], row)? else { return Ok(None) };
        if lists.is_null(row) {
            return Ok(None);
        }
        let values = lists.value(row);
        let mut values: Vec<f64> = values.as_primitive::<Float64Type>().iter().flatten().collect();
        values.sort_by(|a, b| if is_descending { order(b, a) } else { order(a, b) });
        let Some(last) = values.len().checked_sub(1) else { return Ok(None) };
        let place = fraction * last as f64;
        let (low, high) = (values[index(place.floor())], values[index(place.ceil())]);
        Ok(Some(if place.floor() == place.ceil() { low } else { low + (place - place.floor()) * (high - low) }))
    });
    Ok(Arc::new(found.collect::<Result<Float64Array>>()?))
}

/// A place in an array of at most 2³¹ values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and the length of an array"
)]
fn index(place: f64) -> usize {
    place as usize
}

/// The first value that so much of the values comes before, or is.
fn chosen(columns: &[ArrayRef], kind: &DataType, is_descending: bool) -> Result<ArrayRef> {
    picked(&columns[0], kind, is_descending, |sorted, row| {
        let Some(fraction) = fraction(&columns[1], row)? else { return Ok(None) };
        let place = index((fraction * sorted.len() as f64).ceil());
        Ok((!sorted.is_empty()).then(|| place.saturating_sub(1)))
    })
}

/// The value that is there most often; of several, the first.
fn commonest(lists: &ArrayRef, kind: &DataType, is_descending: bool) -> Result<ArrayRef> {
    picked(lists, kind, is_descending, |sorted, _| {
        if sorted.is_empty() {
            return Ok(None);
        }
        let runs = arrow::compute::partition(std::slice::from_ref(sorted))?.ranges();
        // The last of the greatest is taken, so that they are looked at from the end.
        Ok(runs.into_iter().rev().max_by_key(ExactSizeIterator::len).map(|run| run.start))
    })
}

/// One of the sorted values of each list.
fn picked(
    lists: &ArrayRef,
    kind: &DataType,
    is_descending: bool,
    pick: impl Fn(&ArrayRef, usize) -> Result<Option<usize>>,
) -> Result<ArrayRef> {
    let lists = lists.as_list::<i32>();
    let options = SortOptions { descending: is_descending, nulls_first: false };
    let mut places: Vec<Option<u32>> = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let values = if lists.is_null(row) { lists.values().slice(0, 0) } else { lists.value(row) };
        let places_of = sort_to_indices(&values, Some(options), Some(values.len() - values.null_count()))?;
        let sorted = take(&values, &places_of, None)?;
        let found = pick(&sorted, row)?.map(|place| places_of.value(place));
        let start = lists.value_offsets()[row].cast_unsigned();
        places.push(found.map(|place| start + place));
    }
    let values = take(lists.values(), &UInt32Array::from(places), None)?;
    Ok(if values.data_type() == kind { values } else { arrow::compute::cast(&values, kind)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::ListArray;
    use arrow::datatypes::Int32Type;

    use super::*;

    fn lists(rows: Vec<Option<Vec<Option<i32>>>>) -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows))
    }

    fn texts(column: &ArrayRef) -> Vec<String> {
        let wide = arrow::compute::cast(column, &DataType::Utf8).unwrap();
        wide.as_string::<i32>().iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
    }

    #[test]
    fn a_discrete_percentile_is_one_of_the_values() {
        let values = || lists(vec![Some(vec![Some(4), None, Some(1), Some(3), Some(2)]), Some(vec![None]), None]);
        let at = |fraction: f64, is_descending| {
            let fractions: ArrayRef = Arc::new(Float64Array::from(vec![fraction; 3]));
            texts(&chosen(&[values(), fractions], &DataType::Int32, is_descending).unwrap())
        };
        assert_eq!(at(0.0, false), ["1", "NULL", "NULL"]);
        assert_eq!(at(0.5, false), ["2", "NULL", "NULL"]);
        assert_eq!(at(0.51, false), ["3", "NULL", "NULL"]);
        assert_eq!(at(1.0, true), ["1", "NULL", "NULL"]);
    }

    #[test]
    fn the_first_of_the_most_frequent_values_is_the_mode() {
        let values = lists(vec![Some(vec![Some(3), Some(1), Some(3), Some(2), Some(2), None]), Some(vec![Some(7)])]);
        assert_eq!(texts(&commonest(&values, &DataType::Int32, false).unwrap()), ["2", "7"]);
        assert_eq!(texts(&commonest(&values, &DataType::Int32, true).unwrap()), ["3", "7"]);
    }
}
