//! Names of types in SQL.

use datafusion::error::Result;

use super::types::{MAX_DIGITS, Type, refused};

/// What a type's name says.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) kind: Kind,
    /// Characters of varchar(n) and char(n), digits of a second of timestamp(n).
    pub(super) length: Option<i32>,
    /// Whether shorter texts are padded with blanks.
    pub(super) is_padded: bool,
}

/// A type, or the numeric whose digits the name does not say.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Numeric,
    Is(Type),
}

/// Reads a type's name, as the parser writes it.
pub(super) fn parse(name: &str) -> Result<Name> {
    let lower = name.trim().to_lowercase();
    if let Some(element) = lower.strip_suffix("[]") {
        let element = parse(element)?;
        let kind = match element {
            Name { kind: Kind::Is(kind), length: None, .. } if !kind.is_json() => Type::Array(Box::new(kind)),
            Name { kind: Kind::Numeric, .. } => {
                return Err(refused("an array of numeric needs digits: write numeric(p, s)[]"));
            }
            _ => return Err(refused(format!("an array of '{name}' is not known"))),
        };
        return Ok(Name { kind: Kind::Is(kind), length: None, is_padded: false });
    }
    let (base, arguments) = arguments(&lower);
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse::<i32>().ok());
    let simple = |kind: Type| Ok(Name { kind: Kind::Is(kind), length: None, is_padded: false });
    let sized = |kind: Type, length: Option<i32>, is_padded: bool| Ok(Name { kind: Kind::Is(kind), length, is_padded });
    match base.as_str() {
        "boolean" | "bool" => simple(Type::Bool),
        "smallint" | "int2" => simple(Type::Int2),
        "integer" | "int" | "int4" => simple(Type::Int4),
        "bigint" | "int8" => simple(Type::Int8),
        "real" | "float4" => simple(Type::Float4),
        "double precision" | "float8" => simple(Type::Float8),
        "float" => simple(if number(0).is_some_and(|digits| digits <= 24) { Type::Float4 } else { Type::Float8 }),
        "numeric" | "decimal" | "dec" => numeric(number(0), number(1), arguments.len()),
        "text" => simple(Type::Text),
        "varchar" | "character varying" => sized(Type::Text, number(0), false),
        "char" | "character" | "bpchar" => sized(Type::Text, number(0).or(Some(1)), true),
        "bytea" => simple(Type::Bytea),
        "date" => simple(Type::Date),
        "time" | "time without time zone" if arguments.is_empty() => simple(Type::Time),
        "timestamp" | "timestamp without time zone" => sized(Type::Timestamp, number(0), false),
        "timestamptz" | "timestamp with time zone" => sized(Type::Timestamptz, number(0), false),
        "interval" => simple(Type::Interval),
        "json" => simple(Type::json()),
        "jsonb" => simple(Type::jsonb()),
        "double" => Err(refused("SQL knows no type 'double': write double precision")),
        "string" => Err(refused("SQL knows no type 'string': write text")),
        _ => Err(refused(format!("there is no type '{name}' here"))),
    }
}

/// A name and what stands in its parentheses, wherever they are: `timestamp(3) with time zone`.
fn arguments(name: &str) -> (String, Vec<String>) {
    let Some((head, rest)) = name.split_once('(') else { return (name.to_owned(), Vec::new()) };
    let (inner, tail) = rest.split_once(')').unwrap_or((rest, ""));
    let base = format!("{} {}", head.trim(), tail.trim());
    (base.trim().to_owned(), inner.split(',').map(|part| part.trim().to_owned()).collect())
}

fn numeric(precision: Option<i32>, scale: Option<i32>, count: usize) -> Result<Name> {
    let kind = match (precision, scale) {
        (None, None) if count == 0 => Kind::Numeric,
        (Some(precision), scale) => {
            let scale = scale.unwrap_or(0);
            let digits = u8::try_from(precision).ok().filter(|precision| (1..=MAX_DIGITS).contains(precision));
            let scale = u8::try_from(scale).ok().filter(|scale| digits.is_some_and(|digits| *scale <= digits));
            match (digits, scale) {
                (Some(digits), Some(scale)) => Kind::Is(Type::Numeric(digits, scale)),
                _ => {
                    return Err(refused(format!(
                        "a numeric has 1 to {MAX_DIGITS} digits here, and at most as many behind the point"
                    )));
                }
            }
        }
        _ => return Err(refused("a numeric is written numeric(p, s), with its digits and those behind the point")),
    };
    Ok(Name { kind, length: None, is_padded: false })
}
