//! Sealing secrets: AES-256-GCM under one master key.
//!
//! The workspace and the name of the connection are bound in, so that a sealed row is worth nothing under another name.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;

use crate::{Result, StoreError};

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Name of the key file in the data directory.
const FILE: &str = "master.key";

/// The key that seals every secret in the store.
pub struct MasterKey {
    key: LessSafeKey,
    derives: hmac::Key,
}

/// The key itself is never shown.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// The key from the given text (`HEADWATER_MASTER_KEY`), else from `master.key` in the data directory, which is made with mode
    /// 0600 at first use.
    pub fn load(text: Option<&str>, data_dir: &Path) -> Result<Self> {
        match text {
            Some(text) => Self::parse(text).ok_or_else(|| {
                StoreError::invalid("HEADWATER_MASTER_KEY is not a key of 32 bytes")
                    .hint("it is 64 hexadecimal digits or base64; `openssl rand -hex 32` makes one")
            }),
            None => Self::from_file(&data_dir.join(FILE)),
        }
    }

    /// A key of exactly these bytes.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| StoreError::bug("a key of 32 bytes was refused"))?;
        Ok(Self { key: LessSafeKey::new(key), derives: hmac::Key::new(hmac::HMAC_SHA256, bytes) })
    }

    /// A secret of its own for a purpose: it says nothing of the key, nor of other purposes' secrets.
    pub fn derive(&self, purpose: &str) -> Vec<u8> {
        hmac::sign(&self.derives, purpose.as_bytes()).as_ref().to_vec()
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = hex::decode(text).ok().or_else(|| from_base64(text))?;
        Self::from_bytes(&bytes.try_into().ok()?).ok()
    }

    fn from_file(path: &Path) -> Result<Self> {
        let fail = |error: std::io::Error| {
            StoreError::invalid(format!("the master key {} can't be used: {error}", path.display()))
                .hint("give the key in HEADWATER_MASTER_KEY, or make the data directory writable")
                .caused_by(error)
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        if !path.exists() {
            make_file(path).map_err(fail)?;
        }
        let mode = std::fs::metadata(path).map_err(fail)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(StoreError::invalid(format!("others can read the master key {}", path.display()))
                .hint(format!("chmod 600 {}", path.display())));
        }
        let mut text = String::new();
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).map_err(fail)?;
        if let Some(key) = Self::parse(&text) {
            return Ok(key);
        }
        Err(StoreError::invalid(format!("{} holds no key of 32 bytes", path.display()))
            .hint("restore it from a backup: without it the stored secrets can't be read"))
    }

    /// nonce, ciphertext, tag.
    pub(crate) fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
            .map_err(|_| StoreError::bug("a secret could not be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// `None` if the key is another one or the bytes were changed or moved.
    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = rest.to_vec();
        let length = self.key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// Makes a key file that nobody ever sees half-written: written under another name and linked to its place, unless another
/// process was first.
fn make_file(path: &Path) -> std::io::Result<()> {
    let draft = path.with_extension(format!("{:016x}", rand::random::<u64>()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let key: [u8; KEY_LEN] = rand::random();
    file.write_all(hex::encode(key).as_bytes()).and_then(|()| file.sync_all())?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// Standard or URL-safe base64, padded or not. A key is all that is ever read, so this stays small.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0u32);
    for character in text.trim_end_matches('=').bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_sealed_opens_only_under_the_same_key_and_name() {
        let key = MasterKey::from_bytes(&[7; 32]).unwrap();
        let sealed = key.seal(b"ws/shop", b"postgres://app:secret@db/shop").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(key.open(b"ws/shop", &sealed).unwrap(), b"postgres://app:secret@db/shop");
        assert!(key.open(b"ws/lake", &sealed).is_none());
        assert!(MasterKey::from_bytes(&[8; 32]).unwrap().open(b"ws/shop", &sealed).is_none());
        let mut changed = sealed.clone();
        changed[20] ^= 1;
        assert!(key.open(b"ws/shop", &changed).is_none());
        assert_ne!(key.seal(b"a", b"b").unwrap(), key.seal(b"a", b"b").unwrap());
    }

    #[test]
    fn a_key_is_read_as_hexadecimal_and_as_base64() {
        let hexadecimal = "00".repeat(32);
        let base64 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let sealed = MasterKey::parse(&hexadecimal).unwrap().seal(b"", b"x").unwrap();
        assert_eq!(MasterKey::parse(base64).unwrap().open(b"", &sealed).unwrap(), b"x");
        assert!(MasterKey::parse("too short").is_none());
    }

    #[test]
    fn the_key_file_is_made_once_and_refused_if_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = MasterKey::load(None, folder.path()).unwrap().seal(b"", b"x").unwrap();
        assert_eq!(MasterKey::load(None, folder.path()).unwrap().open(b"", &sealed).unwrap(), b"x");
        let file = folder.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = MasterKey::load(None, folder.path()).unwrap_err();
        assert!(error.hint.unwrap().starts_with("chmod 600"));
    }
}
