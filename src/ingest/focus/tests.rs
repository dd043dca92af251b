use std::sync::Arc;

use datafusion::arrow::array::{
    Array, AsArray, Decimal128Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::Decimal128Type;
use datafusion::parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::Focus;
use crate::ingest::testing::{Decoded, decode, fixture, try_decode};
use crate::ingest::{Options, decimal};

const TABLE: &str = "costs";
const HEADER: &str = "BilledCost,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd";
const REST: &str = "USD,2024-09-01,2024-09-02T10:00:00Z,2024-09-02 11:00:00";

fn sum(decoded: &Decoded, column: &str) -> String {
    let batches = decoded.batches.get(TABLE).into_iter().flatten();
    let cells = batches.flat_map(|batch| {
        let array = batch.column_by_name(column).unwrap().as_primitive::<Decimal128Type>().clone();
        array.iter().flatten().collect::<Vec<_>>()
    });
    decimal::format(cells.sum())
}

#[test]
fn the_sample_lands_whole_and_exactly() {
    let decoded = decode(&Focus, &fixture("focus/focus-1.0-sample-500.csv"));
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (500, vec![]));
    assert_eq!(sum(&decoded, "billed_cost"), "5.9883937432");
    assert_eq!(sum(&decoded, "effective_cost"), "2");
    assert_eq!(sum(&decoded, "list_cost"), "6.1310727654");
    let first = [
        ("billed_cost", "0.000000800000"),
        ("billing_currency", "USD"),
        ("billing_period_start", "2024-09-01T00:00:00Z"),
        ("charge_period_start", "2024-09-18T22:00:00Z"),
        ("charge_class", ""),
        ("service_provider_name", "AWS"),
        ("host_provider_name", "Amazon Web Services, Inc."),
        ("provider_service_name", "Amazon Simple Queue Service"),
        ("consumed_quantity", "2.0"),
        ("resource_type", ""),
        ("sub_account_id", "51738928782"),
        ("tags", "{}"),
        (
            "x",
            "{ContractedUnitPrice: 0.00000000000, ListUnitPrice: 0.0000004, PricingCategory: Standard, \
             RegionName: US West (Oregon), Id: 11472, SkuPriceId: G95FST5FTYV3JSRX.JRTCKXETXF.VXGXCWQKTY}",
        ),
        ("export_id", "AWS/1234567890123"),
        ("billing_month", "2024-09-01"),
    ];
    for (column, value) in first {
        assert_eq!(decoded.cell(TABLE, column, 0), value, "{column}");
    }
    assert_eq!(
        decoded.cell(TABLE, "tags", 1),
        "{application: BrightLensMatrix, business_unit: ViennaAI, environment: dev}"
    );
}

#[test]
fn renamed_columns_padding_and_provider_columns_find_their_place() {
    let text = format!(
        "\u{feff} {HEADER} ;ProviderName;Service Provider Name;PublisherName;Tags;x_Rate;x_ExportId\n \
         1.5 ;{REST} ;old;new;pub;\"\"\"k \"\":\"\" v\"\"\";0.5;daily\n"
    )
    .replace(',', ";");
    let decoded = decode(&Focus, text.as_bytes());
    assert_eq!(decoded.reasons(), []);
    let expected = [
        ("billed_cost", "1.500000000000"),
        ("service_provider_name", "new"),
        ("host_provider_name", "pub"),
        ("tags", "{k: v}"),
        ("x", "{ProviderName: old, x_Rate: 0.5}"),
        ("export_id", "daily"),
    ];
    for (column, value) in expected {
        assert_eq!(decoded.cell(TABLE, column, 0), value, "{column}");
    }
}

#[test]
fn columns_of_every_version_are_called_as_the_specification_calls_them() {
    let text = format!(
        "{HEADER},service_subcategory,LISTUNITPRICE,Sku Price Details,ContractApplied,x_region_name\n\
         1,{REST},Virtual Machines,0.0000004,\"{{\"\"CoreCount\"\": 4}}\",,here\n"
    );
    let decoded = decode(&Focus, text.as_bytes());
    assert_eq!(
        decoded.cell(TABLE, "x", 0),
        "{ServiceSubcategory: Virtual Machines, ListUnitPrice: 0.0000004, SkuPriceDetails: {\"CoreCount\": 4}, x_region_name: here}"
    );
}

