//! The keys of pseudonyms, which are never in the lake.
//!
//! ```yaml
//! keys:
//!   - {id: 1, key: "sixteen bytes or more"}                      # of everything before the others
//!   - {id: 2, from: 2026-07-01, key: "another, as long"}         # of rows whose own time is of that day (UTC) or later
//! ```

use ascribe_udfs::{PseudonymOptions, Pseudonyms};
use chrono::NaiveDate;
use serde::Deserialize;

use crate::error::{Result, UserError, sqlstate};
use crate::model::day_of;

/// The purpose that pseudonyms are made for: `pseudonymize(value, 'lake')` in SQL gives the same with the same key.
pub const PURPOSE: &str = "lake";

/// The keys, each with the time from which it counts.
#[derive(Debug, Clone)]
pub struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: u32,
    /// Days since the epoch; none for ever.
    from: Option<i32>,
    pseudonyms: Pseudonyms,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: Vec<KeyText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    id: u32,
    from: Option<String>,
    key: String,
}

fn wrong(what: impl std::fmt::Display) -> UserError {
    UserError::new(sqlstate::SYNTAX, format!("the keys of pseudonyms are not understood: {what}"))
        .hint("keys: [{id: 1, key: \"…\"}, {id: 2, from: 2026-07-01, key: \"…\"}]")
}

impl Keys {
    /// The keys that a text says, oldest first.
    ///
    /// # Errors
    /// When the text is not understood, a key is too short, or two have an id or a beginning in common. No error shows
    /// anything of a key.
    pub fn parse(text: &str) -> Result<Self> {
        // What the parser says may quote a key.
        let document: Document = serde_norway::from_str(text).map_err(|error| match error.location() {
            Some(place) => wrong(format!("line {}, column {}", place.line(), place.column())),
            None => wrong("they are no such document"),
        })?;
        let mut keys = Vec::new();
        for KeyText { id, from, key } in document.keys {
            let from = match from {
                None => None,
                Some(text) => {
                    let date: NaiveDate = text.parse().map_err(|_| wrong(format!("key {id}: from is no date")))?;
                    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
                    Some(day_of(midnight.timestamp_micros()))
                }
            };
            let pseudonyms = Pseudonyms::new(key.as_bytes(), id, PURPOSE)
                .map_err(|_| wrong(format!("key {id} has less than {} bytes", PseudonymOptions::SHORTEST_KEY)))?;
            keys.push(Key { id, from, pseudonyms });
        }
        keys.sort_by_key(|key| (key.from, key.id));
        if keys.is_empty() {
            return Err(wrong("there is none").into());
        }
        for (at, key) in keys.iter().enumerate() {
            for other in keys.iter().skip(at + 1) {
                if key.id == other.id {
                    return Err(wrong(format!("two keys have the id {}", key.id)).into());
                }
                if key.from == other.from {
                    return Err(wrong(format!("keys {} and {} begin at the same time", key.id, other.id)).into());
                }
            }
        }
        Ok(Self(keys))
    }

    /// The pseudonym of a value in a row of a time, microseconds since the epoch. The oldest key counts before its own
    /// beginning, too. What is a pseudonym already stays what it is.
    #[must_use]
    pub fn pseudonym(&self, value: &str, micros: i64) -> String {
        let day = day_of(micros);
        let key = self.0.iter().rev().find(|key| key.from.is_none_or(|from| from <= day)).or_else(|| self.0.first());
        match key {
            Some(key) if !Pseudonyms::is_one(value) => key.pseudonyms.of(value),
            _ => value.to_owned(),
        }
    }

    /// The pseudonyms of a value under all keys.
    pub fn all(&self, value: &str) -> impl Iterator<Item = String> {
        self.0.iter().map(|key| key.pseudonyms.of(value))
    }

    /// A number that stands for the keys, positive: another one when a key is another under the same id.
    #[must_use]
    pub fn fingerprint(&self) -> i64 {
        let proofs: Vec<String> = self.all("").collect();
        super::rules::fingerprint(&format!("{} {}", self.describe(), proofs.join(" ")))
    }

    /// Which keys there are, without what they are: `1, 2 from 2026-07-01`.
    #[must_use]
    pub fn describe(&self) -> String {
        let say = |key: &Key| {
            let from = key.from.and_then(datafusion::arrow::datatypes::Date32Type::to_naive_date_opt);
            from.map_or_else(|| key.id.to_string(), |from| format!("{} from {from}", key.id))
        };
        self.0.iter().map(say).collect::<Vec<_>>().join(", ")
    }
}
