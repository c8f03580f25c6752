//! Where an operator ends, as Postgres reads it: not with a sign that belongs to the number behind it, e.g. `amount>-1`.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

/// Characters of which an operator has to have one to end with a sign ("Operators" in the manual's chapter on lexical structure).
const SPECIAL: [char; 10] = ['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'];

/// Parts operators from the signs behind them.
pub(super) fn as_postgres(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut parted = Vec::with_capacity(tokens.len());
    for token in tokens {
        match &token.token {
            Token::CustomBinaryOperator(operator) => match split(operator) {
                Some((operator, signs)) => part(operator, signs, token.span, &mut parted),
                None => parted.push(token),
            },
            _ => parted.push(token),
        }
    }
    parted
}

/// An operator and the signs behind it, if it can't end with them.
fn split(operator: &str) -> Option<(&str, &str)> {
    // Postgres begins a comment there, which was read as a part of the operator: it is refused as one that nobody has.
    let has_comment = operator.contains("--") || operator.contains("/*");
    if operator.contains(SPECIAL) || has_comment {
        return None;
    }
    let end = operator.trim_end_matches(['+', '-']).len().max(1);
    (end < operator.len()).then(|| operator.split_at(end))
}

fn part(operator: &str, signs: &str, span: Span, parted: &mut Vec<TokenWithSpan>) {
    let mut at = span.start;
    let pieces = std::iter::once(operator).chain(signs.split_inclusive(['+', '-']));
    for piece in pieces {
        let end = Location { line: at.line, column: at.column + piece.chars().count() as u64 };
        for token in Tokenizer::new(&PostgreSqlDialect {}, piece).tokenize().unwrap_or_default() {
            parted.push(TokenWithSpan { token, span: Span { start: at, end } });
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use crate::sql::{condition, parse};

    #[test]
    fn an_operator_ends_before_the_sign_of_a_number_as_in_postgres() {
        for (written, meant) in [
            ("id>-1", "id > -1"),
            ("id>=-1.5", "id >= -1.5"),
            ("id<>-1", "id <> -1"),
            ("id<+1", "id < +1"),
            ("a*-b", "a * -b"),
            ("j->-1", "j -> -1"),
            ("a=-1", "a = -1"),
            ("a <= -1", "a <= -1"),
        ] {
            assert_eq!(condition(written, &[]).unwrap().to_string(), meant);
        }
    }

    #[test]
    fn what_stands_behind_a_parted_operator_keeps_its_place() {
        let finding = condition("id>-1 AND )", &[]).unwrap_err().remove(0);
        assert_eq!((finding.line, finding.column), (1, 11));
        assert!(parse("SELECT 1 -- a comment\n>-1 AS x").is_ok());
        let commented = condition("0>--5\n-3", &[]).unwrap().to_string();
        assert!(commented.contains(">--"), "an operator that nobody has: {commented}");
    }
}
