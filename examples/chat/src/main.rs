//! The chat: a server natively, a page in a browser.

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use lexopt::prelude::*;
    let mut database = String::from("chat.db");
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("database") => database = arguments.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let chat = chat::ChatRoom::open(&database).await?;
    let rpc = bowline::Server::builder().service(chat::ChatServer::new(chat)).build();
    let page = tower_http::services::ServeDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dist"));
    let app = axum::Router::new().route("/ws", rpc.handler()).fallback_service(page);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/ (history in {database})", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(chat::page::App);
}
