//! Which column of a file becomes which column of a table, and the rows that come of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::filter;
use datafusion::arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};

use super::cells;
use crate::error::{Result, UserError, sqlstate};
use crate::ingest::{BYTES_PER_BATCH, Options, Output, parquet_file};
use crate::model::cell::{CellType, MONEY_PRECISION, MONEY_SCALE, TextMap};
use crate::model::{self, Attributes, Partition, Table, assemble};

/// One unit of a weight.
const WHOLE: i128 = 1_000_000_000_000;

/// How a file becomes rows of a table.
pub struct Plan {
    table: &'static Table,
    /// For every column of the table, the column of the file.
    from: Vec<Option<usize>>,
    /// Members of the table's map: its column, and key and column of the file.
    members: Option<(usize, Vec<(String, usize)>)>,
    /// What every row has, as further columns behind those of the file.
    constants: Vec<String>,
    now: i64,
}

impl Plan {
    /// Plan the import of a file with these columns.
    ///
    /// # Errors
    /// When the table, a target or a source of a mapping does not exist, or a needed column is missing.
    pub fn of(header: &[String], options: &Options, now: i64) -> Result<Self> {
        let table = table_of(options)?;
        let map_column = ["attributes", "labels", "x"].iter().find_map(|name| index_of(table, name));
        let constants = options.set.iter().map(|(_, value)| value.clone()).collect();
        let mut plan = Self { table, from: vec![None; table.columns.len()], members: None, constants, now };
        let mut members = Vec::new();
        let mut used = vec![false; header.len()];
        for (target, source) in &options.map {
            let at = header.iter().position(|name| name == source).ok_or_else(|| {
                UserError::invalid(format!("--map: the file has no column \"{source}\""))
                    .hint(format!("Its columns are {}.", header.join(", ")))
            })?;
            if let Some(flag) = used.get_mut(at) {
                *flag = true;
            }
            plan.place(target, map_column, at, &mut members).ok_or_else(|| no_column("--map", table, target))?;
        }
        for ((target, _), at) in options.set.iter().zip(header.len()..) {
            plan.place(target, map_column, at, &mut members).ok_or_else(|| no_column("--set", table, target))?;
        }
        for (at, name) in header.iter().enumerate().filter(|(at, _)| !used.get(*at).copied().unwrap_or_default()) {
            let lower = name.to_ascii_lowercase();
            let column = index_of(table, name).or_else(|| index_of(table, &lower));
            match column.filter(|column| plan.from.get(*column) == Some(&None)) {
                Some(column) => plan.set(column, at),
                None if is_own(table, &lower) || name.is_empty() => {}
                None => members.push((member_key(table, map_column, name).unwrap_or(name).to_owned(), at)),
            }
        }
        plan.members = map_column.map(|column| (column, members));
        plan.check(header)?;
        Ok(plan)
    }

    /// Fill what `target` names from a column; none when the table has no such place.
    fn place(
        &mut self,
        target: &str,
        map_column: Option<usize>,
        at: usize,
        members: &mut Vec<(String, usize)>,
    ) -> Option<()> {
        match index_of(self.table, target) {
            Some(column) => self.set(column, at),
            None => members.push((member_key(self.table, map_column, target)?.to_owned(), at)),
        }
        Some(())
    }

    fn set(&mut self, column: usize, at: usize) {
        if let Some(from) = self.from.get_mut(column) {
            *from = Some(at);
        }
    }

    fn has(&self, name: &str) -> bool {
        index_of(self.table, name).is_some_and(|column| matches!(self.from.get(column), Some(Some(_))))
    }

