//! The answer to a statement of a user's, for whoever asks in the same process. Whatever is sent over the wire may be asked
//! here, and means the same.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, Expr, Statement as Ast};
use futures::{StreamExt, TryStreamExt};

use super::control::{self, Control, Kept, Life, Lives};
use super::plan::{self, Planned};
use super::statement::{self, Copy, Kind};
use super::utility::{Count, Utility};
use super::{administer, copy_in, define, explain, start};
use crate::catalog::{Client, settings};
use crate::dialect;
use crate::error::{Result, UserError, sqlstate};

/// One statement of a user's, parsed.
#[derive(Debug, Clone)]
pub struct Statement(Kind);

impl Statement {
    /// The statements of a text; none if it is empty.
    ///
    /// # Errors
    /// When the text is not SQL in PostgreSQL's dialect, or asks for what is not done here.
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        let statements = statement::parse(text).map_err(|(error, _)| error)?;
        Ok(statements.into_iter().map(|statement| Self(statement.kind)).collect())
    }

    /// The statements of a script one by one: what stands before a mistake can be run.
    pub fn script(text: &str) -> impl Iterator<Item = Scripted> {
        statement::script(text).map(|found| match found {
            Ok(found) => Scripted { line: found.line, column: None, statement: Ok(Self(found.kind)) },
            Err((error, position)) => {
                let before: String = text.chars().take(position.map_or(0, |at| at.saturating_sub(1))).collect();
                let line = before.rsplit('\n').next().unwrap_or_default();
                Scripted {
                    line: before.matches('\n').count() + 1,
                    column: position.map(|_| line.chars().count() + 1),
                    statement: Err(error.into()),
                }
            }
        })
    }

    /// Whether the statement is followed by rows, which are given to [`copied`].
    #[must_use]
    pub fn takes_rows(&self) -> bool {
        matches!(&self.0, Kind::Copy(copy) if copy.into.is_some())
    }
}

/// A statement of a script, or what is wrong with it.
#[derive(Debug)]
pub struct Scripted {
    /// The line in which it begins, or is wrong; from one.
    pub line: usize,
    /// The character of the line at which it is wrong; from one.
    pub column: Option<usize>,
    /// The statement.
    pub statement: Result<Statement>,
}

/// What a statement returns.
pub enum Answer {
    /// Rows, with their columns named as PostgreSQL names them.
    Rows(SendableRecordBatchStream),
    /// One row with the number of rows that were written.
    Written(SendableRecordBatchStream),
    /// The lines of `COPY … TO STDOUT`, each with its line break, as the one column of rows.
    Copied(SendableRecordBatchStream),
    /// No rows: the tag of the command, and what there is to notice.
    Done(String, Vec<UserError>),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(_) => f.write_str("Rows"),
            Self::Written(_) => f.write_str("Written"),
            Self::Copied(_) => f.write_str("Copied"),
            Self::Done(tag, _) => f.debug_tuple("Done").field(tag).finish(),
        }
    }
}

impl Answer {
    /// The batches, whichever it is.
    #[must_use]
    pub fn stream(self) -> SendableRecordBatchStream {
        match self {
            Self::Rows(stream) | Self::Written(stream) | Self::Copied(stream) => stream,
            Self::Done(..) => of_batches(&Arc::new(Schema::empty()), Vec::new()),
        }
    }
}

fn of_batches(schema: &SchemaRef, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), futures::stream::iter(batches.into_iter().map(Ok))))
}

/// Answer the one statement that a text is; it means what it means over the wire.
///
/// # Errors
/// When the text is not one statement, is wrong or cannot be started; the stream ends with the error of a failed execution.
pub async fn answer_text(session: &SessionContext, text: &str) -> Result<Answer> {
    let mut statements = Statement::parse(text)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => answer(session, statement).await,
        _ => Err(UserError::new(sqlstate::SYNTAX, "the text is not one statement").into()),
    }
}

/// The same for a statement that was parsed.
///
/// # Errors
/// As [`answer_text`].
pub async fn answer(session: &SessionContext, statement: Statement) -> Result<Answer> {
    let asker = Asker::of(session)?;
    let answered = asker.answer(session, statement.0).await;
    if answered.is_err() {
        asker.state.lock().control.fail();
    }
    answered
}

