//! Over random catalogs with hostile names, a sentence that says what is wanted is read as what was wanted.

use proptest::prelude::*;
use proptest::sample::{Index, select as any_of};

use super::super::period::Period;
use super::super::routes::hops;
use super::super::selection::{Condition, Fold, Number, Place, Selection, Test, Value};
use super::super::{Names, select, spoken};
use super::*;
use crate::known::ColumnId;

/// Names as people give them, and as nobody should.
const TABLES: [&str; 12] = [
    "orders",
    "Orders",
    "order_items",
    "Order Lines",
    "select",
    "Group",
    "drop table; --",
    "per",
    "Größen",
    "ta\"ble",
    "by month",
    "t2",
];
const COLUMNS: [(&str, &str); 18] = [
    ("id", "int"),
    ("Status", "text"),
    ("status", "text"),
    ("STATUS", "text"),
    ("order by", "text"),
    ("where", "int"),
    ("total", "num"),
    ("Sum", "num"),
    ("count", "int"),
    ("with \"quotes\"", "text"),
    ("ignore all rules", "text"),
    ("active", "bool"),
    ("is_Open", "bool"),
    ("größe", "num"),
    ("created_at", "time"),
    ("day", "date"),
    ("ordered at", "time"),
    ("per", "text"),
];

/// Tables of a connection, each referring to some of those before it.
fn catalogs() -> impl Strategy<Value = Known> {
    let table = (any_of(TABLES.to_vec()), prop::collection::btree_set(0..COLUMNS.len(), 1..9), any::<Option<Index>>());
    prop::collection::vec(table, 1..6).prop_map(|said| {
        let mut tables: Vec<KnownTable> = Vec::new();
        for (name, columns, refers_to) in said {
            if tables.iter().any(|table| table.name() == name) {
                continue;
            }
            let mut all = vec!["key int key".to_owned()];
            let mut names = vec!["key".to_owned()];
            for at in columns {
                let (column, kind) = COLUMNS[at];
                names.push(column.to_owned());
                all.push(format!("c{at} {kind}"));
            }
            let other = refers_to.filter(|_| !tables.is_empty()).map(|index| index.get(&tables).table.path.clone());
            if other.is_some() {
                names.push("other".to_owned());
                all.push("other int".to_owned());
            }
            let columns: Vec<&str> = all.iter().map(String::as_str).collect();
            let mut made = typed(&["s", name], &columns);
            for (column, name) in made.table.columns.iter_mut().zip(names) {
                column.name = name;
            }
            if let Some(path) = other {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                refers(&mut made, "other", &path);
                made.table.foreign_keys[0].references = vec!["key".to_owned()];
            }
            tables.push(made);
        }
        Known::new(tables)
    })
}

/// A name in quotes that it does not have itself.
fn quoted(name: &str) -> String {
    let quote = if name.contains('"') { '`' } else { '"' };
    format!("{quote}{name}{quote}")
}

struct Random<'a> {
    known: &'a Known,
    table: TableId,
    picks: &'a [Index],
}

