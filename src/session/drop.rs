//! Views and external tables are dropped; and what names of them mean.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::ObjectName;

use super::administer::{self, lake};
use crate::catalog::{self, Client, Own};
use crate::config::SCHEMA;
use crate::dialect::folded;
use crate::error::{Result, UserError, sqlstate};
use crate::storage::{Relation, RelationKind, Relations};

/// `DROP VIEW` or `DROP TABLE`.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) view: bool,
    pub(super) names: Vec<ObjectName>,
    pub(super) if_exists: bool,
    pub(super) cascade: bool,
}

/// Whether a name means a view of the session's own.
pub(super) fn is_own(client: &Client, name: &ObjectName) -> bool {
    in_public(name).is_some_and(|name| matches!(client.own.read().get(&name), Some(Own::View(_))))
}

/// Drop what is named; gives back what is to be noticed.
pub(super) async fn relations(state: &SessionState, client: &Client, dropped: &Dropped) -> Result<Vec<UserError>> {
    let (mut own, mut lasting) = (BTreeSet::new(), BTreeSet::new());
    for name in &dropped.names {
        if dropped.view && is_own(client, name) {
            own.extend(in_public(name));
            continue;
        }
        let name = name_in_public(state, name)?;
        check_not_built_in(dropped.view, &name)?;
        lasting.insert(name);
    }
    let mut notices = Vec::new();
    if !lasting.is_empty() {
        let lake = lake(state)?;
        // Privileges first: what comes later by the same name must not have those of what is gone.
        let (_, all) = found(&*lake.relations().current().await?, dropped, &lasting)?;
        administer::forget(state, client, &all.into_keys().collect::<Vec<_>>()).await?;
        let change = |known: &mut Relations| {
            let (notices, all) = found(known, dropped, &lasting)?;
            known.relations.retain(|name, _| !all.contains_key(name));
            Ok(notices)
        };
        notices = lake.relations().change(change).await?;
    }
    client.own.write().retain(|name, _| !own.contains(name));
    Ok(notices)
}

/// What is there of some names, and what depends on it; and what is to be noticed.
fn found(
    known: &Relations,
    dropped: &Dropped,
    names: &BTreeSet<String>,
) -> Result<(Vec<UserError>, BTreeMap<String, String>)> {
    let (mut notices, mut there) = (Vec::new(), BTreeSet::new());
    for name in names {
        match known.relations.get(name) {
            Some(relation) => {
                check_kind(dropped.view, name, relation).map_err(|error| {
                    let (kind, other) = if dropped.view { ("TABLE", "table") } else { ("VIEW", "view") };
                    error.hint(format!("Use DROP {kind} to remove a {other}."))
                })?;
                there.insert(name.clone());
            }
            None if dropped.if_exists => {
                let message = format!("{} does not exist, skipping", called(dropped.view, name));
                notices.push(UserError::new("00000", message));
            }
            None => return Err(missing(dropped.view, name).into()),
        }
    }
    let all = with_dependents(known, &there);
    let kind = |name: &str| match known.relations.get(name).map(|relation| &relation.kind) {
        Some(RelationKind::External(_)) => "table",
        _ => "view",
    };
    let mut more = all.iter().filter(|(name, _)| !there.contains(*name)).peekable();
    if let Some((dependent, of)) = more.peek()
        && !dropped.cascade
    {
        let first = there.iter().next().map_or("", String::as_str);
        let message = format!("cannot drop {} {first} because other objects depend on it", kind(first));
        return Err(UserError::new("2BP01", message)
            .detail(format!("view {dependent} depends on {} {of}", kind(of)))
            .hint("Use DROP ... CASCADE to drop the dependent objects too.")
            .into());
    }
    notices.extend(more.map(|(name, _)| UserError::new("00000", format!("drop cascades to view {name}"))));
    Ok((notices, all))
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

/// The parts of a name, as they are meant.
fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect()
}

/// The name of something in schema `public`, if a name without a schema is of that one.
pub(super) fn in_public(name: &ObjectName) -> Option<String> {
    match parts(name).as_slice() {
        [table] => Some(table.clone()),
        [schema, table] | [_, schema, table] if schema == SCHEMA => Some(table.clone()),
        _ => None,
    }
}

/// The name of something in schema `public`, where everything is that is not built in.
pub(super) fn name_in_public(state: &SessionState, name: &ObjectName) -> Result<String> {
    let found = parts(name);
    let default = state.config_options().catalog.default_schema.clone();
    let (schema, table) = match found.as_slice() {
        [table] => (&default, table),
        [schema, table] | [_, schema, table] => (schema, table),
        _ => return Err(UserError::new(sqlstate::SYNTAX, format!("improper relation name: {name}")).into()),
    };
    let error = match schema.as_str() {
        SCHEMA => return Ok(table.clone()),
        "pg_catalog" | "information_schema" | "system" => {
            UserError::new(sqlstate::PERMISSION, format!("permission denied: \"{table}\" is of schema {schema}"))
        }
        _ => UserError::new("3F000", format!("schema \"{schema}\" does not exist")),
    };
    Err(error.hint(format!("views and external tables are in schema {SCHEMA}")).into())
}

fn called(view: bool, name: &str) -> String {
    format!("{} \"{name}\"", if view { "view" } else { "table" })
}

pub(super) fn missing(view: bool, name: &str) -> UserError {
    UserError::new(sqlstate::UNDEFINED_TABLE, format!("{} does not exist", called(view, name)))
}

pub(super) fn check_kind(view: bool, name: &str, relation: &Relation) -> Result<(), UserError> {
    match (view, &relation.kind) {
        (true, RelationKind::View(_)) | (false, RelationKind::External(_)) => Ok(()),
        (true, _) => Err(UserError::new("42809", format!("\"{name}\" is not a view"))),
        (false, _) => Err(UserError::new("42809", format!("\"{name}\" is not a table"))),
    }
}

/// What is built in is neither dropped nor spoken of anew.
pub(super) fn check_not_built_in(view: bool, name: &str) -> Result<()> {
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
