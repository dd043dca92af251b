//! Statements without the passwords in them, for whoever else may read them.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::UserError;

const HIDDEN: &str = "'<hidden>'";

fn is_word(token: &Token, words: &[&str]) -> bool {
    matches!(token, Token::Word(word) if words.iter().any(|known| word.value.eq_ignore_ascii_case(known)))
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::DoubleQuotedString(_)
    )
}

/// Which tokens are secret: texts behind PASSWORD, and all of a statement about roles, whatever else is wrong with it.
fn secret(tokens: &[Token]) -> Vec<bool> {
    let mut secret = vec![false; tokens.len()];
    let (mut first, mut role, mut behind) = (true, false, false);
    let mut verb = false;
    for (token, secret) in tokens.iter().zip(&mut secret) {
        match token {
            Token::Whitespace(_) => continue,
            Token::SemiColon => {
                (first, role, behind, verb) = (true, false, false, false);
                continue;
            }
            _ => {}
        }
        *secret = is_text(token) && (role || behind);
        behind = is_word(token, &["password"]) || (behind && !is_text(token));
        role |= verb && is_word(token, &["role", "user", "group"]);
        verb = first && is_word(token, &["create", "alter"]);
        first = false;
    }
    secret
}

/// A text of SQL as it may be logged.
#[must_use]
pub fn redact(sql: &str) -> String {
    if !mentions_password(sql) {
        return sql.to_owned();
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).with_unescape(false).tokenize() else {
        // What cannot be read is not shown from the first word on that a password may follow.
        let at = sql.to_ascii_lowercase().find("password").unwrap_or(0);
        return format!("{} {HIDDEN}", sql.get(..at).unwrap_or_default().trim_end());
    };
    let hidden = secret(&tokens);
    let shown = tokens.iter().zip(hidden);
    shown.map(|(token, hidden)| if hidden { HIDDEN.to_owned() } else { token.to_string() }).collect()
}

fn mentions_password(sql: &str) -> bool {
    let lower = sql.to_ascii_lowercase();
    lower.contains("password") || ((lower.contains("role") || lower.contains("user")) && lower.contains('\''))
}

/// An error about a statement without what is secret in the statement.
#[must_use]
pub fn without_secrets(error: UserError, sql: &str) -> UserError {
    if !mentions_password(sql) {
        return error;
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap_or_default();
    if tokens.is_empty() {
        // Where the text ends cannot be said, so nothing of it is.
        return UserError { detail: None, ..error };
    }
    let hidden = secret(&tokens);
    let secrets: Vec<String> = tokens
        .iter()
        .zip(hidden)
        .filter(|(_, hidden)| *hidden)
        .filter_map(|(token, _)| match token {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::NationalStringLiteral(text)
            | Token::UnicodeStringLiteral(text)
            | Token::DoubleQuotedString(text) => Some(text.clone()),
            Token::DollarQuotedString(text) => Some(text.value.clone()),
            _ => None,
        })
        .filter(|text| !text.is_empty())
        .collect();
    let clean = |text: String| secrets.iter().fold(text, |text, secret| text.replace(secret, "<hidden>"));
    UserError {
        code: error.code,
        message: clean(error.message),
        detail: error.detail.map(clean),
        hint: error.hint.map(clean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        for (sql, shown) in [
            ("select 'password'", "select 'password'"),
            ("CREATE ROLE a PASSWORD 'x''y' LOGIN", "CREATE ROLE a PASSWORD '<hidden>' LOGIN"),
            ("alter user a with pasword 'x'; select 'y'", "alter user a with pasword '<hidden>'; select 'y'"),
            ("ALTER ROLE a PASSWORD $$x$$", "ALTER ROLE a PASSWORD '<hidden>'"),
            ("ALTER ROLE a PASSWORD E'x\\'z'", "ALTER ROLE a PASSWORD '<hidden>'"),
            ("crate role a password 'x'", "crate role a password '<hidden>'"),
            ("alter role a password 'x", "alter role a '<hidden>'"),
            ("select 1", "select 1"),
        ] {
            assert_eq!(redact(sql), shown);
        }
    }

    #[test]
    fn an_error_does_not_repeat_a_password() {
        let error = UserError::new("42601", "syntax error at or near \"hunter2\"");
        let told = without_secrets(error, "create role a password password 'hunter2' 'moon'");
        assert_eq!(told.message, "syntax error at or near \"<hidden>\"");
    }
}
