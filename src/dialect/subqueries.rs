//! Subqueries in expressions: one row at most where one value is wanted, ANY and ALL with PostgreSQL's nulls, EXISTS and
//! IN as values.

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    LimitClause, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins,
    Value,
};

use super::rewrite::{function_name, is_string};
use super::tree::{call, cast, string};

/// A subquery whose only column is gathered by an aggregate: where it is one SELECT the aggregate goes into it, so that
/// the engine can still take it apart; otherwise around it.
fn gathered(query: &mut Query, aggregate: &str, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    if simple(query, is_aggregate) {
        if let SetExpr::Select(select) = query.body.as_mut()
            && let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
                select.projection.as_mut_slice()
        {
            let inner = std::mem::replace(item, Expr::Value(Value::Null.into()));
            *item = call(aggregate, vec![inner]);
            query.order_by = None;
            return true;
        }
        return false;
    }
    let inner = query.clone();
    let column = Ident::new("c");
    let from = TableWithJoins {
        relation: TableFactor::Derived {
            lateral: false,
            subquery: Box::new(inner),
            alias: Some(TableAlias {
                explicit: true,
                name: Ident::new("s"),
                columns: vec![TableAliasColumnDef { name: column.clone(), data_type: None }],
                at: None,
            }),
            sample: None,
        },
        joins: vec![],
    };
    let Some(mut select) = first_select(&query.body).cloned() else { return false };
    select.distinct = None;
    select.projection = vec![SelectItem::UnnamedExpr(call(aggregate, vec![Expr::Identifier(column)]))];
    select.from = vec![from];
    select.selection = None;
    select.group_by = GroupByExpr::Expressions(vec![], vec![]);
    select.having = None;
    select.named_window = vec![];
    *query.body = SetExpr::Select(Box::new(select));
    (query.with, query.order_by, query.limit_clause, query.fetch) = (None, None, None, None);
    true
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    let mut body = body;
    loop {
        body = match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::Query(query) => &query.body,
            SetExpr::SetOperation { left, .. } => left,
            _ => return None,
        };
    }
}

fn ungrouped(select: &Select) -> bool {
    matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty()) && select.having.is_none()
}

/// One SELECT of one column of the rows of a FROM, all of them.
fn simple(query: &Query, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.distinct.is_none()
        && !select.from.is_empty()
        && ungrouped(select)
        && matches!(select.projection.as_slice(), [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] if !aggregates(item, is_aggregate))
}

/// Whether an expression aggregates, or looks over a window, in its own query.
fn aggregates(expr: &Expr, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    struct Look<'a> {
        depth: usize,
        found: bool,
        is_aggregate: &'a dyn Fn(&str) -> bool,
    }
    impl ast::Visitor for Look<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> std::ops::ControlFlow<()> {
            self.depth += 1;
            std::ops::ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> std::ops::ControlFlow<()> {
            self.depth -= 1;
            std::ops::ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> std::ops::ControlFlow<()> {
            if self.depth == 0
                && let Expr::Function(function) = expr
            {
                let known = function_name(function).is_some_and(|name| (self.is_aggregate)(&name));
                self.found |= known || function.over.is_some();
            }
            std::ops::ControlFlow::Continue(())
        }
    }
    let mut look = Look { depth: 0, found: false, is_aggregate };
    let _ = ast::Visit::visit(expr, &mut look);
    look.found
}

/// Whether a query has one row whatever it reads: an aggregate over all of it, or no FROM.
fn one_row(query: &Query, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let aggregated = ungrouped(select)
        && select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr, is_aggregate),
            _ => false,
        });
    aggregated || (select.from.is_empty() && select.selection.is_none())
}

fn is_one(expr: &Expr) -> bool {
    let inner = if let Expr::Cast { expr, .. } = expr { expr } else { expr };
    matches!(inner, Expr::Value(value) if matches!(&value.value, Value::Number(text, _) if text == "1"))
}

