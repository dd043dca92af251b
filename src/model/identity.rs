//! Audit events of identities, from any cloud.

use super::cell::{Bool, Text, TextList, Time};
use super::{Partition, day_of};
use crate::canonical_table;

canonical_table! {
    /// One row an audit event, from any cloud.
    "iam_events", IAM_EVENTS, IamEventRow, IamEventBuilder;
    partition Partition::Day("event_time"), |row| row.event_time.map(day_of);
    key ["provider", "event_id"];
    cluster ["event_time"];
    bloom ["event_id", "access_key_id", "issued_access_key_id"];
    /// When the call was made.
    event_time: Time,
    /// Id that the provider gave the event.
    event_id: Text,
    /// aws, gcp, azure, kubernetes, okta or github.
    provider: Text,
    /// Service that was called, such as sts.amazonaws.com.
    event_source: Text,
    /// The operation, such as AssumeRole.
    event_name: Text,
    /// success or failure.
    outcome: Text,
    /// Error code of a failure.
    error_code: Text,
    /// Type of the calling principal, such as IAMUser or AssumedRole.
    principal_type: Text,
    /// Unique id of the calling principal.
    principal_id: Text,
    /// ARN (or the provider's equivalent) of the calling principal.
    principal_arn: Text,
    /// Name of the calling principal, for people.
    principal_name: Text,
    /// Account of the calling principal.
    account_id: Text,
    /// Access key that signed the call.
    access_key_id: Text,
    /// ARN of the role that issued the caller's session.
    session_issuer_arn: Text,
    /// Name of the caller's role session.
    session_name: Text,
    /// sourceIdentity, which survives role chaining.
    source_identity: Text,
    /// When the caller's session was issued.
    session_created_at: Time,
    /// Whether the caller's session was authenticated with a second factor.
    mfa: Bool,
    /// Provider service that made the call on somebody's behalf.
    invoked_by: Text,
    /// OIDC or SAML subject of a federated caller.
    federated_subject: Text,
    /// Access key that this event handed out.
    issued_access_key_id: Text,
    /// Principal that this event handed credentials out for.
    issued_principal_arn: Text,
    /// When the credentials that this event handed out expire.
    issued_expires_at: Time,
    /// Id that the events of one cross-account call share.
    shared_event_id: Text,
    /// Request id.
    request_id: Text,
    /// Resources that the event names.
    resource_ids: TextList,
    /// Address that the call came from.
    source_ip: Text,
    /// User agent of the caller.
    user_agent: Text,
    /// Region.
    region: Text,
    /// Whether the operation only reads.
    read_only: Bool,
    /// Trace that the event carries, if it carries one.
    trace_id: Text,
    /// The event as delivered.
    raw: Text,
}
