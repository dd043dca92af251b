//! Scalar functions, one a file.

mod adjusted_count;
mod arn_part;
mod chi2_2x2;
mod g_test;
mod pseudonymize;
mod purl_part;
mod semver_cmp;
mod split;
mod split_even;
mod split_largest_remainder;
mod split_weighted;
mod text_part;
mod traceparent;
mod wilson;
mod wilson_high;
mod wilson_low;

pub use pseudonymize::Pseudonyms;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::about::{About, Param};
use crate::args::Column;
use crate::forms::{self, Form};

/// The registered functions.
static ALL: &[&Scalar] = &[
    &adjusted_count::FUNCTION,
    &arn_part::FUNCTION,
    &chi2_2x2::FUNCTION,
    &g_test::FUNCTION,
    &pseudonymize::FUNCTION,
    &purl_part::FUNCTION,
    &semver_cmp::FUNCTION,
    &split_even::FUNCTION,
    &split_largest_remainder::FUNCTION,
    &split_weighted::FUNCTION,
    &traceparent::FUNCTION,
    &wilson_high::FUNCTION,
    &wilson_low::FUNCTION,
];

/// Every scalar function.
#[must_use]
pub fn all_scalar() -> Vec<ScalarUDF> {
    ALL.iter().map(|f| ScalarUDF::new_from_impl(Registered::new(f))).collect()
}

/// The ways to call the function of a name.
pub(crate) fn forms(name: &str) -> Vec<Form> {
    let found = ALL.iter().filter(|function| function.about.name == name);
    let of = |function: &&Scalar| {
        let mut forms = forms::of(&function.about, function.returns);
        if let Some(Overload { params, .. }) = &function.overload {
            forms.extend(forms::of_params(params, params.len(), function.returns));
        }
        forms
    };
    found.flat_map(of).collect()
}

/// A second way to call a function.
struct Overload {
    /// The parameters then, all of which must be given.
    params: &'static [Param],
    /// The types that a call's arguments are cast to in either way, or why it is refused.
    coerce: fn(&About, &[DataType]) -> Result<Vec<DataType>>,
}

/// A function of one row.
struct Scalar {
    about: About,
    volatility: Volatility,
    returns: fn(&[DataType]) -> DataType,
    /// One result for each of the call's rows.
    evaluate: fn(&Call) -> Result<ArrayRef>,
    /// The other way to call it.
    overload: Option<Overload>,
}

/// A batch of arguments.
struct Call<'a> {
    columns: Vec<Column>,
    /// How many results are wanted: 1 if every argument is a scalar.
    rows: usize,
    returns: &'a DataType,
    config: &'a ConfigOptions,
}

#[derive(Debug)]
struct Registered {
    function: &'static Scalar,
    signature: Signature,
    documentation: Documentation,
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.about.name)
    }
}

impl Registered {
    fn new(function: &'static Scalar) -> Self {
        let about = &function.about;
        let signature = match function.overload {
            None => about.signature(function.volatility),
            Some(_) => Signature::user_defined(function.volatility),
        };
        Self { function, signature, documentation: about.documentation() }
    }
}

crate::about::same_by_name!(Registered);

impl ScalarUDFImpl for Registered {
    fn name(&self) -> &str {
        self.function.about.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match &self.function.overload {
            Some(Overload { coerce, .. }) => coerce(&self.function.about, given),
            None => self.function.about.coerce(given),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok((self.function.returns)(arguments))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = args.args.into_iter().map(Column::new).collect::<Result<Vec<_>>>()?;
        let constant = columns.iter().all(|c| c.scalar);
        let rows = if constant { 1 } else { args.number_rows };
        let call = Call { columns, rows, returns: args.return_field.data_type(), config: &args.config_options };
        let result = (self.function.evaluate)(&call)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
