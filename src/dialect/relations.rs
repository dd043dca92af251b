//! Relations that are arguments of functions in FROM: `f((SELECT …), …)`, `f(name => (SELECT …))`.
//!
//! A subquery in an expression is one value, and is made to be. One of several columns cannot be, so there it stands for its
//! rows; until the call is planned it is the argument of a function that nobody has.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, SelectItem, SetExpr,
    TableFactor,
};

const NAME: &str = "pg_relation";

/// Keep the relations among a call's arguments from being taken for values.
pub(super) fn hide(factor: &mut TableFactor) {
    let arguments = match factor {
        TableFactor::Table { args: Some(given), .. } => &mut given.args,
        TableFactor::Function { args, .. } => args,
        _ => return,
    };
    for argument in arguments {
        if let Some(expr) = expression(argument)
            && let Some(query) = relation(expr)
        {
            *expr = Expr::Function(Function {
                name: ObjectName::from(vec![Ident::new(NAME)]),
                uses_odbc_syntax: false,
                parameters: FunctionArguments::None,
                args: FunctionArguments::Subquery(Box::new(query.clone())),
                filter: None,
                null_treatment: None,
                over: None,
                within_group: vec![],
            });
        }
    }
}

fn expression(argument: &mut FunctionArg) -> Option<&mut Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
        | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } => Some(expr),
        _ => None,
    }
}

/// The query of an argument that is a relation.
#[must_use]
pub fn relation(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Nested(inner) => relation(inner),
        Expr::Subquery(query) if has_several_columns(&query.body) => Some(query),
        Expr::Function(function) if function.name.to_string() == NAME => match &function.args {
            FunctionArguments::Subquery(query) => Some(query),
            _ => None,
        },
        _ => None,
    }
}

fn has_several_columns(body: &SetExpr) -> bool {
    let mut body = body;
    loop {
        match body {
            SetExpr::Query(query) => body = &query.body,
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Select(select) => {
                let all =
                    |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
                return select.projection.len() > 1 || select.projection.iter().any(all);
            }
            SetExpr::Values(values) => return values.rows.first().is_some_and(|row| row.len() > 1),
            SetExpr::Table(_) => return true,
            _ => return false,
        }
    }
}
