//! The extended protocol: parse, bind, describe, execute, close.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::DataType as SqlType;

use super::connection::Connection;
use super::encode::{Format, of_data_type, oid};
use super::frame::Bind;
use super::session::{Portal, Prepared};
use super::stop::Watched;
use super::{parameters, traced};
use crate::dialect::{self, input::data_type};
use crate::error::{Result, UserError, sqlstate};
use crate::session::plan;
use crate::session::statement::{self, Kind};
use crate::session::utility::Utility;

/// OID of a type that a PREPARE names; 0 for one that is left to be inferred.
pub(super) fn oid_of_sql_type(data_type: &SqlType) -> Result<u32> {
    if data_type.to_string().eq_ignore_ascii_case("unknown") {
        return Ok(0);
    }
    dialect::oid_of(data_type).ok_or_else(|| {
        UserError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{data_type}\" does not exist")).into()
    })
}

fn known(kind: u32) -> bool {
    !matches!(kind, 0 | oid::UNKNOWN)
}

impl Connection {
    /// Parse a statement and find out its parameters and columns. `kinds` are the types that the client says, 0 unsaid.
    pub(super) async fn prepare(&mut self, sql: &str, kinds: &[u32], watched: &Watched) -> Result<Prepared> {
        let caller = traced::caller(sql);
        let mut statements = self.parse(sql)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(UserError::new(sqlstate::SYNTAX, message).into());
        }
        let Some(mut statement) = statements.pop() else {
            return Ok(Prepared { statement: None, kinds: Vec::new(), types: Vec::new(), schema: None, caller });
        };
        self.offset = statement.offset;
        if !matches!(statement.kind, Kind::Utility(Utility::Commit | Utility::Rollback | Utility::RollbackTo(_))) {
            self.session.control.check_not_failed()?;
        }
        let mut said = BTreeMap::new();
        if let Kind::Query(ast) | Kind::Insert(ast) = &mut statement.kind {
            said = dialect::said_of_parameters(ast);
            dialect::say_parameters(ast, kinds);
        }
        let declared = kinds.iter().map(|kind| if known(*kind) { data_type(*kind).map(Some) } else { Ok(None) });
        let declared = declared.collect::<Result<Vec<_>>>()?;
        let (types, schema) = match &statement.kind {
            Kind::Query(ast) | Kind::Insert(ast) => {
                let planned = self.plan(ast, &declared, watched).await?;
                let rows = matches!(statement.kind, Kind::Query(_));
                (planned.types, rows.then_some(planned.schema))
            }
            Kind::Utility(utility) => (Vec::new(), self.utility_schema(utility)?),
            Kind::Define(_) | Kind::Copy(_) | Kind::Roles(_) => (Vec::new(), None),
        };
        let kind_of = |at: usize, data_type: &Option<DataType>| match kinds.get(at).copied().filter(|kind| known(*kind))
        {
            Some(kind) => kind,
            // The statement may say what is not seen from the engine's type.
            None => match (said.get(&at), data_type) {
                (Some(kind), _) => *kind,
                (None, Some(data_type)) => of_data_type(data_type).oid,
                (None, None) => oid::TEXT,
            },
        };
        let mut all: Vec<u32> = types.iter().enumerate().map(|(at, data_type)| kind_of(at, data_type)).collect();
        // A client may declare more parameters than the statement uses, and will send them all.
        all.extend(kinds.iter().skip(all.len()).map(|kind| if known(*kind) { *kind } else { oid::TEXT }));
        Ok(Prepared { statement: Some(statement), kinds: all, types, schema, caller })
    }

    /// Bind values to a statement; the plan is made anew, so that it sees the newest rows.
    pub(super) async fn bind(&mut self, bind: Bind, watched: &Watched) -> Result<()> {
        let prepared = self.session.kept.statement(&bind.statement)?;
        let text = prepared.statement.as_ref().map_or("", |statement| statement.text.as_str());
        self.text = text.to_owned();
        self.trace(&prepared.caller, text);
        self.offset = 0;
        if bind.values.len() != prepared.kinds.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                bind.values.len(),
                bind.statement,
                prepared.kinds.len()
            );
            return Err(UserError::new("08P01", message).into());
        }
        let values = self.values(&bind, &prepared)?;
        let mut portal = Portal {
            prepared: Arc::clone(&prepared),
            plan: None,
            schema: prepared.schema.clone(),
            formats: Vec::new(),
            running: None,
            rows: 0,
            finished: false,
        };
        if let Some(statement) = &prepared.statement
            && let Kind::Query(ast) | Kind::Insert(ast) = &statement.kind
        {
            self.session.control.check_not_failed()?;
            let types = plan::scaled(&prepared.types, values.iter().map(Option::as_ref));
            let planned = self.plan(ast, &types, watched).await?;
            if matches!(statement.kind, Kind::Query(_)) {
                portal.schema = Some(Arc::clone(&planned.schema));
            }
            let nulls = types.iter().zip(values).map(|(data_type, value)| match (value, data_type) {
                (Some(value), _) => Ok(value),
                (None, Some(data_type)) => Ok(ScalarValue::try_from(data_type)?),
                (None, None) => Ok(ScalarValue::Null),
            });
            portal.plan = Some(plan::bind(planned, nulls.collect::<Result<Vec<_>>>()?)?);
        }
        portal.formats = result_formats(&bind.result_formats, portal.schema.as_ref())?;
        if bind.portal.is_empty() {
            self.session.portals.remove("");
        }
        self.session.keep_portal(bind.portal, portal)?;
        Ok(())
    }

    /// The values of a Bind; none is null.
    fn values(&self, bind: &Bind, prepared: &Prepared) -> Result<Vec<Option<ScalarValue>>> {
        let (zone, now) = (self.session.client.settings.zone(), self.clock.now_micros());
        let values = bind.values.iter().zip(&prepared.kinds).enumerate().map(|(at, (value, kind))| {
            let format = match bind.formats.as_slice() {
                [] => Format::Text,
                [all] => format(*all)?,
                each => format(each.get(at).copied().unwrap_or(0))?,
            };
            value.as_ref().map(|bytes| parameters::decode(bytes, format, *kind, zone, now)).transpose()
        });
        values.collect()
    }

    pub(super) fn describe_statement(&mut self, name: &str) -> Result<()> {
        let prepared = self.session.kept.statement(name)?;
        self.replies.parameters(prepared.kinds.clone())?;
        self.describe(prepared.schema.as_ref(), &[])
    }

    pub(super) fn describe_portal(&mut self, name: &str) -> Result<()> {
        // A declared cursor is a portal of that name; psycopg asks for its columns before it fetches.
        if !self.session.portals.contains_key(name)
            && let Ok(schema) = self.session.cursor_schema(name)
        {
            return self.describe(Some(&schema), &[]);
        }
        let portal = self.session.portal(name)?;
        let (schema, formats) = (portal.schema.clone(), portal.formats.clone());
        self.describe(schema.as_ref(), &formats)
    }

    fn describe(&mut self, schema: Option<&SchemaRef>, formats: &[Format]) -> Result<()> {
        match schema {
            Some(schema) => self.replies.rows(schema, formats)?,
            None => self.replies.no_data()?,
        }
        Ok(())
    }

    /// The statements of a text, with the place of an error remembered.
    pub(super) fn parse(&mut self, sql: &str) -> Result<Vec<statement::Statement>> {
        self.text = sql.to_owned();
        self.offset = 0;
        self.position = None;
        statement::parse(sql).map_err(|(error, position)| {
            self.position = position;
            error.into()
        })
    }
}

fn format(code: i16) -> Result<Format> {
    match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(UserError::new("08P01", format!("unsupported format code: {other}")).into()),
    }
}

fn result_formats(codes: &[i16], schema: Option<&SchemaRef>) -> Result<Vec<Format>> {
    let width = schema.map_or(0, |schema| schema.fields().len());
    match codes {
        [] => Ok(vec![Format::Text; width]),
        [all] => Ok(vec![format(*all)?; width]),
        each if each.len() == width => each.iter().map(|code| format(*code)).collect(),
        each => {
            let message = format!("bind message has {} result formats but query has {width} columns", each.len());
            Err(UserError::new("08P01", message).into())
        }
    }
}
