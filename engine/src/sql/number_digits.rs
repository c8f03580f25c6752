//! Digits of numbers that are written in a format, and Roman numerals.

/// A number that is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int4(i32),
    Int8(i64),
    /// Its digits, and how many of them are behind the point.
    Numeric(i128, u8),
    Float4(f32),
    Float8(f64),
}

/// What stands at the places: digits, and a point if there are some behind it.
pub(super) struct Digits {
    pub(super) is_negative: bool,
    pub(super) text: String,
    /// Digits behind the point that the format has for it.
    pub(super) behind: usize,
}

/// Digits, of which `scale` are behind the point, with as many behind it as wanted, rounded half away from zero.
pub(super) fn rounded(digits: &str, scale: i64, behind: usize) -> String {
    let scale = scale.clamp(-4_096, 4_096);
    let zeros = usize::try_from(-scale).unwrap_or(0);
    let scale = usize::try_from(scale).unwrap_or(0);
    let mut all: Vec<u8> = digits.bytes().chain(std::iter::repeat_n(b'0', zeros)).collect();
    if all.len() <= scale {
        all.splice(0..0, std::iter::repeat_n(b'0', scale + 1 - all.len()));
    }
    let mut kept = scale;
    if scale > behind {
        let is_up = all[all.len() - scale + behind] >= b'5';
        all.truncate(all.len() - scale + behind);
        kept = behind;
        let mut place = all.len();
        let mut carry = is_up;
        while carry && place > 0 {
            place -= 1;
            carry = all[place] == b'9';
            all[place] = if carry { b'0' } else { all[place] + 1 };
        }
        if carry {
            all.insert(0, b'1');
        }
    }
    all.extend(std::iter::repeat_n(b'0', behind - kept));
    let whole = all.len() - behind;
    let text: String = all.into_iter().map(char::from).collect();
    let first = text.bytes().take(whole.saturating_sub(1)).take_while(|byte| *byte == b'0').count();
    if behind == 0 { text[first..].to_owned() } else { format!("{}.{}", &text[first..whole], &text[whole..]) }
}

/// A float with as many digits as it holds for sure.
pub(super) fn float(value: f64, most: usize, behind: usize) -> Digits {
    let name = if value.is_nan() { "NaN" } else { "Infinity" };
    if !value.is_finite() {
        let behind = if name.len() >= most { 0 } else { behind.min(most - name.len()) };
        return Digits { is_negative: value < 0.0, text: name.to_owned(), behind };
    }
    let length = format!("{:.0}", value.abs()).len();
    let behind = if length >= most { 0 } else { behind.min(most - length) };
    let text = format!("{value:.behind$}");
    match text.strip_prefix('-') {
        Some(digits) => Digits { is_negative: true, text: digits.to_owned(), behind },
        None => Digits { is_negative: false, text, behind },
    }
}

/// Roman numerals, or signs that it has none.
pub(super) fn roman(number: Number) -> Result<String, String> {
    const NUMERALS: [(i32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let wide = || "the number is out of the range of integer".to_owned();
    #[allow(clippy::cast_possible_truncation, reason = "what does not fit has no numeral, as the limits have none")]
    let mut rest = match number {
        Number::Int4(value) => value,
        Number::Int8(value) => i32::try_from(value).map_err(|_| wide())?,
        Number::Numeric(value, scale) => {
            let digits = rounded(&value.unsigned_abs().to_string(), scale.into(), 0);
            let whole: i64 = digits.parse().map_err(|_| wide())?;
            i32::try_from(if value < 0 { -whole } else { whole }).map_err(|_| wide())?
        }
        Number::Float4(value) => value.round_ties_even() as i32,
        Number::Float8(value) => value.round_ties_even() as i32,
    };
    if !(1..=3999).contains(&rest) {
        return Ok("#".repeat(15));
    }
    let mut made = String::new();
    for (value, numeral) in NUMERALS {
        while rest >= value {
            made.push_str(numeral);
            rest -= value;
        }
    }
    Ok(made)
}
