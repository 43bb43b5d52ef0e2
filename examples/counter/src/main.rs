//! The counter: a server natively, a page in a browser.

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let rpc =
        bowline::Server::builder().service(counter::CounterServer::new(counter::Shared::default())).build();
    let page = tower_http::services::ServeDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dist"));
    let app = axum::Router::new().route("/ws", rpc.handler()).fallback_service(page);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await
}

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(counter::App);
}
