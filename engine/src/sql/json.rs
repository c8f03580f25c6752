//! Postgres' json and jsonb. A json is the text that it was written as, a jsonb the text that Postgres makes of it; both are
//! held as texts, and the metadata of a column or an expression says which of the two it is.

use arrow::array::ArrayRef;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::cast;
use super::functions::Takes::{Array as List, Bool, Json, Jsonb, Texts};
use super::functions::gives::{int4, json, jsonb, text, texts};
use super::functions::{Function, ours};
use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};
use changes::Change;

mod built;
mod casts;
mod changes;
mod columns;
mod contents;
mod numbers;
mod operators;
mod paths;
mod read;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub(super) use casts::{change, counted, is_counted, kept, key, number_or_condition};
pub(super) use operators::{compared, is_operator, operator, subscript};

/// Functions of documents. Those of any number of operands are planned by `call`.
pub(super) const FUNCTIONS: &[Function] = &[
    ours("json_typeof", &[Json], text, |c, _| columns::texts(c, |text| Ok(Some(paths::kind(text).to_owned())))),
    ours("jsonb_typeof", &[Jsonb], text, |c, _| {
        columns::texts(c, |text| Ok(Some(read::jsonb(text)?.kind().to_owned())))
    }),
    ours("json_array_length", &[Json], int4, |c, _| columns::counts(c, |text| paths::length(text).map(Some))),
    ours("jsonb_array_length", &[Jsonb], int4, |c, _| columns::counts(c, |text| paths::length(text).map(Some))),
    ours("jsonb_strip_nulls", &[Jsonb], jsonb, |c, _| {
        columns::texts(c, |text| Ok(Some(write::text(&changes::without_nulls(read::jsonb(text)?)))))
    }),
    ours("jsonb_pretty", &[Jsonb], text, |c, _| columns::texts(c, |text| Ok(Some(write::pretty(&read::jsonb(text)?))))),
    ours("jsonb_set", &[Jsonb, Texts, Jsonb], jsonb, |c, _| set(c)),
    ours("jsonb_set", &[Jsonb, Texts, Jsonb, Bool], jsonb, |c, _| set(c)),
    ours("jsonb_insert", &[Jsonb, Texts, Jsonb], jsonb, |c, _| insert(c)),
    ours("jsonb_insert", &[Jsonb, Texts, Jsonb, Bool], jsonb, |c, _| insert(c)),
    ours("jsonb_object", &[Texts], jsonb, |c, _| built::of_texts(c)),
    ours("jsonb_object", &[Texts, Texts], jsonb, |c, _| built::of_texts(c)),
    ours("json_array_elements", &[Json], texts, |c, _| columns::lists(c, |text| paths::elements_of(text, false))),
    ours("json_array_elements_text", &[Json], texts, |c, _| columns::lists(c, |text| paths::elements_of(text, true))),
    ours("jsonb_array_elements", &[Jsonb], texts, |c, _| {
        columns::lists(c, |text| columns::elements(text, |element| Some(write::text(element))))
    }),
    ours("jsonb_array_elements_text", &[Jsonb], texts, |c, _| {
        columns::lists(c, |text| columns::elements(text, write::plain))
    }),
    ours("json_object_keys", &[Json], texts, |c, _| columns::lists(c, paths::keys_of)),
    ours("jsonb_object_keys", &[Jsonb], texts, |c, _| columns::lists(c, columns::keys)),
    ours("array_to_json", &[List], json, |c, _| built::converted(&c[0], false)),
];

fn set(columns: &[ArrayRef]) -> Result<ArrayRef> {
    columns::changed(columns, Change::Create, [Change::Replace, Change::Create])
}

fn insert(columns: &[ArrayRef]) -> Result<ArrayRef> {
    columns::changed(columns, Change::Before, [Change::Before, Change::After])
}

/// Whether a function gives rows, and the type that its elements are cast to. The function itself gives an array of texts.
pub(super) fn rows_of(name: &str) -> Option<Option<&'static str>> {
    match name {
        "json_array_elements" => Some(Some("json")),
        "jsonb_array_elements" => Some(Some("jsonb")),
        "json_array_elements_text" | "jsonb_array_elements_text" | "json_object_keys" | "jsonb_object_keys" => {
            Some(None)
        }
        _ => None,
    }
}

/// Whether a function of documents takes any number of operands, or operands of any type.
pub(super) fn is_variadic(name: &str) -> bool {
    matches!(
        name,
        "to_json"
            | "to_jsonb"
            | "json_build_array"
            | "jsonb_build_array"
            | "json_build_object"
            | "jsonb_build_object"
            | "json_extract_path"
            | "jsonb_extract_path"
            | "json_extract_path_text"
            | "jsonb_extract_path_text"
    )
}

