//! Aggregates give the same result however the rows are split, and in windows that slide.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, EmitTo};
use datafusion::physical_expr::expressions::col;
use datafusion::scalar::ScalarValue;
use proptest::prelude::*;

use crate::{session, text};

fn aggregate(name: &str) -> AggregateUDF {
    ascribe_udfs::all_aggregate().into_iter().find(|f| f.name() == name).unwrap()
}

/// Calls `then` with what DataFusion would pass for these columns.
fn with_args<T>(columns: &[ArrayRef], then: impl FnOnce(AccumulatorArgs) -> T) -> T {
    let fields: Vec<FieldRef> = columns
        .iter()
        .enumerate()
        .map(|(i, c)| Arc::new(Field::new(format!("c{i}"), c.data_type().clone(), true)))
        .collect();
    let schema = Schema::new(fields.clone());
    let exprs: Vec<_> = fields.iter().map(|f| col(f.name(), &schema).unwrap()).collect();
    then(AccumulatorArgs {
        return_field: Arc::new(Field::new("r", DataType::Float64, true)),
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: "f",
        is_distinct: false,
        exprs: &exprs,
        expr_fields: &fields,
    })
}

fn accumulator(function: &AggregateUDF, columns: &[ArrayRef]) -> Box<dyn Accumulator> {
    with_args(columns, |args| function.accumulator(args).unwrap())
}

fn slice(columns: &[ArrayRef], from: usize, to: usize) -> Vec<ArrayRef> {
    columns.iter().map(|c| c.slice(from, to - from)).collect()
}

fn result(accumulator: &mut dyn Accumulator) -> Option<f64> {
    match accumulator.evaluate().unwrap() {
        ScalarValue::Float64(value) => value,
        other => panic!("{other:?}"),
    }
}

fn same(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1e-6),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn states(accumulator: &mut dyn Accumulator) -> Vec<ArrayRef> {
    accumulator.state().unwrap().iter().map(|s| s.to_array().unwrap()).collect()
}

/// One pass over all rows; partial states of each piece merged, in one batch of states.
fn check_merge(function: &AggregateUDF, columns: &[ArrayRef], cuts: &[usize]) {
    let rows = columns[0].len();
    let mut whole = accumulator(function, columns);
    whole.update_batch(columns).unwrap();
    let mut places: Vec<_> = cuts.iter().map(|c| c % (rows + 1)).chain([0, rows]).collect();
    places.sort_unstable();
    let partials: Vec<_> = places
        .windows(2)
        .map(|w| {
            let mut partial = accumulator(function, columns);
            partial.update_batch(&slice(columns, w[0], w[1])).unwrap();
            states(partial.as_mut())
        })
        .collect();
    let batch: Vec<ArrayRef> = (0..partials[0].len())
        .map(|i| concat(&partials.iter().map(|p| p[i].as_ref()).collect::<Vec<_>>()).unwrap())
        .collect();
    let mut merged = accumulator(function, columns);
    merged.merge_batch(&batch).unwrap();
    let (a, b) = (result(whole.as_mut()), result(merged.as_mut()));
    assert!(same(a, b), "{}: {a:?} in one pass, {b:?} merged", function.name());
    assert!(whole.size() >= rows / 64, "{}: the size leaves out what is kept", function.name());
}

/// A window over `width` rows, against an accumulator that has only seen those.
fn check_sliding(function: &AggregateUDF, columns: &[ArrayRef], width: usize) {
    let mut sliding = accumulator(function, columns);
    assert!(sliding.supports_retract_batch());
    for row in 0..columns[0].len() {
        sliding.update_batch(&slice(columns, row, row + 1)).unwrap();
        if row >= width {
            sliding.retract_batch(&slice(columns, row - width, row - width + 1)).unwrap();
        }
        let mut fresh = accumulator(function, columns);
        fresh.update_batch(&slice(columns, (row + 1).saturating_sub(width), row + 1)).unwrap();
        let (a, b) = (result(sliding.as_mut()), result(fresh.as_mut()));
        assert!(same(a, b), "{}: {a:?} slid to, {b:?} computed afresh", function.name());
    }
}

/// All groups at once, by rows, by states and by converted rows, against one accumulator a group.
fn check_groups(function: &AggregateUDF, columns: &[ArrayRef], groups: &[usize], keep: &BooleanArray) {
    let (rows, count) = (columns[0].len(), 4);
    let new = || with_args(columns, |args| function.create_groups_accumulator(args).unwrap());
    let half = rows / 2;
    let (mut direct, mut partial, mut merged) = (new(), new(), new());
    direct.update_batch(&slice(columns, 0, half), &groups[..half], Some(&keep.slice(0, half)), count).unwrap();
    direct
        .update_batch(&slice(columns, half, rows), &groups[half..], Some(&keep.slice(half, rows - half)), count)
        .unwrap();
    partial.update_batch(&slice(columns, 0, half), &groups[..half], Some(&keep.slice(0, half)), count).unwrap();
    let first = partial.state(EmitTo::All).unwrap();
    merged.merge_batch(&first, &[0, 1, 2, 3], count).unwrap();
    let second = partial.convert_to_state(&slice(columns, half, rows), Some(&keep.slice(half, rows - half))).unwrap();
    merged.merge_batch(&second, &groups[half..], count).unwrap();
    let (direct, merged) = (direct.evaluate(EmitTo::All).unwrap(), merged.evaluate(EmitTo::All).unwrap());
    for group in 0..count {
        let mut single = accumulator(function, columns);
        for row in (0..rows).filter(|row| groups[*row] == group && keep.is_valid(*row) && keep.value(*row)) {
            single.update_batch(&slice(columns, row, row + 1)).unwrap();
        }
        let of = |a: &ArrayRef| a.is_valid(group).then(|| a.as_primitive::<Float64Type>().value(group));
        let expected = result(single.as_mut());
        assert!(same(of(&direct), expected) && same(of(&merged), expected), "group {group}");
    }
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![6 => (0..12i32).prop_map(|x| Some(f64::from(x) / 4.0)), 1 => Just(None), 1 => Just(Some(f64::NAN)), 1 => any::<f64>().prop_map(Some)]
}

