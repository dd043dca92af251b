//! The shapes of Zipkin's JSON, version 2.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny};

use crate::ingest::telemetry::scalar::{Scalar, list, nullable};

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let scalar = Scalar::deserialize(deserializer)?;
    if scalar.is_null() {
        return Ok(None);
    }
    scalar.as_i64().map(Some).ok_or_else(|| Error::custom("not a number"))
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let tags: Option<BTreeMap<String, Scalar<'de>>> = Option::deserialize(deserializer)?;
    Ok(tags.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_text().into_owned())).collect())
}

/// A span.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Span {
    #[serde(deserialize_with = "nullable")]
    pub trace_id: String,
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub parent_id: String,
    #[serde(deserialize_with = "nullable")]
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "time")]
    pub timestamp: Option<i64>,
    #[serde(deserialize_with = "time")]
    pub duration: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub shared: bool,
    #[serde(deserialize_with = "nullable")]
    pub local_endpoint: Endpoint,
    #[serde(deserialize_with = "nullable")]
    pub remote_endpoint: Endpoint,
    #[serde(deserialize_with = "list")]
    pub annotations: Vec<Annotation>,
    #[serde(deserialize_with = "texts")]
    pub tags: BTreeMap<String, String>,
    /// Only in version 1.
    pub binary_annotations: Option<IgnoredAny>,
}

/// One side of a call.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    #[serde(deserialize_with = "nullable")]
    pub service_name: String,
    #[serde(deserialize_with = "nullable")]
    pub ipv4: String,
    #[serde(deserialize_with = "nullable")]
    pub ipv6: String,
    #[serde(deserialize_with = "time")]
    pub port: Option<i64>,
}

impl Endpoint {
    /// The address, of whichever version.
    pub fn address(&self) -> &str {
        if self.ipv4.is_empty() { &self.ipv6 } else { &self.ipv4 }
    }
}

/// Something that happened during a span.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Annotation {
    #[serde(deserialize_with = "time")]
    pub timestamp: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub value: String,
}
