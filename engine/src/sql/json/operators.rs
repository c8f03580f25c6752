//! Operators, comparisons and subscripts of json and jsonb.

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::super::cast;
use super::super::kernel::{Body, Form, Kernel};
use super::super::types::{Operand, Type, refused};
use super::changes::{self, Change};
use super::paths::{self, Step};
use super::value::Value;
use super::{casts, columns, contents, read, write};

/// Whether an operator between two types is one of json or jsonb.
pub(in super::super) fn is_operator(op: &BinaryOperator, left: &Type, right: &Type) -> bool {
    match op {
        BinaryOperator::Arrow
        | BinaryOperator::LongArrow
        | BinaryOperator::HashArrow
        | BinaryOperator::HashLongArrow => left.is_json(),
        BinaryOperator::Minus
        | BinaryOperator::HashMinus
        | BinaryOperator::Question
        | BinaryOperator::QuestionAnd
        | BinaryOperator::QuestionPipe => left.is_jsonb(),
        BinaryOperator::AtArrow | BinaryOperator::ArrowAt | BinaryOperator::StringConcat => are_jsonb(left, right),
        _ => false,
    }
}

/// Whether both are jsonb, or one is and the other a quoted literal.
fn are_jsonb(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (left, Type::Unknown) => left.is_jsonb(),
        (Type::Unknown, right) => right.is_jsonb(),
        (left, right) => left.is_jsonb() && right.is_jsonb(),
    }
}

/// What stands on the right of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Text,
    Index,
    Texts,
}

/// The call of an operator for which `is_operator` holds.
pub(in super::super) fn operator(op: &BinaryOperator, left: Operand, right: Operand) -> Result<Expr> {
    if matches!(op, BinaryOperator::AtArrow | BinaryOperator::ArrowAt | BinaryOperator::StringConcat) {
        let (left, right) = (cast::implicit(left, &Type::jsonb())?, cast::implicit(right, &Type::jsonb())?);
        let (name, gives, body): (&'static str, Type, Body) = match op {
            BinaryOperator::AtArrow => ("@>", Type::Bool, |c, _| {
                columns::is_by_text(c, |l, r| Ok(Some(contents::contains(&read::jsonb(l)?, &read::jsonb(r)?))))
            }),
            BinaryOperator::ArrowAt => ("<@", Type::Bool, |c, _| {
                columns::is_by_text(c, |l, r| Ok(Some(contents::contains(&read::jsonb(r)?, &read::jsonb(l)?))))
            }),
            _ => ("||", Type::jsonb(), |c, _| {
                columns::by_text(c, |l, r| Ok(Some(write::text(&changes::joined(read::jsonb(l)?, read::jsonb(r)?)))))
            }),
        };
        return Ok(Kernel::call(name, Form::Infix, gives, body, vec![left.expr, right.expr]));
    }
    let none = || refused(format!("there is no operator {} {op} {}", left.kind, right.kind));
    let takes_list = !matches!(
        op,
        BinaryOperator::Arrow | BinaryOperator::LongArrow | BinaryOperator::Minus | BinaryOperator::Question
    );
    let on_right = match &right.kind {
        Type::Array(_) if takes_list || *op == BinaryOperator::Minus => Right::Texts,
        Type::Unknown if takes_list => Right::Texts,
        Type::Unknown | Type::Text | Type::Char if !takes_list => Right::Text,
        Type::Int2 | Type::Int4 if !takes_list && *op != BinaryOperator::Question => Right::Index,
        _ => return Err(none()),
    };
    let (name, body) = found(op, left.kind.is_jsonb(), on_right).ok_or_else(none)?;
    let gives = match op {
        BinaryOperator::LongArrow | BinaryOperator::HashLongArrow => Type::Text,
        BinaryOperator::Question | BinaryOperator::QuestionAnd | BinaryOperator::QuestionPipe => Type::Bool,
        _ => left.kind.clone(),
    };
    let right = match on_right {
        Right::Text => cast::implicit(right, &Type::Text)?,
        Right::Index => cast::implicit(right, &Type::Int4)?,
        Right::Texts => cast::implicit(right, &Type::Array(Box::new(Type::Text)))?,
    };
    Ok(Kernel::call(name, Form::Infix, gives, body, vec![left.expr, right.expr]))
}

