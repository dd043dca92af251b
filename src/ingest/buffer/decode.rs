//! Requests → rows, on the threads that may compute.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;

use super::{Content, Identity, Verdict};
use crate::config;
use crate::error::{Result, UserError, sqlstate};
use crate::ingest::Output;
use crate::model::Table;

/// A request to decode.
#[derive(Debug)]
pub(super) struct Job {
    pub content: Content,
    pub body: Bytes,
    pub identity: Identity,
    /// Tables whose rows landed before.
    pub done: Vec<&'static str>,
}

/// What some requests say.
#[derive(Default)]
pub(super) struct Decoded {
    /// The rows of all.
    pub batches: Vec<(&'static Table, RecordBatch)>,
    /// One a request.
    pub verdicts: Vec<Verdict>,
}

/// Decode requests, in order, on as many threads as it pays.
pub(super) async fn all(jobs: Vec<Job>, now: i64) -> Result<Decoded> {
    let parts = split(jobs).into_iter().map(|jobs| tokio::task::spawn_blocking(move || decode(&jobs, now)));
    let mut all = Decoded::default();
    for part in parts.collect::<Vec<_>>() {
        let part = part.await.map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))??;
        all.batches.extend(part.batches);
        all.verdicts.extend(part.verdicts);
    }
    Ok(all)
}

/// Parts of about the same bytes, in order.
fn split(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let total: usize = jobs.iter().map(|job| job.body.len()).sum();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = total.div_ceil(threads.min(1 + total / config::LIVE_DECODE_BYTES));
    let mut parts: Vec<Vec<Job>> = Vec::new();
    let mut room = 0;
    for job in jobs {
        let bytes = job.body.len();
        match parts.last_mut().filter(|_| room > 0) {
            Some(part) => part.push(job),
            None => {
                room = most;
                parts.push(vec![job]);
            }
        }
        room = room.saturating_sub(bytes);
    }
    parts
}

fn decode(jobs: &[Job], now: i64) -> Result<Decoded> {
    let mut decoded = Decoded::default();
    let alike = |one: &Job, next: &Job| one.content.source() == next.content.source() && one.done == next.done;
    for run in jobs.chunk_by(alike) {
        let Some((source, done)) = run.first().map(|job| (job.content.source(), &job.done)) else { continue };
        let batches = &mut decoded.batches;
        let mut flush = |table: &'static Table, batch| {
            if !done.contains(&table.name) {
                batches.push((table, batch));
            }
            Ok(())
        };
        let mut output = Output::new(source, now, &mut flush);
        for job in run {
            let before = output.rows();
            if let Err(error) = job.content.decode(&job.body, job.identity, &mut output) {
                output.reject(&error.describe().message, "");
            }
            let rejected = output.take_rejected();
            decoded.verdicts.push(Verdict { rows: output.rows() - before, repeated: false, rejected });
        }
        output.finish()?;
    }
    Ok(decoded)
}
