//! What is added up over many traces: in every partition by itself, then together.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, new_null_array,
};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::{Result, internal_err};

use super::columns::Computation;
use super::encode::AllNames;
use super::logical::Question;
use crate::attribution::clock_skew::{SkewSamples, rpc_pairs};
use crate::attribution::trace::{
    Calls, Code, Dependencies, DependencyStats, OperationShare, OperationStats, OperationTotals, Span, Tree,
};

/// A sum over traces.
#[derive(Debug)]
pub(super) enum Fold {
    Paths(Box<OperationStats>),
    Calls(Calls, Dependencies),
    Clocks(SkewSamples<Code>),
}

impl Fold {
    /// Nothing yet; quantiles are kept if the columns that are asked for need them.
    pub(super) fn new(question: &Question, names: &AllNames, uses: &dyn Fn(&str) -> bool) -> Self {
        let quantiles = uses("p50_nano") || uses("p99_nano");
        match question.computation {
            Computation::CriticalPathStats => {
                let service = question.service.as_ref().map(|name| names.services.encode(name));
                let operation = question.operation.as_ref().map(|name| names.seconds.encode(name));
                Self::Paths(Box::new(OperationStats::new(service, operation, quantiles)))
            }
            Computation::ServiceDependencies => {
                Self::Calls(Calls::default(), Dependencies::new(quantiles, uses("gap_p99_nano")))
            }
            Computation::SpanTree | Computation::ErrorOrigins => Self::Clocks(SkewSamples::default()),
        }
    }

    pub(super) fn look(&mut self, spans: &[Span], tree: &Tree) {
        match self {
            Self::Paths(stats) => stats.add(spans, tree),
            Self::Calls(calls, all) => calls.each(spans, tree, |call| all.add(&call)),
            Self::Clocks(samples) => {
                rpc_pairs(spans, tree, |pair| samples.add(&pair.client, &pair.server, &pair));
            }
        }
    }

    /// Bytes held, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Paths(stats) => stats.size(),
            Self::Calls(_, all) => all.size(),
            Self::Clocks(_) => 0,
        }
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Self::Paths(all), Self::Paths(other)) => all.merge(*other),
            (Self::Calls(_, all), Self::Calls(_, other)) => all.merge(other),
            (Self::Clocks(all), Self::Clocks(other)) => all.merge(other),
            _ => return internal_err!("partitions of a trace operator add up different things"),
        }
        Ok(())
    }

    /// The result; columns that nobody reads are null.
    pub(super) fn finish(
        self,
        names: &AllNames,
        schema: &SchemaRef,
        uses: &dyn Fn(&str) -> bool,
    ) -> Result<RecordBatch> {
        let (services, seconds) = (&names.services, &names.seconds);
        match self {
            Self::Paths(stats) => {
                let (totals, rows) = services.read(|services| seconds.read(|names| stats.finish(services, names)));
                assembled(schema, uses, rows.len(), |name| paths(&totals, &rows, name))
            }
            Self::Calls(_, all) => {
                let rows = services.read(|services| seconds.read(|peers| all.finish(services, peers)));
                assembled(schema, uses, rows.len(), |name| calls(&rows, name))
            }
            Self::Clocks(_) => internal_err!("clocks are no result"),
        }
    }
}

fn assembled(
    schema: &SchemaRef,
    uses: &dyn Fn(&str) -> bool,
    rows: usize,
    column: impl Fn(&str) -> Result<ArrayRef>,
) -> Result<RecordBatch> {
    let column = |field: &FieldRef| {
        if uses(field.name()) { column(field.name()) } else { Ok(new_null_array(field.data_type(), rows)) }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn int(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn double(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

fn count(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}

fn paths(totals: &OperationTotals, rows: &[OperationShare], name: &str) -> Result<ArrayRef> {
    let known = totals.unknown_weight < totals.requests;
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let unknown = share(totals.unknown_weight as f64, totals.requests as f64);
    let weighted = |row: &OperationShare| share(row.weighted_critical_path, totals.weighted_duration);
    let rows = || rows.iter();
    Ok(match name {
        "service_name" => text(rows().map(|row| row.service.as_deref())),
        "operation" => text(rows().map(|row| row.operation.as_deref())),
        "requests" => int(rows().map(|row| count(row.requests))),
        "spans" => int(rows().map(|row| count(row.spans))),
        "critical_path_nano" => int(rows().map(|row| i64::try_from(row.critical_path).ok())),
        "share" => double(rows().map(|row| Some(share(row.critical_path as f64, totals.duration as f64)))),
        "p50_nano" => int(rows().map(|row| row.p50)),
        "p99_nano" => int(rows().map(|row| row.p99)),
        "weighted_critical_path_nano" => double(rows().map(|row| known.then_some(row.weighted_critical_path))),
        "weighted_share" => double(rows().map(|row| known.then(|| weighted(row)))),
        "unknown_weight_requests" => int(rows().map(|row| count(row.unknown_weight))),
        "unknown_weight_share" => double(rows().map(|_| Some(unknown))),
        other => return internal_err!("critical paths have no column {other}"),
    })
}

fn calls(rows: &[DependencyStats], name: &str) -> Result<ArrayRef> {
    let rows = || rows.iter();
    Ok(match name {
        "caller" => text(rows().map(|row| row.caller.as_deref())),
        "callee" => text(rows().map(|row| row.callee.as_deref())),
        "calls" => int(rows().map(|row| count(row.calls))),
        "errors" => int(rows().map(|row| count(row.errors))),
        "p50_nano" => int(rows().map(|row| row.p50)),
        "p99_nano" => int(rows().map(|row| row.p99)),
        "gap_p99_nano" => int(rows().map(|row| row.gap_p99)),
        "is_external" => Arc::new(rows().map(|row| Some(row.is_external)).collect::<BooleanArray>()),
        other => return internal_err!("dependencies have no column {other}"),
    })
}
