//! `cargo xtask bench`: Bowline beside what people would use instead.

use std::ffi::OsString;

use lexopt::prelude::*;

use crate::Outcome;
use crate::setup;
use crate::step::{cargo, execute, execute_leashed, step, target};

/// Optimised across crates, which helps whoever is made of many.
const PROFILE: &str = "compared";

/// What the comparison says about its options: read here too, since to ask the program itself one has to build it first.
const HELP: &str = include_str!("../../benches/src/help.txt");

/// Builds the comparison with everybody who takes part, and hands what was asked for on to it.
///
/// Help is given, and an option that there is not is rejected, before anything is built.
///
/// # Errors
///
/// When the program does not know what was asked for, a peer answered wrongly, or, with `--check`, a goal is missed.
pub(crate) fn run(asked: &[OsString]) -> Outcome<()> {
    if asks_for_help(asked).map_err(|error| format!("{error}\n\n{HELP}"))? {
        print!(
            "{HELP}\n  --browser      as the first option: in a browser instead; it knows --quick and --json PATH\n"
        );
        return Ok(());
    }
    if counts_system_calls(asked) {
        setup::strace()?;
    }
    step("building the comparison (ten minutes the first time)", || {
        execute(cargo().args(build()).args(["--profile", PROFILE]))
    })?;
    let program = target().join(PROFILE).join("bench");
    // Its tables are results and go where our output goes.
    execute_leashed(&program, asked)
        .map_err(|error| format!("the comparison failed; what it said stands above ({error})"))
}

fn build() -> [&'static str; 7] {
    ["build", "--locked", "--quiet", "--package", "bench", "--features", "peers"]
}

/// Whether help is asked for, rather than a comparison with options that there are.
fn asks_for_help(asked: &[OsString]) -> Result<bool, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(asked);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(true),
            Long(name) if takes_value(name) == Some(true) => drop(parser.value()?),
            Long(name) if takes_value(name) == Some(false) => {}
            other => return Err(other.unexpected()),
        }
    }
    Ok(false)
}

/// Whether an option takes a value, which the help has in capitals behind it; `None` where there is no such option.
fn takes_value(option: &str) -> Option<bool> {
    let mut lines = HELP.lines().map(str::split_whitespace);
    let mut line =
        lines.find(|line| line.clone().next().and_then(|word| word.strip_prefix("--")) == Some(option))?;
    line.nth(1).map(|word| word.chars().all(|letter| letter.is_ascii_uppercase()))
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
    fn help_and_mistakes_need_no_build() {
        let asks =
            |line: &str| asks_for_help(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert!(asks("--help").unwrap() && asks("--quick -h").unwrap());
        let all = "--quick --only calls --only=upload --peers tarpc --spread --check --json a --svg b --list";
        assert!(!asks("").unwrap() && !asks(all).unwrap());
        for mistake in ["--nonsense", "--json", "--quick=yes", "calls", "-q", "--browser"] {
            assert!(asks(mistake).is_err(), "{mistake}");
        }
    }

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
