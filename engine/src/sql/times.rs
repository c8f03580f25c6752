//! Functions of moments: fields, truncation, time zones.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use chrono::{Datelike, NaiveDate};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::cast;
use super::dates::{DAY, Zone, from_days};
use super::intervals::parts;
use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};

/// AT TIME ZONE: what the zone's clock shows, or the instant at which it shows it.
pub(super) fn at_time_zone(zone: Operand, moment: Operand) -> Result<Expr> {
    if let Some(text) = zone.literal()
        && Zone::of_name(text).is_none()
    {
        return Err(refused(format!("there is no time zone '{text}'")));
    }
    let zone = cast::implicit(zone, &Type::Text)?;
    let (from, to, body): (Type, Type, Body) = match &moment.kind {
        Type::Timestamp => (Type::Timestamp, Type::Timestamptz, |c, kind| zoned(c, kind, Zone::to_utc)),
        Type::Timestamptz | Type::Date | Type::Unknown => {
            (Type::Timestamptz, Type::Timestamp, |c, kind| zoned(c, kind, Zone::to_clock))
        }
        kind => return Err(refused(format!("AT TIME ZONE takes a timestamp, not {kind}"))),
    };
    let moment = cast::implicit(moment, &from)?;
    Ok(Kernel::call("timezone", Form::Call, to, body, vec![zone.expr, moment.expr]))
}

fn zoned(
    columns: &[ArrayRef],
    kind: &DataType,
    shift: fn(Zone, i64) -> std::result::Result<i64, ArrowError>,
) -> Result<ArrayRef> {
    let zones: &StringArray = columns[0].as_string::<i32>();
    let moments = columns[1].as_primitive::<TimestampMicrosecondType>();
    let mut last: Option<(&str, Zone)> = None;
    let shifted = zones.iter().zip(moments.iter()).map(|pair| {
        let (Some(name), Some(micros)) = pair else { return Ok(None) };
        let zone = match last {
            Some((known, zone)) if known == name => zone,
            _ => Zone::of_name(name).ok_or_else(|| ArrowError::CastError(format!("there is no time zone '{name}'")))?,
        };
        last = Some((name, zone));
        shift(zone, micros).map(Some)
    });
    let shifted = shifted.collect::<std::result::Result<arrow::array::TimestampMicrosecondArray, ArrowError>>()?;
    Ok(Arc::new(shifted.with_data_type(kind.clone())))
}

/// date_part: a field as a float.
pub(super) fn date_part(field: &Operand, operand: Operand) -> Result<Expr> {
    let name = field.literal().ok_or_else(|| refused("date_part takes the name of a field in quotes"))?.to_lowercase();
    let kind = operand.kind.clone();
    // A date is taken as a timestamp, which has a time of day.
    let operand = if kind == Type::Date { cast::implicit(operand, &Type::Timestamp)? } else { operand };
    let extracted = extract(&name, operand)?;
    let digits = match &extracted {
        Expr::ScalarFunction(call) => Type::of(&call.func.return_type(&[])?),
        _ => Type::Float8,
    };
    cast::convert(Operand { expr: extracted, kind: digits }, &Type::Float8, false)
}

/// EXTRACT: a field of a moment or an interval, as a numeric.
pub(super) fn extract(field: &str, operand: Operand) -> Result<Expr> {
    let kind = match operand.kind {
        Type::Date | Type::Time | Type::Timestamp | Type::Timestamptz | Type::Interval => operand.kind.clone(),
        Type::Unknown => return Err(refused("extract needs a typed value: write timestamp '…' or interval '…'")),
        kind => return Err(refused(format!("extract takes a moment or an interval, not {kind}"))),
    };
    let singular = match field {
        "milliseconds" | "millisecond" | "msec" | "msecs" | "ms" => "milliseconds",
        "microseconds" | "microsecond" | "usec" | "usecs" | "us" => "microseconds",
        "centuries" => "century",
        "millennia" => "millennium",
        other => other.strip_suffix('s').unwrap_or(other),
    };
    let scale = match (singular, &kind) {
        ("second" | "epoch", Type::Date) => 0,
        ("second" | "epoch", _) => 6,
        ("milliseconds", _) => 3,
        ("julian", Type::Timestamp | Type::Timestamptz) => 20,
        _ => 0,
    };
    if !is_field(singular, &kind) {
        return Err(refused(format!("{kind} has no field '{field}'")));
    }
    let name = Expr::Literal(ScalarValue::from(singular), None);
    let result = Type::Numeric(if scale == 20 { 38 } else { 20 }, scale);
    Ok(Kernel::call("extract", Form::Call, result, fields, vec![name, operand.expr]))
}

