//! What EXPLAIN ANALYZE shows of a trace operator, beside what it spilled.

use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, Time};

/// Of one partition.
#[derive(Debug, Clone)]
pub(super) struct TraceMetrics {
    pub(super) input_rows: Count,
    pub(super) traces: Count,
    /// Reading spans and bringing those of a trace together.
    pub(super) gather_time: Time,
    /// Looking at traces.
    pub(super) trace_time: Time,
}

impl TraceMetrics {
    pub(super) fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        Self {
            input_rows: MetricBuilder::new(metrics).counter("input_rows", partition),
            traces: MetricBuilder::new(metrics).counter("traces", partition),
            gather_time: MetricBuilder::new(metrics).subset_time("gather_time", partition),
            trace_time: MetricBuilder::new(metrics).subset_time("trace_time", partition),
        }
    }
}
