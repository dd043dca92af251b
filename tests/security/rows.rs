//! Row policies and masks.

use futures::TryStreamExt;

use super::{Guarded, refused};
use crate::pgwire::{one, simple};

/// A user who sees the changes of one service, and who made them only as a pseudonym.
async fn restricted() -> (Guarded, tokio_postgres::Client, tokio_postgres::Client) {
    let (guarded, admin, ada) = Guarded::with_rows().await;
    simple(&admin, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ada").await;
    simple(&admin, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ada").await;
    simple(&admin, "CREATE POLICY cart ON changes FOR SELECT TO ada USING (service_name = 'cart')").await;
    simple(&admin, "SECURITY LABEL FOR ascribe ON COLUMN public.changes.actor IS 'MASKED WITH HASH'").await;
    (guarded, admin, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_others_are_not_there() {
    let (_guarded, admin, ada) = restricted().await;
    assert_eq!(one(&admin, "SELECT count(*) FROM changes").await, "3");
    for (sql, expected) in [
        ("SELECT change_id FROM changes ORDER BY 1", vec![vec!["c1"], vec!["c2"]]),
        ("SELECT count(*) FROM changes", vec![vec!["2"]]),
        ("SELECT count(*) FROM changes WHERE service_name = 'payment'", vec![vec!["0"]]),
        ("SELECT count(*) FROM changes WHERE service_name = 'payment' OR change_id = 'c2'", vec![vec!["1"]]),
        ("SELECT max(change_id) FROM changes", vec![vec!["c2"]]),
        ("SELECT count(*) FROM deploys", vec![vec!["2"]]),
        ("SELECT count(*) FROM changes a CROSS JOIN changes b", vec![vec!["4"]]),
        ("SELECT change_id FROM changes WHERE change_id > 'c1' ORDER BY 1 DESC LIMIT 1", vec![vec!["c2"]]),
        (
            "SELECT (SELECT count(*) FROM changes WHERE change_id = x.change_id) FROM changes x",
            vec![vec!["1"], vec!["1"]],
        ),
        (
            "SELECT change_id FROM recent_changes('cart', '2026-03-01 11:00:00+00', interval '2 hours') ORDER BY 1",
            vec![vec!["c1"], vec!["c2"]],
        ),
    ] {
        assert_eq!(simple(&ada, sql).await, expected, "{sql}");
    }
    let hidden = "SELECT * FROM recent_changes('payment', '2026-03-01 11:00:00+00', interval '2 hours')";
    let (state, message) = refused(&ada, hidden).await;
    assert_eq!((state.as_str(), message.as_str()), ("22023", "recent_changes: no service named payment"));
    let rows = ada.copy_out("COPY (SELECT change_id FROM changes ORDER BY 1) TO STDOUT").await.unwrap();
    let copied: Vec<bytes::Bytes> = rows.try_collect().await.unwrap();
    assert_eq!(copied.concat(), b"c1\nc2\n");
    let rows = ada.query("SELECT change_id FROM changes WHERE service_name = $1", &[&"payment"]).await.unwrap();
    assert!(rows.is_empty());
    simple(&ada, "CREATE TEMP VIEW mine AS SELECT change_id FROM changes").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM mine").await, "2");
    // What was seen when the view was made no longer holds: it sees what may be seen now.
    simple(&admin, "DROP POLICY cart ON changes").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM mine").await, "0");
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "0");
    simple(&admin, "ALTER TABLE changes DISABLE ROW LEVEL SECURITY").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "3");
    simple(&admin, "ALTER TABLE changes ENABLE ROW LEVEL SECURITY").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_learned_of_hidden_rows_by_failing_on_them() {
    let (_guarded, _admin, ada) = restricted().await;
    // The hidden row alone would make these fail, and the error would tell.
    for sql in [
        "SELECT count(*) FROM changes WHERE 1 / (CASE WHEN service_name = 'payment' THEN 0 ELSE 1 END) = 1",
        "SELECT count(*) FROM changes WHERE CAST(CASE WHEN service_name = 'payment' THEN change_id ELSE '1' END AS int) = 1",
    ] {
        assert_eq!(one(&ada, sql).await, "2", "{sql}");
    }
    for sql in ["EXPLAIN SELECT * FROM changes", "EXPLAIN ANALYZE SELECT * FROM changes WHERE service_name = 'payment'"]
    {
        let plan = simple(&ada, sql).await.concat().join("\n");
        assert!(plan.contains("RestrictedExec"), "{plan}");
        for told in ["parquet", "output_rows=3", "output_rows=1,", "sha256"] {
            assert!(!plan.contains(told), "{told}: {plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_values_are_pseudonyms_everywhere() {
    let (_guarded, admin, ada) = restricted().await;
    let seen = simple(&ada, "SELECT actor FROM changes ORDER BY change_id").await;
    assert!(seen.iter().flatten().all(|actor| actor.len() == 32 && actor.bytes().all(|byte| byte.is_ascii_hexdigit())));
    assert_ne!(seen[0], seen[1]);
    assert_eq!(one(&ada, "SELECT count(*) FROM changes WHERE actor = 'ann'").await, "0");
    let by_pseudonym = format!("SELECT change_id FROM changes WHERE actor = '{}'", seen[0][0]);
    assert_eq!(one(&ada, &by_pseudonym).await, "c1");
    assert_eq!(one(&ada, "SELECT count(*) FROM changes WHERE actor LIKE 'a%n'").await, "0");
    assert_eq!(
        one(&ada, "SELECT count(DISTINCT a.actor) FROM changes a JOIN changes b ON a.actor = b.actor").await,
        "2"
    );
    assert_eq!(simple(&admin, "SELECT DISTINCT actor FROM changes ORDER BY 1").await, [["ann"], ["bob"]]);

    for (label, expected) in [
        ("MASKED WITH NULL", "NULL"),
        ("MASKED WITH VALUE ''hidden''", "hidden"),
        ("MASKED WITH VALUE left(actor, 1) || ''…''", "a…"),
    ] {
        simple(&admin, &format!("SECURITY LABEL ON COLUMN changes.actor IS '{label}'")).await;
        assert_eq!(one(&ada, "SELECT actor FROM changes WHERE change_id = 'c1'").await, expected, "{label}");
    }
    for label in ["SECRET", "MASKED WITH", "MASKED WITH VALUE", "MASKED WITH VALUE 1) x --", "MASKED WITH SMOKE"] {
        let (state, message) = refused(&admin, &format!("SECURITY LABEL ON COLUMN changes.actor IS '{label}'")).await;
        assert!(["22023", "42601"].contains(&state.as_str()), "{label}: {state} {message}");
    }
    assert_eq!(refused(&admin, "SECURITY LABEL ON COLUMN changes.started_at IS 'MASKED WITH HASH'").await.0, "22023");
    assert_eq!(refused(&admin, "SECURITY LABEL ON COLUMN changes.nothing IS NULL").await.0, "42703");
    simple(&admin, "GRANT UNMASK (actor) ON changes TO ada").await;
    assert_eq!(one(&ada, "SELECT actor FROM changes WHERE change_id = 'c1'").await, "ann");
    simple(&admin, "REVOKE UNMASK ON changes FROM ada; SECURITY LABEL ON COLUMN changes.actor IS NULL").await;
    assert_eq!(one(&ada, "SELECT actor FROM changes WHERE change_id = 'c1'").await, "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_may_ask_and_are_checked() {
    let (guarded, admin, ada) = Guarded::with_rows().await;
    simple(&admin, "GRANT SELECT ON changes TO PUBLIC; CREATE USER bob PASSWORD 'correct horse'").await;
    let policy = "CREATE POLICY own ON changes TO PUBLIC USING (actor IN (SELECT 'ann' FROM changes WHERE current_user = 'ada'))";
    simple(&admin, policy).await;
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "2");
    let bob = guarded.connect("bob").await;
    assert_eq!(one(&bob, "SELECT count(*) FROM changes").await, "0");
    simple(&admin, "CREATE POLICY late ON changes AS RESTRICTIVE FOR SELECT TO ada USING (change_id = 'c3')").await;
    assert_eq!(one(&ada, "SELECT change_id FROM changes").await, "c3");
    for (sql, state) in [
        (policy, "42710"),
        ("CREATE POLICY x ON changes USING (nothing = 1)", "42703"),
        ("CREATE POLICY x ON changes USING (kind)", "42804"),
        ("CREATE POLICY x ON nothing USING (true)", "42P01"),
        ("CREATE POLICY x ON deploys USING (true)", "42809"),
        ("CREATE POLICY x ON changes FOR INSERT USING (true)", "0A000"),
        ("CREATE POLICY x ON changes TO nobody USING (true)", "42704"),
        ("DROP POLICY x ON changes", "42704"),
    ] {
        assert_eq!(refused(&admin, sql).await.0, state, "{sql}");
    }
    simple(&admin, "DROP POLICY IF EXISTS x ON changes").await;
    assert_eq!(refused(&ada, "DROP POLICY own ON changes").await.0, "42501");
    assert_eq!(refused(&ada, "ALTER TABLE changes DISABLE ROW LEVEL SECURITY").await.0, "42501");
    assert_eq!(refused(&ada, "SECURITY LABEL ON COLUMN changes.actor IS NULL").await.0, "42501");
    simple(&admin, "ALTER ROLE ada BYPASSRLS").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "3");
}
