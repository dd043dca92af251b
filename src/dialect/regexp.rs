//! Functions of regular expressions that the engine does not have.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::regex::compile_regex;
use datafusion::logical_expr::ScalarUDF;

use super::function::{Returns, RowFunction, int, text};
use crate::error::{UserError, sqlstate};

/// What a pattern found.
struct Found {
    /// Its groups, or all of it where it has none.
    groups: Vec<Option<String>>,
    /// Where it is, in bytes.
    at: Range<usize>,
}

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
                let groups = found.iter().skip(first).map(|group| group.map(|group| group.as_str().to_owned()));
                Found { groups: groups.collect(), at: found.get(0).map_or(0..0, |all| all.range()) }
            })
            .collect();
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((pattern, expression));
        Ok(found)
    }
}

/// The functions that statements are rewritten to.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let texts = || DataType::new_list(DataType::Utf8, true);
    let (all, separators) = (finder(), finder());
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
                let groups = found.into_iter().map(|found| {
                    let groups: Vec<ScalarValue> = found.groups.into_iter().map(ScalarValue::Utf8).collect();
                    ScalarValue::List(ScalarValue::new_list_nullable(&groups, &DataType::Utf8))
                });
                let groups: Vec<ScalarValue> = groups.collect();
                Ok(ScalarValue::List(ScalarValue::new_list_nullable(&groups, &texts())))
            },
        ),
        RowFunction::udf("regexp_split_to_array", Returns::Always(texts(), None), true, move |_, arguments| {
            let (Some(value), Some(pattern)) = (text(arguments, 0), text(arguments, 1)) else {
                return Err(unknown("regexp_split_to_array"));
            };
            let options = text(arguments, 2).unwrap_or_default();
            if options.contains('g') {
                let message = "regexp_split_to_array() does not support the \"global\" option";
                return Err(UserError::invalid(message).into());
            }
            let found = separators(value, pattern, &format!("{options}g"))?;
            let pieces: Vec<ScalarValue> = between(value, &found).into_iter().map(ScalarValue::from).collect();
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(&pieces, &DataType::Utf8)))
        }),
        substring(),
    ]
}

/// What is between the places where a pattern was found. Where nothing is found at either end, or right behind what was
/// found before, nothing is separated.
fn between<'a>(text: &'a str, found: &[Found]) -> Vec<&'a str> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    for Found { at, .. } in found {
        if !at.is_empty() || (at.start != from && at.start != text.len()) {
            pieces.push(text.get(from..at.start).unwrap_or_default());
            from = at.end;
        }
    }
    pieces.push(text.get(from..).unwrap_or_default());
    pieces
}

/// `substring(text FROM pattern)`, or the letters from a place on.
pub(super) fn substring() -> ScalarUDF {
    let find = finder();
    RowFunction::udf("pg_substring", Returns::Always(DataType::Utf8, None), true, move |_, arguments| {
        match (text(arguments, 0), text(arguments, 1), int(arguments, 1)) {
            (Some(value), Some(pattern), _) => {
                let found = find(value, pattern, "")?;
                Ok(ScalarValue::Utf8(
                    found.into_iter().next().and_then(|found| found.groups.into_iter().next().flatten()),
                ))
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
        let finds = finder();
        let find = |text: &str, pattern: &str, options: &str| {
            let found = finds(text, pattern, options);
            found.map(|found| found.into_iter().map(|found| found.groups).collect::<Vec<_>>())
        };
        let some = |found: &str| Some(found.to_owned());
        assert_eq!(find("foobarbaz", "ba.", "").unwrap(), [vec![some("bar")]]);
        assert_eq!(find("foobarbaz", "(b)(x)?a.", "g").unwrap(), [vec![some("b"), None], vec![some("b"), None]]);
        assert_eq!(find("a\nb", "a.b", "").unwrap().len(), 1);
        assert_eq!(find("a\nb", "a.b", "n").unwrap().len(), 0);
        assert_eq!(find("A\nb", "^B$", "ig").unwrap().len(), 0);
        assert_eq!(find("A\nb", "^B$", "ign").unwrap().len(), 1);
        let split = |text: &'static str, pattern: &str| between(text, &finds(text, pattern, "g").unwrap());
        assert_eq!(split("a,b,,c", ","), ["a", "b", "", "c"]);
        assert_eq!(split(",a", ","), ["", "a"]);
        assert_eq!(split("ab c", r"\s*"), ["a", "b", "c"]);
        assert_eq!(split("abc", ""), ["a", "b", "c"]);
        assert_eq!(split("", ","), [""]);
        assert!(find("a", "(", "").is_err() && find("a", "a", "y").is_err());
    }
}
