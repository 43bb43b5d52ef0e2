//! `cargo xtask load`: ten thousand connections between processes of their own.

use std::ffi::OsString;

use crate::Outcome;
use crate::step::{cargo, execute, execute_leashed, step, target};

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
    step("load", || execute_leashed(&target().join("measured").join("bench-load"), asked))
}
