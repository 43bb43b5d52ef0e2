//! Chaos over real sockets: a server process, many clients, a network that cuts them apart, and an oracle.
//!
//! `cargo xtask chaos` starts it. One program in three roles: the orchestrator starts itself again as `server` and as
//! `swarm`, and is the network and the oracle itself.

mod arguments;
mod child;
mod journal;
mod judge;
mod proxy;
mod random;
mod run;
mod server;
mod service;
mod swarm;

use std::process::ExitCode;

use arguments::Role;

/// What everything ends with: a sentence for people.
type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let role = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(role) => role,
        Err(error) => {
            eprintln!("error: {error}\n\n{}", arguments::HELP);
            return ExitCode::FAILURE;
        }
    };
    let result = tokio::runtime::Runtime::new().map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            match role {
                Role::Help => {
                    print!("{}", arguments::HELP);
                    Ok(())
                }
                Role::Run(options) => {
                    let _leash = options.leashed.then(child::leash);
                    run::run(options).await
                }
                Role::Server(options) => {
                    let _leash = child::leash();
                    server::run(options).await
                }
                Role::Swarm(options) => swarm::run(options, child::leash()).await,
            }
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}
