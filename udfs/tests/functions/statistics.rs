//! Statistics against SciPy 1.x (values computed once with it), edge cases, bad input.

use crate::{close, failure, number, session, text, value};

async fn is(sql: &str, expected: f64) {
    close(number(&session(), &format!("SELECT {sql}")).await, expected);
}

#[tokio::test]
async fn contingency_tests() {
    is("chi2_2x2(30, 970, 12, 988)", 0.004999109504464614).await;
    is("chi2_2x2(30, 970, 12, 988, true)", 0.00802201930843861).await;
    is("chi2_2x2(500, 500, 100, 900)", 7.719934594295125e-85).await;
    is("chi2_2x2(10, 20, 10, 20, true)", 1.0).await;
    is("g_test(30, 970, 12, 988)", 0.004341417737611437).await;
    is("g_test(0, 50, 12, 40)", 2.5730805378225654e-05).await;
    is("g_test([29, 24, 22, 19, 21])", 0.6535094301570565).await;
    is("g_test([48, 12], [3.0, 1.0])", 0.3593244805779052).await;
    is("g_test([5, 1], [1, 0])", 0.0).await;
    for undefined in [
        "chi2_2x2(0, 10, 0, 12)",
        "chi2_2x2(-1, 10, 3, 12)",
        "chi2_2x2(1, 'NaN'::double, 3, 12)",
        "chi2_2x2(1, NULL, 3, 12)",
        "chi2_2x2(1, 2, 3, 4, NULL)",
        "g_test(0, 0, 0, 0)",
        "g_test([5])",
        "g_test([0, 0])",
        "g_test([1, NULL])",
        "g_test(NULL)",
    ] {
        assert_eq!(value(undefined).await, "", "{undefined}");
    }
    assert!(failure("SELECT g_test([1, 2], [1])").await.contains("2 observed counts, but 1 expected ones"));
    assert!(failure("SELECT g_test(1, 2, 3)").await.contains("four numbers or one or two lists"));
    assert!(failure("SELECT chi2_2x2('x', 2, 3, 4)").await.contains("argument \"a\" is a number, not Utf8"));
}

#[tokio::test]
async fn wilson_interval() {
    is("wilson_low(0, 3)", 0.0).await;
    is("wilson_high(0, 3)", 0.5614970317550454).await;
    is("wilson_low(30, 1000)", 0.021093738828834696).await;
    is("wilson_high(n => 1000, k => 30)", 0.042503414147587126).await;
    is("wilson_low(7, 7, 2.5758293035489004)", 0.5133885650057457).await;
    is("wilson_high(7, 7)", 1.0).await;
    assert_eq!(value("wilson_low(1, 0), wilson_low(4, 3), wilson_high(-1, 3), wilson_high(1, 3, NULL)").await, "|||");
}

#[tokio::test]
async fn mann_whitney_and_cliff() {
    let ctx = session();
    let small = "(VALUES (12.1, false), (11.8, false), (13.0, false), (12.4, false), (15.2, true), (14.9, true), (16.3, true), (12.9, true)) AS t(x, c)";
    close(number(&ctx, &format!("SELECT mann_whitney_u(x, c) FROM {small}")).await, 0.05714285714285714);
    let parts =
        "mann_whitney_u(x, c, 'u'), mann_whitney_u(x, c, 'n_low'), mann_whitney_u(x, c, 'n_high'), cliffs_delta(x, c)";
    assert_eq!(text(&ctx, &format!("SELECT {parts} FROM {small}")).await, "15.0|4.0|4.0|0.875");
    assert_eq!(text(&ctx, &format!("SELECT cliffs_delta(x, NOT c) FROM {small}")).await, "-0.875");
    let exact = "SELECT mann_whitney_u(x, c) FROM
        (SELECT value::double AS x, 1 AS c FROM generate_series(0, 21) UNION ALL SELECT value + 3.5, 2 FROM generate_series(0, 19))";
    close(number(&ctx, exact).await, 0.22450452919467032);
    let ties = "(SELECT unnest([1, 2, 2, 3, 3, 3, 4, 5, 5, 9]) AS x, 'a' AS c UNION ALL SELECT unnest([2, 3, 5, 5, 6, 7, 7, 8]), 'b')";
    close(number(&ctx, &format!("SELECT mann_whitney_u(x, c) FROM {ties}")).await, 0.10515039195634278);
    assert_eq!(text(&ctx, &format!("SELECT mann_whitney_u(x, c, 'u') FROM {ties}")).await, "58.5");
    let large = "SELECT mann_whitney_u(x, c) FROM (SELECT ((value * 37) % 101) / 3.0 AS x, false AS c FROM generate_series(0, 299)
        UNION ALL SELECT ((value * 53) % 113) / 3.5 + 1, true FROM generate_series(0, 249))";
    close(number(&ctx, large).await, 0.5985518342541889);
}

