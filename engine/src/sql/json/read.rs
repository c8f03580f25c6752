//! Reads JSON as Postgres does.

use super::numbers;
use super::value::{Failure, Value};

/// Levels that a document has at most.
const DEPTH: usize = 500;

/// Reads one document from its beginning.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether escapes are looked at: json is kept as it is written, even where no character is meant.
    decodes: bool,
}

/// What a value begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Object,
    Array,
    Scalar,
}

/// A value of jsonb.
pub(super) fn jsonb(text: &str) -> Result<Value, Failure> {
    let mut reader = Reader::new(text, true);
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

/// Whether a text is json.
pub(super) fn check(text: &str) -> Result<(), Failure> {
    let mut reader = Reader::new(text, false);
    reader.skip()?;
    reader.end()
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, decodes: bool) -> Self {
        Self { text, at: 0, depth: 0, decodes }
    }

    fn fail<T>(&self, expected: &str) -> Result<T, Failure> {
        const SHOWN: usize = 60;
        let mut shown: String = self.text.chars().take(SHOWN).collect();
        if shown.len() < self.text.len() {
            shown.push('…');
        }
        let place = self.text.get(..self.at).map_or(self.at, |before| before.chars().count()) + 1;
        Err(format!("'{shown}' is not JSON: {expected} was expected at character {place}"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes a character if it is the next one.
    fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    /// Nothing but blanks may follow.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        self.blanks();
        if self.peek().is_some() { self.fail("the end of the text") } else { Ok(()) }
    }

    /// Where the next value begins, and with what.
    pub(super) fn start(&mut self) -> (usize, Start) {
        self.blanks();
        let start = match self.peek() {
            Some(b'{') => Start::Object,
            Some(b'[') => Start::Array,
            _ => Start::Scalar,
        };
        (self.at, start)
    }

    /// The place behind what has been read.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// The members of an object, each value read by a function.
    pub(super) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, String) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.enter()?;
        self.blanks();
        if !self.take(b'}') {
            loop {
                self.blanks();
                if self.peek() != Some(b'"') {
                    return self.fail("a key in double quotes");
                }
                let key = self.string()?;
                self.blanks();
                if !self.take(b':') {
                    return self.fail("':'");
                }
                each(self, key)?;
                self.blanks();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return self.fail("',' or '}'");
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The elements of an array, each read by a function.
    pub(super) fn elements(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        self.enter()?;
        self.blanks();
        if !self.take(b']') {
            loop {
                each(self)?;
                self.blanks();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return self.fail("',' or ']'");
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Goes past the bracket and one level down.
    fn enter(&mut self) -> Result<(), Failure> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH { Err(format!("JSON is nested in at most {DEPTH} levels here")) } else { Ok(()) }
    }

    /// Reads a value.
    pub(super) fn value(&mut self) -> Result<Value, Failure> {
        match self.start().1 {
            Start::Object => {
                let mut pairs = Vec::new();
                self.members(|reader, key| {
                    pairs.push((key, reader.value()?));
                    Ok(())
                })?;
                Ok(Value::object(pairs))
            }
            Start::Array => {
                let mut elements = Vec::new();
                self.elements(|reader| {
                    elements.push(reader.value()?);
                    Ok(())
                })?;
                Ok(Value::Array(elements))
            }
            Start::Scalar => self.scalar(),
        }
    }

    /// Goes past a value.
    pub(super) fn skip(&mut self) -> Result<(), Failure> {
        match self.start().1 {
            Start::Object => self.members(|reader, _| reader.skip()),
            Start::Array => self.elements(Self::skip),
            Start::Scalar => match self.peek() {
                Some(b'-' | b'0'..=b'9') => self.digits().map(|_| ()),
                _ => self.scalar().map(|_| ()),
            },
        }
    }

    fn scalar(&mut self) -> Result<Value, Failure> {
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(Value::Number(numbers::normal(self.digits()?)?)),
            _ => {
                let words = [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)];
                let rest = self.text.get(self.at..).unwrap_or("");
                let length = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
                match words.into_iter().find(|(word, _)| rest.get(..length) == Some(word)) {
                    Some((word, value)) => {
                        self.at += word.len();
                        Ok(value)
                    }
                    None => self.fail("a value"),
                }
            }
        }
    }

    /// The text of a number.
    fn digits(&mut self) -> Result<&'a str, Failure> {
        let from = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.run()?;
        }
        if self.take(b'.') {
            self.run()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.run()?;
        }
        let rest = self.text.get(self.at..).unwrap_or("");
        if rest.starts_with(is_of_word) {
            return self.fail("the end of the number");
        }
        Ok(self.text.get(from..self.at).unwrap_or(""))
    }

    fn run(&mut self) -> Result<(), Failure> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { self.fail("a digit") } else { Ok(()) }
    }

    /// A text in double quotes, with its escapes as the characters that they mean.
    fn string(&mut self) -> Result<String, Failure> {
        self.at += 1;
        let mut found = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or("");
            let plain = rest.find(|c: char| matches!(c, '"' | '\\') || c < ' ').unwrap_or(rest.len());
            found.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(found);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escaped()?;
                    found.push(c);
                }
                Some(_) => return self.fail("an escape in place of a control character"),
                None => return self.fail("'\"'"),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Failure> {
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return self.fail("an escape"),
        };
        self.at += 1;
        Ok(c)
    }

    /// The character of `\uXXXX`, or of two of them.
    fn unicode(&mut self) -> Result<char, Failure> {
        let high = self.hex()?;
        if !self.decodes {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let code = match high {
            0 => return Err("\\u0000 is no character of a text".to_owned()),
            0xD800..=0xDBFF => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return self.fail("the second half of a surrogate pair");
                }
                let low = self.hex()?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return self.fail("the second half of a surrogate pair");
                }
                0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            code => code,
        };
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail("the first half of a surrogate pair"),
        }
    }

    fn hex(&mut self) -> Result<u32, Failure> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or("");
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return self.fail("four hexadecimal digits");
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).or_else(|_| self.fail("four hexadecimal digits"))
    }
}

/// Characters that go on in a word, so that `truely` and `1a` are none.
fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}
