//! `ascribe maintain`

use std::process::ExitCode;

use ascribe::config::{Config, Maintenance};
use ascribe::error::{Result, plural};
use ascribe::maintenance::{self, Done, Eagerness, Maintainer};
use ascribe::storage::Lake;
use tokio::sync::watch;

use super::check::tables;
use super::serve::told_to_stop;
use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
pub(super) struct Maintain {
    #[command(flatten)]
    lake: LakeArgument,
    /// One round of whatever can be done, then end; without it, rounds of what is worth it until told to stop
    #[arg(long)]
    once: bool,
    /// Only this table; may be given many times
    #[arg(long, requires = "once")]
    table: Vec<String>,
    #[command(flatten)]
    settings: Upkeep,
}

/// How a lake is looked after, where it differs from the defaults.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Upkeep {
    /// How long files that are no longer part of a table stay, such as 7d
    #[arg(long, value_name = "TIME")]
    retention: Option<String>,
    /// Age at which files that never were part of a table are deleted, such as 7d
    #[arg(long, value_name = "TIME")]
    orphans: Option<String>,
    /// How long log entries before a checkpoint stay, such as 1d
    #[arg(long, value_name = "TIME")]
    log_retention: Option<String>,
    /// Files below this size are merged, mebibytes
    #[arg(long, value_name = "MIB")]
    small_file: Option<u64>,
    /// Size of a merged file, about, mebibytes
    #[arg(long, value_name = "MIB")]
    target_file: Option<u64>,
    /// How long a node stays the one that looks after the lake without saying so again, such as 60s
    #[arg(long, value_name = "TIME")]
    lease: Option<String>,
    /// Memory for sorting, mebibytes
    #[arg(long, value_name = "MIB")]
    maintain_memory: Option<usize>,
}

impl Upkeep {
    pub(super) fn resolve(&self) -> Result<Maintenance> {
        let defaults = Maintenance::default();
        let time = |given: &Option<String>, default| given.as_deref().map_or(Ok(default), maintenance::duration);
        Ok(Maintenance {
            retention: time(&self.retention, defaults.retention)?,
            orphans: time(&self.orphans, defaults.orphans)?,
            log_retention: time(&self.log_retention, defaults.log_retention)?,
            lease: time(&self.lease, defaults.lease)?,
            small_bytes: self.small_file.map_or(defaults.small_bytes, |mib| mib << 20),
            target_bytes: self.target_file.map_or(defaults.target_bytes, |mib| mib << 20),
            memory: self.maintain_memory.map_or(defaults.memory, |mib| mib << 20),
            ..defaults
        })
    }
}

impl Maintain {
    pub(super) async fn run(self) -> Ended {
        let lake = Lake::open(&self.lake.existing()?, &Config::default())?;
        let maintainer = Maintainer::new(&lake, self.settings.resolve()?)?;
        if self.once {
            for (table, done) in maintainer.once(&tables(&self.table)?, Eagerness::All).await? {
                print(table, &done);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let (stop, stopped) = watch::channel(false);
        let rounds = tokio::spawn(maintainer.run(stopped));
        told_to_stop().await?;
        stop.send(true).ok();
        rounds.await.ok();
        Ok(ExitCode::SUCCESS)
    }
}

fn print(table: &str, done: &Done) {
    let Done { compacted, expired, vacuumed, log } = done;
    let mut said = Vec::new();
    if compacted.files_before > 0 {
        said.push(format!(
            "{} {} of {} bytes merged into {} of {}",
            compacted.files_before,
            plural(compacted.files_before, "file"),
            compacted.bytes_before,
            compacted.files_after,
            compacted.bytes_after
        ));
    }
    let numbers = [
        (compacted.repeated, "repeated row", "dropped"),
        (compacted.given_up, "merge", "given up, for others changed the files"),
        (expired.rows, "row", "expired"),
        (vacuumed.files, "unneeded file", "deleted"),
        (log.cleaned, "log entry", "cleaned up"),
    ];
    let some = numbers.iter().filter(|(number, ..)| *number > 0);
    said.extend(some.map(|(number, noun, done)| format!("{number} {} {done}", plural(*number, noun))));
    if log.checkpoint {
        said.push("checkpoint written".to_owned());
    }
    if !said.is_empty() {
        println!("{table}: {}", said.join(", "));
    }
}
