//! OTLP over gRPC. Messages are taken as bytes, so that they are decoded as tolerantly as those over HTTP.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use bytes::{Buf, BufMut, Bytes};
use parking_lot::Mutex;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use super::Receiver;
use super::otlp::answer;
use super::status::No;
use crate::ingest::buffer::{Content, Held, Identity, Request as Landing};
use crate::ingest::otlp::{Encoding, Signal};

/// A method and its signal.
pub(super) const METHODS: [(&str, Signal); 3] = [
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
];

/// Answer an export.
pub(super) async fn export(
    State((receiver, origin, signal)): State<(Arc<Receiver>, &'static str, Signal)>,
    request: Request<Body>,
) -> Response<Body> {
    let held = receiver.admit(request.headers()).and_then(|()| Ok(receiver.buffer.enter()?));
    let held = match held {
        Ok(held) => Arc::new(Mutex::new(Some(held))),
        Err(no) => return no.to_grpc().into_http(),
    };
    let limit = receiver.buffer.settings().request_bytes;
    let request = request.map(|body| accounted(body, Arc::clone(&held)));
    let mut grpc = Grpc::new(Raw).max_decoding_message_size(limit);
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        grpc = grpc.accept_compressed(encoding);
    }
    grpc.unary(Export { receiver, origin, signal, held }, request).await.map(Body::new)
}

/// What is not an export.
pub(super) async fn unknown() -> Response<Body> {
    Status::new(Code::Unimplemented, "there is no such method here").into_http()
}

/// The body, given out as far as there is room for it.
fn accounted(body: Body, held: Arc<Mutex<Option<Held>>>) -> Body {
    use futures::StreamExt;
    let mut length = 0;
    let frames = body.into_data_stream().map(move |frame| {
        let frame = frame.map_err(|error| Status::unavailable(error.to_string()))?;
        length += frame.len();
        // The compressed form and what it holds are in memory together for a moment.
        let room = held.lock().as_mut().map_or(Ok(()), |held| held.grow(length));
        room.map_err(|full| No::from(full).to_grpc())?;
        Ok::<_, Status>(frame)
    });
    Body::from_stream(frames)
}

struct Export {
    receiver: Arc<Receiver>,
    origin: &'static str,
    signal: Signal,
    held: Arc<Mutex<Option<Held>>>,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (receiver, origin, signal) = (Arc::clone(&self.receiver), self.origin, self.signal);
        let held = self.held.lock().take();
        Box::pin(async move {
            let landed = land(&receiver, origin, signal, request.into_inner(), held).await;
            landed.map(tonic::Response::new).map_err(|no| no.to_grpc())
        })
    }
}

async fn land(
    receiver: &Receiver,
    origin: &'static str,
    signal: Signal,
    body: Bytes,
    held: Option<Held>,
) -> Result<Bytes, No> {
    let mut held = held.ok_or(No::Full)?;
    held.grow(body.len())?;
    held.shrink(body.len());
    let content = Content::Otlp(signal, Encoding::Protobuf);
    content
        .check(&body)
        .map_err(|why| No::Malformed(why.to_owned()))
        .inspect_err(|no| receiver.note(no, content, origin, body.len()))?;
    let identities = vec![Identity::of(&content.kind(), &body)];
    let verdict = receiver.buffer.land(Landing { content, origin, body, identities, held }).await?;
    Ok(answer(signal, Encoding::Protobuf, &verdict).into())
}

/// Messages as their bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}
