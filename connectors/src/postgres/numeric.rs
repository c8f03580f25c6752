//! Postgres' binary numeric and 128-bit decimals.
//!
//! A numeric is a sign, a weight and digits of base 10000; the decimal is the unscaled integer at the column's scale.

/// Why a numeric is not a decimal of the column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The bytes are not a numeric.
    Malformed,
    NotANumber,
    Infinite,
    /// More digits after the point than the scale has.
    Scale,
    /// More digits than the precision has.
    Precision,
}

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Four base-10000 digits make less than 10^16, which 64 bits hold.
const FAST_DIGITS: usize = 4;

/// 128 bits hold 39 decimal digits: ten groups, and one more for the padding.
const GROUPS: usize = 11;

/// 10 to the power of the index; 10^38 is the largest that 128 bits hold.
pub(super) const POWERS: [i128; 39] = powers();

/// What shifts a value by the digits that pad it to a whole group.
const SMALL_POWERS: [u64; 4] = [1, 10, 100, 1_000];

const fn powers() -> [i128; 39] {
    let mut powers = [1i128; 39];
    let mut index = 1;
    while index < 39 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
}

/// Reads a numeric as an unscaled integer.
pub(super) fn decode(bytes: &[u8], precision: u8, scale: u8) -> Result<i128, Unfit> {
    let Some((header, digits)) = bytes.split_at_checked(8) else { return Err(Unfit::Malformed) };
    let half = |index: usize| u16::from_be_bytes([header[index], header[index + 1]]);
    let (count, sign) = (usize::from(half(0)), half(4));
    let weight = i32::from(half(2).cast_signed());
    match sign {
        0 | NEGATIVE => {}
        NAN => return Err(Unfit::NotANumber),
        POSITIVE_INFINITY | NEGATIVE_INFINITY => return Err(Unfit::Infinite),
        _ => return Err(Unfit::Malformed),
    }
    if digits.len() != count * 2 {
        return Err(Unfit::Malformed);
    }
    // The power of ten by which the integer made of all digits is still to be multiplied.
    let exponent = 4 * (weight + 1 - i32::from(half(0))) + i32::from(scale);
    let unscaled = if count <= FAST_DIGITS { fast(digits, exponent)? } else { slow(digits, exponent)? };
    if unscaled >= POWERS[usize::from(precision.min(38))] {
        return Err(Unfit::Precision);
    }
    Ok(if sign == NEGATIVE { -unscaled } else { unscaled })
}

/// Few digits: one 64-bit integer, shifted once.
fn fast(digits: &[u8], exponent: i32) -> Result<i128, Unfit> {
    let integer = groups(digits).fold(0u64, |value, group| value * 10_000 + u64::from(group));
    if integer == 0 {
        return Ok(0);
    }
    let padding = usize::try_from(exponent).ok().and_then(|exponent| SMALL_POWERS.get(exponent));
    if let Some(padded) = padding.and_then(|padding| integer.checked_mul(*padding)) {
        return Ok(i128::from(padded));
    }
    if exponent >= 0 {
        return i128::from(integer).checked_mul(power(exponent).ok_or(Unfit::Precision)?).ok_or(Unfit::Precision);
    }
    let divisor = power(-exponent).and_then(|power| u64::try_from(power).ok()).ok_or(Unfit::Scale)?;
    if integer % divisor == 0 { Ok(i128::from(integer / divisor)) } else { Err(Unfit::Scale) }
}

/// Many digits: those behind the scale are cut off first, because all of them together may pass 128 bits.
fn slow(digits: &[u8], exponent: i32) -> Result<i128, Unfit> {
    let surplus = usize::try_from(-exponent).unwrap_or(0);
    let kept = digits.len().saturating_sub(surplus / 4 * 2);
    let (kept, cut) = digits.split_at(kept);
    if groups(cut).any(|group| group != 0) {
        return Err(Unfit::Scale);
    }
    let (head, last) = kept.split_at(kept.len().saturating_sub(2));
    let add = |value: i128, group: u16| {
        value.checked_mul(10_000).and_then(|value| value.checked_add(i128::from(group))).ok_or(Unfit::Precision)
    };
    let head = groups(head).try_fold(0i128, add)?;
    let last = groups(last).next().unwrap_or(0);
    if exponent >= 0 {
        return add(head, last)?.checked_mul(power(exponent).ok_or(Unfit::Precision)?).ok_or(Unfit::Precision);
    }
    let places = surplus % 4;
    let (divisor, factor) = (POWERS[places], POWERS[4 - places]);
    if i128::from(last) % divisor != 0 {
        return Err(Unfit::Scale);
    }
    let shifted = head.checked_mul(factor).ok_or(Unfit::Precision)?;
    shifted.checked_add(i128::from(last) / divisor).ok_or(Unfit::Precision)
}

