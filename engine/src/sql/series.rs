//! Series of numbers and moments: the types that Postgres chooses, and their values as an array.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int32Array, Int64Array, ListArray, PrimitiveArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::arithmetic::out_of_range;
use super::cast;
use super::intervals;
use super::kernel::{Form, Kernel};
use super::types::{Operand, Type, refused};

/// Values that one series has at most: they are in memory at once.
const MAX_VALUES: usize = 5_000_000;

/// `generate_series` as an array.
pub(super) fn plan(operands: Vec<Operand>) -> Result<Expr> {
    let kinds = operands.iter().map(|operand| operand.kind.to_string()).collect::<Vec<_>>().join(", ");
    let none = || refused(format!("there is no function generate_series({kinds})"));
    let kind = kind_of(&operands).ok_or_else(none)?;
    let mut operands = operands.into_iter();
    let (Some(start), Some(stop)) = (operands.next(), operands.next()) else { return Err(none()) };
    let step = match operands.next() {
        Some(step) => step,
        None => Operand { expr: Expr::Literal(ScalarValue::Int32(Some(1)), None), kind: Type::Int4 },
    };
    let step_kind = if kind.is_moment() { Type::Interval } else { kind.clone() };
    let (start, stop) = (cast::implicit(start, &kind)?, cast::implicit(stop, &kind)?);
    let step = cast::implicit(step, &step_kind)?;
    let list = Type::Array(Box::new(kind));
    let operands = vec![start.expr, stop.expr, step.expr];
    // Made when it is read: a plan would show every value.
    Ok(Kernel::call_at_run("series", Form::Call, list, listed, operands))
}

/// The type of the values: what the bounds and the step have in common.
fn kind_of(operands: &[Operand]) -> Option<Type> {
    let kinds: Vec<&Type> = operands.iter().map(|operand| &operand.kind).collect();
    let (bounds, step) = match kinds.as_slice() {
        [start, stop] => ([*start, *stop], None),
        [start, stop, step] => ([*start, *stop], Some(*step)),
        _ => return None,
    };
    let has = |kind: &Type| bounds.contains(&kind);
    if bounds.iter().any(|kind| kind.is_moment()) || step == Some(&Type::Interval) {
        let fits = bounds.iter().all(|kind| kind.is_moment() || **kind == Type::Unknown)
            && matches!(step, Some(Type::Interval | Type::Unknown));
        let kind = if has(&Type::Timestamp) && !has(&Type::Timestamptz) { Type::Timestamp } else { Type::Timestamptz };
        return fits.then_some(kind);
    }
    let is_exact = |kind: &Type| kind.is_integer() || matches!(kind, Type::Numeric(..) | Type::Unknown);
    if !kinds.iter().all(|kind| is_exact(kind)) {
        return None;
    }
    let kind = kinds.iter().try_fold(Type::Unknown, |kind, next| kind.unify(next))?;
    // To Postgres a series of smallints could be one of three others.
    (!matches!(kind, Type::Unknown | Type::Int2)).then_some(kind)
}

fn listed(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let DataType::List(field) = kind else { return Err(refused(format!("a series is an array, not {kind}"))) };
    let (values, lengths, valid): (ArrayRef, Vec<usize>, Vec<bool>) = match field.data_type() {
        DataType::Int32 => {
            let wide = |index: usize| columns[index].as_primitive::<Int32Type>();
            let (values, lengths, valid) = numbers(columns, |index, row| i128::from(wide(index).value(row)))?;
            let narrow = values.into_iter().map(i32::try_from).collect::<std::result::Result<Vec<_>, _>>();
            (Arc::new(Int32Array::from(narrow.map_err(|_| out_of_range("integer"))?)), lengths, valid)
        }
        DataType::Int64 => {
            let wide = |index: usize| columns[index].as_primitive::<Int64Type>();
            let (values, lengths, valid) = numbers(columns, |index, row| i128::from(wide(index).value(row)))?;
            let narrow = values.into_iter().map(i64::try_from).collect::<std::result::Result<Vec<_>, _>>();
            (Arc::new(Int64Array::from(narrow.map_err(|_| out_of_range("bigint"))?)), lengths, valid)
        }
        DataType::Decimal128(_, _) => {
            let wide = |index: usize| columns[index].as_primitive::<Decimal128Type>();
            let (values, lengths, valid) = numbers(columns, |index, row| wide(index).value(row))?;
            (Arc::new(Decimal128Array::from(values).with_data_type(field.data_type().clone())), lengths, valid)
        }
        DataType::Timestamp(_, _) => {
            let (values, lengths, valid) = moments(columns)?;
            let values: PrimitiveArray<TimestampMicrosecondType> = TimestampMicrosecondArray::from(values);
            (Arc::new(values.with_data_type(field.data_type().clone())), lengths, valid)
        }
        other => return Err(refused(format!("there are no series of {other}"))),
    };
    let field = Arc::new(Field::new_list_field(field.data_type().clone(), true));
    let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), NullBuffer::from(valid));
    Ok(Arc::new(ListArray::try_new(field, offsets, values, Some(nulls))?))
}

type Listed<T> = std::result::Result<(Vec<T>, Vec<usize>, Vec<bool>), ArrowError>;

