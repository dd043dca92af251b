//! The interactive prompt: history, completion, and the backslash commands that hands know from psql.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ascribe::config;
use ascribe::error::{Result, UserError, sqlstate};
use datafusion::execution::context::SessionContext;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Editor};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::Ended;
use super::completion::Helper;
use super::format::Format;
use super::sql::run_all;

const HELP: &str = r"\d            tables and views
\d NAME       columns of a table or view
\df           attribution functions
\timing       show how long each statement takes, or stop showing it
\x FORMAT     table, csv or json
\q            leave
A statement ends with a semicolon.";

/// Read statements until the end of input.
pub(super) async fn run(session: &SessionContext, format: Format) -> Ended {
    let interrupts = interrupts()?;
    let settings = rustyline::Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let broken = |error: ReadlineError| UserError::new(sqlstate::IO, format!("the terminal cannot be read: {error}"));
    let mut editor: Editor<Helper, FileHistory> = Editor::with_config(settings).map_err(broken)?;
    editor.set_helper(Some(Helper::new(session).await));
    let history = config::history_file();
    if let Some(file) = &history {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).ok();
        }
        editor.load_history(file).ok();
    }
    println!("ascribe {}. \\? for help.", env!("CARGO_PKG_VERSION"));
    let mut state = State { format, timing: false, interrupts };
    loop {
        match editor.readline("ascribe=> ") {
            Ok(line) => {
                if let Some(file) = &history {
                    editor.save_history(file).ok();
                }
                match state.line(session, line.trim()).await {
                    Ok(true) => {}
                    Ok(false) => return Ok(ExitCode::SUCCESS),
                    Err(error) => eprintln!("ERROR: {error}"),
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(broken(error).into()),
        }
    }
}

struct State {
    format: Format,
    timing: bool,
    interrupts: Arc<Notify>,
}

/// Ctrl-C, heard on a thread of its own: a statement may keep all others busy for a long time.
fn interrupts() -> Result<Arc<Notify>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The line editor puts back what it found, so this has to be there before it.
    let mut presses = {
        let _entered = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    let pressed = Arc::new(Notify::new());
    let notify = Arc::clone(&pressed);
    std::thread::spawn(move || {
        runtime.block_on(async {
            while presses.recv().await.is_some() {
                notify.notify_waiters();
            }
        });
    });
    Ok(pressed)
}

impl State {
    /// Do what a line says; false is the wish to leave.
    async fn line(&mut self, session: &SessionContext, line: &str) -> Result<bool> {
        let (word, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim()));
        let rest = rest.trim_end_matches(';');
        match word {
            "" => return Ok(true),
            "\\q" | "exit" | "quit" | "exit;" | "quit;" => return Ok(false),
            "\\?" | "help" | "help;" => println!("{HELP}"),
            "\\timing" => {
                self.timing = !self.timing;
                println!("Timing is {}.", if self.timing { "on" } else { "off" });
            }
            "\\x" => {
                self.format = match rest {
                    "csv" => Format::Csv,
                    "json" => Format::Json,
                    _ => Format::Table,
                }
            }
            "\\d" | "\\dt" if rest.is_empty() => self.ask(session, TABLES).await?,
            "\\d" => {
                let name = rest.replace('\'', "''");
                self.ask(session, &COLUMNS.replace("{name}", &name)).await?;
            }
            "\\df" => self.ask(session, FUNCTIONS).await?,
            _ if word.starts_with('\\') => {
                return Err(UserError::invalid(format!("{word} is not a command")).hint("\\? lists them").into());
            }
            _ => self.ask(session, line).await?,
        }
        Ok(true)
    }

    async fn ask(&self, session: &SessionContext, text: &str) -> Result<()> {
        let started = Instant::now();
        let (session, text, format) = (session.clone(), text.to_owned(), self.format);
        let mut running = tokio::spawn(async move { run_all(&session, &text, format).await });
        tokio::select! {
            done = &mut running => {
                done.map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))??;
            }
            () = self.interrupts.notified() => {
                running.abort();
                eprintln!("cancelled");
            }
        }
        if self.timing {
            println!("Time: {:.3} ms", started.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(())
    }
}

const TABLES: &str = "SELECT table_schema, table_name, table_type FROM information_schema.tables
    WHERE table_schema IN ('public', 'system') ORDER BY 1, 2";

const COLUMNS: &str = "SELECT a.attname AS column_name, format_type(a.atttypid, a.atttypmod) AS data_type
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE c.relname = '{name}' AND a.attnum > 0 ORDER BY a.attnum";

const FUNCTIONS: &str = "SELECT function_name, arguments, description FROM system.functions ORDER BY 1";
