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

/// 10 to the power of the index; 10^38 is the largest that 128 bits hold.
pub(super) const POWERS: [i128; 39] = powers();

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
    let integer = read_digits(digits)?;
    let unscaled = shift(integer, exponent)?;
    if unscaled >= POWERS[usize::from(precision.min(38))] {
        return Err(Unfit::Precision);
    }
    Ok(if sign == NEGATIVE { -unscaled } else { unscaled })
}

fn read_digits(digits: &[u8]) -> Result<i128, Unfit> {
    let groups = digits.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    if digits.len() <= FAST_DIGITS * 2 {
        return Ok(i128::from(groups.fold(0u64, |value, group| value * 10_000 + u64::from(group))));
    }
    groups.into_iter().try_fold(0i128, |value, group| {
        value.checked_mul(10_000).and_then(|value| value.checked_add(i128::from(group))).ok_or(Unfit::Precision)
    })
}

fn shift(integer: i128, exponent: i32) -> Result<i128, Unfit> {
    let power = usize::try_from(exponent.unsigned_abs()).ok().and_then(|index| POWERS.get(index));
    match (integer, power) {
        (0, _) => Ok(0),
        (_, None) if exponent > 0 => Err(Unfit::Precision),
        (_, None) => Err(Unfit::Scale),
        (value, Some(power)) if exponent >= 0 => value.checked_mul(*power).ok_or(Unfit::Precision),
        // Most negative shifts are 10^2 (two decimals in a group of four), which 64 bits divide quickly.
        (value, Some(power)) => match (u64::try_from(value), u64::try_from(*power)) {
            (Ok(value), Ok(power)) if value % power == 0 => Ok(i128::from(value / power)),
            (Ok(_), Ok(_)) => Err(Unfit::Scale),
            _ if value % power == 0 => Ok(value / power),
            _ => Err(Unfit::Scale),
        },
    }
}

/// Appends an unscaled integer as a numeric, without its length.
pub(super) fn encode(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let scale = usize::from(scale);
    // Groups are aligned at the decimal point, so that the fraction is padded to a multiple of four digits.
    let padding = (4 - scale % 4) % 4;
    let fraction_groups = (scale + padding) / 4;
    let magnitude = unscaled.unsigned_abs();
    // 128 bits hold 39 decimal digits: ten groups, and one more for the padding.
    let mut groups = [0u16; 12];
    let mut count = 0;
    let mut rest = magnitude;
    let unit = u128::try_from(POWERS[4 - padding]).unwrap_or(1);
    if padding > 0 && rest > 0 {
        let low = u16::try_from(rest % unit).unwrap_or(0);
        groups[0] = low * u16::try_from(POWERS[padding]).unwrap_or(1);
        rest /= unit;
        count = 1;
    }
    while rest > 0 {
        groups[count] = u16::try_from(rest % 10_000).unwrap_or(0);
        rest /= 10_000;
        count += 1;
    }
    let trailing = groups[..count].iter().take_while(|group| **group == 0).count();
    let short = |value: usize| i16::try_from(value).unwrap_or(i16::MAX);
    let weight = short(count) - short(fraction_groups) - 1;
    let weight = if trailing == count { 0 } else { weight };
    out.extend_from_slice(&short(count - trailing).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&if unscaled < 0 { NEGATIVE } else { 0 }.to_be_bytes());
    out.extend_from_slice(&short(scale).to_be_bytes());
    for group in groups[trailing..count].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
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
