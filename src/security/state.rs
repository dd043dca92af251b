//! The document: roles, grants, row policies and masks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// Read a table or view, or some of its columns.
    Select,
    /// Add rows to a table.
    Insert,
    /// Call a function that reads the lake.
    Execute,
    /// See the values of masked columns.
    Unmask,
}

impl Privilege {
    /// The keyword.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Execute => "EXECUTE",
            Self::Unmask => "UNMASK",
        }
    }

    /// The privilege of a keyword in any case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let all = [Self::Select, Self::Insert, Self::Execute, Self::Unmask];
        all.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }
}

/// What a privilege is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A table or view.
    Relation {
        /// Schema.
        schema: String,
        /// Name.
        name: String,
    },
    /// A function of schema `public`.
    Function {
        /// Name.
        name: String,
    },
}

impl Object {
    /// A table or view.
    #[must_use]
    pub fn relation(schema: &str, name: &str) -> Self {
        Self::Relation { schema: schema.to_owned(), name: name.to_owned() }
    }

    /// A function.
    #[must_use]
    pub fn function(name: &str) -> Self {
        Self::Function { name: name.to_owned() }
    }
}

/// One privilege of one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// The role; empty is everybody.
    pub role: String,
    /// What for.
    pub object: Object,
    /// What.
    pub privilege: Privilege,
    /// The one column that it is for; none is all of them.
    pub column: Option<String>,
}

/// A role: a user, or a group of users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Whether it can connect.
    pub login: bool,
    /// Whether it may do everything.
    pub superuser: bool,
    /// Whether row policies do not hold for it.
    pub bypass_policies: bool,
    /// The verifier of its password (RFC 5803), from which the password cannot be found.
    pub verifier: Option<String>,
    /// Connections that it may have at a time on one server.
    pub connections: Option<u32>,
    /// Until when the password can be used, microseconds since the epoch.
    pub valid_until: Option<i64>,
    /// The roles whose privileges it has too.
    pub member_of: BTreeSet<String>,
}

/// A condition that rows have to meet to be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Name, unique for the table.
    pub name: String,
    /// Schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The roles that it is for; none is everybody.
    pub roles: BTreeSet<String>,
    /// Whether rows have to meet it beside another one; else they have to meet any one of those that are not restrictive.
    pub restrictive: bool,
    /// The condition, SQL.
    pub condition: String,
}

/// What is shown in the place of the values of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// Schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The label as it was given, such as `MASKED WITH HASH`.
    pub label: String,
}

/// Everything that is known of roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Random, hex: the salt of roles that do not exist and the key of pseudonyms.
    pub secret: String,
    /// The roles by name.
    pub roles: BTreeMap<String, Role>,
    /// What was granted.
    pub grants: BTreeSet<Grant>,
    /// Tables of which nobody sees a row that no policy shows; as `schema.table`.
    pub row_security: BTreeSet<String>,
    /// Row policies.
    pub policies: Vec<Policy>,
    /// Masks.
    pub masks: Vec<Mask>,
    /// Who made this version of the document.
    pub changed_by: String,
    /// When, microseconds since the epoch.
    pub changed_at: i64,
}

impl State {
    /// A role and all roles whose privileges it has.
    #[must_use]
    pub fn closure(&self, role: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![role.to_owned()];
        while let Some(name) = open.pop() {
            if let Some(known) = self.roles.get(&name)
                && found.insert(name)
            {
                open.extend(known.member_of.iter().cloned());
            }
        }
        found
    }

    /// Whether somebody can log in who may do everything.
    #[must_use]
    pub fn has_administrator(&self) -> bool {
        self.roles.values().any(|role| role.superuser && role.login)
    }
}
