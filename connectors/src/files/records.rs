//! Records of a CSV file: where fields begin and end, which of them were quoted, and on which lines they stand.
//!
//! What is quoted decides what is missing: as in Postgres' COPY, `""` is the empty text and nothing at all is NULL.

use std::io::{self, BufRead};

/// A record larger than this is refused: most likely a quote was not closed, and the rest of the file is not held in memory for it.
const MOST_BYTES: usize = 256 << 20;

/// Records are handed on when they have this size, however few they are.
const BATCH_BYTES: usize = 64 << 20;

/// The bytes that have a meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub delimiter: u8,
    pub quote: u8,
    /// Takes the next byte of a quoted field as it is.
    pub escape: Option<u8>,
}

/// Why records can't be read.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    /// In words, with the line.
    Data(String),
}

/// Records that were read, one field behind the other.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
    quoted: Vec<bool>,
    /// The line on which each record begins.
    lines: Vec<u64>,
}

/// A field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub bytes: &'a [u8],
    pub quoted: bool,
}

impl Records {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.quoted.clear();
        self.lines.clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The line on which a record begins.
    pub(super) fn line(&self, record: usize) -> u64 {
        self.lines[record]
    }

    /// All fields in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = Value<'_>> {
        (0..self.ends.len()).map(|index| self.field(index))
    }

    /// One column of records that all have the same width.
    pub(super) fn column(&self, index: usize, width: usize) -> impl Iterator<Item = Value<'_>> {
        (index..self.ends.len()).step_by(width.max(1)).map(|index| self.field(index))
    }

    fn field(&self, index: usize) -> Value<'_> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Value { bytes: &self.bytes[start..self.ends[index]], quoted: self.quoted[index] }
    }
}

/// Reads records.
pub(super) struct Reader<R> {
    input: R,
    machine: Machine,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R, marks: Marks) -> Self {
        let machine = Machine {
            marks,
            state: State::Record,
            line: 1,
            begin: 1,
            opened: 1,
            quoted: false,
            fields: 0,
            size: 0,
            width: None,
        };
        Self { input, machine }
    }

    /// Reads up to so many records, each of so many fields if a width is given; at the end of the file none. Blank lines are skipped unless records
    /// have one field, where a blank line is a record whose field is missing.
    pub(super) fn read(&mut self, most: usize, width: Option<usize>, out: &mut Records) -> Result<(), Broken> {
        self.machine.width = width;
        while out.len() < most && out.bytes.len() < BATCH_BYTES {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Broken::Io(error)),
            };
            if chunk.is_empty() {
                return self.machine.end(out).map_err(Broken::Data);
            }
            let used = self.machine.take(chunk, most, out).map_err(Broken::Data)?;
            self.input.consume(used);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a record.
    Record,
    /// A carriage return ended the record; a line feed behind it belongs to it.
    AfterReturn,
    /// Before a field.
    Field,
    /// In a field without quotes, or behind the closing quote of one.
    Plain,
    Quoted,
    /// Behind the escape character of a quoted field.
    Escaped,
    /// Behind a quote of a quoted field, which closes it unless another one follows.
    Closed,
}

/// What is known between two chunks of the input.
struct Machine {
    marks: Marks,
    state: State,
    line: u64,
    /// Where the record begins.
    begin: u64,
    /// Where the last quote was opened.
    opened: u64,
    quoted: bool,
    /// Fields of the record so far.
    fields: usize,
    /// Bytes of the record so far.
    size: usize,
    width: Option<usize>,
}

impl Machine {
    /// Takes a chunk until there are enough records; answers the bytes used.
    fn take(&mut self, chunk: &[u8], most: usize, out: &mut Records) -> Result<usize, String> {
        let mut at = 0;
        while at < chunk.len() && out.len() < most {
            at += self.step(&chunk[at..], out)?;
        }
        Ok(at)
    }

