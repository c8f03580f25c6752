//! Functions of arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, StringBuilder, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Operator};

use super::functions::Function;
use super::functions::Takes::{Array as List, Int4, Text};
use super::functions::gives::int4;
use super::functions::ours;
use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};
use super::{cast, list_parts, text};

/// Functions that take any array.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("cardinality", &[List], int4, |c, _| Ok(lengths(&c[0], false))),
    ours("array_length", &[List, Int4], int4, |c, _| dimension(c)),
    ours("array_upper", &[List, Int4], int4, |c, _| dimension(c)),
    ours("array_ndims", &[List], int4, |c, _| {
        let lengths = lengths(&c[0], true);
        let one = lengths.as_primitive::<Int32Type>().iter().map(|length| length.map(|_| 1));
        Ok(Arc::new(one.collect::<Int32Array>()))
    }),
    ours("array_to_string", &[List, Text], |_| Type::Text, |c, _| joined(c)),
    ours("array_to_string", &[List, Text, Text], |_| Type::Text, |c, _| joined(c)),
];

/// Functions of an array and an element of its type.
pub(super) fn is_polymorphic(name: &str) -> bool {
    matches!(
        name,
        "array_append"
            | "array_prepend"
            | "array_cat"
            | "array_position"
            | "array_positions"
            | "array_remove"
            | "array_replace"
            | "array_has_all"
            | "array_has_any"
    )
}

/// The call of such a function.
pub(super) fn plan(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let kinds = operands.iter().map(|operand| operand.kind.to_string()).collect::<Vec<_>>().join(", ");
    let none = || refused(format!("there is no function {name}({kinds})"));
    let (body, arrays): (Body, &[usize]) = match (name, operands.len()) {
        ("array_append", 2) => (|c, _| glued(&[Part::List(&c[0]), Part::One(&c[1])]), &[0]),
        ("array_prepend", 2) => (|c, _| glued(&[Part::One(&c[0]), Part::List(&c[1])]), &[1]),
        ("array_cat", 2) => (|c, _| glued(&[Part::List(&c[0]), Part::List(&c[1])]), &[0, 1]),
        ("array_position", 2) => (|c, _| position(c), &[0]),
        ("array_position", 3) => return list_parts::position_from(operands),
        ("array_positions", 2) => (|c, _| list_parts::positions(c), &[0]),
        ("array_remove", 2) => (|c, _| replaced(&c[0], &c[1], None), &[0]),
        ("array_replace", 3) => (|c, _| replaced(&c[0], &c[1], Some(&c[2])), &[0]),
        ("array_has_all", 2) => (|c, _| contains(c, true), &[0, 1]),
        ("array_has_any", 2) => (|c, _| contains(c, false), &[0, 1]),
        _ => return Err(none()),
    };
    let Some((element, operands)) = unified(operands, arrays)? else { return Err(none()) };
    if element.is_json() {
        return Err(none());
    }
    let list = Type::Array(Box::new(element));
    let (name, gives) = match name {
        "array_position" => ("array_position", Type::Int4),
        "array_positions" => ("array_positions", Type::Array(Box::new(Type::Int4))),
        "array_has_all" => ("@>", Type::Bool),
        "array_has_any" => ("&&", Type::Bool),
        "array_append" => ("array_append", list),
        "array_prepend" => ("array_prepend", list),
        "array_remove" => ("array_remove", list),
        "array_replace" => ("array_replace", list),
        _ => ("array_cat", list),
    };
    Ok(Kernel::call(name, Form::Call, gives, body, operands))
}

