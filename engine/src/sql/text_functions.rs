//! Functions of texts and bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::cast;
use super::functions::Takes::{Bytea, Int4, Int8, Text};
use super::functions::gives::{boolean, bytea, int4, text};
use super::functions::{Function, ours, theirs};
use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    theirs("length", &[Text], int4, "character_length"),
    theirs("char_length", &[Text], int4, "character_length"),
    theirs("character_length", &[Text], int4, "character_length"),
    theirs("octet_length", &[Text], int4, "octet_length"),
    ours("bit_length", &[Text], int4, |c, _| Ok(Arc::new(each_int(&c[0], |text| text.len() * 8)))),
    ours("lower", &[Text], text, |c, _| Ok(Arc::new(each(&c[0], |text| text.chars().map(lower).collect())))),
    ours("upper", &[Text], text, |c, _| Ok(Arc::new(each(&c[0], |text| text.chars().map(upper).collect())))),
    ours("initcap", &[Text], text, |c, _| Ok(Arc::new(each(&c[0], initcap)))),
    theirs("btrim", &[Text], text, "btrim"),
    theirs("btrim", &[Text, Text], text, "btrim"),
    theirs("trim", &[Text], text, "btrim"),
    theirs("ltrim", &[Text], text, "ltrim"),
    theirs("ltrim", &[Text, Text], text, "ltrim"),
    theirs("rtrim", &[Text], text, "rtrim"),
    theirs("rtrim", &[Text, Text], text, "rtrim"),
    theirs("replace", &[Text, Text, Text], text, "replace"),
    theirs("translate", &[Text, Text, Text], text, "translate"),
    theirs("split_part", &[Text, Text, Int4], text, "split_part"),
    theirs("strpos", &[Text, Text], int4, "strpos"),
    theirs("position", &[Text, Text], int4, "strpos"),
    theirs("left", &[Text, Int4], text, "left"),
    theirs("right", &[Text, Int4], text, "right"),
    theirs("lpad", &[Text, Int4], text, "lpad"),
    theirs("lpad", &[Text, Int4, Text], text, "lpad"),
    theirs("rpad", &[Text, Int4], text, "rpad"),
    theirs("rpad", &[Text, Int4, Text], text, "rpad"),
    theirs("repeat", &[Text, Int4], text, "repeat"),
    theirs("reverse", &[Text], text, "reverse"),
    theirs("ascii", &[Text], int4, "ascii"),
    ours("chr", &[Int4], text, |c, _| chr(&c[0])),
    theirs("md5", &[Text], text, "md5"),
    theirs("md5", &[Bytea], text, "md5"),
    theirs("sha224", &[Bytea], bytea, "sha224"),
    theirs("sha256", &[Bytea], bytea, "sha256"),
    theirs("sha384", &[Bytea], bytea, "sha384"),
    theirs("sha512", &[Bytea], bytea, "sha512"),
    theirs("starts_with", &[Text, Text], boolean, "starts_with"),
    theirs("substr", &[Text, Int4], text, "substr"),
    theirs("substr", &[Text, Int4, Int4], text, "substr"),
    theirs("substring", &[Text, Int4], text, "substr"),
    theirs("substring", &[Text, Int4, Int4], text, "substr"),
    theirs("overlay", &[Text, Text, Int4], text, "overlay"),
    theirs("overlay", &[Text, Text, Int4, Int4], text, "overlay"),
    ours("to_hex", &[Int4], text, |c, _| {
        let values = c[0].as_primitive::<Int32Type>().iter();
        Ok(Arc::new(values.map(|value| value.map(|value| format!("{value:x}"))).collect::<StringArray>()))
    }),
    ours("to_hex", &[Int8], text, |c, _| {
        let values = c[0].as_primitive::<Int64Type>().iter();
        Ok(Arc::new(values.map(|value| value.map(|value| format!("{value:x}"))).collect::<StringArray>()))
    }),
];