fn weight() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![5 => (0..6i32).prop_map(|x| Some(f64::from(x) / 2.0)), 1 => Just(None)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_samples(data in prop::collection::vec((value(), prop::option::of(any::<bool>())), 1..40),
                   cuts in prop::collection::vec(any::<usize>(), 0..4), width in 1..10usize) {
        let values: ArrayRef = Arc::new(data.iter().map(|(x, _)| *x).collect::<Float64Array>());
        let named = |c: bool| if c { "canary" } else { "baseline" };
        let cohorts: [ArrayRef; 2] = [
            Arc::new(data.iter().map(|(_, c)| *c).collect::<BooleanArray>()),
            Arc::new(data.iter().map(|(_, c)| c.map(named)).collect::<StringArray>()),
        ];
        for cohort in cohorts {
            let columns = [values.clone(), cohort];
            for name in ["mann_whitney_u", "cliffs_delta"] {
                check_merge(&aggregate(name), &columns, &cuts);
                check_sliding(&aggregate(name), &columns, width);
            }
        }
    }

    #[test]
    fn quantile(data in prop::collection::vec((value(), weight()), 1..40), q in 0.0..=1.0f64,
                cuts in prop::collection::vec(any::<usize>(), 0..4), width in 1..10usize) {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(data.iter().map(|(x, _)| *x).collect::<Float64Array>()),
            Arc::new(data.iter().map(|(_, w)| *w).collect::<Float64Array>()),
            Arc::new(Float64Array::from(vec![q; data.len()])),
        ];
        check_merge(&aggregate("weighted_quantile"), &columns, &cuts);
        check_sliding(&aggregate("weighted_quantile"), &columns, width);
    }

    #[test]
    fn rate(data in prop::collection::vec((prop::option::of(0..3usize), weight(), 0..4usize, prop::option::of(any::<bool>())), 2..60),
            cuts in prop::collection::vec(any::<usize>(), 0..4), width in 1..10usize) {
        let statuses = data.iter().map(|(s, ..)| s.map(|s| ["OK", "ERROR", "UNSET"][s])).collect::<StringArray>();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(statuses), Arc::new(data.iter().map(|(_, w, ..)| *w).collect::<Float64Array>())];
        let groups: Vec<_> = data.iter().map(|(_, _, g, _)| *g).collect();
        let keep = data.iter().map(|(.., k)| *k).collect::<BooleanArray>();
        for columns in [&columns[..], &columns[..1]] {
            check_merge(&aggregate("error_rate"), columns, &cuts);
            check_sliding(&aggregate("error_rate"), columns, width);
            check_groups(&aggregate("error_rate"), columns, &groups, &keep);
        }
    }
}

#[tokio::test]
async fn sql_spreads_groups_and_slides_windows() {
    let ctx = session();
    let data = "(SELECT value AS i, value % 3 AS g, (value * 37) % 23 AS x, value % 5 < 2 AS c, 'ERROR' AS s FROM generate_series(1, 300))";
    let batches = ctx.sql(&format!("SELECT * FROM {data}")).await.unwrap().collect().await.unwrap();
    let all: Vec<RecordBatch> = batches;
    assert!(all.len() > 3);
    let grouped = format!(
        "SELECT g, cliffs_delta(x, c), weighted_quantile(x, i, 0.5), error_rate(CASE WHEN x > 11 THEN s ELSE 'OK' END) FROM {data} GROUP BY g ORDER BY g"
    );
    let single = |g: i32| {
        format!(
            "SELECT {g}, cliffs_delta(x, c), weighted_quantile(x, i, 0.5), error_rate(CASE WHEN x > 11 THEN s ELSE 'OK' END) FROM {data} WHERE g = {g}"
        )
    };
    let mut expected = Vec::new();
    for g in 0..3 {
        expected.push(text(&ctx, &single(g)).await);
    }
    assert_eq!(text(&ctx, &grouped).await, expected.join("\n"));
    let window = format!(
        "SELECT d FROM (SELECT i, cliffs_delta(x, c) OVER (ORDER BY i ROWS BETWEEN 19 PRECEDING AND CURRENT ROW) AS d FROM {data}) WHERE i = 300"
    );
    let last = format!("SELECT cliffs_delta(x, c) FROM {data} WHERE i > 280");
    let (window, last) = (text(&ctx, &window).await, text(&ctx, &last).await);
    assert!(!last.is_empty());
    assert_eq!(window, last);
}
