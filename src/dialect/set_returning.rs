//! Functions that return sets: in a list of results they are `unnest` of an array, in FROM a query of that list.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, Value, VisitMut, VisitorMut,
};

use super::names::folded;
use super::rewrite::{digits, function_name};
use super::tree::{call, string};

/// A function as the array of its rows, and the type of an element where that of the array does not say it.
struct Set {
    name: &'static str,
    array: &'static str,
    element: Option<&'static str>,
    /// What its column is called in FROM, whatever the alias; none is called as the alias is.
    column: Option<&'static str>,
}

const fn set(
    name: &'static str,
    array: &'static str,
    element: Option<&'static str>,
    column: Option<&'static str>,
) -> Set {
    Set { name, array, element, column }
}

const SETS: [Set; 8] = [
    set("json_array_elements", "pg_json_elements", Some("json"), Some("value")),
    set("jsonb_array_elements", "pg_jsonb_elements", Some("jsonb"), Some("value")),
    set("json_array_elements_text", "pg_json_elements_text", None, Some("value")),
    set("jsonb_array_elements_text", "pg_jsonb_elements_text", None, Some("value")),
    set("json_object_keys", "pg_json_keys", None, None),
    set("jsonb_object_keys", "pg_jsonb_keys", None, None),
    set("regexp_matches", "pg_regexp_matches", None, None),
    set("regexp_split_to_table", "regexp_split_to_array", None, None),
];

/// Functions of a key and a value a row, which are in FROM only.
const EACH: [(&str, &str, &str, Option<&str>); 4] = [
    ("json_each", "pg_json_keys", "pg_json_values", Some("json")),
    ("jsonb_each", "pg_jsonb_keys", "pg_jsonb_values", Some("jsonb")),
    ("json_each_text", "pg_json_keys", "pg_json_values_text", None),
    ("jsonb_each_text", "pg_jsonb_keys", "pg_jsonb_values_text", None),
];

fn elements(array: &str, given: Vec<Expr>, element: Option<&str>) -> Expr {
    let rows = call("unnest", vec![call(array, given)]);
    match element {
        Some(element) => call("pg_cast", vec![rows, string(element)]),
        None => rows,
    }
}

/// Whether a series goes by what is no whole number, or not known to be one.
pub(super) fn by_steps(given: &[&Expr]) -> bool {
    let null = |expr: &Expr| matches!(expr, Expr::Value(value) if value.value == Value::Null);
    matches!(given, [_, _, step] if digits(step).is_none() && !null(step))
}

/// A call in a list of results; none if it returns no set, or one that the engine knows.
pub(super) fn in_list(name: &str, given: &[&Expr]) -> Option<Expr> {
    let owned = || given.iter().map(|expr| (*expr).clone()).collect();
    if name == "generate_series" && by_steps(given) {
        return Some(elements(super::steps::NAME, owned(), None));
    }
    let set = SETS.iter().find(|set| set.name == name)?;
    Some(elements(set.array, owned(), set.element))
}

fn name_and_arguments(factor: &TableFactor) -> Option<(String, Vec<Expr>)> {
    let (name, arguments) = match factor {
        TableFactor::Table { name, args: Some(given), with_ordinality: false, .. } => (name, &given.args),
        TableFactor::Function { name, args, .. } => (name, args),
        _ => return None,
    };
    let given = arguments.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let name = name.0.last().and_then(ObjectNamePart::as_ident)?;
    Some((folded(name), given.collect::<Option<_>>()?))
}

/// Whether a function in FROM may be given columns of what stands before it there: it is one that returns a set of values.
pub(super) fn takes_columns(name: &str) -> bool {
    ["unnest", "generate_series", "generate_subscripts"].contains(&name)
        || SETS.iter().any(|set| set.name == name)
        || EACH.iter().any(|(each, ..)| *each == name)
}

