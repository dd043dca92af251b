//! COPY: what it asks for, and its lines of text and csv.

use datafusion::arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{
    self, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Ident, Statement as Ast,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::statement::Copy;
use crate::error::{UserError, sqlstate};

/// How the rows are written.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    csv: bool,
    pub(crate) binary: bool,
    header: bool,
    delimiter: char,
    null: String,
    quote: char,
    escape: char,
}

fn unsupported(what: &str) -> UserError {
    UserError::new(sqlstate::NOT_SUPPORTED, format!("COPY {what} is not supported"))
        .hint("COPY table TO STDOUT, COPY (query) TO STDOUT and COPY table FROM STDIN are")
}

/// What a COPY statement asks for.
pub(crate) fn options(copy: Ast) -> Result<Copy, UserError> {
    let Ast::Copy { source, to, target, options, legacy_options, .. } = copy else {
        return Err(unsupported("of that kind"));
    };
    match (to, &target) {
        (true, CopyTarget::Stdout) | (false, CopyTarget::Stdin) => {}
        (true, _) => return Err(unsupported("TO a file or program")),
        (false, _) => return Err(unsupported("FROM a file or program")),
    }
    let csv = options
        .iter()
        .any(|option| matches!(option, CopyOption::Format(name) if name.value.eq_ignore_ascii_case("csv")))
        || legacy_options.iter().any(|option| matches!(option, CopyLegacyOption::Csv(_)));
    let mut chosen = Options {
        csv,
        binary: options
            .iter()
            .any(|option| matches!(option, CopyOption::Format(name) if name.value.eq_ignore_ascii_case("binary")))
            || legacy_options.iter().any(|option| matches!(option, CopyLegacyOption::Binary)),
        header: false,
        delimiter: if csv { ',' } else { '\t' },
        null: if csv { String::new() } else { "\\N".to_owned() },
        quote: '"',
        escape: '"',
    };
    for option in options {
        match option {
            CopyOption::Format(Ident { value, .. })
                if matches!(value.to_lowercase().as_str(), "csv" | "text" | "binary") => {}
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
            CopyLegacyOption::Binary => {}
            CopyLegacyOption::Csv(parts) => {
                chosen.header |= parts.iter().any(|part| matches!(part, ast::CopyLegacyCsvOption::Header));
            }
            other => return Err(unsupported(&format!("with {other}"))),
        }
    }
    let into = match &source {
        CopySource::Table { table_name, columns } if !to => Some((table_name.clone(), columns.clone())),
        CopySource::Query(_) if !to => return Err(unsupported("FROM into a query")),
        _ => None,
    };
    if into.is_some() && chosen.binary {
        return Err(unsupported("FROM in the binary format"));
    }
    Ok(Copy { query: Box::new(query(source)?), options: chosen, into })
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

/// The line of a row as csv, as COPY writes it.
#[must_use]
pub fn csv_line(row: &[Option<String>]) -> String {
    Options::csv().line(row)
}

impl Options {
    /// Plain csv.
    fn csv() -> Self {
        let (delimiter, quote, escape) = (',', '"', '"');
        Self { csv: true, binary: false, header: false, delimiter, null: String::new(), quote, escape }
    }

    /// The header line, if one is asked for.
    pub(crate) fn head(&self, schema: &Schema) -> Option<String> {
        let names: Vec<Option<String>> = schema.fields().iter().map(|field| Some(field.name().clone())).collect();
        self.header.then(|| self.line(&names))
    }

    /// The line of a row.
    pub(crate) fn line(&self, row: &[Field]) -> String {
        let mut line = String::new();
        for (at, value) in row.iter().enumerate() {
            if at > 0 {
                line.push(self.delimiter);
            }
            self.value(&mut line, value.as_deref(), row.len());
        }
        line.push('\n');
        line
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

/// One field of a row that a client sends: none is null.
pub(crate) type Field = Option<String>;

impl Options {
    /// The rows of a whole text, field by field. `\\.` alone on a line ends it.
    pub(crate) fn rows(&self, text: &str) -> Result<Vec<Vec<Field>>, UserError> {
        let mut rows = if self.csv { self.csv_rows(text)? } else { self.text_rows(text) };
        if self.header && !rows.is_empty() {
            rows.remove(0);
        }
        Ok(rows)
    }

    fn text_rows(&self, text: &str) -> Vec<Vec<Field>> {
        let lines = text.split_terminator('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        lines.take_while(|line| *line != "\\.").map(|line| self.text_fields(line)).collect()
    }

    fn text_fields(&self, line: &str) -> Vec<Field> {
        let (mut fields, mut raw, mut value) = (Vec::new(), String::new(), String::new());
        let mut letters = line.chars();
        loop {
            let letter = letters.next();
            match letter {
                Some('\\') => {
                    let escaped = letters.next().unwrap_or('\\');
                    raw.push('\\');
                    raw.push(escaped);
                    value.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'b' => '\x08',
                        'v' => '\x0b',
                        'f' => '\x0c',
                        other => other,
                    });
                }
                Some(other) if other != self.delimiter => {
                    raw.push(other);
                    value.push(other);
                }
                _ => {
                    fields.push((raw != self.null).then(|| value.clone()));
                    raw.clear();
                    value.clear();
                    if letter.is_none() {
                        return fields;
                    }
                }
            }
        }
    }

    fn csv_rows(&self, text: &str) -> Result<Vec<Vec<Field>>, UserError> {
        let (mut rows, mut row, mut value, mut quoted, mut inside) =
            (Vec::new(), Vec::new(), String::new(), false, false);
        let mut letters = text.chars().peekable();
        let end = |row: &mut Vec<Field>, value: &mut String, quoted: &mut bool| {
            row.push((*quoted || *value != self.null).then(|| std::mem::take(value)));
            value.clear();
            *quoted = false;
        };
        while let Some(letter) = letters.next() {
            if inside {
                if letter == self.escape && letters.peek().is_some_and(|next| *next == self.quote) {
                    value.extend(letters.next());
                } else if letter == self.quote {
                    inside = false;
                } else {
                    value.push(letter);
                }
            } else if letter == self.quote {
                (inside, quoted) = (true, true);
            } else if letter == self.delimiter {
                end(&mut row, &mut value, &mut quoted);
            } else if letter == '\n' || letter == '\r' {
                if letter == '\r' && letters.peek() == Some(&'\n') {
                    letters.next();
                }
                end(&mut row, &mut value, &mut quoted);
                rows.push(std::mem::take(&mut row));
            } else {
                value.push(letter);
            }
        }
        if inside {
            return Err(UserError::new("22P04", "unterminated CSV quoted field"));
        }
        if !row.is_empty() || !value.is_empty() || quoted {
            end(&mut row, &mut value, &mut quoted);
            rows.push(row);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(csv: bool, text: &str) -> Vec<Vec<Field>> {
        let plain = Options { csv: false, delimiter: '\t', null: "\\N".to_owned(), ..Options::csv() };
        let options = if csv { Options::csv() } else { plain };
        options.rows(text).unwrap()
    }

    #[test]
    fn rows_of_clients_are_read() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read(false, "a\tb\\tc\n\\N\t\\\\N\n\\.\nx\n"), [[some("a"), some("b\tc")], [None, some("\\N")]]);
        assert_eq!(read(true, "a,\"b,\"\"c\nd\"\r\n,\"\"\n"), [[some("a"), some("b,\"c\nd")], [None, some("")]]);
        assert!(read(false, "").is_empty());
    }
}
