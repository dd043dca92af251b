//! From text to a syntax tree that the engine's planner passes on to ours.
//!
//! The parser knows `ASOF JOIN` only, so the kinds of ASOF joins are written in its words first. The planner knows no
//! such join, but asks us about each relation, so a join that we are to plan is made a relation in parentheses.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, JoinOperator, Select, Statement as Ast, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::config::MOST_OPERATORS;
use crate::error::{UserError, sqlstate};
use crate::operators::trace_tree::table_arguments;

/// The statements of a text, ready to be planned in a session.
///
/// # Errors
/// When the text is not SQL in PostgreSQL's dialect.
pub fn parse(text: &str) -> Result<VecDeque<Statement>> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| DataFusionError::SQL(Box::new(ParserError::from(error)), None))?;
    shallow(&tokens)?;
    let parser = DFParserBuilder::new(plain_tokens(tokens)).with_dialect(&dialect).build();
    let mut statements = parser?.parse_statements()?;
    for statement in &mut statements {
        let mut statement = statement;
        while let Statement::Explain(explain) = statement {
            statement = &mut explain.statement;
        }
        if let Statement::Statement(ast) = statement {
            nest(ast);
        }
    }
    Ok(statements)
}

/// The plan of a text that is one statement.
///
/// # Errors
/// When the text is not one statement, or what it names does not exist.
pub async fn plan(state: &SessionState, text: &str) -> Result<LogicalPlan> {
    state.statement_to_plan(parse_one(text)?).await
}

/// The one statement of a text, ready to be planned in a session.
///
/// # Errors
/// When the text is not one statement.
pub fn parse_one(text: &str) -> Result<Statement> {
    let mut statements = parse(text)?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(UserError::new(sqlstate::SYNTAX, "there is no statement").into()),
        (Some(_), false) => Err(UserError::new(sqlstate::SYNTAX, "there is more than one statement").into()),
    }
}

/// Make sure that statements do not nest deeper than plans can be walked. The parser counts what stands in parentheses, but
/// each operator of a chain holds the one before.
///
/// # Errors
/// When they have more operators than [`MOST_OPERATORS`].
pub fn shallow(tokens: &[TokenWithSpan]) -> std::result::Result<(), UserError> {
    let nests = |token: &&TokenWithSpan| match &token.token {
        Token::Word(word) => {
            use Keyword::{AND, EXCEPT, INTERSECT, IS, JOIN, LIKE, NOT, OR, UNION, WHEN};
            word.quote_style.is_none()
                && matches!(word.keyword, AND | EXCEPT | INTERSECT | IS | JOIN | LIKE | NOT | OR | UNION | WHEN)
        }
        Token::Comma | Token::LParen | Token::RParen | Token::SemiColon | Token::Period | Token::EOF => false,
        Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => false,
        _ => true,
    };
    if tokens.iter().filter(nests).count() <= MOST_OPERATORS {
        return Ok(());
    }
    Err(UserError::new("54001", "statement too complex")
        .detail(format!("It has more than {MOST_OPERATORS} operators."))
        .hint("a long chain of OR is shorter as IN (…) or = ANY (ARRAY […]), a long UNION ALL as VALUES"))
}

fn keyword(token: Option<&TokenWithSpan>) -> Option<Keyword> {
    match &token?.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Tokens in which `ASOF LEFT [OUTER] JOIN` is `ASOF JOIN` and `ASOF INNER JOIN` is `GLOBAL ASOF JOIN`, which the parser
/// understands and nobody else writes, and relations as arguments are subqueries.
#[must_use]
pub fn plain_tokens(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words: Vec<usize> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .map(|(at, _)| at)
        .collect();
    let mut drop = Vec::new();
    for (place, at) in words.iter().enumerate() {
        if keyword(tokens.get(*at)) != Some(Keyword::ASOF) {
            continue;
        }
        let next = |ahead: usize| words.get(place + ahead).copied();
        let word = |ahead: usize| next(ahead).and_then(|at| keyword(tokens.get(at)));
        match (word(1), word(2), word(3)) {
            (Some(Keyword::LEFT), Some(Keyword::JOIN), _) => drop.extend(next(1)),
            (Some(Keyword::LEFT), Some(Keyword::OUTER), Some(Keyword::JOIN)) => {
                drop.extend([next(1), next(2)].into_iter().flatten());
            }
            (Some(Keyword::INNER), Some(Keyword::JOIN), _) => {
                let inner = next(1);
                for (at, word) in [(Some(*at), "GLOBAL"), (inner, "ASOF")] {
                    if let Some(token) = at.and_then(|at| tokens.get_mut(at)) {
                        token.token = Token::make_keyword(word);
                    }
                }
            }
            _ => {}
        }
    }
    if !drop.is_empty() {
        let mut at = 0;
        tokens.retain(|_| {
            at += 1;
            !drop.contains(&(at - 1))
        });
    }
    table_arguments(tokens)
}

/// Put each ASOF join of a statement into parentheses of its own.
pub fn nest(statement: &mut Ast) {
    let _: ControlFlow<()> = statement.visit(&mut Nest);
}

/// Whether a relation in parentheses is one ASOF join, behind others perhaps.
pub(super) fn is_asof(joins: &TableWithJoins) -> bool {
    let asof = |operator: &JoinOperator| matches!(operator, JoinOperator::AsOf { .. });
    match joins.joins.split_last() {
        Some((last, others)) => asof(&last.join_operator) && !others.iter().any(|join| asof(&join.join_operator)),
        None => false,
    }
}

struct Nest;

impl VisitorMut for Nest {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.from.iter_mut().for_each(nest_joins);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, relation: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = relation
            && !is_asof(table_with_joins)
        {
            nest_joins(table_with_joins);
        }
        ControlFlow::Continue(())
    }
}

/// `a JOIN b ASOF JOIN c JOIN d` becomes `(a JOIN b ASOF JOIN c) JOIN d`.
fn nest_joins(joined: &mut TableWithJoins) {
    if !joined.joins.iter().any(|join| matches!(join.join_operator, JoinOperator::AsOf { .. })) {
        return;
    }
    let mut joins = Vec::new();
    for join in std::mem::take(&mut joined.joins) {
        let asof = matches!(join.join_operator, JoinOperator::AsOf { .. });
        joins.push(join);
        if asof {
            let relation = std::mem::replace(&mut joined.relation, unnamed());
            let inner = TableWithJoins { relation, joins: std::mem::take(&mut joins) };
            joined.relation = TableFactor::NestedJoin { table_with_joins: Box::new(inner), alias: None };
        }
    }
    joined.joins = joins;
}

/// A relation that stands nowhere for longer than a moment.
fn unnamed() -> TableFactor {
    TableFactor::TableFunction { expr: Expr::value(Value::Null), alias: None }
}
