//! One mistake in a valid spec: one diagnostic, at its place.

use headwater_pipelines::decode::{Step, find, find_key};
use headwater_pipelines::diagnostic::Diagnostic;
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::plan;
use headwater_pipelines::write::{Comments, yaml as write};
use headwater_pipelines::yaml::{self, Node, Span, Value};
use proptest::prelude::*;

use super::{config, connections, examples};
use crate::generator::{Dice, valid};

/// A change of a text that makes one mistake.
#[derive(Debug, Clone)]
struct Mutation {
    what: &'static str,
    /// What is replaced.
    span: Span,
    by: String,
    /// Where the diagnostic has to stand, in the changed text; inside the text that was put in if absent.
    place: Option<Span>,
}

/// Fields whose values are durations.
const DURATIONS: [&str; 5] = ["wait", "timeout", "delay", "max_delay", "every"];
/// Fields that hold text, durations included.
const TEXTS: [&str; 8] = ["transform", "from", "query", "connection", "input", "into", "description", "queue"];
/// Fields that hold lists.
const LISTS: [&str; 6] = ["rules", "needs", "labels", "not_null", "unique", "partition_by"];
/// Lists that must not be empty.
const FILLED: [&str; 5] = ["rules", "not_null", "unique", "values", "partition_by"];
/// Fields that hold one of some words.
const WORDS: [&str; 6] = ["mode", "backoff", "on_failure", "catchup", "overlap", "type"];
/// Fields that hold whole numbers.
const NUMBERS: [&str; 2] = ["attempts", "priority"];
/// Fields without which their mapping can't be read.
const REQUIRED: [(&str, &[&str]); 4] = [
    ("load", &["input", "into", "mode"]),
    ("check", &["input", "rules"]),
    ("accepted_values", &["column", "values"]),
    ("param", &["type"]),
];

fn findings(text: &str) -> Vec<Diagnostic> {
    let document = Document::read("m.yaml", text);
    plan(&document, &connections()).diagnostics
}

/// Every mutation that a text offers.
fn mutations(text: &str, dice: &mut Dice) -> Vec<Mutation> {
    let read = yaml::read(text);
    let tree = read.root.expect("a valid spec");
    let mut found = Vec::new();
    walk(text, &tree, &tree, &mut Vec::new(), dice, &mut found);
    found
}

/// Whether the keys of the mapping at a path are names that its author chose.
fn holds_names(path: &[Step]) -> bool {
    let is_key = |step: &Step, name: &str| matches!(step, Step::Key(key) if key == name);
    let has_contracts = matches!(path, [.., schema, columns] if is_key(schema, "schema") && is_key(columns, "columns"));
    has_contracts
        || matches!(path.last(), Some(Step::Key(key)) if matches!(key.as_str(), "tasks" | "group" | "params" | "connections"))
}

fn walk(text: &str, tree: &Node, node: &Node, path: &mut Vec<Step>, dice: &mut Dice, out: &mut Vec<Mutation>) {
    match &node.value {
        Value::Mapping(entries) => {
            for entry in entries {
                let key = entry.key.as_str();
                if !holds_names(path) {
                    let by = misspelled(key, dice);
                    out.push(Mutation { what: "misspelled key", span: entry.key_span.clone(), by, place: None });
                    value(text, key, &entry.node, path, dice, out);
                }
                path.push(Step::from(key));
                walk(text, tree, &entry.node, path, dice, out);
                path.pop();
            }
            required(text, tree, path, out);
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Step::from(index));
                walk(text, tree, item, path, dice, out);
                path.pop();
            }
        }
        Value::Scalar { .. } => {}
    }
}

/// Two letters swapped, one dropped or one doubled.
fn misspelled(key: &str, dice: &mut Dice) -> String {
    let letters: Vec<char> = key.chars().collect();
    let at = dice.roll(letters.len() - 1);
    let mut wrong = letters.clone();
    match dice.roll(3) {
        0 if letters[at] != letters[at + 1] => wrong.swap(at, at + 1),
        1 if letters.len() > 3 => {
            wrong.remove(at + 1);
        }
        _ => wrong.insert(at + 1, 'x'),
    }
    wrong.into_iter().collect()
}

