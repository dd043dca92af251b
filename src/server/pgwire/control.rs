//! Statements that change the session at once: settings, transactions, names to forget.

use super::connection::Connection;
use super::utility::{Modes, Utility};
use crate::catalog::settings;
use crate::error::{Result, UserError};

impl Connection {
    pub(super) fn run_session_statement(&mut self, statement: Utility) -> Result<()> {
        let tag = match statement {
            Utility::Set { name, value, local } => self.set(&name, value, local)?,
            Utility::Reset(name) => {
                self.session.client.settings.reset(&name)?;
                self.changed(&name)?;
                "RESET"
            }
            Utility::ResetAll => {
                self.reset_all()?;
                "RESET"
            }
            Utility::Begin(modes) => {
                if !self.session.begin() {
                    self.warn("25001", "there is already a transaction in progress")?;
                }
                for (name, default) in [
                    ("transaction_isolation", "default_transaction_isolation"),
                    ("transaction_read_only", "default_transaction_read_only"),
                    ("transaction_deferrable", "default_transaction_deferrable"),
                ] {
                    let value = self.session.client.settings.get(default)?;
                    self.local(name, &value)?;
                }
                self.modes(&modes, "transaction")?;
                "BEGIN"
            }
            Utility::SetTransaction { modes, session: true } => {
                self.modes(&modes, "default_transaction")?;
                "SET"
            }
            Utility::SetTransaction { modes, session: false } => {
                if self.session.transaction.is_none() {
                    self.warn("25P01", "SET TRANSACTION can only be used in transaction blocks")?;
                } else {
                    self.modes(&modes, "transaction")?;
                }
                "SET"
            }
            Utility::Commit => match self.end(true)? {
                Some(false) => "ROLLBACK",
                _ => "COMMIT",
            },
            Utility::Rollback => {
                self.end(false)?;
                "ROLLBACK"
            }
            Utility::Savepoint(name) => {
                let now = self.session.client.settings.snapshot();
                self.transaction("SAVEPOINT")?.savepoints.push((name, now));
                "SAVEPOINT"
            }
            Utility::Release(name) => {
                let at = self.savepoint("RELEASE SAVEPOINT", &name)?;
                self.transaction("RELEASE SAVEPOINT")?.savepoints.truncate(at);
                "RELEASE"
            }
            Utility::RollbackTo(name) => {
                let at = self.savepoint("ROLLBACK TO SAVEPOINT", &name)?;
                let transaction = self.transaction("ROLLBACK TO SAVEPOINT")?;
                transaction.savepoints.truncate(at + 1);
                transaction.failed = false;
                if let Some((_, settings)) = transaction.savepoints.last().cloned() {
                    self.session.client.settings.restore(settings);
                    self.session.apply_settings();
                }
                "ROLLBACK"
            }
            Utility::DiscardAll => {
                if self.session.transaction.is_some() {
                    return Err(UserError::new("25001", "DISCARD ALL cannot run inside a transaction block").into());
                }
                self.session.statements.clear();
                self.session.portals.clear();
                self.session.cursors.clear();
                self.reset_all()?;
                "DISCARD ALL"
            }
            Utility::Deallocate(None) => {
                self.session.statements.clear();
                "DEALLOCATE ALL"
            }
            Utility::Deallocate(Some(name)) => {
                self.session.statement(&name)?;
                self.session.statements.remove(&name);
                "DEALLOCATE"
            }
            Utility::CloseCursor(None) => {
                self.session.cursors.clear();
                "CLOSE CURSOR ALL"
            }
            Utility::CloseCursor(Some(name)) => {
                self.session.cursor_schema(&name)?;
                self.session.cursors.remove(&name);
                "CLOSE CURSOR"
            }
            Utility::DiscardNothing(tag) | Utility::Nothing(tag) => tag,
            // The others return rows or need the engine, and were run where that is.
            _ => {
                return Err(UserError::new(crate::error::sqlstate::INTERNAL, "the statement cannot be run here").into());
            }
        };
        self.replies.complete(tag)?;
        Ok(())
    }

    fn warn(&mut self, code: &'static str, message: &str) -> Result<()> {
        Ok(self.replies.notice("WARNING", &UserError::new(code, message))?)
    }

    fn end(&mut self, commit: bool) -> Result<Option<bool>> {
        let ended = self.session.end(commit);
        if ended.is_none() {
            self.warn("25P01", "there is no transaction in progress")?;
        } else {
            self.report_all()?;
        }
        Ok(ended)
    }

    fn transaction(&mut self, what: &str) -> Result<&mut super::session::Transaction> {
        let missing = || UserError::new("25P01", format!("{what} can only be used in transaction blocks"));
        self.session.transaction.as_mut().ok_or_else(|| missing().into())
    }

    fn savepoint(&mut self, what: &str, name: &str) -> Result<usize> {
        let found = self.transaction(what)?.savepoints.iter().rposition(|(known, _)| known == name);
        found.ok_or_else(|| UserError::new("3B001", format!("savepoint \"{name}\" does not exist")).into())
    }

    fn set(&mut self, name: &str, value: Option<String>, local: bool) -> Result<&'static str> {
        let settings = &self.session.client.settings;
        let key = name.to_ascii_lowercase();
        let before = settings.snapshot().get(&key).cloned();
        match value {
            Some(value) => {
                settings.set(name, &value)?;
            }
            None => settings.reset(name)?,
        }
        match (&mut self.session.transaction, local) {
            (Some(transaction), true) => transaction.local.push((key, before)),
            (Some(transaction), false) => transaction.local.retain(|(known, _)| *known != key),
            (None, true) => {
                match before {
                    Some(before) => settings.set(name, &before).map(drop)?,
                    None => settings.reset(name)?,
                }
                self.warn("25P01", "SET LOCAL can only be used in transaction blocks")?;
            }
            (None, false) => {}
        }
        self.changed(name)?;
        Ok("SET")
    }

    /// Set what is said of transactions: every read of one sees the same rows whatever level it asks for.
    fn modes(&mut self, modes: &Modes, prefix: &str) -> Result<()> {
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
                self.session.client.settings.set(&name, &value)?;
                self.changed(&name)?;
            }
        }
        Ok(())
    }

    /// Set something that ends with the transaction.
    fn local(&mut self, name: &str, value: &str) -> Result<()> {
        let before = self.session.client.settings.snapshot().get(name).cloned();
        self.session.client.settings.set(name, value)?;
        if let Some(transaction) = &mut self.session.transaction {
            transaction.local.push((name.to_owned(), before));
        }
        Ok(())
    }

    fn reset_all(&mut self) -> Result<()> {
        self.session.client.settings.restore(std::collections::BTreeMap::new());
        self.session.apply_settings();
        self.report_all()
    }

    /// Tell the engine and the client about a setting's new value.
    fn changed(&mut self, name: &str) -> Result<()> {
        self.session.apply_settings();
        if let Some(setting) = settings::find(name).filter(|setting| setting.report) {
            let value = self.session.client.settings.get(setting.name)?;
            self.replies.parameter(setting.name, &value)?;
            if setting.name == "application_name" {
                self.activity(|activity| activity.application = value);
            }
        }
        Ok(())
    }

    /// Tell the client every value that it keeps track of.
    pub(super) fn report_all(&mut self) -> Result<()> {
        for setting in settings::SETTINGS.iter().filter(|setting| setting.report) {
            let value = self.session.client.settings.get(setting.name)?;
            self.replies.parameter(setting.name, &value)?;
        }
        Ok(())
    }
}