/// `(SELECT x …)`: more than one row is an error. The first of an order is taken by an aggregate, which the engine can
/// take out of a subquery that looks at the outer query, where it cannot take out a LIMIT.
pub(super) fn scalar(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) -> Option<Expr> {
    if one_row(query, is_aggregate) || columns(query) != Some(1) {
        return None;
    }
    let limited = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, .. }) => is_one(limit),
        _ => false,
    };
    if limited {
        let mut unlimited = query.clone();
        unlimited.limit_clause = None;
        if !simple(&unlimited, is_aggregate) {
            return None;
        }
        let order = unlimited.order_by.take();
        first_of(&mut unlimited, order)?;
        return Some(Expr::Subquery(Box::new(unlimited)));
    }
    gathered(query, "pg_at_most_two", is_aggregate)
        .then(|| call("pg_only", vec![Expr::Subquery(Box::new(query.clone()))]))
}

fn columns(query: &Query) -> Option<usize> {
    let select = first_select(&query.body)?;
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    select.projection.iter().all(plain).then_some(select.projection.len())
}

fn first_of(query: &mut Query, order: Option<ast::OrderBy>) -> Option<()> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
    else {
        return None;
    };
    let inner = std::mem::replace(item, Expr::Value(Value::Null.into()));
    let mut first = call("first_value", vec![inner.clone()]);
    if let Some(order) = order
        && let ast::OrderByKind::Expressions(mut items) = order.kind
        && let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut first
    {
        for item in &mut items {
            // A place in the list, or the name of the only column, is that column.
            if is_one(&item.expr) {
                item.expr = inner.clone();
            }
        }
        list.clauses.push(ast::FunctionArgumentClause::OrderBy(items));
    }
    *item = first;
    Some(())
}

/// `ARRAY(SELECT x …)`: the values in the order of the query, and an empty array if there are none.
pub(super) fn array(function: &Function, is_aggregate: &dyn Fn(&str) -> bool) -> Option<Expr> {
    let FunctionArguments::Subquery(query) = &function.args else { return None };
    if function_name(function).as_deref() != Some("array") || columns(query) != Some(1) {
        return None;
    }
    let mut query = query.as_ref().clone();
    let order = query.order_by.clone();
    let ordered = simple(&query, is_aggregate);
    if !gathered(&mut query, "array_agg", is_aggregate) {
        return None;
    }
    if let (true, Some(order), SetExpr::Select(select)) = (ordered, order, query.body.as_mut())
        && let ast::OrderByKind::Expressions(items) = order.kind
        && let [
            SelectItem::UnnamedExpr(Expr::Function(call))
            | SelectItem::ExprWithAlias { expr: Expr::Function(call), .. },
        ] = select.projection.as_mut_slice()
        && let FunctionArguments::List(list) = &mut call.args
    {
        list.clauses.push(ast::FunctionArgumentClause::OrderBy(items));
    }
    Some(call("pg_array_or_empty", vec![Expr::Subquery(Box::new(query))]))
}

fn word(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => return None,
    })
}

fn holds_parameter(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Placeholder(_)),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => holds_parameter(inner),
        // A cast that was rewritten.
        Expr::Function(Function { args: FunctionArguments::List(list), .. }) => {
            matches!(list.args.first(), Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))) if holds_parameter(inner))
        }
        _ => false,
    }
}

/// `x = ANY (…)`, `x <> ALL (…)`.
pub(super) fn quantified(name: &str, left: &mut Expr, op: &BinaryOperator, right: &mut Expr) -> Option<Expr> {
    let op_word = word(op)?;
    let take = |expr: &mut Expr| std::mem::replace(expr, Expr::Value(Value::Null.into()));
    match right {
        Expr::Subquery(query) => {
            let subquery = Box::new(query.as_ref().clone());
            let expr = Box::new(take(left));
            match (name, op_word) {
                ("pg_any", "=") => Some(Expr::InSubquery { expr, subquery, negated: false }),
                ("pg_all", "<>") => Some(Expr::InSubquery { expr, subquery, negated: true }),
                _ => {
                    let mut query = *subquery;
                    gathered(&mut query, "array_agg", &|_| false).then(|| {
                        call(&format!("{name}_row"), vec![string(op_word), *expr, Expr::Subquery(Box::new(query))])
                    })
                }
            }
        }
        // The engine turns these into a list that it can look up in statistics.
        _ if op_word == "=" && name == "pg_any" && holds_parameter(right) => None,
        _ => Some(call(name, vec![string(op_word), take(left), take(right)])),
    }
}

