//! `ascribe role`

use std::collections::BTreeSet;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

use ascribe::Database;
use ascribe::error::{Result, UserError};
use ascribe::security::{Change, Directory, RoleOptions};
use clap::Subcommand;

use super::{Ended, LakeArgument};

/// Who the history says did what was done at the command line.
const BY: &str = "the command line";

#[derive(Debug, clap::Args)]
pub(super) struct Role {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    lake: LakeArgument,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a role; the first one has to be a superuser with a password or a certificate
    Create {
        /// Name
        name: String,
        /// It may do everything
        #[arg(long)]
        superuser: bool,
        /// It is for other roles to be members of, and cannot connect
        #[arg(long)]
        no_login: bool,
        /// Read its password from standard input, to the end of the first line
        #[arg(long)]
        password_stdin: bool,
        /// A role whose privileges it has too; may be given many times
        #[arg(long, value_name = "ROLE")]
        in_role: Vec<String>,
    },
    /// Read a new password of a role from standard input
    Password {
        /// Name
        name: String,
    },
    /// Drop a role
    Drop {
        /// Name
        name: String,
    },
    /// Show the roles
    List,
}

impl Role {
    pub(super) async fn run(self) -> Ended {
        let url = if matches!(self.action, Action::Create { .. }) { self.lake.url() } else { self.lake.existing()? };
        let database = Database::open(&url).await?;
        let roles = Arc::clone(database.roles());
        match self.action {
            Action::Create { name, superuser, no_login, password_stdin, in_role } => {
                let mut options = RoleOptions {
                    login: Some(!no_login),
                    superuser: Some(superuser),
                    member_of: in_role,
                    ..RoleOptions::default()
                };
                if password_stdin {
                    options.password(&password()?)?;
                }
                change(&roles, Change::CreateRole(name, options)).await
            }
            Action::Password { name } => {
                let mut options = RoleOptions::default();
                options.password(&password()?)?;
                change(&roles, Change::AlterRole(name, options)).await
            }
            Action::Drop { name } => change(&roles, Change::DropRole { names: vec![name], if_exists: false }).await,
            Action::List => list(&roles).await,
        }
    }
}

fn password() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let first = text.lines().next().unwrap_or_default();
    if first.is_empty() {
        return Err(UserError::invalid("standard input has no password").into());
    }
    Ok(first.to_owned())
}

async fn change(roles: &Directory, change: Change) -> Ended {
    for notice in roles.change(BY, |state| state.apply(&change)).await? {
        eprintln!("NOTICE: {notice}");
    }
    println!("{}", change.tag());
    Ok(ExitCode::SUCCESS)
}

async fn list(roles: &Directory) -> Ended {
    let state = roles.current().await?;
    for (name, role) in &state.roles {
        let mut said: Vec<&str> = Vec::new();
        said.extend(role.superuser.then_some("superuser"));
        said.push(if role.login { "can log in" } else { "cannot log in" });
        said.extend(role.verifier.is_some().then_some("has a password"));
        said.extend(role.bypass_policies.then_some("sees all rows"));
        let of: BTreeSet<&str> = role.member_of.iter().map(String::as_str).collect();
        let of = of.into_iter().collect::<Vec<_>>().join(", ");
        let member = if of.is_empty() { String::new() } else { format!("; member of {of}") };
        println!("{name}: {}{member}", said.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}
