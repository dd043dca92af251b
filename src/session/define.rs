//! Views and external tables: made for all in the lake, or, a temporary view, for the session.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::Column;
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionState;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::CreateExternalTable;
use datafusion::sql::sqlparser::ast::{self, CreateTableOptions, ObjectName, ObjectType, Statement as Ast};

use super::administer::{self, lake};
use super::statement::{self, Kind};
use super::{external, plan};
use crate::catalog::{self, Client, PlanView};
use crate::config::SCHEMA;
use crate::dialect::folded;
use crate::error::{Result, UserError, sqlstate};
use crate::storage::{Relation, RelationKind, Relations, UserView};

/// A statement that adds a relation, takes one away, or says something of one.
#[derive(Debug, Clone)]
pub(crate) enum Definition {
    /// CREATE VIEW.
    View(Box<ast::CreateView>),
    /// CREATE EXTERNAL TABLE.
    External(Box<CreateExternalTable>),
    /// DROP VIEW, DROP TABLE.
    Drop { view: bool, names: Vec<ObjectName>, if_exists: bool, cascade: bool },
    /// COMMENT ON VIEW, COMMENT ON TABLE.
    Comment { view: bool, name: ObjectName, text: Option<String> },
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Defined {
    pub(crate) tag: &'static str,
    pub(crate) notices: Vec<UserError>,
}

impl Definition {
    /// The definition that a statement is, if it is one.
    pub(super) fn of_ast(ast: &Ast) -> Option<Self> {
        match ast {
            Ast::CreateView(view) if !view.materialized => Some(Self::View(Box::new(view.clone()))),
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
            Self::View(_) => "CREATE VIEW",
            Self::External(_) => "CREATE EXTERNAL TABLE",
            Self::Drop { view: true, .. } => "DROP VIEW",
            Self::Drop { view: false, .. } => "DROP TABLE",
            Self::Comment { .. } => "COMMENT",
        }
    }

