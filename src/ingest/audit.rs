//! What the importers of audit logs share.
//!
//! Log pipelines change the case of member names on their way (`callerIp` becomes `callerIP`, `debugContext`
//! becomes `debugcontext`), so members are found in any case; the exact name comes first.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The last second of year 9999, the latest that an instant may be.
const LATEST_SECOND: i64 = 253_402_300_799;

/// Words for one side of a column: they stand for nothing.
const NOBODY: [&str; 4] = ["", "-", "unknown", "null"];

/// The member at the end of a path, unless it is missing or null.
#[must_use]
pub fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| member(value, name)).filter(|value| !value.is_null())
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    let in_any_case = || members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    members.get(name).or_else(in_any_case)
}

/// A text, number or boolean at the end of a path as text, unless it is missing or stands for nothing.
#[must_use]
pub fn text<'v>(value: &'v Value, path: &[&str]) -> Option<Cow<'v, str>> {
    super::json::scalar(at(value, path)?, &[]).filter(|text| !NOBODY.contains(&text.as_ref()))
}

/// The text at the end of a path as it stands in the record.
#[must_use]
pub fn str<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path)?.as_str().filter(|text| !NOBODY.contains(text))
}

/// The first of some paths that has a text.
#[must_use]
pub fn first<'v>(value: &'v Value, paths: &[&[&str]]) -> Option<Cow<'v, str>> {
    paths.iter().find_map(|path| text(value, path))
}

/// The items of an array at the end of a path, none if there is no array.
pub fn items<'v>(value: &'v Value, path: &[&str]) -> impl Iterator<Item = &'v Value> + use<'v> {
    at(value, path).and_then(Value::as_array).into_iter().flatten()
}

/// Seconds since the epoch, as number or digits, in microseconds.
#[must_use]
pub fn seconds(value: &Value) -> Option<i64> {
    let whole = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (0..=LATEST_SECOND).contains(&whole).then(|| whole * 1_000_000)
}

/// An instant that is milliseconds since the epoch as a number, or written out, in microseconds.
#[must_use]
pub fn instant(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => {
            let millis = number.as_i64()?;
            (0..=LATEST_SECOND * 1000).contains(&millis).then(|| millis * 1000)
        }
        Value::String(text) => super::times::parse(text),
        _ => None,
    }
}

/// An id for an event without one, the hash of its text, so that importing it again is recognized.
#[must_use]
pub fn hash_of(raw: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(raw)))
}

/// A trace id: 32 hexadecimal digits that are not all zero, in lowercase.
#[must_use]
pub fn trace_id(id: &str) -> Option<String> {
    let is_one =
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0');
    is_one.then(|| id.to_ascii_lowercase())
}

/// Names, each once, in the order of their arrival.
#[must_use]
pub fn each_once<'v>(names: impl IntoIterator<Item = Cow<'v, str>>) -> Option<Vec<Cow<'v, str>>> {
    let mut seen = HashSet::new();
    let found: Vec<_> = names.into_iter().filter(|name| !name.is_empty() && seen.insert(name.clone())).collect();
    (!found.is_empty()).then_some(found)
}

/// `success` or `failure`, where the event tells.
#[must_use]
pub fn outcome(succeeded: Option<bool>) -> Option<Cow<'static, str>> {
    succeeded.map(|succeeded| Cow::Borrowed(if succeeded { "success" } else { "failure" }))
}

/// An IPv4 address without the port behind it; anything else as it is.
#[must_use]
pub fn without_port(address: Cow<'_, str>) -> Cow<'_, str> {
    match address.split_once(':') {
        Some((ip, port)) if ip.contains('.') && !port.contains(':') => Cow::Owned(ip.to_owned()),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_found_in_any_case() {
        let record = json!({"Outer": {"callerIP": "192.0.2.1", "callerIp": "192.0.2.2", "n": 7, "none": "unknown"}});
        assert_eq!(str(&record, &["outer", "callerIp"]), Some("192.0.2.2"));
        assert_eq!(str(&record, &["outer", "CALLERIP"]), Some("192.0.2.1"));
        assert_eq!(text(&record, &["outer", "N"]).as_deref(), Some("7"));
        assert_eq!(text(&record, &["outer", "none"]), None);
        assert_eq!(text(&record, &["outer", "n", "deeper"]), None);
    }

    #[test]
    fn instants_and_their_limits() {
        assert_eq!(instant(&json!(1_621_305_118_553_i64)), Some(1_621_305_118_553_000));
        assert_eq!(instant(&json!("2021-05-18T02:31:58.553Z")), Some(1_621_305_118_553_000));
        assert_eq!(seconds(&json!("1621305118")), Some(1_621_305_118_000_000));
        for none in [json!(-1), json!(i64::MAX), json!(1.5), json!("soon"), json!(null), json!([])] {
            assert_eq!((instant(&none), seconds(&none)), (None, None), "{none}");
        }
    }

    #[test]
    fn ports_go_and_addresses_stay() {
        for (given, kept) in
            [("192.0.2.1:443", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1")]
        {
            assert_eq!(without_port(given.into()), kept);
        }
    }
}