/// The values of each row, of which none has one where an operand is NULL.
fn by_row<T>(
    columns: &[ArrayRef],
    mut add: impl FnMut(usize, &mut Vec<T>) -> std::result::Result<(), ArrowError>,
) -> Listed<T> {
    let rows = columns.first().map_or(0, |column| column.len());
    let mut values = Vec::new();
    let (mut lengths, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for row in 0..rows {
        let before = values.len();
        let is_valid = columns.iter().all(|column| column.is_valid(row));
        if is_valid {
            add(row, &mut values)?;
        }
        lengths.push(values.len() - before);
        valid.push(is_valid);
    }
    Ok((values, lengths, valid))
}

fn no_step() -> ArrowError {
    ArrowError::ComputeError("step size cannot equal zero".to_owned())
}

fn full<T>(values: &[T]) -> std::result::Result<(), ArrowError> {
    if values.len() < MAX_VALUES {
        return Ok(());
    }
    Err(ArrowError::ComputeError(format!("a series has at most {MAX_VALUES} values here")))
}

fn numbers(columns: &[ArrayRef], value: impl Fn(usize, usize) -> i128) -> Listed<i128> {
    by_row(columns, |row, values| {
        let (mut current, stop, step) = (value(0, row), value(1, row), value(2, row));
        if step == 0 {
            return Err(no_step());
        }
        while if step > 0 { current <= stop } else { current >= stop } {
            full(values)?;
            values.push(current);
            match current.checked_add(step) {
                Some(next) => current = next,
                None => break,
            }
        }
        Ok(())
    })
}

fn moments(columns: &[ArrayRef]) -> Listed<i64> {
    let zone: Tz = "+00:00".parse()?;
    let (starts, stops) =
        (columns[0].as_primitive::<TimestampMicrosecondType>(), columns[1].as_primitive::<TimestampMicrosecondType>());
    let steps = columns[2].as_primitive::<IntervalMonthDayNanoType>();
    by_row(columns, |row, values| {
        let (mut current, stop) = (starts.value(row), stops.value(row));
        let step: IntervalMonthDayNano = steps.value(row);
        let direction = intervals::length(step).signum();
        if direction == 0 {
            return Err(no_step());
        }
        while if direction > 0 { current <= stop } else { current >= stop } {
            full(values)?;
            values.push(current);
            // A step from the moment before: a month after the end of a month, then a month after that.
            let next = TimestampMicrosecondType::add_month_day_nano(current, step, zone);
            current = next.ok_or_else(|| out_of_range("timestamp"))?;
        }
        Ok(())
    })
}

/// The places of the elements of arrays: as many as the longest has.
pub(super) fn ordinals(operands: Vec<Operand>) -> Result<Expr> {
    if let Some(other) = operands.iter().find(|operand| !matches!(operand.kind, Type::Array(_))) {
        return Err(refused(format!("WITH ORDINALITY counts the elements of an array, not {}", other.kind)));
    }
    let list = Type::Array(Box::new(Type::Int8));
    let operands = operands.into_iter().map(|operand| operand.expr).collect();
    Ok(Kernel::call("ordinals", Form::Call, list, |c, _| counted(c), operands))
}

fn counted(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let lists: Vec<&ListArray> = columns.iter().map(|column| column.as_list::<i32>()).collect();
    let rows = columns.first().map_or(0, |column| column.len());
    let length = |row: usize| {
        let lengths = lists.iter().filter(|list| list.is_valid(row)).map(|list| list.value_length(row));
        lengths.max().and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    };
    let lengths: Vec<usize> = (0..rows).map(length).collect();
    let places = lengths.iter().flat_map(|length| 1..=i64::try_from(*length).unwrap_or(i64::MAX));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(places));
    let field = Arc::new(Field::new_list_field(DataType::Int64, true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn ints(start: Option<i32>, stop: i32, step: i32) -> Result<Vec<Option<i32>>> {
        let column = |value: Option<i32>| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
        let columns = [column(start), column(Some(stop)), column(Some(step))];
        let list = listed(&columns, &Type::Array(Box::new(Type::Int4)).arrow())?;
        let list = list.as_list::<i32>();
        Ok(list.value(0).as_primitive::<Int32Type>().iter().collect())
    }

    #[test]
    fn a_series_goes_up_or_down_and_never_beyond_its_end() {
        let some = |values: &[i32]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(ints(Some(1), 10, 3).unwrap(), some(&[1, 4, 7, 10]));
        assert_eq!(ints(Some(5), 1, -2).unwrap(), some(&[5, 3, 1]));
        assert_eq!(ints(Some(5), 1, 1).unwrap(), some(&[]));
        assert_eq!(ints(None, 1, 0).unwrap(), some(&[]));
        assert_eq!(ints(Some(i32::MAX - 1), i32::MAX, 1).unwrap(), some(&[i32::MAX - 1, i32::MAX]));
        assert!(ints(Some(1), 0, 0).unwrap_err().to_string().contains("step size cannot equal zero"));
        assert!(ints(Some(1), i32::MAX, 1).unwrap_err().to_string().contains("at most 5000000 values"));
    }

    #[test]
    fn a_month_is_added_to_the_moment_before() {
        let day = |days: i64| Arc::new(TimestampMicrosecondArray::from(vec![days * 86_400_000_000])) as ArrayRef;
        let month = IntervalMonthDayNanoType::make_value(1, 0, 0);
        let step = Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from(vec![month])) as ArrayRef;
        // From 2024-01-31: 02-29, 03-29.
        let (values, _, _) = moments(&[day(19_753), day(19_812), step]).unwrap();
        assert_eq!(values.iter().map(|micros| micros / 86_400_000_000).collect::<Vec<_>>(), [19_753, 19_782, 19_811]);
    }
}
