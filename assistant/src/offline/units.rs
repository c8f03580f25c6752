//! Values in several units or currencies are not added up without a word.

use headwater_engine::connector::ColumnInfo;

use super::condition::Family;
use super::lexer::as_name;
use super::phrase::Phrase;
use super::routes::{Route, hops};
use super::selection::{Fold, Place, Selection, Test, Value};
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::known::{ColumnId, TableId};
use crate::words::tokens;

/// Words that name a column which says what another column counts, folded.
const UNITS: [&str; 5] = ["unit", "uom", "einheit", "mengeneinheit", "unite"];

/// And one that says in which money.
const CURRENCIES: [&str; 7] = ["currency", "ccy", "curr", "waehrung", "whg", "devise", "moneda"];

/// Ends of names that say themselves what a column counts.
const SAID: [&str; 23] = [
    "eur", "usd", "gbp", "chf", "jpy", "kg", "gram", "km", "kwh", "mwh", "minute", "min", "second", "sec", "hour",
    "day", "percent", "pct", "piece", "gb", "mb", "byte", "litre",
];

/// Asks if a sum or an average would mix units: a column of the table, or of one that it refers to, says what each value counts, and neither a group nor a
/// condition holds it to one.
pub(super) fn must_not_mix(phrase: &Phrase<'_>, selection: &Selection) -> Result<(), Stop> {
    let folded = selection.items.iter().filter_map(|item| match &item.value {
        Value::Folded(Fold::Sum | Fold::Average, place) => Some(place),
        _ => None,
    });
    for place in folded {
        let Some(unit) = unit_of(phrase, selection, place) else { continue };
        // A key of the table that has the unit holds it to one, too.
        let key = unit.route.last().map(|hop| (hop.from.clone(), hop.to.clone()));
        let is_key = |at: &Place| key.as_ref().is_some_and(|(from, to)| *from == [at.column] || *to == [at.column]);
        let is_one = |at: &Place| at.column == unit.column || is_key(at);
        let grouped = selection.groups.iter().filter_map(|group| group.value.place()).any(is_one);
        let held = selection
            .conditions
            .iter()
            .any(|condition| is_one(&condition.place) && matches!(condition.test, Test::Compare("=", _)));
        if !grouped && !held {
            return Err(Stop::Ask(question(phrase, selection, place, &unit)));
        }
    }
    Ok(())
}

/// The column that says what a value counts.
fn unit_of(phrase: &Phrase<'_>, selection: &Selection, place: &Place) -> Option<Place> {
    let own = place.route.last().map_or(selection.base, |hop| hop.table);
    let known = phrase.names.known;
    let place_of = |route: Route, column: ColumnId| Place { route, column };
    let column = known.column(place.column)?;
    let refers = hops(known, own).iter().any(|hop| hop.from.contains(&place.column));
    if selection.mixes || column.primary_key.is_some() || refers || Family::of(&column.arrow_type) != Family::Number {
        return None;
    }
    // Whole numbers count things: money has fractions.
    let name = tokens(&column.name);
    let is_whole = column.arrow_type.starts_with("Int") || column.arrow_type.starts_with("UInt");
    let counts = is_whole && !name.iter().any(|word| word == "cent");
    let in_table = |table: TableId| known.columns(table).find(|(_, column)| is_unit(column, counts)).map(|(id, _)| id);
    if name.last().is_some_and(|word| SAID.contains(&word.as_str())) {
        return None;
    }
    if let Some(column) = in_table(own) {
        return Some(place_of(place.route.clone(), column));
    }
    hops(known, own).into_iter().find_map(|hop| {
        let column = in_table(hop.table)?;
        Some(place_of([place.route.as_slice(), &[hop]].concat(), column))
    })
}

/// Words that stand beside that of a unit in the name of its column.
const BESIDE: [&str; 12] = ["3", "alpha", "code", "id", "iso", "key", "measure", "name", "of", "ref", "symbol", "type"];

/// By its name, or by what its author says of a column with text.
fn is_unit(column: &ColumnInfo, counts: bool) -> bool {
    let is = |word: &String| UNITS.contains(&word.as_str()) || (!counts && CURRENCIES.contains(&word.as_str()));
    let said = column.comment.as_deref().map(tokens).unwrap_or_default();
    let mut name = tokens(&column.name);
    while name.len() > 1 && name.last().is_some_and(|word| BESIDE.contains(&word.as_str())) {
        name.pop();
    }
    name.last().is_some_and(is) || (Family::of(&column.arrow_type) == Family::Text && said.iter().any(is))
}

fn question(phrase: &Phrase<'_>, selection: &Selection, place: &Place, unit: &Place) -> Question {
    let known = phrase.names.known;
    let name = |column: ColumnId| known.column(column).map(|column| column.name.clone()).unwrap_or_default();
    let (value, unit_name) = (name(place.column), name(unit.column));
    let table = known.table(unit.column.table).map(|table| table.name().to_owned()).unwrap_or_default();
    let said = match unit.route.is_empty() {
        true => as_name(&unit_name),
        false => format!("{} of {}", as_name(&unit_name), as_name(&table)),
    };
    let sentence = phrase.sentence.trim_end_matches(['.', '?', '!', ' ']);
    // Behind the groups that there are, or as the only one, before a target.
    let target = [" into ", " to "].iter().filter_map(|word| sentence.find(word)).min();
    let (head, tail) = sentence.split_at(target.unwrap_or(sentence.len()));
    let joint = if selection.groups.is_empty() { " per " } else { ", per " };
    let choices = vec![
        Choice {
            text: format!("a value for each {unit_name} of {table}"),
            sentence: format!("{head}{joint}{said}{tail}"),
        },
        Choice { text: "one value over all units".to_owned(), sentence: format!("{head} over all units{tail}") },
    ];
    Question {
        text: format!("{value} is in different units, which {unit_name} of {table} names. What should be added up?"),
        choices,
    }
}
