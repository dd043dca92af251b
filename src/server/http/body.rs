//! Reading the body of a request into room that was granted before, and decompressing it likewise.

use std::io::Read;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::status::No;
use crate::config;
use crate::ingest::buffer::{Buffer, Content, Held, Identity};

/// Bytes that are decompressed at a time, and that it does not pay to leave the thread for.
const STEP: usize = 64 << 10;

#[derive(Debug, Clone, Copy)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(headers: &HeaderMap) -> Result<Self, No> {
        let Some(named) = headers.get(CONTENT_ENCODING) else { return Ok(Self::None) };
        match named.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::None),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            other => Err(No::Unsupported(format!("content encoding {:?}", String::from_utf8_lossy(other)))),
        }
    }
}

/// The body as it was sent. Room is asked for as it arrives.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize, held: &mut Held) -> Result<Bytes, No> {
    let told = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > limit) {
        return Err(No::TooLarge);
    }
    held.grow(told.unwrap_or_default())?;
    let mut whole = BytesMut::with_capacity(told.unwrap_or_default());
    let mut frames = body.into_data_stream();
    let reading = async {
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(|error| No::Malformed(format!("the request ends early: {error}")))?;
            let length = whole.len() + frame.len();
            if length > limit {
                return Err(No::TooLarge);
            }
            held.grow(length)?;
            whole.extend_from_slice(&frame);
        }
        Ok(())
    };
    tokio::time::timeout(config::LIVE_BODY_TIMEOUT, reading).await.unwrap_or(Err(No::Slow))?;
    Ok(whole.freeze())
}

/// A body that was looked at: decompressed, well formed, with what identifies it.
pub(super) struct Looked {
    pub body: Bytes,
    pub identity: Identity,
    pub held: Held,
}

/// Decompress a body and look whether it can be such content. On another thread where that takes long.
pub(super) async fn look(
    buffer: &Buffer,
    content: Content,
    headers: &HeaderMap,
    sent: Bytes,
    held: Held,
) -> Result<Looked, No> {
    let (compression, limit) = (Compression::of(headers)?, buffer.settings().request_bytes);
    if matches!(compression, Compression::None) && sent.len() <= STEP {
        return look_here(content, compression, limit, sent, held);
    }
    let looking = tokio::task::spawn_blocking(move || look_here(content, compression, limit, sent, held));
    looking.await.map_err(|error| No::Unavailable(error.to_string()))?
}

fn look_here(
    content: Content,
    compression: Compression,
    limit: usize,
    sent: Bytes,
    mut held: Held,
) -> Result<Looked, No> {
    let broken = |error: std::io::Error| No::Malformed(format!("the request cannot be decompressed: {error}"));
    let body = match compression {
        Compression::None => sent,
        Compression::Gzip => {
            decompress(flate2::read::MultiGzDecoder::new(&*sent), sent.len(), limit, &mut held, broken)?
        }
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&*sent).map_err(broken)?;
            decompress(decoder, sent.len(), limit, &mut held, broken)?
        }
    };
    held.shrink(body.len());
    content.check(&body).map_err(|why| No::Malformed(why.to_owned()))?;
    let identity = Identity::of(&content.kind(), &body);
    Ok(Looked { body, identity, held })
}

fn decompress(
    reader: impl Read,
    sent: usize,
    limit: usize,
    held: &mut Held,
    broken: impl Fn(std::io::Error) -> No,
) -> Result<Bytes, No> {
    let mut reader = reader;
    let mut whole = Vec::new();
    loop {
        // Both forms are in memory until the end.
        held.grow(sent + whole.len() + STEP)?;
        let before = whole.len();
        (&mut reader).take(STEP as u64).read_to_end(&mut whole).map_err(&broken)?;
        if whole.len() > limit {
            return Err(No::TooLarge);
        }
        if whole.len() == before {
            return Ok(whole.into());
        }
    }
}