/// One character in the other case, where it is one: the C library, which Postgres asks, maps characters one by one.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Texts in lower case.
pub(super) fn lowered(column: &ArrayRef) -> StringArray {
    each(column, |text| text.chars().map(lower).collect())
}

fn initcap(text: &str) -> String {
    let mut is_inside = false;
    text.chars()
        .map(|c| {
            let mapped = if is_inside { lower(c) } else { upper(c) };
            is_inside = c.is_alphanumeric();
            mapped
        })
        .collect()
}

/// Texts made of texts.
pub(super) fn each(column: &ArrayRef, make: impl Fn(&str) -> String) -> StringArray {
    column.as_string::<i32>().iter().map(|text| text.map(&make)).collect()
}

fn each_int(column: &ArrayRef, make: impl Fn(&str) -> usize) -> Int32Array {
    let values = column.as_string::<i32>().iter();
    values.map(|text| text.map(|text| i32::try_from(make(text)).unwrap_or(i32::MAX))).collect()
}

fn chr(column: &ArrayRef) -> Result<ArrayRef> {
    let one = |code: i32| {
        let found = u32::try_from(code).ok().filter(|code| *code > 0).and_then(char::from_u32);
        found.map(String::from).ok_or_else(|| ArrowError::CastError(format!("{code} is not the code of a character")))
    };
    let values = column.as_primitive::<Int32Type>().iter().map(|code| code.map(one).transpose());
    Ok(Arc::new(values.collect::<std::result::Result<StringArray, ArrowError>>()?))
}

/// Two bytea as one.
pub(super) fn joined_bytes(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let pairs = columns[0].as_binary::<i32>().iter().zip(columns[1].as_binary::<i32>().iter());
    let joined = pairs.map(|pair| match pair {
        (Some(left), Some(right)) => Some([left, right].concat()),
        _ => None,
    });
    Ok(Arc::new(joined.collect::<BinaryArray>()))
}

/// concat and concat_ws: values of any type as text, NULLs left out.
pub(super) fn joined(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let mut operands = operands.into_iter();
    let separator = match name {
        "concat_ws" => {
            let first = operands.next().ok_or_else(|| refused("concat_ws needs a separator"))?;
            cast::implicit(first, &Type::Text)?.expr
        }
        _ => Expr::Literal(ScalarValue::from(""), None),
    };
    let parts = operands.map(shown).collect::<Result<Vec<_>>>()?;
    let name = if name == "concat" { "concat" } else { "concat_ws" };
    Ok(Kernel::call(name, Form::Call, Type::Text, with_separator, std::iter::once(separator).chain(parts).collect()))
}

/// A value of any type as its output function writes it: a char(n) with its blanks, a boolean as one letter.
pub(super) fn shown(operand: Operand) -> Result<Expr> {
    let is_bool = operand.kind == Type::Bool;
    let text = match operand.kind {
        Type::Char => operand.expr,
        _ => cast::convert(operand, &Type::Text, false)?,
    };
    if !is_bool {
        return Ok(text);
    }
    let body: Body = |c, _| Ok(Arc::new(each(&c[0], |text| text[..1].to_owned())));
    Ok(Kernel::call("left", Form::Cast, Type::Text, body, vec![text]))
}

fn with_separator(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (separators, parts) = columns.split_first().ok_or_else(|| refused("concat needs an operand"))?;
    let separators = separators.as_string::<i32>();
    let parts: Vec<&StringArray> = parts.iter().map(|part| part.as_string::<i32>()).collect();
    let rows = (0..separators.len()).map(|row| {
        separators.is_valid(row).then(|| {
            let values = parts.iter().filter(|part| part.is_valid(row)).map(|part| part.value(row));
            values.collect::<Vec<_>>().join(separators.value(row))
        })
    });
    Ok(Arc::new(rows.collect::<StringArray>()))
}
