//! Functions that give a value for each row: which there are, what they take, what they give. What is not listed is refused:
//! a function of DataFusion under the same name may mean something else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use datafusion::error::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, ScalarUDF};
use headwater_pipelines::diagnostic::nearest;

use super::kernel::{Body, Form, Kernel};
use super::types::{Operand, Type, refused};
use super::{
    arithmetic, buckets, bytea_functions, cast, conditionals, format_functions, json, list_functions, list_parts,
    moments, number_functions, periods, quote_functions, regex_functions, text_functions, time_functions, times,
};

/// A type that a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Int4,
    Int8,
    /// A numeric with its own digits.
    Numeric,
    Float4,
    Float8,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Bool,
    Json,
    Jsonb,
    /// An array of texts.
    Texts,
    Array,
}

impl Takes {
    /// The type that an operand gets, and how far it is from its own; `None` if Postgres has no implicit cast.
    fn of(self, kind: &Type) -> Option<(Type, u8)> {
        let target = match self {
            Self::Int4 => Type::Int4,
            Self::Int8 => Type::Int8,
            Self::Numeric => match kind.digits() {
                Some((precision, scale)) => Type::Numeric(precision, scale),
                None => Type::Numeric(super::types::MAX_DIGITS, cast::BARE_SCALE),
            },
            Self::Float4 => Type::Float4,
            Self::Float8 => Type::Float8,
            Self::Text => Type::Text,
            Self::Bytea => Type::Bytea,
            Self::Date => Type::Date,
            Self::Time => Type::Time,
            Self::Timestamp => Type::Timestamp,
            Self::Timestamptz => Type::Timestamptz,
            Self::Interval => Type::Interval,
            Self::Bool => Type::Bool,
            Self::Json => Type::json(),
            Self::Jsonb => Type::jsonb(),
            Self::Texts => Type::Array(Box::new(Type::Text)),
            // Arrays of several dimensions are passed on and nothing else.
            Self::Array => match kind {
                Type::Array(element) if !matches!(**element, Type::Array(_)) => kind.clone(),
                _ => return None,
            },
        };
        let is_preferred = matches!(self, Self::Float8 | Self::Text | Self::Timestamptz | Self::Interval);
        match kind {
            kind if *kind == target => Some((target, 0)),
            Type::Unknown => Some((target, if is_preferred { 1 } else { 2 })),
            kind if cast::is_implicit(kind, &target) => Some((target, if is_preferred { 1 } else { 2 })),
            _ => None,
        }
    }
}

/// How a function gets its value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Does {
    /// A function of DataFusion that means the same for these types.
    Theirs(&'static str),
    Ours(Body),
}

/// One overload of a function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) takes: &'static [Takes],
    /// The type it gives for the types that it takes.
    pub(super) gives: fn(&[Operand]) -> Type,
    pub(super) does: Does,
}

/// Types that a function gives, whatever its operands are.
pub(super) mod gives {
    use super::{Operand, Type};

    pub(in super::super) fn text(_: &[Operand]) -> Type {
        Type::Text
    }

    pub(in super::super) fn int4(_: &[Operand]) -> Type {
        Type::Int4
    }

    pub(in super::super) fn int8(_: &[Operand]) -> Type {
        Type::Int8
    }

    pub(in super::super) fn float8(_: &[Operand]) -> Type {
        Type::Float8
    }

    pub(in super::super) fn bytea(_: &[Operand]) -> Type {
        Type::Bytea
    }

    pub(in super::super) fn boolean(_: &[Operand]) -> Type {
        Type::Bool
    }

    pub(in super::super) fn date(_: &[Operand]) -> Type {
        Type::Date
    }

    pub(in super::super) fn timestamp(_: &[Operand]) -> Type {
        Type::Timestamp
    }

    pub(in super::super) fn timestamptz(_: &[Operand]) -> Type {
        Type::Timestamptz
    }

