//! Webhooks: what other systems tell as it happens.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::body::{self, Looked};
use super::status::{No, respond};
use super::{Receiver, media_type, same};
use crate::config;
use crate::ingest::buffer::{Content, Identity, Request as Landing, Verdict};
use crate::ingest::mapped::{Mapped, Secret};
use crate::ingest::otlp::Encoding;
use crate::ingest::{self, Source};

/// What senders of webhooks prove themselves with. Of a sender without one everything is believed, which is why the
/// server listens at this machine only unless a token is set; then such a sender has to show the token.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// What GitHub signs with.
    pub github: Option<String>,
    /// What GitLab sends along.
    pub gitlab: Option<String>,
    /// What PagerDuty signs with.
    pub pagerduty: Option<String>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            github: config::variable(config::GITHUB_SECRET_VARIABLE),
            gitlab: config::variable(config::GITLAB_TOKEN_VARIABLE),
            pagerduty: config::variable(config::PAGERDUTY_SECRET_VARIABLE),
        }
    }
}

/// An endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint {
    source: &'static dyn Source,
    delivery: Delivery,
    proof: Proof,
}

/// What makes a delivery known when it is delivered again.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    /// What it says.
    Content,
    /// What it says, or the id in this header.
    Header(&'static str),
    /// The id in the first of these headers that there is, together with what it says: some events say the same as
    /// others, for they have no time. What it says alone, if there is none.
    With(&'static [&'static str]),
}

