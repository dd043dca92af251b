//! From the columns of a batch to spans of 64 bytes each.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Float64Array, Int64Array, RecordBatch, StringViewArray,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_err};
use parking_lot::RwLock;

use crate::attribution::trace::{Code, Dictionary, Kind, NULL_CODE, Span, SpanId, Status, TraceId};

/// A span while it waits for the others of its trace: one line of the processor's cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Packed {
    pub(super) trace: (u64, u64),
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) start: i64,
    pub(super) duration: i64,
    pub(super) service: Code,
    /// The operation, the instance or the peer, whichever the computation needs.
    pub(super) name: Code,
    /// Kind and status, what is above the 64 bits of the two ids, and whether there is a duration.
    pub(super) flags: u32,
}

/// Set where the duration is null.
const NO_DURATION: u32 = 1 << 10;

impl Packed {
    pub(super) fn trace(&self) -> TraceId {
        TraceId { high: self.trace.0, low: self.trace.1 }
    }

    /// The duration as it stood in the relation.
    pub(super) fn known_duration(&self) -> Option<i64> {
        (self.flags & NO_DURATION == 0).then_some(self.duration)
    }

    fn kind_and_status(kind: Kind, status: Status) -> u32 {
        (kind as u32) << 4 | (status as u32) << 8
    }

    /// The span as the algorithms see it.
    pub(super) fn span(&self, second: Second, weight: f64) -> Span {
        let of = |wanted: Second| if second == wanted { self.name } else { NULL_CODE };
        let [ids, ..] = self.flags.to_le_bytes();
        Span {
            id: SpanId::from_parts(self.id, ids & 3),
            parent: SpanId::from_parts(self.parent, ids >> 2 & 3),
            start: self.start,
            duration: self.duration,
            kind: KINDS.get((self.flags >> 4 & 15) as usize).copied().unwrap_or_default(),
            status: STATUSES.get((self.flags >> 8 & 3) as usize).copied().unwrap_or_default(),
            service: self.service,
            instance: of(Second::Instance),
            name: of(Second::Name),
            peer: of(Second::Peer),
            adjusted_count: weight,
        }
    }
}

const KINDS: [Kind; 6] =
    [Kind::Server, Kind::Consumer, Kind::Internal, Kind::Unspecified, Kind::Client, Kind::Producer];
const STATUSES: [Status; 3] = [Status::Unset, Status::Ok, Status::Error];

/// What the second name of a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// Nothing.
    None,
    /// The operation.
    Name,
    /// Service name and instance: what shares a clock.
    Instance,
    /// What a client span names.
    Peer,
}

/// The names that all partitions have seen, by code.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Dictionary>);

impl Names {
    pub(super) fn encode(&self, name: &str) -> Code {
        if let Some(code) = self.0.read().find(name) {
            return code;
        }
        self.0.write().encode(Some(name))
    }

    /// Look at the dictionary; nothing is added meanwhile.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Dictionary) -> T) -> T {
        look(&self.0.read())
    }
}

/// All names of a relation.
#[derive(Debug, Default)]
pub(super) struct AllNames {
    pub(super) services: Names,
    pub(super) seconds: Names,
}

/// Encodes the batches of one partition.
#[derive(Debug)]
pub(super) struct Encoder {
    names: Arc<AllNames>,
    second: Second,
    wants_weights: bool,
    services: Known,
    seconds: Known,
    /// Numbers for spans without a trace id.
    nobody: u64,
    key: String,
}

/// Codes that a partition has met, so that it need not ask for them under a lock.
#[derive(Debug, Default)]
struct Known(HashMap<Box<str>, Code>);

impl Known {
    fn code(&mut self, name: &str, all: &Names) -> Code {
        if let Some(code) = self.0.get(name) {
            return *code;
        }
        let code = all.encode(name);
        self.0.insert(name.into(), code);
        code
    }
}

impl Encoder {
    pub(super) fn new(names: Arc<AllNames>, second: Second, wants_weights: bool, partition: usize) -> Self {
        Self {
            names,
            second,
            wants_weights,
            services: Known::default(),
            seconds: Known::default(),
            nobody: (partition as u64) << 48,
            key: String::new(),
        }
    }

