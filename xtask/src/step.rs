//! Running other programs, and saying so.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Outcome;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask lies in the workspace").to_owned()
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Says what is done, does it, and says how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    eprintln!("==> {what}");
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f32();
    match &result {
        Ok(_) => eprintln!("    done in {seconds:.1} s"),
        Err(_) => eprintln!("    failed after {seconds:.1} s"),
    }
    result
}

/// Runs a program to its end; its output goes where ours goes.
pub(crate) fn execute(command: &mut Command) -> Outcome<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Only results belong on our standard output; what a tool has to say is progress.
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", line(command))),
        Err(error) => Err(format!("`{name}` does not start: {error}")),
    }
}

/// Runs one of our programs that ends with its standard input, and so with us. Its output goes where ours goes.
pub(crate) fn execute_leashed(program: &Path, arguments: &[OsString]) -> Outcome<()> {
    let spawned = Command::new(program).arg("--leashed").args(arguments).stdin(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("{}: {error}", program.display()))?;
    let leash = child.stdin.take();
    let status = child.wait().map_err(|error| error.to_string())?;
    drop(leash);
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    if status.success() { Ok(()) } else { Err(format!("`{name}` ended with {status}")) }
}

/// Runs a program and hands each line of its output on, to the screen and to `look`.
pub(crate) fn execute_reading(command: &mut Command, mut look: impl FnMut(&str)) -> Outcome<()> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned
        .map_err(|error| format!("`{}` does not start: {error}", command.get_program().to_string_lossy()))?;
    let stdout = child.stdout.take().expect("stdout is piped");
    for text in BufReader::new(stdout).lines().map_while(Result::ok) {
        println!("{text}");
        look(&text);
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", line(command))),
        Err(error) => Err(error.to_string()),
    }
}

/// A program's whole output, when it ends well.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of this name lies on `PATH`, and where.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .find_map(|folder| names.iter().map(|name| folder.join(name)).find(|candidate| candidate.is_file()))
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_that_it_is_leashed_and_its_failure_named() {
        let compare = |word: &str| execute_leashed(Path::new("test"), &["=".into(), word.into()]);
        compare("--leashed").unwrap();
        let error = compare("--free").unwrap_err();
        assert!(error.starts_with("`test` ended with "), "{error}");
    }
}
