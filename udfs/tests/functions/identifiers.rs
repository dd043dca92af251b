//! Identifiers: values by the specifications, every text layout, bad input.

use crate::{failure, session, text, value};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";

#[tokio::test]
async fn traceparent_reads_valid_headers_only() {
    for (part, expected) in [
        ("version", "00"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("parent_id", "00f067aa0ba902b7"),
        ("flags", "03"),
        ("sampled", "true"),
        ("random", "true"),
    ] {
        assert_eq!(value(&format!("traceparent('{PARENT}', '{part}')")).await, expected);
    }
    let ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    for (header, expected) in [
        (format!("00-{ids}-00"), "false"),
        (format!("cc-{ids}-01-what-the-future-will-be-like"), "true"),
        (format!("00-{ids}-01-more"), ""),
        (format!("ff-{ids}-01"), ""),
        (format!("00-{}-01", ids.to_uppercase()), ""),
        (format!("00-{ids}"), ""),
        (format!("00-{ids}-1"), ""),
        (format!("00-{ids}-é"), ""),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".into(), ""),
        (String::new(), ""),
    ] {
        assert_eq!(value(&format!("traceparent('{header}', 'sampled')")).await, expected, "{header}");
    }
    assert!(failure("SELECT traceparent('', 'span')").await.contains("there is no part \"span\"; there are version,"));
    assert_eq!(value(&format!("traceparent('{PARENT}', NULL), traceparent(NULL, 'flags')")).await, "|");
}

#[tokio::test]
async fn every_text_layout_is_read_alike() {
    let ctx = session();
    for layout in ["Utf8", "LargeUtf8", "Utf8View", "Dictionary(Int32, Utf8)", "Dictionary(UInt8, Utf8View)"] {
        let sql = format!(
            "SELECT arn_part(arrow_cast(a, '{layout}'), 'service'), semver_cmp(arrow_cast(v, '{layout}'), '1.5'),
                    adjusted_count(arrow_cast(s, '{layout}'))
             FROM (VALUES ('arn:aws:ec2:eu-west-1:1:instance/i', '1.10.0', 'ot=th:8'), (NULL, NULL, NULL)) AS t(a, v, s)"
        );
        assert_eq!(text(&ctx, &sql).await, "ec2|1|2.0\n||", "{layout}");
    }
}

#[tokio::test]
async fn arn_part_follows_the_three_forms() {
    for (arn, field, expected) in [
        ("arn:aws:iam::123456789012:role/service-role/deployer", "role_name", "deployer"),
        ("arn:aws:iam::123456789012:role/service-role/deployer", "region", ""),
        ("arn:aws-cn:sts::123456789012:assumed-role/r/s/t", "session_name", "s/t"),
        ("arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/f:*", "resource_id", "/aws/lambda/f:*"),
        ("arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/f:*", "resource_type", "log-group"),
        ("arn:aws:sqs:eu-west-1:1:queue", "resource_type", ""),
        ("arn:aws:sqs:eu-west-1:1:queue", "resource_id", "queue"),
        ("arn:aws:apigateway:eu-west-1::/restapis/a1", "resource_type", "restapis"),
        ("arn:aws:s3:::b/k", "resource_type", ""),
        ("arn:aws:s3:::b/k", "resource", "b/k"),
        ("arn:aws:s3:::", "service", ""),
        ("arn:aws:s3", "partition", ""),
    ] {
        assert_eq!(value(&format!("arn_part('{arn}', '{field}')")).await, expected, "{arn} {field}");
    }
}

#[tokio::test]
async fn purl_part_follows_the_specification() {
    for (purl, field, expected) in [
        ("pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie", "qualifiers.distro", "jessie"),
        ("pkg:deb/debian/curl@7.50.3-1?DISTRO=jessie&arch=i386&x=", "qualifiers", "arch=i386&distro=jessie"),
        ("pkg:docker/customer/dockerimage@sha256%3A244fd?repository_url=gcr.io", "version", "sha256:244fd"),
        (
            "pkg:golang/google.golang.org/genproto#/googleapis//api/../annotations/",
            "subpath",
            "googleapis/api/annotations",
        ),
        ("pkg:golang/google.golang.org/genproto#googleapis/api", "namespace", "google.golang.org"),
        ("PKG:GitHub/Package-URL/Purl-Spec@244fd", "namespace", "package-url"),
        ("PKG:GitHub/Package-URL/Purl-Spec@244fd", "type", "github"),
        ("pkg:pypi/Django_Pkg@1.11", "name", "django-pkg"),
        ("pkg:npm/%40angular/animation@12.3.1", "namespace", "@angular"),
        ("pkg:npm/@angular/animation", "name", "animation"),
        ("pkg:npm/@angular/animation", "version", ""),
        ("pkg://gem/ruby-advisory-db-check@0.12.4", "name", "ruby-advisory-db-check"),
        ("pkg:maven/a/b/c@1%2F2", "version", "1/2"),
        ("pkg:maven/a/b/c@1", "namespace", "a/b"),
        ("pkg:npm/a@%ff", "version", ""),
        ("pkg:npm/", "type", ""),
        ("npm/a@1", "name", ""),
        ("pkg:3d/a", "name", ""),
        ("pkg:n%20m/a", "name", ""),
    ] {
        assert_eq!(value(&format!("purl_part('{purl}', '{field}')")).await, expected, "{purl} {field}");
    }
    assert!(failure("SELECT purl_part('pkg:npm/a', 'qualifiers.')").await.contains("there is no part"));
}

#[tokio::test]
async fn semver_cmp_is_the_order_of_section_11() {
    let ascending = [
        "0.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "v1",
        "1.0.1",
        "1.2",
        "1.10",
        "2026.01.05",
        "2026.1.6",
        "99999999999999999999999.0.0",
    ];
    let ctx = session();
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            let cmp = text(&ctx, &format!("SELECT semver_cmp('{a}', '{b}')")).await;
            assert_eq!(cmp, (i.cmp(&j) as i32).to_string(), "{a} {b}");
        }
    }
    for bad in ["", "v", "1.", "1.2.3.4", "1.0.0-", "1.0.0-01", "1.0.0+", "a.b", "1.0.0-a..b", "1 .0"] {
        assert_eq!(text(&ctx, &format!("SELECT semver_cmp('{bad}', '1.0.0')")).await, "", "{bad}");
    }
}

