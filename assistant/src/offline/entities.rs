//! Other tables as what rows are counted or grouped by: `customers who ordered`, `orders per customer`.

use super::data::Reader;
use super::routes::routes;
use super::selection::{Item, Place, Value};
use super::stop::Stop;

impl Reader<'_> {
    /// `customers with orders`, `customers ordered`, `customers placed an order`: the different ones that the rows refer to.
    pub(super) fn those_with(&self, start: usize, end: usize) -> Option<Result<(usize, Value), Stop>> {
        let who = self.data.names.table(&self.data.said[start..end])?;
        let mut at = start + who.length;
        at += usize::from(self.is_any(at, end, &["who", "that", "which"]));
        let verb = self.said(at, end)?;
        let behind = match self.data.names.verb(verb).contains(&self.base) {
            true => at + 1,
            false if self.is_any(at, end, &["with", "placed", "made"]) => {
                let one = self.is(at + 1, end, "at")
                    && self.is(at + 2, end, "least")
                    && self.is_any(at + 3, end, &["one", "1"]);
                self.table(at + 1 + if one { 3 } else { 0 }, end)?
            }
            false => return None,
        };
        let known = self.data.names.known;
        let ways = who.meanings.iter().flat_map(|table| routes(known, self.base, *table)).collect::<Vec<_>>();
        Some(match ways.as_slice() {
            [way] if way.len() == 1 && way[0].from.len() == 1 => {
                Ok((behind, Value::Distinct(Place { route: Vec::new(), column: way[0].from[0] })))
            }
            _ => Err(Stop::at(start, "a table that the other one refers to by one key")),
        })
    }

    /// A table that the rows refer to, as what they are grouped by: its key, and its name if it has one.
    pub(super) fn entity(&self, at: usize, end: usize) -> Option<Result<(usize, Vec<Item>), Stop>> {
        let start = self.phrase.skip_articles(at, end);
        let found = self.data.names.table(&self.data.said[start..end])?;
        let behind = start + found.length;
        let ends =
            behind == end || self.is_any(behind, end, &["and", ",", "by", "in", "since", "this", "last", "instead"]);
        if !ends || found.meanings.contains(&self.base) {
            return None;
        }
        let known = self.data.names.known;
        let ways: Vec<_> = found.meanings.iter().flat_map(|table| routes(known, self.base, *table)).collect();
        let [way] = ways.as_slice() else {
            return Some(Err(Stop::at(start, "a column, or a table that the rows refer to by one key")));
        };
        let (hop, before) = way.split_last()?;
        let [key] = hop.from.as_slice() else {
            return Some(Err(Stop::at(start, "a column, or a table that the rows refer to by one column")));
        };
        let item = |place: Place| Item { value: Value::Column(place), name: None };
        let mut items = vec![item(Place { route: before.to_vec(), column: *key })];
        let label = known.columns(hop.table).find(|(_, column)| {
            ["name", "title", "label", "bez", "bezeichnung"].contains(&column.name.to_lowercase().as_str())
        });
        items.extend(label.map(|(column, _)| item(Place { route: way.clone(), column })));
        Some(Ok((behind, items)))
    }
}
