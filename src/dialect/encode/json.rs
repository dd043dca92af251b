//! Structs, maps and nested lists as `jsonb`: keys in its order (shorter first, then by bytes), the last of equals.

use std::collections::BTreeMap;

use super::Style;
use super::cell::Value;
use super::text;

/// Append a value as JSON. The depth is that of the column's type.
pub(super) fn json(out: &mut String, value: Option<Value<'_>>, style: Style) {
    let Some(value) = value else {
        out.push_str("null");
        return;
    };
    match value {
        Value::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Value::Real(value) if !value.is_finite() => quoted(out, Value::Real(value), style),
        Value::Double(value) if !value.is_finite() => quoted(out, Value::Double(value), style),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) | Value::Real(_) | Value::Double(_) => {
            style.text(out, value, 0);
        }
        Value::Unsigned(_) | Value::Numeric(..) | Value::BigNumeric(..) => style.text(out, value, 0),
        Value::Text(value) => text::json_string(out, value),
        Value::Timestamp(micros) => {
            out.push('"');
            text::timestamp(out, micros, 'T');
            out.push('"');
        }
        Value::TimestampTz(micros) => {
            out.push('"');
            text::timestamptz(out, micros, style.zone, 'T');
            out.push('"');
        }
        Value::Bytes(_) | Value::Date(_) | Value::Time(_) | Value::Interval(..) => quoted(out, value, style),
        Value::List(child, from, to) => {
            out.push('[');
            for row in from..to {
                if row > from {
                    out.push_str(", ");
                }
                json(out, child.value(row), style);
            }
            out.push(']');
        }
        Value::Map(keys, values, from, to) => {
            let entries = (from..to).map(|row| {
                let mut key = String::new();
                if let Some(value) = keys.value(row) {
                    style.text(&mut key, value, 0);
                }
                (key, values.value(row))
            });
            object(out, entries, style);
        }
        Value::Struct(row, columns) => {
            object(out, columns.iter().map(|(name, column)| (name.clone(), column.value(row))), style);
        }
    }
}

/// The same with nothing between the elements of lists, as `to_json` has it.
pub(super) fn compact(out: &mut String, value: Option<Value<'_>>, style: Style) {
    let Some(Value::List(child, from, to)) = value else { return json(out, value, style) };
    out.push('[');
    for row in from..to {
        if row > from {
            out.push(',');
        }
        compact(out, child.value(row), style);
    }
    out.push(']');
}

fn quoted(out: &mut String, value: Value<'_>, style: Style) {
    let mut text = String::new();
    style.text(&mut text, value, 0);
    text::json_string(out, &text);
}

fn object<'a>(out: &mut String, entries: impl Iterator<Item = (String, Option<Value<'a>>)>, style: Style) {
    let sorted: BTreeMap<(usize, String), Option<Value<'a>>> =
        entries.map(|(key, value)| ((key.len(), key), value)).collect();
    out.push('{');
    for (at, ((_, key), value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        text::json_string(out, &key);
        out.push_str(": ");
        json(out, value, style);
    }
    out.push('}');
}
