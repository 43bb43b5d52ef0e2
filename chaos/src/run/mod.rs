//! The orchestrator: starts everything, breaks it, and asks the oracle.

mod phases;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::Outcome;
use report::Report;

/// What a run is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) clients: u64,
    /// Links that are cut, for each client.
    pub(crate) cuts: u64,
    /// Reliable messages, in each direction, of all clients.
    pub(crate) messages: u64,
    /// How often the server is killed.
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    /// Where the results go as JSON.
    pub(crate) json: Option<PathBuf>,
    /// Ends with its standard input, as it does where another program starts it.
    pub(crate) leashed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { clients: 200, cuts: 10, messages: 200_000, kills: 5, seed: 1, json: None, leashed: false }
    }
}

impl Options {
    /// Small enough for every test run.
    pub(crate) fn quick() -> Self {
        Self { clients: 20, cuts: 3, messages: 20_000, kills: 2, ..Self::default() }
    }

    /// How long the whole run may take: what hangs is ended, and counts as hanging.
    fn limit(&self) -> Duration {
        Duration::from_secs(120 + self.clients * self.cuts / 10 + self.messages / 500 + self.kills * 60)
    }
}

/// Runs everything and prints the results; an error where a rule was broken.
pub(crate) async fn run(options: Options) -> Outcome<()> {
    let folder =
        tempfile::Builder::new().prefix("bowline-chaos-").tempdir().map_err(|error| error.to_string())?;
    let start = Instant::now();
    let limit = options.limit();
    let mut report = Report::new(&options);
    let ran = timeout(limit, phases::all(&options, folder.path(), &mut report)).await;
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(sentence)) => report.broke(sentence),
        Err(_) => report.broke(format!("the run was not over after {} s", limit.as_secs())),
    }
    report.took(start.elapsed());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    print!("{}", report.table());
    if report.broken() == 0 {
        return Ok(());
    }
    Err(format!(
        "{} broken rules; the journals are in {}; again with `cargo xtask chaos --seed {} --clients {} --cuts {} \
         --messages {} --kills {}`",
        report.broken(),
        folder.keep().display(),
        options.seed,
        options.clients,
        options.cuts,
        options.messages,
        options.kills
    ))
}
