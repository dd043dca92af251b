//! Every setting: its name, default, unit and limit. The only reader of the environment.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where the lake is when nobody says otherwise: a directory below the current one.
pub const DEFAULT_LAKE: &str = "./lake";

/// Environment variable that names the lake.
pub const LAKE_VARIABLE: &str = "ASCRIBE_LAKE";

/// The name of the one database.
pub const DATABASE: &str = "ascribe";

/// The schema that unqualified names mean.
pub const SCHEMA: &str = "public";

/// Where the server listens when nobody says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5433";

/// Bytes of stack of the program's threads, since plans are walked as deep as statements are nested; only what is used
/// takes memory.
pub const STACK_BYTES: usize = 256 << 20;

/// Operators, words such as AND and UNION included, that one text of statements may have: each may nest the next.
pub const MOST_OPERATORS: usize = 10_000;

/// Rounds of hashing that a guess at a password costs (RFC 7677 asks for as many at least).
pub const SCRAM_ITERATIONS: u32 = 4096;

/// How old what is known of roles, grants, views and external tables may be: so long after it a change by another node
/// holds.
pub const DOCUMENT_FRESH: Duration = Duration::from_secs(2);

/// How many views a view may be made of, one inside of the other.
pub const VIEW_DEPTH: usize = 32;

/// How many nodes the plan of a view may have, those of the views in it among them.
pub const VIEW_NODES: usize = 2_000;

/// How many views are planned for one that a statement names, counted as often as they are named.
pub const VIEWS_PLANNED: usize = 500;

/// Delta tables of others of which the state is kept between statements.
pub const FOREIGN_TABLES: usize = 64;

/// Files of an external table that are looked at when it is made, to find what kind they are.
pub const EXTERNAL_FILES: usize = 10_000;

/// How long a client may take to say who it is and to prove it, each.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How often it is looked whether the files of TLS have changed.
pub const TLS_INTERVAL: Duration = Duration::from_secs(30);

/// Failed logins from an address, and of a user, before the next one has to wait.
pub const LOGIN_FREE_FAILURES: u32 = 5;

/// The first wait; doubled with each further failure.
pub const LOGIN_FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait.
pub const LOGIN_LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How long a failure is remembered.
pub const LOGIN_MEMORY: Duration = Duration::from_secs(900);

/// Addresses and users of failed logins that are remembered; beyond, the oldest are forgotten.
pub const LOGIN_REMEMBERED: usize = 10_000;

/// Logins that wait at a time; beyond, they are refused at once.
pub const LOGIN_WAITING: usize = 100;

/// How long a statement waits for others to end, where nobody says otherwise.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);

/// Turns that a role may be given where another one is given one.
pub const MOST_WEIGHT: u32 = 1000;

/// Roles without a statement of which it is known how far they have come in the order of turns; beyond, all of them are
/// forgotten.
pub const TURNS_REMEMBERED: usize = 1000;

/// How long a client asks nothing before what the engine has for its session is given back.
pub const SESSION_REST: Duration = Duration::from_secs(10);

/// How long records of statements wait for others before they are written.
pub const AUDIT_INTERVAL: Duration = Duration::from_secs(5);

/// Records that are written in one commit.
pub const AUDIT_GROUP: usize = 5_000;

/// Records that wait to be written; beyond, statements are refused.
pub const AUDIT_WAITING: usize = 50_000;

/// The same in bytes.
pub const AUDIT_WAITING_BYTES: usize = 64 << 20;

/// Statements that have ended and are still shown in `system.queries`.
pub const ENDED_QUERIES: usize = 1_000;

/// Characters of a statement that are shown in `system.queries` and `pg_stat_activity`.
pub const SHOWN_STATEMENT: usize = 1_024;

/// Characters of a statement that are recorded.
pub const AUDIT_STATEMENT: usize = 10_000;

/// Rows that a Parquet row group holds at most.
pub const ROW_GROUP_ROWS: usize = 131_072;

/// Rows that a writer collects for one partition before it writes them out as a file.
pub const ROWS_PER_FILE: usize = 1_048_576;

/// Bytes that a writer collects over all partitions before it writes the largest out as a file.
pub const WRITE_BUFFER_BYTES: usize = 512 << 20;

