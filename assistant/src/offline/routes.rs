//! How one table leads to another: from the row that refers to the row that it refers to, so that no row is multiplied.

use std::collections::VecDeque;

use headwater_engine::connector::ColumnInfo;

use crate::known::{ColumnId, Known, TableId};
use crate::words::tokens;

/// Keys that a route may follow one after the other.
const LONGEST: usize = 4;

/// One step along a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Hop {
    /// The columns that refer.
    pub(super) from: Vec<ColumnId>,
    /// The columns that they refer to: a key of their table.
    pub(super) to: Vec<ColumnId>,
    /// The table that is reached.
    pub(super) table: TableId,
    /// A row may have no partner.
    pub(super) is_optional: bool,
    /// No foreign key says so: the columns have the same name.
    pub(super) is_assumed: bool,
}

/// Steps from a table to another one.
pub(super) type Route = Vec<Hop>;

/// All routes of the fewest steps from a table to another one; none if there is no way. The route to the table itself is empty.
pub(super) fn routes(known: &Known, from: TableId, to: TableId) -> Vec<Route> {
    reach(known, from, |table| table == to)
}

/// All routes of the fewest steps to any table of which `wanted` holds.
pub(super) fn reach(known: &Known, from: TableId, wanted: impl Fn(TableId) -> bool) -> Vec<Route> {
    let mut found: Vec<Route> = Vec::new();
    let mut open = VecDeque::from([(from, Route::new())]);
    while let Some((table, route)) = open.pop_front() {
        if found.first().is_some_and(|first| first.len() < route.len()) {
            break;
        }
        if wanted(table) {
            found.push(route);
            continue;
        }
        if route.len() == LONGEST {
            continue;
        }
        for hop in hops(known, table) {
            let returns = hop.table == from || route.iter().any(|passed| passed.table == hop.table);
            if !returns {
                let longer = route.iter().cloned().chain([hop.clone()]).collect();
                open.push_back((hop.table, longer));
            }
        }
    }
    found
}

/// The keys of a table: those it declares, and between connections, where none can be declared, columns named like another table's key.
pub(super) fn hops(known: &Known, table: TableId) -> Vec<Hop> {
    let Some(of) = known.table(table) else { return Vec::new() };
    let column = |in_table: TableId, name: &str| {
        known.columns(in_table).find(|(_, column)| column.name == name).map(|(id, _)| id)
    };
    let declared = of.table.foreign_keys.iter().filter_map(|key| {
        let target = known.find(&of.connection, &key.table)?;
        let from: Vec<ColumnId> = key.columns.iter().filter_map(|name| column(table, name)).collect();
        let to: Vec<ColumnId> = key.references.iter().filter_map(|name| column(target, name)).collect();
        let whole = from.len() == key.columns.len() && to.len() == from.len();
        let is_optional = from.iter().filter_map(|id| known.column(*id)).any(|column| column.nullable);
        whole.then_some(Hop { from, to, table: target, is_optional, is_assumed: false })
    });
    let mut hops: Vec<Hop> = declared.collect();
    for (target, other) in known.tables().filter(|(_, other)| other.connection != of.connection) {
        let Some(key) = only_key(&other.table.columns) else { continue };
        let Some(to) = column(target, &key.name) else { continue };
        let like = |name: &str| is_named_like(name, other.name(), &key.name);
        // A column that declares what it refers to refers to nothing else.
        let is_free = |id: ColumnId| !hops.iter().any(|hop| !hop.is_assumed && hop.from.contains(&id));
        if let Some((from, _)) = known.columns(table).find(|(id, column)| like(&column.name) && is_free(*id)) {
            hops.push(Hop { from: vec![from], to: vec![to], table: target, is_optional: true, is_assumed: true });
        }
    }
    hops
}

/// The column of a primary key that has one alone.
fn only_key(columns: &[ColumnInfo]) -> Option<&ColumnInfo> {
    let mut keys = columns.iter().filter(|column| column.primary_key.is_some());
    let key = keys.next()?;
    keys.next().is_none().then_some(key)
}

/// `product_id` for the key `id` of `products`, and `masch_nr` for the key `masch_nr` of `masch`.
fn is_named_like(name: &str, table: &str, key: &str) -> bool {
    let (name, mut wanted) = (tokens(name), tokens(table));
    let key = tokens(key);
    if key.starts_with(&wanted) {
        return name == key;
    }
    wanted.extend(key);
    name == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::KnownTable;
    use crate::known::tests::{refers, table};

    fn shop() -> Known {
        let key = |mut table: KnownTable| {
            table.table.columns[0].primary_key = Some(1);
            table
        };
        let mut orders = key(table(&["public", "orders"], &["id", "billing_id", "shipping_id", "customer_id"]));
        refers(&mut orders, "billing_id", &["public", "addresses"]);
        refers(&mut orders, "shipping_id", &["public", "addresses"]);
        refers(&mut orders, "customer_id", &["public", "customers"]);
        let mut customers = key(table(&["public", "customers"], &["id", "country_id"]));
        refers(&mut customers, "country_id", &["public", "countries"]);
        let mut views = table(&["page_views"], &["order_id", "views"]);
        views.connection = "lake".to_owned();
        let addresses = key(table(&["public", "addresses"], &["id", "city"]));
        Known::new(vec![orders, customers, addresses, key(table(&["public", "countries"], &["id", "name"])), views])
    }

    fn between(from: (&str, &[&str]), to: (&str, &[&str])) -> Vec<Vec<String>> {
        let known = shop();
        let find = |(connection, path): (&str, &[&str])| {
            known.find(connection, &path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>())
        };
        let (Some(from), Some(to)) = (find(from), find(to)) else { return Vec::new() };
        let name = |hop: &Hop| {
            let column = hop.from.first().and_then(|column| known.column(*column));
            column.map_or_else(String::new, |column| column.name.clone())
        };
        routes(&known, from, to).iter().map(|route| route.iter().map(name).collect()).collect()
    }

    #[test]
    fn the_shortest_ways_along_keys_are_found_and_all_of_them() {
        let orders = ("shop", ["public", "orders"].as_slice());
        assert_eq!(between(orders, ("shop", &["public", "countries"])), [["customer_id", "country_id"]]);
        let both = between(orders, ("shop", &["public", "addresses"]));
        assert_eq!(both, [["billing_id"], ["shipping_id"]]);
        assert_eq!(
            between(("shop", &["public", "countries"]), orders),
            Vec::<Vec<String>>::new(),
            "that would multiply rows"
        );
    }

    #[test]
    fn between_connections_a_column_is_a_key_by_its_name() {
        let views = ("lake", ["page_views"].as_slice());
        assert_eq!(between(views, ("shop", &["public", "countries"])), [["order_id", "customer_id", "country_id"]]);
    }
}
