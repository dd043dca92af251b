//! JSON as text: the canonical spelling of `jsonb`, and the operators and functions on both.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;
use serde_json::Value;

use super::encode::oid;
use super::function::{Call, Returns, RowFunction, int, text};
use crate::error::{UserError, sqlstate};

/// OID of `text[]`.
const TEXTS: u32 = 1009;

/// A value as `jsonb` prints it: keys by length, then by bytes; one space behind colons and commas. The depth is bounded
/// by the parser's limit.
#[must_use]
pub fn jsonb(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| (a.0.len(), a.0).cmp(&(b.0.len(), b.0)));
            out.push('{');
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                super::encode::json_string(out, key);
                out.push_str(": ");
                write(out, item);
            }
            out.push('}');
        }
        Value::String(text) => super::encode::json_string(out, text),
        other => out.push_str(&other.to_string()),
    }
}

pub(super) fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|_| UserError::new(sqlstate::INVALID_TEXT, "invalid input syntax for type json").into())
}

pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => jsonb(other),
    }
}

fn step<'a>(value: &'a Value, key: &ScalarValue) -> Option<&'a Value> {
    match (value, key) {
        (Value::Object(entries), ScalarValue::Utf8(Some(key))) => entries.get(key),
        (Value::Array(items), ScalarValue::Utf8(Some(key))) => items.get(at_of(key.parse().ok()?, items.len())?),
        (Value::Array(items), key) => items.get(at_of(int(std::slice::from_ref(key), 0)?, items.len())?),
        _ => None,
    }
}

fn at_of(position: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if position < 0 { position + length } else { position }).ok()
}

fn lookup(arguments: &[ScalarValue], as_text: bool) -> Result<ScalarValue> {
    let (Some(document), Some(key)) = (text(arguments, 0), arguments.get(1)) else {
        return Ok(ScalarValue::Utf8(None));
    };
    let document = parsed(document)?;
    Ok(ScalarValue::Utf8(step(&document, key).and_then(|found| found_text(found, as_text))))
}

fn found_text(found: &Value, as_text: bool) -> Option<String> {
    if as_text { (!found.is_null()).then(|| shown(found)) } else { Some(jsonb(found)) }
}

fn path(arguments: &[ScalarValue], as_text: bool) -> Result<ScalarValue> {
    let (Some(document), Some(steps)) = (text(arguments, 0), text(arguments, 1)) else {
        return Ok(ScalarValue::Utf8(None));
    };
    let document = parsed(document)?;
    let mut at = Some(&document);
    for key in steps.trim_matches(['{', '}']).split(',').filter(|key| !key.is_empty()) {
        let key = ScalarValue::Utf8(Some(key.trim().trim_matches('"').to_owned()));
        at = at.and_then(|value| step(value, &key));
    }
    Ok(ScalarValue::Utf8(at.and_then(|found| found_text(found, as_text))))
}

fn has(document: &Value, key: &str) -> bool {
    match document {
        Value::Object(entries) => entries.contains_key(key),
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
        other => other.as_str() == Some(key),
    }
}

/// Whether a document has any, or all, of several keys; a NULL among them is none.
fn has_some(call: Call, arguments: &[ScalarValue], all: bool) -> Result<ScalarValue> {
    let (Some(document), Some(keys)) = (text(arguments, 0), arguments.get(1)) else {
        return Ok(ScalarValue::Boolean(None));
    };
    let document = parsed(document)?;
    let list = match keys {
        // A string without a type is an array of texts.
        ScalarValue::Utf8(Some(text)) => {
            super::input::value(text, TEXTS, call.zone).map_err(|error| error.describe())?
        }
        other => other.clone(),
    };
    let keys = super::sets::items(&list).unwrap_or_default();
    let mut keys = keys.iter().filter_map(|key| key.try_as_str().flatten());
    let found = |key: &str| has(&document, key);
    Ok(ScalarValue::Boolean(Some(if all { keys.all(found) } else { keys.any(found) })))
}

/// Whether one value has all of another: entries of objects, elements of arrays.
fn contains(outer: &Value, inner: &Value) -> bool {
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => {
            inner.iter().all(|(key, value)| outer.get(key).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(outer), Value::Array(inner)) => {
            inner.iter().all(|value| outer.iter().any(|found| contains(found, value)))
        }
        (Value::Array(outer), inner) => outer.iter().any(|found| found == inner),
        (outer, inner) => outer == inner,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn array_length(arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let Some(document) = text(arguments, 0) else { return Ok(ScalarValue::Int32(None)) };
    match parsed(document)? {
        Value::Array(items) => Ok(ScalarValue::Int32(i32::try_from(items.len()).ok())),
        other => {
            let message =
                format!("cannot get array length of {}", if other.is_object() { "a non-array" } else { "a scalar" });
            Err(UserError::invalid(message).into())
        }
    }
}

/// The functions, under the names that statements are rewritten to and those that users call.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let jsonb_type = || Returns::Always(DataType::Utf8, Some(oid::JSONB));
    let words = || Returns::Always(DataType::Utf8, None);
    let flag = || Returns::Always(DataType::Boolean, None);
    let number = || Returns::Always(DataType::Int32, None);
    let kind = |_: Call, arguments: &[ScalarValue]| {
        let Some(document) = text(arguments, 0) else { return Ok(ScalarValue::Utf8(None)) };
        Ok(ScalarValue::Utf8(Some(type_of(&parsed(document)?).to_owned())))
    };
    vec![
        RowFunction::udf("pg_json_get", jsonb_type(), true, |_, arguments| lookup(arguments, false)),
        RowFunction::udf("pg_json_get_text", words(), true, |_, arguments| lookup(arguments, true)),
        RowFunction::udf("pg_json_path", jsonb_type(), true, |_, arguments| path(arguments, false)),
        RowFunction::udf("pg_json_path_text", words(), true, |_, arguments| path(arguments, true)),
        RowFunction::udf("pg_json_has", flag(), true, |_, arguments| {
            let (Some(document), Some(key)) = (text(arguments, 0), text(arguments, 1)) else {
                return Ok(ScalarValue::Boolean(None));
            };
            Ok(ScalarValue::Boolean(Some(has(&parsed(document)?, key))))
        }),
        RowFunction::udf("pg_json_has_any", flag(), true, |call, arguments| has_some(call, arguments, false)),
        RowFunction::udf("pg_json_has_all", flag(), true, |call, arguments| has_some(call, arguments, true)),
        RowFunction::udf("pg_json_contains", flag(), true, |_, arguments| {
            let (Some(outer), Some(inner)) = (text(arguments, 0), text(arguments, 1)) else {
                return Ok(ScalarValue::Boolean(None));
            };
            Ok(ScalarValue::Boolean(Some(contains(&parsed(outer)?, &parsed(inner)?))))
        }),
        RowFunction::udf("jsonb_typeof", words(), true, kind),
        RowFunction::udf("json_typeof", words(), true, kind),
        RowFunction::udf("jsonb_array_length", number(), true, |_, arguments| array_length(arguments)),
        RowFunction::udf("json_array_length", number(), true, |_, arguments| array_length(arguments)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonb_has_one_spelling() {
        let value: Value = serde_json::from_str(r#"{"bb":1,"a":[1,{"x":null}],"b":"q\"uote"}"#).unwrap();
        assert_eq!(jsonb(&value), r#"{"a": [1, {"x": null}], "b": "q\"uote", "bb": 1}"#);
        let inner: Value = serde_json::from_str(r#"{"a":[1]}"#).unwrap();
        assert!(contains(&value, &inner));
        assert!(!contains(&inner, &value));
    }
}