/// Whether expressions name columns.
pub(super) fn of_columns<'a>(expressions: impl Iterator<Item = &'a Expr>) -> bool {
    any_part(expressions, |part| matches!(part, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
}

/// Whether expressions have parameters.
fn of_parameters<'a>(expressions: impl Iterator<Item = &'a Expr>) -> bool {
    any_part(expressions, |part| matches!(part, Expr::Value(value) if matches!(value.value, Value::Placeholder(_))))
}

fn any_part<'a>(mut expressions: impl Iterator<Item = &'a Expr>, is: impl Fn(&Expr) -> bool) -> bool {
    expressions.any(|expr| {
        ast::visit_expressions(expr, |part| if is(part) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            .is_break()
    })
}

/// A call in FROM becomes a query of its rows. `keep` leaves a series with the engine's name for its column.
pub(super) fn in_from(factor: &mut TableFactor, keep: bool) -> bool {
    let (name, given) = match &*factor {
        TableFactor::UNNEST { array_exprs, with_offset: false, with_ordinality: false, .. }
            if array_exprs.len() == 1 =>
        {
            ("unnest".to_owned(), array_exprs.clone())
        }
        other => match name_and_arguments(other) {
            Some(found) => found,
            None => return false,
        },
    };
    let alias = match factor {
        TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } | TableFactor::UNNEST { alias, .. } => {
            alias.clone()
        }
        _ => None,
    };
    let outer = alias.as_ref().map_or_else(|| Ident::new(name.clone()), |alias| alias.name.clone());
    let item = |expr: Expr, alias: Ident| SelectItem::ExprWithAlias { expr, alias };
    let items = if let Some((_, keys, values, kind)) = EACH.iter().find(|(each, ..)| *each == name) {
        vec![
            item(elements(keys, given.clone(), None), Ident::new("key")),
            item(elements(values, given, *kind), Ident::new("value")),
        ]
    } else if let Some(rows) = in_list(&name, &given.iter().collect::<Vec<_>>()) {
        let called = SETS.iter().find(|set| set.name == name).and_then(|set| set.column);
        let called = called.or_else(|| (keep && name == "generate_series").then_some("value"));
        vec![item(rows, called.map_or_else(|| outer.clone(), Ident::new))]
    } else if takes_columns(&name)
        && (of_columns(given.iter()) || (name.starts_with("generate_") && of_parameters(given.iter())))
    {
        // The engine has them in FROM for constants only.
        let Expr::Function(mut function) = call(&name, given) else { return false };
        let rows = super::calls::rewritten(&mut function).unwrap_or(Expr::Function(function));
        vec![item(rows, outer.clone())]
    } else {
        return false;
    };
    let columns: Vec<TableAliasColumnDef> = alias.map_or_else(Vec::new, |alias| alias.columns);
    let alias = Some(TableAlias { explicit: true, name: outer, columns, at: None });
    let Some(Statement::Query(mut subquery)) = super::tree::parsed("SELECT 1") else { return false };
    let SetExpr::Select(select) = subquery.body.as_mut() else { return false };
    select.projection = items;
    *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
    true
}

/// Whether a result is made of [`elements`] of an array, or of those of one that a statement names.
fn is_rows(item: &SelectItem) -> bool {
    let SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } = item else { return false };
    match (function_name(function).as_deref(), &function.args) {
        (Some("unnest"), _) => true,
        (Some("pg_cast"), FunctionArguments::List(list)) => matches!(
            list.args.first(),
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner))))
                if function_name(inner).as_deref() == Some("unnest")
        ),
        _ => false,
    }
}

/// Whether a statement has a function in FROM whose column is called `value`.
pub(super) fn brings_value(statement: &Statement) -> bool {
    struct Look(bool);
    impl ast::Visitor for Look {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            self.0 |= name_and_arguments(factor).is_some_and(|(name, _)| {
                SETS.iter().any(|set| set.name == name && set.column.is_some())
                    || EACH.iter().any(|(each, ..)| *each == name)
            });
            ControlFlow::Continue(())
        }
    }
    let mut look = Look(false);
    let _ = ast::Visit::visit(statement, &mut look);
    look.0
}

/// What stands behind something in FROM may look at it.
pub(super) fn look_before(select: &mut Select) {
    let mut factors = select.from.iter_mut().flat_map(|item| {
        std::iter::once(&mut item.relation).chain(item.joins.iter_mut().map(|join| &mut join.relation))
    });
    factors.next();
    for factor in factors {
        if let TableFactor::Derived { lateral, subquery, .. } = factor
            && let SetExpr::Select(inner) = subquery.body.as_ref()
            && inner.from.is_empty()
            && inner.projection.iter().all(is_rows)
            && of_columns(inner.projection.iter().filter_map(|item| match item {
                SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                _ => None,
            }))
        {
            *lateral = true;
        }
    }
}

/// The alias of a function of one column in FROM is its value too: `SELECT e FROM jsonb_array_elements(…) AS e`.
pub(super) fn name_values(select: &mut Select) {
    let factors = select
        .from
        .iter()
        .flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)));
    let aliases: Vec<(String, Ident)> = factors
        .filter_map(|factor| {
            let (name, _) = name_and_arguments(factor)?;
            let column = SETS.iter().find(|set| set.name == name)?.column?;
            let (TableFactor::Table { alias: Some(alias), .. } | TableFactor::Function { alias: Some(alias), .. }) =
                factor
            else {
                return None;
            };
            let column = alias.columns.first().map_or_else(|| Ident::new(column), |column| column.name.clone());
            Some((folded(&alias.name), column))
        })
        .filter(|(alias, column)| *alias != folded(column))
        .collect();
    if aliases.is_empty() {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr @ Expr::Identifier(_)) = item
            && let Expr::Identifier(name) = &*expr
            && aliases.iter().any(|(alias, _)| *alias == folded(name))
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.clone() };
        }
    }
    let _ = select.visit(&mut Name { aliases: &aliases, depth: 0 });
}

struct Name<'a> {
    aliases: &'a [(String, Ident)],
    /// What a query inside calls by such a name may be its own.
    depth: usize,
}

impl VisitorMut for Name<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Identifier(name) = expr
            && let Some((_, column)) = self.aliases.iter().find(|(alias, _)| *alias == folded(name))
        {
            *expr = Expr::CompoundIdentifier(vec![name.clone(), column.clone()]);
        }
        ControlFlow::Continue(())
    }
}
