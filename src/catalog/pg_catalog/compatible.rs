//! Statements about the catalog, in the forms that the engine cannot plan, turned into forms with the same answer.
//!
//! Only statements that read nothing but the catalog are touched: what a user asks of data is planned as it was written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, Statement, TableFactor, Value,
    VisitMut, Visitor, VisitorMut,
};

use super::tables;
use crate::dialect;
use crate::dialect::tree::{call, cast, string};

/// Rewrite a statement that only reads the catalog; leave every other alone.
pub fn compatible(statement: &mut Statement) {
    if catalog_only(statement) {
        let _ = VisitMut::visit(statement, &mut Rewrite);
    }
}

/// Functions that may stand in FROM and read no table.
const SET_FUNCTIONS: [&str; 5] =
    ["generate_series", "unnest", "pg_partition_ancestors", "pg_show_all_settings", "pg_get_keywords"];

fn catalog_only(statement: &Statement) -> bool {
    !look(statement).foreign
}

/// Whether a statement reads the catalog, and nothing else.
#[must_use]
pub fn reads_catalog(statement: &Statement) -> bool {
    let seen = look(statement);
    seen.catalog && !seen.foreign
}

fn look(statement: &Statement) -> Look {
    let mut look = Look { ctes: Vec::new(), foreign: false, catalog: false };
    let _ = ast::Visit::visit(statement, &mut look);
    look
}

struct Look {
    ctes: Vec<String>,
    foreign: bool,
    catalog: bool,
}

impl Visitor for Look {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            self.ctes.extend(with.cte_tables.iter().map(|cte| folded(&cte.alias.name)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let names = parts(relation);
        let known = |name: &str| tables::find(name).is_some();
        self.catalog |= match names.as_slice() {
            [.., schema, _] => schema == "pg_catalog" || schema == "information_schema",
            [name] => known(name),
            [] => false,
        };
        self.foreign |= match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["pg_catalog" | "information_schema", _] | ["ascribe", "pg_catalog" | "information_schema", _] => false,
            [name] => {
                !(self.ctes.iter().any(|cte| cte == name)
                    || tables::find(name).is_some()
                    || SET_FUNCTIONS.contains(name))
            }
            _ => true,
        };
        ControlFlow::Continue(())
    }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(folded).collect()
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
                    && matches!(names.last().map(String::as_str), Some("pg_show_all_settings" | "pg_get_keywords"))
                {
                    let table = if names.last().is_some_and(|name| name == "pg_get_keywords") {
                        "pg_get_keywords"
                    } else {
                        "pg_settings"
                    };
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

fn drop_if_empty(side: &mut SetExpr) {
    if let SetExpr::Select(select) = side
        && is_empty(select)
    {
        select.projection.iter_mut().for_each(drop_subqueries);
    }
}

/// Whether a SELECT has no rows because it reads a table that never has any.
fn is_empty(select: &ast::Select) -> bool {
    let never = |factor: &TableFactor| match factor {
        TableFactor::Table { name, args: None, .. } => {
            parts(name).last().is_some_and(|name| tables::find(name).is_some() && super::rows::always_empty(name))
        }
        _ => false,
    };
    let inner = |join: &ast::Join| {
        matches!(
            join.join_operator,
            ast::JoinOperator::Join(_) | ast::JoinOperator::Inner(_) | ast::JoinOperator::CrossJoin(_)
        ) && never(&join.relation)
    };
    select.group_by == GroupByExpr::Expressions(Vec::new(), Vec::new())
        && !select.projection.iter().any(has_aggregate)
        && select.from.iter().any(|from| {
            let preserved = from.joins.iter().all(|join| {
                !matches!(
                    join.join_operator,
                    ast::JoinOperator::Right(_) | ast::JoinOperator::RightOuter(_) | ast::JoinOperator::FullOuter(_)
                )
            });
            preserved && (never(&from.relation) || from.joins.iter().any(inner))
        })
}

fn reads_nothing(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Select(select) if is_empty(select))
}

/// Where a subquery says that a column of its own equals one of the outer query, it can use its own everywhere else: the
/// engine can only take equalities with the outer query out of a subquery.
fn inner_columns(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let relations = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let own: Vec<String> = relations
        .filter_map(|relation| match relation {
            TableFactor::Table { name, alias, .. } => match alias {
                Some(alias) => Some(folded(&alias.name)),
                None => parts(name).pop(),
            },
            _ => None,
        })
        .collect();
    let is_own = |expr: &Expr| matches!(expr, Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|first| own.contains(&folded(first))));
    let is_outer = |expr: &Expr| matches!(expr, Expr::CompoundIdentifier(parts) if parts.first().is_some_and(|first| !own.contains(&folded(first))));
    let Some(filter) = &mut select.selection else { return };
    let mut conjuncts = vec![filter];
    let mut flat: Vec<&mut Expr> = Vec::new();
    while let Some(next) = conjuncts.pop() {
        match next {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                conjuncts.extend([left.as_mut(), right.as_mut()]);
            }
            Expr::Nested(inner) => conjuncts.push(inner),
            other => flat.push(other),
        }
    }
    let mut known: Vec<(Expr, Expr)> = Vec::new();
    for conjunct in &flat {
        if let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = &**conjunct {
            match (left.as_ref(), right.as_ref()) {
                (inner, outer) | (outer, inner) if is_own(inner) && is_outer(outer) => {
                    known.push((outer.clone(), inner.clone()));
                }
                _ => {}
            }
        }
    }
    for conjunct in flat {
        let equality = matches!(conjunct, Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
            if (is_own(left) && is_outer(right)) || (is_outer(left) && is_own(right)));
        if !equality {
            let _ = ast::visit_expressions_mut(conjunct, |expr| {
                if let Some((_, inner)) = known.iter().find(|(outer, _)| outer == expr) {
                    *expr = inner.clone();
                }
                ControlFlow::<()>::Continue(())
            });
        }
    }
}

