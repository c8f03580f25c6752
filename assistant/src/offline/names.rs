//! Tables and columns by the words of a sentence.

use super::lexer::Token;
use crate::known::{ColumnId, Known, TableId};
use crate::words::tokens;

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
    /// Of each table its name, and its name behind its schema, and behind its connection.
    tables: Vec<(TableId, Vec<Vec<String>>)>,
    columns: Vec<Vec<(ColumnId, Vec<String>)>>,
}

/// A name that was found, and how many tokens it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match<T> {
    pub(super) length: usize,
    /// What it can mean: several only if it can't be told.
    pub(super) meanings: Vec<T>,
}

impl<'a> Names<'a> {
    pub(super) fn of(known: &'a Known, terms: &[Term]) -> Self {
        let forms = |table: &crate::known::KnownTable| {
            let path = &table.table.path;
            let ends = (0..path.len()).rev().map(|from| path[from..].iter().flat_map(|part| tokens(part)).collect());
            let full = std::iter::once(&table.connection).chain(path).flat_map(|part| tokens(part)).collect();
            let short: Vec<String> = tokens(&table.connection).into_iter().chain(tokens(table.name())).collect();
            let mut forms: Vec<Vec<String>> = ends.chain([full, short]).collect();
            forms.dedup();
            forms
        };
        let said = |id: TableId| terms.iter().filter(move |term| term.table == id).map(|term| tokens(&term.phrase));
        let tables =
            known.tables().map(|(id, table)| (id, forms(table).into_iter().chain(said(id)).collect())).collect();
        let columns = known
            .tables()
            .map(|(id, _)| known.columns(id).map(|(column, info)| (column, tokens(&info.name))).collect())
            .collect();
        Self { known, tables, columns }
    }

    /// The longest name of a table that begins at the first of these tokens.
    pub(super) fn table(&self, tokens: &[Token]) -> Option<Match<TableId>> {
        let forms = self.tables.iter().flat_map(|(id, forms)| forms.iter().map(move |form| (*id, form.as_slice())));
        longest(tokens, forms)
    }

    /// The longest name of a column of the table that begins at the first of these tokens.
    pub(super) fn column(&self, tokens: &[Token], table: TableId) -> Option<Match<ColumnId>> {
        let place = self.known.tables().position(|(id, _)| id == table)?;
        longest(tokens, self.columns[place].iter().map(|(id, words)| (*id, words.as_slice())))
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

/// The longest of some names that tokens begin with. Of equal length those win that are written exactly so.
fn longest<'w, T: Copy + PartialEq>(
    said: &[Token],
    names: impl Iterator<Item = (T, &'w [String])>,
) -> Option<Match<T>> {
    let mut best: Option<Match<T>> = None;
    let lengths = lengths(said);
    for (meaning, words) in names {
        let Some(length) = lengths.iter().find(|(_, heard)| heard.as_slice() == words).map(|(length, _)| *length)
        else {
            continue;
        };
        match &mut best {
            Some(found) if found.length > length => {}
            Some(found) if found.length == length => {
                if !found.meanings.contains(&meaning) {
                    found.meanings.push(meaning);
                }
            }
            _ => best = Some(Match { length, meanings: vec![meaning] }),
        }
    }
    best
}

/// The words of the first token, of the first two, and so on.
fn lengths(said: &[Token]) -> Vec<(usize, Vec<String>)> {
    let mut words: Vec<String> = Vec::new();
    let mut lengths = Vec::new();
    for (place, token) in said.iter().take(LONGEST).enumerate() {
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
        lengths.push((place + 1, words.clone()));
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