fn is_field(field: &str, kind: &Type) -> bool {
    let always = ["millennium", "century", "decade", "year", "month", "day", "epoch", "quarter"];
    let of_time = ["hour", "minute", "second", "milliseconds", "microseconds"];
    let of_dates = ["week", "dow", "isodow", "doy", "isoyear", "julian"];
    let of_zone = ["timezone", "timezone_hour", "timezone_minute"];
    if *kind == Type::Time {
        return field == "epoch" || of_time.contains(&field);
    }
    always.contains(&field)
        || (*kind != Type::Date && of_time.contains(&field))
        || (*kind != Type::Interval && of_dates.contains(&field))
        || (*kind == Type::Timestamptz && of_zone.contains(&field))
}

fn fields(columns: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let names = columns[0].as_string::<i32>();
    let name = if names.is_empty() { "" } else { names.value(0) };
    let up = super::arithmetic::power_of_ten(super::arithmetic::scale_of(kind));
    let column = &columns[1];
    let one = |row: usize| -> std::result::Result<Option<i128>, ArrowError> {
        if column.is_null(row) {
            return Ok(None);
        }
        let value = match column.data_type() {
            DataType::Interval(_) => {
                of_interval(name, parts(column.as_primitive::<IntervalMonthDayNanoType>().value(row)), up)
            }
            DataType::Time64(_) => {
                of_interval(name, (0, 0, column.as_primitive::<Time64MicrosecondType>().value(row)), up)
            }
            DataType::Date32 => of_moment(name, from_days(column.as_primitive::<Date32Type>().value(row))?, 0, up),
            _ => {
                let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                let day =
                    i32::try_from(micros.div_euclid(DAY)).map_err(|_| super::arithmetic::out_of_range("timestamp"))?;
                of_moment(name, from_days(day)?, micros.rem_euclid(DAY), up)
            }
        };
        Ok(Some(value))
    };
    let values = (0..column.len()).map(one).collect::<std::result::Result<Decimal128Array, ArrowError>>()?;
    Ok(Arc::new(values.with_data_type(kind.clone())))
}

fn of_moment(field: &str, date: NaiveDate, micros: i64, up: i128) -> i128 {
    let year = i64::from(date.year());
    // Postgres counts no year 0, and its centuries and millennia from 1.
    let shown = if year > 0 { year } else { year - 1 };
    let period = |length: i64| if shown > 0 { (shown + length - 1) / length } else { -((length - 1 - shown) / length) };
    let days = i64::from(super::dates::days(date));
    let seconds = i128::from(micros % 60_000_000) * up / 1_000_000;
    let whole = match field {
        "millennium" => period(1000),
        "century" => period(100),
        "decade" => year.div_euclid(10),
        "year" => shown,
        "isoyear" => {
            let iso = i64::from(date.iso_week().year());
            if iso > 0 { iso } else { iso - 1 }
        }
        "quarter" => i64::from(date.month0() / 3 + 1),
        "month" => i64::from(date.month()),
        "week" => i64::from(date.iso_week().week()),
        "day" => i64::from(date.day()),
        "dow" => i64::from(date.weekday().num_days_from_sunday()),
        "isodow" => i64::from(date.weekday().number_from_monday()),
        "doy" => i64::from(date.ordinal()),
        "hour" => micros / 3_600_000_000,
        "minute" => micros / 60_000_000 % 60,
        "second" => return seconds,
        "milliseconds" | "microseconds" => {
            return i128::from(micros % 60_000_000) * if field == "milliseconds" { up / 1000 } else { 1 };
        }
        "epoch" => return (i128::from(days) * i128::from(DAY) + i128::from(micros)) * up / 1_000_000,
        "julian" => return (i128::from(days) + 2_440_588) * up + i128::from(micros) * up / i128::from(DAY),
        _ => 0,
    };
    i128::from(whole) * up
}

fn of_interval(field: &str, (months, days, micros): (i64, i64, i64), up: i128) -> i128 {
    let rest = micros % 60_000_000;
    let whole = match field {
        "millennium" => months / 12_000,
        "century" => months / 1_200,
        "decade" => months / 120,
        "year" => months / 12,
        "quarter" => months % 12 / 3 + 1,
        "month" => months % 12,
        "day" => days,
        "hour" => micros / 3_600_000_000,
        "minute" => micros / 60_000_000 % 60,
        "second" => return i128::from(rest) * up / 1_000_000,
        "milliseconds" => return i128::from(rest) * up / 1000,
        "microseconds" => rest,
        // A year has 365.25 days here, a month 30.
        "epoch" => {
            let seconds = i128::from(months / 12) * 31_557_600
                + i128::from(months % 12) * 30 * 86_400
                + i128::from(days) * 86_400;
            return (seconds * 1_000_000 + i128::from(micros)) * up / 1_000_000;
        }
        _ => 0,
    };
    i128::from(whole) * up
}
