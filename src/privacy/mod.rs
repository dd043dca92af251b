//! What may be known of persons: rules that are applied before anything is written, pseudonyms, and what finds a person again
//! who is to be forgotten. Pure: text and Arrow in, Arrow out.
//!
//! The rules are data, in the file `privacy.yaml` of the lake:
//!
//! ```yaml
//! rules:                                  # of the rules of a table the first that fits a column or key decides
//!   - {table: spans, column: user_id, action: pseudonym}
//!   - {table: spans, column: attributes.http.request.header.*, action: drop}
//!   - {table: iam_events, column: source_ip, action: drop}
//!   - {table: iam_events, column: raw, action: keep}
//! ```
//!
//! Without the file, or without a rule that fits, a value is written as it came. `column` is a column, a key of a map
//! (`attributes.enduser.id`; `events.KEY` and `links.KEY` are attributes of events and links), or the beginning of such a
//! key with `*` behind it. An attribute that has a column of its own (`user.id`, `enduser.id`, `tenant.id`) is meant there as well.
//! The event as delivered (`iam_events.raw`) is dropped where a rule hides another column of that table, unless a rule is
//! about it. Where there are rules no samples of rejected records are kept, for rules cannot be applied to them.

mod keys;
mod person;
mod rules;
mod walk;

#[cfg(test)]
mod tests;

use crate::model::{Partition, Table};

pub use keys::{Keys, PURPOSE};
pub use person::{FORGOTTEN, Person};
pub use rules::{Action, Rules, TableRules};
pub use walk::{Fate, holds, rewrite};

/// Whether the rows of a table cannot be without a column: what identifies them, their times, what files are laid out by.
#[must_use]
pub fn required(table: &Table, column: &str) -> bool {
    let time = match table.partition {
        Partition::Day(time) | Partition::Month(time) => Some(time),
        Partition::None => None,
    };
    // Of logs and points what they say is part of the key, but their rows are told apart without.
    let key = table.key.contains(&column) && !["body", "attributes", "resource_attributes"].contains(&column);
    key || made_by_machines(column)
        || column.ends_with("_unix_nano")
        || time == Some(column)
        || table.partition.column() == Some(column)
}

/// Whether others than people rely on the form of a column's values.
fn made_by_machines(column: &str) -> bool {
    ["trace_id", "span_id", "parent_span_id", "source", "ingested_at", "export_id", "content_hash", "importer"]
        .contains(&column)
}
