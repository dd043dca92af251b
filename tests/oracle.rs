//! Our joins against the same joins written so that the engine has to compare every pair: random rows, seeded, with
//! nulls, ties, duplicates, extremes, empty and skewed sides, batches of one row, many partitions and little memory.

use std::sync::Arc;

use ascribe::config::Config;
use ascribe::{Database, session};
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use futures::StreamExt;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What times are made of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Instant,
    Day,
    Integer,
    Unsigned,
    Float,
    Decimal,
}

const KINDS: [Kind; 6] = [Kind::Instant, Kind::Day, Kind::Integer, Kind::Unsigned, Kind::Float, Kind::Decimal];

/// A few values close together, so that ties are common; extremes now and then where the type has them.
fn times(kind: Kind, rows: usize, random: &mut ChaCha8Rng) -> ArrayRef {
    let small: Int64Array =
        (0..rows).map(|_| (!random.random_bool(0.1)).then(|| random.random_range(-12..12))).collect();
    let extremes = |random: &mut ChaCha8Rng, low: i64, high: i64| {
        let mut value = |value: i64| match random.random_range(0..20) {
            0 => low,
            1 => high,
            _ => value,
        };
        small.iter().map(|known| known.map(&mut value)).collect::<Int64Array>()
    };
    let to = |array: &Int64Array, data_type: DataType| cast(array, &data_type).unwrap();
    match kind {
        Kind::Instant => to(&small, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        Kind::Day => cast(&to(&small, DataType::Int32), &DataType::Date32).unwrap(),
        Kind::Integer => Arc::new(extremes(random, i64::MIN, i64::MAX)),
        Kind::Unsigned => {
            let shifted: Int64Array = small.iter().map(|value| value.map(|value| value + 12)).collect();
            to(&shifted, DataType::UInt64)
        }
        Kind::Float => {
            let floats = to(&small, DataType::Float64);
            let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
            let mut value = |value: f64| match random.random_range(0..5) {
                0 => strange[random.random_range(0..strange.len())],
                _ => value / 2.0,
            };
            let floats = floats.as_primitive::<Float64Type>().iter().map(|known| known.map(&mut value));
            Arc::new(floats.collect::<datafusion::arrow::array::Float64Array>())
        }
        Kind::Decimal => to(&small, DataType::Decimal128(12, 2)),
    }
}

/// Rows of a side: `id` is unique, `k` and `j` are keys, `t`, `a` and `b` times, `w` is a payload.
fn side(kind: Kind, rows: usize, keys: i64, random: &mut ChaCha8Rng) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows).unwrap()));
    // The square makes some keys far more popular than others.
    let mut key = |nulls: f64| {
        (!random.random_bool(nulls)).then(|| {
            let part: f64 = random.random();
            (part * part * keys as f64) as i64
        })
    };
    let text: Vec<Option<String>> = (0..rows).map(|_| key(0.1).map(|key| format!("key number {key}"))).collect();
    let text: ArrayRef = Arc::new(StringArray::from(text));
    let number: ArrayRef = Arc::new((0..rows).map(|_| key(0.05)).collect::<Int64Array>());
    let payload: ArrayRef = Arc::new(
        (0..rows).map(|_| (!random.random_bool(0.1)).then(|| random.random_range(0..5))).collect::<Int64Array>(),
    );
    let text = match random.random_range(0..3) {
        0 => cast(&text, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))).unwrap(),
        1 => cast(&text, &DataType::Utf8View).unwrap(),
        _ => text,
    };
    let columns = vec![
        ("id", ids),
        ("k", text),
        ("j", number),
        ("t", times(kind, rows, random)),
        ("a", times(kind, rows, random)),
        ("b", times(kind, rows, random)),
        ("w", payload),
    ];
    let fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

/// A table of several partitions, in batches of one row and of a few.
pub(super) fn table(rows: &RecordBatch, random: &mut ChaCha8Rng) -> MemTable {
    let mut partitions = vec![vec![]; random.random_range(1..4)];
    let mut at = 0;
    while at < rows.num_rows() {
        let length = if random.random_bool(0.3) { 1 } else { random.random_range(1..40) }.min(rows.num_rows() - at);
        let place = random.random_range(0..partitions.len());
        partitions[place].push(rows.slice(at, length));
        at += length;
    }
    MemTable::try_new(rows.schema(), partitions).unwrap()
}

