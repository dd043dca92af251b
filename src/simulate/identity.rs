//! A week of CloudTrail: people through SSO, CI jobs through OIDC, role chains, services, and sometimes a thief.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::background::PEOPLE;
use super::random::Random;
use super::story::{Change, SECOND, Story};
use super::truth::iso;
use super::world::{ORGANISATION, World};
use crate::error::Result;

const PROD: &str = "210987654321";
const TOOLS: &str = "610987654325";
const REGION: &str = "eu-central-1";
const RECORDS_PER_FILE: usize = 400;
const KEY_LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Who stands behind a session.
#[derive(Debug, Clone)]
struct Origin {
    kind: &'static str,
    identity: String,
    run: Option<i64>,
    hops: u32,
}

/// Credentials in use.
#[derive(Debug, Clone)]
struct Session {
    key: String,
    account: &'static str,
    role: String,
    name: String,
    id: String,
    created: i64,
    mfa: bool,
    source_identity: Option<String>,
    origin: Origin,
    ip: String,
    agent: &'static str,
}

/// What the truth says about identities.
#[derive(Debug, Default)]
pub struct Access {
    /// One entry an event made with a role: who is behind it.
    pub origins: Vec<Value>,
    /// The leak, in that scenario.
    pub leak: Option<Value>,
}

struct Trail<'a> {
    random: Random,
    world: &'a World,
    story: &'a Story,
    records: Vec<(i64, Value)>,
    access: Access,
}

/// Write `cloudtrail/*.json.gz`.
///
/// # Errors
/// When the files cannot be written.
pub fn write(seed: u64, world: &World, story: &Story, directory: &Path) -> Result<Access> {
    let random = Random::new(seed, "identity");
    let mut trail = Trail { random, world, story, records: Vec::new(), access: Access::default() };
    let deploys: Vec<&Change> = story.changes.iter().filter(|change| change.run > 0).collect();
    for change in deploys {
        trail.pipeline(change);
    }
    let day = 86_400 * SECOND;
    for _ in 0..40 {
        let at = story.windows.end - trail.random.integer(0, 2 * day / SECOND) * SECOND;
        trail.person(at);
    }
    for _ in 0..30 {
        let at = story.windows.end - trail.random.integer(0, day / SECOND) * SECOND;
        trail.workload(at);
    }
    for _ in 0..6 {
        let at = story.windows.end - trail.random.integer(0, day / SECOND) * SECOND;
        trail.forgotten(at);
        trail.static_user(at);
    }
    trail.save(&directory.join("cloudtrail"))?;
    Ok(trail.access)
}

