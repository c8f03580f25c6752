//! Rows against gold's.

use chrono_tz::Tz;

use super::case::Part;
use super::value::{Class, Value, meet};

/// The largest difference of averages, absolutely or relative to gold.
const AVERAGE: f64 = 1e-6;

/// The largest difference of binary floats, relative to gold: sums of them depend on the order of the rows.
const FLOAT: f64 = 1e-12;

/// Choices of columns that are tried when an answer has more of them than gold.
const MAX_CHOICES: usize = 2_000;

/// A row.
pub(super) type Row = Vec<Value>;

/// Rows with the names of their columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// The rows that are expected.
#[derive(Debug, Clone, Default)]
pub(super) struct Gold {
    pub(super) columns: Vec<String>,
    pub(super) classes: Vec<Class>,
    pub(super) rows: Vec<Row>,
}

/// How rows are compared with gold's.
#[derive(Debug, Clone)]
pub(super) struct Comparison<'a> {
    pub(super) gold: &'a Gold,
    pub(super) part: &'a Part,
    pub(super) zone: Tz,
}

impl Comparison<'_> {
    /// What is different about a target, whose columns are known by their names.
    pub(super) fn of_target(&self, table: &Table) -> Option<String> {
        let mut places = Vec::with_capacity(self.gold.columns.len());
        for name in &self.gold.columns {
            match table.columns.iter().position(|column| column == name) {
                Some(place) => places.push(place),
                None => {
                    return Some(format!("there is no column {name}; the columns are {}", table.columns.join(", ")));
                }
            }
        }
        if let Some(further) = table.columns.iter().find(|column| !self.gold.columns.contains(column)) {
            return Some(format!("nobody asked for the column {further}"));
        }
        self.difference(&table.rows, &places)
    }

    /// What is different about an answer, whose columns are known by their positions and may have others between them.
    pub(super) fn of_answer(&self, table: &Table) -> Option<String> {
        let wanted = self.gold.columns.len();
        let first: Vec<usize> = (0..wanted).collect();
        if table.columns.len() < wanted {
            return Some(format!("it has {} columns, and gold {wanted}", table.columns.len()));
        }
        let told = self.difference(&table.rows, &first)?;
        let mut places = first;
        for _ in 0..MAX_CHOICES {
            if !advance(&mut places, table.columns.len()) {
                break;
            }
            self.difference(&table.rows, &places)?;
        }
        Some(told)
    }

    /// What is different about the values at these places of each row.
    fn difference(&self, rows: &[Row], places: &[usize]) -> Option<String> {
        let met = |row: &Row| -> Row {
            let value = |(place, class): (&usize, &Class)| {
                meet(row.get(*place).cloned().unwrap_or(Value::Null), *class, self.zone)
            };
            places.iter().zip(&self.gold.classes).map(value).collect()
        };
        let rows: Vec<Row> = rows.iter().map(met).collect();
        match &self.part.top {
            Some(top) => self.top(&rows, top.n, &top.by),
            None if rows.len() != self.gold.rows.len() => {
                Some(format!("it has {} rows, and gold {}{}", rows.len(), self.gold.rows.len(), self.stray(&rows)))
            }
            None if self.part.ordered => self.pairwise(&rows, &self.gold.rows),
            None => self.pairwise(&self.sorted(&rows), &self.sorted(&self.gold.rows)),
        }
    }

    /// A row that one side has alone, in words.
    fn stray(&self, rows: &[Row]) -> String {
        let lone = |some: &[Row], others: &[Row]| {
            let mut left: Vec<&Row> = others.iter().collect();
            some.iter().find(|row| !take(&mut left, |other| self.same(other, row))).map(|row| shown(row))
        };
        match (lone(&self.gold.rows, rows), lone(rows, &self.gold.rows)) {
            (Some(missing), _) if rows.len() < self.gold.rows.len() => format!(": {missing} is missing"),
            (_, Some(extra)) => format!(": {extra} is not gold's"),
            (Some(missing), None) => format!(": {missing} is missing"),
            (None, None) => String::new(),
        }
    }

    fn pairwise(&self, rows: &[Row], gold: &[Row]) -> Option<String> {
        let (found, expected) = rows.iter().zip(gold).find(|(row, gold)| !self.same(gold, row))?;
        let by = if self.part.keys.is_empty() { String::new() } else { format!(" by {}", self.part.keys.join(", ")) };
        Some(format!("rows differ{by}: {} instead of {}", shown(found), shown(expected)))
    }

    /// By the exact columns first, so that rows which are equal but for averages stand beside each other.
    fn sorted(&self, rows: &[Row]) -> Vec<Row> {
        let keys: Vec<bool> = self.gold.columns.iter().map(|name| self.part.keys.contains(name)).collect();
        let rank = |row: &Row| -> (Row, Row, Row) {
            let of = |wanted: &dyn Fn(usize) -> bool| -> Row {
                row.iter().enumerate().filter(|(place, _)| wanted(*place)).map(|(_, value)| value.clone()).collect()
            };
            let exact = |place: usize| self.tolerance(place).is_none();
            (
                of(&|place| keys[place] && exact(place)),
                of(&|place| !keys[place] && exact(place)),
                of(&|place| !exact(place)),
            )
        };
        let by_float = |one: &Row, other: &Row| {
            let floats =
                |row: &Row| row.iter().map(|value| value.float().unwrap_or(f64::NEG_INFINITY)).collect::<Vec<_>>();
            floats(one).iter().zip(floats(other)).map(|(one, other)| one.total_cmp(&other)).find(|order| order.is_ne())
        };
        let mut ranked: Vec<((Row, Row, Row), Row)> = rows.iter().map(|row| (rank(row), row.clone())).collect();
        ranked.sort_by(|(one, _), (other, _)| {
            let exact = (&one.0, &one.1).cmp(&(&other.0, &other.1));
            exact.then_with(|| by_float(&one.2, &other.2).unwrap_or(std::cmp::Ordering::Equal))
        });
        ranked.into_iter().map(|(_, row)| row).collect()
    }

    /// The first `n` rows of gold. Rows that tie may change places or replace each other.
    fn top(&self, rows: &[Row], n: usize, by: &[String]) -> Option<String> {
        let wanted = n.min(self.gold.rows.len());
        if rows.len() != wanted {
            return Some(format!("it has {} rows instead of {wanted}", rows.len()));
        }
        let places: Vec<usize> = self
            .gold
            .columns
            .iter()
            .enumerate()
            .filter(|(_, name)| by.contains(name))
            .map(|(place, _)| place)
            .collect();
        let mut left: Vec<&Row> = self.gold.rows.iter().collect();
        for (row, gold) in rows.iter().zip(&self.gold.rows) {
            if !places.iter().all(|place| self.equal(*place, &gold[*place], &row[*place])) {
                return Some(format!("{} stands where gold has {}", shown(row), shown(gold)));
            }
            if !take(&mut left, |gold| self.same(gold, row)) {
                return Some(format!("{} is no row of gold", shown(row)));
            }
        }
        None
    }

    fn same(&self, gold: &Row, row: &Row) -> bool {
        gold.len() == row.len() && (0..gold.len()).all(|place| self.equal(place, &gold[place], &row[place]))
    }

    fn equal(&self, place: usize, gold: &Value, value: &Value) -> bool {
        let near = || {
            let (gold, value, tolerance) = (gold.float()?, value.float()?, self.tolerance(place)?);
            let difference = (gold - value).abs();
            Some(difference <= tolerance || difference <= tolerance * gold.abs())
        };
        gold == value || near() == Some(true)
    }

    /// How much values of a column may differ.
    fn tolerance(&self, place: usize) -> Option<f64> {
        let is_average = self.gold.columns.get(place).is_some_and(|name| self.part.approximate.contains(name));
        match self.gold.classes.get(place) {
            _ if is_average => Some(AVERAGE),
            Some(Class::Float) => Some(FLOAT),
            _ => None,
        }
    }
}

/// Takes the first row that fits out of a list.
fn take<'a>(rows: &mut Vec<&'a Row>, fits: impl Fn(&'a Row) -> bool) -> bool {
    match rows.iter().position(|row| fits(row)) {
        Some(place) => {
            rows.swap_remove(place);
            true
        }
        None => false,
    }
}

/// The next ascending choice of places among so many; whether there is one.
fn advance(places: &mut [usize], among: usize) -> bool {
    let count = places.len();
    let Some(last) = (0..count).rev().find(|place| places[*place] < among - count + place) else { return false };
    places[last] += 1;
    for place in last + 1..count {
        places[place] = places[place - 1] + 1;
    }
    true
}

fn shown(row: &[Value]) -> String {
    format!("({})", row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
