//! Spans grouped by the hash of their trace: in memory as long as there is some, then in spill files, one a group.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array,
};
use datafusion::arrow::compute::{concat_batches, interleave_record_batch};
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, UInt32Type, UInt64Type,
};
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::SpillManager;
use futures::TryStreamExt;
use parking_lot::Mutex;

use super::encode::Packed;
use crate::config::{TRACE_BUCKET_BITS, TRACE_CHUNK_ROWS};

/// Spans that came together, with the columns of theirs that are passed on.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) spans: Vec<Packed>,
    /// One a span, or none at all where nobody asks.
    pub(super) weights: Vec<f64>,
    pub(super) rows: Option<RecordBatch>,
}

impl Chunk {
    /// What is left behind the first so many spans is another chunk.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let rows = self.rows.as_mut().map(|rows| {
            let tail = rows.slice(at, rows.num_rows() - at);
            *rows = rows.slice(0, at);
            tail
        });
        let weights = self.weights.split_off(at.min(self.weights.len()));
        Self { spans: self.spans.split_off(at), weights, rows }
    }

    /// One chunk of several.
    pub(super) fn joined(mut chunks: Vec<Self>) -> Result<Self> {
        if chunks.len() < 2 {
            return Ok(chunks.pop().unwrap_or_default());
        }
        let batches: Vec<&RecordBatch> = chunks.iter().filter_map(|chunk| chunk.rows.as_ref()).collect();
        let rows = match batches.first() {
            None => None,
            Some(first) => Some(concat_batches(&first.schema(), batches.iter().copied())?),
        };
        let mut chunks = chunks.into_iter();
        let mut all = chunks.next().unwrap_or_default();
        for mut chunk in chunks {
            all.spans.append(&mut chunk.spans);
            all.weights.append(&mut chunk.weights);
        }
        Ok(Self { rows, ..all })
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.spans.len() * size_of::<Packed>()
            + self.weights.len() * size_of::<f64>()
            + self.rows.as_ref().map_or(0, held)
    }
}

/// Bytes of a batch, without what its views share with other batches.
fn held(batch: &RecordBatch) -> usize {
    let size = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => {
            let long = |view: &u128| usize::try_from(*view & 0xffff_ffff).unwrap_or(0);
            column.as_string_view().views().iter().map(long).filter(|length| *length > 12).sum::<usize>()
                + column.len() * size_of::<u128>()
        }
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    };
    batch.columns().iter().map(size).sum()
}

/// Appends a batch to a file, or with none is done with it. The engine does not name the type of such a file.
type Spill = Box<dyn FnMut(Option<&RecordBatch>) -> Result<Option<Arc<dyn SpillFile>>> + Send>;

#[derive(Default)]
struct Bucket {
    chunks: Vec<Chunk>,
    rows: usize,
    bytes: usize,
    file: Option<Spill>,
    spilled_bytes: usize,
}

/// The spans of all partitions, by bucket.
pub(super) struct Gathered {
    buckets: Vec<Mutex<Bucket>>,
    reservation: Mutex<MemoryReservation>,
    spills: SpillManager,
    own: SchemaRef,
    wants_weights: bool,
    next: AtomicUsize,
}

impl Gathered {
    /// Nothing yet. `own` are the columns that are passed on, if rows are.
    pub(super) fn new(
        reservation: MemoryReservation,
        spills: impl FnOnce(SchemaRef) -> SpillManager,
        own: &SchemaRef,
        wants_weights: bool,
    ) -> Self {
        let fields = SPILLED.iter().map(|(name, data_type)| Arc::new(Field::new(*name, data_type.clone(), false)));
        let all = Arc::new(Schema::new(fields.chain(own.fields().iter().cloned()).collect::<Vec<_>>()));
        Self {
            buckets: (0..1 << TRACE_BUCKET_BITS).map(|_| Mutex::default()).collect(),
            reservation: Mutex::new(reservation),
            spills: spills(all),
            own: Arc::clone(own),
            wants_weights,
            next: AtomicUsize::new(0),
        }
    }

    /// Take bytes from the pool; where it has none, chunks are written out first.
    fn reserve(&self, bytes: usize) -> Result<()> {
        loop {
            // Not in the condition of the loop: the lock would be held while others are asked to let go.
            let grown = self.reservation.lock().try_grow(bytes);
            let Err(full) = grown else { return Ok(()) };
            if !self.spill_some()? {
                return Err(full);
            }
        }
    }

    fn release(&self, bytes: usize) {
        let reservation = self.reservation.lock();
        reservation.shrink(bytes.min(reservation.size()));
    }

    fn push(&self, bucket: usize, chunk: Chunk) {
        if let Some(bucket) = self.buckets.get(bucket)
            && !chunk.spans.is_empty()
        {
            let mut bucket = bucket.lock();
            bucket.rows += chunk.spans.len();
            bucket.bytes += chunk.size();
            bucket.chunks.push(chunk);
        }
    }

