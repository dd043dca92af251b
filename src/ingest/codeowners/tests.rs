use proptest::prelude::*;

use super::CodeOwners;
use crate::ingest::Options;
use crate::ingest::testing::{Decoded, try_decode};

const TABLE: &str = "ownership";

fn options() -> Options {
    Options { set: vec![("repository".into(), "acme/shop".into())], ..Options::default() }
}

fn decode(text: &str) -> Decoded {
    try_decode(&CodeOwners, text.as_bytes(), &options()).unwrap()
}

#[test]
fn the_last_rule_of_a_pattern_counts() {
    let decoded = decode(
        "# who owns what\n*  @acme/platform\n/services/cart/ @acme/team-cart @ann ops@acme.io # and a comment\n\
         *.js @other/web\n*.js @acme/web\n/with\\ blank/ @acme/a\n",
    );
    assert_eq!(decoded.reasons(), []);
    assert_eq!(decoded.column(TABLE, "entity_kind"), ["repository", "path", "path", "path", "path", "path"]);
    let cart = "acme/shop:/services/cart/";
    assert_eq!(
        decoded.column(TABLE, "entity"),
        ["acme/shop", cart, cart, cart, "acme/shop:*.js", "acme/shop:/with blank/"]
    );
    assert_eq!(decoded.column(TABLE, "owner"), ["platform", "team-cart", "ann", "ops@acme.io", "web", "a"]);
    assert_eq!(decoded.column(TABLE, "role")[..4], ["primary", "primary", "secondary", "secondary"]);
    assert_eq!(
        decoded.column(TABLE, "weight")[..4],
        ["1.000000000000", "0.333333333334", "0.333333333333", "0.333333333333"]
    );
    assert_eq!(decoded.cell(TABLE, "valid_from", 0), "2026-11-22T12:00:00Z");
}

#[test]
fn sections_have_owners_and_count_together() {
    let decoded = decode(
        "[Backend][2] @acme/back\n/api/\n/api/v2/ @acme/two\n\n^[Docs]\n/api/ @@maintainer\n[0-9]*.md @acme/docs\n",
    );
    assert_eq!(decoded.reasons(), []);
    assert_eq!(
        decoded.column(TABLE, "entity"),
        ["acme/shop:/api/", "acme/shop:/api/", "acme/shop:/api/v2/", "acme/shop:[0-9]*.md"]
    );
    assert_eq!(decoded.column(TABLE, "owner"), ["back", "@maintainer", "two", "docs"]);
}

#[test]
fn what_owns_nothing_is_counted_and_what_is_no_such_file_is_refused() {
    let decoded = decode("/a/ @x\n/a/\n!/b/ @x\n/c/ team-c\n/d/ @\n\n# end\n");
    assert_eq!(decoded.rows(TABLE), 0);
    assert_eq!(
        decoded.reasons(),
        [
            ("an owner is neither @name nor an address", 2),
            ("rule not used: it excludes files", 1),
            ("rule not used: it has no owner", 1),
        ]
    );
    assert_eq!(decode("").rows(TABLE), 0);
    let refused = |text: &[u8], options: &Options| try_decode(&CodeOwners, text, options).unwrap_err().to_string();
    assert!(refused(b"[only] @a\n", &options()).contains("no rule"));
    assert!(refused(b"\xff\xfe", &options()).contains("UTF-8"));
    assert!(refused(&vec![b'x'; 4 << 20], &options()).contains("3 MiB"));
    assert!(refused(b"* @a", &Options::default()).contains("which repository"));
    let other = Options { set: vec![("owner".into(), "x".into())], ..Options::default() };
    assert!(refused(b"* @a", &other).contains("--set owner"));
}

proptest! {
    #[test]
    fn any_text_is_answered_and_weights_are_whole(text in "([*/a-c!#@\\[\\]\\\\ ]{0,12}\n){0,8}") {
        let Ok(decoded) = try_decode(&CodeOwners, text.as_bytes(), &options()) else { return Ok(()) };
        let mut sums = std::collections::BTreeMap::<String, f64>::new();
        for (entity, weight) in decoded.column(TABLE, "entity").into_iter().zip(decoded.column(TABLE, "weight")) {
            *sums.entry(entity).or_default() += weight.parse::<f64>().unwrap();
        }
        prop_assert!(sums.values().all(|sum| (sum - 1.0).abs() < 1e-9), "{sums:?}");
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _answer = try_decode(&CodeOwners, &bytes, &options());
    }
}
