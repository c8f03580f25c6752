//! Change events of Debezium in JSON, with the schema embedded in each message or without (debezium.io, "Data change events" of its connectors).
//!
//! An event is an object with `op`, `before` and `after`; with an embedded schema it is the `payload` of one. The row that it is about is `after`, and `before` if it
//! is gone. A value that the database did not hand out, because it is stored out of line (TOAST) and the change has left it as it was, is written as a placeholder.

use super::json::{Refusal, members, scan::Scan};

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It was there when the source was first read.
    Read,
    Create,
    Update,
    Delete,
}

impl Operation {
    /// As Debezium writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
        }
    }
}

/// An event about one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub operation: Operation,
    /// The object with its columns.
    pub row: &'a [u8],
    /// Where that begins in the message, in bytes.
    pub at: usize,
    /// Where the change comes from.
    source: &'a [u8],
}

impl Change<'_> {
    /// Whether the row may hold the default of a column in place of NULL.
    pub(crate) fn has_defaults(&self) -> bool {
        self.source.windows(DEFAULTED.len()).any(|part| part == DEFAULTED)
    }
}

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    Change(Change<'a>),
    /// All rows of the table are gone.
    Truncate,
    /// Something that concerns no row, e.g. a message written with `pg_logical_emit_message`.
    Other,
}

/// What Debezium writes in place of a value that it was not handed: a text, its bytes in base64 or as numbers, or the UUID of their MD5; in lists and maps as well.
/// Of lists of other types it writes null, which says nothing.
const PLACEHOLDERS: [&[u8]; 8] = [
    b"\"__debezium_unavailable_value\"",
    b"\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
    b"[\"__debezium_unavailable_value\"]",
    b"[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]",
    b"[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,101]",
    b"[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]",
    br#""{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}""#,
    br#"{"__debezium_unavailable_value":"__debezium_unavailable_value"}"#,
];

/// The length of the placeholder that a value begins with.
#[inline]
pub(crate) fn placeholder(value: &[u8]) -> Option<usize> {
    match value.first() {
        Some(b'"' | b'[' | b'{') => PLACEHOLDERS.iter().find(|known| value.starts_with(known)).map(|known| known.len()),
        _ => None,
    }
}

/// The columns in the key of a message.
pub(crate) fn key(key: &[u8]) -> Option<Vec<String>> {
    let members = members::members(key).ok()?;
    let payload = members.iter().find(|(name, _)| name == "payload").filter(|_| members.len() == 2);
    let columns = match payload {
        Some((_, payload)) if members.iter().any(|(name, _)| name == "schema") => members::members(payload).ok()?,
        _ => members,
    };
    Some(columns.into_iter().map(|(name, _)| name).collect())
}

/// Members of an event that say something.
#[derive(Default)]
struct Members<'a> {
    op: Option<Part<'a>>,
    before: Option<Part<'a>>,
    after: Option<Part<'a>>,
    source: Option<Part<'a>>,
    payload: Option<Part<'a>>,
    schema: Option<Part<'a>>,
}

/// A value as it is written, and where.
#[derive(Clone, Copy)]
struct Part<'a> {
    value: &'a [u8],
    at: usize,
}

impl Part<'_> {
    fn is_null(&self) -> bool {
        self.value == b"null"
    }

    fn is_object(&self) -> bool {
        self.value.first() == Some(&b'{')
    }
}

/// Reads a message that has a value.
pub(crate) fn read(message: &[u8]) -> Result<Event<'_>, Refusal> {
    if let Err(error) = std::str::from_utf8(message) {
        return Err(Refusal { field: None, at: error.valid_up_to(), reason: "the message is not UTF-8" });
    }
    let members = members(Part { value: message, at: 0 })?;
    match members {
        Members { op: None, payload: Some(payload), schema: Some(_), .. } => match payload.is_null() {
            true => Ok(Event::Other),
            false => event(&self::members(payload)?, payload.at),
        },
        _ => event(&members, 0),
    }
}

fn event<'a>(members: &Members<'a>, at: usize) -> Result<Event<'a>, Refusal> {
    let refused = |at: usize, reason| Err(Refusal { field: None, at, reason });
    let Some(op) = members.op else { return refused(at, NO_EVENT) };
    let (operation, row, missing) = match op.value {
        b"\"r\"" => (Operation::Read, members.after, "the event has no row: `after` is missing or null"),
        b"\"c\"" => (Operation::Create, members.after, "the event has no row: `after` is missing or null"),
        b"\"u\"" => (Operation::Update, members.after, "the event has no row: `after` is missing or null"),
        b"\"d\"" => (Operation::Delete, members.before, NO_KEY),
        b"\"t\"" => return Ok(Event::Truncate),
        b"\"m\"" => return Ok(Event::Other),
        _ => return refused(op.at, "`op` is none of r, c, u, d, t and m"),
    };
    match row.filter(Part::is_object) {
        Some(Part { value, at }) => {
            let source = members.source.map_or(b"".as_slice(), |source| source.value);
            Ok(Event::Change(Change { operation, row: value, at, source }))
        }
        None => refused(row.map_or(op.at, |row| row.at), missing),
    }
}

/// What a converter writes that puts the default of a column in place of NULL (`replace.null.with.default`): this field of `source` is NULL in changes, and has
/// such a default.
const DEFAULTED: &[u8] = br#""snapshot":"false""#;

/// The reason why a message is refused that is none of Debezium's.
pub(crate) const NO_EVENT: &str = "the message is no change event: it has no `op`";

/// The reason why a delete is refused that does not say what it deletes.
pub(crate) const NO_KEY: &str = "a row was deleted, and the event does not say which: `before` is missing or null";

