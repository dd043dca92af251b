//! Answers that say no, as OTLP wants them: `google.rpc.Status`, in the encoding of the request.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use prost::Message;

use crate::config;
use crate::ingest::buffer::{Full, Refusal};
use crate::ingest::otlp::Encoding;

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Eq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Eq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Eq, Message)]
struct RetryInfo {
    #[prost(message, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Eq, Message)]
struct Delay {
    #[prost(uint64, tag = "1")]
    seconds: u64,
}

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum No {
    /// There is no room now.
    Full,
    /// It did not land, and may when it is sent again.
    Unavailable(String),
    /// It cannot be read.
    Malformed(String),
    /// It is too long.
    TooLarge,
    /// It is of a type, or in an encoding, that nobody here reads.
    Unsupported(String),
    /// It did not arrive in time.
    Slow,
    /// Its sender did not prove who it is.
    Unauthenticated(&'static str),
}

impl From<Full> for No {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closing => Self::Unavailable("the server is about to end".to_owned()),
            Refusal::Failed(why) => Self::Unavailable(why),
        }
    }
}

impl No {
    fn http(&self) -> StatusCode {
        match self {
            Self::Full => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        }
    }

    fn grpc(&self) -> tonic::Code {
        match self {
            Self::Full => tonic::Code::ResourceExhausted,
            Self::Unavailable(_) | Self::Slow => tonic::Code::Unavailable,
            Self::Malformed(_) => tonic::Code::InvalidArgument,
            // Without a delay to wait for it says that trying again is in vain.
            Self::TooLarge => tonic::Code::ResourceExhausted,
            Self::Unsupported(_) => tonic::Code::Unimplemented,
            Self::Unauthenticated(_) => tonic::Code::Unauthenticated,
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::Full => "too much is waiting to be committed, try again later",
            Self::Unavailable(why) | Self::Malformed(why) | Self::Unsupported(why) => why,
            Self::TooLarge => "the request is longer than the limit",
            Self::Slow => "the request did not arrive in time",
            Self::Unauthenticated(why) => why,
        }
    }

    fn retry(&self) -> bool {
        matches!(self, Self::Full | Self::Unavailable(_))
    }

    fn status(&self) -> RpcStatus {
        let delay = RetryInfo { retry_delay: Some(Delay { seconds: config::LIVE_RETRY.as_secs() }) };
        let info =
            Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: delay.encode_to_vec() };
        let details = if self.retry() { vec![info] } else { Vec::new() };
        RpcStatus { code: self.grpc().into(), message: self.message().to_owned(), details }
    }

    /// As an HTTP response.
    pub(super) fn to_response(&self, encoding: Encoding) -> Response<Body> {
        let body = match encoding {
            Encoding::Protobuf => self.status().encode_to_vec(),
            Encoding::Json => {
                let code: i32 = self.grpc().into();
                serde_json::json!({ "code": code, "message": self.message() }).to_string().into_bytes()
            }
        };
        let mut response = respond(self.http(), encoding, body);
        if self.retry() {
            response.headers_mut().insert(RETRY_AFTER, config::LIVE_RETRY.as_secs().into());
        }
        response
    }

    /// As the status of a gRPC call.
    pub(super) fn to_grpc(&self) -> tonic::Status {
        tonic::Status::with_details(self.grpc(), self.message(), self.status().encode_to_vec().into())
    }
}

/// A response with a body of a type.
pub(super) fn respond(status: StatusCode, encoding: Encoding, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type(encoding)));
    response
}

fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    }
}
