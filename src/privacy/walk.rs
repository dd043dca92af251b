//! The texts of a column one by one: of a text column, of lists, and of the values of maps, however deep.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, MapArray, StringArray, StringBuilder, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use crate::error::Result;

/// What becomes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// It becomes null; of a map the whole entry goes.
    Goes,
    /// Another text takes its place.
    Becomes(String),
}

/// Asked of a text: the number of its row, its key where it is the value of a map, and the text.
pub type Judge<'a> = dyn FnMut(usize, Option<&str>, &str) -> Fate + 'a;

/// The column with each of its texts as `judge` says; none when all stay.
///
/// # Errors
/// When Arrow refuses the result, which is a defect of ours.
pub fn rewrite(column: &ArrayRef, judge: &mut Judge<'_>) -> Result<Option<ArrayRef>> {
    let rows: Vec<usize> = (0..column.len()).collect();
    texts(column, &rows, None, judge)
}

/// Whether `fits` is true of a text anywhere in a column, keys of maps included.
///
/// # Errors
/// As [`rewrite`].
pub fn holds(column: &ArrayRef, fits: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut found = false;
    rewrite(column, &mut |_, key, text| {
        found |= fits(text) || key.is_some_and(fits);
        Fate::Stays
    })?;
    Ok(found)
}

/// `rows` are the numbers of the rows that the elements belong to.
fn texts(column: &ArrayRef, rows: &[usize], key: Option<&str>, judge: &mut Judge<'_>) -> Result<Option<ArrayRef>> {
    match column.data_type() {
        DataType::Utf8 => plain(column.as_string::<i32>(), rows, key, judge),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            let DataType::Utf8 = value_type(column.data_type()) else { return Ok(None) };
            let same = cast(column, &DataType::Utf8)?;
            let changed = plain(same.as_string::<i32>(), rows, key, judge)?;
            changed.map(|changed| Ok(cast(&changed, column.data_type())?)).transpose()
        }
        DataType::Map(..) => map(column.as_map(), rows, judge),
        DataType::List(_) => list(column.as_list::<i32>(), rows, key, judge),
        DataType::LargeList(_) => list(column.as_list::<i64>(), rows, key, judge),
        DataType::Struct(_) => fields(column.as_struct(), rows, key, judge),
        _ => Ok(None),
    }
}

/// Text of whatever kind as plain text; other types as they are.
fn value_type(of: &DataType) -> DataType {
    match of {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, value) => value_type(value),
        other => other.clone(),
    }
}

fn plain(column: &StringArray, rows: &[usize], key: Option<&str>, judge: &mut Judge<'_>) -> Result<Option<ArrayRef>> {
    let mut changed: Option<StringBuilder> = None;
    for (at, (text, row)) in column.iter().zip(rows).enumerate() {
        let fate = text.map_or(Fate::Stays, |text| judge(*row, key, text));
        if fate != Fate::Stays && changed.is_none() {
            let mut builder = StringBuilder::with_capacity(column.len(), column.values().len());
            column.iter().take(at).for_each(|before| builder.append_option(before));
            changed = Some(builder);
        }
        if let Some(builder) = &mut changed {
            match fate {
                Fate::Stays => builder.append_option(text),
                Fate::Goes => builder.append_null(),
                Fate::Becomes(other) => builder.append_value(other),
            }
        }
    }
    Ok(changed.map(|mut builder| Arc::new(builder.finish()) as ArrayRef))
}

/// Entries of which the value is a text; maps of other values have none.
fn map(column: &MapArray, rows: &[usize], judge: &mut Judge<'_>) -> Result<Option<ArrayRef>> {
    let DataType::Map(entry, sorted) = column.data_type() else { return Ok(None) };
    let types = [column.keys().data_type().clone(), column.values().data_type().clone()];
    if types.iter().any(|kind| value_type(kind) != DataType::Utf8) {
        return Ok(None);
    }
    let (keys, values) = (cast(column.keys(), &DataType::Utf8)?, cast(column.values(), &DataType::Utf8)?);
    let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
    let (mut new_keys, mut new_values, mut lengths) = (StringBuilder::new(), StringBuilder::new(), Vec::new());
    let mut changed = false;
    for ((at, bounds), row) in column.offsets().windows(2).enumerate().zip(rows) {
        let (from, to) = match bounds {
            [from, to] if column.is_valid(at) => {
                (usize::try_from(*from).unwrap_or_default(), usize::try_from(*to).unwrap_or_default())
            }
            _ => (0, 0),
        };
        let mut length = 0;
        for entry in from..to {
            let key = keys.value(entry);
            let value = values.is_valid(entry).then(|| values.value(entry));
            // A key alone may be what is looked for.
            let fate = judge(*row, Some(key), value.unwrap_or_default());
            changed |= fate != Fate::Stays;
            let value = match &fate {
                Fate::Goes => continue,
                Fate::Stays => value,
                Fate::Becomes(other) => value.map(|_| other.as_str()),
            };
            length += 1;
            new_keys.append_value(key);
            new_values.append_option(value);
        }
        lengths.push(length);
    }
    if !changed {
        return Ok(None);
    }
    let DataType::Struct(fields) = entry.data_type() else { return Ok(None) };
    let (keys, values): (ArrayRef, ArrayRef) = (Arc::new(new_keys.finish()), Arc::new(new_values.finish()));
    let [key_type, value_type] = types;
    let entries = vec![cast(&keys, &key_type)?, cast(&values, &value_type)?];
    let entries = StructArray::try_new(fields.clone(), entries, None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Some(Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, column.nulls().cloned(), *sorted)?)))
}

fn list<Offset: datafusion::arrow::array::OffsetSizeTrait>(
    column: &GenericListArray<Offset>,
    rows: &[usize],
    key: Option<&str>,
    judge: &mut Judge<'_>,
) -> Result<Option<ArrayRef>> {
    let (DataType::List(item) | DataType::LargeList(item)) = column.data_type() else { return Ok(None) };
    // Elements that belong to no row are left out first, so that nothing stays that nobody sees.
    let (mut of_row, mut lengths) = (Vec::new(), Vec::new());
    let mut parts: Vec<ArrayRef> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let part = if column.is_valid(at) { column.value(at) } else { column.values().slice(0, 0) };
        lengths.push(part.len());
        of_row.extend(std::iter::repeat_n(*row, part.len()));
        if !part.is_empty() {
            parts.push(part);
        }
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let elements = datafusion::arrow::compute::concat(&parts)?;
    let Some(changed) = texts(&elements, &of_row, key, judge)? else { return Ok(None) };
    let offsets = OffsetBuffer::<Offset>::from_lengths(lengths);
    let nulls = column.nulls().cloned();
    Ok(Some(Arc::new(GenericListArray::<Offset>::try_new(Arc::clone(item), offsets, changed, nulls)?)))
}

fn fields(column: &StructArray, rows: &[usize], key: Option<&str>, judge: &mut Judge<'_>) -> Result<Option<ArrayRef>> {
    let mut columns = column.columns().to_vec();
    let mut any = false;
    for part in &mut columns {
        if let Some(changed) = texts(part, rows, key, judge)? {
            *part = changed;
            any = true;
        }
    }
    if !any {
        return Ok(None);
    }
    let changed = StructArray::try_new(column.fields().clone(), columns, column.nulls().cloned())?;
    Ok(Some(Arc::new(changed)))
}
