//! Decoders: bytes of a source → rows of the canonical tables. Decoding is pure; reading files is `import.rs`'s.
//!
//! A source is one folder with one line in [`all`]. Live requests go through [`buffer::Buffer`]; [`mapped::Mapped`] is a source
//! that a lake describes, and [`watch::Watch`] imports what is delivered to a place.

pub mod alertmanager;
pub mod argocd;
pub mod audit;
pub mod azure_activity;
pub mod backstage;
pub mod buffer;
pub mod cdevents;
pub mod cloudtrail;
pub mod codeowners;
pub mod decimal;
pub mod delimited;
mod files;
pub mod focus;
pub mod gcp_audit;
pub mod github;
pub mod github_audit;
pub mod gitlab;
mod import;
mod incidents;
mod ingests;
pub mod json;
pub mod json_records;
pub mod k8s_audit;
pub mod kubernetes;
pub mod mapped;
pub mod ocsf;
pub mod okta;
pub mod openlineage;
pub mod openslo;
mod ownership;
pub mod pagerduty;
pub mod parquet_file;
mod parquet_footer;
mod recent;
mod rewrite;
#[cfg(test)]
mod survey;
pub mod tabular;
#[cfg(test)]
pub mod testing;
pub mod times;
pub mod watch;
pub mod workload;
pub mod yaml;

use std::collections::BTreeMap;
use std::io::BufRead;

use datafusion::arrow::array::RecordBatch;

use crate::error::Result;
use crate::model::{self, RowBuilder, Table};

pub mod jaeger;
pub mod otlp;
pub mod telemetry;
pub mod zipkin;

pub use import::{Progress, REJECTED_OF, Summary, import};

/// Rows that one builder collects before they are handed on.
pub const ROWS_PER_BATCH: usize = 16_384;

/// Bytes of text that one builder collects before they are handed on. What many rows share, such as the attributes of
/// a resource, is in each of them.
pub const BYTES_PER_BATCH: usize = 64 << 20;

/// Columns that a file may have.
pub const MAX_COLUMNS: usize = 10_000;

/// What the reason says of a record that was understood but tells nothing that Ascribe keeps. It does not count as
/// rejected.
pub const NOT_USED: &str = "not used";

/// What the reason says of a record that a sender delivered again; it is [`NOT_USED`].
const LANDED_BEFORE: &str = "not used: it had landed before";

/// Longest sample of a rejected record that is kept, in characters.
pub const SAMPLE_CHARS: usize = 200;

/// A kind of input file.
pub trait Source: std::fmt::Debug + Sync {
    /// Name on the command line and in the column `source`.
    fn name(&self) -> &'static str;
    /// One line for people: what it reads and where it lands.
    fn doc(&self) -> &'static str;
    /// Whether a delivery takes the place of what the same export delivered before for the same billing period. All
    /// files of an import are one delivery then.
    fn replaces(&self, _options: &Options) -> bool {
        false
    }
    /// Whether it lands in any table: the one of [`Options::table`].
    fn is_generic(&self) -> bool {
        false
    }
    /// The tables that it lands in where it is received live.
    fn tables(&self) -> Vec<&'static Table> {
        vec![&model::ownership::INCIDENTS, &model::change::CHANGES]
    }
    /// Whether it reads [`Options::set`].
    fn takes_set(&self) -> bool {
        self.is_generic()
    }
    /// Decode one file. A record that cannot be understood is rejected with [`Output::reject`] and the rest lands;
    /// an error is only for input that cannot be read at all.
    ///
    /// # Errors
    /// When the file as a whole is not what the source reads, or `output` cannot take more rows.
    fn decode(&self, input: Input<'_>, output: &mut Output<'_>) -> Result<()>;
}

/// One file to decode, already decompressed.
pub struct Input<'a> {
    /// Path or URL, for messages and for sources that name files.
    pub origin: &'a str,
    /// SHA-256 of the content, lowercase hex.
    pub content_hash: &'a str,
    /// The content.
    pub reader: &'a mut dyn BufRead,
    /// What the user said on the command line.
    pub options: &'a Options,
    /// When the import began, microseconds since the epoch, for records that carry no time of their own.
    pub now: i64,
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Options of an import that a source may look at.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Target table of the generic sources.
    pub table: Option<String>,
    /// `target=source` column mappings of the generic sources.
    pub map: Vec<(String, String)>,
    /// `target=value`: what every row has in a column, for the sources that take it.
    pub set: Vec<(String, String)>,
    /// Whether a bill of which records were rejected may take the place of one that is there.
    pub accept_rejections: bool,
}

/// Takes finished batches of a table.
pub type Flush<'a> = dyn FnMut(&'static Table, RecordBatch) -> Result<()> + 'a;

/// A reason for which records did not land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejections {
    /// How many records.
    pub count: u64,
    /// Whether they were understood and are only [`NOT_USED`].
    pub unused: bool,
    /// The first of them, shortened.
    pub sample: String,
}

