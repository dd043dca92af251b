//! What PostgreSQL types the columns of a plan have, where the engine forgets them on the way from where they are known.
//!
//! The engine keeps what a column says of itself through projections and joins, but not through CASE, COALESCE and
//! subqueries that are values.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};

use crate::dialect::{PG_TYPE, pg_type_of};

/// The fields of a plan, each with its PostgreSQL type if that can be found in the plan.
pub(super) fn told(plan: &LogicalPlan, fields: impl Iterator<Item = FieldRef>) -> Vec<FieldRef> {
    let fields = fields.enumerate().map(|(at, field)| match (pg_type_of(&field), of_column(plan, at)) {
        (None, Some(kind)) => Arc::new(saying(&field, kind)),
        _ => field,
    });
    fields.collect()
}

fn saying(field: &Field, kind: u32) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(PG_TYPE.to_owned(), kind.to_string());
    field.clone().with_metadata(metadata)
}

/// The OID of the type of a column of a plan.
fn of_column(plan: &LogicalPlan, at: usize) -> Option<u32> {
    if let Some(kind) = plan.schema().fields().get(at).and_then(|field| pg_type_of(field)) {
        return Some(kind);
    }
    match plan {
        LogicalPlan::Projection(projection) => of_expression(projection.expr.get(at)?, &projection.input),
        LogicalPlan::Union(union) => union.inputs.iter().find_map(|input| of_column(input, at)),
        LogicalPlan::RecursiveQuery(query) => of_column(&query.static_term, at),
        LogicalPlan::Distinct(Distinct::All(input)) => of_column(input, at),
        LogicalPlan::Distinct(Distinct::On(distinct)) => of_expression(distinct.select_expr.get(at)?, &distinct.input),
        LogicalPlan::Aggregate(aggregate) => of_expression(aggregate.group_expr.get(at)?, &aggregate.input),
        LogicalPlan::SubqueryAlias(alias) => of_column(&alias.input, at),
        LogicalPlan::Filter(filter) => of_column(&filter.input, at),
        LogicalPlan::Sort(sort) => of_column(&sort.input, at),
        LogicalPlan::Limit(limit) => of_column(&limit.input, at),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            if at < left { of_column(&join.left, at) } else { of_column(&join.right, at - left) }
        }
        _ => None,
    }
}

fn of_expression(expr: &Expr, input: &LogicalPlan) -> Option<u32> {
    match expr {
        Expr::Alias(alias) => of_expression(&alias.expr, input),
        Expr::Column(column) => of_column(input, input.schema().maybe_index_of_column(column)?),
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, result)| result).chain(&case.else_expr);
            results.into_iter().find_map(|result| of_expression(result, input))
        }
        Expr::ScalarFunction(call) if ["coalesce", "nullif", "greatest", "least"].contains(&call.name()) => {
            call.args.iter().find_map(|argument| of_expression(argument, input))
        }
        Expr::ScalarSubquery(subquery) => of_column(&subquery.subquery, 0),
        other => other.to_field(input.schema()).ok().and_then(|(_, field)| pg_type_of(&field)),
    }
}
