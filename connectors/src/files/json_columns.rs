//! Columns that are made of JSON values.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use serde_json::value::RawValue;

use super::json::{Members, Text};
use super::json_types::MOST_DEEP;
use crate::values;

/// A column in the making. Scalars are gathered as texts, which a type then reads exactly or refuses.
pub(super) enum Column {
    /// Texts are taken as they are, anything else as it is written.
    Scalars(StringBuilder),
    /// The items of all lists, where each list ends, and which lists are there.
    Items(Box<Column>, Vec<i32>, Vec<bool>),
    /// The fields of objects, and which objects are there.
    Fields(Vec<(String, Column)>, Vec<bool>),
}

impl Column {
    pub(super) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::List(item) => Self::Items(Box::new(Self::new(item.data_type())), Vec::new(), Vec::new()),
            DataType::Struct(fields) => {
                let field = |field: &arrow::datatypes::FieldRef| (field.name().clone(), Self::new(field.data_type()));
                Self::Fields(fields.iter().map(field).collect(), Vec::new())
            }
            _ => Self::Scalars(StringBuilder::new()),
        }
    }

    /// Takes a value, or its absence.
    fn append(&mut self, value: Option<&RawValue>, depth: usize) -> Result<(), String> {
        if depth > MOST_DEEP {
            return Err(format!("objects and lists are nested more than {MOST_DEEP} deep"));
        }
        let value = value.map(RawValue::get).filter(|text| *text != "null");
        let syntax = |error: serde_json::Error| error.to_string();
        match self {
            Self::Scalars(texts) => match value {
                Some(text) if text.starts_with('"') => {
                    let Text(text) = serde_json::from_str(text).map_err(syntax)?;
                    texts.append_value(text);
                }
                other => texts.append_option(other),
            },
            Self::Items(items, ends, present) => {
                let values: Vec<&RawValue> = value.map_or(Ok(Vec::new()), serde_json::from_str).map_err(syntax)?;
                let end = ends.last().copied().unwrap_or(0);
                let count = i32::try_from(values.len()).ok().and_then(|count| end.checked_add(count));
                for value in values {
                    items.append(Some(value), depth + 1)?;
                }
                ends.push(count.ok_or("the lists of one batch have too many items")?);
                present.push(value.is_some());
            }
            Self::Fields(_, _) => match value {
                Some(text) => {
                    let members = serde_json::from_str(text).map_err(syntax)?;
                    self.append_members_at(members, depth)?;
                }
                None => self.append_absent(depth)?,
            },
        }
        Ok(())
    }

    /// Takes an object's members into a column of fields.
    pub(super) fn append_members(&mut self, members: Members<'_>) -> Result<(), String> {
        self.append_members_at(members, 0)
    }

    fn append_members_at(&mut self, members: Members<'_>, depth: usize) -> Result<(), String> {
        let Self::Fields(fields, present) = self else { return Err("an object where none is expected".to_owned()) };
        let Members(mut members) = members;
        for (index, (name, column)) in fields.iter_mut().enumerate() {
            let place = match members.get(index) {
                Some((member, _)) if *member == Cow::Borrowed(name.as_str()) => Some(index),
                _ => members.iter().position(|(member, _)| *member == Cow::Borrowed(name.as_str())),
            };
            let value = place.map(|place| members[place].1);
            column.append(value, depth + 1).map_err(|what| format!("field {name}: {what}"))?;
        }
        members.clear();
        present.push(true);
        Ok(())
    }

    fn append_absent(&mut self, depth: usize) -> Result<(), String> {
        let Self::Fields(fields, present) = self else { return Ok(()) };
        present.push(false);
        fields.iter_mut().try_for_each(|(_, column)| column.append(None, depth + 1))
    }

    /// The array of what was taken.
    pub(super) fn finish(self, to: &DataType) -> Result<ArrayRef, String> {
        let broken = |error: arrow::error::ArrowError| error.to_string();
        Ok(match (self, to) {
            (Self::Items(items, ends, present), DataType::List(field)) => {
                let items = items.finish(field.data_type())?;
                let offsets = OffsetBuffer::new(std::iter::once(0).chain(ends).collect());
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, items, nulls(present)).map_err(broken)?)
            }
            (Self::Fields(columns, present), DataType::Struct(fields)) => {
                let rows = present.len();
                let arrays = columns.into_iter().zip(fields).map(|((name, column), field)| {
                    column.finish(field.data_type()).map_err(|what| format!("field {name}: {what}"))
                });
                let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
                Arc::new(
                    StructArray::try_new_with_length(fields.clone(), arrays, nulls(present), rows).map_err(broken)?,
                )
            }
            (Self::Scalars(mut texts), to) => values::column(&texts.finish(), to).map_err(|wrong| wrong.what)?,
            (_, to) => return Err(format!("a value is not a {to}")),
        })
    }
}

fn nulls(present: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(present)).filter(|nulls| nulls.null_count() > 0)
}
