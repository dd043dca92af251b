//! Rows of the relation with what the trees of their traces say of them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Int64Array, ListBuilder, RecordBatch, RecordBatchOptions, StringArray,
    StringBuilder, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::{cast, filter_record_batch, take, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{Result, internal_err};

use super::encode::{AllNames, Packed};
use super::traces::Traces;
use crate::attribution::clock_skew::{ClockMap, ClockOffset, SkewSamples};
use crate::attribution::trace::{Code, CriticalPath, ErrorFlow, NO_ROW, NULL_CODE, Span, Tree, self_time};
use crate::model::CellType;
use crate::model::cell::TextList;

/// Services that `propagated_to` lists at most.
const MAX_SERVICES: usize = 64;

/// Offsets of clocks that are remembered.
const MAX_OFFSETS: usize = 4_000_000;

/// What the calls of all traces say of clocks.
pub(super) struct KnownClocks {
    map: ClockMap<Code>,
    /// By code the place of an instance in the order of names: ties are broken by it, not by who came first.
    places: Vec<Code>,
}

impl KnownClocks {
    pub(super) fn of(samples: SkewSamples<Code>, names: &AllNames) -> Self {
        let places = names.seconds.read(|names| {
            let named = |code| Some((names.text(code)?, code));
            let mut codes: Vec<(&str, Code)> = (0..).map_while(named).collect();
            codes.sort_unstable();
            let mut places = vec![0; codes.len()];
            for (place, (_, code)) in (0..).zip(codes) {
                set(&mut places, code, place);
            }
            places
        });
        let map = samples.renamed(|code| places.get(*code as usize).copied().unwrap_or(*code)).solve();
        Self { map, places }
    }
}

/// Columns of the relation that are made again from its spans, which know them, so that they need not be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    services: bool,
    durations: bool,
}

impl Again {
    pub(super) fn of(input: &Schema) -> Self {
        let is = |name: &str, wanted: fn(&DataType) -> bool| {
            input.field_with_name(name).is_ok_and(|field| wanted(field.data_type()))
        };
        let text = |data_type: &DataType| match data_type {
            DataType::Dictionary(_, value) => value.is_string(),
            other => other.is_string(),
        };
        Self { services: is("service_name", text), durations: is("duration_nano", |of| *of == DataType::Int64) }
    }

    pub(super) fn makes(self, name: &str) -> bool {
        match name {
            "service_name" => self.services,
            "duration_nano" => self.durations,
            _ => false,
        }
    }

    fn column<'a>(
        self,
        field: &Field,
        spans: impl Iterator<Item = &'a Packed>,
        names: &AllNames,
    ) -> Result<Option<ArrayRef>> {
        Ok(match field.name().as_str() {
            "service_name" if self.services => {
                Some(services(&spans.map(|span| span.service).collect::<Vec<_>>(), names, field.data_type())?)
            }
            "duration_nano" if self.durations => {
                Some(Arc::new(spans.map(Packed::known_duration).collect::<Int64Array>()))
            }
            _ => None,
        })
    }
}

/// Offsets from the instances that requests begin in.
pub(super) struct Clocks {
    all: Arc<KnownClocks>,
    known: HashMap<Code, HashMap<Code, ClockOffset>>,
    entries: usize,
}

impl Clocks {
    pub(super) fn new(all: Arc<KnownClocks>) -> Self {
        Self { all, known: HashMap::new(), entries: 0 }
    }

    fn offset(&mut self, root: Code, instance: Code) -> Option<ClockOffset> {
        let place = |code: Code| self.all.places.get(code as usize).copied();
        // Who never called and was never called is only sure of its own clock.
        let (root, instance) = (place(root).unwrap_or(root), place(instance).unwrap_or(instance));
        if !self.known.contains_key(&root) {
            let offsets = self.all.map.offsets_from(&root);
            if self.entries + offsets.len() > MAX_OFFSETS {
                self.known.clear();
                self.entries = 0;
            }
            self.entries += offsets.len();
            self.known.insert(root, offsets);
        }
        self.known.get(&root)?.get(&instance).copied()
    }
}

