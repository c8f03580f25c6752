//! quote_ident and its like, format and unistr.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::functions::Takes::Text;
use super::functions::gives::text;
use super::functions::{Function, ours};
use super::kernel::{Body, Form, Kernel};
use super::rows::made;
use super::text_functions::{each, shown};
use super::types::{Operand, Type, refused};
use super::{cast, quotes};

/// Those of texts.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("quote_ident", &[Text], text, |c, _| Ok(Arc::new(each(&c[0], quotes::identifier)))),
    ours("unistr", &[Text], text, |c, _| {
        let texts = c[0].as_string::<i32>();
        Ok(Arc::new(StringArray::from(made(c, |row| quotes::unescaped(texts.value(row)))?)))
    }),
];

/// quote_literal and quote_nullable: a value of any type, cast to text.
pub(super) fn literal(name: &str, operand: Operand) -> Result<Expr> {
    let text = cast::convert(operand, &Type::Text, false)?;
    let (name, body): (_, Body) = match name {
        "quote_literal" => ("quote_literal", |c, _| Ok(Arc::new(each(&c[0], quotes::literal)))),
        _ => ("quote_nullable", |c, _| {
            let texts = c[0].as_string::<i32>().iter();
            let quoted = texts.map(|text| Some(text.map_or_else(|| "NULL".to_owned(), quotes::literal)));
            Ok(Arc::new(quoted.collect::<StringArray>()))
        }),
    };
    Ok(Kernel::call(name, Form::Call, Type::Text, body, vec![text]))
}

/// format: values of any type in the places of a text.
pub(super) fn format(operands: Vec<Operand>) -> Result<Expr> {
    let mut operands = operands.into_iter();
    let format = operands.next().ok_or_else(|| refused("format needs a text"))?;
    let format = cast::implicit(format, &Type::Text)?.expr;
    let values = operands.map(shown).collect::<Result<Vec<_>>>()?;
    let all = std::iter::once(format).chain(values).collect();
    Ok(Kernel::call("format", Form::Call, Type::Text, formatted, all))
}

fn formatted(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (formats, values) = columns.split_first().ok_or_else(|| refused("format needs a text"))?;
    let formats = formats.as_string::<i32>();
    let values: Vec<&StringArray> = values.iter().map(|column| column.as_string::<i32>()).collect();
    let one = |row: usize| {
        if formats.is_null(row) {
            return Ok(None);
        }
        let values = values.iter().map(|column| column.is_valid(row).then(|| column.value(row)));
        let values: Vec<Option<&str>> = values.collect();
        quotes::formatted(formats.value(row), &values).map(Some).map_err(ArrowError::CastError)
    };
    let texts = (0..formats.len()).map(one).collect::<std::result::Result<StringArray, ArrowError>>()?;
    Ok(Arc::new(texts))
}
