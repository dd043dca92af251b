//! How many rows a query gives, and how many it passes over.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{DataType, Expr, LimitClause, Query, Value, VisitorMut};

use super::rewrite::{is_string, raw};
use super::tree::{call, cast, string, taken};

/// Read the counts of a query: they are of bigint, whatever they are given as.
pub(super) fn read(query: &mut Query) {
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.iter_mut().for_each(count);
            offset.iter_mut().for_each(|offset| count(&mut offset.value));
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => [offset, limit].into_iter().for_each(count),
        None => {}
    }
}

fn count(expr: &mut Expr) {
    raw(expr);
    if is_string(expr) {
        *expr = call("pg_cast", vec![taken(expr), string("int8")]);
    } else if is_parameter(expr) {
        // The type of a parameter is read off its cast.
        *expr = cast(taken(expr), DataType::BigInt(None));
    }
}

/// Whether an expression is a parameter that says no type.
pub(super) fn is_parameter(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_parameter(inner),
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        _ => false,
    }
}

/// Reads the counts of every query of a statement.
pub(super) struct Limits;

impl VisitorMut for Limits {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        read(query);
        ControlFlow::Continue(())
    }
}
