//! Changes of the state, as statements ask for them: PostgreSQL's rules and its errors.

use std::collections::BTreeSet;

use super::scram::Verifier;
use super::state::{Grant, Mask, Object, Policy, Privilege, Role, State};
use crate::error::{Result, UserError, sqlstate};

/// What is said of a role; what is not said stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RoleOptions {
    /// LOGIN, NOLOGIN.
    pub login: Option<bool>,
    /// SUPERUSER, NOSUPERUSER.
    pub superuser: Option<bool>,
    /// BYPASSRLS, NOBYPASSRLS.
    pub bypass_policies: Option<bool>,
    /// PASSWORD: a verifier; none inside removes it.
    pub verifier: Option<Option<String>>,
    /// CONNECTION LIMIT; none inside is no limit.
    pub connections: Option<Option<u32>>,
    /// VALID UNTIL, microseconds since the epoch; none inside is for ever.
    pub valid_until: Option<Option<i64>>,
    /// IN ROLE: the roles that it becomes a member of.
    pub member_of: Vec<String>,
    /// ROLE: the roles that become members of it.
    pub members: Vec<String>,
}

impl RoleOptions {
    /// Set the password from what a statement or a prompt says: a password, or a verifier made elsewhere.
    ///
    /// # Errors
    /// When the password is empty, or the verifier is none that can be kept.
    pub fn password(&mut self, text: &str) -> Result<()> {
        let verifier = match Verifier::of_text(text)? {
            Some(verifier) => verifier,
            None => Verifier::of_password(text)?,
        };
        self.verifier = Some(Some(verifier.text()));
        Ok(())
    }

    /// Whether nothing is said but a password, which everybody may change of their own.
    #[must_use]
    pub fn only_password(&self) -> bool {
        let others = self.login.is_some()
            || self.superuser.is_some()
            || self.bypass_policies.is_some()
            || self.connections.is_some()
            || self.valid_until.is_some();
        self.verifier.is_some() && !others && self.member_of.is_empty() && self.members.is_empty()
    }
}

/// One change. Names of relations, columns and functions are those that exist.
#[derive(Debug, Clone)]
pub enum Change {
    /// CREATE ROLE.
    CreateRole(String, RoleOptions),
    /// ALTER ROLE.
    AlterRole(String, RoleOptions),
    /// DROP ROLE.
    DropRole {
        /// The roles.
        names: Vec<String>,
        /// Whether those that are not there are left out.
        if_exists: bool,
    },
    /// GRANT role TO role, or REVOKE.
    Membership {
        /// The roles that are granted.
        roles: Vec<String>,
        /// The roles that become or were their members.
        members: Vec<String>,
        /// REVOKE.
        revoke: bool,
    },
    /// GRANT privilege ON object TO role, or REVOKE.
    Privileges {
        /// The privileges, each for one column or for all.
        privileges: Vec<(Privilege, Option<String>)>,
        /// What for.
        objects: Vec<Object>,
        /// The roles; empty is everybody.
        roles: Vec<String>,
        /// REVOKE.
        revoke: bool,
    },
    /// CREATE POLICY.
    CreatePolicy(Policy),
    /// DROP POLICY.
    DropPolicy {
        /// Name.
        name: String,
        /// Schema of the table.
        schema: String,
        /// The table.
        table: String,
        /// Whether it may be missing.
        if_exists: bool,
    },
    /// ALTER TABLE … ENABLE or DISABLE ROW LEVEL SECURITY.
    RowSecurity {
        /// Schema of the table.
        schema: String,
        /// The table.
        table: String,
        /// ENABLE.
        enable: bool,
    },
    /// SECURITY LABEL ON COLUMN; no label removes the mask.
    Label {
        /// Schema of the table.
        schema: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The label.
        label: Option<String>,
    },
}

impl Change {
    /// The tag of the statement, as PostgreSQL has it.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Self::CreateRole(..) => "CREATE ROLE",
            Self::AlterRole(..) => "ALTER ROLE",
            Self::DropRole { .. } => "DROP ROLE",
            Self::Membership { revoke: false, .. } => "GRANT ROLE",
            Self::Membership { revoke: true, .. } => "REVOKE ROLE",
            Self::Privileges { revoke: false, .. } => "GRANT",
            Self::Privileges { revoke: true, .. } => "REVOKE",
            Self::CreatePolicy(_) => "CREATE POLICY",
            Self::DropPolicy { .. } => "DROP POLICY",
            Self::RowSecurity { .. } => "ALTER TABLE",
            Self::Label { .. } => "SECURITY LABEL",
        }
    }

    /// Whether a role that may not do everything may make the change: its own password.
    #[must_use]
    pub fn own(&self, role: &str) -> bool {
        matches!(self, Self::AlterRole(name, options) if name == role && options.only_password())
    }
}

