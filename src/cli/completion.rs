//! Completion and line continuation at the prompt.

use datafusion::execution::context::SessionContext;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper as RustylineHelper};

const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "WITH",
    "INSERT INTO",
    "VALUES",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "CREATE VIEW",
    "INTERVAL",
    "BETWEEN",
    "COUNT",
    "DISTINCT",
    "UNION ALL",
];

/// Knows the words that may be meant.
pub(super) struct Helper {
    words: Vec<String>,
}

impl Helper {
    pub(super) async fn new(session: &SessionContext) -> Self {
        let mut words: Vec<String> = KEYWORDS.iter().map(|word| (*word).to_owned()).collect();
        let functions = ascribe::table_functions::all();
        words.extend(functions.iter().map(|function| format!("{}(", function.signature().name)));
        for catalog in session.catalog_names() {
            let Some(catalog) = session.catalog(&catalog) else { continue };
            for name in catalog.schema_names() {
                let Some(schema) = catalog.schema(&name) else { continue };
                for table in schema.table_names() {
                    if name != "information_schema"
                        && let Ok(Some(provider)) = schema.table(&table).await
                    {
                        words.extend(provider.schema().fields().iter().map(|field| field.name().clone()));
                    }
                    words.push(if name == "public" { table } else { format!("{name}.{table}") });
                }
            }
        }
        words.sort_unstable();
        words.dedup();
        Self { words }
    }
}

impl Completer for Helper {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..at).unwrap_or_default();
        let begin = before
            .rfind(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '.'))
            .map_or(0, |found| found + before[found..].chars().next().map_or(1, char::len_utf8));
        let typed = before.get(begin..).unwrap_or_default().to_lowercase();
        if typed.is_empty() {
            return Ok((at, Vec::new()));
        }
        let fitting = self.words.iter().filter(|word| word.to_lowercase().starts_with(&typed));
        Ok((begin, fitting.map(|word| Pair { display: word.clone(), replacement: word.clone() }).collect()))
    }
}

impl Validator for Helper {
    /// A statement goes on until its semicolon; a backslash command is one line.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let whole = text.is_empty()
            || text.starts_with('\\')
            || text.ends_with(';')
            || ["exit", "quit", "help"].contains(&text);
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Helper {
    type Hint = String;
}

impl Highlighter for Helper {}

impl RustylineHelper for Helper {}
