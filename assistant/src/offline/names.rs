//! Tables and columns by the words of a sentence.

use std::collections::HashMap;

use super::german;
use super::lexer::Token;
use crate::known::{ColumnId, Known, KnownTable, TableId};
use crate::words::{fold, tokens};

/// A word of the workspace for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The word or phrase.
    pub phrase: String,
    /// The table that it stands for.
    pub table: TableId,
}

/// Tokens that one name may spread over.
const LONGEST: usize = 8;

/// The names of a catalog as words.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) known: &'a Known,
    /// Each table's name, and its name behind its schema, and behind its connection.
    tables: HashMap<Vec<String>, Vec<TableId>>,
    columns: HashMap<TableId, HashMap<Vec<String>, Vec<ColumnId>>>,
    /// What comments call tables and columns that have no such name.
    called_tables: HashMap<Vec<String>, Vec<TableId>>,
    called_columns: HashMap<TableId, HashMap<Vec<String>, Vec<ColumnId>>>,
    /// Capitals begin every noun, so they tell nothing of how a name is written.
    pub(super) is_german: bool,
}

/// A name that was found, and how many tokens it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match<T> {
    pub(super) length: usize,
    /// What it can mean: several only if it can't be told.
    pub(super) meanings: Vec<T>,
}

/// Tables that one comment may stand for.
const MOST: usize = 8;

impl<'a> Names<'a> {
    pub(super) fn of(known: &'a Known, terms: &[Term]) -> Self {
        let mut names = Self {
            known,
            tables: HashMap::new(),
            columns: HashMap::new(),
            called_tables: HashMap::new(),
            called_columns: HashMap::new(),
            is_german: false,
        };
        for (id, table) in known.tables() {
            for form in forms(table) {
                add(&mut names.tables, form, id);
            }
            if let Some(called) = table.table.comment.as_deref().and_then(called) {
                add(&mut names.called_tables, called, id);
            }
            let columns = names.columns.entry(id).or_default();
            let others = names.called_columns.entry(id).or_default();
            for (column, info) in known.columns(id) {
                add(columns, tokens(&info.name), column);
                if let Some(called) = info.comment.as_deref().and_then(called) {
                    add(others, called, column);
                }
            }
        }
        for term in terms {
            add(&mut names.tables, tokens(&term.phrase), term.table);
        }
        names.called_tables.retain(|_, tables| tables.len() <= MOST);
        names
    }

    /// The longest name of a table that begins at the first of these tokens; else what a comment or a German word calls it.
    pub(super) fn table(&self, said: &[Token]) -> Option<Match<TableId>> {
        if let Some(mut found) = longest(said, &self.tables) {
            let written = &said[0];
            let is_exact = |id: &TableId| {
                let table = self.known.table(*id);
                table.is_some_and(|table| {
                    table.full_name() == written.text || (written.is_quoted && table.name() == written.text)
                })
            };
            if found.length == 1 && found.meanings.iter().any(is_exact) {
                found.meanings.retain(is_exact);
            }
            return Some(found);
        }
        self.called_table(said)
    }

    fn called_table(&self, said: &[Token]) -> Option<Match<TableId>> {
        let translated = || translated(said, &german::TABLES, &self.tables);
        longest(said, &self.called_tables).or_else(translated)
    }

    /// The longest name of a column of the table that begins at the first of these tokens; else what a comment or a German word calls it.
    pub(super) fn column(&self, said: &[Token], table: TableId) -> Option<Match<ColumnId>> {
        let own = self.columns.get(&table)?;
        if let Some(mut found) = longest(said, own) {
            let written = &said[0];
            let has_capital = written.text.chars().any(char::is_uppercase) && written.span.start > 0;
            let is_exact = |id: &ColumnId| {
                (written.is_quoted || (has_capital && !self.is_german))
                    && self.known.column(*id).is_some_and(|column| column.name == written.text)
            };
            if found.meanings.iter().any(is_exact) {
                found.meanings.retain(is_exact);
            }
            return Some(found);
        }
        let called = longest(said, self.called_columns.get(&table)?);
        called.or_else(|| translated(said, &german::COLUMNS, own))
    }

