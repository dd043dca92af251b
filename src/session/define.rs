//! Views and external tables: made for all in the lake, or, a temporary view, for the session.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use async_trait::async_trait;
use datafusion::common::Column;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::SessionState;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::CreateExternalTable;
use datafusion::sql::sqlparser::ast::{self, CreateTableOptions, ObjectName, ObjectType, Statement as Ast};

use super::administer::{self, lake};
use super::drop::{self, Dropped, check_kind, check_not_built_in, in_public, missing, name_in_public};
use super::rename::{self, Rename};
use super::statement::{self, Kind};
use super::{copy_in, external, plan};
use crate::catalog::{self, Client, Own, PlanView};
use crate::config::{self, SCHEMA};
use crate::dialect::folded;
use crate::error::{Result, UserError, sqlstate};
use crate::security::Rights;
use crate::storage::{Relation, RelationKind, Relations, StoredColumn, UserView};

/// A statement that adds a relation, takes one away, or says something of one.
#[derive(Debug, Clone)]
pub(crate) enum Definition {
    /// CREATE VIEW, and its query as it was written.
    View(Box<ast::CreateView>, String),
    /// CREATE EXTERNAL TABLE.
    External(Box<CreateExternalTable>),
    /// DROP VIEW, DROP TABLE.
    Drop { view: bool, names: Vec<ObjectName>, if_exists: bool, cascade: bool },
    /// COMMENT ON VIEW, COMMENT ON TABLE.
    Comment { view: bool, name: ObjectName, text: Option<String> },
    /// ALTER VIEW … RENAME TO, ALTER TABLE … RENAME TO.
    Rename(Rename),
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Defined {
    pub(crate) tag: &'static str,
    pub(crate) notices: Vec<UserError>,
}

impl Definition {
    /// The definition that a statement is, if it is one.
    pub(super) fn of_ast<'t>(ast: &Ast, query: impl FnOnce() -> &'t str) -> Option<Self> {
        match ast {
            Ast::CreateView(view) if !view.materialized => Some(Self::View(Box::new(view.clone()), query().to_owned())),
            Ast::Drop { object_type, names, if_exists, cascade, .. } => {
                let view = match object_type {
                    ObjectType::View => true,
                    ObjectType::Table => false,
                    _ => return None,
                };
                Some(Self::Drop { view, names: names.clone(), if_exists: *if_exists, cascade: *cascade })
            }
            Ast::Comment { object_type, object_name, comment, .. } => {
                let view = match object_type {
                    ast::CommentObject::View => true,
                    ast::CommentObject::Table => false,
                    _ => return None,
                };
                Some(Self::Comment { view, name: object_name.clone(), text: comment.clone() })
            }
            _ => None,
        }
    }

    /// The command tag.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Self::View(..) => "CREATE VIEW",
            Self::External(_) => "CREATE EXTERNAL TABLE",
            Self::Drop { view: true, .. } => "DROP VIEW",
            Self::Drop { view: false, .. } => "DROP TABLE",
            Self::Comment { .. } => "COMMENT",
            Self::Rename(Rename { view: true, .. }) => "ALTER VIEW",
            Self::Rename(Rename { view: false, .. }) => "ALTER TABLE",
        }
    }

    /// Whether it changes the lake, not only the session.
    pub(crate) fn lasts(&self, client: &Client) -> bool {
        match self {
            Self::View(view, _) => !view.temporary,
            Self::Drop { view: true, names, .. } => !names.iter().all(|name| drop::is_own(client, name)),
            Self::Rename(rename) => !drop::is_own(client, &rename.name),
            Self::Drop { view: false, .. } | Self::External(_) | Self::Comment { .. } => true,
        }
    }
}

/// Do what a definition says.
pub(crate) async fn define(session: &SessionContext, client: &Client, definition: Definition) -> Result<Defined> {
    let (tag, lasts) = (definition.tag(), definition.lasts(client));
    if lasts {
        check_may_define(client).await?;
    }
    let state = session.state();
    let notices = match definition {
        Definition::View(view, query) => create_view(&state, client, &view, &query).await?,
        Definition::External(table) => create_external(&state, client, *table).await?,
        Definition::Drop { view, names, if_exists, cascade } => {
            drop::relations(&state, client, &Dropped { view, names, if_exists, cascade }).await?
        }
        Definition::Rename(renamed) => rename::relation(&state, client, &renamed).await?,
        Definition::Comment { view, name, text } => {
            let name = name_in_public(&state, &name)?;
            check_not_built_in(view, &name)?;
            let relation = |known: &mut Relations| {
                let found = known.relations.get_mut(&name).ok_or_else(|| missing(view, &name))?;
                check_kind(view, &name, found)?;
                found.comment.clone_from(&text);
                Ok(())
            };
            lake(&state)?.relations().change(relation).await?;
            Vec::new()
        }
    };
    Ok(Defined { tag, notices })
}

