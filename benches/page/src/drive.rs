//! Drives a real Chromium through the whole benchmark.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bowline_test_support::browser::{Browser, Page};
use serde_json::{Value, json};

pub use bowline_test_support::browser::Error;

use crate::report::{Report, Row, Spread, Ticks, Wire};
use crate::server::{Direction, Host, Who};

/// Calls in flight that are measured.
const IN_FLIGHT: [u32; 3] = [1, 16, 64];
/// Every way by which a published item reaches an effect, and what tables call it.
pub const WAYS: [(&str, &str); 4] = [
    ("bowline-watch", "bowline, watch"),
    ("bowline", "bowline, stream"),
    ("web-sys", "web-sys"),
    ("leptos-use", "leptos-use"),
];

/// What the command line asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// The folder of the page.
    pub site: PathBuf,
    /// Fewer and shorter rounds.
    pub quick: bool,
    /// Where the results go as JSON too.
    pub json: Option<PathBuf>,
    /// Measures nothing, and writes into this folder where Chromium's profiler saw Bowline spend its time.
    pub cpuprofile: Option<PathBuf>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Size {
    rounds: usize,
    /// Of one round of one contender.
    length: Duration,
    /// Rounds and items of each way to an effect.
    tick_rounds: usize,
    ticks: u32,
}

impl Size {
    const QUICK: Self = Self { rounds: 5, length: Duration::from_millis(300), tick_rounds: 2, ticks: 250 };
    const FULL: Self = Self { rounds: 11, length: Duration::from_millis(700), tick_rounds: 5, ticks: 800 };
}

/// The whole program: a host, a browser, tables.
///
/// # Errors
///
/// When there is no browser, or an answer was wrong.
pub async fn run(options: &Options) -> Result<(), Error> {
    let host = Host::start(&options.site).await?;
    let browser = Browser::launch().await?;
    let page = open(&browser, &host).await?;
    let result = match &options.cpuprofile {
        Some(path) => profile(&page, path).await,
        None => measure(&page, &host, options).await,
    };
    if result.is_err() {
        page.complaints().iter().for_each(|line| eprintln!("the page says: {line}"));
    }
    browser.close().await?;
    result
}

/// Opens the page and waits until every contender has had an answer.
///
/// # Errors
///
/// When one has none.
pub async fn open(browser: &Browser, host: &Host) -> Result<Page, Error> {
    let page = browser.open(&host.url()).await?;
    // It would hand every message to us as well.
    page.command("Network.disable", json!({})).await?;
    page.wait("window.bench").await?;
    page.eval("bench.ready()").await?;
    Ok(page)
}

