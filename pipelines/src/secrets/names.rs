//! Which names are those of secrets, and which values are none.

/// Parts of the names of settings that hold secrets.
const SECRET_PARTS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "private_key",
    "access_key",
    "account_key",
    "api_key",
    "apikey",
    "signature",
    "sas_",
];

/// Settings whose names look like a secret's and that name something public: a user, a file.
const PUBLIC_ENDINGS: [&str; 5] = ["_id", "_file", "_path", "_url", "_type"];

/// What the names of secrets end with, without dashes and underscores. Outside of connections names are the authors' own:
/// a `token_count` or a `password_hash` is data.
const SECRET_ENDINGS: [&str; 12] = [
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
    "secretkey",
    "privatekey",
];

/// Longer names are none of a secret.
pub(super) const MAX_NAME: usize = 64;

/// Whether a setting of a connection, or a parameter of a URL, holds a secret.
pub(super) fn is_secret_setting(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    let public = PUBLIC_ENDINGS.iter().any(|ending| name.ends_with(ending));
    let secret = SECRET_PARTS.iter().any(|part| name.contains(part)) || matches!(name.as_str(), "key" | "sig" | "sas");
    secret && !public
}

/// Whether a key anywhere in a file says that its value is secret.
pub(super) fn is_secret_key(key: &str) -> bool {
    if key.len() > MAX_NAME {
        return false;
    }
    let name: String = key.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
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

/// Whether a value that should be secret is: it is there, names no variable and is not masked already.
pub(super) fn is_literal(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    !value.is_empty() && !is_reference(value) && !super::mask::is_masked(value)
}
