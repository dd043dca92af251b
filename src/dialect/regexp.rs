//! Functions of regular expressions that the engine does not have.

use std::sync::{Mutex, PoisonError};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::regex::compile_regex;
use datafusion::logical_expr::ScalarUDF;

use super::function::{Returns, RowFunction, int, text};
use crate::error::{UserError, sqlstate};

/// What a pattern found: its groups, or all of it where it has none.
type Found = Vec<Option<String>>;

/// An expression that a pattern is, and whether all that it finds is wanted. To PostgreSQL a point is any character, and `^`
/// and `$` are the ends of the text.
fn spelled(pattern: &str, options: &str) -> Result<(String, bool)> {
    let (mut any_case, mut lines, mut points, mut spaced, mut all) = (false, false, true, false, false);
    for option in options.chars() {
        match option {
            'g' => all = true,
            'i' => any_case = true,
            'c' => any_case = false,
            'n' | 'm' => (lines, points) = (true, false),
            's' => (lines, points) = (false, true),
            'p' => (lines, points) = (false, false),
            'w' => (lines, points) = (true, true),
            'x' => spaced = true,
            't' => spaced = false,
            'b' | 'e' | 'q' => {
                let message = format!("the regular expression option \"{option}\" is not supported");
                return Err(UserError::new(sqlstate::NOT_SUPPORTED, message).into());
            }
            other => {
                return Err(UserError::invalid(format!("invalid regular expression option: \"{other}\"")).into());
            }
        }
    }
    let flags = [(any_case, "i"), (lines, "m"), (points, "s"), (spaced, "x")];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
    let flags = if flags.is_empty() { String::new() } else { format!("(?{flags})") };
    Ok((format!("{flags}{pattern}"), all))
}

/// What finds a pattern in texts; the last one that was compiled is kept for the next row.
fn finder() -> impl Fn(&str, &str, &str) -> Result<Vec<Found>> + Send + Sync {
    let kept = Mutex::new(None);
    move |text, given, options| {
        let (pattern, all) = spelled(given, options)?;
        let known = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (pattern, expression) = match known {
            Some((known, expression)) if known == pattern => (known, expression),
            _ => {
                let expression = compile_regex(&pattern, None)
                    .map_err(|_| UserError::new("2201B", format!("invalid regular expression: {given}")))?;
                (pattern, expression)
            }
        };
        let limit = if all { usize::MAX } else { 1 };
        let found = expression
            .captures_iter(text)
            .take(limit)
            .map(|found| {
                let first = usize::from(found.len() > 1);
                found.iter().skip(first).map(|group| group.map(|group| group.as_str().to_owned())).collect()
            })
            .collect();
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((pattern, expression));
        Ok(found)
    }
}

/// The functions that statements are rewritten to.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let texts = || DataType::new_list(DataType::Utf8, true);
    let all = finder();
    vec![
        RowFunction::udf(
            "pg_regexp_matches",
            Returns::Always(DataType::new_list(texts(), true), None),
            true,
            move |_, arguments| {
                let (Some(value), Some(pattern)) = (text(arguments, 0), text(arguments, 1)) else {
                    return Err(unknown("regexp_matches"));
                };
                let found = all(value, pattern, text(arguments, 2).unwrap_or_default())?;
                let groups = found.into_iter().map(|groups| {
                    let groups: Vec<ScalarValue> = groups.into_iter().map(ScalarValue::Utf8).collect();
                    ScalarValue::List(ScalarValue::new_list_nullable(&groups, &DataType::Utf8))
                });
                let groups: Vec<ScalarValue> = groups.collect();
                Ok(ScalarValue::List(ScalarValue::new_list_nullable(&groups, &texts())))
            },
        ),
        substring(),
    ]
}

/// `substring(text FROM pattern)`, or the letters from a place on.
pub(super) fn substring() -> ScalarUDF {
    let find = finder();
    RowFunction::udf("pg_substring", Returns::Always(DataType::Utf8, None), true, move |_, arguments| {
        match (text(arguments, 0), text(arguments, 1), int(arguments, 1)) {
            (Some(value), Some(pattern), _) => {
                let found = find(value, pattern, "")?;
                Ok(ScalarValue::Utf8(found.into_iter().next().and_then(|groups| groups.into_iter().next().flatten())))
            }
            (Some(value), None, Some(place)) => {
                let before = usize::try_from(place.saturating_sub(1)).unwrap_or(0);
                Ok(ScalarValue::Utf8(Some(value.chars().skip(before).collect())))
            }
            _ => Err(unknown("substring")),
        }
    })
}

fn unknown(function: &str) -> datafusion::common::DataFusionError {
    UserError::new(sqlstate::UNDEFINED_FUNCTION, format!("{function} takes texts; cast what is none")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_groups_or_all_of_it() {
        let find = finder();
        let some = |found: &str| Some(found.to_owned());
        assert_eq!(find("foobarbaz", "ba.", "").unwrap(), [vec![some("bar")]]);
        assert_eq!(find("foobarbaz", "(b)(x)?a.", "g").unwrap(), [vec![some("b"), None], vec![some("b"), None]]);
        assert_eq!(find("a\nb", "a.b", "").unwrap().len(), 1);
        assert_eq!(find("a\nb", "a.b", "n").unwrap().len(), 0);
        assert_eq!(find("A\nb", "^B$", "ig").unwrap().len(), 0);
        assert_eq!(find("A\nb", "^B$", "ign").unwrap().len(), 1);
        assert!(find("a", "(", "").is_err() && find("a", "a", "y").is_err());
    }
}