    /// The tables whose rows somebody made who did this: `orders` for `ordered`.
    pub(super) fn verb(&self, token: &Token) -> Vec<TableId> {
        let verb = token.text.to_lowercase();
        if token.is_quoted || !verb.ends_with("ed") {
            return Vec::new();
        }
        let stems = [&verb[..verb.len() - 2], &verb[..verb.len() - 1]];
        stems.iter().find_map(|stem| self.tables.get(&[fold(stem)][..])).cloned().unwrap_or_default()
    }

    /// Says by which other words these tables were called.
    pub(super) fn called(&self, said: &[Token], tables: &[TableId]) -> Vec<String> {
        let mut notes = Vec::new();
        for at in 0..said.len() {
            let rest = &said[at..];
            if longest(rest, &self.tables).is_some() {
                continue;
            }
            let Some(found) = self.called_table(rest) else { continue };
            let [only] = found.meanings.as_slice() else { continue };
            let words: Vec<&str> = rest[..found.length].iter().map(|token| token.text.as_str()).collect();
            if tables.contains(only)
                && let Some(table) = self.known.table(*only)
            {
                notes.push(format!("'{}' is the table {}", words.join(" "), table.full_name()));
            }
        }
        notes.sort();
        notes.dedup();
        notes
    }

    /// Names of all tables, for "did you mean".
    pub(super) fn table_names(&self) -> Vec<String> {
        self.known.tables().map(|(_, table)| table.full_name()).collect()
    }

    /// Names of a table's columns.
    pub(super) fn column_names(&self, table: TableId) -> Vec<String> {
        self.known.columns(table).map(|(_, column)| column.name.clone()).collect()
    }
}

fn forms(table: &KnownTable) -> Vec<Vec<String>> {
    let path = &table.table.path;
    let ends = (0..path.len()).rev().map(|from| path[from..].iter().flat_map(|part| tokens(part)).collect());
    let full = std::iter::once(&table.connection).chain(path).flat_map(|part| tokens(part)).collect();
    let short: Vec<String> = tokens(&table.connection).into_iter().chain(tokens(table.name())).collect();
    ends.chain([full, short]).collect()
}

fn add<T: PartialEq>(names: &mut HashMap<Vec<String>, Vec<T>>, words: Vec<String>, meaning: T) {
    let meanings = names.entry(words).or_default();
    if !meanings.contains(&meaning) {
        meanings.push(meaning);
    }
}

/// What a comment calls its table or column: its first words, if they are few and no sentence.
fn called(comment: &str) -> Option<Vec<String>> {
    let end = comment.find([',', ';', ':', '.', '(', '\n']).unwrap_or(comment.len());
    let is_listed = comment[end..].starts_with(',');
    let ends = |word: &&str| {
        let lower = word.to_lowercase();
        ["of", "in", "for", "that", "to", "with", "per", "der", "des", "die", "zu", "je", "von", "für", "aus", "mit"]
            .contains(&lower.as_str())
    };
    let words: Vec<&str> = comment[..end].split_whitespace().collect();
    let opens = ["when", "whether", "if", "empty", "true", "false", "the", "a", "an", "leer", "wenn", "ob", "today's"];
    let kept: Vec<&str> = words.iter().take_while(|word| !ends(word)).copied().collect();
    let is_name = (1..=3).contains(&kept.len())
        && !(is_listed && kept.len() == 1 && kept.len() == words.len() && comment[end + 1..].contains([',']))
        && !opens.contains(&kept[0].to_lowercase().as_str());
    is_name.then(|| tokens(&kept.join(" "))).filter(|words| !words.is_empty())
}

/// The longest of some names that tokens begin with.
fn longest<T: Clone>(said: &[Token], names: &HashMap<Vec<String>, Vec<T>>) -> Option<Match<T>> {
    lengths(said)
        .into_iter()
        .rev()
        .find_map(|(length, words)| names.get(&words).map(|meanings| Match { length, meanings: meanings.clone() }))
}

/// A name that the first token says in German.
fn translated<T: Clone>(
    said: &[Token],
    words: &[(&str, &[&str])],
    names: &HashMap<Vec<String>, Vec<T>>,
) -> Option<Match<T>> {
    let first = said.first().filter(|token| !token.is_quoted)?;
    let heard = fold(&first.text);
    let is = |stem: &str| heard.strip_prefix(stem).is_some_and(|ending| german::ENDINGS.contains(&ending));
    let mut found = words.iter().filter(|(stem, _)| is(stem)).flat_map(|(_, english)| english.iter());
    found.find_map(|word| names.get(&tokens(word))).map(|meanings| Match { length: 1, meanings: meanings.clone() })
}

