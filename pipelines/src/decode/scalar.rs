//! What a plain scalar means in YAML's core schema.

/// A plain scalar's meaning.
#[derive(Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    /// A number that can't be kept as it is written, and why.
    Inexact(&'static str),
    Text(&'a str),
}

/// Numbers are kept exactly or refused: a value that changes in silence is worse than an error.
pub(super) fn plain(text: &str) -> Plain<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.bytes().all(|c| c.is_ascii_digit()) && !digits.is_empty() {
        return integer(text, digits);
    }
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'-' | b'+' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(number) if numeric && is_exact(digits, number) => Plain::Float(number),
        Ok(_) if numeric => Plain::Inexact("the number has more digits than a 64-bit float keeps"),
        _ => Plain::Text(text),
    }
}

fn integer<'a>(text: &'a str, digits: &str) -> Plain<'a> {
    if digits.len() > 1 && digits.starts_with('0') {
        return Plain::Inexact("a number does not begin with 0");
    }
    match (text.parse(), text.parse()) {
        (Ok(number), _) => Plain::Integer(number),
        (_, Ok(number)) => Plain::Unsigned(number),
        _ => Plain::Inexact("the number does not fit into 64 bits"),
    }
}

/// Whether the shortest text of the float has the digits of the source.
fn is_exact(text: &str, number: f64) -> bool {
    number.is_finite() && significant(text) == significant(&format!("{:e}", number.abs()))
}

/// The digits that count, without sign, point, exponent and zeros at the ends, and the power of ten of the first.
fn significant(text: &str) -> (String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX / 4);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, fraction].concat();
    let leading = all.len() - all.trim_start_matches('0').len();
    let digits = all.trim_matches('0').to_owned();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX / 4);
    let power = if digits.is_empty() { 0 } else { exponent + count(whole.len()) - count(leading) };
    (digits, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_exactly_or_refused() {
        assert_eq!(plain("9223372036854775807"), Plain::Integer(i64::MAX));
        assert_eq!(plain("-9223372036854775808"), Plain::Integer(i64::MIN));
        assert_eq!(plain("18446744073709551615"), Plain::Unsigned(u64::MAX));
        for (text, number) in
            [("0.1", 0.1), ("-1.50", -1.5), ("1e3", 1000.0), (".5", 0.5), ("0.0", 0.0), ("1E-7", 1e-7)]
        {
            assert_eq!(plain(text), Plain::Float(number), "{text}");
        }
        let beyond =
            ["18446744073709551616", "-9223372036854775809", "0.12345678901234567890", "1e400", "1e-400", "007"];
        for text in beyond {
            assert!(matches!(plain(text), Plain::Inexact(_)), "{text}: {:?}", plain(text));
        }
    }

    #[test]
    fn what_only_looks_like_a_number_is_text() {
        for text in ["1.2.3", "2026-01-31", "-", ".", "1h", "e5", "0x1F", "1_000", "+", "..", "10.0.0.1"] {
            assert_eq!(plain(text), Plain::Text(text));
        }
    }
}