impl Trail<'_> {
    fn key(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.random.text(KEY_LETTERS, 16))
    }

    fn base(
        &mut self,
        at: i64,
        (source, name): (&str, &str),
        identity: &Value,
        ip: &str,
        agent: &str,
        account: &str,
    ) -> Value {
        let read_only = ["Get", "List", "Describe"].iter().any(|prefix| name.starts_with(prefix));
        json!({
            "eventVersion": "1.09",
            "userIdentity": identity,
            "eventTime": iso(at),
            "eventSource": source,
            "eventName": name,
            "awsRegion": REGION,
            "sourceIPAddress": ip,
            "userAgent": agent,
            "requestParameters": null,
            "responseElements": null,
            "requestID": self.random.uuid(),
            "eventID": self.random.uuid(),
            "readOnly": read_only,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": account,
            "eventCategory": "Management",
        })
    }

    /// Record an STS event that hands out a session of the role.
    fn issue(&mut self, mut event: Value, at: i64, mut session: Session) -> Session {
        let expires = at + 3600 * SECOND;
        session.created = at;
        event["requestParameters"] = json!({
            "roleArn": format!("arn:aws:iam::{}:role/{}", session.account, session.role),
            "roleSessionName": session.name,
            "durationSeconds": 3600,
        });
        if let Some(source) = &session.source_identity {
            event["requestParameters"]["sourceIdentity"] = json!(source);
            event["responseElements"] = json!({"sourceIdentity": source});
        }
        event["responseElements"]["credentials"] = json!({
            "accessKeyId": session.key, "sessionToken": "", "expiration": iso(expires),
        });
        event["responseElements"]["assumedRoleUser"] = json!({
            "assumedRoleId": format!("{}:{}", session.id, session.name), "arn": session.arn(),
        });
        event["resources"] = json!([{
            "accountId": session.account, "type": "AWS::IAM::Role",
            "ARN": format!("arn:aws:iam::{}:role/{}", session.account, session.role),
        }]);
        self.records.push((at, event));
        session
    }

    fn session(&mut self, account: &'static str, role: &str, name: String, origin: Origin) -> Session {
        let ip = format!("10.{}.{}.{}", self.random.below(4), self.random.below(200), 2 + self.random.below(250));
        Session {
            key: self.key("ASIA"),
            account,
            role: role.to_owned(),
            name,
            id: self.key("AROA"),
            created: 0,
            mfa: false,
            source_identity: None,
            origin,
            ip,
            agent: "aws-sdk-go-v2/1.30.3",
        }
    }

    /// An event made with the session, and the truth about it.
    fn act(&mut self, session: &Session, at: i64, source: &str, name: &str, resource: Option<String>) -> String {
        let identity = session.identity();
        let mut event = self.base(at, (source, name), &identity, &session.ip, session.agent, session.account);
        if let Some(resource) = resource {
            event["requestParameters"] =
                if name == "GetSecretValue" { json!({"secretId": resource}) } else { json!({"resource": resource}) };
            event["resources"] = json!([{"ARN": resource, "accountId": session.account}]);
        }
        let id = event["eventID"].as_str().unwrap_or_default().to_owned();
        self.access.origins.push(json!({
            "event_id": id,
            "origin_kind": session.origin.kind,
            "origin_identity": session.origin.identity,
            "pipeline_run_id": session.origin.run.map(|run| run.to_string()),
            "hops": session.origin.hops,
        }));
        self.records.push((at, event));
        id
    }

    /// The session assumes another role.
    fn chain(&mut self, session: &Session, at: i64, account: &'static str, role: &str) -> Session {
        let name = if self.random.chance(0.5) { session.name.clone() } else { format!("hop-{}", self.random.hex(6)) };
        let mut origin = session.origin.clone();
        origin.hops += 1;
        let mut next = self.session(account, role, name, origin);
        next.source_identity.clone_from(&session.source_identity);
        (next.ip, next.agent) = (session.ip.clone(), session.agent);
        let id = self.act(session, at, "sts.amazonaws.com", "AssumeRole", None);
        let Some((_, mut event)) = self.records.pop() else { return next };
        if account != session.account {
            let shared = self.random.uuid();
            event["sharedEventID"] = json!(shared);
            let outside = json!({"type": "AWSAccount", "accountId": session.account,
                "principalId": format!("{}:{}", session.id, session.name)});
            let mut mirror =
                self.base(at, ("sts.amazonaws.com", "AssumeRole"), &outside, &session.ip, session.agent, account);
            mirror["sharedEventID"] = json!(shared);
            next = self.issue(mirror, at, next);
        }
        debug_assert_eq!(event["eventID"], json!(id));
        self.issue(event, at, next)
    }

    /// A CI job deploys a change: web identity, then a role that may change production.
    fn pipeline(&mut self, change: &Change) {
        let at = change.started - self.random.integer(20, 50) * SECOND;
        let subject = format!("repo:{ORGANISATION}/{}:ref:refs/heads/main", change.target);
        let provider = format!("arn:aws:iam::{TOOLS}:oidc-provider/token.actions.githubusercontent.com");
        let origin = Origin { kind: "ci_job", identity: subject.clone(), run: Some(change.run), hops: 1 };
        let mut session =
            self.session(TOOLS, &format!("ci-{}", change.target), format!("gha-{}-1", change.run), origin);
        session.agent = "configure-aws-credentials-for-github-actions";
        session.ip = format!("20.57.{}.{}", self.random.below(200), 1 + self.random.below(250));
        let identity = json!({
            "type": "WebIdentityUser",
            "principalId": format!("{provider}:sts.amazonaws.com:{subject}"),
            "userName": subject,
            "identityProvider": provider,
        });
        let event = self.base(
            at,
            ("sts.amazonaws.com", "AssumeRoleWithWebIdentity"),
            &identity,
            &session.ip,
            session.agent,
            TOOLS,
        );
        let session = self.issue(event, at, session);
        let repository = format!("arn:aws:ecr:{REGION}:{TOOLS}:repository/{}", change.target);
        self.act(&session, at + 2 * SECOND, "ecr.amazonaws.com", "DescribeImages", Some(repository));
        let deployer = self.chain(&session, at + 4 * SECOND, PROD, "deployer");
        let service = format!("arn:aws:ecs:{REGION}:{PROD}:service/prod/{}", change.target);
        self.act(&deployer, at + 6 * SECOND, "ecs.amazonaws.com", "RegisterTaskDefinition", Some(service.clone()));
        self.act(&deployer, change.started, "ecs.amazonaws.com", "UpdateService", Some(service));
        if self.story.leak == Some(change.run) {
            self.theft(&session, change.run);
        }
    }

    /// An outsider uses the job's key from elsewhere to read secrets, and hops on to another role.
    fn theft(&mut self, job: &Session, run: i64) {
        let windows = self.story.windows;
        let mut thief = job.clone();
        thief.ip = format!("185.220.{}.{}", 100 + self.random.below(3), 1 + self.random.below(250));
        thief.agent = "aws-cli/2.17.9 md/awscrt#0.20.11 ua/2.0 os/linux#6.6.9-amd64 md/arch#x86_64 lang/python#3.11.8";
        let mut ids = Vec::new();
        let mut at = windows.onset;
        ids.push(self.act(&thief, at, "sts.amazonaws.com", "GetCallerIdentity", None));
        at += self.random.integer(5, 30) * SECOND;
        ids.push(self.act(&thief, at, "secretsmanager.amazonaws.com", "ListSecrets", None));
        let hop = self.random.chance(0.6);
        let last = if hop {
            at += self.random.integer(5, 30) * SECOND;
            self.chain(&thief, at, PROD, "secrets-reader")
        } else {
            thief.clone()
        };
        for _ in 0..3 + self.random.below(9) {
            at += self.random.integer(1, 12) * SECOND;
            let secret = format!(
                "arn:aws:secretsmanager:{REGION}:{}:secret:{}/{}",
                last.account,
                self.random.pick(&self.world.services).name,
                self.random.pick(&["database", "api-key", "signing-key"])
            );
            ids.push(self.act(&last, at, "secretsmanager.amazonaws.com", "GetSecretValue", Some(secret)));
        }
        self.access.leak = Some(json!({
            "access_key_id": job.key,
            "pipeline_run_id": run.to_string(),
            "federated_subject": job.origin.identity,
            "principal_arn": job.arn(),
            "source_ip": thief.ip,
            "chained": hop,
            "event_ids": ids,
        }));
    }

    /// Somebody signs in through SSO and works, at times through further roles.
    fn person(&mut self, at: i64) {
        let who = *self.random.pick(&PEOPLE);
        let mail = format!("{who}@{ORGANISATION}.example");
        let origin = Origin { kind: "human", identity: mail.clone(), run: None, hops: 1 };
        let role = *self.random.pick(&["sso-developer", "sso-admin", "sso-analyst"]);
        let mut session = self.session(TOOLS, role, mail.clone(), origin);
        session.mfa = true;
        session.agent = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/124.0";
        session.ip = format!("81.169.{}.{}", self.random.below(60), 1 + self.random.below(250));
        session.source_identity = self.random.chance(0.5).then(|| mail.clone());
        let identity = json!({
            "type": "SAMLUser", "principalId": format!("sso:{mail}"), "userName": mail,
            "identityProvider": format!("arn:aws:iam::{TOOLS}:saml-provider/sso"),
        });
        let event =
            self.base(at, ("sts.amazonaws.com", "AssumeRoleWithSAML"), &identity, &session.ip, session.agent, TOOLS);
        let mut session = self.issue(event, at, session);
        let mut now = at;
        let roles = [(PROD, "operator"), (PROD, "break-glass"), (TOOLS, "auditor")];
        let hops = self.random.below(3);
        for (account, role) in roles.into_iter().take(hops) {
            now += self.random.integer(5, 120) * SECOND;
            session = self.chain(&session, now, account, role);
        }
        let calls = [
            ("ec2.amazonaws.com", "DescribeInstances"),
            ("s3.amazonaws.com", "PutBucketPolicy"),
            ("rds.amazonaws.com", "DeleteDBSnapshot"),
            ("iam.amazonaws.com", "CreateAccessKey"),
            ("logs.amazonaws.com", "GetLogEvents"),
            ("iam.amazonaws.com", "AttachRolePolicy"),
        ];
        for _ in 0..1 + self.random.below(6) {
            now += self.random.integer(2, 200) * SECOND;
            let (source, name) = *self.random.pick(&calls);
            let resource = format!("arn:aws:shop:{REGION}:{}:{}", session.account, self.random.hex(8));
            self.act(&session, now, source, name, Some(resource));
        }
    }

    /// A task of ours, for which a provider's service fetches the role; or a provider's service for itself.
    fn workload(&mut self, at: i64) {
        let itself = self.random.chance(0.3);
        let invoker = if itself { "autoscaling.amazonaws.com" } else { "ecs-tasks.amazonaws.com" };
        let service = self.random.pick(&self.world.services).name;
        let role = if itself { "AWSServiceRoleForAutoScaling".to_owned() } else { format!("task-{service}") };
        let kind = if itself { "provider" } else { "workload" };
        let identity = if itself { invoker.to_owned() } else { format!("arn:aws:iam::{PROD}:role/{role}") };
        let name = if itself { "AutoScaling".to_owned() } else { self.random.hex(32) };
        let mut session = self.session(PROD, &role, name, Origin { kind, identity, run: None, hops: 1 });
        let caller = json!({"type": "AWSService", "invokedBy": invoker});
        let event = self.base(at, ("sts.amazonaws.com", "AssumeRole"), &caller, invoker, invoker, PROD);
        session = self.issue(event, at, session);
        for step in 0..self.random.integer(1, 5) {
            let (source, call) = if itself {
                ("ec2.amazonaws.com", "RunInstances")
            } else {
                *self.random.pick(&[
                    ("secretsmanager.amazonaws.com", "GetSecretValue"),
                    ("kms.amazonaws.com", "Decrypt"),
                    ("s3.amazonaws.com", "PutObject"),
                ])
            };
            let resource = format!("arn:aws:shop:{REGION}:{PROD}:{service}");
            self.act(&session, at + (step + 1) * 3 * SECOND, source, call, Some(resource));
        }
    }

    /// A session that was issued before the logs begin: nobody can say who it is.
    fn forgotten(&mut self, at: i64) {
        let origin = Origin { kind: "unknown", identity: String::new(), run: None, hops: 0 };
        let name = format!("hop-{}", self.random.hex(6));
        let mut session = self.session(PROD, "operator", name, origin);
        session.created = at - 3000 * SECOND;
        self.act(&session, at, "s3.amazonaws.com", "GetBucketPolicy", None);
    }

    /// A user with a key of its own; no role, no session.
    fn static_user(&mut self, at: i64) {
        let identity = json!({
            "type": "IAMUser", "principalId": self.key("AIDA"), "arn": format!("arn:aws:iam::{PROD}:user/backup"),
            "accountId": PROD, "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "backup",
        });
        let event = self.base(at, ("s3.amazonaws.com", "ListBuckets"), &identity, "10.3.9.9", "aws-cli/1.18", PROD);
        self.records.push((at, event));
    }

    fn save(&mut self, directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory)?;
        self.records.sort_by_key(|(at, _)| *at);
        for (number, chunk) in self.records.chunks(RECORDS_PER_FILE).enumerate() {
            let records: Vec<&Value> = chunk.iter().map(|(_, record)| record).collect();
            let path = directory.join(format!("{PROD}_CloudTrail_{REGION}_{number:04}.json.gz"));
            let mut file = GzEncoder::new(std::fs::File::create(path)?, Compression::fast());
            file.write_all(json!({"Records": records}).to_string().as_bytes())?;
            file.finish()?;
        }
        Ok(())
    }
}

impl Session {
    fn arn(&self) -> String {
        format!("arn:aws:sts::{}:assumed-role/{}/{}", self.account, self.role, self.name)
    }

    fn identity(&self) -> Value {
        let mut identity = json!({
            "type": "AssumedRole",
            "principalId": format!("{}:{}", self.id, self.name),
            "arn": self.arn(),
            "accountId": self.account,
            "accessKeyId": self.key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": self.id,
                    "arn": format!("arn:aws:iam::{}:role/{}", self.account, self.role),
                    "accountId": self.account,
                    "userName": self.role,
                },
                "attributes": {"creationDate": iso(self.created), "mfaAuthenticated": self.mfa.to_string()},
            },
        });
        if let Some(source) = &self.source_identity {
            identity["sessionContext"]["sourceIdentity"] = json!(source);
        }
        identity
    }
}
