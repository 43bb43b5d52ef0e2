//! What a bare machine lacks: the wasm target, wasm-bindgen's tools, a browser, valgrind, strace.

use std::path::PathBuf;
use std::process::Command;

use crate::Outcome;
use crate::step::{cargo, execute, find, output, step, target};

const WASM: &str = "wasm32-unknown-unknown";

/// Installs Rust's standard library for the browser, if it is not there.
pub(crate) fn wasm_target() -> Outcome<()> {
    let there = output(Command::new("rustc").args(["--print", "target-libdir", "--target", WASM]))
        .is_some_and(|folder| PathBuf::from(folder.trim()).is_dir());
    if there {
        return Ok(());
    }
    step("installing Rust's wasm32 target (rustup)", || {
        execute(Command::new("rustup").args(["target", "add", WASM])).map_err(|error| {
            format!(
                "{error}\nRust can't build for the browser here. Install its target: rustup target add {WASM}"
            )
        })
    })
}

/// The tools of wasm-bindgen, built from our lock file; the result is the folder that holds them.
pub(crate) fn wasm_tools() -> Outcome<PathBuf> {
    step("building wasm-bindgen's tools (some minutes the first time)", || {
        execute(cargo().args([
            "build",
            "--locked",
            "--quiet",
            "--profile",
            "tools",
            "--package",
            "wasm-tools",
        ]))
    })?;
    Ok(target().join("tools"))
}

/// A Chromium and its driver, for tests.
#[derive(Debug)]
pub(crate) struct Browser {
    /// The browser.
    pub(crate) chrome: PathBuf,
    /// The WebDriver server that goes with it.
    pub(crate) driver: PathBuf,
}

/// Finds a browser, or installs Debian's.
pub(crate) fn browser() -> Outcome<Browser> {
    if let Some(browser) = find_browser() {
        return Ok(browser);
    }
    let command = "apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver";
    let missing = format!(
        "no Chromium and chromedriver found. Set CHROME and CHROMEDRIVER to their paths, or install both (Debian: `{command}`)"
    );
    install("a browser for the tests", command, &missing)?;
    find_browser().ok_or(missing)
}

/// Finds valgrind, or installs Debian's.
pub(crate) fn valgrind() -> Outcome<PathBuf> {
    if let Some(valgrind) = find(&["valgrind"]) {
        return Ok(valgrind);
    }
    let command = "apt-get update && apt-get install -y --no-install-recommends valgrind libc6-dbg";
    let missing = format!("no valgrind found. Install it (Debian: `{command}`); it runs on Linux");
    install("valgrind, which counts instructions", command, &missing)?;
    find(&["valgrind"]).ok_or(missing)
}

/// Installs Debian's strace, with which a benchmark counts system calls, if there is none.
pub(crate) fn strace() -> Outcome<()> {
    if find(&["strace"]).is_some() {
        return Ok(());
    }
    let command = "apt-get update && apt-get install -y --no-install-recommends strace";
    let missing = format!("no strace found. Install it (Debian: `{command}`); it runs on Linux");
    install("strace, which counts system calls", command, &missing)
}

/// Runs a command of Debian's package manager as root, where there is one; `missing` is what people are told otherwise.
fn install(what: &str, command: &str, missing: &str) -> Outcome<()> {
    if find(&["apt-get"]).is_none() {
        return Err(missing.to_owned());
    }
    step(&format!("installing {what} ({command})"), || {
        let root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
        let (program, arguments): (_, &[&str]) = if root { ("sh", &["-c"]) } else { ("sudo", &["sh", "-c"]) };
        execute(Command::new(program).args(arguments).arg(command))
            .map_err(|error| format!("{error}\n{missing}"))
    })
}

fn find_browser() -> Option<Browser> {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    let chrome = named("CHROME")
        .or_else(|| find(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]))?;
    let driver = named("CHROMEDRIVER").or_else(|| find(&["chromedriver"]))?;
    Some(Browser { chrome, driver })
}