/// The same where the array is a literal: of what the other side is of.
pub(super) fn of_literal(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::AnyOp { left, compare_op, right, .. } if is_string(right) => {
            quantified("pg_any", left, compare_op, right)
        }
        Expr::AllOp { left, compare_op, right } if is_string(right) => quantified("pg_all", left, compare_op, right),
        _ => None,
    }
}

/// EXISTS and IN in a list of results, as values: the engine knows them in conditions only. `is_aggregate` knows the
/// aggregate functions.
pub fn subqueries_as_values(select: &mut Select, is_aggregate: &dyn Fn(&str) -> bool) {
    if in_projection(select, is_aggregate) {
        super::names::distinct_items(&mut select.projection);
    }
}

/// The same, leaving columns that are called the same; gives back whether there was any.
pub(super) fn in_projection(select: &mut Select, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    let mut any = false;
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let before = super::names::name_of(expr);
        let mut change = Values { is_aggregate, depth: 0, changed: false };
        let _ = ast::VisitMut::visit(expr, &mut change);
        any |= change.changed;
        if change.changed
            && let SelectItem::UnnamedExpr(expr) = item
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', before) };
        }
    }
    any
}

struct Values<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    depth: usize,
    changed: bool,
}

impl ast::VisitorMut for Values<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> std::ops::ControlFlow<()> {
        self.depth += 1;
        std::ops::ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> std::ops::ControlFlow<()> {
        self.depth -= 1;
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> std::ops::ControlFlow<()> {
        if self.depth > 0 {
            return std::ops::ControlFlow::Continue(());
        }
        let better = match expr {
            Expr::Exists { subquery, negated } => exists(subquery, *negated, self.is_aggregate),
            Expr::InSubquery { expr, subquery, negated } => {
                let mut query = subquery.as_ref().clone();
                let (name, op) = if *negated { ("pg_all_row", "<>") } else { ("pg_any_row", "=") };
                gathered(&mut query, "array_agg", self.is_aggregate)
                    .then(|| call(name, vec![string(op), expr.as_ref().clone(), Expr::Subquery(Box::new(query))]))
            }
            _ => None,
        };
        if let Some(better) = better {
            *expr = better;
            self.changed = true;
        }
        std::ops::ControlFlow::Continue(())
    }
}

/// Whether there is a row: how many there are, compared with none.
fn exists(query: &Query, negated: bool, is_aggregate: &dyn Fn(&str) -> bool) -> Option<Expr> {
    let mut query = query.clone();
    let truth = |found: bool| Expr::Value(Value::Boolean(found != negated).into());
    if let SetExpr::Select(select) = query.body.as_ref()
        && select.from.is_empty()
        && select.selection.is_none()
        && query.limit_clause.is_none()
    {
        return Some(truth(true));
    }
    let one = || cast(Expr::Value(Value::Number("1".to_owned(), false).into()), ast::DataType::BigInt(None));
    if let SetExpr::Select(select) = query.body.as_mut()
        && ungrouped(select)
        && !select.projection.iter().any(|item| matches!(item, SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } if aggregates(expr, is_aggregate)))
        && query.limit_clause.is_none()
    {
        select.distinct = None;
        select.projection = vec![SelectItem::UnnamedExpr(one())];
        query.order_by = None;
    }
    gathered(&mut query, "count", is_aggregate).then(|| Expr::BinaryOp {
        left: Box::new(Expr::Subquery(Box::new(query))),
        op: if negated { BinaryOperator::Lt } else { BinaryOperator::GtEq },
        right: Box::new(one()),
    })
}
