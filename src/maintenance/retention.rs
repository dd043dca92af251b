//! How long rows are kept: rules as data, in the file `retention.yaml` of the lake.
//!
//! ```yaml
//! rules:                      # of the rules of a table the first whose condition fits a row decides
//!   - table: spans
//!     where: status_code = 'ERROR'
//!     keep: 400d
//!   - table: spans
//!     keep: 14d
//! holds:                      # rows of the time of an incident are kept
//!   before: 6h                # from so long before it began
//!   after: 1h                 # until so long after it ended
//!   resolved: 90d             # for so long after it ended; while it is open, without end
//! ```
//!
//! Without the file, or without a rule that fits, a row is kept for ever.

use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::Deserialize;

use crate::config::RETENTION_FILE;
use crate::error::{Result, UserError, sqlstate};
use crate::model::{self, Partition, Table};
use crate::storage::Lake;

/// Rules of all tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    rules: Vec<Rule>,
    /// What an incident keeps.
    pub holds: Holds,
}

/// How long the rows of a tier are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    table: &'static str,
    /// SQL condition on the columns of the table; none fits every row.
    pub condition: Option<String>,
    /// For how long after a row landed.
    pub keep: Duration,
}

/// What an incident keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// From so long before it began.
    pub before: Duration,
    /// Until so long after it ended.
    pub after: Duration,
    /// For so long after it ended.
    pub resolved: Duration,
}

impl Default for Holds {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            before: Duration::from_secs(6 * HOUR),
            after: Duration::from_secs(HOUR),
            resolved: Duration::from_secs(90 * 24 * HOUR),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    rules: Vec<RuleText>,
    #[serde(default)]
    holds: HoldsText,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    table: String,
    r#where: Option<String>,
    keep: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldsText {
    before: Option<String>,
    after: Option<String>,
    resolved: Option<String>,
}

/// A length of time: a number and one of s, m, h, d.
///
/// # Errors
/// When the text is not one.
pub fn duration(text: &str) -> Result<Duration> {
    let wrong =
        || UserError::invalid(format!("\"{text}\" is not a length of time")).hint("write it as 90s, 15m, 6h or 14d");
    let unit = match text.trim().chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong().into()),
    };
    let number = text.trim().trim_end_matches(['s', 'm', 'h', 'd']).trim();
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    Ok(Duration::from_secs(seconds.filter(|seconds| *seconds <= 1000 * 366 * 86_400).ok_or_else(wrong)?))
}

impl Retention {
    /// The rules of a lake.
    ///
    /// # Errors
    /// When the file cannot be read or understood; nothing expires then.
    pub async fn of(lake: &Lake) -> Result<Self> {
        match lake.store().get(&Path::from(RETENTION_FILE)).await {
            Ok(found) => {
                let bytes = found.bytes().await?;
                Self::parse(&String::from_utf8_lossy(&bytes))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// The rules that a text says.
    ///
    /// # Errors
    /// When the text is not understood, or names a table that has no rows of a time.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String| UserError::new(sqlstate::SYNTAX, format!("{RETENTION_FILE}: {what}"));
        let document: Document = serde_norway::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let mut rules = Vec::new();
        for rule in document.rules {
            let Some(table) = model::table(&rule.table) else {
                return Err(wrong(format!("there is no table {}", rule.table)).into());
            };
            if table.partition == Partition::None {
                return Err(wrong(format!("the rows of {} have no time", rule.table)).into());
            }
            rules.push(Rule { table: table.name, condition: rule.r#where, keep: duration(&rule.keep)? });
        }
        let defaults = Holds::default();
        let given = |text: Option<String>, default| text.map_or(Ok(default), |text| duration(&text));
        let holds = Holds {
            before: given(document.holds.before, defaults.before)?,
            after: given(document.holds.after, defaults.after)?,
            resolved: given(document.holds.resolved, defaults.resolved)?,
        };
        Ok(Self { rules, holds })
    }

    /// The rules of a table in order, up to the first that fits every row.
    #[must_use]
    pub fn rules(&self, table: &Table) -> Vec<&Rule> {
        let mut rules = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.table == table.name) {
            rules.push(rule);
            if rule.condition.is_none() {
                break;
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::telemetry::{LOGS, SPANS};

    const RULES: &str = "rules:\n- {table: spans, where: status_code = 'ERROR', keep: 400d}\n- {table: spans, keep: 14d}\n\
        - {table: spans, keep: 1d}\nholds: {before: 30m}\n";

    #[test]
    fn the_first_rule_that_fits_every_row_is_the_last() {
        let retention = Retention::parse(RULES).unwrap();
        let days: Vec<u64> = retention.rules(&SPANS).iter().map(|rule| rule.keep.as_secs() / 86_400).collect();
        assert_eq!(days, [400, 14]);
        assert!(retention.rules(&LOGS).is_empty());
        assert_eq!(retention.holds, Holds { before: Duration::from_secs(1800), ..Holds::default() });
        assert_eq!(Retention::parse("").unwrap_or_default(), Retention::default());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (from, to) in
            [("spans, keep: 14d", "span, keep: 14d"), ("14d", "14"), ("14d", "99999999999d"), ("keep: 1d", "kept: 1d")]
        {
            assert!(Retention::parse(&RULES.replace(from, to)).is_err(), "{to}");
        }
        assert!(Retention::parse("rules: [{table: ownership, keep: 1d}]").is_err());
    }
}