    /// Write the largest buckets out until half of what is held is; false if nothing is held.
    fn spill_some(&self) -> Result<bool> {
        let mut sizes: Vec<(usize, usize)> =
            self.buckets.iter().enumerate().map(|(at, bucket)| (bucket.lock().bytes, at)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let wanted = sizes.iter().map(|(bytes, _)| bytes).sum::<usize>().div_ceil(2);
        let mut freed = 0;
        for (_, at) in sizes.into_iter().take_while(|(bytes, _)| *bytes > 0) {
            if freed >= wanted {
                break;
            }
            freed += self.spill(at)?;
        }
        self.release(freed);
        Ok(freed > 0)
    }

    fn spill(&self, at: usize) -> Result<usize> {
        let Some(bucket) = self.buckets.get(at) else { return Ok(0) };
        let mut bucket = bucket.lock();
        let bytes = std::mem::take(&mut bucket.bytes);
        let chunks = std::mem::take(&mut bucket.chunks);
        if chunks.is_empty() {
            return Ok(bytes);
        }
        if bucket.file.is_none() {
            let mut file = self.spills.create_in_progress_file("TraceTree")?;
            bucket.file = Some(Box::new(move |batch| match batch {
                Some(batch) => file.append_batch(batch).map(|_| None),
                None => file.finish(),
            }));
        }
        for chunk in chunks {
            let batch = self.spilled(&chunk)?;
            if let Some(file) = &mut bucket.file {
                file(Some(&batch))?;
            }
        }
        bucket.spilled_bytes += bytes;
        Ok(bytes)
    }

    /// Take the next buckets that nobody has taken yet, as many as make `enough` rows; none when all are taken.
    pub(super) async fn take(&self, enough: usize) -> Result<Option<Unit>> {
        let mut unit = Unit::default();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(bucket) = self.buckets.get(at) else { break };
            let mut taken = std::mem::take(&mut *bucket.lock());
            let (rows, in_memory) = (taken.rows, taken.bytes);
            let file = taken.file.as_mut().map(|file| file(None)).transpose()?.flatten();
            unit.chunks.append(&mut taken.chunks);
            unit.bytes += in_memory;
            // What is computed of a span takes about as much as the span.
            let more = taken.spilled_bytes + rows * size_of::<Packed>();
            self.reserve(more)?;
            unit.bytes += more;
            if let Some(file) = file {
                let mut batches = self.spills.read_spill_as_stream(file, None)?;
                while let Some(batch) = batches.try_next().await? {
                    unit.chunks.push(self.unspilled(&batch)?);
                }
            }
            unit.rows += rows;
            if unit.rows >= enough || taken.spilled_bytes > 0 {
                break;
            }
        }
        Ok((unit.rows > 0).then_some(unit))
    }

    /// The memory of a unit is free again.
    pub(super) fn done(&self, unit: &Unit) {
        self.release(unit.bytes);
    }

    fn spilled(&self, chunk: &Chunk) -> Result<RecordBatch> {
        let long = |of: &dyn Fn(&Packed) -> u64| -> ArrayRef {
            Arc::new(chunk.spans.iter().map(of).collect::<Vec<_>>().into_iter().collect::<UInt64Array>())
        };
        let time = |of: &dyn Fn(&Packed) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(chunk.spans.iter().map(of)))
        };
        let short = |of: &dyn Fn(&Packed) -> u32| -> ArrayRef {
            Arc::new(UInt32Array::from_iter_values(chunk.spans.iter().map(of)))
        };
        let weights = if self.wants_weights { chunk.weights.clone() } else { vec![0.0; chunk.spans.len()] };
        let mut columns = vec![
            long(&|span| span.trace.0),
            long(&|span| span.trace.1),
            long(&|span| span.id),
            long(&|span| span.parent),
            time(&|span| span.start),
            time(&|span| span.duration),
            short(&|span| span.service),
            short(&|span| span.name),
            short(&|span| span.flags),
            Arc::new(Float64Array::from(weights)),
        ];
        columns.extend(chunk.rows.iter().flat_map(|rows| rows.columns().iter().cloned()));
        Ok(RecordBatch::try_new(Arc::clone(self.spills.schema()), columns)?)
    }

    fn unspilled(&self, batch: &RecordBatch) -> Result<Chunk> {
        let long = |at: usize| batch.column(at).as_primitive::<UInt64Type>().values().iter().copied();
        let time = |at: usize| batch.column(at).as_primitive::<Int64Type>().values().iter().copied();
        let short = |at: usize| batch.column(at).as_primitive::<UInt32Type>().values().iter().copied();
        let ids = long(0).zip(long(1)).zip(long(2).zip(long(3)));
        let others = time(4).zip(time(5)).zip(short(6).zip(short(7)).zip(short(8)));
        let spans = ids.zip(others).map(|((trace, (id, parent)), ((start, duration), ((service, name), flags)))| {
            Packed { trace, id, parent, start, duration, service, name, flags }
        });
        let weights = batch.column(9).as_primitive::<Float64Type>().values();
        let own = batch.columns().get(SPILLED.len()..).unwrap_or_default().to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(Chunk {
            spans: spans.collect(),
            weights: if self.wants_weights { weights.to_vec() } else { vec![] },
            rows: match own.is_empty() {
                true => None,
                false => Some(RecordBatch::try_new_with_options(Arc::clone(&self.own), own, &options)?),
            },
        })
    }
}

