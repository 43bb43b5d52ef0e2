//! Programs that a test starts, talks to and ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::Error;

/// How long a program may take to start, to say something and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server as a process of its own, which says on its standard output where it listens; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    address: String,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Program {
    /// Starts `command` and waits for its first line: `greeting`, followed by the address, `http://127.0.0.1:4010/`.
    ///
    /// # Errors
    ///
    /// When it does not start, or says something else.
    pub async fn start(command: &mut Command, greeting: &str) -> Result<Self, Error> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().ok_or("stdout is piped")?;
        let (said, mut lines) = mpsc::unbounded_channel();
        // Read to the end, since a full pipe would block the program.
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = said.send(line);
            }
        });
        let line = timeout(PATIENCE, lines.recv()).await.map_err(|_| "the program says nothing")?;
        let line = line.ok_or("the program ended at once")?;
        let address = line.strip_prefix(greeting).ok_or_else(|| format!("the program said `{line}`"))?;
        Ok(Self { child, address: address.to_owned(), lines })
    }

    /// The address of its first page.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it listens, on loopback.
    ///
    /// # Panics
    ///
    /// When its address has no port.
    pub fn socket(&self) -> SocketAddr {
        let digits = self.address.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
        (Ipv4Addr::LOCALHOST, digits.parse().expect("the address ends with a port")).into()
    }

    /// Ends it without a word, as a crash would, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub async fn kill(mut self) -> Result<(), Error> {
        Ok(self.child.kill().await?)
    }

    /// Sends it a signal by name, such as `TERM`.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub async fn signal(&self, name: &str) -> Result<(), Error> {
        let id = self.child.id().ok_or("the program has ended")?.to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().await?;
        if status.success() { Ok(()) } else { Err(format!("no signal {name} for {id}").into()) }
    }

    /// The next line that it says; `None` when it has ended.
    ///
    /// # Errors
    ///
    /// When it says nothing for 30 s.
    pub async fn line(&mut self) -> Result<Option<String>, Error> {
        Ok(timeout(PATIENCE, self.lines.recv()).await.map_err(|_| "the program says nothing")?)
    }

    /// Waits until it ends by itself; how it did.
    ///
    /// # Errors
    ///
    /// When it does not within 30 s.
    pub async fn ended(mut self) -> Result<ExitStatus, Error> {
        Ok(timeout(PATIENCE, self.child.wait()).await.map_err(|_| "the program does not end")??)
    }
}
