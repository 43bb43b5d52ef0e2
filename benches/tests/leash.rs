//! A comparison ends with whoever started it.

use std::process::{Command, Stdio};

/// However its starter ended: nobody else would end it, and it would take the machine's time from the next one.
#[test]
fn a_leashed_comparison_ends_with_its_input() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    bench.args(["--leashed", "--only", "calls-1", "--peers", "tungstenite"]);
    bench.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = bench.spawn().unwrap();
    // It would end well by itself, after some seconds.
    drop(running.stdin.take());
    assert_eq!(running.wait().unwrap().code(), Some(1));
}
