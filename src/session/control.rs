//! Settings and transactions: what the statements about them do, whoever sends them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ascribe_udfs::PseudonymOptions;
use datafusion::arrow::array::RecordBatch;
use datafusion::config::ConfigOptions;
use datafusion::execution::context::SessionContext;

use super::utility::{Modes, Utility};
use crate::catalog::Client;
use crate::error::{Result, UserError, sqlstate};

/// Prepared statements, portals or cursors that a session may have at a time, of each.
const MOST: usize = 2000;

/// What the names of options of our functions begin with.
const OPTIONS: &str = "ascribe.";

/// An explicit transaction.
#[derive(Debug)]
struct Transaction {
    failed: bool,
    /// The settings at its beginning, to which ROLLBACK goes back.
    settings: BTreeMap<String, String>,
    /// What `SET LOCAL` changed, as it was.
    local: Vec<(String, Option<String>)>,
    savepoints: Vec<(String, BTreeMap<String, String>)>,
}

/// Which settings a statement changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// None.
    Nothing,
    /// Those of these names.
    Some(Vec<String>),
    /// Maybe any.
    All,
}

/// What a statement about the session did.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its command tag.
    pub(crate) tag: &'static str,
    /// Warnings.
    pub(crate) warnings: Vec<UserError>,
    /// Settings.
    pub(crate) changed: Changed,
    /// Whether it ended a transaction, and if so whether by committing it.
    pub(crate) ended: Option<bool>,
    /// Whether it ended what is inside of savepoints.
    inside: Option<Inside>,
}

/// What becomes of the cursors that were declared inside of more savepoints than a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// They belong to what is around.
    Released(usize),
    /// They are gone.
    RolledBack(usize),
}

impl Done {
    fn new(tag: &'static str) -> Self {
        Self { tag, warnings: Vec::new(), changed: Changed::Nothing, ended: None, inside: None }
    }

    fn warn(&mut self, code: &'static str, message: &str) {
        self.warnings.push(UserError::new(code, message));
    }

    fn change(&mut self, name: &str) {
        match &mut self.changed {
            Changed::Nothing => self.changed = Changed::Some(vec![name.to_owned()]),
            Changed::Some(names) => names.push(name.to_owned()),
            Changed::All => {}
        }
    }
}

/// The transaction and the settings of one session.
#[derive(Debug)]
pub(crate) struct Control {
    client: Arc<Client>,
    transaction: Option<Transaction>,
}

impl Control {
    pub(crate) fn new(client: &Arc<Client>) -> Self {
        Self { client: Arc::clone(client), transaction: None }
    }

    /// Whether a transaction is open, and if so whether it has failed.
    pub(crate) fn open(&self) -> Option<bool> {
        self.transaction.as_ref().map(|transaction| transaction.failed)
    }

    /// How many savepoints a statement is inside of.
    pub(crate) fn depth(&self) -> usize {
        self.transaction.as_ref().map_or(0, |transaction| transaction.savepoints.len())
    }