    fn check(&self, header: &[String]) -> Result<()> {
        let given = |name: &str| {
            self.has(name)
                || instants(self.table)
                    .is_some_and(|(time, nano)| (name == time && self.has(nano)) || (name == nano && self.has(time)))
                || (name == "started_at" && self.table.name == "changes" && self.has("finished_at"))
                || defaulted(self.table, name)
        };
        let missing: Vec<&str> = required(self.table).into_iter().filter(|name| !given(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("the file has no column for {} of table {}", missing.join(", "), self.table.name);
        let hint =
            format!("Say --map target=source or --set target=value; the file's columns are {}.", header.join(", "));
        Err(UserError::invalid(message).hint(hint).into())
    }

    /// Land rows; `sample` shows one that is rejected.
    ///
    /// # Errors
    /// When a column cannot be read or the output cannot take the rows.
    pub fn land(&self, columns: &[ArrayRef], output: &mut Output<'_>, sample: impl Fn(usize) -> String) -> Result<()> {
        self.land_from(0, columns, output, &sample)
    }

    /// Land the rows from one on, as many at a time as there is room for in a batch.
    fn land_from(
        &self,
        first: usize,
        columns: &[ArrayRef],
        output: &mut Output<'_>,
        sample: &dyn Fn(usize) -> String,
    ) -> Result<()> {
        let rows = columns.first().map_or(0, Array::len);
        if rows == 0 {
            return Ok(());
        }
        if rows > 1 && bytes_of(columns) > BYTES_PER_BATCH {
            for (from, rows) in [(0, rows / 2), (rows / 2, rows - rows / 2)] {
                let half: Vec<ArrayRef> = columns.iter().map(|column| column.slice(from, rows)).collect();
                self.land_from(first + from, &half, output, sample)?;
            }
            return Ok(());
        }
        let mut rejected: BTreeMap<usize, String> = BTreeMap::new();
        let constant = |value: &String| Arc::new(StringArray::from_iter_values(vec![value; rows])) as ArrayRef;
        let columns: Vec<ArrayRef> = columns.iter().cloned().chain(self.constants.iter().map(constant)).collect();
        let mut arrays = self.convert(&columns, rows, &mut rejected)?;
        self.fill_in(&mut arrays);
        for name in required(self.table) {
            let either = (name == "started_at" && self.table.name == "changes").then_some("finished_at");
            let is_null = |name: &str, row| array(self.table, &arrays, name).is_none_or(|array| array.is_null(row));
            for row in (0..rows).filter(|row| is_null(name, *row) && either.is_none_or(|other| is_null(other, *row))) {
                rejected.entry(row).or_insert_with(|| format!("{name} is empty"));
            }
        }
        for (row, reason) in &rejected {
            output.reject(reason, &sample(first + *row));
        }
        let keep: BooleanArray = (0..rows).map(|row| Some(!rejected.contains_key(&row))).collect();
        let arrays = arrays.iter().map(|array| filter(array, &keep)).collect::<Result<Vec<_>, _>>()?;
        let batch = self.batch(arrays, rows - rejected.len(), output)?;
        if batch.num_rows() > 0 { output.batch(self.table, batch) } else { Ok(()) }
    }

    fn convert(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        rejected: &mut BTreeMap<usize, String>,
    ) -> Result<Vec<ArrayRef>> {
        let mut arrays = Vec::with_capacity(self.from.len());
        for (at, (column, from)) in self.table.columns.iter().zip(&self.from).enumerate() {
            let to = (column.data_type)();
            let members = self.members.as_ref().filter(|(map, members)| *map == at && !members.is_empty());
            let array = match from.and_then(|from| columns.get(from)) {
                Some(from) => {
                    let (array, failed) = cells::convert(from, &to)?;
                    for row in failed {
                        let reason = || format!("{}: not a {}", column.name, cells::type_name(&to));
                        rejected.entry(row).or_insert_with(reason);
                    }
                    array
                }
                None if to == TextMap::data_type() => empty_maps(rows),
                None => new_null_array(&to, rows),
            };
            arrays.push(match members {
                Some((_, members)) => with_members(&array, members, columns, rejected)?,
                None => array,
            });
        }
        Ok(arrays)
    }

    /// Put in what follows from other columns.
    fn fill_in(&self, arrays: &mut [ArrayRef]) {
        let table = self.table;
        if let Some((time, nano)) = instants(table) {
            if self.has(time) && !self.has(nano) {
                let nanos =
                    array(table, arrays, time).and_then(|time| time.as_primitive_opt::<TimestampMicrosecondType>());
                let nanos: Option<Int64Array> =
                    nanos.map(|micros| micros.iter().map(|at| at?.checked_mul(1000)).collect());
                replace(table, arrays, nano, nanos.map(|nanos| Arc::new(nanos) as ArrayRef));
            } else if self.has(nano) && !self.has(time) {
                let micros = array(table, arrays, nano).and_then(|nano| nano.as_primitive_opt::<Int64Type>());
                let micros: Option<TimestampMicrosecondArray> =
                    micros.map(|nanos| nanos.iter().map(|at| Some(at?.div_euclid(1000))).collect());
                replace(table, arrays, time, micros.map(|micros| Arc::new(micros.with_timezone("UTC")) as ArrayRef));
            }
        }
        match table.name {
            "ownership" => self.fill_ownership(arrays),
            "costs" => fill_export(table, arrays),
            _ => {}
        }
    }

    fn fill_ownership(&self, arrays: &mut [ArrayRef]) {
        let table = self.table;
        let role = text_column(table, arrays, "role").map(|role| or_text(&role, "primary"));
        replace(table, arrays, "role", role);
        let weight = array(table, arrays, "weight").and_then(|weight| weight.as_primitive_opt::<Decimal128Type>());
        let weight: Option<Decimal128Array> =
            weight.map(|weight| weight.iter().map(|part| part.or(Some(WHOLE))).collect());
        let weight = weight.and_then(|weight| weight.with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE).ok());
        replace(table, arrays, "weight", weight.map(|weight| Arc::new(weight) as ArrayRef));
        let since =
            array(table, arrays, "valid_from").and_then(|since| since.as_primitive_opt::<TimestampMicrosecondType>());
        let since: Option<TimestampMicrosecondArray> =
            since.map(|since| since.iter().map(|at| at.or(Some(self.now))).collect());
        replace(table, arrays, "valid_from", since.map(|since| Arc::new(since.with_timezone("UTC")) as ArrayRef));
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize, output: &Output<'_>) -> Result<RecordBatch> {
        let times = |name: &str| {
            let times = array(self.table, &arrays, name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(times.iter().collect::<Vec<_>>())
        };
        let partition: Vec<Option<i32>> = match self.table.partition {
            Partition::None => vec![None; rows],
            Partition::Month(name) => {
                times(name).unwrap_or_default().into_iter().map(|at| at.map(model::month_of)).collect()
            }
            Partition::Day(name) => {
                let other = times("finished_at").filter(|_| self.table.name == "changes");
                let days = times(name)
                    .unwrap_or_default()
                    .into_iter()
                    .enumerate()
                    .map(|(row, at)| at.or_else(|| *other.as_ref()?.get(row)?).map(model::day_of));
                days.collect()
            }
        };
        let batch = assemble(self.table, arrays, partition, output.source(), output.ingested_at());
        if batch.num_rows() == rows {
            return Ok(batch);
        }
        let message = format!("rows of table {} could not be put together", self.table.name);
        Err(UserError::new(sqlstate::INTERNAL, message).into())
    }
}

fn table_of(options: &Options) -> Result<&'static Table> {
    let names = || model::tables().iter().map(|table| table.name).collect::<Vec<_>>().join(", ");
    let Some(name) = options.table.as_deref() else {
        let error = UserError::invalid("--table is missing: say which table the file lands in");
        return Err(error.hint(format!("Tables are {}.", names())).into());
    };
    model::tables().into_iter().find(|table| table.name == name).ok_or_else(|| {
        UserError::new(sqlstate::UNDEFINED_TABLE, format!("there is no table \"{name}\""))
            .hint(format!("Tables are {}.", names()))
            .into()
    })
}

fn no_column(option: &str, table: &Table, name: &str) -> UserError {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    UserError::invalid(format!("{option}: table {} has no column \"{name}\"", table.name))
        .hint(format!("Its columns are {}.", columns.join(", ")))
}

fn index_of(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name == name)
}

