//! The rules, and what they make of rows.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use datafusion::arrow::datatypes::{DataType, TimestampMicrosecondType};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::keys::Keys;
use super::walk::{Fate, rewrite};
use super::{made_by_machines, required};
use crate::config::PRIVACY_FILE;
use crate::error::{Result, UserError, sqlstate};
use crate::model::identity::IAM_EVENTS;
use crate::model::system::{AUDIT, INGESTS, REPORT_RUNS};
use crate::model::{self, Partition, Table};

/// What a rule does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not written.
    Drop,
    /// A pseudonym is written, by the key of the row's own time.
    Pseudonym,
    /// It is written as it came.
    Keep,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Pseudonym => "pseudonym",
            Self::Keep => "keep",
        }
    }
}

/// Attributes that have a column of their own where a sender's map would hold them: key and column.
const HOISTED: &[(&str, &str)] = &[
    ("user.id", "user_id"),
    ("enduser.id", "user_id"),
    ("tenant.id", "tenant_id"),
    ("tenant_id", "tenant_id"),
    ("tenantId", "tenant_id"),
    ("tenant", "tenant_id"),
];

/// Which keys of a map a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Keyed {
    Every,
    One(String),
    Beginning(String),
}

impl Keyed {
    fn fits(&self, key: &str) -> bool {
        match self {
            Self::Every => true,
            Self::One(one) => key == one,
            Self::Beginning(beginning) => key.starts_with(beginning.as_str()),
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    table: &'static Table,
    /// As the file has it.
    text: String,
    column: &'static str,
    keyed: Keyed,
    action: Action,
}

/// The rules of all tables.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    table: String,
    column: String,
    action: Action,
}

impl Rules {
    /// The rules that a text says.
    ///
    /// # Errors
    /// When the text is not understood, names what does not exist, or hides what rows cannot be without.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String| UserError::new(sqlstate::SYNTAX, format!("{PRIVACY_FILE}: {what}"));
        let document: Document = serde_norway::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let mut rules = Vec::new();
        for RuleText { table, column: text, action } in document.rules {
            let Some(table) = model::table(&table) else {
                return Err(wrong(format!("there is no table {table}")).into());
            };
            if [AUDIT.name, REPORT_RUNS.name].contains(&table.name) {
                return Err(wrong(format!("{} is written by the server, not by senders", table.name)).into());
            }
            let known = table.all_columns();
            let find = |name: &str| known.iter().find(|column| column.name == name);
            let (column, keyed) = match (find(&text), text.split_once('.')) {
                (Some(column), _) => (column, Keyed::Every),
                (None, Some((name, key))) => {
                    let column = find(name).filter(|column| has_map(&(column.data_type)()));
                    let column = column.ok_or_else(|| wrong(format!("{} has no map {name}", table.name)))?;
                    let keyed = match key.strip_suffix('*') {
                        Some(beginning) => Keyed::Beginning(beginning.to_owned()),
                        None => Keyed::One(key.to_owned()),
                    };
                    (column, keyed)
                }
                (None, None) => return Err(wrong(format!("{} has no column {text}", table.name)).into()),
            };
            let kind = (column.data_type)();
            let place = format!("{}.{text}", table.name);
            if action == Action::Drop && keyed == Keyed::Every && required(table, column.name) {
                let error = wrong(format!("{place} cannot be dropped, for rows are told apart or laid out by it"));
                return Err(error
                    .hint("action: pseudonym hides the value of a text and still tells rows apart")
                    .into());
            }
            if action == Action::Pseudonym && (!has_text(&kind) || made_by_machines(column.name)) {
                let error = wrong(format!("{place} cannot be a pseudonym"));
                return Err(error.detail("Only texts can, and no ids of traces, spans, exports and files.").into());
            }
            rules.push(Rule { table, text, column: column.name, keyed, action });
        }
        Ok(Self(rules))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules in one line each, as the record of their changes has them.
    #[must_use]
    pub fn describe(&self) -> String {
        let say = |rule: &Rule| format!("{}.{} {}", rule.table.name, rule.text, rule.action.name());
        if self.0.is_empty() { "none".to_owned() } else { self.0.iter().map(say).collect::<Vec<_>>().join("; ") }
    }

    /// A number that stands for the rules, positive.
    #[must_use]
    pub fn fingerprint(&self) -> i64 {
        fingerprint(&self.describe())
    }

