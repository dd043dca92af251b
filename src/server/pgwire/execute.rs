//! Running statements: queries to the client row by row, everything else to its tag.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{self, Statement as Ast};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};

use super::connection::Connection;
use super::encode::Format;
use super::running::{Item, Running, Shape, compute};
use super::session::Cursor;
use super::stop::Watched;
use crate::catalog::settings;
use crate::error::{Result, UserError, sqlstate};
use crate::session::define::{self, Definition};
use crate::session::roles::Request;
use crate::session::statement::{self, Kind};
use crate::session::utility::{Count, Utility};
use crate::session::{Planned, administer, control, copy_in, plan, start};

/// Bytes that one COPY FROM STDIN may bring.
const MOST_COPIED: usize = 256 << 20;

/// Columns that a result can have.
const MOST_COLUMNS: usize = 1664;

/// Columns of the answer to SHOW and SHOW ALL.
fn text_columns(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()))
}

impl Connection {
    /// Plan a statement with the types that its parameters have.
    pub(super) async fn plan(&self, ast: &Ast, types: &[Option<DataType>], watched: &Watched) -> Result<Planned> {
        let _plan = self.whole().map(|whole| whole.part("plan"));
        let (state, ast, types) = (self.session.context()?.state(), ast.clone(), types.to_vec());
        let work = compute(&self.session.cpu, async move { plan::plan(&state, &ast, &types).await });
        watched.run(work).await?
    }

    /// Start a plan; nothing is computed here.
    fn start(&self, plan: LogicalPlan, shape: Shape) -> Result<Running> {
        let (context, queue) = (self.session.context()?, self.admission.queue(self.session.client.user(), &plan)?);
        let whole = self.whole().cloned();
        Ok(Running::start(&self.session.cpu, shape, queue, whole, async move { start(&context, plan).await }))
    }

    /// The columns of a statement that is not a query; none if it returns no rows.
    pub(super) fn utility_schema(&mut self, utility: &Utility) -> Result<Option<SchemaRef>> {
        Ok(match utility {
            Utility::Show(name) => {
                self.session.client.settings.get(name)?;
                let name = settings::find(name).map_or(name.as_str(), |setting| setting.name);
                Some(text_columns(&[name]))
            }
            Utility::ShowAll => Some(text_columns(&["name", "setting", "description"])),
            Utility::Fetch { name, skip: false, .. } => Some(self.session.cursor_schema(name)?),
            Utility::Execute { name, .. } => self.session.kept.statement(name)?.schema.clone(),
            _ => None,
        })
    }

    /// Run a statement of the simple protocol. `alone` says whether no other statement follows it in its message.
    pub(super) async fn run_simple(&mut self, kind: Kind, alone: bool, watched: &Watched) -> Result<()> {
        if !matches!(kind, Kind::Utility(Utility::Commit | Utility::Rollback | Utility::RollbackTo(_))) {
            self.session.control.check_not_failed()?;
        }
        match kind {
            Kind::Query(ast) => {
                let planned = self.plan(&ast, &[], watched).await?.without_parameters()?;
                let formats = vec![Format::Text; planned.schema.fields().len()];
                let encoder = self.session.encoder(&planned.schema, &formats);
                let mut running = self.start(planned.plan, Shape::Rows(encoder))?;
                self.replies.rows(&planned.schema, &formats)?;
                let rows = self.send_rows(&mut running, usize::MAX, watched).await?.0;
                self.replies.complete(statement::tag_of(&ast, rows))?;
            }
            Kind::Utility(utility) => {
                if let Some(schema) = self.utility_schema(&utility)?
                    && !matches!(utility, Utility::Execute { .. })
                {
                    let formats = vec![self.format_of(&utility); schema.fields().len()];
                    self.replies.rows(&schema, &formats)?;
                }
                let formats = vec![self.format_of(&utility); MOST_COLUMNS];
                self.run_utility(utility, &formats, true, watched).await?;
            }
            Kind::Insert(_) if !alone => {
                let error =
                    UserError::new(sqlstate::NOT_SUPPORTED, "INSERT has to be the last statement of its message");
                return Err(error
                    .detail(
                        "the statements of a message are one transaction, and what it cannot take back is not written",
                    )
                    .into());
            }
            Kind::Insert(ast) => {
                let planned = self.plan(&ast, &[], watched).await?;
                self.insert(planned.plan, watched).await?;
            }
            Kind::Define(definition) => self.define(*definition, watched).await?,
            Kind::Copy(copy) => self.copy(copy, watched).await?,
            Kind::Roles(request) => self.administer(request).await?,
        }
        Ok(())
    }

