//! Functions of one value in FROM, where they are relations of one row and one column.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, SelectItem, SetExpr, Statement, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::names::folded;
use super::rewrite::name_without_schema;
use super::set_returning::of_columns;
use super::tree::parsed;

/// Values that are called without parentheses: to PostgreSQL these words are no names of relations.
const WORDS: [&str; 9] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_timestamp",
    "current_user",
    "localtimestamp",
    "session_user",
    "user",
];

/// Make a query of each call in FROM of a function that `is_scalar` knows by its name: `SELECT * FROM version()`.
pub fn scalar_relations(statement: &mut Statement, is_scalar: &dyn Fn(&str) -> bool) {
    let _ = VisitMut::visit(statement, &mut Relations { is_scalar });
}

struct Relations<'a> {
    is_scalar: &'a dyn Fn(&str) -> bool,
}

impl Relations<'_> {
    fn query(&self, factor: &TableFactor) -> Option<TableFactor> {
        let (name, arguments, alias) = match factor {
            TableFactor::Table { name, args, alias, with_ordinality: false, .. } => {
                (name, args.as_ref().map(|given| given.args.clone()), alias)
            }
            TableFactor::Function { name, args, alias, .. } => (name, Some(args.clone()), alias),
            _ => return None,
        };
        let name = name_without_schema(name).filter(|_| arguments.is_some()).unwrap_or_else(|| name.clone());
        let [ObjectNamePart::Identifier(own)] = name.0.as_slice() else { return None };
        let called = folded(own);
        let known = match &arguments {
            Some(_) => (self.is_scalar)(&called),
            None => own.quote_style.is_none() && WORDS.contains(&called.as_str()),
        };
        // A call that looks at what stands before it has a row for each row there.
        let expressions = arguments.iter().flatten().filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        });
        if !known || of_columns(expressions) {
            return None;
        }
        let outer = alias.as_ref().map_or_else(|| Ident::new(called.clone()), |alias| alias.name.clone());
        let columns = alias.as_ref().map_or_else(Vec::new, |alias| alias.columns.clone());
        let args = match arguments {
            Some(args) => {
                FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] })
            }
            None => FunctionArguments::None,
        };
        let expr = Expr::Function(Function {
            name: ObjectName::from(vec![Ident { value: called, ..own.clone() }]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args,
            filter: None,
            null_treatment: None,
            over: None,
            within_group: vec![],
        });
        let Some(Statement::Query(mut subquery)) = parsed("SELECT 1") else { return None };
        let SetExpr::Select(select) = subquery.body.as_mut() else { return None };
        select.projection = vec![SelectItem::ExprWithAlias { expr, alias: outer.clone() }];
        let alias = Some(TableAlias { explicit: true, name: outer, columns, at: None });
        Some(TableFactor::Derived { lateral: false, subquery, alias, sample: None })
    }
}

impl VisitorMut for Relations<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let Some(query) = self.query(factor) {
            *factor = query;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_scalars_are_queries() {
        let plain = |sql: &str| {
            let mut statement = parsed(sql).unwrap();
            scalar_relations(&mut statement, &|name| ["version", "upper"].contains(&name));
            statement.to_string()
        };
        for (sql, expected) in [
            ("SELECT * FROM pg_catalog.VERSION()", "SELECT * FROM (SELECT version() AS version) AS version"),
            ("SELECT u FROM upper('x') AS u", "SELECT u FROM (SELECT upper('x') AS u) AS u"),
            ("SELECT c FROM upper('x') AS u (c)", "SELECT c FROM (SELECT upper('x') AS u) AS u (c)"),
            ("SELECT * FROM current_user", "SELECT * FROM (SELECT current_user AS current_user) AS current_user"),
            ("SELECT * FROM version", "SELECT * FROM version"),
            ("SELECT * FROM other(1)", "SELECT * FROM other(1)"),
            ("SELECT * FROM mine.version()", "SELECT * FROM mine.version()"),
        ] {
            assert_eq!(plain(sql), expected);
        }
    }
}
