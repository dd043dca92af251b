//! A relation as a role sees it: what it may not read is refused, rows that no policy shows are not there, masked values
//! are replaced before anything above can ask about them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Constraints, DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::infallible;
use super::lake_schema::engine_error;
use super::restricted::{RestrictedExec, planned, rows_seen};
use crate::error::{UserError, sqlstate};
use crate::security::{Access, Guard, Object, Privilege, Restriction, Rights};

/// With whose rights a name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// The role's own.
    Role,
    /// Those of a built-in view or function: it may read everything, and sees what the role may see.
    Definer,
    /// Those of a policy: it sees everything.
    Owner,
}

/// A relation by its names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) schema: &'a str,
    pub(super) name: &'a str,
}

/// What a role may do, if it may do anything with a relation.
pub(super) async fn admitted(guard: &Guard, asking: Asking, name: Name<'_>) -> Result<Option<Access>> {
    if asking == Asking::Owner {
        return Ok(None);
    }
    let access = guard.access().await.map_err(engine_error)?;
    if access.everything() {
        return Ok(None);
    }
    if asking == Asking::Role && !access.has_any(&Object::relation(name.schema, name.name)) {
        return Err(denied("table", name.name));
    }
    Ok(Some(access))
}

fn denied(kind: &str, name: &str) -> DataFusionError {
    UserError::new(sqlstate::PERMISSION, format!("permission denied for {kind} {name}")).into()
}

/// A relation with what a role may do with it in front.
pub(super) fn guarded(
    inner: Arc<dyn TableProvider>,
    guard: &Arc<Guard>,
    access: &Access,
    asking: Asking,
    name: Name<'_>,
) -> Arc<dyn TableProvider> {
    let view = inner.table_type() == TableType::View;
    let object = Object::relation(name.schema, name.name);
    let readable = asking == Asking::Definer || access.has(Privilege::Select, &object);
    let restriction = if view { Restriction::default() } else { access.restriction(name.schema, name.name) };
    // A view is planned into the statement, and what it reads is guarded itself.
    if view && readable {
        return inner;
    }
    Arc::new(GuardedTable {
        inner,
        guard: Arc::clone(guard),
        asking,
        schema_name: name.schema.to_owned(),
        name: name.name.to_owned(),
        restriction,
    })
}

#[derive(Debug)]
struct GuardedTable {
    inner: Arc<dyn TableProvider>,
    guard: Arc<Guard>,
    asking: Asking,
    schema_name: String,
    name: String,
    /// As it was when the name was looked up: the statement is planned by it.
    restriction: Restriction,
}

impl GuardedTable {
    fn kind(&self) -> &'static str {
        if self.inner.table_type() == TableType::View { "view" } else { "table" }
    }

    /// Refuse what may not be read now, whatever was allowed when the statement was planned.
    async fn check_read(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> Result<()> {
        let access = self.guard.access().await.map_err(engine_error)?;
        let object = Object::relation(&self.schema_name, &self.name);
        if self.asking == Asking::Role && !access.has(Privilege::Select, &object) {
            let allowed = access.columns(Privilege::Select, &object);
            let schema = self.inner.schema();
            let all: Vec<usize> = (0..schema.fields().len()).collect();
            let read = projection.unwrap_or(&all).iter().map(|at| schema.field(*at).name());
            let asked = filters.iter().flat_map(|filter| filter.column_refs()).map(|column| &column.name);
            if allowed.is_empty() || !read.chain(asked).all(|column| allowed.contains(column)) {
                return Err(denied(self.kind(), &self.name));
            }
        }
        let now = if self.kind() == "view" {
            Restriction::default()
        } else {
            access.restriction(&self.schema_name, &self.name)
        };
        if now != self.restriction {
            let message = format!("what is seen of table {} was changed after the statement was planned", self.name);
            let error = UserError::new(sqlstate::CONFLICT, message);
            return Err(error.hint("run it again; a view of the session has to be made again").into());
        }
        Ok(())
    }

    fn is_harmless(&self, filter: &Expr) -> bool {
        let wrong = filter.exists(|part| Ok(!harmless(part, &self.restriction)));
        matches!(wrong, Ok(false))
    }
}

/// Whether a part of a condition can neither fail nor tell what is masked, so that it may be asked before it is known
/// whether the row is seen: of a failure the user would be told a value.
fn harmless(part: &Expr, restriction: &Restriction) -> bool {
    infallible::never_fails(part)
        && !matches!(part, Expr::Column(column) if restriction.masks.contains_key(&column.name))
}

