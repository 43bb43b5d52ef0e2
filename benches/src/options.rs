//! What the command line asks for.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::Result;
use crate::measure::{Effort, Progress, Setting};

/// What `--help` says. A file, since `cargo xtask bench` reads it too: it rejects what does not stand there before it builds
/// anything.
pub const HELP: &str = include_str!("help.txt");

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How much of it.
    pub effort: Effort,
    /// Words in the names of scenarios; all without.
    pub only: Vec<String>,
    /// A word in the names of peers; all without.
    pub peers: Option<String>,
    /// Whether client and server may run on different cores in all scenarios.
    pub spread: bool,
    /// Whether a missed goal is a failure.
    pub check: bool,
    /// Where the results go for machines.
    pub json: Option<PathBuf>,
    /// Where the plots go.
    pub svg: Option<PathBuf>,
    /// Only says which scenarios there are.
    pub list: bool,
    /// Only says how it is used.
    pub help: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            effort: Effort::Full,
            only: Vec::new(),
            peers: None,
            spread: false,
            check: false,
            json: None,
            svg: None,
            list: false,
            help: false,
        }
    }
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => options.effort = Effort::Quick,
                Long("only") => options.only.push(parser.value()?.string()?),
                Long("peers") => options.peers = Some(parser.value()?.string()?),
                Long("spread") => options.spread = true,
                Long("check") => options.check = true,
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("svg") => options.svg = Some(parser.value()?.into()),
                Long("list") => options.list = true,
                Long("help") | Short('h') => options.help = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    /// What each of so many scenarios is told.
    pub fn setting(&self, scenarios: usize) -> Setting {
        Setting {
            effort: self.effort,
            peers: self.peers.clone(),
            spread: self.spread,
            progress: Progress::over(scenarios),
        }
    }

    /// Whether a scenario is asked for.
    pub fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| scenario.contains(&**word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        Options::parse(lexopt::Parser::from_iter(std::iter::once("bench").chain(line.split_whitespace())))
    }

    #[test]
    fn every_option_is_read() {
        let all = "--quick --only calls --only upload --peers tarpc --spread --check --json a/b.json --svg plots --list --help";
        let wanted = Options {
            effort: Effort::Quick,
            only: vec!["calls".into(), "upload".into()],
            peers: Some("tarpc".into()),
            spread: true,
            check: true,
            json: Some("a/b.json".into()),
            svg: Some("plots".into()),
            list: true,
            help: true,
        };
        assert_eq!(parsed(all).unwrap(), wanted);
        let options = all.split_whitespace().filter(|word| word.starts_with("--") && *word != "--help");
        for option in options {
            assert!(HELP.contains(&format!("\n  {option} ")), "`cargo xtask bench` does not know {option}");
        }
        assert_eq!(parsed("").unwrap(), Options::default());
        assert!(parsed("--fast").is_err() && parsed("--json").is_err());
    }

    #[test]
    fn scenarios_are_told_what_was_asked_for() {
        let told = |line| {
            let setting = parsed(line).unwrap().setting(1);
            (setting.effort, setting.peers, setting.spread)
        };
        assert_eq!(told("--quick --peers tarpc --spread"), (Effort::Quick, Some("tarpc".into()), true));
        assert_eq!(told(""), (Effort::Full, None, false));
    }

    #[test]
    fn a_word_picks_scenarios() {
        let options = parsed("--only calls --only idle").unwrap();
        assert!(options.wants("calls-64") && options.wants("idle") && !options.wants("upload"));
        assert!(parsed("").unwrap().wants("upload"));
    }
}
