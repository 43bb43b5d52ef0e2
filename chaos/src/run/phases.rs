//! The two parts of a run: links are cut while a server stays, then the server itself is killed.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout};

use super::Options;
use super::report::{Kill, Phase, Report};
use crate::Outcome;
use crate::child::{Server, Swarm};
use crate::judge::{Journals, Rules, Verdict};
use crate::proxy::{Faults, Proxy};
use crate::random::Random;
use crate::swarm::{self, Status, Work};

/// How long everybody may take to be live again after a restart.
const LIVE_AGAIN: Duration = Duration::from_secs(40);

pub(super) async fn all(options: &Options, folder: &Path, report: &mut Report) -> Outcome<()> {
    if options.cuts > 0 {
        let folder = folder.join("cuts");
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        cuts(options, &folder, report).await?;
    }
    if options.kills > 0 {
        let folder = folder.join("kills");
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        kills(options, &folder, report).await?;
    }
    Ok(())
}

/// What each client does in its first part: as much up as down.
fn work(options: &Options) -> Work {
    let each = (options.messages / options.clients).max(10);
    let (calls, effects) = (each * 4 / 10, each / 10);
    let log = (each - calls - effects) / 2;
    Work { calls, effects, numbers: each - calls - effects - log, log, uploaded: each - calls - effects }
}

/// A finite amount of work over links that are cut, with nothing lost.
async fn cuts(options: &Options, folder: &Path, report: &mut Report) -> Outcome<()> {
    let start = Instant::now();
    let work = work(options);
    // About 90 bytes a message: half of the traffic is enough to meet all cuts.
    let reach = (work.calls + work.effects + work.uploaded) * 90 / options.cuts;
    let faults = Faults { seed: options.seed, cuts: options.cuts, reach: reach.max(500) };
    let proxy = Proxy::start(options.clients, faults).await.map_err(|error| error.to_string())?;
    let mut server = Server::start(folder, 1).await?;
    proxy.lead_to(Some(server.address));
    let mut swarm = Swarm::start(&swarm_options(&proxy, folder, work, false))?;
    let mut progress = Progress::new(&proxy, options.clients * options.cuts);
    let wanted = options.clients * options.cuts;
    let status = loop {
        let status = swarm.status().await?;
        progress.show(&status, None);
        if let Some(status) = server.ended() {
            return Err(format!("the server ended with {status}"));
        }
        if status.busy == 0 && proxy.done().cuts() >= wanted {
            break status;
        }
    };
    let live = finish(swarm).await?;
    server.kill().await?;
    let journals = Journals::read(folder, 1).map_err(|error| error.to_string())?;
    let verdict = Verdict::of(&journals, Rules::Whole { clients: options.clients, work });
    let network = proxy.done();
    report.add(Phase {
        name: "cuts",
        seconds: start.elapsed().as_secs_f64(),
        sent: status.sent,
        received: status.received,
        resumed: status.resumed,
        replaced: status.replaced,
        network,
        kills: Vec::new(),
        live,
        verdict,
    });
    Ok(())
}

