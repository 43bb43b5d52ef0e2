//! The command line.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

use crate::{clients, server};

pub(crate) const HELP: &str = "\
bench-load [idle] [storm] [calls] [fan-out] [all] [options]

  idle             connections that do nothing: memory and processor time of each at the server
  storm            clients that connect all at once; then all links are cut at once
  calls            connections that all call, with 1 and with 16 calls in flight each
  fan-out          one publisher, many subscribers, one item at a time and 100 at a time
  all              one after the other; this is what happens without a name

  --quick          1,000 connections (calls: 200; fan-out: 100 and 1,000), everything shorter
  --connections N  in every scene; else 10,000 (calls: 1,000; fan-out: 1,000 and 10,000)
  --minutes M      how long `idle` holds them: 10 without, fractions allowed
  --seconds S      how long each round of `calls` lasts: 10 without, fractions allowed
  --backlog N      how many connections the kernel keeps for a listener until they are accepted; 1024 without
  --seed N         what calls and items carry; 1 without
  --json PATH      the results as JSON
";

/// What this process is.
#[derive(Debug, PartialEq)]
pub(crate) enum Role {
    Conduct(Options),
    Server(server::Options),
    Clients(clients::Options),
    Help,
}

/// One part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    Idle,
    Storm,
    Calls,
    FanOut,
}

/// What a run is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) scenes: Vec<Scene>,
    pub(crate) quick: bool,
    /// In every scene, whatever it has by itself.
    pub(crate) connections: Option<u64>,
    pub(crate) minutes: Option<f64>,
    pub(crate) seconds: Option<f64>,
    pub(crate) backlog: u32,
    pub(crate) seed: u64,
    pub(crate) json: Option<PathBuf>,
    /// Ends with its standard input, as it does where another program starts it.
    pub(crate) leashed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenes: vec![Scene::Idle, Scene::Storm, Scene::Calls, Scene::FanOut],
            quick: false,
            connections: None,
            minutes: None,
            seconds: None,
            backlog: 1024,
            seed: 1,
            json: None,
            leashed: false,
        }
    }
}

impl Options {
    /// Connections of `idle` and `storm`.
    pub(crate) fn many(&self) -> u64 {
        self.connections.unwrap_or(if self.quick { 1000 } else { 10_000 })
    }

    /// Connections of `calls`.
    pub(crate) fn callers(&self) -> u64 {
        self.connections.unwrap_or(if self.quick { 200 } else { 1000 })
    }

    /// Subscribers of each round of `fan-out`.
    pub(crate) fn subscribers(&self) -> Vec<u64> {
        match self.connections {
            Some(connections) => vec![connections],
            None if self.quick => vec![100, 1000],
            None => vec![1000, 10_000],
        }
    }

    /// How long `idle` holds its connections.
    pub(crate) fn hold(&self) -> Duration {
        Duration::from_secs_f64(60.0 * self.minutes.unwrap_or(if self.quick { 0.25 } else { 10.0 }))
    }

    /// How long a round of `calls` lasts.
    pub(crate) fn round(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.quick { 3.0 } else { 10.0 }))
    }
}

/// Reads the command line.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Role, lexopt::Error> {
    let (mut options, mut named) = (Options::default(), Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Value(name) if name == "server" => return role(parser).map(Role::Server),
            Value(name) if name == "clients" => return role(parser).map(Role::Clients),
            Value(name) if name == "idle" => named.push(Scene::Idle),
            Value(name) if name == "storm" => named.push(Scene::Storm),
            Value(name) if name == "calls" => named.push(Scene::Calls),
            Value(name) if name == "fan-out" => named.push(Scene::FanOut),
            Value(name) if name == "all" => named.extend(Options::default().scenes),
            Value(name) => return Err(format!("there is no scene `{}`", name.to_string_lossy()).into()),
            Long("quick") => options.quick = true,
            Long("connections") => {
                options.connections = Some(number::<NonZeroU32>(&mut parser, "--connections")?.get().into());
            }
            Long("minutes") => options.minutes = Some(span(&mut parser, "--minutes", 24.0 * 60.0)?),
            Long("seconds") => options.seconds = Some(span(&mut parser, "--seconds", 3600.0)?),
            Long("backlog") => options.backlog = number::<NonZeroU16>(&mut parser, "--backlog")?.get().into(),
            Long("seed") => options.seed = number(&mut parser, "--seed")?,
            Long("json") => options.json = Some(parser.value()?.into()),
            Long("leashed") => options.leashed = true,
            Long("help") | Short('h') => return Ok(Role::Help),
            other => return Err(other.unexpected()),
        }
    }
    if !named.is_empty() {
        options.scenes = named;
    }
    Ok(Role::Conduct(options))
}