    pub(in super::super) fn interval(_: &[Operand]) -> Type {
        Type::Interval
    }

    pub(in super::super) fn json(_: &[Operand]) -> Type {
        Type::json()
    }

    pub(in super::super) fn jsonb(_: &[Operand]) -> Type {
        Type::jsonb()
    }

    pub(in super::super) fn texts(_: &[Operand]) -> Type {
        Type::Array(Box::new(Type::Text))
    }
}

/// A function of ours.
pub(super) const fn ours(
    name: &'static str,
    takes: &'static [Takes],
    gives: fn(&[Operand]) -> Type,
    body: Body,
) -> Function {
    Function { name, takes, gives, does: Does::Ours(body) }
}

/// A function of DataFusion under Postgres' name.
pub(super) const fn theirs(
    name: &'static str,
    takes: &'static [Takes],
    gives: fn(&[Operand]) -> Type,
    theirs: &'static str,
) -> Function {
    Function { name, takes, gives, does: Does::Theirs(theirs) }
}

/// Overloads by name.
static FUNCTIONS: LazyLock<HashMap<&'static str, Vec<Function>>> = LazyLock::new(|| {
    let mut found: HashMap<&'static str, Vec<Function>> = HashMap::new();
    let lists = [
        text_functions::FUNCTIONS,
        number_functions::FUNCTIONS,
        time_functions::FUNCTIONS,
        periods::FUNCTIONS,
        buckets::FUNCTIONS,
        format_functions::FUNCTIONS,
        list_functions::FUNCTIONS,
        json::FUNCTIONS,
        list_parts::FUNCTIONS,
        regex_functions::FUNCTIONS,
        bytea_functions::FUNCTIONS,
        quote_functions::FUNCTIONS,
    ];
    for function in lists.into_iter().flatten() {
        found.entry(function.name).or_default().push(*function);
    }
    found
});

/// Functions of DataFusion by name.
static THEIRS: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    SessionStateDefaults::default_scalar_functions().into_iter().map(|one| (one.name().to_owned(), one)).collect()
});

/// Names of aggregates and of functions of windows, and what DataFusion plans by its name.
static NOT_SCALAR: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let aggregates = SessionStateDefaults::default_aggregate_functions();
    let windows = SessionStateDefaults::default_window_functions();
    let aggregates = aggregates.iter().flat_map(|one| one.aliases().iter().cloned().chain([one.name().to_owned()]));
    let windows = windows.iter().flat_map(|one| one.aliases().iter().cloned().chain([one.name().to_owned()]));
    aggregates.chain(windows).chain(["unnest".to_owned(), "grouping".to_owned()]).collect()
});

/// Whether a name is that of an aggregate.
pub(super) fn is_aggregate(name: &str) -> bool {
    NOT_SCALAR.contains(name) && !matches!(name, "unnest" | "grouping")
}

/// Whether a name is one of these functions, or of none at all.
pub(super) fn is_scalar(name: &str) -> bool {
    !NOT_SCALAR.contains(name)
}

