//! Statements that are too deep to be walked safely are refused before they are parsed.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::{SqlFinding, operators, syntax};
use crate::diagnostic::{Code, Finding};

/// Operators are read in a loop, and `a + b + …` becomes a tree as deep as it is long, which recursion walks and drops. So
/// many tokens may stand between two places where a tree becomes flat again: a comma, a clause, a branch of CASE.
const MAX_CHAIN: usize = 4_000;

/// UNION and its like nest the same way.
const MAX_SET_OPERATIONS: usize = 500;

/// The tokens of a statement.
pub(super) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlFinding> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| syntax(&ParserError::from(error)))?;
    let tokens = operators::as_postgres(tokens);
    let (mut chain, mut sets) = (0, 0);
    for token in &tokens {
        match &token.token {
            Token::Whitespace(_) => {}
            Token::Comma | Token::SemiColon => chain = 0,
            Token::Word(word) => match word.keyword {
                Keyword::SELECT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::JOIN
                | Keyword::ON
                | Keyword::WHEN
                | Keyword::THEN
                | Keyword::ELSE
                | Keyword::GROUP
                | Keyword::ORDER
                | Keyword::HAVING => chain = 0,
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => sets += 1,
                _ => chain += 1,
            },
            _ => chain += 1,
        }
        if chain > MAX_CHAIN || sets > MAX_SET_OPERATIONS {
            let message = if chain > MAX_CHAIN {
                format!("an expression has more than {MAX_CHAIN} words and operators")
            } else {
                format!("the statement has more than {MAX_SET_OPERATIONS} set operations such as UNION")
            };
            let finding = Finding::error(Code::SqlSyntax, message).hint("use IN (…), a join or several transforms");
            return Err(SqlFinding::new(token.span, finding));
        }
    }
    Ok(tokens)
}