#[async_trait]
impl TableProvider for GuardedTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.inner.constraints()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.check_read(projection, filters).await?;
        if self.restriction.is_none() {
            return self.inner.scan(state, projection, filters, limit).await;
        }
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return internal_err!("a table is guarded in a session of our own kind only");
        };
        let name = Name { schema: &self.schema_name, name: &self.name };
        let (owner, rows) = rows_seen(state, &self.inner, name, &self.restriction).await?;
        let mut plan = LogicalPlanBuilder::from(rows);
        for filter in filters.iter().filter(|filter| self.is_harmless(filter)) {
            plan = plan.filter(unqualified(filter)?)?;
        }
        let schema = self.inner.schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let columns = projection.unwrap_or(&all);
        let wanted = columns.iter().map(|at| Expr::Column(Column::from_name(schema.field(*at).name())));
        plan = plan.project(wanted)?;
        if filters.is_empty() {
            plan = plan.limit(0, limit)?;
        }
        let physical = owner.create_physical_plan(&plan.build()?).await?;
        Ok(Arc::new(RestrictedExec::new(physical, Arc::new(schema.project(columns)?), self.name.clone())))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        if self.restriction.is_none() {
            return self.inner.supports_filters_pushdown(filters);
        }
        let of = |filter: &&Expr| match self.is_harmless(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(of).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        // Only of what is seen whole; else they tell of what is not.
        if self.restriction.is_none() { self.inner.statistics() } else { None }
    }

    async fn insert_into(
        &self,
        state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        operation: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let access = self.guard.access().await.map_err(engine_error)?;
        if self.asking == Asking::Role
            && !access.has(Privilege::Insert, &Object::relation(&self.schema_name, &self.name))
        {
            return Err(denied(self.kind(), &self.name));
        }
        self.inner.insert_into(state, input, operation).await
    }
}

fn unqualified(filter: &Expr) -> Result<Expr> {
    let plain = filter.clone().transform_up(|part| {
        Ok(match part {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::from_name(column.name))),
            other => Transformed::no(other),
        })
    })?;
    Ok(plain.data)
}

/// Plan a condition of rows of a table, to see that it can be.
///
/// # Errors
/// When it cannot be planned or is not a condition.
pub async fn check_condition(
    state: &SessionState,
    schema: &str,
    table: &str,
    condition: &str,
) -> crate::error::Result<()> {
    let name = Name { schema, name: table };
    let (_, plan) =
        planned(state, &as_owner(state, name).await?, name, &format!("SELECT ({condition}) FROM {name}")).await?;
    let kinds: Vec<&DataType> = plan.schema().fields().iter().map(|field| field.data_type()).collect();
    if !matches!(kinds.as_slice(), [DataType::Boolean | DataType::Null]) {
        let error = UserError::new(sqlstate::DATATYPE_MISMATCH, "argument of USING must be type boolean");
        return Err(error.into());
    }
    let restriction = Restriction { condition: Some(format!("({condition})")), ..Restriction::default() };
    check(state, name, &restriction).await
}

/// The same for the label of a masked column.
///
/// # Errors
/// When it is none that is known, or its values cannot be those of the column.
pub async fn check_mask(
    state: &SessionState,
    schema: &str,
    table: &str,
    column: &str,
    label: &str,
) -> crate::error::Result<()> {
    let masks = [(column.to_owned(), label.to_owned())].into();
    let restriction = Restriction { masks, secret: "secret".to_owned(), ..Restriction::default() };
    check(state, Name { schema, name: table }, &restriction).await
}

/// A table without what is between it and a role.
async fn as_owner(state: &SessionState, name: Name<'_>) -> crate::error::Result<Arc<dyn TableProvider>> {
    let missing = || UserError::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", name.name));
    let rights = Rights::of(state).ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the session has no roles"))?;
    let schema = rights.owner.catalog(crate::config::DATABASE).and_then(|catalog| catalog.schema(name.schema));
    Ok(schema.ok_or_else(missing)?.table(name.name).await?.ok_or_else(missing)?)
}

async fn check(state: &SessionState, name: Name<'_>, restriction: &Restriction) -> crate::error::Result<()> {
    let table = as_owner(state, name).await?;
    let (owner, rows) = rows_seen(state, &table, name, restriction).await?;
    owner.create_physical_plan(&rows).await?;
    Ok(())
}

/// The names of all relations that a role may ask for.
pub(super) fn visible(guard: &Guard, asking: Asking, schema: &str, names: Vec<String>) -> Vec<String> {
    let access = guard.known();
    if asking != Asking::Role || access.everything() {
        return names;
    }
    let own: BTreeSet<String> = names.into_iter().collect();
    own.into_iter().filter(|name| access.has_any(&Object::relation(schema, name))).collect()
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        write!(f, "{}.{}", quoted(self.schema), quoted(self.name))
    }
}
