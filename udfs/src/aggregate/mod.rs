//! Aggregate functions, one a file.

mod cliffs_delta;
mod error_rate;
mod mann_whitney_u;
mod two_samples;
mod weighted_quantile;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::about::About;
use crate::forms::{self, Form};

/// The registered functions.
static ALL: &[&Aggregate] =
    &[&cliffs_delta::FUNCTION, &error_rate::FUNCTION, &mann_whitney_u::FUNCTION, &weighted_quantile::FUNCTION];

/// Every aggregate function.
#[must_use]
pub fn all_aggregate() -> Vec<AggregateUDF> {
    ALL.iter().map(|f| AggregateUDF::new_from_impl(Registered::new(f))).collect()
}

/// The ways to call the function of a name.
pub(crate) fn forms(name: &str) -> Vec<Form> {
    let found = ALL.iter().filter(|function| function.about.name == name);
    found.flat_map(|function| forms::of(&function.about, |_| DataType::Float64)).collect()
}

/// A function of many rows; all of them give a `Float64`, null if there was nothing to compute it from.
struct Aggregate {
    about: About,
    /// Names and types of the partial state, given the arguments' types.
    state: fn(&[DataType]) -> Vec<(&'static str, DataType)>,
    /// For one group, given the arguments' types.
    accumulator: fn(&[DataType]) -> Box<dyn Accumulator>,
    /// For all groups at once, where that pays.
    groups: Option<fn() -> Box<dyn GroupsAccumulator>>,
}

impl std::fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.about.name)
    }
}

#[derive(Debug)]
struct Registered {
    function: &'static Aggregate,
    signature: Signature,
    documentation: Documentation,
}

impl Registered {
    fn new(function: &'static Aggregate) -> Self {
        let about = &function.about;
        Self { function, signature: about.signature(Volatility::Immutable), documentation: about.documentation() }
    }
}

crate::about::same_by_name!(Registered);

impl AggregateUDFImpl for Registered {
    fn name(&self) -> &str {
        self.function.about.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.about.coerce(given)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let types: Vec<_> = args.input_fields.iter().map(|f| f.data_type().clone()).collect();
        let field = |(name, kind)| Field::new(format!("{}[{name}]", args.name), kind, true).into();
        Ok((self.function.state)(&types).into_iter().map(field).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.refuse_distinct(&args)?;
        let types: Vec<_> = args.expr_fields.iter().map(|f| f.data_type().clone()).collect();
        Ok((self.function.accumulator)(&types))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.function.groups.is_some() && !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.refuse_distinct(&args)?;
        match self.function.groups {
            Some(groups) => Ok(groups()),
            None => Err(self.function.about.error("there is no accumulator for groups")),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

impl Registered {
    /// Which rows count is the point of these functions; dropping repeated ones silently, or ignoring the word, would be wrong.
    fn refuse_distinct(&self, args: &AccumulatorArgs) -> Result<()> {
        if args.is_distinct {
            return Err(self.function.about.error("DISTINCT is not supported"));
        }
        Ok(())
    }
}

/// A list as one value of a state.
fn list_state(values: ArrayRef) -> ScalarValue {
    SingleRowListArrayBuilder::new(values).with_nullable(true).build_list_scalar()
}

/// An argument that has to be the same in every row, learnt from the rows themselves, so that it may be any expression.
#[derive(Debug, Clone, PartialEq)]
struct Constant<T> {
    value: Option<T>,
}

impl<T> Default for Constant<T> {
    fn default() -> Self {
        Self { value: None }
    }
}

impl<T: PartialEq> Constant<T> {
    /// False if it was another value before.
    fn learn(&mut self, value: T) -> bool {
        let same = self.value.as_ref().is_none_or(|known| *known == value);
        self.value = Some(value);
        same
    }
}

/// The rows of an array that are not null.
fn valid_rows(array: &dyn Array) -> impl Iterator<Item = usize> {
    (0..array.len()).filter(|i| array.is_valid(*i))
}
