//! The ways in which a function is called, with types, for catalogs that show them.

use datafusion::arrow::datatypes::DataType;

use crate::about::{About, Param};

/// One way to call a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// The parameters in order.
    pub parameters: Vec<Parameter>,
    /// What it returns then.
    pub returns: DataType,
}

/// One parameter of a [`Form`].
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, for `name => value`.
    pub name: &'static str,
    /// The type of it; others that lose nothing are accepted too, such as whole numbers for floating-point ones.
    pub data_type: DataType,
    /// Whether it must be given.
    pub required: bool,
}

/// The ways to call the function of a name; none if it is not of this crate.
#[must_use]
pub fn forms(name: &str) -> Vec<Form> {
    let mut forms = crate::scalar::forms(name);
    forms.extend(crate::aggregate::forms(name));
    forms.extend(crate::window::forms(name));
    forms
}

/// The forms of parameters of which the first `required` must be given: one for each combination of types that say
/// something else.
pub(crate) fn of_params(params: &[Param], required: usize, returns: fn(&[DataType]) -> DataType) -> Vec<Form> {
    let mut all: Vec<Vec<Parameter>> = vec![Vec::new()];
    for (at, param) in params.iter().enumerate() {
        let with = |form: &Vec<Parameter>, data_type: DataType| {
            let parameter = Parameter { name: param.name, data_type, required: at < required };
            form.iter().cloned().chain([parameter]).collect()
        };
        all = all.iter().flat_map(|form| param.kind.shown().into_iter().map(move |shown| with(form, shown))).collect();
    }
    let form = |parameters: Vec<Parameter>| {
        let types: Vec<DataType> = parameters.iter().map(|parameter| parameter.data_type.clone()).collect();
        Form { returns: returns(&types), parameters }
    };
    all.into_iter().map(form).collect()
}

/// The same for what a function says about itself.
pub(crate) fn of(about: &About, returns: fn(&[DataType]) -> DataType) -> Vec<Form> {
    of_params(about.params, about.required, returns)
}
