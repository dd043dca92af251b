//! What the functions over traces share: reading `spans` as whole traces, in a stream of any length.

mod encode;
mod fold;
mod origins;
mod output;
mod source;

pub(super) use encode::{Encoder, Needs};
pub(super) use fold::{each_trace, one_trace, start_of};
pub(super) use origins::{ORIGIN_COLUMNS, origin_inputs, origins};
pub(super) use output::{Output, trace_argument, window_arguments};
pub(super) use source::{Selection, TraceBatch, WholeTraces, known_service, known_trace, unknown_trace};
