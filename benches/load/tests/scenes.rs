//! Each scene with twenty connections, judged by what the other end counted; and what a run says when it can't be.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn load(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-load"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the program is built")
}

/// Plays a scene and returns what it found.
fn play(scene: &str, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let json = folder.path().join("results.json");
    let path = json.to_str().expect("its name is text");
    let scene = [scene, "--quick", "--connections", "20", "--json", path];
    let output = load(&[&scene[..], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results = std::fs::read(json).expect("the results are written");
    let results: Value = serde_json::from_slice(&results).expect("they are JSON");
    assert_eq!(results["broken"], Value::Array(Vec::new()));
    results
}

#[test]
fn idle_connections_are_all_there_at_the_end() {
    let idle = &play("idle", &["--minutes", "0.001"])["idle"];
    assert_eq!((&idle["roll"]["calls"], &idle["roll"]["sessions"]), (&20.into(), &20.into()));
    assert_eq!((&idle["seen"]["begun"], &idle["seen"]["attached"]), (&20.into(), &20.into()));
    assert!(idle["end_kib"].as_f64().unwrap() > 0.0 || !cfg!(target_os = "linux"));
    assert!(idle["held_s"].as_f64().unwrap() >= 0.06);
}

#[test]
fn a_storm_makes_all_sessions_and_loses_none() {
    let storm = &play("storm", &[])["storm"];
    assert_eq!((&storm["connect"]["new"], &storm["connect"]["latency"]["count"]), (&20.into(), &20.into()));
    // As the server saw it.
    assert_eq!((&storm["seen"]["begun"], &storm["seen"]["resumed"]), (&20.into(), &20.into()));
    assert_eq!(storm["roll"]["sessions"], 20);
    assert_eq!((&storm["reconnect"]["resumed"], &storm["reconnect"]["replaced"]), (&20.into(), &0.into()));
}

#[test]
fn calls_run_as_often_as_they_are_answered() {
    let results = play("calls", &["--seconds", "0.1", "--seed", "9"]);
    assert_eq!(results["seed"], 9);
    let rounds = results["calls"].as_array().unwrap();
    assert_eq!(rounds.iter().map(|round| &round["in_flight"]).collect::<Vec<_>>(), [1, 16]);
    for round in rounds {
        assert_eq!((&round["seen"], &round["errors"]), (&round["answered"], &0.into()));
        assert!(round["answered"].as_u64() >= round["in_flight"].as_u64().map(|in_flight| 20 * in_flight));
        assert_eq!(round["latency"]["count"], round["answered"]);
    }
}

#[test]
fn what_is_published_reaches_every_subscriber() {
    let results = play("fan-out", &[]);
    let rounds = results["fan_out"].as_array().unwrap();
    let kinds: Vec<_> = rounds.iter().map(|round| (&round["burst"], &round["published"])).collect();
    assert_eq!(kinds, [(&1.into(), &10.into()), (&100.into(), &200.into())]);
    for round in rounds {
        assert_eq!(round["complete"], 20);
        let arrived = round["delivered"].as_u64().unwrap() + round["skipped"].as_u64().unwrap();
        assert_eq!(Some(arrived), round["published"].as_u64().map(|published| 20 * published));
    }
}

#[test]
fn more_than_a_server_takes_is_said_before_anything_starts() {
    let output = load(&["idle", "--connections", "20001"]);
    assert!(!output.status.success());
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(sentence.contains("takes 20000 sessions; use `--connections 20000`"), "{sentence}");
}

/// The clients, which have nobody to wait for, and the conductor with all that it started.
#[test]
fn every_process_ends_with_its_standard_input() {
    let clients = r#"{"first":0,"clients":1,"seed":1,"cuttable":false}"#;
    let server = r#"{"listeners":1,"backlog":8,"seed":1,"identified":false}"#;
    for arguments in [["clients", clients], ["server", server]] {
        // Ends at once, since its standard input is empty.
        load(&arguments);
    }
    let output = load(&["idle", "--connections", "5", "--minutes", "60", "--leashed"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("who started this is gone"));
}