#[tokio::test]
async fn samples_that_cannot_be_compared() {
    let ctx = session();
    let of = |rows: &str| {
        format!(
            "SELECT mann_whitney_u(x, c), cliffs_delta(x, c), mann_whitney_u(x, c, 'z') FROM (VALUES {rows}) AS t(x, c)"
        )
    };
    assert_eq!(text(&ctx, &of("(1, true), (2, true)")).await, "||");
    assert_eq!(text(&ctx, &of("(1, NULL), (NULL, true)")).await, "||");
    assert_eq!(text(&ctx, &of("('NaN'::double, false), (3, true), (4, NULL)")).await, "||");
    assert_eq!(text(&ctx, &of("(7, true), (7, false), (7, false)")).await, "1.0|0.0|0.0");
    assert_eq!(text(&ctx, &of("(0.0, true), (-0.0, false)")).await, "1.0|0.0|0.0");
    assert_eq!(text(&ctx, "SELECT mann_whitney_u(x, c) FROM (SELECT 1 AS x, 'a' AS c) WHERE x > 1").await, "");
    let third = failure(&of("(1, 'a'), (2, 'b'), (3, 'c')")).await;
    assert!(third.contains("a third cohort") && third.contains("leave out all but two"), "{third}");
    let part = failure("SELECT mann_whitney_u(x, c, 'p') FROM (VALUES (1, true), (2, false)) AS t(x, c)").await;
    assert!(part.contains("there is no part \"p\""), "{part}");
    let part =
        failure("SELECT mann_whitney_u(x, c, p) FROM (VALUES (1, true, 'u'), (2, false, 'z')) AS t(x, c, p)").await;
    assert!(part.contains("the same in every row"), "{part}");
    assert!(
        failure("SELECT cliffs_delta(DISTINCT x, x > 1) FROM (VALUES (1), (2)) AS t(x)").await.contains("DISTINCT")
    );
}

#[tokio::test]
async fn weighted_quantile_is_numpys_inverted_cdf() {
    let ctx = session();
    let data = "(VALUES (5, 1.0), (1, 2.0), (4, 0.5), (2, 3.0), (8, 1.0), (3, 0.5), (NULL, 9.0), (9, NULL), (9, 0.0), ('NaN'::double, 5.0)) AS t(x, w)";
    for (q, expected) in [(0.0, 1.0), (0.1, 1.0), (0.25, 1.0), (0.5, 2.0), (0.8, 5.0), (0.95, 8.0), (1.0, 8.0)] {
        assert_eq!(number(&ctx, &format!("SELECT weighted_quantile(x, w, {q}) FROM {data}")).await, expected, "{q}");
    }
    assert_eq!(text(&ctx, &format!("SELECT weighted_quantile(x, w, 0.5) FROM {data} WHERE x IS NULL")).await, "");
    assert!(
        failure(&format!("SELECT weighted_quantile(x, w, 1.5) FROM {data}"))
            .await
            .contains("q is 1.5; it must be 0 to 1")
    );
    assert!(failure(&format!("SELECT weighted_quantile(x, -w, 0.5) FROM {data}")).await.contains("not negative"));
    assert!(
        failure("SELECT weighted_quantile(x, 1, x) FROM (VALUES (0), (1)) AS t(x)")
            .await
            .contains("the same in every row")
    );
}

