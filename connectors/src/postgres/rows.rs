//! Rows of a binary COPY, gathered until there are enough for a batch.
//!
//! Bytes are kept as they came, with the place of every field, so that a batch is decoded column by column: one tight loop
//! per column instead of a choice by type for every value.

use arrow::buffer::{BooleanBuffer, NullBuffer};

/// Every binary COPY begins with these bytes.
pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Up to so many bytes are copied as exactly so many: a processor does that in two instructions, without a call.
pub(super) const SHORT: usize = 32;

/// Where a field's bytes are; a negative length is NULL.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldSpan {
    pub start: u32,
    pub len: i32,
}

/// Complete rows, in order.
#[derive(Debug)]
pub(super) struct RowBuffer {
    width: usize,
    data: Vec<u8>,
    fields: Vec<FieldSpan>,
    rows: usize,
    has_nulls: bool,
    /// The beginning of a row whose end has not come yet.
    partial: Vec<u8>,
    header_read: bool,
    finished: bool,
}

/// The stream is not a binary COPY of the expected width.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer is not a binary COPY of {width} columns: {what}")]
pub(super) struct Malformed {
    width: usize,
    what: String,
}

enum Step {
    /// A row or the header was read; the rest begins here.
    Advanced(usize),
    /// More bytes are needed.
    Incomplete,
}

impl RowBuffer {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            data: Vec::new(),
            fields: Vec::new(),
            rows: 0,
            has_nulls: false,
            partial: Vec::new(),
            header_read: false,
            finished: false,
        }
    }

    /// Rows that are waiting to be decoded.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Their size on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Whether the stream's end mark was read.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Takes what the server sent. Chunks normally hold whole rows, but nothing depends on it.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Malformed> {
        if self.partial.is_empty() {
            let used = self.take_rows(chunk)?;
            self.partial.extend_from_slice(&chunk[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(chunk);
            let used = self.take_rows(&joined)?;
            joined.drain(..used);
            self.partial = joined;
        }
        Ok(())
    }

    /// Drops the rows and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.fields.clear();
        self.rows = 0;
        self.has_nulls = false;
    }

    /// One column of the gathered rows.
    pub(super) fn column(&self, index: usize) -> Column<'_> {
        Column {
            data: &self.data,
            fields: &self.fields,
            first: index,
            stride: self.width,
            rows: self.rows,
            has_nulls: self.has_nulls,
        }
    }

    fn take_rows(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut position = 0;
        while position < bytes.len() && !self.finished {
            let rest = &bytes[position..];
            let step = if self.header_read { self.take_row(rest)? } else { self.take_header(rest)? };
            match step {
                Step::Advanced(length) => position += length,
                Step::Incomplete => return Ok(position),
            }
        }
        Ok(position)
    }

    fn take_header(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        let Some((header, rest)) = bytes.split_at_checked(19) else { return Ok(Step::Incomplete) };
        if !header.starts_with(SIGNATURE) {
            return Err(self.malformed("the signature is missing"));
        }
        let extension = usize::try_from(read_i32(header, 15)).map_err(|_| self.malformed("bad header extension"))?;
        if rest.len() < extension {
            return Ok(Step::Incomplete);
        }
        self.header_read = true;
        Ok(Step::Advanced(19 + extension))
    }

    fn take_row(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        if bytes.len() < 2 {
            return Ok(Step::Incomplete);
        }
        let count = i16::from_be_bytes([bytes[0], bytes[1]]);
        if count == -1 {
            self.finished = true;
            return Ok(Step::Advanced(2));
        }
        if usize::try_from(count) != Ok(self.width) {
            return Err(self.malformed(&format!("a row has {count} fields")));
        }
        let known = self.fields.len();
        let base = self.data.len();
        let mut rest = &bytes[2..];
        for _ in 0..self.width {
            let field = rest.split_first_chunk().and_then(|(len, after)| {
                let len = i32::from_be_bytes(*len);
                Some((len, after, after.get(usize::try_from(len).unwrap_or(0)..)?))
            });
            let Some((len, value, after)) = field else {
                self.fields.truncate(known);
                return Ok(Step::Incomplete);
            };
            // A batch is cut long before its bytes pass what 32 bits can address (see the reader's limit).
            let start = u32::try_from(base + bytes.len() - value.len())
                .map_err(|_| self.malformed("a row is larger than 4 GB"))?;
            self.fields.push(FieldSpan { start, len });
            self.has_nulls |= len < 0;
            rest = after;
        }
        let size = bytes.len() - rest.len();
        self.data.extend_from_slice(&bytes[..size]);
        self.rows += 1;
        Ok(Step::Advanced(size))
    }

    fn malformed(&self, what: &str) -> Malformed {
        Malformed { width: self.width, what: what.to_owned() }
    }
}

