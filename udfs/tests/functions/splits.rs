//! Money: every part at the amount's scale, and their sum the amount.

use crate::{failure, session, text, value};

#[tokio::test]
async fn parts_are_exact() {
    for (call, expected) in [
        ("split_even(CAST('100.00' AS DECIMAL(10, 2)), 3)", "[33.34, 33.33, 33.33]"),
        ("split_even(-7, [1, 2, NULL])", "[-3, -2, -2]"),
        ("split_even(amount => 0, parts => 2)", "[0, 0]"),
        ("split_even(CAST(-9223372036854775807 AS BIGINT) - 1, 2)", "[-4611686018427387904, -4611686018427387904]"),
        ("split_largest_remainder(CAST('10.00' AS DECIMAL(10, 2)), [1, 1, 1])", "[3.34, 3.33, 3.33]"),
        ("split_largest_remainder(10, [1, 1, 4])", "[2, 2, 6]"),
        ("split_largest_remainder(-10, [1, 1, 4])", "[-2, -2, -6]"),
        ("split_largest_remainder(10, [0.1, 0.1, 0.4])", "[2, 2, 6]"),
        ("split_largest_remainder(5, [1e-300, 1e300, 0.0])", "[0, 5, 0]"),
        ("split_largest_remainder(7, [NULL, 2, NULL])", "[0, 7, 0]"),
        ("split_largest_remainder(1, arrow_cast([3, 1], 'LargeList(Int32)'))", "[1, 0]"),
        ("split_largest_remainder(0, [0, 0])", "[0, 0]"),
        ("split_largest_remainder(0, [])", "[]"),
        ("split_weighted(10, [1, 1, 1, 0])", "[3, 4, 3, 0]"),
        ("split_weighted(-10, [1, 1, 1, 0])", "[-3, -4, -3, 0]"),
        (
            "split_weighted(CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)), [CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)), 0])",
            "[99999999999999999999999999999999999999, 0]",
        ),
        ("split_even(NULL, 3), split_even(3, NULL), split_weighted(3, NULL)", "||"),
    ] {
        assert_eq!(value(call).await, expected, "{call}");
    }
}

#[tokio::test]
async fn columns_are_split_row_by_row() {
    let sql = "SELECT split_largest_remainder(a, w), split_even(a, n) FROM
        (VALUES (CAST(1.00 AS DECIMAL(9, 2)), [1, 2], 1), (NULL, [1], 2), (CAST(-0.05 AS DECIMAL(9, 2)), [1, 1, 1], 2), (CAST(2.00 AS DECIMAL(9, 2)), NULL, 4)) AS t(a, w, n)";
    let expected = "[0.33, 0.67]|[1.00]\n|\n[-0.02, -0.02, -0.01]|[-0.03, -0.02]\n|[0.50, 0.50, 0.50, 0.50]";
    assert_eq!(text(&session(), sql).await, expected);
}

#[tokio::test]
async fn what_would_lose_money_is_refused() {
    for (call, reason) in [
        ("split_even(1.5, 2)", "argument \"amount\" is a decimal or whole number"),
        ("split_even(1, 0)", "the number of parts is 0; it must be 1 to 1000000"),
        ("split_even(1, -3)", "the number of parts is -3"),
        ("split_even(1, 9000000000)", "the number of parts is 9000000000"),
        ("split_even(1, [])", "the number of parts is 0"),
        ("split_weighted(1, [1, -1])", "weight 2 is negative"),
        ("split_weighted(1, [1.0, -0.5])", "weight 2 is negative"),
        ("split_weighted(1, [1.0, 'NaN'::double])", "weight 2 is not a finite number"),
        ("split_largest_remainder(1, [0, 0])", "no weight is above zero"),
        ("split_largest_remainder(1, [])", "no weight is above zero"),
        ("split_weighted(1, 2)", "argument \"weights\" is a list of numbers"),
        ("split_weighted(1)", "split_weighted takes 2 arguments"),
    ] {
        let message = failure(&format!("SELECT {call}")).await;
        assert!(message.contains(reason), "{call}: {message}");
    }
}

#[tokio::test]
async fn airport_shares_the_peak() {
    let ctx = session();
    let of = |rows: &str| {
        format!("SELECT shapley_airport(c) OVER (PARTITION BY g) FROM (VALUES {rows}) AS t(i, g, c) ORDER BY i")
    };
    // 10/3, 10/3 + 30/2, 10/3 + 30/2 + 60.
    let shares =
        text(&ctx, &of("(1, 'a', 100.0), (2, 'a', 10.0), (3, 'a', 40.0), (4, 'b', 7.0), (5, 'a', NULL)")).await;
    let shares: Vec<_> = shares.split('\n').collect();
    for (share, expected) in shares.iter().zip([235.0 / 3.0, 10.0 / 3.0, 55.0 / 3.0, 7.0]) {
        crate::close(share.parse().unwrap(), expected);
    }
    assert_eq!(shares[4], "");
    let decimal = |c: &str| format!("CAST('{c}' AS DECIMAL(38, 2))");
    let rows: Vec<_> = ["100.00", "10.00", "40.00", "0.00"]
        .iter()
        .enumerate()
        .map(|(i, c)| format!("({i}, 1, {})", decimal(c)))
        .collect();
    assert_eq!(text(&ctx, &of(&rows.join(", "))).await, "78.34\n3.33\n18.33\n0.00");
    let largest = decimal("999999999999999999999999999999999999.99");
    let shares = text(&ctx, &of(&format!("(1, 1, {largest}), (2, 1, {largest}), (3, 1, {largest})"))).await;
    assert_eq!(shares, ["333333333333333333333333333333333333.33"; 3].join("\n"));
    assert!(failure(&of("(1, 1, -1.0)")).await.contains("a cost is -1"));
    assert!(failure(&of("(1, 1, CAST(-1 AS DECIMAL(9, 2)))")).await.contains("a cost is negative"));
    assert!(failure(&of("(1, 1, 'Infinity'::double)")).await.contains("must be finite"));
}
