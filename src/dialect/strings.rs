//! Functions of text that the engine does not have, or has otherwise.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;

use super::encode::Style;
use super::function::{Call, Returns, RowFunction, int, text};
use crate::error::UserError;

/// Whether a text is like a pattern of `%` and `_`; a backslash takes the meaning of the letter behind it away.
pub(super) fn like(text: &str, pattern: &str, any_case: bool) -> bool {
    let fold = |text: &str| if any_case { text.to_lowercase() } else { text.to_owned() };
    let (text, pattern) = (fold(text), fold(pattern));
    let text: Vec<char> = text.chars().collect();
    let mut parts: Vec<Option<char>> = Vec::new();
    let mut wild = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' | '_' => {
                parts.push(None);
                wild.push(letter == '%');
            }
            '\\' => {
                parts.push(letters.next());
                wild.push(false);
            }
            other => {
                parts.push(Some(other));
                wild.push(false);
            }
        }
    }
    // Greedy with one place to go back to: the last `%`.
    let (mut at, mut of, mut back) = (0, 0, None);
    while at < text.len() {
        let part = parts.get(of).copied();
        match part {
            Some(None) if wild.get(of) == Some(&true) => {
                back = Some((of + 1, at));
                of += 1;
            }
            Some(None) => (at, of) = (at + 1, of + 1),
            Some(Some(letter)) if text.get(at) == Some(&letter) => (at, of) = (at + 1, of + 1),
            _ => match back {
                Some((part, from)) => {
                    back = Some((part, from + 1));
                    (at, of) = (from + 1, part);
                }
                None => return false,
            },
        }
    }
    parts.iter().zip(&wild).skip(of).all(|(part, many)| part.is_none() && *many)
}

/// What a value is printed as; none if it is null.
fn printed(call: Call, value: &ScalarValue) -> Result<Option<String>> {
    if let ScalarValue::Utf8(text) = value {
        return Ok(text.clone());
    }
    Ok(Style { zone: call.zone }.texts(&value.to_array()?)?.into_iter().next().flatten())
}

fn quoted(text: &str) -> String {
    let plain = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", plain.replace('\\', "\\\\")) } else { format!("'{plain}'") }
}

/// A name as it is written in a statement.
#[must_use]
pub(super) fn identifier(name: &str) -> String {
    let plain = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn too_few() -> UserError {
    UserError::invalid("too few arguments for format()")
}

/// `format('%s %I %L', …)` with `%n$s`, widths and `-`.
fn format(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(pattern) = text(arguments, 0) else { return Ok(ScalarValue::Utf8(None)) };
    let (mut out, mut letters, mut next) = (String::new(), pattern.chars().peekable(), 1);
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let (mut digits, mut left, mut place) = (String::new(), false, None);
        let kind = loop {
            match letters.next().ok_or_else(|| UserError::invalid("unterminated format() type specifier"))? {
                '-' => left = true,
                digit @ '0'..='9' => digits.push(digit),
                '$' => place = std::mem::take(&mut digits).parse::<usize>().ok(),
                kind => break kind,
            }
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let at = place.unwrap_or(next);
        next = at + 1;
        let value = printed(call, arguments.get(at).ok_or_else(too_few)?)?;
        let shown = match (kind, value) {
            ('s', value) => value.unwrap_or_default(),
            ('L', None) => "NULL".to_owned(),
            ('L', Some(value)) => quoted(&value),
            ('I', Some(value)) => identifier(&value),
            ('I', None) => {
                return Err(UserError::new("22004", "null values cannot be formatted as an SQL identifier").into());
            }
            (other, _) => {
                return Err(UserError::invalid(format!("unrecognized format() type specifier \"{other}\"")).into());
            }
        };
        let width = digits.parse::<usize>().unwrap_or(0).min(1 << 20);
        let fill = " ".repeat(width.saturating_sub(shown.chars().count()));
        if left {
            out.push_str(&shown);
            out.push_str(&fill);
        } else {
            out.push_str(&fill);
            out.push_str(&shown);
        }
    }
    Ok(ScalarValue::Utf8(Some(out)))
}

/// A pattern with an escape character of its own, in the spelling with backslashes.
fn like_escape(arguments: &[ScalarValue]) -> ScalarValue {
    let (Some(pattern), Some(escape)) = (text(arguments, 0), text(arguments, 1)) else {
        return ScalarValue::Utf8(None);
    };
    let escape = escape.chars().next();
    let mut spelled = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            spelled.push('\\');
            spelled.extend(letters.next());
        } else {
            if letter == '\\' {
                spelled.push('\\');
            }
            spelled.push(letter);
        }
    }
    ScalarValue::Utf8(Some(spelled))
}