/// What all see is made by those who may do everything, as in a PostgreSQL whose schema `public` is the owner's.
async fn check_may_define(client: &Client) -> Result<()> {
    match &client.guard {
        Some(guard) if !guard.access().await?.everything() => {
            let error = UserError::new(sqlstate::PERMISSION, format!("permission denied for schema {SCHEMA}"));
            Err(error.hint("a superuser makes what all see; CREATE TEMPORARY VIEW makes a view of the session").into())
        }
        _ => Ok(()),
    }
}

/// Plans the query of a view.
#[derive(Debug)]
pub(super) struct ViewPlanner;

#[async_trait]
impl PlanView for ViewPlanner {
    async fn plan(&self, state: &SessionState, query: &str, columns: &[String]) -> Result<LogicalPlan> {
        let mut statements = statement::parse(query).map_err(|(error, _)| error)?;
        match statements.pop().map(|statement| statement.kind) {
            Some(Kind::Query(ast)) => of_query(state, &ast, columns).await,
            _ => Err(UserError::new(sqlstate::INTERNAL, "the view is not a query").into()),
        }
    }
}

/// The plan of a view: its types are settled, its columns are called as the user sees them, the first ones as told.
async fn of_query(state: &SessionState, query: &Ast, told: &[String]) -> Result<LogicalPlan> {
    let planned = plan::plan(state, query, &[]).await?.without_parameters()?;
    let settled = state.analyzer().execute_and_check(planned.plan, state.config_options(), |_, _| {})?;
    check_size(&settled)?;
    let fields = planned.schema.fields();
    if told.len() > fields.len() {
        return Err(UserError::new(sqlstate::SYNTAX, "CREATE VIEW specifies more column names than columns").into());
    }
    let names = fields.iter().enumerate().map(|(at, field)| told.get(at).unwrap_or_else(|| field.name()).clone());
    let names: Vec<String> = names.collect();
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        let error = UserError::new("42701", format!("column \"{twice}\" specified more than once"));
        return Err(error.hint("give the columns names by AS, or behind the name of the view").into());
    }
    let columns: Vec<Expr> = settled.schema().iter().map(|column| Expr::Column(Column::from(column))).collect();
    let named = columns.into_iter().zip(names).map(|(column, name)| column.alias(name));
    Ok(LogicalPlanBuilder::from(settled).project(named)?.build()?)
}

