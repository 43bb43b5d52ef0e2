//! The command line.

use lexopt::prelude::*;

use crate::{run, server, swarm};

pub(crate) const HELP: &str = "\
bowline-chaos [options]

  --quick        20 clients, 3 cuts each, 20,000 messages each way, 2 kills
  --clients N    clients, each with a session of its own; 200
  --cuts N       links that are cut for each client; 10, and 0 leaves that part out
  --messages N   reliable messages in each direction; 200,000
  --kills N      how often the server is killed; 5, and 0 leaves that part out
  --seed N       where and how links are cut; 1
  --json PATH    the results as JSON
";

/// What this process is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Run(run::Options),
    Server(server::Options),
    Swarm(swarm::Options),
    Help,
}

/// Reads the command line.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Role, lexopt::Error> {
    let mut options = run::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(role) if role == "server" => return server_options(parser).map(Role::Server),
            Value(role) if role == "swarm" => {
                let text = parser.value()?.string()?;
                return Ok(Role::Swarm(serde_json::from_str(&text).map_err(|error| error.to_string())?));
            }
            // What follows it changes the small run.
            Long("quick") => {
                let run::Options { json, leashed, seed, .. } = options;
                options = run::Options { json, leashed, seed, ..run::Options::quick() };
            }
            Long("clients") => {
                options.clients = parser.value()?.parse::<std::num::NonZeroU16>()?.get().into()
            }
            Long("cuts") => options.cuts = parser.value()?.parse::<u16>()?.into(),
            Long("messages") => options.messages = parser.value()?.parse::<u32>()?.into(),
            Long("kills") => options.kills = parser.value()?.parse::<u8>()?.into(),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("json") => options.json = Some(parser.value()?.into()),
            Long("leashed") => options.leashed = true,
            Long("help") | Short('h') => return Ok(Role::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Role::Run(options))
}

fn server_options(mut parser: lexopt::Parser) -> Result<server::Options, lexopt::Error> {
    let mut options = server::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("journal") => options.journal = parser.value()?.into(),
            Long("life") => options.life = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Role, lexopt::Error> {
        parse(lexopt::Parser::from_iter(std::iter::once("chaos").chain(line.split_whitespace())))
    }

    #[test]
    fn every_option_reaches_the_run() {
        let line = "--clients 3 --cuts 4 --messages 500 --kills 6 --seed 7 --json out.json --leashed";
        let wanted = run::Options {
            clients: 3,
            cuts: 4,
            messages: 500,
            kills: 6,
            seed: 7,
            json: Some("out.json".into()),
            leashed: true,
        };
        assert_eq!(parsed(line).unwrap(), Role::Run(wanted));
        assert_eq!(parsed("").unwrap(), Role::Run(run::Options::default()));
    }

    #[test]
    fn what_follows_quick_changes_it() {
        let wanted = run::Options { kills: 1, seed: 9, ..run::Options::quick() };
        assert_eq!(parsed("--seed 9 --quick --kills 1").unwrap(), Role::Run(wanted));
    }

    #[test]
    fn the_roles_get_what_they_need() {
        let wanted = server::Options { journal: "j".into(), life: 2 };
        assert_eq!(parsed("server --journal j --life 2").unwrap(), Role::Server(wanted));
        let options = swarm::Options { ports: vec![1, 2], deadline: 5, ..swarm::Options::default() };
        let line = ["chaos".to_owned(), "swarm".to_owned(), serde_json::to_string(&options).unwrap()];
        assert_eq!(parse(lexopt::Parser::from_iter(line)).unwrap(), Role::Swarm(options));
        assert!(parsed("--clients 0").is_err() && parsed("dance").is_err());
    }
}
