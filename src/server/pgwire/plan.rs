//! From a statement to a plan: parameters typed, columns named as PostgreSQL names them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ParamValues, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    Expr as Logical, ExprSchemable, LogicalPlan, Statement as PlanStatement, TypeSignature,
};
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, SelectItem, SetExpr, Statement as Ast, Value, visit_expressions,
};

use super::parameters::sql_type;
use crate::catalog::pg_catalog;
use crate::error::{Result, UserError, sqlstate};

/// A query that can be run.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) plan: LogicalPlan,
    /// The columns as the client sees them.
    pub(super) schema: SchemaRef,
    /// Types of the parameters by number.
    pub(super) types: Vec<Option<DataType>>,
}

/// The number of the highest parameter.
pub(super) fn parameter_count(statement: &Ast) -> usize {
    let mut most = 0;
    let _ = visit_expressions(statement, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            most = most.max(name.trim_start_matches('$').parse().unwrap_or(0));
        }
        ControlFlow::<()>::Continue(())
    });
    most
}

/// Plan a statement; `declared` are the types that the client gave its parameters, by number.
pub(super) async fn plan(state: &SessionState, statement: &Ast, declared: &[Option<DataType>]) -> Result<Planned> {
    let mut statement = statement.clone();
    let names = column_names(&statement);
    pg_catalog::compatible(&mut statement);
    distinct_names(&mut statement);
    let count = parameter_count(&statement);
    if count > 65_535 {
        return Err(UserError::new("42P02", format!("there is no parameter ${count}")).into());
    }
    let mut types: Vec<Option<DataType>> = (0..count).map(|at| declared.get(at).cloned().flatten()).collect();
    let plan = if types.iter().all(Option::is_some) {
        typed(state, &statement, &types).await?
    } else {
        let inferred = match untyped(state, &statement).await {
            Ok(plan) => inferred_types(&plan)?,
            // A call whose overload depends on the parameter: text, as PostgreSQL takes an unknown literal.
            Err(_) => HashMap::new(),
        };
        for (at, slot) in types.iter_mut().enumerate() {
            let found = inferred.get(&format!("${}", at + 1)).cloned();
            *slot = slot.take().or(found).or(Some(DataType::Utf8));
        }
        typed(state, &statement, &types).await?
    };
    let fields = plan.schema().as_arrow().clone();
    Ok(Planned { schema: rename(&fields, &names), plan, types })
}

async fn untyped(state: &SessionState, statement: &Ast) -> Result<LogicalPlan> {
    Ok(state.statement_to_plan(EngineStatement::Statement(Box::new(statement.clone()))).await?)
}

/// With every parameter's type given, which the planner takes from a PREPARE around the statement.
async fn typed(state: &SessionState, statement: &Ast, types: &[Option<DataType>]) -> Result<LogicalPlan> {
    if types.is_empty() {
        return untyped(state, statement).await;
    }
    let data_types = types.iter().map(|data_type| sql_type(data_type.as_ref().unwrap_or(&DataType::Utf8))).collect();
    let prepare = Ast::Prepare { name: Ident::new("p"), data_types, statement: Box::new(statement.clone()) };
    match untyped(state, &prepare).await? {
        LogicalPlan::Statement(PlanStatement::Prepare(prepare)) => Ok(Arc::unwrap_or_clone(prepare.input)),
        other => Ok(other),
    }
}

/// What the plan says about its parameters' types.
fn inferred_types(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let known = plan.get_parameter_types()?;
    let mut types: HashMap<String, DataType> =
        known.into_iter().filter_map(|(name, data_type)| Some((name, plain(data_type?)))).collect();
    plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                said_by_cast(expr, &mut types);
                array_of_operand(expr, &schema, &mut types);
                wanted_by_function(expr, &schema, &mut types);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(types)
}

/// A parameter of `$1::int4` is of the type that it is cast to.
fn said_by_cast(expr: &Logical, types: &mut HashMap<String, DataType>) {
    if let Logical::Cast(cast) = expr
        && let Logical::Placeholder(parameter) = cast.expr.as_ref()
    {
        types.insert(parameter.id.clone(), plain(cast.field.data_type().clone()));
    }
}

/// A parameter of `x = any($1)` is an array of the type of `x`.
fn array_of_operand(expr: &Logical, schema: &DFSchema, types: &mut HashMap<String, DataType>) {
    if let Logical::ScalarFunction(call) = expr
        && call.name() == "array_has"
        && let [Logical::Placeholder(array), operand] = call.args.as_slice()
        && let Ok(data_type) = operand.get_type(schema)
    {
        types.insert(array.id.clone(), DataType::new_list(plain(data_type), true));
    }
}

