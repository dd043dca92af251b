//! OTLP over HTTP (OpenTelemetry Protocol specification, "OTLP/HTTP").

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;

use super::body::{self, Looked};
use super::status::{No, respond};
use super::{Receiver, media_type};
use crate::ingest::buffer::{Content, Request as Landing, Verdict};
use crate::ingest::otlp::{Encoding, Signal};

/// An endpoint and its signal.
pub(super) const ENDPOINTS: [(&str, Signal); 3] =
    [("/v1/traces", Signal::Traces), ("/v1/logs", Signal::Logs), ("/v1/metrics", Signal::Metrics)];

/// Answer an export.
pub(super) async fn export(
    State((receiver, origin, signal)): State<(Arc<Receiver>, &'static str, Signal)>,
    request: Request<Body>,
) -> Response<Body> {
    let encoding = match media_type(request.headers()).as_deref() {
        Some("application/x-protobuf") => Encoding::Protobuf,
        Some("application/json") => Encoding::Json,
        _ => {
            let given = request.headers().get(CONTENT_TYPE).map(|given| String::from_utf8_lossy(given.as_bytes()));
            let why = format!("content type {:?}", given.unwrap_or_default());
            return No::Unsupported(why).to_response(Encoding::Json);
        }
    };
    let (parts, body) = request.into_parts();
    match land(&receiver, origin, Content::Otlp(signal, encoding), &parts.headers, body).await {
        Ok(verdict) => respond(StatusCode::OK, encoding, answer(signal, encoding, &verdict)),
        Err(no) => no.to_response(encoding),
    }
}

async fn land(
    receiver: &Receiver,
    origin: &'static str,
    content: Content,
    headers: &HeaderMap,
    body: Body,
) -> Result<Verdict, No> {
    let buffer = &receiver.buffer;
    receiver.admit(headers)?;
    let mut held = buffer.enter()?;
    let sent = body::read(headers, body, buffer.settings().request_bytes, &mut held).await?;
    let bytes = sent.len();
    let Looked { body, identity, held } = body::look(buffer, content, headers, sent, held)
        .await
        .inspect_err(|no| receiver.note(no, content, origin, bytes))?;
    Ok(buffer.land(Landing { content, origin, body, identities: vec![identity], held }).await?)
}

/// The response of the protocol: empty, or how many records of the request were rejected and why.
pub(super) fn answer(signal: Signal, encoding: Encoding, verdict: &Verdict) -> Vec<u8> {
    let rejected = i64::try_from(verdict.rejections()).unwrap_or(i64::MAX);
    if rejected == 0 {
        return if encoding == Encoding::Json { b"{}".to_vec() } else { Vec::new() };
    }
    let error_message = verdict.reasons();
    match (encoding, signal) {
        (Encoding::Json, _) => {
            let counted = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
            };
            // The JSON mapping of Protocol Buffers writes 64-bit integers as strings.
            let partial = serde_json::json!({ counted: rejected.to_string(), "errorMessage": error_message });
            serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
        (Encoding::Protobuf, Signal::Traces) => {
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans: rejected, error_message });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        }
        (Encoding::Protobuf, Signal::Logs) => {
            let partial_success = Some(ExportLogsPartialSuccess { rejected_log_records: rejected, error_message });
            ExportLogsServiceResponse { partial_success }.encode_to_vec()
        }
        (Encoding::Protobuf, Signal::Metrics) => {
            let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message });
            ExportMetricsServiceResponse { partial_success }.encode_to_vec()
        }
    }
}
