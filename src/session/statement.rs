//! From text to statements: what may be asked for is listed here, everything else is refused.

use datafusion::sql::sqlparser::ast::{self, Statement as Ast};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::define::Definition;
use super::roles::{self, Request};
use super::utility::{self, Utility};
use super::{external, rename};
use crate::dialect;
use crate::error::{UserError, sqlstate};
use crate::operators::asof_join;

/// How deep a statement may be nested.
const DEPTH: usize = 100;

/// An error and where in the text it is: characters from one.
pub(crate) type Located<T> = Result<T, (UserError, Option<usize>)>;

/// One statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) text: String,
    /// Characters of the message before the text.
    pub(crate) offset: usize,
    /// The line of the message in which it begins, from one.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// What kind of statement it is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// It returns rows and changes nothing.
    Query(Box<Ast>),
    /// It adds rows to a table.
    Insert(Box<Ast>),
    /// It makes or removes a view or an external table.
    Define(Box<Definition>),
    /// It is about the session.
    Utility(Utility),
    Copy(Copy),
    /// It is about roles and what they may do.
    Roles(Request),
}

/// `COPY (query) TO STDOUT`.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) query: Box<Ast>,
    pub(crate) options: super::copy::Options,
    /// The table and columns that rows are copied into, if they are.
    pub(crate) into: Option<(ast::ObjectName, Vec<ast::Ident>)>,
}

/// The statements of a message; none if it is empty.
pub(crate) fn parse(sql: &str) -> Located<Vec<Statement>> {
    script(sql).collect()
}

/// The same one by one, each parsed when it is asked for: what stands before a mistake is given.
pub(crate) fn script(sql: &str) -> Script<'_> {
    let dialect = PostgreSqlDialect {};
    let mut tokens = Vec::new();
    let broken = Tokenizer::new(&dialect, sql).tokenize_with_location_into_buf(&mut tokens).err();
    let broken = broken.map(|error| {
        let unterminated = error.message.starts_with("Unterminated string");
        let what = if unterminated { "unterminated quoted string" } else { "syntax error" };
        (UserError::new(sqlstate::SYNTAX, what).detail(error.message), position(sql, error.location))
    });
    Script { sql, tokens, next: 0, broken, place: Place { rest: sql.chars(), line: 1, column: 1, before: 0 } }
}

/// The statements of a message that are left.
pub(crate) struct Script<'a> {
    sql: &'a str,
    /// All tokens, or those before the one that is none.
    tokens: Vec<TokenWithSpan>,
    next: usize,
    broken: Option<(UserError, Option<usize>)>,
    place: Place<'a>,
}

impl Iterator for Script<'_> {
    type Item = Located<Statement>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.tokens.get(self.next..)?;
            let end = rest.iter().position(|token| token.token == Token::SemiColon);
            if end.is_none()
                && let Some(broken) = self.broken.take()
            {
                self.next = usize::MAX;
                return Some(Err(broken));
            }
            let tokens = rest.get(..end.unwrap_or(rest.len()))?;
            self.next = end.map_or(usize::MAX, |end| self.next + end + 1);
            let blank = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_) | Token::EOF);
            let (Some(first), Some(last)) =
                (tokens.iter().find(|token| !blank(token)), tokens.iter().rfind(|token| !blank(token)))
            else {
                continue;
            };
            let from = self.place.at(first.span.start);
            let (offset, line) = (self.place.before, usize::try_from(first.span.start.line).unwrap_or(1));
            let to = self.place.at(last.span.end);
            let text = from.get(..from.len() - to.len()).unwrap_or_default().to_owned();
            let kind = asof_join::shallow(tokens).map_err(|error| (error, None));
            return Some(kind.and_then(|()| classify(self.sql, tokens)).map(|kind| Statement {
                text,
                offset,
                line,
                kind,
            }));
        }
    }
}

/// A place in a text that goes forward only.
struct Place<'a> {
    rest: std::str::Chars<'a>,
    line: u64,
    column: u64,
    /// Characters before it.
    before: usize,
}

impl<'a> Place<'a> {
    /// Go to a location; gives back the text behind it.
    fn at(&mut self, to: Location) -> &'a str {
        while (self.line, self.column) < (to.line, to.column)
            && let Some(letter) = self.rest.next()
        {
            self.before += 1;
            (self.line, self.column) = if letter == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.rest.as_str()
    }
}

/// What stands between the first and the last of some tokens, as it was written.
fn text_of<'a>(sql: &'a str, tokens: &[TokenWithSpan]) -> &'a str {
    let written = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let (Some(first), Some(last)) = (tokens.iter().find(written), tokens.iter().rev().find(written)) else { return "" };
    let mut place = Place { rest: sql.chars(), line: 1, column: 1, before: 0 };
    let from = place.at(first.span.start);
    let to = place.at(last.span.end);
    from.get(..from.len() - to.len()).unwrap_or_default()
}