/// The call of such a function.
pub(super) fn call(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    match (name, operands.len()) {
        ("to_json" | "to_jsonb", 1) => {
            let operand = only(operands)?;
            if operand.kind == Type::Unknown {
                return Err(refused(format!("{name} needs to know the type of its operand: cast it")));
            }
            converted(operand, name == "to_jsonb")
        }
        ("json_build_array", _) => {
            let pieces = pieces(operands, false)?;
            Ok(Kernel::call("json_build_array", Form::Call, Type::json(), |c, _| built::array(c, false), pieces))
        }
        ("jsonb_build_array", _) => {
            let pieces = pieces(operands, false)?;
            Ok(Kernel::call("jsonb_build_array", Form::Call, Type::jsonb(), |c, _| built::array(c, true), pieces))
        }
        ("json_build_object" | "jsonb_build_object", count) if count % 2 == 1 => {
            Err(refused(format!("{name} takes keys and values in pairs")))
        }
        ("json_build_object", _) => {
            let pieces = pieces(operands, true)?;
            Ok(Kernel::call("json_build_object", Form::Call, Type::json(), |c, _| built::object(c, false), pieces))
        }
        ("jsonb_build_object", _) => {
            let pieces = pieces(operands, true)?;
            Ok(Kernel::call("jsonb_build_object", Form::Call, Type::jsonb(), |c, _| built::object(c, true), pieces))
        }
        (_, 2..) if name.contains("_extract_path") => extracted(name, operands),
        _ => {
            let kinds = operands.iter().map(|operand| operand.kind.to_string()).collect::<Vec<_>>().join(", ");
            Err(refused(format!("there is no function {name}({kinds})")))
        }
    }
}

fn only(operands: Vec<Operand>) -> Result<Operand> {
    operands.into_iter().next().ok_or_else(|| refused("the function needs an operand"))
}

/// The operands as pieces of JSON. Where they are keys and values in turn, keys are single values.
fn pieces(operands: Vec<Operand>, has_keys: bool) -> Result<Vec<Expr>> {
    let piece = |(place, operand): (usize, Operand)| {
        let is_single = !operand.kind.is_json() && !matches!(operand.kind, Type::Array(_));
        if has_keys && place % 2 == 0 && !is_single {
            return Err(refused(format!("a key of an object is a single value, not {}", operand.kind)));
        }
        match operand.kind {
            Type::Unknown => converted(cast::implicit(operand, &Type::Text)?, false),
            Type::Native(_) if operand.kind.is_json() => Ok(operand.expr),
            _ => converted(operand, false),
        }
    };
    operands.into_iter().enumerate().map(piece).collect()
}

/// The operand of `json_agg` and `jsonb_agg` as the text of a piece of JSON.
pub(super) fn piece(name: &str, operand: Operand) -> Result<Expr> {
    match &operand.kind {
        Type::Unknown => Err(refused(format!("{name} needs to know the type of its operand: cast it"))),
        // Postgres writes a line for each of them.
        Type::Array(_) if name == "json_agg" => Err(refused("json_agg of arrays is not supported: write jsonb_agg")),
        _ => change(Operand { expr: converted(operand, false)?, kind: Type::json() }, &Type::Text),
    }
}

/// `json_agg` and `jsonb_agg`, of an array of pieces.
pub(super) fn gathered(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let pieces = vec![only(operands)?.expr];
    Ok(match name {
        "json_agg" => Kernel::call("json_agg", Form::Call, Type::json(), |c, _| built::gathered(c, false), pieces),
        _ => Kernel::call("jsonb_agg", Form::Call, Type::jsonb(), |c, _| built::gathered(c, true), pieces),
    })
}

/// `to_json` and `to_jsonb`
fn converted(operand: Operand, is_binary: bool) -> Result<Expr> {
    let kind = if is_binary { Type::jsonb() } else { Type::json() };
    match &operand.kind {
        Type::Native(_) if operand.kind.is_json() => return change(operand, &kind),
        Type::Native(_) | Type::Other(_) => {
            return Err(refused(format!("JSON can't be made of {} here: cast it to text", operand.kind)));
        }
        _ => {}
    }
    Ok(match is_binary {
        true => Kernel::call("to_jsonb", Form::Call, kind, |c, _| built::converted(&c[0], true), vec![operand.expr]),
        false => Kernel::call("to_json", Form::Call, kind, |c, _| built::converted(&c[0], false), vec![operand.expr]),
    })
}

/// The part that a path leads to whose steps are operands of their own.
fn extracted(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let is_binary = name.starts_with("jsonb");
    let kind = if is_binary { Type::jsonb() } else { Type::json() };
    let exprs = operands.into_iter().enumerate().map(|(place, operand)| {
        cast::implicit(operand, if place == 0 { &kind } else { &Type::Text }).map(|operand| operand.expr)
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    let (name, gives, body): (&'static str, Type, Body) = match name {
        "json_extract_path" => {
            ("json_extract_path", kind, |c, _| columns::extracted(c, |text, path| columns::part_at(text, path, false)))
        }
        "json_extract_path_text" => ("json_extract_path_text", Type::Text, |c, _| {
            columns::extracted(c, |text, path| columns::part_at(text, path, true))
        }),
        "jsonb_extract_path" => {
            ("jsonb_extract_path", kind, |c, _| columns::extracted(c, |text, path| columns::at(text, path, false)))
        }
        _ => ("jsonb_extract_path_text", Type::Text, |c, _| {
            columns::extracted(c, |text, path| columns::at(text, path, true))
        }),
    };
    Ok(Kernel::call(name, Form::Call, gives, body, exprs))
}
