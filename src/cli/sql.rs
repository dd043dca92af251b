//! `ascribe sql`

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use ascribe::Database;
use ascribe::error::{Result, UserError, sqlstate};
use ascribe::operators::asof_join;
use ascribe::session::{Answer, answer};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::execution::context::SessionContext;
use datafusion::sql::parser::Statement;
use futures::TryStreamExt;

use super::format::{Format, write};
use super::{Ended, LakeArgument, prompt};

#[derive(Debug, clap::Args)]
pub(super) struct Sql {
    /// Statements to run; may be given several times
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    commands: Vec<String>,
    /// File of statements to run; - is standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How rows are shown
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    lake: LakeArgument,
}

impl Sql {
    pub(super) async fn run(self) -> Ended {
        let database = Database::open(&self.lake.existing()?).await?;
        let session = database.new_session()?;
        for command in &self.commands {
            run_all(&session, command, self.format).await?;
        }
        let text = match &self.file {
            Some(file) if file.as_os_str() == "-" => stdin()?,
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                UserError::new(sqlstate::IO, format!("cannot read {}", file.display())).detail(error.to_string())
            })?,
            None if !self.commands.is_empty() => return Ok(ExitCode::SUCCESS),
            None if std::io::stdin().is_terminal() => return prompt::run(&session, self.format).await,
            None => stdin()?,
        };
        run_all(&session, &text, self.format).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Run statements in order and show what each returns; the first that fails ends it.
pub(super) async fn run_all(session: &SessionContext, text: &str, format: Format) -> Result<()> {
    for statement in asof_join::parse(text)? {
        run_one(session, statement, format).await?;
    }
    Ok(())
}

async fn run_one(session: &SessionContext, statement: Statement, format: Format) -> Result<()> {
    match answer(session, statement).await? {
        Answer::Rows(rows) => write(rows, format).await,
        Answer::Written(counts) => {
            let counts: Vec<RecordBatch> = counts.try_collect().await?;
            let count = counts.iter().filter_map(|batch| batch.column(0).as_primitive_opt::<UInt64Type>());
            println!("INSERT 0 {}", count.flat_map(|count| count.iter().flatten()).sum::<u64>());
            Ok(())
        }
    }
}
