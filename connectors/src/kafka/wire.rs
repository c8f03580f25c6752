//! Kafka's wire format: the primitive types of <https://kafka.apache.org/protocol> (version 4.1), big-endian.

/// A request's bytes.
#[derive(Debug, Default)]
pub(super) struct Out(pub Vec<u8>);

impl Out {
    pub(super) fn int8(&mut self, value: i8) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn int16(&mut self, value: i16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn int32(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn int64(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A count of so many entries.
    pub(super) fn count(&mut self, count: usize) -> &mut Self {
        self.int32(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// STRING. Longer ones than it can hold are cut, which no name is.
    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
        let kept = usize::try_from(length).unwrap_or_default();
        self.int16(length).bytes(&text.as_bytes()[..kept])
    }

    /// UNSIGNED_VARINT.
    pub(super) fn varint(&mut self, mut value: u32) -> &mut Self {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7F).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or_default());
        self
    }

    /// COMPACT_STRING.
    pub(super) fn compact(&mut self, text: &str) -> &mut Self {
        self.varint(u32::try_from(text.len()).unwrap_or(u32::MAX - 1) + 1).bytes(text.as_bytes())
    }
}

/// An answer is not what the protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

type Read<T> = Result<T, Malformed>;

/// An answer's bytes.
#[derive(Debug)]
pub(super) struct In<'a>(pub &'a [u8]);

impl<'a> In<'a> {
    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn boolean(&mut self) -> Read<bool> {
        Ok(self.array::<1>()? != [0])
    }

    pub(super) fn int16(&mut self) -> Read<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn int32(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn int64(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn uuid(&mut self) -> Read<[u8; 16]> {
        self.array()
    }

    /// The length of an ARRAY; a missing one is empty.
    pub(super) fn count(&mut self) -> Read<usize> {
        let count = self.int32()?;
        self.bounded(u32::try_from(count).unwrap_or_default())
    }

    /// NULLABLE_STRING; a missing one is empty.
    pub(super) fn string(&mut self) -> Read<String> {
        let length = usize::try_from(self.int16()?).unwrap_or_default();
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// UNSIGNED_VARINT.
    pub(super) fn varint(&mut self) -> Read<u32> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7F).checked_shl(shift).ok_or(Malformed)?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// The length of a COMPACT_ARRAY; a missing one is empty.
    pub(super) fn compact_count(&mut self) -> Read<usize> {
        let count = self.varint()?.saturating_sub(1);
        self.bounded(count)
    }

    /// COMPACT_NULLABLE_STRING; a missing one is empty.
    pub(super) fn compact(&mut self) -> Read<String> {
        let length = self.compact_count()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// Skips tagged fields, of which we know none.
    pub(super) fn tags(&mut self) -> Read<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
            self.take(length)?;
        }
        Ok(())
    }

    /// Every entry has at least one byte, so that a false count reserves no memory.
    fn bounded(&self, count: u32) -> Read<usize> {
        usize::try_from(count).ok().filter(|count| *count <= self.0.len()).ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_noise_is_an_error(number: u32, text: String, noise: Vec<u8>) {
            let mut out = Out::default();
            out.varint(number).compact(&text).string("x").int64(-5);
            let mut input = In(&out.0);
            prop_assert_eq!(input.varint(), Ok(number));
            prop_assert_eq!(input.compact().unwrap(), text);
            prop_assert_eq!(input.string().unwrap(), "x");
            prop_assert_eq!(input.int64(), Ok(-5));
            prop_assert_eq!(input.int16(), Err(Malformed));
            let mut input = In(&noise);
            let _ = (input.tags(), input.compact(), input.count(), input.string());
        }
    }
}
