//! The logical node of a computation over the traces of a relation.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::{DFSchema, DFSchemaRef, Result, TableReference, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use parking_lot::Mutex;

use super::columns::Computation;

/// What is asked of the traces of a relation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The function that asks.
    pub name: &'static str,
    /// What is computed.
    pub computation: Computation,
    /// The traces whose root starts at or after the first and before the second time, microseconds since the epoch.
    pub window: Option<(i64, i64)>,
    /// The traces that this service took part in; for `critical_path_stats`, paths begin at it.
    pub service: Option<String>,
    /// For `critical_path_stats`, paths begin at this operation.
    pub operation: Option<String>,
}

impl Question {
    /// A question about all traces.
    #[must_use]
    pub fn about_all(name: &'static str, computation: Computation) -> Self {
        Self { name, computation, window: None, service: None, operation: None }
    }

    /// Whether a trace whose root starts at this time (nanoseconds since the epoch) is asked for.
    #[must_use]
    pub fn contains(&self, root_start: i64) -> bool {
        let micros = root_start.div_euclid(1000);
        self.window.is_none_or(|(from, to)| from <= micros && micros < to)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        let time = |micros: i64| {
            chrono::DateTime::from_timestamp_micros(micros)
                .map_or_else(|| micros.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string())
        };
        if let Some((from, to)) = self.window {
            write!(f, ", roots=[{}, {})", time(from), time(to))?;
        }
        for (name, value) in [("service", &self.service), ("operation", &self.operation)] {
            if let Some(value) = value {
                write!(f, ", {name}={value}")?;
            }
        }
        Ok(())
    }
}

/// Computes something over the whole traces of its input.
#[derive(Debug, Clone)]
pub struct TraceTree {
    pub(super) input: Arc<LogicalPlan>,
    /// What is asked.
    pub question: Question,
    schema: DFSchemaRef,
    /// The columns that somebody above the node reads, once the optimizer has told. It tells no node but by asking it
    /// what it needs itself; of two readers of one node it tells one after the other.
    asked: Arc<Mutex<Option<BTreeSet<String>>>>,
}

impl TraceTree {
    /// A node over spans.
    ///
    /// # Errors
    /// When a column is missing.
    pub fn try_new(input: Arc<LogicalPlan>, question: Question) -> Result<Self> {
        Self::with_asked(input, question, Arc::default())
    }

    fn with_asked(
        input: Arc<LogicalPlan>,
        question: Question,
        asked: Arc<Mutex<Option<BTreeSet<String>>>>,
    ) -> Result<Self> {
        let schema = question.computation.schema(input.schema().as_arrow())?;
        let schema = DFSchema::try_from_qualified_schema(TableReference::bare(question.name), &schema)?;
        Ok(Self { input, question, schema: Arc::new(schema), asked })
    }

    /// Whether somebody reads a computed column.
    pub(super) fn asked(&self) -> Option<BTreeSet<String>> {
        self.asked.lock().clone()
    }

    fn own(&self) -> &Schema {
        self.input.schema().as_arrow()
    }

    fn key(&self) -> (&LogicalPlan, &Question) {
        (&self.input, &self.question)
    }
}

impl PartialEq for TraceTree {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for TraceTree {}

impl PartialOrd for TraceTree {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.key().partial_cmp(&other.key())
    }
}

impl Hash for TraceTree {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for TraceTree {
    fn name(&self) -> &'static str {
        "TraceTree"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    /// A condition on spans would take them out of their trees, and below the node columns have other qualifiers.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceTree: {}", self.question)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Self::with_asked(Arc::new(input), self.question.clone(), Arc::clone(&self.asked)),
            _ => internal_err!("a trace operator has one input"),
        }
    }

    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        let names: Vec<&str> =
            output.iter().filter_map(|at| self.schema.fields().get(*at)).map(|field| field.name().as_str()).collect();
        self.asked.lock().get_or_insert_default().extend(names.iter().map(|name| (*name).to_owned()));
        let needs = self.question.computation.needs(&|name| names.contains(&name));
        let own = self.own().fields().iter().enumerate();
        let passed_on = |at: usize| self.question.computation.keeps_rows() && output.contains(&at);
        let needed = own.filter(|(at, field)| passed_on(*at) || needs.contains(&field.name().as_str()));
        Some(vec![needed.map(|(at, _)| at).collect()])
    }
}
