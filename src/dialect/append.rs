//! `||` of texts. The engine has it, but takes whatever memory it needs.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::bounded::{BYTES, too_much, too_wide};
use super::cast::printed;
use super::function::session_zone;

/// `pg_append(a, b)`: what `a || b` becomes where one of both is a text; the other is what it is printed as.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Append(Signature);

impl Append {
    pub(super) fn new() -> Self {
        Self(Signature::any(2, Volatility::Stable))
    }

    /// Whether a value of one type, or NULL, can be put behind one of the other.
    pub(super) fn takes(left: &DataType, right: &DataType) -> bool {
        let plain = |of: &DataType| !of.is_nested() && !of.is_binary();
        (is_text(left) || is_text(right)) && plain(left) && plain(right)
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => matches!(other, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

impl ScalarUDFImpl for Append {
    fn name(&self) -> &'static str {
        "pg_append"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = session_zone(&args.config_options);
        let text = |value: &ColumnarValue| -> Result<ArrayRef> {
            match value {
                ColumnarValue::Scalar(value) => printed(&value.to_array()?, zone),
                ColumnarValue::Array(array) => printed(array, zone),
            }
        };
        let [left, right] = args.args.as_slice() else { return internal_err!("|| has two sides") };
        let single = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let (single_left, single_right) = (single(left), single(right));
        let constant = single_left && single_right;
        let rows = if constant { 1 } else { args.number_rows };
        let (left, right) = (text(left)?, text(right)?);
        let left = Side { texts: left.as_string(), single: single_left };
        let right = Side { texts: right.as_string(), single: single_right };
        if left.bytes(rows) + right.bytes(rows) > BYTES {
            let widest = (0..rows).map(|row| left.width(row) + right.width(row)).max().unwrap_or(0);
            return Err(if widest > BYTES { too_wide() } else { too_much("||") }.into());
        }
        let bytes = usize::try_from(left.bytes(rows) + right.bytes(rows)).unwrap_or(0);
        let mut made = StringBuilder::with_capacity(rows, bytes);
        for row in 0..rows {
            match (left.get(row), right.get(row)) {
                (Some(one), Some(other)) => {
                    use std::fmt::Write;
                    // Writing into memory does not fail.
                    let _ = made.write_str(one).is_ok() && made.write_str(other).is_ok();
                    made.append_value("");
                }
                _ => made.append_null(),
            }
        }
        let made = made.finish();
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
        } else {
            ColumnarValue::Array(std::sync::Arc::new(made))
        })
    }
}

/// What stands on one side: texts, or one for all rows.
struct Side<'a> {
    texts: &'a StringArray,
    single: bool,
}

impl<'a> Side<'a> {
    fn get(&self, row: usize) -> Option<&'a str> {
        let at = if self.single { 0 } else { row };
        self.texts.is_valid(at).then(|| self.texts.value(at))
    }

    fn width(&self, row: usize) -> i128 {
        i128::try_from(self.get(row).map_or(0, str::len)).unwrap_or(i128::MAX)
    }

    fn bytes(&self, rows: usize) -> i128 {
        let ends = (self.texts.value_offsets().first(), self.texts.value_offsets().last());
        let own = i128::from(ends.1.copied().unwrap_or(0)) - i128::from(ends.0.copied().unwrap_or(0));
        if self.single { own * i128::try_from(rows).unwrap_or(i128::MAX) } else { own }
    }
}