/// The tokens behind the first AS of `CREATE VIEW name (columns) AS query`.
fn query_of_view(tokens: &[TokenWithSpan]) -> &[TokenWithSpan] {
    let is_as = |token: &TokenWithSpan| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::AS);
    let at = tokens.iter().position(is_as).map_or(tokens.len(), |at| at + 1);
    tokens.get(at..).unwrap_or_default()
}

/// Characters from one; none if the location is unknown.
fn position(sql: &str, location: Location) -> Option<usize> {
    let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(location.column).ok()?;
    let before: usize = sql.split_inclusive('\n').take(line).map(|line| line.chars().count()).sum();
    Some(before + column)
}

fn classify(sql: &str, tokens: &[TokenWithSpan]) -> Located<Kind> {
    let pieces = utility::pieces(tokens);
    if let Some(found) =
        utility::parse(&pieces, |rest| parse_one(sql, tokens.get(utility::token_of(tokens, rest)..).unwrap_or(&[])))
    {
        return found.map(Kind::Utility);
    }
    if let Some(found) = roles::parse(&pieces) {
        return found.map(Kind::Roles).map_err(|error| (error, None));
    }
    if let Some(found) = external::parse(&pieces, || text_of(sql, tokens)) {
        let definition = found.map_err(|error| (error, None))?;
        return Ok(Kind::Define(Box::new(Definition::External(Box::new(definition)))));
    }
    if let Some(found) = rename::parse(&pieces) {
        return Ok(Kind::Define(Box::new(Definition::Rename(found))));
    }
    let refuse = |error: UserError| Err((error, None));
    let ast = parse_one(sql, tokens)?;
    if let Some(found) = roles::of_ast(&ast) {
        return found.map(Kind::Roles).map_err(|error| (error, None));
    }
    if let Some(found) = Definition::of_ast(&ast, || text_of(sql, query_of_view(tokens))) {
        return Ok(Kind::Define(Box::new(found)));
    }
    match &ast {
        Ast::Query(query) if query.locks.is_empty() => {
            if writes(query) {
                return refuse(UserError::new(
                    sqlstate::NOT_SUPPORTED,
                    "a query with a data-modifying part is not supported",
                ));
            }
            Ok(Kind::Query(Box::new(ast)))
        }
        Ast::Query(_) => refuse(
            UserError::new(sqlstate::NOT_SUPPORTED, "SELECT … FOR UPDATE or SHARE is not supported")
                .hint("nothing here locks rows"),
        ),
        Ast::Explain { statement, .. } if matches!(statement.as_ref(), Ast::Query(query) if !writes(query)) => {
            Ok(Kind::Query(Box::new(ast)))
        }
        Ast::Insert(insert) if insert.returning.is_none() && insert.on.is_none() => Ok(Kind::Insert(Box::new(ast))),
        Ast::Insert(_) => {
            refuse(UserError::new(sqlstate::NOT_SUPPORTED, "INSERT with RETURNING or ON CONFLICT is not supported"))
        }
        Ast::Copy { .. } => super::copy::options(ast).map(Kind::Copy).map_err(|error| (error, None)),
        _ => {
            let verb = sql_verb(&pieces);
            refuse(UserError::new(sqlstate::NOT_SUPPORTED, format!("{verb} is not supported")).hint(
                "queries, EXPLAIN, INSERT, CREATE VIEW, CREATE EXTERNAL TABLE, COPY … TO STDOUT, transactions, cursors and settings are",
            ))
        }
    }
}

/// The command tag of a query.
pub(crate) fn tag_of(ast: &Ast, rows: usize) -> String {
    match ast {
        Ast::Explain { .. } => "EXPLAIN".to_owned(),
        _ => format!("SELECT {rows}"),
    }
}

/// The query that has the arguments of EXECUTE as its one row; `kinds` are the OIDs of the parameters' types, as which
/// literals of no type are read.
pub(crate) fn arguments(expressions: &[ast::Expr], kinds: &[u32]) -> Result<Box<Ast>, UserError> {
    let read = |(at, expr): (usize, &ast::Expr)| {
        let kind = kinds.get(at).copied();
        format!("{} AS c{at}", kind.and_then(|kind| dialect::literal_as(expr, kind)).as_ref().unwrap_or(expr))
    };
    let shown: Vec<String> = expressions.iter().enumerate().map(read).collect();
    let statements = parse(&format!("SELECT {}", shown.join(", "))).map_err(|(error, _)| error)?;
    match statements.into_iter().next().map(|statement| statement.kind) {
        Some(Kind::Query(ast)) => Ok(ast),
        _ => Err(UserError::new(sqlstate::SYNTAX, "arguments are expressions")),
    }
}

/// Whether a query is not only a query: `SELECT INTO`, `WITH x AS (INSERT …)`.
fn writes(query: &ast::Query) -> bool {
    let mut visitor = Writes(false);
    let _ = ast::Visit::visit(query, &mut visitor);
    visitor.0
}

struct Writes(bool);

