//! What a catalog says of a table's new and changed rows: by what they are told apart, and by what they are found. And what becomes of those that are not found.

use headwater_engine::connector::{ColumnInfo, TableInfo};
use headwater_pipelines::plan::tables::mark_of_changes;

/// How a source says which of its rows are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Following {
    /// By its own position: topics, files, Delta tables.
    Position,
    /// By a column.
    Column,
    /// It can't: a view, a foreign table.
    Nothing,
}

/// How a table says which of its rows are new.
pub(crate) fn following(table: &TableInfo) -> Following {
    match table.kind.as_str() {
        "view" | "materialized view" | "foreign table" => Following::Nothing,
        "file" | "dataset" => Following::Position,
        _ if is_topic(table) => Following::Position,
        // A table without a schema around it is a Delta table.
        _ if table.path.len() == 1 => Following::Position,
        _ => Following::Column,
    }
}

/// Whether it is a topic of Kafka.
pub(crate) fn is_topic(table: &TableInfo) -> bool {
    table.kind.starts_with("topic")
}

/// Whether a cursor can follow a column: a time, a date or a number.
pub(crate) fn can_be_followed(column: &ColumnInfo) -> bool {
    ["Timestamp", "Date", "Int", "UInt", "Decimal"].iter().any(|kind| column.arrow_type.starts_with(kind))
}

/// The column that marks changed rows, by its name, as `cursor: auto` of whole schemas takes it.
pub(crate) fn marks_changes(table: &TableInfo) -> Option<&ColumnInfo> {
    let times = table.columns.iter().filter(|column| column.arrow_type.starts_with("Timestamp") && !column.nullable);
    let named = times.filter_map(|column| Some((mark_of_changes(&column.name)?, column)));
    named.min_by_key(|(mark, _)| *mark).map(|(_, column)| column)
}

/// The columns that tell rows apart: the primary key, or the only other unique key of columns that are never empty.
pub(crate) fn key(table: &TableInfo) -> Option<Vec<String>> {
    let primary = primary_key(table);
    if !primary.is_empty() {
        return Some(primary);
    }
    let mut keys = table.unique_keys.iter().filter(|key| is_filled(table, key));
    let only = keys.next()?;
    keys.next().is_none().then(|| only.clone())
}

/// Whether no two rows agree in all of these columns, by a key that the table declares.
pub(crate) fn are_unique(table: &TableInfo, columns: &[String]) -> bool {
    let primary = primary_key(table);
    let mut keys = std::iter::once(&primary).chain(&table.unique_keys);
    keys.any(|key| !key.is_empty() && is_filled(table, key) && key.iter().all(|name| columns.contains(name)))
}

fn primary_key(table: &TableInfo) -> Vec<String> {
    let mut columns: Vec<(u32, String)> =
        table.columns.iter().filter_map(|column| Some((column.primary_key?, column.name.clone()))).collect();
    columns.sort_unstable();
    columns.into_iter().map(|(_, name)| name).collect()
}

/// Whether none of the columns can be empty. Those of a primary key never are, whatever the catalog says of them.
fn is_filled(table: &TableInfo, key: &[String]) -> bool {
    let is = |name: &String| {
        table.columns.iter().any(|column| column.name == *name && (!column.nullable || column.primary_key.is_some()))
    };
    !key.is_empty() && key.iter().all(is)
}

/// What becomes of rows that leave a condition.
pub(crate) fn leaves_the_condition(condition: &str, target: &str) -> String {
    format!(
        "a row that stops meeting {condition} stays in {target} as it was last loaded: a run reads rows that meet it"
    )
}

/// What a cursor that is a time does not find.
pub(crate) fn comes_too_late(column: &str) -> String {
    format!(
        "a row is found by its {column}: one that comes or changes while its {column} is more than a day behind the latest one is not"
    )
}

/// What becomes of changes in tables that new rows are joined with.
pub(crate) fn changes_elsewhere(others: &str, target: &str) -> String {
    format!("a change of {others} alone does not reach {target}: it comes with the next change of the row that is read")
}

/// What becomes of rows that are deleted under a cursor.
pub(crate) fn stays_when_deleted(target: &str) -> String {
    format!("rows that are deleted at the source stay in {target}")
}

/// What is said of keys that no key of the catalog proves.
pub(crate) fn unproven(keys: &[String], target: &str, order_by: Option<&str>) -> String {
    let keys = keys.join(", ");
    let then = match order_by {
        Some(column) => format!("the last by {column} counts"),
        None => "the load fails unless they are equal".to_owned(),
    };
    format!(
        "no key of the catalog proves that {keys} tells the rows of {target} apart: of several with one {keys} {then}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::tests::table;

    fn orders() -> TableInfo {
        let mut orders = table(&["public", "orders"], &["id", "order_no", "note", "updated_at"]).table;
        for column in &mut orders.columns {
            column.nullable = column.name == "note";
        }
        orders.columns[0].primary_key = Some(1);
        orders.columns[3].arrow_type = "Timestamp(µs, \"UTC\")".to_owned();
        orders.unique_keys = vec![vec!["order_no".to_owned()], vec!["note".to_owned()]];
        orders
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_key_is_the_primary_one_or_the_only_other_whose_columns_are_never_empty() {
        let mut orders = orders();
        assert_eq!(key(&orders), Some(names(&["id"])));
        orders.columns[0].primary_key = None;
        assert_eq!(key(&orders), Some(names(&["order_no"])));
        orders.columns[2].nullable = false;
        assert_eq!(key(&orders), None, "two keys");
    }

    #[test]
    fn columns_that_hold_a_declared_key_are_unique_and_others_are_not_known_to_be() {
        let orders = orders();
        assert!(are_unique(&orders, &names(&["id"])) && are_unique(&orders, &names(&["order_no", "note"])));
        assert!(!are_unique(&orders, &names(&["note"])) && !are_unique(&orders, &[]));
    }

    #[test]
    fn a_column_marks_changes_by_its_name_if_it_is_a_time_that_is_never_empty() {
        let mut orders = orders();
        assert_eq!(marks_changes(&orders).map(|column| column.name.as_str()), Some("updated_at"));
        orders.columns[3].nullable = true;
        assert_eq!(marks_changes(&orders), None);
    }

    #[test]
    fn topics_files_and_delta_tables_have_a_position_and_views_have_nothing() {
        let of = |kind: &str, path: &[&str]| {
            let mut made = table(path, &["id"]).table;
            made.kind = kind.to_owned();
            following(&made)
        };
        assert_eq!(of("table", &["public", "orders"]), Following::Column);
        assert_eq!(of("table", &["orders"]), Following::Position);
        assert_eq!(of("topic, 3 partitions", &["orders"]), Following::Position);
        assert_eq!(of("view", &["public", "orders"]), Following::Nothing);
    }
}
