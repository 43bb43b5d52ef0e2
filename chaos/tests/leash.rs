//! No process of a run outlives who started it.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Waits until a process has ended; one that does not is killed, and the test fails.
fn ends(mut child: Child, mut stdout: impl Read + Send + 'static) {
    let (over, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        let _ = over.send(());
    });
    let ended = ended.recv_timeout(Duration::from_secs(20));
    let _ = child.kill();
    child.wait().expect("it was started");
    ended.expect("the process ends by itself");
}

fn chaos(arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bowline-chaos"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is built");
    let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    (child, stdout)
}

#[test]
fn a_server_ends_with_its_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let (mut server, mut stdout) = chaos(&["server", "--journal", journal.to_str().unwrap(), "--life", "1"]);
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let address: SocketAddr = line.trim().parse().unwrap();
    TcpStream::connect(address).unwrap();
    drop(server.stdin.take());
    ends(server, stdout);
}

#[test]
fn a_whole_run_ends_with_its_standard_input() {
    let far_too_much =
        ["--leashed", "--clients", "2", "--cuts", "1", "--messages", "4000000", "--kills", "0"];
    let (mut run, stdout) = chaos(&far_too_much);
    drop(run.stdin.take());
    ends(run, stdout);
}
