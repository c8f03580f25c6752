//! From a YAML tree to typed values, reporting every mistake of a file instead of the first.
//!
//! Serde stops at the first error. Here the error carries the path of the offending entry; the entry is corrected or taken
//! out of the tree and reading starts again, until it succeeds. What is left is checked further, so that one mistake does
//! not hide the others. What was taken out is remembered as lost, so that nothing which merely follows from a mistake is
//! reported beside it.

use serde::de::DeserializeOwned;

use crate::diagnostic::{Code, Finding, nearest};
use crate::yaml::{Entry, Node, Span, Value};

mod error;
mod nodes;
mod scalar;

pub use error::DecodeError;

use error::Mistake;

/// Reading starts again after each mistake. These bound the work on a hostile file: so many values are visited in all, and
/// so many mistakes are looked for however large the file is.
const MAX_VISITS: usize = 5_000_000;
const MIN_ROUNDS: usize = 10;

/// One step of a path into the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A mapping's key.
    Key(String),
    /// A list's index.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// What reading gave.
#[derive(Debug)]
pub struct Decoded<T> {
    /// The value; `None` only if the root itself can't be read.
    pub value: Option<T>,
    /// Everything that is wrong.
    pub findings: Vec<Found>,
    /// What was taken out of the tree.
    pub lost: Lost,
}

/// A finding, its path in the tree at that time and its place.
#[derive(Debug)]
pub struct Found {
    /// Leads to the faulty value.
    pub path: Vec<Step>,
    /// Where it stands.
    pub span: Span,
    /// What is wrong.
    pub finding: Finding,
}

/// Paths of values that could not be read. Nothing is known about them: they are neither there nor missing.
#[derive(Debug, Clone, Default)]
pub struct Lost(Vec<Vec<Step>>);

impl Lost {
    /// Whether the value at this path was lost.
    pub fn at(&self, path: &[Step]) -> bool {
        self.0.iter().any(|lost| lost == path)
    }

    /// Whether this value, or anything in it, was lost.
    pub fn within(&self, path: &[Step]) -> bool {
        self.0.iter().any(|lost| lost.starts_with(path))
    }

    /// The names of the entries of a mapping that were lost.
    pub fn names<'a>(&'a self, mapping: &'a [Step]) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |lost| match lost.strip_prefix(mapping) {
            Some([Step::Key(name)]) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Every lost path.
    pub fn paths(&self) -> impl Iterator<Item = &[Step]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Adds values about which nothing is known.
    pub(crate) fn extend(&mut self, paths: Vec<Vec<Step>>) {
        self.0.extend(paths);
    }

    fn key(&mut self, path: Vec<Step>) {
        self.0.push(path);
    }

    /// Items behind a lost one move up, and so do the paths of what was lost in them.
    fn item(&mut self, list: &[Step], index: usize) {
        self.0.retain(|lost| !lost.starts_with(&[list, &[Step::Index(index)]].concat()));
        for lost in &mut self.0 {
            if lost.starts_with(list)
                && let Some(Step::Index(other)) = lost.get_mut(list.len())
                && *other > index
            {
                *other -= 1;
            }
        }
        // The list itself is incomplete from now on.
        self.0.push(list.to_vec());
    }
}

/// Reads a value, taking what can't be read out of `tree`. The fields of `fallbacks` take the place of missing ones of the
/// root, so that the rest can be read.
pub fn decode<T: DeserializeOwned>(tree: &mut Node, fallbacks: &[(&str, Value)]) -> Decoded<T> {
    let rounds = (MAX_VISITS / size(tree)).max(MIN_ROUNDS);
    let mut reading = Reading { tree, fallbacks, guesses: Vec::new(), findings: Vec::new(), lost: Lost::default() };
    let mut value = None;
    for round in 0.. {
        if round == rounds {
            let message = format!("the first {round} mistakes are reported; there are more");
            let finding = Finding::error(Code::TooMany, message).hint("correct these and try again");
            reading.findings.push(Found { path: Vec::new(), span: 0..0, finding });
            break;
        }
        match T::deserialize(&*reading.tree) {
            Ok(read) => {
                value = Some(read);
                break;
            }
            Err(error) if reading.correct(&error) => {}
            Err(_) => break,
        }
    }
    Decoded { value, findings: reading.findings, lost: reading.lost }
}

struct Reading<'a> {
    tree: &'a mut Node,
    fallbacks: &'a [(&'a str, Value)],
    /// Values that are read as the field which their author evidently means.
    guesses: Vec<Vec<Step>>,
    findings: Vec<Found>,
    lost: Lost,
}

