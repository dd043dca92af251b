//! Exact values, shared spans, broken documents, real files.

use std::collections::HashSet;

use proptest::prelude::*;

use super::Zipkin;
use crate::ingest::telemetry::testing::{decode, decode_bytes, decode_file, files, shared_data};

#[test]
fn columns_are_filled() {
    let text = br#"[{"traceId":"978883983d506fa5","id":"2","parentId":"1","kind":"CLIENT","name":"get",
        "timestamp":1570523661059232,"duration":127115,"localEndpoint":{"serviceName":"a","ipv4":"10.0.0.1"},
        "remoteEndpoint":{"serviceName":"b","port":80},"annotations":[{"timestamp":1570523661059233,"value":"sent"}],
        "tags":{"http.status_code":"500","error":"boom","x":"y","peer.service":"c"}},{"traceId":"1"}]"#;
    let landed = decode_bytes(&Zipkin, text);
    assert_eq!((landed.rows("spans"), landed.rejections()), (1, 1));
    for (column, value) in [
        ("trace_id", "978883983d506fa5"),
        ("span_id", "0000000000000002"),
        ("parent_span_id", "0000000000000001"),
        ("span_kind", "CLIENT"),
        ("status_code", "ERROR"),
        ("status_message", "boom"),
        ("service_name", "a"),
        ("start_unix_nano", "1570523661059232000"),
        ("duration_nano", "127115000"),
        ("peer_service", "b"),
        ("http_response_status_code", "500"),
        ("attributes", "x=y|network.peer.port=80|peer.service=c"),
        ("resource_attributes", "host.ip=10.0.0.1"),
        ("events", "[{time_unix_nano: 1570523661059233000, name: sent, attributes: {}}]"),
    ] {
        assert_eq!(landed.cell("spans", column, 0).as_deref(), Some(value), "{column}");
    }
}

#[test]
fn the_shared_side_hangs_on_the_caller_and_its_children_on_it() {
    let Some(folder) = shared_data("traces/zipkin") else { return };
    let landed = decode_file(&Zipkin, &folder.join("skew.json"));
    let at = |name: &str, service: &str| {
        (0..4)
            .find(|row| {
                landed.cell("spans", "span_name", *row).as_deref() == Some(name)
                    && landed.cell("spans", "service_name", *row).as_deref() == Some(service)
            })
            .unwrap()
    };
    let (client, server, child) = (at("post", "servicea"), at("post", "serviceb"), at("async", "serviceb"));
    let id = |row| landed.cell("spans", "span_id", row);
    assert_eq!(id(client).as_deref(), Some("74280ae0c10d8062"));
    assert_ne!(id(server), id(client));
    assert_eq!(landed.cell("spans", "parent_span_id", server), id(client));
    assert_eq!(landed.cell("spans", "parent_span_id", child), id(server));
}

#[test]
fn zipkins_test_traces_land_with_unique_ids() {
    let Some(folder) = shared_data("traces/zipkin") else { return };
    for path in files(&folder, ".json") {
        let landed = decode_file(&Zipkin, &path);
        let rows = landed.rows("spans");
        eprintln!("{}: {rows} rows, rejected {:?}", path.display(), landed.rejected);
        assert_eq!(landed.rejections(), 0, "{}", path.display());
        let ids: HashSet<_> = (0..rows)
            .map(|row| (landed.cell("spans", "trace_id", row), landed.cell("spans", "span_id", row)))
            .collect();
        assert_eq!(ids.len(), rows, "{}", path.display());
        if path.ends_with("smartthings-mobile-web-install.json") {
            assert_eq!(rows, 1_041 - 84, "84 spans only complete another of their service");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode(&Zipkin, &mut bytes.as_slice()).unwrap();
    }
}
