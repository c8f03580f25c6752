//! Secrets in what a person says: in a prompt, and in texts that repeat parts of it.

use super::mask::cover;
use super::names::is_literal;
use super::text::{Sort, secrets};
use crate::yaml::Span;

/// Shorter secrets are not looked for in other texts: they are ordinary words too.
const MIN_SECRET: usize = 4;

/// Words after which a sentence says a password.
const NAMES: [&str; 4] = ["password", "passwd", "passphrase", "pwd"];

/// The secrets that a prompt writes out. A text that repeats a part of the prompt may hold one without the name that gives it away.
pub struct SaidSecrets(Vec<String>);

/// Secrets are never shown.
impl std::fmt::Debug for SaidSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SaidSecrets").field(&self.0.len()).finish()
    }
}

impl SaidSecrets {
    /// The secrets of a prompt.
    pub fn of(prompt: &str) -> Self {
        let bare = |span: Span| prompt[span].trim().trim_matches(['"', '\'']).to_owned();
        Self(spans(prompt).into_iter().map(bare).filter(|secret| secret.len() >= MIN_SECRET).collect())
    }

    /// A text without these secrets, and without those that it shows by itself. Each character stands where it stood.
    pub fn mask(&self, text: &str) -> String {
        let repeated = self
            .0
            .iter()
            .flat_map(|secret| text.match_indices(secret.as_str()).map(|(start, found)| start..start + found.len()));
        cover(text, spans(text).into_iter().chain(repeated).collect())
    }
}

fn spans(text: &str) -> Vec<Span> {
    let written = secrets(text, Sort::Prose).into_iter().map(|secret| secret.span);
    written.chain(said(text)).collect()
}

/// Values that follow such a name without any sign between them: `password hunter22`, `the password is hunter22`. What has letters alone may be a word
/// of the sentence.
fn said(text: &str) -> Vec<Span> {
    let mut words = Vec::new();
    let mut at = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        words.push(at..at + word.trim_end().len());
        at += word.len();
    }
    words.retain(|span| !span.is_empty());
    let is_name = |span: &Span| NAMES.iter().any(|name| text[span.clone()].eq_ignore_ascii_case(name));
    let mut found = Vec::new();
    for (index, _) in words.iter().enumerate().filter(|(_, span)| is_name(span)) {
        let mut behind = words[index + 1..].iter().filter(|span| !matches!(&text[(*span).clone()], "is" | "=" | ":"));
        let Some(span) = behind.next() else { continue };
        let value = text[span.clone()].trim_end_matches(['.', ',', ';', '!', '?']);
        if value.len() >= MIN_SECRET && !value.chars().all(char::is_alphabetic) && is_literal(value) {
            found.push(span.start..span.start + value.len());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_prompt_is_masked_whatever_stands_around_it() {
        for prompt in [
            "load postgres://ada:hunter22@db/shop into lake.x, overwrite",
            "use password=hunter22 and load orders",
            "use \"password\": \"hunter22\", then load orders",
            "log in with password hunter22, then load orders",
            "the password is hunter22",
            "PASSWORD hunter22!",
        ] {
            let masked = SaidSecrets::of(prompt).mask(prompt);
            assert!(!masked.contains("hunter22"), "{masked}");
            assert_eq!(masked.len(), prompt.len(), "{masked}");
        }
    }

    #[test]
    fn what_repeats_a_secret_of_the_prompt_is_masked_with_it() {
        let said = SaidSecrets::of("use password=hunter22 and load orders");
        assert_eq!(
            said.mask("the words 'hunter22 and load' asked for it"),
            "the words 'xxxxxxxx and load' asked for it"
        );
    }

    #[test]
    fn a_sentence_without_secrets_stays_as_it_is() {
        for prompt in [
            "load token_count and password_changed_at of users into lake.users, overwrite",
            "count users where password is empty",
            "load orders where status is paid into lake.paid",
            "${PASSWORD} stays, and so does password ${PASSWORD}",
        ] {
            assert_eq!(SaidSecrets::of(prompt).mask(prompt), prompt);
        }
    }
}
