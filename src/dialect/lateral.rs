//! Calls in FROM whose arguments look at what stands before them there. PostgreSQL runs such a call for each row; the engine
//! knows its rows before there is any.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, ObjectName, ObjectNamePart, Query, Select, SetExpr, TableFactor, Visit, Visitor,
};

use super::names::folded;
use super::set_returning::takes_columns;
use crate::error::{UserError, sqlstate};

/// Refuse a call that would have to run for each row.
pub(super) fn check(select: &Select) -> Result<(), UserError> {
    let mut before = Vec::new();
    for factor in factors(select) {
        if let Some((name, arguments)) = call_of(factor)
            && !name.0.last().and_then(ObjectNamePart::as_ident).is_some_and(|name| takes_columns(&folded(name)))
            && let Some(found) = looked_at(arguments, &before)
        {
            let message = format!("{name} in FROM cannot be given {found}, which is another one for each row");
            return Err(UserError::new(sqlstate::NOT_SUPPORTED, message)
                .hint("its arguments are computed once: give values, or subqueries that stand for themselves"));
        }
        before.extend(called(factor));
    }
    Ok(())
}

fn factors(select: &Select) -> impl Iterator<Item = &TableFactor> {
    select
        .from
        .iter()
        .flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)))
}

fn call_of(factor: &TableFactor) -> Option<(&ObjectName, &[FunctionArg])> {
    match factor {
        TableFactor::Table { name, args: Some(given), .. } => Some((name, &given.args)),
        TableFactor::Function { name, args, .. } => Some((name, args)),
        _ => None,
    }
}

/// The name by which columns of a relation in FROM are called.
fn called(factor: &TableFactor) -> Option<String> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => (Some(name), alias),
        TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => (None, alias),
        _ => return None,
    };
    let last = |name: &ObjectName| name.0.last().and_then(ObjectNamePart::as_ident).map(folded);
    alias.as_ref().map(|alias| folded(&alias.name)).or_else(|| name.and_then(last))
}

/// The first column of one of the relations that arguments name.
fn looked_at(arguments: &[FunctionArg], relations: &[String]) -> Option<String> {
    let mut look = Look { relations, inner: Vec::new(), found: None };
    arguments.iter().for_each(|argument| {
        let _ = argument.visit(&mut look);
    });
    look.found
}

struct Look<'a> {
    relations: &'a [String],
    /// What the queries around an expression call their own relations.
    inner: Vec<Vec<String>>,
    found: Option<String>,
}

impl Visitor for Look<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (mut left, mut names) = (vec![query.body.as_ref()], Vec::new());
        while let Some(body) = left.pop() {
            match body {
                SetExpr::Select(select) => names.extend(factors(select).filter_map(called)),
                SetExpr::Query(query) => left.push(&query.body),
                SetExpr::SetOperation { left: one, right: other, .. } => left.extend([&**one, &**other]),
                _ => {}
            }
        }
        self.inner.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.inner.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [.., relation, _] = parts.as_slice()
        {
            let relation = folded(relation);
            if self.relations.contains(&relation) && !self.inner.iter().flatten().any(|own| *own == relation) {
                self.found.get_or_insert_with(|| expr.to_string());
            }
        }
        ControlFlow::Continue(())
    }
}
