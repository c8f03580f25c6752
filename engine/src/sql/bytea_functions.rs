//! Functions of bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::error::Result;

use super::byte_codes::{self, bit, index, overlaid, part, trimmed};
use super::functions::Takes::{Bytea, Int4, Int8, Text};
use super::functions::gives::{bytea, int4, int8, text};
use super::functions::{Function, ours};
use super::rows::made;

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("length", &[Bytea], int4, |c, _| lengths(c, 1)),
    ours("octet_length", &[Bytea], int4, |c, _| lengths(c, 1)),
    ours("bit_length", &[Bytea], int4, |c, _| lengths(c, 8)),
    ours("bit_count", &[Bytea], int8, |c, _| {
        let ones = made(c, |row| Ok(bytes(c, 0, row).iter().map(|byte| i64::from(byte.count_ones())).sum::<i64>()))?;
        Ok(Arc::new(Int64Array::from(ones)))
    }),
    ours("substr", &[Bytea, Int4], bytea, |c, _| parts(c)),
    ours("substr", &[Bytea, Int4, Int4], bytea, |c, _| parts(c)),
    ours("substring", &[Bytea, Int4], bytea, |c, _| parts(c)),
    ours("substring", &[Bytea, Int4, Int4], bytea, |c, _| parts(c)),
    ours("overlay", &[Bytea, Bytea, Int4], bytea, |c, _| overlays(c)),
    ours("overlay", &[Bytea, Bytea, Int4, Int4], bytea, |c, _| overlays(c)),
    ours("position", &[Bytea, Bytea], int4, |c, _| {
        let found = made(c, |row| Ok(byte_codes::position(bytes(c, 0, row), bytes(c, 1, row))))?;
        Ok(Arc::new(Int32Array::from(found)))
    }),
    ours("btrim", &[Bytea, Bytea], bytea, |c, _| trims(c, true, true)),
    ours("ltrim", &[Bytea, Bytea], bytea, |c, _| trims(c, true, false)),
    ours("rtrim", &[Bytea, Bytea], bytea, |c, _| trims(c, false, true)),
    ours("get_byte", &[Bytea, Int4], int4, |c, _| {
        let found = made(c, |row| {
            let bytes = bytes(c, 0, row);
            index(bytes, int(c, 1, row).into()).map(|index| i32::from(bytes[index]))
        })?;
        Ok(Arc::new(Int32Array::from(found)))
    }),
    ours("set_byte", &[Bytea, Int4, Int4], bytea, |c, _| {
        all(made(c, |row| {
            let mut changed = bytes(c, 0, row).to_vec();
            let place = index(&changed, int(c, 1, row).into())?;
            changed[place] = int(c, 2, row).to_le_bytes()[0];
            Ok(changed)
        })?)
    }),
    ours("get_bit", &[Bytea, Int8], int4, |c, _| {
        let found = made(c, |row| {
            let bytes = bytes(c, 0, row);
            bit(bytes, c[1].as_primitive::<Int64Type>().value(row))
                .map(|(index, bit)| i32::from(bytes[index] & bit != 0))
        })?;
        Ok(Arc::new(Int32Array::from(found)))
    }),
    ours("set_bit", &[Bytea, Int8, Int4], bytea, |c, _| set_bits(c)),
    ours("encode", &[Bytea, Text], text, |c, _| {
        let codes = c[1].as_string::<i32>();
        let texts = made(c, |row| byte_codes::encoded(bytes(c, 0, row), codes.value(row)))?;
        Ok(Arc::new(StringArray::from(texts)))
    }),
    ours("decode", &[Text, Text], bytea, |c, _| {
        let (texts, codes) = (c[0].as_string::<i32>(), c[1].as_string::<i32>());
        all(made(c, |row| byte_codes::decoded(texts.value(row), codes.value(row)))?)
    }),
    ours("convert_to", &[Text, Text], bytea, |c, _| {
        let (texts, encodings) = (c[0].as_string::<i32>(), c[1].as_string::<i32>());
        all(made(c, |row| byte_codes::from_text(texts.value(row), encodings.value(row)))?)
    }),
    ours("convert_from", &[Bytea, Text], text, |c, _| {
        let encodings = c[1].as_string::<i32>();
        let texts = made(c, |row| byte_codes::to_text(bytes(c, 0, row), encodings.value(row)))?;
        Ok(Arc::new(StringArray::from(texts)))
    }),
];

fn bytes(columns: &[ArrayRef], index: usize, row: usize) -> &[u8] {
    columns[index].as_binary::<i32>().value(row)
}

fn int(columns: &[ArrayRef], index: usize, row: usize) -> i32 {
    columns[index].as_primitive::<Int32Type>().value(row)
}

/// The operand that may be left out.
fn more(columns: &[ArrayRef], index: usize, row: usize) -> Option<i32> {
    columns.get(index).map(|column| column.as_primitive::<Int32Type>().value(row))
}

fn all(values: Vec<Option<Vec<u8>>>) -> Result<ArrayRef> {
    Ok(Arc::new(BinaryArray::from_iter(values)))
}

fn lengths(columns: &[ArrayRef], unit: usize) -> Result<ArrayRef> {
    let lengths = made(columns, |row| Ok(i32::try_from(bytes(columns, 0, row).len() * unit).unwrap_or(i32::MAX)))?;
    Ok(Arc::new(Int32Array::from(lengths)))
}

fn parts(columns: &[ArrayRef]) -> Result<ArrayRef> {
    all(made(columns, |row| {
        part(bytes(columns, 0, row), int(columns, 1, row), more(columns, 2, row)).map(<[u8]>::to_vec)
    })?)
}

fn overlays(columns: &[ArrayRef]) -> Result<ArrayRef> {
    all(made(columns, |row| {
        let (value, with) = (bytes(columns, 0, row), bytes(columns, 1, row));
        overlaid(value, with, int(columns, 2, row), more(columns, 3, row))
    })?)
}

fn trims(columns: &[ArrayRef], at_start: bool, at_end: bool) -> Result<ArrayRef> {
    all(made(columns, |row| Ok(trimmed(bytes(columns, 0, row), bytes(columns, 1, row), at_start, at_end).to_vec()))?)
}

fn set_bits(columns: &[ArrayRef]) -> Result<ArrayRef> {
    all(made(columns, |row| {
        let mut changed = bytes(columns, 0, row).to_vec();
        let (place, bit) = bit(&changed, columns[1].as_primitive::<Int64Type>().value(row))?;
        match int(columns, 2, row) {
            0 => changed[place] &= !bit,
            1 => changed[place] |= bit,
            _ => return Err("a bit is 0 or 1".to_owned()),
        }
        Ok(changed)
    })?)
}
