//! Statements about roles, privileges, row policies and masks: their grammar.

use std::collections::BTreeSet;

use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    AlterTableOperation, CreatePolicyCommand, CreatePolicyType, ObjectName, Owner, Statement as Ast,
};

use super::utility::{Piece, Words};
use crate::dialect::encode::oid;
use crate::dialect::{folded, input};
use crate::error::{UserError, sqlstate};
use crate::security::{Change, Object, Policy, Privilege, RoleOptions};

/// A statement about roles. Names of schemas are empty where it has none.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(super) change: Change,
    /// ALL TABLES IN SCHEMA, ALL FUNCTIONS IN SCHEMA.
    pub(super) every: Vec<(Every, String)>,
    /// ALL PRIVILEGES, for the columns or, without any, the whole.
    pub(super) all_privileges: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Every {
    Relation,
    Function,
}

/// Objects by name, and those of whole schemas.
type Named = (Vec<Object>, Vec<(Every, String)>);

type Parsed<T> = Result<T, UserError>;

impl Request {
    /// The command tag.
    pub(crate) fn tag(&self) -> &'static str {
        self.change.tag()
    }
}

impl From<Change> for Request {
    fn from(change: Change) -> Self {
        Self { change, every: Vec::new(), all_privileges: None }
    }
}

fn unsupported(message: impl Into<String>) -> UserError {
    UserError::new(sqlstate::NOT_SUPPORTED, message)
}

/// The statement, if its first words are those of one about roles.
pub(super) fn parse(pieces: &[Piece]) -> Option<Parsed<Request>> {
    let word = |at: usize| pieces.get(at).and_then(Piece::word);
    let mut words = Words { pieces, at: 2 };
    let role = matches!(word(1), Some("role" | "user" | "group"));
    let found = match word(0)? {
        "create" if role => words.create_role(word(1) == Some("user")).map(Request::from),
        "alter" if role => words.alter_role().map(Request::from),
        "drop" if role => words.drop_role().map(Request::from),
        "grant" => {
            words.at = 1;
            words.grant(false)
        }
        "revoke" => {
            words.at = 1;
            words.grant(true)
        }
        "security" if word(1) == Some("label") => words.label().map(Request::from),
        _ => return None,
    };
    Some(found.and_then(|request| match words.peek() {
        None => Ok(request),
        Some(_) => Err(words.near()),
    }))
}

