//! The views of a session: they last as long as it does, and are nobody else's.

use datafusion::common::TableReference;
use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{self, ObjectName, Statement as Ast};

use super::plan;
use crate::catalog;
use crate::dialect::folded;
use crate::error::{Result, UserError, sqlstate};

/// What was done.
#[derive(Debug)]
pub(crate) struct Defined {
    pub(crate) tag: &'static str,
    pub(crate) notices: Vec<UserError>,
}

/// Make or remove a view.
pub(crate) async fn define(session: &SessionContext, ast: &Ast) -> Result<Defined> {
    match ast {
        Ast::CreateView(view) => {
            check_free(session, view)?;
            let mut view = view.clone();
            let mut notices = Vec::new();
            if !view.temporary {
                let message = format!("view \"{}\" lasts as long as this session", view.name);
                notices.push(UserError::new("01000", message));
            }
            view.temporary = false;
            let planned = plan::plan(&session.state(), &Ast::CreateView(view), &[]).await?;
            session.execute_logical_plan(planned.plan).await?.collect().await?;
            Ok(Defined { tag: "CREATE VIEW", notices })
        }
        Ast::Drop { names, if_exists, .. } => {
            let mut notices = Vec::new();
            let found = names.iter().map(|name| own(session, name)).collect::<Result<Vec<_>>>()?;
            for (reference, name) in found.into_iter().zip(names) {
                let exists = session.table_exist(reference.clone())?;
                if exists {
                    session.deregister_table(reference)?;
                } else if *if_exists {
                    notices.push(UserError::new("00000", format!("view \"{name}\" does not exist, skipping")));
                } else {
                    return Err(
                        UserError::new(sqlstate::UNDEFINED_TABLE, format!("view \"{name}\" does not exist")).into()
                    );
                }
            }
            Ok(Defined { tag: "DROP VIEW", notices })
        }
        _ => Err(UserError::new(sqlstate::INTERNAL, "the statement defines no view").into()),
    }
}

/// The schema and the name that a name means.
fn located(session: &SessionContext, name: &ObjectName) -> Result<(String, String)> {
    let parts: Vec<&ast::Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    let names: Vec<String> = parts.into_iter().map(folded).collect();
    match names.as_slice() {
        [table] => Ok((session.state_ref().read().config_options().catalog.default_schema.clone(), table.clone())),
        [schema, table] | [_, schema, table] => Ok((schema.clone(), table.clone())),
        _ => Err(UserError::new(sqlstate::SYNTAX, format!("improper relation name: {name}")).into()),
    }
}

/// What is built in is not made anew, and what there is only if the statement says so.
fn check_free(session: &SessionContext, view: &ast::CreateView) -> Result<()> {
    let (schema, table) = located(session, &view.name)?;
    let built_in = catalog::relations(&schema).into_iter().any(|(known, _)| known == table);
    let reference = TableReference::partial(schema, table.clone());
    if built_in || (!view.or_replace && session.table_exist(reference)?) {
        return Err(UserError::new("42P07", format!("relation \"{table}\" already exists")).into());
    }
    Ok(())
}

/// The name of what a session may drop: what is built in it may not.
fn own(session: &SessionContext, name: &ObjectName) -> Result<TableReference> {
    let (schema, table) = located(session, name)?;
    match catalog::relations(&schema).into_iter().find(|(known, _)| *known == table) {
        Some((_, true)) => {
            Err(UserError::new(sqlstate::PERMISSION, format!("permission denied: view \"{table}\" is built in"))
                .hint("only views that this session has made can be dropped")
                .into())
        }
        Some((_, false)) => Err(UserError::new("42809", format!("\"{table}\" is not a view"))
            .hint("the tables of a lake are what they are: none is dropped")
            .into()),
        None if matches!(schema.as_str(), "pg_catalog" | "information_schema") => {
            let message = format!("permission denied: \"{table}\" is a system catalog");
            Err(UserError::new(sqlstate::PERMISSION, message).into())
        }
        None => Ok(TableReference::partial(schema, table)),
    }
}