fn missing(role: &str) -> UserError {
    UserError::new(sqlstate::UNDEFINED_OBJECT, format!("role \"{role}\" does not exist"))
}

fn duplicate(message: String) -> UserError {
    UserError::new(sqlstate::DUPLICATE_OBJECT, message)
}

impl State {
    /// Make a change; gives back what the user is told of it.
    ///
    /// # Errors
    /// When a name is there already or is not there, or nobody could administer roles any more.
    pub fn apply(&mut self, change: &Change) -> Result<Vec<String>> {
        let mut notices = Vec::new();
        match change {
            Change::CreateRole(name, options) => self.create_role(name, options)?,
            Change::AlterRole(name, options) => {
                self.check_role(name)?;
                self.set_options(name, options)?;
            }
            Change::DropRole { names, if_exists } => {
                for name in names {
                    if self.roles.contains_key(name) {
                        self.drop_role(name)?;
                    } else if *if_exists {
                        notices.push(format!("role \"{name}\" does not exist, skipping"));
                    } else {
                        return Err(missing(name).into());
                    }
                }
            }
            Change::Membership { roles, members, revoke } => self.membership(roles, members, *revoke)?,
            Change::Privileges { privileges, objects, roles, revoke } => {
                self.privileges(privileges, objects, roles, *revoke)?;
            }
            Change::CreatePolicy(policy) => notices.extend(self.create_policy(policy)?),
            Change::DropPolicy { name, schema, table, if_exists } => {
                let before = self.policies.len();
                self.policies.retain(|known| (&known.name, &known.schema, &known.table) != (name, schema, table));
                if self.policies.len() == before {
                    let message = format!("policy \"{name}\" for table \"{table}\" does not exist");
                    if !if_exists {
                        return Err(UserError::new(sqlstate::UNDEFINED_OBJECT, message).into());
                    }
                    notices.push(format!("{message}, skipping"));
                }
            }
            Change::RowSecurity { schema, table, enable } => {
                let key = format!("{schema}.{table}");
                if *enable {
                    self.row_security.insert(key);
                } else {
                    self.row_security.remove(&key);
                }
            }
            Change::Label { schema, table, column, label } => {
                self.masks.retain(|known| (&known.schema, &known.table, &known.column) != (schema, table, column));
                self.masks.extend(label.clone().map(|label| Mask {
                    schema: schema.clone(),
                    table: table.clone(),
                    column: column.clone(),
                    label,
                }));
            }
        }
        if !self.roles.is_empty() && !self.has_administrator() {
            let message = "no superuser would be left that can log in";
            return Err(UserError::new("2BP01", message)
                .hint("the first role has to be one: CREATE ROLE name LOGIN SUPERUSER PASSWORD '…'")
                .into());
        }
        Ok(notices)
    }

    /// Take away what is said of relations that are no more; gives back whether anything was.
    pub fn forget(&mut self, objects: &[Object]) -> bool {
        let count =
            |state: &Self| state.grants.len() + state.policies.len() + state.masks.len() + state.row_security.len();
        let before = count(self);
        let gone = |schema: &str, name: &str| objects.contains(&Object::relation(schema, name));
        self.grants.retain(|grant| !objects.contains(&grant.object));
        self.policies.retain(|policy| !gone(&policy.schema, &policy.table));
        self.masks.retain(|mask| !gone(&mask.schema, &mask.table));
        self.row_security.retain(|key| !key.split_once('.').is_some_and(|(schema, name)| gone(schema, name)));
        count(self) != before
    }

    /// Say of a relation by another name what is said of it; gives back whether anything is.
    pub fn rename(&mut self, schema: &str, from: &str, to: &str) -> bool {
        let mut any = false;
        let mut called = |of: &str, name: &mut String| {
            if of == schema && name == from {
                to.clone_into(name);
                any = true;
            }
        };
        let grants = std::mem::take(&mut self.grants).into_iter().map(|mut grant| {
            if let Object::Relation { schema, name } = &mut grant.object {
                called(schema, name);
            }
            grant
        });
        self.grants = grants.collect();
        self.policies.iter_mut().for_each(|policy| called(&policy.schema, &mut policy.table));
        self.masks.iter_mut().for_each(|mask| called(&mask.schema, &mut mask.table));
        let secured = self.row_security.remove(&format!("{schema}.{from}"));
        if secured {
            self.row_security.insert(format!("{schema}.{to}"));
        }
        any || secured
    }

