//! Values into a column of a type: exactly, or not at all.

use super::{Reason, text};
use crate::kafka::json::store::{Store, Values};
use crate::kafka::json::{number, time};

const TOO_LARGE: Reason = "the number is too large for the column's type";

const ROUNDED: Reason = "the column's type does not hold all digits of the number";

/// What a column can't take at all. Schemas are compared with columns before messages are read.
pub(crate) const OTHER: Reason = "the column's type holds no such values";

/// Adds an integer, of 64 bits and a sign at most.
#[inline]
pub(crate) fn integer(value: i128, store: &mut Store) -> Result<(), Reason> {
    match &mut store.values {
        Values::Int16(values) => values.push(value.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int32(values) => values.push(value.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int64(values) => values.push(value.try_into().map_err(|_| TOO_LARGE)?),
        Values::Float32(values) => {
            let float = value as f32;
            values.push(Some(float).filter(|float| *float as i128 == value).ok_or(ROUNDED)?);
        }
        Values::Float64(values) => {
            let float = value as f64;
            values.push(Some(float).filter(|float| *float as i128 == value).ok_or(ROUNDED)?);
        }
        Values::Decimal(..) => decimal(value, 0, store)?,
        _ => return Err(OTHER),
    }
    Ok(())
}

/// Adds an unscaled number of a scale.
pub(crate) fn decimal(value: i128, scale: usize, store: &mut Store) -> Result<(), Reason> {
    /// More than an integer of 64 bits has.
    const DIGITS: u8 = 38;
    let whole = || text::rescaled(value, scale, 0, DIGITS);
    match &mut store.values {
        Values::Decimal(values, precision, to) => {
            let to = usize::try_from(*to).map_err(|_| OTHER)?;
            values.push(text::rescaled(value, scale, to, *precision)?);
        }
        Values::Int16(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int32(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int64(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        _ => return Err(OTHER),
    }
    Ok(())
}

/// Adds what a string says.
pub(crate) fn meant(text: &[u8], store: &mut Store) -> Result<(), Reason> {
    let whole = || number::quoted(text).and_then(number::integer);
    match &mut store.values {
        Values::Int16(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int32(values) => values.push(whole()?.try_into().map_err(|_| TOO_LARGE)?),
        Values::Int64(values) => values.push(whole()?),
        Values::Decimal(values, precision, scale) => {
            values.push(number::decimal(number::quoted(text)?, *precision, *scale)?);
        }
        Values::Date(values) => values.push(time::date(text)?),
        Values::Timestamp(values, utc) => values.push(time::timestamp(text, *utc)?),
        _ => return Err(OTHER),
    }
    Ok(())
}

/// Adds bytes to those of a value.
pub(crate) fn extend(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Reason> {
    out.extend_from_slice(value);
    Ok(())
}
