//! Moments and intervals made of parts, and periods that overlap.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::compute::try_unary;
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use chrono::NaiveDate;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::arithmetic::{self, Op};
use super::cast;
use super::dates::{DAY, days};
use super::functions::Takes::{Float8, Int4, Interval};
use super::functions::gives::{interval, timestamp, timestamptz};
use super::functions::{Function, ours};
use super::intervals::{make, parts};
use super::kernel::{Form, Kernel};
use super::rows::made;
use super::types::{Operand, Type, refused};

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    ours(
        "make_time",
        &[Int4, Int4, Float8],
        |_| Type::Time,
        |c, _| {
            let times = made(c, |row| match clock(c, 0, row)? {
                DAY => Err("24:00 is the next day's 00:00 here".to_owned()),
                clock => Ok(clock),
            })?;
            Ok(Arc::new(Time64MicrosecondArray::from(times)))
        },
    ),
    ours("make_timestamp", &[Int4, Int4, Int4, Int4, Int4, Float8], timestamp, moments),
    ours("make_timestamptz", &[Int4, Int4, Int4, Int4, Int4, Float8], timestamptz, moments),
    ours("make_interval", &[Int4, Int4, Int4, Int4, Int4, Int4, Float8], interval, |c, _| spans(c)),
    ours("justify_interval", &[Interval], interval, |c, _| {
        let intervals = c[0].as_primitive::<IntervalMonthDayNanoType>();
        let justified = made(c, |row| {
            let (months, days, micros) = justified(parts(intervals.value(row)));
            make(months, days, micros).map_err(|error| error.to_string())
        })?;
        Ok(Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from(justified)))
    }),
];

/// Times of day as intervals.
pub(super) fn of_times(column: &ArrayRef) -> Result<ArrayRef> {
    let times = column.as_primitive::<Time64MicrosecondType>();
    let result: PrimitiveArray<IntervalMonthDayNanoType> = try_unary(times, |time| make(0, 0, time))?;
    Ok(Arc::new(result))
}

/// The times of day that clocks show after intervals from midnight, whose months and days say nothing.
pub(super) fn times_of(column: &ArrayRef) -> Result<ArrayRef> {
    let intervals = column.as_primitive::<IntervalMonthDayNanoType>();
    let result: Time64MicrosecondArray = try_unary(intervals, |interval| Ok(parts(interval).2.rem_euclid(DAY)))?;
    Ok(Arc::new(result))
}

fn int(columns: &[ArrayRef], index: usize, row: usize) -> i32 {
    columns[index].as_primitive::<Int32Type>().value(row)
}

const OUT: &str = "a field of the time is out of range";

/// Microseconds since midnight of hours, minutes and seconds; 24:00 is the next midnight.
fn clock(columns: &[ArrayRef], first: usize, row: usize) -> std::result::Result<i64, String> {
    let (hours, minutes) = (int(columns, first, row), int(columns, first + 1, row));
    let micros = (columns[first + 2].as_primitive::<Float64Type>().value(row) * 1e6).round_ties_even();
    if !(0..=24).contains(&hours) || !(0..60).contains(&minutes) || !(0.0..=60e6).contains(&micros) {
        return Err(OUT.to_owned());
    }
    #[allow(clippy::cast_possible_truncation, reason = "the range has been looked at")]
    let clock = (i64::from(hours) * 60 + i64::from(minutes)) * 60_000_000 + micros as i64;
    if clock > DAY { Err(OUT.to_owned()) } else { Ok(clock) }
}

fn moments(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let found = made(columns, |row| {
        let year = int(columns, 0, row);
        // A negative year is one before Christ, and there is no year 0.
        let shown = if year < 0 { year + 1 } else { year };
        let month = u32::try_from(int(columns, 1, row)).ok();
        let parts = month.zip(u32::try_from(int(columns, 2, row)).ok()).filter(|_| year != 0);
        let date = parts.and_then(|(month, day)| NaiveDate::from_ymd_opt(shown, month, day)).ok_or(OUT)?;
        Ok(i64::from(days(date)) * DAY + clock(columns, 3, row)?)
    })?;
    Ok(Arc::new(TimestampMicrosecondArray::from(found).with_data_type(kind.clone())))
}

