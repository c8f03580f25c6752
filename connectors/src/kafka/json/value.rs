//! The value of a column, read as its type says: exactly, or refused.

use super::Reason;
use super::scan::{self, Scan};
use super::store::{Store, Values};
use super::{base64, number, time};

/// What is wrong with a value: what it is made of, or what it is.
pub(super) enum Fault {
    /// It is not JSON from where the cursor stands.
    Syntax(Reason),
    /// It does not fit the column.
    Value(Reason),
}

/// Keeps a value as it is written.
pub(super) fn raw(store: &mut Store, scan: &mut Scan<'_>) -> Result<(), Fault> {
    let Values::Text(bytes) = &mut store.values else { return Err(Fault::Value("the column holds no text")) };
    let start = scan.at;
    scan.skip().map_err(Fault::Syntax)?;
    let written = scan.since(start);
    let copied = bytes.push(|out| {
        out.extend_from_slice(written);
        Ok(())
    });
    copied.map_err(Fault::Value)
}

/// Keeps a document that a string holds, and any other value as it is written.
pub(super) fn document(store: &mut Store, scan: &mut Scan<'_>) -> Result<(), Fault> {
    if scan.peek() != Some(b'"') {
        return raw(store, scan);
    }
    let start = scan.at;
    let quoted = scan.string().map_err(Fault::Syntax)?;
    let mut meant = Vec::new();
    quoted.append_to(&mut meant);
    let mut inner = Scan::new(&meant);
    inner.next();
    let is_document = inner.skip().is_ok() && inner.next().is_none();
    let kept = if is_document { meant.as_slice() } else { scan.since(start) };
    let Values::Text(bytes) = &mut store.values else { return Err(Fault::Value("the column holds no text")) };
    let copied = bytes.push(|out| {
        out.extend_from_slice(kept);
        Ok(())
    });
    copied.map_err(Fault::Value)
}

/// Adds a value to the column of its type.
#[inline]
pub(super) fn typed(store: &mut Store, scan: &mut Scan<'_>, exactly: bool, is_change: bool) -> Result<(), Fault> {
    match &mut store.values {
        Values::Bool(values) => {
            let value = boolean(scan)?;
            values.append(value);
        }
        Values::Int16(values) => values.push(narrow(integer(scan)?)?),
        Values::Int32(values) => values.push(narrow(integer(scan)?)?),
        Values::Int64(values) => values.push(integer(scan)?),
        Values::Float32(values) => values.push(float(scan, exactly, is_change)?),
        Values::Float64(values) => values.push(float(scan, exactly, is_change)?),
        Values::Decimal(values, precision, scale) => {
            let text = number_text(scan)?;
            values.push(number::decimal(text, *precision, *scale).map_err(Fault::Value)?);
        }
        // Debezium writes days since 1970.
        Values::Date(values) if is_change && matches!(scan.peek(), Some(b'-' | b'0'..=b'9')) => {
            values.push(time::days(integer(scan)?).map_err(Fault::Value)?);
        }
        Values::Date(values) => {
            let date = |text: &[u8]| time::date(if is_change { without_zone(text) } else { text });
            values.push(text(scan, "a date is expected here, as a string", date)?);
        }
        Values::Timestamp(values, utc) => {
            let utc = *utc;
            let time = |text: &[u8]| time::timestamp(if is_change && !utc { without_zone(text) } else { text }, utc);
            values.push(text(scan, "a timestamp is expected here, as a string", time)?);
        }
        Values::Text(bytes) => {
            let quoted = string(scan, "a string is expected here")?;
            bytes
                .push(|out| {
                    quoted.append_to(out);
                    Ok(())
                })
                .map_err(Fault::Value)?;
        }
        Values::Binary(bytes) => {
            let quoted = string(scan, "a string in base64 is expected here")?;
            bytes.push(|out| plain(quoted, |text| base64::decode(text, out))).map_err(Fault::Value)?;
        }
    }
    Ok(())
}

/// Debezium writes a `Z` behind dates and times that have no zone.
fn without_zone(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"Z").unwrap_or(text)
}

fn boolean(scan: &mut Scan<'_>) -> Result<bool, Fault> {
    match scan.peek() {
        Some(b't') => scan.literal(b"true").map(|()| true).map_err(Fault::Syntax),
        Some(b'f') => scan.literal(b"false").map(|()| false).map_err(Fault::Syntax),
        _ => Err(other(scan, "true or false is expected here")),
    }
}

/// What stands here is of another kind, or nothing at all.
fn other(scan: &mut Scan<'_>, expected: Reason) -> Fault {
    match scan.skip() {
        Ok(()) => Fault::Value(expected),
        Err(reason) => Fault::Syntax(reason),
    }
}

fn integer(scan: &mut Scan<'_>) -> Result<i64, Fault> {
    match scan.peek() {
        Some(b'-' | b'0'..=b'9') => {
            let number = scan.number().map_err(Fault::Syntax)?;
            match number.small {
                Some(value) => Ok(value),
                None => number::integer(number.raw).map_err(Fault::Value),
            }
        }
        _ => number::integer(number_text(scan)?).map_err(Fault::Value),
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| Fault::Value("the number is too large for the column's type"))
}

fn float<T: std::str::FromStr + Copy + Into<f64>>(
    scan: &mut Scan<'_>,
    exactly: bool,
    is_change: bool,
) -> Result<T, Fault> {
    match scan.peek() {
        // Debezium writes what is no number in JSON as a string.
        Some(b'"') if is_change => {
            let quoted = scan.string().map_err(Fault::Syntax)?;
            let special = match quoted.raw {
                b"NaN" => "NaN".parse(),
                b"Infinity" => "inf".parse(),
                b"-Infinity" => "-inf".parse(),
                _ => return Err(Fault::Value("a number is expected here")),
            };
            special.map_err(|_| Fault::Value("a number is expected here"))
        }
        Some(b'-' | b'0'..=b'9') => {
            let number = scan.number().map_err(Fault::Syntax)?;
            number::float(number.raw, exactly).map_err(Fault::Value)
        }
        _ => Err(other(scan, "a number is expected here")),
    }
}

/// A number, which may stand in a string.
fn number_text<'a>(scan: &mut Scan<'a>) -> Result<&'a [u8], Fault> {
    match scan.peek() {
        Some(b'-' | b'0'..=b'9') => scan.number().map(|number| number.raw).map_err(Fault::Syntax),
        Some(b'"') => {
            let quoted = scan.string().map_err(Fault::Syntax)?;
            number::quoted(quoted.raw).map_err(Fault::Value)
        }
        _ => Err(other(scan, "a number is expected here")),
    }
}

fn string<'a>(scan: &mut Scan<'a>, expected: Reason) -> Result<scan::Quoted<'a>, Fault> {
    match scan.peek() {
        Some(b'"') => scan.string().map_err(Fault::Syntax),
        _ => Err(other(scan, expected)),
    }
}

/// Reads the characters that are meant.
fn plain<T>(quoted: scan::Quoted<'_>, read: impl FnOnce(&[u8]) -> Result<T, Reason>) -> Result<T, Reason> {
    if !quoted.escaped {
        return read(quoted.raw);
    }
    let mut meant = Vec::new();
    quoted.append_to(&mut meant);
    read(&meant)
}

/// Reads a string that means something else.
fn text<T>(scan: &mut Scan<'_>, expected: Reason, read: impl FnOnce(&[u8]) -> Result<T, Reason>) -> Result<T, Fault> {
    plain(string(scan, expected)?, read).map_err(Fault::Value)
}