/// A pattern of SIMILAR TO as a regular expression for all of a text (SQL:2003 section 8.6; `similar_escape` of
/// PostgreSQL): `%` and `_` are those of LIKE, a point, `^` and `$` are themselves.
fn similar_pattern(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(pattern) = text(arguments, 0) else { return Ok(ScalarValue::Utf8(None)) };
    let escape = match arguments.get(1) {
        None => Some('\\'),
        Some(_) => {
            let Some(given) = text(arguments, 1) else { return Ok(ScalarValue::Utf8(None)) };
            if given.chars().count() > 1 {
                let error = UserError::new("22025", "invalid escape string");
                return Err(error.hint("Escape string must be empty or one character.").into());
            }
            given.chars().next()
        }
    };
    let mut spelled = String::from("(?s)^(?:");
    let mut in_brackets = false;
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            _ if Some(letter) == escape => {
                if let Some(next) = letters.next() {
                    if next.is_ascii_punctuation() {
                        spelled.push('\\');
                    }
                    spelled.push(next);
                }
            }
            _ if in_brackets => {
                if matches!(letter, '\\' | '[') {
                    spelled.push('\\');
                }
                in_brackets = letter != ']';
                spelled.push(letter);
            }
            '[' => {
                in_brackets = true;
                spelled.push(letter);
            }
            '%' => spelled.push_str(".*"),
            '_' => spelled.push('.'),
            '.' | '^' | '$' | '\\' => spelled.extend(['\\', letter]),
            _ => spelled.push(letter),
        }
    }
    spelled.push_str(")$");
    Ok(ScalarValue::Utf8(Some(spelled)))
}

fn concat(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let parts = arguments.iter().map(|value| printed(call, value)).collect::<Result<Vec<_>>>()?;
    Ok(ScalarValue::Utf8(Some(parts.into_iter().flatten().collect())))
}

fn chr(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    match int(arguments, 0) {
        None => Ok(ScalarValue::Utf8(None)),
        Some(0) => Err(UserError::new("54000", "null character not permitted").into()),
        Some(code) => {
            let letter = u32::try_from(code).ok().and_then(char::from_u32);
            let letter = letter.ok_or_else(|| UserError::new("54000", "requested character not valid for encoding"))?;
            Ok(ScalarValue::Utf8(Some(letter.to_string())))
        }
    }
}

fn byte(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let (Some(ScalarValue::Binary(Some(bytes))), Some(at)) = (arguments.first(), int(arguments, 1)) else {
        return Ok(ScalarValue::Int32(None));
    };
    let found = usize::try_from(at).ok().and_then(|at| bytes.get(at));
    let found = found.ok_or_else(|| {
        UserError::new("2202E", format!("index {at} out of valid range, 0..{}", bytes.len().saturating_sub(1)))
    })?;
    Ok(ScalarValue::Int32(Some(i32::from(*found))))
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let words = || Returns::Always(DataType::Utf8, None);
    vec![
        RowFunction::udf("pg_concat", words(), false, concat),
        RowFunction::udf("like_escape", words(), true, |_, arguments| Ok(like_escape(arguments))),
        RowFunction::udf("pg_similar_pattern", words(), true, |_, arguments| similar_pattern(arguments)),
        RowFunction::udf("format", words(), false, format),
        RowFunction::udf("pg_chr", words(), true, |_, arguments| chr(arguments)),
        RowFunction::udf("pg_quote_literal", words(), true, |call, arguments| {
            let value = arguments.first().map(|value| printed(call, value)).transpose()?.flatten();
            Ok(ScalarValue::Utf8(value.map(|text| quoted(&text))))
        }),
        RowFunction::udf("quote_nullable", words(), false, |call, arguments| {
            let value = arguments.first().map(|value| printed(call, value)).transpose()?.flatten();
            Ok(ScalarValue::Utf8(Some(value.map_or_else(|| "NULL".to_owned(), |text| quoted(&text)))))
        }),
        RowFunction::udf("get_byte", Returns::Always(DataType::Int32, None), true, |_, arguments| byte(arguments)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_matched() {
        for (text, pattern, expected) in [
            ("abc", "a%", true),
            ("abc", "%b%", true),
            ("abc", "a_", false),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("", "%", true),
            ("aXbXc", "a%X_", true),
            ("abc", "", false),
        ] {
            assert_eq!(like(text, pattern, false), expected, "{text} {pattern}");
        }
        assert!(like("ABC", "a%", true));
    }

    #[test]
    fn texts_are_formatted() {
        let call = Call { zone: chrono_tz::Tz::UTC };
        let string = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        let arguments =
            [string("%s|%5s|%-3s|%I|%L|%%|%1$s"), string("a"), string("b"), string("c"), string("A"), string("d'")];
        assert_eq!(format(call, &arguments).unwrap(), string("a|    b|c  |\"A\"|'d'''|%|a"));
    }
}