fn drop_subqueries(item: &mut SelectItem) {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return };
    let mut drop = DropSubqueries;
    let _ = VisitMut::visit(expr, &mut drop);
}

struct DropSubqueries;

impl VisitorMut for DropSubqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let subquery = match expr {
            Expr::Subquery(_) | Expr::CompoundFieldAccess { .. } => true,
            Expr::Function(function) => matches!(function.args, FunctionArguments::Subquery(_)),
            _ => false,
        };
        if subquery {
            *expr = null_text();
        }
        ControlFlow::Continue(())
    }
}

fn null_text() -> Expr {
    cast(Expr::Value(Value::Null.into()), DataType::Text)
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
        Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right }
            if is_function_column(left)
                && matches!(right.as_ref(), Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "0")) =>
        {
            // A function is shown by its name here, and none as a dash.
            **right = Expr::Value(Value::SingleQuotedString("-".to_owned()).into());
            None
        }
        Expr::BinaryOp { op, .. } => {
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

fn is_function_column(expr: &Expr) -> bool {
    let functions =
        ["typinput", "typoutput", "typreceive", "typsend", "typanalyze", "typmodin", "typmodout", "typsubscript"];
    column_name(expr).is_some_and(|name| functions.contains(&name.as_str()))
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
        (
            "current_user" | "session_user" | "user" | "current_catalog" | "current_schema" | "current_role",
            FunctionArguments::None,
        ) => Some(call(&name, vec![])),
        _ => None,
    }
}

/// `ARRAY(SELECT x …)` as an aggregate; the elements as text, which is how tools read them.
fn collected(query: &Query) -> Expr {
    let texts = || DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None));
    let empty = cast(call("make_array", vec![]), texts());
    let mut query = query.clone();
    let SetExpr::Select(select) = query.body.as_mut() else { return cast(Expr::Value(Value::Null.into()), texts()) };
    if is_empty(select) {
        return empty;
    }
    if always_null_source(select) {
        return cast(Expr::Value(Value::Null.into()), texts());
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return cast(Expr::Value(Value::Null.into()), texts());
    };
    let gathered = call("array_agg", vec![cast(item.clone(), DataType::Text)]);
    select.projection = vec![SelectItem::UnnamedExpr(gathered)];
    query.order_by = None;
    call("coalesce", vec![cast(Expr::Subquery(Box::new(query)), texts()), empty])
}