/// The call of a function.
pub(super) fn plan(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    format_functions::check(name, &operands)?;
    regex_functions::check(name, &operands)?;
    let operands = if name == "date_trunc" { operands.into_iter().map(moments::cut).collect() } else { operands };
    match (name, operands.len()) {
        ("coalesce", 1..) => conditionals::coalesce(operands),
        ("nullif", 2) => conditionals::nullif(operands),
        ("greatest" | "least", 1..) => conditionals::extreme(name, operands),
        ("~", 1) if operands[0].kind == Type::Int2 => {
            let wide = overloaded(name, operands)?;
            cast::convert(Operand { expr: wide, kind: Type::Int4 }, &Type::Int2, false)
        }
        ("pg_typeof", 1) => named(one(operands)?),
        // A char(n) is as long as it is stored.
        ("octet_length", 1) if operands[0].kind == Type::Char => {
            let stored = operands.into_iter().map(|operand| Operand { kind: Type::Text, ..operand }).collect();
            overloaded(name, stored)
        }
        ("exp" | "ln" | "log" | "log10" | "power" | "pow", _) => match number_functions::of_numeric(name, &operands)? {
            Some(expr) => Ok(expr),
            None => overloaded(name, operands),
        },
        ("abs", 1) => Ok(arithmetic::absolute(one(operands)?)?.expr),
        ("mod", 2) => {
            let [left, right] = two(operands)?;
            Ok(arithmetic::plan(arithmetic::Op::Modulo, left, right)?.expr)
        }
        ("timezone", 2) => {
            let [zone, moment] = two(operands)?;
            times::at_time_zone(zone, moment)
        }
        ("date_part", 2) => {
            let [field, moment] = two(operands)?;
            times::date_part(&field, moment)
        }
        ("width_bucket", 4) => overloaded(name, buckets::settled(operands)?),
        ("round" | "trunc", 2) => {
            let [value, places] = two(operands)?;
            number_functions::to_places(name, value, places)
        }
        ("quote_literal" | "quote_nullable", 1) => quote_functions::literal(name, one(operands)?),
        ("format", 1..) => quote_functions::format(operands),
        ("concat" | "concat_ws", 1..) => text_functions::joined(name, operands),
        ("now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp", 0) => moment(Type::Timestamptz),
        ("random", 0) => of_theirs("random", Vec::new()),
        ("localtimestamp", 0) => moment(Type::Timestamp),
        ("current_date", 0) => moment(Type::Date),
        _ if json::is_variadic(name) => json::call(name, operands),
        ("array_fill", 2) => list_parts::filled(operands),
        ("overlaps", 4) => periods::overlap(operands),
        _ if list_functions::is_polymorphic(name) => list_functions::plan(name, operands),
        _ => overloaded(name, operands),
    }
}

/// The name that Postgres gives a type.
fn named(operand: Operand) -> Result<Expr> {
    let name = match &operand.kind {
        kind if kind.is_json() => kind.to_string(),
        Type::Text | Type::Char | Type::Native(_) | Type::Other(_) => {
            return Err(refused("which type of text this is can't be told here"));
        }
        Type::Timestamp => "timestamp without time zone".to_owned(),
        Type::Timestamptz => "timestamp with time zone".to_owned(),
        Type::Time => "time without time zone".to_owned(),
        kind => kind.to_string(),
    };
    // The value is computed all the same: it may be an error.
    let name = Expr::Literal(datafusion::common::ScalarValue::from(name), None);
    Ok(Kernel::call(
        "pg_typeof",
        Form::Call,
        Type::Text,
        |columns, _| Ok(Arc::clone(&columns[1])),
        vec![operand.expr, name],
    ))
}

fn moment(kind: Type) -> Result<Expr> {
    let now = of_theirs("now", Vec::new())?;
    let now = Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(now), Type::Timestamptz.arrow()));
    match kind {
        Type::Timestamptz => Ok(now),
        kind => cast::convert(Operand { expr: now, kind: Type::Timestamptz }, &kind, false),
    }
}

/// A call of DataFusion's function.
pub(super) fn of_theirs(name: &str, operands: Vec<Expr>) -> Result<Expr> {
    let function = THEIRS.get(name).ok_or_else(|| refused(format!("there is no function {name}")))?;
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), operands)))
}

