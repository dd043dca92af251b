//! `COPY … TO STDOUT` as text and csv.

use bytes::{BufMut, Bytes, BytesMut};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result as EngineResult;
use datafusion::sql::sqlparser::ast::{
    self, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Ident, Statement as Ast,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::encode::{Chunk, Style};
use super::statement::Copy;
use crate::error::{UserError, sqlstate};

/// How the rows are written.
#[derive(Debug, Clone)]
pub(super) struct Options {
    csv: bool,
    header: bool,
    delimiter: char,
    null: String,
    quote: char,
    escape: char,
}

fn unsupported(what: &str) -> UserError {
    UserError::new(sqlstate::NOT_SUPPORTED, format!("COPY {what} is not supported"))
        .hint("COPY table TO STDOUT and COPY (query) TO STDOUT are, as text and csv")
}

/// What a COPY statement asks for.
pub(super) fn options(copy: Ast) -> Result<Copy, UserError> {
    let Ast::Copy { source, to, target, options, legacy_options, .. } = copy else {
        return Err(unsupported("of that kind"));
    };
    if !to {
        return Err(unsupported("FROM"));
    }
    if !matches!(target, CopyTarget::Stdout) {
        return Err(unsupported("TO a file or program"));
    }
    let csv = options
        .iter()
        .any(|option| matches!(option, CopyOption::Format(name) if name.value.eq_ignore_ascii_case("csv")))
        || legacy_options.iter().any(|option| matches!(option, CopyLegacyOption::Csv(_)));
    let mut chosen = Options {
        csv,
        header: false,
        delimiter: if csv { ',' } else { '\t' },
        null: if csv { String::new() } else { "\\N".to_owned() },
        quote: '"',
        escape: '"',
    };
    for option in options {
        match option {
            CopyOption::Format(Ident { value, .. }) if matches!(value.to_lowercase().as_str(), "csv" | "text") => {}
            CopyOption::Format(name) => return Err(unsupported(&format!("in the format {name}"))),
            CopyOption::Delimiter(letter) => chosen.delimiter = letter,
            CopyOption::Null(text) => chosen.null = text,
            CopyOption::Header(header) => chosen.header = header,
            CopyOption::Quote(letter) => chosen.quote = letter,
            CopyOption::Escape(letter) => chosen.escape = letter,
            CopyOption::Encoding(name) if matches!(name.to_lowercase().as_str(), "utf8" | "utf-8") => {}
            other => return Err(unsupported(&format!("with {other}"))),
        }
    }
    for option in legacy_options {
        match option {
            CopyLegacyOption::Delimiter(letter) => chosen.delimiter = letter,
            CopyLegacyOption::Null(text) => chosen.null = text,
            CopyLegacyOption::Header => chosen.header = true,
            CopyLegacyOption::Csv(parts) => {
                chosen.header |= parts.iter().any(|part| matches!(part, ast::CopyLegacyCsvOption::Header));
            }
            other => return Err(unsupported(&format!("with {other}"))),
        }
    }
    Ok(Copy { query: Box::new(query(source)?), options: chosen })
}

fn query(source: CopySource) -> Result<Ast, UserError> {
    let sql = match source {
        CopySource::Query(query) => return Ok(Ast::Query(query)),
        CopySource::Table { table_name, columns } if columns.is_empty() => format!("SELECT * FROM {table_name}"),
        CopySource::Table { table_name, columns } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            format!("SELECT {} FROM {table_name}", columns.join(", "))
        }
    };
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &sql).ok().and_then(|mut statements| statements.pop());
    parsed.ok_or_else(|| unsupported("of that table"))
}

impl Options {
    /// The header line, if one is asked for.
    pub(super) fn head(&self, schema: &Schema) -> Option<Bytes> {
        self.header.then(|| {
            let mut line = String::new();
            for (at, field) in schema.fields().iter().enumerate() {
                if at > 0 {
                    line.push(self.delimiter);
                }
                self.value(&mut line, Some(field.name()), schema.fields().len());
            }
            line.push('\n');
            let mut out = BytesMut::new();
            message(&mut out, &line);
            out.freeze()
        })
    }

    /// The rows of a batch as `CopyData` messages, one a row.
    pub(super) fn chunk(&self, batch: &RecordBatch, style: Style) -> EngineResult<Chunk> {
        let mut out = BytesMut::new();
        let mut ends = Vec::with_capacity(batch.num_rows());
        let mut line = String::new();
        for row in style.row_texts(batch)? {
            line.clear();
            for (at, value) in row.iter().enumerate() {
                if at > 0 {
                    line.push(self.delimiter);
                }
                self.value(&mut line, value.as_deref(), row.len());
            }
            line.push('\n');
            message(&mut out, &line);
            ends.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
        }
        Ok(Chunk { bytes: out.freeze(), ends })
    }

    fn value(&self, line: &mut String, value: Option<&str>, columns: usize) {
        let Some(text) = value else {
            line.push_str(&self.null);
            return;
        };
        if self.csv { self.csv_value(line, text, columns) } else { self.text_value(line, text) }
    }

    fn csv_value(&self, line: &mut String, text: &str, columns: usize) {
        let special =
            |letter: char| letter == self.delimiter || letter == self.quote || letter == '\n' || letter == '\r';
        if text != self.null && !text.contains(special) && !(columns == 1 && text == "\\.") {
            line.push_str(text);
            return;
        }
        line.push(self.quote);
        for letter in text.chars() {
            if letter == self.quote || letter == self.escape {
                line.push(self.escape);
            }
            line.push(letter);
        }
        line.push(self.quote);
    }

    fn text_value(&self, line: &mut String, text: &str) {
        for letter in text.chars() {
            match letter {
                '\\' => line.push_str("\\\\"),
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                '\t' => line.push_str("\\t"),
                '\x08' => line.push_str("\\b"),
                '\x0b' => line.push_str("\\v"),
                '\x0c' => line.push_str("\\f"),
                other => {
                    if other == self.delimiter {
                        line.push('\\');
                    }
                    line.push(other);
                }
            }
        }
    }
}

fn message(out: &mut BytesMut, line: &str) {
    out.put_u8(b'd');
    out.put_i32(i32::try_from(line.len() + 4).unwrap_or(i32::MAX));
    out.put_slice(line.as_bytes());
}
