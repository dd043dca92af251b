//! What statements about roles, privileges, row policies and masks do.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::execution::context::SessionContext;

use super::roles::{Every, Request};
use crate::catalog::{self, Client};
use crate::error::{Result, UserError, sqlstate};
use crate::security::{Access, Change, Directory, Object, Privilege, State};
use crate::storage::Lake;

/// Change roles or what they may do; gives back what is to be noticed.
///
/// A session that nobody is guarded against does it as the lake's owner.
pub(crate) async fn administer(session: &SessionContext, client: &Client, mut request: Request) -> Result<Vec<String>> {
    let tag = request.change.tag();
    let state = session.state();
    let role = client.guard.as_ref().map_or_else(|| client.user(), |guard| guard.role()).to_owned();
    let guarded = client.guard.is_some();
    let allowed = |access: &Access, change: &Change| -> Result<()> {
        if !guarded || access.everything() || change.own(&role) {
            return Ok(());
        }
        let message = format!("permission denied: only a superuser may run {tag}");
        Err(UserError::new(sqlstate::PERMISSION, message).into())
    };
    mean(&mut request.change, &role);
    if let Some(guard) = &client.guard {
        allowed(&guard.access().await?, &request.change)?;
    }
    let change = resolve(&state, request).await?;
    let apply = |roles: &mut State| {
        allowed(&Access::of(Arc::new(roles.clone()), &role), &change)?;
        roles.apply(&change)
    };
    directory(&state, client)?.change(&role, apply).await
}

/// Refuse columns of a relation without one that a mask or a privilege is for: it would be shown by another name.
pub(super) async fn check_columns(state: &SessionState, client: &Client, name: &str, columns: &[&str]) -> Result<()> {
    let known = directory(state, client)?.current().await?;
    let object = Object::relation(crate::config::SCHEMA, name);
    let masks = known.masks.iter().filter(|mask| mask.schema == crate::config::SCHEMA && mask.table == name);
    let granted = known.grants.iter().filter(|grant| grant.object == object).filter_map(|grant| grant.column.as_ref());
    match masks.map(|mask| &mask.column).chain(granted).find(|column| !columns.contains(&column.as_str())) {
        Some(column) => Err(UserError::new("2BP01", format!("cannot drop column {column} of {name}"))
            .detail("a mask or a privilege is for it")
            .hint("SECURITY LABEL ON COLUMN … IS NULL takes a mask away, REVOKE a privilege")
            .into()),
        None => Ok(()),
    }
}

/// What is known of roles.
fn directory(state: &SessionState, client: &Client) -> Result<Arc<Directory>> {
    let lake = lake(state)?;
    Ok(match &client.guard {
        Some(guard) => Arc::clone(guard.directory()),
        None => Directory::new(lake.store(), Arc::clone(lake.clock())),
    })
}

/// Take away what was said of relations that are dropped: privileges, policies, masks.
pub(super) async fn forget(state: &SessionState, client: &Client, names: &[String]) -> Result<()> {
    let directory = directory(state, client)?;
    let objects: Vec<Object> = names.iter().map(|name| Object::relation(crate::config::SCHEMA, name)).collect();
    let mut without = State::clone(&*directory.current().await?);
    if without.forget(&objects) {
        let role = client.guard.as_ref().map_or_else(|| client.user(), |guard| guard.role());
        directory.change(role, |roles| Ok(roles.forget(&objects))).await?;
    }
    Ok(())
}

/// Say of a relation by its new name what was said of it by the old one.
pub(super) async fn rename(state: &SessionState, client: &Client, from: &str, to: &str) -> Result<()> {
    let directory = directory(state, client)?;
    let moved = |roles: &mut State| roles.rename(crate::config::SCHEMA, from, to);
    if moved(&mut State::clone(&*directory.current().await?)) {
        let role = client.guard.as_ref().map_or_else(|| client.user(), |guard| guard.role());
        directory.change(role, |roles| Ok(moved(roles))).await?;
    }
    Ok(())
}

/// The lake of a session.
pub(super) fn lake(state: &SessionState) -> Result<Arc<Lake>> {
    let lake = state.config().get_extension::<Lake>();
    lake.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the session has no lake").into())
}

