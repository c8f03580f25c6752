//! Keys of providers, and texts of providers made fit to be shown.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};

/// A provider's message is cut after this many characters: it may quote the whole request.
const LONGEST_MESSAGE: usize = 300;

/// A text that no log, error or report shows.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text in.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(super) fn inner(&self) -> &SecretString {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A provider's text without the key, without control characters, and not too long.
pub(super) fn shown(text: &str, key: Option<&Secret>) -> String {
    let text = match key.map(Secret::expose).filter(|key| !key.is_empty()) {
        Some(key) => text.replace(key, "***"),
        None => text.to_owned(),
    };
    let mut plain: String =
        text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).take(LONGEST_MESSAGE + 1).collect();
    if plain.chars().count() > LONGEST_MESSAGE {
        plain = plain.chars().take(LONGEST_MESSAGE).collect();
        plain.push('…');
    }
    plain.trim().to_owned()
}

/// Characters that move a cursor, reorder a line or can't be seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("sk-very-secret".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn a_providers_message_is_bounded_and_loses_keys_and_control_characters() {
        let key = Secret::new("sk-1".to_owned());
        assert_eq!(shown("key sk-1\u{1b}[2J is\n\u{202e}wrong", Some(&key)), "key *** [2J is  wrong");
        assert_eq!(shown(&"x".repeat(5_000), None).chars().count(), 301);
    }
}
