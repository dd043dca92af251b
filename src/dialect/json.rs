//! JSON as text: the canonical spelling of `jsonb`, and the operators and functions on both.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;
use serde_json::Value;

use super::encode::{Style, oid};
use super::function::{Call, Returns, RowFunction, int, text};
use crate::error::{UserError, sqlstate};
use crate::model::CellType;
use crate::model::cell::TextMap;

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

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|_| UserError::new(sqlstate::INVALID_TEXT, "invalid input syntax for type json").into())
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => jsonb(other),
    }
}

/// A map of texts from an object: what is no text is written as JSON writes it.
///
/// # Errors
/// 22P02 when the text is not JSON, 22023 when it is no object.
pub fn map_of(text: &str) -> Result<ScalarValue> {
    let Value::Object(entries) = parsed(text)? else {
        return Err(UserError::invalid(format!("this column holds JSON objects only, not {text}")).into());
    };
    let mut builder = TextMap::builder();
    for (key, value) in &entries {
        builder.keys().append_value(key);
        builder.values().append_option((!value.is_null()).then(|| shown(value)));
    }
    builder.append(true)?;
    ScalarValue::try_from_array(&TextMap::finish(&mut builder), 0)
}

fn to_map(_: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    match (text(arguments, 0), arguments.first()) {
        (Some(text), _) => map_of(text),
        (None, Some(map @ ScalarValue::Map(_))) => Ok(map.clone()),
        (None, other) => {
            let kind = other.map_or(DataType::Null, ScalarValue::data_type);
            let name = super::encode::type_name(super::encode::of_data_type(&kind).oid);
            let message = format!("column is of type jsonb but expression is of type {name}");
            Err(UserError::new(sqlstate::DATATYPE_MISMATCH, message).into())
        }
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

/// A value of the engine as JSON; times as ISO 8601.
fn json_of(call: Call, value: &ScalarValue) -> Result<Value> {
    let style = Style { zone: call.zone };
    let array = value.to_array()?;
    let text = style.json(&array)?;
    parsed(&text)
}

fn object(call: Call, arguments: &[ScalarValue], canonical: bool) -> Result<ScalarValue> {
    if !arguments.len().is_multiple_of(2) {
        return Err(UserError::invalid("argument list must have even number of elements").into());
    }
    let mut entries = Vec::new();
    for pair in arguments.chunks(2) {
        let [key, value] = pair else { continue };
        let key = match key {
            ScalarValue::Utf8(Some(key)) => key.clone(),
            other if other.is_null() => return Err(UserError::invalid("argument keys must not be null").into()),
            other => shown(&json_of(call, other)?),
        };
        entries.push((key, json_of(call, value)?));
    }
    if canonical {
        let map = entries.into_iter().collect();
        return Ok(ScalarValue::Utf8(Some(jsonb(&Value::Object(map)))));
    }
    let shown = entries.iter().map(|(key, value)| {
        let mut out = String::new();
        super::encode::json_string(&mut out, key);
        format!("{out} : {}", jsonb(value))
    });
    Ok(ScalarValue::Utf8(Some(format!("{{{}}}", shown.collect::<Vec<_>>().join(", ")))))
}

fn array(call: Call, arguments: &[ScalarValue]) -> Result<ScalarValue> {
    let items = arguments.iter().map(|value| json_of(call, value)).collect::<Result<Vec<_>>>()?;
    Ok(ScalarValue::Utf8(Some(jsonb(&Value::Array(items)))))
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
    let json = || Returns::Always(DataType::Utf8, Some(oid::JSON));
    let jsonb_type = || Returns::Always(DataType::Utf8, Some(oid::JSONB));
    let words = || Returns::Always(DataType::Utf8, None);
    let flag = || Returns::Always(DataType::Boolean, None);
    let number = || Returns::Always(DataType::Int32, None);
    let kind = |_: Call, arguments: &[ScalarValue]| {
        let Some(document) = text(arguments, 0) else { return Ok(ScalarValue::Utf8(None)) };
        Ok(ScalarValue::Utf8(Some(type_of(&parsed(document)?).to_owned())))
    };
    vec![
        RowFunction::udf("pg_map", Returns::Always(TextMap::data_type(), None), true, to_map),
        RowFunction::udf("pg_json_get", jsonb_type(), true, |_, arguments| lookup(arguments, false)),
        RowFunction::udf("pg_json_get_text", words(), true, |_, arguments| lookup(arguments, true)),
        RowFunction::udf("pg_json_path", jsonb_type(), true, |_, arguments| path(arguments, false)),
        RowFunction::udf("pg_json_path_text", words(), true, |_, arguments| path(arguments, true)),
        RowFunction::udf("pg_json_has", flag(), true, |_, arguments| {
            let (Some(document), Some(key)) = (text(arguments, 0), text(arguments, 1)) else {
                return Ok(ScalarValue::Boolean(None));
            };
            Ok(ScalarValue::Boolean(Some(match parsed(document)? {
                Value::Object(entries) => entries.contains_key(key),
                Value::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
                other => other.as_str() == Some(key),
            })))
        }),
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
        RowFunction::udf("json_build_object", json(), false, |call, arguments| object(call, arguments, false)),
        RowFunction::udf("jsonb_build_object", jsonb_type(), false, |call, arguments| object(call, arguments, true)),
        RowFunction::udf("json_build_array", json(), false, array),
        RowFunction::udf("jsonb_build_array", jsonb_type(), false, array),
        RowFunction::udf("to_json", json(), true, |call, arguments| {
            arguments
                .first()
                .map_or(Ok(ScalarValue::Utf8(None)), |value| Ok(ScalarValue::Utf8(Some(jsonb(&json_of(call, value)?)))))
        }),
        RowFunction::udf("to_jsonb", jsonb_type(), true, |call, arguments| {
            arguments
                .first()
                .map_or(Ok(ScalarValue::Utf8(None)), |value| Ok(ScalarValue::Utf8(Some(jsonb(&json_of(call, value)?)))))
        }),
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
