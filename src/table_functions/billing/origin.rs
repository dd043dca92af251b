//! An id for every charge, which FOCUS has none of: a hash of what identifies it.

use std::collections::HashMap;
use std::fmt::Write;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, TimestampMicrosecondType};
use sha2::{Digest, Sha256};

use super::entries;
use crate::error::Result;
use crate::model::cell::{CellType, Money, TextMap, Time};
use crate::table_functions::arrays::{column, text};

const TEXTS: [&str; 25] = [
    "export_id",
    "billing_currency",
    "charge_category",
    "charge_class",
    "charge_description",
    "charge_frequency",
    "service_provider_name",
    "host_provider_name",
    "invoice_issuer_name",
    "invoice_id",
    "billing_account_id",
    "provider_service_name",
    "service_category",
    "sub_account_id",
    "region_id",
    "resource_id",
    "resource_name",
    "resource_type",
    "sku_id",
    "consumed_unit",
    "pricing_unit",
    "commitment_discount_id",
    "commitment_discount_status",
    "allocated_method_id",
    "allocated_resource_id",
];
const TIMES: [&str; 4] = ["charge_period_start", "charge_period_end", "billing_period_start", "billing_period_end"];
const AMOUNTS: [&str; 4] = ["billed_cost", "effective_cost", "list_cost", "contracted_cost"];
const QUANTITIES: [&str; 2] = ["consumed_quantity", "pricing_quantity"];
const MAPS: [&str; 2] = ["tags", "allocated_tags"];

/// Ids of the charges of a batch: 32 hex digits of the SHA-256 of the identifying columns; the second and later charges
/// that are the same in all of them have their number behind it. The id is the same whenever the same charge is
/// delivered, in whatever order; equal charges are interchangeable.
pub(super) fn ids(batch: &RecordBatch, occurrences: &mut HashMap<[u8; 16], u32>) -> Result<StringArray> {
    let load = |names: &[&str], data_type: &DataType| -> Result<Vec<ArrayRef>> {
        names.iter().map(|name| column(batch, name, data_type)).collect()
    };
    let strings = load(&TEXTS, &DataType::Utf8)?;
    let times = load(&TIMES, &Time::data_type())?;
    let amounts = load(&AMOUNTS, &Money::data_type())?;
    let quantities = load(&QUANTITIES, &DataType::Float64)?;
    let maps = load(&MAPS, &TextMap::data_type())?;
    let mut ids = StringBuilder::with_capacity(batch.num_rows(), batch.num_rows() * 32);
    let mut identity = Vec::new();
    for row in 0..batch.num_rows() {
        identity.clear();
        for array in &strings {
            push(&mut identity, text(array.as_string::<i32>(), row).map(str::as_bytes));
        }
        for array in &times {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            push(&mut identity, array.is_valid(row).then(|| array.value(row).to_le_bytes()).as_ref().map(|b| &b[..]));
        }
        for array in &amounts {
            let array = array.as_primitive::<Decimal128Type>();
            push(&mut identity, array.is_valid(row).then(|| array.value(row).to_le_bytes()).as_ref().map(|b| &b[..]));
        }
        for array in &quantities {
            let array = array.as_primitive::<Float64Type>();
            push(&mut identity, array.is_valid(row).then(|| array.value(row).to_le_bytes()).as_ref().map(|b| &b[..]));
        }
        for array in &maps {
            push_map(&mut identity, array, row);
        }
        let mut hash = [0u8; 16];
        for (into, from) in hash.iter_mut().zip(Sha256::digest(&identity)) {
            *into = from;
        }
        let seen = occurrences.entry(hash).or_default();
        *seen += 1;
        let mut id = hex::encode(hash);
        if *seen > 1 {
            // Writing to a string cannot fail.
            write!(id, "-{seen}").unwrap_or_default();
        }
        ids.append_value(id);
    }
    Ok(ids.finish())
}

/// Length and bytes, so that no two sequences of values look alike.
fn push(identity: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => identity.extend(u64::MAX.to_le_bytes()),
        Some(bytes) => {
            identity.extend((bytes.len() as u64).to_le_bytes());
            identity.extend(bytes);
        }
    }
}

fn push_map(identity: &mut Vec<u8>, map: &ArrayRef, row: usize) {
    let map = map.as_map();
    let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
    let mut pairs: Vec<_> = entries(map, row).map(|at| (text(keys, at), text(values, at))).collect();
    pairs.sort_unstable();
    identity.extend((pairs.len() as u64).to_le_bytes());
    for (key, value) in pairs {
        push(identity, key.map(str::as_bytes));
        push(identity, value.map(str::as_bytes));
    }
}
