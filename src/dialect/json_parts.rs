//! What is in a JSON document, as lists: elements of arrays, keys and values of objects. Sets of rows are made of them.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;

use super::function::{Returns, RowFunction, text};
use super::json::{jsonb, parsed, shown};
use crate::error::UserError;

/// What of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Elements,
    Keys,
    Values,
}

/// The parts of the array or object that a text is, each as it is written, and those of an object behind their keys. The
/// text is valid JSON.
fn members(document: &str) -> Vec<(Option<&str>, &str)> {
    let inside = document.trim();
    let inside = inside.get(1..inside.len().saturating_sub(1)).unwrap_or_default();
    let (mut members, mut key, mut from) = (Vec::new(), None, 0);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let between = |from: usize, to: usize| inside.get(from..to).unwrap_or_default().trim();
    for (at, letter) in inside.bytes().enumerate() {
        match letter {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                key = Some(between(from, at));
                from = at + 1;
            }
            b',' if depth == 0 => {
                members.push((key.take(), between(from, at)));
                from = at + 1;
            }
            _ => {}
        }
    }
    let last = between(from, inside.len());
    if !last.is_empty() {
        members.push((key, last));
    }
    members
}

/// The text of a JSON value; none of `null`.
fn words(json: &str) -> Result<Option<String>> {
    Ok(match json {
        "null" => None,
        quoted if quoted.starts_with('"') => Some(shown(&parsed(quoted)?)),
        other => Some(other.to_owned()),
    })
}

/// Whether a document is what has such parts, in the words of PostgreSQL.
fn check(document: &serde_json::Value, part: Part, canonical: bool, function: &str) -> Result<()> {
    let fits = if part == Part::Elements { document.is_array() } else { document.is_object() };
    let message = match (part, document.is_array(), document.is_object()) {
        _ if fits => return Ok(()),
        (Part::Elements, _, true) if canonical => "cannot extract elements from an object".to_owned(),
        (Part::Elements, _, false) if canonical => "cannot extract elements from a scalar".to_owned(),
        (Part::Elements, _, true) => format!("cannot call {function} on a non-array"),
        (Part::Values, true, _) if canonical => format!("cannot call {function} on a non-object"),
        (Part::Values, false, _) if canonical => format!("cannot call {function} on a non-object"),
        (Part::Values, true, _) => "cannot deconstruct an array as an object".to_owned(),
        (Part::Values, false, _) => "cannot deconstruct a scalar".to_owned(),
        (Part::Keys, true, _) => format!("cannot call {function} on an array"),
        (Part::Keys | Part::Elements, ..) => format!("cannot call {function} on a scalar"),
    };
    Err(UserError::invalid(message).into())
}

fn function(name: &'static str, called: &'static str, part: Part, canonical: bool, as_text: bool) -> ScalarUDF {
    let item = DataType::Utf8;
    RowFunction::udf(name, Returns::Always(DataType::new_list(item, true), None), true, move |_, arguments| {
        let none = || ScalarValue::new_null_list(DataType::Utf8, true, 1);
        let Some(document) = text(arguments, 0) else { return Ok(none()) };
        let value = parsed(document)?;
        check(&value, part, canonical, called)?;
        let spelled = if canonical { jsonb(&value) } else { document.to_owned() };
        let values = members(&spelled).into_iter().map(|(key, value)| {
            Ok(ScalarValue::Utf8(match part {
                Part::Keys => words(key.unwrap_or_default())?,
                _ if as_text => words(value)?,
                _ => Some(value.to_owned()),
            }))
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8)))
    })
}

/// The functions that statements are rewritten to.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use Part::{Elements, Keys, Values};
    vec![
        function("pg_json_elements", "json_array_elements", Elements, false, false),
        function("pg_jsonb_elements", "jsonb_array_elements", Elements, true, false),
        function("pg_json_elements_text", "json_array_elements_text", Elements, false, true),
        function("pg_jsonb_elements_text", "jsonb_array_elements_text", Elements, true, true),
        function("pg_json_keys", "json_object_keys", Keys, false, true),
        function("pg_jsonb_keys", "jsonb_object_keys", Keys, true, true),
        function("pg_json_values", "json_each", Values, false, false),
        function("pg_jsonb_values", "jsonb_each", Values, true, false),
        function("pg_json_values_text", "json_each_text", Values, false, true),
        function("pg_jsonb_values_text", "jsonb_each_text", Values, true, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_as_they_are_written() {
        assert_eq!(
            members(r#" [1 , {"a" :[2,3]}, "x,\"]", null ] "#),
            [(None, "1"), (None, r#"{"a" :[2,3]}"#), (None, r#""x,\"]""#), (None, "null")]
        );
        assert_eq!(members(r#"{"a:b" : {"c":1} ,"d":[]}"#), [(Some(r#""a:b""#), r#"{"c":1}"#), (Some("\"d\""), "[]")]);
        assert!(members("[ ]").is_empty());
        assert!(members("{}").is_empty());
    }
}
