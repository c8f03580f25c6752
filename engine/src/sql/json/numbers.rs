//! Numbers of jsonb, which are numerics with as many digits as they are written with.

use std::cmp::Ordering;

use super::value::Failure;

/// Digits that a numeric has at most before and behind the point.
const WHOLE: i64 = 131_072;
const BEHIND: i64 = 16_383;
/// An exponent that no numeric takes, whatever its digits.
const EXPONENT: i64 = 1_073_741_823;

fn overflow() -> Failure {
    "a number of jsonb has more digits than a numeric holds".to_owned()
}

/// A number of JSON as a numeric prints it: without an exponent, with the zeros that it is written with.
pub(super) fn normal(text: &str) -> Result<String, Failure> {
    let (is_negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| overflow())?),
        None => (rest, 0),
    };
    if exponent.abs() >= EXPONENT {
        return Err(overflow());
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let length = |text: &str| i64::try_from(text.len()).map_err(|_| overflow());
    let scale = (length(fraction)? - exponent).max(0);
    if scale > BEHIND {
        return Err(overflow());
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let point = length(whole)? + exponent;
    let Some(first) = digits.find(|digit| digit != '0') else {
        return Ok(if scale == 0 { "0".to_owned() } else { format!("0.{}", zeros(scale)) });
    };
    if point - i64::try_from(first).map_err(|_| overflow())? > WHOLE {
        return Err(overflow());
    }
    let (whole, fraction) = match usize::try_from(point) {
        Err(_) => (String::new(), format!("{}{digits}", zeros(-point))),
        Ok(point) if point >= digits.len() => {
            let missing = point - digits.len();
            (format!("{digits}{}", "0".repeat(missing)), String::new())
        }
        Ok(point) => (digits[..point].to_owned(), digits[point..].to_owned()),
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if is_negative { "-" } else { "" };
    Ok(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// The order of two numbers that are in their normal form.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (left.strip_prefix('-'), right.strip_prefix('-')) {
        (None, None) => magnitude(left, right),
        (Some(left), Some(right)) => magnitude(right, left),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

fn magnitude(left: &str, right: &str) -> Ordering {
    let parts = |text: &'_ str| -> (String, String) {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        (whole.to_owned(), fraction.trim_end_matches('0').to_owned())
    };
    let ((left, left_behind), (right, right_behind)) = (parts(left), parts(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right)).then_with(|| left_behind.cmp(&right_behind))
}

/// A number in its normal form, rounded half away from zero to a whole one.
pub(super) fn whole(text: &str) -> String {
    let (is_negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut digits: Vec<u8> = whole.bytes().collect();
    if fraction.as_bytes().first().is_some_and(|next| *next >= b'5') {
        let mut carries = true;
        for digit in digits.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                carries = false;
                break;
            }
        }
        if carries {
            digits.insert(0, b'1');
        }
    }
    let digits: String = digits.into_iter().map(char::from).collect();
    if is_negative && digits != "0" { format!("-{digits}") } else { digits }
}

/// A number without the zeros at its end, which say nothing about its value.
pub(super) fn bare(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
