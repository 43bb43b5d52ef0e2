//! The README shows the counter as it is.

use std::fs;
use std::path::Path;

#[test]
fn the_readme_shows_the_counter_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for file in ["examples/counter/src/lib.rs", "examples/counter/src/main.rs"] {
        let source = fs::read_to_string(root.join(file)).unwrap();
        assert!(readme.contains(&source), "{file} and its copy in README.md differ");
    }
}

#[test]
fn the_counter_stays_small() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/counter/src/lib.rs");
    let source = fs::read_to_string(file).unwrap();
    let code = source.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"));
    assert!(code.count() <= 60, "the smallest program has grown");
}
