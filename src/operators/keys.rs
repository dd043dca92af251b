//! Which group a row belongs to: rows with equal keys have the same number.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt32Array, make_comparator};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{SortOptions, cast, take};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::{Result, resources_err};

/// The group of a row that has none: one of its keys is null, or nobody on the build side has its keys.
pub(super) const NO_GROUP: u32 = u32::MAX;

/// Not that of the engine's repartitioning, whose partitions would otherwise fill every nth slot only.
const SEED: u64 = 0x0a5c_71be;

/// Combinations of dictionary entries that are worth a table of their own.
const MOST_CODES: usize = 1 << 16;

const EMPTY: u32 = u32::MAX;

/// The distinct keys of the build side, numbered from zero.
#[derive(Debug)]
pub(super) struct KeyTable {
    /// One row a group.
    columns: Vec<ArrayRef>,
    hashes: Vec<u64>,
    slots: Vec<u32>,
}

impl KeyTable {
    /// The table of these keys and the group of each row. Without any column all rows are of one group.
    pub(super) fn build(columns: &[ArrayRef], rows: usize) -> Result<(Self, Vec<u32>)> {
        if u32::try_from(rows).is_err() {
            return resources_err!("the build side of a join has {rows} rows; 4 billion is the most");
        }
        if columns.is_empty() {
            return Ok((Self { columns: vec![], hashes: vec![0], slots: vec![] }, vec![0; rows]));
        }
        let columns = columns.iter().map(plain).collect::<Result<Vec<_>>>()?;
        let hashes = hashes_of(&columns, rows)?;
        let nulls = any_null(&columns);
        let comparators = columns
            .iter()
            .map(|column| make_comparator(column, column, SortOptions::default()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut table = Self { columns: vec![], hashes: vec![], slots: vec![EMPTY; 16] };
        let mut first_rows: Vec<u32> = Vec::new();
        let mut groups = Vec::with_capacity(rows);
        for (row, hash) in hashes.iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                groups.push(NO_GROUP);
                continue;
            }
            let same = |group: u32| {
                let first = first_rows.get(group as usize).copied().unwrap_or_default() as usize;
                comparators.iter().all(|compare| compare(row, first).is_eq())
            };
            match table.find(*hash, same) {
                Ok(group) => groups.push(group),
                Err(slot) => {
                    groups.push(table.insert(slot, *hash));
                    #[expect(clippy::cast_possible_truncation, reason = "the number of rows was checked above")]
                    first_rows.push(row as u32);
                }
            }
        }
        let first_rows = UInt32Array::from(first_rows);
        table.columns = columns.iter().map(|column| take(column, &first_rows, None)).collect::<Result<Vec<_>, _>>()?;
        Ok((table, groups))
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> usize {
        self.hashes.len()
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        let columns: usize = self.columns.iter().map(Array::get_array_memory_size).sum();
        columns + self.hashes.capacity() * 8 + self.slots.capacity() * 4
    }

    /// The group of each row of these columns.
    pub(super) fn lookup(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        if self.columns.is_empty() {
            return Ok(vec![if columns.is_empty() { 0 } else { NO_GROUP }; rows]);
        }
        match self.lookup_by_codes(columns, rows)? {
            Some(groups) => Ok(groups),
            None => self.lookup_by_hashes(columns, rows),
        }
    }

    /// Where all keys are dictionaries each combination of entries is looked up once a batch.
    fn lookup_by_codes(&self, columns: &[ArrayRef], rows: usize) -> Result<Option<Vec<u32>>> {
        let dictionaries: Option<Vec<_>> = columns.iter().map(|column| column.as_any_dictionary_opt()).collect();
        let Some(dictionaries) = dictionaries else { return Ok(None) };
        let combinations = dictionaries
            .iter()
            .try_fold(1_usize, |product, dictionary| product.checked_mul(dictionary.values().len().max(1)));
        let Some(combinations) = combinations.filter(|count| *count <= MOST_CODES.min(rows.saturating_mul(4))) else {
            return Ok(None);
        };
        let mut codes = vec![0_usize; rows];
        for dictionary in &dictionaries {
            if dictionary.values().is_empty() {
                return Ok(Some(vec![NO_GROUP; rows]));
            }
            let entries = dictionary.values().len();
            for (code, entry) in codes.iter_mut().zip(dictionary.normalized_keys()) {
                *code = *code * entries + entry;
            }
        }
        let nulls = any_null(columns);
        let mut place = vec![EMPTY; combinations];
        let mut first_rows: Vec<u32> = Vec::new();
        for (row, code) in (0_u32..).zip(&codes) {
            let valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row as usize));
            if let Some(slot) = place.get_mut(*code)
                && valid
                && *slot == EMPTY
            {
                *slot = u32::try_from(first_rows.len()).unwrap_or(EMPTY);
                first_rows.push(row);
            }
        }
        let distinct = first_rows.len();
        let first_rows = UInt32Array::from(first_rows);
        let samples = columns.iter().map(|column| take(column, &first_rows, None)).collect::<Result<Vec<_>, _>>()?;
        let found = self.lookup_by_hashes(&samples, distinct)?;
        let group = |(row, code): (usize, &usize)| match &nulls {
            Some(nulls) if nulls.is_null(row) => NO_GROUP,
            _ => place.get(*code).and_then(|at| found.get(*at as usize)).copied().unwrap_or(NO_GROUP),
        };
        Ok(Some(codes.iter().enumerate().map(group).collect()))
    }

    fn lookup_by_hashes(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let alike = columns.iter().zip(&self.columns).map(|(column, known)| {
            let column = plain(column)?;
            Ok(if column.data_type() == known.data_type() { column } else { cast(&column, known.data_type())? })
        });
        let columns = alike.collect::<Result<Vec<_>>>()?;
        let hashes = hashes_of(&columns, rows)?;
        let nulls = any_null(&columns);
        let comparators = columns
            .iter()
            .zip(&self.columns)
            .map(|(column, known)| make_comparator(column, known, SortOptions::default()))
            .collect::<Result<Vec<_>, _>>()?;
        let found = hashes.iter().enumerate().map(|(row, hash)| {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                return NO_GROUP;
            }
            let same = |group: u32| comparators.iter().all(|compare| compare(row, group as usize).is_eq());
            self.find(*hash, same).unwrap_or(NO_GROUP)
        });
        Ok(found.collect())
    }

    /// The group with the hash for which `same` holds, or the slot where it would go.
    fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose the slot")]
        let mut slot = hash as usize & mask;
        loop {
            match self.slots.get(slot).copied() {
                None | Some(EMPTY) => return Err(slot),
                Some(group) if self.hashes.get(group as usize) == Some(&hash) && same(group) => return Ok(group),
                Some(_) => slot = (slot + 1) & mask,
            }
        }
    }

    fn insert(&mut self, slot: usize, hash: u64) -> u32 {
        let group = u32::try_from(self.hashes.len()).unwrap_or(NO_GROUP);
        self.hashes.push(hash);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = group;
        }
        if self.hashes.len() * 2 > self.slots.len() {
            self.slots = vec![EMPTY; self.slots.len() * 2];
            for (known, hash) in (0_u32..).zip(self.hashes.clone()) {
                if let Err(slot) = self.find(hash, |_| false)
                    && let Some(place) = self.slots.get_mut(slot)
                {
                    *place = known;
                }
            }
        }
        group
    }
}

fn hashes_of(columns: &[ArrayRef], rows: usize) -> Result<Vec<u64>> {
    let mut hashes = vec![0; rows];
    create_hashes(columns, &RandomState::with_seed(SEED), &mut hashes)?;
    Ok(hashes)
}

fn any_null(columns: &[ArrayRef]) -> Option<NullBuffer> {
    columns.iter().fold(None, |nulls, column| NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref()))
}

/// The column without its dictionary.
fn plain(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Dictionary(_, value) => Ok(cast(column, value)?),
        _ => Ok(ArrayRef::clone(column)),
    }
}