    /// Whether it changes the lake, not only the session.
    pub(crate) fn lasts(&self, client: &Client) -> bool {
        match self {
            Self::View(view) => !view.temporary,
            Self::External(_) | Self::Comment { .. } => true,
            Self::Drop { names, .. } => {
                let own = client.own.read();
                !names.iter().all(|name| name_in_public(name).is_ok_and(|name| own.contains_key(&name)))
            }
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
        Definition::View(view) => create_view(&state, client, &view).await?,
        Definition::External(table) => create_external(&state, client, *table).await?,
        Definition::Drop { view, names, if_exists, cascade } => {
            drop_relations(&state, client, view, &names, if_exists, cascade).await?
        }
        Definition::Comment { view, name, text } => {
            let name = name_in_public(&name)?;
            let relation = |known: &mut Relations| {
                let found = known.relations.get_mut(&name).ok_or_else(|| missing(view, &name))?;
                check_kind(view, &name, found)?;
                found.comment.clone_from(&text);
                Ok(())
            };
            check_not_built_in(view, &name)?;
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

async fn create_view(state: &SessionState, client: &Client, view: &ast::CreateView) -> Result<Vec<UserError>> {
    if !matches!(view.options, CreateTableOptions::None) {
        return Err(UserError::new(sqlstate::NOT_SUPPORTED, "CREATE VIEW … WITH (…) is not supported").into());
    }
    let name = name_in_public(&view.name)?;
    let told: Vec<String> = view.columns.iter().map(|column| folded(&column.name)).collect();
    let query = Ast::Query(view.query.clone());
    let plan = of_query(state, &query, &told).await?;
    let relations = lake(state)?;
    let relations = relations.relations();
    let exists = || UserError::new("42P07", format!("relation \"{name}\" already exists"));
    let built_in = catalog::built_in(SCHEMA).iter().any(|(known, _)| *known == name);
    if built_in {
        return Err(exists().into());
    }
    if view.temporary {
        let lasting = relations.current().await?.relations.contains_key(&name);
        let mut own = client.own.write();
        if lasting || (own.contains_key(&name) && !view.or_replace) {
            return Err(exists().into());
        }
        own.insert(name, Arc::new(ViewTable::new(plan, Some(view.query.to_string()))));
        return Ok(Vec::new());
    }
    if client.own.read().contains_key(&name) {
        return Err(exists().hint("a temporary view of the session is called so").into());
    }
    let made = UserView { query: view.query.to_string(), columns: told, reads: reads(&query) };
    let add = |known: &mut Relations| {
        if let Some(old) = known.relations.get(&name) {
            if !view.or_replace {
                return Err(exists().into());
            }
            check_kind(true, &name, old)?;
        }
        if reached(known, &made.reads).contains(&name) {
            let error = UserError::new("42P17", format!("view \"{name}\" would be made of itself"));
            return Err(error.into());
        }
        put(known, state, client, &name, RelationKind::View(made.clone()))
    };
    relations.change(add).await?;
    Ok(Vec::new())
}

/// Put a relation in the place of the one of its name, of which the comment is kept.
fn put(known: &mut Relations, state: &SessionState, client: &Client, name: &str, kind: RelationKind) -> Result<()> {
    let comment = known.relations.get(name).and_then(|old| old.comment.clone());
    let changed_by = client.guard.as_ref().map_or_else(|| client.user(), |guard| guard.role()).to_owned();
    let changed_at = lake(state)?.clock().now_micros();
    known.relations.insert(name.to_owned(), Relation { kind, comment, changed_by, changed_at });
    Ok(())
}

async fn create_external(state: &SessionState, client: &Client, table: CreateExternalTable) -> Result<Vec<UserError>> {
    let name = name_in_public(&table.name)?;
    let (replace, keep) = (table.or_replace, table.if_not_exists);
    let exists = || UserError::new("42P07", format!("relation \"{name}\" already exists"));
    let lake = lake(state)?;
    let built_in = catalog::built_in(SCHEMA).iter().any(|(known, _)| *known == name);
    if built_in || client.own.read().contains_key(&name) {
        return Err(exists().into());
    }
    if let Some(old) = lake.relations().current().await?.relations.get(&name) {
        if keep {
            return Ok(vec![UserError::new("00000", format!("relation \"{name}\" already exists, skipping"))]);
        }
        if !replace {
            return Err(exists().into());
        }
        check_kind(false, &name, old)?;
    }
    let made = external::described(state, table).await?;
    let made = catalog::complete(state, &lake, made).await?;
    let add = |known: &mut Relations| {
        if let Some(old) = known.relations.get(&name) {
            if !replace {
                return Err(exists().into());
            }
            check_kind(false, &name, old)?;
        }
        put(known, state, client, &name, RelationKind::External(made.clone()))
    };
    lake.relations().change(add).await?;
    Ok(Vec::new())
}

async fn drop_relations(
    state: &SessionState,
    client: &Client,
    view: bool,
    names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<Vec<UserError>> {
    let mut notices = Vec::new();
    let (mut own, mut lasting) = (BTreeSet::new(), BTreeSet::new());
    let lake = lake(state)?;
    let known = lake.relations().current().await?;
    for shown in names {
        let name = name_in_public(shown)?;
        check_not_built_in(view, &name)?;
        if view && client.own.read().contains_key(&name) {
            own.insert(name);
        } else if let Some(relation) = known.relations.get(&name) {
            check_kind(view, &name, relation)?;
            lasting.insert(name);
        } else if if_exists {
            let kind = if view { "view" } else { "table" };
            notices.push(UserError::new("00000", format!("{kind} \"{name}\" does not exist, skipping")));
        } else {
            return Err(missing(view, &name).into());
        }
    }
    if !lasting.is_empty() {
        let all = with_dependents(&known, &lasting);
        let more: Vec<&String> = all.keys().filter(|name| !lasting.contains(*name)).collect();
        if let Some(dependent) = more.first()
            && !cascade
        {
            let of = all.get(*dependent).cloned().unwrap_or_default();
            let (kind, of_kind) = if view { ("view", "view") } else { ("table", "table") };
            let first = lasting.iter().next().cloned().unwrap_or_default();
            let message = format!("cannot drop {kind} {first} because other objects depend on it");
            return Err(UserError::new("2BP01", message)
                .detail(format!("view {dependent} depends on {of_kind} {of}"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too.")
                .into());
        }
        notices.extend(more.iter().map(|name| UserError::new("00000", format!("drop cascades to view {name}"))));
        // Privileges first: what comes later by the same name must not have those of what is gone.
        administer::forget(state, client, &all.keys().cloned().collect::<Vec<_>>()).await?;
        let remove = |known: &mut Relations| {
            known.relations.retain(|name, _| !all.contains_key(name));
            Ok(())
        };
        lake.relations().change(remove).await?;
    }
    client.own.write().retain(|name, _| !own.contains(name));
    Ok(notices)
}

/// Relations and all views made of them, each view with one of those that it is made of.
fn with_dependents(known: &Relations, names: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = names.iter().map(|name| (name.clone(), String::new())).collect();
    loop {
        let more = known.relations.iter().find_map(|(name, relation)| match &relation.kind {
            RelationKind::View(view) if !all.contains_key(name) => {
                let of = view.reads.iter().find(|read| all.contains_key(*read))?;
                Some((name.clone(), of.clone()))
            }
            _ => None,
        });
        match more {
            Some((name, of)) => all.insert(name, of),
            None => return all,
        };
    }
}

/// What is read by views that are read, and so on.
fn reached(known: &Relations, reads: &BTreeSet<String>) -> BTreeSet<String> {
    let (mut all, mut open) = (BTreeSet::new(), reads.iter().cloned().collect::<Vec<_>>());
    while let Some(name) = open.pop() {
        if let Some(RelationKind::View(view)) = known.relations.get(&name).map(|relation| &relation.kind) {
            open.extend(view.reads.iter().filter(|read| !all.contains(*read)).cloned());
        }
        all.insert(name);
    }
    all
}

/// The names of schema `public` that a query may mean.
fn reads(query: &Ast) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let _ = ast::visit_relations(query, |name| {
        if let Ok(name) = name_in_public(name) {
            names.insert(name);
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// The name of something in schema `public`, where everything is that is not built in.
fn name_in_public(name: &ObjectName) -> Result<String> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    match parts.as_slice() {
        [table] => Ok(table.clone()),
        [schema, table] | [_, schema, table] if schema == SCHEMA => Ok(table.clone()),
        [schema, table] | [_, schema, table] => {
            let error = match schema.as_str() {
                "pg_catalog" | "information_schema" | "system" => UserError::new(
                    sqlstate::PERMISSION,
                    format!("permission denied: \"{table}\" is of the system catalog"),
                ),
                _ => UserError::new("3F000", format!("schema \"{schema}\" does not exist")),
            };
            Err(error.hint(format!("views and external tables are in schema {SCHEMA}")).into())
        }
        _ => Err(UserError::new(sqlstate::SYNTAX, format!("improper relation name: {name}")).into()),
    }
}

fn missing(view: bool, name: &str) -> UserError {
    let kind = if view { "view" } else { "table" };
    UserError::new(sqlstate::UNDEFINED_TABLE, format!("{kind} \"{name}\" does not exist"))
}

fn check_kind(view: bool, name: &str, relation: &Relation) -> Result<()> {
    match (view, &relation.kind) {
        (true, RelationKind::View(_)) | (false, RelationKind::External(_)) => Ok(()),
        (true, _) => Err(UserError::new("42809", format!("\"{name}\" is not a view"))
            .hint("Use DROP TABLE to remove a table.")
            .into()),
        (false, _) => Err(UserError::new("42809", format!("\"{name}\" is not a table"))
            .hint("Use DROP VIEW to remove a view.")
            .into()),
    }
}

/// What is built in is neither dropped nor spoken of anew.
fn check_not_built_in(view: bool, name: &str) -> Result<()> {
    let Some((_, is_view)) = catalog::built_in(SCHEMA).into_iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    let kind = if view { "view" } else { "table" };
    if view != is_view {
        return Err(UserError::new("42809", format!("\"{name}\" is not a {kind}")).into());
    }
    let error = UserError::new(sqlstate::PERMISSION, format!("permission denied: {kind} \"{name}\" is built in"));
    Err(error.hint("only views and external tables that users have made are changed and dropped").into())
}
