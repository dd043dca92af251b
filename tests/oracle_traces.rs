//! The trace operator against the same algorithm over traces that were put together by hand, and against counting the
//! instants of a span one by one: random rows, seeded, with nulls, ties, repeated ids, cycles, missing parents, ids that are
//! no hex, batches of one row, many partitions, order, and little memory.

use std::collections::HashMap;
use std::sync::Arc;

use ascribe::attribution::trace::{
    Analyzer, Calls, Dependencies, Dictionary, Kind, OperationStats, Span, SpanId, Status,
};
use ascribe::config::Config;
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::datasource::{MemTable, TableProvider, TableType};
use datafusion::execution::context::SessionContext;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, col};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::oracle::{World, rows, table, world};

#[derive(Debug, Clone)]
struct Row {
    trace: Option<String>,
    id: String,
    parent: Option<String>,
    start: i64,
    duration: i64,
    service: Option<String>,
    name: String,
    kind: &'static str,
    status: &'static str,
}

const KINDS: [&str; 6] = ["SERVER", "CLIENT", "INTERNAL", "PRODUCER", "CONSUMER", "UNSPECIFIED"];

/// The spans of some traces. `hex`: ids are what they should be, and none is there twice. `apart`: how many of a hundred
/// spans do not follow the one before them.
fn spans(count: usize, hex: bool, apart: u32, random: &mut ChaCha8Rng) -> Vec<Row> {
    let mut all = Vec::new();
    let mut trace = 0_u128;
    while all.len() < count {
        trace += 1;
        let size = {
            let most = if random.random_bool(0.1) { 60 } else { 9 };
            random.random_range(1..most)
        };
        let trace_id = match random.random_range(0..12) {
            0 if !hex => None,
            1 if !hex => Some(format!("trace {trace}")),
            _ => Some(format!("{:032x}", u128::from(trace.is_multiple_of(3)) << 100 | trace)),
        };
        let id = |number: usize| {
            if hex || !number.is_multiple_of(5) { format!("{:016x}", number + 1) } else { format!("span {number}") }
        };
        for at in 0..size {
            let again = !hex && at > 0 && random.random_bool(0.05);
            let parent = match random.random_range(0..20) {
                0 => None,
                1 => Some(id(size + 7)),
                2 if !hex => Some(id(random.random_range(0..size))),
                3 if !hex => Some(String::new()),
                _ if at == 0 => None,
                _ => Some(id(random.random_range(0..at))),
            };
            all.push(Row {
                trace: trace_id.clone(),
                id: id(if again { at - 1 } else { at }),
                parent,
                // Ids that are there twice are told apart by their start.
                start: if hex { random.random_range(0..40) } else { i64::try_from(at).unwrap() * 3 },
                duration: random.random_range(-2..40),
                service: (!random.random_bool(0.05)).then(|| format!("service number {}", random.random_range(0..5))),
                name: format!("operation {}", random.random_range(0..3)),
                kind: KINDS[random.random_range(0..KINDS.len())],
                status: ["UNSET", "OK", "ERROR"][random.random_range(0..3)],
            });
        }
    }
    for at in 1..all.len() {
        if !random.random_ratio(apart, 100) {
            continue;
        }
        let near = random.random_bool(0.7);
        let other = if near { at.saturating_sub(random.random_range(0..20)) } else { random.random_range(0..at) };
        all.swap(at, other);
    }
    all
}

fn batch(spans: &[Row], hex: bool, random: &mut ChaCha8Rng) -> RecordBatch {
    let text =
        |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef { Arc::new(spans.iter().map(of).collect::<StringArray>()) };
    let bytes = |of: &dyn Fn(&Row) -> Option<String>, width| -> ArrayRef {
        let values = spans.iter().map(|row| of(row).map(|id| hex::decode(id).unwrap()));
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, width).unwrap())
    };
    let binary = hex && random.random_bool(0.5);
    let id = |of: &dyn Fn(&Row) -> Option<String>, width| if binary { bytes(of, width) } else { text(of) };
    let mut any = |column: ArrayRef| match random.random_range(0..3) {
        0 => cast(&column, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))).unwrap(),
        1 => cast(&column, &DataType::Utf8View).unwrap(),
        _ => column,
    };
    let int = |of: &dyn Fn(&Row) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(spans.iter().map(of))) };
    let columns = vec![
        ("trace_id", id(&|row| row.trace.clone(), 16)),
        ("span_id", id(&|row| Some(row.id.clone()), 8)),
        ("parent_span_id", id(&|row| row.parent.clone(), 8)),
        ("start_unix_nano", int(&|row| row.start)),
        ("duration_nano", int(&|row| row.duration)),
        ("service_name", any(text(&|row| row.service.clone()))),
        ("span_name", any(text(&|row| Some(row.name.clone())))),
        ("span_kind", any(text(&|row| Some(row.kind.to_owned())))),
        ("status_code", any(text(&|row| Some(row.status.to_owned())))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, column)| column).collect())
        .unwrap()
}

