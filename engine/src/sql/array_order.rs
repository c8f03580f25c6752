//! The order of arrays: by their first elements that differ, NULL above all, then by their lengths.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};

/// Two arrays as a number that compares with 0 as they do with one another. Texts may be of a type with another order.
pub(super) fn compared(left: Operand, right: Operand) -> Result<(Expr, Expr)> {
    let is_known = match &left.kind {
        Type::Array(element) => element.is_number() || element.is_moment() || **element == Type::Bool,
        _ => false,
    };
    if !is_known || left.kind != right.kind {
        return Err(refused(format!("arrays of this type are compared by = and <> alone: {}", left.kind)));
    }
    let operands = vec![left.expr, right.expr];
    let order = Kernel::call("array_order", Form::Call, Type::Int4, |columns, _| ordered(columns), operands);
    Ok((order, Expr::Literal(ScalarValue::Int32(Some(0)), None)))
}

/// An array of floats in which there is one zero and one NaN.
pub(super) fn one_zero(operand: Operand) -> Expr {
    let body: Body = |columns, _| Ok(Arc::new(plain(&columns[0])?));
    Kernel::call("one_zero_array", Form::Cast, operand.kind, body, vec![operand.expr])
}

fn ordered(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (left, right) = (plain(&columns[0])?, plain(&columns[1])?);
    let compare = make_comparator(&left, &right, SortOptions { descending: false, nulls_first: false })?;
    let order = |row: usize| (left.is_valid(row) && right.is_valid(row)).then(|| compare(row, row) as i32);
    Ok(Arc::new((0..left.len()).map(order).collect::<Int32Array>()))
}

/// A column of arrays in which there is one zero and one NaN.
fn plain(column: &ArrayRef) -> Result<ListArray> {
    let list = column.as_list::<i32>();
    let DataType::List(field) = list.data_type() else { return Err(refused("an array has elements")) };
    let values = alike(list.values());
    Ok(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())?)
}

/// Values of which those that are equal to Postgres have the same bits.
pub(super) fn alike(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float32 => Arc::new(
            values
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
        ),
        DataType::Float64 => Arc::new(
            values
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
        ),
        _ => Arc::clone(values),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{ListBuilder, PrimitiveBuilder};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn list(row: Option<&[Option<i32>]>) -> ArrayRef {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<Int32Type>::new());
        row.iter().copied().flatten().for_each(|value| builder.values().append_option(*value));
        builder.append(row.is_some());
        Arc::new(builder.finish())
    }

    fn order(left: Option<&[Option<i32>]>, right: Option<&[Option<i32>]>) -> Option<i32> {
        let found = ordered(&[list(left), list(right)]).unwrap();
        let found = found.as_primitive::<Int32Type>();
        found.is_valid(0).then(|| found.value(0))
    }

    #[test]
    fn the_first_elements_that_differ_decide_then_the_lengths() {
        assert_eq!(order(Some(&[Some(1), Some(9)]), Some(&[Some(2)])), Some(-1));
        assert_eq!(order(Some(&[Some(1), Some(2)]), Some(&[Some(1), Some(2), Some(0)])), Some(-1));
        assert_eq!(order(Some(&[None]), Some(&[Some(1)])), Some(1));
        assert_eq!(order(Some(&[None]), Some(&[None])), Some(0));
        assert_eq!(order(Some(&[]), Some(&[None])), Some(-1));
        assert_eq!(order(None, Some(&[])), None);
    }

    #[test]
    fn there_is_one_zero_and_one_nan() {
        let floats = |values: &[f64]| {
            let mut builder = ListBuilder::new(PrimitiveBuilder::<Float64Type>::new());
            values.iter().for_each(|value| builder.values().append_value(*value));
            builder.append(true);
            Arc::new(builder.finish()) as ArrayRef
        };
        let found = ordered(&[floats(&[-0.0, f64::NAN]), floats(&[0.0, -f64::NAN])]).unwrap();
        assert_eq!(found.as_primitive::<Int32Type>().value(0), 0);
        let found = ordered(&[floats(&[f64::NAN]), floats(&[f64::INFINITY])]).unwrap();
        assert_eq!(found.as_primitive::<Int32Type>().value(0), 1);
    }
}
