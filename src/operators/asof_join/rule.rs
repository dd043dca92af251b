//! Filters above an ASOF join: which of them its left side can check.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Extension, Filter, LogicalPlan, Operator};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::logical::AsofJoin;

/// Pushes conditions on the left side below the join. Those on the right side have to stay: they would change which row
/// is the nearest. But if one of them is false of a row of nulls, left rows that match nothing need not be kept.
#[derive(Debug, Default)]
pub struct PushFiltersThroughAsofJoins;

impl OptimizerRule for PushFiltersThroughAsofJoins {
    fn name(&self) -> &'static str {
        "push_filters_through_asof_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let LogicalPlan::Extension(extension) = filter.input.as_ref() else { return Ok(Transformed::no(plan)) };
        let Some(join) = extension.node.as_any().downcast_ref::<AsofJoin>() else { return Ok(Transformed::no(plan)) };
        let (below, above): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(filter.predicate.clone())
            .into_iter()
            .partition(|condition| join.is_of_left(condition) && !condition.is_volatile());
        let inner = join.inner || above.iter().any(|condition| rejects_nulls(condition, join));
        if below.is_empty() && inner == join.inner {
            return Ok(Transformed::no(plan));
        }
        let left = match conjunction(below) {
            Some(below) => LogicalPlan::Filter(Filter::try_new(below, Arc::new(join.left.clone()))?),
            None => join.left.clone(),
        };
        let AsofJoin { right, condition, on, filters, .. } = join.clone();
        let join = AsofJoin::try_new(left, right, condition, on, filters, inner)?;
        let join = LogicalPlan::Extension(Extension { node: Arc::new(join) });
        Ok(Transformed::yes(match conjunction(above) {
            Some(above) => LogicalPlan::Filter(Filter::try_new(above, Arc::new(join))?),
            None => join,
        }))
    }
}

/// Whether a condition surely is not true of a row that the join has filled with nulls on the right.
fn rejects_nulls(condition: &Expr, join: &AsofJoin) -> bool {
    let column = |expression: &Expr| matches!(expression, Expr::Column(_)) && join.is_of_right(expression);
    match condition {
        Expr::IsNotNull(inner) => column(inner),
        Expr::BinaryExpr(binary) => {
            use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
            matches!(binary.op, Eq | NotEq | Lt | LtEq | Gt | GtEq) && (column(&binary.left) || column(&binary.right))
        }
        _ => false,
    }
}
