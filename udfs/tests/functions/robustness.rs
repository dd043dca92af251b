//! Calls that no one should make, and the ways in which programs make them: nothing panics, types stay as declared.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use crate::{rows, session, text, value};

/// One call of every function, with column and parameter types that suit it.
const CALLS: &[(&str, &[&str])] = &[
    ("adjusted_count", &["text"]),
    ("arn_part", &["text", "'service'"]),
    ("chi2_2x2", &["number", "number", "number", "number", "boolean"]),
    ("cliffs_delta", &["number", "boolean"]),
    ("error_rate", &["text", "number"]),
    ("g_test", &["list", "list"]),
    ("mann_whitney_u", &["number", "text", "'z'"]),
    ("pseudonymize", &["text", "'p'"]),
    ("purl_part", &["text", "'version'"]),
    ("semver_cmp", &["text", "text"]),
    ("split_even", &["decimal", "2"]),
    ("split_largest_remainder", &["decimal", "list"]),
    ("split_weighted", &["decimal", "list"]),
    ("traceparent", &["text", "'flags'"]),
    ("weighted_quantile", &["number", "number", "0.5"]),
    ("wilson_high", &["number", "number"]),
    ("wilson_low", &["number", "number"]),
];

const KEY: &str = "SET ascribe.pseudonym_key = '0123456789abcdef'";

#[tokio::test]
async fn null_and_nothing_give_null() {
    let ctx = session();
    rows(&ctx, KEY).await.unwrap();
    for (name, arguments) in CALLS {
        let nulls = vec!["NULL"; arguments.len()].join(", ");
        assert_eq!(text(&ctx, &format!("SELECT {name}({nulls})")).await, "", "{name}");
        let one_null = format!(
            "SELECT {name}({}) FROM (SELECT NULL::text AS text, NULL::double AS number, NULL::boolean AS boolean,
             NULL::decimal(9, 2) AS decimal, NULL::bigint[] AS list) AS t",
            arguments.join(", ")
        );
        assert_eq!(text(&ctx, &one_null).await, "", "{name}");
        // Without rows an aggregate has one answer, a scalar function none.
        assert_eq!(text(&ctx, &format!("{one_null} WHERE text = 'x'")).await, "", "{name}");
    }
    for window in ["robust_z", "shapley_airport"] {
        assert_eq!(text(&ctx, &format!("SELECT {window}(x) OVER () FROM (VALUES (NULL), (NULL)) AS t(x)")).await, "\n");
        assert_eq!(text(&ctx, &format!("SELECT {window}(x) OVER () FROM (SELECT 1 AS x) WHERE x > 1")).await, "");
    }
}

#[tokio::test]
async fn parameters_are_arguments() {
    let ctx = session();
    let frame = ctx.sql("SELECT arn_part($1, $2), split_even(100, $3), wilson_low($4, $5)").await.unwrap();
    let values = vec![
        ScalarValue::from("arn:aws:ec2:eu-west-1:1:instance/i"),
        ScalarValue::from("region"),
        ScalarValue::from(3i64),
        ScalarValue::from(0i64),
        ScalarValue::from(9i64),
    ];
    let batches = frame.with_param_values(values).unwrap().collect().await.unwrap();
    let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    assert!(shown.contains("| eu-west-1 ") && shown.contains("| [34, 33, 33] ") && shown.contains("| 0.0 "), "{shown}");
}

#[tokio::test]
async fn columns_and_constants_agree() {
    let ctx = session();
    rows(&ctx, KEY).await.unwrap();
    let data = "(SELECT '1.2.3-rc.1' AS a, 'x' AS p, 3.0 AS k, 9.0 AS n, 10 AS amount, [1, 2] AS w FROM generate_series(1, 3))";
    let calls = [
        "semver_cmp({a}, '1.2.3')",
        "pseudonymize({a}, {p})",
        "wilson_low({k}, {n})",
        "split_weighted({amount}, {w})",
        "chi2_2x2({k}, {n}, {n}, {k})",
    ];
    let literals = [
        ("{a}", "'1.2.3-rc.1'"),
        ("{p}", "'x'"),
        ("{k}", "3.0"),
        ("{n}", "9.0"),
        ("{amount}", "10"),
        ("{w}", "[1, 2]"),
    ];
    for call in calls {
        let constant = literals.iter().fold(call.to_string(), |sql, (name, literal)| sql.replace(name, literal));
        let column = call.replace(['{', '}'], "");
        // One argument a column, the others constant.
        let mixed = literals[1..]
            .iter()
            .fold(call.to_string(), |sql, (name, literal)| sql.replace(name, literal))
            .replace(['{', '}'], "");
        let expected = text(&ctx, &format!("SELECT {constant}")).await;
        for call in [column, mixed] {
            assert_eq!(
                text(&ctx, &format!("SELECT {call} FROM {data}")).await,
                [expected.as_str(); 3].join("\n"),
                "{call}"
            );
        }
    }
}

#[tokio::test]
async fn results_are_of_the_amounts_type() {
    let of = |call: &'static str| async move { value(&format!("arrow_typeof({call})")).await };
    assert!(of("split_even(CAST(1 AS DECIMAL(9, 3)), 2)").await.contains("Decimal128(9, 3)"));
    assert!(of("split_even(CAST(1 AS SMALLINT), 2)").await.contains("Int64"));
    assert!(of("split_weighted(arrow_cast(1, 'UInt64'), [1])").await.contains("Decimal128(20, 0)"));
    assert!(of("split_weighted(arrow_cast(1, 'Decimal256(60, 4)'), [1])").await.contains("Decimal128(38, 4)"));
    let ctx = session();
    let batches =
        rows(&ctx, "SELECT shapley_airport(x) OVER () FROM (VALUES (CAST(3 AS DECIMAL(9, 2)))) AS t(x)").await.unwrap();
    assert_eq!(batches[0].column(0).data_type(), &DataType::Decimal128(9, 2));
}

#[tokio::test]
async fn a_long_partition_is_no_matter() {
    let ctx = session();
    let sql = "SELECT count(z) FROM (SELECT robust_z(x) OVER (ORDER BY i) AS z FROM
        (SELECT value AS i, (value * 7919) % 10007 AS x FROM generate_series(1, 100000)))";
    // The first row's frame has one value.
    assert_eq!(text(&ctx, sql).await, "99999");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(any in "\\PC{0,40}", near in "(arn:|pkg:|ot=th:|00-|v?[0-9]\\.)[-a-f0-9@?#/:;=&%.+]{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ctx = session();
        let calls = "adjusted_count(t), arn_part(t, 'resource_id'), purl_part(t, 'qualifiers'), purl_part(t, 'namespace'),
                     purl_part(t, 'version'), semver_cmp(t, t), traceparent(t, 'flags')";
        for input in [any, near] {
            let sql = format!("SELECT {calls} FROM (VALUES ('{}')) AS v(t)", input.replace('\'', "''"));
            prop_assert!(runtime.block_on(rows(&ctx, &sql)).is_ok(), "{input:?}");
        }
    }
}
