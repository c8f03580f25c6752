//! Numbers to the types of columns, digit for digit or not at all.

use super::Reason;
use super::scan::Scan;

/// Digits of the widest decimal.
const MOST_DIGITS: usize = 38;

const TOO_LARGE: Reason = "the number is too large for the column's type";

/// The value of a number's text times 10 to the power of `scale`, which has to be an integer of at most 38 digits. The text is a number of JSON.
pub(crate) fn exact(text: &[u8], scale: i32) -> Result<i128, Reason> {
    let (negative, unsigned) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let end = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(unsigned.len());
    let mantissa = &unsigned[..end];
    let power = unsigned.get(end + 1..).map_or(0, power);
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let behind_point = point.map_or(0, |at| mantissa.len() - at - 1);
    let digits = || mantissa.iter().filter(|byte| **byte != b'.').map(|byte| byte - b'0');
    let count = digits().count();
    let Some(leading) = digits().position(|digit| digit != 0) else { return Ok(0) };
    let trailing = digits().rev().take_while(|digit| *digit == 0).count();
    let kept = count - leading - trailing;
    // The value is the digits that count, followed by so many zeros.
    let count_of = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let zeros = power + i64::from(scale) + count_of(trailing) - count_of(behind_point);
    if zeros < 0 {
        return Err("the number has more digits behind the point than the column's type");
    }
    let zeros = usize::try_from(zeros).unwrap_or(usize::MAX);
    if kept.saturating_add(zeros) > MOST_DIGITS {
        return Err(TOO_LARGE);
    }
    // At most 38 digits, which fit.
    let value = digits().skip(leading).take(kept).fold(0_i128, |value, digit| value * 10 + i128::from(digit));
    let value = (0..zeros).fold(value, |value, _| value * 10);
    Ok(if negative { -value } else { value })
}

/// The power of ten behind an `e`. One that is out of all bounds stays so.
fn power(text: &[u8]) -> i64 {
    /// Far from the ends of the type, and further than any number of digits reaches.
    const FAR: i64 = 1 << 40;
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0_i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(FAR));
    if negative { -value } else { value }
}

/// A decimal of so many digits, unscaled.
pub(crate) fn decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, Reason> {
    let value = exact(text, i32::from(scale))?;
    let limit = 10_u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    if value.unsigned_abs() < limit { Ok(value) } else { Err(TOO_LARGE) }
}

/// An integer of 64 bits at most.
pub(crate) fn integer(text: &[u8]) -> Result<i64, Reason> {
    let value = exact(text, 0).map_err(|reason| match reason {
        TOO_LARGE => TOO_LARGE,
        _ => "the number has a fraction, and the column's type is an integer",
    })?;
    i64::try_from(value).map_err(|_| TOO_LARGE)
}

/// A number in a string, where nothing else may be.
pub(crate) fn quoted(text: &[u8]) -> Result<&[u8], Reason> {
    let mut scan = Scan::new(text);
    match scan.number() {
        Ok(number) if scan.at == text.len() => Ok(number.raw),
        _ => Err("the string is not a number"),
    }
}

/// The nearest number of a floating-point type; never infinity, and zero only for a zero. If it is to be exact, the column's type was guessed from a sample:
/// then a number whose digits the type does not give back is refused, since nobody asked for it to be rounded.
pub(crate) fn float<T: std::str::FromStr + Copy + Into<f64>>(text: &[u8], exactly: bool) -> Result<T, Reason> {
    let text = std::str::from_utf8(text).map_err(|_| "the number is not a text")?;
    let value: T = text.parse().map_err(|_| "this is not a number")?;
    let wide: f64 = value.into();
    if wide.is_infinite() {
        return Err(TOO_LARGE);
    }
    let zero = || text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).all(|byte| !matches!(byte, b'1'..=b'9'));
    if wide == 0.0 && !zero() {
        return Err("the number is too small for the column's type");
    }
    if exactly && !crate::values::is_double(text) {
        return Err("a double does not hold all digits of the number");
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_decimal_is_exact_or_refused() {
        for (text, wanted) in [
            ("12.50", Some(1250)),
            ("-1.5e2", Some(-15_000)),
            ("1.2300", Some(123)),
            ("1.239", None),
            ("0.000e99999999999999999999", Some(0)),
            ("1e-99999999999999999999", None),
            ("9999.99", Some(999_999)),
            ("10000", None),
            ("100e-4", Some(1)),
            ("-0.0", Some(0)),
        ] {
            assert_eq!(decimal(text.as_bytes(), 6, 2).ok(), wanted, "{text}");
        }
        let widest = "9".repeat(38);
        assert_eq!(decimal(widest.as_bytes(), 38, 0).unwrap().to_string(), widest);
        assert!(decimal(format!("{widest}0").as_bytes(), 38, 0).is_err());
    }

    #[test]
    fn an_integer_may_be_written_with_a_point_but_has_no_fraction() {
        for (text, wanted) in [
            ("1.0", Some(1)),
            ("1e3", Some(1000)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("1.5", None),
            ("1e30", None),
        ] {
            assert_eq!(integer(text.as_bytes()).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn a_float_is_never_made_infinite_or_zero() {
        assert!(float::<f64>(b"1e400", false).is_err() && float::<f64>(b"1e-400", false).is_err());
        assert!(float::<f32>(b"1e39", false).is_err() && float::<f32>(b"0.0e-400", false).is_ok());
        assert_eq!(float::<f64>(b"9007199254740993", false), Ok(9_007_199_254_740_992.0));
        assert!(float::<f64>(b"9007199254740993", true).is_err());
    }
}
