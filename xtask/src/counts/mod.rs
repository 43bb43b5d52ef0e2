//! Instructions and allocations per operation, beside those of the committed baseline.
//!
//! `benches/micro/` has the scenarios and says how to read the numbers. This runs them, compares, and keeps the baseline.

mod baseline;
mod compare;
mod measure;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::step::{cargo, execute, root, step};
use crate::{Outcome, setup};

use baseline::Baseline;
use compare::Comparison;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// Only what has this word in its name.
    pub(crate) only: Option<String>,
    /// By how many percent something may be worse.
    pub(crate) tolerance: f64,
    /// Whether what is measured becomes the baseline.
    pub(crate) save: bool,
}

impl Default for Options {
    fn default() -> Self {
        // What another seed of a hash map or another moment of a timer makes is a tenth of it.
        Self { only: None, tolerance: 3.0, save: false }
    }
}

/// A tolerance; what is no number would let everything pass.
pub(crate) fn percent(text: &str) -> Outcome<f64> {
    let percent = text.parse().ok().filter(|percent: &f64| *percent >= 0.0);
    percent.ok_or_else(|| "a percentage is a number that is not negative".to_owned())
}

/// Measures, prints a table, and fails when something became worse.
pub(crate) fn run(options: &Options) -> Outcome<ExitCode> {
    let valgrind = setup::valgrind()?;
    step("building the scenarios", || {
        execute(build().args(["--quiet", "--profile", "measured", "--package", "bench-micro", "--bins"]))
    })?;
    let setting = measure::setting(&valgrind)?;
    let lines =
        measure::all(&valgrind, |name| options.only.as_deref().is_none_or(|word| name.contains(word)))?;
    if lines.is_empty() {
        return Err(format!("nothing is called `{}`", options.only.as_deref().unwrap_or_default()));
    }
    let now = Baseline { setting, lines };
    let before = read()?;
    let comparison = Comparison::new(before.as_ref(), &now, options.only.as_deref());
    print!("{}", comparison.table(options.tolerance));
    for sentence in comparison.remarks(options.tolerance) {
        println!("{sentence}");
    }
    if options.save {
        let saved = match before {
            Some(before) if options.only.is_some() => before.with(now)?,
            _ => now,
        };
        fs::write(path(), saved.to_string()).map_err(|error| format!("{}: {error}", path().display()))?;
        println!("saved: {}", path().display());
        return Ok(ExitCode::SUCCESS);
    }
    let worse = comparison.worse(options.tolerance).count();
    Ok(if worse == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cargo build` as from a shell. What cargo tells us about ourselves is a reason to some build scripts to run again, and
/// then to build again what depends on them.
fn build() -> Command {
    let mut command = cargo();
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command.arg("build");
    command
}

fn path() -> PathBuf {
    root().join("benches/micro/baseline.txt")
}

/// The baseline, if there is one.
fn read() -> Outcome<Option<Baseline>> {
    match fs::read_to_string(path()) {
        Ok(text) => text.parse().map(Some).map_err(|error| format!("{}: {error}", path().display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path().display())),
    }
}