/// Put the rows that follow `COPY … FROM STDIN` into its table, all of them in one commit.
///
/// # Errors
/// When the rows are not those of the table.
pub async fn copied(session: &SessionContext, statement: Statement, text: &str) -> Result<Answer> {
    let Kind::Copy(Copy { query, options, into: Some((table, columns)) }) = statement.0 else {
        return Err(UserError::new(sqlstate::SYNTAX, "the statement takes no rows").into());
    };
    let asker = Asker::of(session)?;
    asker.state.lock().control.check_may_write("COPY FROM")?;
    let schema = asker.plan(session, &query).await?.schema;
    let into = copy_in::Into { table, columns };
    let plan = copy_in::plan(session, &options.rows(text)?, &schema, asker.client.settings.zone(), &into).await?;
    Ok(Answer::Written(start(session, plan).await?))
}

/// What a session in the same process remembers between its statements.
#[derive(Debug)]
pub(super) struct Asker {
    client: Arc<Client>,
    state: parking_lot::Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    control: Control,
    kept: Kept<Prepared, Cursor>,
}

#[derive(Debug)]
struct Prepared {
    kind: Kind,
    types: Vec<Option<DataType>>,
}

/// A query that runs as far as it was fetched from.
struct Cursor {
    rows: SendableRecordBatchStream,
    left: Option<RecordBatch>,
    life: Life,
}

