//! Rows with fewer columns, from a plan that gives the same rows whenever it runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions, reset_plan_states};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;

type Plan = Arc<dyn ExecutionPlan>;

/// A plan for some columns of `plan` in their order, which reads no others of its files; the rows may come in another
/// order, in other batches and partitions, and there may be more of them. None where they may be others when it runs again,
/// or where nothing is saved.
pub(super) fn narrowed(plan: &Plan, columns: &[usize]) -> Result<Option<Plan>> {
    match narrow(plan, columns)? {
        Some(narrow) => Ok(Some(reset_plan_states(narrow)?)),
        None => Ok(None),
    }
}

fn narrow(plan: &Plan, columns: &[usize]) -> Result<Option<Plan>> {
    if plan.fetch().is_some() {
        return Ok(None);
    }
    if plan.is::<DataSourceExec>() {
        return plan.try_swapping_with_projection(&projection(plan, columns)?);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return filtered(filter, columns);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return projected(projection, columns);
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        let inputs = union.inputs().iter().map(|input| narrow(input, columns)).collect::<Result<Option<Vec<_>>>>()?;
        return inputs.map(UnionExec::try_new).transpose();
    }
    // In whatever partitions rows come.
    let moved = plan.is::<RepartitionExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<CooperativeExec>();
    match plan.children().as_slice() {
        [input] if moved => narrow(input, columns),
        // The library's scan of a Delta table drops deleted rows and adds columns; those of its files have their names.
        [input] if plan.name() == "DeltaScanExec" => match of_names(plan, input, columns) {
            Some(columns) => narrow(input, &columns),
            None => Ok(None),
        },
        // The scan of a lake's table passes on what it reads.
        [input] if plan.name() == "ReadingExec" => match narrow(input, columns)? {
            Some(input) => {
                let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
                Ok(Some(Arc::clone(plan).replace_children(vec![input], options)?))
            }
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The places that columns of a plan have in its input, if it has columns of their names and types.
fn of_names(plan: &Plan, input: &Plan, columns: &[usize]) -> Option<Vec<usize>> {
    let (schema, below) = (plan.schema(), input.schema());
    let place = |at: &usize| {
        let field = schema.fields().get(*at)?;
        let (place, found) = below.fields().find(field.name())?;
        (found.data_type() == field.data_type()).then_some(place)
    };
    columns.iter().map(place).collect()
}

fn projection(plan: &Plan, columns: &[usize]) -> Result<ProjectionExec> {
    let schema = plan.schema();
    let column = |at: &usize| {
        let name = schema.field(*at).name();
        ProjectionExpr { expr: Arc::new(Column::new(name, *at)), alias: name.clone() }
    };
    ProjectionExec::try_new(columns.iter().map(column).collect::<Vec<_>>(), Arc::clone(plan))
}

fn filtered(filter: &FilterExec, columns: &[usize]) -> Result<Option<Plan>> {
    if is_volatile(filter.predicate()) {
        return Ok(None);
    }
    let below = |at: &usize| match filter.projection() {
        Some(projection) => projection.get(*at).copied(),
        None => Some(*at),
    };
    let Some(columns) = columns.iter().map(below).collect::<Option<Vec<usize>>>() else { return Ok(None) };
    let read: BTreeSet<usize> = columns.iter().copied().chain(used(filter.predicate())).collect();
    let read: Vec<usize> = read.into_iter().collect();
    let Some(input) = narrow(filter.input(), &read)? else { return Ok(None) };
    let predicate = moved(filter.predicate(), &read)?;
    let columns = columns.iter().filter_map(|at| read.binary_search(at).ok()).collect();
    Ok(Some(Arc::new(FilterExecBuilder::new(predicate, input).apply_projection(Some(columns))?.build()?)))
}

fn projected(projection: &ProjectionExec, columns: &[usize]) -> Result<Option<Plan>> {
    let Some(exprs) = columns.iter().map(|at| projection.expr().get(*at)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    if exprs.iter().any(|one| is_volatile(&one.expr)) {
        return Ok(None);
    }
    let read: BTreeSet<usize> = exprs.iter().flat_map(|one| used(&one.expr)).collect();
    let read: Vec<usize> = read.into_iter().collect();
    let Some(input) = narrow(projection.input(), &read)? else { return Ok(None) };
    let exprs = exprs.into_iter().map(|one| {
        let expr = moved(&one.expr, &read)?;
        Ok(ProjectionExpr { expr, alias: one.alias.clone() })
    });
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs.collect::<Result<Vec<_>>>()?, input)?)))
}

fn used(expr: &Arc<dyn PhysicalExpr>) -> impl Iterator<Item = usize> + use<> {
    collect_columns(expr).into_iter().map(|column| column.index())
}

/// The expression over a relation that has only the columns `read`.
fn moved(expr: &Arc<dyn PhysicalExpr>, read: &[usize]) -> Result<Arc<dyn PhysicalExpr>> {
    let expr = Arc::clone(expr).transform_down(|expr| {
        let column = expr.downcast_ref::<Column>().map(|column| (column.name(), read.binary_search(&column.index())));
        Ok(match column {
            Some((name, Ok(at))) => Transformed::yes(Arc::new(Column::new(name, at)) as _),
            _ => Transformed::no(expr),
        })
    });
    expr.data()
}
