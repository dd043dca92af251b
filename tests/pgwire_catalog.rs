//! The catalog as tools ask for it.

use std::process::Command;

use ascribe::Database;
use ascribe::server::{Serve, Server, serve};
use tokio_postgres::NoTls;

async fn start(folder: &tempfile::TempDir) -> Server {
    let database = Database::open(&folder.path().display().to_string()).await.unwrap();
    serve(database, Serve { listen: vec!["127.0.0.1:0".to_owned()], ..Serve::default() }).await.unwrap()
}

/// What psql prints for a command; none where psql is not installed.
fn psql(server: &Server, command: &str) -> Option<String> {
    let url = format!("postgresql://ada@127.0.0.1:{}/ascribe", server.local_addr().port());
    let output = match Command::new("psql").args(["-X", "-A", "-t", "-F", "|", "-c", command, &url]).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: psql cannot be run: {error}");
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let harmless = errors.is_empty() || errors.starts_with("Did not find any");
    assert!(harmless, "{command}: {errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_shows_tables_columns_and_their_descriptions() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    let Some(tables) = psql(&server, r"\dt") else { return };
    assert!(tables.lines().any(|line| line == "public|spans|table|ascribe"), "{tables}");
    assert!(!tables.contains("pg_class"), "{tables}");

    let described = psql(&server, r"\dt+ costs").unwrap();
    let comment = ascribe::model::table("costs").unwrap().comment();
    assert!(described.contains("public|costs|table|ascribe|permanent|delta"), "{described}");
    assert!(described.contains(&comment), "{described}");

    let columns = psql(&server, r"\d costs").unwrap();
    assert!(columns.lines().any(|line| line == "billed_cost|numeric(38,12)|||"), "{columns}");
    let documented = psql(&server, r"\d+ spans").unwrap();
    let table = ascribe::model::table("spans").unwrap();
    assert_eq!(documented.lines().filter(|line| line.contains('|')).count(), table.all_columns().len(), "{documented}");
    for column in table.columns {
        assert!(documented.contains(&column.comment()), "{}", column.name);
    }
    assert_eq!(psql(&server, r"\d nothing_like_it").map(|shown| shown.contains("costs")), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_shows_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    let Some(schemas) = psql(&server, r"\dn") else { return };
    assert_eq!(schemas, "public|ascribe\nsystem|ascribe\n");
    let roles = psql(&server, r"\du").unwrap();
    assert!(roles.contains("ada|") && roles.contains("ascribe|Superuser"), "{roles}");
    assert!(psql(&server, r"\l").unwrap().starts_with("ascribe|ascribe|UTF8|"));
    assert!(psql(&server, r"\conninfo").unwrap().contains("database \"ascribe\" as user \"ada\""));
    let functions = psql(&server, r"\df").unwrap();
    for function in ascribe::table_functions::all() {
        let signature = function.signature();
        assert!(functions.contains(&format!("public|{}|TABLE(", signature.name)), "{functions}");
        assert!(functions.contains(&signature.argument_list()), "{functions}");
    }
    for line in [
        "public|owner_of|text|kind text, entity text, at timestamp with time zone|func",
        "public|wilson_low|double precision|k double precision, n double precision, z double precision DEFAULT NULL|func",
        "public|g_test|double precision|observed double precision[], expected double precision[] DEFAULT NULL|func",
        "public|g_test|double precision|a double precision, b double precision, c double precision, d double precision|func",
        "public|split_even|numeric[]|amount numeric, parts bigint|func",
        "public|error_rate|double precision|status_code text, weight double precision DEFAULT NULL|agg",
        "public|shapley_airport|numeric|cost numeric|window",
    ] {
        assert!(functions.lines().any(|found| found == line), "{line} is not in\n{functions}");
    }
    let types = "SELECT p.proname, p.pronargs, p.pronargdefaults, p.prorettype::regtype, p.proargtypes, p.proargnames \
                 FROM pg_proc p WHERE p.proname IN ('wilson_low', 'error_origin') ORDER BY 1";
    let types = psql(&server, types).unwrap();
    assert!(types.contains("wilson_low|3|1|double precision|701 701 701|{k,n,z}\n"), "{types}");
    assert!(types.starts_with("error_origin|1|0|record|25|{trace_id,"), "{types}");
    let unnested = "SELECT unnest(proargtypes) FROM pg_proc WHERE proname = 'wilson_low'";
    assert_eq!(psql(&server, unnested).unwrap(), "701\n701\n701\n");
    assert_eq!(psql(&server, "SELECT unnest(proargtypes) FROM pg_proc WHERE proname = 'now'").unwrap(), "");
    for command in [
        r"\d", r"\dv", r"\df+", r"\dT", r"\di", r"\dp", r"\dx", r"\db", r"\dm", r"\ds", r"\da", r"\dD", r"\dn+",
        r"\l+", r"\du+", r"\ddp",
    ] {
        psql(&server, command).unwrap();
    }
}

/// Drivers learn the types by joining them with the functions that read them.
#[tokio::test(flavor = "multi_thread")]
async fn columns_of_functions_are_numbers_with_names() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    let url = format!("postgresql://ada@127.0.0.1:{}/ascribe", server.local_addr().port());
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let npgsql = "SELECT typ.typname, elem.typname FROM pg_type AS typ JOIN pg_proc AS proc ON proc.oid = typ.typreceive \
                  JOIN pg_type AS elem ON elem.oid = typ.typelem WHERE proc.proname = 'array_recv' ORDER BY 1";
    let arrays = super::pgwire::simple(&client, npgsql).await;
    assert!(arrays.contains(&vec!["_int4".to_owned(), "int4".to_owned()]), "{arrays:?}");
    assert!(arrays.iter().all(|row| row[0] == format!("_{}", row[1])), "{arrays:?}");
    for (sql, expected) in [
        ("SELECT typinput FROM pg_type WHERE oid = 23", "int4in"),
        ("SELECT typmodin FROM pg_type WHERE oid = 23", "-"),
        ("SELECT typreceive::text FROM pg_type WHERE oid = 1114", "timestamp_recv"),
        ("SELECT typreceive::text <> 'array_recv' FROM pg_type WHERE oid = 1007", "f"),
        ("SELECT typinput = 'pg_catalog.array_in'::regproc FROM pg_type WHERE oid = 1007", "t"),
        ("SELECT count(*) FROM pg_type WHERE typinput = 0", "0"),
        ("SELECT count(*) FROM pg_type t LEFT JOIN pg_proc p ON p.oid = t.typinput WHERE p.oid IS NULL", "0"),
        ("SELECT pg_get_function_arguments(750)", "cstring, oid, integer"),
        ("SELECT oid >= 16384 FROM pg_database", "t"),
        ("SELECT count(*) > 0 FROM pg_stat_activity a JOIN pg_database d ON d.oid = a.datid", "t"),
        ("SELECT numbackends >= 1 FROM pg_stat_database WHERE datname = current_database()", "t"),
        ("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'spans')", "t"),
        ("SELECT character_set_name FROM INFORMATION_SCHEMA.character_sets", "UTF8"),
        ("SELECT count(*) FROM pg_available_extensions() AS e", "0"),
        ("SELECT count(*) > 0 FROM PG_SHOW_ALL_SETTINGS() WHERE name = 'TimeZone'", "t"),
        ("SELECT relname AS table FROM pg_class WHERE relname = ANY('{costs,none}')", "costs"),
    ] {
        assert_eq!(super::pgwire::one(&client, sql).await, expected, "{sql}");
    }
    let row = client.query_one("SELECT typinput::text, typlen FROM pg_type WHERE oid = 23", &[]).await;
    assert_eq!(row.unwrap().get::<_, &str>(0), "int4in");
}

/// The real clients of `tests/clients`, those that are installed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "installs Python packages; tests/clients/run does the same with a server process"]
async fn clients() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    let script = std::path::PathBuf::from("tests/clients/run");
    let address = server.local_addr().to_string();
    let ended =
        tokio::task::spawn_blocking(move || Command::new(script).env("ASCRIBE_ADDRESS", address).status().unwrap())
            .await
            .unwrap();
    assert!(ended.success());
}