impl Lives for Cursor {
    fn life(&mut self) -> &mut Life {
        &mut self.life
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Asker {
    pub(super) fn new(client: &Arc<Client>) -> Self {
        let memory = Memory { control: Control::new(client), kept: Kept::default() };
        Self { client: Arc::clone(client), state: parking_lot::Mutex::new(memory) }
    }

    fn of(session: &SessionContext) -> Result<Arc<Self>> {
        let found = session.state_ref().read().config().get_extension::<Self>();
        found.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the session was not made by Ascribe").into())
    }

    async fn answer(&self, session: &SessionContext, kind: Kind) -> Result<Answer> {
        if !matches!(kind, Kind::Utility(Utility::Commit | Utility::Rollback | Utility::RollbackTo(_))) {
            self.state.lock().control.check_not_failed()?;
        }
        match kind {
            Kind::Query(ast) => {
                let planned = self.plan(session, &ast).await?;
                Ok(Answer::Rows(self.rows(session, planned).await?))
            }
            Kind::Insert(ast) => {
                let planned = self.plan(session, &ast).await?;
                self.insert(session, planned.plan).await
            }
            Kind::Define(definition) => {
                if definition.lasts(&self.client) {
                    self.state.lock().control.check_may_write(definition.tag())?;
                }
                let done = define::define(session, &self.client, *definition).await?;
                Ok(Answer::Done(done.tag.to_owned(), done.notices))
            }
            Kind::Copy(copy) if copy.into.is_some() => {
                Err(UserError::new(sqlstate::NOT_SUPPORTED, "COPY FROM STDIN needs rows behind it")
                    .hint("use INSERT, or import the file")
                    .into())
            }
            Kind::Copy(copy) => self.copy(session, copy).await,
            Kind::Roles(request) => {
                let tag = request.tag();
                self.state.lock().control.check_may_write(tag)?;
                let notices = administer::administer(session, &self.client, request).await?;
                let notices = notices.into_iter().map(|notice| UserError::new("00000", notice)).collect();
                Ok(Answer::Done(tag.to_owned(), notices))
            }
            Kind::Utility(utility) => self.utility(session, utility).await,
        }
    }

    async fn plan(&self, session: &SessionContext, ast: &Ast) -> Result<Planned> {
        plan::plan(&session.state(), ast, &[]).await?.without_parameters()
    }

    async fn insert(&self, session: &SessionContext, plan: LogicalPlan) -> Result<Answer> {
        self.state.lock().control.check_may_write("INSERT")?;
        Ok(Answer::Written(start(session, plan).await?))
    }

    async fn rows(&self, session: &SessionContext, planned: Planned) -> Result<SendableRecordBatchStream> {
        let explains = explain::is(&planned.plan);
        let stream = start(session, planned.plan).await?;
        let limit = self.client.settings.statement_timeout();
        let stream = if explains { stream } else { named(stream, &planned.schema) };
        Ok(timed(stream, limit))
    }

    async fn copy(&self, session: &SessionContext, copy: Copy) -> Result<Answer> {
        let options = copy.options;
        if options.binary {
            return Err(UserError::new(
                sqlstate::NOT_SUPPORTED,
                "COPY in the binary format needs a client of the protocol",
            )
            .hint("--format parquet is for programs")
            .into());
        }
        let planned = self.plan(session, &copy.query).await?;
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("line", DataType::Utf8, false)]));
        let lines = |lines: Vec<String>, schema: &SchemaRef| {
            let column: ArrayRef = Arc::new(StringArray::from(lines));
            RecordBatch::try_new(Arc::clone(schema), vec![column]).map_err(DataFusionError::from)
        };
        let head = futures::stream::iter(options.head(&planned.schema).map(|head| lines(vec![head], &schema)));
        let style = dialect::encode::Style { zone: self.client.settings.zone() };
        let mut rows = self.rows(session, planned).await?;
        // What fails before there is a row has no head either.
        let first = futures::stream::iter(rows.try_next().await?.map(Ok));
        let of_lines = Arc::clone(&schema);
        let rows = first.chain(rows).map(move |batch: Result<RecordBatch, DataFusionError>| {
            let texts = style.row_texts(&batch?)?;
            lines(texts.iter().map(|row| options.line(row)).collect(), &of_lines)
        });
        Ok(Answer::Copied(Box::pin(RecordBatchStreamAdapter::new(schema, head.chain(rows)))))
    }

    async fn utility(&self, session: &SessionContext, utility: Utility) -> Result<Answer> {
        let texts = |names: &[&str], rows: Vec<Vec<String>>| -> Result<Answer> {
            let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
            let column =
                |at: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row.get(at)).collect::<StringArray>()) };
            let schema: SchemaRef = Arc::new(Schema::new(fields));
            let batch = RecordBatch::try_new(Arc::clone(&schema), (0..names.len()).map(column).collect())?;
            Ok(Answer::Rows(of_batches(&schema, vec![batch])))
        };
        match utility {
            Utility::Show(name) => {
                let value = self.client.settings.get(&name)?;
                texts(&[settings::find(&name).map_or(name.as_str(), |setting| setting.name)], vec![vec![value]])
            }
            Utility::ShowAll => texts(&["name", "setting", "description"], self.client.settings.all()?),
            Utility::Prepare { name, query } => {
                let Ast::Prepare { data_types, statement, .. } = *query else {
                    return Err(UserError::new(sqlstate::SYNTAX, "syntax error in PREPARE").into());
                };
                let mut statements = statement::parse(&statement.to_string()).map_err(|(error, _)| error)?;
                let Some(prepared) = statements.pop() else {
                    return Err(UserError::new(sqlstate::SYNTAX, "syntax error in PREPARE").into());
                };
                let prepared = self.prepare(session, prepared.kind, &data_types).await?;
                self.state.lock().kept.keep_statement(name, prepared)?;
                Ok(Answer::Done("PREPARE".to_owned(), Vec::new()))
            }
            Utility::Execute { name, arguments } => {
                let prepared = self.state.lock().kept.statement(&name)?;
                control::check_arguments(&name, arguments.len(), prepared.types.len())?;
                self.execute(session, &prepared, &arguments).await
            }
            Utility::Declare { name, hold, query, .. } => {
                let life = control::declared(&self.state.lock().control, hold)?;
                let planned = self.plan(session, &query).await?;
                let rows = self.rows(session, planned).await?;
                self.state.lock().kept.keep_cursor(name, Cursor { rows, left: None, life })?;
                Ok(Answer::Done("DECLARE CURSOR".to_owned(), Vec::new()))
            }
            Utility::Fetch { name, count, skip } => self.fetch(&name, count, skip).await,
            other => {
                let mut memory = self.state.lock();
                if let Some(done) = memory.kept.forget(&other)? {
                    return Ok(Answer::Done(done.tag.to_owned(), Vec::new()));
                }
                let all = matches!(other, Utility::DiscardAll);
                let done = memory.control.run(session, other)?;
                if all {
                    memory.kept = Kept::default();
                }
                memory.kept.end_cursors(&done);
                Ok(Answer::Done(done.tag.to_owned(), done.warnings))
            }
        }
    }

    async fn prepare(&self, session: &SessionContext, kind: Kind, said: &[SqlType]) -> Result<Prepared> {
        let declared = said.iter().map(|kind| {
            let oid = dialect::oid_of(kind)
                .ok_or_else(|| UserError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{kind}\" does not exist")))?;
            dialect::input::data_type(oid).map(Some)
        });
        let declared = declared.collect::<Result<Vec<_>>>()?;
        let types = match &kind {
            Kind::Query(ast) | Kind::Insert(ast) => plan::plan(&session.state(), ast, &declared).await?.types,
            _ => Vec::new(),
        };
        Ok(Prepared { kind, types })
    }

    async fn execute(&self, session: &SessionContext, prepared: &Prepared, arguments: &[Expr]) -> Result<Answer> {
        let (Kind::Query(ast) | Kind::Insert(ast)) = &prepared.kind else {
            return Box::pin(self.answer(session, prepared.kind.clone())).await;
        };
        let kinds: Vec<u32> = prepared.types.iter().flatten().map(|of| dialect::encode::of_data_type(of).oid).collect();
        let values = if arguments.is_empty() {
            Vec::new()
        } else {
            let planned = self.plan(session, &*statement::arguments(arguments, &kinds)?).await?;
            let rows: Vec<RecordBatch> = self.rows(session, planned).await?.try_collect().await?;
            let row = rows.first().ok_or_else(|| UserError::new(sqlstate::INTERNAL, "no arguments"))?;
            let row = row.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
            plan::assigned(row.collect::<Result<_, _>>()?, &kinds, self.client.settings.zone())?
        };
        let types = plan::scaled(&prepared.types, values.iter().map(Some));
        let planned = plan::plan(&session.state(), ast, &types).await?;
        let schema = Arc::clone(&planned.schema);
        let plan = plan::bind(planned, values)?;
        if matches!(prepared.kind, Kind::Insert(_)) {
            return self.insert(session, plan).await;
        }
        Ok(Answer::Rows(self.rows(session, Planned { plan, schema, types: Vec::new() }).await?))
    }

    async fn fetch(&self, name: &str, count: Count, skip: bool) -> Result<Answer> {
        let most = match count {
            Count::All => usize::MAX,
            Count::Rows(rows) => rows,
        };
        // Taken out while it runs, so that nothing is locked meanwhile.
        let mut cursor = {
            let mut memory = self.state.lock();
            memory.kept.cursor(name)?;
            let taken = memory.kept.cursors.remove(name);
            taken.ok_or_else(|| UserError::new(sqlstate::INTERNAL, "the cursor is gone"))?
        };
        let (schema, mut batches, mut rows) = (cursor.rows.schema(), Vec::new(), 0);
        while rows < most {
            let batch = match cursor.left.take() {
                Some(left) => left,
                None => match cursor.rows.try_next().await? {
                    Some(batch) => batch,
                    None => break,
                },
            };
            let (batch, left) = control::first_rows(batch, most - rows);
            cursor.left = left;
            rows += batch.num_rows();
            if !skip {
                batches.push(batch);
            }
        }
        self.state.lock().kept.keep_cursor(name.to_owned(), cursor)?;
        Ok(if skip {
            Answer::Done(format!("MOVE {rows}"), Vec::new())
        } else {
            Answer::Rows(of_batches(&schema, batches))
        })
    }
}

