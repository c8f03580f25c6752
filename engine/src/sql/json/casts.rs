//! Casts of json and jsonb.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::metadata::FieldMetadata;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;

use super::super::cast;
use super::super::kernel::{Body, Form, Kernel};
use super::super::types::{Operand, Type, refused};
use super::{columns, read, write};

/// The operand as another type, one of the two being json or jsonb.
pub(in super::super) fn change(operand: Operand, kind: &Type) -> Result<Expr> {
    if operand.kind == *kind {
        return Ok(operand.expr);
    }
    match &operand.kind {
        Type::Unknown => return literal(&operand, kind),
        Type::Char => {
            let text = cast::convert(operand, &Type::Text, false)?;
            return change(Operand { expr: text, kind: Type::Text }, kind);
        }
        Type::Text | Type::Native(_) => {}
        other => return Err(refused(format!("there is no cast of {other} to {kind}"))),
    }
    let is_read = operand.kind == Type::Text;
    let (name, body): (&'static str, Body) = match kind {
        Type::Text => ("text", |c, _| Ok(Arc::clone(&c[0]))),
        kind if kind.is_jsonb() => {
            ("jsonb", |c, _| columns::texts(c, |text| Ok(Some(write::text(&read::jsonb(text)?)))))
        }
        kind if kind.is_json() && is_read => {
            ("json", |c, _| columns::texts(c, |text| read::check(text).map(|()| Some(text.to_owned()))))
        }
        kind if kind.is_json() => ("json of jsonb", |c, _| Ok(Arc::clone(&c[0]))),
        other => return Err(refused(format!("there is no cast of {} to {other}", operand.kind))),
    };
    Ok(Kernel::call(name, Form::Typed, kind.clone(), body, vec![operand.expr]))
}

/// A quoted literal as a document, which the metadata of the literal says.
fn literal(operand: &Operand, kind: &Type) -> Result<Expr> {
    let text = match operand.literal() {
        Some(text) if kind.is_jsonb() => Some(write::text(&read::jsonb(text).map_err(refused)?)),
        Some(text) => {
            read::check(text).map_err(refused)?;
            Some(text.to_owned())
        }
        None => None,
    };
    let metadata = FieldMetadata::from(kind.metadata());
    Ok(Expr::Literal(ScalarValue::Utf8(text), Some(metadata)))
}

/// An expression that DataFusion takes for a text, like CASE, as the document that it is.
pub(in super::super) fn kept(expr: Expr, kind: &Type) -> Expr {
    if !kind.is_json() {
        return expr;
    }
    Kernel::call("kept", Form::Cast, kind.clone(), |c, _| Ok(Arc::clone(&c[0])), vec![expr])
}

/// The name of what counts json, which can't be counted once for each value.
const COUNTED: &str = "counted";

/// A json as the argument of `count`.
pub(in super::super) fn counted(expr: Expr) -> Expr {
    Kernel::call(COUNTED, Form::Cast, Type::json(), |c, _| Ok(Arc::clone(&c[0])), vec![expr])
}

/// Whether an argument is a json that is counted.
pub(in super::super) fn is_counted(argument: &Expr) -> bool {
    matches!(argument, Expr::ScalarFunction(call) if call.name() == COUNTED)
}

/// A jsonb as a text that is equal where jsonb is.
pub(in super::super) fn key(expr: Expr) -> Expr {
    let body: Body = |c, _| columns::texts(c, |text| Ok(Some(write::key(read::jsonb(text)?))));
    Kernel::call("jsonb_key", Form::Call, Type::Text, body, vec![expr])
}

/// A jsonb as the text of the number or the condition that it is, for a cast to that type.
pub(in super::super) fn number_or_condition(operand: Operand, kind: &Type) -> Operand {
    let (name, body): (&'static str, Body) = match kind {
        Type::Bool => ("jsonb_boolean", |c, _| columns::texts(c, columns::condition)),
        kind if kind.is_integer() => ("jsonb_integer", |c, _| columns::texts(c, |text| columns::number(text, true))),
        _ => ("jsonb_number", |c, _| columns::texts(c, |text| columns::number(text, false))),
    };
    Operand { expr: Kernel::call(name, Form::Cast, Type::Text, body, vec![operand.expr]), kind: Type::Text }
}
