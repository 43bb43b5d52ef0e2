use std::collections::BTreeMap;
use std::process::Command;

use serde::Serialize;

/// Where numbers come from.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// When, in UTC.
    pub date: String,
    /// Of what; with `+` at its end when files differ from it, and empty when it is not known.
    pub commit: String,
    /// What was asked for.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// Who compiled it.
    pub rustc: &'static str,
    /// Which versions of what is compared, and of what both use.
    pub versions: BTreeMap<String, String>,
}

/// What the program ran on; empty where the system does not say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many of its cores the program may use.
    pub cores: usize,
    /// The system's.
    pub kernel: String,
}

impl Facts {
    /// Asks the system.
    pub fn gather() -> Self {
        Self {
            date: chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            commit: commit().unwrap_or_default(),
            command: typed(std::env::args().skip(1)),
            machine: Machine::of_this(),
            rustc: env!("BENCH_RUSTC"),
            versions: versions(include_str!("../../../Cargo.lock")),
        }
    }
}

/// What somebody typed, without what `cargo xtask bench` adds to it.
fn typed(arguments: impl Iterator<Item = String>) -> String {
    let words: Vec<_> = arguments.filter(|word| word != "--leashed").collect();
    format!("cargo xtask bench {}", words.join(" ")).trim_end().to_owned()
}

impl Machine {
    fn of_this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: model(&read("/proc/cpuinfo")).unwrap_or_default().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

fn model(cpuinfo: &str) -> Option<&str> {
    cpuinfo.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()))
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    Some(if changed { head + "+" } else { head })
}

/// The versions of this package's dependencies, as the lock file has them.
fn versions(lock: &str) -> BTreeMap<String, String> {
    let field = |package: &str, name: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    let packages: Vec<(String, String, &str)> = lock
        .split("[[package]]")
        .filter_map(|package| Some((field(package, "name")?, field(package, "version")?, package)))
        .collect();
    let Some((_, _, bench)) = packages.iter().find(|(name, ..)| name == "bench") else {
        return BTreeMap::new();
    };
    let list = bench.split_once("dependencies = [").map_or("", |(_, list)| list);
    let named = list.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    named
        .filter_map(|dependency| match dependency.split_once(' ') {
            // There are several of this name, so the version stands beside it.
            Some((name, version)) => Some((name.to_owned(), version.to_owned())),
            None => {
                let found = packages.iter().find(|(name, ..)| name == dependency)?;
                Some((dependency.to_owned(), found.1.clone()))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_what_was_typed() {
        let typed = |line: &str| typed(line.split_whitespace().map(str::to_owned));
        assert_eq!(typed("--leashed --quick --json x"), "cargo xtask bench --quick --json x");
        assert_eq!(typed("--leashed"), "cargo xtask bench");
    }

    #[test]
    fn versions_are_those_that_this_package_uses() {
        let lock = "[[package]]\nname = \"axum\"\nversion = \"0.8.3\"\n\n[[package]]\nname = \"axum\"\n\
            version = \"0.8.9\"\n\n[[package]]\nname = \"bench\"\nversion = \"0.1.0\"\ndependencies = [\n \"axum 0.8.9\",\n \
            \"tarpc\",\n]\n\n[[package]]\nname = \"other\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"tarpc\"\n\
            version = \"0.38.0\"\n";
        let wanted = [("axum", "0.8.9"), ("tarpc", "0.38.0")];
        assert_eq!(
            versions(lock),
            wanted.map(|(name, version)| (name.to_owned(), version.to_owned())).into()
        );
    }

    #[test]
    fn the_facts_of_this_build_are_known() {
        let facts = Facts::gather();
        for peer in
            ["bowline", "tokio-tungstenite", "jsonrpsee", "tarpc", "tonic", "remoc", "fastwebsockets", "axum"]
        {
            assert!(facts.versions.contains_key(peer), "{peer} in {:?}", facts.versions);
        }
        assert!(facts.rustc.starts_with("rustc 1."), "{}", facts.rustc);
        assert!(facts.machine.cores > 0);
        assert!(facts.date.starts_with("20") && facts.date.ends_with('Z'), "{}", facts.date);
    }

    #[test]
    fn the_name_of_the_processor_is_found() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n"), Some("Some CPU @ 2 GHz"));
        assert_eq!(model(""), None);
    }
}
