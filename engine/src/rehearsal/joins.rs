//! Which columns of which relations a statement sets equal.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, JoinConstraint, JoinOperator, Query, Select, TableFactor, Visit, Visitor,
};

/// Two columns that a join sets equal, each of a relation by its internal name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meeting {
    one: (String, String),
    other: (String, String),
}

impl Meeting {
    /// The column of a relation, and the column of the other side that it meets, if that one is there.
    pub(super) fn of<'a, T>(&'a self, name: &str, there: impl Fn(&str) -> Option<T>) -> Option<(&'a str, T, &'a str)> {
        let (own, other) = match (self.one.0 == name, self.other.0 == name) {
            (true, false) => (&self.one, &self.other),
            (false, true) => (&self.other, &self.one),
            _ => return None,
        };
        Some((&own.1, there(&other.0)?, &other.1))
    }
}

/// The relation whose rows a statement begins with: all of them can be in its result.
pub(super) fn first(sql: &str) -> Option<String> {
    let query = headwater_pipelines::sql::parse(sql).ok()?;
    let mut found = Found::default();
    let _ = query.visit(&mut found);
    found.first
}

/// The columns that the inner and left joins of a statement set equal. Of a right or full join the joined table gives rows of its own, and is read as it is.
pub(super) fn meetings(sql: &str) -> Vec<Meeting> {
    let Ok(query) = headwater_pipelines::sql::parse(sql) else { return Vec::new() };
    let mut found = Found::default();
    let _ = query.visit(&mut found);
    // A relation that is read twice would lose the rows of its other reading.
    found
        .meetings
        .retain(|meeting| [&meeting.one.0, &meeting.other.0].iter().all(|name| found.readings.get(*name) == Some(&1)));
    found.meetings
}

#[derive(Default)]
struct Found {
    first: Option<String>,
    meetings: Vec<Meeting>,
    readings: BTreeMap<String, usize>,
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(select) = query.body.as_select() {
            self.select(select);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let Some((name, _)) = named(factor) {
            *self.readings.entry(name).or_default() += 1;
        }
        ControlFlow::Continue(())
    }
}

impl Found {
    fn select(&mut self, select: &Select) {
        let mut aliases = BTreeMap::new();
        for from in &select.from {
            if let Some((name, alias)) = named(&from.relation) {
                self.first.get_or_insert_with(|| name.clone());
                aliases.insert(alias, name);
            }
            for join in &from.joins {
                let constraint = match &join.join_operator {
                    JoinOperator::Join(on)
                    | JoinOperator::Inner(on)
                    | JoinOperator::Left(on)
                    | JoinOperator::LeftOuter(on)
                    | JoinOperator::LeftSemi(on)
                    | JoinOperator::LeftAnti(on) => Some(on),
                    _ => None,
                };
                if let Some((name, alias)) = named(&join.relation) {
                    aliases.insert(alias, name);
                }
                if let Some(JoinConstraint::On(condition)) = constraint {
                    self.equal(condition, &aliases);
                }
            }
        }
        if let Some(condition) = &select.selection {
            self.equal(condition, &aliases);
        }
    }

    fn equal(&mut self, condition: &Expr, aliases: &BTreeMap<String, String>) {
        match condition {
            Expr::Nested(inner) => self.equal(inner, aliases),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.equal(left, aliases);
                self.equal(right, aliases);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let column = |expr: &Expr| match expr {
                    Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                        [alias, column] => Some((aliases.get(&said(alias))?.clone(), column.value.clone())),
                        _ => None,
                    },
                    _ => None,
                };
                if let (Some(one), Some(other)) = (column(left), column(right)) {
                    self.meetings.push(Meeting { one, other });
                }
            }
            _ => {}
        }
    }
}

/// The internal name of a relation, and what the statement calls it.
fn named(factor: &TableFactor) -> Option<(String, String)> {
    let TableFactor::Table { name, alias, .. } = factor else { return None };
    let [part] = name.0.as_slice() else { return None };
    let ident = part.as_ident()?;
    let alias = alias.as_ref().map_or_else(|| said(ident), |alias| said(&alias.name));
    Some((ident.value.clone(), alias))
}

/// An identifier as it is compared: without quotes its case does not count.
fn said(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(sql: &str) -> Vec<String> {
        let said = |side: &(String, String)| format!("{}.{}", side.0, side.1);
        meetings(sql).iter().map(|meeting| format!("{} = {}", said(&meeting.one), said(&meeting.other))).collect()
    }

    #[test]
    fn equal_columns_of_inner_and_left_joins_meet() {
        let sql = r#"SELECT 1 FROM "orders" o JOIN "customers" AS c ON (c.id = o.customer_id AND o.x > 1)
                     LEFT JOIN "items" ON items.order_id = o.id"#;
        assert_eq!(pairs(sql), ["customers.id = orders.customer_id", "items.order_id = orders.id"]);
        assert_eq!(first(sql).as_deref(), Some("orders"));
    }

    #[test]
    fn tables_of_a_right_or_full_join_and_those_that_are_read_twice_are_read_as_they_are() {
        assert_eq!(pairs(r#"SELECT 1 FROM "a" RIGHT JOIN "b" ON b.x = a.x"#), Vec::<String>::new());
        assert_eq!(pairs(r#"SELECT 1 FROM "a" FULL JOIN "b" ON b.x = a.x"#), Vec::<String>::new());
        assert_eq!(pairs(r#"SELECT 1 FROM "a" JOIN "b" ON b.x = a.x JOIN "b" c ON c.y = a.y"#), Vec::<String>::new());
    }

    #[test]
    fn a_condition_behind_or_sets_nothing_equal() {
        assert_eq!(pairs(r#"SELECT 1 FROM "a" JOIN "b" ON b.x = a.x OR b.y = 1"#), Vec::<String>::new());
        assert_eq!(pairs(r#"SELECT 1 FROM "a", "b" WHERE a.x = b.x AND a.y = 1"#), ["a.x = b.x"]);
    }
}
