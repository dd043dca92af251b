//! The door of the lake: every row that is written goes through it, and the rules of `privacy.yaml` are applied there.
//!
//! The rules are read when a writer begins, so that a change of them holds from the next commit on, on every node. A file
//! that cannot be understood, or a key that is missing, is an error of whoever wants to write: nothing gets in as it came.
//! What the rules are, and which keys there are, is recorded in `system.audit` by the first writer that finds them changed.

use std::path::Path as FilePath;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Journal, Lake};
use crate::config::{self, PRIVACY_FILE, PSEUDONYM_KEYS_FILE_VARIABLE, PSEUDONYM_KEYS_VARIABLE};
use crate::error::{Error, Result, UserError, sqlstate};
use crate::model::Table;
use crate::model::system::{AUDIT, REPORT_RUNS};
use crate::privacy::{Keys, Rules, TableRules};

/// Marks in the log of `system.audit` for the rules and keys that were recorded last.
const RULES_MARK: &str = "privacy/rules";
const KEYS_MARK: &str = "privacy/keys";

/// What rows of a table have to pass.
#[derive(Debug, Clone)]
pub struct Door(Option<Arc<(TableRules, Option<Keys>)>>);

impl Door {
    /// Rows as they may be written.
    ///
    /// # Errors
    /// When Arrow refuses what the rules make of them, which is a defect of ours.
    pub fn pass(&self, batch: RecordBatch) -> Result<RecordBatch> {
        match &self.0 {
            Some(inside) => inside.0.apply(batch, inside.1.as_ref()),
            None => Ok(batch),
        }
    }
}

impl Lake {
    /// The door of a table, as the rules are now. Rows that a writer of the table takes go through it by themselves; who
    /// compares rows with stored ones lets them through before.
    ///
    /// # Errors
    /// When the rules cannot be read or understood, or need a key that is not there.
    pub async fn door(self: &Arc<Self>, table: &'static Table) -> Result<Door> {
        // These are written by the server, and no rule is about them.
        if [AUDIT.name, REPORT_RUNS.name].contains(&table.name) {
            return Ok(Door(None));
        }
        let rules = self.privacy_rules().await?;
        let own = rules.of(table);
        let keys = if rules.is_empty() { None } else { self.pseudonym_keys()? };
        if own.needs_keys() && keys.is_none() {
            let message = format!("{PRIVACY_FILE} asks for pseudonyms in {}, and there is no key", table.name);
            let hint = format!("{PSEUDONYM_KEYS_FILE_VARIABLE} names a file outside of the lake with the keys");
            return Err(UserError::invalid(message).detail("Nothing is written.").hint(hint).into());
        }
        self.note_rules(&rules, keys.as_ref()).await?;
        Ok(Door((!own.is_empty()).then(|| Arc::new((own, keys)))))
    }

    /// The rules of the lake.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub async fn privacy_rules(&self) -> Result<Rules> {
        match self.store.get(&Path::from(PRIVACY_FILE)).await {
            Ok(found) => {
                let bytes = found.bytes().await?;
                let text = std::str::from_utf8(&bytes)
                    .map_err(|_| UserError::new(sqlstate::SYNTAX, format!("{PRIVACY_FILE}: it is no text in UTF-8")))?;
                Rules::parse(text)
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Rules::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// The keys of pseudonyms, if there are any.
    ///
    /// # Errors
    /// When they cannot be read or understood, or are kept in the lake.
    pub fn pseudonym_keys(&self) -> Result<Option<Keys>> {
        if let Some(text) = self.keys.clone().or_else(|| config::variable(PSEUDONYM_KEYS_VARIABLE)) {
            return Ok(Some(Keys::parse(&text)?));
        }
        let Some(path) = config::variable(PSEUDONYM_KEYS_FILE_VARIABLE) else { return Ok(None) };
        let wrong = |what: String| UserError::invalid(format!("{PSEUDONYM_KEYS_FILE_VARIABLE}: {path}: {what}"));
        let real = FilePath::new(&path).canonicalize().map_err(|error| wrong(error.to_string()))?;
        let lake = self.root.to_file_path().ok().and_then(|lake| lake.canonicalize().ok());
        if lake.is_some_and(|lake| real.starts_with(lake)) {
            let hint = "who can read the lake could undo every pseudonym";
            return Err(wrong("the keys are inside of the lake".to_owned()).hint(hint).into());
        }
        let text = std::fs::read_to_string(&real).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(Keys::parse(&text)?))
    }

    /// Record the rules and keys if they are others than those that were recorded last.
    async fn note_rules(self: &Arc<Self>, rules: &Rules, keys: Option<&Keys>) -> Result<()> {
        let mut marks = vec![(RULES_MARK.to_owned(), rules.fingerprint())];
        marks.extend(keys.map(|keys| (KEYS_MARK.to_owned(), keys.fingerprint())));
        let mut noted = self.noted.lock().await;
        if noted.as_ref() == Some(&marks) {
            return Ok(());
        }
        // A lake that never had rules has nothing to record.
        let never = rules.is_empty() && noted.is_none() && !self.has_transaction(&AUDIT, RULES_MARK).await?;
        if !never {
            let keys = keys.map_or_else(String::new, |keys| format!("; keys {}", keys.describe()));
            let statement = format!("PRIVACY RULES: {}{keys}", rules.describe());
            // The writer of this record has no door, so this ends.
            let recorded = Box::pin(async {
                let mut journal = Journal::new(self, "privacy");
                journal.record(statement, None, marks.clone()).await
            });
            let recorded: Result<_, Error> = recorded.await;
            recorded?;
        }
        *noted = Some(marks);
        Ok(())
    }
}