macro_rules! output {
    ($( $(#[$doc:meta])* $field:ident: $builder:ty, )+) => {
        /// Where a decoder puts its rows.
        pub struct Output<'a> {
            $( $(#[$doc])* pub $field: Rows<$builder>, )+
            source: &'static str,
            ingested_at: i64,
            rejected: BTreeMap<String, Rejections>,
            handed: u64,
            flush: &'a mut Flush<'a>,
        }

        impl<'a> Output<'a> {
            /// An empty output; `flush` takes the batches as they fill up.
            pub fn new(source: &'static str, ingested_at: i64, flush: &'a mut Flush<'a>) -> Self {
                let rejected = BTreeMap::new();
                Self { $( $field: Rows::default(), )+ source, ingested_at, rejected, handed: 0, flush }
            }

            /// Hand full batches on. Decoders call it between records, as often as they like.
            ///
            /// # Errors
            /// When the batches cannot be taken.
            pub fn checkpoint(&mut self) -> Result<()> {
                $( if self.$field.is_full() {
                    for batch in self.$field.finish(self.source, self.ingested_at) {
                        self.batch(<$builder>::table(), batch)?;
                    }
                } )+
                Ok(())
            }

            /// Rows so far, over all tables.
            #[must_use]
            pub fn rows(&self) -> u64 {
                self.handed $( + self.$field.len() )+
            }

            /// Hand on what is left and tell what was rejected, by reason.
            ///
            /// # Errors
            /// When the batches cannot be taken.
            pub fn finish(mut self) -> Result<BTreeMap<String, Rejections>> {
                $( for batch in self.$field.finish(self.source, self.ingested_at) {
                    (self.flush)(<$builder>::table(), batch)?;
                } )+
                Ok(self.rejected)
            }
        }

        impl std::fmt::Debug for Output<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Output").field("source", &self.source).field("rejected", &self.rejected).finish_non_exhaustive()
            }
        }
    };
}

output! {
    /// Rows of `spans`.
    spans: model::telemetry::SpanBuilder,
    /// Rows of `logs`.
    logs: model::telemetry::LogBuilder,
    /// Rows of `metric_points`.
    metric_points: model::telemetry::MetricPointBuilder,
    /// Rows of `changes`.
    changes: model::change::ChangeBuilder,
    /// Rows of `costs`.
    costs: model::cost::CostBuilder,
    /// Rows of `iam_events`.
    iam_events: model::identity::IamEventBuilder,
    /// Rows of `ownership`.
    ownership: model::ownership::OwnershipBuilder,
    /// Rows of `slos`.
    slos: model::ownership::SloBuilder,
    /// Rows of `incidents`.
    incidents: model::ownership::IncidentBuilder,
    /// Rows of `scaling_events`.
    scaling_events: model::platform::ScalingEventBuilder,
    /// Rows of `lineage_runs`.
    lineage_runs: model::platform::LineageRunBuilder,
}

impl Output<'_> {
    /// Count a record that does not land, under a reason that is the same for all records of its kind. A reason that
    /// says [`NOT_USED`] is no rejection.
    pub fn reject(&mut self, reason: &str, record: &str) {
        if let Some(seen) = self.rejected.get_mut(reason) {
            seen.count += 1;
            return;
        }
        let sample = record.chars().take(SAMPLE_CHARS).collect();
        let unused = reason.contains(NOT_USED);
        self.rejected.insert(reason.to_owned(), Rejections { count: 1, unused, sample });
    }

    /// What was rejected since this was last asked, by reason.
    pub fn take_rejected(&mut self) -> BTreeMap<String, Rejections> {
        std::mem::take(&mut self.rejected)
    }

    /// Hand on a batch that a source made itself, such as a Parquet file's.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub fn batch(&mut self, table: &'static Table, batch: RecordBatch) -> Result<()> {
        self.handed += batch.num_rows() as u64;
        (self.flush)(table, batch)
    }

    /// The name of the source, for batches that a source makes itself.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// When the rows are landed, microseconds since the epoch.
    #[must_use]
    pub fn ingested_at(&self) -> i64 {
        self.ingested_at
    }
}

/// Rows of one table being collected: builders that are full, and the one that takes the next row.
#[derive(Default)]
pub struct Rows<B> {
    full: Vec<B>,
    open: B,
}

impl<B: RowBuilder> Rows<B> {
    /// Append one row.
    pub fn push(&mut self, row: &B::Row<'_>) {
        self.open.append(row);
        if self.open.len() >= ROWS_PER_BATCH || self.open.text_bytes() >= BYTES_PER_BATCH {
            self.full.push(std::mem::take(&mut self.open));
        }
    }

    fn is_full(&self) -> bool {
        !self.full.is_empty()
    }

    fn len(&self) -> u64 {
        self.full.iter().chain([&self.open]).map(|builder| builder.len() as u64).sum()
    }

    /// The rows as batches; nothing is left.
    fn finish(&mut self, source: &str, ingested_at: i64) -> Vec<RecordBatch> {
        let builders = self.full.drain(..).chain([std::mem::take(&mut self.open)]);
        builders.filter(|rows| !rows.is_empty()).map(|mut rows| rows.finish(source, ingested_at)).collect()
    }
}

impl<B> std::fmt::Debug for Rows<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rows")
    }
}

/// Every source, in the order in which help shows them.
#[must_use]
pub fn all() -> Vec<&'static dyn Source> {
    vec![
        &otlp::Otlp,
        &jaeger::Jaeger,
        &zipkin::Zipkin,
        &cloudtrail::CloudTrail,
        &gcp_audit::GcpAudit,
        &azure_activity::AzureActivity,
        &k8s_audit::K8sAudit,
        &okta::Okta,
        &github_audit::GitHubAudit,
        &ocsf::Ocsf,
        &focus::Focus,
        &github::GitHub,
        &gitlab::GitLab,
        &argocd::ArgoCd,
        &kubernetes::Kubernetes,
        &cdevents::CdEvents,
        &alertmanager::Alertmanager,
        &pagerduty::PagerDuty,
        &openlineage::OpenLineage,
        &backstage::Backstage,
        &codeowners::CodeOwners,
        &openslo::OpenSlo,
        &tabular::Csv,
        &tabular::Parquet,
    ]
}

/// The source of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Source> {
    all().into_iter().find(|source| source.name() == name)
}
