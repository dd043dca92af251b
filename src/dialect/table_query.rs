//! `TABLE name`, which is `SELECT * FROM name` wherever a query may stand.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Tokens in which `TABLE name` is the query that it stands for.
#[must_use]
pub fn table_queries(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_table = |token: &TokenWithSpan| keyword(&token.token) == Some(Keyword::TABLE);
    if !tokens.iter().any(is_table) {
        return tokens;
    }
    let mut plain: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 8);
    for token in tokens {
        if !is_table(&token) || !begins_query(&plain) {
            plain.push(token);
            continue;
        }
        let words = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
        plain.extend(words.into_iter().map(|word| TokenWithSpan { token: word, span: token.span }));
    }
    plain
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Whether what follows is a query: nothing is before it, or what a query follows.
fn begins_query(before: &[TokenWithSpan]) -> bool {
    let mut words = before.iter().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)));
    let first = words.clone().next().and_then(keyword);
    let explained = first == Some(Keyword::EXPLAIN);
    let named = matches!(first, Some(Keyword::CREATE | Keyword::PREPARE));
    match words.next_back() {
        None | Some(Token::LParen | Token::RParen) => true,
        Some(word) => match keyword(word) {
            Some(Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::ALL) => true,
            // Behind the first AS stands the query that is given a name, behind any other a name.
            Some(Keyword::AS) => named && !words.any(|before| keyword(before) == Some(Keyword::AS)),
            Some(Keyword::EXPLAIN | Keyword::ANALYZE | Keyword::VERBOSE) => explained,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    #[test]
    fn only_queries_are_rewritten() {
        let plain = |text: &str| {
            let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().unwrap();
            table_queries(tokens).iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join("")
        };
        assert_eq!(plain("TABLE a"), "SELECT*FROM a");
        assert_eq!(plain("(table a) UNION ALL table b"), "(SELECT*FROM a) UNION ALL SELECT*FROM b");
        assert_eq!(plain("EXPLAIN VERBOSE TABLE a"), "EXPLAIN VERBOSE SELECT*FROM a");
        assert_eq!(plain("CREATE VIEW v AS TABLE a"), "CREATE VIEW v AS SELECT*FROM a");
        assert_eq!(plain("CREATE VIEW v AS SELECT 1 AS table"), "CREATE VIEW v AS SELECT 1 AS table");
        assert_eq!(plain("SELECT relname AS table FROM a"), "SELECT relname AS table FROM a");
        for other in ["CREATE TABLE t (a int)", "DROP TABLE t", "SELECT \"table\" FROM t", "ANALYZE TABLE t"] {
            assert_eq!(plain(other), other);
        }
    }
}
