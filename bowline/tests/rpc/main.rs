//! What `#[rpc]` makes of a trait, seen from an application: the table, the server, the client.

#![allow(missing_debug_implementations, unreachable_pub)] // services as applications write them
#![allow(clippy::unwrap_used, reason = "helpers of tests fail them")]

mod descriptor;
mod dispatch;
mod evolution;
mod lost;
mod names;
mod tap;
mod topic;

use bowline::{Server, Service, ServiceClient};

/// A client of `service` in the same process: through both session machines and an in-memory link.
fn connect<C: ServiceClient>(service: impl Service) -> (Server, C) {
    let server = Server::builder().service(service).build();
    let client = C::from_channel(server.channel());
    (server, client)
}
