//! Running the scenarios.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::baseline::{Line, Setting};
use crate::Outcome;
use crate::step::{output, step, target};

/// Parts of a processor that libc and Rust's libraries choose their variants by, as far as valgrind knows them.
const FEATURES: [&str; 11] =
    ["sse4_2", "avx", "avx2", "bmi1", "bmi2", "abm", "movbe", "aes", "sha_ni", "erms", "fsrm"];

/// The tools and the machine.
pub(super) fn setting(valgrind: &Path) -> Outcome<Setting> {
    let said = |command: &mut Command| output(command).ok_or_else(|| format!("{command:?} says nothing"));
    let rustc = said(Command::new("rustc").arg("--version"))?;
    let valgrind = said(Command::new(valgrind).arg("--version"))?;
    let libc = output(Command::new("ldd").arg("--version")).unwrap_or_default();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    Ok(Setting {
        rustc: rustc.trim().trim_start_matches("rustc ").to_owned(),
        valgrind: valgrind.trim().trim_start_matches("valgrind-").to_owned(),
        libc: libc.lines().next().unwrap_or("unknown").trim_start_matches("ldd ").to_owned(),
        cpu: format!("{} {}", std::env::consts::ARCH, features(&cpu)).trim().to_owned(),
    })
}

/// Those of [`FEATURES`] that `/proc/cpuinfo` lists.
fn features(cpuinfo: &str) -> String {
    let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
    let flags: Vec<_> = flags.map_or_else(Vec::new, |(_, flags)| flags.split_whitespace().collect());
    FEATURES.into_iter().filter(|feature| flags.contains(feature)).collect::<Vec<_>>().join(" ")
}

/// Every number whose name is wanted.
pub(super) fn all(valgrind: &Path, wanted: impl Fn(&str) -> bool) -> Outcome<Vec<Line>> {
    let programs = target().join("measured");
    let list = output(Command::new(programs.join("counts")).arg("--list"))
        .ok_or("the program `counts` does not say what it has")?;
    let mut scenarios = list.lines().map(Scenario::parse).collect::<Outcome<Vec<_>>>()?;
    scenarios.retain(|scenario| wanted(&scenario.name));
    let mut lines = step(&format!("counting instructions of {} scenarios", scenarios.len()), || {
        instructions(valgrind, &programs.join("counts"), &scenarios)
    })?;
    let allocated = step("counting allocations", || allocations(&programs.join("allocations")))?;
    lines.extend(allocated.into_iter().filter(|line| wanted(&line.name)));
    Ok(lines)
}

#[derive(Debug, PartialEq, Eq)]
struct Scenario {
    name: String,
    operations: u64,
    unit: String,
}

impl Scenario {
    fn parse(line: &str) -> Outcome<Self> {
        let wrong = || format!("not a scenario: `{line}`");
        let [name, operations, unit] = line.split('\t').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let operations = operations.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
        Ok(Self { name: name.to_owned(), operations, unit: unit.to_owned() })
    }
}

/// Runs as many at a time as there are processors: others take time from a run, not instructions.
fn instructions(valgrind: &Path, program: &Path, scenarios: &[Scenario]) -> Outcome<Vec<Line>> {
    let folder = target().join("counts");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(at) else { return };
                    let line = count(valgrind, program, &folder, scenario);
                    counted.lock().unwrap_or_else(PoisonError::into_inner).insert(at, line);
                }
            });
        }
    });
    counted.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn count(valgrind: &Path, program: &Path, folder: &Path, scenario: &Scenario) -> Outcome<Line> {
    let Scenario { name, operations, unit } = scenario;
    let profile: PathBuf = folder.join(format!("{}.callgrind", name.replace('/', ".")));
    // A profile of an earlier run must not be taken for this one's.
    let _ = fs::remove_file(&profile);
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(&profile);
    let mut command = Command::new(valgrind);
    command.args(["--tool=callgrind", "--toggle-collect=*measured_part*"]).arg(out).arg(program).arg(name);
    // The environment lies on the stack: its length would move what is aligned.
    let ended = command.env_clear().stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| format!("valgrind does not start: {error}"))?;
    if !ended.status.success() {
        return Err(format!(
            "{name} ended with {}:\n{}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        ));
    }
    let text = fs::read_to_string(&profile).map_err(|error| format!("{}: {error}", profile.display()))?;
    let total = collected(&text).ok_or_else(|| format!("{name}: callgrind collected nothing"))?;
    Ok(Line { name: name.clone(), value: total as f64 / *operations as f64, unit: unit.clone() })
}

/// The sum of a profile.
fn collected(profile: &str) -> Option<u64> {
    let mut sums = profile.lines().filter_map(|line| line.strip_prefix("totals: "));
    sums.next_back()?.trim().parse().ok().filter(|sum| *sum > 0)
}

fn allocations(program: &Path) -> Outcome<Vec<Line>> {
    let said =
        output(&mut Command::new(program)).ok_or("the program `allocations` does not run to its end")?;
    said.lines().map(allocation).collect()
}

/// A name, a number and its unit; the bytes that follow are for people.
fn allocation(line: &str) -> Outcome<Line> {
    let mut fields = line.split('\t');
    let (Some(name), Some(Ok(value)), Some(unit)) =
        (fields.next(), fields.next().map(str::parse), fields.next())
    else {
        return Err(format!("not a number of allocations: `{line}`"));
    };
    Ok(Line { name: name.to_owned(), value, unit: unit.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_print_is_read() {
        let scenario = Scenario::parse("call/memory\t2000\tinstructions per call").unwrap();
        assert_eq!(
            (&*scenario.name, scenario.operations, &*scenario.unit),
            ("call/memory", 2000, "instructions per call")
        );
        assert!(
            Scenario::parse("call/memory\t0\tinstructions per call").unwrap_err().contains("call/memory")
        );
        assert!(Scenario::parse("call/memory 2000").is_err());
        let line = allocation("allocations/stream/client\t1.003\tallocations per item\t16").unwrap();
        assert_eq!(
            (&*line.name, line.value, &*line.unit),
            ("allocations/stream/client", 1.003, "allocations per item")
        );
        assert!(allocation("allocations/stream/client\tmany\tx").is_err());
    }

    #[test]
    fn the_sum_of_a_profile_is_its_totals() {
        let profile = "version: 1\nevents: Ir\nsummary: 12\n\nfn=(1) main\n3 5\ntotals: 264583808\n";
        assert_eq!(collected(profile), Some(264_583_808));
        assert_eq!(collected("events: Ir\nsummary: 0\ntotals: 0\n"), None, "nothing was toggled");
        assert_eq!(collected("events: Ir\n"), None);
    }

    #[test]
    fn features_are_those_that_choose_variants() {
        let cpuinfo = "processor: 0\nflags\t\t: fpu avx avx2 avx512f erms\nflags : sse4_2\n";
        assert_eq!(features(cpuinfo), "avx avx2 erms");
        assert_eq!(features("model name: none"), "");
    }
}
