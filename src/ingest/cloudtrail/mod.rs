//! AWS CloudTrail: log files (`{"Records": […]}`), arrays, JSON lines, single events, and events inside EventBridge's
//! envelope (`detail`). Lands in `iam_events`.
//!
//! Field meanings are those of the CloudTrail user guide, "CloudTrail record contents" and "userIdentity element".

mod decode;
mod resources;
#[cfg(test)]
mod tests;

use super::{Input, Output, Source, json_records};
use crate::error::Result;

/// The source `cloudtrail`.
#[derive(Debug)]
pub struct CloudTrail;

impl Source for CloudTrail {
    fn name(&self) -> &'static str {
        "cloudtrail"
    }

    fn doc(&self) -> &'static str {
        "AWS CloudTrail events (log files, arrays, JSON lines, EventBridge) into iam_events"
    }

    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()> {
        json_records::for_each(input, &["Records"], output, |record, raw, output| {
            let resources = resources::of_event(decode::event(record));
            output.iam_events.push(&decode::row(record, raw, resources)?);
            Ok(())
        })
    }
}
