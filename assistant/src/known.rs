//! What the asking person may read, by ids that say nothing: a name or comment of a source can't give orders, and can't be guessed.

use std::fmt;

use headwater_engine::connector::{ColumnInfo, TableInfo};
use serde::{Deserialize, Serialize};

/// Stands for a table in a request to a model and its answer, e.g. `t01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(usize);

/// Stands for a column of a table, e.g. `t01.c3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId {
    /// Its table.
    pub table: TableId,
    /// Its place among the table's columns, from 1.
    place: usize,
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{:02}", self.0 + 1)
    }
}

impl fmt::Display for ColumnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.c{}", self.table, self.place)
    }
}

/// A table and the connection that has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownTable {
    /// Name of the connection.
    pub connection: String,
    /// The table as its catalog describes it.
    pub table: TableInfo,
}

impl KnownTable {
    /// The table as a spec names it: `connection.schema.table`.
    pub fn full_name(&self) -> String {
        std::iter::once(&self.connection).chain(&self.table.path).map(|part| quoted(part)).collect::<Vec<_>>().join(".")
    }

    /// Its own name, without connection and schema.
    pub fn name(&self) -> &str {
        self.table.path.last().map_or("", String::as_str)
    }
}

/// A part of a name, in quotes unless it reads the same without them.
pub(crate) fn quoted(part: &str) -> String {
    let plain = part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { part.to_owned() } else { format!("\"{}\"", part.replace('"', "\"\"")) }
}

/// All tables that the asking person may read, sorted by connection and path, which gives the same ids to the same catalogs.
#[derive(Debug, Clone, Default)]
pub struct Known {
    tables: Vec<KnownTable>,
    /// Of each table, the tables at the other ends of its keys.
    neighbours: Vec<Vec<TableId>>,
}

impl Known {
    /// These tables.
    pub fn new(mut tables: Vec<KnownTable>) -> Self {
        tables.sort_by(|a, b| (&a.connection, &a.table.path).cmp(&(&b.connection, &b.table.path)));
        let mut known = Self { neighbours: vec![Vec::new(); tables.len()], tables };
        known.connect();
        known
    }

    fn connect(&mut self) {
        let mut ends = Vec::new();
        for (id, known) in self.tables() {
            let others = known.table.foreign_keys.iter().filter_map(|key| self.find(&known.connection, &key.table));
            ends.extend(others.filter(|other| *other != id).flat_map(|other| [(id, other), (other, id)]));
        }
        for (one, other) in ends {
            self.neighbours[one.0].push(other);
        }
        for others in &mut self.neighbours {
            others.sort_unstable();
            others.dedup();
        }
    }

