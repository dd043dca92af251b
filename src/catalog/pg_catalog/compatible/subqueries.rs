//! Subqueries that look at the query around them, in the forms that the engine can take out of it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DataType, Expr, GroupByExpr, Query, SelectItem, SetExpr, TableFactor, Value,
};

use super::empty::{is_aggregate, is_empty};
use super::look::{folded, parts};
use crate::dialect::tree::{call, cast};

/// Where a subquery says that a column of its own equals one of the outer query, it can use its own everywhere else: the
/// engine can only take equalities with the outer query out of a subquery.
pub(super) fn inner_columns(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let relations = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let own: Vec<String> = relations
        .filter_map(|relation| match relation {
            TableFactor::Table { name, alias, .. } => match alias {
                Some(alias) => Some(folded(&alias.name)),
                None => parts(name).pop(),
            },
            _ => None,
        })
        .collect();
    let is_own = |expr: &Expr| matches!(expr, Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|first| own.contains(&folded(first))));
    let is_outer = |expr: &Expr| matches!(expr, Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|first| !own.contains(&folded(first))));
    let Some(filter) = &mut select.selection else { return };
    let mut conjuncts = vec![filter];
    let mut flat: Vec<&mut Expr> = Vec::new();
    while let Some(next) = conjuncts.pop() {
        match next {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                conjuncts.extend([left.as_mut(), right.as_mut()]);
            }
            Expr::Nested(inner) => conjuncts.push(inner),
            other => flat.push(other),
        }
    }
    let mut known: Vec<(Expr, Expr)> = Vec::new();
    for conjunct in &flat {
        if let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = &**conjunct {
            match (left.as_ref(), right.as_ref()) {
                (inner, outer) | (outer, inner) if is_own(inner) && is_outer(outer) => {
                    known.push((outer.clone(), inner.clone()));
                }
                _ => {}
            }
        }
    }
    for conjunct in flat {
        let equality = matches!(conjunct, Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
            if (is_own(left) && is_outer(right)) || (is_outer(left) && is_own(right)));
        if !equality {
            let _ = ast::visit_expressions_mut(conjunct, |expr| {
                if let Some((_, inner)) = known.iter().find(|(outer, _)| outer == expr) {
                    *expr = inner.clone();
                }
                ControlFlow::<()>::Continue(())
            });
        }
    }
}

/// `ARRAY(SELECT x …)` as an aggregate; the elements as text, which is how tools read them.
pub(super) fn collected(query: &Query) -> Expr {
    let texts = || DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None));
    let empty = cast(call("make_array", vec![]), texts());
    let mut query = query.clone();
    let SetExpr::Select(select) = query.body.as_mut() else { return cast(Expr::Value(Value::Null.into()), texts()) };
    if is_empty(select) {
        return empty;
    }
    if always_null_source(select) {
        return cast(Expr::Value(Value::Null.into()), texts());
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return cast(Expr::Value(Value::Null.into()), texts());
    };
    let gathered = call("array_agg", vec![cast(item.clone(), DataType::Text)]);
    select.projection = vec![SelectItem::UnnamedExpr(gathered)];
    query.order_by = None;
    call("coalesce", vec![cast(Expr::Subquery(Box::new(query)), texts()), empty])
}

/// `FROM unnest(x.reloptions)`: options that nothing here has.
fn always_null_source(select: &ast::Select) -> bool {
    let [from] = select.from.as_slice() else { return false };
    let shown = from.relation.to_string().to_lowercase();
    shown.contains("unnest(")
        && ["reloptions", "attoptions", "setconfig", "acl"].iter().any(|column| shown.contains(column))
}

/// A subquery that looks one thing up, as an aggregate over the at most one row that it finds.
pub(super) fn one_row(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
    else {
        return;
    };
    let grouped = select.group_by != GroupByExpr::Expressions(Vec::new(), Vec::new());
    if grouped || select.from.is_empty() || is_aggregate(item) {
        return;
    }
    *item = call("first_value", vec![item.clone()]);
    query.order_by = None;
    query.limit_clause = None;
}