/// What is computed of a span, column by column; those that nobody asks for stay empty.
pub(super) struct Found {
    tree: TreeColumns,
    origins: Option<Origins>,
    path: CriticalPath,
    errors: ErrorFlow,
}

/// Of each row of a unit.
#[derive(Default)]
struct TreeColumns {
    wants: Wants,
    selected: Vec<bool>,
    roots: Vec<u32>,
    root_services: Vec<Code>,
    depth: Vec<i64>,
    self_time: Vec<i64>,
    critical_path: Vec<i64>,
    children: Vec<i64>,
    is_orphan: Vec<bool>,
    is_error_origin: Vec<bool>,
    offset: Vec<Option<i64>>,
    bound: Vec<Option<i64>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Wants {
    roots: bool,
    root_services: bool,
    depth: bool,
    self_time: bool,
    critical_path: bool,
    children: bool,
    is_orphan: bool,
    is_error_origin: bool,
}

/// The spans that failed first.
#[derive(Default)]
struct Origins {
    rows: Vec<u32>,
    tops: Vec<u32>,
    top_services: Vec<Code>,
    hops: Vec<i64>,
    reached_root: Vec<bool>,
    services: Vec<Vec<Code>>,
}

impl Found {
    /// For `span_tree`.
    pub(super) fn tree(uses: &dyn Fn(&str) -> bool) -> Self {
        let wants = Wants {
            roots: uses("root_span_id"),
            root_services: uses("root_service"),
            depth: uses("depth"),
            self_time: uses("self_time_nano"),
            critical_path: uses("critical_path_nano"),
            children: uses("child_count"),
            is_orphan: uses("is_orphan"),
            is_error_origin: uses("is_error_origin"),
        };
        Self::new(TreeColumns { wants, ..TreeColumns::default() }, None)
    }

    /// For `error_origins`.
    pub(super) fn origins() -> Self {
        Self::new(TreeColumns::default(), Some(Origins::default()))
    }

    fn new(tree: TreeColumns, origins: Option<Origins>) -> Self {
        Self { tree, origins, path: CriticalPath::default(), errors: ErrorFlow::default() }
    }

    /// Make room for so many rows, none of which is selected.
    pub(super) fn begin(&mut self, rows: usize) {
        let tree = &mut self.tree;
        let Wants { roots, root_services, depth, self_time, critical_path, children, is_orphan, is_error_origin } =
            tree.wants;
        let room = |wanted: bool| if wanted { rows } else { 0 };
        tree.selected = vec![false; room(self.origins.is_none())];
        tree.roots = vec![0; room(roots)];
        tree.root_services = vec![NULL_CODE; room(root_services)];
        tree.depth = vec![0; room(depth)];
        tree.self_time = vec![0; room(self_time)];
        tree.critical_path = vec![0; room(critical_path)];
        tree.children = vec![0; room(children)];
        tree.is_orphan = vec![false; room(is_orphan)];
        tree.is_error_origin = vec![false; room(is_error_origin)];
        (tree.offset, tree.bound) = (vec![], vec![]);
        if let Some(origins) = &mut self.origins {
            *origins = Origins::default();
        }
    }

    /// Look at a trace that is selected; `first` is the row of its first span.
    pub(super) fn look(&mut self, first: u32, spans: &[Span], tree: &Tree, clocks: Option<&mut Clocks>) {
        if let Some(origins) = &mut self.origins {
            if spans.iter().any(Span::is_error) {
                self.errors.resolve(spans, tree);
                origins.look(first, spans, tree, &self.errors);
            }
            return;
        }
        let wants = self.tree.wants;
        if wants.critical_path {
            self.path.resolve(spans, tree);
        }
        if wants.is_error_origin {
            self.errors.resolve(spans, tree);
        }
        self.tree.look(first, spans, tree, &self.path, &self.errors);
        if let Some(clocks) = clocks {
            self.tree.look_at_clocks(first, spans, tree, clocks);
        }
    }

