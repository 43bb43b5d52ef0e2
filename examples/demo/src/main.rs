//! All examples behind one address.

use std::future::IntoFuture;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use bowline::Server;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_http::services::ServeDir;

type Error = Box<dyn std::error::Error>;

struct Options {
    port: u16,
    site: PathBuf,
    database: PathBuf,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let options = parse()?;
    let counter = counter::CounterServer::new(counter::Shared::default());
    let counter = Server::builder().service(counter).drain_spread(SPREAD).build();
    let room = chat::ChatRoom::open(&options.database).await?;
    let chat = Server::builder().service(chat::ChatServer::new(room)).drain_spread(SPREAD).build();
    let app = Router::new()
        .route("/", get(|| async { Html(include_str!("../index.html")) }))
        .route("/counter/ws", counter.handler())
        .route("/chat/ws", chat.handler())
        .fallback_service(ServeDir::new(&options.site));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await.map_err(|error| {
        format!("port {} can't be used: {error}. Choose another with --port N", options.port)
    })?;
    // Before anybody can know the address, so that no signal is missed.
    let mut signals = Signals::listen()?;
    println!("Bowline demo: http://{}/", listener.local_addr()?);
    let (drained, close) = oneshot::channel::<()>();
    let mut serving = tokio::spawn(
        axum::serve(listener, app)
            .with_graceful_shutdown(async {
                let _ = close.await;
            })
            .into_future(),
    );
    tokio::select! {
        ended = &mut serving => return Ok(ended??),
        () = signals.next() => {}
    }
    println!(
        "Ending: pages are asked to move, which takes {} s at most. Ctrl-C ends at once.",
        LONGEST.as_secs()
    );
    let in_order = async {
        // Axum knows nothing of WebSockets: they are drained while it still takes connections, and closed before it is waited for.
        tokio::join!(counter.drain(), chat.drain());
        let _ = drained.send(());
        tokio::join!(counter.shutdown(), chat.shutdown());
        // A browser may keep a connection without a request on it for as long as it likes.
        let _ = timeout(HTTP, &mut serving).await;
    };
    tokio::select! {
        () = in_order => println!("Ended."),
        () = signals.next() => println!("Ended at once."),
    }
    Ok(())
}

/// Within which time pages move. Short, since nobody waits for a demo as long as for a server with 20,000 pages.
const SPREAD: Duration = Duration::from_secs(2);

/// How long requests may go on that are no WebSockets.
const HTTP: Duration = Duration::from_secs(2);

/// A drain takes at most twice its spread, and a shutdown 6 s.
const LONGEST: Duration = Duration::from_secs(2 * SPREAD.as_secs() + 6 + HTTP.as_secs());

/// What asks a process to end: Ctrl-C, and SIGTERM where there is one.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

fn parse() -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { port: 0, site: "site".into(), database: "chat.db".into() };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("site") => options.site = arguments.value()?.into(),
            Long("database") => options.database = arguments.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}