pub(super) fn read_i32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The values of one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'a> {
    data: &'a [u8],
    fields: &'a [FieldSpan],
    first: usize,
    stride: usize,
    rows: usize,
    /// Whether any field here may be NULL.
    has_nulls: bool,
}

impl<'a> Column<'a> {
    /// A column whose fields stand one behind the other, e.g. the elements of arrays.
    pub(super) fn dense(data: &'a [u8], fields: &'a [FieldSpan]) -> Self {
        Self { data, fields, first: 0, stride: 1, rows: fields.len(), has_nulls: true }
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The bytes that the spans point into.
    pub(super) fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Where a value's bytes begin in them.
    pub(super) fn start(&self, row: usize) -> u32 {
        self.span(row).start
    }

    /// All places in order.
    #[inline]
    pub(super) fn spans(&self) -> impl Iterator<Item = FieldSpan> + use<'a> {
        let first = self.first;
        self.fields.chunks_exact(self.stride).map(move |row| row[first])
    }

    /// A value's bytes; `None` is NULL.
    pub(super) fn get(&self, row: usize) -> Option<&'a [u8]> {
        value(self.data, self.span(row))
    }

    /// All values in order.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let data = self.data;
        self.spans().map(move |span| value(data, span))
    }

    /// Which values are not NULL; nothing if all are.
    pub(super) fn nulls(&self) -> Option<NullBuffer> {
        if !self.has_nulls {
            return None;
        }
        let nulls = NullBuffer::new(BooleanBuffer::collect_bool(self.rows, |row| self.span(row).len >= 0));
        Some(nulls).filter(|nulls| nulls.null_count() > 0)
    }

    fn span(&self, row: usize) -> FieldSpan {
        self.fields[self.first + row * self.stride]
    }
}

/// Copies `len` bytes from a place to a place, and perhaps some more of what follows, but nothing beyond `limit`.
#[inline]
pub(super) fn copy(from: &[u8], start: usize, len: usize, out: &mut [u8], place: usize, limit: usize) {
    match from.get(start..start + SHORT) {
        Some(short) if len <= SHORT && place + SHORT <= limit => out[place..place + SHORT].copy_from_slice(short),
        _ => out[place..place + len].copy_from_slice(&from[start..start + len]),
    }
}

#[inline]
fn value(data: &[u8], span: FieldSpan) -> Option<&[u8]> {
    let len = usize::try_from(span.len).ok()?;
    let start = span.start as usize;
    Some(&data[start..start + len])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn stream(rows: &[&[Option<&[u8]>]]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for row in rows {
            bytes.extend((row.len() as i16).to_be_bytes());
            for field in *row {
                bytes.extend(field.map_or(-1, |value| value.len() as i32).to_be_bytes());
                bytes.extend(field.unwrap_or_default());
            }
        }
        bytes.extend((-1i16).to_be_bytes());
        bytes
    }

    #[test]
    fn rows_are_found_however_the_stream_is_cut() {
        let bytes = stream(&[&[Some(b"ab"), None], &[Some(b""), Some(b"xyz")]]);
        for size in 1..bytes.len() {
            let mut buffer = RowBuffer::new(2);
            bytes.chunks(size).for_each(|chunk| buffer.push(chunk).unwrap());
            assert!(buffer.is_finished());
            assert_eq!(buffer.rows(), 2);
            let values = |index| (0..2).map(|row| buffer.column(index).get(row)).collect::<Vec<_>>();
            assert_eq!(values(0), [Some(b"ab".as_slice()), Some(b"".as_slice())]);
            assert_eq!(values(1), [None, Some(b"xyz".as_slice())]);
        }
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let error = RowBuffer::new(3).push(&stream(&[&[None]])).unwrap_err();
        assert!(error.to_string().contains("a row has 1 fields"), "{error}");
    }
}
