//! Comparisons between the two sides of a join, found in its condition.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, IsNullExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};

use super::order::is_orderable;

pub(super) type PhysicalExprRef = Arc<dyn PhysicalExpr>;

/// A comparison of something of the build side with something of the probe side.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    /// Over the columns of the build side.
    pub(super) build: PhysicalExprRef,
    /// Over the columns of the probe side.
    pub(super) probe: PhysicalExprRef,
    /// Equal values do not match.
    pub(super) strict: bool,
    /// A null of the build side matches everything.
    pub(super) build_open: bool,
    /// A null of the probe side matches everything.
    pub(super) probe_open: bool,
}

impl Bound {
    /// The comparison as it is shown, with `<` or `>` for the operator.
    pub(super) fn show(&self, operator: char) -> String {
        let equal = if self.strict { "" } else { "=" };
        let nulls = |side: &PhysicalExprRef, open: bool| if open { format!(" or {side} null") } else { String::new() };
        let (build, probe) = (nulls(&self.build, self.build_open), nulls(&self.probe, self.probe_open));
        format!("{} {operator}{equal} {}{build}{probe}", self.build, self.probe)
    }
}

/// Which kind of bound a comparison is.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// The build side is less.
    Start(Bound),
    /// The build side is greater.
    End(Bound),
}

/// The bound that a condition is, if it is one. The build side is the left one of the filter.
pub(super) fn bound_of(
    condition: &PhysicalExprRef,
    filter: &JoinFilter,
    build: &Schema,
    probe: &Schema,
) -> Result<Option<Found>> {
    let mut comparison = None;
    let mut null_checks: Vec<&PhysicalExprRef> = Vec::new();
    let mut parts = vec![condition];
    while let Some(part) = parts.pop() {
        if let Some(binary) = part.downcast_ref::<BinaryExpr>() {
            match binary.op() {
                Operator::Or => parts.extend([binary.left(), binary.right()]),
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq if comparison.is_none() => {
                    comparison = Some(binary);
                }
                _ => return Ok(None),
            }
        } else if let Some(check) = part.downcast_ref::<IsNullExpr>() {
            null_checks.push(check.arg());
        } else {
            return Ok(None);
        }
    }
    let Some(comparison) = comparison else { return Ok(None) };
    let (left, right) = (comparison.left(), comparison.right());
    let (of_build, of_probe, operator) = match (side_of(left, filter), side_of(right, filter)) {
        (Some(JoinSide::Left), Some(JoinSide::Right)) => (left, right, Some(*comparison.op())),
        (Some(JoinSide::Right), Some(JoinSide::Left)) => (right, left, comparison.op().swap()),
        _ => return Ok(None),
    };
    let (mut build_open, mut probe_open) = (false, false);
    for checked in null_checks {
        if same_nulls(checked, of_build) {
            build_open = true;
        } else if same_nulls(checked, of_probe) {
            probe_open = true;
        } else {
            return Ok(None);
        }
    }
    let (of_build, of_probe) = (on_side(of_build, filter)?, on_side(of_probe, filter)?);
    let data_type = of_build.data_type(build)?;
    if data_type != of_probe.data_type(probe)? || !is_orderable(&data_type) {
        return Ok(None);
    }
    let strict = matches!(operator, Some(Operator::Lt | Operator::Gt));
    let bound = Bound { build: of_build, probe: of_probe, strict, build_open, probe_open };
    Ok(match operator {
        Some(Operator::Lt | Operator::LtEq) => Some(Found::Start(bound)),
        Some(Operator::Gt | Operator::GtEq) => Some(Found::End(bound)),
        _ => None,
    })
}

/// Whether one is null exactly where the other is: they are the same, or casts of the same.
fn same_nulls(left: &PhysicalExprRef, right: &PhysicalExprRef) -> bool {
    without_casts(left) == without_casts(right)
}

pub(super) fn without_casts(expression: &PhysicalExprRef) -> &PhysicalExprRef {
    let mut expression = expression;
    while let Some(cast) = expression.downcast_ref::<CastExpr>() {
        expression = cast.expr();
    }
    expression
}

/// The side that all columns of an expression are of.
pub(super) fn side_of(expression: &PhysicalExprRef, filter: &JoinFilter) -> Option<JoinSide> {
    let columns = collect_columns(expression);
    let mut sides = columns.iter().map(|column| filter.column_indices().get(column.index()).map(|found| found.side));
    let first = sides.next()??;
    sides.all(|side| side == Some(first)).then_some(first)
}

/// An expression of a filter over the columns of its side.
pub(super) fn on_side(expression: &PhysicalExprRef, filter: &JoinFilter) -> Result<PhysicalExprRef> {
    renumbered(expression, |index| filter.column_indices().get(index).map(|column| column.index))
}

fn renumbered(expression: &PhysicalExprRef, number: impl Fn(usize) -> Option<usize>) -> Result<PhysicalExprRef> {
    let renumbered = Arc::clone(expression).transform_up(|part| {
        Ok(match part.downcast_ref::<Column>() {
            Some(column) => {
                let index = number(column.index()).unwrap_or(column.index());
                let column: PhysicalExprRef = Arc::new(Column::new(column.name(), index));
                Transformed::new(column, true, TreeNodeRecursion::Continue)
            }
            None => Transformed::no(part),
        })
    })?;
    Ok(renumbered.data)
}

/// A filter of its own for a part of another's expression, with the columns that the part reads.
pub(super) fn narrowed(filter: &JoinFilter, part: PhysicalExprRef) -> Result<JoinFilter> {
    let mut used: Vec<usize> = collect_columns(&part).iter().map(Column::index).collect();
    used.sort_unstable();
    let expression = renumbered(&part, |index| used.iter().position(|known| *known == index))?;
    let columns: Vec<ColumnIndex> = used.iter().filter_map(|at| filter.column_indices().get(*at).cloned()).collect();
    let schema: SchemaRef = Arc::new(filter.schema().project(&used)?);
    Ok(JoinFilter::new(expression, columns, schema))
}