/// Endless work while the server is killed again and again.
async fn kills(options: &Options, folder: &Path, report: &mut Report) -> Outcome<()> {
    let start = Instant::now();
    let mut random = Random::new(options.seed, u64::MAX);
    let faults = Faults { seed: options.seed, cuts: 0, reach: 0 };
    let proxy = Proxy::start(options.clients, faults).await.map_err(|error| error.to_string())?;
    let work = Work { calls: 1, effects: 1, numbers: 1, log: 1, uploaded: 1 };
    let mut swarm = Swarm::start(&swarm_options(&proxy, folder, work, true))?;
    let mut progress = Progress::new(&proxy, 0);
    let mut done = Vec::new();
    let mut life = 1;
    let mut server = Server::start(folder, life).await?;
    loop {
        proxy.lead_to(Some(server.address));
        let back = Instant::now();
        let live = everybody(&mut swarm, &mut progress, life, options.clients).await?;
        let live_after = back.elapsed();
        if life > 1 {
            done.push(Kill { live, live_after_seconds: live_after.as_secs_f64() });
        }
        if live < options.clients {
            report.broke(format!(
                "{live} of {} clients are live {} s after start {life} of the server",
                options.clients,
                LIVE_AGAIN.as_secs()
            ));
        }
        let traffic = Duration::from_millis(700 + random.below(800));
        watch(&mut swarm, &mut progress, life, traffic).await?;
        if life > options.kills {
            break;
        }
        server.kill().await?;
        proxy.lead_to(None);
        // A process that is gone and one that is slow to come back are different things to a client.
        watch(&mut swarm, &mut progress, life, Duration::from_millis(random.below(1000))).await?;
        life += 1;
        server = Server::start(folder, life).await?;
    }
    swarm.order("stop").await?;
    let status = loop {
        let status = swarm.status().await?;
        progress.show(&status, Some(life));
        if status.busy == 0 {
            break status;
        }
    };
    let live = finish(swarm).await?;
    server.kill().await?;
    let journals = Journals::read(folder, life).map_err(|error| error.to_string())?;
    report.add(Phase {
        name: "kills",
        seconds: start.elapsed().as_secs_f64(),
        sent: status.sent,
        received: status.received,
        resumed: status.resumed,
        replaced: status.replaced,
        network: proxy.done(),
        kills: done,
        live,
        verdict: Verdict::of(&journals, Rules::Honest),
    });
    Ok(())
}

fn swarm_options(proxy: &Proxy, folder: &Path, work: Work, endless: bool) -> swarm::Options {
    swarm::Options {
        journal: folder.join("swarm"),
        ports: proxy.addresses().iter().map(std::net::SocketAddr::port).collect(),
        work,
        endless,
        // No call of the first part may end by its deadline; one of the second has time for several restarts.
        deadline: if endless { 15_000 } else { 180_000 },
    }
}

/// Waits until every client has talked to this life of the server; says how many did.
async fn everybody(swarm: &mut Swarm, progress: &mut Progress<'_>, life: u64, clients: u64) -> Outcome<u64> {
    let until = tokio::time::Instant::now() + LIVE_AGAIN;
    let mut live = 0;
    while live < clients {
        tokio::select! {
            status = swarm.status() => {
                let status = status?;
                progress.show(&status, Some(life));
                live = if status.life == life { status.live } else { 0 };
            }
            () = sleep_until(until) => break,
        }
    }
    Ok(live)
}

/// Lets the swarm work for a while.
async fn watch(swarm: &mut Swarm, progress: &mut Progress<'_>, life: u64, lasts: Duration) -> Outcome<()> {
    let shown = async {
        loop {
            progress.show(&swarm.status().await?, Some(life));
        }
    };
    timeout(lasts, shown).await.unwrap_or(Ok(()))
}

/// Asks everybody once more and waits for the end of the swarm; says how many answered.
async fn finish(mut swarm: Swarm) -> Outcome<u64> {
    swarm.order("finish").await?;
    let last = async {
        loop {
            let status = swarm.status().await?;
            if status.finished {
                return Ok::<Status, String>(status);
            }
        }
    };
    let status = timeout(Duration::from_secs(60), last).await.map_err(|_| "the swarm does not finish")??;
    swarm.end().await?;
    Ok(status.live)
}

/// A line about once a second.
struct Progress<'a> {
    proxy: &'a Proxy,
    cuts: u64,
    start: Instant,
    shown: Option<Instant>,
}

impl<'a> Progress<'a> {
    fn new(proxy: &'a Proxy, cuts: u64) -> Self {
        Self { proxy, cuts, start: Instant::now(), shown: None }
    }

    fn show(&mut self, status: &Status, life: Option<u64>) {
        if self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_secs(1)) {
            return;
        }
        self.shown = Some(Instant::now());
        let done = self.proxy.done();
        let seconds = self.start.elapsed().as_secs();
        let told = match life {
            Some(life) => format!("life {life}"),
            None => format!("cuts {}/{}", done.cuts(), self.cuts),
        };
        eprintln!(
            "{seconds:>4} s  {told}  links {}  up {}  down {}  live {}  busy {}",
            done.links, status.sent, status.received, status.live, status.busy
        );
    }
}