impl Words<'_> {
    /// A syntax error at the next piece. A string may be a password and is not repeated.
    fn near(&self) -> UserError {
        let message = match self.peek() {
            None => "syntax error at end of input".to_owned(),
            Some(Piece::Text(_)) => "syntax error at or near a string".to_owned(),
            Some(Piece::Word(text) | Piece::Number(text) | Piece::Symbol(text)) => {
                format!("syntax error at or near \"{text}\"")
            }
        };
        UserError::new(sqlstate::SYNTAX, message)
    }

    fn want(&mut self, word: &str) -> Parsed<()> {
        if self.accept(word) { Ok(()) } else { Err(self.near()) }
    }

    fn want_name(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Piece::Word(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.near()),
        }
    }

    fn want_text(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(Piece::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.near()),
        }
    }

    fn names(&mut self) -> Parsed<Vec<String>> {
        let mut names = vec![self.want_name()?];
        while self.symbol(",") {
            names.push(self.want_name()?);
        }
        Ok(names)
    }

    /// `name` or `schema.name`, the database in front of it left out.
    fn path(&mut self) -> Parsed<Vec<String>> {
        let mut parts = vec![self.want_name()?];
        while self.symbol(".") {
            parts.push(self.want_name()?);
        }
        if parts.len() > 2 && parts.first().is_some_and(|first| first == crate::config::DATABASE) {
            parts.remove(0);
        }
        Ok(parts)
    }

    fn create_role(&mut self, user: bool) -> Parsed<Change> {
        let name = self.want_name()?;
        let mut options = self.options()?;
        options.login = options.login.or(user.then_some(true));
        Ok(Change::CreateRole(name, options))
    }

    fn alter_role(&mut self) -> Parsed<Change> {
        let name = self.want_name()?;
        if matches!(self.peek().and_then(Piece::word), Some("set" | "reset" | "rename" | "in")) {
            return Err(unsupported("of a role only its options can be altered: no settings, no name"));
        }
        Ok(Change::AlterRole(name, self.options()?))
    }

    fn drop_role(&mut self) -> Parsed<Change> {
        let if_exists = self.accept("if");
        if if_exists {
            self.want("exists")?;
        }
        Ok(Change::DropRole { names: self.names()?, if_exists })
    }

    fn options(&mut self) -> Parsed<RoleOptions> {
        let mut options = RoleOptions::default();
        self.accept("with");
        while let Some(word) = self.peek().and_then(Piece::word).map(str::to_owned) {
            self.at += 1;
            match word.as_str() {
                "login" => options.login = Some(true),
                "nologin" => options.login = Some(false),
                "superuser" => options.superuser = Some(true),
                "nosuperuser" => options.superuser = Some(false),
                "bypassrls" => options.bypass_policies = Some(true),
                "nobypassrls" => options.bypass_policies = Some(false),
                "inherit" | "nocreatedb" | "nocreaterole" | "noreplication" | "encrypted" => {}
                "noinherit" | "createdb" | "createrole" | "replication" => {
                    return Err(unsupported(format!("{} is not supported", word.to_uppercase())));
                }
                "password" if self.accept("null") => options.verifier = Some(None),
                "password" => {
                    let text = self.want_text()?;
                    options.password(&text).map_err(|error| error.describe())?;
                }
                "connection" => {
                    self.want("limit")?;
                    options.connections = Some(self.limit()?);
                }
                "valid" => {
                    self.want("until")?;
                    options.valid_until = Some(until(&self.want_text()?)?);
                }
                "in" => {
                    let _ = self.accept("role") || self.accept("group");
                    options.member_of.extend(self.names()?);
                }
                "role" | "user" => options.members.extend(self.names()?),
                _ => {
                    self.at -= 1;
                    return Err(UserError::new(sqlstate::SYNTAX, format!("unrecognized role option \"{word}\"")));
                }
            }
        }
        Ok(options)
    }

    fn limit(&mut self) -> Parsed<Option<u32>> {
        let none = self.symbol("-");
        match self.next() {
            Some(Piece::Number(number)) => match number.parse() {
                Ok(number) if !none => Ok(Some(number)),
                Ok(1) => Ok(None),
                _ => Err(UserError::invalid("invalid connection limit")),
            },
            _ => Err(self.near()),
        }
    }

    /// `GRANT a, b TO c` is about roles, `GRANT select ON t TO c` about privileges.
    fn grant(&mut self, revoke: bool) -> Parsed<Request> {
        let to = if revoke { "from" } else { "to" };
        if revoke && self.pieces.iter().any(|piece| piece.word() == Some("option")) {
            return Err(unsupported("GRANT OPTION and ADMIN OPTION are not supported").hint("only superusers grant"));
        }
        let request = if self.pieces.iter().any(|piece| piece.word() == Some("on")) {
            self.privileges(to, revoke)?
        } else {
            let roles = self.names()?;
            self.want(to)?;
            Change::Membership { roles, members: self.names()?, revoke }.into()
        };
        if self.accept("with") {
            return Err(
                unsupported("WITH GRANT OPTION and WITH ADMIN OPTION are not supported").hint("only superusers grant")
            );
        }
        if revoke {
            let _ = self.accept("cascade") || self.accept("restrict");
        }
        Ok(request)
    }

    fn privileges(&mut self, to: &str, revoke: bool) -> Parsed<Request> {
        let (mut privileges, mut all_privileges) = (Vec::new(), None);
        loop {
            let name = self.want_name()?;
            if name == "all" {
                self.accept("privileges");
                all_privileges = Some(self.columns()?);
            } else {
                let privilege = Privilege::of(&name).ok_or_else(|| match name.as_str() {
                    "update" | "delete" | "truncate" | "references" | "trigger" | "usage" | "connect" | "create"
                    | "temporary" | "temp" | "maintain" => {
                        unsupported(format!("the privilege {} is not supported", name.to_uppercase()))
                            .hint("SELECT, INSERT, EXECUTE and UNMASK are")
                    }
                    _ => UserError::new(sqlstate::SYNTAX, format!("unrecognized privilege type \"{name}\"")),
                })?;
                let columns = self.columns()?;
                if columns.is_empty() {
                    privileges.push((privilege, None));
                }
                privileges.extend(columns.into_iter().map(|column| (privilege, Some(column))));
            }
            if !self.symbol(",") {
                break;
            }
        }
        self.want("on")?;
        let (objects, every) = self.objects()?;
        self.want(to)?;
        let mut roles = Vec::new();
        loop {
            self.accept("group");
            let name = self.want_name()?;
            roles.push(if name == "public" { String::new() } else { name });
            if !self.symbol(",") {
                break;
            }
        }
        let change = Change::Privileges { privileges, objects, roles, revoke };
        Ok(Request { change, every, all_privileges })
    }

    fn columns(&mut self) -> Parsed<Vec<String>> {
        if !self.symbol("(") {
            return Ok(Vec::new());
        }
        let names = self.names()?;
        if self.symbol(")") { Ok(names) } else { Err(self.near()) }
    }

    fn objects(&mut self) -> Parsed<Named> {
        if self.accept("all") {
            let every = match self.want_name()?.as_str() {
                "tables" => Every::Relation,
                "functions" | "routines" => Every::Function,
                other => return Err(unsupported(format!("ALL {} is not supported", other.to_uppercase()))),
            };
            self.want("in")?;
            self.want("schema")?;
            let schemas = self.names()?.into_iter().map(|schema| (every, schema)).collect();
            return Ok((Vec::new(), schemas));
        }
        for kind in ["schema", "database", "sequence", "language", "type", "tablespace"] {
            if self.accept(kind) {
                let error = unsupported(format!("nothing is granted on a {kind}"));
                return Err(error.hint("grant SELECT or INSERT on tables and views, EXECUTE on functions"));
            }
        }
        let function = self.accept("function") || self.accept("routine");
        if !function {
            self.accept("table");
        }
        let mut objects = Vec::new();
        loop {
            let path = self.path()?;
            objects.push(match (path.as_slice(), function) {
                ([name], false) => Object::relation("", name),
                ([schema, name], false) => Object::relation(schema, name),
                ([name], true) => Object::function(name),
                ([schema, name], true) if schema == crate::config::SCHEMA => Object::function(name),
                _ => return Err(self.near()),
            });
            if function && self.symbol("(") {
                // There is one function of a name, whatever its arguments.
                while !self.symbol(")") {
                    self.next().ok_or_else(|| self.near())?;
                }
            }
            if !self.symbol(",") {
                return Ok((objects, Vec::new()));
            }
        }
    }

    fn label(&mut self) -> Parsed<Change> {
        if self.accept("for") {
            let Some(Piece::Word(provider) | Piece::Text(provider)) = self.next() else { return Err(self.near()) };
            if provider != crate::config::DATABASE {
                let message = format!("security label provider \"{provider}\" is not loaded");
                return Err(UserError::invalid(message).hint("SECURITY LABEL FOR ascribe ON COLUMN …"));
            }
        }
        self.want("on")?;
        if !self.accept("column") {
            return Err(unsupported("labels are supported on columns only"));
        }
        let path = self.path()?;
        let (schema, table, column) = match path.as_slice() {
            [table, column] => (String::new(), table.clone(), column.clone()),
            [schema, table, column] => (schema.clone(), table.clone(), column.clone()),
            _ => return Err(UserError::new(sqlstate::SYNTAX, "column name must be qualified")),
        };
        self.want("is")?;
        let label = if self.accept("null") { None } else { Some(self.want_text()?) };
        Ok(Change::Label { schema, table, column, label })
    }
}

