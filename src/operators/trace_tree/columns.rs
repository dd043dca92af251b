//! Which columns of a relation are what of a span, and which columns each computation adds to them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::Result;

use crate::attribution::trace::Extent;
use crate::error::{UserError, sqlstate};
use crate::model::Column;
use crate::model::cell::{Bool, Double, Int, Text, TextList};

/// What is computed over the spans of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Computation {
    /// Every span, with its place in the tree of its trace.
    SpanTree,
    /// The failed spans none of which waited for another failed one.
    ErrorOrigins,
    /// Critical paths, by service and operation.
    CriticalPathStats,
    /// Calls, by caller and callee.
    ServiceDependencies,
}

/// What `span_tree` adds to a span.
pub static SPAN_TREE: &[Column] = crate::columns! {
    /// Edges between the span and its root.
    depth: Int,
    /// Span id of the root that it hangs below; its own for a root.
    root_span_id: Text,
    /// Service of that root.
    root_service: Text,
    /// Duration without the union of the children's intervals, each clamped to the span's own, nanoseconds.
    self_time_nano: Int,
    /// Nanoseconds of the critical path below the root that are the span's own.
    critical_path_nano: Int,
    /// Spans directly below.
    child_count: Int,
    /// The span names a parent that is not there (or itself, or a descendant), and is a root of its own.
    is_orphan: Bool,
    /// The span failed, and nothing that it waited for did.
    is_error_origin: Bool,
    /// By how much the clock of its instance is ahead of that of the root's; null when no calls connect them.
    clock_offset_nano: Int,
    /// By how much clock_offset_nano may be wrong, either way.
    clock_bound_nano: Int,
};

/// What `error_origins` adds to a span.
pub static ERROR_ORIGINS: &[Column] = crate::columns! {
    /// Failed spans above it that its error was passed on to.
    hops: Int,
    /// The other services that it was passed on to, upward, each change of service once, 64 at most.
    propagated_to: TextList,
    /// The last span upward that it was passed on to; its own id if to none.
    top_span_id: Text,
    /// The service of that span.
    top_service: Text,
    /// Whether it reached the root: the request as a whole failed.
    reached_root: Bool,
};

/// The columns of `critical_path_stats`.
pub static CRITICAL_PATH_STATS: &[Column] = crate::columns! {
    /// service.name.
    service_name: Text,
    /// Span name.
    operation: Text,
    /// Requests that had it on their critical path.
    requests: Int,
    /// Its spans on a critical path.
    spans: Int,
    /// Its own nanoseconds on the critical paths.
    critical_path_nano: Int,
    /// critical_path_nano as a share of the duration of all requests; the shares sum to 1.
    share: Double,
    /// Median of its nanoseconds among the requests that had it on their path.
    p50_nano: Int,
    /// 99th percentile of that.
    p99_nano: Int,
    /// critical_path_nano weighted by adjusted count; null when no weight is known.
    weighted_critical_path_nano: Double,
    /// The same as a share of the weighted duration of the requests of known weight; these shares sum to 1 too.
    weighted_share: Double,
    /// Of requests, how many have an unknown weight.
    unknown_weight_requests: Int,
    /// The share of all requests of the call whose weight is unknown.
    unknown_weight_share: Double,
};

/// The columns of `service_dependencies`.
pub static SERVICE_DEPENDENCIES: &[Column] = crate::columns! {
    /// Service that called.
    caller: Text,
    /// Service that was called; for an external call its peer service, null when the span names none.
    callee: Text,
    /// Calls that were traced.
    calls: Int,
    /// Of which either side says that they failed.
    errors: Int,
    /// Median duration as the caller saw it, nanoseconds; as the callee saw it where the caller has no span.
    p50_nano: Int,
    /// 99th percentile of that.
    p99_nano: Int,
    /// 99th percentile of client duration minus server duration: network and queues; null without both sides.
    gap_p99_nano: Int,
    /// Only the calling side has a span.
    is_external: Bool,
};

/// Columns that a relation has to have. Of the last two one is enough.
const REQUIRED: [&str; 6] = ["trace_id", "span_id", "parent_span_id", "duration_nano", "start_unix_nano", "start_time"];

/// Those that are times.
const TIMES: [&str; 3] = ["duration_nano", "start_unix_nano", "start_time"];

/// Those that the tree of a trace depends on, if they are there: they tell spans with one id apart.
const TREE: [&str; 2] = ["span_kind", "service_name"];

impl Computation {
    /// Whether rows of the relation come out again, with columns added.
    #[must_use]
    pub fn keeps_rows(self) -> bool {
        matches!(self, Self::SpanTree | Self::ErrorOrigins)
    }