/// Batches under way between a decoder and the writer.
pub const IMPORT_CHANNEL_BATCHES: usize = 4;

/// Bytes of files that share the commits of an import.
pub const IMPORT_GROUP_BYTES: u64 = 256 << 20;

/// Files that share the commits of an import.
pub const IMPORT_GROUP_FILES: usize = 1000;

/// Time between two looks at a watched prefix when nobody says otherwise.
pub const WATCH_INTERVAL: &str = "60s";

/// Files below a watched prefix; a prefix with more is not looked at.
pub const WATCH_FILES: usize = 1_000_000;

/// New files of a watched prefix that are fetched and imported at a time.
pub const WATCH_BATCH_FILES: usize = 200;

/// Rounds that a watched file waits at most after its import failed.
pub const WATCH_LONGEST_WAIT: u64 = 64;

/// Commits that are retried when other writers were faster.
pub const COMMIT_RETRIES: usize = 100;

/// Attempts at one version of a table when the object store does not say whether it took the commit.
pub const COMMIT_ATTEMPTS_WITHOUT_ANSWER: u32 = 5;

/// Wait before a commit is tried again, multiplied by how often it was tried.
pub const COMMIT_PAUSE: Duration = Duration::from_millis(20);

/// Bytes that an upload gathers before it sends a part.
pub const UPLOAD_PART_BYTES: usize = 10 << 20;

/// How hard files are compressed that are written once and read for long; what arrives is compressed at level 1.
pub const COMPACTED_ZSTD_LEVEL: i32 = 6;

/// Bytes at the end of a data file that are read at once for its footer.
pub const FOOTER_BYTES: usize = 64 << 10;

/// Rows of a batch when files are read to be checked or merged.
pub const UPKEEP_BATCH_ROWS: usize = 8192;

/// Requests to the object store at a time when the log of a table is read whole, and files are deleted.
pub const UPKEEP_REQUESTS: usize = 16;

/// Rows that are there more than once and that one compaction of a partition takes away; the rest is the next one's.
pub const REPEATED_ROWS: usize = 2_000_000;

/// How often a table is checked that seems damaged and was written to meanwhile.
pub const CHECK_ATTEMPTS: u32 = 5;

/// The file of a lake that says how long rows are kept.
pub const RETENTION_FILE: &str = "retention.yaml";

/// The file of a lake that says what webhooks of unknown senders mean.
pub const WEBHOOKS_FILE: &str = "webhooks.yaml";

/// The file of a lake that says what may be known of persons.
pub const PRIVACY_FILE: &str = "privacy.yaml";

/// Environment variable with the path of the file that holds the keys of pseudonyms.
pub const PSEUDONYM_KEYS_FILE_VARIABLE: &str = "ASCRIBE_PSEUDONYM_KEYS_FILE";

/// Environment variable with what such a file holds; it goes before the file.
pub const PSEUDONYM_KEYS_VARIABLE: &str = "ASCRIBE_PSEUDONYM_KEYS";

/// How often a table is gone through for a person, while others write to it.
pub const FORGET_ROUNDS: usize = 100;

/// How long files with a person in them wait for those who read them.
pub const FORGET_READERS: Duration = Duration::from_secs(10);

/// How long whoever forgets waits for the node that looks after the lake.
pub const FORGET_LEASE: Duration = Duration::from_secs(180);

/// Age at which nobody can be about to commit a file with a person in it.
pub const FORGET_ORPHANS: Duration = Duration::from_secs(86_400);

/// Changed records of `system.audit` that one record of an erasure names.
pub const FORGET_RECORDS: usize = 500;

/// How a lake is looked after.
#[derive(Debug, Clone)]
pub struct Maintenance {
    /// Time between two rounds in the background.
    pub interval: Duration,
    /// Files below this size are merged.
    pub small_bytes: u64,
    /// Size of a merged file, about.
    pub target_bytes: u64,
    /// Bytes that are merged at a time.
    pub input_bytes: u64,
    /// Small files that a partition gathers before they are merged in the background.
    pub min_files: usize,
    /// Age of the newest small file of a partition at which fewer are merged as well.
    pub settled: Duration,
    /// Memory for sorting and for finding repeated rows, bytes; what is beyond is spilled to disk.
    pub memory: usize,
    /// How long files that are no longer part of a table stay, for those who read an older version.
    pub retention: Duration,
    /// Age of files that never were part of a table at which nobody can be about to commit them any more.
    pub orphans: Duration,
    /// How long log entries before a checkpoint stay.
    pub log_retention: Duration,
    /// Commits after which a checkpoint is written.
    pub checkpoint_commits: u64,
    /// How long a node stays the one that looks after the lake without saying so again.
    pub lease: Duration,
}

