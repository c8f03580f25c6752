//! Names and literals in SQL. Everything that a user or a catalog names passes through here.

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