impl ast::Visitor for Writes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> std::ops::ControlFlow<()> {
        self.0 |= match query.body.as_ref() {
            ast::SetExpr::Insert(_) | ast::SetExpr::Update(_) | ast::SetExpr::Delete(_) | ast::SetExpr::Merge(_) => {
                true
            }
            ast::SetExpr::Select(select) => select.into.is_some(),
            _ => false,
        };
        std::ops::ControlFlow::Continue(())
    }
}

fn sql_verb(pieces: &[utility::Piece]) -> String {
    // What stands behind these is a name already.
    let alone =
        matches!(pieces.first().and_then(|piece| piece.word()), Some("update" | "truncate" | "vacuum" | "merge"));
    let words = pieces.iter().take(if alone { 1 } else { 2 }).map_while(|piece| piece.word()).map(str::to_uppercase);
    words.collect::<Vec<_>>().join(" ")
}

/// Tokens of COMMENT whose text is in quotes, which is all that the parser knows of it, where it was in dollars.
fn quoted_comment(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut words = tokens.iter_mut().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    if matches!(words.next(), Some(first) if matches!(&first.token, Token::Word(word) if word.keyword == Keyword::COMMENT))
        && let Some(last) = words.next_back()
        && let Token::DollarQuotedString(text) = &last.token
    {
        last.token = Token::SingleQuotedString(text.value.clone());
    }
    tokens
}

fn parse_one(sql: &str, tokens: &[TokenWithSpan]) -> Located<Ast> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(DEPTH)
        .with_tokens_with_locations(quoted_comment(dialect::table_queries(asof_join::plain_tokens(tokens.to_vec()))));
    let parsed = parser.parse_statement().and_then(|statement| match parser.peek_token().token {
        Token::EOF => {
            let mut statement = statement;
            asof_join::nest(&mut statement);
            Ok(statement)
        }
        _ => parser.expected("end of statement", parser.peek_token()),
    });
    parsed.map_err(|error| {
        let shown = error.to_string();
        let at = shown.rsplit_once("at Line: ").and_then(|(_, rest)| {
            let (line, column) = rest.split_once(", Column: ")?;
            Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
        });
        let at = at.and_then(|at| position(sql, at)).or_else(|| Some(sql.chars().count() + 1));
        let error = datafusion::error::DataFusionError::SQL(Box::new(error), None);
        (crate::error::Error::from(error).describe(), at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sql: &str) -> (UserError, Option<usize>) {
        parse(sql).unwrap_err()
    }

    #[test]
    fn statements_are_split_at_semicolons_outside_of_strings() {
        let statements = parse(" select ';' ; ; select 2 -- ;\n").unwrap();
        let texts: Vec<_> = statements.iter().map(|statement| (statement.offset, statement.text.as_str())).collect();
        assert_eq!(texts, [(1, "select ';'"), (16, "select 2")]);
        assert!(parse(" ; -- nothing").unwrap().is_empty());
    }

    #[test]
    fn what_stands_before_a_mistake_is_given() {
        type Line = Result<(usize, String), (&'static str, Option<usize>)>;
        let lines = |sql: &str| -> Vec<Line> {
            script(sql)
                .map(|found| {
                    found.map(|found| (found.line, found.text)).map_err(|(error, position)| (error.code, position))
                })
                .collect()
        };
        let one = |line: usize, text: &str| Ok((line, text.to_owned()));
        assert_eq!(
            lines("select 1;\n\nselect 'ü;'; selekt 2;\nselect 3"),
            [one(1, "select 1"), one(3, "select 'ü;'"), Err(("42601", Some(25))), one(4, "select 3")]
        );
        assert_eq!(lines("select 1;\nselect 'a"), [one(1, "select 1"), Err(("42601", Some(18)))]);
    }

    #[test]
    fn a_syntax_error_says_where() {
        let (error, at) = refused("select 1;\nselect * form x");
        assert_eq!((error.code, at), ("42601", Some(25)));
        assert_eq!(error.message, "syntax error at or near \"x\"");
        let (error, at) = refused("select 'a");
        assert_eq!((error.code, error.message.as_str(), at), ("42601", "unterminated quoted string", Some(8)));
        assert_eq!(refused("select (").0.message, "syntax error at end of input");
        let deep = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert_eq!(refused(&deep).0.code, "54001");
        let long = format!("select 1{}", " + 1".repeat(10_001));
        assert_eq!(refused(&long).0.code, "54001");
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        for sql in [
            "create table t (a int)",
            "drop index spans",
            "delete from spans",
            "update spans set a = 1",
            "copy spans to '/tmp/x'",
            "copy spans from '/tmp/x'",
            "explain delete from spans",
            "with x as (insert into spans select 1) select 1",
            "select 1 into t",
            "explain analyze insert into spans values (1)",
            "select 1 for update",
            "truncate spans",
            "merge into a using b on true when matched then delete",
            "vacuum",
        ] {
            let code = refused(sql).0.code;
            assert!(code == "0A000" || code == "42601", "{sql}: {code}");
        }
    }
}