/// The number behind an option.
fn number<T: FromStr<Err: std::fmt::Display>>(
    parser: &mut lexopt::Parser,
    option: &str,
) -> Result<T, lexopt::Error> {
    let text = parser.value()?.string()?;
    text.parse().map_err(|error| format!("{option} {text}: {error}").into())
}

/// A number from 0 to `most`.
fn span(parser: &mut lexopt::Parser, option: &str, most: f64) -> Result<f64, lexopt::Error> {
    let number: f64 = number(parser, option)?;
    if (0.0..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{option}: 0 to {most}, and not {number:e}").into())
    }
}

fn role<T: serde::de::DeserializeOwned>(mut parser: lexopt::Parser) -> Result<T, lexopt::Error> {
    let text = parser.value()?.string()?;
    Ok(serde_json::from_str(&text).map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Role, lexopt::Error> {
        parse(lexopt::Parser::from_iter(std::iter::once("load").chain(line.split_whitespace())))
    }

    fn options(line: &str) -> Options {
        match parsed(line) {
            Ok(Role::Conduct(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_option_reaches_the_run() {
        let all = options(
            "storm --quick --connections 30 --minutes 0.5 --seconds 2 --backlog 5 --seed 7 --json out.json --leashed",
        );
        let wanted = Options {
            scenes: vec![Scene::Storm],
            quick: true,
            connections: Some(30),
            minutes: Some(0.5),
            seconds: Some(2.0),
            backlog: 5,
            seed: 7,
            json: Some("out.json".into()),
            leashed: true,
        };
        assert_eq!(all, wanted);
        assert_eq!(options("all"), Options::default());
        assert_eq!(options("calls idle").scenes, [Scene::Calls, Scene::Idle]);
        assert_eq!((all.many(), all.callers(), all.subscribers()), (30, 30, vec![30]));
        assert_eq!((all.hold(), all.round()), (Duration::from_secs(30), Duration::from_secs(2)));
    }

    #[test]
    fn quick_is_less_of_everything() {
        let (quick, full) = (options("--quick"), options(""));
        assert!(quick.many() < full.many() && quick.callers() < full.callers());
        assert!(quick.subscribers() < full.subscribers());
        assert!(quick.hold() < full.hold() && quick.round() < full.round());
        assert_eq!((full.many(), full.hold()), (10_000, Duration::from_secs(600)));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for line in
            ["dance", "--connections 0", "--minutes -1", "--minutes NaN", "--seconds 1e9", "idle --what"]
        {
            assert!(parsed(line).is_err(), "{line}");
        }
        for option in ["--connections", "--minutes", "--seconds", "--backlog", "--seed"] {
            let error = parsed(&format!("{option} -1")).unwrap_err().to_string();
            assert!(error.starts_with(option), "{error}");
        }
    }

    #[test]
    fn the_roles_get_what_they_need() {
        let wanted = server::Options { listeners: 2, backlog: 9, seed: 3, identified: true };
        let line = ["load".to_owned(), "server".to_owned(), serde_json::to_string(&wanted).unwrap()];
        assert_eq!(parse(lexopt::Parser::from_iter(line)).unwrap(), Role::Server(wanted));
    }
}
