//! Looking into JSON values without caring which level is missing.

use std::borrow::Cow;

use serde_json::Value;

use crate::model::Attributes;

/// The member at the end of a path, unless it is missing or null.
#[must_use]
pub fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// The text at the end of a path, unless it is missing, empty or no text.
#[must_use]
pub fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// A text, number or boolean at the end of a path as text, unless it is missing or empty.
#[must_use]
pub fn scalar<'v>(value: &'v Value, path: &[&str]) -> Option<Cow<'v, str>> {
    match at(value, path)? {
        Value::String(text) => (!text.is_empty()).then_some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A boolean at the end of a path, also one written as text.
#[must_use]
pub fn boolean(value: &Value, path: &[&str]) -> Option<bool> {
    match at(value, path)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The instant at the end of a path, microseconds since the epoch.
#[must_use]
pub fn time(value: &Value, path: &[&str]) -> Option<i64> {
    super::times::parse(text(value, path)?)
}

/// The members of an object as attributes; what is not text becomes its JSON, nulls are left out.
#[must_use]
pub fn attributes(value: &Value) -> Attributes<'_> {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(key, value)| Some((Cow::Borrowed(key.as_str()), as_text(value)?))).collect()
}

/// A value as text: text as it is, anything else as JSON, null as nothing.
#[must_use]
pub fn as_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}
