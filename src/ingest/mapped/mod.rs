//! Webhooks of senders that nobody here knows: the file `webhooks.yaml` of the lake says which member of a payload is
//! which column of which table.
//!
//! ```yaml
//! webhooks:
//!   launchdarkly:                       # received at /webhooks/launchdarkly, and the name in column source
//!     table: changes                    # any table but costs, whose months are replaced whole
//!     records: /items                   # JSON pointer of the array of records; without it the body is one, or an array
//!     map:                              # column: JSON pointer into a record
//!       change_id: /_id
//!       started_at: {at: /date, unit: milliseconds}   # numbers since the epoch: seconds or milliseconds
//!       title: /titleVerb
//!       attributes.flag.key: /target/key              # a member of the table's map
//!     set: {kind: feature_flag, status: succeeded}    # what every row has
//!     signature: {header: X-LD-Signature, variable: LD_SECRET}    # HMAC-SHA256 of the body in hex, behind a `prefix`
//!     # token: {header: X-Token, variable: SOME_TOKEN}            # or a token, or neither: the server's token then
//! ```
//!
//! Values are converted as the source `csv` does it (`super::tabular`): only if nothing is lost, and a record without
//! what identifies a row or its time is rejected. The secret is in the environment, under the name of `variable`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::Deserialize;
use serde_json::Value;

use super::tabular::plan::Plan;
use super::{Input, Options, Output, SAMPLE_CHARS, Source, audit, json, json_records};
use crate::config::{self, WEBHOOKS_FILE};
use crate::error::{Result, UserError, sqlstate};
use crate::model::cost::COSTS;
use crate::model::{self, Table};
use crate::storage::Lake;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    webhooks: BTreeMap<String, Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    table: String,
    records: Option<String>,
    map: BTreeMap<String, PlaceText>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    token: Option<SecretText>,
    signature: Option<SecretText>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PlaceText {
    Pointer(String),
    Instant { at: String, unit: Unit },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Seconds,
    Milliseconds,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretText {
    header: String,
    variable: String,
    #[serde(default)]
    prefix: String,
}

/// What a sender has to show.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The header that holds it, in lowercase.
    pub header: String,
    /// What stands before it there.
    pub prefix: String,
    /// The secret itself.
    pub value: String,
    /// Whether the header holds the HMAC-SHA256 of the body instead of the secret.
    pub signs: bool,
}

/// Where a column is in a record.
#[derive(Debug)]
struct Place {
    column: String,
    pointer: String,
    unit: Option<Unit>,
}

/// One webhook of the file.
#[derive(Debug)]
pub struct Mapped {
    name: &'static str,
    /// Where it is received.
    pub path: &'static str,
    table: &'static Table,
    records: Option<String>,
    places: Vec<Place>,
    options: Options,
    /// What its sender has to show; without it the server's token.
    pub secret: Option<Secret>,
}

impl Mapped {
    /// The webhooks of a lake. They live as long as the program.
    ///
    /// # Errors
    /// When the file cannot be read or understood, maps what does not exist, or a secret is not in the environment.
    pub async fn of(lake: &Lake) -> Result<Vec<&'static Self>> {
        match lake.store().get(&Path::from(WEBHOOKS_FILE)).await {
            Ok(found) => {
                let text = found.bytes().await?;
                let mapped = Self::parse(&String::from_utf8_lossy(&text), config::variable)?;
                Ok(mapped.into_iter().map(|mapped| &*Box::leak(Box::new(mapped))).collect())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The webhooks that a text says; `variable` gives the secrets. Their names live as long as the program.
    ///
    /// # Errors
    /// When the text is not understood, maps what does not exist, or there is no such secret.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<Self>> {
        let wrong = |what: String| UserError::new(sqlstate::SYNTAX, format!("{WEBHOOKS_FILE}: {what}"));
        let document: Document = serde_norway::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let webhooks = document.webhooks.into_iter().map(|(name, text)| {
            let mapped = text.resolve(name.clone(), &variable).and_then(|mapped| {
                mapped.plan(0)?;
                Ok(mapped)
            });
            mapped.map_err(|error| {
                let told = error.describe();
                let user = wrong(format!("{name}: {}", told.message));
                match told.hint {
                    Some(hint) => user.hint(hint).into(),
                    None => user.into(),
                }
            })
        });
        webhooks.collect()
    }

    fn plan(&self, now: i64) -> Result<Plan> {
        let header: Vec<String> = self.places.iter().map(|place| place.column.clone()).collect();
        Plan::of(&header, &self.options, now)
    }

    /// The records in a payload.
    fn records<'v>(&self, payload: &'v Value) -> Option<Vec<&'v Value>> {
        match &self.records {
            None => Some(vec![payload]),
            Some(pointer) => Some(payload.pointer(pointer)?.as_array()?.iter().collect()),
        }
    }
}

