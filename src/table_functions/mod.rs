//! Attribution-specific table functions: one file each, one line in [`all`].
//!
//! A function says its arguments and columns in a [`Signature`] and computes its rows in [`TableFunction::run`], which
//! runs when the query does, not when it is planned. Arguments may be given by name or position, as literals,
//! expressions, `$1` parameters or subqueries; they are values by the time `run` sees them.

mod access_attribution;
mod allocate_cost;
mod allocation_check;
mod arguments;
mod arrays;
mod assume_role_chain;
mod attribute_incident;
mod billing;
mod call;
mod critical_path;
mod critical_path_stats;
mod deploy_impact;
mod error_origin;
mod error_origins;
mod evidence;
mod exec;
mod incident_services;
mod incident_visits;
mod incidents;
pub mod owners;
mod planner;
mod recent_changes;
mod service_dependencies;
mod sessions;
mod span_tree;
mod trace_tree;
mod traces;
mod version_changes;

use std::fmt::Debug;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use datafusion::execution::SendableRecordBatchStream;

use crate::dialect::encode::oid;
use crate::error::{Result, UserError, sqlstate};
use crate::model::{Column, RowBuilder};
use crate::operators::trace_tree::Computation;

pub use call::{Call, timestamp};
pub use planner::{FunctionPlanner, ResolveTableFunctions};
pub use traces::PlanTraceFunctions;

/// Type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentType {
    /// `text`.
    Text,
    /// `timestamptz`.
    Time,
    /// `interval`.
    Interval,
    /// `bigint`.
    Int,
    /// `double precision`.
    Double,
}

impl ArgumentType {
    /// The Arrow type that an argument is cast to.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
        }
    }

    /// The OID of the type.
    #[must_use]
    pub fn oid(self) -> u32 {
        match self {
            Self::Text => oid::TEXT,
            Self::Time => oid::TIMESTAMPTZ,
            Self::Interval => oid::INTERVAL,
            Self::Int => oid::INT8,
            Self::Double => oid::FLOAT8,
        }
    }

    /// The SQL name of the type.
    #[must_use]
    pub fn sql_name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Time => "timestamptz",
            Self::Interval => "interval",
            Self::Int => "bigint",
            Self::Double => "double precision",
        }
    }
}

/// One argument of a table function.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Names that it may be given by; the first is the one that is shown.
    pub names: &'static [&'static str],
    /// Type.
    pub kind: ArgumentType,
    /// Whether it must be given and not be null.
    pub required: bool,
    /// What it means, and its default.
    pub doc: &'static str,
}

impl Argument {
    /// The name that is shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

/// Name, arguments, columns and documentation of a table function.
#[derive(Debug)]
pub struct Signature {
    /// SQL name.
    pub name: &'static str,
    /// What it answers, one line an element.
    pub doc: &'static [&'static str],
    /// Arguments in order.
    pub arguments: &'static [Argument],
    /// Columns of the result in order.
    pub columns: &'static [Column],
    /// A statement that shows its use.
    pub example: &'static str,
}

impl Signature {
    /// The schema of the result. It does not depend on argument values, so that a prepared statement can be described.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|column| Field::new(column.name, (column.data_type)(), true)).collect();
        std::sync::Arc::new(Schema::new(fields))
    }

    /// The documentation as one line.
    #[must_use]
    pub fn comment(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The arguments as `\df` shows them.
    #[must_use]
    pub fn argument_list(&self) -> String {
        let show = |argument: &Argument| {
            let default = if argument.required { "" } else { " DEFAULT NULL" };
            format!("{} {}{default}", argument.name(), argument.kind.sql_name())
        };
        self.arguments.iter().map(show).collect::<Vec<_>>().join(", ")
    }
}

/// A table function.
#[async_trait]
pub trait TableFunction: Debug + Send + Sync {
    /// What it is called and what it returns.
    fn signature(&self) -> &'static Signature;

    /// Compute the rows, as batches of [`Signature::schema`].
    ///
    /// # Errors
    /// When an argument has a value that it cannot have, or a query that the function makes fails.
    async fn run(&self, call: Call) -> Result<SendableRecordBatchStream> {
        Err(UserError::new(sqlstate::INTERNAL, format!("{} is computed by an operator", call.name())).into())
    }

    /// What it computes over whole traces, if that is all it does: it is an operator of the plan then instead of being
    /// run, and may be given another relation than the lake's spans as its first argument.
    fn computation(&self) -> Option<Computation> {
        None
    }
}

/// Every table function, in the order in which documentation shows them.
#[must_use]
pub fn all() -> Vec<&'static dyn TableFunction> {
    vec![
        &span_tree::SpanTree,
        &trace_tree::TraceTree,
        &critical_path::CriticalPathOf,
        &critical_path_stats::CriticalPathStats,
        &service_dependencies::ServiceDependencies,
        &error_origin::ErrorOrigin,
        &error_origins::ErrorOrigins,
        &allocate_cost::AllocateCost,
        &allocation_check::AllocationCheck,
        &assume_role_chain::AssumeRoleChain,
        &access_attribution::AccessAttribution,
        &version_changes::VersionChanges,
        &recent_changes::RecentChanges,
        &attribute_incident::AttributeIncident,
        &evidence::EvidenceOf,
        &incident_services::IncidentServices,
        &incident_visits::IncidentVisits,
        &deploy_impact::DeployImpact,
    ]
}

/// The table function of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn TableFunction> {
    all().into_iter().find(|function| function.signature().name == name)
}

/// What a builder collected, without the columns that only stored tables have.
fn own_columns(rows: &mut impl RowBuilder) -> Result<RecordBatch> {
    let batch = rows.finish("", 0);
    let own: Vec<usize> = (0..batch.num_columns().saturating_sub(2)).collect();
    Ok(batch.project(&own)?)
}