/// Columns that every table has and that an import writes itself.
fn is_own(table: &Table, name: &str) -> bool {
    matches!(name, "ingested_at" | "source") || table.partition.column() == Some(name)
}

/// The key in `attributes.KEY`, for the map that the table has.
fn member_key<'n>(table: &Table, map_column: Option<usize>, name: &'n str) -> Option<&'n str> {
    let map = table.columns.get(map_column?)?.name;
    let key = name.strip_prefix(map)?.strip_prefix('.')?;
    (!key.is_empty()).then_some(key)
}

/// Columns without which a row is nothing: what identifies it, and its time.
fn required(table: &Table) -> Vec<&'static str> {
    let mut names = match table.name {
        // Lines and points have no id of their own; a change may be in a state that nobody named.
        "logs" => vec![],
        "metric_points" => vec!["metric_name"],
        "changes" => vec!["change_id"],
        "costs" => vec!["billed_cost"],
        _ => table.key.to_vec(),
    };
    if let Partition::Day(name) | Partition::Month(name) = table.partition {
        names.push(name);
    }
    names.dedup();
    names
}

fn defaulted(table: &Table, name: &str) -> bool {
    table.name == "ownership" && matches!(name, "role" | "weight" | "valid_from")
}

/// The two columns of a table that hold the same instant.
fn instants(table: &Table) -> Option<(&'static str, &'static str)> {
    match table.name {
        "spans" => Some(("start_time", "start_unix_nano")),
        "logs" => Some(("time", "time_unix_nano")),
        _ => None,
    }
}

