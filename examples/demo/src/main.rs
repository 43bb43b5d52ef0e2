//! All examples behind one address.

use std::path::PathBuf;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use bowline::Server;
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
    let counter = Server::builder().service(counter::CounterServer::new(counter::Shared::default())).build();
    let room = chat::ChatRoom::open(&options.database).await?;
    let chat = Server::builder().service(chat::ChatServer::new(room)).build();
    let app = Router::new()
        .route("/", get(|| async { Html(include_str!("../index.html")) }))
        .route("/counter/ws", counter.handler())
        .route("/chat/ws", chat.handler())
        .fallback_service(ServeDir::new(&options.site));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await.map_err(|error| {
        format!("port {} can't be used: {error}. Choose another with --port N", options.port)
    })?;
    println!("Bowline demo: http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
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