/// Positions of the spans of each trace; a span without a trace is one of its own.
fn traces(spans: &[Row]) -> Vec<Vec<usize>> {
    let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut all = Vec::new();
    for (at, row) in spans.iter().enumerate() {
        match &row.trace {
            Some(trace) => by_id.entry(trace).or_default().push(at),
            None => all.push(vec![at]),
        }
    }
    all.extend(by_id.into_values());
    all
}

fn encoded(row: &Row, services: &mut Dictionary, names: &mut Dictionary) -> Span {
    Span {
        id: SpanId::of_text(row.id.as_bytes()),
        parent: row.parent.as_ref().map_or(SpanId::NONE, |id| SpanId::of_text(id.as_bytes())),
        start: row.start,
        duration: row.duration,
        kind: Kind::parse(row.kind),
        status: Status::parse(row.status),
        service: services.encode(row.service.as_deref()),
        name: names.encode(Some(&row.name)),
        ..Span::default()
    }
}

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// What `span_tree`, `service_dependencies` and `critical_path_stats` have to say.
fn expected(spans: &[Row]) -> [Vec<String>; 3] {
    let (mut services, mut names) = (Dictionary::default(), Dictionary::default());
    let (mut tree, mut analyzer) = (Vec::new(), Analyzer::default());
    let (mut edges, mut paths) = (Dependencies::new(true, true), OperationStats::new(None, None, true));
    for rows in traces(spans) {
        let encoded: Vec<Span> = rows.iter().map(|at| encoded(&spans[*at], &mut services, &mut names)).collect();
        for (at, fact) in rows.iter().zip(analyzer.analyze(&encoded)) {
            let (row, root) = (&spans[*at], &spans[rows[fact.root as usize]]);
            tree.push(format!(
                "{} {} {} {} {} {} {} {} {} {}",
                row.id,
                row.start,
                fact.depth,
                root.id,
                shown(root.service.clone()),
                fact.self_time,
                fact.critical_path,
                fact.child_count,
                fact.is_orphan,
                fact.is_error_origin
            ));
        }
        Calls::default().each(&encoded, &analyzer.tree, |call| edges.add(&call));
        paths.add(&encoded, &analyzer.tree);
    }
    let edges = edges.finish(&services, &Dictionary::default()).into_iter().map(|edge| {
        format!(
            "{} {} {} {} {} {} {} {}",
            shown(edge.caller),
            shown(edge.callee),
            edge.calls,
            edge.errors,
            shown(edge.p50),
            shown(edge.p99),
            shown(edge.gap_p99),
            edge.is_external
        )
    });
    let (_, operations) = paths.finish(&services, &names);
    let operations = operations.into_iter().map(|row| {
        format!(
            "{} {} {} {} {} {} {}",
            shown(row.service),
            shown(row.operation),
            row.requests,
            row.spans,
            row.critical_path,
            shown(row.p50),
            shown(row.p99)
        )
    });
    let mut all = [tree, edges.collect(), operations.collect()];
    all.iter_mut().for_each(|rows| rows.sort_unstable());
    all
}

fn questions(relation: &str, binary: bool) -> [String; 3] {
    let id = |name: &str| if binary { format!("encode({name}, 'hex')") } else { name.to_owned() };
    [
        format!(
            "SELECT {}, start_unix_nano, depth, {}, root_service, self_time_nano, critical_path_nano, child_count, \
             is_orphan, is_error_origin FROM span_tree({relation})",
            id("span_id"),
            id("root_span_id")
        ),
        format!(
            "SELECT caller, callee, calls, errors, p50_nano, p99_nano, gap_p99_nano, is_external \
             FROM service_dependencies({relation})"
        ),
        format!(
            "SELECT service_name, operation, requests, spans, critical_path_nano, p50_nano, p99_nano \
             FROM critical_path_stats({relation})"
        ),
    ]
}

async fn plan(session: &SessionContext, sql: &str) -> String {
    rows(session, &format!("EXPLAIN {sql}")).await.join("\n")
}

