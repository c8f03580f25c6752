//! The values that a subquery has for a row. They come as an array, which is NULL where there are none.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::cast;
use super::kernel::{Form, Kernel};
use super::list_functions::built;
use super::types::{Operand, Type, refused};

/// A value that goes into the array: its type must be that of an array's elements.
pub(super) fn one(operand: Operand) -> Result<Expr> {
    match &operand.kind {
        Type::Unknown => Ok(cast::implicit(operand, &Type::Text)?.expr),
        Type::Char | Type::Native(_) => {
            let kind = &operand.kind;
            Err(refused(format!("a subquery that depends on its row can't give {kind} here: cast it to text")))
        }
        _ => Ok(operand.expr),
    }
}

/// What a construct makes of the array: its only value, its first one, or an array in any case.
pub(super) fn plan(verb: &str, operand: Operand) -> Result<Expr> {
    let Type::Array(element) = &operand.kind else {
        return Err(refused(format!("a subquery gives an array here, not {}", operand.kind)));
    };
    let element = element.as_ref().clone();
    match verb {
        "only" => Ok(Kernel::call("only value", Form::Cast, element, |c, _| only(c), vec![operand.expr])),
        "first" => Ok(Kernel::call("first value", Form::Cast, element, |c, _| Ok(first(c)?), vec![operand.expr])),
        _ if matches!(element, Type::Array(_)) => {
            Err(refused("arrays of several dimensions are not supported: ARRAY of a subquery takes single values"))
        }
        _ => {
            let kind = operand.kind.clone();
            Ok(Kernel::call("filled", Form::Cast, kind, |c, _| filled(c), vec![operand.expr]))
        }
    }
}

fn only(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    if (0..list.len()).any(|row| length(list, row) > 1) {
        let message = "more than one row returned by a subquery used as an expression";
        return Err(ArrowError::ComputeError(message.to_owned()).into());
    }
    Ok(first(columns)?)
}

fn length(list: &ListArray, row: usize) -> i32 {
    if list.is_valid(row) { list.value_length(row) } else { 0 }
}

fn first(columns: &[ArrayRef]) -> std::result::Result<ArrayRef, ArrowError> {
    let list = columns[0].as_list::<i32>();
    let places = (0..list.len()).map(|row| match length(list, row) {
        0 => None,
        _ => u32::try_from(list.value_offsets()[row]).ok(),
    });
    take(list.values(), &places.collect::<UInt32Array>(), None)
}

fn filled(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let rows: Vec<ArrayRef> = (0..list.len())
        .map(|row| if list.is_valid(row) { list.value(row) } else { list.values().slice(0, 0) })
        .collect();
    let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
    let valid = vec![true; rows.len()];
    built(&list.value_type(), &rows, lengths, valid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{Int32Array, ListBuilder, PrimitiveBuilder};
    use arrow::datatypes::Int32Type;

    use std::sync::Arc;

    use super::*;

    fn lists(rows: &[Option<&[Option<i32>]>]) -> ArrayRef {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<Int32Type>::new());
        for row in rows {
            row.iter().copied().flatten().for_each(|value| builder.values().append_option(*value));
            builder.append(row.is_some());
        }
        Arc::new(builder.finish())
    }

    #[test]
    fn no_row_is_null_one_is_its_value_and_two_are_a_mistake() {
        let columns = [lists(&[None, Some(&[]), Some(&[Some(7)]), Some(&[None])])];
        let wanted = Int32Array::from(vec![None, None, Some(7), None]);
        assert_eq!(only(&columns).unwrap().as_primitive::<Int32Type>(), &wanted);
        let several = only(&[lists(&[Some(&[Some(1), Some(1)])])]).unwrap_err();
        assert!(several.to_string().contains("more than one row returned by a subquery used as an expression"));
        let first = first(&[lists(&[Some(&[None, Some(1)]), Some(&[Some(2), None])])]).unwrap();
        assert_eq!(first.as_primitive::<Int32Type>(), &Int32Array::from(vec![None, Some(2)]));
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        let found = filled(&[lists(&[None, Some(&[Some(1), None]), Some(&[])])]).unwrap();
        assert_eq!(found.as_ref(), lists(&[Some(&[]), Some(&[Some(1), None]), Some(&[])]).as_ref());
    }
}
