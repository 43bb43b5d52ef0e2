//! The server, the relay in front of it and the page, and what each end has written down.
#![allow(dead_code, reason = "no test file uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bowline_test_support::browser::{Browser, Error, Network, Page};
use bowline_test_support::process::Program;
use bowline_test_support::relay::Relay;
use serde_json::Value;
use tokio::process::Command;

pub(crate) struct Stage {
    pub(crate) relay: Relay,
    pub(crate) browser: Browser,
    folder: tempfile::TempDir,
}

/// A server on `port`, with the journal that all servers of one stage share.
pub(crate) async fn serve(journal: &Path, port: u16) -> Result<Program, Error> {
    let site = std::env::var_os("BOWLINE_SITE")
        .ok_or("the pages are not built: these tests run with `cargo xtask test --only browser`")?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-page"));
    command.args(["--port", &port.to_string(), "--journal"]).arg(journal);
    command.arg("--site").arg(PathBuf::from(site).join("test-page"));
    Program::start(&mut command, "test page: ").await
}

impl Stage {
    /// A server, a relay in front of it, and a browser.
    pub(crate) async fn set() -> Result<(Self, Program), Error> {
        Self::set_with(&[]).await
    }

    /// The same with further flags for the browser.
    pub(crate) async fn set_with(flags: &[&str]) -> Result<(Self, Program), Error> {
        let folder = tempfile::tempdir()?;
        let server = serve(&folder.path().join("journal"), 0).await?;
        let relay = Relay::start(Some(server.socket())).await?;
        let browser = Browser::launch_with(flags).await?;
        Ok((Self { relay, browser, folder }, server))
    }

