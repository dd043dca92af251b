//! Statements about the catalog, in the forms that the engine cannot plan, turned into forms with the same answer.
//!
//! Only statements that read nothing but the catalog are touched: what a user asks of data is planned as it was written.

mod empty;
mod look;
mod subqueries;
mod types;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Query, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut,
};

use super::tables;
use crate::dialect;
use crate::dialect::tree::{call, cast, string};
use empty::{drop_if_empty, drop_subqueries, is_empty, null_text, reads_nothing};
use look::{catalog_only, folded, parts, table_of};
use subqueries::{collected, inner_columns, one_row};
use types::{array_literal, compared, named_call, named_cast, rewritten_cast, shown};

pub use look::reads_catalog;

/// Rewrite a statement that only reads the catalog; leave every other alone.
pub fn compatible(statement: &mut Statement) {
    let _ = if catalog_only(statement) {
        VisitMut::visit(statement, &mut Rewrite)
    } else {
        // Casts to and from the types of the catalog mean the same anywhere.
        ast::visit_expressions_mut(statement, |expr| {
            let named = match &*expr {
                Expr::Cast { expr: inner, data_type, .. } => named_cast(inner, data_type),
                other => named_call(other),
            };
            if let Some(named) = named {
                *expr = named;
            }
            ControlFlow::Continue(())
        })
    };
    if let Statement::Query(query) = statement {
        shown(query);
    }
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match query.body.as_mut() {
            SetExpr::Select(select) if is_empty(select) => {
                // Without a row nothing of it is ever computed, and the engine need not be able to.
                select.projection.iter_mut().for_each(drop_subqueries);
            }
            SetExpr::SetOperation { left, right, .. } => {
                for side in [left, right] {
                    let mut side = side.as_mut();
                    while let SetExpr::SetOperation { left, right, .. } = side {
                        drop_if_empty(right);
                        side = left;
                    }
                    drop_if_empty(side);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args, .. } => {
                let names = parts(name);
                if args.is_some()
                    && let Some(table) = names.last().and_then(|function| table_of(function))
                {
                    *name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(table)]);
                    *args = None;
                } else if args.is_some() {
                    if names.last().is_some_and(|name| name == "generate_series") {
                        args.iter_mut().flat_map(|args| &mut args.args).for_each(counted);
                    }
                    if let [schema, function] = names.as_slice()
                        && schema == "pg_catalog"
                    {
                        *name = ObjectName::from(vec![Ident::new(function.clone())]);
                    }
                } else if let [table] = names.as_slice()
                    && tables::find(table).is_some()
                {
                    *name = ObjectName::from(vec![Ident::new("pg_catalog"), Ident::new(table.clone())]);
                }
            }
            TableFactor::Function { name, .. } => strip_schema(name),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<()> {
        dialect::subqueries_as_values(select, &empty::is_aggregate_name);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Case { conditions, .. } = expr {
            conditions.iter_mut().for_each(without_domains);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(better) = rewritten(expr) {
            *expr = better;
        }
        ControlFlow::Continue(())
    }
}

/// No type is a domain, so the base type of one is never looked up; and the engine cannot plan the recursive query for it,
/// which names a column of the outer query.
fn without_domains(when: &mut ast::CaseWhen) {
    let of_domains = matches!(&when.condition, Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
        if column_name(left).is_some_and(|name| name == "typtype")
            && matches!(right.as_ref(), Expr::Value(value) if value.value == Value::SingleQuotedString("d".to_owned())));
    let recursive =
        matches!(&when.result, Expr::Subquery(query) if query.with.as_ref().is_some_and(|with| with.recursive));
    if of_domains && recursive {
        when.result = cast(Expr::Value(Value::Null.into()), DataType::BigInt(None));
    }
}

/// The engine counts in bigint.
fn counted(argument: &mut FunctionArg) {
    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
        && matches!(expr, Expr::Function(_))
    {
        *expr = cast(expr.clone(), DataType::BigInt(None));
    }
}

fn strip_schema(name: &mut ObjectName) {
    if let Some(own) = dialect::name_without_schema(name) {
        *name = own;
    }
}

fn rewritten(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Collate { expr, .. } => Some(*expr.clone()),
        Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right }
            if array_literal(right).is_some() =>
        {
            // Only a list can be compared with a list in braces.
            if !matches!(left.as_ref(), Expr::Value(_)) {
                **right = array_literal(right)?;
            }
            None
        }
        Expr::BinaryOp { left, op, right } => {
            if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
                compared(left, right);
            }
            if let BinaryOperator::PGCustomBinaryOperator(path) = op
                && let Some(known) = path.last().and_then(|name| operator(name))
            {
                *op = known;
            }
            None
        }
        Expr::Identifier(name) if name.quote_style.is_none() => {
            let name = name.value.to_lowercase();
            ["current_schema", "current_catalog", "session_user", "current_role"]
                .contains(&name.as_str())
                .then(|| call(&name, vec![]))
        }
        Expr::Function(function) => rewritten_call(function),
        Expr::Cast { expr: inner, data_type, .. } => rewritten_cast(inner, data_type),
        Expr::Subquery(query) if reads_nothing(query) => Some(null_text()),
        Expr::Exists { subquery, negated } if reads_nothing(subquery) => {
            Some(Expr::Value(Value::Boolean(*negated).into()))
        }
        Expr::Subquery(query) => {
            inner_columns(query);
            one_row(query);
            None
        }
        _ => None,
    }
}