impl Reading<'_> {
    /// Reports a mistake and changes the tree so that reading gets past it. Whether it could.
    fn correct(&mut self, error: &DecodeError) -> bool {
        let path: Vec<Step> = error.path.iter().rev().cloned().collect();
        match &error.kind {
            Mistake::Unknown(valid) => {
                self.report(&path, error);
                if self.rename(&path, valid) {
                    return true;
                }
            }
            Mistake::Missing(field) => {
                let missing = [path.as_slice(), &[Step::from(*field)]].concat();
                if !self.lost.at(&missing) {
                    self.report(&path, error);
                    self.lost.key(missing);
                }
                if path.is_empty() {
                    return self.fall_back(field);
                }
            }
            _ if self.guesses.contains(&path) => {}
            _ => self.report(&path, error),
        }
        self.remove(&path)
    }

    fn report(&mut self, path: &[Step], error: &DecodeError) {
        let key = find_key(self.tree, path).cloned();
        let value = find(self.tree, path).map(|node| node.span.clone());
        let span = match error.kind {
            Mistake::Unknown(_) | Mistake::Missing(_) => key.or(value),
            // An empty value has no width of its own.
            _ => value.filter(|span| !span.is_empty()).or(key),
        };
        let span = if path.is_empty() { 0..0 } else { span.unwrap_or(0..0) };
        self.findings.push(Found { path: path.to_vec(), span, finding: error.finding(path) });
    }

    /// Gives an unknown field the name that it evidently should have, if the mapping has no such field yet.
    fn rename(&mut self, path: &[Step], valid: &[&'static str]) -> bool {
        let Some((Step::Key(wrong), parent)) = path.split_last() else { return false };
        let Some(right) = nearest(wrong, valid.iter().copied()) else { return false };
        let meant = [parent, &[Step::from(right)]].concat();
        let Some(Node { value: Value::Mapping(entries), .. }) = find_mut(self.tree, parent) else { return false };
        if self.lost.at(&meant) || entries.iter().any(|entry| entry.key == right) {
            return false;
        }
        let Some(entry) = entries.iter_mut().find(|entry| entry.key == *wrong) else { return false };
        right.clone_into(&mut entry.key);
        self.guesses.push(meant);
        true
    }

    fn fall_back(&mut self, field: &str) -> bool {
        let Some((_, value)) = self.fallbacks.iter().find(|(name, _)| *name == field) else { return false };
        let Value::Mapping(entries) = &mut self.tree.value else { return false };
        let node = Node { value: value.clone(), span: 0..0 };
        entries.push(Entry { key: field.to_owned(), key_span: 0..0, node });
        true
    }

    fn remove(&mut self, path: &[Step]) -> bool {
        let Some((last, parent)) = path.split_last() else { return false };
        match (last, find_mut(self.tree, parent).map(|node| &mut node.value)) {
            (Step::Key(key), Some(Value::Mapping(entries))) => {
                let before = entries.len();
                entries.retain(|entry| entry.key != *key);
                self.lost.key(path.to_vec());
                entries.len() < before
            }
            (Step::Index(index), Some(Value::Sequence(items))) if *index < items.len() => {
                items.remove(*index);
                self.lost.item(parent, *index);
                true
            }
            _ => false,
        }
    }
}

/// Whether a plain scalar is read as text and not as a number, a boolean or nothing.
pub(crate) fn is_plain_text(text: &str) -> bool {
    matches!(scalar::plain(text), scalar::Plain::Text(_))
}

/// The number of values in a tree.
fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::Sequence(items) => items.iter().map(size).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| size(&entry.node)).sum(),
    }
}

/// The node at a path.
pub fn find<'a>(tree: &'a Node, path: &[Step]) -> Option<&'a Node> {
    path.iter().try_fold(tree, |node, step| match (step, &node.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
            entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.node)
        }
        (Step::Index(index), Value::Sequence(items)) => items.get(*index),
        _ => None,
    })
}

fn find_mut<'a>(tree: &'a mut Node, path: &[Step]) -> Option<&'a mut Node> {
    path.iter().try_fold(tree, |node, step| match (step, &mut node.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
            entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.node)
        }
        (Step::Index(index), Value::Sequence(items)) => items.get_mut(*index),
        _ => None,
    })
}

