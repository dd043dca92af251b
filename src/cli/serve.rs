//! `ascribe serve`

use std::process::ExitCode;

use ascribe::Database;
use ascribe::config::DEFAULT_LISTEN;
use ascribe::error::Result;
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

/// Serve until told to stop, then let running queries end.
pub(super) async fn serve(database: Database, listen: &str) -> Ended {
    let settings = Settings { listen: vec![listen.to_owned()], ..Settings::default() };
    let server = server::serve(database.clone(), settings).await?;
    let (stop, stopped) = watch::channel(false);
    let scheduler = tokio::spawn(Scheduler::new(database, reports::all()?).run(stopped));
    let at = server.local_addr();
    println!("\nListening. Connect with:\n\n  psql -h {} -p {} -U ascribe ascribe\n", at.ip(), at.port());
    told_to_stop().await?;
    stop.send(true).ok();
    server.shutdown().await;
    scheduler.await.ok();
    Ok(ExitCode::SUCCESS)
}

async fn told_to_stop() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
