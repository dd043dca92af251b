//! What the server says: messages collected in a buffer and written when it is worth it.

use bytes::{Bytes, BytesMut};
use datafusion::arrow::datatypes::Schema;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus,
};
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::encode::{Format, pg_type};
use crate::error::UserError;

/// Bytes that are collected before they are written.
const FLUSH_BYTES: usize = 32 << 10;

/// The way to one client.
pub(super) struct Replies {
    socket: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    buffer: BytesMut,
    /// The tag of the newest statement that ended, until it is taken.
    tag: Option<String>,
}

impl Replies {
    pub(super) fn new(socket: Box<dyn AsyncWrite + Send + Sync + Unpin>) -> Self {
        Self { socket, buffer: BytesMut::new(), tag: None }
    }

    /// Say something; it is written with the next flush.
    pub(super) fn push(&mut self, message: &PgWireBackendMessage) -> std::io::Result<()> {
        message.encode(&mut self.buffer).map_err(std::io::Error::other)
    }

    /// Messages that are encoded already.
    pub(super) async fn raw(&mut self, bytes: Bytes) -> std::io::Result<()> {
        if self.buffer.is_empty() && bytes.len() >= FLUSH_BYTES {
            return self.socket.write_all(&bytes).await;
        }
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= FLUSH_BYTES { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn flush(&mut self) -> std::io::Result<()> {
        if !self.buffer.is_empty() {
            self.socket.write_all(&self.buffer).await?;
            self.buffer.clear();
            // One large result must not keep its room for the life of the connection.
            if self.buffer.capacity() > 4 * FLUSH_BYTES {
                self.buffer = BytesMut::new();
            }
        }
        self.socket.flush().await
    }

    pub(super) fn parse_complete(&mut self) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::ParseComplete(ParseComplete::new()))
    }

    pub(super) fn bind_complete(&mut self) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::BindComplete(BindComplete::new()))
    }

    pub(super) fn close_complete(&mut self) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::CloseComplete(CloseComplete::new()))
    }

    pub(super) fn suspended(&mut self) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))
    }

    pub(super) fn no_data(&mut self) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::NoData(NoData::new()))
    }

    pub(super) fn empty(&mut self) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()))
    }

    pub(super) fn complete(&mut self, tag: impl Into<String>) -> std::io::Result<()> {
        let tag = tag.into();
        self.tag = Some(tag.clone());
        self.push(&PgWireBackendMessage::CommandComplete(CommandComplete::new(tag)))
    }

    /// The rows that the statement which ended last says it has.
    pub(super) fn take_rows(&mut self) -> Option<i64> {
        self.tag.take()?.rsplit(' ').next()?.parse().ok()
    }

    pub(super) fn ready(&mut self, status: TransactionStatus) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status)))
    }

    pub(super) fn parameter(&mut self, name: &str, value: &str) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name.to_owned(), value.to_owned())))
    }

    pub(super) fn parameters(&mut self, kinds: Vec<u32>) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::ParameterDescription(ParameterDescription::new(kinds)))
    }

    pub(super) fn rows(&mut self, schema: &Schema, formats: &[Format]) -> std::io::Result<()> {
        let fields = schema.fields().iter().enumerate().map(|(at, field)| {
            let kind = pg_type(field);
            let format = i16::from(formats.get(at) == Some(&Format::Binary));
            FieldDescription::new(field.name().clone(), 0, 0, kind.oid, kind.size, kind.modifier, format)
        });
        self.push(&PgWireBackendMessage::RowDescription(RowDescription::new(fields.collect())))
    }

    /// An error; `position` counts characters of the statement from one.
    pub(super) fn error(&mut self, severity: &str, error: &UserError, position: Option<usize>) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::ErrorResponse(ErrorResponse::new(report(severity, error, position))))
    }

    pub(super) fn notice(&mut self, severity: &str, error: &UserError) -> std::io::Result<()> {
        self.push(&PgWireBackendMessage::NoticeResponse(NoticeResponse::new(report(severity, error, None))))
    }
}

fn report(severity: &str, error: &UserError, position: Option<usize>) -> Vec<(u8, String)> {
    // A message is one NUL-terminated string.
    let clean = |text: &str| text.replace('\0', "");
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.code.to_owned()),
        (b'M', clean(&error.message)),
    ];
    fields.extend(error.detail.as_deref().map(|detail| (b'D', clean(detail))));
    fields.extend(error.hint.as_deref().map(|hint| (b'H', clean(hint))));
    fields.extend(position.map(|position| (b'P', position.to_string())));
    fields
}
