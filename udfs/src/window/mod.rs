//! Window functions, one a file.

mod robust_z;
mod shapley_airport;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Documentation, LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

use crate::about::About;
use crate::forms::{self, Form};

/// The registered functions.
static ALL: &[&Window] = &[&robust_z::FUNCTION, &shapley_airport::FUNCTION];

/// Every window function.
#[must_use]
pub fn all_window() -> Vec<WindowUDF> {
    ALL.iter().map(|f| WindowUDF::new_from_impl(Registered::new(f))).collect()
}

/// The ways to call the function of a name.
pub(crate) fn forms(name: &str) -> Vec<Form> {
    let found = ALL.iter().filter(|function| function.about.name == name);
    found.flat_map(|function| forms::of(&function.about, function.returns)).collect()
}

/// A function of a row and its window.
struct Window {
    about: About,
    returns: fn(&[DataType]) -> DataType,
    /// For one partition.
    evaluator: fn() -> Box<dyn PartitionEvaluator>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.about.name)
    }
}

#[derive(Debug)]
struct Registered {
    function: &'static Window,
    signature: Signature,
    documentation: Documentation,
}

impl Registered {
    fn new(function: &'static Window) -> Self {
        let about = &function.about;
        Self { function, signature: about.signature(Volatility::Immutable), documentation: about.documentation() }
    }
}

crate::about::same_by_name!(Registered);

impl WindowUDFImpl for Registered {
    fn name(&self) -> &str {
        self.function.about.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.about.coerce(given)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.input_fields().iter().map(|f| f.data_type().clone()).collect();
        Ok(Field::new(args.name(), (self.function.returns)(&types), true).into())
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok((self.function.evaluator)())
    }

    /// Both functions look at rows beyond those that a limit leaves.
    fn limit_effect(&self, _: &[std::sync::Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
