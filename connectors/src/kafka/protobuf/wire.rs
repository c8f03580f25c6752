//! Protobuf's encoding, value by value. Nothing is allocated by a length that the message does not hold.

use super::{Fault, MOST_DEPTH};
use crate::kafka::schemas::Reason;

const SHORT: Reason = "the message ends in the middle of a value";

const LONG: Reason = "an integer has more than 64 bits";

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Seven bits in each byte, the lowest first.
    Varint,
    Fixed64,
    /// A length, and so many bytes.
    Bytes,
    /// The start of a group, which lasts to its end.
    Start,
    End,
    Fixed32,
}

/// Bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub from: usize,
    pub to: usize,
}

/// A place in a part of a message.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    /// Of the message, up to the part's end.
    bytes: &'a [u8],
    /// Bytes from the message's start.
    pub at: usize,
}

/// Signs zigzag.
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl<'a> Cursor<'a> {
    pub(super) fn new(message: &'a [u8], from: usize, to: usize) -> Self {
        let to = to.min(message.len());
        Self { bytes: &message[..to], at: from.min(to) }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn fault<T>(&self, reason: Reason) -> Result<T, Fault> {
        Err(Fault { at: self.at, reason })
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let Some(byte) = self.bytes.get(self.at).copied() else { return self.fault(SHORT) };
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || (shift == 63 && bits > 1) {
                return self.fault(LONG);
            }
            self.at += 1;
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        match self.bytes[self.at..].get(..count) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.fault(SHORT),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| Fault { at, reason: SHORT })
    }

    /// What is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// The number of a field, and how its value is written.
    #[inline]
    pub(super) fn tag(&mut self) -> Result<(u32, Wire), Fault> {
        /// The largest number that a field may have.
        const MOST: u64 = (1 << 29) - 1;
        let at = self.at;
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            3 => Wire::Start,
            4 => Wire::End,
            5 => Wire::Fixed32,
            _ => return Err(Fault { at, reason: "a field has a wire type that there is not" }),
        };
        match u32::try_from(tag >> 3) {
            Ok(number) if (1..=MOST).contains(&(tag >> 3)) => Ok((number, wire)),
            _ => Err(Fault { at, reason: "a field has a number that no field may have" }),
        }
    }

    /// Passes over the value of a field. Returns where it is, without its length, or the group's ends.
    #[inline]
    pub(super) fn value(&mut self, number: u32, wire: Wire) -> Result<Span, Fault> {
        let from = self.at;
        match wire {
            Wire::Varint => drop(self.varint()?),
            Wire::Fixed64 => drop(self.take(8)?),
            Wire::Fixed32 => drop(self.take(4)?),
            Wire::Bytes => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let from = self.at;
                if length > self.bytes.len() - from {
                    return self.fault("a length is larger than what is left of the message");
                }
                self.at += length;
                return Ok(Span { from, to: self.at });
            }
            Wire::Start => return self.group(number),
            Wire::End => return self.fault("a group ends that has not begun"),
        }
        Ok(Span { from, to: self.at })
    }

    /// Passes over a group, and over those inside of it.
    fn group(&mut self, number: u32) -> Result<Span, Fault> {
        let (from, mut open) = (self.at, vec![number]);
        loop {
            let to = self.at;
            match self.tag()? {
                (number, Wire::Start) if open.len() < MOST_DEPTH => open.push(number),
                (_, Wire::Start) => return self.fault(super::TOO_DEEP),
                (number, Wire::End) if open.pop() == Some(number) => {
                    if open.is_empty() {
                        return Ok(Span { from, to });
                    }
                }
                (_, Wire::End) => return self.fault("another group ends than the one that has begun"),
                (number, wire) => drop(self.value(number, wire)?),
            }
        }
    }
}