    /// A statement has failed.
    pub(crate) fn fail(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.failed = true;
        }
    }

    /// A statement in a failed transaction is not looked at.
    pub(crate) fn check_not_failed(&self) -> Result<()> {
        if self.open() == Some(true) {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(UserError::new("25P02", message).into());
        }
        Ok(())
    }

    /// `tag` is that of the statement.
    pub(crate) fn check_may_write(&self, tag: &str) -> Result<()> {
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

    /// Tell the engine the settings that it has to know of.
    pub(crate) fn apply_settings(&self, session: &SessionContext) {
        let settings = &self.client.settings;
        let schema = settings.get("search_path").ok().and_then(|path| first_schema(&path)).unwrap_or("public");
        let state = session.state_ref();
        let mut state = state.write();
        let options = state.config_mut().options_mut();
        options.execution.time_zone = Some(settings.zone().name().to_owned());
        schema.clone_into(&mut options.catalog.default_schema);
        options.extensions.insert(PseudonymOptions::default());
        for (name, value) in settings.snapshot().iter().filter(|(name, _)| name.starts_with(OPTIONS)) {
            // It was tried when it was set.
            options.set(name, value).unwrap_or_default();
        }
    }

    /// Do what a statement about settings or transactions says.
    pub(crate) fn run(&mut self, session: &SessionContext, statement: Utility) -> Result<Done> {
        let mut done = Done::new("SET");
        match statement {
            Utility::Set { name, value, local } => self.set(&name, value, local, &mut done)?,
            Utility::Reset(name) => {
                self.client.settings.reset(&name)?;
                done.tag = "RESET";
                done.change(&name);
            }
            Utility::ResetAll => {
                self.reset_all(&mut done);
                done.tag = "RESET";
            }
            Utility::DiscardAll => {
                if self.transaction.is_some() {
                    return Err(UserError::new("25001", "DISCARD ALL cannot run inside a transaction block").into());
                }
                self.reset_all(&mut done);
                self.client.own.write().clear();
                done.tag = "DISCARD ALL";
            }
            Utility::DiscardTemp => {
                self.client.own.write().clear();
                done.tag = "DISCARD TEMP";
            }
            Utility::SetTransaction { modes, session: true } => self.modes(&modes, "default_transaction", &mut done)?,
            Utility::SetTransaction { modes, session: false } => {
                if self.transaction.is_none() {
                    done.warn("25P01", "SET TRANSACTION can only be used in transaction blocks");
                } else {
                    self.modes(&modes, "transaction", &mut done)?;
                }
            }
            Utility::DiscardNothing(tag) | Utility::Nothing(tag) => done.tag = tag,
            other => self.run_of_transaction(other, &mut done)?,
        }
        if done.changed != Changed::Nothing {
            self.apply_settings(session);
        }
        Ok(done)
    }

    fn run_of_transaction(&mut self, statement: Utility, done: &mut Done) -> Result<()> {
        done.tag = match statement {
            Utility::Begin(modes) => {
                self.begin(&modes, done)?;
                "BEGIN"
            }
            Utility::Commit => {
                self.end(true, done);
                if done.ended == Some(false) { "ROLLBACK" } else { "COMMIT" }
            }
            Utility::Rollback => {
                self.end(false, done);
                "ROLLBACK"
            }
            Utility::Savepoint(name) => {
                let now = self.client.settings.snapshot();
                self.transaction("SAVEPOINT")?.savepoints.push((name, now));
                "SAVEPOINT"
            }
            Utility::Release(name) => {
                let at = self.savepoint("RELEASE SAVEPOINT", &name)?;
                self.transaction("RELEASE SAVEPOINT")?.savepoints.truncate(at);
                done.inside = Some(Inside::Released(at));
                "RELEASE"
            }
            Utility::RollbackTo(name) => {
                let at = self.savepoint("ROLLBACK TO SAVEPOINT", &name)?;
                let transaction = self.transaction("ROLLBACK TO SAVEPOINT")?;
                transaction.savepoints.truncate(at + 1);
                transaction.failed = false;
                done.inside = Some(Inside::RolledBack(at));
                if let Some((_, settings)) = transaction.savepoints.last().cloned() {
                    self.client.settings.restore(settings);
                    done.changed = Changed::All;
                }
                "ROLLBACK"
            }
            // The others return rows or need the engine, and are run where that is.
            _ => return Err(UserError::new(sqlstate::INTERNAL, "the statement cannot be run here").into()),
        };
        Ok(())
    }

    fn begin(&mut self, modes: &Modes, done: &mut Done) -> Result<()> {
        if self.transaction.is_some() {
            done.warn("25001", "there is already a transaction in progress");
        } else {
            let settings = self.client.settings.snapshot();
            self.client.pin();
            self.transaction = Some(Transaction { failed: false, settings, local: Vec::new(), savepoints: Vec::new() });
        }
        for what in ["isolation", "read_only", "deferrable"] {
            let value = self.client.settings.get(&format!("default_transaction_{what}"))?;
            self.local(&format!("transaction_{what}"), &value)?;
        }
        self.modes(modes, "transaction", done)
    }

    /// End the transaction. No transaction is none to end.
    fn end(&mut self, commit: bool, done: &mut Done) {
        let Some(transaction) = self.transaction.take() else {
            done.warn("25P01", "there is no transaction in progress");
            return;
        };
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
        done.changed = Changed::All;
        done.ended = Some(commit);
    }

    fn transaction(&mut self, what: &str) -> Result<&mut Transaction> {
        let missing = || UserError::new("25P01", format!("{what} can only be used in transaction blocks"));
        self.transaction.as_mut().ok_or_else(|| missing().into())
    }

    fn savepoint(&mut self, what: &str, name: &str) -> Result<usize> {
        let found = self.transaction(what)?.savepoints.iter().rposition(|(known, _)| known == name);
        found.ok_or_else(|| UserError::new("3B001", format!("savepoint \"{name}\" does not exist")).into())
    }

    fn set(&mut self, name: &str, value: Option<String>, local: bool, done: &mut Done) -> Result<()> {
        let settings = &self.client.settings;
        let key = name.to_ascii_lowercase();
        let before = settings.snapshot().get(&key).cloned();
        match value {
            Some(value) => {
                if key.starts_with(OPTIONS) {
                    let mut options = ConfigOptions::default();
                    options.extensions.insert(PseudonymOptions::default());
                    options.set(&key, &value).map_err(|error| UserError::invalid(error.strip_backtrace()))?;
                }
                settings.set(name, &value)?;
            }
            None => settings.reset(name)?,
        }
        match (&mut self.transaction, local) {
            (Some(transaction), true) => transaction.local.push((key, before)),
            (Some(transaction), false) => transaction.local.retain(|(known, _)| *known != key),
            (None, true) => {
                match before {
                    Some(before) => settings.set(name, &before).map(drop)?,
                    None => settings.reset(name)?,
                }
                done.warn("25P01", "SET LOCAL can only be used in transaction blocks");
            }
            (None, false) => {}
        }
        done.change(name);
        Ok(())
    }

    /// Set what is said of transactions: every read of one sees the same rows whatever level it asks for.
    fn modes(&mut self, modes: &Modes, prefix: &str, done: &mut Done) -> Result<()> {
        let on_off = |value: bool| if value { "on" } else { "off" }.to_owned();
        for (name, value) in [
            ("isolation", modes.isolation.clone()),
            ("read_only", modes.read_only.map(on_off)),
            ("deferrable", modes.deferrable.map(on_off)),
        ] {
            let Some(value) = value else { continue };
            let name = format!("{prefix}_{name}");
            if prefix == "transaction" {
                self.local(&name, &value)?;
            } else {
                self.client.settings.set(&name, &value)?;
                done.change(&name);
            }
        }
        Ok(())
    }

    /// Set something that ends with the transaction.
    fn local(&mut self, name: &str, value: &str) -> Result<()> {
        let before = self.client.settings.snapshot().get(name).cloned();
        self.client.settings.set(name, value)?;
        if let Some(transaction) = &mut self.transaction {
            transaction.local.push((name.to_owned(), before));
        }
        Ok(())
    }

    fn reset_all(&self, done: &mut Done) {
        self.client.settings.restore(BTreeMap::new());
        done.changed = Changed::All;
    }
}