    /// How the simple protocol sends the rows of a statement about the session.
    fn format_of(&self, utility: &Utility) -> Format {
        match utility {
            Utility::Fetch { name, .. } if self.session.kept.cursors.get(name).is_some_and(|cursor| cursor.binary) => {
                Format::Binary
            }
            _ => Format::Text,
        }
    }

    /// Run a bound portal of the extended protocol.
    pub(super) async fn run_portal(&mut self, name: &str, max_rows: usize, watched: &Watched) -> Result<()> {
        let portal = self.session.portal(name)?;
        let Some(statement) = portal.prepared.statement.clone() else {
            self.replies.empty()?;
            return Ok(());
        };
        if !matches!(statement.kind, Kind::Utility(Utility::Commit | Utility::Rollback | Utility::RollbackTo(_))) {
            self.session.control.check_not_failed()?;
        }
        match statement.kind {
            Kind::Query(ast) => {
                let Some(mut running) = self.running_portal(name)? else {
                    self.replies.complete(statement::tag_of(&ast, 0))?;
                    return Ok(());
                };
                let (rows, more) = self.send_rows(&mut running, max_rows, watched).await?;
                self.session.portal(name)?.leave(running, rows, more);
                if more {
                    self.replies.suspended()?;
                } else {
                    self.replies.complete(statement::tag_of(&ast, rows))?;
                }
            }
            Kind::Insert(_) => {
                let plan = self.session.portal(name)?.plan.take();
                let plan =
                    plan.ok_or_else(|| UserError::new("55000", format!("portal \"{name}\" cannot be run anymore")))?;
                self.insert(plan, watched).await?;
            }
            Kind::Utility(utility) => {
                let formats = self.session.portal(name)?.formats.clone();
                self.run_utility(utility, &formats, false, watched).await?;
            }
            Kind::Define(definition) => self.define(*definition, watched).await?,
            Kind::Copy(copy) => self.copy(copy, watched).await?,
            Kind::Roles(request) => self.administer(request).await?,
        }
        Ok(())
    }

    /// The query of a portal as far as it has run; none if it is at its end.
    fn running_portal(&mut self, name: &str) -> Result<Option<Running>> {
        let portal = self.session.portal(name)?;
        let (plan, schema, formats) = (portal.plan.take(), portal.schema.clone(), portal.formats.clone());
        if portal.finished {
            return Ok(None);
        }
        match (portal.running.take(), plan, schema) {
            (Some(running), ..) => Ok(Some(running)),
            (None, Some(plan), Some(schema)) => {
                let encoder = self.session.encoder(&schema, &formats);
                Ok(Some(self.start(plan, Shape::Rows(encoder))?))
            }
            _ => Err(UserError::new("55000", format!("portal \"{name}\" cannot be run anymore")).into()),
        }
    }

    /// MOVE of a portal of the extended protocol, which asyncpg takes for a cursor: its rows are not sent.
    async fn move_portal(&mut self, name: &str, most: usize, watched: &Watched) -> Result<()> {
        let (mut rows, mut more) = (0, false);
        if let Some(mut running) = self.running_portal(name)? {
            while let Some(item) = watched.run(running.next()).await?? {
                let Item::Chunk(mut chunk) = item else { continue };
                let skipped = chunk.rows().min(most - rows);
                chunk.split(skipped);
                rows += skipped;
                running.keep(chunk);
                more = rows >= most;
                if more {
                    break;
                }
            }
            self.session.portal(name)?.leave(running, rows, more);
        }
        self.replies.complete(format!("MOVE {rows}"))?;
        Ok(())
    }