    /// The batch of a unit.
    pub(super) fn finish(
        &mut self,
        traces: &Traces,
        names: &AllNames,
        schema: &SchemaRef,
        again: Again,
        uses: &dyn Fn(&str) -> bool,
    ) -> Result<RecordBatch> {
        match &mut self.origins {
            Some(origins) => std::mem::take(origins).finish(traces, names, schema, again, uses),
            None => self.tree.finish(traces, names, schema, again, uses),
        }
    }
}

fn set<T>(values: &mut [T], row: u32, value: T) {
    if let Some(slot) = values.get_mut(row as usize) {
        *slot = value;
    }
}

impl TreeColumns {
    fn look(&mut self, first: u32, spans: &[Span], tree: &Tree, path: &CriticalPath, errors: &ErrorFlow) {
        let wants = self.wants;
        for ((at, row), span) in (0_u32..).zip(first..).zip(spans) {
            set(&mut self.selected, row, true);
            if wants.self_time {
                let time = if tree.is_repeated(at) { 0 } else { self_time(spans, tree, at, span) };
                set(&mut self.self_time, row, time);
            }
            if wants.critical_path {
                set(&mut self.critical_path, row, path.share(at));
            }
            if wants.depth {
                set(&mut self.depth, row, i64::from(tree.depth(at)));
            }
            if wants.children {
                set(&mut self.children, row, i64::try_from(tree.children(at).len()).unwrap_or(i64::MAX));
            }
            if wants.is_orphan {
                set(&mut self.is_orphan, row, tree.is_orphan(at));
            }
            if wants.is_error_origin {
                set(&mut self.is_error_origin, row, errors.is_origin(at));
            }
            let root = tree.root(at);
            if wants.roots {
                set(&mut self.roots, row, if root == NO_ROW { row } else { first + root });
            }
            if wants.root_services {
                set(&mut self.root_services, row, spans.get(root as usize).map_or(NULL_CODE, |root| root.service));
            }
        }
    }

    fn look_at_clocks(&mut self, first: u32, spans: &[Span], tree: &Tree, clocks: &mut Clocks) {
        self.offset.resize(self.selected.len(), None);
        self.bound.resize(self.selected.len(), None);
        for ((at, row), span) in (0_u32..).zip(first..).zip(spans) {
            let root = spans.get(tree.root(at) as usize);
            let clock = root.and_then(|root| clocks.offset(root.instance, span.instance));
            set(&mut self.offset, row, clock.map(|clock| clock.offset));
            set(&mut self.bound, row, clock.map(|clock| clock.bound));
        }
    }

    fn finish(
        &mut self,
        traces: &Traces,
        names: &AllNames,
        schema: &SchemaRef,
        again: Again,
        uses: &dyn Fn(&str) -> bool,
    ) -> Result<RecordBatch> {
        let rows = traces.len();
        let int = |values: &mut Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(std::mem::take(values))) };
        let bool = |values: &mut Vec<bool>| -> ArrayRef { Arc::new(BooleanArray::from(std::mem::take(values))) };
        let optional = |values: &mut Vec<Option<i64>>| -> ArrayRef {
            values.resize(rows, None);
            Arc::new(Int64Array::from(std::mem::take(values)))
        };
        let batch = columns(traces.rows.as_ref(), rows, schema, |field| {
            let name = field.name().as_str();
            if let Some(column) = again.column(field, traces.spans().iter(), names)? {
                return Ok(column);
            }
            Ok(match name {
                _ if !uses(name) => new_null_array(field.data_type(), rows),
                "depth" => int(&mut self.depth),
                "self_time_nano" => int(&mut self.self_time),
                "critical_path_nano" => int(&mut self.critical_path),
                "child_count" => int(&mut self.children),
                "is_orphan" => bool(&mut self.is_orphan),
                "is_error_origin" => bool(&mut self.is_error_origin),
                "clock_offset_nano" => optional(&mut self.offset),
                "clock_bound_nano" => optional(&mut self.bound),
                "root_service" => services(&self.root_services, names, field.data_type())?,
                "root_span_id" => ids(traces, &UInt32Array::from(std::mem::take(&mut self.roots)))?,
                other => return internal_err!("the tree of a trace has no column {other}"),
            })
        })?;
        if self.selected.iter().all(|selected| *selected) {
            return Ok(batch);
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(std::mem::take(&mut self.selected)))?)
    }
}

