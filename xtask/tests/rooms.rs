//! Which crate may know which: a room uses only rooms above it.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Each room with the rooms that it may depend on, itself left out. Tests may look anywhere.
const ROOMS: [(&str, &[&str]); 10] = [
    ("bowline-protocol", &[]),
    ("bowline-runtime", &[]),
    ("bowline-rpc", &["bowline-protocol", "bowline-runtime"]),
    ("bowline-macros", &[]),
    ("bowline-transport", &["bowline-protocol", "bowline-runtime", "bowline-rpc"]),
    ("bowline-middleware", &["bowline-protocol", "bowline-runtime", "bowline-rpc"]),
    (
        "bowline-server",
        &["bowline-protocol", "bowline-runtime", "bowline-rpc", "bowline-transport", "bowline-middleware"],
    ),
    (
        "bowline-client",
        &["bowline-protocol", "bowline-runtime", "bowline-rpc", "bowline-transport", "bowline-middleware"],
    ),
    (
        "bowline-leptos",
        &[
            "bowline-protocol",
            "bowline-runtime",
            "bowline-rpc",
            "bowline-transport",
            "bowline-middleware",
            "bowline-client",
        ],
    ),
    (
        "bowline",
        &[
            "bowline-protocol",
            "bowline-runtime",
            "bowline-rpc",
            "bowline-macros",
            "bowline-transport",
            "bowline-middleware",
            "bowline-server",
            "bowline-client",
            "bowline-leptos",
        ],
    ),
];

/// Crates that only some rooms may name.
const RESERVED: [(&str, &[&str]); 5] = [
    ("leptos", &["bowline-leptos"]),
    ("axum", &["bowline-server"]),
    ("hyper", &["bowline-server"]),
    ("tokio-tungstenite", &["bowline-transport", "bowline-server"]),
    ("web-sys", &["bowline-transport", "bowline-client", "bowline-leptos"]),
];

#[test]
fn rooms_depend_only_on_rooms_above_them() {
    let dependencies = dependencies();
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        let used = dependencies.get(room).unwrap_or_else(|| panic!("{room} is not in the workspace"));
        wrong.extend(
            used.iter()
                .filter(|name| name.starts_with("bowline") && !allowed.contains(&name.as_str()))
                .map(|name| format!("{room} uses {name}")),
        );
        for (name, rooms) in RESERVED {
            if used.iter().any(|used| used == name) && !rooms.contains(&room) {
                wrong.push(format!("{room} uses {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "dependencies against the plan of docs/architecture.md: {wrong:#?}");
}

#[test]
fn every_published_crate_is_a_room() {
    let published =
        |name: &str| name.starts_with("bowline") && !name.ends_with("-support") && name != "bowline-chaos";
    for name in dependencies().keys().filter(|name| published(name)) {
        assert!(ROOMS.iter().any(|(room, _)| room == name), "{name} has no row in this test");
    }
}

/// The normal dependencies of each member, by package name.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .expect("cargo runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().expect("a list").iter();
            let names = normal.filter(|dependency| dependency["kind"].is_null()).map(|d| text(&d["name"]));
            (text(&package["name"]), names.collect())
        })
        .collect()
}