/// Views that name another one more than once, level by level, grow faster than anything can plan.
fn check_size(plan: &LogicalPlan) -> Result<()> {
    let mut nodes = 0_usize;
    plan.apply_with_subqueries(|_| {
        nodes += 1;
        Ok(if nodes > config::VIEW_NODES { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if nodes > config::VIEW_NODES {
        let error = UserError::new("54001", "the view is too large");
        let most = config::VIEW_NODES;
        return Err(error
            .detail(format!("its plan, with those of the views in it, has more than {most} nodes"))
            .into());
    }
    Ok(())
}

async fn create_view(
    state: &SessionState,
    client: &Client,
    view: &ast::CreateView,
    text: &str,
) -> Result<Vec<UserError>> {
    if !matches!(view.options, CreateTableOptions::None) {
        return Err(UserError::new(sqlstate::NOT_SUPPORTED, "CREATE VIEW … WITH (…) is not supported").into());
    }
    let name = if view.temporary {
        name_in_public(&Rights::in_public(state.clone()), &view.name)?
    } else {
        name_in_public(state, &view.name)?
    };
    check_free(&name)?;
    let query = Ast::Query(view.query.clone());
    let reads = reads(&query);
    // It is planned as it will be when it is read, so that what cannot be read is not made.
    let asking = if view.temporary { state.clone() } else { Rights::definer(state) };
    if !view.temporary
        && let Some(own) = reads.iter().find(|read| client.own.read().contains_key(*read))
    {
        let message = format!("view \"{name}\" would last longer than the temporary view \"{own}\"");
        return Err(UserError::new("42P16", message).hint("CREATE TEMPORARY VIEW makes one for this session").into());
    }
    let columns: Vec<String> = view.columns.iter().map(|column| folded(&column.name)).collect();
    let plan = of_query(&asking, &query, &columns).await?;
    let shape = plan.schema().fields().iter().map(|field| StoredColumn::of(field)).collect::<Result<_>>()?;
    let made = UserView { query: text.to_owned(), columns, reads, shape };
    let lake = lake(state)?;
    if view.temporary {
        let lasting = lake.relations().current().await?.relations.contains_key(&name);
        let mut own = client.own.write();
        return match (lasting || own.contains_key(&name), view.if_not_exists) {
            (true, true) => Ok(vec![skipped(&name)]),
            (true, false) if lasting || !view.or_replace => Err(exists(&name).into()),
            _ => {
                own.insert(name, Own::View(made));
                Ok(Vec::new())
            }
        };
    }
    if client.own.read().contains_key(&name) {
        return Err(exists(&name).hint("a temporary view of the session is called so").into());
    }
    let add = Add { name: &name, view: true, replace: view.or_replace, keep: view.if_not_exists };
    add.put(state, client, &RelationKind::View(made)).await
}

async fn create_external(state: &SessionState, client: &Client, table: CreateExternalTable) -> Result<Vec<UserError>> {
    let name = name_in_public(state, &table.name)?;
    check_free(&name)?;
    if client.own.read().contains_key(&name) {
        return Err(exists(&name).hint("a temporary view of the session is called so").into());
    }
    let add = Add { name: &name, view: false, replace: table.or_replace, keep: table.if_not_exists };
    let lake = lake(state)?;
    let old = lake.relations().current().await?;
    if let Some(old) = old.relations.get(&name)
        && let Some(kept) = add.check(old)?
    {
        return Ok(vec![kept]);
    }
    // Whoever reaches a server without roles is not thereby somebody who may read the files of its machine.
    let local = match &client.guard {
        Some(guard) => !guard.access().await?.state().roles.is_empty(),
        None => true,
    };
    let made = external::described(state, table, local).await?;
    let made = catalog::complete(state, &lake, made).await?;
    add.put(state, client, &RelationKind::External(made)).await
}

/// What is to come into the lake by a name.
struct Add<'a> {
    name: &'a str,
    view: bool,
    /// OR REPLACE.
    replace: bool,
    /// IF NOT EXISTS.
    keep: bool,
}

impl Add<'_> {
    /// What is to be noticed where what is there stays; nothing where it may be replaced.
    fn check(&self, old: &Relation) -> Result<Option<UserError>> {
        if self.keep {
            return Ok(Some(skipped(self.name)));
        }
        if !self.replace {
            return Err(exists(self.name).into());
        }
        check_kind(self.view, self.name, old)?;
        Ok(None)
    }

    /// Put it there, in the place of the one of its name, of which the comment is kept.
    async fn put(&self, state: &SessionState, client: &Client, kind: &RelationKind) -> Result<Vec<UserError>> {
        let lake = lake(state)?;
        let columns: Vec<&str> = kind.shape().into_iter().map(|column| column.name.as_str()).collect();
        if lake.relations().current().await?.relations.contains_key(self.name) {
            administer::check_columns(state, client, self.name, &columns).await?;
        } else {
            // What was said of something that was called so before is not said of this.
            administer::forget(state, client, &[self.name.to_owned()]).await?;
        }
        let changed_by = client.guard.as_ref().map_or_else(|| client.user(), |guard| guard.role()).to_owned();
        let changed_at = lake.clock().now_micros();
        let change = |known: &mut Relations| {
            let mut comment = None;
            if let Some(old) = known.relations.get(self.name) {
                if let Some(kept) = self.check(old)? {
                    return Ok(vec![kept]);
                }
                comment.clone_from(&old.comment);
            }
            if let RelationKind::View(view) = kind
                && reached(known, &view.reads).contains(self.name)
            {
                let error = UserError::new("42P17", format!("view \"{}\" would be made of itself", self.name));
                return Err(error.into());
            }
            let (kind, changed_by) = (kind.clone(), changed_by.clone());
            known.relations.insert(self.name.to_owned(), Relation { kind, comment, changed_by, changed_at });
            Ok(Vec::new())
        };
        lake.relations().change(change).await
    }
}

pub(super) fn exists(name: &str) -> UserError {
    UserError::new("42P07", format!("relation \"{name}\" already exists"))
}

fn skipped(name: &str) -> UserError {
    UserError::new("00000", format!("relation \"{name}\" already exists, skipping"))
}

pub(super) fn check_free(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(UserError::new(sqlstate::SYNTAX, "zero-length delimited identifier at or near \"\"\"\"").into());
    }
    let built_in = catalog::built_in(SCHEMA).iter().any(|(known, _)| *known == name) || name == copy_in::NAME;
    if built_in { Err(exists(name).into()) } else { Ok(()) }
}

/// What is read by views that are read, and so on.
pub(super) fn reached(known: &Relations, reads: &BTreeSet<String>) -> BTreeSet<String> {
    let (mut all, mut open) = (BTreeSet::new(), reads.iter().cloned().collect::<Vec<_>>());
    while let Some(name) = open.pop() {
        if let Some(RelationKind::View(view)) = known.relations.get(&name).map(|relation| &relation.kind) {
            open.extend(view.reads.iter().filter(|read| !all.contains(*read)).cloned());
        }
        all.insert(name);
    }
    all
}

/// The names of schema `public` that a query may mean; of one without a schema, that of a lasting view means those.
fn reads(query: &Ast) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let _ = ast::visit_relations(query, |name| {
        names.extend(in_public(name));
        ControlFlow::<()>::Continue(())
    });
    names
}