fn value(text: &str, key: &str, node: &Node, path: &[Step], dice: &mut Dice, out: &mut Vec<Mutation>) {
    let mut replace = |what: &'static str, by: &str| {
        // A block of lines can't be replaced in the middle of its mapping.
        let is_block = text[node.span.clone()].starts_with(['|', '>', '-']) || text[node.span.clone()].contains('\n');
        if !is_block {
            out.push(Mutation { what, span: node.span.clone(), by: by.to_owned(), place: None });
        }
    };
    if DURATIONS.contains(&key) {
        replace("bad duration", dice.pick(&["soon", "10", "5y", "-1s", "[1s]", "1.5h"]));
    }
    if TEXTS.contains(&key) {
        replace("wrong type of text", dice.pick(&["[x]", "5", "{ a: b }", "true"]));
    }
    if LISTS.contains(&key) {
        replace("wrong type of list", dice.pick(&["x", "5", "{ a: b }"]));
    }
    if FILLED.contains(&key) {
        replace("empty list", "[]");
    }
    if WORDS.contains(&key) {
        replace("unknown word", dice.pick(&["replace", "zzz", "[append]", "7"]));
    }
    if NUMBERS.contains(&key) {
        replace("wrong number", dice.pick(&["five", "1.5", "[1]", "99999999999999999999"]));
    }
    match key {
        "input" => replace("unknown task", dice.pick(&["nosuch_zz", "a.b.c", "\"\""])),
        "from" | "into" => replace("unknown connection", "nosuch.public.t"),
        "cron" => replace("bad cron", dice.pick(&["\"0 25 * * *\"", "\"x 6 * * *\"", "\"0 6 * *\"", "tomorrow"])),
        "timezone" => replace("bad zone", "Europe/Nowhere"),
        "name" if path.is_empty() => replace("bad name", "\"my pipeline\""),
        "queue" => replace("bad queue", dice.pick(&["\"a,b\"", "\"a b\"", "\"\""])),
        "transform" => replace("bad statement", dice.pick(&["SELECT FROM WHERE", "DELETE FROM x", "SELECT $nosuch"])),
        "default" => replace("bad default", "[1]"),
        _ => {}
    }
}

/// A required field without which the rest is written down again.
fn required(text: &str, tree: &Node, path: &[Step], out: &mut Vec<Mutation>) {
    let Some(Step::Key(last)) = path.last() else { return };
    let is_param = matches!(path, [Step::Key(params), _] if params == "params");
    let name = if is_param { "param" } else { last.as_str() };
    let Some((_, required)) = REQUIRED.iter().find(|(kind, _)| *kind == name) else { return };
    let (Some(node), Some(key)) = (find(tree, path), find_key(tree, path)) else { return };
    let Value::Mapping(entries) = &node.value else { return };
    for field in *required {
        // In a mapping on one line: the entry and the comma beside it.
        let Some(index) = entries.iter().position(|entry| entry.key == *field) else { continue };
        if entries.len() < 2 {
            continue;
        }
        let span = match entries.get(index + 1) {
            Some(next) => entries[index].key_span.start..next.key_span.start,
            None => entries[index - 1].node.span.end..entries[index].node.span.end,
        };
        // A block of lines ends where the next value begins.
        let kept =
            if index + 1 < entries.len() { 0 } else { text[span.clone()].len() - text[span.clone()].trim_end().len() };
        let span = span.start..span.end - kept;
        out.push(Mutation { what: "missing field", span, by: String::new(), place: Some(key.clone()) });
    }
}

fn check(text: &str, mutation: &Mutation) -> Result<(), String> {
    let mut changed = text.to_owned();
    changed.replace_range(mutation.span.clone(), &mutation.by);
    let found = findings(&changed);
    let place = mutation.place.clone().unwrap_or(mutation.span.start..mutation.span.start + mutation.by.len().max(1));
    match found.as_slice() {
        [one] if place.contains(&one.start.offset) => Ok(()),
        other => {
            let told: Vec<String> = other.iter().map(|diagnostic| format!("  {diagnostic}")).collect();
            let (line, column) = yaml::position(&changed, place.start);
            Err(format!(
                "{}: expected one diagnostic at {line}:{column}, found {}:\n{}\n{changed}",
                mutation.what,
                other.len(),
                told.join("\n")
            ))
        }
    }
}

#[test]
fn every_mistake_in_an_example_gives_one_diagnostic_at_its_place() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, text) in examples() {
        assert_eq!(findings(&text), [], "{name}");
        for round in 0..8u32 {
            let numbers =
                (0..2_000).map(|n: u32| n.wrapping_mul(2_654_435_761).rotate_left(round * 4) ^ round).collect();
            let all = mutations(&text, &mut Dice::new(numbers));
            count += all.len();
            wrong.extend(all.iter().filter_map(|mutation| check(&text, mutation).err()));
        }
    }
    assert!(count >= 1_000, "only {count} mutations");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n\n"));
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn a_mistake_in_a_valid_spec_gives_one_diagnostic_at_its_place(
        spec in valid(),
        numbers in prop::collection::vec(any::<u32>(), 300),
        which in any::<prop::sample::Index>(),
    ) {
        let text = write(&spec, &Comments::default());
        prop_assert_eq!(findings(&text), [], "{}", text);
        let all = mutations(&text, &mut Dice::new(numbers));
        let mutation = which.get(&all);
        prop_assert!(check(&text, mutation).is_ok(), "{}", check(&text, mutation).unwrap_err());
    }
}
