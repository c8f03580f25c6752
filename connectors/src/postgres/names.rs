//! Names and literals in SQL. Everything that a user or a catalog names passes through here.

use headwater_engine::{EngineError, Result};

use super::session::Session;

/// Bytes of a name, unless a server was built for others.
const USUAL_MOST_BYTES: usize = 63;

/// An identifier, always quoted: mixed case, reserved words and any characters stay what they are.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A path of identifiers joined by dots.
pub(super) fn path(parts: &[impl AsRef<str>]) -> String {
    parts.iter().map(|part| ident(part.as_ref())).collect::<Vec<_>>().join(".")
}

/// A list of identifiers.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(ident).collect::<Vec<_>>().join(", ")
}

/// A string literal that means the same whatever `standard_conforming_strings` is.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Refuses names that the server would cut: two of them could become one, and a second load would not find its own.
pub(super) async fn refuse_long<'a>(
    session: &Session,
    names: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Result<()> {
    let long: Vec<(&str, &str)> = names.into_iter().filter(|(_, name)| name.len() > USUAL_MOST_BYTES).collect();
    if long.is_empty() {
        return Ok(());
    }
    let most = session.value("asking for the length of names", "SHOW max_identifier_length").await?;
    let most = most.and_then(|most| most.parse().ok()).unwrap_or(USUAL_MOST_BYTES);
    match long.iter().find(|(_, name)| name.len() > most) {
        Some((kind, name)) => Err(EngineError::config(format!(
            "the name of the {kind} {name} has {} bytes, and Postgres keeps {most}",
            name.len()
        ))
        .hint("give it a shorter name, e.g. with AS in a transform")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(path(&["Sales", "a\"b"]), "\"Sales\".\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }
}