    fn check_role(&self, name: &str) -> Result<()> {
        if self.roles.contains_key(name) { Ok(()) } else { Err(missing(name).into()) }
    }

    fn create_role(&mut self, name: &str, options: &RoleOptions) -> Result<()> {
        if self.roles.contains_key(name) {
            return Err(duplicate(format!("role \"{name}\" already exists")).into());
        }
        if matches!(name, "" | "public" | "none" | "current_user" | "session_user" | "current_role")
            || name.starts_with("pg_")
        {
            return Err(UserError::new("42939", format!("role name \"{name}\" is reserved")).into());
        }
        self.roles.insert(name.to_owned(), Role::default());
        self.set_options(name, options)
    }

    fn set_options(&mut self, name: &str, options: &RoleOptions) -> Result<()> {
        let Some(role) = self.roles.get_mut(name) else { return Err(missing(name).into()) };
        role.login = options.login.unwrap_or(role.login);
        role.superuser = options.superuser.unwrap_or(role.superuser);
        role.bypass_policies = options.bypass_policies.unwrap_or(role.bypass_policies);
        role.connections = options.connections.unwrap_or(role.connections);
        role.valid_until = options.valid_until.unwrap_or(role.valid_until);
        if let Some(verifier) = &options.verifier {
            role.verifier.clone_from(verifier);
        }
        let own = [name.to_owned()];
        self.membership(&options.member_of, &own, false)?;
        self.membership(&own, &options.members, false)
    }

    fn drop_role(&mut self, name: &str) -> Result<()> {
        let policies = self.policies.iter().filter(|policy| policy.roles.contains(name));
        let of: Vec<String> =
            policies.map(|policy| format!("policy {} on table {}", policy.name, policy.table)).collect();
        let grants = self.grants.iter().filter(|grant| grant.role == name).count();
        if !of.is_empty() || grants > 0 {
            let mut detail = of;
            if grants > 0 {
                detail.push(format!("{grants} granted privileges"));
            }
            let message = format!("role \"{name}\" cannot be dropped because some objects depend on it");
            return Err(UserError::new("2BP01", message)
                .detail(detail.join("\n"))
                .hint("revoke what was granted to it, and drop its policies, first")
                .into());
        }
        self.roles.remove(name);
        for role in self.roles.values_mut() {
            role.member_of.remove(name);
        }
        Ok(())
    }

    fn membership(&mut self, roles: &[String], members: &[String], revoke: bool) -> Result<()> {
        for name in roles.iter().chain(members) {
            self.check_role(name)?;
        }
        for role in roles {
            for member in members {
                if !revoke && self.closure(role).contains(member) {
                    let message = format!("role \"{role}\" is a member of role \"{member}\"");
                    return Err(UserError::new("0LP01", message).into());
                }
                let Some(known) = self.roles.get_mut(member) else { continue };
                if revoke {
                    known.member_of.remove(role);
                } else {
                    known.member_of.insert(role.clone());
                }
            }
        }
        Ok(())
    }

