//! Opening text files: unpacked, in UTF-8, without a byte order mark.

use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};

use super::data::DataFile;
use super::format::{Compression, of_name};

/// Large enough that unpacking works in good strides.
const BUFFER: usize = 256 << 10;

/// Opens a text file for reading.
pub(super) fn open(path: &DataFile, encoding: &'static Encoding) -> io::Result<Box<dyn BufRead + Send>> {
    let file = BufReader::with_capacity(BUFFER, path.open()?);
    let mut unpacked: Box<dyn BufRead + Send> = match of_name(&path.name()).1 {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(file))),
        Compression::Zstd => Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(file)?)),
    };
    if encoding == UTF_8 {
        // Arrow checks the rest for UTF-8 itself, so that the bytes needn't be copied.
        if unpacked.fill_buf()?.starts_with(&[0xEF, 0xBB, 0xBF]) {
            unpacked.consume(3);
        }
        return Ok(unpacked);
    }
    let transcoded = Transcoded { input: unpacked, decoder: encoding.new_decoder(), done: false };
    Ok(Box::new(BufReader::with_capacity(BUFFER, transcoded)))
}

/// Reads another encoding as UTF-8; malformed bytes are errors and never replaced.
struct Transcoded {
    input: Box<dyn BufRead + Send>,
    decoder: Decoder,
    done: bool,
}

impl Read for Transcoded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.done {
            let chunk = self.input.fill_buf()?;
            let last = chunk.is_empty();
            let (result, read, written, malformed) = self.decoder.decode_to_utf8(chunk, out, last);
            self.input.consume(read);
            if malformed {
                let name = self.decoder.encoding().name();
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("bytes that are not {name}")));
            }
            self.done = last && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::io::Write;

    use super::*;

    fn read(name: &str, bytes: &[u8], encoding: &str) -> io::Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut text = String::new();
        open(&DataFile::Local(path), Encoding::for_label(encoding.as_bytes()).unwrap())?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn packed_and_foreign_texts_are_read_as_utf8() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all("grün".as_bytes()).unwrap();
        assert_eq!(read("a.csv.gz", &gzip.finish().unwrap(), "utf-8").unwrap(), "grün");
        let zstd = zstd::encode_all("grün".as_bytes(), 1).unwrap();
        assert_eq!(read("a.csv.zst", &zstd, "utf-8").unwrap(), "grün");
        assert_eq!(read("a.csv", b"gr\xFCn", "windows-1252").unwrap(), "grün");
        assert_eq!(read("a.csv", b"\xFF\xFEg\0r\0\xFC\0n\0", "utf-16le").unwrap(), "grün");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(read("a.csv", b"\xEF\xBB\xBFx", "utf-8").unwrap(), "x");
    }

    #[test]
    fn malformed_bytes_are_an_error() {
        assert!(read("a.csv", b"\x81\x00\xFF", "shift_jis").is_err());
    }
}