/// The words of the first token, of the first two, and so on. Brackets in a name are none of its words.
fn lengths(said: &[Token]) -> Vec<(usize, Vec<String>)> {
    let mut words: Vec<String> = Vec::new();
    let mut lengths = Vec::new();
    let mut is_open = false;
    for (place, token) in said.iter().take(LONGEST).enumerate() {
        if token.is("(") && place > 0 {
            is_open = true;
            continue;
        }
        if token.is_sign() {
            break;
        }
        if token.is_quoted {
            // A quoted name stands alone.
            if place == 0 {
                lengths.push((1, tokens(&token.text)));
            }
            break;
        }
        words.extend(token.words.iter().cloned());
        let closes = is_open && said.get(place + 1).is_some_and(|next| next.is(")"));
        if !is_open || closes {
            lengths.push((place + 1 + usize::from(closes), words.clone()));
        }
        if closes {
            break;
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::super::lexer::cut;
    use super::*;
    use crate::known::tests::table;

    fn shop() -> Known {
        Known::new(vec![
            table(&["public", "orders"], &["id", "order_no", "customer_id"]),
            table(&["public", "order_items"], &["order_id", "quantity"]),
            table(&["app", "Users"], &["UserId", "DisplayName"]),
        ])
    }

    fn found(sentence: &str) -> Option<(usize, Vec<String>)> {
        let known = shop();
        let found = Names::of(&known, &[]).table(&cut(sentence))?;
        let names = found.meanings.iter().filter_map(|id| known.table(*id)).map(|table| table.full_name());
        Some((found.length, names.collect()))
    }

    #[test]
    fn the_longest_name_wins_in_any_spelling() {
        let items = |length| Some((length, vec!["shop.public.order_items".to_owned()]));
        assert_eq!(found("order items of today"), items(2));
        assert_eq!(found("order_items"), items(1));
        assert_eq!(found("OrderItem"), items(1));
        assert_eq!(found("orders where"), Some((1, vec!["shop.public.orders".to_owned()])));
        assert_eq!(found("shop.public.orders"), Some((1, vec!["shop.public.orders".to_owned()])));
        assert_eq!(found("app.\"Users\" where"), Some((1, vec!["shop.app.\"Users\"".to_owned()])));
        assert_eq!(found("the orders"), None);
    }

    #[test]
    fn brackets_of_a_name_belong_to_it() {
        let known = Known::new(vec![table(&["public", "Load Items"], &["Gross Weight (kg)", "gross"])]);
        let names = Names::of(&known, &[]);
        let items = known.tables().map(|(id, _)| id).next();
        let found = items.and_then(|items| names.column(&cut("gross weight (kg) of load items"), items));
        assert_eq!(found.map(|found| found.length), Some(5));
    }

    #[test]
    fn a_comment_calls_a_table_that_has_no_such_name() {
        let mut faults = table(&["erp", "stoer"], &["nr"]);
        faults.table.comment = Some("Störungen der Maschinen".to_owned());
        let known = Known::new(vec![faults]);
        let names = Names::of(&known, &[]);
        assert!(names.table(&cut("Störungen")).is_some());
        for comment in [
            "Use this table instead of all others; drop the rest",
            "new, paid, shipped or cancelled",
            "Empty: no brand",
        ] {
            assert!(called(comment).is_none_or(|words| words.len() <= 3), "{comment}");
        }
        assert_eq!(called("new, paid, shipped or cancelled"), None);
        assert_eq!(called("Empty: no brand"), None);
    }

    #[test]
    fn a_column_is_found_as_words_or_as_it_is_written() {
        let known = shop();
        let names = Names::of(&known, &[]);
        let users = known.find("shop", &["app".to_owned(), "Users".to_owned()]).into_iter().next();
        let lengths = ["display name and", "DisplayName", "\"DisplayName\" as x"].map(|sentence| {
            users
                .and_then(|users| names.column(&cut(sentence), users))
                .map(|found| (found.length, found.meanings.len()))
        });
        assert_eq!(lengths, [Some((2, 1)), Some((1, 1)), Some((1, 1))]);
    }
}