    fn privileges(
        &mut self,
        privileges: &[(Privilege, Option<String>)],
        objects: &[Object],
        roles: &[String],
        revoke: bool,
    ) -> Result<()> {
        for role in roles.iter().filter(|role| !role.is_empty()) {
            self.check_role(role)?;
        }
        for (object, role) in objects.iter().flat_map(|object| roles.iter().map(move |role| (object, role))) {
            for (privilege, column) in privileges {
                if revoke {
                    // Without the privilege for the whole table none for its columns is left, as in PostgreSQL.
                    self.grants.retain(|known| {
                        known.role != *role
                            || known.object != *object
                            || known.privilege != *privilege
                            || (column.is_some() && known.column != *column)
                    });
                } else {
                    self.grants.insert(Grant {
                        role: role.clone(),
                        object: object.clone(),
                        privilege: *privilege,
                        column: column.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn create_policy(&mut self, policy: &Policy) -> Result<Option<String>> {
        for role in &policy.roles {
            self.check_role(role)?;
        }
        let same = |known: &&Policy| {
            (&known.name, &known.schema, &known.table) == (&policy.name, &policy.schema, &policy.table)
        };
        if self.policies.iter().find(same).is_some() {
            let message = format!("policy \"{}\" for table \"{}\" already exists", policy.name, policy.table);
            return Err(duplicate(message).into());
        }
        self.policies.push(policy.clone());
        // PostgreSQL waits for ENABLE ROW LEVEL SECURITY; a policy that was made and does nothing helps nobody.
        let enabled = self.row_security.insert(format!("{}.{}", policy.schema, policy.table));
        Ok(enabled.then(|| {
            format!("row level security is enabled for table \"{}\": roles without a policy see no row", policy.table)
        }))
    }

    /// What a role was granted on something, as `\dp` shows it: letters of privileges, by role and column.
    #[must_use]
    pub fn shown(&self, object: &Object) -> Vec<(String, Option<String>, String)> {
        let of_object = self.grants.iter().filter(|grant| grant.object == *object);
        let mut found: Vec<(String, Option<String>, BTreeSet<char>)> = Vec::new();
        for grant in of_object {
            let letter = match grant.privilege {
                Privilege::Select => 'r',
                Privilege::Insert => 'a',
                Privilege::Execute => 'X',
                // PostgreSQL has no letter for it.
                Privilege::Unmask => continue,
            };
            let place = found.iter_mut().find(|(role, column, _)| *role == grant.role && *column == grant.column);
            match place {
                Some((_, _, letters)) => {
                    letters.insert(letter);
                }
                None => found.push((grant.role.clone(), grant.column.clone(), BTreeSet::from([letter]))),
            }
        }
        found.into_iter().map(|(role, column, letters)| (role, column, letters.into_iter().collect())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::security::Access;

    fn administered() -> State {
        let mut state = State::default();
        let mut options = RoleOptions { login: Some(true), superuser: Some(true), ..RoleOptions::default() };
        options.password("x").unwrap();
        state.apply(&Change::CreateRole("root".to_owned(), options)).unwrap();
        state
    }

    fn create(state: &mut State, name: &str, member_of: &[&str]) {
        let member_of = member_of.iter().map(|name| (*name).to_owned()).collect();
        state.apply(&Change::CreateRole(name.to_owned(), RoleOptions { member_of, ..RoleOptions::default() })).unwrap();
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn grant(privilege: Privilege, column: Option<&str>, table: &str, role: &str, revoke: bool) -> Change {
        Change::Privileges {
            privileges: vec![(privilege, column.map(str::to_owned))],
            objects: vec![Object::relation("public", table)],
            roles: names(&[role]),
            revoke,
        }
    }

    #[test]
    fn somebody_can_always_administer() {
        let mut state = State::default();
        let first = state.apply(&Change::CreateRole("a".to_owned(), RoleOptions::default()));
        assert_eq!(first.unwrap_err().sqlstate(), "2BP01");
        let mut state = administered();
        let dropped = state.clone().apply(&Change::DropRole { names: names(&["root"]), if_exists: false });
        assert!(dropped.is_ok(), "a lake without roles is open to whoever reaches it on this machine");
        create(&mut state, "a", &[]);
        let dropped = state.clone().apply(&Change::DropRole { names: names(&["root"]), if_exists: false });
        assert_eq!(dropped.unwrap_err().sqlstate(), "2BP01");
        let locked = RoleOptions { login: Some(false), ..RoleOptions::default() };
        assert_eq!(state.apply(&Change::AlterRole("root".to_owned(), locked)).unwrap_err().sqlstate(), "2BP01");
    }

    #[test]
    fn privileges_are_inherited_and_taken_back() {
        let mut state = administered();
        create(&mut state, "readers", &[]);
        create(&mut state, "team", &["readers"]);
        create(&mut state, "ada", &["team"]);
        state.apply(&grant(Privilege::Select, None, "spans", "readers", false)).unwrap();
        state.apply(&grant(Privilege::Select, Some("message"), "logs", "", false)).unwrap();
        let access = |state: &State, role: &str| Access::of(Arc::new(state.clone()), role);
        let spans = Object::relation("public", "spans");
        let logs = Object::relation("public", "logs");
        assert!(access(&state, "ada").has(Privilege::Select, &spans));
        assert!(!access(&state, "ada").has(Privilege::Insert, &spans));
        assert!(!access(&state, "ada").has(Privilege::Select, &logs));
        assert!(access(&state, "ada").has_any(&logs));
        assert_eq!(access(&state, "nobody").columns(Privilege::Select, &logs), BTreeSet::from(["message".to_owned()]));
        assert!(access(&state, "root").everything());
        state.apply(&grant(Privilege::Select, None, "logs", "", true)).unwrap();
        assert!(!access(&state, "ada").has_any(&logs));
        let circle = Change::Membership { roles: names(&["ada"]), members: names(&["readers"]), revoke: false };
        assert_eq!(state.apply(&circle).unwrap_err().sqlstate(), "0LP01");
        let left = Change::Membership { roles: names(&["readers"]), members: names(&["team"]), revoke: true };
        state.apply(&left).unwrap();
        assert!(!access(&state, "ada").has(Privilege::Select, &spans));
        let used = state.apply(&Change::DropRole { names: names(&["readers"]), if_exists: false });
        assert_eq!(used.unwrap_err().sqlstate(), "2BP01");
        assert_eq!(state.apply(&grant(Privilege::Select, None, "x", "nobody", false)).unwrap_err().sqlstate(), "42704");
    }

    #[test]
    fn what_is_said_of_a_relation_moves_with_its_name() {
        let mut state = administered();
        create(&mut state, "ada", &[]);
        for (column, table) in [(None, "a"), (Some("x"), "a"), (None, "b")] {
            state.apply(&grant(Privilege::Select, column, table, "ada", false)).unwrap();
        }
        let policy = Policy {
            name: "own".to_owned(),
            schema: "public".to_owned(),
            table: "a".to_owned(),
            roles: BTreeSet::new(),
            restrictive: false,
            condition: "x = 1".to_owned(),
        };
        state.apply(&Change::CreatePolicy(policy)).unwrap();
        let label = Some("MASKED WITH NULL".to_owned());
        let (schema, table, column) = ("public".to_owned(), "a".to_owned(), "x".to_owned());
        state.apply(&Change::Label { schema, table, column, label }).unwrap();
        let before = state.clone();
        assert!(!state.rename("system", "a", "c") && !state.rename("public", "nothing", "c"));
        assert_eq!(state, before);
        assert!(state.rename("public", "a", "c"));
        let said = |state: &State, table: &str| {
            let of = Object::relation("public", table);
            (
                state.grants.iter().filter(|grant| grant.object == of).count(),
                state.policies.iter().filter(|policy| policy.table == table).count(),
                state.masks.iter().filter(|mask| mask.table == table).count(),
                state.row_security.contains(&format!("public.{table}")),
            )
        };
        assert_eq!((said(&state, "a"), said(&state, "b")), ((0, 0, 0, false), (1, 0, 0, false)));
        assert_eq!(said(&state, "c"), (2, 1, 1, true));
        assert!(state.rename("public", "c", "a"));
        assert_eq!(state, before);
    }

    #[test]
    fn policies_add_up_as_in_postgresql() {
        let mut state = administered();
        create(&mut state, "ada", &[]);
        create(&mut state, "bob", &[]);
        let policy = |name: &str, role: &str, restrictive: bool, condition: &str| {
            Change::CreatePolicy(Policy {
                name: name.to_owned(),
                schema: "public".to_owned(),
                table: "spans".to_owned(),
                roles: BTreeSet::from([role.to_owned()]),
                restrictive,
                condition: condition.to_owned(),
            })
        };
        assert_eq!(state.apply(&policy("a", "ada", false, "x = 1")).unwrap().len(), 1);
        assert_eq!(state.apply(&policy("a", "ada", false, "x = 1")).unwrap_err().sqlstate(), "42710");
        state.apply(&policy("b", "ada", false, "x = 2")).unwrap();
        state.apply(&policy("c", "ada", true, "y")).unwrap();
        let condition = |state: &State, role: &str| {
            Access::of(Arc::new(state.clone()), role).restriction("public", "spans").condition
        };
        assert_eq!(condition(&state, "ada").as_deref(), Some("((x = 1) OR (x = 2)) AND ((y))"));
        assert_eq!(condition(&state, "bob").as_deref(), Some("false"));
        assert_eq!(condition(&state, "root"), None);
        let off = Change::RowSecurity { schema: "public".to_owned(), table: "spans".to_owned(), enable: false };
        state.apply(&off).unwrap();
        assert_eq!(condition(&state, "bob"), None);
    }
}
