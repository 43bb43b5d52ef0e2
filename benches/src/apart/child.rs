use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::roles::PREFIX;
use crate::Result;

/// How long it may take to say a line, or to end.
const LIMIT: Duration = Duration::from_secs(60);

/// A running process of this program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    role: String,
}

impl Child {
    /// Starts this program in a role.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn start(role: &[&str]) -> Result<Self> {
        Self::start_under(Command::new(std::env::current_exe()?), role)
    }

    /// Starts it under another program, such as a tracer, whose command line ends with this program's path.
    ///
    /// # Errors
    ///
    /// When that can't be started.
    pub fn start_under(mut command: Command, role: &[&str]) -> Result<Self> {
        // A test starts itself, by name: libtest has its own arguments.
        if cfg!(test) {
            command.args(["--exact", "apart::child::tests::plays_a_role", "--nocapture"]);
            command.env("BENCH_ROLE", role.join("\n"));
        } else {
            command.arg(super::ROLE).args(role);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let name = OsStr::to_string_lossy(command.get_program()).into_owned();
        let mut process = command.spawn().map_err(|error| format!("{name} can't be started: {error}"))?;
        let output = process.stdout.take().expect("it is piped");
        let (lines_in, lines) = sync_channel(64);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                // What a test's frame prints, perhaps in front of it, is none of ours.
                if let Some((_, line)) = line.split_once(PREFIX)
                    && lines_in.send(line.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        let input = process.stdin.take();
        Ok(Self { process, input, lines, role: role.join(" ") })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for its next line.
    ///
    /// # Errors
    ///
    /// When it ends without one, or takes more than a minute.
    pub fn line(&mut self) -> Result<String> {
        self.lines.recv_timeout(LIMIT).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("`{}` said nothing for {LIMIT:?}", self.role).into(),
            RecvTimeoutError::Disconnected => format!("`{}` ended early", self.role).into(),
        })
    }

    /// Says a line to it and waits for its answer.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line).
    pub fn ask(&mut self, line: &str) -> Result<String> {
        let input = self.input.as_mut().ok_or("its input is closed")?;
        writeln!(input, "{line}").map_err(|error| format!("`{}` takes no more lines: {error}", self.role))?;
        self.line()
    }

    /// Closes its input and waits for its end.
    ///
    /// # Errors
    ///
    /// When it fails, or takes more than a minute.
    pub fn finish(mut self) -> Result<()> {
        self.input = None;
        let start = Instant::now();
        loop {
            match self.process.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("`{}` failed: {status}", self.role).into()),
                None if start.elapsed() > LIMIT => {
                    return Err(format!("`{}` did not end within {LIMIT:?}", self.role).into());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Under a tracer the traced one is left: the end of its input ends that.
        self.input = None;
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apart::play;

    /// Nothing by itself: another test starts it as another process.
    #[test]
    fn plays_a_role() {
        if let Ok(role) = std::env::var("BENCH_ROLE") {
            // What goes wrong is seen by the test that started it.
            play(role.split('\n').map(str::to_owned).collect()).unwrap();
        }
    }

    fn alive(id: u32) -> bool {
        std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn it_answers_until_its_input_ends() {
        let mut child = Child::start(&["echo", "here"]).unwrap();
        assert_eq!(child.line().unwrap(), "here");
        assert_eq!(child.ask("are you there?").unwrap(), "are you there?");
        let id = child.id();
        assert!(alive(id));
        child.finish().unwrap();
        assert!(!alive(id));
    }

    #[test]
    fn it_is_killed_when_it_is_dropped() {
        let mut child = Child::start(&["echo", "here"]).unwrap();
        child.line().unwrap();
        let id = child.id();
        drop(child);
        assert!(!alive(id));
    }

    #[test]
    fn a_role_that_does_not_exist_is_an_error_and_no_wait() {
        let mut child = Child::start(&["nobody"]).unwrap();
        assert_eq!(child.line().unwrap_err().to_string(), "`nobody` ended early");
        assert!(child.finish().is_err());
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = Child::start_under(Command::new("no-such-tracer"), &["echo"]).unwrap_err();
        assert!(error.to_string().starts_with("no-such-tracer can't be started"), "{error}");
    }
}