fn until(text: &str) -> Parsed<Option<i64>> {
    if text.eq_ignore_ascii_case("infinity") {
        return Ok(None);
    }
    match input::value(text, oid::TIMESTAMPTZ, chrono_tz::UTC).map_err(|error| error.describe())? {
        ScalarValue::TimestampMicrosecond(time, _) => Ok(time),
        _ => Err(UserError::invalid("VALID UNTIL takes a time")),
    }
}

/// Schema, empty where there is none, and name.
fn of_name(name: &ObjectName) -> Parsed<(String, String)> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    match parts.as_slice() {
        [name] => Ok((String::new(), name.clone())),
        [.., schema, name] => Ok((schema.clone(), name.clone())),
        [] => Err(UserError::new(sqlstate::SYNTAX, "a name is missing")),
    }
}

/// The statement, if the parser's is one about row policies.
pub(super) fn of_ast(ast: &Ast) -> Option<Parsed<Request>> {
    let found = match ast {
        Ast::CreatePolicy(create) => policy(create).map(Change::CreatePolicy),
        Ast::DropPolicy(drop) => of_name(&drop.table_name).map(|(schema, table)| Change::DropPolicy {
            name: folded(&drop.name),
            schema,
            table,
            if_exists: drop.if_exists,
        }),
        Ast::AlterTable(alter) => {
            let enable = match alter.operations.as_slice() {
                [AlterTableOperation::EnableRowLevelSecurity] => true,
                [AlterTableOperation::DisableRowLevelSecurity] => false,
                _ => return None,
            };
            of_name(&alter.name).map(|(schema, table)| Change::RowSecurity { schema, table, enable })
        }
        _ => return None,
    };
    Some(found.map(Request::from))
}

fn policy(create: &datafusion::sql::sqlparser::ast::CreatePolicy) -> Parsed<Policy> {
    if !matches!(create.command, None | Some(CreatePolicyCommand::Select)) {
        return Err(unsupported("policies are supported FOR SELECT only"));
    }
    if create.with_check.is_some() {
        return Err(unsupported("WITH CHECK is not supported").detail("policies are for what is read"));
    }
    let Some(condition) = &create.using else {
        return Err(UserError::new(sqlstate::SYNTAX, "a policy needs USING (condition)"));
    };
    let (schema, table) = of_name(&create.table_name)?;
    let roles: BTreeSet<String> = create
        .to
        .iter()
        .flatten()
        .map(|owner| match owner {
            Owner::Ident(name) => folded(name),
            Owner::CurrentRole | Owner::CurrentUser | Owner::SessionUser => "current_user".to_owned(),
        })
        .collect();
    Ok(Policy {
        name: folded(&create.name),
        schema,
        table,
        // For everybody is for whatever role there will be.
        roles: if roles.contains("public") { BTreeSet::new() } else { roles },
        restrictive: matches!(create.policy_type, Some(CreatePolicyType::Restrictive)),
        condition: condition.to_string(),
    })
}