impl Default for Maintenance {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            interval: Duration::from_secs(60),
            small_bytes: 128 << 20,
            target_bytes: 256 << 20,
            input_bytes: 2 << 30,
            min_files: 8,
            settled: Duration::from_secs(600),
            memory: 1 << 30,
            retention: Duration::from_secs(7 * DAY),
            orphans: Duration::from_secs(7 * DAY),
            log_retention: Duration::from_secs(DAY),
            checkpoint_commits: 20,
            lease: Duration::from_secs(60),
        }
    }
}

/// Memory that all queries of one process share, bytes, when nobody says otherwise.
pub const DEFAULT_MEMORY_LIMIT: usize = 4 << 30;

/// MiB without which sorts cannot begin to go on with files.
pub const LEAST_MEMORY_MIB: usize = 64;

/// Missed runs of one report that are made up for after downtime.
pub const REPORT_CATCH_UP_RUNS: usize = 12;

/// Attempts at a run before it counts as failed.
pub const REPORT_ATTEMPTS: i64 = 3;

/// Wait before the second attempt at a run, microseconds; doubled for each further one.
pub const REPORT_RETRY_MICROS: i64 = 60_000_000;

/// Seconds between two looks at what is due.
pub const REPORT_TICK_SECONDS: u64 = 15;

/// How far outside its window a trace function reads, so that a trace that straddles the edge is whole. Microseconds.
pub const TRACE_MARGIN_MICROS: i64 = 3_600_000_000;

/// Groups that the traces of a relation are hashed into, as a power of two: what is in memory of a group is looked at at once.
pub const TRACE_BUCKET_BITS: u32 = 8;

/// Counts of spans of traces that are kept, as a power of two: one a row of the relation, but so many at least and at most.
pub const TRACE_CENSUS_BITS: std::ops::RangeInclusive<u32> = 12..=26;

/// Rows that a relation is taken to have that does not say.
pub const TRACE_CENSUS_UNKNOWN: usize = 1 << 22;

/// Rows of a partition after which traces are no more counted if their spans do not follow each other.
pub const TRACE_CENSUS_ROWS: usize = 65_536;

/// Spans of a group that are handed over together.
pub const TRACE_CHUNK_ROWS: usize = 1024;

/// Spans that are looked at before others get their turn.
pub const TRACE_TURN_ROWS: usize = 16_384;

/// How far before an event the calls are looked for that issued the sessions behind it. Microseconds. A session of
/// AWS lasts 36 hours at most, and one that is chained to it an hour.
pub const SESSION_LOOKBACK_MICROS: i64 = 7 * 86_400_000_000;

/// Where OTLP over HTTP and webhooks are received when nobody says otherwise.
pub const DEFAULT_OTLP_HTTP: &str = "127.0.0.1:4318";

/// Where OTLP over gRPC is received when nobody says otherwise.
pub const DEFAULT_OTLP_GRPC: &str = "127.0.0.1:4317";

/// Environment variable with the token that senders have to show (`Authorization: Bearer …`).
pub const INGEST_TOKEN_VARIABLE: &str = "ASCRIBE_INGEST_TOKEN";

/// Environment variable with the secret that GitHub signs its deliveries with.
pub const GITHUB_SECRET_VARIABLE: &str = "ASCRIBE_GITHUB_WEBHOOK_SECRET";

/// Environment variable with the token that GitLab sends with its deliveries.
pub const GITLAB_TOKEN_VARIABLE: &str = "ASCRIBE_GITLAB_WEBHOOK_TOKEN";

/// Environment variable with the secret that PagerDuty signs its deliveries with.
pub const PAGERDUTY_SECRET_VARIABLE: &str = "ASCRIBE_PAGERDUTY_WEBHOOK_SECRET";