/// Rows with the names that the client sees. The engine may run a plan with other types than it was planned with, such as
/// views of texts.
fn named(rows: SendableRecordBatchStream, names: &SchemaRef) -> SendableRecordBatchStream {
    let types = rows.schema();
    if types.fields().len() != names.fields().len() {
        return rows;
    }
    let fields = names.fields().iter().zip(types.fields()).map(|(name, field)| {
        let mut said = field.metadata().clone();
        said.extend(name.metadata().clone());
        Arc::new(field.as_ref().clone().with_name(name.name()).with_metadata(said))
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let renamed = Arc::clone(&schema);
    let rows = rows.and_then(move |batch| {
        let schema = Arc::clone(&renamed);
        std::future::ready(RecordBatch::try_new(schema, batch.columns().to_vec()).map_err(DataFusionError::from))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// Rows that end with an error if they take longer than `statement_timeout`.
fn timed(rows: SendableRecordBatchStream, limit: Option<Duration>) -> SendableRecordBatchStream {
    let Some(limit) = limit else { return rows };
    let schema = rows.schema();
    let late = tokio::time::Instant::now() + limit;
    let rows = futures::stream::unfold(Some(rows), move |rows| async move {
        let mut rows = rows?;
        match tokio::time::timeout_at(late, rows.next()).await {
            Ok(batch) => batch.map(|batch| (batch, Some(rows))),
            Err(_) => {
                let error = UserError::new("57014", "canceling statement due to statement timeout");
                Some((Err(error.into()), None))
            }
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
