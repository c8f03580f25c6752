//! Ordered-set aggregates: `percentile_cont`, `percentile_disc` and `mode`. Their values come as an array in order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Float64Type;
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as Syntax, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
};

use super::array_order::alike;
use super::cast;
use super::kernel::{Form, Kernel};
use super::syntax::{binary, construct};
use super::trees::call;
use super::types::{Operand, Type, refused};

/// Whether an aggregate is one of these.
pub(super) fn is_one(name: &str) -> bool {
    matches!(name, "percentile_cont" | "percentile_disc" | "mode")
}

/// The array of the values that a call orders, and the call's own argument, if it has one.
pub(super) fn settle(name: &str, function: &Function) -> Option<(Syntax, Option<Syntax>)> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let [order] = function.within_group.as_slice() else { return None };
    if function.over.is_some() || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let argument = match (name, list.args.as_slice()) {
        ("mode", []) => None,
        ("percentile_cont" | "percentile_disc", [FunctionArg::Unnamed(FunctionArgExpr::Expr(fraction))]) => {
            Some(fraction.clone())
        }
        _ => return None,
    };
    let value = order.expr.clone();
    let is_known = Syntax::IsNotNull(Box::new(value.clone()));
    let condition = match function.filter.clone() {
        Some(filter) => binary(Syntax::Nested(filter), BinaryOperator::And, is_known),
        None => is_known,
    };
    let value = if name == "percentile_cont" { construct("double", vec![value]) } else { value };
    let mut listed = call("array_agg", Some(value), vec![order.clone()]);
    if let Syntax::Function(function) = &mut listed {
        function.filter = Some(Box::new(condition));
    }
    Some((listed, argument))
}

/// The construct of a call whose array is settled.
pub(super) fn constructed(name: &str, array: Syntax, argument: Option<Syntax>) -> Syntax {
    construct(format!("picked {name}"), std::iter::once(array).chain(argument).collect())
}

/// The value that is picked.
pub(super) fn plan(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let mut operands = operands.into_iter();
    let list = operands.next().ok_or_else(|| refused(format!("{name} needs values")))?;
    let Type::Array(element) = &list.kind else { return Err(refused(format!("{name} needs values"))) };
    let element = element.as_ref().clone();
    if matches!(element, Type::Interval | Type::Array(_) | Type::Native(_) | Type::Other(_)) {
        return Err(refused(format!("{name} of {element} is not supported")));
    }
    match operands.next() {
        None => Ok(Kernel::call("mode", Form::Call, element, |c, _| mode(&c[0]), vec![list.expr])),
        Some(fraction) => {
            let fraction = cast::implicit(fraction, &Type::Float8)?;
            let operands = vec![list.expr, fraction.expr];
            if name == "percentile_cont" {
                return Ok(Kernel::call("percentile_cont", Form::Call, element, |c, _| interpolated(c), operands));
            }
            Ok(Kernel::call("percentile_disc", Form::Call, element, |c, _| percentile(c), operands))
        }
    }
}

/// A fraction of one row, if it is not NULL.
fn fraction(fractions: &Float64Array, row: usize) -> std::result::Result<Option<f64>, ArrowError> {
    if fractions.is_null(row) {
        return Ok(None);
    }
    let fraction = fractions.value(row);
    if !(0.0..=1.0).contains(&fraction) {
        return Err(ArrowError::ComputeError(format!("percentile value {fraction} is not between 0 and 1")));
    }
    Ok(Some(fraction))
}

/// The value at a place, or one between the two beside it.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among values is exact as a float, and never negative"
)]
fn interpolated(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (lists, fractions) = (columns[0].as_list::<i32>(), columns[1].as_primitive::<Float64Type>());
    let one = |row: usize| -> std::result::Result<Option<f64>, ArrowError> {
        let Some(fraction) = fraction(fractions, row)? else { return Ok(None) };
        if lists.is_null(row) || lists.value_length(row) == 0 {
            return Ok(None);
        }
        let values = lists.value(row);
        let values = values.as_primitive::<Float64Type>();
        let place = fraction * (values.len() - 1) as f64;
        let (low, high) = (values.value(place.floor() as usize), values.value(place.ceil() as usize));
        let is_there = place.floor() >= place.ceil();
        Ok(Some(if is_there { low } else { low + (place - place.floor()) * (high - low) }))
    };
    let found = (0..lists.len()).map(one).collect::<std::result::Result<Float64Array, ArrowError>>()?;
    Ok(Arc::new(found))
}

