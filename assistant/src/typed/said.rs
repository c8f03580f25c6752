//! The person's own words. Nothing else can order a destination, and every requirement quotes them.

use std::ops::Range;

use crate::words::{fold, split_name};

/// A prompt, with the answers that the person gave.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    text: String,
    /// Folded words with their places.
    words: Vec<(String, Range<usize>)>,
}

/// Words that join others and ask for nothing.
const JOINING: &[&str] = &[
    "a", "all", "also", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "do", "each", "every",
    "for", "from", "get", "give", "have", "i", "in", "into", "is", "it", "its", "just", "keep", "let", "make", "me",
    "my", "need", "of", "on", "only", "or", "our", "out", "pipeline", "please", "put", "should", "so", "take", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "us", "want", "we", "when",
    "where", "which", "who", "with", "would", "you", "aus", "bitte", "das", "dem", "den", "der", "des", "die", "ein",
    "eine", "einen", "einer", "es", "fur", "ich", "im", "ist", "mit", "nach", "nur", "oder", "sind", "sollen", "und",
    "uns", "von", "wir", "zu", "zum", "zur",
];

/// Whether a word, as it was said or as a name has it, only joins others.
pub(crate) fn is_joining(word: &str) -> bool {
    JOINING.contains(&word.to_lowercase().as_str())
}

impl Said {
    /// These words.
    pub(crate) fn new(text: &str) -> Self {
        let mut words = Vec::new();
        let mut start = None;
        for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
            match (c.is_alphanumeric() || c == '_', start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    words.extend(split_name(&text[from..at]).iter().map(|word| (fold(word), from..at)));
                    start = None;
                }
                _ => {}
            }
        }
        Self { text: text.to_owned(), words }
    }

    /// As they were said.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where a quote stands; the space between words may differ.
    pub(crate) fn find(&self, quote: &str) -> Option<Range<usize>> {
        let wanted: Vec<&str> = quote.split_whitespace().collect();
        let first = *wanted.first()?;
        self.text.match_indices(first).find_map(|(start, _)| {
            let mut end = start + first.len();
            for word in &wanted[1..] {
                let rest = &self.text[end..];
                let gap = rest.len() - rest.trim_start().len();
                if gap == 0 || !rest.trim_start().starts_with(word) {
                    return None;
                }
                end += gap + word.len();
            }
            Some(start..end)
        })
    }

    /// Whether all words of a name were said, or words that are the name when they are joined.
    pub(crate) fn names(&self, name: &str) -> bool {
        let parts = split_name(name);
        let each = parts.iter().all(|part| self.words.iter().any(|(word, _)| *word == fold(part)));
        let joined = parts.concat();
        !parts.is_empty() && (each || (0..self.words.len()).any(|start| self.joins(start, &joined)))
    }

    /// Whether one of these words was said, in whatever form.
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|wanted| self.words.iter().any(|(word, _)| *word == fold(wanted)))
    }

    /// Whether one of these phrases was said, each word in whatever form.
    pub(crate) fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| {
            let wanted: Vec<String> = phrase.split(' ').map(fold).collect();
            self.words.windows(wanted.len()).any(|said| said.iter().map(|(word, _)| word).eq(&wanted))
        })
    }

    fn joins(&self, start: usize, name: &str) -> bool {
        let mut rest = name;
        for (_, place) in &self.words[start..] {
            let said = self.text[place.clone()].to_lowercase();
            match rest.strip_prefix(said.as_str()) {
                Some("") => return true,
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        false
    }

    /// Words that none of these quotes covers and that ask for something.
    pub(crate) fn uncovered(&self, quotes: &[Range<usize>]) -> Vec<String> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut is_open = false;
        for (word, place) in &self.words {
            let is_covered = quotes.iter().any(|quote| quote.start <= place.start && place.end <= quote.end);
            if is_covered {
                is_open = false;
            } else if is_open && let Some(last) = runs.last_mut() {
                last.end = place.end;
            } else if !JOINING.contains(&word.as_str()) {
                runs.push(place.clone());
                is_open = true;
            }
        }
        runs.into_iter().map(|run| self.text[run].to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_found_with_other_space_between_its_words_and_in_no_other_letters() {
        let said = Said::new("copy  new\norders to the lake");
        assert_eq!(said.find("new orders"), Some(6..16));
        assert_eq!(said.find("New orders"), None);
        assert_eq!(said.find("neworders"), None);
        assert_eq!(said.find(""), None);
    }

    #[test]
    fn words_that_no_quote_covers_are_reported_unless_they_only_join() {
        let said = Said::new("Please copy the orders to the lake, and ring a bell");
        let quotes: Vec<_> = ["copy the orders to the lake"].iter().filter_map(|quote| said.find(quote)).collect();
        assert_eq!(said.uncovered(&quotes), ["ring a bell"]);
    }

    #[test]
    fn a_name_was_said_if_each_of_its_words_was() {
        let said = Said::new("Load the order items into LakeHouse");
        assert!(said.names("order_items") && said.names("lakehouse") && !said.names("order_archive"));
    }
}
