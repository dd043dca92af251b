//! A query that runs: its plan on the threads that compute, its rows through a short queue to the connection.

use std::pin::Pin;

use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use super::admission::{Place, Queue};
use super::copy;
use super::encode::{Chunk, RowEncoder, Style};
use super::traced::Whole;
use crate::error::{Error, Result, UserError, sqlstate};
use crate::session::copy::Options;

/// Chunks between the plan and the connection.
const QUEUE: usize = 3;

/// Bytes of a chunk, about.
const CHUNK_BYTES: usize = 64 << 10;

/// Rows that a batch on its way to a cursor has at most.
const CURSOR_ROWS: usize = 1024;

/// What the rows become.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// `DataRow` messages.
    Rows(RowEncoder),
    /// `CopyData` messages.
    Copy(Options, Style),
    /// Batches, for a cursor whose format is known when it is fetched from.
    Batches,
}

#[derive(Debug)]
pub(super) enum Item {
    Chunk(Chunk),
    Batch(RecordBatch),
}

/// Work on other threads that ends when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Owned<T>(JoinHandle<T>);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Run something on the threads that compute.
pub(super) async fn compute<T: Send + 'static>(
    cpu: &Handle,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut owned = Owned(cpu.spawn(work));
    match Pin::new(&mut owned.0).await {
        Ok(result) => result,
        Err(_) => Err(broken().into()),
    }
}

fn broken() -> UserError {
    UserError::new(sqlstate::INTERNAL, "the statement failed by a defect of the server")
}

/// A query that runs.
#[derive(Debug)]
pub(super) struct Running {
    queue: mpsc::Receiver<Result<Item>>,
    /// None once its end was seen.
    task: Option<Owned<()>>,
    left: Option<Chunk>,
    lead: Option<&'static [u8]>,
}

impl Running {
    /// Put something in front of what the first row's message holds.
    pub(super) fn lead(&mut self, lead: &'static [u8]) {
        self.lead = Some(lead);
    }

    /// What should have been in front of the first row, if there was none.
    pub(super) fn unled(&mut self) -> Option<&'static [u8]> {
        self.lead.take()
    }

    /// Start it, in a place of its own where there is a `queue` for one, as a part of a statement that is traced. `open`
    /// makes the stream, on the threads that compute.
    pub(super) fn start(
        cpu: &Handle,
        shape: Shape,
        queue: Option<Queue>,
        whole: Option<Whole>,
        open: impl Future<Output = Result<SendableRecordBatchStream>> + Send + 'static,
    ) -> Self {
        let (sender, chunks) = mpsc::channel(QUEUE);
        let task = cpu.spawn(async move {
            let outlet = Outlet { sender: &sender, queue, place: None };
            if let Err(error) = pump(outlet, shape, whole, open).await {
                // Nobody listens any more if this fails.
                let _ = sender.send(Err(error)).await.is_ok();
            }
        });
        Self { queue: chunks, task: Some(Owned(task)), left: None, lead: None }
    }

    /// The next rows; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Item>> {
        if let Some(left) = self.left.take() {
            return Ok(Some(Item::Chunk(left)));
        }
        match self.queue.recv().await {
            Some(Ok(Item::Chunk(chunk))) if chunk.rows() > 0 => Ok(Some(Item::Chunk(match self.lead.take() {
                Some(lead) => chunk.led_by(lead),
                None => chunk,
            }))),
            Some(item) => item.map(Some),
            None => {
                let Some(task) = &mut self.task else { return Ok(None) };
                let ended = Pin::new(&mut task.0).await;
                self.task = None;
                ended.map(|()| None).map_err(|_| broken().into())
            }
        }
    }

    /// Give rows back that were not asked for yet.
    pub(super) fn keep(&mut self, rest: Chunk) {
        if rest.rows() > 0 {
            self.left = Some(rest);
        }
    }
}

/// Where the rows go.
struct Outlet<'a> {
    sender: &'a mpsc::Sender<Result<Item>>,
    queue: Option<Queue>,
    /// What the statement computes in.
    place: Option<Place>,
}

impl Outlet<'_> {
    /// Hand something to the connection; false if nobody wants it any more. Who has to wait for the client gives the place
    /// to others meanwhile.
    async fn send(&mut self, item: Item) -> Result<bool> {
        match self.sender.try_send(Ok(item)) {
            Ok(()) => Ok(true),
            Err(TrySendError::Closed(_)) => Ok(false),
            Err(TrySendError::Full(item)) => {
                self.place = None;
                let sent = self.sender.send(item).await.is_ok();
                if let Some(queue) = self.queue.as_ref().filter(|_| sent) {
                    self.place = Some(queue.place().await?);
                }
                Ok(sent)
            }
        }
    }
}

async fn pump(
    mut outlet: Outlet<'_>,
    shape: Shape,
    whole: Option<Whole>,
    open: impl Future<Output = Result<SendableRecordBatchStream>>,
) -> Result<()> {
    if let Some(queue) = &outlet.queue {
        let _wait = whole.as_ref().map(|whole| whole.part("wait"));
        outlet.place = Some(queue.enter().await?);
    }
    let _execute = whole.map(|whole| whole.part("execute"));
    let mut stream = open.await?;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(Error::from)?;
        let sent = match &shape {
            Shape::Rows(encoder) => {
                let mut sent = true;
                for chunk in encoder.chunks(&batch, CHUNK_BYTES) {
                    sent = outlet.send(Item::Chunk(chunk?)).await?;
                    if !sent {
                        break;
                    }
                }
                sent
            }
            Shape::Copy(..) | Shape::Batches => slices(&mut outlet, &shape, &batch).await?,
        };
        if !sent {
            return Ok(());
        }
    }
    Ok(())
}

async fn slices(outlet: &mut Outlet<'_>, shape: &Shape, batch: &RecordBatch) -> Result<bool> {
    for from in (0..batch.num_rows()).step_by(CURSOR_ROWS) {
        let slice = batch.slice(from, CURSOR_ROWS.min(batch.num_rows() - from));
        let item = match shape {
            Shape::Copy(options, style) => Item::Chunk(copy::chunk(options, &slice, *style)?),
            _ => Item::Batch(slice),
        };
        if !outlet.send(item).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