#[tokio::test]
async fn error_rate_counts_what_has_a_status() {
    let ctx = session();
    let data = "(VALUES ('OK', 1, 'a'), ('error', 1, 'a'), ('STATUS_CODE_ERROR', NULL, 'a'), ('UNSET', 6, 'a'), (NULL, 5, 'b')) AS t(s, w, g)";
    assert_eq!(text(&ctx, &format!("SELECT error_rate(s), error_rate(s, w) FROM {data}")).await, "0.5|0.125");
    let grouped =
        format!("SELECT g, error_rate(s), error_rate(s) FILTER (WHERE w > 0) FROM {data} GROUP BY g ORDER BY g");
    assert_eq!(text(&ctx, &grouped).await, "a|0.5|0.3333333333333333\nb||");
    assert!(failure(&format!("SELECT error_rate(s, -w) FROM {data}")).await.contains("not negative"));
}

#[tokio::test]
async fn robust_z_of_the_partition_and_of_frames() {
    let ctx = session();
    let data = "(VALUES (1, 100.0), (2, 104.0), (3, 98.0), (4, 101.0), (5, 160.0), (6, 102.0)) AS t(i, x)";
    let all = text(&ctx, &format!("SELECT robust_z(x) OVER () FROM {data} ORDER BY i")).await;
    let expected = [
        -0.6226153846153847,
        1.0376923076923077,
        -1.4527692307692308,
        -0.20753846153846156,
        24.282,
        0.20753846153846156,
    ];
    for (line, expected) in all.lines().zip(expected) {
        close(line.parse().unwrap(), expected);
    }
    let before =
        format!("SELECT robust_z(x) OVER (ORDER BY i ROWS BETWEEN 4 PRECEDING AND 1 PRECEDING) FROM {data} ORDER BY i");
    let before = text(&ctx, &before).await;
    let before: Vec<_> = before.split('\n').collect();
    assert_eq!(before[..2], ["", ""]);
    close(before[4].parse().unwrap(), 35.67355555555555);
    let odd = "SELECT robust_z(x) OVER () FROM (VALUES (1, 5.0), (2, 5.0), (3, 5.0), (4, 5.0), (5, 6.0), (6, NULL), (7, 'NaN'::double)) AS t(i, x) ORDER BY i";
    assert_eq!(text(&ctx, odd).await, "0.0\n0.0\n0.0\n0.0\ninf\n\n");
    assert_eq!(text(&ctx, "SELECT robust_z(x) OVER () FROM (VALUES (1)) AS t(x)").await, "");
}

#[tokio::test]
async fn robust_z_of_a_sliding_frame_is_that_of_its_rows() {
    let ctx = session();
    let data = "(SELECT value AS i, value % 2 AS g, CASE WHEN value % 11 <> 0 THEN (value * 7919) % 31 END AS x FROM generate_series(1, 200))";
    let sliding = format!(
        "SELECT robust_z(x) OVER (PARTITION BY g ORDER BY i ROWS BETWEEN 9 PRECEDING AND 3 FOLLOWING) AS z FROM {data} ORDER BY g, i"
    );
    let direct = format!(
        "SELECT CASE WHEN x = m THEN 0.0 ELSE (x - m) / ((h - l) / 1.349) END AS z FROM (SELECT a.g, a.i, max(a.x) AS x,
             percentile_cont(0.25) WITHIN GROUP (ORDER BY b.x::double) AS l, median(b.x::double) AS m,
             percentile_cont(0.75) WITHIN GROUP (ORDER BY b.x::double) AS h
         FROM {data} a JOIN {data} b ON a.g = b.g AND b.i BETWEEN a.i - 18 AND a.i + 6 GROUP BY a.g, a.i) ORDER BY g, i"
    );
    let (sliding, direct) = (text(&ctx, &sliding).await, text(&ctx, &direct).await);
    assert_eq!(sliding.split('\n').count(), 200);
    for (a, b) in sliding.split('\n').zip(direct.split('\n')) {
        assert_eq!(a.is_empty(), b.is_empty());
        if !a.is_empty() {
            close(a.parse().unwrap(), b.parse().unwrap());
        }
    }
}