/// The spans of `s` by trace, in several partitions each of which is in order, and says so.
async fn in_order(session: &SessionContext, random: &mut ChaCha8Rng) -> MemTable {
    let sorted = session.sql("SELECT * FROM s ORDER BY trace_id").await.unwrap();
    let schema = Arc::clone(sorted.schema().inner());
    let mut partitions = vec![vec![]; random.random_range(1..4)];
    for batch in sorted.collect().await.unwrap() {
        let place = random.random_range(0..partitions.len());
        partitions[place].push(batch);
    }
    let order = vec![vec![col("trace_id").sort(true, false)]];
    MemTable::try_new(schema, partitions).unwrap().with_sort_order(order)
}

#[tokio::test]
async fn traces_are_what_they_are_however_their_spans_come() {
    for seed in 0..12 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let hex = seed % 2 == 0;
        let count = [0, 1, 40, 400, 400, 400][random.random_range(0..6)];
        let apart = [100, 1, 5, 0][(seed / 2) as usize % 4];
        let spans = spans(count, hex, apart, &mut random);
        let rows_of = batch(&spans, hex, &mut random);
        let binary = matches!(rows_of.column(0).data_type(), DataType::FixedSizeBinary(_));
        let wanted = expected(&spans);
        for (partitions, batch_size) in [(1, 8192), (2, 1), (7, 5)] {
            let World { session, .. } =
                &world(Config { target_partitions: partitions, batch_size, ..Config::default() }).await;
            session.register_table("s", Arc::new(table(&rows_of, &mut random))).unwrap();
            session.register_table("o", Arc::new(in_order(session, &mut random).await)).unwrap();
            let again = "(SELECT * FROM s WHERE random() < 2)";
            for (relation, by) in [("TABLE s", "hash, counted first"), (again, "hash"), ("spans => TABLE o", "order")] {
                for (sql, wanted) in questions(relation, binary).iter().zip(&wanted) {
                    let plan = plan(session, sql).await;
                    let grouped = plan.contains(&format!("traces by {by}, computed")) || plan.contains("EmptyExec");
                    assert!(grouped, "seed {seed}: {sql}\n{plan}");
                    assert_eq!(&rows(session, sql).await, wanted, "seed {seed}: {sql}\n{plan}");
                }
            }
        }
    }
}

/// The instants of a span in which no child of it ran, one by one.
fn naive_self_time(spans: &[Row], rows: &[usize], at: usize) -> i64 {
    let row = &spans[at];
    let children: Vec<&Row> =
        rows.iter().map(|at| &spans[*at]).filter(|child| child.parent.as_deref() == Some(&row.id)).collect();
    let alone =
        |instant: &i64| !children.iter().any(|child| (child.start..child.start + child.duration).contains(instant));
    i64::try_from((row.start..row.start + row.duration).filter(alone).count()).unwrap()
}

