//! Dates and times in messages. What nearly every message writes is read here; all else that Postgres reads is left to `crate::values`.

use super::Reason;
use crate::values;

/// Days from the first of March of the year 0 to 1970, in the proleptic Gregorian calendar.
const EPOCH: i64 = 719_468;

const DAY_MICROS: i64 = 86_400_000_000;

const NO_DATE: Reason = "the string is not a date such as 2024-12-31";

/// Days since 1970.
pub(crate) fn date(text: &[u8]) -> Result<i32, Reason> {
    if text.len() == 10
        && let Some(days) = day(text)
    {
        return i32::try_from(days).map_err(|_| NO_DATE);
    }
    values::date(std::str::from_utf8(text).map_err(|_| NO_DATE)?).map_err(|_| NO_DATE)
}

/// Days since 1970 that are given as such, between the years 1 and 9999: what stands for infinity lies outside.
pub(crate) fn days(number: i64) -> Result<i32, Reason> {
    const FIRST: i64 = -719_162;
    const LAST: i64 = 2_932_896;
    match (FIRST..=LAST).contains(&number) {
        true => i32::try_from(number).map_err(|_| NO_DATE),
        false => Err("the number is not a date, in days since 1970"),
    }
}

/// Microseconds since 1970. With `utc` the text may have an offset, and without one means UTC; otherwise it may have none.
pub(crate) fn timestamp(text: &[u8], utc: bool) -> Result<i64, Reason> {
    if let Some((micros, zoned)) = usual(text)
        && (utc || !zoned)
    {
        return Ok(micros);
    }
    let wrong = "the string is not a timestamp such as 2024-12-31T23:59:59.5";
    let text = std::str::from_utf8(text).map_err(|_| wrong)?;
    values::timestamp(text, utc).map_err(|what| {
        if what.contains("has an offset") {
            "the timestamp has an offset, which a timestamp without time zone can't hold (timestamptz can)"
        } else if what.contains("finer") {
            "the timestamp is finer than a microsecond"
        } else if what.contains("out of the range") {
            "the timestamp is out of the range of its type"
        } else {
            wrong
        }
    })
}

/// `YYYY-MM-DD`, which stands first.
#[inline]
fn day(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, ..] = text else { return None };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > longest {
        return None;
    }
    // Years begin in March here, so that a leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH)
}

/// Two digits.
#[inline]
fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from((tens - b'0') * 10 + ones - b'0'))
}

/// `YYYY-MM-DDThh:mm:ss`, perhaps a fraction of up to six digits, perhaps `Z` or `±hh:mm`; and whether there was such an offset.
#[inline]
fn usual(text: &[u8]) -> Option<(i64, bool)> {
    let days = day(text)?;
    let [b'T' | b' ', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = text.get(10..)? else { return None };
    let (hours, minutes, seconds) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let (micros, rest) = match rest {
        [b'.', digits @ ..] => fraction(digits)?,
        _ => (0, rest),
    };
    let (offset, zoned) = match rest {
        [] => (0, false),
        b"Z" => (0, true),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
            if hours > 15 || minutes > 59 {
                return None;
            }
            let size = hours * 3600 + minutes * 60;
            (if *sign == b'-' { -size } else { size }, true)
        }
        _ => return None,
    };
    let clock = hours * 3600 + minutes * 60 + seconds - offset;
    Some((days * DAY_MICROS + clock * 1_000_000 + micros, zoned))
}

/// Up to six digits of a second, and what is behind them.
fn fraction(digits: &[u8]) -> Option<(i64, &[u8])> {
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=6).contains(&count) {
        return None;
    }
    let value = digits[..count].iter().fold(0_i64, |value, byte| value * 10 + i64::from(byte - b'0'));
    let scale = (count..6).fold(1, |scale, _| scale * 10);
    Some((value * scale, &digits[count..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for wrong in ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "2024-04-31", "0000-01-01", "20240101"] {
            assert!(date(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(date(b"2000-02-29"), Ok(11_016));
        assert_eq!(date(b"1970-01-01"), Ok(0));
    }

    #[test]
    fn an_offset_needs_a_type_that_holds_it() {
        assert_eq!(timestamp(b"1970-01-01T01:00:00.5+01:00", true), Ok(500_000));
        assert!(timestamp(b"1970-01-01T01:00:00Z", false).unwrap_err().contains("offset"));
        assert!(timestamp(b"1970-01-01T01:00:00.1234567Z", true).unwrap_err().contains("microsecond"));
        assert!(timestamp(b"yesterday", true).unwrap_err().contains("not a timestamp"));
    }

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_long_one(year in 0i32..10_000, month in 0u32..14, day in 0u32..33, hour in 0u32..26, minute in 0u32..62, second in 0u32..62, tail in "(\\.[0-9]{1,7})?(Z|[+-][0-1][0-9]:[0-6][0-9])?") {
            let text = format!("{year:04}-{month:02}-{day:02}");
            prop_assert_eq!(date(text.as_bytes()).ok(), values::date(&text).ok());
            let text = format!("{text}T{hour:02}:{minute:02}:{second:02}{tail}");
            for utc in [true, false] {
                prop_assert_eq!(timestamp(text.as_bytes(), utc).ok(), values::timestamp(&text, utc).ok(), "{}", text);
            }
        }
    }
}
