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
use std::time::Duration;

use arguments::Role;
use tokio::sync::mpsc::UnboundedReceiver;

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
                    // Long enough to end the children and to take the journals away.
                    let leash = options.leashed.then(|| child::leash(Duration::from_secs(10)));
                    tokio::select! {
                        result = run::run(options) => result,
                        () = over(leash) => Err("who started this is gone".into()),
                    }
                }
                Role::Server(options) => {
                    let _leash = child::leash(Duration::ZERO);
                    server::run(options).await
                }
                Role::Swarm(options) => swarm::run(options, child::leash(Duration::ZERO)).await,
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

/// Waits until the standard input is over; for ever without a leash.
async fn over(leash: Option<UnboundedReceiver<String>>) {
    match leash {
        Some(mut lines) => while lines.recv().await.is_some() {},
        None => std::future::pending().await,
    }
}
