//! Ten thousand connections between processes of their own; `README.md` in this folder says what each number means.
//!
//! `cargo xtask load` starts it. One program in three roles: the conductor starts itself again as `server` and as
//! `clients`, tells them what to do, and looks at what they say.

mod arguments;
mod child;
mod clients;
mod files;
mod latencies;
mod machine;
mod orders;
mod progress;
mod report;
mod scenes;
mod server;
mod service;

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
                Role::Conduct(options) => {
                    // Long enough to end the children.
                    let leash = options.leashed.then(|| child::leash(Duration::from_secs(5)));
                    tokio::select! {
                        result = scenes::run(&options) => result,
                        () = over(leash) => Err("who started this is gone".into()),
                        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
                    }
                }
                Role::Server(options) => server::run(options, child::leash(Duration::ZERO)).await,
                Role::Clients(options) => clients::run(options, child::leash(Duration::ZERO)).await,
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
