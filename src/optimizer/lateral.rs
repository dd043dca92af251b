//! Subqueries in FROM that are made of the row before them and nothing else: `t, LATERAL (SELECT unnest(t.a)) x`. The engine has
//! no plan for them; here the row goes through what is computed of it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::logical_expr::{Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Puts what is computed of a row on top of the row.
#[derive(Debug, Default)]
pub struct ComputeLateral;

impl OptimizerRule for ComputeLateral {
    fn name(&self) -> &'static str {
        "compute_lateral"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = &plan else { return Ok(Transformed::no(plan)) };
        match computed(join)? {
            Some(better) => Ok(Transformed::yes(better)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

fn computed(join: &Join) -> Result<Option<LogicalPlan>> {
    let (right, alias) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => (alias.input.as_ref(), Some(alias)),
        other => (other, None),
    };
    let LogicalPlan::Subquery(Subquery { subquery, .. }) = right else { return Ok(None) };
    // One that keeps rows without an answer needs a row to keep; it stays as it is.
    if join.join_type != JoinType::Inner || !join.on.is_empty() {
        return Ok(None);
    }
    let Some(mut over) = over(subquery, &join.left)? else { return Ok(None) };
    if let Some(alias) = alias {
        over = renamed(over, subquery.schema(), &alias.schema, join.left.schema())?;
    }
    Ok(Some(match &join.filter {
        None | Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => over,
        Some(filter) => LogicalPlanBuilder::from(over).filter(filter.clone())?.build()?,
    }))
}

/// The columns of a plan, as the first ones of what is computed of them.
fn kept(left: &DFSchema) -> impl Iterator<Item = Expr> {
    left.columns().into_iter().map(Expr::Column)
}

/// A plan in which what stands behind the columns of the row has the names that an alias gives it.
fn renamed(plan: LogicalPlan, from: &DFSchema, to: &DFSchema, left: &DFSchema) -> Result<LogicalPlan> {
    let renamed = from.columns().into_iter().zip(to.columns()).map(|(from, to)| {
        let Column { relation, name, .. } = to;
        Expr::Column(own(from, plan.schema())).alias_qualified(relation, name)
    });
    let expressions: Vec<Expr> = kept(left).chain(renamed).collect();
    LogicalPlanBuilder::from(plan).project(expressions)?.build()
}

/// A subquery with the rows of a plan in the place of the one row that it has by itself; none if it reads anything.
fn over(subquery: &LogicalPlan, left: &Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    match subquery {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Ok(Some(left.as_ref().clone())),
        LogicalPlan::Projection(projection) => {
            let Some(input) = over(&projection.input, left)? else { return Ok(None) };
            let mut expressions: Vec<Expr> = kept(left.schema()).collect();
            for (expr, (relation, field)) in projection.expr.iter().zip(projection.schema.iter()) {
                let Some(inner) = inner(expr, left.schema(), input.schema())? else { return Ok(None) };
                let relation = relation.cloned().or_else(|| Some(COMPUTED.into()));
                expressions.push(inner.alias_qualified(relation, field.name()));
            }
            LogicalPlanBuilder::from(input).project(expressions)?.build().map(Some)
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(input) = over(&unnest.input, left)? else { return Ok(None) };
            let columns = unnest.exec_columns.iter().map(|column| own(column.clone(), input.schema())).collect();
            let mut options = unnest.options.clone();
            for of in &mut options.recursions {
                of.input_column = own(of.input_column.clone(), input.schema());
            }
            LogicalPlanBuilder::from(input).unnest_columns_with_options(columns, options)?.build().map(Some)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = over(&alias.input, left)? else { return Ok(None) };
            renamed(input, alias.input.schema(), &alias.schema, left.schema()).map(Some)
        }
        _ => Ok(None),
    }
}

/// What computed columns belong to until they have a name: a column of the row may be called the same.
const COMPUTED: &str = "__computed";

/// A column as it is called here.
fn own(column: Column, schema: &DFSchema) -> Column {
    let computed = TableReference::bare(COMPUTED);
    if column.relation.is_none() && schema.has_column_with_qualified_name(&computed, &column.name) {
        return Column::new(Some(computed), column.name);
    }
    column
}

/// An expression in which columns of the outer query are those of the row; none if one is of a query further out.
fn inner(expr: &Expr, left: &DFSchema, input: &DFSchema) -> Result<Option<Expr>> {
    let mut stranger = false;
    let inner = expr.clone().transform(|part| match part {
        Expr::OuterReferenceColumn(_, column) => {
            stranger |= !left.has_column(&column);
            Ok(Transformed::yes(Expr::Column(column)))
        }
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(own(column, input)))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok((!stranger).then_some(inner.data.unalias()))
}
