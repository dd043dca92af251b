//! Tags as exports write them.

use std::borrow::Cow;

use serde_json::Value;

use crate::ingest::json;
use crate::model::Attributes;

/// The tags of a cell, or nothing if it cannot be read as tags.
///
/// Read are a JSON object, the same without its braces (Azure), a JSON array of `{"key": …, "value": …}` objects,
/// and pairs with an equals sign, with or without quotes and braces, separated by commas or semicolons.
pub fn parse(text: &str) -> Option<Attributes<'_>> {
    let text = text.trim();
    let as_json = serde_json::from_str::<Value>(text).ok().or_else(|| {
        let without_braces = text.starts_with('"').then(|| format!("{{{text}}}"))?;
        serde_json::from_str(&without_braces).ok()
    });
    match as_json {
        Some(Value::Object(members)) => {
            Some(members.into_iter().map(|(key, value)| (trimmed(&key), owned(&value))).collect())
        }
        Some(Value::Array(items)) => items.iter().map(pair_of_object).collect(),
        Some(_) => None,
        None => pairs(text),
    }
}

fn trimmed(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.trim().to_owned())
}

fn owned(value: &Value) -> Cow<'static, str> {
    trimmed(&json::as_text(value).unwrap_or_default())
}

fn pair_of_object(item: &Value) -> Option<(Cow<'static, str>, Cow<'static, str>)> {
    let key = ["key", "Key"].iter().find_map(|name| json::text(item, &[name]))?;
    let value = ["value", "Value"].iter().find_map(|name| json::at(item, &[name])).unwrap_or(&Value::Null);
    Some((trimmed(key), owned(value)))
}

fn pairs(text: &str) -> Option<Attributes<'_>> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let mut quoted = false;
    let parts = inner.split(|character: char| {
        quoted ^= character == '"';
        !quoted && matches!(character, ',' | ';')
    });
    let mut found = Attributes::new();
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=')?;
        let key = bare(key);
        if key.is_empty() {
            return None;
        }
        found.push((Cow::Borrowed(key), Cow::Borrowed(bare(value))));
    }
    Some(found)
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_variant_reads_the_same() {
        let expected: Attributes<'_> = vec![("app".into(), "shop".into()), ("env".into(), "a=b, c".into())];
        let variants = [
            r#"{"app": "shop", "env": "a=b, c"}"#,
            r#" {" app ": " shop ", "env": "a=b, c"} "#,
            r#""app": "shop", "env": "a=b, c""#,
            r#"[{"key": "app", "value": "shop"}, {"Key": "env", "Value": "a=b, c"}]"#,
            r#"{"app"="shop", "env"="a=b, c"}"#,
            r#""app"="shop";"env"="a=b, c""#,
        ];
        for text in variants {
            assert_eq!(parse(text).as_ref(), Some(&expected), "{text}");
        }
        assert_eq!(parse("app=shop; env=dev"), Some(vec![("app".into(), "shop".into()), ("env".into(), "dev".into())]));
        assert_eq!(parse(r#"{"n": 7, "on": true, "none": null}"#).map(|tags| tags.len()), Some(3));
        assert_eq!(parse("{}"), Some(vec![]));
    }

    #[test]
    fn what_are_no_tags_is_none() {
        for text in ["7", "just words", "[1]", "{\"a\":", "=x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".*") {
            let _answer = parse(&text);
        }
    }
}
