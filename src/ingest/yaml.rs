//! YAML files of several documents, each by itself.

use std::io::{BufRead, Read};

use serde_json::{Map, Value};
use serde_norway::Value as Yaml;

use super::Output;
use crate::error::{Result, UserError};

/// Longest file that is read, in bytes; catalogs and objectives are written by people.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// How many brackets of a document may be open at once. The parser's time grows with their square.
const MOST_OPEN: usize = 1_000;

/// A document has more than a thousand brackets open at once.
pub const TOO_DEEP: &str = "nested too deeply";

/// A document is not YAML.
pub const NOT_YAML: &str = "not valid YAML";

/// Every document of a file as JSON; what is not YAML is rejected. A document that is a list counts as its items.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or too long.
pub fn documents(reader: &mut dyn BufRead, output: &mut Output<'_>) -> Result<Vec<Value>> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(UserError::invalid("the YAML file is longer than 64 MiB").into());
    }
    let text = String::from_utf8(bytes).map_err(|_| UserError::invalid("the file is not UTF-8, so it is no YAML"))?;
    let mut found = Vec::new();
    for document in split(text.trim_start_matches('\u{feff}')) {
        if open_brackets(&document) > MOST_OPEN {
            output.reject(TOO_DEEP, &document);
            continue;
        }
        match serde_norway::from_str::<Yaml>(&document).ok().and_then(to_json) {
            Some(Value::Null) => {}
            Some(Value::Array(items)) => found.extend(items),
            Some(value) => found.push(value),
            None => output.reject(NOT_YAML, &document),
        }
    }
    Ok(found)
}

/// How many brackets are open at most, those in strings and comments included.
fn open_brackets(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// Documents by their markers, so that one that is broken does not hide those behind it.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        let rest = line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        let line = match rest {
            Some(rest) => {
                documents.push(String::new());
                rest
            }
            None if line.trim_end() == "..." => "",
            None => line,
        };
        if let Some(document) = documents.last_mut().filter(|document| !document.is_empty() || !line.is_empty()) {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.retain(|document| !document.trim().is_empty());
    documents
}

/// The parser refuses more than 128 levels, so this recursion has a bound.
fn to_json(yaml: Yaml) -> Option<Value> {
    Some(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => serde_json::to_value(number).unwrap_or(Value::Null),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(to_json).collect::<Option<_>>()?),
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (key, value) in members {
                object.insert(key_text(&key)?, to_json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => to_json(tagged.value)?,
    })
}

fn key_text(key: &Yaml) -> Option<String> {
    match key {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Bool(flag) => Some(flag.to_string()),
        Yaml::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The value of the first label or annotation whose name, behind its prefix, is one of these.
#[must_use]
pub fn annotation<'v>(document: &'v Value, names: &[&str]) -> Option<&'v str> {
    let places =
        ["annotations", "labels"].into_iter().filter_map(|place| document.get("metadata")?.get(place)?.as_object());
    places.flatten().find_map(|(key, value)| {
        let short = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase().replace(['_', '.'], "-");
        value.as_str().map(str::trim).filter(|text| !text.is_empty() && names.contains(&short.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_stand_alone() {
        let text = "a: 1\n---\nb: [\n--- # second\nc: {1: x, true: y}\n---\n\n---\n- d: !tag 4\n- e: 5\n...\n";
        assert_eq!(split(text).len(), 4);
        let values: Vec<_> =
            split(text).iter().map(|text| serde_norway::from_str::<Yaml>(text).ok().and_then(to_json)).collect();
        assert_eq!(values[0], Some(serde_json::json!({"a": 1})));
        assert_eq!(values[1], None);
        assert_eq!(values[2], Some(serde_json::json!({"c": {"1": "x", "true": "y"}})));
        assert_eq!(values[3], Some(serde_json::json!([{"d": 4}, {"e": 5}])));
    }

    #[test]
    fn bombs_and_depth_are_refused() {
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            bomb.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1));
        }
        assert!(serde_norway::from_str::<Yaml>(&bomb).is_err());
        assert!(serde_norway::from_str::<Yaml>(&"[".repeat(100_000)).is_err());
        assert_eq!(open_brackets("a: [{b: [1]}, {c: ']'}] # ["), 3);
    }

    #[test]
    fn annotations_are_found_behind_their_prefix() {
        let document =
            serde_json::json!({"metadata": {"labels": {"acme.io/Cost_Center": " 42 "}, "annotations": {"tier": ""}}});
        assert_eq!(annotation(&document, &["cost-center"]), Some("42"));
        assert_eq!(annotation(&document, &["tier"]), None);
    }
}
