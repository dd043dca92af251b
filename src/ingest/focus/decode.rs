//! Rows of an export to rows of `costs`.

use std::borrow::Cow;

use super::azure;
use super::columns::{self, COLUMNS, Column};
use crate::error::{Result, UserError};
use crate::ingest::json_records::Reason;
use crate::ingest::{Options, times};
use crate::model::cost::CostRow;

/// Which column of a file lands where.
#[derive(Debug)]
pub struct Layout {
    /// Index in [`COLUMNS`] and in the file, the best name of a column first.
    known: Vec<(usize, usize)>,
    /// Index in the file and name of what goes to `x`.
    extra: Vec<(usize, String)>,
    /// Index in [`COLUMNS`] and what every row has there.
    constants: Vec<(usize, String)>,
    /// Whether it is Azure's own format.
    of_azure: bool,
}

impl Layout {
    /// Understand a header. The options name columns that the user placed, by FOCUS or lake name: those of the file, and
    /// what every row has.
    ///
    /// # Errors
    /// When a column that no export can do without is missing, or the options name what does not exist.
    pub fn of(header: &[String], options: &Options) -> Result<Self> {
        let map = &options.map;
        let own_name = |name: &String| columns::normalize(azure::own_name(name));
        let mut normalized: Vec<String> = header.iter().map(own_name).collect();
        let of_azure = azure::is_native(&normalized);
        if !of_azure {
            normalized = header.iter().map(|name| columns::normalize(name)).collect();
        }
        let mut ranked: Vec<(usize, usize, usize)> = Vec::new();
        for (rank, (target, source)) in map.iter().enumerate() {
            ranked.push((known_column("--map", target)?, rank, position(header, &normalized, source)?));
        }
        for (at, name) in normalized.iter().enumerate() {
            if ranked.iter().any(|(_, _, taken)| *taken == at) {
                continue;
            }
            let found = COLUMNS.iter().enumerate().find_map(|(column, Column { names, .. })| {
                names.iter().position(|known| columns::normalize(known) == *name).map(|rank| (column, rank))
            });
            let of_azure = || {
                let (id, rank) = azure::meaning(name).filter(|_| of_azure)?;
                Some((COLUMNS.iter().position(|column| column.id() == id)?, COLUMNS.len() + rank))
            };
            if let Some((column, rank)) = found.or_else(of_azure) {
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
        let extra = extra.map(|(at, name)| (at, columns::name_in_x(name).to_owned())).collect();
        let constants = options.set.iter().map(|(target, value)| Ok((known_column("--set", target)?, value.clone())));
        let constants = constants.collect::<Result<_>>()?;
        let layout = Self { known, extra, constants, of_azure };
        layout.check(&normalized)?;
        Ok(layout)
    }

    fn check(&self, normalized: &[String]) -> Result<()> {
        let missing: Vec<&str> = COLUMNS
            .iter()
            .enumerate()
            .filter(|(index, column)| column.required && !self.gives(*index))
            .map(|(_, column)| column.id())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (what, hint) = if self.of_azure || normalized.iter().any(|name| name == "metercategory") {
            (
                "Azure's cost export",
                "Say what all rows have with --set FOCUS_COLUMN=VALUE, such as --set BillingCurrency=EUR.",
            )
        } else {
            let hint = "Name them with --map FOCUS_COLUMN=COLUMN_IN_FILE, or export the charges as FOCUS 1.0 to 1.3.";
            ("the file is not a FOCUS export: it", hint)
        };
        let message = format!("{what} has no column {}", missing.join(", "));
        Err(UserError::invalid(message).hint(hint).into())
    }

    /// Whether rows have a value for a column of [`COLUMNS`], by themselves or because it follows from others.
    fn gives(&self, index: usize) -> bool {
        let named = self.known.iter().any(|(known, _)| *known == index);
        let follows =
            COLUMNS.get(index).is_some_and(|column| matches!(column.id(), "ChargePeriodEnd" | "BillingPeriodStart"));
        named || self.constants.iter().any(|(known, _)| *known == index) || (self.of_azure && follows)
    }

    /// The row of an export, or why it has none. `cell` gives the text of a column, or nothing for null.
    pub fn row<'a>(&'a self, cell: impl Fn(usize) -> Option<&'a str>) -> std::result::Result<CostRow<'a>, Reason> {
        let value = |at| cell(at).map(str::trim).filter(|text| !is_null(text));
        let mut row = CostRow::default();
        let time = if self.of_azure { azure::time } else { times::parse };
        let constants = self.constants.iter().map(|(index, text)| (*index, Some(text.as_str())));
        for (index, text) in constants.chain(self.known.iter().map(|&(index, at)| (index, value(at)))) {
            let (Some(column), Some(text)) = (COLUMNS.get(index), text) else { continue };
            columns::set(column.target, &mut row, text, time)
                .map_err(|error| Cow::Owned(format!("{}: {error}", column.id())))?;
        }
        if self.of_azure {
            azure::complete(&mut row);
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

fn known_column(option: &str, name: &str) -> Result<usize> {
    let wanted = columns::normalize(name);
    let found = COLUMNS.iter().position(|column| column.names.iter().any(|known| columns::normalize(known) == wanted));
    found.ok_or_else(|| {
        let known: Vec<&str> = COLUMNS.iter().map(Column::id).collect();
        UserError::invalid(format!("{option}: there is no FOCUS column \"{name}\""))
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
