//! What the functions about incidents and changes share.

mod answer;
mod facts;
mod learn;
mod load;
mod metrics;
mod question;
mod reasons;
pub(super) mod rows;

pub(super) use answer::{Answer, METHOD, METHOD_VERSION, Row, answer};
pub(super) use facts::{gap, name_of, self_time};
pub(super) use learn::{Learned, learn};
pub(super) use load::owners;
pub(super) use question::{ARGUMENTS, Question, asked};
