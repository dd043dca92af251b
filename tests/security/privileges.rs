//! What was granted.

use super::{Guarded, refused};
use crate::pgwire::{code, one, simple};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_that_was_not_granted() {
    let (_guarded, admin, ada) = Guarded::with_rows().await;
    let denied = ("42501".to_owned(), "permission denied for table changes".to_owned());
    for sql in [
        "SELECT * FROM changes",
        "SELECT 1 FROM public.changes",
        "SELECT * FROM ascribe.public.changes",
        "SELECT (SELECT count(*) FROM changes)",
        "WITH x AS (SELECT * FROM changes) SELECT * FROM x",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM changes)",
        "EXPLAIN SELECT * FROM changes",
        "EXPLAIN ANALYZE SELECT * FROM changes",
        "COPY changes TO STDOUT",
        "COPY (SELECT * FROM changes) TO STDOUT",
        "CREATE TEMP VIEW mine AS SELECT * FROM changes",
        "PREPARE p AS SELECT * FROM changes",
        "BEGIN; DECLARE c CURSOR FOR SELECT * FROM changes",
        "INSERT INTO changes (change_id) VALUES ('x')",
        "SELECT * FROM changes UNION SELECT * FROM changes",
    ] {
        assert_eq!(refused(&ada, sql).await, denied, "{sql}");
        simple(&ada, "ROLLBACK").await;
    }
    assert_eq!(code(&ada.prepare("SELECT * FROM changes").await.unwrap_err()), "42501");
    for sql in ["SELECT * FROM deploys", "SELECT * FROM system.tables", "SELECT * FROM system.audit"] {
        assert_eq!(refused(&ada, sql).await.0, "42501", "{sql}");
    }
    assert_eq!(refused(&ada, "SELECT * FROM no_such_table").await.0, "42P01");
    assert_eq!(
        simple(&ada, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'").await.len(),
        0
    );
    assert!(!simple(&ada, "SELECT function_name FROM system.functions").await.is_empty());
    let ask = "SELECT has_table_privilege('changes', 'SELECT'), has_table_privilege('ada', 'public.changes', 'INSERT')";
    assert_eq!(simple(&ada, ask).await, [["f", "f"]]);

    simple(&admin, "GRANT SELECT ON changes TO ada").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "3");
    assert_eq!(simple(&ada, ask).await, [["t", "f"]]);
    assert_eq!(refused(&ada, "INSERT INTO changes (change_id) VALUES ('x')").await, denied);
    assert_eq!(refused(&ada, "SELECT * FROM changes, logs").await.1, "permission denied for table logs");
    simple(&admin, "GRANT INSERT ON TABLE changes TO ada").await;
    simple(&ada, "INSERT INTO changes (change_id) VALUES ('x')").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "4");
    let statement = ada.prepare("SELECT change_id FROM changes").await.unwrap();
    assert_eq!(ada.query(&statement, &[]).await.unwrap().len(), 4);
    simple(&admin, "REVOKE ALL PRIVILEGES ON changes FROM ada").await;
    assert_eq!(code(&ada.query(&statement, &[]).await.unwrap_err()), "42501");
    assert_eq!(refused(&ada, "SELECT * FROM changes").await, denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_granted_one_by_one() {
    let (_guarded, admin, ada) = Guarded::with_rows().await;
    simple(&admin, "GRANT SELECT (change_id, kind) ON changes TO ada").await;
    assert_eq!(simple(&ada, "SELECT change_id FROM changes WHERE kind = 'deploy' ORDER BY 1").await.len(), 3);
    assert_eq!(one(&ada, "SELECT count(*) FROM changes").await, "3");
    for sql in [
        "SELECT * FROM changes",
        "SELECT actor FROM changes",
        "SELECT change_id FROM changes WHERE actor = 'ann'",
        "SELECT count(*) FROM changes GROUP BY actor",
        "SELECT change_id FROM changes ORDER BY actor",
        "SELECT max(actor) FROM changes",
        "EXPLAIN SELECT actor FROM changes",
        "COPY changes (actor) TO STDOUT",
        "SELECT a.change_id FROM changes a JOIN changes b ON a.actor = b.actor",
    ] {
        assert_eq!(refused(&ada, sql).await.0, "42501", "{sql}");
    }
    let ask =
        "SELECT has_column_privilege('changes', 'kind', 'SELECT'), has_column_privilege('changes', 'actor', 'SELECT'),
        has_any_column_privilege('changes', 'SELECT'), has_table_privilege('changes', 'SELECT')";
    assert_eq!(simple(&ada, ask).await, [["t", "f", "t", "f"]]);
    simple(&admin, "GRANT SELECT (change_id) ON deploys TO ada").await;
    assert_eq!(simple(&ada, "SELECT change_id FROM deploys").await.len(), 3);
    assert_eq!(
        refused(&ada, "SELECT * FROM deploys").await,
        ("42501".to_owned(), "permission denied for view deploys".to_owned())
    );
    assert_eq!(refused(&admin, "GRANT SELECT (nothing) ON changes TO ada").await.0, "42703");
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_functions_read_with_their_own_rights() {
    let (_guarded, admin, ada) = Guarded::with_rows().await;
    simple(&admin, "GRANT SELECT ON deploys TO ada").await;
    assert_eq!(one(&ada, "SELECT count(*) FROM deploys").await, "3");
    assert_eq!(refused(&ada, "SELECT * FROM changes").await.0, "42501");
    let call = "SELECT change_id FROM recent_changes('cart', '2026-03-01 11:00:00+00', interval '2 hours')";
    assert_eq!(
        refused(&ada, call).await,
        ("42501".to_owned(), "permission denied for function recent_changes".to_owned())
    );
    assert_eq!(refused(&ada, &format!("EXPLAIN {call}")).await.0, "42501");
    let owner = "SELECT owner_of('service', 'cart', now())";
    assert_eq!(refused(&ada, owner).await.1, "permission denied for function owner_of");
    simple(&admin, "GRANT EXECUTE ON FUNCTION recent_changes(text, timestamptz), owner_of TO PUBLIC").await;
    assert_eq!(simple(&ada, call).await.len(), 2);
    assert_eq!(one(&ada, owner).await, "NULL");
    // What the function reads with its own rights, its caller does not read in an argument.
    let asked = call.replace("'cart'", "(SELECT min(service_name) FROM changes)");
    assert_ne!(asked, call);
    let denied = ("42501".to_owned(), "permission denied for table changes".to_owned());
    assert_eq!(refused(&ada, &asked).await, denied);
    assert_eq!(refused(&ada, &format!("EXPLAIN {asked}")).await, denied);
    assert_eq!(one(&ada, "SELECT has_function_privilege('recent_changes', 'EXECUTE')").await, "t");
    simple(&admin, "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC").await;
    assert_eq!(refused(&ada, call).await.0, "42501");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_checked_shown_and_inherited() {
    let (_guarded, admin, ada) = Guarded::with_rows().await;
    for (sql, state) in [
        ("GRANT SELECT ON nothing TO ada", "42P01"),
        ("GRANT SELECT ON changes TO nobody", "42704"),
        ("GRANT EXECUTE ON FUNCTION nothing TO ada", "42883"),
        ("GRANT SELECT ON FUNCTION owner_of TO ada", "0LP01"),
        ("GRANT EXECUTE ON changes TO ada", "0LP01"),
        ("GRANT UPDATE ON changes TO ada", "0A000"),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA nowhere TO ada", "3F000"),
        ("GRANT USAGE ON SCHEMA public TO ada", "0A000"),
        ("GRANT SELECT ON changes TO ada WITH GRANT OPTION", "0A000"),
        ("GRANT SHINE ON changes TO ada", "42601"),
        ("GRANT SELECT changes TO ada", "42601"),
        ("GRANT", "42601"),
    ] {
        assert_eq!(refused(&admin, sql).await.0, state, "{sql}");
    }
    assert_eq!(refused(&ada, "GRANT SELECT ON changes TO ada").await.0, "42501");
    simple(&admin, "CREATE ROLE readers; GRANT readers TO ada; GRANT SELECT ON ALL TABLES IN SCHEMA public TO readers")
        .await;
    assert_eq!(one(&ada, "SELECT count(*) FROM spans").await, "0");
    assert_eq!(refused(&ada, "SELECT * FROM system.tables").await.0, "42501");
    let acl = "SELECT relacl FROM pg_class WHERE relname = 'changes'";
    assert_eq!(one(&ada, acl).await, "{readers=r/ascribe}");
    simple(&admin, "GRANT INSERT ON changes TO PUBLIC").await;
    assert_eq!(one(&ada, acl).await, "{=a/ascribe,readers=r/ascribe}");
    let members = "SELECT r.rolname, m.rolname FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member";
    assert_eq!(simple(&ada, members).await, [["readers", "ada"]]);
    assert_eq!(refused(&admin, "DROP ROLE readers").await.0, "2BP01");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_ask_is_not_shown() {
    let (_guarded, admin, ada) = Guarded::with_rows().await;
    simple(&admin, "SELECT 'mine alone'").await;
    let queries = simple(&ada, "SELECT usename, query FROM pg_stat_activity ORDER BY usename").await;
    assert_eq!(queries[1], ["root", "<insufficient privilege>"]);
    assert!(queries[0][1].contains("pg_stat_activity"));
}
