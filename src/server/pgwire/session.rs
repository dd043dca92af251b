//! What one connection has: its engine session, settings, prepared statements, portals, cursors, transaction.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use pgwire::messages::response::TransactionStatus;
use tokio::runtime::Handle;

use super::encode::{Format, RowEncoder, Style};
use super::running::Running;
use crate::catalog::Client;
use crate::error::{Result, UserError};
use crate::session::control::{Control, Done, Kept, room};
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
    pub(super) hold: bool,
    /// Values are sent in the binary format by the simple protocol too.
    pub(super) binary: bool,
}

/// The state of one connection.
pub(super) struct Session {
    pub(super) context: SessionContext,
    pub(super) client: Arc<Client>,
    pub(super) cpu: Handle,
    pub(super) kept: Kept<Prepared, Cursor>,
    pub(super) portals: HashMap<String, Portal>,
    pub(super) control: Control,
}

impl Session {
    pub(super) fn new(context: SessionContext, client: Arc<Client>, cpu: Handle) -> Self {
        let control = Control::new(&client);
        Self { context, client, cpu, kept: Kept::default(), portals: HashMap::new(), control }
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
        let done = self.control.run(&self.context, statement)?;
        if all {
            self.kept = Kept::default();
            self.portals.clear();
        }
        Ok(done)
    }
}
