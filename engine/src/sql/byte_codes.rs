//! Bytes: their parts, their bits and their codes as text, as Postgres has them.

type Made<T> = Result<T, String>;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Characters of a line of base64.
const LINE: usize = 76;

/// `encode()`
pub(super) fn encoded(bytes: &[u8], code: &str) -> Made<String> {
    match code.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex::encode(bytes)),
        "base64" => Ok(base64(bytes)),
        "escape" => Ok(escaped(bytes)),
        _ => Err(unknown(code)),
    }
}

fn unknown(code: &str) -> String {
    format!("bytes are written as hex, base64 or escape, not as '{code}'")
}

fn base64(bytes: &[u8]) -> String {
    let mut made = String::new();
    let mut column = 0;
    for group in bytes.chunks(3) {
        let all = group.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = usize::try_from(all >> (18 - 6 * place) & 63).unwrap_or(0);
            made.push(if place <= group.len() { char::from(BASE64[index]) } else { '=' });
        }
        column += 4;
        if column == LINE && group.len() == 3 {
            made.push('\n');
            column = 0;
        }
    }
    made
}

fn escaped(bytes: &[u8]) -> String {
    let mut made = String::new();
    for byte in bytes {
        match byte {
            b'\\' => made.push_str("\\\\"),
            0 | 0x80.. => made.push_str(&format!("\\{byte:03o}")),
            byte => made.push(char::from(*byte)),
        }
    }
    made
}

/// `decode()`
pub(super) fn decoded(text: &str, code: &str) -> Made<Vec<u8>> {
    let wrong = || format!("'{text}' is no {code}");
    match code.to_ascii_lowercase().as_str() {
        "hex" => from_hex(text).ok_or_else(wrong),
        "base64" => from_base64(text).ok_or_else(wrong),
        "escape" => from_escaped(text).ok_or_else(wrong),
        _ => Err(unknown(code)),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// Blanks may stand between bytes, not within one.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut made = Vec::with_capacity(text.len() / 2);
    let mut rest = text.bytes();
    while let Some(first) = rest.next() {
        if !is_blank(first) {
            made.push(digit(first)? * 16 + digit(rest.next()?)?);
        }
    }
    Some(made)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut made = Vec::new();
    let (mut all, mut count, mut kept) = (0_u32, 0, 3);
    for byte in text.bytes().filter(|byte| !is_blank(*byte)) {
        let value = match byte {
            b'=' if kept == 3 && count < 2 => return None,
            b'=' => {
                kept = if kept == 3 { count - 1 } else { kept };
                0
            }
            byte => BASE64.iter().position(|known| *known == byte)?,
        };
        all = all << 6 | u32::try_from(value).ok()?;
        count += 1;
        if count == 4 {
            made.extend_from_slice(&all.to_be_bytes()[1..=kept]);
            (all, count) = (0, 0);
        }
    }
    (count == 0).then_some(made)
}

/// Bytes written as themselves, with `\\\\` and three octal digits for others.
pub(super) fn from_escaped(text: &str) -> Option<Vec<u8>> {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => {
                made.push(b'\\');
                behind
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                made.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                behind
            }
            (b'\\', _) => return None,
            (byte, behind) => {
                made.push(*byte);
                behind
            }
        };
    }
    Some(made)
}

/// `convert_to()` and `convert_from()` know these.
fn is_latin(encoding: &str) -> Made<bool> {
    let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(false),
        "latin1" | "iso88591" => Ok(true),
        _ => Err(format!("the encoding '{encoding}' is not supported: there are UTF8 and LATIN1")),
    }
}

/// A text as bytes of an encoding.
pub(super) fn from_text(text: &str, encoding: &str) -> Made<Vec<u8>> {
    if !is_latin(encoding)? {
        return Ok(text.as_bytes().to_vec());
    }
    let one = |c: char| u8::try_from(u32::from(c)).map_err(|_| format!("LATIN1 has no character {c}"));
    text.chars().map(one).collect()
}

/// Bytes of an encoding as a text.
pub(super) fn to_text(bytes: &[u8], encoding: &str) -> Made<String> {
    let is_latin = is_latin(encoding)?;
    let wrong = || format!("the bytes are no text in {encoding}");
    if bytes.contains(&0) {
        return Err(wrong());
    }
    if is_latin {
        return Ok(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| wrong())
}

/// The part from a position, which counts from 1, of a length or to the end.
pub(super) fn part(bytes: &[u8], from: i32, length: Option<i32>) -> Made<&[u8]> {
    let count = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let end = match length {
        Some(length) if length < 0 => return Err("a length is not negative".to_owned()),
        Some(length) => (i64::from(from) + i64::from(length) - 1).min(count),
        None => count,
    };
    let start = (i64::from(from) - 1).max(0);
    let index = |place: i64| usize::try_from(place).unwrap_or(0);
    Ok(if end <= start { &[] } else { &bytes[index(start)..index(end)] })
}

/// `overlay()`
pub(super) fn overlaid(bytes: &[u8], with: &[u8], from: i32, length: Option<i32>) -> Made<Vec<u8>> {
    if from <= 0 {
        return Err("the position of overlay is positive".to_owned());
    }
    let length = length.map_or_else(|| i32::try_from(with.len()).ok(), Some);
    let behind = length.and_then(|length| from.checked_add(length)).ok_or("the length is out of range")?;
    Ok([part(bytes, 1, Some(from - 1))?, with, part(bytes, behind, None)?].concat())
}

/// Where bytes begin in others, from 1; 0 if they are not in them.
pub(super) fn position(bytes: &[u8], wanted: &[u8]) -> i32 {
    let found = match wanted.len() {
        0 => Some(0),
        length => bytes.windows(length).position(|window| window == wanted),
    };
    found.and_then(|index| i32::try_from(index + 1).ok()).unwrap_or(0)
}

/// The bytes without those of a set at their ends.
pub(super) fn trimmed<'a>(bytes: &'a [u8], set: &[u8], at_start: bool, at_end: bool) -> &'a [u8] {
    let mut kept = bytes;
    while let Some((first, rest)) = kept.split_first().filter(|(first, _)| at_start && set.contains(first)) {
        let _ = first;
        kept = rest;
    }
    while let Some((last, rest)) = kept.split_last().filter(|(last, _)| at_end && set.contains(last)) {
        let _ = last;
        kept = rest;
    }
    kept
}

/// The index of a byte, which counts from 0.
pub(super) fn index(bytes: &[u8], place: i64) -> Made<usize> {
    let found = usize::try_from(place).ok().filter(|index| *index < bytes.len());
    found.ok_or_else(|| format!("the index {place} is outside of 0 to {}", i64::try_from(bytes.len()).unwrap_or(0) - 1))
}

/// The index of a bit's byte, and the bit in it; the first is the lowest.
pub(super) fn bit(bytes: &[u8], place: i64) -> Made<(usize, u8)> {
    let index = index(bytes, place.div_euclid(8)).map_err(|_| format!("there is no bit {place}"))?;
    Ok((index, 1 << place.rem_euclid(8)))
}
