//! Which names are those of secrets, and which values are none.

/// Words in the names of secrets, without dashes and underscores.
const SECRET_WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
    "apikey",
    "accesskey",
    "accountkey",
    "secretkey",
    "privatekey",
    "authorization",
];

/// Parts of the names of settings that hold a secret, between dashes and underscores. They are no word of one elsewhere.
const SECRET_PARTS: [&str; 3] = ["pass", "sas", "signature"];

/// Settings that hold a secret if they are called exactly so.
const SECRET_SETTINGS: [&str; 4] = ["key", "sig", "sharedkey", "dbpass"];

/// Settings whose names look like a secret's and that name something public: a user, a file.
const PUBLIC_ENDINGS: [&str; 5] = ["id", "file", "path", "url", "type"];

/// Longer names are none of a secret.
pub(super) const MAX_NAME: usize = 64;

/// Whether a setting of a connection, or a parameter of a URL, holds a secret. Their names are those of systems: whatever has such a word in it does.
pub(super) fn is_secret_setting(name: &str) -> bool {
    let bare = bare(name);
    let has_part = || name.to_lowercase().split(['_', '-']).any(|part| SECRET_PARTS.contains(&part));
    let has_word = SECRET_WORDS.iter().any(|word| bare.contains(word)) || has_part();
    let is_public = PUBLIC_ENDINGS.iter().any(|ending| bare.ends_with(ending));
    (has_word && !is_public) || SECRET_SETTINGS.contains(&bare.as_str())
}

/// Whether a key anywhere in a file says that its value is secret. Outside of connections names are the authors' own: a `token_count` or a
/// `password_hash` is data.
pub(super) fn is_secret_key(key: &str) -> bool {
    let bare = bare(key);
    key.len() <= MAX_NAME && SECRET_WORDS.iter().any(|word| bare.ends_with(word))
}

/// A name in lower case, without dashes and underscores.
fn bare(name: &str) -> String {
    name.chars().take(MAX_NAME).filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// Whether a text consists of references such as `${NAME}` and nothing else.
pub(super) fn is_reference(text: &str) -> bool {
    let mut rest = text.trim();
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let Some((name, behind)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) else { return false };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        rest = behind;
    }
    true
}

/// Whether a value that should be secret is: it is there and names no variable.
pub(super) fn is_literal(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    !value.is_empty() && !is_reference(value)
}