    /// What the rules say of one table.
    #[must_use]
    pub fn of(&self, table: &'static Table) -> TableRules {
        let own: Vec<&Rule> = self.0.iter().filter(|rule| rule.table.name == table.name).collect();
        let mut columns = Vec::new();
        for column in table.all_columns() {
            let mut rules: Vec<(Keyed, Action)> = Vec::new();
            for rule in &own {
                if rule.column == column.name {
                    rules.push((rule.keyed.clone(), rule.action));
                } else if ["attributes", "resource_attributes"].contains(&rule.column)
                    && HOISTED.iter().any(|(key, hoisted)| *hoisted == column.name && rule.keyed.fits(key))
                {
                    rules.push((Keyed::Every, rule.action));
                }
            }
            let hides = own.iter().any(|rule| rule.action != Action::Keep);
            if table.name == IAM_EVENTS.name && column.name == "raw" && rules.is_empty() && hides {
                rules.push((Keyed::Every, Action::Drop));
            }
            if rules.iter().any(|(_, action)| *action != Action::Keep) {
                columns.push((column.name, rules));
            }
        }
        let without_samples = table.name == INGESTS.name && !self.0.is_empty();
        TableRules { table, columns, without_samples }
    }
}

/// A positive number that stands for a text.
pub(super) fn fingerprint(text: &str) -> i64 {
    let bytes = Sha256::digest(text.as_bytes());
    let low = bytes.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    i64::try_from(low >> 1).unwrap_or_default()
}

fn has_map(kind: &DataType) -> bool {
    match kind {
        DataType::Map(..) => true,
        DataType::List(item) => has_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}

fn has_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 => true,
        DataType::List(item) => has_text(item.data_type()),
        other => has_map(other),
    }
}

/// The rules of one table, in order, by column.
#[derive(Debug, Clone)]
pub struct TableRules {
    table: &'static Table,
    columns: Vec<(&'static str, Vec<(Keyed, Action)>)>,
    without_samples: bool,
}

impl TableRules {
    /// Whether they change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() && !self.without_samples
    }

    /// Whether they need a key.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        self.columns.iter().any(|(_, rules)| rules.iter().any(|(_, action)| *action == Action::Pseudonym))
    }

    /// Rows as they may be written. Applied again nothing changes: a pseudonym stays what it is.
    ///
    /// # Errors
    /// When a rule needs a key and there is none.
    pub fn apply(&self, mut batch: RecordBatch, keys: Option<&Keys>) -> Result<RecordBatch> {
        if self.without_samples {
            batch = replaced(&batch, "rejections", |column| rewrite(column, &mut |_, _, text| without_samples(text)))?;
        }
        if self.columns.is_empty() {
            return Ok(batch);
        }
        let times = times(self.table, &batch);
        let no_key = || {
            UserError::new(
                sqlstate::INVALID_PARAMETER,
                format!("{PRIVACY_FILE} asks for pseudonyms, and there is no key"),
            )
        };
        for (name, rules) in &self.columns {
            batch = replaced(&batch, name, |column| {
                let plain = !has_map(column.data_type());
                let whole = rules.first().filter(|(keyed, _)| *keyed == Keyed::Every).map(|(_, action)| *action);
                if whole == Some(Action::Drop) && !matches!(column.data_type(), DataType::Map(..)) {
                    return Ok(Some(new_null_array(column.data_type(), column.len())));
                }
                let mut missing = false;
                let mut judge = |row: usize, key: Option<&str>, text: &str| {
                    let found = match key {
                        Some(key) => rules.iter().find(|(keyed, _)| keyed.fits(key)),
                        None if plain => rules.first(),
                        None => None,
                    };
                    match found.map(|(_, action)| *action) {
                        None | Some(Action::Keep) => Fate::Stays,
                        Some(Action::Drop) => Fate::Goes,
                        Some(Action::Pseudonym) if text.is_empty() => Fate::Stays,
                        Some(Action::Pseudonym) => match keys {
                            Some(keys) => {
                                Fate::Becomes(keys.pseudonym(text, times.get(row).copied().unwrap_or_default()))
                            }
                            None => {
                                missing = true;
                                Fate::Goes
                            }
                        },
                    }
                };
                let changed = rewrite(column, &mut judge)?;
                if missing { Err(no_key().into()) } else { Ok(changed) }
            })?;
        }
        Ok(batch)
    }
}

fn replaced(
    batch: &RecordBatch,
    name: &str,
    change: impl FnOnce(&ArrayRef) -> Result<Option<ArrayRef>>,
) -> Result<RecordBatch> {
    let schema = batch.schema();
    let Ok(at) = schema.index_of(name) else { return Ok(batch.clone()) };
    let mut columns = batch.columns().to_vec();
    let Some(column) = columns.get_mut(at) else { return Ok(batch.clone()) };
    let Some(changed) = change(column)? else { return Ok(batch.clone()) };
    *column = changed;
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// The own time of each row, by which its key is chosen; where it has none the time when it landed.
fn times(table: &Table, batch: &RecordBatch) -> Vec<i64> {
    let own: &[&str] = match table.partition {
        Partition::Day("started_at") => &["started_at", "finished_at"],
        Partition::Day(name) | Partition::Month(name) => &[name],
        Partition::None => &["valid_from"],
    };
    let columns: Vec<_> = own
        .iter()
        .chain(&["ingested_at"])
        .filter_map(|name| batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>())
        .collect();
    let time = |row: usize| columns.iter().find(|times| times.is_valid(row)).map_or(0, |times| times.value(row));
    (0..batch.num_rows()).map(time).collect()
}

/// Rejections without their samples, which are records as they came.
fn without_samples(rejections: &str) -> Fate {
    let Ok(serde_json::Value::Array(mut reasons)) = serde_json::from_str(rejections) else { return Fate::Goes };
    for sample in reasons.iter_mut().filter_map(|reason| reason.get_mut("sample")) {
        *sample = "".into();
    }
    Fate::Becomes(serde_json::Value::Array(reasons).to_string())
}
