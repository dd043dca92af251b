//! Conditions that cannot fail on a row, whatever is in it. Only they go down into a scan: there a failure loses its
//! SQLSTATE on the way through the reader of files, and of a row that a policy hides it would tell a value.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};

/// Whether this part of a condition, its own parts left aside, does nothing but compare.
pub(super) fn never_fails(part: &Expr) -> bool {
    match part {
        Expr::Column(_) | Expr::Literal(..) => true,
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::Not(_) | Expr::Between(_) => true,
        Expr::InList(list) => list.list.iter().all(|item| matches!(item, Expr::Literal(..))),
        Expr::Like(like) => like.escape_char.is_none() && matches!(*like.pattern, Expr::Literal(..)),
        Expr::BinaryExpr(binary) => compares(binary.op),
        _ => false,
    }
}

/// Which conditions a scan takes of those that it would.
pub(super) fn pushed(rows: &dyn TableProvider, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
    let mut supports = rows.supports_filters_pushdown(filters)?;
    for (support, filter) in supports.iter_mut().zip(filters) {
        if filter.exists(|part| Ok(!never_fails(part)))? {
            *support = TableProviderFilterPushDown::Unsupported;
        }
    }
    Ok(supports)
}

/// Whether a condition as it is run does nothing but compare, in all its parts.
pub(super) fn runs_through(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let mut through = true;
    let walked = condition.apply(|part| {
        // What a join has learned of the other side only compares.
        if part.is::<DynamicFilterPhysicalExpr>() {
            return Ok(TreeNodeRecursion::Jump);
        }
        through = part.is::<Column>()
            || part.is::<Literal>()
            || part.is::<IsNullExpr>()
            || part.is::<IsNotNullExpr>()
            || part.is::<NotExpr>()
            || part.is::<InListExpr>()
            || part.is::<LikeExpr>()
            || part.downcast_ref::<BinaryExpr>().is_some_and(|binary| compares(*binary.op()));
        Ok(if through { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    through && walked.is_ok()
}

fn compares(operator: Operator) -> bool {
    use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
    matches!(operator, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
