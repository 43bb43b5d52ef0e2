//! The demo as a process of its own, and people in front of it.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::path::Path;

use bowline_test_support::browser::{Browser, Error, Page};
use bowline_test_support::process::Program;
use tokio::process::Command;

/// The demo on `port`, 0 for a free one, with the pages that browsers load.
pub(crate) async fn serve(port: u16, database: &Path) -> Result<Program, Error> {
    let site = std::env::var_os("BOWLINE_SITE")
        .ok_or("the pages are not built: these tests run with `cargo xtask test --only browser`")?;
    serve_from(port, database, Path::new(&site)).await
}

/// The demo with whatever lies in `site`.
pub(crate) async fn serve_from(port: u16, database: &Path, site: &Path) -> Result<Program, Error> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["--port", &port.to_string(), "--database"]).arg(database).arg("--site").arg(site);
    Program::start(&mut command, "Bowline demo: ").await
}

/// A demo with an empty chat, and a browser in front of it.
pub(crate) struct Stage {
    pub(crate) demo: Program,
    pub(crate) browser: Browser,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn set() -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let demo = serve(0, &folder.path().join("chat.db")).await?;
        Ok(Self { demo, browser: Browser::launch().await?, _folder: folder })
    }

    /// Somebody who has come into the chat.
    pub(crate) async fn enter(&self, name: &str) -> Result<Page, Error> {
        enter(&self.browser, self.demo.address(), name).await
    }
}

pub(crate) async fn enter(browser: &Browser, address: &str, name: &str) -> Result<Page, Error> {
    let page = browser.open(&format!("{address}chat/")).await?;
    page.fill("#name", name).await?;
    page.click("#enter").await?;
    page.wait_text("#state", "live").await?;
    page.wait_text("#members", name).await?;
    Ok(page)
}

pub(crate) async fn say(page: &Page, text: &str) -> Result<(), Error> {
    page.fill("#text", text).await?;
    page.press("Enter", 13).await
}