#[test]
fn money_that_would_change_rejects_its_row_only() {
    let rows = ["1.0000000000001", "2.0000000000010", "1e-7", "1,5", "", "NULL", "abc", "1e40", "-3"];
    let rows: Vec<String> = rows.iter().map(|amount| format!("\"{amount}\",{REST}")).collect();
    let text = format!(
        "{HEADER}\n{}\nshort\n1,USD,,2024-09-02,2024-09-03\n1,USD,2024-09-01,soon,2024-09-03\n",
        rows.join("\n")
    );
    let decoded = decode(&Focus, text.as_bytes());
    assert_eq!(decoded.column(TABLE, "billed_cost"), ["2.000000000001", "0.000000100000", "-3.000000000000"]);
    assert_eq!(
        decoded.reasons(),
        [
            ("BilledCost is empty", 2),
            ("BilledCost: more than 12 digits behind the point", 1),
            ("BilledCost: not a number", 2),
            ("BilledCost: too large", 1),
            ("BillingPeriodStart is empty", 1),
            ("ChargePeriodStart: not an instant", 1),
            ("the row has another number of fields than the header", 1),
        ]
    );
}

#[test]
fn tags_that_are_none_do_not_cost_the_row() {
    let text = format!("{HEADER},Tags\n1,{REST},[what\n");
    let decoded = decode(&Focus, text.as_bytes());
    assert_eq!((decoded.cell(TABLE, "tags", 0), decoded.cell(TABLE, "x", 0)), ("{}".into(), "{Tags: [what}".into()));
}

#[test]
fn what_is_no_export_is_refused_with_its_missing_columns() {
    let message = |text: &str| try_decode(&Focus, text.as_bytes(), &Options::default()).unwrap_err().to_string();
    let error = message("BilledCost,BillingPeriodStart\n");
    assert!(error.contains("no column BillingCurrency, ChargePeriodStart, ChargePeriodEnd"), "{error}");
    assert!(error.contains("--map"), "{error}");
    assert!(message("Datum,PreTaxCost (PreTaxCost)\n").contains("Azure"));
    assert!(message("").contains("empty"));
    assert!(message("PAR1 not really").contains("Parquet"));
}

#[test]
fn columns_of_other_names_are_mapped() {
    let text = format!("{}\n1,{REST}\n", HEADER.replace("BilledCost", "Amount"));
    let map = |target: &str, source: &str| {
        let options = Options { map: vec![(target.into(), source.into())], ..Options::default() };
        try_decode(&Focus, text.as_bytes(), &options)
    };
    let decoded = map("billed_cost", "Amount").unwrap();
    assert_eq!((sum(&decoded, "billed_cost"), decoded.cell(TABLE, "x", 0)), ("1".into(), "{}".into()));
    assert!(map("BilledCost", "Betrag").unwrap_err().to_string().contains("no column \"Betrag\""));
    assert!(map("Cost", "Amount").unwrap_err().to_string().contains("no FOCUS column \"Cost\""));
}

fn parquet(costs: Arc<dyn Array>) -> Vec<u8> {
    let start = Arc::new(TimestampMicrosecondArray::from(vec![1_725_148_800_000_000; costs.len()]));
    let currency = Arc::new(StringArray::from(vec!["USD"; costs.len()]));
    let batch = RecordBatch::try_from_iter([
        ("BilledCost", costs),
        ("BillingCurrency", currency as _),
        ("BillingPeriodStart", Arc::clone(&start) as _),
        ("ChargePeriodStart", Arc::clone(&start) as _),
        ("ChargePeriodEnd", start as _),
    ])
    .unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_amounts_are_exact() {
    let doubles = Float64Array::from(vec![Some(0.1 + 0.2), Some(1e-7), None, Some(1e-13)]);
    let decoded = decode(&Focus, &parquet(Arc::new(doubles)));
    assert_eq!(decoded.column(TABLE, "billed_cost"), ["0.300000000000", "0.000000100000"]);
    assert_eq!(decoded.cell(TABLE, "charge_period_start", 0), "2024-09-01T00:00:00Z");
    assert_eq!(
        decoded.reasons(),
        [("BilledCost is empty", 1), ("BilledCost: more than 12 digits behind the point", 1),]
    );
    let decimals = Decimal128Array::from(vec![12_345_678_901_234_567]).with_precision_and_scale(30, 16).unwrap();
    assert_eq!(decode(&Focus, &parquet(Arc::new(decimals))).reasons().len(), 1);
    let decimals = Decimal128Array::from(vec![12_345_678_901_230_000]).with_precision_and_scale(30, 16).unwrap();
    assert_eq!(decode(&Focus, &parquet(Arc::new(decimals))).column(TABLE, "billed_cost"), ["1.234567890123"]);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for head in [format!("{HEADER}\n"), "PAR1".into(), String::new()] {
            let _answer = try_decode(&Focus, &[head.as_bytes(), &bytes].concat(), &Options::default());
        }
    }

    #[test]
    fn damaged_parquet_is_answered(at in 0_usize..2000, byte in any::<u8>()) {
        let mut bytes = parquet(Arc::new(Float64Array::from(vec![1.0, 2.0])));
        let at = at % bytes.len();
        bytes[at] = byte;
        let _answer = try_decode(&Focus, &bytes, &Options::default());
    }
}

