//! What compiles, and what the compiler says where it does not.
//!
//! After a change that is meant: `TRYBUILD=overwrite cargo test -p bowline-macros --test ui`, then read the difference.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The compiler that wrote the `.stderr` files: others word their own part of the messages differently.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn what_must_compile_compiles() {
    trybuild::TestCases::new().pass("tests/ui/pass/**/*.rs");
}

#[test]
fn mistakes_are_told_where_they_are() -> io::Result<()> {
    if let Some(copies) = env::var_os("BOWLINE_UI_COPIES") {
        trybuild::TestCases::new().compile_fail(PathBuf::from(copies).join("**/*.rs"));
        return Ok(());
    }
    if rustc_version()?.starts_with(RECORDED_WITH) {
        trybuild::TestCases::new().compile_fail("tests/ui/fail/**/*.rs");
        return Ok(());
    }
    // The words may differ, but nothing of it may compile: the same files without their `.stderr`, in a process of its
    // own that runs this test once more and records what is said instead of comparing it.
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    copy_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/fail"), &copies)?;
    let status = Command::new(env::current_exe()?)
        .args(["--exact", "mistakes_are_told_where_they_are"])
        .env("TRYBUILD", "overwrite")
        .env("BOWLINE_UI_COPIES", &copies)
        .status()?;
    assert!(status.success());
    Ok(())
}

fn rustc_version() -> io::Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn copy_sources(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if path.is_dir() {
            copy_sources(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