fn first_schema(path: &str) -> Option<&'static str> {
    let names = path.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_lowercase());
    let known = ["public", "system", "pg_catalog", "information_schema"];
    names.into_iter().find_map(|name| known.into_iter().find(|known| *known == name))
}

/// What decides how long a cursor lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// It outlives the transaction that declares it, if that commits.
    pub(crate) hold: bool,
    /// How many savepoints it is inside of.
    pub(crate) depth: usize,
}

/// A cursor that lives for a while.
pub(crate) trait Lives {
    /// How long.
    fn life(&mut self) -> &mut Life;
}

/// The prepared statements and cursors of a session, by name.
#[derive(Debug)]
pub(crate) struct Kept<P, C> {
    pub(crate) statements: HashMap<String, Arc<P>>,
    pub(crate) cursors: HashMap<String, C>,
}

impl<P, C> Default for Kept<P, C> {
    fn default() -> Self {
        Self { statements: HashMap::new(), cursors: HashMap::new() }
    }
}

impl<P, C> Kept<P, C> {
    pub(crate) fn keep_statement(&mut self, name: String, prepared: P) -> Result<()> {
        if !name.is_empty() {
            if self.statements.contains_key(&name) {
                return Err(UserError::new("42P05", format!("prepared statement \"{name}\" already exists")).into());
            }
            room(self.statements.len(), "prepared statements")?;
        }
        self.statements.insert(name, Arc::new(prepared));
        Ok(())
    }