/// The name of a column, without that of its table.
fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

/// The rows of a function that returns a set, as the array that is unnested.
fn unnested(name: &str, argument: Expr) -> Expr {
    match name {
        "aclexplode" => call("pg_privileges", vec![argument]),
        "_pg_expandarray" => call("pg_numbered", vec![argument]),
        _ => {
            let one = Expr::Value(Value::Number("1".to_owned(), false).into());
            call("generate_series", vec![one, cast(call("cardinality", vec![argument]), DataType::BigInt(None))])
        }
    }
}

fn operator(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        ">" => BinaryOperator::Gt,
        "<=" => BinaryOperator::LtEq,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

fn rewritten_call(function: &mut Function) -> Option<Expr> {
    strip_schema(&mut function.name);
    let name = parts(&function.name).pop()?;
    match (&name[..], &mut function.args) {
        ("array", FunctionArguments::Subquery(query)) => Some(collected(query)),
        ("aclexplode" | "_pg_expandarray" | "generate_subscripts", FunctionArguments::List(list)) => {
            let argument = list.args.iter().find_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            })?;
            Some(call("unnest", vec![unnested(&name, argument)]))
        }
        ("unnest", FunctionArguments::List(list)) => {
            // An oidvector is a text to the engine.
            for argument in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(vector)) = argument
                    && column_name(vector).is_some_and(|name| name == "proargtypes")
                {
                    *vector = call("string_to_array", vec![vector.clone(), string(" ")]);
                }
            }
            None
        }
        ("array_agg", FunctionArguments::List(list)) => {
            // OIDs are integers to the engine, which keeps what a column says of itself, but not through an aggregate.
            let [FunctionArg::Unnamed(FunctionArgExpr::Expr(item))] = list.args.as_slice() else { return None };
            let of_oids = column_name(item).is_some_and(|name| name.ends_with("oid") || name.ends_with("typid"));
            let gathered = Expr::Function(function.clone());
            of_oids.then(|| call("pg_cast", vec![gathered, string("_oid")]))
        }
        ("pg_cast", _) => named_call(&Expr::Function(function.clone())),
        (
            "current_user" | "session_user" | "user" | "current_catalog" | "current_schema" | "current_role",
            FunctionArguments::None,
        ) => Some(call(&name, vec![])),
        _ => None,
    }
}