fn spans(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let part = |index: usize, row: usize| i64::from(int(columns, index, row));
    let found = made(columns, |row| {
        let seconds = (columns[6].as_primitive::<Float64Type>().value(row) * 1e6).round_ties_even();
        if !seconds.is_finite() || seconds.abs() >= 9.2e18 {
            return Err("the interval is out of range".to_owned());
        }
        #[allow(clippy::cast_possible_truncation, reason = "the range has been looked at")]
        let seconds = seconds as i64;
        let micros = (part(4, row) * 60 + part(5, row)).checked_mul(60_000_000);
        let micros = micros.and_then(|micros| micros.checked_add(seconds)).ok_or("the interval is out of range")?;
        let interval = make(part(0, row) * 12 + part(1, row), part(2, row) * 7 + part(3, row), micros);
        interval.map_err(|error| error.to_string())
    })?;
    Ok(Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from(found)))
}

/// Whole days of the time and whole months of the days, and all parts with one sign.
fn justified((mut months, mut days, mut micros): (i64, i64, i64)) -> (i64, i64, i64) {
    days += micros / DAY;
    micros %= DAY;
    months += days / 30;
    days %= 30;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        days -= 30;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= DAY;
        days += 1;
    }
    (months, days, micros)
}

/// `(start, end) OVERLAPS (start, end)`; an end may be a length.
pub(super) fn overlap(operands: Vec<Operand>) -> Result<Expr> {
    let [start, end, other_start, other_end] =
        <[Operand; 4]>::try_from(operands).map_err(|_| refused("OVERLAPS has two periods"))?;
    let ended = |start: &Operand, end: Operand| match end.kind {
        Type::Interval => arithmetic::plan(Op::Add, start.clone(), end),
        _ => Ok(end),
    };
    let end = ended(&start, end)?;
    let other_end = ended(&other_start, other_end)?;
    let all = [start, end, other_start, other_end];
    let has_zone = all.iter().any(|operand| operand.kind == Type::Timestamptz);
    if !all.iter().all(|operand| operand.kind.is_moment()) {
        return Err(refused("OVERLAPS takes dates and timestamps: cast them"));
    }
    let kind = if has_zone { Type::Timestamptz } else { Type::Timestamp };
    let exprs = all.into_iter().map(|operand| cast::implicit(operand, &kind).map(|operand| operand.expr));
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    Ok(Kernel::call("overlaps", Form::Call, Type::Bool, |c, _| overlapped(c), exprs))
}

fn overlapped(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let moment = |index: usize, row: usize| {
        let moments = columns[index].as_primitive::<TimestampMicrosecondType>();
        moments.is_valid(row).then(|| moments.value(row))
    };
    let rows = columns.first().map_or(0, |column| column.len());
    let found = (0..rows).map(|row| {
        let (start, end) = ordered(moment(0, row), moment(1, row))?;
        let (other_start, other_end) = ordered(moment(2, row), moment(3, row))?;
        // The period that begins later is looked at: whether it begins before the other one ends.
        let (late, late_end, early_end) = match start.cmp(&other_start) {
            std::cmp::Ordering::Greater => (start, end, other_end),
            std::cmp::Ordering::Less => (other_start, other_end, end),
            std::cmp::Ordering::Equal => return end.and(other_end).map(|_| true),
        };
        if late < early_end? { Some(true) } else { late_end.map(|_| false) }
    });
    Ok(Arc::new(found.collect::<BooleanArray>()))
}

/// A period from its start to its end, whichever way it is written; the one end that is known is its start.
fn ordered(start: Option<i64>, end: Option<i64>) -> Option<(i64, Option<i64>)> {
    match (start, end) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
    }
}
