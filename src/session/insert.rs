//! INSERT as PostgreSQL has it: fewer values than columns leave the rest null, values are cast to the columns where that
//! needs no word of the user's, nested columns are written as JSON.

use std::collections::HashSet;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion::common::{DFSchema, TableReference};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Insert, ObjectName, Query, SelectItem, SetExpr, Statement as Ast, TableObject, UnaryOperator, Value,
    Values,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::kinds;
use crate::dialect::encode::{full_name, of_data_type, oid, pg_type};
use crate::dialect::{assignable, folded, reader, tree};
use crate::error::{Result, UserError, sqlstate};

/// Make an INSERT one that the engine understands: it names as many columns as it has values, and each value is one that
/// the engine can cast to the type of its column.
pub(super) async fn complete(state: &SessionState, insert: &mut Insert) -> Result<()> {
    let Some(schema) = target(state, insert).await? else { return Ok(()) };
    let Some(source) = &mut insert.source else { return Ok(()) };
    let (given, selected) = match source.body.as_mut() {
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            if values.rows.iter().any(|row| row.content.len() != width) {
                return Err(UserError::new(sqlstate::SYNTAX, "VALUES lists must all be the same length").into());
            }
            // No column has a default but null.
            let items = values.rows.iter_mut().flat_map(|row| &mut row.content);
            items.filter(|item| is_default(item)).for_each(|item| *item = Expr::Value(Value::Null.into()));
            (width, Vec::new())
        }
        body => {
            name_repeated(body);
            let fields = fields_of(state, source.clone()).await?;
            (fields.len(), fields)
        }
    };
    let named = !insert.columns.is_empty();
    let wanted = if named { insert.columns.len() } else { schema.fields().len() };
    if given > wanted {
        return Err(UserError::new(sqlstate::SYNTAX, "INSERT has more expressions than target columns").into());
    }
    if named && given < wanted {
        return Err(UserError::new(sqlstate::SYNTAX, "INSERT has more target columns than expressions").into());
    }
    if !named && given < wanted {
        let first = schema.fields().iter().take(given);
        insert.columns = first.map(|field| ObjectName::from(vec![Ident::with_quote('"', field.name())])).collect();
    }
    let columns: Vec<Option<&Field>> = if insert.columns.is_empty() {
        schema.fields().iter().map(|field| Some(field.as_ref())).collect()
    } else {
        insert.columns.iter().map(|name| of_column(&schema, name)).collect()
    };
    match source.body.as_mut() {
        SetExpr::Values(values) => assign_values(state, values, &columns).await,
        _ => assign_query(source, &selected, &columns),
    }
}

/// Give expressions that are selected again names of their own: the columns of an INSERT go by their order.
fn name_repeated(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            let mut seen = HashSet::new();
            for (at, item) in select.projection.iter_mut().enumerate() {
                if let SelectItem::UnnamedExpr(expr) = item
                    && !seen.insert(expr.to_string())
                {
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::new(format!("c{at}")) };
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            name_repeated(left);
            name_repeated(right);
        }
        _ => {}
    }
}

/// The columns of a query, with their PostgreSQL types.
async fn fields_of(state: &SessionState, query: Box<Query>) -> Result<Vec<FieldRef>> {
    let statement = EngineStatement::Statement(Box::new(Ast::Query(query)));
    let plan = state.statement_to_plan(statement).await?;
    Ok(kinds::told(&plan, plan.schema().fields().iter().cloned()))
}

async fn target(state: &SessionState, insert: &Insert) -> Result<Option<SchemaRef>> {
    let TableObject::TableName(name) = &insert.table else { return Ok(None) };
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    let reference = match parts.as_slice() {
        [table] => TableReference::bare(table.clone()),
        [schema, table] => TableReference::partial(schema.clone(), table.clone()),
        [catalog, schema, table] => TableReference::full(catalog.clone(), schema.clone(), table.clone()),
        _ => return Ok(None),
    };
    let table = reference.table().to_owned();
    // What is not there is told by the planner.
    let Ok(schema) = state.schema_for_ref(reference) else { return Ok(None) };
    Ok(schema.table(&table).await?.map(|table| table.schema()))
}

fn of_column<'a>(schema: &'a SchemaRef, name: &ObjectName) -> Option<&'a Field> {
    let name = name.0.last()?.as_ident().map(folded)?;
    schema.field_with_name(&name).ok()
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}

