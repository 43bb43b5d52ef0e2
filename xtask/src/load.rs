//! `cargo xtask load`: ten thousand connections between processes of their own.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::step::{cargo, execute, step, target};

/// Builds `bench-load` and hands everything that was asked for on to it.
///
/// # Errors
///
/// When the program does not know what was asked for, or found a broken promise.
pub(crate) fn run(asked: &[OsString]) -> Outcome<()> {
    step("building the server and the clients", || {
        execute(cargo().args([
            "build",
            "--locked",
            "--quiet",
            "--profile",
            "measured",
            "--package",
            "bench-load",
        ]))
    })?;
    step("load", || {
        let program = target().join("measured").join("bench-load");
        // It ends with its standard input, and so with us.
        let spawned = Command::new(&program).arg("--leashed").args(asked).stdin(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{}: {error}", program.display()))?;
        let leash = child.stdin.take();
        let status = child.wait().map_err(|error| error.to_string())?;
        drop(leash);
        if status.success() { Ok(()) } else { Err(format!("`bench-load` ended with {status}")) }
    })
}