    /// Send rows until there are no more or enough; gives back how many, and whether there may be more.
    async fn send_rows(&mut self, running: &mut Running, most: usize, watched: &Watched) -> Result<(usize, bool)> {
        let mut sent = 0;
        loop {
            let next = match futures::FutureExt::now_or_never(running.next()) {
                Some(next) => next?,
                None => {
                    // Rows that are there are not kept from the client while the next ones are computed.
                    self.replies.flush().await?;
                    watched.run(running.next()).await??
                }
            };
            let Some(item) = next else { return Ok((sent, false)) };
            let Item::Chunk(mut chunk) = item else { continue };
            let rows = chunk.rows().min(most - sent);
            let bytes = chunk.split(rows);
            self.replies.raw(bytes).await?;
            sent += rows;
            running.keep(chunk);
            if sent >= most {
                return Ok((sent, true));
            }
            watched.run(std::future::ready(())).await?;
        }
    }

    async fn insert(&mut self, plan: LogicalPlan, watched: &Watched) -> Result<()> {
        self.session.control.check_may_write("INSERT")?;
        let rows = self.write(plan, watched).await?;
        self.replies.complete(format!("INSERT 0 {rows}"))?;
        Ok(())
    }

    /// Run a plan that writes; gives back how many rows it wrote.
    async fn write(&mut self, plan: LogicalPlan, watched: &Watched) -> Result<u64> {
        let mut running = self.start(plan, Shape::Batches)?;
        let mut rows = 0;
        while let Some(item) = watched.run(running.next()).await?? {
            if let Item::Batch(batch) = item {
                let counts = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>());
                rows += counts.map_or(0, |counts| counts.iter().flatten().sum::<u64>());
            }
        }
        Ok(rows)
    }

    async fn define(&mut self, definition: Definition, watched: &Watched) -> Result<()> {
        let (context, client) = (self.session.context()?, Arc::clone(&self.session.client));
        if definition.lasts(&client) {
            self.session.control.check_may_write(definition.tag())?;
        }
        let work = compute(&self.session.cpu, async move { define::define(&context, &client, definition).await });
        let done = watched.run(work).await??;
        for notice in &done.notices {
            self.replies.notice("NOTICE", notice)?;
        }
        self.replies.complete(done.tag)?;
        Ok(())
    }

    /// Change roles or what they may do.
    async fn administer(&mut self, request: Request) -> Result<()> {
        let tag = request.tag();
        self.session.control.check_may_write(tag)?;
        let context = self.session.context()?;
        for notice in administer::administer(&context, &self.session.client, request).await? {
            self.replies.notice("NOTICE", &UserError::new("00000", notice))?;
        }
        self.replies.complete(tag)?;
        Ok(())
    }

    async fn copy(&mut self, copy: statement::Copy, watched: &Watched) -> Result<()> {
        if copy.into.is_some() {
            return self.copy_in(copy, watched).await;
        }
        let planned = self.plan(&copy.query, &[], watched).await?;
        let width = planned.schema.fields().len();
        let columns = i16::try_from(width).unwrap_or(i16::MAX);
        let head = copy.options.head(&planned.schema);
        let binary = copy.options.binary;
        let format = i8::from(binary);
        let shape = if copy.options.binary {
            Shape::Rows(self.session.encoder(&planned.schema, &vec![Format::Binary; width]).copied())
        } else {
            Shape::Copy(copy.options, self.session.style())
        };
        let mut running = self.start(planned.plan, shape)?;
        if binary {
            // Clients expect the signature in the message of the first row.
            running.lead(super::copy::SIGNATURE);
        }
        // What is refused when it is read is refused before the client waits for rows.
        let first = watched.run(running.next()).await??;
        let response = CopyOutResponse::new(format, columns, vec![i16::from(format); width]);
        self.replies.push(&PgWireBackendMessage::CopyOutResponse(response))?;
        if let Some(head) = head {
            self.replies.raw(super::copy::one(head.as_bytes())).await?;
        }
        let rows = match first {
            Some(item) => {
                if let Item::Chunk(chunk) = item {
                    running.keep(chunk);
                }
                self.send_rows(&mut running, usize::MAX, watched).await?.0
            }
            None => 0,
        };
        if binary {
            self.replies.raw(super::copy::tail(running.unled().unwrap_or_default())).await?;
        }
        self.replies.push(&PgWireBackendMessage::CopyDone(CopyDone::new()))?;
        self.replies.complete(format!("COPY {rows}"))?;
        Ok(())
    }

    /// Rows that the client sends, all of them in one commit.
    async fn copy_in(&mut self, copy: statement::Copy, watched: &Watched) -> Result<()> {
        self.session.control.check_may_write("COPY FROM")?;
        let Some((table, columns)) = copy.into else { return Ok(()) };
        let planned = self.plan(&copy.query, &[], watched).await?;
        let (schema, width) = (Arc::clone(&planned.schema), planned.schema.fields().len());
        let response = CopyInResponse::new(0, i16::try_from(width).unwrap_or(i16::MAX), vec![0; width]);
        self.replies.push(&PgWireBackendMessage::CopyInResponse(response))?;
        self.replies.flush().await?;
        let mut bytes: Vec<u8> = Vec::new();
        while let Some(part) = watched.run(self.copied()).await?? {
            if bytes.len() + part.len() > MOST_COPIED {
                while watched.run(self.copied()).await??.is_some() {}
                let message = format!("COPY from stdin of more than {} MB is not supported", MOST_COPIED >> 20);
                return Err(UserError::new("54000", message).hint("copy in parts, or import files").into());
            }
            bytes.extend_from_slice(&part);
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| UserError::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
        let (context, zone) = (self.session.context()?, self.session.client.settings.zone());
        let (rows, options) = (copy.options.rows(&text)?, copy_in::Into { table, columns });
        let plan =
            compute(&self.session.cpu, async move { copy_in::plan(&context, &rows, &schema, zone, &options).await });
        let plan = watched.run(plan).await??;
        let inserted = self.write(plan, watched).await?;
        self.replies.complete(format!("COPY {inserted}"))?;
        Ok(())
    }

    async fn run_utility(
        &mut self,
        utility: Utility,
        formats: &[Format],
        simple: bool,
        watched: &Watched,
    ) -> Result<()> {
        match utility {
            Utility::Show(name) => {
                let value = self.session.client.settings.get(&name)?;
                let schema = text_columns(&["setting"]);
                self.send_texts(&schema, vec![vec![value]], formats).await?;
                self.replies.complete("SHOW")?;
            }
            Utility::ShowAll => {
                let rows = self.session.client.settings.all()?;
                self.send_texts(&text_columns(&["name", "setting", "description"]), rows, formats).await?;
                self.replies.complete("SHOW")?;
            }
            Utility::Declare { name, hold, binary, query } => {
                let life = control::declared(&self.session.control, hold)?;
                let planned = self.plan(&query, &[], watched).await?;
                let running = self.start(planned.plan, Shape::Batches)?;
                self.session
                    .kept
                    .keep_cursor(name, Cursor { schema: planned.schema, running, left: None, life, binary })?;
                self.replies.complete("DECLARE CURSOR")?;
            }
            Utility::Fetch { name, count, skip } => self.fetch(&name, count, skip, formats, watched).await?,
            Utility::Execute { name, arguments } => {
                self.execute_prepared(&name, &arguments, formats, simple, watched).await?;
            }
            Utility::Prepare { name, query } => self.prepare_by_sql(name, &query, watched).await?,
            other => self.run_session_statement(other)?,
        }
        Ok(())
    }

    async fn send_texts(&mut self, schema: &SchemaRef, rows: Vec<Vec<String>>, formats: &[Format]) -> Result<()> {
        let column = |at: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row.get(at)).collect::<StringArray>()) };
        let columns = (0..schema.fields().len()).map(column).collect();
        let batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
        self.send_batch(schema, &batch, formats).await
    }

    async fn send_batch(&mut self, schema: &SchemaRef, batch: &RecordBatch, formats: &[Format]) -> Result<()> {
        let encoder = self.session.encoder(schema, formats);
        for chunk in encoder.chunks(batch, 64 << 10) {
            self.replies.raw(chunk?.bytes).await?;
        }
        Ok(())
    }

    async fn fetch(
        &mut self,
        name: &str,
        count: Count,
        skip: bool,
        formats: &[Format],
        watched: &Watched,
    ) -> Result<()> {
        let most = match count {
            Count::All => usize::MAX,
            Count::Rows(rows) => rows,
        };
        if skip && !self.session.kept.cursors.contains_key(name) && self.session.portals.contains_key(name) {
            return self.move_portal(name, most, watched).await;
        }
        let schema = self.session.cursor_schema(name)?;
        let mut rows = 0;
        while rows < most {
            let Some(cursor) = self.session.kept.cursors.get_mut(name) else { break };
            let batch = match cursor.left.take() {
                Some(left) => left,
                None => match watched.run(cursor.running.next()).await?? {
                    Some(Item::Batch(batch)) => batch,
                    Some(Item::Chunk(_)) => continue,
                    None => break,
                },
            };
            let (batch, left) = control::first_rows(batch, most - rows);
            cursor.left = left;
            rows += batch.num_rows();
            if !skip {
                self.send_batch(&schema, &batch, formats).await?;
            }
        }
        self.replies.complete(format!("{} {rows}", if skip { "MOVE" } else { "FETCH" }))?;
        Ok(())
    }

    async fn prepare_by_sql(&mut self, name: String, query: &Ast, watched: &Watched) -> Result<()> {
        let Ast::Prepare { data_types, statement, .. } = query else { return Ok(()) };
        let text = statement.to_string();
        let kinds = data_types.iter().map(super::extended::oid_of_sql_type).collect::<Result<Vec<_>>>()?;
        let prepared = self.prepare(&text, &kinds, watched).await?;
        self.session.kept.keep_statement(name, prepared)?;
        self.replies.complete("PREPARE")?;
        Ok(())
    }

    async fn execute_prepared(
        &mut self,
        name: &str,
        arguments: &[ast::Expr],
        formats: &[Format],
        simple: bool,
        watched: &Watched,
    ) -> Result<()> {
        let prepared = self.session.kept.statement(name)?;
        control::check_arguments(name, arguments.len(), prepared.kinds.len())?;
        let values = self.arguments(arguments, &prepared.kinds, watched).await?;
        let Some(statement) = &prepared.statement else { return Ok(()) };
        let (Kind::Query(ast) | Kind::Insert(ast)) = &statement.kind else {
            return Box::pin(self.run_simple(statement.kind.clone(), true, watched)).await;
        };
        let types = plan::scaled(&prepared.types, values.iter().map(Some));
        let planned = self.plan(ast, &types, watched).await?;
        let schema = Arc::clone(&planned.schema);
        let plan = plan::bind(planned, values)?;
        if matches!(statement.kind, Kind::Insert(_)) {
            return self.insert(plan, watched).await;
        }
        if simple {
            self.replies.rows(&schema, &vec![Format::Text; schema.fields().len()])?;
        }
        let encoder = self.session.encoder(&schema, formats);
        let mut running = self.start(plan, Shape::Rows(encoder))?;
        let rows = self.send_rows(&mut running, usize::MAX, watched).await?.0;
        self.replies.complete(statement::tag_of(ast, rows))?;
        Ok(())
    }

    /// The values of the arguments of EXECUTE, for parameters of types by their OIDs.
    async fn arguments(
        &mut self,
        expressions: &[ast::Expr],
        kinds: &[u32],
        watched: &Watched,
    ) -> Result<Vec<ScalarValue>> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let ast = statement::arguments(expressions, kinds)?;
        let planned = self.plan(&ast, &[], watched).await?;
        let mut running = self.start(planned.plan, Shape::Batches)?;
        let mut batches = Vec::new();
        while let Some(item) = watched.run(running.next()).await?? {
            if let Item::Batch(batch) = item {
                batches.push(batch);
            }
        }
        let Some(first) = batches.first() else { return Ok(Vec::new()) };
        let row = concat_batches(&first.schema(), &batches)?;
        let row = row.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
        plan::assigned(row.collect::<Result<_, _>>()?, kinds, self.session.client.settings.zone())
    }
}