impl Origins {
    fn look(&mut self, first: u32, spans: &[Span], tree: &Tree, errors: &ErrorFlow) {
        for at in tree.order().iter().copied().filter(|at| errors.is_origin(*at)) {
            let top = errors.top(at);
            self.rows.push(first + at);
            self.tops.push(first + top);
            self.top_services.push(spans.get(top as usize).map_or(NULL_CODE, |span| span.service));
            self.hops.push(i64::from(errors.hops(at)));
            self.reached_root.push(tree.root(top) == top);
            self.services.push(errors.services(spans, at).take(MAX_SERVICES).collect());
        }
    }

    fn finish(
        mut self,
        traces: &Traces,
        names: &AllNames,
        schema: &SchemaRef,
        again: Again,
        uses: &dyn Fn(&str) -> bool,
    ) -> Result<RecordBatch> {
        let rows = UInt32Array::from(std::mem::take(&mut self.rows));
        let own = match &traces.rows {
            Some(all) => Some(take_record_batch(all, &rows)?),
            None => None,
        };
        let count = rows.values().len();
        columns(own.as_ref(), count, schema, |field| {
            let name = field.name().as_str();
            let spans = rows.values().iter().filter_map(|row| traces.spans().get(*row as usize));
            if let Some(column) = again.column(field, spans, names)? {
                return Ok(column);
            }
            Ok(match name {
                _ if !uses(name) => new_null_array(field.data_type(), count),
                "hops" => Arc::new(Int64Array::from(std::mem::take(&mut self.hops))),
                "reached_root" => Arc::new(BooleanArray::from(std::mem::take(&mut self.reached_root))),
                "top_service" => services(&self.top_services, names, field.data_type())?,
                "top_span_id" => ids(traces, &UInt32Array::from(std::mem::take(&mut self.tops)))?,
                "propagated_to" => lists(&self.services, names),
                other => return internal_err!("the origin of an error has no column {other}"),
            })
        })
    }
}

/// A batch of columns that were kept and of others.
fn columns(
    own: Option<&RecordBatch>,
    rows: usize,
    schema: &SchemaRef,
    mut others: impl FnMut(&FieldRef) -> Result<ArrayRef>,
) -> Result<RecordBatch> {
    let column = |field: &FieldRef| {
        let column = match own.and_then(|own| own.column_by_name(field.name())) {
            Some(own) => Arc::clone(own),
            None => others(field)?,
        };
        Ok(if column.data_type() == field.data_type() { column } else { cast(&column, field.data_type())? })
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The span ids of rows, as they stand in the relation.
fn ids(traces: &Traces, rows: &UInt32Array) -> Result<ArrayRef> {
    match traces.rows.as_ref().and_then(|own| own.column_by_name("span_id")) {
        Some(ids) => Ok(take(ids, rows, None)?),
        None => internal_err!("the ids of spans were not kept"),
    }
}

/// The names of services, best of a type that holds each name once.
fn services(codes: &[Code], names: &AllNames, data_type: &DataType) -> Result<ArrayRef> {
    names.services.read(|names| {
        if names.len() > codes.len() {
            return Ok(Arc::new(codes.iter().map(|code| names.text(*code)).collect::<StringArray>()) as ArrayRef);
        }
        let (value_type, is_dictionary) = match data_type {
            DataType::Dictionary(_, value) => (value.as_ref(), true),
            other => (other, false),
        };
        let all: StringArray = names.texts().map(Some).collect();
        let all = cast(&all, value_type)?;
        let codes: UInt32Array = codes.iter().map(|code| (*code != NULL_CODE).then_some(*code)).collect();
        Ok(if is_dictionary { Arc::new(DictionaryArray::try_new(codes, all)?) } else { take(&all, &codes, None)? })
    })
}

fn lists(services: &[Vec<Code>], names: &AllNames) -> ArrayRef {
    let mut builder: ListBuilder<StringBuilder> = TextList::builder();
    names.services.read(|names| {
        for row in services {
            for service in row {
                builder.values().append_option(names.text(*service));
            }
            builder.append(true);
        }
    });
    Arc::new(builder.finish())
}
