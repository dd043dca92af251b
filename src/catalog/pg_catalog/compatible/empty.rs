//! Queries that read a table which never has rows: nothing of them is ever computed, and the engine need not be able to.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, FunctionArguments, GroupByExpr, Query, SelectItem, SetExpr, TableFactor, Value, VisitMut,
    Visitor, VisitorMut,
};

use super::super::{rows, tables};
use super::look::parts;
use crate::dialect::tree::cast;

pub(super) fn drop_if_empty(side: &mut SetExpr) {
    if let SetExpr::Select(select) = side
        && is_empty(select)
    {
        select.projection.iter_mut().for_each(drop_subqueries);
    }
}

/// Whether a SELECT has no rows because it reads a table that never has any.
pub(super) fn is_empty(select: &ast::Select) -> bool {
    let never = |factor: &TableFactor| match factor {
        TableFactor::Table { name, args: None, .. } => {
            parts(name).last().is_some_and(|name| tables::find(name).is_some() && rows::always_empty(name))
        }
        _ => false,
    };
    let inner = |join: &ast::Join| {
        matches!(
            join.join_operator,
            ast::JoinOperator::Join(_) | ast::JoinOperator::Inner(_) | ast::JoinOperator::CrossJoin(_)
        ) && never(&join.relation)
    };
    select.group_by == GroupByExpr::Expressions(Vec::new(), Vec::new())
        && !select.projection.iter().any(has_aggregate)
        && select.from.iter().any(|from| {
            let preserved = from.joins.iter().all(|join| {
                !matches!(
                    join.join_operator,
                    ast::JoinOperator::Right(_) | ast::JoinOperator::RightOuter(_) | ast::JoinOperator::FullOuter(_)
                )
            });
            preserved && (never(&from.relation) || from.joins.iter().any(inner))
        })
}

pub(super) fn reads_nothing(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(select) if is_empty(select))
}

pub(super) fn drop_subqueries(item: &mut SelectItem) {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return };
    let mut drop = DropSubqueries;
    let _ = VisitMut::visit(expr, &mut drop);
}

struct DropSubqueries;

impl VisitorMut for DropSubqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let subquery = match expr {
            Expr::Subquery(_) | Expr::CompoundFieldAccess { .. } => true,
            Expr::Function(function) => matches!(function.args, FunctionArguments::Subquery(_)),
            _ => false,
        };
        if subquery {
            *expr = null_text();
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn null_text() -> Expr {
    cast(Expr::Value(Value::Null.into()), DataType::Text)
}

fn has_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_aggregate(expr),
        _ => false,
    }
}

/// Whether a function is an aggregate, of those that statements about the catalog use.
pub(super) fn is_aggregate_name(name: &str) -> bool {
    const AGGREGATES: [&str; 11] = [
        "pg_at_most_two",
        "count",
        "max",
        "min",
        "sum",
        "avg",
        "array_agg",
        "string_agg",
        "first_value",
        "bool_or",
        "bool_and",
    ];
    AGGREGATES.contains(&name)
}

/// Whether an expression aggregates the rows of its own query, not of one inside it.
pub(super) fn is_aggregate(expr: &Expr) -> bool {
    let mut look = Aggregates { depth: 0, found: false };
    let _ = ast::Visit::visit(expr, &mut look);
    look.found
}

struct Aggregates {
    depth: usize,
    found: bool,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
        {
            self.found |= parts(&function.name).last().is_some_and(|name| is_aggregate_name(name));
        }
        ControlFlow::Continue(())
    }
}
