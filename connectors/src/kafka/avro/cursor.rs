//! Avro's binary encoding, value by value. Nothing is allocated by a length that the message does not hold.

use crate::kafka::schemas::{Reason, Steps};

const SHORT: Reason = "the message ends in the middle of its record";

/// A place in a message.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Bytes from the message's start.
    pub at: usize,
    steps: Steps,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()), steps: Steps::of(bytes) }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Counts a value. A schema of nested records without any bytes would have more of them than there is time for.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), Reason> {
        self.steps.step()
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Reason> {
        let byte = *self.bytes.get(self.at).ok_or(SHORT)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let taken = self.bytes[self.at..].get(..count).ok_or(SHORT)?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        self.take(N)?.try_into().map_err(|_| SHORT)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Reason> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("a boolean is neither 0 nor 1"),
        }
    }

    /// An integer of 64 bits, seven in each byte, the lowest first, signs zigzag.
    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, Reason> {
        const LONG: Reason = "an integer has more than 64 bits";
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || (shift == 63 && bits > 1) {
                return Err(LONG);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
            shift += 7;
        }
    }

    #[inline]
    pub(super) fn int(&mut self) -> Result<i32, Reason> {
        i32::try_from(self.long()?).map_err(|_| "an integer has more than 32 bits")
    }

    pub(super) fn float(&mut self) -> Result<f32, Reason> {
        self.array().map(f32::from_le_bytes)
    }

    pub(super) fn double(&mut self) -> Result<f64, Reason> {
        self.array().map(f64::from_le_bytes)
    }

    /// A length in bytes, which the message has to hold.
    pub(super) fn length(&mut self) -> Result<usize, Reason> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| "a length is negative")?;
        if length > self.left() { Err("a length is larger than what is left of the message") } else { Ok(length) }
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Reason> {
        let length = self.length()?;
        self.take(length)
    }

    #[inline]
    pub(super) fn string(&mut self) -> Result<&'a str, Reason> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a string is not UTF-8")
    }

    /// The number of a branch of a union or of a symbol of an enum.
    #[inline]
    pub(super) fn index(&mut self, count: usize, wrong: Reason) -> Result<usize, Reason> {
        usize::try_from(self.long()?).ok().filter(|index| *index < count).ok_or(wrong)
    }

    /// Visits the items of a list or map, which come in blocks.
    pub(super) fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Reason>) -> Result<(), Reason> {
        loop {
            let count = self.long()?;
            let end = match count {
                0 => return Ok(()),
                1.. => None,
                // The block's length in bytes follows.
                _ => Some(self.length()?).map(|length| self.at + length),
            };
            for _ in 0..count.unsigned_abs() {
                self.step()?;
                item(self)?;
            }
            if end.is_some_and(|end| end != self.at) {
                return Err("a block of a list or map is not as long as it says");
            }
        }
    }
}
