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
    let mut peers = all.iter().flat_map(|measured| &measured.lines).map(|line| &*line.peer);
    if let Some(word) = &options.peers
        && broken.is_empty()
        && !peers.any(|peer| peer.contains(&**word))
    {
        return Err(format!("nobody who takes part there is called like `{word}`: Bowline ran alone").into());
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
    if options.check && verdicts.is_empty() {
        return Err("--check: no goal is about what was measured".into());
    }
    let missed = verdicts.iter().filter(|verdict| verdict.is_failure()).count();
    if options.check && missed > 0 {
        return Err(format!("goals that must hold and are missed: {missed}").into());
    }
    Ok(())
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
