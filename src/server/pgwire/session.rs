//! What one connection has: its engine session, settings, prepared statements, portals, cursors, transaction.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use opentelemetry::Context;
use parking_lot::Mutex;
use pgwire::messages::response::TransactionStatus;
use tokio::runtime::Handle;

use super::encode::{Format, RowEncoder, Style};
use super::running::Running;
use crate::catalog::Client;
use crate::database::Database;
use crate::error::{Result, UserError};
use crate::session::control::{Control, Done, Kept, Life, Lives, room};
use crate::session::memory::SessionPool;
use crate::session::statement::Statement;
use crate::session::utility::Utility;

/// A parsed statement with its parameters' types.
#[derive(Debug)]
pub(super) struct Prepared {
    /// None is the empty statement.
    pub(super) statement: Option<Statement>,
    /// OIDs of the parameters' types.
    pub(super) kinds: Vec<u32>,
    /// The types of the parameters, by number.
    pub(super) types: Vec<Option<DataType>>,
    /// The columns, if it returns rows.
    pub(super) schema: Option<SchemaRef>,
    /// The span that it is asked from.
    pub(super) caller: Context,
}

/// A statement with its parameters bound.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) plan: Option<LogicalPlan>,
    pub(super) schema: Option<SchemaRef>,
    pub(super) formats: Vec<Format>,
    pub(super) running: Option<Running>,
    pub(super) rows: usize,
    pub(super) finished: bool,
}

impl Portal {
    /// Leave the portal where so many more rows of it were taken.
    pub(super) fn leave(&mut self, running: Running, rows: usize, more: bool) {
        self.rows += rows;
        self.finished = !more;
        self.running = more.then_some(running);
    }
}

/// A declared cursor: a plan that runs as far as it was fetched from.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) schema: SchemaRef,
    pub(super) running: Running,
    pub(super) left: Option<datafusion::arrow::array::RecordBatch>,
    pub(super) life: Life,
    /// Values are sent in the binary format by the simple protocol too.
    pub(super) binary: bool,
}

impl Lives for Cursor {
    fn life(&mut self) -> &mut Life {
        &mut self.life
    }
}

/// The state of one connection. Of what the engine has for a session everything that lasts is the client's: the rest is made
/// when a statement needs it, and given back while the client asks nothing, for it takes a hundred kilobytes.
pub(super) struct Session {
    database: Database,
    engine: Mutex<Option<SessionContext>>,
    pub(super) client: Arc<Client>,
    pub(super) cpu: Handle,
    pub(super) kept: Kept<Prepared, Cursor>,
    pub(super) portals: HashMap<String, Portal>,
    pub(super) control: Control,
}

impl Session {
    pub(super) fn new(database: Database, client: Arc<Client>, cpu: Handle) -> Self {
        let control = Control::new(&client);
        let (kept, portals) = (Kept::default(), HashMap::new());
        Self { database, engine: Mutex::default(), client, cpu, kept, portals, control }
    }

    /// The engine's session.
    ///
    /// # Errors
    /// When a built-in definition is broken, which is a defect of ours.
    pub(super) fn context(&self) -> Result<SessionContext> {
        let mut engine = self.engine.lock();
        if let Some(context) = &*engine {
            return Ok(context.clone());
        }
        let context = self.database.new_session_for(&self.client)?;
        self.control.apply_settings(&context);
        Ok(engine.insert(context).clone())
    }

    /// Whether there is something to give back, and nothing begun that needs it.
    pub(super) fn may_rest(&self) -> bool {
        let begun = !self.portals.is_empty() || !self.kept.cursors.is_empty() || self.control.open().is_some();
        !begun && self.engine.lock().is_some()
    }

    /// Give back what the next statement can make anew.
    pub(super) fn rest(&self) {
        *self.engine.lock() = None;
    }

    /// The most memory of the session since this was last asked, bytes.
    pub(super) fn take_peak_memory(&self) -> usize {
        let pool = self.engine.lock().as_ref().and_then(SessionPool::of);
        pool.map_or(0, |pool| SessionPool::take_peak(pool.as_ref()))
    }

    pub(super) fn status(&self) -> TransactionStatus {
        match self.control.open() {
            None => TransactionStatus::Idle,
            Some(true) => TransactionStatus::Error,
            Some(false) => TransactionStatus::Transaction,
        }
    }

    pub(super) fn style(&self) -> Style {
        Style { zone: self.client.settings.zone() }
    }

    pub(super) fn encoder(&self, schema: &SchemaRef, formats: &[Format]) -> RowEncoder {
        let formats = (0..schema.fields().len()).map(|at| formats.get(at).copied().unwrap_or(Format::Text)).collect();
        RowEncoder::new(schema, formats, self.style())
    }

    pub(super) fn keep_portal(&mut self, name: String, portal: Portal) -> Result<()> {
        if !name.is_empty() {
            if self.portals.contains_key(&name) {
                return Err(UserError::new("42P03", format!("cursor \"{name}\" already exists")).into());
            }
            room(self.portals.len(), "portals")?;
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    pub(super) fn portal(&mut self, name: &str) -> Result<&mut Portal> {
        let missing = || UserError::new("34000", format!("portal \"{name}\" does not exist"));
        self.portals.get_mut(name).ok_or_else(|| missing().into())
    }

    /// The columns of a cursor.
    pub(super) fn cursor_schema(&mut self, name: &str) -> Result<SchemaRef> {
        Ok(Arc::clone(&self.kept.cursor(name)?.schema))
    }

    /// Do what a statement about the session says.
    pub(super) fn run(&mut self, statement: Utility) -> Result<Done> {
        if let Some(done) = self.kept.forget(&statement)? {
            return Ok(done);
        }
        let all = matches!(statement, Utility::DiscardAll);
        let context = self.context()?;
        let done = self.control.run(&context, statement)?;
        if all {
            self.kept = Kept::default();
            self.portals.clear();
        }
        Ok(done)
    }
}