#[tokio::test]
async fn adjusted_count_is_only_what_the_threshold_says() {
    for (state, expected) in [
        ("ot=th:0", "1.0"),
        ("a=b, ot=p:8;th:8 ,c=d", "2.0"),
        ("ot=th:ffffffffffffff", "7.205759403792794e16"),
        ("ot=th:", ""),
        ("ot=th:fffffffffffffff", ""),
        ("ot=th:C", ""),
        ("ot=th:+1", ""),
        ("ot=th:8;th:c", ""),
        ("xot=th:8", ""),
        ("", ""),
    ] {
        assert_eq!(value(&format!("adjusted_count('{state}')")).await, expected, "{state}");
    }
}

#[tokio::test]
async fn pseudonymize_needs_a_key_and_never_shows_it() {
    let sql =
        "SELECT pseudonymize(v, p) FROM (VALUES ('ada@example.com', 'billing'), (NULL, 'x'), ('', NULL)) AS t(v, p)";
    assert!(failure(sql).await.contains("set the option ascribe.pseudonym_key"));
    assert!(failure("SET ascribe.pseudonym_key = 'short'").await.contains("5 bytes; it needs at least 16"));
    let ctx = session();
    text(&ctx, "SET ascribe.pseudonym_key = 'an example, never a real key'").await;
    // HMAC-SHA-256 by Python's hmac.
    assert_eq!(text(&ctx, sql).await, format!("{BILLING}\n\n"));
    assert_eq!(
        text(&ctx, "SELECT pseudonymize(v, 'billing') FROM (VALUES ('ada@example.com'), ('b')) AS t(v) LIMIT 1").await,
        BILLING
    );
    text(&ctx, "SET ascribe.pseudonym_key_version = 2").await;
    assert_eq!(text(&ctx, "SELECT pseudonymize('ada@example.com', 'billing')").await, BILLING.replace("p1_", "p2_"));
    let key = b"an example, never a real key";
    let pseudonyms = ascribe_udfs::Pseudonyms::new(key, 1, "billing").unwrap();
    assert_eq!(pseudonyms.of("ada@example.com"), BILLING);
    assert!(ascribe_udfs::Pseudonyms::is_one(BILLING));
    for other in ["ada", "p_e60070253552be3befba43fa94232847", "p1_e60070253552BE3befba43fa94232847", "p1_e6"] {
        assert!(!ascribe_udfs::Pseudonyms::is_one(other), "{other}");
    }
    assert!(!format!("{pseudonyms:?}").contains("example"));
    assert!(ascribe_udfs::Pseudonyms::new(b"short", 1, "billing").is_err());
    assert_eq!(text(&ctx, "SHOW ascribe.pseudonym_key").await, "ascribe.pseudonym_key|(hidden)");
    assert!(!format!("{:?}", ctx.copied_config().options()).contains("never a real key"));
    // Registering again keeps the key.
    ascribe_udfs::register_all(&ctx).unwrap();
    assert_eq!(text(&ctx, "SELECT pseudonymize(42, 'billing') = pseudonymize('42', 'billing')").await, "true");
}

const BILLING: &str = "p1_e60070253552be3befba43fa94232847";
