//! The conductor: starts everything, tells it what to do, and looks at what it says.

mod calls;
mod fan_out;
mod idle;
mod stage;
mod storm;

use crate::Outcome;
use crate::arguments::{Options, Scene};
use crate::files;
use crate::report::Report;

pub(crate) use calls::Calls;
pub(crate) use fan_out::FanOut;
pub(crate) use idle::Idle;
pub(crate) use storm::Storm;

/// Runs the scenes that were asked for and prints the results.
///
/// # Errors
///
/// Where a promise was broken: an answer that is wrong, a session or an item that is lost, a client that is not live.
pub(crate) async fn run(options: &Options) -> Outcome<()> {
    let mut report = Report::new(options);
    for scene in &options.scenes {
        if let Err(sentence) = play(*scene, options, &mut report).await {
            report.broke(sentence);
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()?).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    print!("{}", report.table());
    report.verdict()
}

async fn play(scene: Scene, options: &Options, report: &mut Report) -> Outcome<()> {
    match scene {
        Scene::Idle => {
            files::allow(options.many())?;
            report.idle(idle::run(options).await?);
        }
        Scene::Storm => {
            files::allow(options.many())?;
            report.storm(storm::run(options).await?);
        }
        Scene::Calls => {
            files::allow(options.callers())?;
            for calls in calls::run(options).await? {
                report.calls(calls);
            }
        }
        Scene::FanOut => {
            for subscribers in options.subscribers() {
                files::allow(subscribers)?;
                for round in fan_out::run(subscribers, options).await? {
                    report.fan_out(round);
                }
            }
        }
    }
    Ok(())
}
