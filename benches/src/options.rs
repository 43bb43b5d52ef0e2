//! What the command line asks for.

use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::Result;
use crate::measure::{Effort, Progress, Setting};
use crate::scenarios::ALL;

/// What `--help` says. A file, since `cargo xtask bench` reads it too: it rejects what does not stand there before it builds
/// anything.
pub const HELP: &str = include_str!("help.txt");

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How much of it.
    pub effort: Effort,
    /// Names of scenarios, or words in them; all without.
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
    /// Ends with its standard input, as it does where another program starts it.
    pub leashed: bool,
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
            leashed: false,
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
                Long("leashed") => options.leashed = true,
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

    /// Whether a scenario is asked for. What is the whole name of one picks no other.
    pub fn wants(&self, scenario: &str) -> bool {
        let is_name = |word: &str| ALL.iter().any(|one| one.id == word);
        let picks = |word: &String| scenario == word || scenario.contains(&**word) && !is_name(word);
        self.only.is_empty() || self.only.iter().any(picks)
    }

    /// Makes the folders for the results.
    ///
    /// # Errors
    ///
    /// When they can't be written to where they were asked for: said before anything is measured.
    pub fn prepare(&self) -> Result<()> {
        let make = |option: &str, folder: &Path| {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{option}: {} is no folder: {error}", folder.display()))
        };
        if let Some(path) = &self.json {
            if path.is_dir() {
                return Err(format!("--json: {} is a folder, not a file", path.display()).into());
            }
            path.parent().map_or(Ok(()), |folder| make("--json", folder))?;
        }
        self.svg.as_ref().map_or(Ok(()), |folder| make("--svg", folder))?;
        Ok(())
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
        let all = "--quick --only calls --only upload --peers tarpc --spread --check --json a/b.json --svg plots --list --help --leashed";
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
            leashed: true,
        };
        assert_eq!(parsed(all).unwrap(), wanted);
        let options = all
            .split_whitespace()
            .filter(|word| word.starts_with("--") && !["--help", "--leashed"].contains(word));
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

    #[test]
    fn a_whole_name_picks_that_scenario_alone() {
        let options = parsed("--only calls-1 --only fan-out").unwrap();
        let picked: Vec<_> = ALL.iter().map(|one| one.id).filter(|id| options.wants(id)).collect();
        assert_eq!(picked, ["calls-1", "fan-out-paced", "fan-out-paced-one-core", "fan-out-burst"]);
    }

    #[test]
    fn where_nothing_can_be_written_is_said_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let new = folder.path().join("a/b");
        let error = |option: &str, path: &Path| {
            let options = parsed(&format!("{option} {}", path.display())).unwrap();
            options.prepare().map_err(|error| error.to_string())
        };
        assert!(error("--json", folder.path()).unwrap_err().contains("is a folder"));
        assert!(error("--svg", &file).unwrap_err().contains("is no folder"));
        assert!(error("--json", &file.join("x")).unwrap_err().contains("is no folder"));
        assert_eq!(error("--json", &new.join("x.json")), Ok(()));
        assert_eq!(error("--svg", &new.join("svg")), Ok(()));
        assert!(new.join("svg").is_dir() && !new.join("x.json").exists());
    }
}
