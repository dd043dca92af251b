//! What a CloudTrail event was about: the resources that it lists, and those that its parameters name.

use std::borrow::Cow;

use serde_json::Value;

use crate::ingest::json;

/// Request parameters whose text names a resource.
const NAMING: [&str; 44] = [
    "bucketName",
    "functionName",
    "roleName",
    "roleArn",
    "userName",
    "groupName",
    "policyArn",
    "policyName",
    "secretId",
    "instanceId",
    "instanceProfileName",
    "imageId",
    "snapshotId",
    "volumeId",
    "groupId",
    "vpcId",
    "subnetId",
    "keyId",
    "keyName",
    "targetKeyId",
    "trailName",
    "tableName",
    "streamName",
    "topicArn",
    "queueUrl",
    "queueName",
    "clusterName",
    "cluster",
    "service",
    "taskDefinition",
    "stackName",
    "repositoryName",
    "logGroupName",
    "dBInstanceIdentifier",
    "dBClusterIdentifier",
    "dBSnapshotIdentifier",
    "databaseName",
    "modelId",
    "documentName",
    "sessionId",
    "target",
    "serialNumber",
    "resourceArn",
    "resourceId",
];

/// Request parameters that name several resources in a list of texts.
const LISTING: [&str; 5] = ["instanceIds", "names", "roleArns", "secretIdList", "resourceArns"];

/// Services whose parameter `name` names the resource that the call is about.
const NAMED_BY_NAME: [&str; 5] = [
    "cloudtrail.amazonaws.com",
    "ssm.amazonaws.com",
    "eks.amazonaws.com",
    "events.amazonaws.com",
    "secretsmanager.amazonaws.com",
];

/// ARNs that the event lists first, then what its request parameters name, each once.
pub fn of_event(event: &Value) -> Option<Vec<Cow<'_, str>>> {
    let mut found: Vec<Cow<'_, str>> = Vec::new();
    let listed = json::at(event, &["resources"]).and_then(Value::as_array).into_iter().flatten();
    for resource in listed {
        // Log files spell it ARN; what passed through other tools often has arn.
        let arn = json::text(resource, &["ARN"]).or_else(|| json::text(resource, &["arn"]));
        add(&mut found, arn.map(Cow::Borrowed));
    }
    if let Some(parameters) = json::at(event, &["requestParameters"]) {
        from_parameters(event, parameters, &mut found);
    }
    (!found.is_empty()).then_some(found)
}

fn from_parameters<'v>(event: &'v Value, parameters: &'v Value, found: &mut Vec<Cow<'v, str>>) {
    if let (Some(bucket), Some(key)) = (json::text(parameters, &["bucketName"]), json::text(parameters, &["key"])) {
        add(found, Some(Cow::Owned(format!("arn:aws:s3:::{bucket}/{key}"))));
    }
    for name in NAMING {
        add(found, json::text(parameters, &[name]).map(Cow::Borrowed));
    }
    for name in LISTING {
        let items = json::at(parameters, &[name]).and_then(Value::as_array).into_iter().flatten();
        for item in items {
            add(found, item.as_str().map(Cow::Borrowed));
        }
    }
    // EC2 lists what it acts on as {"instancesSet": {"items": [{"instanceId": …}]}}.
    let instances = json::at(parameters, &["instancesSet", "items"]).and_then(Value::as_array).into_iter().flatten();
    for instance in instances {
        add(found, json::text(instance, &["instanceId"]).map(Cow::Borrowed));
    }
    let source = json::text(event, &["eventSource"]).unwrap_or_default();
    if NAMED_BY_NAME.contains(&source) {
        add(found, json::text(parameters, &["name"]).map(Cow::Borrowed));
    }
}

fn add<'v>(found: &mut Vec<Cow<'v, str>>, id: Option<Cow<'v, str>>) {
    if let Some(id) = id.filter(|id| !id.is_empty() && !found.contains(id)) {
        found.push(id);
    }
}