fn array<'a>(table: &Table, arrays: &'a [ArrayRef], name: &str) -> Option<&'a ArrayRef> {
    arrays.get(index_of(table, name)?)
}

fn text_column(table: &Table, arrays: &[ArrayRef], name: &str) -> Option<StringArray> {
    array(table, arrays, name)?.as_string_opt::<i32>().cloned()
}

fn replace(table: &Table, arrays: &mut [ArrayRef], name: &str, with: Option<ArrayRef>) {
    if let (Some(slot), Some(with)) = (index_of(table, name).and_then(|at| arrays.get_mut(at)), with) {
        *slot = with;
    }
}

fn or_text(texts: &StringArray, default: &str) -> ArrayRef {
    Arc::new(texts.iter().map(|text| Some(text.unwrap_or(default))).collect::<StringArray>())
}

fn fill_export(table: &Table, arrays: &mut [ArrayRef]) {
    let column = |name: &str| text_column(table, arrays, name);
    let (Some(export), Some(provider), Some(account)) =
        (column("export_id"), column("service_provider_name"), column("billing_account_id"))
    else {
        return;
    };
    let filled = export.iter().zip(provider.iter().zip(&account)).map(|(export, (provider, account))| match export {
        Some(export) => Some(Cow::Borrowed(export)),
        None => Some(Cow::Owned(format!("{}/{}", provider.unwrap_or("unknown"), account.unwrap_or("unknown")))),
    });
    let filled: StringArray = filled.collect();
    replace(table, arrays, "export_id", Some(Arc::new(filled)));
}

fn empty_maps(rows: usize) -> ArrayRef {
    let mut builder = TextMap::builder();
    for _ in 0..rows {
        TextMap::append(&mut builder, &Attributes::new());
    }
    TextMap::finish(&mut builder)
}

/// Bytes that the rows take.
fn bytes_of(columns: &[ArrayRef]) -> usize {
    columns.iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

/// The maps with more members, whose values are columns of the file.
fn with_members(
    maps: &ArrayRef,
    members: &[(String, usize)],
    columns: &[ArrayRef],
    rejected: &mut BTreeMap<usize, String>,
) -> Result<ArrayRef> {
    let texts = members.iter().map(|(key, at)| {
        let column =
            columns.get(*at).ok_or_else(|| UserError::new(sqlstate::INTERNAL, "a column of the file is gone"))?;
        let text = parquet_file::as_text(column)?;
        for row in parquet_file::lost(column, &text) {
            rejected.entry(row).or_insert_with(|| format!("{key}: not a text"));
        }
        Ok((key.as_str(), text))
    });
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let mut builder = TextMap::builder();
    for row in 0..maps.len() {
        let entries = maps.as_map_opt().filter(|maps| maps.is_valid(row)).map(|maps| maps.value(row));
        let mut cell = Attributes::new();
        if let Some(entries) = &entries {
            let (keys, values) = (entries.column(0).as_string_opt::<i32>(), entries.column(1).as_string_opt::<i32>());
            for (key, value) in keys.into_iter().flatten().zip(values.into_iter().flatten()) {
                cell.extend(key.zip(value).map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value))));
            }
        }
        for (key, texts) in &texts {
            if texts.is_valid(row) {
                cell.push((Cow::Borrowed(key), Cow::Borrowed(texts.value(row))));
            }
        }
        TextMap::append(&mut builder, &cell);
    }
    Ok(TextMap::finish(&mut builder))
}