    /// The spans of a batch, in its order, handed over one by one with their weights.
    pub(super) fn encode(&mut self, batch: &RecordBatch, mut take: impl FnMut(Packed, f64)) -> Result<()> {
        let rows = batch.num_rows();
        let column = |name: &str| batch.column_by_name(name);
        let traces = Ids::new(column("trace_id"))?;
        let (ids, parents) = (Ids::new(column("span_id"))?, Ids::new(column("parent_span_id"))?);
        let starts = Starts::new(column("start_unix_nano"), column("start_time"))?;
        let durations = column("duration_nano").map(integers).transpose()?;
        let services = {
            let (known, all) = (&mut self.services, &self.names.services);
            codes(column("service_name"), rows, |name| known.code(name, all))?
        };
        let kinds = codes(column("span_kind"), rows, |name| Kind::parse(name) as u32)?;
        let statuses = codes(column("status_code"), rows, |name| Status::parse(name) as u32)?;
        let seconds = self.second_names(batch, services.as_deref())?;
        let weights = match column("adjusted_count").filter(|_| self.wants_weights) {
            Some(weights) => Some(cast(weights, &DataType::Float64)?),
            None => None,
        };
        let weights: Option<&Float64Array> = weights.as_ref().map(AsArray::as_primitive::<Float64Type>);
        let get = |codes: &Option<Vec<Code>>, row: usize| {
            codes.as_ref().and_then(|codes| codes.get(row)).copied().unwrap_or(NULL_CODE)
        };
        let mut last = None;
        for row in 0..rows {
            let trace = traces.trace(row, &mut last).unwrap_or_else(|| {
                self.nobody += 1;
                TraceId::of_nobody(self.nobody)
            });
            let (id, parent) = (ids.span(row).parts(), parents.span(row).parts());
            let kind = KINDS.get(get(&kinds, row) as usize).copied().unwrap_or_default();
            let status = STATUSES.get(get(&statuses, row) as usize).copied().unwrap_or_default();
            let duration = durations.as_ref().filter(|known| known.is_valid(row)).map(|known| known.value(row));
            let packed = Packed {
                trace: (trace.high, trace.low),
                id: id.0,
                parent: parent.0,
                start: starts.at(row),
                duration: duration.unwrap_or(0),
                service: get(&services, row),
                name: get(&seconds, row),
                flags: Packed::kind_and_status(kind, status)
                    | u32::from(id.1)
                    | u32::from(parent.1) << 2
                    | if duration.is_none() { NO_DURATION } else { 0 },
            };
            let weight = weights.filter(|weights| weights.is_valid(row)).map_or(f64::NAN, |weights| weights.value(row));
            take(packed, weight);
        }
        Ok(())
    }

    fn second_names(&mut self, batch: &RecordBatch, services: Option<&[Code]>) -> Result<Option<Vec<Code>>> {
        let (known, all) = (&mut self.seconds, &self.names.seconds);
        let rows = batch.num_rows();
        match self.second {
            Second::None => Ok(None),
            Second::Name => codes(batch.column_by_name("span_name"), rows, |name| known.code(name, all)),
            Second::Peer => codes(batch.column_by_name("peer_service"), rows, |name| known.code(name, all)),
            Second::Instance => {
                let instances = batch.column_by_name("service_instance_id").map(views).transpose()?;
                let (key, names) = (&mut self.key, &self.names.services);
                let instance = |row: usize| {
                    let service = services.and_then(|codes| codes.get(row)).copied().unwrap_or(NULL_CODE);
                    names.read(|names| {
                        let service = names.text(service)?;
                        key.clear();
                        key.push_str(service);
                        key.push('\0');
                        if let Some(instances) = instances.as_ref().filter(|known| known.is_valid(row)) {
                            key.push_str(instances.value(row));
                        }
                        Some(())
                    })?;
                    Some(known.code(key, all))
                };
                Ok(Some((0..rows).map(instance).map(|code| code.unwrap_or(NULL_CODE)).collect()))
            }
        }
    }
}

fn views(column: &ArrayRef) -> Result<StringViewArray> {
    Ok(cast(column, &DataType::Utf8View)?.as_string_view().clone())
}

/// A column of names by code, each distinct name looked up about once a batch; [`NULL_CODE`] for nulls.
fn codes(column: Option<&ArrayRef>, rows: usize, mut code: impl FnMut(&str) -> Code) -> Result<Option<Vec<Code>>> {
    const SLOTS: usize = 256;
    let Some(column) = column else { return Ok(None) };
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        let values = views(dictionary.values())?;
        let by_entry: Vec<Code> = values.iter().map(|name| name.map_or(NULL_CODE, &mut code)).collect();
        if by_entry.is_empty() {
            return Ok(Some(vec![NULL_CODE; rows]));
        }
        let nulls = column.nulls();
        let entries = dictionary.normalized_keys();
        let of_row = |(row, entry): (usize, &usize)| match nulls {
            Some(nulls) if nulls.is_null(row) => NULL_CODE,
            _ => by_entry.get(*entry).copied().unwrap_or(NULL_CODE),
        };
        return Ok(Some(entries.iter().enumerate().map(of_row).collect()));
    }
    let names = views(column)?;
    // Equal views of one array are equal names, and names that repeat mostly have equal views.
    let mut seen = [(0_u128, NULL_CODE); SLOTS];
    let mut found = Vec::with_capacity(rows);
    for (row, view) in names.views().iter().enumerate() {
        if names.is_null(row) {
            found.push(NULL_CODE);
            continue;
        }
        #[expect(clippy::cast_possible_truncation, reason = "only some of the bits choose the slot")]
        let mixed = ((*view >> 64) as u64 ^ *view as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        let Some(slot) = seen.get_mut(usize::try_from(mixed).unwrap_or(0)) else { continue };
        // The empty name is a view of zeros, as the slots are at first.
        if slot.0 != *view || *view == 0 {
            *slot = (*view, code(names.value(row)));
        }
        found.push(slot.1);
    }
    Ok(Some(found))
}