pub(super) struct World {
    _folder: tempfile::TempDir,
    pub(super) session: SessionContext,
}

pub(super) async fn world(config: Config) -> World {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_with(&folder.path().display().to_string(), config).await.unwrap();
    World { session: database.new_session().unwrap(), _folder: folder }
}

/// Rows of an answer as text, in order.
pub(super) async fn rows(session: &SessionContext, sql: &str) -> Vec<String> {
    let batches = session::query(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let batches = batches.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let options = FormatOptions::new().with_null("null");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        rows.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" ")),
        );
    }
    rows.sort_unstable();
    rows
}

async fn plan(session: &SessionContext, sql: &str) -> String {
    rows(session, &format!("EXPLAIN {sql}")).await.join("\n")
}

/// Sessions over the same pair of tables, with our joins to be put to the test.
async fn sessions(seed: u64) -> (Vec<SessionContext>, Vec<World>, String) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let kind = KINDS[random.random_range(0..KINDS.len())];
    let sizes = [0, 1, 7, 60, 150];
    let (left, right) = (sizes[random.random_range(0..sizes.len())], sizes[random.random_range(0..sizes.len())]);
    let keys = [1, 4, 40][random.random_range(0..3)];
    let (left, right) = (side(kind, left, keys, &mut random), side(kind, right, keys, &mut random));
    let mut contexts = Vec::new();
    let mut worlds = Vec::new();
    for (partitions, batch_size, broadcast) in [(1, 8192, true), (2, 1, false), (7, 5, true), (7, 64, false)] {
        let config = Config { target_partitions: partitions, batch_size, ..Config::default() };
        let world = world(config).await;
        world.session.register_table("l", Arc::new(table(&left, &mut random))).unwrap();
        world.session.register_table("r", Arc::new(table(&right, &mut random))).unwrap();
        if !broadcast {
            for setting in ["threshold", "threshold_rows"] {
                let name = format!("datafusion.optimizer.hash_join_single_partition_{setting}");
                world.session.sql(&format!("SET {name} = 0")).await.unwrap();
            }
        }
        contexts.push(world.session.clone());
        worlds.push(world);
    }
    (contexts, worlds, format!("seed {seed}, {kind:?}, {} and {} rows, {keys} keys", left.num_rows(), right.num_rows()))
}

/// A condition that no rule can take apart.
fn opaque(condition: &str) -> String {
    format!("CASE WHEN {condition} THEN l.id ELSE -1 - r.id END >= 0")
}

const INTERVALS: [&str; 12] = [
    "l.t >= r.a AND l.t < r.b",
    "r.a < l.t AND r.b >= l.t",
    "l.t BETWEEN r.a AND r.b",
    "l.t > r.a AND l.t < r.b",
    "l.t >= r.a AND (l.t < r.b OR r.b IS NULL)",
    "(r.a IS NULL OR l.t > r.a) AND (r.b IS NULL OR r.b > l.t)",
    "(l.b IS NULL OR r.t <= l.b) AND (r.t >= l.a OR l.a IS NULL)",
    "l.a < r.b AND l.b > r.a",
    "l.a <= r.b AND l.b >= r.a",
    "r.t >= l.a AND r.t < l.b",
    "l.t >= r.a AND l.t < r.b AND l.w <> r.w",
    "l.t >= r.a AND l.t <= r.b AND l.t <> r.t AND l.b > r.b",
];

const KEYS: [&str; 3] = ["", "l.k = r.k AND ", "l.j = r.j AND l.k = r.k AND "];

/// Kinds of joins and what they return.
const JOINS: [(&str, &str); 8] = [
    ("JOIN", "l.id AS x, r.id AS y, l.t, r.w"),
    ("LEFT JOIN", "l.id AS x, r.id AS y, l.t, r.w"),
    ("RIGHT JOIN", "l.id AS x, r.id AS y, l.t, r.w"),
    ("FULL JOIN", "l.id AS x, r.id AS y, l.t, r.w"),
    ("LEFT SEMI JOIN", "l.id, l.w"),
    ("LEFT ANTI JOIN", "l.id, l.w"),
    ("RIGHT SEMI JOIN", "r.id, r.w"),
    ("RIGHT ANTI JOIN", "r.id, r.w"),
];