/// The operands with one type of elements: what the arrays' and the elements' types have in common; `None` if there is none.
pub(super) fn unified(operands: Vec<Operand>, arrays: &[usize]) -> Result<Option<(Type, Vec<Expr>)>> {
    let mut element = Type::Unknown;
    for (index, operand) in operands.iter().enumerate() {
        let kind = match (&operand.kind, arrays.contains(&index)) {
            (Type::Array(element), true) => element.as_ref().clone(),
            (Type::Unknown, _) => continue,
            (_, true) => return Ok(None),
            (kind, false) => kind.clone(),
        };
        element = match element.unify(&kind) {
            Some(unified) => unified,
            None => return Ok(None),
        };
    }
    if element == Type::Unknown {
        return Ok(None);
    }
    let list = Type::Array(Box::new(element.clone()));
    let exprs = operands.into_iter().enumerate().map(|(index, operand)| {
        let kind = if arrays.contains(&index) { &list } else { &element };
        cast::implicit(operand, kind).map(|operand| operand.expr)
    });
    Ok(Some((element.clone(), exprs.collect::<Result<Vec<_>>>()?)))
}

/// `||` of which one side is an array.
pub(super) fn concatenated(left: Operand, right: Operand) -> Result<Expr> {
    let is_list = |operand: &Operand| matches!(operand.kind, Type::Array(_) | Type::Unknown);
    match (is_list(&left), is_list(&right)) {
        (true, true) => plan("array_cat", vec![left, right]),
        (true, false) => plan("array_append", vec![left, right]),
        (false, _) => plan("array_prepend", vec![left, right]),
    }
}

/// Elements by row; a list that is NULL has none, or makes its length NULL.
fn lengths(column: &ArrayRef, is_null_if_empty: bool) -> ArrayRef {
    let list = column.as_list::<i32>();
    let lengths = (0..list.len()).map(|row| {
        let length = list.is_valid(row).then(|| list.value_length(row));
        length.filter(|length| !is_null_if_empty || *length > 0)
    });
    Arc::new(lengths.collect::<Int32Array>())
}

/// Length of a dimension: of the first, which is the only one here, or NULL.
fn dimension(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let lengths = lengths(&columns[0], true);
    let pairs = lengths.as_primitive::<Int32Type>().iter().zip(columns[1].as_primitive::<Int32Type>().iter());
    Ok(Arc::new(pairs.map(|(length, dimension)| length.filter(|_| dimension == Some(1))).collect::<Int32Array>()))
}

/// `(array)[index]`, NULL outside of it.
pub(super) fn element(list: Operand, index: Operand) -> Result<Expr> {
    let Type::Array(element) = &list.kind else {
        return Err(refused(format!("{} has no elements: [ ] is for arrays", list.kind)));
    };
    if matches!(element.as_ref(), Type::Array(_)) {
        return Err(refused("elements of arrays of several dimensions are not supported"));
    }
    let kind = element.as_ref().clone();
    let index = cast::implicit(index, &Type::Int4)?;
    Ok(Kernel::call("element", Form::Call, kind, |c, _| picked(c), vec![list.expr, index.expr]))
}

fn picked(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let places = columns[1].as_primitive::<Int32Type>().iter().enumerate().map(|(row, index)| {
        let index = index.filter(|index| list.is_valid(row) && (1..=list.value_length(row)).contains(index))?;
        u32::try_from(list.value_offsets()[row] + index - 1).ok()
    });
    Ok(take(list.values(), &places.collect::<UInt32Array>(), None)?)
}

enum Part<'a> {
    List(&'a ArrayRef),
    One(&'a ArrayRef),
}

/// Lists end to end: a NULL among them is nothing.
fn glued(parts: &[Part<'_>]) -> Result<ArrayRef> {
    let list = |part: &Part<'_>| match part {
        Part::List(column) => Some(column.as_list::<i32>().clone()),
        Part::One(_) => None,
    };
    let field = parts.iter().find_map(list).map(|list| list.value_type()).unwrap_or(DataType::Null);
    let rows = parts.first().map_or(0, |part| match part {
        Part::List(column) | Part::One(column) => column.len(),
    });
    let mut pieces: Vec<ArrayRef> = Vec::new();
    let mut lengths = Vec::with_capacity(rows);
    let mut valid = Vec::with_capacity(rows);
    for row in 0..rows {
        let before = pieces.len();
        let mut is_valid = false;
        for part in parts {
            match part {
                Part::List(column) => {
                    let list = column.as_list::<i32>();
                    if list.is_valid(row) {
                        pieces.push(list.value(row));
                        is_valid = true;
                    }
                }
                Part::One(column) => {
                    pieces.push(column.slice(row, 1));
                    is_valid = true;
                }
            }
        }
        lengths.push(pieces[before..].iter().map(|piece| piece.len()).sum());
        valid.push(is_valid);
    }
    built(&field, &pieces, lengths, valid)
}

/// An array of arrays, made of pieces end to end.
pub(super) fn built(field: &DataType, pieces: &[ArrayRef], lengths: Vec<usize>, valid: Vec<bool>) -> Result<ArrayRef> {
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    let values = if pieces.is_empty() { arrow::array::new_empty_array(field) } else { concat(&pieces)? };
    let field = Arc::new(arrow::datatypes::Field::new_list_field(field.clone(), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, Some(NullBuffer::from(valid)))?))
}