fn members(object: Part<'_>) -> Result<Members<'_>, Refusal> {
    let mut found = Members::default();
    let mut scan = Scan::new(object.value);
    let walked = walk(&mut scan, object.at, &mut found);
    walked.map(|()| found).map_err(|reason| Refusal { field: None, at: object.at + scan.at, reason })
}

fn walk<'a>(scan: &mut Scan<'a>, from: usize, found: &mut Members<'a>) -> Result<(), super::json::Reason> {
    if scan.next().is_none() {
        return Err("the message is empty");
    }
    if !scan.take(b'{') {
        return Err("the message is not a JSON object");
    }
    let mut ended = scan.take(b'}');
    while !ended {
        if scan.next() != Some(b'"') {
            return Err(scan.unexpected("the name of a field is missing here"));
        }
        let name = scan.string()?.raw;
        if !scan.take(b':') {
            return Err(scan.unexpected("a colon is missing here"));
        }
        scan.next();
        let start = scan.at;
        scan.skip()?;
        let part = Part { value: scan.since(start), at: from + start };
        let place = match name {
            b"op" => Some(&mut found.op),
            b"before" => Some(&mut found.before),
            b"after" => Some(&mut found.after),
            b"source" => Some(&mut found.source),
            b"payload" => Some(&mut found.payload),
            b"schema" => Some(&mut found.schema),
            _ => None,
        };
        if let Some(place) = place
            && place.replace(part).is_some()
        {
            return Err("the field is there twice");
        }
        ended = scan.take(b'}');
        if !ended && !scan.take(b',') {
            return Err(scan.unexpected("a comma or the end of the object is missing here"));
        }
    }
    match scan.next() {
        None => Ok(()),
        Some(_) => Err("something stands behind the object"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn change(message: &str) -> (Operation, String) {
        match read(message.as_bytes()).unwrap() {
            Event::Change(Change { operation, row, at, .. }) => {
                assert_eq!(&message.as_bytes()[at..at + row.len()], row);
                (operation, String::from_utf8(row.to_vec()).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_is_about_the_row_after_it_and_a_delete_about_the_one_before() {
        let event =
            |op: &str| format!(r#"{{"before":{{"id":1}},"after":{{"id":2}},"source":{{"op":"x"}},"op":"{op}"}}"#);
        for (op, operation, row) in [
            ("r", Operation::Read, r#"{"id":2}"#),
            ("c", Operation::Create, r#"{"id":2}"#),
            ("u", Operation::Update, r#"{"id":2}"#),
            ("d", Operation::Delete, r#"{"id":1}"#),
        ] {
            assert_eq!(change(&event(op)), (operation, row.to_owned()));
            assert_eq!(operation.as_str(), op);
            let embedded = format!(r#"{{"schema":{{"op":"d","fields":[]}}, "payload": {}}}"#, event(op));
            assert_eq!(change(&embedded), (operation, row.to_owned()));
        }
    }

    #[test]
    fn a_converter_that_writes_defaults_for_nulls_gives_itself_away() {
        let event =
            |snapshot: &str| format!(r#"{{"after":{{}},"source":{{"snapshot":{snapshot},"db":"x"}},"op":"c"}}"#);
        let has_defaults = |snapshot: &str| match read(event(snapshot).as_bytes()).unwrap() {
            Event::Change(change) => change.has_defaults(),
            other => panic!("{other:?}"),
        };
        assert!(has_defaults("\"false\"") && !has_defaults("null") && !has_defaults("\"last\""));
    }

    #[test]
    fn the_key_of_a_message_names_its_columns() {
        let columns = |text: &str| key(text.as_bytes()).map(|columns| columns.join(" "));
        assert_eq!(columns(r#"{"a":1,"b":"x"}"#).as_deref(), Some("a b"));
        assert_eq!(columns(r#"{"schema":{"type":"struct"},"payload":{"id":1}}"#).as_deref(), Some("id"));
        assert_eq!(columns("7"), None);
    }

    #[test]
    fn a_truncate_and_what_concerns_no_row_are_told_apart() {
        let read = |message: &'static str| read(message.as_bytes()).unwrap();
        assert_eq!(read(r#"{"before":null,"after":null,"op":"t"}"#), Event::Truncate);
        assert_eq!(read(r#"{"op":"m","message":{"prefix":"x"}}"#), Event::Other);
        assert_eq!(read(r#"{"schema":null,"payload":null}"#), Event::Other);
    }

    #[test]
    fn what_is_no_event_or_says_of_no_row_is_refused_where_it_is_wrong() {
        let refused = |message: &str| {
            let refusal = read(message.as_bytes()).unwrap_err();
            (refusal.at, refusal.reason)
        };
        assert_eq!(refused(r#"{"id":1}"#), (0, NO_EVENT));
        assert_eq!(refused(r#"{"op":"d","before":null}"#), (19, NO_KEY));
        assert_eq!(refused(r#"{"op":"z"}"#), (6, "`op` is none of r, c, u, d, t and m"));
        assert_eq!(refused(r#"{"op":"c","op":"d"}"#).1, "the field is there twice");
        assert_eq!(refused(r#"{"op":"u","after":[1]}"#).1, "the event has no row: `after` is missing or null");
        assert_eq!(refused(r#"{"schema":{},"payload":{"op":"u","after":{"a":1}"#).1, "the message ends in the middle");
        assert_eq!(refused("[]").1, "the message is not a JSON object");
    }

    #[test]
    fn placeholders_are_whole_values() {
        let long = b"\"__debezium_unavailable_value\",\"b\":1}";
        assert_eq!(placeholder(long), Some(30));
        for other in ["\"__debezium_unavailable_value2\"", "null", "\"\"", "[\"__debezium_unavailable_value\",1]", "7"]
        {
            assert_eq!(placeholder(other.as_bytes()), None, "{other}");
        }
    }
}
