//! What columns are called, and how the engine is kept from minding that two are called the same.

use std::collections::{BTreeMap, HashSet};

use datafusion::sql::sqlparser::ast::{self, Expr, Ident, SelectItem, SetExpr, Statement as Ast};

use super::tree;

/// What stands between the name of a column and the number that tells it from another of that name.
const MARK: char = '\u{1}';

/// The name of a column without what was added to tell it from another.
#[must_use]
pub fn shown(name: &str) -> &str {
    name.split(MARK).next().unwrap_or(name)
}

/// The names of the columns of a statement before and behind its only wildcard.
#[derive(Debug, Default)]
pub struct Names {
    before: Vec<Option<String>>,
    after: Option<Vec<Option<String>>>,
}

impl Names {
    /// The name of a column of so many; none where it has the name of what a wildcard stands for.
    #[must_use]
    pub fn of(&self, at: usize, width: usize) -> Option<&str> {
        if let Some(name) = self.before.get(at) {
            return name.as_deref();
        }
        let after = self.after.as_ref()?;
        after.get(at.checked_sub(width.checked_sub(after.len())?)?)?.as_deref()
    }
}

/// What PostgreSQL calls the columns of a statement.
#[must_use]
pub fn column_names(statement: &Ast) -> Names {
    let Ast::Query(query) = statement else { return Names::default() };
    let Some(items) = first_select(&query.body) else { return Names::default() };
    let mut names = Names::default();
    for item in items {
        let name = match item {
            SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            SelectItem::ExprWithAliases { .. } => None,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                if names.after.replace(Vec::new()).is_some() {
                    // Which column belongs to which of two wildcards nobody knows here.
                    return Names { after: None, ..names };
                }
                continue;
            }
        };
        names.after.as_mut().unwrap_or(&mut names.before).push(name);
    }
    names
}

pub(super) fn first_select(body: &SetExpr) -> Option<&[SelectItem]> {
    let mut body = body;
    loop {
        body = match body {
            SetExpr::Select(select) => return Some(&select.projection),
            SetExpr::Query(query) => &query.body,
            SetExpr::SetOperation { left, .. } => left,
            _ => return None,
        };
    }
}

/// A name as it is looked up.
#[must_use]
pub fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// What PostgreSQL calls a column that has no alias (`FigureColname`).
pub(super) fn name_of(expr: &Expr) -> String {
    let mut expr = expr;
    let unknown = || "?column?".to_owned();
    let mut cast: Option<String> = None;
    loop {
        let name = match expr {
            Expr::Identifier(name) => folded(name),
            Expr::CompoundIdentifier(parts) => parts.last().map_or_else(unknown, folded),
            Expr::Function(call) => call.name.0.last().and_then(|part| part.as_ident()).map_or_else(unknown, folded),
            Expr::Cast { expr: inner, data_type, .. } => {
                cast = cast.or_else(|| Some(sql_name(data_type)));
                expr = inner;
                continue;
            }
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } | Expr::AtTimeZone { timestamp: inner, .. } => {
                if matches!(expr, Expr::AtTimeZone { .. }) {
                    return "timezone".to_owned();
                }
                expr = inner;
                continue;
            }
            Expr::Case { else_result, .. } => match else_result.as_deref() {
                Some(
                    column @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_) | Expr::Array(_)),
                ) => {
                    expr = column;
                    continue;
                }
                _ => "case".to_owned(),
            },
            Expr::Tuple(_) => "row".to_owned(),
            Expr::Overlay { .. } => "overlay".to_owned(),
            Expr::BinaryOp { op: ast::BinaryOperator::Overlaps, .. } => "overlaps".to_owned(),
            Expr::Exists { .. } => "exists".to_owned(),
            Expr::Array(_) => "array".to_owned(),
            Expr::Extract { .. } => "extract".to_owned(),
            Expr::Substring { shorthand, .. } => if *shorthand { "substr" } else { "substring" }.to_owned(),
            Expr::Trim { trim_where, .. } => match trim_where {
                Some(ast::TrimWhereField::Leading) => "ltrim",
                Some(ast::TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .to_owned(),
            Expr::Position { .. } => "position".to_owned(),
            Expr::Ceil { .. } => "ceil".to_owned(),
            Expr::Floor { .. } => "floor".to_owned(),
            Expr::Interval(_) => "interval".to_owned(),
            Expr::TypedString(typed) => sql_name(&typed.data_type),
            Expr::Subquery(query) => match first_select(&query.body).and_then(<[SelectItem]>::first) {
                Some(SelectItem::ExprWithAlias { alias, .. }) => folded(alias),
                Some(SelectItem::UnnamedExpr(inner)) => {
                    expr = inner;
                    continue;
                }
                _ => unknown(),
            },
            Expr::CompoundFieldAccess { root, access_chain } => {
                let dots = access_chain.iter().rev().find_map(|access| match access {
                    ast::AccessExpr::Dot(Expr::Identifier(name)) => Some(folded(name)),
                    _ => None,
                });
                match dots {
                    Some(name) => name,
                    None => {
                        expr = root;
                        continue;
                    }
                }
            }
            _ => unknown(),
        };
        // A name that only says what kind of constant it is.
        let weak = matches!(expr, Expr::TypedString(_) | Expr::Interval(_) | Expr::Case { .. });
        return match cast {
            Some(cast) if weak || name == "?column?" => cast,
            _ => name,
        };
    }
}