/// The change with every name looked up.
async fn resolve(state: &SessionState, request: Request) -> Result<Change> {
    let Request { mut change, every, all_privileges } = request;
    match &mut change {
        Change::Privileges { privileges, objects, .. } => {
            for (every, schema) in every {
                if !["public", "system"].contains(&schema.as_str()) {
                    return Err(UserError::new("3F000", format!("schema \"{schema}\" does not exist")).into());
                }
                objects.extend(match every {
                    Every::Relation => catalog::relations(&*lake(state)?, &schema)
                        .await?
                        .iter()
                        .map(|(name, _)| Object::relation(&schema, name))
                        .collect::<Vec<_>>(),
                    Every::Function if schema == crate::config::SCHEMA => {
                        catalog::functions().into_iter().map(Object::function).collect()
                    }
                    Every::Function => Vec::new(),
                });
            }
            if let Some(columns) = all_privileges {
                let function = objects.iter().any(|object| matches!(object, Object::Function { .. }));
                let all: &[Privilege] =
                    if function { &[Privilege::Execute] } else { &[Privilege::Select, Privilege::Insert] };
                for privilege in all {
                    let columns = columns.iter().map(|column| (*privilege, Some(column.clone())));
                    privileges.extend(columns);
                }
                if columns.is_empty() {
                    privileges.extend(all.iter().map(|privilege| (*privilege, None)));
                }
            }
            for object in objects {
                check_object(state, object, privileges).await?;
            }
        }
        Change::CreatePolicy(policy) => {
            table_columns(state, &mut policy.schema, &policy.table).await?;
            catalog::check_condition(state, &policy.schema, &policy.table, &policy.condition).await?;
        }
        Change::DropPolicy { schema, table, .. } | Change::RowSecurity { schema, table, .. } => {
            table_columns(state, schema, table).await?;
        }
        Change::Label { schema, table, column, label } => {
            let columns = table_columns(state, schema, table).await?;
            known_column(&columns, table, column)?;
            if let Some(label) = label {
                catalog::check_mask(state, schema, table, column, label).await?;
            }
        }
        Change::CreateRole(..) | Change::AlterRole(..) | Change::DropRole { .. } | Change::Membership { .. } => {}
    }
    Ok(change)
}

async fn check_object(
    state: &SessionState,
    object: &mut Object,
    privileges: &[(Privilege, Option<String>)],
) -> Result<()> {
    let of_function = |privilege: &Privilege| *privilege == Privilege::Execute;
    let (kind, wrong) = match object {
        Object::Function { name } => {
            if !catalog::functions().contains(&name.as_str()) {
                let message = format!("function {name} does not exist");
                return Err(UserError::new(sqlstate::UNDEFINED_FUNCTION, message)
                    .hint("privileges are for functions that read the lake; the others are everybody's")
                    .into());
            }
            let wrong =
                |(privilege, column): &&(Privilege, Option<String>)| !of_function(privilege) || column.is_some();
            ("function", privileges.iter().find(wrong))
        }
        Object::Relation { schema, name } => {
            let columns = relation_columns(state, schema, name).await?;
            for column in privileges.iter().filter_map(|(_, column)| column.as_ref()) {
                known_column(&columns, name, column)?;
            }
            ("table", privileges.iter().find(|(privilege, _)| of_function(privilege)))
        }
    };
    match wrong {
        None => Ok(()),
        Some((privilege, _)) => {
            let message = format!("invalid privilege type {} for {kind}", privilege.name());
            Err(UserError::new("0LP01", message).into())
        }
    }
}

/// The columns of a relation that every session has; its schema is filled in.
async fn relation_columns(state: &SessionState, schema: &mut String, name: &str) -> Result<Vec<String>> {
    if schema.is_empty() {
        state.config_options().catalog.default_schema.clone_into(schema);
    }
    let missing = || {
        let shown = if schema == crate::config::SCHEMA { name.to_owned() } else { format!("{schema}.{name}") };
        UserError::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
    };
    if !catalog::relations(&*lake(state)?, schema).await?.iter().any(|(known, _)| *known == name) {
        return Err(missing().into());
    }
    let found = state.catalog_list().catalog(crate::config::DATABASE);
    let found = found.and_then(|catalog| catalog.schema(schema)).ok_or_else(missing)?;
    let table = found.table(name).await?.ok_or_else(missing)?;
    Ok(table.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// The same of a table, not a view.
async fn table_columns(state: &SessionState, schema: &mut String, name: &str) -> Result<Vec<String>> {
    let columns = relation_columns(state, schema, name).await?;
    if catalog::relations(&*lake(state)?, schema).await?.iter().any(|(known, view)| *known == name && *view) {
        return Err(UserError::new("42809", format!("\"{name}\" is not a table"))
            .hint("views show what their tables show: policies and masks are for tables")
            .into());
    }
    Ok(columns)
}

fn known_column(columns: &[String], table: &str, column: &str) -> Result<()> {
    if columns.iter().any(|known| known == column) {
        return Ok(());
    }
    let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
    Err(UserError::new(sqlstate::UNDEFINED_COLUMN, message).into())
}

/// Put the role in the place of CURRENT_USER and its kin.
fn mean(change: &mut Change, role: &str) {
    let mean = |name: &mut String| {
        if matches!(name.as_str(), "current_user" | "session_user" | "current_role") {
            role.clone_into(name);
        }
    };
    match change {
        Change::AlterRole(name, _) => mean(name),
        Change::DropRole { names, .. } => names.iter_mut().for_each(mean),
        Change::Membership { roles, members, .. } => roles.iter_mut().chain(members).for_each(mean),
        Change::Privileges { roles, .. } => roles.iter_mut().for_each(mean),
        Change::CreatePolicy(policy) => {
            let roles = std::mem::take(&mut policy.roles);
            policy.roles = roles
                .into_iter()
                .map(|mut name| {
                    mean(&mut name);
                    name
                })
                .collect();
        }
        _ => {}
    }
}
