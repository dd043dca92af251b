use std::sync::Arc;

use datafusion::arrow::array::*;
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, Schema, i256};

use super::*;

const STYLE: Style = Style { zone: Tz::UTC };

fn batch(column: ArrayRef) -> RecordBatch {
    let field = Field::new("c", column.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

fn texts(column: ArrayRef) -> Vec<Option<String>> {
    STYLE.row_texts(&batch(column)).unwrap().into_iter().map(|mut row| row.remove(0)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn binary(column: ArrayRef) -> Vec<u8> {
    let batch = batch(column);
    let encoder = RowEncoder::new(&batch.schema(), vec![Format::Binary], STYLE);
    let chunk = encoder.chunks(&batch, 1 << 16).next().unwrap().unwrap();
    // Type, length, columns, length of the first value.
    chunk.bytes[11..chunk.ends[0] as usize].to_vec()
}

#[test]
fn lists_of_any_depth_are_arrays_and_nested_types_are_json() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    assert_eq!(texts(Arc::new(list.clone())), [some("{1,NULL}"), None, some("{}")]);
    let nested = ListArray::new(
        Arc::new(Field::new_list_field(list.data_type().clone(), true)),
        OffsetBuffer::from_lengths([3]),
        Arc::new(list),
        None,
    );
    assert_eq!(texts(Arc::new(nested)), [some("{{1,NULL},NULL,{}}")]);

    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("service.name");
    map.values().append_value("say \"hi\"\n");
    map.keys().append_value("b");
    map.values().append_null();
    map.append(true).unwrap();
    assert_eq!(texts(Arc::new(map.finish())), [some(r#"{"b": null, "service.name": "say \"hi\"\n"}"#)]);
}

#[test]
fn numbers_beyond_a_machine_word_keep_every_digit() {
    let wide = Decimal256Array::from(vec![i256::from_string("12345678901234567890123456789012345678901234567890")])
        .with_precision_and_scale(76, 10)
        .unwrap();
    assert_eq!(texts(Arc::new(wide)), [some("1234567890123456789012345678901234567890.1234567890")]);
    assert_eq!(texts(Arc::new(UInt64Array::from(vec![u64::MAX]))), [some("18446744073709551615")]);
}

#[test]
fn binary_numerics_are_groups_of_four_digits() {
    let numeric = |unscaled: i128, scale: i8| {
        binary(Arc::new(Decimal128Array::from(vec![unscaled]).with_precision_and_scale(38, scale).unwrap()))
    };
    assert_eq!(numeric(1_234_567, 2), [0, 3, 0, 1, 0, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c]);
    assert_eq!(numeric(0, 2), [0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(numeric(-5, 4), [0, 1, 0xff, 0xff, 0x40, 0, 0, 4, 0, 5]);
}

#[test]
fn binary_values_are_big_endian_from_the_year_2000() {
    assert_eq!(binary(Arc::new(Int64Array::from(vec![1]))), [0, 0, 0, 0, 0, 0, 0, 1]);
    let day = TimestampMicrosecondArray::from(vec![946_684_800_000_001]).with_timezone("UTC");
    assert_eq!(binary(Arc::new(day)), [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(binary(Arc::new(Date32Array::from(vec![10_958]))), [0, 0, 0, 1]);
    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3_000)]);
    assert_eq!(binary(Arc::new(interval)), [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1]);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(7), None])]);
    let expected =
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255];
    assert_eq!(binary(Arc::new(list)), expected);
}

#[test]
fn types_have_their_oids_and_modifiers() {
    let kind = |data_type: &DataType| {
        let kind = of_data_type(data_type);
        (kind.oid, kind.size, kind.modifier)
    };
    assert_eq!(kind(&DataType::Decimal128(38, 12)), (1700, -1, (38 << 16 | 12) + 4));
    assert_eq!(kind(&DataType::new_list(DataType::Utf8, true)), (1009, -1, -1));
    assert_eq!(kind(&DataType::Struct(Vec::<Field>::new().into())), (3802, -1, -1));
    assert_eq!(kind(&DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))), (25, -1, -1));
}

#[test]
fn chunks_are_split_at_rows() {
    let batch = batch(Arc::new(StringArray::from_iter_values((0..100).map(|at| format!("row {at}")))));
    let encoder = RowEncoder::new(&batch.schema(), vec![Format::Text], STYLE);
    let mut chunks: Vec<Chunk> = encoder.chunks(&batch, 256).map(Result::unwrap).collect();
    assert_eq!(chunks.iter().map(Chunk::rows).sum::<usize>(), 100);
    let first = &mut chunks[0];
    let rows = first.rows();
    let one = first.split(1);
    assert_eq!(&one[..], b"D\0\0\0\x0f\0\x01\0\0\0\x05row 0");
    assert_eq!(first.rows(), rows - 1);
    assert!(first.bytes.ends_with(format!("row {}", rows - 1).as_bytes()));
}