/// A column of ids.
pub(super) enum Ids {
    /// Of so many bytes each.
    Fixed(Buffer, usize, Option<NullBuffer>),
    Bytes(BinaryViewArray),
    Text(StringViewArray),
}

impl Ids {
    pub(super) fn new(column: Option<&ArrayRef>) -> Result<Self> {
        let Some(column) = column else { return exec_err!("a relation of spans without ids") };
        let column = match column.data_type() {
            DataType::Dictionary(_, value) => &cast(column, value)?,
            _ => column,
        };
        Ok(match column.data_type() {
            DataType::FixedSizeBinary(_) => {
                let ids = column.as_fixed_size_binary();
                Self::Fixed(ids.values().clone(), ids.value_size(), ids.nulls().cloned())
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Self::Bytes(cast(column, &DataType::BinaryView)?.as_binary_view().clone())
            }
            _ => Self::Text(views(column)?),
        })
    }

    #[inline]
    fn bytes(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Fixed(_, _, Some(nulls)) if nulls.is_null(row) => None,
            Self::Fixed(ids, width, _) => ids.get(row * width..(row + 1) * width),
            Self::Bytes(ids) => ids.is_valid(row).then(|| ids.value(row)),
            Self::Text(ids) => ids.is_valid(row).then(|| ids.value(row).as_bytes()),
        }
    }

    /// The trace of a row. `last` is kept between rows: the spans of a trace mostly come together, and text is slower to read
    /// than to compare.
    #[inline]
    pub(super) fn trace<'a>(&'a self, row: usize, last: &mut Option<(&'a [u8], TraceId)>) -> Option<TraceId> {
        let bytes = self.bytes(row)?;
        if !self.is_text() {
            return Some(TraceId::of_bytes(bytes));
        }
        let trace = match last {
            Some((same, trace)) if bytes == *same => *trace,
            _ => TraceId::of_text(bytes),
        };
        *last = Some((bytes, trace));
        Some(trace)
    }

    #[inline]
    fn span(&self, row: usize) -> SpanId {
        let id = self.bytes(row).map(|id| if self.is_text() { SpanId::of_text(id) } else { SpanId::of_bytes(id) });
        id.unwrap_or(SpanId::NONE)
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// When spans began: in nanoseconds where that is known, else to the precision of the other column.
struct Starts {
    exact: Option<Int64Array>,
    times: Option<Int64Array>,
}

impl Starts {
    fn new(exact: Option<&ArrayRef>, times: Option<&ArrayRef>) -> Result<Self> {
        let exact = exact.map(integers).transpose()?;
        // The other column is looked at only where it has to be.
        let times = times.filter(|_| exact.as_ref().is_none_or(|exact| exact.null_count() > 0));
        Ok(Self { exact, times: times.map(integers).transpose()? })
    }

    fn at(&self, row: usize) -> i64 {
        match (&self.exact, &self.times) {
            (Some(exact), _) if exact.is_valid(row) => exact.value(row),
            (_, Some(times)) if times.is_valid(row) => times.value(row),
            _ => 0,
        }
    }
}

/// Integers, or times and durations in nanoseconds; what does not fit is the nearest that does.
fn integers(column: &ArrayRef) -> Result<Int64Array> {
    let scale = match column.data_type() {
        DataType::Timestamp(unit, _) | DataType::Duration(unit) => match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        },
        data_type if data_type.is_integer() || *data_type == DataType::Null => 1,
        other => return exec_err!("times and durations of spans cannot be of type {other}"),
    };
    let values = cast(column, &DataType::Int64)?;
    let values = values.as_primitive::<Int64Type>();
    Ok(if scale == 1 { values.clone() } else { values.unary(|value| value.saturating_mul(scale)) })
}