/// The operators that take one document.
fn found(op: &BinaryOperator, is_binary: bool, right: Right) -> Option<(&'static str, Body)> {
    let body: Body = match (op, is_binary, right) {
        (BinaryOperator::Arrow | BinaryOperator::LongArrow, _, _) => access(op, is_binary, right)?,
        (BinaryOperator::HashArrow, true, Right::Texts) => {
            |c, _| columns::by_list(c, |text, path| columns::at(text, path, false))
        }
        (BinaryOperator::HashLongArrow, true, Right::Texts) => {
            |c, _| columns::by_list(c, |text, path| columns::at(text, path, true))
        }
        (BinaryOperator::HashArrow, false, Right::Texts) => {
            |c, _| columns::by_list(c, |text, path| columns::part_at(text, path, false))
        }
        (BinaryOperator::HashLongArrow, false, Right::Texts) => {
            |c, _| columns::by_list(c, |text, path| columns::part_at(text, path, true))
        }
        (BinaryOperator::Minus, true, Right::Text) => |c, _| {
            columns::by_text(c, |text, key| Ok(Some(write::text(&changes::without(read::jsonb(text)?, &[key])?))))
        },
        (BinaryOperator::Minus, true, Right::Index) => |c, _| {
            columns::by_index(c, |text, index| {
                Ok(Some(write::text(&changes::without_element(read::jsonb(text)?, index)?)))
            })
        },
        (BinaryOperator::Minus, true, Right::Texts) => |c, _| {
            columns::by_list(c, |text, keys| {
                let keys: Vec<&str> = keys.iter().copied().flatten().collect();
                Ok(Some(write::text(&changes::without(read::jsonb(text)?, &keys)?)))
            })
        },
        (BinaryOperator::HashMinus, true, Right::Texts) => |c, _| {
            columns::by_list(c, |text, path| {
                let left = changes::changed(read::jsonb(text)?, path, &Value::Null, Change::Delete)?;
                Ok(Some(write::text(&left)))
            })
        },
        (BinaryOperator::Question, true, Right::Text) => {
            |c, _| columns::is_by_text(c, |text, key| Ok(Some(contents::has(&read::jsonb(text)?, key))))
        }
        (BinaryOperator::QuestionPipe, true, Right::Texts) => |c, _| {
            columns::is_by_list(c, |text, keys| {
                let document = read::jsonb(text)?;
                Ok(Some(keys.iter().flatten().any(|key| contents::has(&document, key))))
            })
        },
        (BinaryOperator::QuestionAnd, true, Right::Texts) => |c, _| {
            columns::is_by_list(c, |text, keys| {
                let document = read::jsonb(text)?;
                Ok(Some(keys.iter().flatten().all(|key| contents::has(&document, key))))
            })
        },
        _ => return None,
    };
    let name = match op {
        BinaryOperator::Arrow => "->",
        BinaryOperator::LongArrow => "->>",
        BinaryOperator::HashArrow => "#>",
        BinaryOperator::HashLongArrow => "#>>",
        BinaryOperator::Minus => "-",
        BinaryOperator::HashMinus => "#-",
        BinaryOperator::Question => "?",
        BinaryOperator::QuestionPipe => "?|",
        _ => "?&",
    };
    Some((name, body))
}

/// `->` and `->>`, by a key or an index.
fn access(op: &BinaryOperator, is_binary: bool, right: Right) -> Option<Body> {
    let is_plain = *op == BinaryOperator::LongArrow;
    Some(match (is_binary, is_plain, right) {
        (true, false, Right::Text) => {
            |c, _| columns::by_text(c, |text, key| Ok(read::jsonb(text)?.get(key).map(write::text)))
        }
        (true, true, Right::Text) => {
            |c, _| columns::by_text(c, |text, key| Ok(read::jsonb(text)?.get(key).and_then(write::plain)))
        }
        (true, false, Right::Index) => {
            |c, _| columns::by_index(c, |text, index| Ok(paths::element(&read::jsonb(text)?, index).map(write::text)))
        }
        (true, true, Right::Index) => |c, _| {
            columns::by_index(c, |text, index| Ok(paths::element(&read::jsonb(text)?, index).and_then(write::plain)))
        },
        (false, false, Right::Text) => {
            |c, _| columns::by_text(c, |text, key| columns::part(text, &[Step::key(key)], false))
        }
        (false, true, Right::Text) => {
            |c, _| columns::by_text(c, |text, key| columns::part(text, &[Step::key(key)], true))
        }
        (false, false, Right::Index) => {
            |c, _| columns::by_index(c, |text, index| columns::part(text, &[Step::index(index)], false))
        }
        (false, true, Right::Index) => {
            |c, _| columns::by_index(c, |text, index| columns::part(text, &[Step::index(index)], true))
        }
        (_, _, Right::Texts) => return None,
    })
}

/// `(jsonb)[key]`, which is one step of a path.
pub(in super::super) fn subscript(document: Operand, step: Operand) -> Result<Expr> {
    if !document.kind.is_jsonb() {
        return Err(refused(format!("{} has no subscripts: write ->", document.kind)));
    }
    let step = match &step.kind {
        Type::Unknown | Type::Text | Type::Char => cast::implicit(step, &Type::Text)?.expr,
        Type::Int2 | Type::Int4 => cast::convert(step, &Type::Text, false)?,
        kind => return Err(refused(format!("a subscript of jsonb is a text or an integer, not {kind}"))),
    };
    let body: Body = |c, _| columns::by_text(c, |text, step| columns::at(text, &[Some(step)], false));
    Ok(Kernel::call("subscript", Form::Call, Type::jsonb(), body, vec![document.expr, step]))
}

/// A comparison of which one side is a jsonb, if there is such a one.
pub(in super::super) fn compared(op: Operator, left: &Operand, right: &Operand) -> Result<Option<Expr>> {
    if !are_jsonb(&left.kind, &right.kind) {
        return Ok(None);
    }
    let left = cast::implicit(left.clone(), &Type::jsonb())?;
    let right = cast::implicit(right.clone(), &Type::jsonb())?;
    let (left, right) = match op {
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom => (casts::key(left.expr), casts::key(right.expr)),
        _ => {
            let body: Body = |c, _| columns::compared(c);
            let order = Kernel::call("jsonb_cmp", Form::Call, Type::Int4, body, vec![left.expr, right.expr]);
            (order, Expr::Literal(ScalarValue::Int32(Some(0)), None))
        }
    };
    Ok(Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))))
}
