//! A plain WebSocket echo for the browser's tests: prints its port and serves until it is ended.
//!
//! It is made of the socket library alone and agrees to whatever subprotocol a client offers first.

#![allow(clippy::unwrap_used, reason = "a part of tests")]

#[cfg(not(target_arch = "wasm32"))]
#[path = "../tests/echo/mod.rs"]
mod echo;

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    echo::serve(listener, echo::Endings::default()).await;
    Ok(())
}

/// Sockets are not for browsers to accept.
#[cfg(target_arch = "wasm32")]
fn main() {}
