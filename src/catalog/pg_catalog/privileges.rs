//! Roles and privileges as the catalog shows them.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};

use super::functions::{Arguments, added, boolean, function, int, relation_oid, text};
use super::objects::{self, OWNER, OWNER_NAME, oid};
use super::rows::user_oid;
use super::table::{Cell, Row};
use crate::catalog::Client;
use crate::security::{Access, Object, Privilege, Role, State};

/// What a question about privileges is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Table,
    AnyColumn,
    Column,
    Function,
    /// Schemas and the database, for which nothing is granted.
    Other,
}

fn state(client: &Client) -> Option<Arc<State>> {
    client.guard.as_ref().map(|guard| Arc::clone(guard.known().state()))
}

/// What the role may do that a question is about; none where nobody is guarded against.
fn access(client: &Client, name: Option<&ScalarValue>) -> Option<Access> {
    let guard = client.guard.as_ref()?;
    let known = guard.known();
    let asked = match name {
        None => return Some(known),
        Some(ScalarValue::Utf8(Some(name))) => name.clone(),
        Some(_) => int(&[name.cloned().unwrap_or(ScalarValue::Null)], 0).and_then(|oid| role_of(known.state(), oid))?,
    };
    Some(Access::of(Arc::clone(known.state()), &asked))
}

fn role_of(state: &State, oid: i64) -> Option<String> {
    state.roles.keys().find(|name| user_oid(name) == oid).cloned()
}

/// The name of a role by its OID.
pub(super) fn role_name(client: &Client, oid: i64) -> Option<String> {
    role_of(&*state(client)?, oid)
}

/// `has_table_privilege` and its kin: whether a role has any of the privileges that are named.
pub(super) fn may(client: &Client, arguments: Arguments<'_>, about: About) -> Result<ScalarValue> {
    let parts = if about == About::Column { 3 } else { 2 };
    let Some(first) = arguments.len().checked_sub(parts) else { return boolean(false) };
    let names = text(arguments, arguments.len() - 1).unwrap_or_default().to_uppercase();
    let named = |known: &str| names.split(',').any(|name| name.trim() == known);
    let known = ["SELECT", "USAGE", "CONNECT", "EXECUTE", "TEMP", "TEMPORARY", "MEMBER", "INSERT"];
    let possible = known.into_iter().any(named);
    let user = first.checked_sub(1).and_then(|at| arguments.get(at));
    let Some(access) = access(client, user).filter(|access| !access.everything()) else { return boolean(possible) };
    if about == About::Other {
        return boolean(possible);
    }
    if about == About::Function {
        let found = int(arguments, first).and_then(|oid| function(Some(oid)).map(|known| known.name.clone()));
        let name = found.or_else(|| text(arguments, first)).unwrap_or_default();
        let name = name.split('(').next().unwrap_or_default().rsplit('.').next().unwrap_or_default().to_owned();
        let guarded = crate::catalog::functions().contains(&name.as_str());
        return boolean(!guarded || access.has(Privilege::Execute, &Object::function(&name)));
    }
    let oid = int(arguments, first).or_else(|| relation_oid(client, &text(arguments, first)?));
    let object = match oid.and_then(objects::relation) {
        Some(relation) if relation.schema == "pg_catalog" => return boolean(named("SELECT")),
        Some(relation) => Object::relation(relation.schema, relation.name),
        // What a session has for itself is its own.
        None => match oid.and_then(|oid| added(client, oid)).filter(|added| added.relation.is_some()) {
            Some(added) => Object::relation(crate::config::SCHEMA, &added.name),
            None => return boolean(possible),
        },
    };
    let column = text(arguments, first + 1).filter(|_| about == About::Column);
    let has = |privilege: Privilege| {
        let columns = || access.columns(privilege, &object);
        named(privilege.name())
            && (access.has(privilege, &object)
                || match &column {
                    Some(column) => columns().contains(column),
                    None => about == About::AnyColumn && !columns().is_empty(),
                })
    };
    boolean(has(Privilege::Select) || has(Privilege::Insert))
}

