//! `CREATE EXTERNAL TABLE`: its grammar is the engine's, what it may say is ours.

use std::path::Path;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::sql::parser::{CreateExternalTable, DFParserBuilder, Statement as EngineStatement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use url::Url;

use super::utility::Piece;
use crate::error::{Result, UserError, sqlstate};
use crate::storage::{External, ExternalFormat, StoredColumn};

/// Schemes of object stores in which files may be.
const SCHEMES: [&str; 7] = ["s3", "s3a", "gs", "az", "abfs", "abfss", "file"];

/// The statement, if its first words are those of one.
pub(super) fn parse<'t>(
    pieces: &[Piece],
    text: impl FnOnce() -> &'t str,
) -> Option<Result<CreateExternalTable, UserError>> {
    let words: Vec<&str> = pieces.iter().take(5).map_while(Piece::word).collect();
    match words.as_slice() {
        ["create", "external", ..] | ["create", "or", "replace", "external", ..] => {}
        _ => return None,
    }
    let parsed = DFParserBuilder::new(text()).with_dialect(&PostgreSqlDialect {}).build();
    Some(parsed.and_then(|mut parser| parser.parse_statement()).map_err(crate::error::Error::from).map_or_else(
        |error| Err(error.describe()),
        |statement| match statement {
            EngineStatement::CreateExternalTable(table) => check(&table).map(|()| table),
            _ => Err(UserError::new(sqlstate::SYNTAX, "syntax error in CREATE EXTERNAL TABLE")),
        },
    ))
}

/// What the grammar knows and we do not.
fn check(table: &CreateExternalTable) -> Result<(), UserError> {
    let wrong = if table.temporary {
        "TEMPORARY"
    } else if table.unbounded {
        "UNBOUNDED"
    } else if !table.order_exprs.is_empty() {
        "WITH ORDER"
    } else if !table.constraints.is_empty() || table.columns.iter().any(|column| !column.options.is_empty()) {
        "a constraint or default"
    } else {
        return Ok(());
    };
    Err(UserError::new(sqlstate::NOT_SUPPORTED, format!("{wrong} of an external table is not supported"))
        .hint("a table says what columns its files have, how they are written, and where they are"))
}

/// What the statement says of the table; `local` is whether it may be of files of this machine.
pub(super) async fn described(state: &SessionState, table: CreateExternalTable, local: bool) -> Result<External> {
    let partitions: Vec<String> = table.table_partition_cols.clone();
    let plan = state.statement_to_plan(EngineStatement::CreateExternalTable(table)).await?;
    let LogicalPlan::Ddl(DdlStatement::CreateExternalTable(said)) = plan else {
        return Err(UserError::new(sqlstate::INTERNAL, "the statement makes no external table").into());
    };
    let format = ExternalFormat::of(&said.file_type.to_uppercase()).ok_or_else(|| {
        UserError::new(sqlstate::NOT_SUPPORTED, format!("STORED AS {} is not supported", said.file_type))
            .hint("PARQUET, CSV, JSON and DELTATABLE are")
    })?;
    if let Some(option) = said.options.keys().find(|option| !option.starts_with("format.")) {
        return Err(UserError::invalid(format!("unrecognized option \"{option}\""))
            .hint("options are of the format, such as 'format.delimiter'; credentials are read from the environment")
            .into());
    }
    if format == ExternalFormat::Delta && !(said.schema.fields().is_empty() && partitions.is_empty()) {
        let error = UserError::new(sqlstate::NOT_SUPPORTED, "a Delta table says itself what its columns are");
        return Err(error.hint("leave the columns and PARTITIONED BY away").into());
    }
    let (mut of_files, mut of_folders) = (Vec::new(), Vec::new());
    for name in &partitions {
        let declared = said.schema.fields().iter().find(|field| field.name() == name);
        let text = || Field::new(name, DataType::Utf8, true);
        of_folders.push(declared.map_or_else(text, |field| in_micros(field)));
    }
    for field in said.schema.fields() {
        if !partitions.contains(field.name()) {
            of_files.push(in_micros(field));
        }
    }
    let columns = |fields: &[Field]| fields.iter().map(StoredColumn::of).collect::<Result<Vec<_>>>();
    Ok(External {
        format,
        locations: said.locations.iter().map(|text| location(text, format, local)).collect::<Result<_>>()?,
        extension: String::new(),
        columns: columns(&of_files)?,
        partitions: columns(&of_folders)?,
        options: said.options.into_iter().collect(),
    })
}

/// Times of users have microseconds, as everywhere in SQL here.
fn in_micros(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// The path or URL by which files are found from anywhere.
fn location(text: &str, format: ExternalFormat, local: bool) -> Result<String> {
    if text.trim().is_empty() {
        return Err(UserError::invalid("LOCATION is empty").into());
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("file", text));
    if !SCHEMES.contains(&scheme) {
        return Err(UserError::invalid(format!("{scheme}:// is not a kind of object store"))
            .hint("a location is a path, or a URL that begins with s3://, gs:// or az://")
            .into());
    }
    if scheme == "file" {
        if !local {
            let error = UserError::new(sqlstate::PERMISSION, "permission denied for files of the server's machine");
            return Err(error.hint("a server with roles lets superusers read them; so does ascribe sql").into());
        }
        let decoded = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
        return on_this_machine(&decoded.unwrap_or_else(|| rest.into()), format);
    }
    let named = rest.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let folder = !named && !text.ends_with('/') && !text.contains(['*', '?', '[']);
    Ok(if folder { format!("{text}/") } else { text.to_owned() })
}

fn on_this_machine(path: &Path, format: ExternalFormat) -> Result<String> {
    let absolute = std::path::absolute(path)?;
    let shown = absolute.display().to_string();
    let pattern = shown.contains(['*', '?', '[']);
    if !pattern && !absolute.exists() {
        let error = UserError::new(sqlstate::UNDEFINED_FILE, format!("there is nothing at {shown}"));
        return Err(error.hint("a server looks for a path on its own machine").into());
    }
    if format == ExternalFormat::Delta && !absolute.is_dir() {
        return Err(UserError::new(sqlstate::UNDEFINED_FILE, format!("there is no Delta table at {shown}")).into());
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_or_a_url_of_an_object_store() {
        let of = |text: &str| location(text, ExternalFormat::Parquet, true);
        let refused = |text: &str| location(text, ExternalFormat::Parquet, false).unwrap_err().sqlstate();
        assert_eq!((refused("/tmp"), refused("file:///tmp")), ("42501", "42501"));
        assert_eq!(of("s3://b/spans").unwrap(), "s3://b/spans/");
        assert_eq!(of("s3://b/spans/x.parquet").unwrap(), "s3://b/spans/x.parquet");
        assert_eq!(of("gs://b/spans/*/x.parquet").unwrap(), "gs://b/spans/*/x.parquet");
        assert_eq!(of("http://example.com/x").unwrap_err().sqlstate(), "22023");
        assert_eq!(of("").unwrap_err().sqlstate(), "22023");
        assert_eq!(of("/there/is/no/such/folder").unwrap_err().sqlstate(), "58P01");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        assert_eq!(of(&path).unwrap(), path);
        assert_eq!(of(&format!("file://{path}")).unwrap(), path);
        std::fs::create_dir(folder.path().join("a b")).unwrap();
        assert_eq!(of(&format!("file://{path}/a%20b")).unwrap(), format!("{path}/a b"));
        assert_eq!(of("s3://b/spans/data.txt").unwrap(), "s3://b/spans/data.txt");
    }
}