    /// Another server beside those there are; at the same port if they are gone.
    pub(crate) async fn serve(&self, port: u16) -> Result<Program, Error> {
        serve(&self.journal(), port).await
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// The page, live.
    pub(crate) async fn open(&self) -> Result<Page, Error> {
        let page = self.browser.open(&self.address()).await?;
        page.wait("trial.numbers.length > 2 && trial.log.length > 2").await?;
        Ok(page)
    }

    /// The address of the page, through the relay.
    pub(crate) fn address(&self) -> String {
        let address: SocketAddr = self.relay.address();
        format!("http://{address}/")
    }

    /// The numbers that reached the server in calls of a kind, in order.
    pub(crate) async fn reached(&self, page: &Page, kind: &str) -> Result<Vec<u64>, Error> {
        let id = page.eval("trial.page.toFixed(0)").await?;
        self.reached_from(id.as_str().ok_or("the page has a number")?, kind)
    }

    /// The same for a page that is gone.
    pub(crate) fn reached_from(&self, page: &str, kind: &str) -> Result<Vec<u64>, Error> {
        let start = format!("{kind} {page} ");
        let journal = std::fs::read_to_string(self.journal())?;
        Ok(journal.lines().filter_map(|line| line.strip_prefix(&start)?.parse().ok()).collect())
    }

    /// Waits until ten more of everything went through.
    pub(crate) async fn both_ways(&self, page: &Page) -> Result<(), Error> {
        page.eval("trial.mark = ['numbers', 'log', 'calls', 'effects'].map(list => [list, trial[list].length + 10])")
            .await?;
        page.wait("trial.mark.every(([list, length]) => trial[list].length >= length)").await
    }

    /// Ends the sending, and waits until every call has its answer.
    pub(crate) async fn quiet(&self, page: &Page) -> Result<(), Error> {
        page.eval("trial.sending = false").await?;
        page.wait("trial.calls.length === trial.asked && trial.effects.length === trial.asked").await
    }
}

/// What the page has in one of its lists.
pub(crate) async fn list(page: &Page, name: &str) -> Result<Vec<String>, Error> {
    let value = page.eval(&format!("trial.{name}")).await?;
    let lines = value.as_array().ok_or("a list")?;
    Ok(lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect())
}

/// A server's sessions with and without a link, begun and resumed.
pub(crate) async fn stats(page: &Page) -> Result<Vec<u64>, Error> {
    let text = page.eval("fetch('/stats').then(answer => answer.text())").await?;
    let Value::String(text) = text else { return Err("no stats".into()) };
    Ok(text.split(' ').filter_map(|number| number.parse().ok()).collect())
}

/// Waits until those are as `wanted`, an expression over `attached`, `detached`, `begun` and `resumed`; seen from any page of the
/// same server.
pub(crate) async fn until_stats(page: &Page, wanted: &str) -> Result<(), Error> {
    let script = format!(
        "(async () => {{ const end = performance.now() + 30000; let text = ''; while (performance.now() < end) {{ \
         text = await fetch('/stats').then(answer => answer.text()); \
         const [attached, detached, begun, resumed] = text.split(' ').map(Number); \
         if ({wanted}) return ''; await new Promise(done => setTimeout(done, 20)); }} return text; }})()"
    );
    match page.eval(&script).await? {
        Value::String(text) if text.is_empty() => Ok(()),
        stats => Err(format!("the server never came to {wanted}: {stats}").into()),
    }
}

/// The states in which a page can call and listen, and in which it looks for a way to.
pub(crate) const LIVE: &str = "trial.states.at(-1).startsWith('live')";
pub(crate) const AWAY: &str = "trial.states.at(-1).startsWith('reconnecting')";

/// Offline and online again.
pub(crate) async fn toggle(page: &Page) -> Result<(), Error> {
    page.network(Network::Offline).await?;
    page.network(Network::Online).await
}

/// The rounds of calls that the page made.
pub(crate) async fn asked(page: &Page) -> Result<u64, Error> {
    Ok(page.eval("trial.asked").await?.as_f64().ok_or("a number")? as u64)
}

/// Each number once and in order, from 0 to the last.
pub(crate) fn assert_each_once(what: &str, numbers: &[u64]) {
    assert!(!numbers.is_empty(), "{what}: none");
    for (place, number) in numbers.iter().enumerate() {
        assert_eq!(*number, place as u64, "{what}: lost, doubled or out of order at {place}");
    }
}

/// One run of a stream with every item once and in order, and nothing that says that some are missing.
pub(crate) fn assert_whole_run(what: &str, items: &[String]) {
    let runs = runs(what, items);
    assert_eq!(runs.len(), 1, "{what}: it was started anew");
    assert_each_once(what, &runs[0].1);
}

/// The runs of a stream, each with its numbers. Between two stands a gap, and nowhere else.
pub(crate) fn runs(what: &str, items: &[String]) -> Vec<(String, Vec<u64>)> {
    let mut runs: Vec<(String, Vec<u64>)> = Vec::new();
    let mut after_gap = true;
    for item in items {
        if item == "gap" {
            assert!(!after_gap, "{what}: two gaps in a row");
            after_gap = true;
            continue;
        }
        let (run, number) = item.split_once(':').unwrap_or_else(|| panic!("{what}: {item}"));
        let number = number.parse().unwrap();
        if after_gap {
            assert!(runs.last().is_none_or(|last| last.0 != run), "{what}: a gap inside of run {run}");
            runs.push((run.to_owned(), Vec::new()));
        }
        let last = runs.last_mut().unwrap();
        assert_eq!(last.0, run, "{what}: another run and no gap before it");
        last.1.push(number);
        after_gap = false;
    }
    runs
}

/// Checks the whole sequence of states: each as the one before allows. Returns how it was live, each time.
pub(crate) fn arrivals(states: &[String]) -> Vec<String> {
    let mut arrivals = Vec::new();
    let mut last: Option<&str> = None;
    let mut attempt = 0;
    for state in states {
        let words: Vec<&str> = state.split(' ').collect();
        let legal = match (words[0], last) {
            ("connecting", None) => true,
            ("live", Some("connecting" | "reconnecting")) => {
                attempt = 0;
                arrivals.push(words[1..].join(" "));
                // The first session is new, and no later one.
                (words[1] == "new") == (arrivals.len() == 1)
            }
            ("reconnecting", Some("live" | "reconnecting" | "connecting")) => {
                let number: u32 = words[1].parse().unwrap();
                let goes_up = number >= attempt;
                attempt = number;
                goes_up
            }
            _ => false,
        };
        assert!(legal, "`{state}` after `{last:?}` in {states:?}");
        last = Some(words[0]);
    }
    arrivals
}
