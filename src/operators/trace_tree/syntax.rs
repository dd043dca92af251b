//! `f(TABLE name, …)` and `f(argument => TABLE name)`: a relation as an argument, in words that the parser knows.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Tokens in which `TABLE name` as the first argument of a call, or as one with a name, is `(SELECT * FROM name)`.
#[must_use]
pub fn table_arguments(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_table = |token: &TokenWithSpan| keyword(&token.token) == Some(Keyword::TABLE);
    if !tokens.iter().any(is_table) {
        return tokens;
    }
    let mut plain: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 8);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if !is_table(&token) || !begins_argument(&plain) {
            plain.push(token);
            continue;
        }
        let here = |word: Token| TokenWithSpan { token: word, span: token.span };
        plain.push(here(Token::LParen));
        for word in ["SELECT", "*", "FROM"] {
            plain.push(here(if word == "*" { Token::Mul } else { Token::make_keyword(word) }));
        }
        let of_name =
            |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_) | Token::Word(_) | Token::Period);
        while let Some(part) = tokens.next_if(of_name) {
            plain.push(part);
        }
        plain.push(here(Token::RParen));
    }
    plain
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Whether what follows is an argument: it stands behind an arrow, or behind the parenthesis of a name that is no word of
/// the language.
fn begins_argument(before: &[TokenWithSpan]) -> bool {
    let mut before =
        before.iter().rev().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    match before.next() {
        Some(Token::RArrow | Token::Assignment) => true,
        Some(Token::LParen) => match before.next() {
            Some(Token::Word(word)) => word.quote_style.is_some() || word.keyword == Keyword::NoKeyword,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn plain(text: &str) -> String {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().unwrap();
        table_arguments(tokens).iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join("")
    }

    #[test]
    fn only_arguments_are_relations() {
        assert_eq!(plain("f(TABLE a)"), "f((SELECT*FROM a))");
        assert_eq!(plain("f( table \"A b\".c , 1)"), "f( (SELECT*FROM \"A b\".c ), 1)");
        assert_eq!(plain("f(x, spans => TABLE a, y)"), "f(x, spans => (SELECT*FROM a), y)");
        for other in ["TABLE a", "x IN (TABLE a)", "CREATE TABLE t (a int)", "SELECT * FROM (TABLE a)", "f('TABLE a')"]
        {
            assert_eq!(plain(other), other);
        }
    }
}