#[tokio::test]
async fn interval_joins_equal_the_comparison_of_all_pairs() {
    let mut checked = 0;
    for seed in 0..16 {
        let (sessions, _worlds, what) = sessions(seed).await;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..6 {
            let (join, columns) = JOINS[random.random_range(0..JOINS.len())];
            let interval = INTERVALS[random.random_range(0..INTERVALS.len())];
            let condition = format!("{}{interval}", KEYS[random.random_range(0..KEYS.len())]);
            let naive = format!("SELECT {columns} FROM l {join} r ON {}", opaque(&condition));
            let sql = format!("SELECT {columns} FROM l {join} r ON {condition}");
            assert!(!plan(&sessions[0], &naive).await.contains("IntervalJoinExec"), "{naive}");
            let expected = rows(&sessions[0], &naive).await;
            for session in &sessions {
                let plan = plan(session, &sql).await;
                // An empty table is known to match nothing.
                assert!(plan.contains("IntervalJoinExec") || plan.contains("EmptyExec"), "{what}: {sql}\n{plan}");
                assert!(!plan.contains("NestedLoopJoinExec"), "{what}: {sql}\n{plan}");
                assert_eq!(rows(session, &sql).await, expected, "{what}: {sql}\n{plan}");
                checked += usize::from(plan.contains("IntervalJoinExec"));
            }
        }
    }
    assert!(checked > 250, "only {checked} plans had the operator");
}

#[tokio::test]
async fn subqueries_over_intervals_equal_the_comparison_of_all_pairs() {
    for seed in 100..106 {
        let (sessions, _worlds, what) = sessions(seed).await;
        for (test, key) in [("EXISTS", ""), ("NOT EXISTS", "l.k = r.k AND "), ("l.w = 1 OR EXISTS", "l.k = r.k AND ")] {
            let statement =
                |condition: &str| format!("SELECT l.id FROM l WHERE {test} (SELECT 1 FROM r WHERE {condition})");
            let condition = format!("{key}l.t >= r.a AND (r.b IS NULL OR l.t < r.b)");
            let (sql, naive) = (statement(&condition), statement(&opaque(&condition)));
            let expected = rows(&sessions[0], &naive).await;
            for session in &sessions {
                assert_eq!(rows(session, &sql).await, expected, "{what}: {sql}");
            }
        }
    }
}

/// The nearest row of `r` for each row of `l`, by numbering all pairs.
fn naive_asof(condition: &str, time: &str, descending: bool, inner: bool) -> String {
    let order = if descending { "DESC" } else { "ASC" };
    let kind = if inner { "JOIN" } else { "LEFT JOIN" };
    format!(
        "SELECT l.id AS x, n.id AS y, n.t, n.w FROM l {kind} (SELECT l.id AS of, r.*, \
         row_number() OVER (PARTITION BY l.id ORDER BY {time} {order} NULLS LAST, r.id) AS place \
         FROM l CROSS JOIN r WHERE {}) n ON n.of = l.id AND n.place = 1",
        opaque(condition)
    )
}

