//! What the three signals have in common: records below a scope below a resource.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use serde::de::DeserializeOwned;

use super::value::{add_all, text_of};
use crate::ingest::Output;
use crate::ingest::telemetry::columns::{ColumnSet, Sorted};
use crate::model::Attributes;

/// A span, a log record or a metric.
pub trait Record: prost::Message + Default {
    /// How exporters write it in JSON.
    type Json: DeserializeOwned + Into<Self>;
    /// Columns that its resource fills.
    const RESOURCE: ColumnSet;
    /// What people call it, in reasons of rejections.
    const NAME: &'static str;
    /// Names of the list of scopes in JSON, the current one first.
    const JSON_SCOPES: [&'static [u8]; 4];
    /// Names of the list of records in JSON.
    const JSON_RECORDS: [&'static [u8]; 2];

    /// The records that one in JSON is made of, where it is made of several and as a whole is malformed.
    #[must_use]
    fn parts_of_json(_text: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// The same of one in Protocol Buffers.
    #[must_use]
    fn parts_of_protobuf(_bytes: &[u8]) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Append its rows, or reject it.
    fn land(&self, resource: &Sorted<'_>, scope: &Scope<'_>, output: &mut Output<'_>);
}

/// The attributes of a resource, sorted for the rows of a kind of record.
#[must_use]
pub fn resource_of<R: Record>(attributes: &[KeyValue]) -> Sorted<'_> {
    let mut sorted = Sorted::new(R::RESOURCE, attributes.len());
    add_all(&mut sorted, attributes);
    sorted
}

/// What an instrumentation scope adds to its records: its name, and attributes `otel.scope.version` and
/// `otel.scope.<attribute>`.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    /// Name of the scope, if it has one.
    pub name: Option<&'a str>,
    /// Attributes that every record of the scope gets.
    pub attributes: Attributes<'a>,
}

impl<'a> Scope<'a> {
    /// Of the message.
    #[must_use]
    pub fn of(scope: &'a InstrumentationScope) -> Self {
        let mut attributes = Vec::new();
        if !scope.version.is_empty() {
            attributes.push((Cow::Borrowed("otel.scope.version"), Cow::Borrowed(scope.version.as_str())));
        }
        for attribute in &scope.attributes {
            let key = Cow::Owned(format!("otel.scope.{}", attribute.key));
            attributes.push((key, text_of(attribute.value.as_ref())));
        }
        Self { name: Some(scope.name.as_str()).filter(|name| !name.is_empty()), attributes }
    }

    /// Add the attributes to those of a record.
    pub fn add_to<'b>(&'b self, sorted: &mut Sorted<'b>) {
        for (key, value) in &self.attributes {
            sorted.add(&**key, &**value);
        }
    }

    /// The same with `otel.scope.name`, for tables that have no column for it.
    pub fn add_named_to<'b>(&'b self, sorted: &mut Sorted<'b>) {
        if let Some(name) = self.name {
            sorted.add("otel.scope.name", name);
        }
        self.add_to(sorted);
    }
}
