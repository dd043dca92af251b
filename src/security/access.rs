//! The state from the side of one role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::directory::Directory;
use super::state::{Grant, Object, Privilege, State};
use crate::error::{Result, UserError, sqlstate};

/// Relations that everybody may read: they say nothing of what is stored, nor of others.
const PUBLIC: [(&str, &str); 2] = [("system", "functions"), ("system", "queries")];

/// What a role may do and see at one moment.
#[derive(Debug, Clone)]
pub struct Access {
    state: Arc<State>,
    roles: BTreeSet<String>,
    everything: bool,
}

/// What is between a role and a table: conditions of rows and masks of columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restriction {
    /// The condition that rows have to meet, SQL; none if all are seen.
    pub condition: Option<String>,
    /// The masked columns with their labels.
    pub masks: BTreeMap<String, String>,
    /// The key of pseudonyms.
    pub secret: String,
}

impl Restriction {
    /// Whether nothing is between them.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.condition.is_none() && self.masks.is_empty()
    }
}

impl Access {
    /// What a role may do; without any role at all, everybody may do everything.
    #[must_use]
    pub fn of(state: Arc<State>, role: &str) -> Self {
        let roles = state.closure(role);
        let superuser = state.roles.get(role).is_some_and(|role| role.superuser);
        Self { everything: superuser || state.roles.is_empty(), roles, state }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Whether it may do everything.
    #[must_use]
    pub fn everything(&self) -> bool {
        self.everything
    }

    /// Whether it has the privileges of a role.
    #[must_use]
    pub fn is_member(&self, role: &str) -> bool {
        self.everything || self.roles.contains(role)
    }

    fn own<'a>(&'a self, object: &'a Object) -> impl Iterator<Item = &'a Grant> {
        let mine = |grant: &&Grant| grant.role.is_empty() || self.roles.contains(&grant.role);
        self.state.grants.iter().filter(move |grant| grant.object == *object).filter(mine)
    }

    /// Whether it has a privilege for all of something.
    #[must_use]
    pub fn has(&self, privilege: Privilege, object: &Object) -> bool {
        let public = matches!(object, Object::Relation { schema, name }
            if privilege == Privilege::Select && PUBLIC.contains(&(schema.as_str(), name.as_str())));
        self.everything
            || public
            || self.own(object).any(|grant| grant.privilege == privilege && grant.column.is_none())
    }

    /// The columns for which it has a privilege by name, where it has none for all of the table.
    #[must_use]
    pub fn columns(&self, privilege: Privilege, object: &Object) -> BTreeSet<String> {
        self.own(object).filter(|grant| grant.privilege == privilege).filter_map(|grant| grant.column.clone()).collect()
    }

    /// Whether it has any privilege for something or a part of it.
    #[must_use]
    pub fn has_any(&self, object: &Object) -> bool {
        self.has(Privilege::Select, object) || self.own(object).any(|grant| grant.privilege != Privilege::Unmask)
    }

    /// Whether it may call a function that reads the lake.
    ///
    /// # Errors
    /// 42501 when it may not.
    pub fn check_function(&self, name: &str) -> Result<(), UserError> {
        if self.has(Privilege::Execute, &Object::function(name)) {
            return Ok(());
        }
        Err(UserError::new(sqlstate::PERMISSION, format!("permission denied for function {name}")))
    }

    /// What is between it and a table.
    #[must_use]
    pub fn restriction(&self, schema: &str, table: &str) -> Restriction {
        if self.everything {
            return Restriction::default();
        }
        let object = Object::relation(schema, table);
        let seen = self.columns(Privilege::Unmask, &object);
        let all = self.has(Privilege::Unmask, &object);
        let masks = self.state.masks.iter().filter(|mask| mask.schema == schema && mask.table == table);
        let masks = masks.filter(|mask| !all && !seen.contains(&mask.column));
        let masks: BTreeMap<String, String> = masks.map(|mask| (mask.column.clone(), mask.label.clone())).collect();
        let secret = if masks.is_empty() { String::new() } else { self.state.secret.clone() };
        Restriction { condition: self.condition(schema, table), masks, secret }
    }

    /// PostgreSQL's rule: any permissive policy shows a row, every restrictive one has to agree.
    fn condition(&self, schema: &str, table: &str) -> Option<String> {
        let bypass = self.roles.iter().filter_map(|role| self.state.roles.get(role)).any(|role| role.bypass_policies);
        if bypass || !self.state.row_security.contains(&format!("{schema}.{table}")) {
            return None;
        }
        let of_table = self.state.policies.iter().filter(|policy| policy.schema == schema && policy.table == table);
        let mine = of_table.filter(|policy| policy.roles.is_empty() || !policy.roles.is_disjoint(&self.roles));
        let (restrictive, permissive): (Vec<_>, Vec<_>) = mine.partition(|policy| policy.restrictive);
        if permissive.is_empty() {
            return Some("false".to_owned());
        }
        let joined = |policies: Vec<&super::Policy>, word: &str| {
            let conditions: Vec<String> = policies.iter().map(|policy| format!("({})", policy.condition)).collect();
            format!("({})", conditions.join(word))
        };
        let mut condition = joined(permissive, " OR ");
        if !restrictive.is_empty() {
            condition = format!("{condition} AND {}", joined(restrictive, " AND "));
        }
        Some(condition)
    }
}

/// The role of a connection, and where to look what it may do by now.
#[derive(Debug)]
pub struct Guard {
    directory: Arc<Directory>,
    role: String,
}

impl Guard {
    /// The guard of a connection of a role.
    #[must_use]
    pub fn new(directory: &Arc<Directory>, role: &str) -> Self {
        Self { directory: Arc::clone(directory), role: role.to_owned() }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The document that says it.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// What the role may do, as of a moment ago at most.
    ///
    /// # Errors
    /// When the lake cannot be read: then nobody may do anything.
    pub async fn access(&self) -> Result<Access> {
        Ok(Access::of(self.directory.current().await?, &self.role))
    }

    /// What the role could do when that was looked at last; for what only shows it.
    #[must_use]
    pub fn known(&self) -> Access {
        Access::of(self.directory.known(), &self.role)
    }
}
