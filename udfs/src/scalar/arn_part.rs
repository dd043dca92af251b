//! `arn_part(arn, field)`.

use datafusion::arrow::array::StringBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;

use super::{Scalar, text_part};
use crate::about::{About, IDENTIFIERS, Kind, Param};

pub(super) static FUNCTION: Scalar = Scalar {
    about: About {
        name: "arn_part",
        section: &IDENTIFIERS,
        syntax: "arn_part(arn, field)",
        description: "One field of an Amazon Resource Name, `arn:partition:service:region:account:resource`. Null if the text is no ARN or the field is \
                      empty. The resource is `type/id` or `type:id` or an id alone; an S3 bucket's ARN has no type. `role_name` and `session_name` read \
                      an IAM role (without its path) and an STS assumed role.",
        params: &[
            Param::new("arn", Kind::Text, "The resource name."),
            Param::new(
                "field",
                Kind::Text,
                "`partition`, `service`, `region`, `account`, `resource` (all of it), `resource_type`, `resource_id`, `role_name` or `session_name`.",
            ),
        ],
        required: 2,
        example: "
> SELECT field, arn_part('arn:aws:sts::123456789012:assumed-role/deployer/ci-42', field) AS part
  FROM (VALUES ('service'), ('region'), ('account'), ('resource_type'), ('role_name'), ('session_name')) AS t(field);
+---------------+--------------+
| field         | part         |
+---------------+--------------+
| service       | sts          |
| region        |              |
| account       | 123456789012 |
| resource_type | assumed-role |
| role_name     | deployer     |
| session_name  | ci-42        |
+---------------+--------------+
> SELECT arn_part('arn:aws:s3:::logs/2026/11', 'resource_id') AS of_bucket, arn_part('i-0abc', 'service') AS of_no_arn;
+--------------+-----------+
| of_bucket    | of_no_arn |
+--------------+-----------+
| logs/2026/11 |           |
+--------------+-----------+
",
    },
    volatility: Volatility::Immutable,
    returns: |_| DataType::Utf8,
    evaluate: |call| text_part::evaluate(&FUNCTION.about, call, FIELDS, Field::parse, write),
    overload: None,
};

const FIELDS: &str =
    "partition, service, region, account, resource, resource_type, resource_id, role_name, session_name";

enum Field {
    Partition,
    Service,
    Region,
    Account,
    Resource,
    ResourceType,
    ResourceId,
    RoleName,
    SessionName,
}

impl Field {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "partition" => Self::Partition,
            "service" => Self::Service,
            "region" => Self::Region,
            "account" | "account_id" => Self::Account,
            "resource" => Self::Resource,
            "resource_type" => Self::ResourceType,
            "resource_id" => Self::ResourceId,
            "role_name" => Self::RoleName,
            "session_name" => Self::SessionName,
            _ => return None,
        })
    }
}

struct Arn<'a> {
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.strip_prefix("arn:")?.splitn(5, ':');
        let mut next = || fields.next();
        let arn = Self { partition: next()?, service: next()?, region: next()?, account: next()?, resource: next()? };
        let complete = !arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty();
        complete.then_some(arn)
    }

    fn resource_parts(&self) -> (Option<&'a str>, &'a str) {
        if self.service == "s3" && self.account.is_empty() {
            return (None, self.resource);
        }
        // API Gateway's resources begin with the separator.
        let resource = self.resource.strip_prefix('/').unwrap_or(self.resource);
        match resource.split_once(['/', ':']) {
            Some((kind, id)) => (Some(kind), id),
            None => (None, resource),
        }
    }

    /// `role/path/name` in IAM, `assumed-role/name/session` in STS.
    fn role(&self) -> (Option<&'a str>, Option<&'a str>) {
        match (self.service, self.resource_parts()) {
            ("iam", (Some("role"), path)) => (path.rsplit('/').next(), None),
            ("sts", (Some("assumed-role"), id)) => match id.split_once('/') {
                Some((role, session)) => (Some(role), Some(session)),
                None => (Some(id), None),
            },
            _ => (None, None),
        }
    }
}

fn write(text: &str, field: &Field, out: &mut StringBuilder) -> bool {
    let Some(arn) = Arn::parse(text) else { return false };
    let part = match field {
        Field::Partition => Some(arn.partition),
        Field::Service => Some(arn.service),
        Field::Region => Some(arn.region),
        Field::Account => Some(arn.account),
        Field::Resource => Some(arn.resource),
        Field::ResourceType => arn.resource_parts().0,
        Field::ResourceId => Some(arn.resource_parts().1),
        Field::RoleName => arn.role().0,
        Field::SessionName => arn.role().1,
    };
    text_part::append(part, out)
}
