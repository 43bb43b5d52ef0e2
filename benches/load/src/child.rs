//! Processes of our own: the server and the clients. None outlives the conductor.
//!
//! Each holds the reading end of a pipe as its standard input and ends with it ([`leash`]), however the conductor ends.
//! An order is a line of JSON; its answer is a line too, after any number of lines that say how far it is.

use std::io::{BufRead, Write};
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::Outcome;

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said<T> {
    /// So much of the order is done; 0 once it is being done.
    Progress(u64),
    Done(T),
    Failed(String),
}

/// A process whose end is ours.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    /// Killed when this is dropped.
    _process: tokio::process::Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this program in another role.
    pub(crate) fn start(role: &'static str, options: &impl Serialize) -> Outcome<Self> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let options = serde_json::to_string(options).map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args([role, &options]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(|error| format!("no process for the {role}: {error}"))?;
        let orders = process.stdin.take().expect("stdin is piped");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        Ok(Self { name: role, _process: process, orders, lines })
    }

    /// Gives an order and waits for what comes of it, at most so long.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        order: &impl Serialize,
        within: Duration,
        progress: impl FnMut(u64),
    ) -> Outcome<T> {
        self.tell(order).await?;
        self.hear(within, progress).await
    }

    /// Gives an order.
    pub(crate) async fn tell(&mut self, order: &impl Serialize) -> Outcome<()> {
        let mut line = serde_json::to_string(order).map_err(|error| error.to_string())?;
        line.push('\n');
        let written = self.orders.write_all(line.as_bytes()).await;
        written.map_err(|error| format!("the {} does not listen: {error}", self.name))
    }

    /// Waits until the order that was given is being done.
    pub(crate) async fn begun(&mut self, within: Duration) -> Outcome<()> {
        match self.said::<serde::de::IgnoredAny>(within).await? {
            Said::Failed(sentence) => Err(format!("the {}: {sentence}", self.name)),
            Said::Progress(_) | Said::Done(_) => Ok(()),
        }
    }

    /// Waits for what comes of the order that was given.
    pub(crate) async fn hear<T: DeserializeOwned>(
        &mut self,
        within: Duration,
        mut progress: impl FnMut(u64),
    ) -> Outcome<T> {
        let until = tokio::time::Instant::now() + within;
        loop {
            match self.said(until.saturating_duration_since(tokio::time::Instant::now())).await? {
                Said::Progress(done) => progress(done),
                Said::Done(answer) => return Ok(answer),
                Said::Failed(sentence) => return Err(format!("the {}: {sentence}", self.name)),
            }
        }
    }

    async fn said<T: DeserializeOwned>(&mut self, within: Duration) -> Outcome<Said<T>> {
        let name = self.name;
        let line = timeout(within, self.lines.next_line()).await;
        let line = line.map_err(|_| format!("the {name} did not answer within {} s", within.as_secs()))?;
        let line = line.map_err(|error| error.to_string())?.ok_or(format!("the {name} ended by itself"))?;
        serde_json::from_str(&line).map_err(|error| format!("the {name} said `{line}`: {error}"))
    }
}

/// Says something to the conductor.
pub(crate) fn say<T: Serialize>(what: &Said<T>) {
    let line = serde_json::to_string(what).expect("numbers and sentences become JSON");
    let mut stdout = std::io::stdout().lock();
    // Fails when the conductor is gone, and then so are we.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// How far an order is, said at every fiftieth part of it.
#[derive(Debug)]
pub(crate) struct Counter {
    step: u64,
    done: u64,
}

impl Counter {
    /// Says that the order is being done.
    pub(crate) fn begin(whole: u64) -> Self {
        say(&Said::<()>::Progress(0));
        Self { step: (whole / 50).max(1), done: 0 }
    }

    pub(crate) fn count(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(self.step) {
            say(&Said::<()>::Progress(self.done));
        }
    }
}

/// The lines of our standard input; the process ends `grace` after there are no more.
pub(crate) fn leash(grace: Duration) -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    // A thread and no task: it ends the process also when the runtime is stuck.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            // Nobody reads the lines of a conductor.
            let _ = sender.send(line);
        }
        drop(sender);
        std::thread::sleep(grace);
        std::process::exit(1);
    });
    lines
}