#[tokio::test]
async fn asof_joins_equal_the_first_of_all_pairs() {
    let mut matched = 0;
    for seed in 200..216 {
        let (sessions, _worlds, what) = sessions(seed).await;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..6 {
            let operator = [">=", ">", "<=", "<"][random.random_range(0..4)];
            let descending = operator.starts_with('>');
            let keys = KEYS[random.random_range(0..KEYS.len())].trim_end_matches(" AND ");
            let further = match (random.random_range(0..4), descending) {
                (0, true) => "r.t >= l.a",
                (0, false) => "r.t < l.b",
                (1, _) => "l.w <> r.w",
                (2, true) => "r.t > l.a AND l.w <= r.w",
                _ => "",
            };
            // Sorting tells the two zeros apart, comparing does not.
            let time = if what.contains("Float") { "r.t + 0.0" } else { "r.t" };
            let on: Vec<&str> = [keys, further].into_iter().filter(|part| !part.is_empty()).collect();
            let on = on.join(" AND ");
            let inner = random.random_bool(0.5);
            let kind = if inner { "INNER " } else { ["", "LEFT ", "LEFT OUTER "][random.random_range(0..3)] };
            let clause = if on.is_empty() { String::new() } else { format!(" ON {on}") };
            let sql = format!(
                "SELECT l.id AS x, r.id AS y, r.t, r.w FROM l ASOF {kind}JOIN r MATCH_CONDITION (l.t {operator} r.t){clause}"
            );
            let condition = if on.is_empty() { String::new() } else { format!(" AND {on}") };
            let naive = naive_asof(&format!("l.t {operator} r.t{condition}"), time, descending, inner);
            let expected = rows(&sessions[0], &naive).await;
            matched += expected.iter().filter(|row| !row.contains("null")).count();
            for session in &sessions {
                assert_eq!(rows(session, &sql).await, expected, "{what}: {sql}\n{}", plan(session, &sql).await);
            }
        }
    }
    assert!(matched > 500, "only {matched} rows matched at all");
}

/// One row and another at the same time, in the other order the second time.
#[tokio::test]
async fn ties_do_not_depend_on_the_order_of_the_rows() {
    for operator in [">=", "<="] {
        for order in ["(1, 5, 'b'), (1, 5, 'a'), (1, 5, NULL)", "(1, 5, NULL), (1, 5, 'a'), (1, 5, 'b')"] {
            let world = world(Config::default()).await;
            let sql = format!(
                "SELECT r.name FROM (VALUES (1, 5)) AS l(k, t) ASOF JOIN (VALUES {order}) AS r(k, t, name) \
                 MATCH_CONDITION (l.t {operator} r.t) ON l.k = r.k"
            );
            assert_eq!(rows(&world.session, &sql).await, ["a"], "{sql}");
        }
    }
}

/// The line of our operator in the plan of a statement.
async fn line(session: &SessionContext, sql: &str) -> String {
    let plan = plan(session, sql).await;
    assert!(!plan.contains("NestedLoopJoinExec") && !plan.contains("HashJoinExec"), "{plan}");
    let ours = plan.lines().find(|line| line.contains("IntervalJoinExec") || line.contains("AsofJoinExec"));
    ours.unwrap_or_else(|| panic!("{plan}")).trim().to_owned()
}

