//! What a function says about itself: its parameters, from which the accepted types follow, and its documentation.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::{DocSection, Documentation, Signature, Volatility};

/// Identifiers and trace headers.
pub(crate) const IDENTIFIERS: DocSection = DocSection {
    include: true,
    label: "Identifiers",
    description: Some(
        "Read the identifiers that telemetry, clouds and package registries use, and hide those of people.",
    ),
};
/// Hypothesis tests, intervals, robust measures.
pub(crate) const STATISTICS: DocSection =
    DocSection { include: true, label: "Statistics", description: Some("Tell an effect from noise.") };
/// Divisions of money whose parts sum to the whole.
pub(crate) const ALLOCATION: DocSection = DocSection {
    include: true,
    label: "Allocation",
    description: Some("Divide an amount so that the parts sum to it exactly."),
};

/// One function's description.
#[derive(Debug)]
pub(crate) struct About {
    /// Its name in SQL.
    pub name: &'static str,
    /// Where it stands in the documentation.
    pub section: &'static DocSection,
    /// How it is called.
    pub syntax: &'static str,
    /// What it does, with the source of the method.
    pub description: &'static str,
    /// Its parameters, in order.
    pub params: &'static [Param],
    /// How many of them must be given.
    pub required: usize,
    /// Statements behind `> ` and what they print; a test runs them.
    pub example: &'static str,
}

/// One parameter.
#[derive(Debug)]
pub(crate) struct Param {
    /// Its name, for `name => value`.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// What it means.
    pub about: &'static str,
}

impl Param {
    /// A parameter.
    pub(crate) const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, about }
    }
}

/// What a parameter accepts, and as what the function then sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text of any encoding, seen as `Utf8`, `LargeUtf8` or `Utf8View`.
    Text,
    /// As `Text`; whole numbers become text.
    Key,
    /// Any number, seen as `Float64`.
    Number,
    /// A boolean.
    Boolean,
    /// A decimal, seen as `Decimal128`, or a whole number, seen as `Int64` (`UInt64` as a decimal).
    Amount,
    /// A list of numbers: of `Int64`, `Decimal128` or `Float64`.
    Weights,
    /// A whole number, seen as `Int64`, or `Weights`.
    Parts,
    /// What tells two samples apart: a boolean, text or whole number.
    Cohort,
    /// A cost: `Float64`, or `Decimal128`.
    Cost,
}

impl Kind {
    /// The type that `given` is cast to, if it is accepted. A null (also an untyped parameter) is always accepted.
    pub(crate) fn accepts(self, given: &DataType) -> Option<DataType> {
        use DataType as T;
        if let T::Dictionary(_, value) = given {
            return self.accepts(value);
        }
        if let T::RunEndEncoded(_, value) = given {
            return self.accepts(value.data_type());
        }
        match (self, given) {
            (Self::Text | Self::Key, T::Utf8 | T::LargeUtf8 | T::Utf8View) => Some(given.clone()),
            (Self::Text | Self::Key, T::Null) | (Self::Cohort, T::Utf8 | T::LargeUtf8 | T::Utf8View) => Some(T::Utf8),
            (Self::Key, t) if t.is_integer() => Some(T::Utf8),
            (Self::Number, t) if t.is_numeric() || t.is_null() => Some(T::Float64),
            (Self::Amount, t) => exact(t),
            (Self::Parts, t) if t.is_integer() || t.is_null() => Some(T::Int64),
            (Self::Weights | Self::Parts, T::List(f) | T::LargeList(f) | T::FixedSizeList(f, _)) => weights(f),
            (Self::Weights, T::Null) => Some(T::new_list(T::Int64, true)),
            (Self::Boolean | Self::Cohort, T::Boolean | T::Null) => Some(T::Boolean),
            (Self::Cohort, t) if t.is_integer() && *t != T::UInt64 => Some(T::Int64),
            (Self::Cost, t) if t.is_decimal() => exact(t),
            (Self::Cost, t) if t.is_numeric() || t.is_null() => Some(T::Float64),
            _ => None,
        }
    }