/// A parameter that is an argument of a function which says itself what it takes, such as `owner_of`, is of that type.
fn wanted_by_function(expr: &Logical, schema: &DFSchema, types: &mut HashMap<String, DataType>) {
    let Logical::ScalarFunction(call) = expr else { return };
    if call.func.signature().type_signature != TypeSignature::UserDefined {
        return;
    }
    let given: Vec<DataType> =
        call.args.iter().map(|argument| argument.get_type(schema).unwrap_or(DataType::Null)).collect();
    let Ok(wanted) = call.func.coerce_types(&given) else { return };
    for (argument, wanted) in call.args.iter().zip(wanted) {
        if let Logical::Placeholder(parameter) = argument
            && parameter.field.is_none()
            && wanted != DataType::Null
        {
            types.entry(parameter.id.clone()).or_insert_with(|| plain(wanted));
        }
    }
}

/// The type that a client would use for it.
fn plain(data_type: DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => plain(*value),
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        other => other,
    }
}

/// Put values in the place of parameters.
pub(super) fn bind(planned: Planned, values: Vec<ScalarValue>) -> Result<LogicalPlan> {
    if values.is_empty() {
        return Ok(planned.plan);
    }
    let fields = planned.plan.get_parameter_types()?;
    let values = values.into_iter().enumerate().map(|(at, value)| {
        match fields.get(&format!("${}", at + 1)).and_then(Option::as_ref) {
            Some(wanted) if *wanted != value.data_type() => value.cast_to(wanted).map_err(|_| {
                UserError::new(
                    sqlstate::DATATYPE_MISMATCH,
                    format!("parameter ${} cannot be a value of its type", at + 1),
                )
                .into()
            }),
            _ => Ok(value),
        }
    });
    let values = values.collect::<Result<Vec<_>>>()?;
    Ok(planned.plan.replace_params_with_values(&ParamValues::from(values))?)
}

fn rename(schema: &Schema, names: &Names) -> SchemaRef {
    let fields = schema.fields();
    let width = fields.len();
    let renamed = fields.iter().enumerate().map(|(at, field)| match names.of(at, width) {
        Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
        None => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(renamed.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The names of the columns of a statement before and behind its only wildcard.
#[derive(Debug, Default)]
struct Names {
    before: Vec<Option<String>>,
    after: Option<Vec<Option<String>>>,
}

impl Names {
    fn of(&self, at: usize, width: usize) -> Option<&str> {
        if let Some(name) = self.before.get(at) {
            return name.as_deref();
        }
        let after = self.after.as_ref()?;
        after.get(at.checked_sub(width.checked_sub(after.len())?)?)?.as_deref()
    }
}

fn column_names(statement: &Ast) -> Names {
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

fn first_select(body: &SetExpr) -> Option<&[SelectItem]> {
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

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// What PostgreSQL calls a column that has no alias (`FigureColname`).
fn name_of(expr: &Expr) -> String {
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
            Expr::Case { .. } => "case".to_owned(),
            Expr::Exists { .. } => "exists".to_owned(),
            Expr::Array(_) => "array".to_owned(),
            Expr::Extract { .. } => "extract".to_owned(),
            Expr::Substring { .. } => "substring".to_owned(),
            Expr::Trim { .. } => "btrim".to_owned(),
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
        return match cast {
            Some(cast) if name == "?column?" => cast,
            _ => name,
        };
    }
}

fn sql_name(data_type: &ast::DataType) -> String {
    let text = data_type.to_string().to_lowercase();
    let base = text.split('(').next().unwrap_or(&text).trim();
    match base {
        "int" | "integer" | "int4" => "int4",
        "bigint" | "int8" => "int8",
        "smallint" | "int2" => "int2",
        "double precision" | "float8" | "double" => "float8",
        "real" | "float4" => "float4",
        "boolean" | "bool" => "bool",
        "decimal" | "numeric" => "numeric",
        "timestamp with time zone" | "timestamptz" => "timestamptz",
        "timestamp" | "timestamp without time zone" => "timestamp",
        "character varying" | "varchar" => "varchar",
        other => other.rsplit('.').next().unwrap_or(other),
    }
    .to_owned()
}

/// The engine wants every column of a SELECT to have its own name; PostgreSQL does not. The client sees [`column_names`].
fn distinct_names(statement: &mut Ast) {
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

fn distinct_items(items: &mut [SelectItem]) {
    // What a wildcard stands for is not known here: any column that is also named may be among it.
    let wildcard = items.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let mut seen: HashSet<String> = HashSet::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        let key = match item {
            SelectItem::UnnamedExpr(expr) => expr.to_string(),
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            _ => continue,
        };
        let column = matches!(item, SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        if seen.insert(key.clone()) && !(wildcard && column) {
            continue;
        }
        let count = counts.entry(key.clone()).or_insert(1);
        *count += 1;
        let alias = Ident::with_quote('"', format!("{key}:{count}"));
        match item {
            SelectItem::UnnamedExpr(expr) => *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias },
            SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str, width: usize) -> Vec<Option<String>> {
        let statement = super::super::statement::parse(sql).unwrap().remove(0);
        let super::super::statement::Kind::Query(ast) = statement.kind else { panic!("not a query") };
        let names = column_names(&ast);
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
