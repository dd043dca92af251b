//! From rows of `spans` to the spans that the algorithms see.

use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};

use super::TraceBatch;
use crate::attribution::trace::{Code, Dictionary, IdCodes, Kind, NULL_CODE, Span, SpanId, Status, TraceSet};
use crate::error::Result;
use crate::model::CellType;
use crate::model::cell::Time;

/// Columns that every algorithm needs.
const ALWAYS: [&str; 8] = [
    "span_id",
    "parent_span_id",
    "start_time",
    "start_unix_nano",
    "duration_nano",
    "span_kind",
    "status_code",
    "service_name",
];

/// Which of the other columns are needed.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::table_functions) struct Needs {
    /// The service instance, for clocks.
    pub instance: bool,
    /// The operation.
    pub name: bool,
    /// Who a client span says that it called.
    pub peer: bool,
    /// The adjusted count.
    pub weight: bool,
}

impl Needs {
    /// The columns to read.
    pub fn columns(self) -> Vec<&'static str> {
        let others = [
            (self.instance, "service_instance_id"),
            (self.name, "span_name"),
            (self.peer, "peer_service"),
            (self.weight, "adjusted_count"),
        ];
        let others = others.into_iter().filter_map(|(needed, name)| needed.then_some(name));
        ALWAYS.into_iter().chain(others).collect()
    }
}

/// Encodes rows; its dictionaries grow with the services, operations, instances and peers that were seen.
#[derive(Debug, Default)]
pub(in crate::table_functions) struct Encoder {
    needs: Needs,
    /// service.name.
    pub services: Dictionary,
    /// Service name, and instance where that is known: what shares a clock.
    pub instances: Dictionary,
    /// Operations.
    pub names: Dictionary,
    /// What client spans name.
    pub peers: Dictionary,
    ids: IdCodes,
    set: TraceSet,
    key: String,
}

impl Encoder {
    pub fn new(needs: Needs) -> Self {
        Self { needs, ..Self::default() }
    }

    /// Look at other columns from now on; the dictionaries stay.
    pub fn set_needs(&mut self, needs: Needs) {
        self.needs = needs;
    }

    /// The traces of a batch.
    pub fn encode(&mut self, batch: &TraceBatch) -> Result<&TraceSet> {
        let (ids, parents) = (batch.text("span_id")?, batch.text("parent_span_id")?);
        let (kinds, statuses) = (batch.text("span_kind")?, batch.text("status_code")?);
        let services = batch.text("service_name")?;
        let instances = optional(batch, self.needs.instance, "service_instance_id")?;
        let names = optional(batch, self.needs.name, "span_name")?;
        let peers = optional(batch, self.needs.peer, "peer_service")?;
        let times = batch.column("start_time", &Time::data_type())?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let starts = batch.column("start_unix_nano", &DataType::Int64)?;
        let starts = starts.as_primitive::<Int64Type>();
        let durations = batch.column("duration_nano", &DataType::Int64)?;
        let durations = durations.as_primitive::<Int64Type>();
        let weights = batch.column("adjusted_count", &DataType::Float64)?;
        let weights = weights.as_primitive::<Float64Type>();
        self.set.clear();
        let mut row = 0;
        for end in &batch.ends {
            self.ids.clear();
            while row < *end {
                let service = get(&services, row);
                let start = if starts.is_valid(row) {
                    starts.value(row)
                } else if times.is_valid(row) {
                    times.value(row).saturating_mul(1000)
                } else {
                    0
                };
                let span = Span {
                    id: get(&ids, row).map_or(SpanId::NONE, |id| self.ids.encode(id)),
                    parent: get(&parents, row).map_or(SpanId::NONE, |id| self.ids.encode(id)),
                    start,
                    duration: if durations.is_valid(row) { durations.value(row) } else { 0 },
                    kind: get(&kinds, row).map_or(Kind::default(), Kind::parse),
                    status: get(&statuses, row).map_or(Status::default(), Status::parse),
                    service: self.services.encode(service),
                    instance: match &instances {
                        Some(instances) => self.instance(service, get(instances, row)),
                        None => NULL_CODE,
                    },
                    name: self.names.encode(names.as_ref().and_then(|names| get(names, row))),
                    peer: self.peers.encode(peers.as_ref().and_then(|peers| get(peers, row))),
                    adjusted_count: if weights.is_valid(row) { weights.value(row) } else { f64::NAN },
                };
                self.set.push(span);
                row += 1;
            }
            self.set.end_trace();
        }
        Ok(&self.set)
    }

    fn instance(&mut self, service: Option<&str>, instance: Option<&str>) -> Code {
        let Some(service) = service else { return NULL_CODE };
        self.key.clear();
        self.key.push_str(service);
        self.key.push('\0');
        self.key.push_str(instance.unwrap_or_default());
        self.instances.encode(Some(&self.key))
    }
}

fn optional(batch: &TraceBatch, needed: bool, name: &str) -> Result<Option<StringArray>> {
    if needed { batch.text(name).map(Some) } else { Ok(None) }
}

fn get(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}