    /// The columns that are computed.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::SpanTree => SPAN_TREE,
            Self::ErrorOrigins => ERROR_ORIGINS,
            Self::CriticalPathStats => CRITICAL_PATH_STATS,
            Self::ServiceDependencies => SERVICE_DEPENDENCIES,
        }
    }

    /// The schema over a relation.
    ///
    /// # Errors
    /// When the relation lacks a column, or has one of the name of a computed one.
    pub fn schema(self, input: &Schema) -> Result<SchemaRef> {
        for name in REQUIRED.iter().filter(|name| !name.starts_with("start_")) {
            if input.column_with_name(name).is_none() {
                return Err(missing(name).into());
            }
        }
        if !REQUIRED.iter().any(|name| name.starts_with("start_") && input.column_with_name(name).is_some()) {
            return Err(missing("start_unix_nano").into());
        }
        for (name, data_type) in
            TIMES.iter().filter_map(|name| Some((name, input.field_with_name(name).ok()?.data_type())))
        {
            use DataType::{Duration, Null, Timestamp};
            if !(data_type.is_integer() || matches!(data_type, Duration(_) | Null | Timestamp(..))) {
                let what = format!("column {name} of the relation of spans cannot be of type {data_type}");
                return Err(UserError::new(sqlstate::DATATYPE_MISMATCH, what)
                    .hint("nanoseconds are integers: CAST (… AS bigint); or give a timestamp")
                    .into());
            }
        }
        let own: &[FieldRef] = if self.keeps_rows() { input.fields() } else { &[] };
        // An id of the relation is of its type there.
        let id_type = input.field_with_name("span_id").map(Field::data_type);
        let computed = self.columns().iter().map(|column| match id_type {
            Ok(id_type) if column.name.ends_with("span_id") => Field::new(column.name, id_type.clone(), true),
            _ => Field::new(column.name, (column.data_type)(), true),
        });
        let computed: Fields = computed.collect();
        if let Some(twice) = computed.iter().find(|field| own.iter().any(|known| known.name() == field.name())) {
            return Err(UserError::new("42701", format!("column {} is there already", twice.name()))
                .detail("It is computed, and the relation of spans has a column of that name.")
                .hint("leave the column out of the relation, or give it another name there")
                .into());
        }
        Ok(Arc::new(Schema::new(own.iter().chain(computed.iter()).cloned().collect::<Fields>())))
    }

    /// The columns of spans that some of the computed columns depend on; `uses` says which are asked for.
    #[must_use]
    pub fn needs(self, uses: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
        let mut names: Vec<&str> = REQUIRED.into_iter().chain(TREE).collect();
        let clocks = self == Self::SpanTree && (uses("clock_offset_nano") || uses("clock_bound_nano"));
        let errors = match self {
            Self::SpanTree => uses("is_error_origin"),
            Self::ErrorOrigins => true,
            Self::ServiceDependencies => uses("errors"),
            Self::CriticalPathStats => false,
        };
        let weights =
            ["weighted_critical_path_nano", "weighted_share", "unknown_weight_requests", "unknown_weight_share"];
        let others = [
            ("status_code", errors),
            ("service_instance_id", clocks),
            ("span_name", self == Self::CriticalPathStats),
            ("peer_service", self == Self::ServiceDependencies),
            ("adjusted_count", self == Self::CriticalPathStats && weights.iter().any(|name| uses(name))),
        ];
        names.extend(others.into_iter().filter_map(|(name, needed)| needed.then_some(name)));
        names
    }
}

/// How much of the tree of a trace the columns of `span_tree` depend on.
pub(super) fn extent(uses: &dyn Fn(&str) -> bool) -> Extent {
    let whole = ["root_span_id", "root_service", "depth", "critical_path_nano", "is_error_origin"];
    let children = ["self_time_nano", "child_count"];
    match () {
        () if whole.into_iter().any(uses) => Extent::Whole,
        () if children.into_iter().any(uses) => Extent::Children,
        () => Extent::Parents,
    }
}

fn missing(name: &str) -> UserError {
    UserError::new(sqlstate::UNDEFINED_COLUMN, format!("the relation of spans has no column {name}"))
        .detail(
            "It needs trace_id, span_id, parent_span_id, duration_nano, and start_unix_nano or start_time; it may have \
             service_name, span_name, span_kind, status_code, service_instance_id, peer_service and adjusted_count.",
        )
        .hint("a subquery can give columns these names: (SELECT trace AS trace_id, … FROM …)")
}
