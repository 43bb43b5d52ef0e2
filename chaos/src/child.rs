//! Processes of our own: the server, which is killed, and the swarm. None outlives the orchestrator.
//!
//! Each holds the reading end of a pipe as its standard input and ends with it ([`leash`]), however the orchestrator ends.

use std::ffi::OsString;
use std::io::BufRead;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{Outcome, swarm};

/// How long a process may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process whose end is ours.
#[derive(Debug)]
struct Owned {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Owned {
    fn start(arguments: impl IntoIterator<Item = OsString>) -> Outcome<Self> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("no process: {error}"))?;
        let orders = child.stdin.take().expect("stdin is piped");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Ok(Self { child, orders, lines })
    }

    async fn line(&mut self) -> Outcome<Option<String>> {
        self.lines.next_line().await.map_err(|error| error.to_string())
    }
}

/// One life of the server.
#[derive(Debug)]
pub(crate) struct Server {
    owned: Owned,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(folder: &std::path::Path, life: u64) -> Outcome<Self> {
        let journal = folder.join(format!("server-{life}"));
        let arguments: [OsString; 5] =
            ["server".into(), "--journal".into(), journal.into(), "--life".into(), life.to_string().into()];
        let mut owned = Owned::start(arguments)?;
        let line = timeout(PATIENCE, owned.line()).await.map_err(|_| "the server does not start")??;
        let line = line.ok_or("the server ended at its start")?;
        let address = line.parse().map_err(|_| format!("the server said `{line}` and no address"))?;
        Ok(Self { owned, address })
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Outcome<()> {
        self.owned.child.kill().await.map_err(|error| error.to_string())
    }

    /// Whether it ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.owned.child.try_wait().ok().flatten()
    }
}

/// All clients.
#[derive(Debug)]
pub(crate) struct Swarm(Owned);

impl Swarm {
    pub(crate) fn start(options: &swarm::Options) -> Outcome<Self> {
        let options = serde_json::to_string(options).map_err(|error| error.to_string())?;
        Owned::start(["swarm".into(), options.into()]).map(Self)
    }

    pub(crate) async fn order(&mut self, order: &str) -> Outcome<()> {
        let line = format!("{order}\n");
        self.0
            .orders
            .write_all(line.as_bytes())
            .await
            .map_err(|error| format!("the swarm does not listen: {error}"))
    }

    /// What it says next; an error when it is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: lines are kept until one is whole.
    pub(crate) async fn status(&mut self) -> Outcome<swarm::Status> {
        let line = self.0.line().await?.ok_or("the swarm ended without being asked")?;
        serde_json::from_str(&line).map_err(|error| format!("the swarm said `{line}`: {error}"))
    }

    /// Waits until it has ended, which was asked for.
    pub(crate) async fn end(mut self) -> Outcome<()> {
        let status = timeout(PATIENCE, self.0.child.wait()).await.map_err(|_| "the swarm does not end")?;
        let status = status.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the swarm ended with {status}")) }
    }
}

/// The lines of our standard input; the process ends `grace` after there are no more.
pub(crate) fn leash(grace: Duration) -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    // A thread and no task: it ends the process also when the runtime is stuck.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            // Nobody reads the lines of a server.
            let _ = sender.send(line);
        }
        drop(sender);
        std::thread::sleep(grace);
        std::process::exit(1);
    });
    lines
}