/// The statements of a recorded file, each ending with a semicolon at the end of a line.
fn statements(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    lines
        .join("\n")
        .split(";\n")
        .map(|part| part.trim().trim_end_matches(';').to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

/// Counts how many of the recorded statements are answered: `ASCRIBE_REPLAY=folder`, one `.sql` file a tool.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a test: needs recorded statements"]
async fn replay() {
    let Ok(queries) = std::env::var("ASCRIBE_REPLAY") else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = start(&folder).await;
    let url = format!("postgresql://ada@127.0.0.1:{}/ascribe", server.local_addr().port());
    let mut files: Vec<_> = std::fs::read_dir(queries).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let all = statements(&std::fs::read_to_string(&file).unwrap());
        let mut good = 0;
        for sql in &all {
            let outcome = if sql.contains("$1") {
                client.prepare(sql).await.map(drop)
            } else {
                client.simple_query(sql).await.map(drop)
            };
            match outcome {
                Ok(()) => good += 1,
                Err(error) => {
                    let shown: String =
                        sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(240).collect();
                    eprintln!(
                        "{} | {} | {shown}",
                        file.file_name().unwrap().display(),
                        error
                            .as_db_error()
                            .map_or_else(|| format!("{error:?}"), |e| format!("{} {}", e.code().code(), e.message()))
                    );
                    client.simple_query("ROLLBACK").await.unwrap();
                }
            }
        }
        eprintln!("REPLAY {} {good} of {}", file.file_name().unwrap().display(), all.len());
    }
}