/// Where the key at the end of a path stands; the value itself for a list's item.
pub fn find_key<'a>(tree: &'a Node, path: &[Step]) -> Option<&'a Span> {
    let (last, parent) = path.split_last()?;
    match (last, &find(tree, parent)?.value) {
        (Step::Key(key), Value::Mapping(entries)) => {
            entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.key_span)
        }
        (Step::Index(index), Value::Sequence(items)) => items.get(*index).map(|node| &node.span),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;
    use crate::spec::Spec;

    fn read(text: &str) -> (Option<Spec>, Vec<String>) {
        let mut tree = crate::yaml::read(text).root.unwrap();
        let decoded = decode(&mut tree, &[]);
        let place = |span: &Span| crate::yaml::position(text, span.start);
        let told = decoded.findings.iter();
        let told = told.map(|f| format!("{:?} {} {}", place(&f.span), f.finding.code, f.finding.message)).collect();
        (decoded.value, told)
    }

    #[test]
    fn every_mistake_of_a_file_is_reported_at_its_place() {
        let (spec, findings) = read(
            "name: [x]\nparam: {}\ntasks:\n  a: { extract: { from: 5, colums: [a] } }\n  b: { wait: soon, wiat: 1s }\n  c: { load: { input: a, mode: apend } }\n",
        );
        assert_eq!(
            findings,
            [
                "(1, 7) wrong_type 'name': expected text, found a list",
                "(2, 1) unknown_field there is no field 'param' here",
                "(4, 25) wrong_type 'from': expected text, found 5",
                "(4, 28) unknown_field there is no field 'colums' here",
                "(5, 14) wrong_type 'wait': 'soon' is not a duration; expected a number with a unit, such as 250ms, 10s, 15m, 2h or 7d",
                "(5, 20) unknown_field there is no field 'wiat' here",
                "(6, 32) wrong_type 'mode': expected one of append, overwrite, upsert, insert_new, delete_insert, scd2, found 'apend'",
                "(6, 8) missing_field 'load' needs the field 'into'",
            ]
        );
        assert!(spec.is_none(), "a file without a usable name has no spec");
    }

    #[test]
    fn what_is_right_survives_the_mistakes_beside_it() {
        let (spec, findings) =
            read("name: x\ntasks:\n  a: { extract: { from: s.t, oops: 1 } }\n  b: { transform: SELECT 1 }\n");
        assert_eq!(findings.len(), 1);
        let spec = spec.unwrap();
        assert_eq!(spec.tasks["a"].extract.as_ref().unwrap().from.as_deref(), Some("s.t"));
        assert_eq!(spec.tasks["b"].transform.as_deref(), Some("SELECT 1"));
    }

    #[test]
    fn a_misspelled_field_is_read_as_the_one_that_is_meant() {
        let (spec, findings) = read("name: x\ntasks:\n  a: { check: { inptu: b, rules: [ { not_nul: [id] } ] } }\n");
        assert_eq!(
            findings,
            [
                "(3, 17) unknown_field there is no field 'inptu' here",
                "(3, 38) unknown_field there is no field 'not_nul' here"
            ]
        );
        let check = spec.unwrap().tasks["a"].check.clone().unwrap();
        assert_eq!((check.input.as_str(), check.rules[0].not_null.as_ref().unwrap().len()), ("b", 1));
    }

    #[test]
    fn values_say_what_was_expected_in_words_of_the_spec() {
        let one = |text: &str| {
            let (_, findings) = read(&format!("name: x\ntasks:\n  a: {text}\n"));
            assert_eq!(findings.len(), 1, "{findings:?}");
            findings[0].clone()
        };
        assert_eq!(
            one("{ wait: 1s, retry: { attempts: five } }"),
            "(3, 37) wrong_type 'attempts': expected a whole number, found 'five'"
        );
        assert_eq!(
            one("{ wait: 1s, retry: { attempts: -1 } }"),
            "(3, 37) wrong_type 'attempts': expected a whole number from 0 to 4294967295, found -1"
        );
        assert_eq!(
            one("{ wait: 1s, priority: 99999999999999999999 }"),
            "(3, 28) wrong_type 'priority': the number does not fit into 64 bits"
        );
        assert_eq!(one("{ group: 5 }"), "(3, 15) wrong_type 'group': expected task names, found 5");
        assert_eq!(one("{ wait: 1s, needs: b }"), "(3, 25) wrong_type 'needs': expected a list, found 'b'");
        assert_eq!(
            one("{ wait: 1s, needs: [[b]] }"),
            "(3, 26) wrong_type item 1 of 'needs': expected text, found a list"
        );
    }

    #[test]
    fn lost_items_of_a_list_do_not_shift_what_else_was_lost_in_it() {
        let mut lost = Lost::default();
        let list = [Step::from("rules")];
        let of = |index: usize, field: &str| vec![Step::from("rules"), Step::from(index), Step::from(field)];
        lost.key(of(0, "a"));
        lost.key(of(1, "b"));
        lost.key(of(2, "c"));
        lost.item(&list, 1);
        assert!(lost.at(&of(0, "a")) && lost.at(&of(1, "c")) && !lost.within(&of(2, "c")) && !lost.at(&of(1, "b")));
        assert!(lost.at(&list), "the list is incomplete");
    }

    #[test]
    fn a_file_of_mistakes_alone_is_read_a_bounded_number_of_times() {
        let text = format!(
            "name: x\ntasks:\n{}",
            (0..40_000).fold(String::new(), |all, n| all + &format!("  a{n}: {{ wati: 5 }}\n"))
        );
        let values = size(&crate::yaml::read(&text).root.unwrap());
        let (_, findings) = read(&text);
        let (last, rounds) = findings.split_last().unwrap();
        assert!(last.contains("too_many"), "{last}");
        assert!(rounds.len() * values <= MAX_VISITS, "{} readings of {values} values", rounds.len());
    }
}
