//! `cargo xtask chaos`: a server, many clients and a bad network between them, in processes of their own.

use std::ffi::OsString;

use crate::Outcome;
use crate::step::{cargo, execute, execute_leashed, step, target};

/// What the command line asked for: `None` is what `bowline-chaos` does by itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Small enough for every test run.
    pub(crate) quick: bool,
    /// Clients, each with a session of its own.
    pub(crate) clients: Option<u16>,
    /// Links that are cut for each client.
    pub(crate) cuts: Option<u16>,
    /// Reliable messages in each direction.
    pub(crate) messages: Option<u32>,
    /// How often the server is killed.
    pub(crate) kills: Option<u8>,
    /// Where and how links are cut.
    pub(crate) seed: Option<u64>,
    /// Where the results go as JSON.
    pub(crate) json: Option<OsString>,
}

impl Options {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        if self.quick {
            arguments.push("--quick".into());
        }
        let numbers = [
            ("--clients", self.clients.map(u64::from)),
            ("--cuts", self.cuts.map(u64::from)),
            ("--messages", self.messages.map(u64::from)),
            ("--kills", self.kills.map(u64::from)),
            ("--seed", self.seed),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                arguments.extend([name.into(), number.to_string().into()]);
            }
        }
        if let Some(path) = &self.json {
            arguments.extend(["--json".into(), path.clone()]);
        }
        arguments
    }
}

/// `cargo xtask chaos`.
///
/// # Errors
///
/// When anything was lost, doubled, reordered or left hanging.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    step("building the server and the clients", || {
        execute(cargo().args(["build", "--locked", "--quiet", "--package", "bowline-chaos"]))
    })?;
    step("chaos", || execute_leashed(&target().join("debug").join("bowline-chaos"), &options.arguments()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_reaches_the_program() {
        let line = |options: &Options| {
            let words = options.arguments();
            words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line(&Options::default()), "");
        let all = Options {
            quick: true,
            clients: Some(3),
            cuts: Some(4),
            messages: Some(5),
            kills: Some(6),
            seed: Some(7),
            json: Some("out".into()),
        };
        let wanted = "--quick --clients 3 --cuts 4 --messages 5 --kills 6 --seed 7 --json out";
        assert_eq!(line(&all), wanted);
    }
}