#[test]
fn exports_of_azures_own_format_land() {
    let read = |name: &str| decode(&Focus, &fixture(&format!("focus/azure/{name}.csv")));
    let decoded = read("German");
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (1, vec![]));
    let expected = [
        ("billed_cost", "0.075000000000"),
        ("effective_cost", "0.075000000000"),
        ("billing_currency", "USD"),
        ("charge_period_start", "2021-02-02T00:00:00Z"),
        ("charge_period_end", "2021-02-03T00:00:00Z"),
        ("billing_period_start", "2021-02-01T00:00:00Z"),
        ("service_provider_name", "Microsoft"),
        ("provider_service_name", "Load Balancer"),
        ("sub_account_id", "11111111-12ab-34dc-56ef-123456abcdef"),
        ("region_id", "US East"),
        ("consumed_quantity", "3.0"),
        ("consumed_unit", "100 Hours"),
        ("resource_type", "Microsoft.Network/loadBalancers"),
        ("billing_month", "2021-02-01"),
    ];
    for (column, value) in expected {
        assert_eq!(decoded.cell(TABLE, column, 0), value, "{column}");
    }
    assert!(decoded.cell(TABLE, "resource_id", 0).ends_with("/loadBalancers/kubernetes"));
    assert!(decoded.cell(TABLE, "x", 0).contains("Ressourcengruppe (ResourceGroup): Example-Resource-Group"));
    let enterprise = read("Enterprise");
    assert_eq!(enterprise.reasons(), []);
    assert_eq!(enterprise.cell(TABLE, "charge_period_start", 0), "2021-02-02T00:00:00Z");
    assert_eq!(enterprise.cell(TABLE, "service_category", 0), "Compute");
    let camel = read("EnterpriseCamel");
    assert_eq!((camel.reasons(), sum(&camel, "billed_cost")), (vec![], "0.012".to_owned()));
    assert_eq!((read("YA").reasons(), sum(&read("YA"), "billed_cost")), (vec![], "0.075".to_owned()));
    assert_eq!(read("BOM").reasons(), [("BilledCost is empty", 1)]);
}

#[test]
fn what_an_export_does_not_say_is_said_by_options() {
    let raw = fixture("focus/azure/VirtualMachine.csv");
    let error = try_decode(&Focus, &raw, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("no column BillingCurrency") && error.contains("--set BillingCurrency=EUR"), "{error}");
    let set = |target: &str, value: &str| {
        let options = Options { set: vec![(target.into(), value.into())], ..Options::default() };
        try_decode(&Focus, &raw, &options)
    };
    let decoded = set("BillingCurrency", "USD").unwrap();
    assert_eq!((decoded.rows(TABLE), decoded.reasons()), (1, vec![]));
    assert_eq!((sum(&decoded, "billed_cost"), sum(&decoded, "list_cost")), ("4".to_owned(), "5".to_owned()));
    assert_eq!(decoded.column(TABLE, "billing_currency"), ["USD"]);
    assert!(decoded.cell(TABLE, "tags", 0).contains("resourceNameSuffix: 12345678"));
    assert!(set("Nonsense", "USD").unwrap_err().to_string().contains("--set: there is no FOCUS column"));
}