/// Which elements are the value; NULL is NULL here.
pub(super) fn same(values: &ArrayRef, wanted: &ArrayRef, row: usize) -> Result<BooleanArray> {
    let wanted = arrow::array::Scalar::new(wanted.slice(row, 1));
    Ok(cmp::not_distinct(values, &wanted)?)
}

fn position(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let rows = (0..list.len()).map(|row| {
        if list.is_null(row) {
            return Ok(None);
        }
        let found = same(&list.value(row), &columns[1], row)?;
        Ok((0..found.len()).position(|index| found.value(index)).and_then(|index| i32::try_from(index + 1).ok()))
    });
    Ok(Arc::new(rows.collect::<Result<Int32Array>>()?))
}

fn replaced(column: &ArrayRef, from: &ArrayRef, to: Option<&ArrayRef>) -> Result<ArrayRef> {
    let list = column.as_list::<i32>();
    let mut pieces = Vec::new();
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in 0..list.len() {
        let before = pieces.len();
        if list.is_valid(row) {
            let values = list.value(row);
            let found = same(&values, from, row)?;
            for index in 0..values.len() {
                match (found.value(index), to) {
                    (false, _) => pieces.push(values.slice(index, 1)),
                    (true, Some(to)) => pieces.push(to.slice(row, 1)),
                    (true, None) => {}
                }
            }
        }
        lengths.push(pieces.len() - before);
        valid.push(list.is_valid(row));
    }
    built(&list.value_type(), &pieces, lengths, valid)
}

/// `@>` and `&&`: a NULL is in no array.
fn contains(columns: &[ArrayRef], all: bool) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_list::<i32>(), columns[1].as_list::<i32>());
    let rows = (0..left.len()).map(|row| {
        if left.is_null(row) || right.is_null(row) {
            return Ok(None);
        }
        let (values, wanted) = (left.value(row), right.value(row));
        let mut found = (0..wanted.len())
            .map(|index| Ok(wanted.is_valid(index) && same(&values, &wanted, index)?.true_count() > 0));
        let is = if all {
            found.try_fold(true, |is, one: Result<bool>| one.map(|one| is && one))
        } else {
            found.try_fold(false, |is, one: Result<bool>| one.map(|one| is || one))
        };
        is.map(Some)
    });
    Ok(Arc::new(rows.collect::<Result<BooleanArray>>()?))
}

fn joined(columns: &[ArrayRef]) -> Result<ArrayRef> {
    let list = columns[0].as_list::<i32>();
    let separators = columns[1].as_string::<i32>();
    let null_text = columns.get(2).map(|column| column.as_string::<i32>());
    let is_bool = list.value_type() == DataType::Boolean;
    let mut texts = StringBuilder::new();
    for row in 0..list.len() {
        if list.is_null(row) || separators.is_null(row) {
            texts.append_null();
            continue;
        }
        let values = text::written(&list.value(row))?;
        let null = null_text.filter(|null| null.is_valid(row)).map(|null| null.value(row));
        let parts = values
            .as_string::<i32>()
            .iter()
            .filter_map(|value| value.map(|value| if is_bool { &value[..1] } else { value }).or(null));
        texts.append_value(parts.collect::<Vec<_>>().join(separators.value(row)));
    }
    Ok(Arc::new(texts.finish()))
}

