//! Hoisting: which attributes have a column of their own.
//!
//! An attribute whose value went to a column is removed from the map, and only that one: where a record carries both a
//! current and an older key for the same column, the current key wins and the older one stays in the map.

use std::borrow::Cow;

use super::{DROPPED_ATTRIBUTES, MAX_ATTRIBUTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, clip};
use crate::model::Attributes;
use crate::model::telemetry::SpanRow;

/// A column that an attribute can fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// service.name.
    ServiceName,
    /// service.namespace.
    ServiceNamespace,
    /// service.version.
    ServiceVersion,
    /// service.instance.id.
    ServiceInstance,
    /// deployment.environment.name, deployment.environment.
    Environment,
    /// tenant.id and what senders call it.
    Tenant,
    /// user.id, enduser.id.
    User,
    /// service.peer.name, peer.service.
    Peer,
    /// http.route.
    Route,
    /// `http.response.status_code`, `http.status_code`.
    HttpStatus,
    /// error.type.
    ErrorType,
    /// event.name, which older senders of logs have as an attribute.
    EventName,
}

const COLUMNS: usize = 12;

/// A set of columns that the attributes of one kind of record may fill.
#[derive(Debug, Clone, Copy)]
pub struct ColumnSet(u16);

impl ColumnSet {
    /// The set of these.
    #[must_use]
    pub const fn of(columns: &[Column]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < columns.len() {
            bits |= 1 << columns[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    fn has(self, column: Column) -> bool {
        self.0 & (1 << column as u16) != 0
    }
}

/// Columns that the resource of spans fills.
pub const SPAN_RESOURCE: ColumnSet = ColumnSet::of(&[
    Column::ServiceName,
    Column::ServiceNamespace,
    Column::ServiceVersion,
    Column::ServiceInstance,
    Column::Environment,
    Column::Tenant,
]);

/// Columns that the attributes of a span fill.
pub const SPAN: ColumnSet =
    ColumnSet::of(&[Column::Tenant, Column::User, Column::Peer, Column::Route, Column::HttpStatus, Column::ErrorType]);

/// Columns that the resource of logs fills.
pub const LOG_RESOURCE: ColumnSet =
    ColumnSet::of(&[Column::ServiceName, Column::ServiceVersion, Column::Environment, Column::Tenant]);

/// Columns that the attributes of a log record fill.
pub const LOG: ColumnSet = ColumnSet::of(&[Column::Tenant, Column::EventName]);

/// Columns that the resource of metrics fills.
pub const METRIC_RESOURCE: ColumnSet = ColumnSet::of(&[Column::ServiceName, Column::Environment, Column::Tenant]);

/// Columns that the attributes of a metric point fill.
pub const METRIC: ColumnSet = ColumnSet::of(&[Column::Tenant]);

/// The column of a key and the rank of the key among those of the column, 0 being the current convention.
fn column_of(key: &str) -> Option<(Column, u8)> {
    Some(match key {
        "service.name" => (Column::ServiceName, 0),
        "service.namespace" => (Column::ServiceNamespace, 0),
        "service.version" => (Column::ServiceVersion, 0),
        "service.instance.id" => (Column::ServiceInstance, 0),
        "deployment.environment.name" => (Column::Environment, 0),
        "deployment.environment" => (Column::Environment, 1),
        "tenant.id" => (Column::Tenant, 0),
        "tenant_id" => (Column::Tenant, 1),
        "tenantId" => (Column::Tenant, 2),
        "tenant" => (Column::Tenant, 3),
        "user.id" => (Column::User, 0),
        "enduser.id" => (Column::User, 1),
        "service.peer.name" => (Column::Peer, 0),
        "peer.service" => (Column::Peer, 1),
        "http.route" => (Column::Route, 0),
        "http.response.status_code" => (Column::HttpStatus, 0),
        "http.status_code" => (Column::HttpStatus, 1),
        "error.type" => (Column::ErrorType, 0),
        "event.name" => (Column::EventName, 0),
        _ => return None,
    })
}

#[derive(Debug, Clone)]
struct Slot<'a> {
    rank: u8,
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

/// Attributes sorted into columns and the rest.
#[derive(Debug, Clone)]
pub struct Sorted<'a> {
    set: ColumnSet,
    slots: [Option<Slot<'a>>; COLUMNS],
    rest: Attributes<'a>,
    dropped: u64,
}

impl<'a> Sorted<'a> {
    /// Nothing yet; `capacity` attributes are expected.
    #[must_use]
    pub fn new(set: ColumnSet, capacity: usize) -> Self {
        let rest = Vec::with_capacity(capacity.min(MAX_ATTRIBUTES));
        Self { set, slots: [const { None }; COLUMNS], rest, dropped: 0 }
    }

    /// Add one attribute; a later one of the same key replaces it.
    pub fn add(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (key, value) = (key.into(), clip(value.into(), MAX_VALUE_BYTES));
        let Some((column, rank)) = column_of(&key).filter(|(column, _)| self.set.has(*column)) else {
            return self.keep(key, value);
        };
        let unusable = value.is_empty() || (column == Column::HttpStatus && value.parse::<i32>().is_err());
        let Some(slot) = self.slots.get_mut(column as usize).filter(|_| !unusable) else {
            return self.keep(key, value);
        };
        match slot {
            Some(taken) if taken.rank < rank => self.keep(key, value),
            taken => {
                let displaced = taken.replace(Slot { rank, key, value });
                if let Some(older) = displaced.filter(|older| older.rank > rank) {
                    self.keep(older.key, older.value);
                }
            }
        }
    }

    fn keep(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        if key.is_empty() || key.len() > MAX_KEY_BYTES || self.rest.len() >= MAX_ATTRIBUTES {
            self.dropped += 1;
            return;
        }
        self.rest.push((key, value));
    }

    /// Add one attribute to the map even if its key has a column.
    pub fn add_to_rest(&mut self, key: impl Into<Cow<'a, str>>, value: Cow<'a, str>) {
        self.keep(key.into(), value);
    }

    /// Count attributes that the sender dropped.
    pub fn add_dropped(&mut self, count: u64) {
        self.dropped = self.dropped.saturating_add(count);
    }

    /// The value of a column, for a row that lives shorter than the attributes.
    #[must_use]
    pub fn get(&self, column: Column) -> Option<Cow<'_, str>> {
        let slot = self.slots.get(column as usize)?.as_ref()?;
        Some(Cow::Borrowed(&slot.value))
    }

    /// The value of a column, taken out.
    pub fn take(&mut self, column: Column) -> Option<Cow<'a, str>> {
        Some(self.slots.get_mut(column as usize)?.take()?.value)
    }

    /// What has no column, for a row that lives shorter than the attributes.
    #[must_use]
    pub fn rest(&self) -> Attributes<'_> {
        let mut rest: Attributes<'_> =
            self.rest.iter().map(|(key, value)| (Cow::Borrowed(&**key), Cow::Borrowed(&**value))).collect();
        rest.extend(dropped_attribute(self.dropped));
        rest
    }

