//! `cargo xtask test`: everything that must hold.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use crate::Outcome;
use crate::chaos;
use crate::setup::{self, Browser};
use crate::sim;
use crate::site::{self, Profile};
use crate::step::{cargo, execute, execute_reading, step, target};

/// Crates that run in a browser too, and the crates whose tests run in one.
const BROWSER_CRATES: [&str; 6] = [
    "bowline-protocol",
    "bowline-runtime",
    "bowline-rpc",
    "bowline-transport",
    "bowline-client",
    "bowline-leptos",
];
const BROWSER_TESTS: [(&str, &[&str]); 2] =
    [("bowline-transport", &["--lib", "--test", "web"]), ("bowline-leptos", &["--test", "web"])];

/// Everything that users name, for the documentation.
const DOCUMENTED: [&str; 10] = [
    "bowline",
    "bowline-protocol",
    "bowline-runtime",
    "bowline-rpc",
    "bowline-macros",
    "bowline-transport",
    "bowline-middleware",
    "bowline-server",
    "bowline-client",
    "bowline-leptos",
];

/// Passed and failed, over all checks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Counts what a test program says at its end.
    ///
    /// An ignored test counts as failed: a test that can't run must not look like one that holds.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result:") else { return };
        let count = |word: &str| {
            rest.split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<usize>().ok())
        };
        self.passed += count(" passed").unwrap_or(0);
        self.failed += count(" failed").unwrap_or(0) + count(" ignored").unwrap_or(0);
    }

    /// Counts a check that has no tests of its own.
    fn check(&mut self, result: Outcome<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(sentence) => {
                self.failed += 1;
                eprintln!("error: {sentence}");
            }
        }
    }

    /// Runs test programs and counts what they say; one that dies without a word is a failure too.
    fn tests(&mut self, what: &str, command: &mut Command) {
        let before = self.failed;
        let result = step(what, || execute_reading(command, |line| self.read(line)));
        if let Err(sentence) = result {
            eprintln!("error: {sentence}");
            if self.failed == before {
                self.failed += 1;
            }
        }
    }
}

