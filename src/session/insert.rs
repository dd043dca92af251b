//! INSERT as PostgreSQL has it: fewer values than columns leave the rest null, maps are written as JSON.

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::TableReference;
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Insert, ObjectName, SetExpr, Statement as Ast, TableObject, Value};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::dialect::{folded, tree};
use crate::error::{Result, UserError, sqlstate};

/// Make an INSERT one that the engine understands: it names as many columns as it has values.
pub(super) async fn complete(state: &SessionState, insert: &mut Insert) -> Result<()> {
    let Some(schema) = target(state, insert).await? else { return Ok(()) };
    let Some(source) = &mut insert.source else { return Ok(()) };
    let given = match source.body.as_mut() {
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            if values.rows.iter().any(|row| row.content.len() != width) {
                return Err(UserError::new(sqlstate::SYNTAX, "VALUES lists must all be the same length").into());
            }
            // No column has a default but null.
            let items = values.rows.iter_mut().flat_map(|row| &mut row.content);
            items.filter(|item| is_default(item)).for_each(|item| *item = Expr::Value(Value::Null.into()));
            width
        }
        _ => {
            let query = Ast::Query(source.clone());
            let plan = state.statement_to_plan(EngineStatement::Statement(Box::new(query))).await?;
            plan.schema().fields().len()
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
    let kinds: Vec<Option<&DataType>> = if insert.columns.is_empty() {
        schema.fields().iter().map(|field| Some(field.data_type())).collect()
    } else {
        insert.columns.iter().map(|name| of_column(&schema, name)).collect()
    };
    let maps: Vec<bool> = kinds.iter().map(|kind| matches!(kind, Some(DataType::Map(..)))).collect();
    if maps.contains(&true) {
        with_maps(source, &maps)?;
    }
    Ok(())
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

fn of_column<'a>(schema: &'a SchemaRef, name: &ObjectName) -> Option<&'a DataType> {
    let name = name.0.last()?.as_ident().map(folded)?;
    schema.field_with_name(&name).ok().map(Field::data_type)
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}

/// Values that go into maps are read as JSON.
fn with_maps(source: &mut Box<datafusion::sql::sqlparser::ast::Query>, maps: &[bool]) -> Result<()> {
    if let SetExpr::Values(values) = source.body.as_mut() {
        for row in &mut values.rows {
            for (item, map) in row.content.iter_mut().zip(maps) {
                if *map {
                    let value = std::mem::replace(item, Expr::Value(Value::Null.into()));
                    *item = tree::call("pg_map", vec![value]);
                }
            }
        }
        return Ok(());
    }
    let name = |at: usize| format!("c{at}");
    let items: Vec<String> = maps
        .iter()
        .enumerate()
        .map(|(at, map)| if *map { format!("pg_map({})", name(at)) } else { name(at) })
        .collect();
    let names: Vec<String> = (0..maps.len()).map(name).collect();
    let sql = format!("SELECT {} FROM ({source}) AS s({})", items.join(", "), names.join(", "));
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &sql).ok().and_then(|mut statements| statements.pop());
    match parsed {
        Some(Ast::Query(query)) => {
            *source = query;
            Ok(())
        }
        _ => {
            Err(UserError::new(sqlstate::NOT_SUPPORTED, "INSERT of such a query into a nested column is not supported")
                .into())
        }
    }
}
