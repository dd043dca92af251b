//! The commands, one file each.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod audit;
mod check;
mod completion;
mod demo;
mod forget;
mod format;
mod import;
mod maintain;
mod prompt;
mod report;
mod role;
mod serve;
mod simulate;
mod sql;
mod telemetry;

use std::process::ExitCode;

use ascribe::config;
use ascribe::error::{Error, Result, UserError, sqlstate};
use clap::{Parser, Subcommand};

/// Ascribe: who or what caused it, who owns it, and how sure we are.
#[derive(Debug, Parser)]
#[command(name = "ascribe", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logs: telemetry::Logs,
}

/// Where the lake is.
#[derive(Debug, Clone, clap::Args)]
struct LakeArgument {
    /// A directory, or an s3://, gs:// or az:// URL [default: $ASCRIBE_LAKE, else ./lake]
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
}

impl LakeArgument {
    /// The lake, which is made where there is none yet.
    fn url(&self) -> String {
        self.lake.clone().unwrap_or_else(config::lake_url)
    }

    /// The lake, for a command that only looks: a misspelt directory is not a new lake.
    fn existing(&self) -> Result<String> {
        let url = self.url();
        let path = url.strip_prefix("file://").unwrap_or(&url);
        if path.contains("://") || std::path::Path::new(path).is_dir() {
            return Ok(url);
        }
        Err(UserError::new(sqlstate::IO, format!("there is no lake at {url}"))
            .detail("There is no such directory.")
            .hint("ascribe import and ascribe serve make one")
            .into())
    }

    /// The same for a command that has something to show without a lake; none if nobody named one and there is none.
    fn if_there(&self) -> Result<Option<String>> {
        match self.existing() {
            Err(_) if self.url() == config::DEFAULT_LAKE => Ok(None),
            found => found.map(Some),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Land files in the lake: traces, logs, metrics, changes, costs, audit events, ownership, objectives
    Import(import::Import),
    /// Ask in SQL: one statement, a file, or at a prompt
    Sql(sql::Sql),
    /// Serve SQL over the PostgreSQL protocol, and run the reports when they are due
    Serve(Box<serve::Serve>),
    /// Land an incident and real traces, answer four questions, and serve
    Demo(demo::Demo),
    /// Simulate a company with an incident whose causes are known, and land it
    Simulate(simulate::Simulate),
    /// List the reports, or run one
    Report(report::Report),
    /// Check the record of what was done
    Audit(audit::Audit),
    /// Make, change and list the roles that may connect
    Role(role::Role),
    /// Read everything in the lake, and name what does not fit
    Check(check::Check),
    /// Merge small files, let old rows expire, delete what nobody needs
    Maintain(maintain::Maintain),
    /// Take a person out of all tables, files and old versions
    Forget(forget::Forget),
}

/// Run the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The first thread has the stack that it was given from outside.
    let thread = std::thread::Builder::new().stack_size(config::STACK_BYTES).spawn(|| run(arguments));
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(error) => fail(&error.into()),
    }
}

fn run(arguments: Arguments) -> ExitCode {
    if let Err(error) = arguments.logs.start() {
        return fail(&error);
    }
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = match threads.thread_stack_size(config::STACK_BYTES).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Import(command) => command.run().await,
            Command::Sql(command) => command.run().await,
            Command::Serve(command) => command.run().await,
            Command::Demo(command) => command.run().await,
            Command::Simulate(command) => command.run().await,
            Command::Report(command) => command.run().await,
            Command::Audit(command) => command.run().await,
            Command::Role(command) => command.run().await,
            Command::Check(command) => command.run().await,
            Command::Maintain(command) => command.run().await,
            Command::Forget(command) => command.run().await,
        }
    });
    match done {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    // A reader that has seen enough, such as `head`, is not an error.
    if let Error::Io(io) = error
        && io.kind() == std::io::ErrorKind::BrokenPipe
    {
        return ExitCode::SUCCESS;
    }
    eprintln!("ERROR: {error}");
    ExitCode::FAILURE
}

type Ended = Result<ExitCode>;
