//! Rows of an export to rows of `costs`.

use std::borrow::Cow;

use super::columns::{self, COLUMNS, Column};
use crate::error::{Result, UserError};
use crate::ingest::json_records::Reason;
use crate::model::cost::CostRow;

/// Which column of a file lands where.
#[derive(Debug)]
pub struct Layout {
    /// Index in [`COLUMNS`] and in the file, the best name of a column first.
    known: Vec<(usize, usize)>,
    /// Index in the file and name of what goes to `x`.
    extra: Vec<(usize, String)>,
}

impl Layout {
    /// Understand a header. `map` names columns that the user placed: FOCUS or lake name, and name in the file.
    ///
    /// # Errors
    /// When a column that no export can do without is missing, or `map` names what does not exist.
    pub fn of(header: &[String], map: &[(String, String)]) -> Result<Self> {
        let normalized: Vec<String> = header.iter().map(|name| columns::normalize(name)).collect();
        let mut ranked: Vec<(usize, usize, usize)> = Vec::new();
        for (rank, (target, source)) in map.iter().enumerate() {
            ranked.push((known_column(target)?, rank, position(header, &normalized, source)?));
        }
        for (at, name) in normalized.iter().enumerate() {
            if ranked.iter().any(|(_, _, taken)| *taken == at) {
                continue;
            }
            let found = COLUMNS.iter().enumerate().find_map(|(column, Column { names, .. })| {
                names.iter().position(|known| columns::normalize(known) == *name).map(|rank| (column, rank))
            });
            if let Some((column, rank)) = found {
                ranked.push((column, map.len() + rank, at));
            }
        }
        ranked.sort_unstable();
        // What lost against a better name of the same column stays visible under its own.
        let mut known = Vec::new();
        let mut previous = None;
        for &(column, _, at) in &ranked {
            known.push((column, at));
            previous = previous.filter(|last| *last == column).or(Some(column));
        }
        let best = |at: usize| {
            known.iter().enumerate().any(|(index, (column, place))| {
                *place == at && (index == 0 || known.get(index - 1).is_none_or(|(before, _)| before != column))
            })
        };
        let extra = header.iter().enumerate().filter(|(at, name)| !best(*at) && !name.is_empty());
        let extra = extra.map(|(at, name)| (at, name.clone())).collect();
        let layout = Self { known, extra };
        layout.check(&normalized)?;
        Ok(layout)
    }

    fn check(&self, normalized: &[String]) -> Result<()> {
        let missing: Vec<&str> = COLUMNS
            .iter()
            .enumerate()
            .filter(|(index, column)| column.required && !self.known.iter().any(|(known, _)| known == index))
            .map(|(_, column)| column.id())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let azure = ["pretaxcost", "costinbillingcurrency", "metercategory"];
        let hint = if normalized.iter().any(|name| azure.iter().any(|sign| name.ends_with(sign))) {
            "This is an Azure cost export of its own format; let Cost Management export \"Cost and usage details (FOCUS)\"."
        } else {
            "Name them with --map FOCUS_COLUMN=COLUMN_IN_FILE, or export the charges as FOCUS 1.0 to 1.3."
        };
        let message = format!("the file is not a FOCUS export: it has no column {}", missing.join(", "));
        Err(UserError::invalid(message).hint(hint).into())
    }

    /// The row of an export, or why it has none. `cell` gives the text of a column, or nothing for null.
    pub fn row<'a>(&self, cell: impl Fn(usize) -> Option<&'a str>) -> std::result::Result<CostRow<'a>, Reason>
    where
        Self: 'a,
    {
        let value = |at| cell(at).map(str::trim).filter(|text| !is_null(text));
        let mut row = CostRow::default();
        for &(index, at) in &self.known {
            let (Some(column), Some(text)) = (COLUMNS.get(index), value(at)) else { continue };
            columns::set(column.target, &mut row, text)
                .map_err(|error| Cow::Owned(format!("{}: {error}", column.id())))?;
        }
        for column in COLUMNS.iter().filter(|column| column.required) {
            if !columns::is_set(column.target, &mut row) {
                return Err(Cow::Owned(format!("{} is empty", column.id())));
            }
        }
        for (at, name) in &self.extra {
            if let Some(text) = value(*at) {
                row.x.push((Cow::Owned(name.clone()), Cow::Borrowed(text)));
            }
        }
        if row.export_id.is_none() {
            row.export_id = Some(Cow::Owned(export_id(&row)));
        }
        Ok(row)
    }
}

/// How exports write that there is no value.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "NULL" | "null" | "\\N")
}

/// What delivers again and again: a provider, for a billing account.
fn export_id(row: &CostRow<'_>) -> String {
    let provider = [&row.service_provider_name, &row.invoice_issuer_name, &row.host_provider_name];
    let provider = provider.into_iter().flatten().next().map_or("unknown", |name| name.as_ref());
    format!("{provider}/{}", row.billing_account_id.as_deref().unwrap_or("unknown"))
}

fn known_column(name: &str) -> Result<usize> {
    let wanted = columns::normalize(name);
    let found = COLUMNS.iter().position(|column| column.names.iter().any(|known| columns::normalize(known) == wanted));
    found.ok_or_else(|| {
        let known: Vec<&str> = COLUMNS.iter().map(Column::id).collect();
        UserError::invalid(format!("--map: there is no FOCUS column \"{name}\""))
            .hint(format!("Columns are {}.", known.join(", ")))
            .into()
    })
}

fn position(header: &[String], normalized: &[String], name: &str) -> Result<usize> {
    let wanted = columns::normalize(name);
    let exact = header.iter().position(|column| column == name);
    exact.or_else(|| normalized.iter().position(|column| *column == wanted)).ok_or_else(|| {
        UserError::invalid(format!("--map: the file has no column \"{name}\""))
            .hint(format!("Its columns are {}.", header.join(", ")))
            .into()
    })
}
