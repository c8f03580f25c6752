//! What operators and constructs mean, asked by DataFusion while it plans a statement.

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawDictionaryExpr, RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::{Expr, GetFieldAccess, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::arithmetic::{self, Op};
use super::compare::{self, compare};
use super::types::{MAX_DIGITS, Operand, Type, refused};
use super::{
    aggregates, cast, conditionals, functions, json, list_functions, list_parts, patterns, percentiles, row_values,
    series, text, times,
};

/// Gives operators and constructs Postgres' meaning.
#[derive(Debug)]
pub(crate) struct Planner;

impl ExprPlanner for Planner {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = raw;
        let (left, right) = (Operand::new(left, schema)?, Operand::new(right, schema)?);
        binary(&op, left, right).map(PlannerResult::Planned)
    }

    fn plan_dictionary_literal(
        &self,
        raw: RawDictionaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        let Some(Expr::Literal(ScalarValue::Utf8(Some(name)), _)) = raw.keys.first() else {
            return Ok(PlannerResult::Original(raw));
        };
        let operands: Vec<Operand> =
            raw.values.into_iter().skip(1).map(|value| Operand::new(value, schema)).collect::<Result<_>>()?;
        construct(name, operands).map(PlannerResult::Planned)
    }

    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = raw;
        let document = Operand::new(expr.clone(), schema)?;
        if document.kind.is_json() {
            return step_into(document, field_access, schema).map(PlannerResult::Planned);
        }
        match field_access {
            GetFieldAccess::ListIndex { key } => {
                let (list, index) = (Operand::new(expr, schema)?, Operand::new(*key, schema)?);
                list_functions::element(list, index).map(PlannerResult::Planned)
            }
            GetFieldAccess::ListRange { .. } => Err(refused("slices of arrays are not supported")),
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr })),
        }
    }

    fn plan_aggregate(&self, raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        if aggregates::is_count_of_rows(&raw.args) {
            return Ok(PlannerResult::Original(raw));
        }
        aggregates::aggregate(raw).map(PlannerResult::Planned)
    }

    fn plan_window(&self, raw: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if aggregates::is_count_of_rows(&raw.args) && raw.func_def.name() == "count" {
            return Ok(PlannerResult::Original(raw));
        }
        aggregates::window(raw).map(PlannerResult::Planned)
    }

    fn plan_array_literal(&self, elements: Vec<Expr>, schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        let elements = elements.into_iter().map(|element| Operand::new(element, schema)).collect::<Result<Vec<_>>>()?;
        let elements = conditionals::unified("ARRAY", elements)?;
        if elements.iter().any(|element| element.kind.is_json()) {
            return Err(refused("arrays of json and jsonb are not supported: write jsonb_build_array"));
        }
        Ok(PlannerResult::Original(elements.into_iter().map(|element| element.expr).collect()))
    }
}

/// A subscript of a document.
fn step_into(document: Operand, access: GetFieldAccess, schema: &DFSchema) -> Result<Expr> {
    let step = match access {
        GetFieldAccess::NamedStructField { name } => Expr::Literal(name, None),
        GetFieldAccess::ListIndex { key } => *key,
        GetFieldAccess::ListRange { .. } => return Err(refused("jsonb has no slices")),
    };
    json::subscript(document, Operand::new(step, schema)?)
}

fn binary(op: &BinaryOperator, left: Operand, right: Operand) -> Result<Expr> {
    if json::is_operator(op, &left.kind, &right.kind) {
        return json::operator(op, left, right);
    }
    let arithmetic = match op {
        BinaryOperator::Plus => Some(Op::Add),
        BinaryOperator::Minus => Some(Op::Subtract),
        BinaryOperator::Multiply => Some(Op::Multiply),
        BinaryOperator::Divide => Some(Op::Divide),
        BinaryOperator::Modulo => Some(Op::Modulo),
        _ => None,
    };
    if let Some(op) = arithmetic {
        return Ok(arithmetic::plan(op, left, right)?.expr);
    }
    if let Some(op) = comparison(op) {
        return compare(op, left, right);
    }
    match op {
        BinaryOperator::And => compare::logic(Operator::And, left, right),
        BinaryOperator::Or => compare::logic(Operator::Or, left, right),
        BinaryOperator::StringConcat => functions::concatenated(left, right),
        BinaryOperator::PGExp => functions::plan("power", vec![left, right]),
        BinaryOperator::BitwiseAnd => functions::bits(Operator::BitwiseAnd, left, right),
        BinaryOperator::BitwiseOr => functions::bits(Operator::BitwiseOr, left, right),
        BinaryOperator::PGBitwiseXor => functions::bits(Operator::BitwiseXor, left, right),
        BinaryOperator::PGBitwiseShiftLeft => functions::bits(Operator::BitwiseShiftLeft, left, right),
        BinaryOperator::PGBitwiseShiftRight => functions::bits(Operator::BitwiseShiftRight, left, right),
        BinaryOperator::PGRegexMatch => patterns::regex(Operator::RegexMatch, left, right),
        BinaryOperator::PGRegexIMatch => patterns::regex(Operator::RegexIMatch, left, right),
        BinaryOperator::PGRegexNotMatch => patterns::regex(Operator::RegexNotMatch, left, right),
        BinaryOperator::PGRegexNotIMatch => patterns::regex(Operator::RegexNotIMatch, left, right),
        BinaryOperator::AtArrow => functions::plan("array_has_all", vec![left, right]),
        BinaryOperator::ArrowAt => functions::plan("array_has_all", vec![right, left]),
        BinaryOperator::PGLikeMatch => patterns::like(vec![left, right], false),
        BinaryOperator::PGILikeMatch => patterns::like(vec![left, right], true),
        BinaryOperator::PGNotLikeMatch => Ok(Expr::Not(Box::new(patterns::like(vec![left, right], false)?))),
        BinaryOperator::PGNotILikeMatch => Ok(Expr::Not(Box::new(patterns::like(vec![left, right], true)?))),
        BinaryOperator::PGStartsWith => functions::plan("starts_with", vec![left, right]),
        BinaryOperator::PGOverlap => functions::plan("array_has_any", vec![left, right]),
        op => Err(refused(format!("there is no operator {} {op} {} here", left.kind, right.kind))),
    }
}

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

