//! Reads the spans of one partition, hands over the traces that are whole, and leaves the others to be gathered.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat_batches, take_record_batch};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::TryStreamExt;

use super::census::Census;
use super::encode::{AllNames, Encoder, Packed};
use super::gather::{Chunk, Scatter};
use super::metrics::TraceMetrics;
use super::stream::Work;
use super::traces::{Traces, last_start, runs};

/// How it is known that spans that follow each other are a whole trace.
pub(super) enum Judge {
    /// The input is ordered by trace: all are.
    Order,
    /// All that were counted have come. The others are gathered, and all are where nothing was counted.
    Count(Option<Arc<Census>>, Box<Scatter>),
}

/// The spans of one partition.
pub(super) struct Reader {
    input: SendableRecordBatchStream,
    encoder: Encoder,
    work: Work,
    judge: Judge,
    metrics: TraceMetrics,
    /// The trace that may go on, and the memory of it.
    open: Vec<Chunk>,
    held: MemoryReservation,
    rows: u64,
    is_done: bool,
}

impl Reader {
    pub(super) fn new(
        input: SendableRecordBatchStream,
        work: &Work,
        names: &Arc<AllNames>,
        partition: usize,
        judge: Judge,
    ) -> Self {
        Self {
            input,
            encoder: work.encoder(names, partition),
            work: work.clone(),
            judge,
            metrics: TraceMetrics::new(&work.metrics, partition),
            open: vec![],
            held: work.reservation(),
            rows: 0,
            is_done: false,
        }
    }

    /// The next traces that are whole; none when the input has ended, and everything else is handed over to be gathered.
    pub(super) async fn next(&mut self) -> Result<Option<Traces>> {
        while !self.is_done {
            let batch = self.input.try_next().await?;
            let time = self.metrics.gather_time.clone();
            let timer = time.timer();
            let whole = match batch {
                Some(batch) if batch.num_rows() == 0 => None,
                Some(batch) => self.read(&batch)?,
                None => self.end()?,
            };
            drop(timer);
            if whole.is_some() {
                return Ok(whole);
            }
            tokio::task::yield_now().await;
        }
        Ok(None)
    }

    /// Rows that were read.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    fn read(&mut self, batch: &RecordBatch) -> Result<Option<Traces>> {
        self.metrics.input_rows.add(batch.num_rows());
        self.rows += batch.num_rows() as u64;
        let own = self.work.own(batch)?;
        if let Judge::Count(None, scatter) = &mut self.judge {
            scatter.reserve(batch.num_rows(), own.as_ref())?;
            let mut row = 0;
            self.encoder.encode(batch, |span, weight| {
                scatter.push(span, weight, row);
                row += 1;
            })?;
            scatter.end_batch(own, batch.num_rows())?;
            return Ok(None);
        }
        let mut chunk = self.begun(batch.num_rows());
        let wants_weights = self.work.wants_weights;
        self.encoder.encode(batch, |span, weight| {
            chunk.spans.push(span);
            chunk.weights.extend(wants_weights.then_some(weight));
        })?;
        chunk.rows = match (chunk.rows.take(), own) {
            (Some(begun), Some(own)) => Some(concat_batches(&own.schema(), [&begun, &own])?),
            (_, own) => own,
        };
        let from = last_start(&chunk.spans);
        let trace = |span: Option<&Packed>| span.map(Packed::trace);
        let before = self.open.last().and_then(|open| trace(open.spans.last()));
        if from == 0 && (before.is_none() || before == trace(chunk.spans.first())) {
            self.open.push(chunk);
            self.hold()?;
            return Ok(None);
        }
        let tail = chunk.split_off(from);
        let mut whole = std::mem::replace(&mut self.open, vec![tail]);
        if !chunk.spans.is_empty() {
            whole.push(chunk);
        }
        self.hold()?;
        self.sort_out(whole)
    }

    /// What the spans of a batch are added to: those of the open trace, unless they are so many that they had better not
    /// be moved once more for each batch.
    fn begun(&mut self, rows: usize) -> Chunk {
        let few = matches!(self.open.as_slice(), [open] if open.spans.len() <= rows);
        let mut chunk = if few { self.open.pop().unwrap_or_default() } else { Chunk::default() };
        chunk.spans.reserve_exact(rows);
        chunk
    }

    /// Account for the open trace. One that is too large to be counted, or for the memory that there is, is gathered.
    fn hold(&mut self) -> Result<()> {
        let spans: usize = self.open.iter().map(|open| open.spans.len()).sum();
        let grown = self.held.try_resize(self.open.iter().map(Chunk::size).sum());
        match &mut self.judge {
            Judge::Count(_, scatter) if grown.is_err() || spans >= Census::MANY => {
                for chunk in self.open.drain(..) {
                    give(scatter, chunk)?;
                }
                self.held.try_resize(0)
            }
            _ => grown,
        }
    }

    fn end(&mut self) -> Result<Option<Traces>> {
        self.is_done = true;
        let open = std::mem::take(&mut self.open);
        let whole = self.sort_out(open)?;
        if let Judge::Count(_, scatter) = &mut self.judge {
            scatter.flush()?;
        }
        self.held.try_resize(0)?;
        Ok(whole)
    }

    /// The whole traces of some spans.
    fn sort_out(&mut self, chunks: Vec<Chunk>) -> Result<Option<Traces>> {
        let chunk = Chunk::joined(chunks)?;
        let whole = match &mut self.judge {
            Judge::Count(Some(census), scatter) => {
                let is_whole = |run: &(u32, u32)| {
                    let first = chunk.spans.get(run.0 as usize);
                    first.is_some_and(|span| census.is_whole(span.trace(), (run.1 - run.0) as usize))
                };
                let (whole, others): (Vec<_>, Vec<_>) = runs(&chunk.spans).partition(is_whole);
                if !others.is_empty() {
                    give(scatter, some(&chunk, &others)?)?;
                }
                whole
            }
            _ => runs(&chunk.spans).collect(),
        };
        Ok(if whole.is_empty() { None } else { Some(Traces::of_runs(chunk, whole)?) })
    }
}

/// The spans of some runs.
fn some(chunk: &Chunk, runs: &[(u32, u32)]) -> Result<Chunk> {
    let places = UInt32Array::from_iter_values(runs.iter().flat_map(|(from, to)| *from..*to));
    let at = || places.values().iter().map(|place| *place as usize);
    Ok(Chunk {
        spans: at().filter_map(|at| chunk.spans.get(at).copied()).collect(),
        weights: at().filter_map(|at| chunk.weights.get(at).copied()).collect(),
        rows: chunk.rows.as_ref().map(|rows| take_record_batch(rows, &places)).transpose()?,
    })
}

/// Leave spans to be gathered.
fn give(scatter: &mut Scatter, chunk: Chunk) -> Result<()> {
    let Chunk { spans, weights, rows } = chunk;
    if spans.is_empty() {
        return Ok(());
    }
    scatter.reserve(spans.len(), rows.as_ref())?;
    let count = spans.len();
    for (row, span) in spans.into_iter().enumerate() {
        scatter.push(span, weights.get(row).copied().unwrap_or(f64::NAN), row);
    }
    scatter.end_batch(rows, count)
}