/// `pg_has_role`.
pub(super) fn has_role(client: &Client, arguments: Arguments<'_>) -> Result<ScalarValue> {
    let Some(at) = arguments.len().checked_sub(2) else { return boolean(false) };
    let user = at.checked_sub(1).and_then(|at| arguments.get(at));
    let Some(access) = access(client, user) else { return boolean(true) };
    let role = int(arguments, at).and_then(|oid| role_of(access.state(), oid)).or_else(|| text(arguments, at));
    boolean(role.is_some_and(|role| access.is_member(&role)))
}

/// The roles: those of the lake, the owner of everything, and whoever asks.
pub(super) fn roles(client: &Client) -> Vec<(i64, String, Role)> {
    let mut found: Vec<(i64, String, Role)> = state(client)
        .map(|state| state.roles.iter().map(|(name, role)| (user_oid(name), name.clone(), role.clone())).collect())
        .unwrap_or_default();
    let trusted = found.is_empty();
    if !found.iter().any(|(oid, ..)| *oid == OWNER) {
        let owner = Role { superuser: true, login: trusted, ..Role::default() };
        found.insert(0, (OWNER, OWNER_NAME.to_owned(), owner));
    }
    if !found.iter().any(|(_, name, _)| name == client.user()) {
        let own = Role { login: true, superuser: trusted && client.guard.is_some(), ..Role::default() };
        found.push((user_oid(client.user()), client.user().to_owned(), own));
    }
    found
}

pub(super) fn role_row((oid, name, role): (i64, String, Role)) -> Row {
    vec![
        ("oid", oid.into()),
        ("rolname", name.into()),
        ("rolsuper", role.superuser.into()),
        ("rolcreaterole", role.superuser.into()),
        ("rolcanlogin", role.login.into()),
        ("rolconnlimit", role.connections.map_or(-1, i64::from).into()),
        ("rolbypassrls", (role.bypass_policies || role.superuser).into()),
        ("rolvaliduntil", role.valid_until.into()),
        ("rolpassword", "********".into()),
    ]
}

pub(super) fn user_row((oid, name, role): (i64, String, Role)) -> Row {
    vec![
        ("usesysid", oid.into()),
        ("usename", name.into()),
        ("usesuper", role.superuser.into()),
        ("usebypassrls", (role.bypass_policies || role.superuser).into()),
        ("valuntil", role.valid_until.into()),
    ]
}

/// `pg_auth_members`.
pub(super) fn members(client: &Client) -> Vec<Row> {
    let Some(state) = state(client) else { return Vec::new() };
    let rows = state.roles.iter().flat_map(|(member, role)| {
        role.member_of.iter().map(move |group| -> Row {
            vec![
                ("oid", oid("membership", group, member).into()),
                ("roleid", user_oid(group).into()),
                ("member", user_oid(member).into()),
                ("grantor", OWNER.into()),
            ]
        })
    });
    rows.collect()
}

fn quoted(role: &str) -> String {
    let plain = role.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if plain { role.to_owned() } else { format!("\"{}\"", role.replace('"', "\"\"")) }
}

/// `relacl`, or `attacl` of a column: `role=letters/grantor`; null where nothing was granted.
pub(super) fn acl(client: &Client, schema: &str, name: &str, column: Option<&str>) -> Cell {
    let Some(state) = state(client) else { return Cell::Null };
    let shown = state.shown(&Object::relation(schema, name)).into_iter();
    let items: Vec<String> = shown
        .filter(|(_, known, _)| known.as_deref() == column)
        .map(|(role, _, letters)| format!("{}={letters}/{OWNER_NAME}", quoted(&role)))
        .collect();
    if items.is_empty() { Cell::Null } else { Cell::Texts(items) }
}

/// `pg_policies`.
pub(super) fn policies(client: &Client) -> Vec<Row> {
    let Some(state) = state(client) else { return Vec::new() };
    let rows = state.policies.iter().map(|policy| -> Row {
        let everybody = || vec!["public".to_owned()];
        let roles = if policy.roles.is_empty() { everybody() } else { policy.roles.iter().cloned().collect() };
        vec![
            ("schemaname", policy.schema.clone().into()),
            ("tablename", policy.table.clone().into()),
            ("policyname", policy.name.clone().into()),
            ("permissive", if policy.restrictive { "RESTRICTIVE" } else { "PERMISSIVE" }.into()),
            ("roles", Cell::Texts(roles)),
            ("cmd", "SELECT".into()),
            ("qual", policy.condition.clone().into()),
        ]
    });
    rows.collect()
}