#[tokio::test]
async fn plans_say_what_is_matched() {
    let world = world(Config { target_partitions: 2, ..Config::default() }).await;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for (name, count) in [("l", 10), ("r", 20)] {
        let rows = side(Kind::Integer, count, 3, &mut random);
        world.session.register_table(name, Arc::new(table(&rows, &mut random))).unwrap();
    }
    let expected: [(&str, &[&str]); 6] = [
        (
            "SELECT l.id, r.id AS other FROM l JOIN r ON l.j = r.j AND l.t >= r.a AND (l.t < r.b OR r.b IS NULL)",
            &["IntervalJoinExec: mode=Broadcast, join_type=Inner, on=[(j@", ", interval=[t@", " or b@", " null, t@"],
        ),
        (
            "SELECT l.id, r.id AS other FROM l LEFT JOIN r ON l.t BETWEEN r.a AND r.b AND l.id <> r.id",
            &["IntervalJoinExec: mode=Broadcast, join_type=Left, interval=[t@", " <= b@", " >= a@", "], filter=id@"],
        ),
        (
            "SELECT l.id FROM l WHERE EXISTS (SELECT 1 FROM r WHERE l.a < r.b AND l.b > r.a)",
            // The engine turns it around to build on the side that it thinks is the smaller one.
            &["IntervalJoinExec: mode=Broadcast, join_type=RightSemi, interval=[a@", " < b@", ", b@", " > a@"],
        ),
        (
            "SELECT l.id, r.id AS other FROM l, r WHERE r.t - 5 < l.t AND l.t <= r.t + 5",
            &["IntervalJoinExec: mode=Broadcast, join_type=Inner, interval=[t@", " - 5", " + 5"],
        ),
        (
            "SELECT l.id, r.id AS other FROM l ASOF JOIN r MATCH_CONDITION (l.t >= r.t) ON l.j = r.j",
            &["AsofJoinExec: mode=Broadcast, join_type=Left, on=[(j@", "match=[t@", " <= t@", "direction=backward"],
        ),
        (
            "SELECT l.id, r.id AS other FROM l ASOF JOIN r MATCH_CONDITION (l.t < r.t) \
             ON r.t <= l.t + 9 AND r.w > l.w WHERE r.id > 3",
            &[
                "AsofJoinExec: mode=Broadcast, join_type=Inner, match=[t@",
                "direction=forward, tolerance=[t@",
                " + 9], filter=w@",
            ],
        ),
    ];
    for (sql, parts) in expected {
        let line = line(&world.session, sql).await;
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

/// Rows of one key whose intervals all contain everything.
async fn crowd(config: Config, left: i64, right: i64) -> World {
    let world = world(config).await;
    for (name, count) in [("l", left), ("r", right)] {
        let sql = format!(
            "CREATE VIEW {name} AS SELECT value AS id, 'k' AS k, value % 100 AS t, 0 AS a, 100 AS b \
             FROM generate_series(1, {count})"
        );
        world.session.sql(&sql).await.unwrap();
    }
    world
}

#[tokio::test]
async fn a_build_side_that_does_not_fit_is_an_error_of_resources() {
    let config = Config { memory_limit: 2 << 20, target_partitions: 2, ..Config::default() };
    let world = crowd(config, 10, 300_000).await;
    for sql in [
        "SELECT count(*), max(r.id) FROM r JOIN l ON l.t >= r.a AND l.t < r.b AND r.k = l.k AND r.id > l.id",
        "SELECT count(*), max(r.id) FROM l ASOF JOIN r MATCH_CONDITION (l.t >= r.t) ON l.k = r.k",
    ] {
        let query = session::query(&world.session, sql).await.unwrap();
        let answer = query.collect().await;
        match answer {
            Err(error) => {
                let error = ascribe::error::Error::from(error);
                assert_eq!(error.sqlstate(), "53200", "{sql}: {error}");
            }
            // The smaller side may have been chosen to build on.
            Ok(batches) => {
                let count = batches[0].column(0).as_primitive::<Int64Type>().value(0);
                assert!(sql.starts_with("SELECT count(*), max(r.id) FROM r") && count == 2_999_945, "{sql}: {count}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_with_many_matches_streams_and_stops_when_it_is_dropped() {
    let config = Config { target_partitions: 1, batch_size: 1000, ..Config::default() };
    let world = crowd(config, 30_000, 30_000).await;
    let sql = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k AND l.t >= r.a AND l.t < r.b";
    let query = session::query(&world.session, sql).await.unwrap();
    let mut stream = query.execute_stream().await.unwrap();
    let mut batches = 0;
    // All of it would be 900 million rows.
    while let Some(batch) = stream.next().await {
        assert!(batch.unwrap().num_rows() <= 1000);
        batches += 1;
        if batches == 5 {
            break;
        }
    }
    drop(stream);
    assert_eq!(batches, 5);
}

/// A condition that no pair satisfies keeps the join busy without any output; a task that runs it can be stopped.
#[tokio::test]
async fn a_join_without_output_lets_go_of_the_thread() {
    let config = Config { target_partitions: 1, ..Config::default() };
    let world = crowd(config, 100_000, 100_000).await;
    for sql in [
        "SELECT count(*) FROM l JOIN r ON l.k = r.k AND l.t >= r.a AND l.t < r.b AND l.id + r.id < 0",
        "SELECT count(*) FROM l ASOF INNER JOIN r MATCH_CONDITION (l.t >= r.t) ON l.k = r.k AND l.id + r.id < 0",
        // A nested loop join of the engine's.
        "SELECT count(*) FROM l JOIN r ON l.id * 7 + r.id < 0",
    ] {
        let query = session::query(&world.session, sql).await.unwrap();
        let running = tokio::spawn(query.collect());
        // The one thread of this test gets here only if the join yields; 10 billion pairs take minutes.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!running.is_finished(), "{sql}");
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled(), "{sql}");
    }
}
