//! What the demo says when it can't start.

use std::process::Command;

fn said(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).output().expect("the demo was built");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing is announced before it is true");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("chat.db");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = said(&["--port", &port, "--database", database.to_str().unwrap()]);
    assert!(said.contains(&format!("port {port} can't be used")), "{said}");
    assert!(said.contains("--port N"), "{said}");
}

#[test]
fn an_unwritable_database_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, "in the way").unwrap();
    let database = file.join("chat.db");
    let said = said(&["--port", "0", "--database", database.to_str().unwrap()]);
    assert!(said.contains(database.to_str().unwrap()), "{said}");
    assert!(said.contains("--database FILE"), "{said}");
}
