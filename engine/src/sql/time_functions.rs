//! Functions of dates, timestamps and intervals.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, TimestampMicrosecondArray};
use arrow::compute::try_unary;
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use chrono::{Datelike, NaiveDate};
use datafusion::error::Result;

use super::arithmetic::out_of_range;
use super::dates::{DAY, Zone, days, from_days};
use super::functions::Takes::{Date, Float8, Int4, Interval, Text, Timestamp, Timestamptz};
use super::functions::gives::{boolean, date, interval, timestamp, timestamptz};
use super::functions::{Function, ours};
use super::intervals::{make, parts};
use super::text;

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("date_trunc", &[Text, Timestamp], timestamp, |c, kind| truncated(c, kind, None)),
    ours("date_trunc", &[Text, Timestamptz], timestamptz, |c, kind| truncated(c, kind, None)),
    ours("date_trunc", &[Text, Timestamptz, Text], timestamptz, |c, kind| truncated(c, kind, Some(2))),
    ours("date_trunc", &[Text, Interval], interval, |c, _| truncated_intervals(c)),
    ours("make_date", &[Int4, Int4, Int4], date, |c, _| made(c)),
    ours("date_bin", &[Interval, Timestamp, Timestamp], timestamp, binned),
    ours("date_bin", &[Interval, Timestamptz, Timestamptz], timestamptz, binned),
    ours("to_timestamp", &[Float8], timestamptz, of_seconds),
    ours("age", &[Timestamp, Timestamp], interval, |c, _| ages(c)),
    ours("age", &[Timestamptz, Timestamptz], interval, |c, _| ages(c)),
    ours("justify_days", &[Interval], interval, |c, _| {
        justified(c, |(m, d, t)| {
            let (m, d) = carried(m, d, 30);
            (m, d, t)
        })
    }),
    ours("justify_hours", &[Interval], interval, |c, _| {
        justified(c, |(m, d, t)| {
            let (d, t) = carried(d, t, DAY);
            (m, d, t)
        })
    }),
    ours("isfinite", &[Date], boolean, |c, _| Ok(finite(&c[0]))),
    ours("isfinite", &[Timestamp], boolean, |c, _| Ok(finite(&c[0]))),
    ours("isfinite", &[Timestamptz], boolean, |c, _| Ok(finite(&c[0]))),
    ours("isfinite", &[Interval], boolean, |c, _| Ok(finite(&c[0]))),
];

/// What is stored here is finite: infinity is refused where it is read.
fn finite(column: &ArrayRef) -> ArrayRef {
    Arc::new((0..column.len()).map(|row| column.is_valid(row).then_some(true)).collect::<BooleanArray>())
}

type Checked<T> = std::result::Result<T, ArrowError>;

/// The start of the period that a clock's time lies in.
fn start(unit: &str, clock: i64) -> Checked<i64> {
    let of_day = |micros: i64| clock.div_euclid(micros) * micros;
    let day = i32::try_from(clock.div_euclid(DAY)).map_err(|_| out_of_range("timestamp"))?;
    let first = |year: i32, month: u32| {
        let first = NaiveDate::from_ymd_opt(year, month, 1).ok_or_else(|| out_of_range("timestamp"))?;
        Ok(i64::from(days(first)) * DAY)
    };
    let date = from_days(day)?;
    let period = |length: i32| (date.year() - 1).div_euclid(length) * length + 1;
    match unit {
        "microsecond" | "microseconds" => Ok(clock),
        "millisecond" | "milliseconds" => Ok(of_day(1_000)),
        "second" | "seconds" => Ok(of_day(1_000_000)),
        "minute" | "minutes" => Ok(of_day(60_000_000)),
        "hour" | "hours" => Ok(of_day(3_600_000_000)),
        "day" | "days" => Ok(of_day(DAY)),
        "week" | "weeks" => Ok((i64::from(day) - i64::from(date.weekday().num_days_from_monday())) * DAY),
        "month" | "months" => first(date.year(), date.month()),
        "quarter" | "quarters" => first(date.year(), date.month0() / 3 * 3 + 1),
        "year" | "years" => first(date.year(), 1),
        "decade" | "decades" => first(date.year().div_euclid(10) * 10, 1),
        "century" | "centuries" => first(period(100), 1),
        "millennium" | "millennia" => first(period(1000), 1),
        other => Err(text::invalid("unit of time", other)),
    }
}

