//! LIKE, SIMILAR TO and regular expressions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Scalar};
use arrow::compute::kernels::comparison;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Like, Operator};

use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};
use super::{cast, list_functions, text_functions};

fn text(operand: Operand) -> Result<Expr> {
    match operand.kind {
        // A char(n) is matched with its blanks.
        Type::Char => Ok(operand.expr),
        Type::Text | Type::Unknown => Ok(cast::implicit(operand, &Type::Text)?.expr),
        kind => Err(refused(format!("a pattern is matched with text, not with {kind}: cast it"))),
    }
}

/// LIKE and ILIKE
pub(super) fn like(operands: Vec<Operand>, case_insensitive: bool) -> Result<Expr> {
    let mut operands = operands.into_iter();
    let (Some(value), Some(pattern)) = (operands.next(), operands.next()) else {
        return Err(refused("LIKE has two operands"));
    };
    let pattern = match operands.next() {
        None => pattern,
        Some(escape) => escaped(pattern, &escape)?,
    };
    if pattern.literal().is_some_and(ends_in_escape) {
        return Err(refused("a pattern of LIKE can't end with its escape character"));
    }
    let is_literal = pattern.literal().is_some();
    let (value, pattern) = (text(value)?, text(pattern)?);
    let pattern =
        if is_literal { pattern } else { Kernel::call("pattern", Form::Call, Type::Text, checked, vec![pattern]) };
    // Letters are mapped one by one, as Postgres maps them; LIKE on both in lower case is ILIKE.
    let lower = |expr: Expr| {
        let body: Body = |columns, _| Ok(Arc::new(text_functions::lowered(&columns[0])));
        Kernel::call("lower", Form::Call, Type::Text, body, vec![expr])
    };
    let (value, pattern) = if case_insensitive { (lower(value), lower(pattern)) } else { (value, pattern) };
    Ok(Expr::Like(Like::new(false, Box::new(value), Box::new(pattern), None, false)))
}

/// LIKE and ILIKE with one of an array's patterns, or with all of them.
pub(super) fn like_each(operands: Vec<Operand>, case_insensitive: bool, all: bool) -> Result<Expr> {
    let [value, list] = <[Operand; 2]>::try_from(operands).map_err(|_| refused("LIKE ANY has two operands"))?;
    let is_known = match &list.kind {
        Type::Array(element) => matches!(**element, Type::Text | Type::Unknown),
        kind => *kind == Type::Unknown,
    };
    if !is_known {
        return Err(refused(format!("LIKE ANY and ALL take an array of texts, not {}", list.kind)));
    }
    let list = cast::explicit_list(list, &Type::Text)?;
    let (name, body): (&'static str, Body) = match (case_insensitive, all) {
        (false, false) => ("LIKE ANY", |c, _| judged(c, false, false)),
        (false, true) => ("LIKE ALL", |c, _| judged(c, false, true)),
        (true, false) => ("ILIKE ANY", |c, _| judged(c, true, false)),
        (true, true) => ("ILIKE ALL", |c, _| judged(c, true, true)),
    };
    Ok(Kernel::call(name, Form::Infix, Type::Bool, body, vec![text(value)?, list]))
}

fn judged(columns: &[ArrayRef], case_insensitive: bool, all: bool) -> Result<ArrayRef> {
    let lists = columns[1].as_list::<i32>();
    let lower = |column: &ArrayRef| match case_insensitive {
        true => Arc::new(text_functions::lowered(column)) as ArrayRef,
        false => Arc::clone(column),
    };
    let rows = (0..lists.len()).map(|row| -> Result<Option<bool>> {
        if lists.is_null(row) {
            return Ok(None);
        }
        let patterns = checked(&[lower(&lists.value(row))], &DataType::Utf8)?;
        let value = Scalar::new(lower(&columns[0].slice(row, 1)));
        let found = comparison::like(&value, &patterns)?;
        Ok(list_functions::decided(&found, all))
    });
    Ok(Arc::new(rows.collect::<Result<BooleanArray>>()?))
}

fn ends_in_escape(pattern: &str) -> bool {
    (pattern.len() - pattern.trim_end_matches('\\').len()) % 2 == 1
}

/// Patterns that are not known yet; one that ends with its escape character is an error.
fn checked(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    match columns[0].as_string::<i32>().iter().flatten().find(|pattern| ends_in_escape(pattern)) {
        Some(_) => {
            Err(ArrowError::CastError("a pattern of LIKE can't end with its escape character".to_owned()).into())
        }
        None => Ok(Arc::clone(&columns[0])),
    }
}

/// The pattern with backslashes in place of its own escape character.
fn escaped(pattern: Operand, escape: &Operand) -> Result<Operand> {
    let (Some(pattern), Some(escape)) = (pattern.literal(), escape.literal()) else {
        return Err(refused("ESCAPE needs a quoted pattern and a quoted character"));
    };
    let mut characters = escape.chars();
    let escape = match (characters.next(), characters.next()) {
        (first, None) => first,
        _ => return Err(refused("ESCAPE takes one character, or an empty text for none")),
    };
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(next) = rest.next() {
        match next {
            _ if Some(next) == escape => {
                let literal = rest.next().ok_or_else(|| refused("a pattern can't end with its escape character"))?;
                if matches!(literal, '%' | '_' | '\\') {
                    plain.push('\\');
                }
                plain.push(literal);
            }
            '\\' => plain.push_str("\\\\"),
            other => plain.push(other),
        }
    }
    Ok(Operand { expr: Expr::Literal(ScalarValue::from(plain), None), kind: Type::Unknown })
}

/// SIMILAR TO, as the regular expression that means the same.
pub(super) fn similar(operands: Vec<Operand>) -> Result<Expr> {
    let mut operands = operands.into_iter();
    let (Some(value), Some(pattern)) = (operands.next(), operands.next()) else {
        return Err(refused("SIMILAR TO has two operands"));
    };
    let escape = match operands.next() {
        None => Some('\\'),
        Some(escape) => escape.literal().ok_or_else(|| refused("ESCAPE takes a quoted character"))?.chars().next(),
    };
    let pattern = pattern.literal().ok_or_else(|| refused("SIMILAR TO needs a quoted pattern"))?;
    let mut regex = String::from("^(?:");
    let mut rest = pattern.chars();
    let mut in_class = false;
    while let Some(next) = rest.next() {
        match next {
            _ if Some(next) == escape => {
                let literal = rest.next().ok_or_else(|| refused("a pattern can't end with its escape character"))?;
                regex.push_str(&regex::escape(&literal.to_string()));
            }
            '[' => {
                in_class = true;
                regex.push('[');
            }
            ']' => {
                in_class = false;
                regex.push(']');
            }
            _ if in_class => regex.push(next),
            '%' => regex.push_str("(?:.*)"),
            '_' => regex.push_str("(?:.)"),
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => regex.push(next),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push_str(")$");
    let regex = super::regexes::pattern(&regex, "")?;
    let pattern = Expr::Literal(ScalarValue::from(regex.as_str()), None);
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(text(value)?), Operator::RegexMatch, Box::new(pattern))))
}

/// `~` and its like
pub(super) fn regex(op: Operator, left: Operand, right: Operand) -> Result<Expr> {
    let literal = right.literal().ok_or_else(|| refused("a regular expression is a quoted text here"))?;
    let pattern = super::regexes::pattern(literal, "")?;
    let right = Operand { expr: Expr::Literal(ScalarValue::from(pattern.as_str()), None), kind: Type::Unknown };
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(text(left)?), op, Box::new(text(right)?))))
}
