use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, Date64Array, FixedSizeListArray, Float64Array, Int32Array, NullArray, RecordBatch,
    RecordBatchOptions, StringArray, StringDictionaryBuilder, StringViewArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use datafusion::arrow::datatypes::{Float64Type, Int8Type, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::{Csv, Parquet};
use crate::error::Result;
use crate::ingest::testing::{Decoded, try_decode};
use crate::ingest::{BYTES_PER_BATCH, Options, all};

fn options(table: &str, map: &[(&str, &str)]) -> Options {
    let map = map.iter().map(|(target, source)| ((*target).to_owned(), (*source).to_owned())).collect();
    Options { table: Some(table.to_owned()), map, ..Options::default() }
}

fn csv(table: &str, map: &[(&str, &str)], text: &str) -> Result<Decoded> {
    try_decode(&Csv, text.as_bytes(), &options(table, map))
}

#[test]
fn columns_land_by_name_by_mapping_and_in_the_map() {
    let text =
        "id,kind,started_at,attributes.region,who,note\nc1,deploy,2024-08-01T09:00:00Z,eu,bob,x\nc2,config,,us,,\n";
    let decoded = csv("changes", &[("change_id", "id"), ("actor", "who")], text).unwrap();
    assert_eq!(decoded.column("changes", "change_id"), ["c1"]);
    assert_eq!(decoded.column("changes", "actor"), ["bob"]);
    assert_eq!(decoded.column("changes", "attributes"), ["{region: eu, note: x}"]);
    assert_eq!(decoded.column("changes", "date"), ["2024-08-01"]);
    assert_eq!(decoded.column("changes", "source"), ["csv"]);
    assert_eq!(decoded.column("changes", "ingested_at"), ["2026-11-22T12:00:00Z"]);
    assert_eq!(decoded.reasons(), [("started_at is empty", 1)]);
}

#[test]
fn what_is_set_is_in_every_row_whatever_the_file_says() {
    let set =
        [("entity_kind", "service"), ("weight", "0.5")].map(|(target, value)| (target.to_owned(), value.to_owned()));
    let map = vec![("entity".to_owned(), "service".to_owned()), ("owner".to_owned(), "team".to_owned())];
    let mut options = Options { table: Some("ownership".to_owned()), map, set: set.to_vec(), ..Options::default() };
    let text = "service,team,weight\ncart,red,0.25\nshop,blue,0.75\n";
    let decoded = try_decode(&Csv, text.as_bytes(), &options).unwrap();
    assert_eq!(decoded.column("ownership", "entity"), ["cart", "shop"]);
    assert_eq!(decoded.column("ownership", "entity_kind"), ["service", "service"]);
    assert_eq!(decoded.column("ownership", "weight"), ["0.500000000000", "0.500000000000"]);
    assert!(decoded.reasons().is_empty());
    options.set.push(("nonsense".to_owned(), "1".to_owned()));
    let error = try_decode(&Csv, text.as_bytes(), &options).err().unwrap();
    assert!(error.to_string().contains("--set: table ownership has no column \"nonsense\""), "{error}");
}

#[test]
fn every_type_converts_exactly_or_rejects_its_row() {
    let text = concat!(
        "trace_id,span_id,start_time,duration_nano,http_route,http_response_status_code,adjusted_count,attributes,events\n",
        "t1,s1,2024-08-01T09:00:00.5Z,1e3,/a,200,2.5,\"{\"\"a\"\":1}\",\"[{\"\"time_unix_nano\"\":7,\"\"name\"\":\"\"e\"\"}]\"\n",
        "t1,s2,noon,1,,,,,\n",
        "t1,s3,2024-08-01,1.5,,,,,\n",
        "t1,s4,2024-08-01,1,,,,{,\n",
        "t1,s5,2024-08-01,1,,,,,[7]\n",
        "t1,,2024-08-01,1,,,,,\n",
        "t1,s6\n",
        "t1,s7,2024-08-01,,,,,,\n",
    );
    let decoded = csv("spans", &[], text).unwrap();
    assert_eq!(decoded.column("spans", "span_id"), ["s1", "s7"]);
    assert_eq!(decoded.column("spans", "start_unix_nano"), ["1722502800500000000", "1722470400000000000"]);
    assert_eq!(decoded.column("spans", "duration_nano"), ["1000", ""]);
    assert_eq!(decoded.column("spans", "adjusted_count"), ["2.5", ""]);
    assert_eq!(decoded.column("spans", "attributes"), ["{a: 1}", "{}"]);
    assert_eq!(decoded.column("spans", "events"), ["[{time_unix_nano: 7, name: e, attributes: {}}]", "[]"]);
    assert_eq!(
        decoded.reasons(),
        [
            ("attributes: not a map of texts", 1),
            ("duration_nano: not a bigint", 1),
            ("events: not a list", 1),
            ("span_id is empty", 1),
            ("start_time: not a timestamptz", 1),
            ("the row has another number of fields than the header", 1),
        ]
    );
}

#[test]
fn ownership_and_costs_have_their_defaults() {
    let decoded =
        csv("ownership", &[], "entity_kind,entity,owner,weight\nservice,a,team-a,\nservice,b,team-b,0.25\n").unwrap();
    assert_eq!(decoded.column("ownership", "weight"), ["1.000000000000", "0.250000000000"]);
    assert_eq!(decoded.column("ownership", "role"), ["primary", "primary"]);
    assert_eq!(decoded.column("ownership", "valid_from"), ["2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"]);
    let text =
        "billed_cost,billing_period_start,service_provider_name\n0.000000000001,2024-09-15,AWS\n1e-13,2024-09-15,AWS\n";
    let decoded = csv("costs", &[], text).unwrap();
    assert_eq!(decoded.column("costs", "billed_cost"), ["0.000000000001"]);
    assert_eq!(decoded.column("costs", "export_id"), ["AWS/unknown"]);
    assert_eq!(decoded.column("costs", "billing_month"), ["2024-09-01"]);
    assert_eq!(decoded.reasons(), [("billed_cost: not a numeric(38,12)", 1)]);
}

#[test]
fn wrong_options_are_explained() {
    let message = |table: &str, map: &[(&str, &str)]| csv(table, map, "a,b\n1,2\n").unwrap_err().to_string();
    assert!(message("nothing", &[]).contains("Tables are spans, logs"));
    assert!(message("slos", &[("slo", "c")]).contains("Its columns are a, b."));
    assert!(message("slos", &[("goal", "a")]).contains("Its columns are slo, service_name"));
    assert!(message("slos", &[]).contains("no column for slo of table slos"));
    let error = try_decode(&Csv, b"a\n1\n", &Options::default()).unwrap_err().to_string();
    assert!(error.contains("--table is missing"), "{error}");
}

/// A Parquet file of one batch.
fn file(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_columns_of_any_type_land_or_reject_their_row() {
    let mut dictionary = StringDictionaryBuilder::<Int8Type>::new();
    dictionary.extend(["x", "x", "y"].map(Some));
    let pairs = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]].map(|pair| Some(pair.map(Some)));
    let columns: [(&str, ArrayRef); 8] = [
        ("metric_name", Arc::new(BinaryArray::from_vec(vec![b"a", b"\xff", b"c"]))),
        ("time", Arc::new(TimestampSecondArray::from(vec![1_722_502_800, 1_722_502_800, i64::MAX]))),
        ("unit", Arc::new(StringViewArray::from(vec!["ms", "ms", "ms"]))),
        ("bounds", Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(pairs, 2))),
        ("service_name", Arc::new(dictionary.finish())),
        ("tenant_id", Arc::new(NullArray::new(3))),
        ("raw", Arc::new(BinaryArray::from_vec(vec![b"1", b"2", b"3"]))),
        ("day", Arc::new(Date64Array::from(vec![0, 0, 0]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let decoded = try_decode(&Parquet, &file(&batch), &options("metric_points", &[])).unwrap();
    assert_eq!(decoded.column("metric_points", "metric_name"), ["a"]);
    assert_eq!(decoded.column("metric_points", "unit"), ["ms"]);
    assert_eq!(decoded.column("metric_points", "bounds"), ["[1.0, 2.0]"]);
    assert_eq!(decoded.column("metric_points", "service_name"), ["x"]);
    assert_eq!(decoded.column("metric_points", "tenant_id"), [""]);
    assert_eq!(decoded.column("metric_points", "attributes"), ["{raw: 1, day: 1970-01-01T00:00:00}"]);
    assert_eq!(decoded.reasons(), [("metric_name: not a text", 1), ("time: not a timestamptz", 1)]);
}

#[test]
fn a_parquet_file_without_columns_is_refused() {
    let rows = RecordBatchOptions::new().with_row_count(Some(3));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &rows).unwrap();
    let error = try_decode(&Parquet, &file(&batch), &options("slos", &[])).unwrap_err().to_string();
    assert!(error.contains("the Parquet file has no columns"), "{error}");
}

#[test]
fn rows_land_in_batches_that_have_room_for_them() {
    let note = "x".repeat(BYTES_PER_BATCH / 2);
    let text = format!("slo,service_name,indicator\na,s,{note}\nb,s,{note}\nc,s,{note}\n");
    let decoded = csv("slos", &[], &text).unwrap();
    let rows: Vec<usize> = decoded.batches["slos"].iter().map(RecordBatch::num_rows).collect();
    assert_eq!((rows, decoded.column("slos", "slo")), (vec![1, 1, 1], ["a", "b", "c"].map(str::to_owned).to_vec()));
    let again = RecordBatch::try_from_iter(
        [("slo", vec!["a", "b", "c"]), ("service_name", vec!["s"; 3]), ("indicator", vec![note.as_str(); 3])]
            .map(|(name, cells)| (name, Arc::new(StringArray::from(cells)) as ArrayRef)),
    );
    let decoded = try_decode(&Parquet, &file(&again.unwrap()), &options("slos", &[])).unwrap();
    let rows: Vec<usize> = decoded.batches["slos"].iter().map(RecordBatch::num_rows).collect();
    assert_eq!((rows, decoded.column("slos", "slo")), (vec![1, 1, 1], ["a", "b", "c"].map(str::to_owned).to_vec()));
}

#[test]
fn parquet_columns_are_converted_by_their_type() {
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(TimestampNanosecondArray::from(vec![1_722_502_800_123_456_789; 2])) as _),
        ("target", Arc::new(StringArray::from(vec!["web", "db"])) as _),
        ("from_replicas", Arc::new(Int32Array::from(vec![2, 3])) as _),
        ("to_replicas", Arc::new(Float64Array::from(vec![4.0, 4.5])) as _),
    ])
    .unwrap();
    let decoded = try_decode(&Parquet, &file(&batch), &options("scaling_events", &[])).unwrap();
    assert_eq!(decoded.column("scaling_events", "time"), ["2024-08-01T09:00:00.123456Z"]);
    assert_eq!(decoded.column("scaling_events", "from_replicas"), ["2"]);
    assert_eq!(decoded.column("scaling_events", "to_replicas"), ["4"]);
    assert_eq!(decoded.column("scaling_events", "date"), ["2024-08-01"]);
    assert_eq!(decoded.reasons(), [("to_replicas: not a bigint", 1)]);
    assert!(try_decode(&Parquet, b"PAR1", &options("slos", &[])).is_err());
}

#[test]
fn what_lands_from_every_source_has_a_name_of_its_own() {
    let mut names: Vec<_> = all().iter().map(|source| source.name()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[ -~\\n]{0,200}") {
        for table in ["spans", "costs", "ownership", "slos"] {
            let _answer = try_decode(&Csv, &bytes, &options(table, &[]));
            let headed = format!("slo,trace_id,span_id,start_time,events,labels\n{text}");
            let _answer = try_decode(&Csv, headed.as_bytes(), &options(table, &[]));
        }
        let _answer = try_decode(&Parquet, &bytes, &options("spans", &[]));
    }
}
