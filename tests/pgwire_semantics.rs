//! What statements of clients mean, where it is not what the engine means. `tests/clients/compare.py` has the long list.

use futures::{SinkExt, StreamExt};

use super::pgwire::{Fixture, code, one, simple};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_an_error() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    for (sql, state) in [
        ("SELECT 2147483647 + 1", "22003"),
        ("SELECT 9223372036854775807 * 2", "22003"),
        ("SELECT g * 9223372036854775807 FROM generate_series(2, 3) AS g", "22003"),
        ("SELECT 1.5 / 0", "22012"),
        ("SELECT 1::float8 / 0", "22012"),
        ("SELECT 1e308::float8 * 10", "22003"),
        ("SELECT 3000000000::int4", "22003"),
        ("SELECT '2024-02-30'::date", "22008"),
        ("SELECT (SELECT g FROM generate_series(1, 2) AS g)", "21000"),
        ("SELECT 'a' + 1", "22P02"),
        (
            "SELECT ROW(1, 2) = ROW(1, 2), (date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-01-15', date '2024-03-01')",
            "0A000",
        ),
    ] {
        assert_eq!(code(&client.simple_query(sql).await.unwrap_err()), state, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_postgresql() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    for (sql, expected) in [
        ("SELECT date '2024-03-01' - date '2024-02-28'", "2"),
        ("SELECT date '2024-01-31' + interval '1 month'", "2024-02-29 00:00:00"),
        ("SELECT timestamp '2024-03-01 12:00' - timestamp '2024-02-28 10:30'", "2 days 01:30:00"),
        ("SELECT interval '1 day' = interval '24 hours'", "t"),
        ("SELECT timestamptz '2024-07-01 12:00+00' AT TIME ZONE 'America/New_York'", "2024-07-01 08:00:00"),
        (
            "SELECT to_char(timestamp '2024-02-09 13:04:05', 'FMDay, DD Mon YYYY HH12:MI AM')",
            "Friday, 09 Feb 2024 01:04 PM",
        ),
        ("SELECT 1 IS NOT DISTINCT FROM 1 AND false", "f"),
        ("SELECT round(2.5), round(2.5::float8)", "3"),
        ("SELECT 'int4'::regtype", "integer"),
        ("SELECT 'int4'::regtype::text || ' ' || 'pg_class'::regclass::oid::text", "integer 1259"),
        ("SELECT c FROM pg_catalog.upper('x') AS u (c)", "X"),
        ("SELECT * FROM CURRENT_DATABASE()", "ascribe"),
        ("SELECT pg_catalog.now() IS NOT NULL AND EXISTS (SELECT 1 FROM changes) IS FALSE", "t"),
        ("SELECT length('\\x00ff'::bytea)::text || ' ' || length('aé')::text", "2 2"),
        ("SELECT substring('\\x123456'::bytea from 2 for 1)", "\\x34"),
        ("SELECT octet_length('\\x00ff'::bytea)::text || ' ' || octet_length('aé')::text", "2 3"),
        ("SELECT sum(a) FROM (VALUES (9223372036854775807), (1)) t(a)", "9223372036854775808"),
        ("SELECT 2 > ALL (SELECT a FROM (VALUES (1), (3)) t(a))", "f"),
        ("SELECT 3 = ANY (ARRAY[1, NULL]) IS NULL", "t"),
        ("SELECT ARRAY[ARRAY[1, 2], ARRAY[3, 4]]", "{{1,2},{3,4}}"),
        ("SELECT x FROM (VALUES (1.5::float8)) t(x) WHERE x >= 1.5 AND coalesce(x, 0.0) < 2.5", "1.5"),
        ("SELECT count(*) FROM (SELECT a, a, 1, 2 FROM (VALUES (1)) t(a)) s", "1"),
        ("SELECT sum FROM (SELECT sum(a) FROM (VALUES (1), (2)) t(a)) s", "3"),
        (
            "SELECT (SELECT b FROM (VALUES (1, 10), (1, 20)) t(a, b) WHERE t.a = s.x ORDER BY b DESC LIMIT 1) FROM (VALUES (1)) s(x)",
            "20",
        ),
    ] {
        assert_eq!(one(&client, sql).await, expected, "{sql}");
    }
    let types =
        client.prepare("SELECT 1, 1.5, 2147483648, now() - now(), date '2024-01-01' - 1, count(*)").await.unwrap();
    let names: Vec<_> = types.columns().iter().map(|column| column.type_().name().to_owned()).collect();
    assert_eq!(names, ["int4", "numeric", "int8", "interval", "date", "int8"]);
    let plan = simple(&client, "EXPLAIN SELECT 1").await;
    assert!(plan.len() > 2 && plan.iter().all(|row| row.len() == 1), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_count_rows_and_bound_series() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let statement =
        client.prepare("SELECT g FROM generate_series($1, $2) AS g ORDER BY g LIMIT $3 OFFSET $4").await.unwrap();
    assert!(statement.params().iter().all(|kind| kind.name() == "int8"), "{:?}", statement.params());
    let rows = client.query(&statement, &[&1_i64, &9_i64, &2_i64, &3_i64]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), [4, 5]);
    let rows = client.query("SELECT generate_series(1, $1)", &[&3_i32]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2, 3]);
    let catalog = "SELECT typname FROM pg_catalog.pg_type WHERE typname LIKE 'int_' ORDER BY 1 LIMIT $1 OFFSET $2";
    let rows = client.query(catalog, &[&1_i64, &1_i64]).await.unwrap();
    assert_eq!(rows[0].get::<_, String>(0), "int4");

    let texts = client.prepare("SELECT $1::bool::text, $2::timestamptz::text").await.unwrap();
    let when = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let row = client.query_one(&texts, &[&true, &when]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("true", "2023-11-14 22:13:20+00"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_types_of_postgresql() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    for (sql, expected) in [
        (
            "SELECT now() - $1 * interval '1 second', interval '1 hour' * $2, interval '1 hour' / $3",
            "float8 float8 float8",
        ),
        ("SELECT now() + $1, now() - $2, interval '1 day' - $3", "interval timestamptz interval"),
        ("SELECT change_id FROM changes WHERE change_id <> ALL($1) AND started_at > ANY($2)", "_text _timestamptz"),
        ("SELECT 1 <> ALL($1), $2 > ALL(ARRAY[1, 2])", "_int4 int4"),
        ("SELECT round(1.5, $1), trunc(1.5, $2)", "int4 int4"),
        (
            "SELECT lag(g, $1) OVER (ORDER BY g), nth_value(g, $2) OVER (ORDER BY g) FROM generate_series(1, 3) AS g",
            "int4 int4",
        ),
        ("SELECT to_timestamp($1), make_interval(hours => $2, secs => $3)", "float8 int4 float8"),
        ("SELECT percentile_cont($1) WITHIN GROUP (ORDER BY g) FROM generate_series(1, 3) AS g", "float8"),
        ("SELECT percentile_disc($1) WITHIN GROUP (ORDER BY g) FROM generate_series(1, 3) AS g", "float8"),
        ("SELECT date_bin($1, started_at, $2) FROM changes", "interval timestamptz"),
        ("SELECT date_bin($1, timestamp '2026-03-17', $2)", "interval timestamp"),
        ("SELECT g FROM generate_series(1, $1) AS g", "int4"),
        ("SELECT CASE WHEN $1 THEN 1 END, NOT $2, $3 AND true FROM changes WHERE $4", "bool bool bool bool"),
    ] {
        let statement = client.prepare(sql).await.map_err(|error| format!("{sql}: {error:?}")).unwrap();
        let names: Vec<_> = statement.params().iter().map(tokio_postgres::types::Type::name).collect();
        assert_eq!(names.join(" "), expected, "{sql}");
    }
    let texts = "SELECT (interval '1 hour' * $1)::text, to_timestamp($2)::text, make_interval(secs => $3)::text, ('3' * interval '1 day')::text";
    let row = client.query_one(texts, &[&2.5_f64, &1.5_f64, &90.25_f64]).await.unwrap();
    let texts: Vec<&str> = (0..4).map(|at| row.get(at)).collect();
    assert_eq!(texts, ["02:30:00", "1970-01-01 00:00:01.5+00", "00:01:30.25", "3 days"]);
    let sql = "SELECT lag(g, $1) OVER (ORDER BY g) FROM generate_series(1, 3) AS g ORDER BY g";
    let rows = client.query(sql, &[&2_i32]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<Option<i32>>>(), [None, None, Some(1)]);
    let sql = "SELECT percentile_cont($1) WITHIN GROUP (ORDER BY g::float8) FROM generate_series(1, 3) AS g";
    assert_eq!(client.query_one(sql, &[&0.25_f64]).await.unwrap().get::<_, f64>(0), 1.5);
    simple(&client, "PREPARE exact AS SELECT $1::numeric, $2::decimal * 2").await;
    assert_eq!(simple(&client, "EXECUTE exact('1.50', '0.125')").await, [["1.50", "0.250"]]);
    let sql = "SELECT g FROM generate_series(1, 4) AS g WHERE g <> ALL($1) ORDER BY g";
    let rows = client.query(sql, &[&vec![1_i32, 3]]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [2, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_is_a_key_of_a_stored_map() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    simple(&client, r#"INSERT INTO changes (change_id, started_at, attributes) VALUES ('a', now(), '{"k": "x"}')"#)
        .await;
    let sql = "SELECT change_id FROM changes WHERE attributes ->> $1 = $2";
    let statement = client.prepare(sql).await.unwrap();
    assert!(statement.params().iter().all(|kind| kind.name() == "text"), "{:?}", statement.params());
    assert_eq!(client.query_one(&statement, &[&"k", &"x"]).await.unwrap().get::<_, String>(0), "a");
    assert!(client.query(&statement, &[&"k", &"y"]).await.unwrap().is_empty());
    let sql = "SELECT $1::text, change_id FROM changes WHERE attributes ->> $1::text = $2::text AND change_id = $3";
    let row = client.query_one(sql, &[&"k", &"x", &"a"]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("k", "a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sleeps_can_be_woken() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    assert_eq!(simple(&client, "SELECT pg_sleep(0.01), pg_sleep(NULL)").await, [["", "NULL"]]);
    let (cancel, asked) = (client.cancel_token(), client.simple_query("SELECT pg_sleep(600)"));
    futures::pin_mut!(asked);
    // Asked to end before it begins, it would not.
    let error = loop {
        tokio::select! {
            answer = &mut asked => break answer.unwrap_err(),
            () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {
                cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
            }
        }
    };
    assert_eq!(code(&error), "57014");
    assert_eq!(one(&client, "SELECT 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_reads_one_version_of_a_table() {
    let fixture = Fixture::start().await;
    let (reader, writer) = (fixture.connect().await, fixture.connect().await);
    let count = "SELECT count(*) FROM changes";
    simple(&reader, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
    assert_eq!(one(&reader, "SHOW transaction_isolation").await, "repeatable read");
    assert_eq!(one(&reader, count).await, "0");
    simple(&writer, "INSERT INTO changes (change_id) VALUES ('x')").await;
    assert_eq!(one(&reader, count).await, "0");
    assert_eq!(one(&writer, count).await, "1");
    let error = reader.simple_query("INSERT INTO changes (change_id) VALUES ('y')").await.unwrap_err();
    assert_eq!(code(&error), "25006");
    simple(&reader, "ROLLBACK").await;
    assert_eq!(one(&reader, count).await, "1");
    assert_eq!(one(&reader, "SHOW transaction_isolation").await, "read committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_copied_in_and_out() {
    let fixture = Fixture::start().await;
    let client = fixture.connect().await;
    let copied = async |sql: &str, text: &'static str| {
        let sink = client.copy_in::<_, bytes::Bytes>(sql).await?;
        futures::pin_mut!(sink);
        sink.send(bytes::Bytes::from_static(text.as_bytes())).await?;
        sink.finish().await
    };
    let text = "c1\tcart\t2024-02-29 12:00:00+00\nc2\t\\N\t\\N\n";
    assert_eq!(copied("COPY changes (change_id, service_name, started_at) FROM STDIN", text).await.unwrap(), 2);
    let csv = "change_id,service_name\nc3,\"a,b\"\n";
    assert_eq!(copied("COPY changes (change_id, service_name) FROM STDIN (FORMAT csv, HEADER)", csv).await.unwrap(), 1);
    let rows = simple(&client, "SELECT change_id, service_name, started_at FROM changes ORDER BY 1").await;
    assert_eq!(rows, [["c1", "cart", "2024-02-29 12:00:00+00"], ["c2", "NULL", "NULL"], ["c3", "a,b", "NULL"]]);
    for (text, state) in [("c4\tx\n", "22P04"), ("c4\tx\tsoon\n", "22007")] {
        let error = copied("COPY changes (change_id, service_name, started_at) FROM STDIN", text).await.unwrap_err();
        assert_eq!(code(&error), state, "{text}");
    }
    assert_eq!(one(&client, "SELECT count(*) FROM changes").await, "3");

    let stream = client.copy_out("COPY (SELECT 1, NULL::text) TO STDOUT (FORMAT binary)").await.unwrap();
    let bytes: Vec<u8> = stream.map(|part| part.unwrap().to_vec()).collect::<Vec<_>>().await.concat();
    assert_eq!(bytes, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff\xff\xff");
}
