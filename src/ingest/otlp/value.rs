//! Attribute values as text: scalars as they print, arrays and lists of pairs as JSON, bytes as base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use crate::ingest::telemetry::columns::Sorted;
use crate::ingest::telemetry::scalar::double_text;

/// Deepest nesting of a value that is written out; what is deeper is null. The parsers stop near this depth as well
/// (prost at 100 messages, `serde_json` at 128 brackets), so this bounds the recursion without losing data.
const MAX_DEPTH: usize = 100;

/// A value as text; an absent one is empty.
#[must_use]
pub fn text_of(value: Option<&AnyValue>) -> Cow<'_, str> {
    let Some(value) = value.and_then(|value| value.value.as_ref()) else { return Cow::Borrowed("") };
    match value {
        Value::StringValue(text) => Cow::Borrowed(text),
        Value::BoolValue(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Value::IntValue(value) => Cow::Owned(value.to_string()),
        Value::DoubleValue(value) => double_text(*value),
        Value::BytesValue(bytes) => Cow::Owned(STANDARD.encode(bytes)),
        Value::ArrayValue(_) | Value::KvlistValue(_) => {
            let mut text = String::new();
            write_json(Some(value), MAX_DEPTH, &mut text);
            Cow::Owned(text)
        }
        // Refers to a table of strings that only profiles have.
        Value::StringValueStrindex(_) => Cow::Borrowed(""),
    }
}

/// Add attributes to the columns and the map that they belong in.
pub fn add_all<'a>(sorted: &mut Sorted<'a>, attributes: &'a [KeyValue]) {
    for attribute in attributes {
        sorted.add(attribute.key.as_str(), text_of(attribute.value.as_ref()));
    }
}

fn write_json(value: Option<&Value>, depth: usize, out: &mut String) {
    match value {
        Some(Value::StringValue(text)) => write_string(text, out),
        Some(Value::BoolValue(value)) => out.push_str(if *value { "true" } else { "false" }),
        Some(Value::IntValue(value)) => out.push_str(&value.to_string()),
        Some(Value::DoubleValue(value)) if value.is_finite() => out.push_str(&double_text(*value)),
        Some(Value::DoubleValue(value)) => write_string(&double_text(*value), out),
        Some(Value::BytesValue(bytes)) => write_string(&STANDARD.encode(bytes), out),
        Some(Value::ArrayValue(array)) if depth > 0 => {
            out.push('[');
            for (at, element) in array.values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_json(element.value.as_ref(), depth - 1, out);
            }
            out.push(']');
        }
        Some(Value::KvlistValue(list)) if depth > 0 => {
            out.push('{');
            for (at, member) in list.values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_string(&member.key, out);
                out.push(':');
                write_json(member.value.as_ref().and_then(|value| value.value.as_ref()), depth - 1, out);
            }
            out.push('}');
        }
        _ => out.push_str("null"),
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};

    use super::*;

    fn any(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn scalars_print_and_structures_are_json() {
        assert_eq!(text_of(None), "");
        assert_eq!(text_of(Some(&any(Value::IntValue(-7)))), "-7");
        assert_eq!(text_of(Some(&any(Value::BoolValue(true)))), "true");
        assert_eq!(text_of(Some(&any(Value::DoubleValue(0.25)))), "0.25");
        assert_eq!(text_of(Some(&any(Value::BytesValue(vec![0xFF, 0])))), "/wA=");
        let list = KeyValueList {
            values: vec![
                KeyValue { key: "a\"".into(), value: Some(any(Value::DoubleValue(f64::NAN))), ..Default::default() },
                KeyValue { key: "b".into(), value: None, ..Default::default() },
            ],
        };
        let array = ArrayValue { values: vec![any(Value::KvlistValue(list)), any(Value::StringValue("x\n".into()))] };
        assert_eq!(text_of(Some(&any(Value::ArrayValue(array)))), r#"[{"a\"":"NaN","b":null},"x\n"]"#);
    }

    #[test]
    fn deep_nesting_ends_in_null() {
        let mut value = any(Value::IntValue(1));
        for _ in 0..MAX_DEPTH + 5 {
            value = any(Value::ArrayValue(ArrayValue { values: vec![value] }));
        }
        let text = text_of(Some(&value)).into_owned();
        assert_eq!(text, format!("{}null{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)));
    }
}