/// How a sender proves itself.
#[derive(Debug, Clone, Copy)]
enum Proof {
    /// HMAC-SHA256 of the body in `X-Hub-Signature-256: sha256=…`.
    GitHub,
    /// A token in `X-Gitlab-Token`.
    GitLab,
    /// HMAC-SHA256 of the body in `X-PagerDuty-Signature: v1=…,v1=…`.
    PagerDuty,
    /// What `webhooks.yaml` says.
    Of(&'static Secret),
    /// The token of the server.
    Token,
}

/// Every endpoint and its path; `mapped` are those of `webhooks.yaml`.
pub(super) fn endpoints(mapped: &[&'static Mapped]) -> Vec<(&'static str, Endpoint)> {
    let all = [
        ("/webhooks/github", "github", Delivery::Header("x-github-delivery"), Proof::GitHub),
        // A hook that causes another gives it the same event id, but for the same request only the same key.
        ("/webhooks/gitlab", "gitlab", Delivery::With(&["idempotency-key", "x-gitlab-event-uuid"]), Proof::GitLab),
        ("/webhooks/cdevents", "cdevents", Delivery::Content, Proof::Token),
        ("/webhooks/argocd", "argocd", Delivery::Content, Proof::Token),
        ("/webhooks/kubernetes", "kubernetes", Delivery::Content, Proof::Token),
        ("/webhooks/k8s-audit", "k8s-audit", Delivery::Content, Proof::Token),
        ("/webhooks/openlineage", "openlineage", Delivery::Content, Proof::Token),
        // Where clients of OpenLineage send to when they are given a host only.
        ("/api/v1/lineage", "openlineage", Delivery::Content, Proof::Token),
        ("/webhooks/alertmanager", "alertmanager", Delivery::Content, Proof::Token),
        ("/webhooks/pagerduty", "pagerduty", Delivery::Content, Proof::PagerDuty),
    ];
    let built_in = all.into_iter().filter_map(|(path, source, delivery, proof)| {
        Some((path, Endpoint { source: ingest::find(source)?, delivery, proof }))
    });
    let mapped = mapped.iter().map(|mapped| {
        let proof = mapped.secret.as_ref().map_or(Proof::Token, Proof::Of);
        (mapped.path, Endpoint { source: *mapped, delivery: Delivery::Content, proof })
    });
    built_in.chain(mapped).collect()
}

/// Take a delivery.
pub(super) async fn deliver(
    State((receiver, origin, endpoint)): State<(Arc<Receiver>, &'static str, Endpoint)>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    match land(&receiver, origin, endpoint, &parts.headers, body).await {
        Ok(verdict) => {
            let told = serde_json::json!({
                "rows": verdict.rows,
                "rejected": verdict.rejections(),
                "repeated": verdict.repeated,
                "message": verdict.rejected.keys().cloned().collect::<Vec<_>>().join("; "),
            });
            respond(StatusCode::OK, Encoding::Json, told.to_string())
        }
        Err(no) => no.to_response(Encoding::Json),
    }
}

async fn land(
    receiver: &Receiver,
    origin: &'static str,
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: Body,
) -> Result<Verdict, No> {
    let buffer = &receiver.buffer;
    let mut held = buffer.enter()?;
    let sent = body::read(headers, body, buffer.settings().request_bytes, &mut held).await?;
    // Before anything is made of it.
    prove(receiver, endpoint.proof, headers, &sent)?;
    let content = Content::Of(endpoint.source);
    let sent = if endpoint.source.name() == "cdevents" { structured(headers, sent)? } else { sent };
    held.grow(sent.len())?;
    let bytes = sent.len();
    let Looked { body, identity, held } = body::look(buffer, content, headers, sent, held)
        .await
        .inspect_err(|no| receiver.note(no, content, origin, bytes))?;
    let kind = format!("delivery/{}", endpoint.source.name());
    let identities = match endpoint.delivery {
        Delivery::Content => vec![identity],
        Delivery::Header(name) => {
            let id = headers.get(name).map(|id| Identity::of(&kind, id.as_bytes()));
            [identity].into_iter().chain(id).collect()
        }
        Delivery::With(names) => {
            let id = names.iter().find_map(|name| headers.get(*name));
            vec![id.map_or(identity, |id| Identity::of(&kind, &[id.as_bytes(), b"\0", &body].concat()))]
        }
    };
    Ok(buffer.land(Landing { content, origin, body, identities, held }).await?)
}

fn prove(receiver: &Receiver, proof: Proof, headers: &HeaderMap, body: &[u8]) -> Result<(), No> {
    let secrets = &receiver.secrets;
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let proven = match proof {
        Proof::GitHub => secrets.github.as_ref().map(|secret| {
            let given = header("x-hub-signature-256").strip_prefix(b"sha256=");
            given.is_some_and(|given| signed(secret, body, given))
        }),
        Proof::GitLab => secrets.gitlab.as_ref().map(|token| same(header("x-gitlab-token"), token.as_bytes())),
        // Several while the secret is being replaced.
        Proof::PagerDuty => secrets.pagerduty.as_ref().map(|secret| {
            let mut given = header("x-pagerduty-signature").split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            given.any(|given| given.strip_prefix(b"v1=").is_some_and(|given| signed(secret, body, given)))
        }),
        Proof::Of(secret) => {
            let given = header(&secret.header).strip_prefix(secret.prefix.as_bytes());
            Some(given.is_some_and(|given| {
                if secret.signs { signed(&secret.value, body, given) } else { same(given, secret.value.as_bytes()) }
            }))
        }
        Proof::Token => None,
    };
    match proven {
        Some(true) => Ok(()),
        Some(false) => Err(No::Unauthenticated("the signature or token of the delivery is wrong or missing")),
        None => receiver.admit(headers),
    }
}

/// Whether hex digits are the HMAC-SHA256 of a body.
fn signed(secret: &str, body: &[u8], given: &[u8]) -> bool {
    let (Ok(mut mac), Ok(given)) = (Hmac::<Sha256>::new_from_slice(secret.as_bytes()), hex::decode(given)) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&given).is_ok()
}

/// A CloudEvent of the binary HTTP binding (attributes in `ce-` headers, the data in the body) as a structured one.
fn structured(headers: &HeaderMap, body: Bytes) -> Result<Bytes, No> {
    let structured = media_type(headers).is_some_and(|media| media.starts_with("application/cloudevents"));
    if structured || !headers.contains_key("ce-specversion") {
        return Ok(body);
    }
    let data: Value =
        serde_json::from_slice(&body).map_err(|error| No::Malformed(format!("the data is not JSON: {error}")))?;
    let attributes = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("ce-")?;
        Some((name.to_owned(), Value::from(value.to_str().ok()?)))
    });
    let mut event: Map<String, Value> = attributes.collect();
    event.insert("data".to_owned(), data);
    Ok(Value::from(event).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_checked() {
        // The example of GitHub's documentation, "Testing the webhook payload validation".
        let digest = b"757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(signed("It's a Secret to Everybody", b"Hello, World!", digest));
        assert!(!signed("It's a Secret to Everybody", b"Hello, World?", digest));
        assert!(!signed("another", b"Hello, World!", digest));
        assert!(!signed("It's a Secret to Everybody", b"Hello, World!", &digest[..62]));
        assert!(!signed("It's a Secret to Everybody", b"Hello, World!", b"no hex"));
    }

    #[test]
    fn binary_events_become_structured() {
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", "1.0".parse().unwrap());
        headers.insert("ce-id", "7".parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let event = structured(&headers, Bytes::from_static(br#"{"context":{}}"#)).unwrap();
        let event: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(event, serde_json::json!({ "specversion": "1.0", "id": "7", "data": { "context": {} } }));
        assert!(matches!(structured(&headers, Bytes::from_static(b"{")), Err(No::Malformed(_))));
        headers.insert("content-type", "application/cloudevents+json; charset=utf-8".parse().unwrap());
        assert_eq!(structured(&headers, Bytes::from_static(b"{}")).unwrap(), "{}");
    }
}
