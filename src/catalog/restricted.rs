//! What is left of a table behind policies and masks: a plan of its own, which nothing is pushed into from above.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
    TableProvider,
};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, ExprSchema, Result, ScalarValue, internal_err};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::StreamExt;

use super::guarded::Name;
use crate::config::DATABASE;
use crate::dialect;
use crate::error::{UserError, sqlstate};
use crate::operators::asof_join;
use crate::security::{Restriction, Rights};

/// The rows of a table that a role sees, with the values that it sees, and the session that can plan them.
pub(super) async fn rows_seen(
    state: &SessionState,
    table: &Arc<dyn TableProvider>,
    name: Name<'_>,
    restriction: &Restriction,
) -> Result<(SessionState, LogicalPlan)> {
    let schema = table.schema();
    // Of a table that others write a column may be called otherwise by now.
    if let Some(gone) = restriction.masks.keys().find(|column| schema.index_of(column).is_err()) {
        let message = format!("permission denied for table {}", name.name);
        let error = UserError::new(sqlstate::PERMISSION, message);
        return Err(error.detail(format!("column \"{gone}\" is masked, and the table has none of that name")).into());
    }
    let columns = schema.fields().iter().map(|field| {
        let quoted = format!("\"{}\"", field.name().replace('"', "\"\""));
        let shown = match restriction.masks.get(field.name()) {
            Some(label) => mask(label, &quoted, field.data_type(), &restriction.secret)?,
            None => quoted.clone(),
        };
        Ok(format!("{shown} AS {quoted}"))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let mut sql = format!("SELECT {} FROM {name}", columns.join(", "));
    if let Some(condition) = &restriction.condition {
        sql = format!("{sql} WHERE {condition}");
    }
    let (owner, plan) = planned(state, table, name, &sql).await?;
    let own = Arc::clone(plan.schema());
    let typed = own.columns().into_iter().zip(schema.fields()).map(|(column, field)| {
        let given = own.field_from_column(&column)?.data_type().clone();
        let value = match given == DataType::Null {
            true => Expr::Literal(ScalarValue::try_from(field.data_type())?, None),
            false => Expr::Column(column).cast_to(field.data_type(), &own)?,
        };
        Ok(value.alias(field.name()))
    });
    let typed = typed.collect::<Result<Vec<_>>>()?;
    Ok((owner, LogicalPlanBuilder::from(plan).project(typed)?.build()?))
}

/// A statement as the owner of a table asks it, and the session that can plan more of it.
pub(super) async fn planned(
    state: &SessionState,
    table: &Arc<dyn TableProvider>,
    name: Name<'_>,
    sql: &str,
) -> Result<(SessionState, LogicalPlan)> {
    let Some(rights) = Rights::of(state) else { return internal_err!("the session has no roles") };
    let mut statement = asof_join::parse_one(sql)?;
    if let Statement::Statement(ast) = &mut statement {
        dialect::rewrite(ast, &|name| state.aggregate_functions().contains_key(name))?;
    }
    let owner = Rights::with(state, &with_table(&rights.owner, name, table)?);
    let plan = owner.statement_to_plan(statement).await?;
    Ok((owner, plan))
}

/// The expression that stands for the values of a column.
fn mask(label: &str, column: &str, data_type: &DataType, secret: &str) -> Result<String> {
    let invalid = |message: &str| {
        let error = UserError::invalid(format!("{message}: {label}"));
        error.hint("MASKED WITH NULL, MASKED WITH HASH, or MASKED WITH VALUE and an expression")
    };
    let words: Vec<&str> = label.trim().splitn(3, char::is_whitespace).map(str::trim).collect();
    let [masked, with, kind] = words.as_slice() else { return Err(invalid("no mask is named so").into()) };
    if !masked.eq_ignore_ascii_case("masked") || !with.eq_ignore_ascii_case("with") {
        return Err(invalid("no mask is named so").into());
    }
    let (kind, value) = kind.split_once(char::is_whitespace).unwrap_or((kind, ""));
    match (kind.to_ascii_lowercase().as_str(), value.trim()) {
        ("null", "") => Ok("NULL".to_owned()),
        ("hash", "") => {
            let plain = match data_type {
                DataType::Dictionary(_, value) => value,
                other => other,
            };
            if !matches!(plain, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
                return Err(invalid("only texts can be masked so").into());
            }
            // Whoever does not know the secret cannot try values; the same value has the same pseudonym everywhere.
            let keyed = format!("concat('{secret}', {column}, '{secret}')");
            Ok(format!("CASE WHEN {column} IS NULL THEN NULL ELSE left(encode(sha256({keyed}), 'hex'), 32) END"))
        }
        ("value" | "function", value) if !value.is_empty() => {
            let wrong = |error: String| invalid("the expression of the mask cannot be read").detail(error);
            let mut parser = Parser::new(&PostgreSqlDialect {})
                .with_recursion_limit(50)
                .try_with_sql(value)
                .map_err(|error| wrong(error.to_string()))?;
            let expression = parser.parse_expr().map_err(|error| wrong(error.to_string()))?;
            if parser.peek_token().token != Token::EOF {
                return Err(wrong(format!("what is {}?", parser.peek_token())).into());
            }
            Ok(format!("({expression})"))
        }
        _ => Err(invalid("no mask is named so").into()),
    }
}

/// Names that are those of a list, but for one table that is at hand.
fn with_table(
    names: &Arc<dyn CatalogProviderList>,
    name: Name<'_>,
    table: &Arc<dyn TableProvider>,
) -> Result<Arc<dyn CatalogProviderList>> {
    let missing = || UserError::new(sqlstate::INTERNAL, "the catalog has no database");
    let known = names.catalog(DATABASE).ok_or_else(missing)?;
    let catalog = MemoryCatalogProvider::new();
    for schema in known.schema_names() {
        let Some(provider) = known.schema(&schema) else { continue };
        let provider: Arc<dyn SchemaProvider> = match schema == name.schema {
            true => Arc::new(WithTable { name: name.name.to_owned(), table: Arc::clone(table), others: provider }),
            false => provider,
        };
        catalog.register_schema(&schema, provider)?;
    }
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(DATABASE.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}

#[derive(Debug)]
struct WithTable {
    name: String,
    table: Arc<dyn TableProvider>,
    others: Arc<dyn SchemaProvider>,
}

#[async_trait]
impl SchemaProvider for WithTable {
    fn table_names(&self) -> Vec<String> {
        self.others.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if name == self.name { Ok(Some(Arc::clone(&self.table))) } else { self.others.table(name).await }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.others.table_exist(name)
    }
}

/// Runs a plan without showing it: conditions from above stay above, and neither its form nor its counts are told.
pub(super) struct RestrictedExec {
    inner: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    table: String,
    properties: Arc<PlanProperties>,
}

impl RestrictedExec {
    pub(super) fn new(inner: Arc<dyn ExecutionPlan>, schema: SchemaRef, table: String) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(inner.output_partitioning().partition_count()),
            inner.pipeline_behavior(),
            inner.boundedness(),
        );
        Self { inner, schema, table, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for RestrictedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestrictedExec").field("table", &self.table).finish_non_exhaustive()
    }
}

impl DisplayAs for RestrictedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestrictedExec: table={}", self.table)
    }
}

impl ExecutionPlan for RestrictedExec {
    fn name(&self) -> &'static str {
        "RestrictedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a restricted table has no children") }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&self.schema);
        let rows = self.inner.execute(partition, context)?.map(move |batch| typed(&batch?, &schema));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}

/// The engine may run a plan with other types than it was planned with, such as views of texts.
fn typed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => cast(column, field.data_type()),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns.collect::<std::result::Result<_, _>>()?,
        &options,
    )?)
}
