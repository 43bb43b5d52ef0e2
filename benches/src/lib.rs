//! Bowline beside what people would use instead: the same work, in the same run, in interleaved rounds.
//!
//! `README.md` in this folder says how each peer is driven and what each number means.

pub mod apart;
pub mod files;
pub mod goals;
pub mod measure;
pub mod options;
pub mod peers;
pub mod report;
pub mod scenarios;

use std::path::Path;

use options::{HELP, Options};

/// What may go wrong: a sentence.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The whole program: arguments in, tables out.
///
/// # Errors
///
/// Wrong arguments, the first failure of a peer, and with `--check` a missed goal.
pub fn run(arguments: lexopt::Parser) -> Result<()> {
    let options = Options::parse(arguments).map_err(|error| format!("{error}\n\n{HELP}"))?;
    if options.help {
        print!("{HELP}");
        return Ok(());
    }
    let wanted: Vec<_> = scenarios::ALL.iter().filter(|scenario| options.wants(scenario.id)).collect();
    if options.list {
        for scenario in wanted {
            println!("{:<24} {}", scenario.id, scenario.title);
        }
        return Ok(());
    }
    if wanted.is_empty() {
        return Err(
            format!("no scenario is called like {:?}; --list says which there are", options.only).into()
        );
    }
    options.prepare()?;
    if options.leashed {
        end_with_input();
    }
    let setting = options.setting(wanted.len());
    let (mut all, mut broken) = (Vec::new(), Vec::new());
    for scenario in wanted {
        match scenario.measure(&setting) {
            Ok(measured) => {
                setting.progress.print(&format!("\n{}", report::table(&measured)));
                all.push(measured);
            }
            // What takes minutes is not thrown away because the next thing fails.
            Err(error) => {
                setting.progress.print(&format!("\nerror: {error}"));
                broken.push(scenario.id);
            }
        }
    }
    setting.progress.finish();
    if let Some(word) = options.peers.as_deref().filter(|_| broken.is_empty()) {
        names_somebody(word, &all)?;
    }
    let verdicts = goals::judge(goals::ALL, &all, |peer| setting.wants(peer));
    println!("\n{}", report::verdicts(&verdicts));
    if let Some(path) = &options.json {
        let report = report::Report::new(report::Facts::gather(), &setting, &all, &verdicts);
        write(path, &report.to_json()?)?;
    }
    if let Some(folder) = &options.svg {
        for measured in &all {
            for metric in measured.metrics() {
                let name = format!("{}-{}.svg", measured.scenario, metric.id.replace('_', "-"));
                write(&folder.join(name), &report::plot(measured, metric)?)?;
            }
        }
    }
    if !broken.is_empty() {
        return Err(format!("not measured, for the errors above: {}", broken.join(", ")).into());
    }
    if options.check { check(&verdicts) } else { Ok(()) }
}

fn names_somebody(word: &str, all: &[report::Measured]) -> Result<()> {
    if all.iter().flat_map(|measured| &measured.lines).any(|line| line.peer.contains(word)) {
        return Ok(());
    }
    Err(format!("nobody who takes part there is called like `{word}`: Bowline ran alone").into())
}

fn check(verdicts: &[goals::Verdict]) -> Result<()> {
    if verdicts.is_empty() {
        return Err("--check: no goal is about what was measured".into());
    }
    match verdicts.iter().filter(|verdict| verdict.is_failure()).count() {
        0 => Ok(()),
        missed => Err(format!("goals that must hold and are missed: {missed}").into()),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    Ok(std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Ends this process with its standard input, and so with whoever started it; those that it started end with theirs.
fn end_with_input() {
    std::thread::spawn(|| {
        // What comes in is for nobody.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use goals::{Bound, Level, Verdict};

    #[test]
    fn a_word_for_peers_that_names_nobody_is_an_error() {
        let lines = vec![report::Line::new("bowline"), report::Line::new("tarpc")];
        let all = [report::Measured { scenario: "calls-1", title: "", lines }];
        assert!(names_somebody("tar", &all).is_ok() && names_somebody("bowline", &all).is_ok());
        let error = names_somebody("Tarpc", &all).unwrap_err().to_string();
        assert!(error.contains("`Tarpc`"), "{error}");
    }

    #[test]
    fn a_check_fails_for_a_missed_must_and_where_there_is_nothing_to_check() {
        let verdict = |level, holds: bool| {
            let goal = goals::ALL.iter().find(|goal| goal.level == level).unwrap();
            let (Bound::AtLeast(limit) | Bound::AtMost(limit)) = goal.bound;
            let over =
                if matches!(goal.bound, Bound::AtLeast(_)) == holds { limit + 1.0 } else { limit - 1.0 };
            Verdict { goal, figure: Some(over), by_cpu: None }
        };
        assert!(check(&[verdict(Level::Must, true), verdict(Level::Aim, false)]).is_ok());
        let error = check(&[verdict(Level::Must, false), verdict(Level::Must, true)]).unwrap_err();
        assert!(error.to_string().ends_with(": 1"), "{error}");
        assert!(check(&[]).is_err());
    }
}