/// How long a sender that is turned away is asked to wait.
pub const LIVE_RETRY: Duration = Duration::from_secs(1);

/// How long the body of a request may take to arrive.
pub const LIVE_BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests may take to be answered when the server ends.
pub const LIVE_GRACE: Duration = Duration::from_secs(20);

/// Requests of each kind that are remembered, so that one sent again does not land twice.
pub const LIVE_RECENT_REQUESTS: usize = 524_288;

/// Spans that are remembered, so that one sent again with others does not land twice.
pub const LIVE_RECENT_SPANS: usize = 1_048_576;

/// Identity events that are remembered for the same reason.
pub const LIVE_RECENT_EVENTS: usize = 131_072;

/// Identity events that an import remembers, so that one that its files bring again does not land twice.
pub const IMPORT_RECENT_EVENTS: usize = 4_194_304;

/// Commits to a table whose requests are remembered after a restart, or when another node made them.
pub const LIVE_RECENT_COMMITS: u64 = 600;

/// Bytes of requests that are worth another thread to decode.
pub const LIVE_DECODE_BYTES: usize = 1 << 20;

/// How often the counts of requests without rejections go to `system.ingests`.
pub const LIVE_TALLY_INTERVAL: Duration = Duration::from_secs(60);

/// Reasons of rejection that are told apart between two such writes; what is beyond is counted together.
pub const LIVE_TALLY_REASONS: usize = 100;

/// Environment variable that says which log lines are written, where no option does.
pub const LOG_LEVEL_VARIABLE: &str = "ASCRIBE_LOG_LEVEL";

/// Which log lines are written when nobody says otherwise.
pub const DEFAULT_LOG_LEVEL: &str = "warn";

/// Environment variable that says how log lines are written, where no option does.
pub const LOG_FORMAT_VARIABLE: &str = "ASCRIBE_LOG_FORMAT";

/// Environment variable of OpenTelemetry's with the name of the service that spans are of.
pub const SERVICE_NAME_VARIABLE: &str = "OTEL_SERVICE_NAME";

/// How long a connection that was ended may take to tell its client so.
pub const TERMINATION_GRACE: Duration = Duration::from_secs(1);

/// How long the last spans may take to be sent when the server ends.
pub const TRACES_GRACE: Duration = Duration::from_secs(5);

/// How live ingest gathers requests, and what it refuses.
#[derive(Debug, Clone)]
pub struct Live {
    /// Bytes of requests, decompressed, that are read or wait for their commit; a request beyond is refused.
    pub buffer_bytes: usize,
    /// Requests at a time.
    pub requests: usize,
    /// Bytes of one request, compressed and decompressed.
    pub request_bytes: usize,
    /// Bytes of requests that one commit takes.
    pub flush_bytes: usize,
    /// How long the first request of a commit waits for others.
    pub flush_interval: Duration,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            buffer_bytes: 256 << 20,
            requests: 8192,
            request_bytes: 20 << 20,
            flush_bytes: 64 << 20,
            flush_interval: Duration::from_secs(1),
        }
    }
}

/// Settings of one engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// Memory that queries share, bytes.
    pub memory_limit: usize,
    /// Memory that the queries of one session may have of it, bytes; 0 is all.
    pub session_memory_limit: usize,
    /// Threads that one query uses; 0 is one a core.
    pub target_partitions: usize,
    /// Rows in a batch between operators.
    pub batch_size: usize,
    /// Options of the object store, as `object_store` names them, over those of the environment.
    pub storage_options: HashMap<String, String>,
    /// Keys of pseudonyms, as the file of [`PSEUDONYM_KEYS_FILE_VARIABLE`] has them; none for those of the environment.
    pub pseudonym_keys: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory_limit: DEFAULT_MEMORY_LIMIT,
            session_memory_limit: 0,
            target_partitions: 0,
            batch_size: 8192,
            storage_options: HashMap::new(),
            pseudonym_keys: None,
        }
    }
}

/// The value of an environment variable, if it is set and not empty.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The way of the program's spans, as far as it is not its SDK that reads it from OpenTelemetry's variables
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracesTo {
    /// By gRPC and not by HTTP.
    pub grpc: bool,
    /// Over TLS.
    pub encrypted: bool,
}

