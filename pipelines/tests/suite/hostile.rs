//! Bad input never panics or shows a secret, and gives a bounded number of findings.

use std::collections::BTreeSet;
use std::path::PathBuf;

use headwater_pipelines::document::Document;
use headwater_pipelines::plan::plan;
use headwater_pipelines::secrets::literal_secrets;
use headwater_pipelines::sql;
use headwater_pipelines::write::{Comments, yaml as write};
use proptest::prelude::*;

use super::{config, connections, examples};
use crate::generator::{Dice, valid};

/// Everything that is done with a file.
fn use_up(bytes: Vec<u8>) {
    let length = bytes.len();
    let document = Document::from_bytes("h.yaml", bytes);
    let planned = plan(&document, &connections());
    let _ = document.source.render(&planned.diagnostics, false, 80);
    let _ = serde_json::to_string(&planned.diagnostics).unwrap();
    let secrets = literal_secrets(&document);
    assert!(document.stored_text().is_empty() || document.stored_text().len() == length);
    for found in planned.diagnostics.iter().chain(&secrets) {
        assert!(found.start.offset <= found.end.offset && found.line >= 1 && found.column >= 1, "{found:?}");
        assert!(found.end.offset <= document.source.text.len(), "{found:?}");
    }
    if let Some(spec) = &document.spec {
        let _ = write(spec, &Comments::default());
    }
    if let Some(plan) = &planned.plan {
        let _ = plan.uses_interval();
        let stored = serde_json::to_string(plan).unwrap();
        assert_eq!(&serde_json::from_str::<headwater_pipelines::plan::Plan>(&stored).unwrap(), plan);
    }
}

fn use_up_sql(text: &str) {
    let _ = sql::parameters(text);
    let _ = sql::parse(text);
    let _ = sql::condition(text, &["country"]);
    let spec = format!("name: x\ntasks:\n  a: {{ transform: {} }}\n", serde_json::Value::from(text));
    let _ = plan(&Document::read("s.yaml", spec), &BTreeSet::new());
}

