//! The server: it writes down what reaches its handlers, and may be killed at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use bowline::prelude::*;
use bowline::{NodeLimits, Server};
use futures_util::stream;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::services::ServeDir;

use crate::{Item, Trial, TrialServer};

/// Between two items of a stream.
const PACE: Duration = Duration::from_millis(5);

/// What the command line asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// The port on loopback; 0 for a free one.
    pub port: u16,
    /// The folder of the page.
    pub site: PathBuf,
    /// What reached handlers, one line each: `call PAGE NUMBER` or `effect PAGE NUMBER`. Lines are added to those there are.
    pub journal: PathBuf,
}

/// Serves until the process is ended, in order after SIGTERM; says on its standard output where.
///
/// Beside the page: `/stats` has sessions with and without a link, begun and resumed, as four numbers; `/elsewhere` is another page.
///
/// # Errors
///
/// When the port or the journal can't be used.
pub async fn run(options: Options) -> io::Result<()> {
    let journal = OpenOptions::new().create(true).append(true).open(&options.journal)?;
    let witness = Witness {
        journal: Mutex::new(journal),
        life: u64::from(std::process::id()),
        runs: AtomicU64::new(0),
        effects: AtomicU64::new(0),
    };
    let server = Server::builder()
        .service(TrialServer::new(witness))
        // A test loses its link more often than anybody else's page.
        .node_limits(NodeLimits { resumes: 10_000, ..NodeLimits::default() })
        .drain_spread(Duration::from_millis(500))
        .build();
    let counting = server.clone();
    let app = Router::new()
        .route("/ws", server.handler())
        .route(
            "/elsewhere",
            get(|| async { Html("<!DOCTYPE html><title>Elsewhere</title><p id=elsewhere>Elsewhere</p>") }),
        )
        .route("/stats", get(async move || stats(&counting)))
        .fallback_service(ServeDir::new(&options.site));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("test page: http://{}/", listener.local_addr()?);
    let mut terminated = signal(SignalKind::terminate())?;
    let draining = server.clone();
    let drained = async move {
        terminated.recv().await;
        draining.drain().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(drained).await?;
    server.shutdown().await;
    Ok(())
}

fn stats(server: &Server) -> String {
    let stats = server.stats();
    let (held, counted) = (stats.held, stats.counted);
    format!("{} {} {} {}", held.attached, held.detached, counted.begun, counted.resumed)
}

struct Witness {
    journal: Mutex<File>,
    life: u64,
    runs: AtomicU64,
    effects: AtomicU64,
}

impl Witness {
    fn write(&self, what: &str, page: u64, number: u64) {
        let line = format!("{what} {page} {number}\n");
        let mut journal = self.journal.lock().expect("no panic under the lock");
        journal.write_all(line.as_bytes()).expect("the journal can be written");
    }

    fn items(&self, from: u64) -> impl Stream<Item = Item> + Send + use<> {
        let run = (self.life << 20) | self.runs.fetch_add(1, Ordering::Relaxed);
        stream::unfold(from, move |number| async move {
            tokio::time::sleep(PACE).await;
            Some((Item { run, number }, number + 1))
        })
    }
}

impl Trial for Witness {
    async fn call(&self, page: u64, number: u64) -> u64 {
        // Before anything is awaited: handlers start in the order of their calls.
        self.write("call", page, number);
        number
    }

    async fn effect(&self, page: u64, number: u64) -> u64 {
        self.write("effect", page, number);
        self.effects.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn numbers(&self) -> impl Stream<Item = Item> {
        self.items(0)
    }

    fn log(&self, after: Option<u64>) -> impl Stream<Item = Item> {
        self.items(after.map_or(0, |after| after + 1))
    }

    fn life(&self) -> impl Stream<Item = u64> {
        stream::once(std::future::ready(self.life)).chain(stream::pending())
    }
}
