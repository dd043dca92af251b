//! Rule sets, from the table or built in.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;

use crate::attribution::allocation::{RuleRecord, default_rules};
use crate::error::{Result, UserError};
use crate::table_functions::Call;
use crate::table_functions::arrays::{column, text, texts, time, times};

/// The rules of a set, in all its versions.
pub(super) async fn load(call: &Call, rule_set: &str) -> Result<Vec<RuleRecord>> {
    const STATEMENT: &str = "SELECT seq, rule, condition, action, owner_by, split, basis, split_by, within, weights, valid_from \
                             FROM ascribe.public.allocation_rules WHERE rule_set = $rule_set";
    let batches = call.collect(STATEMENT, vec![("rule_set", ScalarValue::from(rule_set))]).await?;
    let mut records = Vec::new();
    for batch in &batches {
        push_records(batch, &mut records)?;
    }
    if !records.is_empty() {
        return Ok(records);
    }
    if rule_set == "default" {
        return Ok(default_rules());
    }
    let error = UserError::invalid(format!("there is no rule set \"{rule_set}\" in allocation_rules"));
    Err(error.hint(format!("rule sets are: {}", known(call).await?.join(", "))).into())
}

async fn known(call: &Call) -> Result<Vec<String>> {
    let statement = "SELECT DISTINCT rule_set FROM ascribe.public.allocation_rules \
                     WHERE rule_set <> 'default' ORDER BY rule_set LIMIT 20";
    let mut names = vec!["default".to_owned()];
    for batch in call.collect(statement, Vec::new()).await? {
        let column = texts(&batch, "rule_set")?;
        names.extend((0..batch.num_rows()).filter_map(|row| text(&column, row)).map(str::to_owned));
    }
    Ok(names)
}

fn push_records(batch: &RecordBatch, records: &mut Vec<RuleRecord>) -> Result<()> {
    let names = ["rule", "condition", "action", "owner_by", "split", "basis", "split_by", "within", "weights"];
    let columns = names.iter().map(|name| texts(batch, name)).collect::<Result<Vec<_>>>()?;
    let from = times(batch, "valid_from")?;
    let seq = column(batch, "seq", &DataType::Int64)?;
    let seq = seq.as_primitive::<Int64Type>();
    for row in 0..batch.num_rows() {
        let mut values = columns.iter().map(|column| text(column, row).map(str::to_owned));
        let mut next = || values.next().flatten();
        records.push(RuleRecord {
            seq: if seq.is_valid(row) { seq.value(row) } else { i64::MAX },
            rule: next(),
            condition: next(),
            action: next(),
            owner_by: next(),
            split: next(),
            basis: next(),
            split_by: next(),
            within: next(),
            weights: next(),
            valid_from: time(&from, row),
        });
    }
    Ok(())
}
