//! `cargo xtask bench` starts this.

use std::process::ExitCode;

fn main() -> ExitCode {
    match bench::run(lexopt::Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