#[tokio::test]
async fn self_times_and_orphans_equal_counting_and_looking_for_each() {
    for seed in 20..24 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut spans = spans(300, true, 50, &mut random);
        spans.iter_mut().for_each(|span| span.kind = "INTERNAL");
        let mut wanted = Vec::new();
        for rows in traces(&spans) {
            for at in &rows {
                let row = &spans[*at];
                let parent = rows.iter().position(|other| Some(&spans[*other].id) == row.parent.as_ref());
                let is_orphan = row.parent.is_some() && parent.is_none();
                wanted.push(format!("{} {} {is_orphan}", row.id, naive_self_time(&spans, &rows, *at)));
            }
        }
        wanted.sort_unstable();
        let World { session, .. } = &world(Config { target_partitions: 3, ..Config::default() }).await;
        let rows_of = batch(&spans, false, &mut random);
        session.register_table("s", Arc::new(table(&rows_of, &mut random))).unwrap();
        let sql = "SELECT span_id, self_time_nano, is_orphan FROM span_tree(TABLE s)";
        assert_eq!(rows(session, sql).await, wanted, "seed {seed}");
        let sql = "SELECT count(*) FROM (SELECT root_span_id, trace_id, sum(critical_path_nano) AS path, \
                   max(CASE WHEN depth = 0 THEN greatest(duration_nano, 0) END) AS whole \
                   FROM span_tree(TABLE s) GROUP BY 1, 2) WHERE path <> whole";
        assert_eq!(rows(session, sql).await, ["0"], "seed {seed}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_spilled_and_the_answer_is_the_same() {
    let mut random = ChaCha8Rng::seed_from_u64(30);
    let spans = spans(40_000, true, 100, &mut random);
    let rows_of = batch(&spans, false, &mut random);
    let wanted = expected(&spans);
    let World { session, .. } =
        &world(Config { target_partitions: 3, memory_limit: 2 << 20, ..Config::default() }).await;
    session.register_table("s", Arc::new(table(&rows_of, &mut random))).unwrap();
    for (sql, wanted) in questions("TABLE s", false).iter().zip(&wanted) {
        assert!(&rows(session, sql).await == wanted, "{sql}");
        let analyzed = rows(session, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
        let ours = analyzed.lines().find(|line| line.contains("TraceTreeExec")).unwrap();
        assert!(ours.contains("spilled_rows=") && !ours.contains("spilled_rows=0,"), "{ours}");
    }
}

#[tokio::test]
async fn spans_of_a_lake_are_counted_first_and_a_trace_in_two_files_is_one() {
    let World { session, .. } = &world(Config { target_partitions: 2, ..Config::default() }).await;
    for file in 0..2 {
        // Every third trace has spans in both files, six below each other; the others three.
        let above = format!("CASE WHEN k > 0 THEN {file} * 16 + k - 1 WHEN {file} = 1 AND t % 3 = 0 THEN 2 END");
        let sql = format!(
            "INSERT INTO spans (trace_id, span_id, parent_span_id, service_name, start_time, start_unix_nano, duration_nano)
             SELECT lpad(to_hex(t), 32, '0'), lpad(to_hex({file} * 16 + k + 256), 16, '0'),
               lpad(to_hex(({above}) + 256), 16, '0'), 'a', timestamptz '2026-07-01 10:00:00+00',
               1782900000000000000 + {file} * 16 + k, 5
             FROM generate_series(1, 30) AS t(t), generate_series(0, 2) AS k(k) WHERE t % 3 = 0 OR t % 2 = {file}"
        );
        assert_eq!(rows(session, &sql).await, ["60"]);
    }
    let sql = "SELECT count(*), sum(depth), sum(CASE WHEN is_orphan THEN 1 ELSE 0 END) \
               FROM span_tree('2026-07-01 00:00:00Z', '2026-07-02 00:00:00Z')";
    let plan = plan(session, sql).await;
    assert!(plan.contains("traces by hash, counted first"), "{plan}");
    assert_eq!(rows(session, sql).await, ["120 210 0"]);
}

#[tokio::test]
async fn looking_at_many_traces_lets_go_of_the_thread() {
    let World { session, .. } = &world(Config { target_partitions: 1, ..Config::default() }).await;
    let spans = "(SELECT lpad(to_hex(value / 7), 32, '0') AS trace_id, lpad(to_hex(value), 16, '0') AS span_id, \
                 CASE WHEN value % 7 > 0 THEN lpad(to_hex(value - 1), 16, '0') END AS parent_span_id, \
                 value AS start_unix_nano, 10 AS duration_nano FROM generate_series(1, 100000000))";
    let query = ascribe::session::query(session, &format!("SELECT sum(depth) FROM span_tree({spans})")).await.unwrap();
    let running = tokio::spawn(query.collect());
    // The one thread of this test gets here only if the operator yields.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!running.is_finished());
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}

/// What stands between the operator and the rows may change how they are read, not what is said of them.
#[tokio::test]
async fn rows_are_counted_first_only_where_they_come_twice_the_same() {
    let mut random = ChaCha8Rng::seed_from_u64(40);
    let spans = spans(400, true, 50, &mut random);
    let rows_of = batch(&spans, false, &mut random);
    let binary = matches!(rows_of.column(0).data_type(), DataType::FixedSizeBinary(_));
    let wanted = expected(&spans);
    let World { session, .. } = &world(Config { target_partitions: 3, batch_size: 7, ..Config::default() }).await;
    session.register_table("s", Arc::new(table(&rows_of, &mut random))).unwrap();
    let computed = rows_of.schema().fields().iter().map(|field| field.name()).fold(String::new(), |before, name| {
        let comma = if before.is_empty() { "" } else { ", " };
        let value = if name == "trace_id" { "coalesce(trace_id, trace_id) AS trace_id" } else { name };
        before + comma + value
    });
    let half = "(abs(start_unix_nano) % 2 = 0)";
    for (relation, by) in [
        (
            format!("(SELECT * FROM s WHERE {half} UNION ALL SELECT * FROM s WHERE {half} IS NOT TRUE)"),
            "hash, counted first",
        ),
        (format!("(SELECT {computed} FROM s)"), "hash, counted first"),
        ("(SELECT * FROM s LIMIT 1000000)".into(), "hash"),
        ("(SELECT * FROM s ORDER BY span_id LIMIT 1000000)".into(), "hash"),
        ("(SELECT a.* FROM s AS a JOIN (SELECT 1 AS one) AS b ON b.one > 0)".into(), "hash"),
    ] {
        for (sql, wanted) in questions(&relation, binary).iter().zip(&wanted) {
            let plan = plan(session, sql).await;
            assert!(plan.contains(&format!("traces by {by}, computed")), "{sql}\n{plan}");
            assert_eq!(&rows(session, sql).await, wanted, "{sql}\n{plan}");
        }
    }
}

/// Rows of which fewer are there when only one of their columns is asked for.
#[derive(Debug)]
struct Growing {
    all: MemorySourceConfig,
    rows: RecordBatch,
}

impl DataSource for Growing {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.all.open(partition, context)
    }

    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.all.fmt_as(kind, f)
    }

    fn output_partitioning(&self) -> Partitioning {
        self.all.output_partitioning()
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        self.all.eq_properties()
    }

    fn partition_statistics(&self, _: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.rows.schema())))
    }

    fn with_fetch(&self, _: Option<usize>) -> Option<Arc<dyn DataSource>> {
        None
    }

    fn fetch(&self) -> Option<usize> {
        None
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        let before = self.rows.slice(0, self.rows.num_rows() / 2);
        let before = MemorySourceConfig::try_new(&[vec![before]], self.rows.schema(), None)?;
        if projection.iter().count() == 1 { before.try_swapping_with_projection(projection) } else { Ok(None) }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.all.apply_expressions(f)
    }
}