impl Text {
    fn resolve(self, name: String, variable: &impl Fn(&str) -> Option<String>) -> Result<Mapped> {
        let simple =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_');
        if name.is_empty() || !name.chars().all(simple) || super::find(&name).is_some() {
            let what = "a webhook is named by lowercase letters, digits, - and _, and not as a source that is built in";
            return Err(UserError::invalid(what).into());
        }
        let table = model::table(&self.table).filter(|table| table.name != COSTS.name);
        let table = table.ok_or_else(|| UserError::invalid(format!("no webhook lands in table {}", self.table)))?;
        let mut places = Vec::new();
        for (column, place) in self.map {
            let (pointer, unit) = match place {
                PlaceText::Pointer(pointer) => (pointer, None),
                PlaceText::Instant { at, unit } => (at, Some(unit)),
            };
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(UserError::invalid(format!("{column}: \"{pointer}\" is no JSON pointer")).into());
            }
            places.push(Place { column, pointer, unit });
        }
        let secret = match (self.token, self.signature) {
            (Some(_), Some(_)) => return Err(UserError::invalid("a token and a signature are one too many").into()),
            (Some(token), None) => Some((token, false)),
            (None, signature) => signature.map(|signature| (signature, true)),
        };
        let secret = match secret {
            None => None,
            Some((text, signs)) => {
                let value = variable(&text.variable)
                    .ok_or_else(|| UserError::invalid(format!("the environment has no variable {}", text.variable)))?;
                Some(Secret { header: text.header.to_lowercase(), prefix: text.prefix, value, signs })
            }
        };
        // A name that is no column of the table, nor a member of its map, is a mistake here.
        let map = places.iter().map(|place| (place.column.clone(), place.column.clone())).collect();
        let options =
            Options { table: Some(self.table), map, set: self.set.into_iter().collect(), ..Options::default() };
        let path = format!("/webhooks/{name}").leak();
        Ok(Mapped { name: name.leak(), path, table, records: self.records, places, options, secret })
    }
}

impl Source for Mapped {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        "a webhook of webhooks.yaml"
    }

    fn tables(&self) -> Vec<&'static Table> {
        vec![self.table]
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        let plan = self.plan(input.now)?;
        let mut builders: Vec<StringBuilder> = self.places.iter().map(|_| StringBuilder::new()).collect();
        let mut samples: Vec<String> = Vec::new();
        json_records::for_each(input, &[], output, |payload, _, output| {
            for record in self.records(payload).ok_or("the payload has no array of records")? {
                let sample: String = record.to_string().chars().take(SAMPLE_CHARS).collect();
                if !record.is_object() {
                    output.reject("a record is not an object", &sample);
                    continue;
                }
                for (builder, place) in builders.iter_mut().zip(&self.places) {
                    builder.append_option(place.text(record));
                }
                samples.push(sample);
            }
            Ok(())
        })?;
        let columns: Vec<ArrayRef> =
            builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
        plan.land(&columns, output, |row| samples.get(row).cloned().unwrap_or_default())
    }
}

impl Place {
    /// The text of the column in a record; nothing for what is missing or empty.
    fn text(&self, record: &Value) -> Option<String> {
        let value = record.pointer(&self.pointer)?;
        let micros = match self.unit {
            Some(Unit::Seconds) => audit::seconds(value),
            Some(Unit::Milliseconds) => audit::instant(value),
            None => None,
        };
        let written = micros.and_then(chrono::DateTime::from_timestamp_micros).map(|at| at.to_rfc3339());
        written.or_else(|| json::as_text(value).map(std::borrow::Cow::into_owned)).filter(|text| !text.is_empty())
    }
}
