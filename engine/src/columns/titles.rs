//! The name that a column of a select list has without AS, as Postgres chooses it.
//!
//! See "Column Labels" in Postgres' manual; the rules themselves are those of `FigureColname` in its parser.

use datafusion::sql::sqlparser::ast::{CeilFloorKind, Expr, SelectItem, SetExpr, TrimWhereField};

/// What nothing else names.
const NAMELESS: &str = "?column?";

/// A name, and whether it counts more than that of the type to which the expression is cast.
type Title = Option<(String, bool)>;

/// The name of an expression.
pub(super) fn title(expr: &Expr) -> String {
    found(expr).map_or_else(|| NAMELESS.to_owned(), |(name, _)| name)
}

fn strong(name: &str) -> Title {
    Some((name.to_owned(), true))
}

fn found(expr: &Expr) -> Title {
    match expr {
        Expr::Identifier(ident) => strong(&ident.value),
        Expr::CompoundIdentifier(parts) => parts.last().and_then(|part| strong(&part.value)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => found(inner),
        Expr::CompoundFieldAccess { root, .. } => found(root),
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(|part| part.as_ident())?;
            strong(&name.value.to_lowercase())
        }
        Expr::Cast { expr, data_type, .. } => of_cast(found(expr), &data_type.to_string()),
        Expr::TypedString(typed) => of_cast(None, &typed.data_type.to_string()),
        Expr::Interval(_) => of_cast(None, "interval"),
        Expr::Case { else_result, .. } => of_case(else_result.as_deref()),
        Expr::Exists { negated: false, .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Subquery(query) => first_of(&query.body),
        other => called(other).and_then(strong),
    }
}

/// Functions that have a syntax of their own.
fn called(expr: &Expr) -> Option<&'static str> {
    Some(match expr {
        Expr::Extract { .. } => "extract",
        Expr::Position { .. } => "position",
        Expr::Substring { shorthand: true, .. } => "substr",
        Expr::Substring { .. } => "substring",
        Expr::Overlay { .. } => "overlay",
        Expr::AtTimeZone { .. } => "timezone",
        Expr::Ceil { field: CeilFloorKind::DateTimeField(_), .. } => "ceil",
        Expr::Floor { field: CeilFloorKind::DateTimeField(_), .. } => "floor",
        Expr::Trim { trim_where: Some(TrimWhereField::Leading), .. } => "ltrim",
        Expr::Trim { trim_where: Some(TrimWhereField::Trailing), .. } => "rtrim",
        Expr::Trim { .. } => "btrim",
        _ => return None,
    })
}

fn of_cast(inner: Title, data_type: &str) -> Title {
    inner.filter(|(_, is_strong)| *is_strong).or_else(|| Some((type_title(data_type), false)))
}

fn of_case(otherwise: Option<&Expr>) -> Title {
    otherwise.and_then(found).filter(|(_, is_strong)| *is_strong).or_else(|| Some(("case".to_owned(), false)))
}

/// The name of a subquery's only column.
fn first_of(body: &SetExpr) -> Title {
    match body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => strong(&title(expr)),
            SelectItem::ExprWithAlias { alias, .. } => strong(&alias.value),
            _ => None,
        },
        SetExpr::Query(query) => first_of(&query.body),
        SetExpr::SetOperation { left, .. } => first_of(left),
        _ => None,
    }
}

/// The name that Postgres' catalog has for a type.
fn type_title(data_type: &str) -> String {
    let lower = data_type.to_lowercase();
    let lower = lower.trim_end_matches("[]");
    let base = lower.split('(').next().unwrap_or_default().trim();
    let zoned = lower.contains("with time zone");
    let name = match base {
        "smallint" => "int2",
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "decimal" | "dec" => "numeric",
        "real" => "float4",
        "float" if lower != base => match lower[base.len()..].trim_matches(['(', ')']).parse::<u32>() {
            Ok(digits) if digits <= 24 => "float4",
            _ => "float8",
        },
        "float" | "double precision" => "float8",
        "boolean" => "bool",
        "character varying" => "varchar",
        "char" | "character" => "bpchar",
        "timestamp" if zoned => "timestamptz",
        "time" if zoned => "timetz",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        other => other,
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn titles(list: &str) -> Vec<String> {
        let query = headwater_pipelines::sql::parse(&format!("SELECT {list} FROM z")).unwrap();
        let SetExpr::Select(select) = query.body.as_ref() else { panic!("{query}") };
        let named = select.projection.iter().map(|item| match item {
            SelectItem::UnnamedExpr(expr) => title(expr),
            other => panic!("{other}"),
        });
        named.collect()
    }

    /// The names are what psql of Postgres 15 prints for these lists.
    #[test]
    fn a_column_without_as_is_called_as_in_postgres() {
        for (list, names) in [
            ("a::text, 1::int, lower(c)::varchar, true, null, 'x'", "a int4 lower ?column? ?column? ?column?"),
            ("'x'::text, date '2024-01-01', interval '1 day', count(*) over ()", "text date interval count"),
            ("case when true then a end, case when true then 1 else a end, case a when 1 then 2 end", "case a case"),
            ("coalesce(a,1), nullif(a,1), greatest(a,1), exists(select 1)", "coalesce nullif greatest exists"),
            ("array[1], array(select 1), (select a from z limit 1), (select max(a) from z)", "array array a max"),
            ("ia[1], ia[1:2], a+1, -a, not true, a between 1 and 2", "ia ia ?column? ?column? ?column? ?column?"),
            ("extract(year from at), position('a' in c), substring(c from 1 for 2)", "extract position substring"),
            ("trim(c), trim(leading 'x' from c), trim(trailing 'x' from c)", "btrim ltrim rtrim"),
            ("overlay(c placing 'x' from 1), ceil(b), b at time zone 'UTC'", "overlay ceil timezone"),
            ("current_date, now(), current_timestamp, (a), (a)::int8", "current_date now current_timestamp a a"),
            ("cast(b as numeric(10,2)), 1.5::numeric(4,1), 'a' || 'b', c collate \"C\"", "b numeric ?column? c"),
            ("a is null, a::int::text, '{1}'::int[], 1::double precision", "?column? a int4 float8"),
            ("'x'::char(3), 'x'::varchar(3), timestamp with time zone '2024-01-01'", "bpchar varchar timestamptz"),
            ("(case when true then 1 else 2 end)::text, (a+1)::numeric(3), array[1]::bigint[]", "text numeric array"),
            ("(select 1), every(true) over (), 1::real", "?column? every float4"),
        ] {
            assert_eq!(titles(list).join(" "), names, "{list}");
        }
    }
}
