//! What one connection has: its engine session, settings, prepared statements, portals, cursors, transaction.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use pgwire::messages::response::TransactionStatus;
use tokio::runtime::Handle;

use super::encode::{Format, RowEncoder, Style};
use super::running::Running;
use super::statement::Statement;
use crate::catalog::Client;
use crate::error::{Result, UserError, sqlstate};

/// Prepared statements, portals or cursors that a connection may have at a time, of each.
const MOST: usize = 2000;

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

/// An explicit transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) failed: bool,
    /// The settings at its beginning, to which ROLLBACK goes back.
    pub(super) settings: BTreeMap<String, String>,
    /// What `SET LOCAL` changed, as it was.
    pub(super) local: Vec<(String, Option<String>)>,
    pub(super) savepoints: Vec<(String, BTreeMap<String, String>)>,
}

/// The state of one connection.
pub(super) struct Session {
    pub(super) context: SessionContext,
    pub(super) client: Arc<Client>,
    pub(super) cpu: Handle,
    pub(super) statements: HashMap<String, Arc<Prepared>>,
    pub(super) portals: HashMap<String, Portal>,
    pub(super) cursors: HashMap<String, Cursor>,
    pub(super) transaction: Option<Transaction>,
}

impl Session {
    pub(super) fn new(context: SessionContext, client: Arc<Client>, cpu: Handle) -> Self {
        Self {
            context,
            client,
            cpu,
            statements: HashMap::new(),
            portals: HashMap::new(),
            cursors: HashMap::new(),
            transaction: None,
        }
    }

    pub(super) fn status(&self) -> TransactionStatus {
        match &self.transaction {
            None => TransactionStatus::Idle,
            Some(transaction) if transaction.failed => TransactionStatus::Error,
            Some(_) => TransactionStatus::Transaction,
        }
    }

    pub(super) fn fail_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.failed = true;
        }
    }

    pub(super) fn style(&self) -> Style {
        Style { zone: self.client.settings.zone() }
    }

    pub(super) fn encoder(&self, schema: &SchemaRef, formats: &[Format]) -> RowEncoder {
        let formats = (0..schema.fields().len()).map(|at| formats.get(at).copied().unwrap_or(Format::Text)).collect();
        RowEncoder::new(schema, formats, self.style())
    }

    pub(super) fn keep_statement(&mut self, name: String, prepared: Prepared) -> Result<()> {
        if !name.is_empty() {
            if self.statements.contains_key(&name) {
                return Err(UserError::new("42P05", format!("prepared statement \"{name}\" already exists")).into());
            }
            room(self.statements.len(), "prepared statements")?;
        }
        self.statements.insert(name, Arc::new(prepared));
        Ok(())
    }

    pub(super) fn statement(&self, name: &str) -> Result<Arc<Prepared>> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let shown = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            UserError::new("26000", shown).into()
        })
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

    pub(super) fn keep_cursor(&mut self, name: String, cursor: Cursor) -> Result<()> {
        if self.cursors.contains_key(&name) {
            return Err(UserError::new("42P03", format!("cursor \"{name}\" already exists")).into());
        }
        room(self.cursors.len(), "cursors")?;
        self.cursors.insert(name, cursor);
        Ok(())
    }

    /// The columns of a cursor.
    pub(super) fn cursor_schema(&self, name: &str) -> Result<SchemaRef> {
        let missing = || UserError::new("34000", format!("cursor \"{name}\" does not exist"));
        Ok(Arc::clone(&self.cursors.get(name).ok_or_else(missing)?.schema))
    }

    /// The settings that the engine has to know of.
    pub(super) fn apply_settings(&self) {
        let settings = &self.client.settings;
        let schema = settings.get("search_path").ok().and_then(|path| first_schema(&path)).unwrap_or("public");
        let state = self.context.state_ref();
        let mut state = state.write();
        let options = state.config_mut().options_mut();
        options.execution.time_zone = Some(settings.zone().name().to_owned());
        schema.clone_into(&mut options.catalog.default_schema);
    }

    pub(super) fn begin(&mut self) -> bool {
        if self.transaction.is_some() {
            return false;
        }
        let settings = self.client.settings.snapshot();
        self.client.pin();
        self.transaction = Some(Transaction { failed: false, settings, local: Vec::new(), savepoints: Vec::new() });
        true
    }

    /// End the transaction; gives back whether it was committed. No transaction is none to end.
    pub(super) fn end(&mut self, commit: bool) -> Option<bool> {
        let transaction = self.transaction.take()?;
        self.client.unpin();
        let commit = commit && !transaction.failed;
        if commit {
            let mut now = self.client.settings.snapshot();
            for (name, before) in transaction.local.into_iter().rev() {
                match before {
                    Some(value) => now.insert(name, value),
                    None => now.remove(&name),
                };
            }
            self.client.settings.restore(now);
        } else {
            self.client.settings.restore(transaction.settings);
        }
        self.apply_settings();
        self.cursors.retain(|_, cursor| cursor.hold && commit);
        self.portals.clear();
        Some(commit)
    }

    /// A statement in a failed transaction is not looked at.
    pub(super) fn check_not_failed(&self) -> Result<()> {
        match &self.transaction {
            Some(transaction) if transaction.failed => {
                let message = "current transaction is aborted, commands ignored until end of transaction block";
                Err(UserError::new("25P02", message).into())
            }
            _ => Ok(()),
        }
    }

    /// `tag` is that of the statement.
    pub(super) fn check_may_write(&self, tag: &str) -> Result<()> {
        let read_only = ["default_transaction_read_only", "transaction_read_only"]
            .iter()
            .any(|name| self.client.settings.get(name).is_ok_and(|value| value == "on"));
        if read_only {
            let message = format!("cannot execute {tag} in a read-only transaction");
            return Err(UserError::new("25006", message).into());
        }
        if self.transaction.is_some() {
            let message = "writing inside of a transaction block is not supported";
            return Err(UserError::new(sqlstate::NOT_SUPPORTED, message)
                .detail("what ROLLBACK cannot take back is not written")
                .hint("write outside of BEGIN … COMMIT: every statement is a transaction of its own")
                .into());
        }
        Ok(())
    }
}

fn room(used: usize, what: &str) -> Result<()> {
    if used >= MOST {
        return Err(UserError::new("53400", format!("too many {what}: a connection has {MOST} at most"))
            .hint("close those that are done with")
            .into());
    }
    Ok(())
}

fn first_schema(path: &str) -> Option<&'static str> {
    let names = path.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_lowercase());
    let known = ["public", "system", "pg_catalog", "information_schema"];
    names.into_iter().find_map(|name| known.into_iter().find(|known| *known == name))
}