impl Random<'_> {
    fn pick<T: Clone>(&self, at: usize, among: &[T]) -> Option<T> {
        (!among.is_empty()).then(|| self.picks[at].get(among).clone())
    }

    fn column(&self, at: usize, family: &[&str]) -> Option<(ColumnId, String)> {
        let fits = |kind: &str| family.iter().any(|family| kind.starts_with(family));
        let columns = self.known.columns(self.table).filter(|(_, column)| fits(&column.arrow_type));
        let columns: Vec<_> = columns.map(|(id, column)| (id, quoted(&column.name))).collect();
        self.pick(at, &columns)
    }

    fn own(&self, column: ColumnId) -> Place {
        Place { route: Vec::new(), column }
    }

    /// What begins a sentence, and what it selects.
    fn head(&self, wanted: &mut Selection) -> Option<String> {
        let table = quoted(self.known.table(self.table)?.name());
        let item = |value| super::super::selection::Item { value, name: None };
        let heads = ["count", "how many", "number of", "wie viele", "rows", "sum", "average", "highest", "top", "most"];
        Some(match self.pick(0, &heads)? {
            kind @ ("count" | "how many" | "number of" | "wie viele") => {
                wanted.items.push(item(Value::Rows));
                match kind {
                    "count" => format!("count {table}"),
                    "how many" => format!("How many {table} do we have"),
                    "number of" => format!("the number of {table}"),
                    _ => format!("Wie viele {table} gibt es"),
                }
            }
            "rows" => {
                wanted.whole_rows = true;
                format!("show me all {table}")
            }
            kind @ ("sum" | "average" | "highest") => {
                let (column, name) = self.column(1, &["Decimal"])?;
                let fold = match kind {
                    "sum" => Fold::Sum,
                    "average" => Fold::Average,
                    _ => Fold::Largest,
                };
                wanted.items.push(item(Value::Folded(fold, self.own(column))));
                format!("What is the {kind} of {name} of all {table}")
            }
            kind => {
                let (column, name) = self.column(1, &["Decimal", "Int"])?;
                let by = Value::Column(self.own(column));
                let top = super::super::selection::Top { count: Some(3), ascending: false, by };
                (wanted.whole_rows, wanted.top) = (true, Some(top));
                match kind {
                    "top" => return Some(format!("top 3 {table} by {name}")),
                    _ => return Some(format!("the three {table} with the highest {name}")),
                }
            }
        })
    }

    /// Conditions and what they are in the terms of the catalog.
    fn conditions(&self, wanted: &mut Selection) -> Option<String> {
        let mut add = |column: ColumnId, test: Test| {
            wanted.conditions.push(Condition { place: self.own(column), test, words: 0..0 });
        };
        let compare = |sign, value: &str| Test::Compare(sign, value.to_owned());
        let year = Period::Fixed("2025-01-01".parse().ok()?, "2026-01-01".parse().ok()?);
        Some(match self.pick(2, &["text", "or", "at least", "between", "empty", "time", "boolean", "none"])? {
            "text" => {
                let (column, name) = self.column(3, &["Utf8"])?;
                add(column, compare("<>", "'it''s per'"));
                format!(" whose {name} isn't \"it's per\"")
            }
            "or" => {
                let (column, name) = self.column(3, &["Utf8"])?;
                add(column, Test::Among(vec!["'x1'".to_owned(), "'x2'".to_owned()]));
                format!(" with a {name} of x1 or x2")
            }
            "at least" => {
                let (column, name) = self.column(3, &["Int", "Decimal"])?;
                add(column, compare(">=", "4"));
                format!(" with a {name} of 4 or more")
            }
            "between" => {
                let (column, name) = self.column(3, &["Int", "Decimal"])?;
                add(column, Test::Between("1".to_owned(), "5".to_owned()));
                format!(" where {name} is between 1 and 5")
            }
            "empty" => {
                let (column, name) = self.column(3, &["Utf8", "Int", "Date"])?;
                add(column, Test::Empty);
                format!(" without a {name}")
            }
            "time" => {
                let (column, name) = self.column(3, &["Date", "Timestamp"])?;
                add(column, Test::During(year));
                format!(" with {name} in 2025")
            }
            "boolean" => {
                let (column, name) = self.column(3, &["Boolean"])?;
                add(column, compare("=", "false"));
                format!(" where {name} is false")
            }
            _ => String::new(),
        })
    }

    /// Rows by those that refer to them.
    fn partners(&self, wanted: &mut Selection) -> Option<String> {
        let others: Vec<TableId> = self.known.tables().map(|(id, _)| id).collect();
        let other = self.pick(4, &others)?;
        let back = hops(self.known, other).into_iter().find(|hop| hop.table == self.table)?;
        let forth = hops(self.known, self.table).into_iter().any(|hop| hop.table == other);
        if forth || other == self.table {
            return None;
        }
        let name = quoted(self.known.table(other)?.name());
        let (number, said) = match self.pick(5, &[0, 1, 2])? {
            0 => (Number::None, format!(" that have no {name}")),
            1 => (Number::Some, format!(" with {name}")),
            _ => (Number::Is(">", 3), format!(" with more than 3 {name}")),
        };
        let partners = super::super::selection::Partners { table: other, hop: back, number, conditions: Vec::new() };
        wanted.partners.push(partners);
        Some(said)
    }
}

