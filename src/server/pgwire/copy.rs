//! Rows of `COPY … TO STDOUT` as messages.

use bytes::{BufMut, Bytes, BytesMut};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;

use super::encode::{Chunk, Style};
use crate::session::copy::Options;

/// What a file of the binary format begins with: its signature, no flags, no extension.
pub(super) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What comes behind the last row of the binary format. `lead` is what the file begins with, if no row was sent.
pub(super) fn tail(lead: &[u8]) -> Bytes {
    one(&[lead, &[0xff, 0xff]].concat())
}

/// A line, or what stands for one, as a message.
pub(super) fn one(body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    message(&mut out, body);
    out.freeze()
}

/// The rows of a batch as `CopyData` messages, one a row.
pub(super) fn chunk(options: &Options, batch: &RecordBatch, style: Style) -> Result<Chunk> {
    let mut out = BytesMut::new();
    let mut ends = Vec::with_capacity(batch.num_rows());
    for row in style.row_texts(batch)? {
        message(&mut out, options.line(&row).as_bytes());
        ends.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
    }
    Ok(Chunk { bytes: out.freeze(), ends })
}

fn message(out: &mut BytesMut, body: &[u8]) {
    out.put_u8(b'd');
    out.put_i32(i32::try_from(body.len() + 4).unwrap_or(i32::MAX));
    out.put_slice(body);
}
