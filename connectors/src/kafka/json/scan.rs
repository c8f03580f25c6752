//! A cursor over the bytes of one JSON document. It accepts what RFC 8259 accepts, and never copies.

use super::Reason;

/// Objects and lists may be nested this deep, the message itself included. One bit is kept for each level.
pub(crate) const MOST_DEEP: u32 = 127;

/// A place in a document that is known to be UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    /// Bytes from the start.
    pub at: usize,
}

/// A string between its quotes, as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted<'a> {
    pub raw: &'a [u8],
    /// Whether it has a backslash.
    pub escaped: bool,
}

/// A number as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    pub raw: &'a [u8],
    /// Its value, if it has neither point nor exponent and at most 18 digits.
    pub small: Option<i64>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Bytes from a place to here.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips white space and looks at what follows.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Skips white space and takes the byte if it is the one asked for.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Why something else stands here.
    pub(crate) fn unexpected(&self, what: &'static str) -> Reason {
        if self.at >= self.bytes.len() { "the message ends in the middle" } else { what }
    }

    /// Takes a literal such as `true`.
    pub(crate) fn literal(&mut self, word: &'static [u8]) -> Result<(), Reason> {
        let rest = self.rest();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        let same = rest.iter().zip(word).take_while(|(found, wanted)| found == wanted).count();
        self.at += same;
        Err(self.unexpected("this is no JSON value"))
    }

    /// Takes a string; its opening quote is here.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Quoted<'a>, Reason> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    let raw = self.since(start);
                    self.at += 1;
                    return Ok(Quoted { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.unexpected("a string holds a control character that is not escaped")),
            }
        }
    }

    /// Takes one escape; its backslash is here. Halves of a pair without each other are no characters.
    fn escape(&mut self) -> Result<(), Reason> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let start = self.at - 1;
                self.at += 1;
                match self.four_digits()? {
                    0xDC00..=0xDFFF => {
                        self.at = start;
                        Err("a string holds half a surrogate pair")
                    }
                    0xD800..=0xDBFF => {
                        let low = self.rest().starts_with(b"\\u");
                        self.at += if low { 2 } else { 0 };
                        let second = if low { self.four_digits()? } else { 0 };
                        if (0xDC00..=0xDFFF).contains(&second) {
                            return Ok(());
                        }
                        if low || self.peek().is_some() {
                            self.at = start;
                            return Err("a string holds half a surrogate pair");
                        }
                        Err(self.unexpected(""))
                    }
                    _ => Ok(()),
                }
            }
            _ => Err(self.unexpected("a string holds an escape that JSON does not know")),
        }
    }

    fn four_digits(&mut self) -> Result<u32, Reason> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("a string holds \\u without four hexadecimal digits"));
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    /// Takes a number.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Reason> {
        /// So many digits always fit.
        const SURE_DIGITS: usize = 18;
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let mut value: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        let count = self.at - first;
        if count == 0 {
            return Err(self.unexpected("a digit is missing here"));
        }
        if count > 1 && self.bytes.get(first) == Some(&b'0') {
            self.at = first + 1;
            return Err("a number begins with 0");
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let small = (whole && count <= SURE_DIGITS).then(|| if negative { -value } else { value });
        Ok(Number { raw: self.since(start), small })
    }

    /// Takes at least one digit.
    fn digits(&mut self) -> Result<(), Reason> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit is missing here")) } else { Ok(()) }
    }

    /// Skips one value of any kind, which is here, and checks it.
    pub(crate) fn skip(&mut self) -> Result<(), Reason> {
        // A bit for each level that is open: 1 for an object, 0 for a list.
        let (mut levels, mut depth) = (0_u128, 0_u32);
        loop {
            match self.next() {
                Some(open @ (b'{' | b'[')) => {
                    if depth + 1 >= MOST_DEEP {
                        return Err("objects and lists are nested more than 127 deep");
                    }
                    self.at += 1;
                    let object = open == b'{';
                    let close = if object { b'}' } else { b']' };
                    if self.take(close) {
                        // An empty one is a value like any other.
                    } else {
                        levels = levels << 1 | u128::from(object);
                        depth += 1;
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            if !self.behind(&mut levels, &mut depth)? {
                return Ok(());
            }
        }
    }

    /// What stands behind a value: a comma and so another value (true), or the ends of what is open and so the end of it all (false).
    fn behind(&mut self, levels: &mut u128, depth: &mut u32) -> Result<bool, Reason> {
        while *depth > 0 {
            let object = *levels & 1 == 1;
            match self.next() {
                Some(b',') => {
                    self.at += 1;
                    if object {
                        self.name()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                _ => return Err(self.unexpected("a comma or the end of an object or a list is missing here")),
            }
            self.at += 1;
            *levels >>= 1;
            *depth -= 1;
        }
        Ok(false)
    }

    /// Skips a member's name and its colon.
    fn name(&mut self) -> Result<(), Reason> {
        if self.next() != Some(b'"') {
            return Err(self.unexpected("the name of a field is missing here"));
        }
        self.string()?;
        if self.take(b':') { Ok(()) } else { Err(self.unexpected("a colon is missing here")) }
    }

    fn scalar(&mut self) -> Result<(), Reason> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.unexpected("this is no JSON value")),
        }
    }
}

/// Where a string stops being plain: at a quote, a backslash, a control character or the end. Eight bytes are looked at in one step.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The highest bit of each byte that is zero. A byte above a hit may be marked wrongly; the lowest mark never is.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quotes = zeros(word ^ (ONES * 0x22));
        let slashes = zeros(word ^ (ONES * 0x5C));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let marks = quotes | slashes | controls;
        if marks != 0 {
            // At most 7, so that it fits.
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..=0x1F) {
            break;
        }
        at += 1;
    }
    at
}

impl Quoted<'_> {
    /// Appends the characters that are meant. The string has been checked.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        if !self.escaped {
            out.extend_from_slice(self.raw);
            return;
        }
        let mut rest = self.raw;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
            out.extend_from_slice(&rest[..at]);
            let (kind, behind) =
                (rest.get(at + 1).copied().unwrap_or_default(), rest.get(at + 2..).unwrap_or_default());
            rest = behind;
            let plain = match kind {
                b'b' => 0x08,
                b'f' => 0x0C,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    rest = append_unicode(behind, out);
                    continue;
                }
                same => same,
            };
            out.push(plain);
        }
        out.extend_from_slice(rest);
    }
}

/// Appends the character whose digits stand first, and returns what is behind it.
fn append_unicode<'a>(digits: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let value = |from: usize| {
        let four = digits.get(from..from + 4).unwrap_or_default();
        four.iter().fold(0, |value, byte| value * 16 + char::from(*byte).to_digit(16).unwrap_or_default())
    };
    let first = value(0);
    let (code, taken) = match first {
        0xD800..=0xDBFF => (0x10000 + ((first - 0xD800) << 10) + (value(6).saturating_sub(0xDC00) & 0x3FF), 10),
        code => (code, 4),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    digits.get(taken..).unwrap_or_default()
}
