//! The logical node of an ASOF join.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef, JoinType, Result, internal_err};
use datafusion::logical_expr::logical_plan::builder::build_join_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// For each row of the left side the nearest one of the right.
#[derive(Debug, Clone)]
pub struct AsofJoin {
    pub(super) left: LogicalPlan,
    pub(super) right: LogicalPlan,
    /// A comparison of the two sides' times.
    pub(super) condition: Expr,
    /// Equalities between the two sides.
    pub(super) on: Vec<Expr>,
    /// Further conditions on a pair.
    pub(super) filters: Vec<Expr>,
    /// Left rows that match nothing are dropped.
    pub(super) inner: bool,
    schema: DFSchemaRef,
}

impl AsofJoin {
    pub(super) fn try_new(
        left: LogicalPlan,
        right: LogicalPlan,
        condition: Expr,
        on: Vec<Expr>,
        filters: Vec<Expr>,
        inner: bool,
    ) -> Result<Self> {
        let kind = if inner { JoinType::Inner } else { JoinType::Left };
        let schema = Arc::new(build_join_schema(left.schema(), right.schema(), &kind)?);
        Ok(Self { left, right, condition, on, filters, inner, schema })
    }

    pub(super) fn is_of_left(&self, expression: &Expr) -> bool {
        is_of(expression, self.left.schema())
    }

    pub(super) fn is_of_right(&self, expression: &Expr) -> bool {
        is_of(expression, self.right.schema())
    }

    fn key(&self) -> (&LogicalPlan, &LogicalPlan, &Expr, &[Expr], &[Expr], bool) {
        (&self.left, &self.right, &self.condition, &self.on, &self.filters, self.inner)
    }
}

/// Whether an expression reads columns, and only those of a schema.
pub(super) fn is_of(expression: &Expr, schema: &DFSchema) -> bool {
    let columns = expression.column_refs();
    !columns.is_empty() && columns.iter().all(|column| schema.has_column(column))
}

impl PartialEq for AsofJoin {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for AsofJoin {}

impl PartialOrd for AsofJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.key().partial_cmp(&other.key())
    }
}

impl Hash for AsofJoin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for AsofJoin {
    fn name(&self) -> &'static str {
        "AsofJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        [&self.condition].into_iter().chain(&self.on).chain(&self.filters).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |expressions: &[Expr]| expressions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let kind = if self.inner { "Inner" } else { "Left" };
        write!(f, "AsofJoin: {kind}, match=[{}]", self.condition)?;
        if !self.on.is_empty() {
            write!(f, ", on=[{}]", list(&self.on))?;
        }
        if !self.filters.is_empty() {
            write!(f, ", filter=[{}]", list(&self.filters))?;
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, mut expressions: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([left, right]) = <[LogicalPlan; 2]>::try_from(inputs) else {
            return internal_err!("an ASOF join has two inputs");
        };
        if expressions.len() != 1 + self.on.len() + self.filters.len() {
            return internal_err!("an ASOF join has {} expressions", 1 + self.on.len() + self.filters.len());
        }
        // A rule that turns a comparison around gives it the name that it had.
        expressions = expressions.into_iter().map(Expr::unalias).collect();
        let filters = expressions.split_off(1 + self.on.len());
        let on = expressions.split_off(1);
        let condition = expressions.pop().unwrap_or_else(|| self.condition.clone());
        Self::try_new(left, right, condition, on, filters, self.inner)
    }

    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.left.schema().fields().len();
        let (left, right): (Vec<usize>, Vec<usize>) = output.iter().partition(|at| **at < width);
        Some(vec![left, right.into_iter().map(|at| at - width).collect()])
    }
}
