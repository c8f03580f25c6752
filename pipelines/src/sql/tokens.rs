//! Tokens as Postgres' lexer has them, where the parser's own has others.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The tokens that the parser reads.
pub(super) fn settled(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut settled: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let pieces = match &token.token {
            Token::CustomBinaryOperator(text) => signed(text),
            Token::Word(word) if word.keyword == Keyword::FROM && ends_with_side(&settled) => Some(Vec::new()),
            _ => None,
        };
        match pieces {
            Some(pieces) => {
                settled.extend(pieces.into_iter().map(|piece| TokenWithSpan { token: piece, span: token.span }));
            }
            None => settled.push(token),
        }
    }
    settled
}

/// An operator ends in a sign only if it holds a character that no operator of the standard has: `a>-1` is `a > -1`.
///
/// See "Operators" in Postgres' manual on its lexical structure.
fn signed(text: &str) -> Option<Vec<Token>> {
    if text.contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?']) {
        return None;
    }
    let mut base = text;
    let mut signs = Vec::new();
    while base.len() > 1 {
        let Some(rest) = base.strip_suffix(['-', '+']) else { break };
        signs.push(if base.ends_with('-') { Token::Minus } else { Token::Plus });
        base = rest;
    }
    let operator = match base {
        "->" => Token::Arrow,
        "->>" => Token::LongArrow,
        "=" => Token::Eq,
        "<>" => Token::Neq,
        "<" => Token::Lt,
        "<=" => Token::LtEq,
        ">" => Token::Gt,
        ">=" => Token::GtEq,
        "<<" => Token::ShiftLeft,
        ">>" => Token::ShiftRight,
        "+" => Token::Plus,
        "-" => Token::Minus,
        "*" => Token::Mul,
        "/" => Token::Div,
        _ => return None,
    };
    (!signs.is_empty()).then(|| std::iter::once(operator).chain(signs.into_iter().rev()).collect())
}

/// Whether FROM follows `trim(leading`: the parser knows it behind characters alone.
fn ends_with_side(tokens: &[TokenWithSpan]) -> bool {
    let mut before =
        tokens.iter().rev().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let is_side = |token: &Token| {
        matches!(token, Token::Word(word)
            if matches!(word.keyword, Keyword::BOTH | Keyword::LEADING | Keyword::TRAILING) && word.quote_style.is_none())
    };
    let is_trim = |token: &Token| matches!(token, Token::Word(word) if word.keyword == Keyword::TRIM);
    before.next().is_some_and(is_side) && before.next() == Some(&Token::LParen) && before.next().is_some_and(is_trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::parse;

    fn parsed(sql: &str) -> String {
        parse(sql).unwrap().to_string()
    }

    #[test]
    fn a_sign_behind_an_operator_is_one_of_its_own() {
        assert_eq!(
            parsed("SELECT a>-1, a<>-1, a>=-1, j->-1, j->>-1"),
            "SELECT a > -1, a <> -1, a >= -1, j -> -1, j ->> -1"
        );
        assert_eq!(parsed("SELECT a-+1"), "SELECT a - +1");
        assert_eq!(parsed("SELECT a @> b"), "SELECT a @> b");
    }

    #[test]
    fn a_side_may_be_trimmed_of_blanks() {
        assert_eq!(parsed("SELECT trim(leading from a)"), parsed("SELECT trim(leading a)"));
        assert_eq!(parsed("SELECT trim(both 'x' from a)"), "SELECT TRIM(BOTH 'x' FROM a)");
    }
}
