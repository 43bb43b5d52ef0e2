//! `cargo xtask bench --browser`: Bowline in a real browser, beside sockets that are written by hand.

use std::ffi::OsString;

use crate::Outcome;
use crate::setup;
use crate::site::{self, Profile};
use crate::step::{cargo, execute, execute_reading, step, target};

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) json: Option<OsString>,
}

/// Builds the page as users get it, starts the host, and lets it drive a browser.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    setup::wasm_target()?;
    let tools = setup::wasm_tools()?;
    let browser = setup::browser()?;
    let site = site::build(&tools, Profile::Release, &[site::BENCH])?;
    let program = site::BENCH.package;
    step("building the host", || {
        let build =
            ["build", "--locked", "--quiet", "--profile", "measured", "--package", program, "--bin", program];
        execute(cargo().args(build))
    })?;
    step("measuring", || {
        let mut host = std::process::Command::new(target().join("measured").join(program));
        host.env("CHROME", &browser.chrome).arg("--site").arg(site.join(program)).args(options.arguments());
        execute_reading(&mut host, |_| ())
    })
}

impl Options {
    fn arguments(&self) -> Vec<OsString> {
        let quick = self.quick.then(|| "--quick".into());
        let json = self.json.iter().flat_map(|path| ["--json".into(), path.clone()]);
        quick.into_iter().chain(json).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_reaches_the_host() {
        assert!(Options::default().arguments().is_empty());
        let all = Options { quick: true, json: Some("out".into()) };
        assert_eq!(all.arguments(), ["--quick", "--json", "out"]);
    }
}
