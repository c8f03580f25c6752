//! Filters that the server applies.
//!
//! Only operators on types for which Postgres and the engine agree on every value are handed down, and then as exact.
//! Left out on purpose: floats (NaN orders differently), text order except by bytes, char(n) (blanks), everything read
//! through a cast.

use arrow::datatypes::i256;
use chrono::{DateTime, Datelike, Duration, NaiveDate};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use super::names::{ident, literal};
use super::types::{Wire, oid};

/// What a filter may ask of a column.
#[derive(Debug, Clone)]
pub(super) struct Comparable {
    pub name: String,
    pub wire: Wire,
    /// Oid of the column's own type; `None` when it is read through a cast.
    pub type_oid: Option<u32>,
    /// Equal texts have equal bytes.
    pub bytewise: bool,
    /// The server's bytes are UTF-8, so that the order by bytes is the engine's.
    pub utf8: bool,
}

/// The filter as SQL that means exactly the same, or `None`.
pub(super) fn to_sql(filter: &Expr, columns: &[Comparable]) -> Option<String> {
    let find = |expr: &Expr| match expr {
        Expr::Column(column) => columns.iter().find(|candidate| candidate.name == column.name),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            Some(format!("({} {op} {})", to_sql(left, columns)?, to_sql(right, columns)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (find(left), &**right) {
            (Some(column), Expr::Literal(value, _)) => compare(column, *op, value),
            _ => match (find(right), &**left) {
                (Some(column), Expr::Literal(value, _)) => compare(column, op.swap()?, value),
                _ => None,
            },
        },
        Expr::Not(inner) => Some(format!("(NOT {})", to_sql(inner, columns)?)),
        Expr::IsNull(inner) => Some(format!("({} IS NULL)", ident(&find(inner)?.name))),
        Expr::IsNotNull(inner) => Some(format!("({} IS NOT NULL)", ident(&find(inner)?.name))),
        Expr::Column(_) => find(filter).filter(|column| is_own(column, &[oid::BOOL])).map(|column| ident(&column.name)),
        Expr::Between(Between { expr, negated, low, high }) => {
            let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&**low, &**high) else { return None };
            let column = find(expr)?;
            let both =
                format!("({} AND {})", compare(column, Operator::GtEq, low)?, compare(column, Operator::LtEq, high)?);
            Some(if *negated { format!("(NOT {both})") } else { both })
        }
        Expr::InList(InList { expr, list, negated }) => {
            let column = find(expr)?;
            let any: Option<Vec<String>> = list
                .iter()
                .map(|item| match item {
                    Expr::Literal(value, _) => compare(column, Operator::Eq, value),
                    _ => None,
                })
                .collect();
            let any = any.filter(|any| !any.is_empty())?.join(" OR ");
            Some(if *negated { format!("(NOT ({any}))") } else { format!("({any})") })
        }
        _ => None,
    }
}

fn is_own(column: &Comparable, oids: &[u32]) -> bool {
    column.type_oid.is_some_and(|own| oids.contains(&own))
}

fn compare(column: &Comparable, op: Operator, value: &ScalarValue) -> Option<String> {
    let symbol = match op {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        _ => return None,
    };
    let equality = matches!(op, Operator::Eq | Operator::NotEq);
    let name = ident(&column.name);
    let operand = match &column.wire {
        Wire::Int2 | Wire::Int4 | Wire::Int8 if is_own(column, &[oid::INT2, oid::INT4, oid::INT8]) => integer(value)?,
        Wire::Bool if is_own(column, &[oid::BOOL]) && equality => match value {
            ScalarValue::Boolean(Some(value)) => value.to_string(),
            _ => return None,
        },
        Wire::Date if is_own(column, &[oid::DATE]) => date(value)?,
        Wire::Timestamp { utc: false } if is_own(column, &[oid::TIMESTAMP]) => timestamp(value, false)?,
        Wire::Timestamp { utc: true } if is_own(column, &[oid::TIMESTAMPTZ]) => timestamp(value, true)?,
        Wire::Numeric { .. } if is_own(column, &[oid::NUMERIC]) => decimal(value)?,
        Wire::Text if is_own(column, &[oid::TEXT, oid::VARCHAR]) => return text(column, symbol, equality, value),
        _ => return None,
    };
    Some(format!("({name} {symbol} {operand})"))
}

fn integer(value: &ScalarValue) -> Option<String> {
    let number = match value {
        ScalarValue::Int8(Some(value)) => i128::from(*value),
        ScalarValue::Int16(Some(value)) => i128::from(*value),
        ScalarValue::Int32(Some(value)) => i128::from(*value),
        ScalarValue::Int64(Some(value)) => i128::from(*value),
        ScalarValue::UInt8(Some(value)) => i128::from(*value),
        ScalarValue::UInt16(Some(value)) => i128::from(*value),
        ScalarValue::UInt32(Some(value)) => i128::from(*value),
        _ => return None,
    };
    Some(format!("({number})"))
}

fn date(value: &ScalarValue) -> Option<String> {
    let ScalarValue::Date32(Some(days)) = value else { return None };
    let date = NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_signed(Duration::days(i64::from(*days)))?;
    (1..=9999).contains(&date.year()).then(|| format!("DATE '{}'", date.format("%Y-%m-%d")))
}

fn timestamp(value: &ScalarValue, utc: bool) -> Option<String> {
    let (micros, zone) = match value {
        ScalarValue::TimestampSecond(Some(value), zone) => (value.checked_mul(1_000_000)?, zone),
        ScalarValue::TimestampMillisecond(Some(value), zone) => (value.checked_mul(1000)?, zone),
        ScalarValue::TimestampMicrosecond(Some(value), zone) => (*value, zone),
        ScalarValue::TimestampNanosecond(Some(value), zone) if value % 1000 == 0 => (value / 1000, zone),
        _ => return None,
    };
    if zone.is_some() != utc {
        return None;
    }
    let time = DateTime::from_timestamp_micros(micros)?.naive_utc();
    if !(1..=9999).contains(&time.year()) {
        return None;
    }
    let text = time.format("%Y-%m-%d %H:%M:%S%.6f");
    Some(if utc { format!("TIMESTAMPTZ '{text}+00'") } else { format!("TIMESTAMP '{text}'") })
}

fn decimal(value: &ScalarValue) -> Option<String> {
    let (unscaled, scale) = match value {
        ScalarValue::Decimal128(Some(unscaled), _, scale) => (i256::from_i128(*unscaled), *scale),
        ScalarValue::Decimal256(Some(unscaled), _, scale) => (*unscaled, *scale),
        other => return integer(other),
    };
    let scale = usize::try_from(scale).ok()?;
    let digits = unscaled.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    Some(if scale == 0 { format!("({sign}{whole})") } else { format!("({sign}{whole}.{fraction})") })
}

fn text(column: &Comparable, symbol: &str, equality: bool, value: &ScalarValue) -> Option<String> {
    let text = match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => text,
        _ => return None,
    };
    // Postgres has no NUL in texts; such a literal would be an error there and plainly false here.
    if text.contains('\0') || !column.utf8 {
        return None;
    }
    let name = ident(&column.name);
    match equality {
        true if column.bytewise => Some(format!("({name} {symbol} {})", literal(text))),
        _ => Some(format!("({name} COLLATE \"C\" {symbol} {})", literal(text))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use datafusion::prelude::{col, lit};

    use super::*;

    fn columns() -> Vec<Comparable> {
        let column = |name: &str, wire, type_oid| Comparable {
            name: name.to_owned(),
            wire,
            type_oid,
            bytewise: true,
            utf8: true,
        };
        vec![
            column("id", Wire::Int4, Some(oid::INT4)),
            column("Name", Wire::Text, Some(oid::TEXT)),
            column("price", Wire::Numeric { precision: 12, scale: 2 }, Some(oid::NUMERIC)),
            column("ratio", Wire::Float8, Some(oid::FLOAT8)),
            column("key", Wire::Uuid, Some(oid::UUID)),
            column("day", Wire::Date, Some(oid::DATE)),
        ]
    }

    fn sql(filter: &Expr) -> Option<String> {
        to_sql(filter, &columns())
    }

    #[test]
    fn agreed_comparisons_become_sql() {
        assert_eq!(sql(&col("id").gt(lit(-5i64))).unwrap(), "(\"id\" > (-5))");
        assert_eq!(sql(&lit(3i32).lt(col("id"))).unwrap(), "(\"id\" > (3))");
        let name = Expr::Column("Name".into());
        assert_eq!(
            sql(&Expr::Column(datafusion::common::Column::from_name("Name")).eq(lit("it's"))).unwrap(),
            "(\"Name\" = 'it''s')"
        );
        let _ = name;
        let price = col("price").gt_eq(lit(ScalarValue::Decimal128(Some(-7), 12, 2)));
        assert_eq!(sql(&price).unwrap(), "(\"price\" >= (-0.07))");
        let day = col("day").lt(lit(ScalarValue::Date32(Some(10_957))));
        assert_eq!(sql(&day).unwrap(), "(\"day\" < DATE '2000-01-01')");
    }

    #[test]
    fn text_order_is_by_bytes() {
        let name = Expr::Column(datafusion::common::Column::from_name("Name"));
        assert_eq!(sql(&name.lt(lit("b"))).unwrap(), "(\"Name\" COLLATE \"C\" < 'b')");
    }

    #[test]
    fn what_could_differ_stays_with_the_engine() {
        assert_eq!(sql(&col("ratio").gt(lit(1.0))), None);
        assert_eq!(sql(&col("key").eq(lit("x"))), None);
        assert_eq!(sql(&col("id").gt(lit(1)).and(col("ratio").gt(lit(1.0)))), None);
    }
}