    fn step(&mut self, rest: &[u8], out: &mut Records) -> Result<usize, String> {
        let first = rest[0];
        Ok(match self.state {
            State::AfterReturn => {
                self.state = State::Record;
                usize::from(first == b'\n')
            }
            State::Record if matches!(first, b'\r' | b'\n') && self.width != Some(1) => {
                self.next_line(first);
                1
            }
            State::Record => {
                self.begin = self.line;
                self.state = State::Field;
                0
            }
            State::Field if first == self.marks.quote => {
                (self.quoted, self.opened, self.state) = (true, self.line, State::Quoted);
                1
            }
            State::Field => {
                self.state = State::Plain;
                0
            }
            State::Plain => self.plain(rest, out)?,
            State::Quoted => self.quoted(rest, out)?,
            State::Escaped => {
                self.push(&rest[..1], out)?;
                self.state = State::Quoted;
                1
            }
            State::Closed if first == self.marks.quote => {
                self.push(&rest[..1], out)?;
                self.state = State::Quoted;
                1
            }
            State::Closed => {
                self.state = State::Plain;
                0
            }
        })
    }

    /// Bytes of a field up to what ends it.
    fn plain(&mut self, rest: &[u8], out: &mut Records) -> Result<usize, String> {
        let Marks { delimiter, quote, .. } = self.marks;
        let quoted = self.quoted;
        let ends = |byte: &u8| *byte == delimiter || matches!(byte, b'\r' | b'\n') || (quoted && *byte == quote);
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.push(&rest[..length], out)?;
        let Some(byte) = rest.get(length).copied() else { return Ok(length) };
        if byte == delimiter {
            self.end_field(out);
            self.state = State::Field;
        } else if matches!(byte, b'\r' | b'\n') {
            self.end_field(out);
            self.end_record(out)?;
            self.next_line(byte);
        } else {
            // Readers disagree about what this is.
            return Err(format!("line {}: a quote behind the text that follows a quoted field", self.line));
        }
        Ok(length + 1)
    }

    /// Bytes of a quoted field up to a quote or an escape.
    fn quoted(&mut self, rest: &[u8], out: &mut Records) -> Result<usize, String> {
        let Marks { quote, escape, .. } = self.marks;
        let length = rest.iter().position(|byte| *byte == quote || Some(*byte) == escape).unwrap_or(rest.len());
        let text = &rest[..length];
        self.push(text, out)?;
        // A carriage return before a line feed, which may come with the next chunk, is no line of its own.
        let feeds = text.iter().filter(|byte| **byte == b'\n').count();
        self.line += u64::try_from(feeds).unwrap_or_default();
        let Some(byte) = rest.get(length).copied() else { return Ok(length) };
        // An escape that is the quote is what doubling is.
        self.state = if byte == quote { State::Closed } else { State::Escaped };
        Ok(length + 1)
    }