    /// A row of `spans` with the columns that attributes give: the span's own, taken out, and those of its resource.
    pub fn take_span<'row>(&mut self, resource: &'row Sorted<'_>) -> SpanRow<'row>
    where
        'a: 'row,
    {
        SpanRow {
            service_name: resource.get(Column::ServiceName),
            service_namespace: resource.get(Column::ServiceNamespace),
            service_version: resource.get(Column::ServiceVersion),
            service_instance_id: resource.get(Column::ServiceInstance),
            environment: resource.get(Column::Environment),
            tenant_id: self.take(Column::Tenant).or_else(|| resource.get(Column::Tenant)),
            user_id: self.take(Column::User),
            peer_service: self.take(Column::Peer),
            http_route: self.take(Column::Route),
            http_response_status_code: self.take(Column::HttpStatus).and_then(|code| code.parse().ok()),
            error_type: self.take(Column::ErrorType),
            ..SpanRow::default()
        }
    }

    /// What has no column.
    #[must_use]
    pub fn into_rest(mut self) -> Attributes<'a> {
        self.rest.extend(dropped_attribute(self.dropped));
        self.rest
    }
}

fn dropped_attribute<'a>(count: u64) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    (count > 0).then(|| (Cow::Borrowed(DROPPED_ATTRIBUTES), Cow::Owned(count.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_key_wins_and_the_older_one_stays_in_the_map() {
        for order in [[0, 1], [1, 0]] {
            let pairs = [("deployment.environment", "old"), ("deployment.environment.name", "new")];
            let mut sorted = Sorted::new(SPAN_RESOURCE, 2);
            for at in order {
                sorted.add(pairs[at].0, pairs[at].1);
            }
            assert_eq!(sorted.get(Column::Environment).as_deref(), Some("new"));
            assert_eq!(sorted.rest(), vec![("deployment.environment".into(), "old".into())]);
        }
    }

    #[test]
    fn a_later_value_of_the_same_key_replaces_the_earlier() {
        let mut sorted = Sorted::new(SPAN, 2);
        sorted.add("user.id", "1");
        sorted.add("user.id", "2");
        assert_eq!(sorted.take(Column::User).as_deref(), Some("2"));
        assert!(sorted.into_rest().is_empty());
    }

    #[test]
    fn a_status_that_is_no_number_and_columns_of_other_records_stay_in_the_map() {
        let mut sorted = Sorted::new(SPAN, 2);
        sorted.add("http.status_code", "teapot");
        sorted.add("service.name", "not a resource");
        assert_eq!(sorted.get(Column::HttpStatus), None);
        assert_eq!(sorted.get(Column::ServiceName), None);
        assert_eq!(sorted.rest().len(), 2);
    }

    #[test]
    fn what_exceeds_the_limits_is_counted() {
        let mut sorted = Sorted::new(METRIC, 0);
        for at in 0..MAX_ATTRIBUTES + 3 {
            sorted.add(format!("k{at}"), "v");
        }
        sorted.add("k".repeat(MAX_KEY_BYTES + 1), "v");
        sorted.add_dropped(5);
        let rest = sorted.into_rest();
        assert_eq!(rest.len(), MAX_ATTRIBUTES + 1);
        assert_eq!(rest.last(), Some(&(DROPPED_ATTRIBUTES.into(), "9".into())));
        let mut sorted = Sorted::new(METRIC, 0);
        sorted.add("k", "v".repeat(MAX_VALUE_BYTES + 1));
        assert_eq!(sorted.rest()[0].1.len(), MAX_VALUE_BYTES);
    }
}
