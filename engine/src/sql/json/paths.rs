//! Parts of documents: by key, by index, by path.

use super::read::{self, Reader, Start};
use super::value::{Failure, Value};
use super::write;

/// A whole number as the steps of a path have it: blanks and a sign may stand before it.
pub(super) fn index(text: &str) -> Option<i32> {
    let digits = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let bare = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A place counted from the end if it is negative.
fn place(index: i32, count: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(place) => Some(place).filter(|place| *place < count),
        Err(_) => count.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// `jsonb -> index`. A scalar is an array of one here.
pub(super) fn element(value: &Value, index: i32) -> Option<&Value> {
    match value {
        Value::Array(elements) => elements.get(place(index, elements.len())?),
        Value::Object(_) => None,
        scalar => place(index, 1).map(|_| scalar),
    }
}

/// `jsonb #> path`
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(_) => value.get(step),
        Value::Array(elements) => elements.get(place(index(step)?, elements.len())?),
        _ => None,
    })
}

/// A step into json, which is read as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    key: Option<&'a str>,
    index: Option<i32>,
}

impl<'a> Step<'a> {
    /// `json -> key`
    pub(super) fn key(key: &'a str) -> Self {
        Self { key: Some(key), index: None }
    }

    /// `json -> index`
    pub(super) fn index(index: i32) -> Self {
        Self { key: None, index: Some(index) }
    }

    /// A step of a path, which is a key or an index as the document has it.
    pub(super) fn of_path(text: &'a str) -> Self {
        Self { key: Some(text), index: index(text) }
    }
}

/// The part of json that a path leads to, as it is written. Of several, under keys that are there more than once, the last.
pub(super) fn part<'a>(text: &'a str, path: &[Step<'_>]) -> Result<Option<&'a str>, Failure> {
    let mut reader = Reader::new(text, true);
    let mut search = Search { path: path.to_vec(), found: None };
    search.walk(&mut reader, 0, true)?;
    reader.end()?;
    // Postgres keeps the blanks before a document that is a scalar.
    let from_start = path.is_empty() && Reader::new(text, true).start().1 == Start::Scalar;
    Ok(search.found.and_then(|(from, to)| text.get(if from_start { 0 } else { from }..to)))
}

struct Search<'a> {
    path: Vec<Step<'a>>,
    /// Where the part begins and where it ends.
    found: Option<(usize, usize)>,
}

impl Search<'_> {
    /// Goes past a value at a level of the document; the path may have led to it.
    fn walk(&mut self, reader: &mut Reader<'_>, level: usize, is_on_path: bool) -> Result<(), Failure> {
        let (from, start) = reader.start();
        if level == self.path.len() {
            reader.skip()?;
            if is_on_path {
                self.found = Some((from, reader.place()));
            }
            return Ok(());
        }
        match start {
            Start::Object => reader.members(|reader, key| {
                let is_wanted = is_on_path && self.path[level].key == Some(key.as_str());
                self.walk(reader, level + 1, is_wanted)
            }),
            Start::Array => {
                // The first array at a level says which element is meant from the end, be it on the path or not.
                if let Some(index) = self.path[level].index.filter(|index| *index < 0) {
                    let count = elements(&mut reader.clone())?;
                    if let Some(place) = place(index, count) {
                        self.path[level].index = i32::try_from(place).ok();
                    }
                }
                let wanted = self.path[level].index.and_then(|index| usize::try_from(index).ok());
                let mut at = 0;
                reader.elements(|reader| {
                    let is_wanted = is_on_path && wanted == Some(at);
                    at += 1;
                    self.walk(reader, level + 1, is_wanted)
                })
            }
            Start::Scalar => reader.skip(),
        }
    }
}

fn elements(reader: &mut Reader<'_>) -> Result<usize, Failure> {
    let mut count = 0;
    reader.elements(|reader| {
        count += 1;
        reader.skip()
    })?;
    Ok(count)
}

/// A part of json as `->>` gives it: a text without its quotes, and nothing for null.
pub(super) fn plain(part: &str) -> Result<Option<String>, Failure> {
    Ok(match part.trim_start() {
        "null" => None,
        text if text.starts_with('"') => write::plain(&read::jsonb(text)?),
        _ => Some(part.to_owned()),
    })
}

/// `json_typeof`, of what is known to be json.
pub(super) fn kind(text: &str) -> &'static str {
    let (from, start) = Reader::new(text, false).start();
    match (start, text.as_bytes().get(from)) {
        (Start::Object, _) => "object",
        (Start::Array, _) => "array",
        (_, Some(b'"')) => "string",
        (_, Some(b't' | b'f')) => "boolean",
        (_, Some(b'n')) => "null",
        _ => "number",
    }
}

/// `json_array_length`
pub(super) fn length(text: &str) -> Result<usize, Failure> {
    let mut reader = Reader::new(text, false);
    match reader.start().1 {
        Start::Array => elements(&mut reader),
        Start::Object => Err("an object has no length".to_owned()),
        Start::Scalar => Err("a scalar has no length".to_owned()),
    }
}

/// The elements of a json array: as they are written, or as `->>` gives them.
pub(super) fn elements_of(text: &str, is_plain: bool) -> Result<Vec<Option<String>>, Failure> {
    let mut reader = Reader::new(text, is_plain);
    if reader.start().1 != Start::Array {
        return Err("only an array has elements".to_owned());
    }
    let mut found = Vec::new();
    reader.elements(|reader| {
        let (from, _) = reader.start();
        reader.skip()?;
        let element = text.get(from..reader.place()).unwrap_or("");
        found.push(if is_plain { plain(element)? } else { Some(element.to_owned()) });
        Ok(())
    })?;
    Ok(found)
}

/// The keys of a json object, as often as they are there.
pub(super) fn keys_of(text: &str) -> Result<Vec<Option<String>>, Failure> {
    let mut reader = Reader::new(text, true);
    if reader.start().1 != Start::Object {
        return Err("only an object has keys".to_owned());
    }
    let mut found = Vec::new();
    reader.members(|reader, key| {
        found.push(Some(key));
        reader.skip()
    })?;
    Ok(found)
}
