use std::io::{BufRead, Write};
use std::net::SocketAddr;

use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::peers;
use crate::scenarios::{contest, fan_out, head_of_line, layers, slow_reader};

/// What each line to the process that started this one begins with.
pub(super) const PREFIX: &str = "apart: ";

/// Plays the role that the arguments name, and comes back when the input ends.
///
/// # Errors
///
/// When there is no such role, and what goes wrong in it.
pub fn play(arguments: Vec<String>) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["echo", line] => {
            say(line);
            answer(|line| Ok(line.to_owned()))
        }
        ["serve", peer] => {
            let (runtime, peer) = (one_worker()?, peers::named(peer)?);
            let address = runtime.block_on(runtime.spawn(peer.serve()))??;
            say(&address.to_string());
            until_input_ends()
        }
        ["call", peer, server, in_flight, n] => {
            let (runtime, peer, server) = (one_worker()?, peers::named(peer)?, server.parse::<SocketAddr>()?);
            let (in_flight, n) = (in_flight.parse()?, n.parse()?);
            let calls = async move {
                peer.connect(server).await?.calls(crate::scenarios::calls::TEXT.into(), in_flight, n).await
            };
            runtime.block_on(runtime.spawn(calls))??;
            say("done");
            until_input_ends()
        }
        ["contest", work, peer, cores] => {
            contest::play(work.parse()?, peers::named(peer)?.as_ref(), cores.parse()?)
        }
        ["fan-out", source, readers, burst, cores] => {
            fan_out::play(source, readers.parse()?, burst.parse()?, cores.parse()?)
        }
        ["head-of-line", peer, parts] => head_of_line::play(peers::named(peer)?.as_ref(), parts.parse()?),
        ["slow-reader"] => {
            let runtime = one_worker()?;
            let address = runtime.block_on(runtime.spawn(slow_reader::serve()))??;
            say(&address.to_string());
            until_input_ends()
        }
        ["layers", which, cores] => layers::play(which.parse()?, cores.parse()?),
        _ => Err(format!("there is no role `{}`", arguments.join(" ")).into()),
    }
}

/// As the worker of a stage; all tasks are on it.
fn one_worker() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// One line to whoever started this process.
pub(crate) fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // Nobody may be left to hear it; then the input has ended, too.
    let _ = writeln!(output, "{PREFIX}{line}").and_then(|()| output.flush());
}

/// Answers each line of the input.
pub(crate) fn answer(mut with: impl FnMut(&str) -> Result<String>) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        say(&with(&line?)?);
    }
    Ok(())
}

fn until_input_ends() -> Result<()> {
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}