#[async_trait]
impl TableProvider for Growing {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = match projection {
            Some(columns) => self.rows.project(columns)?,
            None => self.rows.clone(),
        };
        let all = MemorySourceConfig::try_new(&[vec![rows.clone()]], rows.schema(), None)?;
        Ok(DataSourceExec::from_data_source(Self { all, rows }))
    }
}

#[tokio::test]
async fn a_relation_that_grows_while_it_is_read_is_no_answer() {
    let mut random = ChaCha8Rng::seed_from_u64(41);
    let rows_of = batch(&spans(400, true, 50, &mut random), false, &mut random);
    let World { session, .. } = &world(Config { target_partitions: 2, ..Config::default() }).await;
    let all = MemorySourceConfig::try_new(&[vec![rows_of.clone()]], rows_of.schema(), None).unwrap();
    session.register_table("s", Arc::new(Growing { all, rows: rows_of })).unwrap();
    let sql = "SELECT span_id, depth FROM span_tree(TABLE s)";
    assert!(plan(session, sql).await.contains("traces by hash, counted first"));
    let failed = ascribe::session::query(session, sql).await.unwrap().collect().await.unwrap_err();
    assert_eq!(ascribe::error::Error::from(failed).sqlstate(), "40001");
}

#[tokio::test]
async fn a_trace_is_as_long_as_it_is() {
    let World { session, .. } = &world(Config { target_partitions: 2, ..Config::default() }).await;
    // One of 70,000 spans in a row, each below the one before it, and small ones before and behind it.
    let spans = "CREATE VIEW s AS SELECT lpad(to_hex(CASE WHEN value < 100 THEN value / 10 WHEN value < 70100 THEN 100 \
                 ELSE value / 10 END), 32, '0') AS trace_id, lpad(to_hex(value), 16, '0') AS span_id, \
                 CASE WHEN value > 100 AND value < 70100 THEN lpad(to_hex(value - 1), 16, '0') END AS parent_span_id, \
                 value AS start_unix_nano, 10 AS duration_nano FROM n";
    session.register_table("n", Arc::new(numbers(70_200))).unwrap();
    session.sql(spans).await.unwrap().collect().await.unwrap();
    let sql = "SELECT count(*), max(depth), sum(CASE WHEN depth = 0 THEN 1 ELSE 0 END) FROM span_tree(TABLE s)";
    let plan = plan(session, sql).await;
    assert!(plan.contains("traces by hash, counted first"), "{plan}");
    assert_eq!(rows(session, sql).await, ["70200 69999 201"]);
}

/// The numbers below one, in order.
fn numbers(below: i64) -> MemTable {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..below));
    let rows = RecordBatch::try_from_iter([("value", column)]).unwrap();
    MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap()
}
