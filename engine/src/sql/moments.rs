//! Arithmetic of dates, timestamps and intervals.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::kernels::numeric;
use arrow::compute::{try_binary, try_unary};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::arithmetic::{Op, out_of_range};
use super::cast;
use super::dates::DAY;
use super::intervals::{self, make, parts};
use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};

/// The operator over operands of which one at least is no number.
pub(super) fn plan(op: Op, left: Operand, right: Operand) -> Result<Operand> {
    use Type::{Date, Float8, Int4, Interval, Time, Timestamp, Timestamptz};
    let (from, result, body): ((Type, Type), Type, Body) = match (op, &left.kind, &right.kind) {
        (Op::Add, Date, kind) if fits_int4(kind) => ((Date, Int4), Date, |c, _| day(c, i32::checked_add)),
        (Op::Add, kind, Date) if fits_int4(kind) => return plan(op, right, left),
        (Op::Subtract, Date, kind) if fits_int4(kind) => ((Date, Int4), Date, |c, _| day(c, i32::checked_sub)),
        (Op::Subtract, Date, Date) => ((Date, Date), Int4, apart),
        (Op::Add, Interval, kind) if kind.is_moment() => return plan(op, right, left),
        (Op::Add | Op::Subtract, kind, Interval) if kind.is_moment() => {
            let kind = if *kind == Date { Timestamp } else { kind.clone() };
            ((kind.clone(), Interval), kind, if op == Op::Add { later } else { earlier })
        }
        (Op::Add, Time, Date | Timestamp | Timestamptz | Interval) => return plan(op, right, left),
        (Op::Add, Date, Time) => ((Date, Time), Timestamp, |c, _| at_clock(c)),
        (Op::Add | Op::Subtract, Timestamp | Timestamptz, Time) => {
            let kind = left.kind.clone();
            ((kind.clone(), Time), kind, if op == Op::Add { clock_later } else { clock_earlier })
        }
        (Op::Add, Interval, Time) => ((Interval, Time), Time, |c, _| turned(&c[1], &c[0], 1)),
        (Op::Subtract, Time, Interval) => ((Time, Interval), Time, |c, _| turned(&c[0], &c[1], -1)),
        (Op::Subtract, Time, Time) => ((Time, Time), Interval, |c, _| between_clocks(c)),
        (Op::Subtract, l, r) if l.is_moment() && r.is_moment() => {
            let kind = if *l == Timestamptz || *r == Timestamptz { Timestamptz } else { Timestamp };
            ((kind.clone(), kind), Interval, between)
        }
        (Op::Add, Interval, Interval) => ((Interval, Interval), Interval, |c, _| both(c, 1)),
        (Op::Subtract, Interval, Interval) => ((Interval, Interval), Interval, |c, _| both(c, -1)),
        (Op::Multiply, Interval, kind) if kind.is_number() => ((Interval, Float8), Interval, |c, _| scaled(c, |f| f)),
        (Op::Multiply, kind, Interval) if kind.is_number() => return plan(op, right, left),
        (Op::Divide, Interval, kind) if kind.is_number() => {
            ((Interval, Float8), Interval, |c, _| scaled(c, |f| 1.0 / f))
        }
        (_, l, r) => return Err(refused(format!("there is no operator {l} {} {r}", op.sign()))),
    };
    let (left, right) = (cast::implicit(left, &from.0)?, cast::implicit(right, &from.1)?);
    let expr = Kernel::call(op.sign(), Form::Infix, result.clone(), body, vec![left.expr, right.expr]);
    Ok(Operand { expr, kind: result })
}

fn fits_int4(kind: &Type) -> bool {
    matches!(kind, Type::Int2 | Type::Int4)
}

fn day(columns: &[ArrayRef], op: fn(i32, i32) -> Option<i32>) -> Result<ArrayRef> {
    let (dates, days) = (columns[0].as_primitive::<Date32Type>(), columns[1].as_primitive::<Int32Type>());
    let result: PrimitiveArray<Date32Type> =
        try_binary(dates, days, |date, days| op(date, days).ok_or_else(|| out_of_range("date")))?;
    Ok(Arc::new(result))
}

