//! The answer to a statement of a user's, for whoever asks in the same process.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::{CopyToSource, CopyToStatement, Statement};
use datafusion::sql::sqlparser::ast::Statement as Ast;
use futures::TryStreamExt;

use super::explain;
use super::plan::{self, Planned};
use crate::error::Result;
use crate::operators::asof_join;

/// What a statement returns.
pub enum Answer {
    /// Rows, with their columns named as PostgreSQL names them.
    Rows(SendableRecordBatchStream),
    /// One row with the number of rows that were written.
    Written(SendableRecordBatchStream),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Rows(_)) { "Rows" } else { "Written" })
    }
}

impl Answer {
    /// The batches, whichever it is.
    #[must_use]
    pub fn stream(self) -> SendableRecordBatchStream {
        match self {
            Self::Rows(stream) | Self::Written(stream) => stream,
        }
    }
}

/// Answer the one statement that a text is; it means what it means over the wire.
///
/// # Errors
/// When the text is not one statement, is wrong or cannot be started; the stream ends with the error of a failed execution.
pub async fn answer_text(session: &SessionContext, text: &str) -> Result<Answer> {
    answer(session, asof_join::parse_one(text)?).await
}

/// The same for a statement that was parsed by [`crate::operators::asof_join::parse`].
///
/// # Errors
/// As [`answer_text`].
pub async fn answer(session: &SessionContext, statement: Statement) -> Result<Answer> {
    let state = session.state();
    let planned = planned(&state, statement).await?.without_parameters()?;
    let explains = explain::is(&planned.plan);
    let writes = matches!(planned.plan, LogicalPlan::Dml(_) | LogicalPlan::Copy(_));
    let stream = session.execute_logical_plan(planned.plan).await?.execute_stream().await?;
    if explains {
        return Ok(Answer::Rows(explain::one_column(stream)));
    }
    if writes {
        return Ok(Answer::Written(stream));
    }
    // A statement that defines something has a plan with the columns of what it defines.
    if stream.schema().fields().len() != planned.schema.fields().len() {
        return Ok(Answer::Rows(stream));
    }
    // The engine may run a plan with other types than it was planned with, such as views of texts.
    let types = stream.schema();
    let named = planned.schema.fields().iter().zip(types.fields());
    let named = named.map(|(name, field)| Arc::new(field.as_ref().clone().with_name(name.name())));
    let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(named.collect::<Vec<_>>()));
    let renamed = Arc::clone(&schema);
    let rows = stream.and_then(move |batch| {
        let schema = Arc::clone(&renamed);
        std::future::ready(RecordBatch::try_new(schema, batch.columns().to_vec()).map_err(DataFusionError::from))
    });
    Ok(Answer::Rows(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
}

async fn planned(state: &SessionState, mut statement: Statement) -> Result<Planned> {
    if let Statement::Statement(ast) = &statement {
        return plan::plan(state, ast, &[]).await;
    }
    to_engine(state, &mut statement)?;
    let plan = state.statement_to_plan(statement).await?;
    Ok(Planned { schema: Arc::clone(plan.schema().inner()), plan, types: Vec::new() })
}

/// The query inside of a statement of the engine's own.
fn to_engine(state: &SessionState, mut statement: &mut Statement) -> Result<()> {
    loop {
        statement = match statement {
            Statement::Explain(explain) => &mut explain.statement,
            Statement::Statement(ast) => return plan::to_engine(state, ast),
            Statement::CopyTo(CopyToStatement { source: CopyToSource::Query(query), .. }) => {
                let mut ast = Ast::Query(query.clone());
                plan::to_engine(state, &mut ast)?;
                if let Ast::Query(meant) = ast {
                    *query = meant;
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
    }
}
