//! Where a prompt sends something: the words behind `into` and the like. A destination that stands elsewhere, e.g. behind `from`, is none.

use super::said::Said;
use crate::words::fold;

/// Words that a destination stands behind.
const STRONG: &[&str] = &["into", "onto", "to", "nach", "ins", "target", "ziel", "destination"];

/// Words that one stands behind only where no other does.
const WEAK: &[&str] = &["in", "im", "as", "als"];

/// Words that a destination ends before.
const STOPS: &[&str] = &[
    "append",
    "aus",
    "check",
    "daily",
    "each",
    "every",
    "falls",
    "from",
    "hourly",
    "if",
    "jede",
    "jeden",
    "jeder",
    "mit",
    "monthly",
    "nightly",
    "overwrite",
    "stundlich",
    "taglich",
    "that",
    "using",
    "von",
    "weekly",
    "wenn",
    "when",
    "where",
    "which",
    "with",
    "without",
    "wo",
];

/// Words between a table and its connection: `the table paid in the lake`.
const INSIDE: &[&str] = &["dem", "der", "im", "in", "of", "on", "the"];

/// The most words of a destination.
const LONGEST: usize = 8;

/// A word of a prompt as it is typed, dots included.
struct Word<'a> {
    text: &'a str,
    folded: String,
    /// Whether a sentence, a list or a bracket ends behind it.
    ends: bool,
}

/// The destinations of a prompt, each as words of its own. `connections` are those that can be written to.
pub(super) fn destinations(prompt: &str, connections: &[String]) -> Vec<Said> {
    let words = words(prompt);
    let behind = |directing: &[&str]| -> Vec<Said> {
        let starts =
            words.iter().enumerate().filter(|(_, word)| directing.contains(&word.folded.as_str()) && !word.ends);
        starts.map(|(at, _)| Said::new(&window(&words[at + 1..], connections))).collect()
    };
    let strong = behind(STRONG);
    // `to` of `from 2020 to 2021` leads nowhere.
    let leads = |found: &[Said]| found.iter().any(|said| connections.iter().any(|name| said.names(name)));
    if leads(&strong) { strong } else { [strong, behind(WEAK)].concat() }
}

/// The words of a destination.
fn window(words: &[Word<'_>], connections: &[String]) -> String {
    let is_connection = |word: &Word<'_>| {
        let first = word.text.split('.').next().unwrap_or_default().trim_matches('"');
        connections.iter().any(|name| name.eq_ignore_ascii_case(first))
    };
    let mut taken: Vec<&str> = Vec::new();
    for (at, word) in words.iter().enumerate().take(LONGEST) {
        let leads_on = || words[at + 1..].iter().take(2).any(&is_connection);
        let is_and = matches!(word.folded.as_str(), "and" | "und");
        if STOPS.contains(&word.folded.as_str())
            || STRONG.contains(&word.folded.as_str())
            || ((is_and || INSIDE.contains(&word.folded.as_str())) && !taken.is_empty() && !leads_on())
        {
            break;
        }
        taken.push(word.text);
        if word.ends && !words.get(at + 1).is_some_and(is_connection) {
            break;
        }
    }
    taken.join(" ")
}

fn words(prompt: &str) -> Vec<Word<'_>> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '-' | '$');
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in prompt.char_indices().chain([(prompt.len(), ' ')]) {
        match (is_part(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                let typed = &prompt[from..at];
                let text = typed.trim_matches(['.', '-']);
                let ends = typed.ends_with('.') || matches!(c, ',' | ';' | ':' | '\n' | ')' | '(' | '!' | '?');
                if !text.is_empty() {
                    words.push(Word { text, folded: fold(text), ends });
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(prompt: &str, connection: &str, table: &str) -> bool {
        let connections = ["shop".to_owned(), "lake".to_owned()];
        destinations(prompt, &connections).iter().any(|said| said.names(connection) && said.names(table))
    }

    #[test]
    fn a_destination_stands_behind_a_word_that_directs() {
        for prompt in [
            "load the paid orders into lake.paid, overwrite",
            "copy orders of shop to the table paid in the lake every day",
            "Lade bezahlte Bestellungen nach lake.paid, jeden Tag um 6 Uhr",
            "put them in lake.paid",
            "load all into lake.orders and lake.paid",
            "load open ones into lake.open, lake.paid",
            "load it\n(yes, into lake.paid)",
        ] {
            assert!(leads(prompt, "lake", "paid"), "{prompt}");
        }
    }

    #[test]
    fn a_name_that_stands_elsewhere_is_no_destination() {
        for prompt in [
            "copy shop.paid to lake.orders, overwrite",
            "load the paid orders of shop into lake.orders",
            "load the paid orders into lake.orders from shop",
            "load orders in shop that are paid into lake.orders",
            "into lake.orders every day, and check shop.paid",
            "load into lake.orders the paid ones of shop",
        ] {
            assert!(!leads(prompt, "shop", "paid"), "{prompt}");
        }
    }
}