fn apart(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_primitive::<Date32Type>(), columns[1].as_primitive::<Date32Type>());
    let result: PrimitiveArray<Int32Type> =
        try_binary(left, right, |left, right| left.checked_sub(right).ok_or_else(|| out_of_range("integer")))?;
    Ok(Arc::new(result))
}

/// A time of day on a date.
fn at_clock(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let (dates, times) = (columns[0].as_primitive::<Date32Type>(), columns[1].as_primitive::<Time64MicrosecondType>());
    let result: PrimitiveArray<TimestampMicrosecondType> =
        try_binary(dates, times, |date, time| Ok(i64::from(date) * DAY + time))?;
    Ok(Arc::new(result))
}

/// A moment that is a time of day later.
fn clock_later(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    by_clock(columns, kind, 1)
}

fn clock_earlier(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    by_clock(columns, kind, -1)
}

/// A moment that is a time of day later or earlier.
fn by_clock(columns: &[ArrayRef], kind: &DataType, sign: i64) -> Result<ArrayRef> {
    let moments = columns[0].as_primitive::<TimestampMicrosecondType>();
    let times = columns[1].as_primitive::<Time64MicrosecondType>();
    let result: PrimitiveArray<TimestampMicrosecondType> = try_binary(moments, times, |moment, time| {
        moment.checked_add(sign * time).ok_or_else(|| out_of_range("timestamp"))
    })?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

/// The time of day that a clock shows after an interval, whose months and days say nothing.
fn turned(times: &ArrayRef, intervals: &ArrayRef, sign: i64) -> Result<ArrayRef> {
    let times = times.as_primitive::<Time64MicrosecondType>();
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let result: PrimitiveArray<Time64MicrosecondType> =
        try_binary(times, intervals, |time, interval| Ok((time + sign * (parts(interval).2 % DAY)).rem_euclid(DAY)))?;
    Ok(Arc::new(result))
}

fn between_clocks(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let time = |index: usize| columns[index].as_primitive::<Time64MicrosecondType>();
    let result: PrimitiveArray<IntervalMonthDayNanoType> =
        try_binary(time(0), time(1), |left, right| make(0, 0, left - right))?;
    Ok(Arc::new(result))
}

fn later(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    Ok(numeric::add(&columns[0], &columns[1])?)
}

fn earlier(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    Ok(numeric::sub(&columns[0], &columns[1])?)
}

/// The days and the time between two moments.
fn between(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (left, right) =
        (columns[0].as_primitive::<TimestampMicrosecondType>(), columns[1].as_primitive::<TimestampMicrosecondType>());
    let result: PrimitiveArray<IntervalMonthDayNanoType> = try_binary(left, right, |left, right| {
        let micros = left.checked_sub(right).ok_or_else(|| out_of_range("interval"))?;
        make(0, micros / DAY, micros % DAY)
    })?;
    Ok(Arc::new(result))
}

fn both(columns: &[ArrayRef], sign: i64) -> Result<ArrayRef> {
    let (left, right) = intervals_of(columns);
    let result: PrimitiveArray<IntervalMonthDayNanoType> = try_binary(left, right, |left, right| {
        let (left, right) = (parts(left), parts(right));
        let micros = right.2.checked_mul(sign).and_then(|right| left.2.checked_add(right));
        make(left.0 + sign * right.0, left.1 + sign * right.1, micros.ok_or_else(|| out_of_range("interval"))?)
    })?;
    Ok(Arc::new(result))
}

fn intervals_of(
    columns: &[ArrayRef],
) -> (&PrimitiveArray<IntervalMonthDayNanoType>, &PrimitiveArray<IntervalMonthDayNanoType>) {
    (columns[0].as_primitive::<IntervalMonthDayNanoType>(), columns[1].as_primitive::<IntervalMonthDayNanoType>())
}

fn scaled(columns: &[ArrayRef], factor: fn(f64) -> f64) -> Result<ArrayRef> {
    let (intervals, numbers) =
        (columns[0].as_primitive::<IntervalMonthDayNanoType>(), columns[1].as_primitive::<Float64Type>());
    let result: PrimitiveArray<IntervalMonthDayNanoType> = try_binary(intervals, numbers, |interval, number| {
        let factor = factor(number);
        if factor.is_infinite() && number == 0.0 {
            return Err(ArrowError::DivideByZero);
        }
        times(interval, factor)
    })?;
    Ok(Arc::new(result))
}

/// The fraction of a month becomes days, and that of a day time: `interval_mul` of Postgres.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "`make` refuses what is too large")]
pub(super) fn times(
    interval: IntervalMonthDayNano,
    factor: f64,
) -> std::result::Result<IntervalMonthDayNano, ArrowError> {
    let (months, days, micros) = parts(interval);
    let (whole_months, whole_days) = (months as f64 * factor, days as f64 * factor);
    // Postgres rounds the rests to microseconds before it hands them down.
    let neat = |value: f64| (value * 1e6).round() / 1e6;
    let days_of_months = neat((whole_months - whole_months.trunc()) * 30.0);
    let mut days = whole_days.trunc() as i64 + days_of_months.trunc() as i64;
    let seconds = neat((whole_days - whole_days.trunc() + days_of_months - days_of_months.trunc()) * 86_400.0);
    let extra_days = (seconds / 86_400.0).trunc();
    days += extra_days as i64;
    let seconds = seconds - extra_days * 86_400.0;
    let micros = (micros as f64 * factor + seconds * 1e6).round();
    if !micros.is_finite() || micros.abs() > 9.2e18 || !whole_months.is_finite() || !whole_days.is_finite() {
        return Err(out_of_range("interval"));
    }
    make(whole_months.trunc() as i64, days, micros as i64)
}

/// The interval with its sign changed.
pub(super) fn negative(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let intervals = columns[0].as_primitive::<IntervalMonthDayNanoType>();
    let result: PrimitiveArray<IntervalMonthDayNanoType> = try_unary(intervals, |interval| {
        let (months, days, micros) = parts(interval);
        make(-months, -days, micros.checked_neg().ok_or_else(|| out_of_range("interval"))?)
    })?;
    Ok(Arc::new(result))
}

/// What an interval is compared by.
pub(super) fn lengths(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let intervals = columns[0].as_primitive::<IntervalMonthDayNanoType>();
    let lengths: arrow::array::Decimal128Array = intervals.unary(intervals::length);
    Ok(Arc::new(lengths.with_data_type(kind.clone())))
}

/// Name of the kernel that reads nanoseconds.
const EXACT: &str = "microseconds";

/// A moment of nanoseconds as one of microseconds; one that has more digits is an error.
pub(super) fn microseconds(expr: Expr, kind: &Type) -> Expr {
    Kernel::call(EXACT, Form::Call, kind.clone(), |columns, kind| finer(columns, kind, true), vec![expr])
}

/// The same for date_trunc, which cuts digits anyway.
pub(super) fn cut(operand: Operand) -> Operand {
    match operand.expr {
        Expr::ScalarFunction(call) if call.name() == EXACT => {
            let body: Body = |columns, kind| finer(columns, kind, false);
            let expr = Kernel::call("whole_microseconds", Form::Call, operand.kind.clone(), body, call.args);
            Operand { expr, kind: operand.kind }
        }
        expr => Operand { expr, kind: operand.kind },
    }
}

fn finer(columns: &[ArrayRef], kind: &DataType, is_exact: bool) -> Result<ArrayRef> {
    let moments = columns[0].as_primitive::<TimestampNanosecondType>();
    let result = moments.try_unary::<_, TimestampMicrosecondType, ArrowError>(|nanos| {
        if is_exact && nanos % 1000 != 0 {
            let message = "a time is finer than a microsecond: date_trunc('microsecond', …) cuts it".to_owned();
            return Err(ArrowError::CastError(message));
        }
        Ok(nanos.div_euclid(1000))
    })?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

/// timestamp(n): fewer digits of a second, rounded.
pub(super) fn rounded(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let moments = columns[0].as_primitive::<TimestampMicrosecondType>();
    let digits = columns[1].as_primitive::<Int32Type>().iter().flatten().next().unwrap_or(6).clamp(0, 6);
    let unit = 10_i64.pow(u32::try_from(6 - digits).unwrap_or(0));
    let result: PrimitiveArray<TimestampMicrosecondType> =
        moments.unary(|micros| if unit == 1 { micros } else { (micros + unit / 2).div_euclid(unit) * unit });
    Ok(Arc::new(result.with_data_type(kind.clone())))
}
