//! `cargo xtask bench` starts this.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let done = match arguments.next_if(|first| first == bench::apart::ROLE) {
        Some(_) => bench::apart::play(arguments.collect()),
        None => bench::run(lexopt::Parser::from_env()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