    fn push(&mut self, bytes: &[u8], out: &mut Records) -> Result<(), String> {
        self.size += bytes.len();
        if self.size > MOST_BYTES {
            let most = MOST_BYTES >> 20;
            return Err(format!("line {}: the record is larger than {most} MB; is a quote never closed?", self.begin));
        }
        out.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn next_line(&mut self, byte: u8) {
        self.line += 1;
        self.state = if byte == b'\r' { State::AfterReturn } else { State::Record };
    }

    fn end_field(&mut self, out: &mut Records) {
        out.ends.push(out.bytes.len());
        out.quoted.push(std::mem::take(&mut self.quoted));
        self.fields += 1;
    }

    fn end_record(&mut self, out: &mut Records) -> Result<(), String> {
        let fields = std::mem::take(&mut self.fields);
        self.size = 0;
        match self.width.filter(|width| *width != fields) {
            Some(width) => {
                Err(format!("line {}: the record has {fields} fields, and the columns are {width}", self.begin))
            }
            None => {
                out.lines.push(self.begin);
                Ok(())
            }
        }
    }

    /// The end of the file, which may end the last record too.
    fn end(&mut self, out: &mut Records) -> Result<(), String> {
        match self.state {
            State::Record | State::AfterReturn => Ok(()),
            State::Quoted | State::Escaped => {
                Err(format!("line {}: the quoted field that begins here is never closed", self.opened))
            }
            State::Field | State::Plain | State::Closed => {
                self.state = State::Record;
                self.end_field(out);
                self.end_record(out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    const COMMA: Marks = Marks { delimiter: b',', quote: b'"', escape: None };

    /// All fields, with `~` for what was quoted, read in chunks of a size.
    fn read(text: &str, marks: Marks, width: Option<usize>, chunk: usize) -> Result<(Vec<String>, Vec<u64>), String> {
        let mut reader = Reader::new(io::BufReader::with_capacity(chunk, text.as_bytes()), marks);
        let mut records = Records::default();
        loop {
            let before = records.len();
            reader.read(before + 1, width, &mut records).map_err(|broken| match broken {
                Broken::Data(what) => what,
                Broken::Io(error) => error.to_string(),
            })?;
            if records.len() == before {
                break;
            }
        }
        let show = |value: Value<'_>| {
            format!("{}{}", if value.quoted { "~" } else { "" }, String::from_utf8_lossy(value.bytes))
        };
        Ok((records.fields().map(show).collect(), records.lines.clone()))
    }

    fn fields(text: &str, width: usize) -> Result<(Vec<String>, Vec<u64>), String> {
        let whole = read(text, COMMA, Some(width), 1 << 10);
        for chunk in 1..text.len().min(40) {
            assert_eq!(read(text, COMMA, Some(width), chunk), whole, "in chunks of {chunk}");
        }
        whole
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_quoted_empty_field_differs_from_a_missing_one_however_the_file_is_cut() {
        assert_eq!(fields("\"\",\r\n,\"\"\n", 2).unwrap(), (texts(&["~", "", "", "~"]), vec![1, 2]));
    }

    #[test]
    fn quoted_line_ends_and_doubled_quotes_belong_to_their_field() {
        let found = fields("1,\"a\r\nb\"\"c\"\r2,\"\n\"\n", 2).unwrap();
        assert_eq!(found, (texts(&["1", "~a\r\nb\"c", "2", "~\n"]), vec![1, 3]));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_named_by_its_line() {
        let error = fields("1,a\n2,\"b\n3,c\n", 2).unwrap_err();
        assert_eq!(error, "line 2: the quoted field that begins here is never closed");
    }

    #[test]
    fn a_record_of_another_width_is_named_by_its_line() {
        let error = fields("1,\"x\ny\"\n\n2\n", 2).unwrap_err();
        assert_eq!(error, "line 4: the record has 1 fields, and the columns are 2");
        assert!(fields("1,2\n1,2,3\n", 2).unwrap_err().starts_with("line 2: the record has 3 fields"));
    }

    #[test]
    fn a_blank_line_is_skipped_but_where_it_is_a_missing_value() {
        assert_eq!(fields("\n1,2\r\n\r\n3,4\n\n", 2).unwrap(), (texts(&["1", "2", "3", "4"]), vec![2, 4]));
        assert_eq!(fields("a\n\n\"\"\nb", 1).unwrap(), (texts(&["a", "", "~", "b"]), vec![1, 2, 3, 4]));
    }

    #[test]
    fn a_quote_within_a_bare_field_is_a_character() {
        assert_eq!(fields("5\" nail,1\n", 2).unwrap().0, texts(&["5\" nail", "1"]));
        assert_eq!(fields("\"a\" b,1\n", 2).unwrap().0, texts(&["~a b", "1"]));
        assert!(fields("\"a\"b\"c\",1\n", 2).is_err());
    }

    #[test]
    fn an_escape_takes_the_next_character_of_a_quoted_field_as_it_is() {
        let marks = Marks { escape: Some(b'\\'), ..COMMA };
        let found = read("\"a\\\"b\\\\\",\\N\n", marks, Some(2), 3).unwrap().0;
        assert_eq!(found, texts(&["~a\"b\\", "\\N"]));
    }
}