/// A selection without the places of its words.
fn bare(mut selection: Selection) -> Selection {
    selection.conditions.iter_mut().for_each(|condition| condition.words = 0..0);
    (selection.group_words, selection.notes) = (None, Vec::new());
    selection
}

proptest! {
    #![proptest_config(crate::typed::seeded(1_500))]

    #[test]
    fn a_sentence_is_read_as_what_it_says(known in catalogs(), picks in prop::collection::vec(any::<Index>(), 12)) {
        let ids: Vec<TableId> = known.tables().map(|(id, _)| id).collect();
        let table = *picks[11].get(&ids);
        let random = Random { known: &known, table, picks: &picks };
        let mut wanted = Selection::of(table);
        let Some(mut sentence) = random.head(&mut wanted) else { return Ok(()) };
        let is_german = sentence.starts_with("Wie");
        let is_partnered = picks[10].index(3) == 0 && wanted.whole_rows && wanted.top.is_none();
        let narrowed = if is_german { Some(String::new()) } else if is_partnered { random.partners(&mut wanted) } else { random.conditions(&mut wanted) };
        let Some(narrowed) = narrowed else { return Ok(()) };
        sentence.push_str(&narrowed);
        if wanted.top.is_none() && picks[9].index(2) == 0 && let Some((column, name)) = random.column(6, &["Utf8", "Int"]) {
            let ways = if is_german { ["je", "pro", "nach", "je", "pro"] } else { ["per", "by", "for each", "in each", "broken down by"] };
            let per = random.pick(7, &ways).unwrap_or_default();
            sentence.push_str(&format!(" {per} {name}"));
            wanted.groups.push(super::super::selection::Item { value: Value::Column(random.own(column)), name: None });
            if wanted.whole_rows {
                wanted.whole_rows = false;
                wanted.items.push(super::super::selection::Item { value: Value::Rows, name: None });
            }
        }
        let names = Names::of(&known, &[]);
        let said = spoken::hear(&sentence, &names);
        let read = select(&sentence, &said, &names);
        prop_assert_eq!(read.map(bare).map_err(|stop| format!("{sentence}: {stop:?}")), Ok(bare(wanted)), "{}", sentence);
    }

    #[test]
    fn a_question_and_the_next_are_one_sentence_with_the_same_statement(
        before in any_of(vec![
            "How many orders did we get in March 2026?",
            "number of orders where status is paid",
            "orders per status",
            "sum of total of orders per status in 2025",
            "Wie viele Bestellungen gab es im März 2026 pro Status?",
            "customers with orders in 2025",
            "average price of products per category name",
            "count products without order items",
        ]),
        next in prop::collection::vec(any_of(vec![
            "and in 2025?", "what about last month?", "per status instead", "now by country of the customer", "also by status", "just the top 3",
            "only those with total over 100", "the same where status is open", "und im Jahr 2025?", "pro Monat", "nur die mit Status neu",
            "where total is between 1 and 5", "by month", "without order items", "and since 2026-01-01",
        ]), 1..4),
    ) {
        with_setting(|setting| {
            let mut whole = before.to_owned();
            for question in next {
                let (outcome, sentence) = ask_after(Some(&whole), question, setting);
                let Outcome::Made(statement) = outcome else { continue };
                let sentence = sentence.unwrap();
                let alone = ask(&sentence, setting);
                let Outcome::Made(alone) = alone else { panic!("{whole} + {question} = {sentence}: {alone:?}") };
                assert_eq!(alone.sql, statement.sql, "{whole} + {question} = {sentence}");
                whole = sentence;
            }
        });
    }
}
