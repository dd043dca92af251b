use proptest::prelude::*;
use serde_json::{Value, json};

use super::Mapped;
use crate::ingest::Source;
use crate::ingest::testing::{decode, of_the_shape};

const FLAGS: &str = "
webhooks:
  flags:
    table: changes
    records: /items
    map:
      change_id: /_id
      started_at: {at: /date, unit: milliseconds}
      title: /title
      attributes.flag.key: /target/key
      attributes.tags: /tags
    set: {kind: feature_flag, status: succeeded}
    signature: {header: X-Signature, variable: FLAGS_SECRET, prefix: 'sha256='}
";

fn parse(text: &str) -> Result<Vec<Mapped>, String> {
    Mapped::parse(text, |name| (name == "FLAGS_SECRET").then(|| "s3cret".to_owned())).map_err(|error| error.to_string())
}

fn flags() -> Mapped {
    parse(FLAGS).unwrap().swap_remove(0)
}

fn item(id: &str) -> Value {
    json!({"_id": id, "date": 1_722_502_800_123_i64, "title": "on", "target": {"key": "new-cart"}, "tags": ["a", 1]})
}

#[test]
fn members_become_columns() {
    let mapped = flags();
    assert_eq!((mapped.name(), mapped.path, mapped.tables()[0].name), ("flags", "/webhooks/flags", "changes"));
    let secret = mapped.secret.clone().unwrap();
    assert_eq!(
        (secret.header.as_str(), secret.prefix.as_str(), secret.value.as_str(), secret.signs),
        ("x-signature", "sha256=", "s3cret", true)
    );
    let decoded = decode(&mapped, json!({"items": [item("f-1"), item("f-2")]}).to_string().as_bytes());
    assert_eq!(decoded.reasons(), []);
    assert_eq!(decoded.column("changes", "change_id"), ["f-1", "f-2"]);
    let expected = [
        ("kind", "feature_flag"),
        ("started_at", "2024-08-01T09:00:00.123Z"),
        ("status", "succeeded"),
        ("title", "on"),
        ("attributes", r#"{flag.key: new-cart, tags: ["a",1]}"#),
        ("source", "flags"),
        ("date", "2024-08-01"),
    ];
    for (column, value) in expected {
        assert_eq!(decoded.cell("changes", column, 0), value, "{column}");
    }
}

#[test]
fn what_cannot_be_placed_is_counted_and_the_rest_lands() {
    let mut timeless = item("f-2");
    timeless["date"] = "soon".into();
    let decoded = decode(&flags(), json!({"items": [item("f-1"), timeless, {"date": 1}, 7]}).to_string().as_bytes());
    assert_eq!(decoded.column("changes", "change_id"), ["f-1"]);
    assert_eq!(
        decoded.reasons(),
        [("a record is not an object", 1), ("change_id is empty", 1), ("started_at: not a timestamptz", 1)]
    );
    let without = decode(&flags(), b"{}\n[]\n{\"items\":{}}\n{");
    assert_eq!(
        without.reasons(),
        [("the file ends inside a record or array", 1), ("the payload has no array of records", 2)]
    );
}

#[test]
fn mistakes_are_explained() {
    let wrong = |from: &str, to: &str| parse(&FLAGS.replace(from, to)).unwrap_err();
    assert!(wrong("table: changes", "table: costs").contains("no webhook lands in table costs"));
    assert!(wrong("table: changes", "table: nothing").contains("no webhook lands in table nothing"));
    assert!(wrong("change_id: /_id", "nonsense: /_id").contains("nonsense"));
    assert!(
        wrong("change_id: /_id", "title: /_id").contains("duplicate")
            || wrong("      change_id: /_id\n", "").contains("change_id")
    );
    assert!(wrong("title: /title", "title: title").contains("no JSON pointer"));
    assert!(wrong("FLAGS_SECRET", "OTHER").contains("the environment has no variable OTHER"));
    assert!(wrong("  flags:", "  github:").contains("not as a source that is built in"));
    assert!(wrong("  flags:", "  a/b:").contains("lowercase letters"));
    assert!(wrong("unit: milliseconds", "unit: weeks").contains("webhooks.yaml"));
    assert!(wrong("    set:", "    sets:").contains("sets"));
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_has_the_shape(records in of_the_shape(vec![item("f")])) {
        let decoded = decode(&flags(), json!({"items": records}).to_string().as_bytes());
        prop_assert_eq!(decoded.rows("changes") as u64 + decoded.not_landed(), records.len() as u64);
    }
}
