//! `generate_series` and `unnest` in FROM: their column is called as the function or its alias.

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectNamePart, TableAlias, TableAliasColumnDef,
    TableFactor,
};

fn named(alias: &mut Option<TableAlias>, function: &str) {
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::new(function),
        columns: vec![],
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
    }
}

fn whole(argument: &FunctionArg) -> bool {
    matches!(
        argument,
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Cast { data_type: DataType::Integer(None), .. }))
    )
}

/// Give a function in FROM its column's name. `keep` leaves `generate_series` with the engine's name for it; `raw` takes
/// the types off an argument again, since functions in FROM know theirs.
pub(super) fn rewritten(factor: &mut TableFactor, keep: bool, mut raw: impl FnMut(&mut FunctionArg)) {
    match factor {
        TableFactor::UNNEST { alias, with_ordinality: false, array_exprs, .. } if array_exprs.len() == 1 => {
            named(alias, "unnest");
        }
        TableFactor::Function { args, .. } => args.iter_mut().for_each(raw),
        TableFactor::Table { name, alias, args: Some(given), .. } => {
            let integers = given.args.iter().all(whole);
            for argument in &mut given.args {
                // The engine counts in bigint.
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument
                    && matches!(expr, Expr::Cast { expr: inner, data_type: DataType::Integer(None), .. } if matches!(inner.as_ref(), Expr::Function(_)))
                {
                    *expr = super::tree::cast(expr.clone(), DataType::BigInt(None));
                }
            }
            given.args.iter_mut().for_each(&mut raw);
            let function = name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase());
            if function.as_deref() != Some("generate_series") || keep {
                return;
            }
            named(alias, "generate_series");
            if integers {
                as_integers(factor);
            }
        }
        _ => {}
    }
}

/// A series of integers is of integers, where the engine counts in bigint.
fn as_integers(factor: &mut TableFactor) {
    let parsed = super::tree::parsed("SELECT CAST(c AS INT) AS c FROM t");
    let Some(ast::Statement::Query(mut query)) = parsed else { return };
    let TableFactor::Table { alias, .. } = factor else { return };
    let outer = alias.clone();
    if let Some(alias) = alias {
        alias.columns = vec![TableAliasColumnDef { name: Ident::new("c"), data_type: None }];
    }
    let ast::SetExpr::Select(select) = query.body.as_mut() else { return };
    let Some(from) = select.from.first_mut() else { return };
    from.relation = factor.clone();
    *factor = TableFactor::Derived { lateral: false, subquery: query, alias: outer, sample: None };
}
