//! `ascribe serve`

use std::process::ExitCode;

use ascribe::Database;
use ascribe::config::DEFAULT_LISTEN;
use ascribe::reports::{self, Scheduler};
use ascribe::server::{self, Serve as Settings};
use tokio::sync::watch;

use super::{Ended, LakeArgument};

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    lake: LakeArgument,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    listen: String,
}

impl Serve {
    pub(super) async fn run(self) -> Ended {
        let database = Database::open(&self.lake.url()).await?;
        serve(database, &self.listen).await
    }
}
