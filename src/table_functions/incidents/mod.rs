//! What the functions about incidents and changes share.

mod answer;
mod load;
mod metrics;
mod reasons;
pub(super) mod rows;

pub(super) use answer::{Answer, METHOD, METHOD_VERSION, Row, answer};
pub(super) use load::{Question, SECOND, owners};
pub(super) use metrics::known as known_by_metrics;