/// The name that `pg_type` has for a type; that of its elements for an array.
pub(super) fn sql_name(data_type: &ast::DataType) -> String {
    let text = data_type.to_string().to_lowercase();
    let zoned = text.contains("with time zone") || text.starts_with("timestamptz");
    let base = text.split(['(', '[']).next().unwrap_or(&text).trim();
    match base {
        "int" | "integer" | "int4" => "int4",
        "bigint" | "int8" => "int8",
        "smallint" | "int2" => "int2",
        "double precision" | "float8" | "double" | "float" => "float8",
        "real" | "float4" => "float4",
        "boolean" | "bool" => "bool",
        "decimal" | "numeric" | "dec" => "numeric",
        "timestamp" | "timestamp without time zone" | "timestamptz" | "timestamp with time zone" => {
            if zoned {
                "timestamptz"
            } else {
                "timestamp"
            }
        }
        "time" | "time without time zone" => "time",
        "character varying" | "varchar" | "char varying" | "nvarchar" => "varchar",
        "character" | "char" | "bpchar" => "bpchar",
        "string" => "text",
        other => other.rsplit('.').next().unwrap_or(other).trim_matches('"'),
    }
    .to_owned()
}

/// The engine wants every column of a SELECT to have its own name; PostgreSQL does not. The client sees [`column_names`].
pub(super) fn distinct_names(statement: &mut Ast) {
    let Ast::Query(query) = statement else { return };
    let mut bodies = vec![query.body.as_mut()];
    while let Some(body) = bodies.pop() {
        match body {
            SetExpr::Select(select) => distinct_items(&mut select.projection),
            SetExpr::SetOperation { left, right, .. } => bodies.extend([left.as_mut(), right.as_mut()]),
            SetExpr::Query(query) => bodies.push(query.body.as_mut()),
            _ => {}
        }
    }
}

/// An expression as the engine names it, which leaves casts out.
fn without_casts(expr: &Expr) -> String {
    let mut bare = expr.clone();
    let _ = ast::visit_expressions_mut(&mut bare, |part| {
        while let Expr::Cast { expr: inner, .. } = part {
            *part = tree::taken(inner);
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    bare.to_string()
}

pub(super) fn distinct_items(items: &mut [SelectItem]) {
    // What a wildcard stands for is not known here: any column that is also named may be among it.
    let wildcard = items.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let mut seen: HashSet<String> = HashSet::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let key = match item {
            // Both count rows.
            SelectItem::UnnamedExpr(expr) => without_casts(expr).replace("count(*)", "count(1)"),
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            _ => continue,
        };
        let column = matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        if seen.insert(key.clone()) && !(wildcard && column) {
            continue;
        }
        let count = counts.entry(key.clone()).or_insert(1);
        *count += 1;
        let name = match item {
            SelectItem::UnnamedExpr(expr) => name_of(expr),
            _ => key,
        };
        let alias = Ident::with_quote('"', format!("{name}{MARK}{count}"));
        match item {
            SelectItem::UnnamedExpr(expr) => *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias },
            SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
            _ => {}
        }
    }
}

/// The columns of inner queries get the names that PostgreSQL gives them, by which outer queries may call them.
pub(super) fn name_inner(select: &mut ast::Select) {
    let grouped = !matches!(&select.group_by, ast::GroupByExpr::Expressions(of, _) if of.is_empty());
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item {
            let cast = matches!(expr, Expr::Cast { .. } | Expr::Nested(_)) && grouped;
            if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) && !cast {
                let alias = Ident::with_quote('"', name_of(expr));
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
    }
    distinct_items(&mut select.projection);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str, width: usize) -> Vec<Option<String>> {
        let dialect = datafusion::sql::sqlparser::dialect::PostgreSqlDialect {};
        let statement = datafusion::sql::sqlparser::parser::Parser::parse_sql(&dialect, sql).unwrap().remove(0);
        let names = column_names(&statement);
        (0..width).map(|at| names.of(at, width).map(str::to_owned)).collect()
    }

    #[test]
    fn columns_have_the_names_that_postgresql_gives_them() {
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            names(
                "select 1, count(*), s.Name, x::text, 'a'::text, case when true then 1 end, (select max(y) from t), 1 AS \"A b\", a + 1",
                9
            ),
            ["?column?", "count", "name", "x", "text", "case", "max", "A b", "?column?"].map(some)
        );
        assert_eq!(names("select 1, *, upper(a)", 4), [some("?column?"), None, None, some("upper")]);
        assert_eq!(names("(select 1 as one) union all select 2", 1), [some("one")]);
    }
}
