//! Rows as values where they become JSON: `json_agg(t)`, `to_jsonb(t)`, of a relation in FROM whose columns are known from the
//! statement, or which is a table of every lake.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select, SelectItem, SetExpr, Statement,
    TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::names::{folded, name_of};
use super::rewrite::function_name;
use super::tree::{call, string};

/// The function that makes JSON of the names and values of a row.
pub(super) const NAME: &str = "pg_row_to_json";

/// Functions whose argument may be a row.
const TAKERS: [&str; 5] = ["json_agg", "jsonb_agg", "row_to_json", "to_json", "to_jsonb"];

/// The columns of the queries that a statement gives names to.
pub(super) type Named = BTreeMap<String, Vec<String>>;

/// What WITH names, wherever in a statement.
pub(super) fn named(statement: &Statement) -> Named {
    struct Look(Named);
    impl ast::Visitor for Look {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
                if let Some(columns) = called(Some(&cte.alias)).or_else(|| of_query(&cte.query)) {
                    self.0.entry(folded(&cte.alias.name)).or_insert(columns);
                }
            }
            ControlFlow::Continue(())
        }
    }
    let mut look = Look(Named::new());
    let _ = ast::Visit::visit(statement, &mut look);
    look.0
}

fn called(alias: Option<&TableAlias>) -> Option<Vec<String>> {
    let columns = &alias?.columns;
    (!columns.is_empty()).then(|| columns.iter().map(|column| folded(&column.name)).collect())
}

fn of_query(query: &Query) -> Option<Vec<String>> {
    let mut body = query.body.as_ref();
    loop {
        body = match body {
            SetExpr::Query(query) => &query.body,
            SetExpr::SetOperation { left, .. } => left,
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, |row| row.len());
                return Some((1..=width).map(|at| format!("column{at}")).collect());
            }
            SetExpr::Select(select) => {
                let name = |item: &SelectItem| match item {
                    SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
                    SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
                    _ => None,
                };
                return select.projection.iter().map(name).collect();
            }
            _ => return None,
        };
    }
}

/// What a relation in FROM is called, and its columns.
fn relation(factor: &TableFactor, named: &Named) -> Option<(Ident, Vec<String>)> {
    match factor {
        TableFactor::Derived { subquery, alias: Some(alias), .. } => {
            Some((alias.name.clone(), called(Some(alias)).or_else(|| of_query(subquery))?))
        }
        TableFactor::Table { name, alias, args: None, .. } => {
            let table = name.0.last()?.as_ident()?;
            let own = |table: &str| {
                let columns = crate::model::table(table)?.all_columns();
                Some(columns.iter().map(|column| column.name.to_owned()).collect())
            };
            let columns = called(alias.as_ref())
                .or_else(|| named.get(&folded(table)).cloned())
                .or_else(|| own(&folded(table)))?;
            Some((alias.as_ref().map_or_else(|| table.clone(), |alias| alias.name.clone()), columns))
        }
        _ => None,
    }
}

/// Put the columns in the place of rows.
pub(super) fn spelled(select: &mut Select, named: &Named) {
    let factors = select
        .from
        .iter()
        .flat_map(|item| std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)));
    let relations: Vec<(Ident, Vec<String>)> = factors.filter_map(|factor| relation(factor, named)).collect();
    if relations.is_empty() {
        return;
    }
    let mut spell = Spell { relations, depth: 0 };
    for item in &mut select.projection {
        let _ = item.visit(&mut spell);
    }
    if let Some(having) = &mut select.having {
        let _ = having.visit(&mut spell);
    }
}

struct Spell {
    relations: Vec<(Ident, Vec<String>)>,
    depth: usize,
}

impl VisitorMut for Spell {
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
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        if let Expr::Function(function) = expr
            && function_name(function).is_some_and(|name| TAKERS.contains(&name.as_str()))
            && let FunctionArguments::List(list) = &mut function.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_mut_slice()
            && let Expr::Identifier(name) = argument
            && let Some((relation, columns)) =
                self.relations.iter().find(|(relation, _)| folded(relation) == folded(name))
            && !self.relations.iter().any(|(_, columns)| columns.contains(&folded(name)))
        {
            let values = columns.iter().flat_map(|column| {
                let value = vec![relation.clone(), Ident::with_quote('"', column)];
                [string(column), Expr::CompoundIdentifier(value)]
            });
            *argument = call(NAME, values.collect());
        }
        ControlFlow::Continue(())
    }
}