/// The columns that a span is spilled as, before those that are passed on.
const SPILLED: [(&str, DataType); 10] = [
    ("trace_high", DataType::UInt64),
    ("trace_low", DataType::UInt64),
    ("id", DataType::UInt64),
    ("parent", DataType::UInt64),
    ("start", DataType::Int64),
    ("duration", DataType::Int64),
    ("service", DataType::UInt32),
    ("name", DataType::UInt32),
    ("flags", DataType::UInt32),
    ("weight", DataType::Float64),
];

/// Whole traces that are looked at together.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) chunks: Vec<Chunk>,
    pub(super) rows: usize,
    bytes: usize,
}

/// What one partition has read and not yet handed over.
pub(super) struct Scatter {
    gathered: Arc<Gathered>,
    open: Vec<Chunk>,
    /// Batches whose columns are passed on, and by bucket which rows of them.
    batches: Vec<RecordBatch>,
    places: Vec<Vec<(usize, usize)>>,
    rows: usize,
    /// Bytes that all of this takes, and that it may take, so that others need not wait for it.
    bytes: usize,
    most: usize,
}

impl Scatter {
    /// One of so many partitions that share the memory of a pool.
    pub(super) fn new(gathered: &Arc<Gathered>, pool: &dyn MemoryPool, partitions: usize) -> Self {
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / (4 * partitions.max(1)),
            _ => usize::MAX,
        };
        let buckets = gathered.buckets.len();
        Self {
            gathered: Arc::clone(gathered),
            open: (0..buckets).map(|_| Chunk::default()).collect(),
            batches: vec![],
            places: vec![vec![]; buckets],
            rows: 0,
            bytes: 0,
            most,
        }
    }

    /// Make room for a batch of so many rows, of which `own` is passed on.
    pub(super) fn reserve(&mut self, rows: usize, own: Option<&RecordBatch>) -> Result<()> {
        let weight = if self.gathered.wants_weights { size_of::<f64>() } else { 0 };
        let bytes = rows * (size_of::<Packed>() + weight) + own.map_or(0, held);
        let fits = self.bytes < self.most && self.gathered.reservation.lock().try_grow(bytes).is_ok();
        if !fits {
            self.flush()?;
            self.gathered.reserve(bytes)?;
        }
        self.bytes += bytes;
        Ok(())
    }

    pub(super) fn push(&mut self, span: Packed, weight: f64, row: usize) {
        let at = span.trace().bucket(TRACE_BUCKET_BITS);
        let Some(chunk) = self.open.get_mut(at) else { return };
        if chunk.spans.is_empty() {
            chunk.spans.reserve(TRACE_CHUNK_ROWS);
        }
        chunk.spans.push(span);
        if self.gathered.wants_weights {
            chunk.weights.push(weight);
        }
        if let Some(places) = self.places.get_mut(at).filter(|_| !self.gathered.own.fields().is_empty()) {
            places.push((self.batches.len(), row));
        } else if chunk.spans.len() >= TRACE_CHUNK_ROWS {
            self.gathered.push(at, std::mem::take(chunk));
        }
    }

    /// All rows of a batch were pushed.
    pub(super) fn end_batch(&mut self, own: Option<RecordBatch>, rows: usize) -> Result<()> {
        self.rows += rows;
        self.batches.extend(own);
        if self.rows >= TRACE_CHUNK_ROWS << TRACE_BUCKET_BITS { self.flush() } else { Ok(()) }
    }

    /// Hand everything over.
    pub(super) fn flush(&mut self) -> Result<()> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        for (at, (chunk, places)) in self.open.iter_mut().zip(&mut self.places).enumerate() {
            let mut chunk = std::mem::take(chunk);
            if !places.is_empty() {
                chunk.rows = Some(interleave_record_batch(&batches, places)?);
                places.clear();
            }
            self.gathered.push(at, chunk);
        }
        self.batches.clear();
        self.rows = 0;
        self.bytes = 0;
        Ok(())
    }
}