fn truncated(columns: &[ArrayRef], kind: &DataType, zone: Option<usize>) -> Result<ArrayRef> {
    let units = columns[0].as_string::<i32>();
    let moments = columns[1].as_primitive::<TimestampMicrosecondType>();
    let rows = (0..moments.len()).map(|row| {
        let zone_name = zone.map(|index| columns[index].as_string::<i32>());
        if units.is_null(row) || moments.is_null(row) || zone_name.is_some_and(|zone| zone.is_null(row)) {
            return Ok(None);
        }
        let unit = units.value(row).to_lowercase();
        let micros = moments.value(row);
        let Some(name) = zone_name.map(|zone| zone.value(row)) else { return start(&unit, micros).map(Some) };
        let zone =
            Zone::of_name(name).ok_or_else(|| ArrowError::CastError(format!("there is no time zone '{name}'")))?;
        let clock = zone.to_clock(micros)?;
        let start = start(&unit, clock)?;
        // Within a day the offset stays, so that an hour that comes twice is itself.
        let is_within = clock.div_euclid(DAY) == start.div_euclid(DAY) && !matches!(unit.trim_end_matches('s'), "day");
        if is_within { Ok(Some(start - (clock - micros))) } else { zone.to_utc(start).map(Some) }
    });
    let values = rows.collect::<Checked<TimestampMicrosecondArray>>()?;
    Ok(Arc::new(values.with_data_type(kind.clone())))
}

fn truncated_intervals(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let units = columns[0].as_string::<i32>();
    let intervals = columns[1].as_primitive::<IntervalMonthDayNanoType>();
    let rows = (0..intervals.len()).map(|row| {
        if units.is_null(row) || intervals.is_null(row) {
            return Ok(None);
        }
        let (months, days, micros) = parts(intervals.value(row));
        let unit = units.value(row).to_lowercase();
        let whole = |unit: i64| (months, days, micros / unit * unit);
        let (months, days, micros) = match unit.trim_end_matches('s') {
            "microsecond" => (months, days, micros),
            "millisecond" => whole(1_000),
            "second" => whole(1_000_000),
            "minute" => whole(60_000_000),
            "hour" => whole(3_600_000_000),
            "day" => (months, days, 0),
            "month" => (months, 0, 0),
            "quarter" => (months / 3 * 3, 0, 0),
            "year" => (months / 12 * 12, 0, 0),
            "decade" => (months / 120 * 120, 0, 0),
            "century" | "centurie" => (months / 1_200 * 1_200, 0, 0),
            "millennium" => (months / 12_000 * 12_000, 0, 0),
            other => return Err(text::invalid("unit of intervals", other)),
        };
        make(months, days, micros).map(Some)
    });
    Ok(Arc::new(rows.collect::<Checked<PrimitiveArray<IntervalMonthDayNanoType>>>()?))
}

fn made(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let part = |index: usize| columns[index].as_primitive::<Int32Type>();
    let (years, months, dates) = (part(0), part(1), part(2));
    let rows = (0..years.len()).map(|row| {
        if years.is_null(row) || months.is_null(row) || dates.is_null(row) {
            return Ok(None);
        }
        // A negative year is one before Christ, and there is no year 0.
        let year = years.value(row);
        let shown = if year < 0 { year + 1 } else { year };
        let parts = u32::try_from(months.value(row)).ok().zip(u32::try_from(dates.value(row)).ok());
        let found = parts.filter(|_| year != 0).and_then(|(month, day)| NaiveDate::from_ymd_opt(shown, month, day));
        found.map(|date| Some(days(date))).ok_or_else(|| out_of_range("date"))
    });
    Ok(Arc::new(rows.collect::<Checked<PrimitiveArray<Date32Type>>>()?))
}