/// Runs the checks whose name contains `only`.
fn run_all(only: Option<&str>) -> Outcome<(usize, usize)> {
    let wanted = |name: &str| only.is_none_or(|word| name.contains(word));
    let mut tally = Tally::default();
    if wanted("format") {
        tally.check(step("format", || execute(cargo().args(["fmt", "--all", "--check"]))));
    }
    let browser_needed = wanted("wasm") || wanted("browser") || wanted("host");
    let (tools, browser) = if browser_needed || wanted("lints") {
        setup::wasm_target()?;
        let browser = if browser_needed { Some(setup::browser()?) } else { None };
        (Some(setup::wasm_tools()?), browser)
    } else {
        (None, None)
    };
    if wanted("lints") {
        let mut all = cargo();
        all.args([
            "clippy",
            "--locked",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--exclude",
            "wasm-tools",
        ]);
        // What the comparison builds only when it is asked for, so that it does not rot.
        all.args(["--features", "bench/peers"]);
        tally.check(step("lints", || execute(all.args(["--", "-D", "warnings"]))));
        let mut wasm = cargo();
        wasm.args(["clippy", "--locked", "--quiet", "--target", "wasm32-unknown-unknown"]);
        for package in BROWSER_CRATES.into_iter().chain(site::PAGES.map(|page| page.package)) {
            wasm.args(["--package", package]);
        }
        tally.check(step("lints, in the browser", || execute(wasm.args(["--", "-D", "warnings"]))));
    }
    if wanted("docs") {
        let mut doc = cargo();
        doc.args(["doc", "--locked", "--quiet", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings");
        for package in DOCUMENTED {
            doc.args(["--package", package]);
        }
        tally.check(step("docs", || execute(&mut doc)));
    }
    if wanted("sim") {
        tally.tests("sim", &mut sim::command(sim::Options::default()));
    }
    if wanted("chaos") {
        tally.check(chaos::run(&chaos::Options { quick: true, ..chaos::Options::default() }));
    }
    if let (Some(tools), Some(browser)) = (&tools, &browser) {
        if wanted("wasm") {
            wasm_tests(&mut tally, tools, browser);
        }
        if wanted("host") || wanted("browser") {
            host_tests(&mut tally, tools, browser, !wanted("host"))?;
        }
    }
    Ok((tally.passed, tally.failed))
}

/// `cargo xtask test`.
pub(crate) fn run(only: Option<&str>) -> Outcome<ExitCode> {
    let (passed, failed) = run_all(only)?;
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every test of the workspace on the host; those of the demo and of the pages of tests and benchmarks drive a browser.
fn host_tests(tally: &mut Tally, tools: &Path, browser: &Browser, only_browser: bool) -> Outcome<()> {
    if !only_browser {
        // A scenario of the comparison counts system calls, also when it is tested.
        setup::strace()?;
    }
    let site = site::build(tools, Profile::Dev, &site::PAGES)?;
    let mut command = cargo();
    command
        .args(["test", "--locked", "--no-fail-fast"])
        .env("BOWLINE_SITE", site)
        .env("CHROME", &browser.chrome);
    if only_browser {
        let packages = ["--package", "demo", "--package", "test-page", "--package", site::BENCH.package];
        tally.tests("the demo and the pages of tests and benchmarks in a browser", command.args(packages));
    } else {
        tally.tests("tests", command.args(["--workspace", "--exclude", "wasm-tools"]));
        let mut ssr = cargo();
        ssr.args(["test", "--locked", "--package", "bowline-leptos", "--features", "ssr", "--test", "ssr"]);
        tally.tests("tests of pages rendered on a server", &mut ssr);
    }
    Ok(())
}

/// The tests that run inside a browser, against an echo server that is not our code.
fn wasm_tests(tally: &mut Tally, tools: &Path, browser: &Browser) {
    let echo = match step("starting an echo server", Echo::start) {
        Ok(echo) => echo,
        Err(sentence) => return tally.check(Err(sentence)),
    };
    let options = target().join("webdriver.json");
    if let Err(error) = std::fs::write(&options, webdriver_options(browser)) {
        return tally.check(Err(format!("{}: {error}", options.display())));
    }
    for (package, targets) in BROWSER_TESTS {
        let mut command = cargo();
        command
            .args(["test", "--locked", "--no-fail-fast", "--target", "wasm32-unknown-unknown"])
            // The profile of the pages, so that nothing is compiled twice.
            .args(["--profile", Profile::Dev.name(), "--package", package])
            .args(targets)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", tools.join("wasm-bindgen-test-runner"))
            .env("CHROMEDRIVER", &browser.driver)
            .env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", &options)
            .env("WASM_BINDGEN_TEST_TIMEOUT", "120")
            .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "30")
            .env("BOWLINE_TEST_ECHO", echo.port.to_string());
        tally.tests(&format!("tests in the browser: {package}"), &mut command);
    }
}

fn webdriver_options(browser: &Browser) -> String {
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ];
    let flags = flags.map(|flag| format!("\"{flag}\"")).join(", ");
    let chrome = browser.chrome.display().to_string().replace('\\', "\\\\");
    format!("{{\"goog:chromeOptions\": {{\"binary\": \"{chrome}\", \"args\": [{flags}]}}}}")
}

/// A plain WebSocket echo server on a free port; ended when dropped.
struct Echo {
    child: Child,
    port: u16,
}

impl Echo {
    fn start() -> Outcome<Self> {
        execute(cargo().args([
            "build",
            "--locked",
            "--quiet",
            "--package",
            "bowline-transport",
            "--example",
            "echo",
        ]))?;
        let program = target().join("debug").join("examples").join("echo");
        let spawned = Command::new(&program).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{}: {error}", program.display()))?;
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        let port =
            port_in(&line).ok_or_else(|| format!("the echo server said `{}` and no port", line.trim()))?;
        Ok(Self { child, port })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number at the end of a line.
fn port_in(line: &str) -> Option<u16> {
    line.trim().rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_are_added_up_and_ignored_ones_are_failures() {
        let mut tally = Tally::default();
        tally.read(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.1s",
        );
        tally.read("test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out");
        tally.read("test some::thing ... ok");
        assert_eq!(tally, Tally { passed: 15, failed: 3 });
        tally.check(Err("no".into()));
        tally.check(Ok(()));
        assert_eq!(tally, Tally { passed: 16, failed: 4 });
    }

    #[test]
    fn a_program_that_dies_silently_is_a_failure() {
        let mut tally = Tally::default();
        tally.tests("false", &mut Command::new("false"));
        assert_eq!(tally, Tally { passed: 0, failed: 1 });
    }

    #[test]
    fn the_port_is_the_last_number() {
        assert_eq!(port_in("listening on 127.0.0.1:4711\n"), Some(4711));
        assert_eq!(port_in("4711"), Some(4711));
        assert_eq!(port_in("none"), None);
    }
}
