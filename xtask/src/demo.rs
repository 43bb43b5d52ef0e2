//! `cargo xtask demo`: the examples in a browser.

use std::ffi::OsString;
use std::process::Stdio;

use crate::Outcome;
use crate::setup;
use crate::site::{self, Profile};
use crate::step::{cargo, execute, step, target};

/// What the command line asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The port on 127.0.0.1; 0 for a free one.
    pub(crate) port: u16,
    /// Where the chat keeps its history.
    pub(crate) database: Option<OsString>,
    /// Whether the pages are optimised.
    pub(crate) release: bool,
}

/// The server as a program.
pub(crate) fn server(options: &Options, site: &std::path::Path) -> std::process::Command {
    let database = options.database.clone().unwrap_or_else(|| target().join("demo").join("chat.db").into());
    let mut server = std::process::Command::new(target().join("debug").join("demo"));
    server
        .arg("--port")
        .arg(options.port.to_string())
        .arg("--site")
        .arg(site)
        .arg("--database")
        .arg(database);
    server.stdin(Stdio::null());
    server
}

/// `cargo xtask demo`.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    // Said before minutes of building, not after.
    if options.port != 0
        && let Err(error) = std::net::TcpListener::bind(("127.0.0.1", options.port))
    {
        return Err(format!(
            "port {} can't be used: {error}. Choose another with --port N, or leave it out for a free one",
            options.port
        ));
    }
    setup::wasm_target()?;
    let tools = setup::wasm_tools()?;
    let profile = if options.release { Profile::Release } else { Profile::Dev };
    let site = site::build(&tools, profile, &site::EXAMPLES)?;
    step("building the server", || execute(cargo().args(["build", "--locked", "--package", "demo"])))?;
    become_server(server(options, &site))
}

/// The server takes the place of this program, so that whoever ends this one ends the server, and sees how it ends.
#[cfg(unix)]
fn become_server(mut server: std::process::Command) -> Outcome<()> {
    let error = std::os::unix::process::CommandExt::exec(&mut server);
    Err(format!("the server does not start: {error}"))
}

#[cfg(not(unix))]
fn become_server(mut server: std::process::Command) -> Outcome<()> {
    match server.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the server ended with {status}")),
        Err(error) => Err(format!("the server does not start: {error}")),
    }
}