/// `FROM unnest(x.reloptions)`: options that nothing here has.
fn always_null_source(select: &ast::Select) -> bool {
    let [from] = select.from.as_slice() else { return false };
    let shown = from.relation.to_string().to_lowercase();
    shown.contains("unnest(")
        && ["reloptions", "attoptions", "setconfig", "acl"].iter().any(|column| shown.contains(column))
}

/// A subquery that looks one thing up, as an aggregate over the at most one row that it finds.
fn one_row(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
    else {
        return;
    };
    let grouped = select.group_by != GroupByExpr::Expressions(Vec::new(), Vec::new());
    if grouped || select.from.is_empty() || is_aggregate(item) {
        return;
    }
    *item = call("first_value", vec![item.clone()]);
    query.order_by = None;
    query.limit_clause = None;
}

fn has_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_aggregate(expr),
        _ => false,
    }
}

/// Whether an expression aggregates the rows of its own query, not of one inside it.
fn is_aggregate(expr: &Expr) -> bool {
    let mut look = Aggregates { depth: 0, found: false };
    let _ = ast::Visit::visit(expr, &mut look);
    look.found
}

struct Aggregates {
    depth: usize,
    found: bool,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        const AGGREGATES: [&str; 11] = [
            "pg_at_most_two",
            "count",
            "max",
            "min",
            "sum",
            "avg",
            "array_agg",
            "string_agg",
            "first_value",
            "bool_or",
            "bool_and",
        ];
        if self.depth == 0
            && let Expr::Function(function) = expr
        {
            self.found |= parts(&function.name).last().is_some_and(|name| AGGREGATES.contains(&name.as_str()));
        }
        ControlFlow::Continue(())
    }
}

fn rewritten_cast(inner: &Expr, data_type: &mut DataType) -> Option<Expr> {
    let name = match data_type {
        DataType::Custom(name, _) => parts(name).pop()?,
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            if let DataType::Custom(name, _) = element.as_ref() {
                **element = plain(&parts(name).pop()?)?;
            }
            return text_array(inner);
        }
        DataType::Regclass => "regclass".to_owned(),
        _ => return None,
    };
    let literal = matches!(inner, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::Placeholder(_)));
    match name.as_str() {
        "regclass" | "regtype" | "regproc" | "regprocedure" | "regnamespace" | "regrole" => {
            let base = match name.as_str() {
                "regprocedure" => "regproc",
                "regrole" if !literal => return Some(call("pg_get_userbyid", vec![inner.clone()])),
                other => other,
            };
            let direction = if literal { "in" } else { "out" };
            Some(call(&format!("{base}_{direction}"), vec![inner.clone()]))
        }
        other => {
            *data_type = plain(other)?;
            None
        }
    }
}

fn plain(name: &str) -> Option<DataType> {
    Some(match name {
        "oid" | "xid" | "xid8" | "cid" | "int8" => DataType::BigInt(None),
        "int4" | "integer" => DataType::Integer(None),
        "int2" => DataType::SmallInt(None),
        "bool" => DataType::Boolean,
        "text" | "name" | "char" | "varchar" | "bpchar" | "aclitem" | "pg_node_tree" | "information_schema"
        | "sql_identifier" | "character_data" | "yes_or_no" | "inet" | "json" | "jsonb" => DataType::Text,
        "float8" => DataType::DoublePrecision,
        "float4" => DataType::Real,
        "numeric" => DataType::Numeric(ast::ExactNumberInfo::None),
        "timestamptz" => DataType::Timestamp(None, ast::TimezoneInfo::Tz),
        _ => return None,
    })
}

fn array_literal(expr: &Expr) -> Option<Expr> {
    let texts = DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None));
    text_array(expr).map(|array| cast(array, texts))
}

/// `'{a,b}'::text[]` as the array that it is.
fn text_array(inner: &Expr) -> Option<Expr> {
    let Expr::Value(value) = inner else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let items = text.strip_prefix('{')?.strip_suffix('}')?;
    let items = items.split(',').filter(|item| !item.is_empty());
    let items =
        items.map(|item| Expr::Value(Value::SingleQuotedString(item.trim().trim_matches('"').to_owned()).into()));
    Some(call("make_array", items.collect()))
}