/// The way of the program's spans, if OpenTelemetry's variables name a place for them.
#[must_use]
pub fn traces_to() -> Option<TracesTo> {
    traces_by(variable)
}

fn traces_by(variable: impl Fn(&str) -> Option<String>) -> Option<TracesTo> {
    let says = |name: &str, value: &str| variable(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    let of_exporter = |what: &str| {
        let own = variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"));
        own.or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{what}")))
    };
    let grpc = of_exporter("PROTOCOL").is_some_and(|protocol| protocol.eq_ignore_ascii_case("grpc"));
    of_exporter("ENDPOINT").map(|endpoint| TracesTo { grpc, encrypted: !endpoint.starts_with("http://") })
}

/// The lake that the environment or the default names.
#[must_use]
pub fn lake_url() -> String {
    variable(LAKE_VARIABLE).unwrap_or_else(|| DEFAULT_LAKE.to_owned())
}

/// The file that keeps what was typed at the interactive prompt.
#[must_use]
pub fn history_file() -> Option<PathBuf> {
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local").join("state")));
    state.map(|folder| folder.join("ascribe").join("history"))
}

/// Requests to the alerting service that a baseline needs before it may end at a silence.
pub const BASELINE_REQUESTS: i64 = 50;

/// Time with requests that a baseline needs before it may end at a silence. Microseconds.
pub const BASELINE_ACTIVE_MICROS: i64 = 60_000_000;

/// A stretch without requests that separates what is usual from something older. Microseconds.
pub const BASELINE_SILENCE_MICROS: i64 = 30_000_000;

/// How far before a short incident its baseline may reach. Microseconds.
pub const BASELINE_MIN_MICROS: i64 = 1_800_000_000;

/// How far before any incident its baseline may reach. Microseconds.
pub const BASELINE_MAX_MICROS: i64 = 21_600_000_000;

/// How far before an incident resource metrics are looked at. Microseconds.
pub const RESOURCE_BASELINE_MICROS: i64 = 3_600_000_000;

/// Spans that one attribution holds in memory; of more, a sample of whole traces is read.
pub const ATTRIBUTION_SPANS: u64 = 3_000_000;

/// How far before an incident changes are candidates. Microseconds.
pub const CHANGE_LOOKBACK_MICROS: i64 = 86_400_000_000;

/// Changes that are candidates of one incident at most, the latest ones.
pub const CANDIDATE_CHANGES: usize = 2000;

/// A recorded change and a version seen in spans this close together are one change. Microseconds.
pub const CHANGE_MATCH_MICROS: i64 = 1_800_000_000;

/// Time right before an incident that is neither usual nor surely part of it: onsets are never exact. Microseconds.
pub const ONSET_GUARD_MICROS: i64 = 60_000_000;

/// How late a gauge may be reported that stands for the time before it. Microseconds.
pub const RESOURCE_LAG_MICROS: i64 = 60_000_000;

/// How long before and after a change its impact is measured. Microseconds.
pub const IMPACT_WINDOW_MICROS: i64 = 1_800_000_000;

/// Rows of a join's smaller side that are sent to all partitions of the other rather than both sides be partitioned.
pub const BROADCAST_ROWS: usize = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_where_a_place_is_named_and_nobody_forbids_it() {
        let way = |given: &[(&str, &str)]| {
            traces_by(|name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        let place = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let http = Some(TracesTo { grpc: false, encrypted: false });
        let grpc = Some(TracesTo { grpc: true, encrypted: true });
        let by_grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4317");
        assert_eq!(way(&[]), None);
        assert_eq!(way(&[place]), http);
        assert_eq!(way(&[by_grpc]), None);
        assert_eq!(way(&[place, by_grpc, own]), grpc);
        assert_eq!(way(&[place, by_grpc, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")]), http);
        assert_eq!(way(&[place, ("OTEL_SDK_DISABLED", "True")]), None);
        assert_eq!(way(&[place, ("OTEL_SDK_DISABLED", "false")]), http);
        assert_eq!(way(&[place, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(way(&[place, ("OTEL_TRACES_EXPORTER", "otlp")]), http);
    }
}
