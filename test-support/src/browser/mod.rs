//! A real Chromium for end-to-end tests, driven over the DevTools protocol.
//!
//! Each [`Page`] is a window of its own with its own cookies and storage. Clicks and keys are real input
//! events. Waiting happens inside the page, frame by frame, so that no test sleeps.

mod connection;
mod page;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use connection::Connection;
pub use page::{Network, Page};

pub use crate::Error;

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running browser; killed when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    connection: Connection,
    profile: PathBuf,
}

impl Browser {
    /// Starts a headless browser with a fresh profile.
    ///
    /// # Errors
    ///
    /// When no browser is installed (the message names the command that installs one) or it does not start.
    pub async fn launch() -> Result<Self, Error> {
        Self::launch_with(&[]).await
    }

    /// As [`launch`](Self::launch), with further flags of the command line.
    ///
    /// # Errors
    ///
    /// As [`launch`](Self::launch).
    pub async fn launch_with(flags: &[&str]) -> Result<Self, Error> {
        let program = find_browser().ok_or(
            "no Chromium found: set CHROME to its path, or install it (Debian: `apt-get install chromium`)",
        )?;
        let profile = std::env::temp_dir().join(format!("bowline-browser-{}", unique()));
        let mut child = Command::new(&program)
            .args(FLAGS)
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut lines = BufReader::new(stderr).lines();
        let address = tokio::time::timeout(START_TIMEOUT, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    return Ok(address.trim().to_owned());
                }
            }
            Err::<String, Error>("the browser ended before it was ready".into())
        })
        .await
        .map_err(|_| "the browser was not ready within 60 s")??;
        // A full pipe would block the browser.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, connection: Connection::open(&address).await?, profile })
    }

    /// Opens `url` in a new window that shares nothing with the others.
    ///
    /// # Errors
    ///
    /// When the browser refuses.
    pub async fn open(&self, url: &str) -> Result<Page, Error> {
        let context = self.connection.call(None, "Target.createBrowserContext", json!({})).await?;
        let target = self
            .connection
            .call(
                None,
                "Target.createTarget",
                json!({"url": "about:blank", "browserContextId": context["browserContextId"], "width": 1000, "height": 800}),
            )
            .await?;
        let (target, context) = (&target["targetId"], &context["browserContextId"]);
        let page = Page::attach(self.connection.clone(), target, context).await?;
        page.navigate(url).await?;
        Ok(page)
    }

    /// Ends the browser and removes its profile.
    ///
    /// # Errors
    ///
    /// When the browser does not answer; it is killed then.
    pub async fn close(mut self) -> Result<(), Error> {
        let asked = self.connection.call(None, "Browser.close", json!({})).await;
        if tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        let _ = std::fs::remove_dir_all(&self.profile);
        asked.map(|_| ())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// The browser that tests use: `$CHROME`, else the usual names on `PATH`.
pub fn find_browser() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHROME") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    std::env::split_paths(&path)
        .find_map(|folder| names.iter().map(|name| folder.join(name)).find(|candidate| candidate.is_file()))
}

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