fn corpus(kind: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(kind);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {kind} is empty");
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn the_kept_inputs_are_used_up_without_a_panic() {
    for (path, bytes) in corpus("specs") {
        eprintln!("{}", path.display());
        use_up(bytes);
    }
    for (path, bytes) in corpus("sql") {
        eprintln!("{}", path.display());
        use_up_sql(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn hostile_specs_of_a_megabyte_are_refused_or_planned_with_a_bounded_number_of_findings() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let specs = [
        format!("name: x\ntasks:\n{}", many(20_000, &|n| format!("  t{n}: {{ wait: 1s, needs: [nosuch] }}\n"))),
        format!("name: x\ntasks:\n{}", many(20_000, &|n| format!("  t{n}: {{ wait: 1s }}\n"))),
        format!("name: x\ntasks:\n{}", many(20_000, &|n| format!("  t{}: {{ wiat: 1s }}\n", n))),
        format!("name: x\ntasks:\n{}", many(20_000, &|n| format!("  t-{n}: {{ wait: 1s }}\n"))),
        format!("name: x\ntasks:\n{}", many(20_000, &|n| format!("  t{n}: {{ wait: 0s, timeout: 0s }}\n"))),
        format!(
            "name: x\ntasks:\n  a:\n    group:\n{}  b:\n    needs: [a]\n    group:\n{}",
            many(10_000, &|n| format!("      t{n}: {{ wait: 1s }}\n")),
            many(10_000, &|n| format!("      t{n}: {{ wait: 1s }}\n"))
        ),
        format!("name: x\ntasks:\n  a: {{ check: {{ input: b, rules: [{}] }} }}\n", "{},".repeat(100_000)),
        format!("name: x\ntasks:\n  a: {{ wait: 1s, needs: [{}] }}\n", "5,".repeat(100_000)),
        format!("name: x\n{}", many(50_000, &|n| format!("k{n}: 1\n"))),
        format!("name: x\ntasks: {}1s{}\n", "{ a: { group: ".repeat(60), " } }".repeat(60)),
        format!("name: x\ntasks: {{ a: {{ transform: \"SELECT {}\" }} }}\n", "(".repeat(500_000)),
        format!(
            "name: x\nconnections: {{ {} }}\ntasks: {{ w: {{ wait: 1s }} }}\n",
            many(20_000, &|n| format!("c{n}: {{ type: p, url: u }}, "))
        ),
        format!("name: x\ndescription: \"{}@b\"\ntasks: {{ w: {{ wait: 1s }} }}\n", "'a://b:1/".repeat(100_000)),
        format!("name: x\ndescription: \"{}\"\ntasks: {{ w: {{ wait: 1s }} }}\n", "token=".repeat(100_000)),
        format!("name: x # {}\ntasks: {{ w: {{ wait: 1s }} }}\n", "://a:?token=b@".repeat(80_000)),
        format!("name: x\ntasks: {{ w: {{ transform: \"{}\" }} }}\n", "$a$b token=' /* -- ".repeat(50_000)),
        format!("name: x\ntasks: {{ w: {{ wait: 1s, {} }} }}\n", many(20_000, &|n| format!("a{n}token: b, "))),
        format!("name: x\ntasks: {{ w: {{ wait: 1s }} ]\n{}", "  token: 'a\n connections: {\n".repeat(30_000)),
    ];
    for spec in specs {
        let document = Document::read("h.yaml", spec.as_str());
        let planned = plan(&document, &connections());
        assert!(planned.diagnostics.len() <= 100, "{}: {}", planned.diagnostics.len(), &spec[..120]);
        assert!(document.stored_text().len() == spec.len(), "{}", &spec[..120]);
    }
}

/// A text with pieces cut out, doubled, exchanged and put in.
fn damaged(text: &str, dice: &mut Dice) -> Vec<u8> {
    const PIECES: [&[u8]; 24] = [
        b"\t",
        b"\n",
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"'",
        b"|",
        b">",
        b"#",
        b"&a ",
        b"*a",
        b"!!int ",
        b"? ",
        b"\0",
        b"\xff",
        "\u{2028}\u{1f600}".as_bytes(),
        b"---\n",
        b"...\n",
        b"<<: ",
        b"99999999999999999999",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + dice.roll(6) {
        let (from, length) = (dice.roll(bytes.len() + 1), dice.roll(12));
        let to = (from + length).min(bytes.len());
        match dice.roll(4) {
            0 => drop(bytes.drain(from..to)),
            1 => {
                let piece = bytes[from..to].to_vec();
                let at = dice.roll(bytes.len() + 1);
                drop(bytes.splice(at..at, piece));
            }
            2 => bytes.truncate(from.max(1)),
            _ => drop(bytes.splice(from..from, dice.pick(&PIECES).to_vec())),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn a_damaged_spec_is_used_up_without_a_panic(
        spec in valid(),
        numbers in prop::collection::vec(any::<u32>(), 40),
        example in any::<prop::sample::Index>(),
    ) {
        let mut dice = Dice::new(numbers);
        let text = if dice.one_in(2) { write(&spec, &Comments::default()) } else { example.get(&examples()).1.clone() };
        use_up(damaged(&text, &mut dice));
    }

    #[test]
    fn statements_of_random_words_are_used_up_without_a_panic(numbers in prop::collection::vec(any::<u32>(), 1..60)) {
        const WORDS: [&str; 52] = [
            "SELECT", "FROM", "WHERE", "a", "b.c", "a.b.c", "\"A\"", "*", "a.*", ",", "(", ")", "AS", "x", "JOIN", "ON",
            "USING", "(id)", "WITH", "RECURSIVE", "t", "UNION", "ALL", "ORDER BY", "GROUP BY", "HAVING", "LIMIT", "1", "'s'",
            "$country", "$1", "=", "AND", "OR", "NOT", "CASE", "WHEN", "THEN", "END", "CAST", "::int", "EXISTS", "IN",
            "LATERAL", "VALUES", "unnest(a)", "count(*)", "OVER", "PARTITION BY", "é", "--", ";",
        ];
        let mut dice = Dice::new(numbers.clone());
        let text: Vec<&str> = numbers.iter().map(|_| dice.pick(&WORDS)).collect();
        use_up_sql(&text.join(" "));
    }

    #[test]
    fn any_text_is_used_up_without_a_panic(text in any::<String>()) {
        use_up(text.clone().into_bytes());
        use_up_sql(&text);
    }
}