fn groups(digits: &[u8]) -> impl Iterator<Item = u16> {
    digits.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

fn power(exponent: i32) -> Option<i128> {
    POWERS.get(usize::try_from(exponent).ok()?).copied()
}

/// Appends an unscaled integer as a numeric, without its length.
pub(super) fn encode(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let scale = usize::from(scale);
    // Groups are aligned at the decimal point, so that the fraction is padded to a multiple of four digits.
    let padding = (4 - scale % 4) % 4;
    let fraction_groups = (scale + padding) / 4;
    let mut groups = [0u16; GROUPS];
    let count = split(unscaled.unsigned_abs(), padding, &mut groups);
    let trailing = groups[..count].iter().take_while(|group| **group == 0).count();
    let short = |value: usize| i16::try_from(value).unwrap_or(i16::MAX);
    let weight = if trailing == count { 0 } else { short(count) - short(fraction_groups) - 1 };
    let sign = if unscaled < 0 { NEGATIVE } else { 0 };
    // Header and at most eleven groups, in one copy of a fixed size, whose end is given back.
    let mut bytes = [0u8; 8 + 2 * GROUPS];
    bytes[0..2].copy_from_slice(&short(count - trailing).to_be_bytes());
    bytes[2..4].copy_from_slice(&weight.to_be_bytes());
    bytes[4..6].copy_from_slice(&sign.to_be_bytes());
    bytes[6..8].copy_from_slice(&short(scale).to_be_bytes());
    let kept = groups[trailing..count].iter().rev();
    for (place, group) in bytes[8..].chunks_exact_mut(2).zip(kept) {
        place.copy_from_slice(&group.to_be_bytes());
    }
    out.extend_from_slice(&bytes);
    out.truncate(out.len() - 2 * (GROUPS - (count - trailing)));
}

/// Splits a magnitude into base-10000 groups, the lowest first and padded with zeros on its right; answers their number.
fn split(magnitude: u128, padding: usize, groups: &mut [u16; GROUPS]) -> usize {
    let mut count = 0;
    let mut next = |group: u64| {
        groups[count] = u16::try_from(group).unwrap_or(0);
        count += 1;
    };
    // Most values fit into 64 bits, padding and all, whose division by a constant is many times as fast.
    let padded = u64::try_from(magnitude).ok().and_then(|small| small.checked_mul(SMALL_POWERS[padding]));
    let mut rest = match padded {
        Some(padded) => padded,
        None => {
            let (unit, factor) = (POWERS[4 - padding].unsigned_abs(), u128::from(SMALL_POWERS[padding]));
            next(u64::try_from(magnitude % unit * factor).unwrap_or(0));
            let mut rest = magnitude / unit;
            while rest > u128::from(u64::MAX) {
                next(u64::try_from(rest % 10_000).unwrap_or(0));
                rest /= 10_000;
            }
            u64::try_from(rest).unwrap_or(u64::MAX)
        }
    };
    while rest > 0 {
        next(rest % 10_000);
        rest /= 10_000;
    }
    count
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn numeric(weight: i16, sign: u16, scale: i16, groups: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((groups.len() as i16).to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        groups.iter().for_each(|group| bytes.extend(group.to_be_bytes()));
        bytes
    }

    #[test]
    fn values_of_a_server_are_read() {
        // 12345.67, as Postgres 15 sends it.
        assert_eq!(decode(&numeric(1, 0, 2, &[1, 2345, 6700]), 12, 2), Ok(1_234_567));
        assert_eq!(decode(&numeric(-1, NEGATIVE, 4, &[5]), 12, 4), Ok(-5));
        assert_eq!(decode(&numeric(0, 0, 2, &[]), 12, 2), Ok(0));
        assert_eq!(decode(&numeric(2, 0, 0, &[1]), 38, 10), Ok(100_000_000 * 10i128.pow(10)));
    }

    #[test]
    fn what_a_decimal_cannot_hold_is_told_apart() {
        assert_eq!(decode(&numeric(0, NAN, 0, &[]), 38, 10), Err(Unfit::NotANumber));
        assert_eq!(decode(&numeric(0, POSITIVE_INFINITY, 0, &[]), 38, 10), Err(Unfit::Infinite));
        assert_eq!(decode(&numeric(-1, 0, 3, &[1230]), 12, 2), Err(Unfit::Scale));
        assert_eq!(decode(&numeric(0, 0, 0, &[1000]), 3, 0), Err(Unfit::Precision));
        assert_eq!(decode(&numeric(30, 0, 0, &[1]), 38, 0), Err(Unfit::Precision));
        assert_eq!(decode(&[0, 1], 38, 0), Err(Unfit::Malformed));
    }

    #[test]
    fn digits_that_no_server_sends_do_not_overflow() {
        assert_eq!(decode(&numeric(3, 0, 3, &[u16::MAX; 4]), 12, 3), Err(Unfit::Precision));
    }

    proptest! {
        #[test]
        fn every_decimal_comes_back(unscaled in -(POWERS[38] - 1)..POWERS[38], scale in 0u8..=38) {
            let mut bytes = Vec::new();
            encode(unscaled, scale, &mut bytes);
            prop_assert_eq!(decode(&bytes, 38, scale), Ok(unscaled));
        }

        #[test]
        fn small_decimals_come_back(unscaled in -100_000i128..100_000, scale in 0u8..=12) {
            let mut bytes = Vec::new();
            encode(unscaled, scale, &mut bytes);
            prop_assert_eq!(decode(&bytes, 38, scale), Ok(unscaled));
        }
    }
}