/// ANY and ALL over an array; the operator is written as SQL has it.
fn quantified(op: &str, all: bool, operands: Vec<Operand>) -> Result<Expr> {
    let [value, list] = <[Operand; 2]>::try_from(operands).map_err(|_| refused("ANY and ALL have two operands"))?;
    let op = match op {
        "=" => Operator::Eq,
        "<>" => Operator::NotEq,
        "<" => Operator::Lt,
        "<=" => Operator::LtEq,
        ">" => Operator::Gt,
        ">=" => Operator::GtEq,
        other => return Err(refused(format!("{other} does not go with ANY or ALL"))),
    };
    list_functions::quantified(op, all, value, list)
}

fn construct(name: &str, operands: Vec<Operand>) -> Result<Expr> {
    let (verb, detail) = name.split_once(' ').unwrap_or((name, ""));
    match verb {
        "number" => number(detail),
        "call" => functions::plan(detail, operands),
        "case" => conditionals::case(operands, detail == "of"),
        "in" => conditionals::within(operands),
        "or" => conditionals::either(operands),
        "between" => compare::between(operands),
        "is" => compare::distinct(operands),
        "refused" => Err(refused(detail)),
        "any" | "all" => quantified(detail, verb == "all", operands),
        "argument" => aggregates::argument(detail, operands),
        "like" | "ilike" if detail.is_empty() => patterns::like(operands, verb == "ilike"),
        "like" | "ilike" => patterns::like_each(operands, verb == "ilike", detail == "all"),
        "similar" => patterns::similar(operands),
        "gathered" => json::gathered(detail, operands),
        "percentile" => percentiles::plan(detail, operands),
        "slice" => list_parts::slice(operands),
        "exactly" => compare::exactly(operands),
        "series" => series::plan(operands),
        "ordinals" => series::ordinals(operands),
        _ => {
            let operand = operands.into_iter().next().ok_or_else(|| refused(format!("{verb} needs an operand")))?;
            match verb {
                "cast" => Ok(cast::explicit(operand, detail, false)?.expr),
                "try_cast" => Ok(cast::explicit(operand, detail, true)?.expr),
                "negative" => Ok(arithmetic::negative(operand)?.expr),
                "positive" => positive(operand),
                "not" => Ok(Expr::Not(Box::new(cast::implicit(operand, &Type::Bool)?.expr))),
                "key" => compare::key(operand),
                "one" => row_values::one(operand),
                "only" | "first" | "filled" => row_values::plan(verb, operand),
                "flat" => match &operand.kind {
                    Type::Array(element) if matches!(**element, Type::Array(_)) => {
                        Err(refused("unnest of arrays of several dimensions is not supported"))
                    }
                    _ => Ok(operand.expr),
                },
                "extract" => times::extract(detail, operand),
                _ => Err(refused(format!("SQL knows no {verb} here"))),
            }
        }
    }
}

fn positive(operand: Operand) -> Result<Expr> {
    match &operand.kind {
        Type::Unknown => Ok(cast::implicit(operand, &Type::Float8)?.expr),
        kind if kind.is_number() => Ok(operand.expr),
        kind => Err(refused(format!("there is no operator + {kind}"))),
    }
}

/// A number's type is the narrowest of integer, bigint and numeric that holds it; with a point or an exponent it is numeric.
fn number(text: &str) -> Result<Expr> {
    let text = text.replace('_', "");
    let value = match (text.parse::<i32>(), text.parse::<i64>()) {
        (Ok(value), _) => ScalarValue::Int32(Some(value)),
        (_, Ok(value)) => ScalarValue::Int64(Some(value)),
        _ => {
            let Type::Numeric(precision, scale) = text::literal_numeric(&text)? else {
                return Err(refused(format!("{text} is no number")));
            };
            let kind = Type::Numeric(precision.min(MAX_DIGITS), scale);
            let quoted = Operand { expr: Expr::Literal(ScalarValue::from(text.as_str()), None), kind: Type::Unknown };
            return cast::convert(quoted, &kind, false);
        }
    };
    Ok(Expr::Literal(value, None))
}