/// The overload that needs the fewest casts, as Postgres resolves functions.
///
/// See "Type Conversion, Functions" in Postgres' manual.
fn overloaded(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let kinds = || operands.iter().map(|operand| operand.kind.to_string()).collect::<Vec<_>>().join(", ");
    let overloads = FUNCTIONS.get(name).ok_or_else(|| unknown(name))?;
    let mut best: Option<(u16, Vec<Type>, &Function)> = None;
    for function in overloads.iter().filter(|function| function.takes.len() == operands.len()) {
        let fitted = function.takes.iter().zip(&operands).map(|(takes, operand)| takes.of(&operand.kind));
        let Some(fitted) = fitted.collect::<Option<Vec<_>>>() else { continue };
        let distance = fitted.iter().map(|(_, distance)| u16::from(*distance)).sum();
        if best.as_ref().is_none_or(|(least, _, _)| distance < *least) {
            best = Some((distance, fitted.into_iter().map(|(kind, _)| kind).collect(), function));
        }
    }
    let (_, kinds, function) = best.ok_or_else(|| refused(format!("there is no function {name}({})", kinds())))?;
    let operands = operands.into_iter().zip(&kinds).map(|(operand, kind)| cast::implicit(operand, kind));
    let operands: Vec<Operand> = operands.collect::<Result<_>>()?;
    let gives = (function.gives)(&operands);
    let exprs: Vec<Expr> = operands.into_iter().map(|operand| operand.expr).collect();
    match function.does {
        Does::Ours(body) => Ok(Kernel::call(function.name, Form::Call, gives, body, exprs)),
        Does::Theirs(theirs) => {
            let call = of_theirs(theirs, exprs)?;
            Ok(Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(call), gives.arrow())))
        }
    }
}

fn unknown(name: &str) -> datafusion::error::DataFusionError {
    match nearest(name, FUNCTIONS.keys().copied()) {
        Some(known) => refused(format!("there is no function {name}; there is {known}")),
        None => refused(format!("there is no function {name} here")),
    }
}

fn one(operands: Vec<Operand>) -> Result<Operand> {
    operands.into_iter().next().ok_or_else(|| refused("the function needs an operand"))
}

fn two(operands: Vec<Operand>) -> Result<[Operand; 2]> {
    <[Operand; 2]>::try_from(operands).map_err(|_| refused("the function needs two operands"))
}

/// `||`: texts, or a text and another value, or arrays.
pub(super) fn concatenated(left: Operand, right: Operand) -> Result<Expr> {
    let is_text = |kind: &Type| matches!(kind, Type::Text | Type::Char | Type::Unknown);
    match (&left.kind, &right.kind) {
        (Type::Array(_), _) | (_, Type::Array(_)) => list_functions::concatenated(left, right),
        (Type::Bytea, Type::Bytea | Type::Unknown) | (Type::Unknown, Type::Bytea) => {
            let (left, right) = (cast::implicit(left, &Type::Bytea)?, cast::implicit(right, &Type::Bytea)?);
            Ok(Kernel::call("||", Form::Infix, Type::Bytea, text_functions::joined_bytes, vec![left.expr, right.expr]))
        }
        (l, r) if is_text(l) || is_text(r) => {
            let (left, right) = (cast::convert(left, &Type::Text, false)?, cast::convert(right, &Type::Text, false)?);
            Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), Operator::StringConcat, Box::new(right))))
        }
        (l, r) => Err(refused(format!("there is no operator {l} || {r}: cast one side to text"))),
    }
}

/// Operators on the bits of integers.
pub(super) fn bits(op: Operator, left: Operand, right: Operand) -> Result<Expr> {
    let is_shift = matches!(op, Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight);
    let kind = match (&left.kind, &right.kind) {
        (l, r) if l.is_integer() && r.is_integer() => {
            if is_shift {
                Some(l.clone())
            } else {
                l.unify(r)
            }
        }
        _ => None,
    };
    let kind = kind.ok_or_else(|| refused(format!("there is no operator {} {op} {}", left.kind, right.kind)))?;
    let (left, right) = (cast::convert(left, &kind, false)?, cast::convert(right, &kind, false)?);
    // DataFusion makes 0 of `x # x`, NULL or not.
    if op == Operator::BitwiseXor {
        return Ok(Kernel::call("#", Form::Infix, kind, number_functions::different_bits, vec![left, right]));
    }
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
}