fn binned(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let strides = columns[0].as_primitive::<IntervalMonthDayNanoType>();
    let moment = |index: usize| columns[index].as_primitive::<TimestampMicrosecondType>();
    let (moments, origins) = (moment(1), moment(2));
    let rows = (0..moments.len()).map(|row| {
        if strides.is_null(row) || moments.is_null(row) || origins.is_null(row) {
            return Ok(None);
        }
        let (months, days, micros) = parts(strides.value(row));
        let stride = days * DAY + micros;
        if months != 0 || stride <= 0 {
            return Err(ArrowError::CastError("a bin is longer than nothing, and has no months".to_owned()));
        }
        let (moment, origin) = (i128::from(moments.value(row)), i128::from(origins.value(row)));
        let start = origin + (moment - origin).div_euclid(stride.into()) * i128::from(stride);
        i64::try_from(start).map(Some).map_err(|_| out_of_range("timestamp"))
    });
    let values = rows.collect::<Checked<TimestampMicrosecondArray>>()?;
    Ok(Arc::new(values.with_data_type(kind.clone())))
}

/// Seconds since 1970.
fn of_seconds(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let result: TimestampMicrosecondArray = try_unary(columns[0].as_primitive::<Float64Type>(), |seconds: f64| {
        let micros = (seconds * 1e6).round_ties_even();
        #[allow(clippy::cast_possible_truncation, reason = "the range has been looked at")]
        if micros.is_finite() && micros.abs() < 9.2e18 { Ok(micros as i64) } else { Err(out_of_range("timestamp")) }
    })?;
    Ok(Arc::new(result.with_data_type(kind.clone())))
}

/// Years, months, days and time between two moments, as `timestamp_age` of Postgres counts them.
fn ages(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let moment = |index: usize| columns[index].as_primitive::<TimestampMicrosecondType>();
    let (ends, starts) = (moment(0), moment(1));
    let rows = (0..ends.len()).map(|row| {
        if ends.is_null(row) || starts.is_null(row) {
            return Ok(None);
        }
        let (end, start) = (ends.value(row), starts.value(row));
        let sign = if end < start { -1 } else { 1 };
        let (late, early) = if end < start { (start, end) } else { (end, start) };
        let split = |micros: i64| -> Checked<(NaiveDate, i64)> {
            let day = i32::try_from(micros.div_euclid(DAY)).map_err(|_| out_of_range("timestamp"))?;
            Ok((from_days(day)?, micros.rem_euclid(DAY)))
        };
        let ((late, late_time), (early, early_time)) = (split(late)?, split(early)?);
        let mut micros = late_time - early_time;
        let mut days = i64::from(late.day()) - i64::from(early.day());
        let mut months =
            i64::from(late.year() - early.year()) * 12 + i64::from(late.month()) - i64::from(early.month());
        if micros < 0 {
            micros += DAY;
            days -= 1;
        }
        if days < 0 {
            days += i64::from(early.num_days_in_month());
            months -= 1;
        }
        make(sign * months, sign * days, sign * micros).map(Some)
    });
    Ok(Arc::new(rows.collect::<Checked<PrimitiveArray<IntervalMonthDayNanoType>>>()?))
}

/// Whole units of the smaller part go to the larger one, and both have one sign.
fn carried(large: i64, small: i64, unit: i64) -> (i64, i64) {
    let (large, small) = (large + small / unit, small % unit);
    match (large.signum(), small.signum()) {
        (1, -1) => (large - 1, small + unit),
        (-1, 1) => (large + 1, small - unit),
        _ => (large, small),
    }
}

/// Months, days and microseconds.
type Parts = (i64, i64, i64);

fn justified(columns: &[ArrayRef], with: fn(Parts) -> Parts) -> Result<ArrayRef> {
    let result: PrimitiveArray<IntervalMonthDayNanoType> =
        try_unary(columns[0].as_primitive::<IntervalMonthDayNanoType>(), |interval| {
            let (months, days, micros) = with(parts(interval));
            make(months, days, micros)
        })?;
    Ok(Arc::new(result))
}