    pub(crate) fn statement(&self, name: &str) -> Result<Arc<P>> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let shown = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            UserError::new("26000", shown).into()
        })
    }

    pub(crate) fn keep_cursor(&mut self, name: String, cursor: C) -> Result<()> {
        if self.cursors.contains_key(&name) {
            return Err(UserError::new("42P03", format!("cursor \"{name}\" already exists")).into());
        }
        room(self.cursors.len(), "cursors")?;
        self.cursors.insert(name, cursor);
        Ok(())
    }

    pub(crate) fn cursor(&mut self, name: &str) -> Result<&mut C> {
        let missing = || UserError::new("34000", format!("cursor \"{name}\" does not exist"));
        Ok(self.cursors.get_mut(name).ok_or_else(missing)?)
    }

    /// Forget what a statement says is to be forgotten; none if it is about something else.
    pub(crate) fn forget(&mut self, statement: &Utility) -> Result<Option<Done>> {
        let tag = match statement {
            Utility::Deallocate(None) => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            Utility::Deallocate(Some(name)) => {
                self.statement(name)?;
                self.statements.remove(name);
                "DEALLOCATE"
            }
            Utility::CloseCursor(None) => {
                self.cursors.clear();
                "CLOSE CURSOR ALL"
            }
            Utility::CloseCursor(Some(name)) => {
                self.cursor(name)?;
                self.cursors.remove(name);
                "CLOSE CURSOR"
            }
            _ => return Ok(None),
        };
        Ok(Some(Done::new(tag)))
    }
}

impl<P, C: Lives> Kept<P, C> {
    /// Forget the cursors that end with the transaction, or the part of it, that a statement ended.
    pub(crate) fn end_cursors(&mut self, done: &Done) {
        if let Some(inside) = done.inside {
            self.cursors.retain(|_, cursor| match inside {
                Inside::Released(depth) => {
                    let life = cursor.life();
                    life.depth = life.depth.min(depth);
                    true
                }
                Inside::RolledBack(depth) => cursor.life().depth <= depth,
            });
        }
        if let Some(commit) = done.ended {
            self.cursors.retain(|_, cursor| {
                let life = cursor.life();
                life.depth = 0;
                life.hold && commit
            });
        }
    }
}

/// Whether one more fits.
pub(crate) fn room(used: usize, what: &str) -> Result<()> {
    if used >= MOST {
        return Err(UserError::new("53400", format!("too many {what}: a connection has {MOST} at most"))
            .hint("close those that are done with")
            .into());
    }
    Ok(())
}

/// How long a cursor lives that is declared now. DECLARE outside of a transaction is refused, unless the cursor outlives it.
pub(crate) fn declared(control: &Control, hold: bool) -> Result<Life> {
    if control.open().is_none() && !hold {
        return Err(UserError::new("25P01", "DECLARE CURSOR can only be used in transaction blocks").into());
    }
    Ok(Life { hold, depth: control.depth() })
}

/// Whether there are as many arguments of EXECUTE as parameters.
pub(crate) fn check_arguments(name: &str, given: usize, wanted: usize) -> Result<()> {
    if given == wanted {
        return Ok(());
    }
    let message = format!("wrong number of parameters for prepared statement \"{name}\"");
    Err(UserError::new(sqlstate::SYNTAX, message)
        .detail(format!("Expected {wanted} parameters but got {given}."))
        .into())
}

/// The first rows of a batch, as many as are wanted at most, and the others if there are any.
pub(crate) fn first_rows(batch: RecordBatch, most: usize) -> (RecordBatch, Option<RecordBatch>) {
    match batch.num_rows().checked_sub(most) {
        None | Some(0) => (batch, None),
        Some(rest) => (batch.slice(0, most), Some(batch.slice(most, rest))),
    }
}
