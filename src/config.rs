//! Every setting: its name, default, unit and limit. The only reader of the environment.

use std::collections::HashMap;
use std::path::PathBuf;

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

/// Commits that are retried when other writers were faster.
pub const COMMIT_RETRIES: usize = 100;

/// Memory that all queries of one process share, bytes, when nobody says otherwise.
pub const DEFAULT_MEMORY_LIMIT: usize = 4 << 30;

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

/// How far before an event the calls are looked for that issued the sessions behind it. Microseconds. A session of
/// AWS lasts 36 hours at most, and one that is chained to it an hour.
pub const SESSION_LOOKBACK_MICROS: i64 = 7 * 86_400_000_000;

/// Settings of one engine.
#[derive(Debug, Clone)]
pub struct Config {
    /// Memory that queries share, bytes.
    pub memory_limit: usize,
    /// Threads that one query uses; 0 is one a core.
    pub target_partitions: usize,
    /// Rows in a batch between operators.
    pub batch_size: usize,
    /// Options of the object store, as `object_store` names them, over those of the environment.
    pub storage_options: HashMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory_limit: DEFAULT_MEMORY_LIMIT,
            target_partitions: 0,
            batch_size: 8192,
            storage_options: HashMap::new(),
        }
    }
}

/// The value of an environment variable, if it is set and not empty.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
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