/// `value op ANY (array)` and `value op ALL (array)`, with NULLs as the standard has them.
pub(super) fn quantified(op: Operator, all: bool, value: Operand, list: Operand) -> Result<Expr> {
    let element = match &list.kind {
        Type::Array(element) => element.as_ref().clone(),
        Type::Unknown => value.kind.clone(),
        kind => return Err(refused(format!("ANY and ALL take an array, not {kind}"))),
    };
    let is_mixed = value.kind != element && (value.kind.is_float() || element.is_float());
    let kind = match is_mixed && value.kind.is_number() && element.is_number() {
        true => Some(Type::Float8),
        false => value.kind.unify(&element),
    };
    let kind = kind.filter(|kind| !matches!(kind, Type::Unknown | Type::Interval | Type::Array(_)));
    let kind =
        kind.ok_or_else(|| refused(format!("there is no operator {} {op} {element}: cast one side", value.kind)))?;
    let value = cast::implicit(value, &kind)?;
    let list = cast::explicit_list(list, &kind)?;
    let (name, body): (&'static str, Body) = match (op, all) {
        (Operator::Eq, false) => ("= ANY", |c, _| judged(c, false, |a, b| cmp::eq(a, b))),
        (Operator::Eq, true) => ("= ALL", |c, _| judged(c, true, |a, b| cmp::eq(a, b))),
        (Operator::NotEq, false) => ("<> ANY", |c, _| judged(c, false, |a, b| cmp::neq(a, b))),
        (Operator::NotEq, true) => ("<> ALL", |c, _| judged(c, true, |a, b| cmp::neq(a, b))),
        (Operator::Lt, false) => ("< ANY", |c, _| judged(c, false, |a, b| cmp::lt(a, b))),
        (Operator::Lt, true) => ("< ALL", |c, _| judged(c, true, |a, b| cmp::lt(a, b))),
        (Operator::LtEq, false) => ("<= ANY", |c, _| judged(c, false, |a, b| cmp::lt_eq(a, b))),
        (Operator::LtEq, true) => ("<= ALL", |c, _| judged(c, true, |a, b| cmp::lt_eq(a, b))),
        (Operator::Gt, false) => ("> ANY", |c, _| judged(c, false, |a, b| cmp::gt(a, b))),
        (Operator::Gt, true) => ("> ALL", |c, _| judged(c, true, |a, b| cmp::gt(a, b))),
        (Operator::GtEq, false) => (">= ANY", |c, _| judged(c, false, |a, b| cmp::gt_eq(a, b))),
        (Operator::GtEq, true) => (">= ALL", |c, _| judged(c, true, |a, b| cmp::gt_eq(a, b))),
        _ => return Err(refused(format!("{op} does not go with ANY or ALL"))),
    };
    Ok(Kernel::call(name, Form::Infix, Type::Bool, body, vec![value.expr, list]))
}

type Compare = fn(
    &dyn arrow::array::Datum,
    &dyn arrow::array::Datum,
) -> std::result::Result<BooleanArray, arrow::error::ArrowError>;

fn judged(columns: &[ArrayRef], all: bool, compare: Compare) -> Result<ArrayRef> {
    let list = columns[1].as_list::<i32>();
    let rows = (0..list.len()).map(|row| {
        if list.is_null(row) {
            return Ok(None);
        }
        let values = list.value(row);
        let wanted = arrow::array::Scalar::new(columns[0].slice(row, 1));
        let found = compare(&wanted, &values)?;
        Ok(decided(&found, all))
    });
    Ok(Arc::new(rows.collect::<Result<BooleanArray>>()?))
}

/// Whether all comparisons hold, or any of them: NULL where an unknown one could decide it.
pub(super) fn decided(found: &BooleanArray, all: bool) -> Option<bool> {
    let decides = found.iter().flatten().any(|is| is != all);
    match (decides, found.null_count() > 0) {
        (true, _) => Some(!all),
        (false, true) => None,
        (false, false) => Some(all),
    }
}
