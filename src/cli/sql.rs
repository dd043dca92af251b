//! `ascribe sql`

use std::io::{BufWriter, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use ascribe::Database;
use ascribe::dialect::encode::Style;
use ascribe::error::{Error, Result, UserError, sqlstate};
use ascribe::session::{Answer, Scripted, Statement, answer, copied, style};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::execution::context::SessionContext;
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
        let (name, text) = match &self.file {
            Some(file) if file.as_os_str() == "-" => (STDIN.to_owned(), stdin()?),
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    UserError::new(sqlstate::IO, format!("cannot read {}", file.display())).detail(error.to_string())
                })?;
                (file.display().to_string(), text)
            }
            None if !self.commands.is_empty() => return Ok(ExitCode::SUCCESS),
            None if std::io::stdin().is_terminal() => return prompt::run(&session, self.format).await,
            None => (STDIN.to_owned(), stdin()?),
        };
        run_script(&session, &name, &text, self.format).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What standard input is called in messages, as psql has it.
const STDIN: &str = "<stdin>";

fn stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Run statements in order and show what each returns; the first that fails ends it. Nothing is run if one of them is none.
pub(super) async fn run_all(session: &SessionContext, text: &str, format: Format) -> Result<()> {
    for statement in Statement::parse(text)? {
        run(session, statement, format).await?;
    }
    Ok(())
}

/// The same for a file, each statement of which is on its own: those before a mistake are run. Errors say where they are.
async fn run_script(session: &SessionContext, name: &str, text: &str, format: Format) -> Result<()> {
    for Scripted { line, column, statement } in Statement::script(text) {
        let done = match statement {
            Ok(statement) => run(session, statement, format).await,
            Err(error) => Err(error),
        };
        done.map_err(|error| match error {
            // Of the output, not of the statement.
            Error::Io(_) => error,
            other => {
                let column = column.map(|column| format!("{column}:")).unwrap_or_default();
                let mut told = other.describe();
                told.message = format!("{name}:{line}:{column} {}", told.message);
                told.into()
            }
        })?;
    }
    Ok(())
}

async fn run(session: &SessionContext, statement: Statement, format: Format) -> Result<()> {
    let answer = if statement.takes_rows() {
        copied(session, statement, &stdin()?).await?
    } else {
        answer(session, statement).await?
    };
    show(answer, format, style(session)).await
}

async fn show(answer: Answer, format: Format, style: Style) -> Result<()> {
    match answer {
        Answer::Rows(rows) => write(rows, format, style).await,
        Answer::Written(counts) => {
            let counts: Vec<RecordBatch> = counts.try_collect().await?;
            let count = counts.iter().filter_map(|batch| batch.column(0).as_primitive_opt::<UInt64Type>());
            println!("INSERT 0 {}", count.flat_map(|count| count.iter().flatten()).sum::<u64>());
            Ok(())
        }
        Answer::Copied(mut lines) => {
            let mut out = BufWriter::new(std::io::stdout());
            while let Some(batch) = lines.try_next().await? {
                let texts = batch.column(0).as_string_opt::<i32>();
                texts.into_iter().flatten().flatten().try_for_each(|line| out.write_all(line.as_bytes()))?;
            }
            Ok(out.flush()?)
        }
        Answer::Done(tag, notices) => {
            for notice in notices {
                eprintln!("{}: {}", if notice.code.starts_with("00") { "NOTICE" } else { "WARNING" }, notice.message);
            }
            // Rows for a program are not mixed with words.
            if format == Format::Table {
                println!("{tag}");
            }
            Ok(())
        }
    }
}
