//! Runs one scenario; callgrind collects while [`measured_part`] runs. `--list` says which there are.

use std::process::ExitCode;

use bench_micro::{Result, Scenario, all, measured_part};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => {
            for Scenario { name, per, operations, .. } in all().iter().filter(|it| it.counted) {
                println!("{name}\t{operations}\tinstructions per {per}");
            }
            ExitCode::SUCCESS
        }
        [name] => match all().into_iter().find(|it| it.name == name) {
            Some(scenario) => run(scenario).map_or_else(
                |error| {
                    eprintln!("error: {name}: {error}");
                    ExitCode::FAILURE
                },
                |()| ExitCode::SUCCESS,
            ),
            None => {
                eprintln!("error: there is no scenario `{name}`");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: counts --list | counts <scenario>");
            ExitCode::FAILURE
        }
    }
}

fn run(scenario: Scenario) -> Result<()> {
    let mut work = (scenario.make)()?;
    work(scenario.warm_up)?;
    measured_part(&mut work, scenario.operations)
}