    /// The types by which it is shown in a catalog: one for each that means something else.
    pub(crate) fn shown(self) -> Vec<DataType> {
        let decimal = || DataType::Decimal128(38, 12);
        match self {
            Self::Text => vec![DataType::Utf8],
            Self::Key => vec![DataType::Utf8, DataType::Int64],
            Self::Number => vec![DataType::Float64],
            Self::Boolean => vec![DataType::Boolean],
            Self::Amount => vec![decimal()],
            Self::Weights => vec![DataType::new_list(DataType::Float64, true)],
            Self::Parts => vec![DataType::Int64, DataType::new_list(DataType::Float64, true)],
            Self::Cohort => vec![DataType::Boolean, DataType::Utf8, DataType::Int64],
            Self::Cost => vec![decimal(), DataType::Float64],
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Key => "text or a whole number",
            Self::Number | Self::Cost => "a number",
            Self::Boolean => "a boolean",
            Self::Amount => {
                "a decimal or whole number (a floating-point amount has no smallest unit: cast it, as in CAST(x AS DECIMAL(18, 2)))"
            }
            Self::Weights => "a list of numbers",
            Self::Parts => "a whole number or a list",
            Self::Cohort => "a boolean, text or a whole number",
        }
    }
}

fn exact(given: &DataType) -> Option<DataType> {
    use DataType as T;
    match given {
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) => Some(T::Decimal128(*p, *s)),
        T::Decimal256(_, s) if *s <= 38 => Some(T::Decimal128(38, *s)),
        T::UInt64 => Some(T::Decimal128(20, 0)),
        t if t.is_integer() || t.is_null() => Some(T::Int64),
        _ => None,
    }
}

fn weights(item: &Field) -> Option<DataType> {
    let item = match item.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    let item = if item.is_floating() { DataType::Float64 } else { exact(item)? };
    Some(DataType::new_list(item, true))
}

impl About {
    /// The types that a call's arguments are cast to.
    pub(crate) fn coerce(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.len() < self.required || given.len() > self.params.len() {
            let noun = if self.params.len() == 1 { "argument" } else { "arguments" };
            return plan_err!("{} takes {} {noun}: {}", self.name, self.arity(), self.syntax);
        }
        let one = |(param, given): (&Param, &DataType)| {
            param.kind.accepts(given).ok_or_else(|| {
                let (name, wanted) = (param.name, param.kind.wanted());
                DataFusionError::Plan(format!("{}: argument \"{name}\" is {wanted}, not {given}", self.name))
            })
        };
        self.params.iter().zip(given).map(one).collect()
    }

    fn arity(&self) -> String {
        match (self.required, self.params.len()) {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least} to {most}"),
        }
    }

    /// The signature: types are checked by [`Self::coerce`], arguments can be named.
    pub(crate) fn signature(&self, volatility: Volatility) -> Signature {
        let names: Vec<_> = self.params.iter().map(|p| p.name).collect();
        let signature = Signature::user_defined(volatility);
        // Only a repeated name is an error, and then the function is still callable by position.
        signature.clone().with_parameter_names(names).unwrap_or(signature)
    }

    /// What is shown to users.
    pub(crate) fn documentation(&self) -> Documentation {
        let mut builder = Documentation::builder(self.section.clone(), self.description, self.syntax)
            .with_sql_example(format!("```sql\n{}\n```", self.example.trim()));
        for param in self.params {
            builder = builder.with_argument(param.name, param.about);
        }
        builder.build()
    }

    /// A failure of this function at run time.
    pub(crate) fn error(&self, message: impl std::fmt::Display) -> DataFusionError {
        failure(self.name, message)
    }
}

/// What a function says of values that it cannot work with; it is inside of [`DataFusionError::External`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The function's name.
    pub function: String,
    /// What is wrong with the values.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.function, self.message)
    }
}

impl std::error::Error for Failure {}

/// A function's failure at run time.
pub(crate) fn failure(function: &str, message: impl std::fmt::Display) -> DataFusionError {
    let (function, message) = (function.to_owned(), message.to_string());
    DataFusionError::External(Box::new(Failure { function, message }))
}

/// Two registrations are the same function when they have the same name: what `DataFusion` asks of plans that it
/// compares.
macro_rules! same_by_name {
    ($registered:ty) => {
        impl PartialEq for $registered {
            fn eq(&self, other: &Self) -> bool {
                self.function.about.name == other.function.about.name
            }
        }

        impl Eq for $registered {}

        impl std::hash::Hash for $registered {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.function.about.name.hash(state);
            }
        }
    };
}
pub(crate) use same_by_name;
