//! Reading JSON values the way exporters really write them: numbers as strings, strings as numbers, null for absent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON scalar of any type.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Scalar<'a> {
    /// `null`, or nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without a sign that fits.
    Unsigned(u64),
    /// A number with a sign that fits.
    Signed(i64),
    /// Any other number.
    Double(f64),
    /// A string.
    Text(Cow<'a, str>),
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }
    fn visit_unit<E: Error>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Unsigned(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Signed(value))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Double(value))
    }
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl Scalar<'_> {
    /// As an unsigned number; none if it is not one. Null is 0.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Null => Some(0),
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            Self::Double(value) => whole(*value).and_then(|value| u64::try_from(value).ok()),
            Self::Text(text) if text.trim().is_empty() => Some(0),
            Self::Text(text) => text.trim().parse().ok().or_else(|| u64::try_from(whole_text(text)?).ok()),
            Self::Bool(_) => None,
        }
    }

    /// As a signed number; none if it is not one. Null is 0.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Null => Some(0),
            Self::Unsigned(value) => i64::try_from(*value).ok(),
            Self::Signed(value) => Some(*value),
            Self::Double(value) => whole(*value).and_then(|value| i64::try_from(value).ok()),
            Self::Text(text) if text.trim().is_empty() => Some(0),
            Self::Text(text) => text.trim().parse().ok().or_else(|| i64::try_from(whole_text(text)?).ok()),
            Self::Bool(_) => None,
        }
    }

    /// As a double; `NaN`, `Infinity` and `-Infinity` may be strings (the JSON mapping of Protocol Buffers). None if it
    /// is not one, or null.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the column is a double")]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Null | Self::Bool(_) => None,
            Self::Unsigned(value) => Some(*value as f64),
            Self::Signed(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    /// As a truth value; none if it is not one. Null is false.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Null => Some(false),
            Self::Bool(value) => Some(*value),
            Self::Unsigned(value) => Some(*value != 0),
            Self::Text(text) => text.trim().to_ascii_lowercase().parse().ok(),
            Self::Signed(_) | Self::Double(_) => None,
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'a> Scalar<'a> {
    /// As text; null is empty.
    #[must_use]
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Self::Unsigned(value) => Cow::Owned(value.to_string()),
            Self::Signed(value) => Cow::Owned(value.to_string()),
            Self::Double(value) => double_text(value),
            Self::Text(text) => text,
        }
    }
}

/// A double as text: the shortest that reads back as the same, `NaN`, `Infinity` or `-Infinity`.
#[must_use]
pub fn double_text<'a>(value: f64) -> Cow<'a, str> {
    if value.is_nan() {
        return Cow::Borrowed("NaN");
    }
    if value.is_infinite() {
        return Cow::Borrowed(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let plain = value == 0.0 || (1e-5..1e16).contains(&value.abs());
    Cow::Owned(if plain { format!("{value}") } else { format!("{value:e}") })
}

/// The integer that a double is exactly.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 2e19).then_some(value as i128)
}

fn whole_text(text: &str) -> Option<i128> {
    whole(text.trim().parse().ok()?)
}

/// A list where null stands for the empty list and null elements are left out.
///
/// # Errors
/// When it is no list, or an element is malformed.
pub fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let elements: Option<Vec<Option<T>>> = Deserialize::deserialize(deserializer)?;
    Ok(elements.unwrap_or_default().into_iter().flatten().collect())
}

/// A value where null stands for its default.
///
/// # Errors
/// When it is malformed.
pub fn nullable<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Any JSON value as text: strings as they are, other scalars printed, objects and arrays as JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnyText<'a>(pub Cow<'a, str>);

struct AnyTextVisitor;

impl<'de> Visitor<'de> for AnyTextVisitor {
    type Value = AnyText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(AnyText::default())
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(AnyText(Scalar::Bool(value).into_text()))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(AnyText(Scalar::Unsigned(value).into_text()))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(AnyText(Scalar::Signed(value).into_text()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(AnyText(Scalar::Double(value).into_text()))
    }
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(AnyText(Cow::Borrowed(value)))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(AnyText(Cow::Owned(value.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element::<serde_json::Value>()? {
            elements.push(element);
        }
        Ok(AnyText(Cow::Owned(serde_json::Value::Array(elements).to_string())))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = serde_json::Map::new();
        while let Some((name, value)) = access.next_entry::<String, serde_json::Value>()? {
            members.insert(name, value);
        }
        Ok(AnyText(Cow::Owned(serde_json::Value::Object(members).to_string())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AnyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Scalar<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_read_from_strings_and_floats() {
        assert_eq!(scalar("\"1544712660300000000\"").as_u64(), Some(1_544_712_660_300_000_000));
        assert_eq!(scalar("18446744073709551615").as_u64(), Some(u64::MAX));
        assert_eq!(scalar("1e3").as_u64(), Some(1_000));
        assert_eq!(scalar("\"1.5e3\"").as_i64(), Some(1_500));
        assert_eq!(scalar("-3").as_u64(), None);
        assert_eq!(scalar("\"-3\"").as_i64(), Some(-3));
        assert_eq!(scalar("null").as_i64(), Some(0));
        assert_eq!(scalar("1.5").as_i64(), None);
        assert_eq!(scalar("\"x\"").as_u64(), None);
        assert_eq!(scalar("true").as_u64(), None);
    }

    #[test]
    fn doubles_have_names_for_what_json_cannot_write() {
        assert!(scalar("\"NaN\"").as_f64().unwrap().is_nan());
        assert_eq!(scalar("\"-Infinity\"").as_f64(), Some(f64::NEG_INFINITY));
        assert_eq!(scalar("\"2.5\"").as_f64(), Some(2.5));
        assert_eq!(scalar("null").as_f64(), None);
        assert_eq!(double_text(0.1), "0.1");
        assert_eq!(double_text(5.0), "5");
        assert_eq!(double_text(1e300), "1e300");
        assert_eq!(double_text(f64::NEG_INFINITY), "-Infinity");
    }

    #[test]
    fn any_value_has_a_text() {
        let text = |json: &'static str| serde_json::from_str::<AnyText<'_>>(json).unwrap().0;
        assert_eq!(text("\"a\\nb\""), "a\nb");
        assert_eq!(text("true"), "true");
        assert_eq!(text("0.3"), "0.3");
        assert_eq!(text("[1,{\"a\":null}]"), "[1,{\"a\":null}]");
        assert_eq!(text("{\"b\":1}"), "{\"b\":1}");
        assert_eq!(text("null"), "");
    }
}
