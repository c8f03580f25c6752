//! Types of columns that are told by their values, once those of earlier files are known.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};

/// Columns as their values are. One without a value, or whose values fit its earlier type too, keeps that; without one it is text.
pub(super) fn settled(found: Schema, before: Option<&Schema>) -> Schema {
    let none = Fields::empty();
    Schema::new(settled_fields(found.fields(), before.map_or(&none, Schema::fields)))
}

/// The same for files whose lines may lack columns: those that earlier files had are there, before new ones.
pub(super) fn completed(found: Schema, before: Option<&Schema>) -> Schema {
    let none = Fields::empty();
    Schema::new(completed_fields(found.fields(), before.map_or(&none, Schema::fields)))
}

fn settled_fields(found: &Fields, before: &Fields) -> Vec<Field> {
    let settle = |field: &Arc<Field>| {
        let before = before.find(field.name()).map(|(_, before)| before.data_type());
        Field::new(field.name(), settle(field.data_type(), before), true)
    };
    found.iter().map(settle).collect()
}

fn completed_fields(found: &Fields, before: &Fields) -> Vec<Field> {
    let mut fields = settled_fields(found, before);
    let mut all = Vec::with_capacity(fields.len());
    for earlier in before {
        match fields.iter().position(|field| field.name() == earlier.name()) {
            Some(place) => all.push(fields.remove(place)),
            None => all.push(earlier.as_ref().clone()),
        }
    }
    all.extend(fields);
    all
}

fn settle(found: &DataType, before: Option<&DataType>) -> DataType {
    match (found, before) {
        (DataType::Null, before) => before.cloned().unwrap_or(DataType::Utf8),
        (DataType::Int64, Some(wider @ (DataType::Float64 | DataType::Decimal128(..)))) => wider.clone(),
        (DataType::List(item), before) => {
            let before = match before {
                Some(DataType::List(before)) => Some(before.data_type()),
                _ => None,
            };
            DataType::List(Arc::new(Field::new(item.name(), settle(item.data_type(), before), true)))
        }
        (DataType::Struct(fields), before) => {
            let none = Fields::empty();
            let before = if let Some(DataType::Struct(before)) = before { before } else { &none };
            DataType::Struct(completed_fields(fields, before).into())
        }
        (found, _) => found.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn a_column_keeps_its_earlier_type_where_its_values_fit_it() {
        let before = schema(&[("a", DataType::Float64), ("b", DataType::Boolean), ("c", DataType::Int64)]);
        let found = schema(&[("c", DataType::Float64), ("a", DataType::Int64), ("b", DataType::Null)]);
        let settled = settled(found, Some(&before));
        assert_eq!(
            settled,
            schema(&[("c", DataType::Float64), ("a", DataType::Float64), ("b", DataType::Boolean)]),
            "files of rows keep the order of their columns"
        );
    }

    #[test]
    fn lines_that_lack_columns_have_those_of_earlier_lines() {
        let object = |fields: &[(&str, DataType)]| DataType::Struct(schema(fields).fields().clone());
        let before = schema(&[("a", DataType::Int64), ("o", object(&[("x", DataType::Int64)]))]);
        let found = schema(&[("n", DataType::Null), ("o", object(&[("y", DataType::Null)]))]);
        let o = object(&[("x", DataType::Int64), ("y", DataType::Utf8)]);
        assert_eq!(completed(found, Some(&before)), schema(&[("a", DataType::Int64), ("o", o), ("n", DataType::Utf8)]));
        assert_eq!(completed(schema(&[("n", DataType::Null)]), None), schema(&[("n", DataType::Utf8)]));
    }
}