async fn measure(page: &Page, host: &Host, options: &Options) -> Result<(), Error> {
    let size = if options.quick { Size::QUICK } else { Size::FULL };
    let mut report = Report {
        browser: page.eval("navigator.userAgent").await?.as_str().unwrap_or_default().to_owned(),
        isolated: page.eval("crossOriginIsolated").await? == Value::Bool(true),
        ..Report::default()
    };
    for in_flight in IN_FLIGHT {
        eprintln!("calls, {in_flight} in flight");
        report.calls.extend(
            rounds(page, &format!("calls at {in_flight}"), size, |who, n| {
                format!("bench.calls('{who}', {in_flight}, {n})")
            })
            .await?,
        );
    }
    eprintln!("items of a stream");
    report.items = rounds(page, "items", size, |who, n| format!("bench.items('{who}', {n})")).await?;
    eprintln!("what is on the wire");
    report.wire = wires(page, host).await?;
    eprintln!("from a publish to an effect");
    (report.ticks, report.clock) = ticks(page, size).await?;
    print!("{report}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// Interleaved rounds of all contenders, after each was given as much as fills a round.
async fn rounds(
    page: &Page,
    what: &str,
    size: Size,
    script: impl Fn(&str, u64) -> String,
) -> Result<Vec<Row>, Error> {
    let mut counts = Vec::new();
    for who in Who::ALL {
        counts.push(calibrate(page, size.length, |n| script(who.name(), n)).await?);
    }
    let mut rates = vec![Vec::new(); Who::ALL.len()];
    for _ in 0..size.rounds {
        for ((who, &n), rates) in Who::ALL.into_iter().zip(&counts).zip(&mut rates) {
            rates.push(n as f64 * 1e3 / millis(page, &script(who.name(), n)).await?);
        }
    }
    let rows = Who::ALL.into_iter().zip(counts).zip(rates).map(|((who, n), rates)| Row {
        what: what.to_owned(),
        who: who.name().to_owned(),
        per_round: n,
        rate: Spread::of(rates),
    });
    Ok(rows.collect())
}

/// Doubles the work until it takes a quarter of `length`; this also warms up.
async fn calibrate(page: &Page, length: Duration, script: impl Fn(u64) -> String) -> Result<u64, Error> {
    let length = length.as_secs_f64() * 1e3;
    let mut n = 64;
    loop {
        let took = millis(page, &script(n)).await?;
        if took * 4.0 >= length {
            return Ok(((n as f64 * length / took) as u64).max(1));
        }
        n *= 2;
    }
}

async fn millis(page: &Page, script: &str) -> Result<f64, Error> {
    page.eval(script).await?.as_f64().ok_or_else(|| format!("{script} gave no number").into())
}

/// Bytes and messages of each operation, as the host's sockets carried them.
async fn wires(page: &Page, host: &Host) -> Result<Vec<Wire>, Error> {
    let mut wires = Vec::new();
    let calls = |in_flight: u32| move |who: &str, n: u64| format!("bench.calls('{who}', {in_flight}, {n})");
    for in_flight in IN_FLIGHT {
        wires.extend(wire(page, host, &format!("call at {in_flight}"), 6400, calls(in_flight)).await?);
    }
    let items = |who: &str, n: u64| format!("bench.items('{who}', {n})");
    wires.extend(wire(page, host, "item", 50_000, items).await?);
    Ok(wires)
}

async fn wire(
    page: &Page,
    host: &Host,
    what: &str,
    n: u64,
    script: impl Fn(&str, u64) -> String,
) -> Result<Vec<Wire>, Error> {
    let mut wires = Vec::new();
    for who in Who::ALL {
        let traffic = host.traffic(who).ok_or_else(|| format!("{} is not connected", who.name()))?;
        let so_far = || [Direction::Up, Direction::Down].map(|direction| traffic.so_far(direction));
        let before = so_far();
        page.eval(&script(who.name(), n)).await?;
        let after = so_far();
        let each = |index: usize| {
            let ((bytes, messages), (bytes_before, messages_before)) = (after[index], before[index]);
            ((bytes - bytes_before) as f64 / n as f64, (messages - messages_before) as f64 / n as f64)
        };
        let ((bytes_up, messages_up), (bytes_down, messages_down)) = (each(0), each(1));
        let (what, who) = (what.to_owned(), who.name().to_owned());
        wires.push(Wire { what, who, operations: n, bytes_up, messages_up, bytes_down, messages_down });
    }
    Ok(wires)
}

/// How late items are that are published every few milliseconds, and how well the two clocks are known to each other.
async fn ticks(page: &Page, size: Size) -> Result<(Vec<Ticks>, Spread), Error> {
    let mut late = vec![Vec::new(); WAYS.len()];
    let mut exact = Vec::new();
    // What is measured once before counts for nothing: code that was never run is slow.
    for (way, _) in WAYS {
        page.eval(&format!("bench.ticks('{way}', 20)")).await?;
    }
    for _ in 0..size.tick_rounds {
        let clock = page.eval("bench.clock(200)").await?;
        let number = |value: &Value| value.as_f64().ok_or("the page gave no number");
        let (ahead, round_trip) = (number(&clock[0])?, number(&clock[1])?);
        exact.push(round_trip / 2.0);
        for ((way, _), late) in WAYS.into_iter().zip(&mut late) {
            let samples = page.eval(&format!("bench.ticks('{way}', {})", size.ticks)).await?;
            for sample in samples.as_array().ok_or("the page gave no list")? {
                late.push(number(sample)? + ahead);
            }
        }
    }
    let rows = WAYS.into_iter().zip(late).map(|((_, name), late)| Ticks::of(name, late));
    Ok((rows.collect(), Spread::of(exact)))
}

async fn profile(page: &Page, folder: &Path) -> Result<(), Error> {
    page.command("Profiler.enable", json!({})).await?;
    page.command("Profiler.setSamplingInterval", json!({"interval": 100})).await?;
    for (in_flight, n) in [(1, 10_000), (64, 100_000)] {
        let script = format!("bench.calls('bowline', {in_flight}, {n})");
        page.eval(&script).await?;
        page.command("Profiler.start", json!({})).await?;
        let took = millis(page, &script).await?;
        let profile = page.command("Profiler.stop", json!({})).await?;
        let path = folder.join(format!("calls-{in_flight}.cpuprofile"));
        std::fs::write(&path, serde_json::to_vec(&profile["profile"])?)?;
        println!("{n} calls, {in_flight} in flight, in {took:.0} ms: {}", path.display());
    }
    Ok(())
}