/// What becomes of a value in a column; none if it stays as it is, and the engine casts it. The field of a value that has
/// no type yet is unknown, or of the type of NULL.
///
/// # Errors
/// 42804 when there is no cast that PostgreSQL would put there by itself.
fn assigned(item: &Expr, from: Option<&Field>, column: &Field) -> Result<Option<Expr>> {
    let from = from.filter(|from| from.data_type() != &DataType::Null);
    let (to, kind) = (column.data_type(), pg_type(column).oid);
    let alike = from.is_some_and(|from| DFSchema::datatype_is_logically_equal(from.data_type(), to));
    if let Some(from) = from.map(|from| pg_type(from).oid).filter(|from| !alike && !assignable(*from, kind)) {
        let message = format!(
            "column \"{}\" is of type {} but expression is of type {}",
            column.name(),
            full_name(kind),
            full_name(from)
        );
        return Err(UserError::new(sqlstate::DATATYPE_MISMATCH, message)
            .hint("You will need to rewrite or cast the expression.")
            .into());
    }
    // As text, a value is what it is printed as.
    let printed = from.is_some_and(|from| of_data_type(from.data_type()).oid != oid::TEXT);
    Ok(match reader(to) {
        _ if alike => None,
        Some(reader) => Some(tree::call(reader, vec![item.clone()])),
        None if kind == oid::TEXT && printed => Some(tree::call("pg_cast", vec![item.clone(), tree::string("text")])),
        None => None,
    })
}

/// Expressions whose types are found by one plan; its cost grows faster than their number.
const PLANNED_AT_ONCE: usize = 64;

/// The values of each row, as they go into their columns.
async fn assign_values(state: &SessionState, values: &mut Values, columns: &[Option<&Field>]) -> Result<()> {
    let items = values.rows.iter_mut().flat_map(|row| row.content.iter_mut().zip(columns));
    let mut items: Vec<(&mut Expr, &Field)> =
        items.filter_map(|(item, column)| column.filter(|_| !is_null(item)).map(|column| (item, column))).collect();
    // Literals of no type and parameters get that of the column.
    let typed = |item: &Expr, column: &Field| !(is_untyped(item) || is_number(item) && column.data_type().is_numeric());
    let computed: Vec<Expr> =
        items.iter().filter(|(item, column)| typed(item, column)).map(|(item, _)| (**item).clone()).collect();
    let mut fields = Vec::with_capacity(computed.len());
    for some in computed.chunks(PLANNED_AT_ONCE) {
        // What cannot be planned without the types of its parameters, or at all, is planned and refused with the rest.
        let planned = match select(some.to_vec()) {
            Some(query) => fields_of(state, query).await.unwrap_or_default(),
            None => Vec::new(),
        };
        fields.extend((0..some.len()).map(|at| planned.get(at).cloned()));
        tokio::task::yield_now().await;
    }
    let mut fields = fields.into_iter();
    for (item, column) in &mut items {
        let from = if typed(item, column) { fields.next().flatten() } else { None };
        if let Some(better) = assigned(item, from.as_deref(), column)? {
            **item = better;
        }
    }
    Ok(())
}

/// The columns of a query, as they go into those of the table.
fn assign_query(source: &mut Box<Query>, fields: &[FieldRef], columns: &[Option<&Field>]) -> Result<()> {
    let names: Vec<String> = (0..fields.len()).map(|at| format!("c{at}")).collect();
    let mut items = Vec::with_capacity(names.len());
    let mut changed = false;
    for ((name, field), column) in names.iter().zip(fields).zip(columns) {
        let item = Expr::Identifier(Ident::new(name));
        let better = column.map_or(Ok(None), |column| assigned(&item, Some(field.as_ref()), column))?;
        changed |= better.is_some();
        items.push(better.unwrap_or(item).to_string());
    }
    if !changed {
        return Ok(());
    }
    let sql = format!("SELECT {} FROM ({source}) AS s({})", items.join(", "), names.join(", "));
    let error = "INSERT of such a query into a column of another type is not supported";
    *source = parsed(&sql).ok_or_else(|| UserError::new(sqlstate::NOT_SUPPORTED, error))?;
    Ok(())
}

/// The query that computes some values; none if there are none.
fn select(items: Vec<Expr>) -> Option<Box<Query>> {
    let mut query = parsed("SELECT 1").filter(|_| !items.is_empty())?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        let items = items.into_iter().enumerate();
        let named = items.map(|(at, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("c{at}")) });
        select.projection = named.collect();
    }
    Some(query)
}

fn parsed(sql: &str) -> Option<Box<Query>> {
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.pop()? {
        Ast::Query(query) => Some(query),
        _ => None,
    }
}

/// The literal or the parameter that an expression is.
fn written(item: &Expr) -> Option<&Value> {
    match item {
        Expr::Value(value) => Some(&value.value),
        Expr::Nested(inner) => written(inner),
        _ => None,
    }
}

fn is_null(item: &Expr) -> bool {
    matches!(written(item), Some(Value::Null))
}

fn is_number(item: &Expr) -> bool {
    match item {
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_number(expr),
        _ => matches!(written(item), Some(Value::Number(..))),
    }
}

fn is_untyped(item: &Expr) -> bool {
    !matches!(written(item), None | Some(Value::Number(..) | Value::Boolean(_)))
}
