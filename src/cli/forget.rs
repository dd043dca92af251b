//! `ascribe forget`

use std::process::ExitCode;

use ascribe::config::Config;
use ascribe::error::plural;
use ascribe::maintenance::{self, Forgotten};
use ascribe::privacy::Person;
use ascribe::storage::Lake;

use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
pub(super) struct Forget {
    /// What identifies the person: a user id, a name of a principal, an e-mail address
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    lake: LakeArgument,
    /// Only count what would be changed
    #[arg(long)]
    dry_run: bool,
}

impl Forget {
    pub(super) async fn run(self) -> Ended {
        let lake = Lake::open(&self.lake.existing()?, &Config::default())?;
        let keys = lake.pseudonym_keys()?;
        let person = Person::new(&self.user, keys.as_ref())?;
        let erasure = maintenance::forget(&lake, &person, self.dry_run).await?;
        for (table, done) in &erasure.tables {
            println!("{table}: {}", said(done, self.dry_run));
        }
        if erasure.reports > 0 {
            println!("reports: {} {} deleted", erasure.reports, plural(erasure.reports, "file"));
        }
        if erasure.tables.is_empty() && erasure.reports == 0 {
            println!("nothing names the person");
        }
        if !person.is_unmistakable() {
            println!(
                "looked for only where persons are named, for it is short; an e-mail address is looked for everywhere"
            );
        }
        if keys.is_none() {
            println!("no pseudonym of the person was looked for, for there are no keys");
        }
        if self.dry_run {
            println!("nothing was changed");
            return Ok(ExitCode::SUCCESS);
        }
        if erasure.complete() {
            return Ok(ExitCode::SUCCESS);
        }
        println!("the person is not forgotten yet: run it again");
        Ok(ExitCode::FAILURE)
    }
}

fn said(done: &Forgotten, dry_run: bool) -> String {
    let mut said = vec![
        format!("{} {} changed", done.rows, plural(done.rows, "row")),
        format!("{} {} rewritten", done.rewritten, plural(done.rewritten, "file")),
    ];
    // What is written anew takes the place of files that go then.
    let deleted = done.deleted + if dry_run { done.rewritten } else { 0 };
    said.push(format!("{deleted} {} deleted", plural(deleted, "file")));
    if done.log > 0 {
        said.push(format!("{} {} cleaned", done.log, plural(done.log, "log entry")));
    }
    if done.read > 0 {
        said.push(format!("{} {} still read by a query", done.read, plural(done.read, "file")));
    }
    if done.uncommitted > 0 {
        let files = plural(done.uncommitted, "file");
        said.push(format!("{} {files} that a writer may be about to commit", done.uncommitted));
    }
    said.extend(done.stays.iter().map(|what| format!("still in {what}")));
    said.join(", ")
}
