//! `cargo xtask bench`: Bowline beside what people would use instead.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::setup;
use crate::step::{cargo, execute, step, target};

/// Optimised across crates, which helps whoever is made of many.
const PROFILE: &str = "compared";

/// Builds the comparison with everybody who takes part, and hands what was asked for on to it.
///
/// # Errors
///
/// When the program does not know what was asked for, a peer answered wrongly, or, with `--check`, a goal is missed.
pub(crate) fn run(asked: &[OsString]) -> Outcome<()> {
    if counts_system_calls(asked) {
        setup::strace()?;
    }
    step("building the comparison (ten minutes the first time)", || {
        execute(cargo().args(build()).args(["--profile", PROFILE]))
    })?;
    let program = target().join(PROFILE).join("bench");
    // Its tables are results and go where our output goes.
    match Command::new(&program).args(asked).stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the comparison failed; what it said stands above".into()),
        Err(error) => Err(format!("{}: {error}", program.display())),
    }
}

fn build() -> [&'static str; 7] {
    ["build", "--locked", "--quiet", "--package", "bench", "--features", "peers"]
}

/// Whether the scenario is among what was asked for that watches its system calls from outside.
fn counts_system_calls(asked: &[OsString]) -> bool {
    let words: Vec<_> = asked.iter().map(|word| word.to_string_lossy()).collect();
    if words.iter().any(|word| matches!(&**word, "--list" | "--help" | "-h")) {
        return false;
    }
    let mut only =
        words.iter().zip(words.iter().skip(1)).filter(|(option, _)| *option == "--only").peekable();
    let joined = words.iter().any(|word| word.starts_with("--only="));
    joined || only.peek().is_none() || only.any(|(_, word)| "sends".contains(&**word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_is_wanted_only_by_the_scenario_that_uses_it() {
        let wanted = |line: &str| {
            counts_system_calls(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
        };
        assert!(wanted("") && wanted("--quick --check") && wanted("--only calls --only sends"));
        assert!(wanted("--only send") && wanted("--only=sends"));
        assert!(!wanted("--only calls --quick") && !wanted("--list") && !wanted("-h"));
    }
}