    /// Every table with its id.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &KnownTable)> {
        self.tables.iter().enumerate().map(|(place, table)| (TableId(place), table))
    }

    /// A table.
    pub fn table(&self, id: TableId) -> Option<&KnownTable> {
        self.tables.get(id.0)
    }

    /// Whether a connection has a table of this name, in whatever schema.
    pub(crate) fn has_table(&self, connection: &str, name: &str) -> bool {
        self.tables.iter().any(|known| known.connection == connection && known.name() == name)
    }

    /// The columns of a table with their ids.
    pub fn columns(&self, table: TableId) -> impl Iterator<Item = (ColumnId, &ColumnInfo)> {
        let columns = self.table(table).map(|known| known.table.columns.as_slice()).unwrap_or_default();
        columns.iter().enumerate().map(move |(place, column)| (ColumnId { table, place: place + 1 }, column))
    }

    /// A column.
    pub fn column(&self, id: ColumnId) -> Option<&ColumnInfo> {
        self.table(id.table)?.table.columns.get(id.place.checked_sub(1)?)
    }

    /// The table that an id of an answer stands for.
    pub fn read_table(&self, id: &str) -> Option<TableId> {
        let place: usize = id.strip_prefix('t')?.parse().ok()?;
        let table = TableId(place.checked_sub(1)?);
        (self.table(table).is_some() && table.to_string() == id).then_some(table)
    }

    /// The column that an id of an answer stands for.
    pub fn read_column(&self, id: &str) -> Option<ColumnId> {
        let (table, place) = id.split_once(".c")?;
        let column = ColumnId { table: self.read_table(table)?, place: place.parse().ok()? };
        (self.column(column).is_some() && column.to_string() == id).then_some(column)
    }

    /// The table of this path in a connection.
    pub fn find(&self, connection: &str, path: &[String]) -> Option<TableId> {
        let key = (connection, path);
        let place =
            self.tables.binary_search_by(|known| (known.connection.as_str(), known.table.path.as_slice()).cmp(&key));
        place.ok().map(TableId)
    }

    /// Tables that a table refers to by its keys, and that refer to it.
    pub fn neighbours(&self, id: TableId) -> &[TableId] {
        self.neighbours.get(id.0).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use headwater_engine::connector::ForeignKey;

    use super::*;

    pub(crate) fn column(name: &str, native_type: &str) -> ColumnInfo {
        ColumnInfo {
            name: name.to_owned(),
            native_type: native_type.to_owned(),
            arrow_type: "Utf8".to_owned(),
            nullable: true,
            primary_key: None,
            comment: None,
        }
    }

    pub(crate) fn table(path: &[&str], columns: &[&str]) -> KnownTable {
        KnownTable {
            connection: "shop".to_owned(),
            table: TableInfo {
                path: path.iter().map(|part| (*part).to_owned()).collect(),
                kind: "table".to_owned(),
                rows: None,
                comment: None,
                columns: columns.iter().map(|name| column(name, "text")).collect(),
                unique_keys: Vec::new(),
                foreign_keys: Vec::new(),
            },
        }
    }

    pub(crate) fn refers(from: &mut KnownTable, column: &str, to: &[&str]) {
        from.table.foreign_keys.push(ForeignKey {
            columns: vec![column.to_owned()],
            table: to.iter().map(|part| (*part).to_owned()).collect(),
            references: vec!["id".to_owned()],
        });
    }

    fn shop() -> Known {
        let mut orders = table(&["public", "orders"], &["id", "customer_id"]);
        refers(&mut orders, "customer_id", &["public", "customers"]);
        Known::new(vec![orders, table(&["public", "customers"], &["id", "name"]), table(&["Odd", "Ta\"ble"], &["x"])])
    }

    #[test]
    fn the_same_catalogs_give_the_same_ids_and_an_id_is_read_back() {
        let known = shop();
        let ids: Vec<(String, String)> =
            known.tables().map(|(id, table)| (id.to_string(), table.full_name())).collect();
        let expected =
            [("t01", "shop.\"Odd\".\"Ta\"\"ble\""), ("t02", "shop.public.customers"), ("t03", "shop.public.orders")];
        assert_eq!(ids, expected.map(|(id, name)| (id.to_owned(), name.to_owned())));
        for (id, _) in known.tables() {
            assert_eq!(known.read_table(&id.to_string()), Some(id));
            for (column, _) in known.columns(id) {
                assert_eq!(known.read_column(&column.to_string()), Some(column));
            }
        }
    }

    #[test]
    fn an_id_that_was_not_given_out_is_none() {
        let known = shop();
        for id in ["t00", "t04", "t1", "t001", "shop.public.orders", "", "t", "t01 "] {
            assert_eq!(known.read_table(id), None, "{id}");
        }
        for id in ["t02.c0", "t02.c3", "t02.c01", "t09.c1", "t02", "t02.cx"] {
            assert_eq!(known.read_column(id), None, "{id}");
        }
    }

    #[test]
    fn neighbours_are_found_from_both_ends_of_a_key() {
        let known = shop();
        let names = |name: &str| {
            let path = ["public", name].map(str::to_owned);
            let id = known.find("shop", &path);
            let found = id.map(|id| known.neighbours(id)).unwrap_or_default();
            found.iter().filter_map(|id| known.table(*id).map(|table| table.name().to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(names("orders"), ["customers"]);
        assert_eq!(names("customers"), ["orders"]);
    }
}