/// The first value that as large a part of them comes before or is.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of values is exact as a float, and a part of it is a count"
)]
fn percentile(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let fractions = columns[1].as_primitive::<Float64Type>();
    chosen(&columns[0], |values, row| {
        let Some(fraction) = fraction(fractions, row)? else { return Ok(None) };
        let count = values.map_or(0, |values| values.len());
        let place = (fraction * count as f64).ceil() as usize;
        Ok((count > 0).then(|| place.max(1) - 1))
    })
}

/// The value that is there most often, the first of those that are.
fn mode(lists: &ArrayRef) -> Result<ArrayRef> {
    chosen(lists, |values, _| {
        let Some(values) = values.filter(|values| !values.is_empty()) else { return Ok(None) };
        let ranges = arrow::compute::partition(&[alike(values)])?.ranges();
        let longest = ranges.into_iter().reduce(|most, next| if next.len() > most.len() { next } else { most });
        Ok(longest.map(|range| range.start))
    })
}

/// One element of each list.
fn chosen(
    lists: &ArrayRef,
    place: impl Fn(Option<&ArrayRef>, usize) -> std::result::Result<Option<usize>, ArrowError>,
) -> Result<ArrayRef> {
    let list = lists.as_list::<i32>();
    let one = |row: usize| -> std::result::Result<Option<u32>, ArrowError> {
        let values = list.is_valid(row).then(|| list.value(row));
        let Some(place) = place(values.as_ref(), row)? else { return Ok(None) };
        let start = usize::try_from(list.value_offsets()[row]).unwrap_or_default();
        Ok(u32::try_from(start + place).ok())
    };
    let places = (0..list.len()).map(one).collect::<std::result::Result<UInt32Array, ArrowError>>()?;
    Ok(take(list.values(), &places, None)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{ListBuilder, PrimitiveBuilder};

    use super::*;

    fn lists(rows: &[Option<&[f64]>]) -> ArrayRef {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<Float64Type>::new());
        for row in rows {
            row.iter().copied().flatten().for_each(|value| builder.values().append_value(*value));
            builder.append(row.is_some());
        }
        Arc::new(builder.finish())
    }

    fn floats(column: &ArrayRef) -> Vec<Option<f64>> {
        column.as_primitive::<Float64Type>().iter().collect()
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Option<&[f64]> = Some(&[1.0, 2.0, 3.0, 4.0]);
        let of = |fraction: f64| {
            let columns = [lists(&[values, None]), Arc::new(Float64Array::from(vec![fraction; 2])) as ArrayRef];
            floats(&percentile(&columns).unwrap())
        };
        assert_eq!(of(0.0), [Some(1.0), None]);
        assert_eq!(of(0.5), [Some(2.0), None]);
        assert_eq!(of(0.51), [Some(3.0), None]);
        assert_eq!(of(1.0), [Some(4.0), None]);
        let columns = [lists(&[values, None]), Arc::new(Float64Array::from(vec![0.9; 2])) as ArrayRef];
        assert_eq!(floats(&interpolated(&columns).unwrap()), [Some(1.0 + 0.9 * 3.0), None]);
        let columns = [lists(&[values]), Arc::new(Float64Array::from(vec![1.5])) as ArrayRef];
        assert!(percentile(&columns).unwrap_err().to_string().contains("is not between 0 and 1"));
    }

    #[test]
    fn the_mode_is_the_first_of_the_most_frequent_values() {
        let rows = lists(&[Some(&[1.0, 2.0, 2.0, 3.0, 3.0]), Some(&[]), None, Some(&[-0.0, 0.0, 1.0])]);
        let found = floats(&mode(&rows).unwrap());
        assert_eq!(found, [Some(2.0), None, None, Some(0.0)]);
    }
}
