//! Errors: what the user did wrong, what broke outside, what is ours. Each has a SQLSTATE.

mod engine;

use std::fmt;

use datafusion::error::DataFusionError;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// SQLSTATE codes that this crate uses (PostgreSQL, appendix A).
pub mod sqlstate {
    /// `connection_exception` and I/O: the object store could not be reached or answered with an error.
    pub const IO: &str = "58030";
    /// `invalid_parameter_value`.
    pub const INVALID_PARAMETER: &str = "22023";
    /// `undefined_table`.
    pub const UNDEFINED_TABLE: &str = "42P01";
    /// `undefined_function`.
    pub const UNDEFINED_FUNCTION: &str = "42883";
    /// `datatype_mismatch`.
    pub const DATATYPE_MISMATCH: &str = "42804";
    /// `undefined_column`.
    pub const UNDEFINED_COLUMN: &str = "42703";
    /// `undefined_object`: a setting or type that nobody knows.
    pub const UNDEFINED_OBJECT: &str = "42704";
    /// `duplicate_object`.
    pub const DUPLICATE_OBJECT: &str = "42710";
    /// `insufficient_privilege`.
    pub const PERMISSION: &str = "42501";
    /// `invalid_authorization_specification`.
    pub const UNAUTHORIZED: &str = "28000";
    /// `invalid_password`.
    pub const WRONG_PASSWORD: &str = "28P01";
    /// `syntax_error`.
    pub const SYNTAX: &str = "42601";
    /// `numeric_value_out_of_range`.
    pub const OUT_OF_RANGE: &str = "22003";
    /// `division_by_zero`.
    pub const DIVISION_BY_ZERO: &str = "22012";
    /// `invalid_text_representation`.
    pub const INVALID_TEXT: &str = "22P02";
    /// `invalid_datetime_format`.
    pub const INVALID_TIME: &str = "22007";
    /// `query_canceled`.
    pub const CANCELED: &str = "57014";
    /// `out_of_memory`.
    pub const OUT_OF_MEMORY: &str = "53200";
    /// `feature_not_supported`.
    pub const NOT_SUPPORTED: &str = "0A000";
    /// `serialization_failure`: another writer was faster, try again.
    pub const CONFLICT: &str = "40001";
    /// `data_corrupted`: a file is not what its name says.
    pub const CORRUPTED: &str = "XX001";
    /// `internal_error`.
    pub const INTERNAL: &str = "XX000";
}

/// An error that a user can read: a primary line, and optionally a detail and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserError {
    /// SQLSTATE, five characters.
    pub code: &'static str,
    /// What went wrong, in one line.
    pub message: String,
    /// Why, if that is known.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl UserError {
    /// An error with a code of [`sqlstate`] and its primary line.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None }
    }

    /// An argument or option has a value that it cannot have.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(sqlstate::INVALID_PARAMETER, message)
    }

    /// The same with a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, "\nDETAIL: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHINT: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UserError {}

/// A noun as it stands behind a number in a message: `1 row`, `2 rows`, `0 entries`.
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if count == 1 => noun.to_owned(),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    }
}

impl From<UserError> for DataFusionError {
    fn from(error: UserError) -> Self {
        Self::External(Box::new(error))
    }
}

/// Everything that can go wrong.
#[derive(Debug)]
pub enum Error {
    /// What the user did wrong, or something that the user can do something about.
    User(UserError),
    /// The query engine refused or failed.
    Engine(DataFusionError),
    /// The table format refused or failed.
    Delta(deltalake::DeltaTableError),
    /// Files, sockets, the terminal.
    Io(std::io::Error),
}

impl Error {
    /// The SQLSTATE that a client sees.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        self.describe().code
    }

    /// What a client sees: SQLSTATE, primary line, detail and hint, in PostgreSQL's words where it has some.
    #[must_use]
    pub fn describe(&self) -> UserError {
        match self {
            Self::User(error) => error.clone(),
            Self::Engine(error) => engine::describe(error),
            Self::Delta(error) => UserError::new(sqlstate::IO, error.to_string()),
            Self::Io(error) => UserError::new(sqlstate::IO, error.to_string()),
        }
    }

    /// The user error inside, if the engine only carried it.
    #[must_use]
    pub fn user(&self) -> Option<&UserError> {
        match self {
            Self::User(error) => Some(error),
            Self::Engine(error) => user_error(error),
            Self::Delta(_) | Self::Io(_) => None,
        }
    }
}

/// The user error that an engine error carries, if it carries one.
#[must_use]
pub fn user_error(error: &DataFusionError) -> Option<&UserError> {
    match error.find_root() {
        DataFusionError::External(inner) => inner.downcast_ref(),
        _ => None,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(error) => error.fmt(f),
            Self::Engine(error) => engine::describe(error).fmt(f),
            Self::Delta(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<UserError> for Error {
    fn from(error: UserError) -> Self {
        Self::User(error)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error)
    }
}

impl From<datafusion::arrow::error::ArrowError> for Error {
    fn from(error: datafusion::arrow::error::ArrowError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<deltalake::DeltaTableError> for Error {
    fn from(error: deltalake::DeltaTableError) -> Self {
        Self::Delta(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::Io(std::io::Error::other(error))
    }
}
